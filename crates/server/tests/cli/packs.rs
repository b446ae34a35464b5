//! Tests of policies: `portcullis test`, `matrix` and `lint`, and our own packs.
//!
//! `packs/*` are packs with something wrong; each `packs/*.txt` is what a command says about one. After a change of the
//! words, run with `PORTCULLIS_UPDATE=1` and read the difference as a user would.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::{Ran, portcullis, root, run};

/// The name of the file with what is said, the words, and the exit code.
const SAID: &[(&str, &[&str], i32)] = &[
    ("broken", &["test", "broken"], 4),
    ("failing", &["test", "failing"], 5),
    ("failing-junit", &["test", "failing", "-o", "junit"], 5),
    ("failing-github", &["test", "failing", "-o", "github"], 5),
    (
        "failing-json",
        &["test", "failing", "-o", "json", "--filter", "P1"],
        5,
    ),
    ("failing-filter", &["test", "failing", "--filter", "bob"], 5),
    ("filter-nothing", &["test", "failing", "--filter", "nobody"], 4),
    ("no-pack", &["test", "empty", "not-there"], 4),
    ("no-tests", &["test", "odd"], 4),
    ("untested", &["test", "untested", "--coverage"], 5),
    ("matrix", &["matrix", "failing"], 0),
    ("matrix-check", &["matrix", "failing", "--check"], 5),
    ("matrix-none", &["matrix", "untested", "--check"], 5),
    ("lint", &["lint", "odd"], 0),
    (
        "lint-config",
        &["lint", "--config", "untested/portcullis.yaml", "--deny"],
        1,
    ),
    ("lint-github", &["lint", "odd", "-o", "github", "--deny"], 1),
    ("lint-json", &["lint", "untested", "-o", "json"], 0),
];

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/cli/packs")
}

#[test]
fn what_is_said_about_packs_with_something_wrong() {
    let update = std::env::var_os("PORTCULLIS_UPDATE").is_some();
    let mut different = Vec::new();
    for (name, words, code) in SAID {
        let output = portcullis(words).current_dir(folder()).output();
        let ran = Ran::of(&output.expect("the binary starts")).expect(*code);
        let shown = format!(
            "$ portcullis {}\n{}{}exit code {code}\n",
            words.join(" "),
            ran.err,
            ran.out
        );
        let file = folder().join(format!("{name}.txt"));
        if update {
            fs::write(&file, shown).expect("the file can be written");
        } else if fs::read_to_string(&file).unwrap_or_default() != shown {
            different.push(format!("---- {name}\n{shown}"));
        }
    }
    assert!(
        different.is_empty(),
        "these differ from tests/cli/packs/*.txt; if they are better, run with PORTCULLIS_UPDATE=1\n{}",
        different.join("\n")
    );
}

#[test]
fn our_own_packs_pass_and_everything_in_them_is_tested() {
    let ran = run(&["test", "policies", "--require-coverage", "-o", "json"]).expect(0);
    let report: Value = serde_json::from_str(&ran.out).expect("JSON");
    assert!(report["passed"].as_u64() > Some(150), "{report:#}");
    run(&["matrix", "policies", "--check"]).expect(0);
    let lint = run(&["lint", "policies", "--deny"]).expect(0);
    assert_eq!(lint.out, "nothing found\n");
}

#[test]
fn a_table_that_was_written_is_up_to_date_until_a_policy_changes() {
    let pack = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("written-pack");
    fs::create_dir_all(pack.join("tests")).expect("a folder");
    let original = folder().join("failing");
    let configuration = fs::read_to_string(original.join("portcullis.yaml")).expect("a configuration");
    let schema = folder().join("../broken/house.cedarschema").display().to_string();
    let files = [
        (
            "portcullis.yaml",
            configuration.replace("../../broken/house.cedarschema", &schema),
        ),
        (
            "house.cedar",
            fs::read_to_string(original.join("house.cedar")).expect("policies"),
        ),
        (
            "tests/a.yaml",
            "tests: [{ id: A, as: anonymous, request: GET /pages/a, expect: allow }]".to_owned(),
        ),
    ];
    for (name, text) in &files {
        fs::write(pack.join(name), text).expect("a file");
    }
    let pack = pack.to_str().expect("UTF-8");
    run(&["matrix", pack, "--write"]).expect(0);
    run(&["matrix", pack, "--check"]).expect(0);
    let printed = run(&["matrix", pack]).expect(0).out;
    assert_eq!(
        fs::read_to_string(format!("{pack}/matrix.txt")).expect("the table"),
        printed
    );
    assert!(
        printed.ends_with("\nanonymous\nallow      GET /pages/a\n"),
        "{printed}"
    );
    run(&["test", pack]).expect(0);
    let policies = fs::read_to_string(format!("{pack}/house.cedar")).expect("policies");
    let closed = policies.replace(
        "permit (principal, action in",
        "permit (principal is User, action in",
    );
    fs::write(format!("{pack}/house.cedar"), closed).expect("a file");
    let ran = run(&["matrix", pack, "--check"]).expect(5);
    for line in ["- allow      GET /pages/a", "+ 401        GET /pages/a"] {
        assert!(ran.out.contains(line), "{}", ran.out);
    }
    let ran = run(&["test", pack]).expect(5);
    assert!(
        ran.out.contains("0 passed, 1 failed, 1 matrix out of date"),
        "{}",
        ran.out
    );
}

#[test]
fn the_suite_in_the_documentation_is_one_for_the_default_policies() {
    let page = fs::read_to_string(root().join("docs/policy-tests.md")).expect("the page");
    let suite = page
        .split("```yaml\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next());
    let pack = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("documented-pack");
    fs::create_dir_all(pack.join("tests")).expect("a folder");
    for entry in fs::read_dir(root().join("policies/default")).expect("the default policies") {
        let file = entry.expect("an entry").path();
        if file.is_file() && !file.ends_with("matrix.txt") {
            let name = file.file_name().expect("a name");
            fs::copy(&file, pack.join(name)).expect("a copy");
        }
    }
    fs::write(pack.join("tests/documented.yaml"), suite.expect("a suite")).expect("a file");
    let ran = run(&["test", pack.to_str().expect("UTF-8")]).expect(0);
    assert!(ran.out.contains("9 passed, 0 failed"), "{}", ran.out);
}
