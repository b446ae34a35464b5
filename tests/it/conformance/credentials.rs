//! Cases 1 to 8: who asks.

use portcullis::demo::people;
use proto::envoy::config::core::v3::header_value_option::HeaderAppendAction;
use proto::envoy::config::core::v3::{HeaderMap, HeaderValue};
use proto::envoy::service::auth::v3::{AttributeContext, CheckRequest};

use super::{allowed, ask, bearer, code, denied, house, http, http_with, peer, record, value};

const HOME: &str = "/workspaces/ws-alice";

#[tokio::test]
async fn case_01_a_permitted_user_passes_with_identity_headers_that_overwrite() {
    let house = house().await;
    let token = bearer(&people::alice(&house.issuer).token);
    let answer = ask(&house, http("GET", HOME, &[("authorization", &token)])).await;
    let ok = allowed(&answer);
    for (name, expected) in [
        ("x-auth-subject", people::ALICE),
        ("x-auth-type", "User"),
        ("x-auth-principal", &format!("main/{}", people::ALICE)),
        ("x-auth-name", "alice"),
        ("x-auth-groups", "ws-alice"),
    ] {
        assert_eq!(value(&ok.headers, name), Some(expected), "{name}");
    }
    for option in &ok.headers {
        assert_eq!(option.append, Some(false), "{option:?}");
        assert_eq!(
            option.append_action(),
            HeaderAppendAction::OverwriteIfExistsOrAdd,
            "{option:?}"
        );
        let header = option.header.as_ref().expect("a header");
        assert!(
            !header.value.is_empty() && header.raw_value.is_empty(),
            "{option:?}"
        );
    }
    for name in house.identity_headers() {
        let set = value(&ok.headers, &name).is_some();
        assert_ne!(
            set,
            ok.headers_to_remove.contains(&name),
            "{name} is neither or both"
        );
    }
}

#[tokio::test]
async fn case_02_without_a_credential_the_answer_asks_for_one() {
    let house = house().await;
    let answer = ask(&house, http("GET", HOME, &[])).await;
    let denied = denied(&answer, 16, 401);
    assert_eq!(
        value(&denied.headers, "www-authenticate"),
        Some("Bearer realm=\"portcullis\"")
    );
    assert_eq!(
        value(&denied.headers, "content-type"),
        Some("text/plain; charset=utf-8")
    );
    assert_eq!(denied.body, "a credential is needed");
}

#[tokio::test]
async fn case_03_a_good_token_without_the_right_is_403() {
    let house = house().await;
    let token = bearer(&people::alice(&house.issuer).token);
    for (path, reason) in [
        ("/workspaces/ws-bob", "no_permit"),
        ("/workspaces/workspace-api", "forbidden"),
        ("/admin", "forbidden"),
        ("/nowhere", "no_route"),
    ] {
        let answer = ask(&house, http("GET", path, &[("authorization", &token)])).await;
        let denied = denied(&answer, 7, 403);
        assert_eq!(value(&denied.headers, "www-authenticate"), None, "{path}");
        assert_eq!(record(&house, &answer)["reason"], reason, "{path}");
    }
}

#[tokio::test]
async fn case_04_a_bad_token_is_401_and_never_anonymous() {
    let house = house().await;
    let issuer = &house.issuer;
    let good = people::alice(issuer).token;
    let (signed, _) = good.rsplit_once('.').expect("a signature");
    for (what, authorization) in [
        ("expired", people::expired(issuer).bearer()),
        ("wrong signature", people::forged(issuer).expect("a key").bearer()),
        ("alg none", people::unsigned(issuer).bearer()),
        ("wrong issuer", people::wrong_issuer(issuer).bearer()),
        ("wrong audience", people::wrong_audience(issuer).bearer()),
        ("no signature", bearer(signed)),
        ("garbage", bearer("garbage")),
        ("nothing at all", "Bearer ".to_owned()),
        ("two tokens", bearer(&format!("{good} {good}"))),
    ] {
        // The second path is for everybody: only a credential can be what keeps this request out.
        for path in [HOME, "/public/hello"] {
            let answer = ask(&house, http("GET", path, &[("authorization", &authorization)])).await;
            let denied = denied(&answer, 16, 401);
            let challenge = value(&denied.headers, "www-authenticate").expect("a challenge");
            assert!(
                challenge.contains("error=\"invalid_token\""),
                "{what}: {challenge}"
            );
            let record = record(&house, &answer);
            assert_eq!(record["reason"], "credential_refused", "{what}: {record:#}");
        }
    }
}

#[tokio::test]
async fn case_05_an_empty_request_is_denied() {
    let house = house().await;
    for request in [
        CheckRequest::default(),
        CheckRequest {
            attributes: Some(AttributeContext::default()),
        },
        http_with(http("", "", &[]), |http| {
            *http = proto::envoy::service::auth::v3::attribute_context::HttpRequest::default()
        }),
    ] {
        assert_ne!(code(&ask(&house, request).await), 0);
    }
}

#[tokio::test]
async fn case_06_a_tcp_connection_is_judged_by_its_peer() {
    let house = house().await;
    for (principal, port, expected, reason) in [
        ("spiffe://td.test/ns/x/sa/a", 5432, 0, "permitted"),
        ("spiffe://td.test/ns/x/sa/b", 5432, 7, "no_permit"),
        ("spiffe://td.test/ns/x/sa/a", 5433, 7, "no_route"),
        ("spiffe://other.test/ns/x/sa/a", 5432, 7, "credential_refused"),
        ("spiffe://td.test.evil/ns/x/sa/a", 5432, 7, "credential_refused"),
        ("td.test/ns/x/sa/a", 5432, 7, "credential_refused"),
        ("", 5432, 16, "credential_missing"),
    ] {
        let request = CheckRequest {
            attributes: Some(AttributeContext {
                source: Some(peer("10.1.2.3", 50_000, principal)),
                destination: Some(peer("10.0.0.1", port, "")),
                ..AttributeContext::default()
            }),
        };
        let answer = ask(&house, request).await;
        let record = record(&house, &answer);
        assert_eq!(code(&answer), expected, "{principal} {port}: {record:#}");
        assert_eq!(record["reason"], reason, "{principal} {port}: {record:#}");
    }
}

