use std::fs;

use decide::policy::{SourceFile, Sources};

use super::question::Question;
use super::*;

const HOUSE: &str = r#"
policies: { schema: [], files: [] }
issuers: [{ name: main, issuer: "https://id.test", audiences: [api] }]
routes: [{ path: "/pages/{rest..}", methods: [GET], resource: { type: Page } }]
"#;

fn loaded(folder: &Path) -> Loaded {
    let schema = include_str!("../../tests/cli/broken/house.cedarschema");
    let policies = "@id(\"page-read\") permit (principal, action == Action::\"GET\", resource is Page);";
    let file = |name: &str, text: &str| SourceFile {
        name: name.to_owned(),
        text: text.to_owned(),
    };
    let types = Sources {
        schema: vec![file("house.cedarschema", schema)],
        ..Sources::default()
    };
    let sources = Sources {
        policies: vec![file("house.cedar", policies)],
        ..types
    };
    let name = folder.join(CONFIGURATION).display().to_string();
    config::load_with_sources(&name, HOUSE, sources).expect("a configuration")
}

#[test]
fn problems_are_those_of_the_suites_beside_the_configuration() {
    let folder = std::env::temp_dir().join(format!("portcullis-suites-{}", std::process::id()));
    fs::create_dir_all(folder.join(SUITES)).expect("a folder");
    let loaded = loaded(&folder);
    let test = |request: &str, expect: &str| {
        format!("tests: [{{ id: A, as: anonymous, request: {request}, expect: {expect} }}]")
    };
    for (suite, expected) in [
        (None, &[][..]),
        (Some(test("GET /pages/a", "allow")), &[]),
        (
            Some(test("GET /pages/a", "deny")),
            &["a.yaml:1: A: GET /pages/a as anonymous: verdict should be deny, and is allow"][..],
        ),
        (
            Some(test("GET", "deny")),
            &["/tests/0/request: this is no method and URL"],
        ),
        (Some("tests: [".to_owned()), &["this is not YAML"]),
    ] {
        if let Some(suite) = &suite {
            fs::write(folder.join(SUITES).join("a.yaml"), suite).expect("a file");
        }
        let found = problems(&loaded);
        assert_eq!(found.len(), expected.len(), "{suite:?}: {found:?}");
        for (found, part) in found.iter().zip(expected) {
            assert!(found.contains(part), "{suite:?}: {found}");
        }
    }
    fs::remove_dir_all(folder).expect("the folder");
}

#[test]
fn requests_are_read_as_they_are_written() {
    for (line, expected) in [
        ("GET /a?b=c", Some(("GET", "https", "default.test", "/a?b=c"))),
        (
            "PURGE http://other.test:8080/a//b",
            Some(("PURGE", "http", "other.test:8080", "/a//b")),
        ),
        (
            "GET https://other.test",
            Some(("GET", "https", "other.test", "/")),
        ),
        (
            "GET /a/../https://b",
            Some(("GET", "https", "default.test", "/a/../https://b")),
        ),
        ("GET ftp://other.test/a", None),
        ("GET a", None),
        ("GET  /a", None),
        ("GET /a b", None),
        ("/a", None),
        (" /a", None),
        ("G(T /a", None),
        ("", None),
    ] {
        let got = Question::read(line, "default.test").ok();
        let parts = got
            .as_ref()
            .map(|q| (&*q.method, &*q.scheme, &*q.host, &*q.target));
        assert_eq!(parts, expected, "{line:?}");
    }
}

#[test]
fn differences_of_tables_are_told_below_the_heads_of_their_columns() {
    let table = |rows: &str| {
        format!("# Title\n\n# tests/a.yaml\nalice  bob\n{rows}\n# tests/b.yaml\ncarl\n403 GET /z\n")
    };
    let head = "  # tests/a.yaml\n  alice  bob\n";
    for (old, new, expected) in [
        ("1\n2\n", "1\n2\n", None),
        ("1\n2\n", "1\n3\n2\n", Some(format!("{head}+ 3\n"))),
        ("1\n2\n3\n", "1\n3\n", Some(format!("{head}- 2\n"))),
        ("1\n2\n", "1\n4\n", Some(format!("{head}- 2\n+ 4\n"))),
        ("", "1\n", Some(format!("{head}+ 1\n"))),
    ] {
        assert_eq!(diff(&table(old), &table(new)), expected, "{old:?} {new:?}");
    }
    assert_eq!(
        diff("a\r\n", "a\n").as_deref(),
        Some("(only the line ends differ)\n")
    );
}

#[test]
fn thousands_of_rows_ask_no_network() {
    let folder = std::env::temp_dir().join(format!("portcullis-rows-{}", std::process::id()));
    fs::create_dir_all(folder.join(SUITES)).expect("a folder");
    let requests: Vec<String> = (0..1000).map(|n| format!("GET /pages/{n}")).collect();
    let requests = serde_json::to_string(&requests).expect("JSON");
    let suite = format!(
        "principals: {{ a: {{ user: main/a }}, b: {{ user: main/b }} }}\n\
         matrix: [{{ id: M, as: [a, b], requests: {requests}, allow: {{ a: {requests}, b: {requests} }} }}]"
    );
    fs::write(folder.join(SUITES).join("a.yaml"), suite).expect("a file");
    // No runtime is here that a fetch could run on.
    assert_eq!(problems(&loaded(&folder)), Vec::<String>::new());
    fs::remove_dir_all(folder).expect("the folder");
}
