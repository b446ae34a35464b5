//! One attempt, against issuers that are not as they should be.

use std::net::TcpListener;

use super::*;

fn client() -> reqwest::Client {
    let source = Source {
        issuer: "http://localhost".to_owned(),
        place: Place::Discovery,
    };
    fetch::client(&source, PACE.patience).unwrap()
}

/// One attempt against pages that are not as they should be.
#[test]
fn what_is_fetched_is_not_trusted() {
    let elsewhere = Origin::new(&[KEYS.mallory.jwk()]);
    let at = |path: &str| format!("location: {}{path}\r\n", elsewhere.url());
    let discovery = |origin: &Origin, member: &str, value: serde_json::Value| {
        let url = origin.url();
        let mut document = json!({"issuer": url, "jwks_uri": format!("{url}{JWKS}")});
        document[member] = value;
        origin.page(DISCOVERY, ok(document.to_string()));
    };
    let truncated = |body: &[u8]| {
        let whole = ok(body);
        whole[..whole.len() - 10].to_vec()
    };
    type Spoil<'a> = Box<dyn Fn(&Origin) + 'a>;
    let jwks =
        |raw: Vec<u8>| -> Spoil<'_> { Box::new(move |origin: &Origin| origin.page(JWKS, raw.clone())) };
    let found =
        |raw: Vec<u8>| -> Spoil<'_> { Box::new(move |origin: &Origin| origin.page(DISCOVERY, raw.clone())) };
    let member = |name: &'static str, value: serde_json::Value| -> Spoil<'_> {
        Box::new(move |origin: &Origin| discovery(origin, name, value.clone()))
    };
    let plain = document(&[KEYS.a_rsa.jwk()]);
    let endless = [
        b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".to_vec(),
        vec![b' '; 2 << 20],
    ]
    .concat();
    let rows: Vec<(&str, Spoil<'_>, &str)> = vec![
        ("jwks-500", jwks(status(500, "")), "answered 500"),
        ("jwks-404", jwks(status(404, "")), "answered 404"),
        ("204", jwks(status(204, "")), "answered 204"),
        ("206", jwks(status(206, "")), "answered 206"),
        (
            "jwks-redirect-other-host",
            jwks(status(302, &at(JWKS))),
            "answered 302",
        ),
        ("permanent", jwks(status(308, &at(JWKS))), "answered 308"),
        (
            "jwks-redirect-loop",
            jwks(status(302, "location: /jwks\r\n")),
            "answered 302",
        ),
        (
            "jwks-redirect-file",
            jwks(status(302, "location: file:///etc/passwd\r\n")),
            "answered 302",
        ),
        (
            "discovery redirected",
            found(status(301, &at(DISCOVERY))),
            "answered 301",
        ),
        ("jwks-html", jwks(ok("<html>")), "not strict JSON"),
        ("jwks-truncated", jwks(truncated(&plain)), "jwks: "),
        (
            "jwks-gzip-bomb",
            jwks(ok([0x1F, 0x8B, 0x08, 0, 0, 0])),
            "not strict JSON",
        ),
        (
            "jwks-empty-keys",
            jwks(ok("{\"keys\":[]}")),
            "no key that can be used",
        ),
        (
            "jwks-huge",
            jwks(ok(vec![b' '; (1 << 20) + 1])),
            "more than 1048576 bytes",
        ),
        (
            "jwks-huge, length not said",
            jwks(endless),
            "more than 1048576 bytes",
        ),
        (
            "discovery huge",
            found(ok(vec![b' '; (256 << 10) + 1])),
            "more than 262144 bytes",
        ),
        (
            "discovery html",
            found(ok("<html>")),
            "discovery document is not usable",
        ),
        (
            "discovery twice",
            found(ok("{\"issuer\":\"a\",\"issuer\":\"b\"}")),
            "occurs twice",
        ),
        (
            "jwks-discovery-mismatch",
            member("issuer", json!("https://other.test")),
            "of issuer \"https://other.test\"",
        ),
        ("issuer missing", member("issuer", json!(null)), "of issuer \"\""),
        ("issuer array", member("issuer", json!(["x"])), "of issuer \"\""),
        (
            "jwks_uri missing",
            member("jwks_uri", json!(null)),
            "has no `jwks_uri`",
        ),
        (
            "jwks-discovery-jwks-uri",
            member("jwks_uri", json!("https://evil.test/jwks")),
            "another scheme, host or port",
        ),
        (
            "jwks_uri elsewhere on loopback",
            member("jwks_uri", json!("http://localhost:1/jwks")),
            "another scheme, host or port",
        ),
        (
            "jwks_uri at another port",
            member("jwks_uri", json!(format!("{}{JWKS}", elsewhere.url()))),
            "another scheme, host or port",
        ),
        (
            "jwks_uri by another scheme",
            member("jwks_uri", json!("https://127.0.0.1/jwks")),
            "another scheme, host or port",
        ),
        (
            "jwks_uri in plain http",
            member("jwks_uri", json!("http://evil.test/jwks")),
            "plain http",
        ),
        (
            "jwks_uri a file",
            member("jwks_uri", json!("file:///etc/passwd")),
            "has no host",
        ),
        (
            "jwks_uri relative",
            member("jwks_uri", json!("/jwks")),
            "not an absolute URL",
        ),
        (
            "jwks_uri with password",
            member("jwks_uri", json!("https://u:p@evil.test/")),
            "user name",
        ),
    ];
    run(async {
        let client = client();
        for (id, spoil, expected) in rows {
            let origin = Origin::new(&[KEYS.a_rsa.jwk()]);
            let source = Source {
                issuer: origin.url(),
                place: Place::Discovery,
            };
            assert!(
                fetch::keys(&client, &source, PACE.patience).await.is_ok(),
                "{id}: control"
            );
            spoil(&origin);
            let failure = fetch::keys(&client, &source, PACE.patience)
                .await
                .unwrap_err()
                .to_string();
            assert!(failure.contains(expected), "{id}: {failure}");
        }
    });
    assert_eq!(
        (elsewhere.hits(JWKS), elsewhere.hits(DISCOVERY)),
        (0, 0),
        "a redirect was followed"
    );
}

