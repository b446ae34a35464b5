//! Decision records of every kind, as a server writes them: they are what the schema and the page about them say.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::serving::Server;
use crate::{root, run};

const SCHEMA: &str = "entity Group; entity Anonymous; entity Actor = { issuer: String, client: String }; \
     entity User, Robot in [Group] = { subject: String, issuer: String, name?: String, client?: String } tags Set<String>; \
     entity Client = { subject: String, issuer: String, name?: String, client?: String }; entity Page = { name: String };";
const POLICIES: &str = r#"
@id("pages") permit (principal, action, resource) unless { resource.name == "members" && principal is Anonymous };
@id("closed") forbid (principal, action, resource) when { resource.name == "closed" };
@id("sum") forbid (principal, action, resource)
    when { resource.name == "sum" && (if resource.name == "one" then 1 else 9223372036854775807) + 1 > 0 };
"#;
const CONFIG: &str = r#"
listen: { envoy_grpc: 127.0.0.1:0 }
admin: 127.0.0.1:0
policies: { schema: [records.cedarschema], files: [records.cedar] }
static_tokens: { tokens: [{ subject: robot-7, token: 0123456789abcdef0123456789abcdef }] }
expose: { query: [page] }
measure_steps_every: 1
routes:
  - { path: "/pages/{page}", methods: [GET, PUT], resource: { type: Page, attributes: { name: "{page}" } } }
  - { path: "/tried/{page}", methods: [GET], mode: audit, resource: { type: Page, attributes: { name: "{page}" } } }
"#;
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// Starts a server with this decision log, asks everything, and gives the lines that it wrote to standard output.
fn lines(name: &str, decision_log: &str) -> Vec<Value> {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("records-{name}"));
    std::fs::create_dir_all(&folder).expect("a folder");
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).expect("a file");
        path
    };
    write("records.cedarschema", SCHEMA);
    write("records.cedar", POLICIES);
    let config = format!("{CONFIG}decision_log: {decision_log}\n");
    let server = Server::start_with(&write("portcullis.yaml", &config));
    let trace = format!("traceparent: 00-{TRACE}-b7ad6b7169203331-01");
    let good = "authorization: Bearer 0123456789abcdef0123456789abcdef";
    let asked: [(&str, &str, &[&str], i32); 11] = [
        (
            "GET",
            "/pages/one?page=2&token=s3cr3t",
            &[&trace, "x-request-id: r-1"],
            0,
        ),
        ("GET", "/pages/robot-7", &[good], 0),
        ("GET", "/pages/members", &[good], 0),
        ("GET", "/pages/members", &["x-request-id: two words"], 3),
        ("GET", "/pages/closed", &[good], 3),
        ("GET", "/pages/sum", &["traceparent: nonsense"], 3),
        ("GET", "/pages/one", &["authorization: Bearer junk"], 3),
        ("GET", "/nowhere", &[], 3),
        ("DELETE", "/pages/one", &[], 3),
        ("GET", "/pages/%2e%2e/one", &[], 3),
        ("GET", "/tried/closed", &[], 0),
    ];
    for (method, target, headers, code) in asked {
        let url = format!("https://api.example.test{target}");
        let mut words = vec!["check", "--server", &server.envoy_grpc, method, &url];
        words.extend(headers.iter().flat_map(|header| ["-H", header]));
        run(&words).expect(code);
    }
    let ended = server.terminate().expect(0);
    assert!(
        !ended.out.contains("s3cr3t") && !ended.out.contains("0123456789"),
        "{}",
        ended.out
    );
    let read = |line| serde_json::from_str(line).expect("JSON");
    ended.out.lines().map(read).collect()
}

fn schema() -> Value {
    let committed = std::fs::read_to_string(root().join("deploy/decision-record.schema.json"));
    serde_json::from_str(&committed.unwrap_or_default()).expect("the schema")
}

#[test]
fn the_committed_schema_of_records_is_the_one_of_the_code() {
    let printed = run(&["config", "schema", "--decisions"]).expect(0).out;
    let committed = std::fs::read_to_string(root().join("deploy/decision-record.schema.json"));
    assert!(
        committed.unwrap_or_default() == printed,
        "deploy/decision-record.schema.json is not what `portcullis config schema --decisions` prints; run `cargo xtask generate`"
    );
}

