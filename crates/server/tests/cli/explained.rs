//! What `portcullis check --explain` looks like, and that it tells no secret.
//!
//! Each `explained/*.txt` is what one command prints. After a change of the words, run with `PORTCULLIS_UPDATE=1` and read
//! the difference as somebody would who was denied.

use std::fs;
use std::path::PathBuf;

use portcullis::demo::issuer::LocalIssuer;
use portcullis::demo::people;
use serde_json::Value;

use crate::answers::config_for;
use crate::serving::Server;
use crate::{Ran, portcullis, root, run};

const CONFIG: [&str; 2] = ["--config", "policies/default/portcullis.yaml"];
const BOB: [&str; 4] = ["--as", "User::\"main/bob\"", "--role", "ws-bob:ws_access"];

fn explain(words: &[&str]) -> Ran {
    let config = if words.contains(&"--config") {
        &[][..]
    } else {
        &CONFIG
    };
    run(&[&["check", "--explain"], words, config].concat())
}

fn folder() -> PathBuf {
    root().join("crates/server/tests/cli/explained")
}

/// Without what is different each time: ids, versions, times.
fn redacted(text: &str) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for line in &mut lines {
        for (word, instead) in [
            ("decision  ", "(id)"),
            ("rules  ", "(version)"),
            ("time   ", "(times)"),
            ("\"decision_id\": ", "\"(id)\","),
            ("\"version\": ", "\"(version)\""),
            ("\"microseconds\": ", "0.0,"),
        ] {
            if let Some((before, _)) = line.split_once(word)
                && !before.contains(char::is_alphabetic)
            {
                *line = format!("{before}{word}{instead}");
            }
        }
        // How wide the column of labels is depends on the others.
        if let Some((before, _)) = line.split_once("decision    ") {
            *line = format!("{before}decision    (id)");
        }
    }
    lines.join("\n") + "\n"
}

#[test]
fn an_explanation_answers_why() {
    let api = |path: &str| format!("https://api.example.test{path}");
    let mine = api("/workspaces/ws-bob/files/a");
    let hers = api("/workspaces/ws-alice");
    let spelled = "https://API.example.test:443/workspaces/ws%2Dalice".to_owned();
    let curl = format!("curl -X PUT '{hers}' -H 'X-Other: 1' -d '{{}}'");
    let update = std::env::var_os("PORTCULLIS_UPDATE").is_some();
    let mut different = Vec::new();
    for (name, code, words) in [
        ("allow", 0, [&BOB[..], &["GET", &mine]].concat()),
        ("missing-role", 3, [&BOB[..], &["GET", &hers]].concat()),
        ("anonymous", 3, vec!["GET", &hers]),
        ("forbid", 3, vec!["GET", &api("/workspaces/workspace-api")]),
        (
            "bad-token",
            3,
            vec!["GET", &hers, "-H", "authorization: Bearer abc.def.ghi"],
        ),
        ("no-route", 3, vec!["GET", &api("/workspace/ws-bob")]),
        ("no-method", 3, vec!["PATCH", &api("/workspaces")]),
        ("ambiguous-path", 3, vec!["GET", &api("/public/../workspaces")]),
        ("spelling", 3, [&BOB[..], &["GET", &spelled]].concat()),
        (
            "scope",
            3,
            vec![
                "--as",
                "Client::\"main/etl\"",
                "--scope",
                "other",
                "GET",
                &api("/catalogue/1?q=secret"),
            ],
        ),
        ("curl", 3, [&BOB[..], &["--curl", &curl]].concat()),
        (
            "magpie",
            3,
            vec![
                "--config",
                "policies/magpie/portcullis.yaml",
                "--as",
                "User::\"main/7d2f\"",
                "--name",
                "user",
                "POST",
                "https://birdhouse.example.org/ows/proxy/service-A/resource-4/resource-5",
            ],
        ),
        ("document", 3, [&BOB[..], &["-o", "json", "PUT", &hers]].concat()),
    ] {
        let ran = explain(&words).expect(code);
        let shown = redacted(&ran.out);
        assert!(!shown.contains("secret") && !shown.contains("abc.def"), "{shown}");
        let file = folder().join(format!("{name}.txt"));
        if update {
            fs::write(&file, shown).expect("the file can be written");
        } else if fs::read_to_string(&file).unwrap_or_default() != shown {
            different.push(format!("---- {name}\n{shown}"));
        }
    }
    assert!(
        different.is_empty(),
        "these differ from tests/cli/explained/*.txt; if they are better, run with PORTCULLIS_UPDATE=1\n{}",
        different.join("\n")
    );
}

