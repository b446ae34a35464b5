//! Who is sent to a login, and where.

use serde_json::json;

use super::*;

#[test]
fn people_are_sent_to_the_login_and_programs_are_told() {
    let settings: Settings = serde_json::from_value(json!({"routes": [{
        "path": "/app/{rest..}", "methods": ["GET", "POST"], "resource": {"type": "Page", "attributes": {"name": "x"}},
        "on_deny": {"login": "https://id.test/login?rd={url}"},
    }]}))
    .unwrap();
    let stage = stage(
        "@id(\"nobody\") forbid(principal, action, resource == Page::\"none\");",
        settings,
    );
    let html: &[(&str, &str)] = &[("accept", "text/html,application/xhtml+xml;q=0.9")];
    let stale: &[(&str, &str)] = &[("accept", "text/html"), ("authorization", "Bearer junk")];
    for (id, method, path, headers, expected) in [
        (
            "a page",
            "GET",
            "/app/a%20b?x=1",
            html,
            Some("https%3A%2F%2Fapi.example.test%2Fapp%2Fa%2520b%3Fx%3D1"),
        ),
        (
            "a session that ended",
            "GET",
            "/app/a",
            stale,
            Some("https%3A%2F%2Fapi.example.test%2Fapp%2Fa"),
        ),
        (
            "a page with too long a query",
            "GET",
            &format!("/app/a?x={}", "!".repeat(2000)),
            html,
            Some("https%3A%2F%2Fapi.example.test%2Fapp%2Fa"),
        ),
        (
            "too long a path",
            "GET",
            &format!("/app/{}", "%C3%A9".repeat(500)),
            html,
            None,
        ),
        ("a form", "POST", "/app/a", html, None),
        (
            "a script",
            "GET",
            "/app/a",
            &[("accept", "application/json")],
            None,
        ),
        ("nothing said", "GET", "/app/a", &[], None),
        ("no login there", "GET", "/pages/a", html, None),
        ("no route", "GET", "/nowhere", html, None),
    ] {
        let decision = stage.ask(method, path, headers);
        let Verdict::Deny(denial) = decision.verdict() else {
            panic!("{id}: allowed")
        };
        let expected = expected.map(|url| format!("https://id.test/login?rd={url}").into_boxed_str());
        assert_eq!((denial.status, denial.redirect.clone()), (401, expected), "{id}");
    }
}

#[test]
fn people_come_back_to_the_port_they_asked() {
    let settings: Settings = serde_json::from_value(json!({"routes": [{
        "path": "/app", "hosts": ["a.test"], "methods": ["GET"],
        "resource": {"type": "Page", "attributes": {"name": "x"}}, "on_deny": {"login": "https://id.test/?rd={url}"},
    }]}))
    .unwrap();
    let nobody = "@id(\"nobody\") forbid(principal, action, resource == Page::\"none\");";
    let stage = stage(nobody, settings);
    for (scheme, host, expected) in [
        ("https", "a.test:8443", Some("https%3A%2F%2Fa.test%3A8443%2Fapp")),
        ("http", "A.test.:8080", Some("http%3A%2F%2Fa.test%3A8080%2Fapp")),
        ("https", "a.test:443", Some("https%3A%2F%2Fa.test%2Fapp")),
        ("http", "a.test:80", Some("http%3A%2F%2Fa.test%2Fapp")),
        ("http", "a.test:443", Some("http%3A%2F%2Fa.test%3A443%2Fapp")),
        ("", "a.test:8443", Some("https%3A%2F%2Fa.test%3A8443%2Fapp")),
        // The port opens no route of another host.
        ("https", "b.test:8443", None),
    ] {
        let (path, query) = RequestPath::parse_target(b"/app", Decoding::Raw).unwrap();
        let mut headers = Headers::default();
        headers.push("accept", b"text/html");
        let target = Target::Http(HttpRequest {
            method: "GET",
            scheme,
            host: Host::parse(host).unwrap(),
            path,
            query,
            headers,
            body: Body::Absent,
        });
        let decision = stage.decide(Peer::default(), target);
        let Verdict::Deny(denial) = decision.verdict() else {
            panic!("{host}: allowed")
        };
        let expected = expected.map(|url| format!("https://id.test/?rd={url}").into_boxed_str());
        assert_eq!(denial.redirect, expected, "{scheme} {host}");
    }
}
