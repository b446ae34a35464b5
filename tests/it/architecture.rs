//! The walls between the rooms, and the map of them: what a compiler does not hold, this does.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every file of the repository, by its path from the root, without what is built.
pub(crate) fn files(folder: &str, extension: Option<&str>) -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir().expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if path.is_dir() {
                if !["target", ".git"].contains(&name.as_str()) {
                    folders.push(path);
                }
            } else if extension.is_none_or(|wanted| name.ends_with(wanted)) {
                let from_root = path.strip_prefix(root()).unwrap_or(&path);
                found.push((from_root.to_string_lossy().into_owned(), path.clone()));
            }
        }
    }
    assert!(!found.is_empty(), "nothing in {folder}");
    found.sort();
    found
}

pub(crate) fn read(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).expect("a file")).into_owned()
}

fn sources() -> Vec<(String, String)> {
    let files = files("crates", Some(".rs"))
        .into_iter()
        .chain(files("tests", Some(".rs")));
    files.map(|(name, path)| (name, read(&path))).collect()
}

/// What a crate depends on: in the product, and in anything (tests and build scripts too).
struct Dependencies {
    normal: BTreeSet<String>,
    any: BTreeSet<String>,
}

fn dependencies() -> BTreeMap<String, Dependencies> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args([
            "metadata",
            "--no-deps",
            "--offline",
            "--locked",
            "--format-version",
            "1",
        ])
        .current_dir(root())
        .output()
        .expect("cargo starts");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let crates = packages.iter().map(|package| {
        let (mut normal, mut any) = (BTreeSet::new(), BTreeSet::new());
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            let name = dependency["name"].as_str().expect("a name").to_owned();
            if dependency["kind"].is_null() {
                normal.insert(name.clone());
            }
            any.insert(name);
        }
        (
            package["name"].as_str().expect("a name").to_owned(),
            Dependencies { normal, any },
        )
    });
    crates.collect()
}

/// A crate; the crates of ours that the product may use in it; those that its tests may use too; and what is kept out
/// of it altogether.
type Room = (
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
    &'static [&'static str],
);

const WIRE: &[&str] = &[
    "axum",
    "h2",
    "hyper",
    "hyper-util",
    "prost",
    "tonic",
    "tonic-prost",
    "tower",
];
const ROOMS: &[Room] = &[
    (
        "model",
        &[],
        &[],
        &[
            "axum",
            "cedar-policy",
            "h2",
            "hyper",
            "jsonwebtoken",
            "prost",
            "reqwest",
            "sqlx",
            "tokio",
            "tonic",
        ],
    ),
    (
        "proto",
        &[],
        &[],
        &["axum", "cedar-policy", "hyper", "jsonwebtoken", "tokio"],
    ),
    (
        "contracts",
        &["model"],
        &["proto"],
        &["cedar-policy", "jsonwebtoken", "reqwest"],
    ),
    ("decide", &["model"], &[], WIRE),
    ("authority", &["model"], &[], WIRE),
    ("xtask", &[], &[], &[]),
];
/// They put everything together.
const FREE: &[&str] = &["bench", "portcullis", "tests", "yardstick"];

#[test]
fn crates_depend_in_one_direction() {
    let all = dependencies();
    for (name, dependencies) in &all {
        let ours = |names: &BTreeSet<String>| -> Vec<String> {
            names
                .iter()
                .filter(|name| all.contains_key(*name))
                .cloned()
                .collect()
        };
        assert!(
            ["bench", "tests", "xtask", "yardstick"]
                .iter()
                .all(|tool| !dependencies.any.contains(*tool)),
            "{name} depends on what is only for developers"
        );
        if FREE.contains(&name.as_str()) {
            continue;
        }
        let Some((_, product, tests, kept_out)) = ROOMS.iter().find(|(room, ..)| room == name) else {
            panic!("the crate {name} is new: say here and in ARCHITECTURE.md what it may depend on");
        };
        for used in ours(&dependencies.normal) {
            assert!(
                product.contains(&used.as_str()),
                "{name} must not depend on {used}"
            );
        }
        for used in ours(&dependencies.any) {
            let may = product.contains(&used.as_str()) || tests.contains(&used.as_str());
            assert!(may, "{name} must not depend on {used}, not even in its tests");
        }
        for library in *kept_out {
            assert!(
                !dependencies.normal.contains(*library),
                "{name} must not depend on {library}"
            );
        }
    }
    for (room, ..) in ROOMS {
        assert!(all.contains_key(*room), "there is no crate {room}");
    }
    // Built before everything, so small crates only, and none that knows ours: for writing an image, and JSON.
    let packing = [
        "base64",
        "flate2",
        "serde_json",
        "sha2",
        "tar",
        "webpki-root-certs",
    ];
    let xtask = all["xtask"].any.iter().map(String::as_str);
    assert_eq!(
        xtask.collect::<Vec<_>>(),
        packing,
        "xtask is built before everything"
    );
}

#[test]
fn only_the_pipeline_grants_permits() {
    let call = ["Permit", "::grant("].concat();
    // Doors and their tests need a permit to encode; they get it from samples that are compiled for tests only.
    let samples = "crates/contracts/src/samples.rs";
    let doors = read(&root().join("crates/contracts/src/lib.rs"));
    assert!(
        doors.contains("#[cfg(test)]\nmod samples;"),
        "{samples} must be compiled for tests only"
    );
    // What an allow costs when nothing is decided; nothing that is shipped depends on this package.
    let yardstick = "crates/yardstick/src/ours.rs";
    let callers: Vec<String> = sources()
        .into_iter()
        .filter(|(name, text)| text.contains(&call) && name != samples && name != yardstick)
        .map(|(name, _)| name)
        .collect();
    // When policies say yes, and when they say no and are only audited.
    let pipeline = ["answer", "audit"].map(|name| format!("crates/decide/src/pipeline/{name}.rs"));
    assert_eq!(callers, pipeline);
}

