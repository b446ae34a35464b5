//! Audit mode as operators meet it: what passes, what is recorded, and that it is said.

use portcullis::config;
use portcullis::demo::stage;
use serde_json::json;

use crate::house::TestHouse;

#[tokio::test]
async fn what_policies_deny_passes_and_is_recorded() {
    let house = TestHouse::with(|text| text + "\nmode: audit\n", &[]).await;
    let audited = house
        .ask("GET", "/workspaces/ws-alice", &[("x-auth-subject", "root")])
        .await;
    assert_eq!(
        (audited.allowed, audited.reason.as_str()),
        (true, "audited"),
        "{audited:?}"
    );
    assert!(
        audited.removed.iter().any(|name| name == "x-auth-subject"),
        "{audited:?}"
    );
    let record = house.record(&audited.decision_id);
    assert_eq!(
        (&record["verdict"], &record["reason"]),
        (&json!("allow"), &json!("audited")),
        "{record}"
    );
    let audit = json!({"verdict": "deny", "reason": "credential_missing", "status": 401, "policies": []});
    assert_eq!(record["audit"], audit, "{record}");
    let why = record["why"].as_str().unwrap_or_default();
    assert!(
        why.starts_with("only audited, would have been denied: "),
        "{record}"
    );

    // What policies permit is what it was.
    let permitted = house.ask("GET", "/public/hello", &[]).await;
    assert_eq!(
        (permitted.allowed, permitted.reason.as_str()),
        (true, "permitted")
    );
    assert!(house.record(&permitted.decision_id).get("audit").is_none());

    // What is no policy's business is denied as ever.
    for (method, target, headers, reason) in [
        (
            "GET",
            "/public/hello",
            &[("authorization", "Bearer x")][..],
            "credential_refused",
        ),
        ("GET", "/nowhere", &[], "no_route"),
        ("PUT", "/public/hello", &[], "no_method"),
        ("GET", "/public/../x", &[], "ambiguous_path"),
        (
            "GET",
            "/public/hello",
            &[("x-http-method-override", "PUT")],
            "malformed",
        ),
    ] {
        let denied = house.ask(method, target, headers).await;
        assert_eq!(
            (denied.allowed, denied.reason.as_str()),
            (false, reason),
            "{method} {target}"
        );
    }

    let (status, text) = house.readyz().await;
    assert_eq!(status, 200);
    assert!(
        text.contains("\n[!] audit mode: denials of policies pass: everything\n"),
        "{text}"
    );
}

#[test]
fn validate_advises_to_enforce() {
    let text = stage::DEFAULT_CONFIG.to_owned() + "\nmode: audit\n";
    let loaded = config::load_with_sources("test.yaml", &text, stage::default_sources()).expect("valid");
    let advice = loaded.advice.to_string();
    assert!(advice.contains("the whole server is only audited"), "{advice}");
}
