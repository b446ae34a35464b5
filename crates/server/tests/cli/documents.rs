//! What can be read: help, version, the two schemas.

use crate::{root, run};

const DEFAULT: &str = "policies/default/portcullis.yaml";

#[test]
fn help_names_every_verb_and_the_exit_codes() {
    let help = run(&["--help"]).expect(0).out;
    for verb in [
        "serve",
        "demo",
        "init",
        "check",
        "healthcheck",
        "validate",
        "test",
        "matrix",
        "lint",
        "token",
        "schema",
        "config",
        "version",
    ] {
        let described = |line: &str| {
            let rest = line.trim_start().strip_prefix(verb)?;
            Some(rest.starts_with(' ') && !rest.trim().is_empty())
        };
        assert!(
            help.lines().any(|line| described(line) == Some(true)),
            "{verb}:\n{help}"
        );
        let own = run(&[verb, "--help"]).expect(0).out;
        assert!(own.contains("Usage: portcullis"), "{verb}:\n{own}");
    }
    for code in [
        "0 done or allowed",
        "1 failed",
        "2 wrong usage",
        "3 denied or refused",
        "4 invalid configuration",
        "5 tests of policies failed",
    ] {
        assert!(help.contains(code), "{code}:\n{help}");
    }
}

#[test]
fn wrong_usage_is_2() {
    for words in [
        &[][..],
        &["sevre"],
        &["check", "GET"],
        &["serve", "--colour"],
        &["check", "--server", "x", "--config", "y", "GET", "/"],
    ] {
        let ran = run(words).expect(2);
        assert!(ran.err.contains("Usage: portcullis"), "{words:?}: {}", ran.err);
    }
}

#[test]
fn the_version_is_that_of_the_package() {
    let version = run(&["version"]).expect(0).out;
    assert_eq!(version, format!("portcullis {}\n", env!("CARGO_PKG_VERSION")));
    assert_eq!(run(&["--version"]).expect(0).out, version);
}

#[test]
fn the_default_configuration_is_valid_and_shows_its_routes() {
    let ran = run(&["validate", "--config", DEFAULT]).expect(0);
    assert_eq!(ran.err, "", "it is valid without advice");
    let table: Vec<Vec<&str>> = ran
        .out
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(table[0], ["route", "methods", "action", "resource"]);
    for row in [
        &[
            "/workspaces",
            "GET",
            "HEAD",
            "POST",
            "DELETE",
            "(the",
            "method)",
            "Workspaces",
        ][..],
        &[
            "/workspaces/{workspace}/credentials/{rest..}",
            "GET",
            "workspace.credentials.read",
            "Path",
        ],
        &["/public/{rest..}", "GET", "HEAD", "(the", "method)", "PublicPage"],
    ] {
        assert!(table.iter().any(|line| line == row), "{row:?}:\n{}", ran.out);
    }
    assert!(
        ran.out
            .contains("valid. policies: 7, routes: 6, issuers: 1, version: "),
        "{}",
        ran.out
    );
}

#[test]
fn the_committed_schema_of_the_configuration_is_the_one_of_the_code() {
    let printed = run(&["config", "schema"]).expect(0).out;
    let committed = std::fs::read_to_string(root().join("deploy/config.schema.json")).unwrap_or_default();
    assert!(
        committed == printed,
        "deploy/config.schema.json is not what `portcullis config schema` prints; run `cargo xtask generate`"
    );
}

#[test]
fn the_default_configuration_fits_the_committed_schema() {
    let text = std::fs::read_to_string(root().join("deploy/config.schema.json")).expect("the schema");
    let schema: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let validator = jsonschema::validator_for(&schema).expect("a JSON Schema");
    let text = std::fs::read_to_string(root().join(DEFAULT)).expect("the configuration");
    let config: serde_json::Value = serde_saphyr::from_str(&text).expect("YAML");
    let errors: Vec<String> = validator
        .iter_errors(&config)
        .map(|error| error.to_string())
        .collect();
    assert_eq!(errors, [""; 0]);
    let broken = serde_json::json!({ "policies": { "schema": [], "files": [] }, "isuers": [] });
    assert!(!validator.is_valid(&broken), "the schema refuses nothing");
}

#[test]
fn the_whole_cedar_schema_can_be_read_by_cedar() {
    let text = run(&["schema", "--config", DEFAULT]).expect(0).out;
    let (schema, warnings) = cedar_policy::Schema::from_cedarschema_str(&text).expect("a Cedar schema");
    assert_eq!(warnings.count(), 0);
    let actions: Vec<String> = schema.actions().map(ToString::to_string).collect();
    for action in ["GET", "DELETE", "workspace.credentials.read"] {
        assert!(actions.contains(&format!("Action::\"{action}\"")), "{actions:?}");
    }
    let kinds: Vec<String> = schema.resources().map(ToString::to_string).collect();
    assert!(kinds.contains(&"Workspace".to_owned()), "{kinds:?}");
}

#[test]
fn nobody_reading_to_the_end_is_no_failure() {
    use std::process::Stdio;
    for words in [&["config", "schema"][..], &["schema", "--config", DEFAULT]] {
        let mut child = crate::portcullis(words)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("it ends");
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && err.is_empty(), "{words:?}: {err}");
    }
}

/// The files of a page: code blocks whose first line is `# file: name` or `// file: name`.
fn files_of(page: &str) -> Vec<(String, String)> {
    let blocks = page.split("```").skip(1).step_by(2);
    let named = blocks.filter_map(|block| {
        let (_language, text) = block.split_once('\n')?;
        let first = text.lines().next()?;
        let name = first
            .strip_prefix("# file: ")
            .or(first.strip_prefix("// file: "))?;
        Some((name.to_owned(), text.to_owned()))
    });
    named.collect()
}

#[test]
fn the_files_in_the_page_about_policies_are_a_configuration() {
    let page = std::fs::read_to_string(root().join("docs/policies.md")).expect("the page");
    let folder = std::env::temp_dir().join(format!("portcullis-policies-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let files = files_of(&page);
    assert_eq!(files.len(), 5, "{files:?}");
    for (name, text) in &files {
        std::fs::write(folder.join(name), text).expect("a file");
    }
    let config = folder.join("portcullis.yaml");
    let config = config.to_str().expect("UTF-8");
    let ran = run(&["validate", "--config", config]).expect(0);
    assert_eq!(ran.err, "", "valid without advice");
    assert!(ran.out.contains("PublicPage (PUBLIC)"), "{}", ran.out);
    assert!(ran.out.contains("policies: 5,"), "{}", ran.out);
    for (target, code) in [("/public/x", 0), ("/workspaces/ws-alice/x", 3)] {
        let target = format!("https://api.example.test{target}");
        run(&["check", "--config", config, "GET", &target]).expect(code);
    }
    std::fs::remove_dir_all(&folder).expect("it was there");
}