#[test]
fn what_cannot_be_asked_is_told_with_its_place() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let (har, message) = (folder.join("broken.har"), folder.join("broken.json"));
    fs::write(&har, "{\"log\": {\"entries\": [}}").expect("written");
    fs::write(
        &message,
        "{\"attributes\": {\"request\": {\"http\": {\"path\": 1}}}}",
    )
    .expect("written");
    let (har, message) = (har.display().to_string(), message.display().to_string());
    for (words, told) in [
        (
            vec!["--curl", "curl -u bob:pass https://a.test/"],
            "--curl: character 6: `-u` sends a name and a password",
        ),
        (
            vec!["--har", &har],
            "broken.har: this is no HAR file: expected value at line 1 column 22",
        ),
        (
            vec!["--check-request", &message],
            "broken.json: /attributes/request/http/path: a text is expected",
        ),
        (
            vec!["--as", "bob", "GET", "https://a.test/"],
            "--as \"bob\": a principal is written as User::\"issuer/subject\"",
        ),
        (
            vec![],
            "there is no question: give METHOD and URL, --curl, --har, --check-request or --decision",
        ),
    ] {
        let code = if words.is_empty() { 2 } else { 1 };
        let ran = explain(&words).expect(code);
        assert!(
            ran.err.contains(told) && !ran.err.contains("pass https"),
            "{}",
            ran.err
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_explained_and_never_shown() {
    let issuer = LocalIssuer::start().await.expect("an issuer");
    let config = config_for(&issuer, "explain.yaml");
    for (token, code, refused, part) in [
        (
            people::alice(&issuer),
            3,
            None,
            "principal has no tag \"ws-bob\"; it has: ",
        ),
        (people::expired(&issuer), 3, Some("times"), "✗ times: "),
    ] {
        let header = format!("authorization: {}", token.bearer());
        let words = [
            "check",
            "--explain",
            "-H",
            &header,
            "GET",
            "https://api.example.test/workspaces/ws-bob",
            "--config",
        ];
        let (mut text, mut json) = (portcullis(&words), portcullis(&words));
        text.arg(&config);
        json.arg(&config).args(["-o", "json"]);
        let outputs = tokio::task::spawn_blocking(move || (text.output(), json.output()))
            .await
            .expect("no panic");
        let text = Ran::of(&outputs.0.expect("the binary starts")).expect(code).out;
        let json = Ran::of(&outputs.1.expect("the binary starts")).expect(code).out;
        assert!(text.contains(part), "{text}");
        let parts: Vec<&str> = token.token.split('.').collect();
        for secret in [parts[0], parts[1], parts[2]] {
            assert!(
                !text.contains(secret) && !json.contains(secret),
                "the token is printed"
            );
        }
        let document: Value = serde_json::from_str(&json).expect("JSON");
        assert_eq!(document["credential"]["verifier"], "main", "{document:#}");
        let checks = document["credential"]["checks"].as_array().expect("checks");
        let failed = checks.iter().find(|check| check["outcome"] == "failed");
        assert_eq!(
            failed.and_then(|check| check["check"].as_str()),
            refused,
            "{document:#}"
        );
    }
}

#[test]
fn every_field_of_the_document_is_described() {
    let document = explain(&[
        "-o",
        "json",
        "GET",
        "https://api.example.test/workspaces/workspace-api",
    ])
    .expect(3);
    let document: Value = serde_json::from_str(&document.out).expect("JSON");
    let page = fs::read_to_string(root().join("docs/explain.md")).expect("the page");
    let mut names = Vec::new();
    fields(&document, &mut names);
    names.sort_unstable();
    names.dedup();
    assert!(names.len() > 40, "{names:?}");
    for name in names {
        assert!(
            page.contains(&format!("`{name}`")),
            "docs/explain.md says nothing of `{name}`"
        );
    }
}

/// The names of all members, but of those whose names are somebody else's.
fn fields(value: &Value, names: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                names.push(name.clone());
                if !["attributes", "tags", "context", "roles"].contains(&name.as_str()) {
                    fields(value, names);
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| fields(value, names)),
        _ => {}
    }
}

#[test]
fn a_running_server_explains_what_it_denied() {
    let server = Server::start("remembers", "\nexpose: {headers: [x-tier], query: [page]}\n");
    let url = "https://api.example.test/workspaces/workspace-api?page=2&key=topsecret";
    let headers = [
        "-H",
        "cookie: session=topsecret",
        "-H",
        "x-other: topsecret",
        "-H",
        "x-tier: gold",
    ];
    let asked = ["check", "--server", &server.envoy_grpc, "-o", "json", "GET", url];
    let answer: Value =
        serde_json::from_str(&run(&[&asked[..], &headers].concat()).expect(3).out).expect("JSON");
    let id = answer["decision_id"].as_str().expect("an id");
    let remembered = ["check", "--explain", "--decision", id, "--server", &server.admin];
    let document = run(&[&remembered[..], &["-o", "json"]].concat()).expect(3).out;
    assert!(!document.contains("topsecret"), "{document}");
    let document: Value = serde_json::from_str(&document).expect("JSON");
    for (pointer, expected) in [
        ("/decision_id", id),
        ("/reason", "forbidden"),
        ("/recorded/reason", "forbidden"),
        ("/recorded/policies/0", "workspace-reserved-name"),
        ("/request/path", "/workspaces/workspace-api"),
        ("/request/headers/0/1", "gold"),
        ("/request/query/0/1", "2"),
        ("/request/query/1/0", "key"),
        ("/principal/type", "Anonymous"),
        ("/questions/0/determined_by/0", "workspace-reserved-name"),
    ] {
        assert_eq!(
            document.pointer(pointer),
            Some(&expected.into()),
            "{pointer}: {document:#}"
        );
    }
    assert_eq!(document["recorded"]["same_rules"], true);
    let text = run(&remembered).expect(3).out;
    for line in [
        "deny 401",
        "recorded",
        "workspace-reserved-name, ",
        "still in force",
    ] {
        assert!(text.contains(line), "no {line:?} in\n{text}");
    }
    // An allow is not kept, and neither is what was never asked.
    let ran = run(&[
        "check",
        "--server",
        &server.envoy_grpc,
        "-o",
        "json",
        "GET",
        "https://api.example.test/public/x",
    ]);
    let allowed: Value = serde_json::from_str(&ran.expect(0).out).expect("JSON");
    let allowed = allowed["decision_id"].as_str().expect("an id");
    let ran = run(&[
        "check",
        "--explain",
        "--decision",
        allowed,
        "--server",
        &server.admin,
    ])
    .expect(1);
    assert!(
        ran.err.contains("no decision of that id is remembered; 1 are"),
        "{}",
        ran.err
    );
}

#[test]
fn a_running_server_explains_what_it_only_audited() {
    let server = Server::start("remembers-audited", "\nmode: audit\n");
    let url = "https://api.example.test/workspaces/workspace-api";
    let ran = run(&["check", "--server", &server.envoy_grpc, "-o", "json", "GET", url]);
    let answer: Value = serde_json::from_str(&ran.expect(0).out).expect("JSON");
    let id = answer["decision_id"].as_str().expect("an id");
    let ran = run(&["check", "--explain", "--decision", id, "--server", &server.admin]);
    let text = ran.expect(0).out;
    let why = "only audited, would have been denied: forbidden by workspace-reserved-name";
    assert!(text.contains(why) && !text.contains("permitted by"), "{text}");
}
