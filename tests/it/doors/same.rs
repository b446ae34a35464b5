//! One request, every door, one verdict. Requests are made up from hostile parts.
//!
//! What a door cannot be told is left out for it: APISIX knows only the decoded path, so its doors are compared with what
//! the canonical form of that is answered with; a line break cannot be in a header; a blank at the end of a header
//! is not part of it; a fragment is not part of an HTTP request line.

use model::{Decoding, RequestPath};
use portcullis::ask::{self, Question};
use portcullis::demo::people;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Map, Value, json};

use super::{exchange, listeners, request};
use crate::house::TestHouse;

/// So many requests, each through every door.
const CASES: u32 = 400;

/// A request of a client.
#[derive(Clone, Debug)]
struct Case {
    method: &'static str,
    host: &'static str,
    path: String,
    /// As sent, and as both plugins decode it.
    query: (&'static str, Value),
    headers: Vec<(&'static str, String)>,
}

/// Yes, or no, and whether it asks for a credential.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Verdict {
    Yes,
    No { unauthenticated: bool },
}

impl Verdict {
    fn of(status: u16) -> Self {
        match status {
            200 => Self::Yes,
            status => Self::No {
                unauthenticated: status == 401,
            },
        }
    }
}

fn paths() -> impl Strategy<Value = String> {
    let good = select(vec![
        "/public/hello",
        "/public/caf%c3%a9",
        "/workspaces",
        "/workspaces/ws-alice",
        "/workspaces/ws-alice/a%20b",
        "/workspaces/ws-bob",
        "/query",
        "/nowhere",
        "/",
    ]);
    let parts = select(vec![
        "public",
        "workspaces",
        "ws-alice",
        "ws-bob",
        "query",
        "/",
        "/",
        "/",
        ".",
        "..",
        "%2e",
        "%2E%2e",
        "%2f",
        "%5c",
        "\\",
        ";",
        "%3b",
        "%00",
        "%0a",
        "%25",
        "%252e",
        "%3F",
        "%23",
        "%",
        "%zz",
        "%c3%a9",
        "é",
        "%ff",
        "%c0%ae",
        "%20",
        "+",
        "*",
        "~",
        "a",
        "%61",
        "|",
        "%7C",
        ":",
        "@",
        "\u{ff0f}",
        "%e2%80%8b",
    ]);
    let made = proptest::collection::vec(parts, 0..7);
    prop_oneof![
        8 => good.clone().prop_map(str::to_owned),
        3 => (good, made.clone()).prop_map(|(path, parts)| path.to_owned() + &parts.concat()),
        2 => made.prop_map(|parts| format!("/{}", parts.concat())),
    ]
}

/// `alice` is a bearer token.
fn cases(alice: &str) -> impl Strategy<Value = Case> + use<> {
    let good = alice.to_owned();
    let twice = vec![alice.to_owned(), alice.to_owned()];
    let credential = prop_oneof![
        2 => Just(vec![]),
        4 => Just(vec![good]),
        1 => select(vec!["Bearer x.y.z", "Basic cm9vdDpyb290", "Bearer", ""]).prop_map(|bad| vec![bad.to_owned()]),
        1 => Just(twice),
    ];
    let more = select(vec![
        ("x-tier", "gold"),
        ("cookie", "a=b"),
        ("x-auth-subject", "root"),
        ("x-auth_subject", "root"),
        ("x-http-method-override", "GET"),
        ("x-rewrite-url", "/public/hello"),
        ("x-forwarded-path", "/public/hello"),
        ("x_forwarded_proto", "https"),
        ("x.forwarded.host", "evil.test"),
        ("remote_user", "root"),
        ("session_id", "1"),
        ("forwarded", "host=evil.test"),
    ]);
    let query = select(vec![
        ("", json!({})),
        ("?", json!({})),
        ("?x=1", json!({ "x": "1" })),
        ("?x=%31", json!({ "x": "1" })),
        ("?x=2", json!({ "x": "2" })),
        ("?x", json!({ "x": true })),
        ("?y=a%26x%3D1", json!({ "y": "a&x=1" })),
        ("?y=1&x=1", json!({ "x": "1", "y": "1" })),
        ("?x=1&x=1", json!({ "x": ["1", "1"] })),
        ("?x=1;x=2", json!({ "x": "1;x=2" })),
    ]);
    let methods = vec!["GET", "GET", "GET", "GET", "HEAD", "PUT", "POST", "get", "PURGE"];
    let hosts = vec![
        "api.example.test",
        "api.example.test",
        "api.example.test",
        "api.example.test",
        "api.example.test",
        "api.example.test",
        "API.Example.TEST:8443",
        "[::1]:80",
        "a..b",
        "u@a.test",
        "a.test,b.test",
        "[::1",
    ];
    (
        select(methods),
        select(hosts),
        paths(),
        query,
        credential,
        proptest::collection::vec(more, 0..2),
    )
        .prop_map(|(method, host, path, query, credential, more)| {
            let credential = credential.into_iter().map(|value| ("authorization", value));
            let more = more.into_iter().map(|(name, value)| (name, value.to_owned()));
            Case {
                method,
                host,
                path,
                query,
                headers: credential.chain(more).collect(),
            }
        })
}

/// What a proxy that decodes makes of a path.
fn decoded(path: &str) -> Vec<u8> {
    let mut decoded = Vec::new();
    let mut rest = path.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = (*first == b'%')
            .then(|| std::str::from_utf8(after.get(..2)?).ok())
            .flatten();
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                decoded.push(byte);
                rest = &after[2..];
            }
            None => {
                decoded.push(*first);
                rest = after;
            }
        }
    }
    decoded
}

