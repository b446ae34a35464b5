//! Documents as the `opa` plugins of APISIX and Kong send them, and the answers as they read them.

use serde_json::{Value, json};

use super::*;

const APISIX: &str = "/v1/data/apisix/allow";
const KONG: &str = "/v1/data/kong/allow";

fn apisix() -> Value {
    json!({ "input": {
        "type": "http",
        "request": {
            "scheme": "https", "method": "PUT", "host": "API.example.test", "port": 9443,
            "path": "/open/café b", "query": {},
            "headers": { "host": "api.example.test:9443", "authorization": "Bearer x", "x-two": ["a", "b"] },
        },
        "var": { "server_addr": "10.0.0.1", "remote_addr": "::ffff:10.0.0.7", "timestamp": 1 },
        "route": { "id": "1" },
    }})
}

fn kong() -> Value {
    json!({ "input": { "request": { "http": {
        "host": "API.example.test", "port": "8443", "tls": { "version": "TLSv1.3" }, "method": "PUT",
        "scheme": "https", "path": "/open/caf%c3%a9%20b", "querystring": {},
        "headers": { "host": "api.example.test:8443", "authorization": "Bearer x", "x-two": ["a", "b"] },
    }}, "client_ip": "1.1.1.1" } })
}

/// Posts a document; the answer is 200 whatever it says.
fn post(path: &str, document: &str) -> (Value, String) {
    let host = [("host", &b"portcullis"[..]), ("x-forwarded-uri", b"/open")];
    let answer = ask("POST", path, &host, document);
    assert_eq!(answer.status, 200, "{document}");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let body: Value = serde_json::from_slice(&answer.body).expect("JSON");
    (body["result"].clone(), answer.heard)
}

/// The document with the value at `pointer` (below the request) replaced, or taken away.
fn changed(contract: &str, pointer: &str, value: Option<Value>) -> String {
    let (mut document, base) = match contract {
        APISIX => (apisix(), "/input/request"),
        _ => (kong(), "/input/request/http"),
    };
    let pointer = match pointer.strip_prefix("/input") {
        Some(_) => pointer.to_owned(),
        None => base.to_owned() + pointer,
    };
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = document.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    match value {
        Some(value) => parent.insert(name.to_owned(), value),
        None => parent.remove(name),
    };
    document.to_string()
}

#[test]
fn the_document_drives_the_decision() {
    for (path, document, contract, peer) in [
        (APISIX, apisix(), "apisix_opa", "10.0.0.7"),
        (KONG, kong(), "kong_opa", "-"),
    ] {
        let (result, heard) = post(path, &document.to_string());
        assert_eq!(
            heard,
            format!(
                "{contract} PUT https://api.example.test/open/caf%C3%A9%20b?- {peer} Absent \
                 [authorization=Bearer x x-two=a x-two=b]"
            )
        );
        assert_eq!(result["allow"], true);
        assert_eq!(
            (&result["headers"]["x-user"], &result["headers"]["x-groups"]),
            (&json!("alice"), &json!(""))
        );
        let id = result["headers"]["x-portcullis-decision-id"].as_str();
        assert_eq!(id.map(str::len), Some(36));
        assert_eq!(result["headers"].as_object().unwrap().len(), 3);
    }
}

#[test]
fn denials_have_what_either_plugin_reads() {
    for contract in [APISIX, KONG] {
        for (path, status) in [
            ("/secret", 403),
            ("/login", 302),
            ("/teapot", 429),
            ("/panic", 400),
            ("/open/../secret", 400),
        ] {
            let (result, heard) = post(contract, &changed(contract, "/path", Some(path.into())));
            assert_eq!(result["allow"], false, "{heard}");
            assert_eq!(
                (&result["status"], &result["status_code"]),
                (&json!(status), &json!(status)),
                "{path}: {heard}"
            );
            let line = if status == 302 {
                "a credential is needed"
            } else {
                "you may not"
            };
            assert_eq!(
                (&result["reason"], &result["message"]),
                (&json!(line), &json!(line))
            );
            let headers = &result["headers"];
            assert!(headers["x-portcullis-decision-id"].is_string());
            assert_eq!(headers["www-authenticate"].is_string(), status == 302);
            assert_eq!(headers["location"].is_string(), status == 302);
            assert_eq!(headers["retry-after"].is_string(), status == 429);
        }
    }
    let twice = reply::encode(
        &deny(
            403,
            Reason::Forbidden,
            &[
                ("set-cookie", "a=1"),
                ("set-cookie", "b=2"),
                ("set-cookie", "c=3"),
            ],
        ),
        Contract::KongOpa,
    );
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let body = runtime.block_on(twice.into_body().collect()).unwrap().to_bytes();
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(
        body["result"]["headers"]["set-cookie"],
        json!(["a=1", "b=2", "c=3"])
    );
}