#[test]
fn an_issuer_that_does_not_answer_costs_its_patience_and_no_more() {
    run(async {
        let client = client();
        let origin = Origin::new(&[KEYS.a_rsa.jwk()]);
        origin.close_gate();
        let source = Source {
            issuer: origin.url(),
            place: Place::Discovery,
        };
        let patience = Duration::from_millis(50);
        let failure = fetch::keys(&client, &source, patience).await.unwrap_err();
        assert_eq!(failure, FetchFailure::Timeout(patience));
        origin.open_gate();
        let refused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let down = Source {
            issuer: format!("http://{refused}"),
            place: Place::Discovery,
        };
        let failure = fetch::keys(&client, &down, PACE.patience)
            .await
            .unwrap_err()
            .to_string();
        assert!(failure.to_lowercase().contains("refused"), "{failure}");
    });
}

#[test]
fn a_configured_jwks_uri_needs_no_discovery_and_a_slash_no_second_one() {
    run(async {
        let client = client();
        let origin = Origin::new(&[KEYS.a_rsa.jwk()]);
        let configured = Source {
            issuer: "https://somewhere.test".to_owned(),
            place: Place::Urls(vec![format!("{}{JWKS}", origin.url())]),
        };
        assert!(fetch::keys(&client, &configured, PACE.patience).await.is_ok());
        assert_eq!((origin.hits(DISCOVERY), origin.hits(JWKS)), (0, 1));
        let issuer = format!("{}/", origin.url());
        let document = json!({"issuer": issuer, "jwks_uri": format!("{issuer}jwks")});
        origin.page(DISCOVERY, ok(document.to_string()));
        let slash = Source {
            issuer,
            place: Place::Discovery,
        };
        assert!(fetch::keys(&client, &slash, PACE.patience).await.is_ok());
    });
}