async fn over_grpc(house: &TestHouse, case: &Case, target: String) -> Verdict {
    let question = Question {
        method: case.method.to_owned(),
        scheme: "https".to_owned(),
        host: case.host.to_owned(),
        target,
        headers: case
            .headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect(),
    };
    let answer = ask::over_grpc(&house.grpc().to_string(), question).await;
    let answer = answer.expect("an answer, whatever the question");
    assert_eq!(answer.allowed, answer.status == 200);
    Verdict::of(answer.status)
}

/// At a door whose answer is a status.
async fn at(house: &TestHouse, method: &str, target: &[u8], own: &[(&str, &[u8])], case: &Case) -> Verdict {
    let theirs = case.headers.iter().map(|(name, value)| (*name, value.as_bytes()));
    let headers: Vec<_> = own.iter().copied().chain(theirs).collect();
    let reply = exchange(house.all_http()[0], &request(method, target, &headers, b"")).await;
    assert!(
        reply.status == 200 || (400..500).contains(&reply.status),
        "{reply:?}"
    );
    Verdict::of(reply.status)
}

/// At a door whose answer is a document.
async fn document(house: &TestHouse, contract: &str, case: &Case, path: &[u8]) -> Verdict {
    let mut headers = Map::new();
    for (name, value) in &case.headers {
        match headers.get_mut(*name) {
            None => {
                headers.insert((*name).to_owned(), value.as_str().into());
            }
            Some(first) => *first = json!([first.take(), value]),
        }
    }
    let arguments = if contract == "apisix" {
        "query"
    } else {
        "querystring"
    };
    let http = json!({
        "scheme": "https", "method": case.method, "host": case.host, "path": "PATH", "headers": headers,
        arguments: case.query.1,
    });
    let input = match contract {
        "apisix" => json!({ "type": "http", "request": http, "var": { "remote_addr": "9.9.9.9" } }),
        _ => json!({ "request": { "http": http } }),
    };
    let text = json!({ "input": input }).to_string();
    let (before, after) = text.split_once("\"PATH\"").expect("a path");
    // A plugin writes bytes that are not UTF-8 as they are.
    let path = match std::str::from_utf8(path) {
        Ok(path) => json!(path).to_string().into_bytes(),
        Err(_) => [b"\"", path, b"\""].concat(),
    };
    let body = [before.as_bytes(), &path, after.as_bytes()].concat();
    let target = format!("/v1/data/{contract}/allow");
    let question = request("POST", target.as_bytes(), &[("host", b"p")], &body);
    let reply = exchange(house.all_http()[0], &question).await;
    assert_eq!(reply.status, 200);
    let answer: Value = serde_json::from_slice(&reply.body).expect("JSON");
    match answer["result"]["allow"].as_bool() {
        Some(true) => Verdict::Yes,
        _ => Verdict::of(
            u16::try_from(answer["result"]["status"].as_u64().expect("a status")).expect("a status"),
        ),
    }
}