#[test]
fn lines_of_every_kind_fit_the_schema() {
    let lines = lines("schema", "{ to: stdout, query: exposed }");
    let mut strict = schema();
    strict["additionalProperties"] = json!(false);
    let validator = jsonschema::validator_for(&strict).expect("a JSON Schema");
    let mut seen = BTreeSet::new();
    for line in &lines {
        let errors: Vec<String> = validator
            .iter_errors(line)
            .map(|error| error.to_string())
            .collect();
        assert_eq!(errors, [""; 0], "{line}");
        seen.extend(
            line.as_object()
                .into_iter()
                .flatten()
                .map(|(name, _)| name.clone()),
        );
    }
    let reasons: Vec<&str> = lines.iter().filter_map(|line| line["reason"].as_str()).collect();
    let expected = [
        "permitted",
        "permitted",
        "permitted",
        "credential_missing",
        "forbidden",
        "policy_error",
        "credential_refused",
        "no_route",
        "no_method",
        "ambiguous_path",
        "audited",
    ];
    assert_eq!(reasons, expected);
    let known = strict["properties"].as_object().expect("properties").keys();
    let unseen: Vec<&str> = known
        .map(String::as_str)
        .filter(|name| !seen.contains(*name))
        .collect();
    // What needs a token of an issuer, a COPY, or a proxy that says who its peer is.
    assert_eq!(unseen, ["actors", "client", "client_ip", "key_id", "other_end"]);
    assert!(
        !validator.is_valid(&json!({"verdict": "maybe"})),
        "the schema refuses nothing"
    );
    let first = &lines[0];
    for (field, value) in [
        ("query", "page=2&token="),
        ("request_id", "r-1"),
        ("trace_id", TRACE),
        ("principal", "Anonymous"),
    ] {
        assert_eq!(first[field], value, "{first}");
    }
    assert_eq!(
        [&lines[1]["token_cache"], &lines[2]["token_cache"]],
        ["miss", "hit"]
    );
    assert_eq!(
        [&lines[3]["request_id"], &lines[5]["trace_id"]],
        [&Value::Null, &Value::Null]
    );
    let steps = lines[7]["steps"].as_object().expect("steps");
    let steps: Vec<&str> = steps.keys().map(String::as_str).collect();
    assert_eq!(steps, ["gate", "identity", "route"]);
}

#[test]
fn what_is_masked_is_not_there_and_only_allows_are_left_out() {
    let key = "hash_key: fedcba98765432100123456789abcdef";
    let lines = lines("masks", &format!("{{ subject: hash, {key}, sample_allows: 0 }}"));
    let verdicts: Vec<&str> = lines.iter().filter_map(|line| line["verdict"].as_str()).collect();
    // Seven denials, and one that would have been one.
    assert_eq!(verdicts, [["deny"; 7].as_slice(), &["allow"]].concat());
    assert_eq!(lines[7]["reason"], "audited");
    let closed = &lines[1];
    assert_eq!(closed["reason"], "forbidden");
    let principal = closed["principal"].as_str().expect("a principal");
    let hash = principal
        .strip_prefix("Robot::\"static/")
        .and_then(|rest| rest.strip_suffix('"'));
    let hash = hash.unwrap_or_else(|| panic!("{closed}"));
    assert!(
        hash.len() == 32 && hash.bytes().all(|c| c.is_ascii_hexdigit()),
        "{hash}"
    );
    for line in &lines {
        assert!(!line.to_string().contains("robot-7"), "{line}");
        assert_eq!(line["query"], Value::Null);
    }
}

/// Names in the first column of the table of fields.
#[test]
fn the_page_about_records_has_every_field() {
    let page = std::fs::read_to_string(root().join("docs/decision-log.md")).expect("the page");
    let (_, table) = page.split_once("| field | meaning |").expect("the table");
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let first = rows.filter_map(|row| row.split('|').nth(1));
    let told: BTreeSet<&str> = first
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .collect();
    let schema = schema();
    let known: BTreeSet<&str> = schema["properties"]
        .as_object()
        .expect("properties")
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(told, known);
}

#[test]
fn settings_that_cannot_be_meant_are_told() {
    for (decision_log, message) in [
        ("{ subject: hash }", "a hash without a key could be undone"),
        (
            "{ subject: hash, hash_key: short }",
            "a key of 5 bytes can be guessed",
        ),
        (
            "{ hash_key: fedcba98765432100123456789abcdef }",
            "nothing is hashed with this key",
        ),
        ("{ rotate_bytes: 1 }", "are about a file, and there is none"),
        ("{ fil: x }", "there is no setting `fil` here"),
        ("{ to: [sdtout] }", "is not one of the known values"),
        ("{ sample_allows: 2 }", "greater than the maximum"),
        ("sdtout", "did you mean `stdout`?"),
    ] {
        let path = crate::serving::config("records-broken", &format!("\ndecision_log: {decision_log}\n"));
        let ran = run(&["validate", "--config", path.to_str().expect("UTF-8")]).expect(4);
        let said = ran.err.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains(message), "{decision_log}: {}", ran.err);
    }
}