#[test]
fn what_is_read_and_what_is_refused() {
    let many = |count| {
        let member = |index: usize| (format!("x-{index}"), Value::from("v"));
        Some(Value::Object((0..count).map(member).collect()))
    };
    let text = |text: &str| Some(Value::from(text));
    // A pointer, its value, and what is heard for APISIX and for Kong.
    for (pointer, value, of_apisix, of_kong) in [
        ("/path", text("/open"), "/open?-", "/open?-"),
        ("/path", text("/open/%41"), "path was refused", "/open/A?-"),
        (
            "/path",
            text("/open/%2e%2e/secret"),
            "path was refused",
            "path was refused",
        ),
        ("/path", text("/open/é"), "/open/%C3%A9?-", "path was refused"),
        ("/path", text("/open?x=1"), "path was refused", "path was refused"),
        ("/path", text("//open"), "path was refused", "path was refused"),
        ("/path", text(""), "path was refused", "path was refused"),
        (
            "/path",
            text("https://a.test/open"),
            "path was refused",
            "path was refused",
        ),
        (
            "/path",
            text("/open/\u{0}"),
            "path was refused",
            "path was refused",
        ),
        ("/path", None, "no string `path`", "no string `path`"),
        (
            "/path",
            Some(json!(["/open"])),
            "no string `path`",
            "no string `path`",
        ),
        ("/host", None, "no string `host`", "no string `host`"),
        ("/host", text("a..b"), "host was refused", "host was refused"),
        ("/method", text("G T"), "not a token", "not a token"),
        ("/method", None, "no string `method`", "no string `method`"),
        ("/scheme", None, "no string `scheme`", "no string `scheme`"),
        ("/headers", None, "no object `headers`", "no object `headers`"),
        (
            "/headers",
            text("x"),
            "no object `headers`",
            "no object `headers`",
        ),
        ("/headers", Some(json!([])), "Absent []", "Absent []"),
        (
            "/headers",
            Some(json!({ "x": 1 })),
            "value is no string",
            "value is no string",
        ),
        (
            "/headers",
            Some(json!({ "x": { "a": "b" } })),
            "value is no string",
            "value is no string",
        ),
        (
            "/headers",
            Some(json!({ "x": [["a"]] })),
            "value is no string",
            "value is no string",
        ),
        ("/headers", Some(json!({ "x": "é" })), "[x=é]", "[x=é]"),
        ("/headers", many(99), "x-98=v", "x-98=v"),
        (
            "/headers",
            many(100),
            "100 or more headers",
            "100 or more headers",
        ),
        ("/body", text("{}"), "Whole", "Whole"),
        ("/input/request", None, "not a JSON object", "not a JSON object"),
        ("/input", text("x"), "not a JSON object", "not a JSON object"),
    ] {
        for (contract, expected) in [(APISIX, of_apisix), (KONG, of_kong)] {
            let (_, heard) = post(contract, &changed(contract, pointer, value.clone()));
            assert!(
                heard.contains(expected),
                "{contract} {pointer} {value:?}: {heard}"
            );
        }
    }
    for (pointer, value, expected) in [
        ("/input/type", text("stream"), "input.type"),
        ("/input/type", None, "input.type"),
        ("/input/var", None, "input.var is not"),
        ("/input/var/remote_addr", text("unix:"), "no address"),
        ("/input/var/remote_addr", None, "no address"),
    ] {
        let (_, heard) = post(APISIX, &changed(APISIX, pointer, value));
        assert!(heard.contains(expected), "{pointer}: {heard}");
    }
}

