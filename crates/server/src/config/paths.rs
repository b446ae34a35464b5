//! Paths in settings of other crates, which know no folder: they begin at the folder of the configuration file.

use std::path::Path;

use serde_json::Value;

/// The settings that name a file, as JSON pointers; `*` stands for every entry of a list.
const PATHS: &[&str] = &["/decision_log/file", "/issuers/*/jwks_file"];

/// Makes all these paths begin at `folder`. What is no text is left for the schema to refuse.
pub(super) fn begin_at(folder: &Path, value: &mut Value) {
    if let Some(Value::Object(authority)) = value.get_mut("authority") {
        // The default is a file, too.
        authority
            .entry("store")
            .or_insert_with(|| "sqlite:portcullis.db".into());
    }
    if let Some(Value::String(store)) = value.pointer_mut("/authority/store")
        && let Some(path) = store.strip_prefix("sqlite:")
    {
        let full = folder.join(path);
        let full = std::path::absolute(&full).unwrap_or(full);
        *store = format!("sqlite:{}", full.display());
    }
    for pattern in PATHS {
        let steps: Vec<&str> = pattern.split('/').skip(1).collect();
        join(folder, value, &steps);
    }
}

fn join(folder: &Path, value: &mut Value, steps: &[&str]) {
    match (steps, value) {
        ([], Value::String(path)) if !path.is_empty() => {
            let full = folder.join(&*path);
            // It only fails without a current folder, where no relative path works at all.
            let full = std::path::absolute(&full).unwrap_or(full);
            *path = full.to_string_lossy().into_owned();
        }
        (["*", rest @ ..], Value::Array(entries)) => {
            for entry in entries {
                join(folder, entry, rest);
            }
        }
        ([name, rest @ ..], Value::Object(members)) => {
            if let Some(member) = members.get_mut(*name) {
                join(folder, member, rest);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn relative_paths_begin_at_the_folder() {
        let jwks = |path| json!({ "issuers": [{ "name": "a" }, { "jwks_file": path }] });
        for (before, after) in [
            (jwks(json!("keys.json")), jwks(json!("/etc/portcullis/keys.json"))),
            (jwks(json!("a/b.json")), jwks(json!("/etc/portcullis/a/b.json"))),
            (jwks(json!("/keys.json")), jwks(json!("/keys.json"))),
            (jwks(json!("")), jwks(json!(""))),
            (jwks(json!(1)), jwks(json!(1))),
            (jwks(json!(null)), jwks(json!(null))),
            (
                json!({ "issuers": { "jwks_file": "x" } }),
                json!({ "issuers": { "jwks_file": "x" } }),
            ),
            (json!({ "jwks_file": "x" }), json!({ "jwks_file": "x" })),
            (json!([]), json!([])),
            (
                json!({ "authority": { "store": "sqlite:a.db" } }),
                json!({ "authority": { "store": "sqlite:/etc/portcullis/a.db" } }),
            ),
            (
                json!({ "authority": {} }),
                json!({ "authority": { "store": "sqlite:/etc/portcullis/portcullis.db" } }),
            ),
            (
                json!({ "authority": { "store": "postgres://db/a" } }),
                json!({ "authority": { "store": "postgres://db/a" } }),
            ),
        ] {
            let mut value = before.clone();
            begin_at(Path::new("/etc/portcullis"), &mut value);
            assert_eq!(value, after, "{before}");
        }
        let mut value = jwks(json!("keys.json"));
        begin_at(Path::new(""), &mut value);
        let path = value["issuers"][1]["jwks_file"].as_str().expect("a path");
        assert!(Path::new(path).is_absolute(), "{path}");
    }
}