/// Where the request comes from, what it says in `x-forwarded-client-cert`, whose token it has; code and reason.
#[tokio::test]
async fn a_client_certificate_is_a_credential() {
    let house = house().await;
    let a = "spiffe://td.test/ns/x/sa/a";
    let forwarded = "Hash=0a;Subject=\"CN=a, O=x\";URI=spiffe://td.test/ns/x/sa/a";
    let two = "URI=spiffe://td.test/ns/x/sa/a,URI=spiffe://td.test/ns/x/sa/a";
    let alice = bearer(&people::alice(&house.issuer).token);
    let expired = bearer(&people::expired(&house.issuer).token);
    for (address, principal, header, token, expected, reason) in [
        ("9.9.9.9", a, None, None, 0, "permitted"),
        (
            "9.9.9.9",
            "spiffe://td.test/ns/x/sa/b",
            None,
            None,
            7,
            "no_permit",
        ),
        (
            "9.9.9.9",
            "spiffe://other.test/ns/x/sa/a",
            None,
            None,
            16,
            "credential_missing",
        ),
        ("9.9.9.9", "", None, None, 16, "credential_missing"),
        ("9.9.9.9", "", Some(forwarded), None, 16, "credential_refused"),
        ("9.9.9.9", a, Some(forwarded), None, 16, "credential_refused"),
        ("10.1.2.3", "", Some(forwarded), None, 0, "permitted"),
        ("10.1.2.3", "", Some(two), None, 16, "credential_refused"),
        ("10.1.2.3", a, None, None, 16, "credential_missing"),
        // With a token the certificate is no more than a circumstance.
        ("9.9.9.9", a, None, Some(&alice), 0, "permitted"),
        ("9.9.9.9", "", None, Some(&alice), 7, "no_permit"),
        (
            "9.9.9.9",
            "spiffe://td.test/ns/x/sa/b",
            None,
            Some(&alice),
            7,
            "no_permit",
        ),
        ("10.1.2.3", "", Some(forwarded), Some(&alice), 7, "no_permit"),
        ("9.9.9.9", a, None, Some(&expired), 16, "credential_refused"),
    ] {
        let headers = header.map(|value| ("x-forwarded-client-cert", value));
        let token = token.map(|token| ("authorization", token.as_str()));
        let headers: Vec<_> = headers.into_iter().chain(token).collect();
        let mut request = http("GET", "/certificates", &headers);
        if let Some(attributes) = &mut request.attributes {
            attributes.source = Some(peer(address, 50_000, principal));
        }
        let answer = ask(&house, request).await;
        let record = record(&house, &answer);
        let row = format!("{address} {principal} {headers:?}: {record:#}");
        assert_eq!(code(&answer), expected, "{row}");
        assert_eq!(record["reason"], reason, "{row}");
    }
}

#[tokio::test]
async fn case_07_raw_headers_say_the_same_as_headers() {
    let house = house().await;
    let token = bearer(&people::alice(&house.issuer).token);
    let as_text = ask(&house, http("GET", HOME, &[("authorization", &token)])).await;
    let raw = http_with(http("GET", HOME, &[]), |http| {
        http.headers.clear();
        http.header_map = Some(raw_headers(&[(":path", HOME), ("authorization", &token)]));
    });
    let as_bytes = ask(&house, raw).await;
    let (as_text, as_bytes) = (allowed(&as_text), allowed(&as_bytes));
    let told = |ok: &proto::envoy::service::auth::v3::OkHttpResponse| {
        let headers = ok.headers.iter().filter_map(|option| option.header.clone());
        let headers = headers.filter(|header| header.key.starts_with("x-auth-"));
        (headers.collect::<Vec<_>>(), ok.headers_to_remove.clone())
    };
    assert_eq!(told(as_text), told(as_bytes));
    assert!(!told(as_bytes).0.is_empty());
}

#[tokio::test]
async fn case_08_two_credentials_are_none() {
    let house = house().await;
    let token = bearer(&people::alice(&house.issuer).token);
    let joined = format!("{token},{token}");
    let twice = http_with(http("GET", HOME, &[]), |http| {
        http.headers.clear();
        http.header_map = Some(raw_headers(&[
            ("authorization", &token),
            ("authorization", &token),
        ]));
    });
    let both = http_with(http("GET", HOME, &[("authorization", &token)]), |http| {
        http.header_map = Some(raw_headers(&[("authorization", &token)]));
    });
    for (what, request) in [
        ("header_map with two", twice),
        ("one in each", both),
        (
            "joined by Envoy",
            http("GET", HOME, &[("authorization", &joined)]),
        ),
        (
            "for a public page",
            http("GET", "/public/hello", &[("authorization", &joined)]),
        ),
    ] {
        let answer = ask(&house, request).await;
        denied(&answer, 16, 401);
        assert_eq!(record(&house, &answer)["reason"], "credential_refused", "{what}");
    }
}

fn raw_headers(headers: &[(&str, &str)]) -> HeaderMap {
    let header = |(name, value): &(&str, &str)| HeaderValue {
        key: (*name).to_owned(),
        value: String::new(),
        raw_value: value.as_bytes().to_vec().into(),
    };
    HeaderMap {
        headers: headers.iter().map(header).collect(),
    }
}