#[test]
fn arguments_are_read_back_as_they_were_decoded() {
    for (arguments, expected) in [
        (json!({}), "-"),
        (json!([]), "-"),
        (json!({ "x": "1" }), "x=1"),
        (json!({ "x": "" }), "x="),
        (json!({ "x": true }), "x"),
        (json!({ "x": ["1", true, "2"] }), "x=1&x&x=2"),
        (
            json!({ "a&b": "c=d&e", "z": "+ %" }),
            "a%26b=c%3Dd%26e&z=%2B%20%25",
        ),
        (json!({ "x": "1;y=2" }), "x=1;y%3D2"),
        (json!({ "é": "#\n" }), "%C3%A9=%23%0A"),
    ] {
        for (contract, name) in [(APISIX, "/query"), (KONG, "/querystring")] {
            let (_, heard) = post(contract, &changed(contract, name, Some(arguments.clone())));
            assert!(heard.contains(&format!("b?{expected} ")), "{arguments}: {heard}");
        }
    }
    let hundred: Vec<&str> = vec!["v"; 100];
    for arguments in [
        json!("x=1"),
        json!({ "x": 1 }),
        json!({ "x": { "y": "z" } }),
        json!({ "x": hundred }),
    ] {
        for (contract, name) in [(APISIX, "/query"), (KONG, "/querystring")] {
            let (result, heard) = post(contract, &changed(contract, name, Some(arguments.clone())));
            assert_eq!(result["allow"], false, "{heard}");
            assert!(heard.starts_with("refused: "), "{arguments}: {heard}");
        }
    }
}

#[test]
fn an_unreadable_document_is_a_denial_with_status_200() {
    let good = apisix().to_string();
    let twice = good.replace("\"scheme\"", "\"path\":\"/open\",\"scheme\"");
    let other = good.replace("\"type\"", "\"extra\":{\"a\":1,\"a\":2},\"type\"");
    for (id, document) in [
        ("empty", ""),
        ("no JSON", "<html>"),
        ("two", &format!("{good}{good}")),
        ("cut", &good[..good.len() - 1]),
        ("a member twice", &twice),
        ("a member twice where nobody looks", &other),
        ("an array", "[]"),
        ("Kong's", &kong().to_string()),
        ("large", &" ".repeat((1 << 20) + 1)),
    ] {
        let (result, heard) = post(APISIX, document);
        assert_eq!(
            (&result["allow"], &result["status_code"]),
            (&json!(false), &json!(400)),
            "{id}: {heard}"
        );
        assert!(heard.starts_with("refused: "), "{id}: {heard}");
    }
    let (result, _) = post(KONG, &good);
    assert_eq!(result["allow"], false, "APISIX's to Kong's door");
    // Whoever asks at a path without a door reads the status.
    let host = [("host", &b"portcullis"[..])];
    assert_eq!(ask("POST", "/v1/data/other", &host, &good).status, 400);
}

#[test]
fn a_path_without_a_door_is_never_answered_with_200() {
    let door = Door {
        contract: Contract::KongOpa,
        path: "/v1/data/kong/allow".into(),
    };
    let doors = HttpDoors::new(Arc::new(Judge::default()), vec![door], Listener::new(64));
    let request = Request::builder()
        .uri("/auth")
        .body(Full::<Bytes>::default())
        .unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    assert_eq!(runtime.block_on(doors.answer(request)).status(), 400);
}

/// Another proxy that is pointed at such a door would take the status of a document for its answer.
#[test]
fn only_the_plugins_way_of_asking_gets_a_document() {
    for path in [APISIX, KONG] {
        for method in ["GET", "HEAD", "OPTIONS", "PUT"] {
            let status = super::ask(method, path, &[("host", b"portcullis")], "").status;
            assert!(status.is_client_error(), "{method} {path}: {status}");
        }
    }
}
