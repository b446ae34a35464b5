//! `portcullis token inspect`: what a token says and what it is worth, without the token.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::Stdio;

use portcullis::demo::issuer::LocalIssuer;
use portcullis::demo::people;
use serde_json::{Value, json};

use crate::answers::config_for;
use crate::{Ran, portcullis, run};

/// Runs `token inspect` with this on standard input.
fn inspect(words: &[&str], input: &str) -> Ran {
    let mut command = portcullis(&["token", "inspect"]);
    let pipes = command
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = pipes.spawn().expect("the binary starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(input.as_bytes()).expect("it reads");
    drop(stdin);
    Ran::of(&child.wait_with_output().expect("it ends"))
}

/// No part of the token that has its claims or its signature was printed.
#[track_caller]
fn tells_no_token(ran: &Ran, token: &str) {
    for part in token.split('.').filter(|part| !part.is_empty()) {
        assert!(
            !ran.out.contains(part) && !ran.err.contains(part),
            "{}{}",
            ran.out,
            ran.err
        );
    }
}

#[track_caller]
fn has_line(ran: &Ran, line: &str) {
    assert!(
        ran.out.lines().any(|l| l == line),
        "no line {line:?} in\n{}",
        ran.out
    );
}

/// The outcome of that check in the JSON.
fn outcome<'j>(inspection: &'j Value, check: &str) -> &'j Value {
    let checks = inspection["checks"].as_array().expect("checks");
    let found = checks.iter().find(|c| c["check"] == check);
    &found.expect("the check is listed")["outcome"]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_configuration_the_verdict_is_that_of_a_check() {
    let issuer = LocalIssuer::start().await.expect("an issuer");
    let config = config_for(&issuer, "token.yaml");
    let config = config.to_str().expect("UTF-8");
    for (minted, code, first, failed) in [
        (people::alice(&issuer), 0, "verified by issuer \"main\"", None),
        (people::client(&issuer), 0, "verified by issuer \"main\"", None),
        (
            people::expired(&issuer),
            3,
            "refused: issuer \"main\": the token expired 36",
            Some("times"),
        ),
        (
            people::unsigned(&issuer),
            3,
            "refused: the algorithm \"none\" is not supported",
            Some("header"),
        ),
        (
            people::forged(&issuer).expect("a key"),
            3,
            "refused: issuer \"main\": the signature does not verify with key ",
            Some("signature"),
        ),
        (
            people::wrong_issuer(&issuer),
            3,
            "refused: no issuer \"https://issuer.invalid\" is configured",
            Some("issuer"),
        ),
        (
            people::wrong_audience(&issuer),
            3,
            "refused: issuer \"main\": the token is for \"another-api\", not for us",
            Some("audience"),
        ),
    ] {
        let (text, json) = tokio::task::block_in_place(|| {
            (
                inspect(&["--config", config], &minted.token).expect(code),
                inspect(&["-c", config, "-o", "json"], &minted.token).expect(code),
            )
        });
        assert!(text.out.starts_with(first), "{}", text.out);
        tells_no_token(&text, &minted.token);
        tells_no_token(&json, &minted.token);
        let json: Value = serde_json::from_str(&json.out).expect("JSON");
        assert_eq!(json["verdict"], if code == 0 { "verified" } else { "refused" });
        assert_eq!(json["claims"], minted.claims);
        assert_eq!(json["principal"].is_object(), code == 0, "{json:#}");
        assert_eq!(outcome(&json, "segments"), "passed");
        match failed {
            Some(check) => assert_eq!(outcome(&json, check), "failed", "{json:#}"),
            None => assert_eq!(outcome(&json, "principal"), "passed"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alice_is_shown_as_the_policies_see_her() {
    let issuer = LocalIssuer::start().await.expect("an issuer");
    let config = config_for(&issuer, "token-alice.yaml");
    let config = config.to_str().expect("UTF-8");
    let alice = people::alice(&issuer);
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("alice.token");
    std::fs::write(&file, format!("{}\n", alice.bearer())).expect("the file can be written");
    let ran = tokio::task::block_in_place(|| {
        run(&[
            "token",
            "inspect",
            "--config",
            config,
            "--file",
            file.to_str().expect("UTF-8"),
        ])
        .expect(0)
    });
    for line in [
        &format!("  who       User::\"main/{}\"", people::ALICE),
        "  name      alice",
        "  groups    ws-alice",
        "  signature       passed       by a key that the issuer publishes",
    ] {
        has_line(&ran, line);
    }
    assert!(ran.out.contains("Z, expires in "), "{}", ran.out);
    assert!(!ran.out.contains("nobody vouches"), "{}", ran.out);
    let json = tokio::task::block_in_place(|| inspect(&["-c", config, "-o", "json"], &alice.token));
    let json: Value = serde_json::from_str(&json.expect(0).out).expect("JSON");
    assert_eq!(json["issuer"], "main");
    for (member, value) in [
        ("type", json!("User")),
        ("id", format!("main/{}", people::ALICE).into()),
        ("groups", json!(["ws-alice"])),
    ] {
        assert_eq!(json["principal"][member], value, "{json:#}");
    }
    let relative = json["times"]["exp"]["relative"].as_str().expect("a text");
    assert!(
        ["expires in 4 min", "expires in 5 min"].contains(&relative),
        "{relative}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_configuration_nothing_is_verified() {
    let issuer = LocalIssuer::start().await.expect("an issuer");
    let mut claims = people::alice_claims();
    claims["id_token"] = people::alice(&issuer).token.into();
    claims["note"] = "\u{1b}[2Jcleared\u{202e}".into();
    claims["exp"] = 1_000_000_000.into();
    let token = issuer.token(claims);
    let fetches = issuer.fetches();
    let ran = tokio::task::block_in_place(|| inspect(&[], &format!("bearer {token}\r\n")).expect(0));
    assert_eq!(issuer.fetches(), fetches, "a key was fetched");
    assert!(ran.out.starts_with("not verified: well-formed"), "{}", ran.out);
    tells_no_token(&ran, &token);
    for text in [
        "\"(a token, not shown)\"",
        "(2001-09-09T01:46:40Z, expired ",
        "days ago)",
        "nobody vouches for them",
        "cleared\\u{202e}",
    ] {
        assert!(ran.out.contains(text), "{text}:\n{}", ran.out);
    }
    assert!(
        !ran.out.contains('\u{1b}') && !ran.out.contains("eyJ"),
        "{}",
        ran.out
    );
    for (check, mark) in [("encoding", "passed"), ("issuer", "not checked")] {
        let line = ran.out.lines().find(|l| l.trim_start().starts_with(check));
        assert!(line.is_some_and(|l| l.contains(mark)), "{check}:\n{}", ran.out);
    }
}

#[test]
fn garbage_is_refused_and_not_repeated() {
    for (input, refusal) in [
        ("", "there is no token"),
        ("hunter2", "the token has 1 segments"),
        ("hunter2\n\n", "the token has the byte 0x0A"),
        ("Basic aHVudGVyMg==", "the token has the byte 0x20"),
        ("hunter2.hunter2.hunter2", "the header of the token is not"),
    ] {
        let ran = inspect(&[], input).expect(3);
        assert!(
            ran.out.starts_with(&format!("refused: {refusal}")),
            "{input:?}: {}",
            ran.out
        );
        assert!(!ran.out.contains("hunter2"), "{}", ran.out);
    }
}

#[test]
fn a_token_on_the_command_line_is_wrong_usage() {
    let ran = run(&["token", "inspect", "eyJhbGciOiJub25lIn0.e30."]).expect(2);
    assert!(
        ran.err.contains("does not belong on the command line"),
        "{}",
        ran.err
    );
    assert!(!ran.err.contains("eyJ") && ran.out.is_empty(), "{}", ran.err);
    let help = run(&["token", "inspect", "--help"]).expect(0).out;
    assert!(
        help.contains("The token is never an argument") && !help.contains("[TOKEN]"),
        "{help}"
    );
    let ran = run(&["token", "inspect", "--file", "/nonexistent"]).expect(1);
    assert!(ran.err.contains("cannot read /nonexistent"), "{}", ran.err);
    run(&["token", "inspect", "--config", "/nonexistent"]).expect(4);
}
