//! Cases 11 to 17: what else a request says, and whom it may be believed.

use portcullis::demo::people;
use tonic::Request;

use super::{allowed, ask, bearer, client, code, house, house_with, http, http_with, record, value};

#[tokio::test]
async fn case_11_spoofed_identity_is_removed_where_nobody_is_known() {
    let house = house().await;
    let spoofed = [
        ("x-auth-subject", "root"),
        ("x-auth-groups", "admins"),
        ("x_auth_subject", "root"),
    ];
    let answer = ask(&house, http("GET", "/public/hello", &spoofed)).await;
    let ok = allowed(&answer);
    for (name, _) in spoofed {
        assert!(
            ok.headers_to_remove.iter().any(|removed| removed == name),
            "{name} stays"
        );
        assert_eq!(value(&ok.headers, name), None, "{name} is set");
    }
    assert_eq!(value(&ok.headers, "x-auth-type"), Some("Anonymous"));
}

#[tokio::test]
async fn case_12_spoofed_identity_is_overwritten_where_somebody_is_known() {
    let house = house().await;
    let token = bearer(&people::alice(&house.issuer).token);
    let headers = [("authorization", token.as_str()), ("x-auth-subject", "root")];
    let answer = ask(&house, http("GET", "/workspaces/ws-alice", &headers)).await;
    let ok = allowed(&answer);
    assert_eq!(value(&ok.headers, "x-auth-subject"), Some(people::ALICE));
    assert!(!ok.headers_to_remove.iter().any(|name| name == "x-auth-subject"));
    // In a spelling that some upstream would take for it, it does not pass at all.
    let headers = [("authorization", token.as_str()), ("x-auth_subject", "root")];
    let answer = ask(&house, http("GET", "/workspaces/ws-alice", &headers)).await;
    assert_eq!(code(&answer), 3, "{answer:#?}");
}

#[tokio::test]
async fn case_13_context_extensions_are_the_proxys_word_and_headers_are_not() {
    let house = house().await;
    for (extension, header, passes) in [
        (Some("gold"), None, true),
        (Some("silver"), None, false),
        (None, Some("gold"), false),
        (Some("silver"), Some("gold"), false),
        (Some("gold"), Some("silver"), true),
    ] {
        let headers: Vec<(&str, &str)> = header.map(|tier| ("tier", tier)).into_iter().collect();
        let mut request = http("GET", "/tier", &headers);
        if let (Some(tier), Some(attributes)) = (extension, &mut request.attributes) {
            attributes
                .context_extensions
                .insert("tier".to_owned(), tier.to_owned());
        }
        let answer = ask(&house, request).await;
        assert_eq!(
            code(&answer) == 0,
            passes,
            "extension {extension:?}, header {header:?}"
        );
    }
}

#[tokio::test]
async fn case_14_the_clients_address_is_what_trusted_proxies_say() {
    for (hops, expected, passes) in [(0, "9.9.9.9", false), (1, "2.2.2.2", true), (2, "1.1.1.1", false)] {
        let house = house_with(&format!("trusted_hops: {hops}\n")).await;
        let request = http("GET", "/inside", &[("x-forwarded-for", "1.1.1.1, 2.2.2.2")]);
        let answer = ask(&house, request).await;
        assert_eq!(record(&house, &answer)["client_ip"], expected, "{hops} hops");
        assert_eq!(code(&answer) == 0, passes, "{hops} hops");
    }
}

#[tokio::test]
async fn case_15_the_proxys_own_forwarding_header_is_nobodys_address() {
    for (hops, expected) in [(0, serde_json::json!("9.9.9.9")), (1, serde_json::Value::Null)] {
        let house = house_with(&format!("trusted_hops: {hops}\n")).await;
        let mut request = Request::new(http("GET", "/inside", &[]));
        request
            .metadata_mut()
            .insert("x-forwarded-for", "2.2.2.2".parse().expect("a value"));
        let answer = client(&house)
            .await
            .check(request)
            .await
            .expect("an answer")
            .into_inner();
        assert_ne!(code(&answer), 0);
        assert_eq!(record(&house, &answer)["client_ip"], expected, "{hops} hops");
    }
}

#[tokio::test]
async fn case_16_a_body_that_was_cut_off_meets_no_condition() {
    let house = house().await;
    let body = r#"{"name": "alice"}"#;
    for (partial, passes) in [
        (None, true),
        (Some("false"), true),
        (Some("true"), false),
        (Some("maybe"), false),
    ] {
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(partial.map(|partial| ("x-envoy-auth-partial-body", partial)));
        for raw in [true, false] {
            let request = http_with(http("POST", "/upload", &headers), |http| match raw {
                true => http.raw_body = body.into(),
                false => http.body = body.to_owned(),
            });
            assert_eq!(
                code(&ask(&house, request).await) == 0,
                passes,
                "{partial:?}, raw: {raw}"
            );
        }
    }
    for body in [
        "",
        "{}",
        r#"{"name": "bob"}"#,
        r#"{"name": "alice""#,
        r#"["alice"]"#,
        r#"{"name": "bob", "name": "alice"}"#,
    ] {
        let request = http_with(http("POST", "/upload", &[]), |http| http.body = body.to_owned());
        assert_ne!(code(&ask(&house, request).await), 0, "{body}");
    }
}

#[tokio::test]
async fn case_17_large_and_binary_bodies_are_answered() {
    let house = house().await;
    let large = format!(
        r#"{{"name": "alice", "more": "{}"}}"#,
        "x".repeat(5 * 1024 * 1024)
    );
    for raw in [true, false] {
        let request = http_with(http("POST", "/upload", &[]), |http| match raw {
            true => http.raw_body = large.clone().into(),
            false => http.body = large.clone(),
        });
        allowed(&ask(&house, request).await);
    }
    for bytes in [&b"\xff\xfe\x00\x80"[..], b"{\"name\": \"alice\xff\"}"] {
        let request = http_with(http("POST", "/upload", &[]), |http| {
            http.raw_body = bytes.to_vec().into()
        });
        let answer = ask(&house, request).await;
        assert_eq!(
            record(&house, &answer)["reason"],
            "policy_error",
            "a policy looks at the body, and it cannot be read"
        );
    }
}