/// Every door's verdict, with the one it must be.
async fn verdicts(house: &TestHouse, case: &Case) -> Vec<(&'static str, Verdict, Verdict)> {
    let target = case.path.clone() + case.query.0;
    let expected = over_grpc(house, case, target.clone()).await;
    let mut found = Vec::new();
    let method = ("x-forwarded-method", case.method.as_bytes());
    let host = ("x-forwarded-host", case.host.as_bytes());
    let mut five: [(&str, &[u8]); 6] = [
        ("host", b"p"),
        method,
        host,
        ("x-forwarded-proto", b"https"),
        ("x-forwarded-for", b"9.9.9.9"),
        ("x-forwarded-uri", target.as_bytes()),
    ];
    for door in ["traefik", "caddy", "haproxy"] {
        let path = format!("/{door}");
        found.push((
            door,
            at(house, "GET", path.as_bytes(), &five, case).await,
            expected,
        ));
    }
    let url = format!("https://{}{target}", case.host);
    let nginx: [(&str, &[u8]); 4] = [
        ("host", b"p"),
        ("x-original-method", case.method.as_bytes()),
        ("x-original-url", url.as_bytes()),
        ("x-real-ip", b"9.9.9.9"),
    ];
    found.push(("nginx", at(house, "GET", b"/nginx", &nginx, case).await, expected));
    let itself = [("host", case.host.as_bytes())];
    let line = format!("/check{target}");
    found.push((
        "envoy_http",
        at(house, case.method, line.as_bytes(), &itself, case).await,
        expected,
    ));
    found.push((
        "kong_opa",
        document(house, "kong", case, case.path.as_bytes()).await,
        expected,
    ));

    let path = decoded(&case.path);
    let sent = [&path[..], case.query.0.as_bytes()].concat();
    let canonical = RequestPath::parse_target(&path, Decoding::Decoded).map(|(path, _)| path.to_string());
    let of_decoded = match canonical {
        Ok(canonical) if !path.contains(&b'?') => over_grpc(house, case, canonical + case.query.0).await,
        // Seen as a path and a query by `forward-auth`, and as a path with a `?` by `opa`.
        _ => Verdict::No {
            unauthenticated: false,
        },
    };
    let in_a_header = sent.iter().all(|byte| *byte >= 0x20 && *byte != 0x7F) && !sent.ends_with(b" ");
    if in_a_header && !path.contains(&b'?') {
        five[5].1 = &sent;
        found.push((
            "apisix",
            at(house, "GET", b"/apisix", &five, case).await,
            of_decoded,
        ));
    }
    found.push((
        "apisix_opa",
        document(house, "apisix", case, &path).await,
        of_decoded,
    ));
    // What the client sent in one unambiguous way, everybody reads in that way.
    if RequestPath::parse_target(case.path.as_bytes(), Decoding::Raw).is_ok() {
        found.push(("decoded and raw", of_decoded, expected));
    }
    found
}

const ROUTE: &str = "
  - { path: /query, methods: [GET], resource: { type: Catalogue, id: query } }

# Groups of actions";

const BY_QUERY: &str = r#"
@id("query-x")
permit (principal, action == Action::"GET", resource == Catalogue::"query")
when { context.query has x && context.query.x == "1" };
"#;

#[test]
fn one_request_has_one_verdict_at_every_door() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let alter =
        |text: String| listeners(text).replace("\n# Groups of actions", ROUTE) + "expose: { query: [x] }\n";
    let house = runtime.block_on(TestHouse::with(alter, &[("query.cedar", BY_QUERY)]));
    let alice = people::alice(&house.issuer).bearer();
    let config = Config {
        cases: CASES,
        failure_persistence: None,
        ..Config::default()
    };
    let (mut yes, mut no) = (0, 0);
    let counts = std::cell::RefCell::new((&mut yes, &mut no));
    let result = TestRunner::new(config).run(&cases(&alice), |case| {
        for (door, got, expected) in runtime.block_on(verdicts(&house, &case)) {
            prop_assert_eq!(got, expected, "{}", door);
            let mut counts = counts.borrow_mut();
            if got == Verdict::Yes {
                *counts.0 += 1;
            } else {
                *counts.1 += 1;
            }
        }
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    assert!(
        yes > 100 && no > 100,
        "the requests are too much alike: {yes} yes, {no} no"
    );
    let _guard = runtime.enter();
    drop(house);
}
