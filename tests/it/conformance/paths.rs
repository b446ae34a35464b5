//! Cases 9 and 10: what is asked for.

use super::{allowed, ask, code, house, http, http_with, metadata, record};

#[tokio::test]
async fn case_09_path_and_query_are_told_apart() {
    let house = house().await;
    let answer = ask(&house, http("GET", "/query?x=1", &[])).await;
    allowed(&answer);
    assert_eq!(record(&house, &answer)["path"], "/query");
    for path in [
        "/query",
        "/query?x=2",
        "/query?x=1&x=1",
        "/query?y=1",
        "/query%3Fx=1",
    ] {
        assert_ne!(code(&ask(&house, http("GET", path, &[])).await), 0, "{path}");
    }
    // Envoy leaves `query` empty. Whoever fills it must not say something else than `path`.
    for (query, passes) in [("x=1", true), ("x=2", false)] {
        let request = http_with(http("GET", "/query?x=1", &[]), |http| {
            http.query = query.to_owned()
        });
        assert_eq!(code(&ask(&house, request).await) == 0, passes, "{query}");
    }
}

#[tokio::test]
async fn case_10_no_spelling_of_a_path_gets_around_a_forbid() {
    let house = house().await;
    allowed(&ask(&house, http("GET", "/public/admin", &[])).await);
    for (path, reason) in [
        ("/admin", "forbidden"),
        ("/%61dmin", "forbidden"),
        ("/admin?x=/public/", "forbidden"),
        ("/public/..%2fadmin", "ambiguous_path"),
        ("/public/..%2Fadmin", "ambiguous_path"),
        ("/public/../admin", "ambiguous_path"),
        ("/public/%2e%2e/admin", "ambiguous_path"),
        ("/public/..;/admin", "ambiguous_path"),
        ("/public\\..\\admin", "ambiguous_path"),
        ("//admin", "ambiguous_path"),
        ("/public//../admin", "ambiguous_path"),
        ("/./admin", "ambiguous_path"),
        ("/admin;x", "ambiguous_path"),
        ("/admin%00", "ambiguous_path"),
        ("/%2561dmin", "ambiguous_path"),
        ("/public/%zz", "ambiguous_path"),
        ("/public/%", "ambiguous_path"),
        ("/public/#/admin", "ambiguous_path"),
        ("https://api.example.test/public/x", "ambiguous_path"),
        ("*", "ambiguous_path"),
        ("", "ambiguous_path"),
        ("/Admin", "no_route"),
        ("/admin/", "no_route"),
    ] {
        let answer = ask(&house, http("GET", path, &[])).await;
        assert_ne!(code(&answer), 0, "{path} passed");
        assert_eq!(metadata(&answer, "reason"), reason, "{path}");
    }
}

#[tokio::test]
async fn a_host_or_a_method_that_is_none_is_denied() {
    let house = house().await;
    for host in [
        "",
        "a..b",
        "user@api.example.test",
        "api.example.test/public",
        "a,b",
        "a:b:c",
    ] {
        let request = http_with(http("GET", "/public/hello", &[]), |http| {
            http.host = host.to_owned()
        });
        let answer = ask(&house, request).await;
        assert_ne!(code(&answer), 0, "{host}");
        assert_eq!(metadata(&answer, "reason"), "invalid_host", "{host}");
    }
    for (method, reason) in [
        ("get", "no_method"),
        ("POST", "no_method"),
        ("", "malformed"),
        ("GET ", "malformed"),
        ("\u{e9}", "malformed"),
        ("G".repeat(33).as_str(), "malformed"),
    ] {
        let answer = ask(&house, http(method, "/public/hello", &[])).await;
        assert_ne!(code(&answer), 0, "{method:?}");
        assert_eq!(metadata(&answer, "reason"), reason, "{method:?}");
    }
}
