//! What a broken configuration looks like to its author.
//!
//! Each `broken/*.yaml` is a configuration, and `*.txt` beside it is what `validate` says. After a change of the words,
//! run with `PORTCULLIS_UPDATE=1` and read the difference as a user would.

use std::fs;
use std::path::PathBuf;

use crate::{Ran, portcullis};

/// Cases that are valid all the same: they get advice.
const VALID: &[&str] = &["dead-permit", "tls-expired", "unlinked"];
/// A configuration that is not there.
const NOT_THERE: &str = "not-there";

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/cli/broken")
}

fn cases() -> Vec<String> {
    let mut cases: Vec<String> = fs::read_dir(folder())
        .expect("the folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned())
        .chain([NOT_THERE.to_owned()])
        .collect();
    cases.sort();
    cases
}

fn validate(case: &str) -> Ran {
    let words = ["validate", "--config", &format!("{case}.yaml")];
    let output = portcullis(&words).current_dir(folder()).output();
    Ran::of(&output.expect("the binary starts"))
}

/// The version of the rules changes with every new setting.
fn without_version(out: &str) -> String {
    match out.split_once("version: ") {
        Some((before, version)) => format!("{before}version: …{}", version.get(12..).unwrap_or_default()),
        None => out.to_owned(),
    }
}

#[test]
fn every_problem_is_told_at_once_with_its_place_and_what_to_do() {
    let update = std::env::var_os("PORTCULLIS_UPDATE").is_some();
    let mut different = Vec::new();
    for case in cases() {
        let ran = validate(&case);
        let shown = format!(
            "$ portcullis validate --config {case}.yaml\n{}{}exit code {}\n",
            ran.err,
            without_version(&ran.out),
            ran.code.expect("an exit code")
        );
        let file = folder().join(format!("{case}.txt"));
        if update {
            fs::write(&file, shown).expect("the file can be written");
        } else if fs::read_to_string(&file).unwrap_or_default() != shown {
            different.push(format!("---- {case}\n{shown}"));
        }
    }
    assert!(
        different.is_empty(),
        "these differ from tests/cli/broken/*.txt; if they are better, run with PORTCULLIS_UPDATE=1\n{}",
        different.join("\n")
    );
}

#[test]
fn broken_is_4_and_advice_is_0() {
    let cases = cases();
    assert!(cases.len() > 20, "{cases:?}");
    for case in &cases {
        let code = if VALID.contains(&case.as_str()) { 0 } else { 4 };
        let ran = validate(case).expect(code);
        assert!(!ran.err.is_empty(), "{case} says nothing");
        assert_eq!(ran.out.is_empty(), code == 4, "{case}");
    }
}

#[test]
fn every_problem_has_a_place() {
    for case in cases() {
        let ran = validate(&case);
        let problems = ran
            .err
            .lines()
            .filter(|l| l.starts_with("  \u{d7} ") || l.starts_with("  \u{261e} "));
        let places = ran.err.lines().filter(|line| line.contains("\u{256d}\u{2500}["));
        let expected = if case == NOT_THERE { 0 } else { problems.count() };
        assert_eq!(places.count(), expected, "{case}:\n{}", ran.err);
    }
}

#[test]
fn nothing_starts_with_a_broken_configuration() {
    let config = folder().join("dead-forbid.yaml");
    let config = config.to_str().expect("a path in UTF-8");
    for words in [
        &["serve", "--config", config][..],
        &[
            "check",
            "--config",
            config,
            "GET",
            "https://api.example.test/pages/x",
        ],
        &["schema", "--config", config],
    ] {
        let ran = Ran::of(&portcullis(words).output().expect("the binary starts")).expect(4);
        assert!(
            ran.err.contains("the forbid `no-changes` can never apply"),
            "{}",
            ran.err
        );
        assert_eq!(ran.out, "");
    }
}
