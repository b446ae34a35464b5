//! What the program is made of, as CycloneDX 1.6: the crates that are linked into it, and nothing of what only builds or
//! tests it; and what comes from neither of them, Rust's own library and the C library.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::workspace::Workspace;

/// A bill of materials.
pub(super) struct Bill {
    /// JSON.
    pub(super) text: String,
    /// The version of the program.
    pub(super) version: String,
}

/// A crate, as `cargo tree` writes it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Crate {
    name: String,
    version: String,
    licence: String,
    /// In this workspace, and nowhere else.
    ours: bool,
}

/// Each crate with those that it uses itself.
type Tree = BTreeMap<Crate, BTreeSet<Crate>>;

/// Asks cargo what is linked for `triple`, and Cargo.lock for the checksums.
pub(super) fn bill(workspace: &Workspace, triple: &str, rust: &str) -> Result<Bill, String> {
    let mut cargo =
        workspace.cargo("tree --locked --package portcullis --edges normal,no-proc-macro --prefix depth");
    cargo.args(["--target", triple, "--format", "|{p}|{l}"]);
    let output = cargo
        .output()
        .map_err(|error| format!("cannot start cargo: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let (root, tree) = tree(&String::from_utf8_lossy(&output.stdout))?;
    let lock = workspace.root.join("Cargo.lock");
    let lock = fs::read_to_string(&lock).map_err(|error| format!("{}: {error}", lock.display()))?;
    let others = [
        ("rust-std", rust.to_owned(), "MIT OR Apache-2.0"),
        ("glibc", c_library(), "LGPL-2.1-or-later"),
    ];
    let others = if triple.ends_with("-gnu") {
        &others[..]
    } else {
        &others[..1]
    };
    Ok(Bill {
        text: written(&root, &tree, &checksums(&lock), others),
        version: root.version,
    })
}

/// The version of the C library that is linked, as far as the system tells.
fn c_library() -> String {
    let said = Command::new("getconf").arg("GNU_LIBC_VERSION").output();
    let said = said.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let version = said
        .ok()
        .and_then(|said| said.trim().strip_prefix("glibc ").map(str::to_owned));
    version.unwrap_or_else(|| "unknown".to_owned())
}

/// Reads lines like `2|serde v1.0.229|MIT OR Apache-2.0`, whose number is the depth.
fn tree(text: &str) -> Result<(Crate, Tree), String> {
    let mut path: Vec<Crate> = Vec::new();
    let mut tree = Tree::new();
    for line in text.lines() {
        let strange = || format!("`cargo tree` says what nobody understands: {line}");
        let mut parts = line.splitn(3, '|');
        let mut part = || parts.next().ok_or_else(strange);
        let depth: usize = part()?.parse().map_err(|_| strange())?;
        // What was there before comes with a mark and without what it uses.
        let found = crate_of(part()?, part()?.trim_end_matches(" (*)")).ok_or_else(strange)?;
        path.truncate(depth);
        if path.len() != depth {
            return Err(strange());
        }
        if let Some(user) = path.last() {
            tree.entry(user.clone()).or_default().insert(found.clone());
        }
        tree.entry(found.clone()).or_default();
        path.push(found);
    }
    let root = path.first().cloned().ok_or("`cargo tree` says nothing")?;
    Ok((root, tree))
}

fn crate_of(package: &str, licence: &str) -> Option<Crate> {
    let mut words = package.split(' ');
    let (name, version) = (words.next()?, words.next()?.strip_prefix('v')?);
    Some(Crate {
        name: name.to_owned(),
        version: version.to_owned(),
        // How crates wrote it before SPDX.
        licence: licence.split('/').map(str::trim).collect::<Vec<_>>().join(" OR "),
        ours: words.any(|word| word.starts_with("(/")),
    })
}

/// The SHA-256 of each crate that was fetched, by name and version.
fn checksums(lock: &str) -> BTreeMap<(&str, &str), &str> {
    let packages = lock.split("[[package]]").filter_map(|package| {
        let field = |name: &str| {
            let line = package.lines().find_map(|line| line.strip_prefix(name))?;
            line.strip_prefix(" = \"")?.strip_suffix('"')
        };
        Some(((field("name")?, field("version")?), field("checksum")?))
    });
    packages.collect()
}

fn written(
    root: &Crate,
    tree: &Tree,
    checksums: &BTreeMap<(&str, &str), &str>,
    others: &[(&str, String, &str)],
) -> String {
    let reference = |found: &Crate| match found.ours {
        true => format!("{}@{}", found.name, found.version),
        false => format!("pkg:cargo/{}@{}", found.name, found.version),
    };
    let component = |found: &Crate, kind: &str| {
        let mut component = json!({
            "type": kind,
            "bom-ref": reference(found),
            "name": found.name,
            "version": found.version,
            "licenses": [{ "expression": found.licence }],
        });
        if !found.ours {
            component["purl"] = json!(reference(found));
        }
        if let Some(checksum) = checksums.get(&(&*found.name, &*found.version)) {
            component["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
        }
        component
    };
    let mut components: Vec<Value> = tree
        .keys()
        .filter(|found| *found != root)
        .map(|found| component(found, "library"))
        .collect();
    let mut dependencies: Vec<Value> = tree
        .iter()
        .map(|(found, uses)| {
            let mut uses: Vec<String> = uses.iter().map(reference).collect();
            if found == root {
                uses.extend(
                    others
                        .iter()
                        .map(|(name, version, _)| format!("{name}@{version}")),
                );
            }
            json!({ "ref": reference(found), "dependsOn": uses })
        })
        .collect();
    for (name, version, licence) in others {
        let reference = format!("{name}@{version}");
        dependencies.push(json!({ "ref": reference }));
        components.push(json!({
            "type": "library", "bom-ref": reference, "name": name, "version": version,
            "licenses": [{ "expression": licence }],
        }));
    }
    let bill = json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": { "component": component(root, "application") },
        "components": components,
        "dependencies": dependencies,
    });
    format!("{bill:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: &str = "0|portcullis v0.1.0 (/work/crates/server)|Apache-2.0\n\
                        1|a v1.2.3|MIT / Apache-2.0\n\
                        2|b v0.1.0-rc.1|ISC\n\
                        1|b v0.1.0-rc.1|ISC\n\
                        1|model v0.1.0 (/work/crates/model)|Apache-2.0\n\
                        2|a v1.2.3|MIT / Apache-2.0 (*)\n";
    const LOCK: &str = "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1.2.3\"\nsource = \"x\"\nchecksum = \"aa\"\n\n\
                        [[package]]\nname = \"a\"\nversion = \"2.0.0\"\nchecksum = \"bb\"\n";

    #[test]
    fn what_is_linked_is_listed_once_with_its_checksum_and_what_it_uses() {
        let (root, tree) = tree(TREE).expect("a tree");
        let text = written(
            &root,
            &tree,
            &checksums(LOCK),
            &[("glibc", "2.36".to_owned(), "LGPL-2.1-or-later")],
        );
        let bill: Value = serde_json::from_str(&text).expect("JSON");
        for (pointer, expected) in [
            ("/metadata/component/name", json!("portcullis")),
            ("/components/0/purl", json!("pkg:cargo/a@1.2.3")),
            ("/components/0/licenses/0/expression", json!("MIT OR Apache-2.0")),
            ("/components/0/hashes/0/content", json!("aa")),
            ("/components/1/name", json!("b")),
            ("/components/1/hashes", Value::Null),
            ("/components/2/bom-ref", json!("model@0.1.0")),
            ("/components/2/purl", Value::Null),
            ("/components/3/bom-ref", json!("glibc@2.36")),
            ("/components/4", Value::Null),
            ("/dependencies/2/dependsOn", json!(["pkg:cargo/a@1.2.3"])),
            (
                "/dependencies/3/dependsOn",
                json!([
                    "pkg:cargo/a@1.2.3",
                    "pkg:cargo/b@0.1.0-rc.1",
                    "model@0.1.0",
                    "glibc@2.36"
                ]),
            ),
        ] {
            assert_eq!(
                bill.pointer(pointer).unwrap_or(&Value::Null),
                &expected,
                "{pointer}"
            );
        }
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        for text in [
            "",
            "0|portcullis",
            "x|a v1|MIT",
            "0|a 1|MIT",
            "0|a v1|MIT\n2|b v1|MIT",
        ] {
            assert!(tree(text).is_err(), "{text}");
        }
    }
}
