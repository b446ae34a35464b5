//! The model's table of targets, through every HTTP door that takes the path as the client sent it: what is canonical is
//! recorded in its canonical form, what is ambiguous is denied.

use serde_json::{Value, json};

use super::{Reply, exchange, house_with, request};
use crate::house::TestHouse;

const VECTORS: &str = include_str!("../../../crates/model/src/path/vectors.json");

/// The bytes of a target: one character is one byte.
pub(super) fn bytes(target: &Value) -> Vec<u8> {
    let text = match target {
        Value::String(text) => text.clone(),
        long => {
            let part = |index: usize| long["repeat"][index].as_str().expect("a text");
            let times = long["repeat"][2].as_u64().expect("a number");
            part(0).to_owned() + &part(1).repeat(usize::try_from(times).expect("a number"))
        }
    };
    text.chars().map(|c| u8::try_from(c).expect("Latin-1")).collect()
}

/// The doors with the question about `target`; without those on whose wire it cannot be.
fn questions(target: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut questions = Vec::new();
    let in_a_header = target.iter().all(|byte| *byte >= 0x20 && *byte != 0x7F);
    if in_a_header && target.first().is_some_and(|byte| *byte != b' ') && !target.ends_with(b" ") {
        let url = [b"https://api.example.test", target].concat();
        let nginx: [(&str, &[u8]); 4] = [
            ("host", b"p"),
            ("x-original-method", b"GET"),
            ("x-original-url", &url),
            ("x-real-ip", b"9.9.9.9"),
        ];
        // Behind the host, a target without a slash would be more of the host; nginx refuses it before it asks.
        if target.starts_with(b"/") {
            questions.push(("nginx", request("GET", b"/nginx", &nginx, b"")));
        }
        for door in ["traefik", "caddy", "haproxy"] {
            let five: [(&str, &[u8]); 6] = [
                ("host", b"p"),
                ("x-forwarded-method", b"GET"),
                ("x-forwarded-proto", b"https"),
                ("x-forwarded-host", b"api.example.test"),
                ("x-forwarded-uri", target),
                ("x-forwarded-for", b"9.9.9.9"),
            ];
            questions.push((door, request("GET", format!("/{door}").as_bytes(), &five, b"")));
        }
        // A line ends at a blank, and what follows `#` is not sent to anybody (RFC 9110 section 4.2.5).
        if !target.iter().any(|byte| b" #".contains(byte)) {
            let line = [b"/check", target].concat();
            let host = [("host", &b"api.example.test"[..])];
            questions.push(("envoy_http", request("GET", &line, &host, b"")));
        }
    }
    // The query comes decoded to this door, and the table is about what was sent.
    if let Some(path) = std::str::from_utf8(target)
        .ok()
        .filter(|path| !path.contains('?'))
    {
        let document = json!({ "input": { "request": { "http": {
            "scheme": "https", "method": "GET", "host": "api.example.test", "path": path, "querystring": {},
            "headers": {},
        }}}});
        let host = [("host", &b"p"[..])];
        let body = document.to_string();
        questions.push((
            "kong_opa",
            request("POST", b"/v1/data/kong/allow", &host, body.as_bytes()),
        ));
    }
    questions
}

/// What was recorded of the decision, if one was made.
fn record(house: &TestHouse, reply: &Reply) -> Option<Value> {
    let id = match reply.header("x-portcullis-decision-id") {
        Some(id) => id.to_owned(),
        None => {
            let answer: Value = serde_json::from_slice(&reply.body).ok()?;
            answer["result"]["headers"]["x-portcullis-decision-id"]
                .as_str()?
                .to_owned()
        }
    };
    Some(house.record(&id))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_door_reads_the_table_of_targets_alike() {
    let house = house_with("").await;
    let vectors: Vec<Value> = serde_json::from_str(VECTORS).expect("the table");
    let mut asked = 0;
    for vector in &vectors {
        let target = bytes(&vector["target"]);
        for (door, question) in questions(&target) {
            asked += 1;
            let row = format!("{} {door} {}", vector["id"], target.escape_ascii());
            let reply = exchange(house.all_http()[0], &question).await;
            let record = record(&house, &reply);
            let normalised = vector.get("normalised").map(bytes);
            let normalised = normalised.map(|path| String::from_utf8(path).expect("a canonical path"));
            match normalised {
                Some(path) => {
                    let record = record.unwrap_or_else(|| panic!("{row}: {reply:?}"));
                    assert_eq!(
                        (&record["path"], &record["contract"]),
                        (&json!(path), &json!(door)),
                        "{row}"
                    );
                }
                // In the request line, HTTP itself refuses some.
                None if record.is_none() => {
                    assert!(
                        door == "envoy_http" && (400..500).contains(&reply.status),
                        "{row}: {reply:?}"
                    );
                }
                None => {
                    let record = record.expect("one");
                    assert_eq!(record["verdict"], "deny", "{row}");
                    let malformed = [json!("ambiguous_path"), json!("malformed"), json!("invalid_host")];
                    assert!(malformed.contains(&record["reason"]), "{row}: {record}");
                    let status = if door == "kong_opa" { 200 } else { reply.status };
                    let expected = match door {
                        "nginx" => 403,
                        "kong_opa" => 200,
                        _ => 400,
                    };
                    assert_eq!(status, expected, "{row}");
                }
            }
        }
    }
    assert!(asked > vectors.len() * 5, "only {asked} questions could be asked");
}
