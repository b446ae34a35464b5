use serde_json::json;

use super::*;

/// Every schema of a setting, with where it is.
fn settings() -> Vec<(String, Value)> {
    let schema = json_schema();
    let mut found = Vec::new();
    let mut parts = vec![(String::new(), &schema)];
    while let Some((path, part)) = parts.pop() {
        match part {
            Value::Object(members) => {
                for (name, setting) in part["properties"].as_object().into_iter().flatten() {
                    found.push((format!("{path}/{name}"), setting.clone()));
                }
                parts.extend(
                    members
                        .iter()
                        .map(|(name, part)| (format!("{path}/{name}"), part)),
                );
            }
            Value::Array(entries) => {
                parts.extend(entries.iter().map(|part| (path.clone(), part)));
            }
            _ => {}
        }
    }
    found
}

#[test]
fn every_setting_says_what_it_means() {
    let settings = settings();
    assert!(settings.len() > 200, "{}", settings.len());
    let silent: Vec<&String> = settings
        .iter()
        // `header: …` and the like are forms of the setting around them, which describes each.
        .filter(|(path, setting)| setting["description"].is_null() && !path.contains("/oneOf/"))
        .map(|(path, _)| path)
        .collect();
    assert_eq!(silent, [""; 0]);
}

#[test]
fn what_the_description_says_of_the_default_is_so() {
    for (path, setting) in settings() {
        let (Some(words), Some(value)) = (default_words(&setting), setting.get("default")) else {
            continue;
        };
        let plain = words.trim_matches('`').split(',').next().unwrap_or_default();
        let said = match value {
            // In words: none, or what it depends on.
            Value::Null | Value::Object(_) => continue,
            Value::Array(entries) if entries.is_empty() => {
                assert!(
                    ["empty", "none", "[]"].contains(&plain) || words.contains(' '),
                    "{path}: {words}"
                );
                continue;
            }
            value => value.as_str().map_or(value.to_string(), str::to_owned),
        };
        assert_eq!(plain, said, "{path}: {words}");
    }
}

#[test]
fn secrets_are_marked() {
    for (path, setting) in settings() {
        let name = path.rsplit('/').next().unwrap_or_default();
        let named_so = [
            "secret",
            "token",
            "encryption_key",
            "private_keys",
            "token_keys",
            "hash_key",
        ]
        .contains(&name)
            || name.ends_with("_secret")
            || name.ends_with("_secrets");
        let lists_of_groups = setting["items"]["$ref"].is_string();
        assert_eq!(
            setting["writeOnly"] == true,
            named_so && !lists_of_groups,
            "{path}: config show prints whatever is not writeOnly"
        );
    }
}

#[test]
fn defaults_are_read() {
    for (setting, expected) in [
        (json!({ "default": 3 }), Default::Value(json!(3))),
        (
            json!({ "description": "A. Default: `refuse`" }),
            Default::Value(json!("refuse")),
        ),
        (
            json!({ "description": "A. Default: 300" }),
            Default::Value(json!(300)),
        ),
        (
            json!({ "default": null, "description": "Threads. Default: one for each core." }),
            Default::Words("one for each core".to_owned()),
        ),
        (
            json!({ "description": "Default: `{host}{path}`" }),
            Default::Words("`{host}{path}`".to_owned()),
        ),
        (json!({ "description": "No word." }), Default::Nothing),
    ] {
        assert_eq!(Described::default(&setting), expected, "{setting}");
    }
}