#[test]
fn only_the_policy_engine_uses_cedars_inside() {
    let name = ["cedar_policy", "_core"].concat();
    let users: Vec<String> = sources()
        .into_iter()
        .filter(|(_, text)| text.contains(&name))
        .map(|(name, _)| name)
        .collect();
    let engine = "crates/decide/src/policy/engine";
    assert!(users.iter().any(|name| name.starts_with(engine)), "{users:?}");
    for user in &users {
        assert!(
            user.starts_with(engine),
            "{user} uses {name}: only {engine} may, where a test compares it with Cedar's public interface"
        );
    }
    let name = name.replace('_', "-");
    for (room, dependencies) in dependencies() {
        assert!(
            room == "decide" || !dependencies.any.contains(&name),
            "{room} must not depend on {name}"
        );
    }
    let manifest = read(&root().join("Cargo.toml"));
    assert!(
        manifest.contains(&format!("{name} = \"=")),
        "{name} promises nothing between versions: pin it with `=`"
    );
}

#[test]
fn no_file_is_too_long() {
    for (name, text) in sources() {
        let lines = text.lines().count();
        assert!(lines <= 600, "{name} has {lines} lines: split it by what it does");
    }
}

#[test]
fn the_repository_names_no_registry() {
    let words = [
        ["crates", ".io"],
        ["py", "pi.org"],
        ["python", "hosted.org"],
        ["npm", "js.org"],
        ["docker", ".io"],
        ["ghcr", ".io"],
        ["quay", ".io"],
    ]
    .map(|parts| parts.concat());
    for (name, path) in files(".", None) {
        if name.ends_with("Cargo.lock") {
            continue;
        }
        let text = read(&path);
        for word in &words {
            assert!(
                !text.contains(word.as_str()),
                "{name} names {word}: tools come by their package names"
            );
        }
    }
}

#[test]
fn every_invariant_names_a_test_that_exists() {
    let architecture = read(&root().join("ARCHITECTURE.md"));
    let tests = test_functions();
    for number in 1..=12 {
        let row = architecture
            .lines()
            .find(|line| line.starts_with(&format!("| I{number} |")));
        let row = row.unwrap_or_else(|| panic!("ARCHITECTURE.md has no row for I{number}"));
        let problems = wrong_tests(row, &tests);
        assert!(problems.is_empty(), "I{number}: {}", problems.join(", "));
    }
}

#[test]
fn every_threat_names_a_test_that_exists() {
    let page = read(&root().join("docs/threat-model.md"));
    let tests = test_functions();
    let boundaries: Vec<&str> = page.split("\n## ").skip(1).collect();
    assert_eq!(boundaries.len(), 10);
    let mut problems = Vec::new();
    for boundary in boundaries {
        let (title, text) = boundary.split_once('\n').expect("a title");
        assert!(
            text.contains("\nWith you: "),
            "{title}: what stays with the operator?"
        );
        let rows: Vec<&str> = text
            .lines()
            .filter(|line| line.starts_with('|'))
            .skip(2)
            .collect();
        assert!(rows.len() >= 3, "{title}: {rows:?}");
        for row in rows {
            let wrong = wrong_tests(row, &tests);
            problems.extend(wrong.iter().map(|why| format!("{title}: {why}")));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// What is wrong with the tests that the last cell of a row names.
fn wrong_tests(row: &str, tests: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let cells = row.trim_end().trim_end_matches('|');
    let held_by = cells.rsplit('|').next().unwrap_or_default();
    let names: Vec<&str> = held_by.split('`').skip(1).step_by(2).collect();
    if names.is_empty() {
        return vec![format!("no test is named: {row}")];
    }
    let wrong = names.iter().filter_map(|name| is_there(tests, name).err());
    wrong.collect()
}

/// Whether there is a test of this name (`function`, `place::function` or `file.rs: function`) and in this place.
pub(crate) fn is_there(tests: &BTreeMap<String, Vec<String>>, name: &str) -> Result<(), String> {
    let (place, function) = name
        .rsplit_once("::")
        .or(name.rsplit_once(": "))
        .unwrap_or(("", name));
    let Some(files) = tests.get(function) else {
        return Err(format!("`{name}` is no test: there is no such function"));
    };
    let parts: Vec<&str> = place
        .split([':', '/', ' '])
        .filter(|part| !part.is_empty())
        .collect();
    let stands_there = |file: &String| {
        let mut steps = file.trim_end_matches(".rs").split('/');
        parts
            .iter()
            .all(|part| steps.any(|step| step == part.trim_end_matches(".rs")) || *part == "tests")
    };
    match files.iter().any(stands_there) {
        true => Ok(()),
        false => Err(format!("`{function}` is in {files:?}, not in {place}")),
    }
}

/// Every test function with the files it is in.
pub(crate) fn test_functions() -> BTreeMap<String, Vec<String>> {
    let mut tests: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (file, text) in sources() {
        let mut is_test = false;
        for line in text.lines().map(str::trim) {
            let signature = line.trim_start_matches("async ").strip_prefix("fn ");
            if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
                is_test = true;
            } else if let Some(signature) = signature.filter(|_| is_test) {
                let name = signature.split(['(', '<']).next().unwrap_or_default();
                tests.entry(name.to_owned()).or_default().push(file.clone());
                is_test = false;
            }
        }
    }
    assert!(tests.len() > 100, "{}", tests.len());
    tests
}
