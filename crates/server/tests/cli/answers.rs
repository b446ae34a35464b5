//! `portcullis check`: one question, the answer, and why.

use std::path::PathBuf;

use portcullis::demo::issuer::LocalIssuer;
use portcullis::demo::{people, stage};
use serde_json::Value;

use crate::{Ran, portcullis, root, run};

const DEFAULT: &str = "policies/default/portcullis.yaml";

#[test]
fn without_a_server_the_answer_is_the_exit_code_and_the_reason_is_told() {
    for (method, url, code, first, lines) in [
        (
            "GET",
            "https://api.example.test/public/hello?x=1",
            0,
            "allow",
            &[
                ("why", "permitted by public-read"),
                ("reason", "permitted"),
                ("who", "Anonymous"),
                ("action", "GET"),
                ("resource", "PublicPage::\"api.example.test/public/hello\""),
                ("route", "/public/{rest..}"),
                ("policies", "public-read"),
            ][..],
        ),
        (
            "GET",
            "https://api.example.test/workspaces/ws-alice/credentials",
            3,
            "deny 401",
            &[
                (
                    "why",
                    "no credential was presented, and no policy permits this to Anonymous",
                ),
                ("reason", "credential_missing"),
                ("who", "Anonymous"),
                ("action", "workspace.credentials.read"),
                ("route", "/workspaces/{workspace}/credentials/{rest..}"),
            ],
        ),
        (
            "GET",
            "https://api.example.test/workspaces/workspace-api",
            3,
            "deny 401",
            &[
                ("why", "forbidden by workspace-reserved-name"),
                ("reason", "forbidden"),
                ("policies", "workspace-reserved-name"),
                ("resource", "Workspace::\"workspace-api\""),
            ],
        ),
        (
            "GET",
            "https://api.example.test/nowhere",
            3,
            "deny 401",
            &[
                ("why", "no route matches api.example.test/nowhere"),
                ("reason", "no_route"),
            ],
        ),
        (
            "POST",
            "https://api.example.test/public/hello",
            3,
            "deny 401",
            &[("reason", "no_method"), ("route", "/public/{rest..}")],
        ),
        (
            "GET",
            "https://api.example.test/public/../workspaces",
            3,
            "deny 400",
            &[(
                "why",
                "the path was refused: the path has a segment of nothing but dots",
            )],
        ),
        (
            "GET",
            "https://a..b/public/",
            3,
            "deny 400",
            &[("reason", "invalid_host")],
        ),
    ] {
        let out = run(&["check", "--config", DEFAULT, method, url]).expect(code).out;
        assert_eq!(out.lines().next(), Some(first), "{url}");
        for (label, text) in lines {
            let line = format!("  {label:10}{text}");
            assert!(
                out.lines().any(|l| l == line),
                "{url}: no line {line:?} in\n{out}"
            );
        }
    }
}

#[test]
fn as_json_it_is_the_decision_record() {
    let out = run(&[
        "check",
        "--config",
        DEFAULT,
        "-o",
        "json",
        "GET",
        "https://api.example.test/public/a",
    ]);
    let record: Value = serde_json::from_str(&out.expect(0).out).expect("JSON");
    for (key, value) in [
        ("verdict", "allow"),
        ("reason", "permitted"),
        ("contract", "direct"),
        ("principal", "Anonymous"),
        ("method", "GET"),
        ("host", "api.example.test"),
        ("path", "/public/a"),
    ] {
        assert_eq!(record[key], value, "{record:#}");
    }
    assert_eq!(record["policies"], serde_json::json!(["public-read"]));
    let out = run(&[
        "check",
        "--config",
        DEFAULT,
        "-o",
        "json",
        "GET",
        "https://api.example.test/workspaces",
    ]);
    let record: Value = serde_json::from_str(&out.expect(3).out).expect("JSON");
    assert_eq!(
        (&record["verdict"], &record["status"]),
        (&"deny".into(), &401.into())
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_verified_with_the_keys_of_its_issuer() {
    let issuer = LocalIssuer::start().await.expect("an issuer");
    let config = config_for(&issuer, "check.yaml");
    for (token, path, code, who, reason) in [
        (
            people::alice(&issuer),
            "/workspaces/ws-alice",
            0,
            Some(people::ALICE),
            "permitted",
        ),
        (
            people::alice(&issuer),
            "/workspaces/ws-bob",
            3,
            Some(people::ALICE),
            "no_permit",
        ),
        (
            people::expired(&issuer),
            "/workspaces/ws-alice",
            3,
            None,
            "credential_refused",
        ),
        // A credential that is refused never becomes anonymous.
        (
            people::unsigned(&issuer),
            "/public/hello",
            3,
            None,
            "credential_refused",
        ),
    ] {
        let header = format!("Authorization: {}", token.bearer());
        let url = format!("https://api.example.test{path}");
        let mut command = portcullis(&["check", "-o", "json", "-H", &header, "GET", &url, "--config"]);
        command.arg(&config);
        let output = tokio::task::spawn_blocking(move || command.output()).await;
        let ran = Ran::of(&output.expect("no panic").expect("the binary starts")).expect(code);
        let record: Value = serde_json::from_str(&ran.out).expect("JSON");
        assert_eq!(record["reason"], reason, "{path}: {record:#}");
        assert_eq!(
            record["principal"].as_str(),
            who.map(|id| format!("User::\"main/{id}\"")).as_deref(),
            "{path}: {record:#}"
        );
        assert!(
            !ran.out.contains(&token.token) && !ran.err.contains(&token.token),
            "the token is printed"
        );
    }
}

#[test]
fn a_server_that_is_not_there_and_a_header_that_is_none_are_failures() {
    let ran = run(&[
        "check",
        "--server",
        "127.0.0.1:1",
        "GET",
        "https://api.example.test/",
    ])
    .expect(1);
    assert!(
        ran.err.contains("cannot ask 127.0.0.1:1") && ran.err.contains("refused"),
        "{}",
        ran.err
    );
    let ran = run(&[
        "check",
        "--config",
        DEFAULT,
        "-H",
        "no colon",
        "GET",
        "https://api.example.test/",
    ])
    .expect(1);
    assert!(
        ran.err.contains("\"no colon\": a header is `name: value`"),
        "{}",
        ran.err
    );
}

/// The default configuration for this issuer, as a file of that name.
pub(crate) fn config_for(issuer: &LocalIssuer, name: &str) -> PathBuf {
    let policies = root().join("policies/default");
    let text = stage::config_text(issuer)
        .replace(
            "[schema.cedarschema]",
            &format!("[{}]", policies.join("schema.cedarschema").display()),
        )
        .replace(
            "[workspaces.cedar, public.cedar]",
            &format!("[{}]", policies.display()),
        );
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, text).expect("the file can be written");
    path
}
