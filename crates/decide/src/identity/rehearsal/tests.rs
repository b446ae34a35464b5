use std::time::{Duration, UNIX_EPOCH};

use serde_json::json;

use super::*;

const NOW: u64 = 1_800_000_000;

fn rehearsal() -> Rehearsal {
    let settings = json!({
        "issuers": [
            { "name": "main", "issuer": "https://id.test", "audiences": ["api", "other"], "trust_roles": true,
              "profile": "keycloak" },
            { "name": "strict", "issuer": "https://strict.test", "audiences": ["api"], "profile": "oidc",
              "types": ["at+jwt"], "algorithms": ["ES256"], "kid": "required", "required_claims": ["tenant"] },
        ],
    });
    Rehearsal::new(&serde_json::from_value(settings).unwrap())
}

/// Who it is, or a part of the refusal.
fn check(issuer: &str, header: Value, claims: Value, expected: Result<&str, &str>) {
    let now = UNIX_EPOCH + Duration::from_secs(NOW);
    let object = |value: &Value| value.as_object().unwrap().clone();
    let got = rehearsal().principal(issuer, &object(&header), &object(&claims), now);
    match (got, expected) {
        (Ok(principal), Ok(expected)) => assert_eq!(principal.to_string(), expected, "{claims}"),
        (Err(refused), Err(part)) => assert!(refused.to_string().contains(part), "{claims}: {refused}"),
        (got, expected) => panic!("{claims}: {got:?}, not {expected:?}"),
    }
}

#[test]
fn every_check_but_the_signature_is_made() {
    let alice = || json!({ "typ": "Bearer", "sub": "alice", "sid": "s" });
    let with = |name: &str, value: Value| {
        let mut claims = alice();
        claims[name] = value;
        claims
    };
    for (claims, expected) in [
        (alice(), Ok("User::\"main/alice\"")),
        (with("aud", json!(["x", "other"])), Ok("User::\"main/alice\"")),
        (with("aud", json!("x")), Err("is for")),
        (with("exp", json!(NOW - 31)), Err("expired")),
        (with("exp", json!(NOW - 29)), Ok("User::\"main/alice\"")),
        (with("nbf", json!(NOW + 100)), Err("nbf")),
        (with("typ", json!("ID")), Err("\"ID\"")),
        (with("sub", json!("")), Err("sub")),
        (with("cnf", json!({ "x5t#S256": "x" })), Err("cnf")),
        (
            with("iss", json!("https://nobody.test")),
            Err("https://nobody.test"),
        ),
        (with("iss", json!(null)), Err("iss")),
        (with("resource_access", json!({ "a": 1 })), Err("claim")),
    ] {
        check("main", json!({}), claims, expected);
    }
}

#[test]
fn the_header_and_the_settings_of_the_issuer_count() {
    let claims = || json!({ "sub": "bob", "tenant": "t", "client_id": "app" });
    for (header, claims, expected) in [
        (json!({}), claims(), Ok("User::\"strict/bob\"")),
        (
            json!({ "typ": "application/at+jwt" }),
            claims(),
            Ok("User::\"strict/bob\""),
        ),
        (json!({ "typ": "JWT" }), claims(), Err("of type")),
        (json!({ "alg": "RS256" }), claims(), Err("RS256")),
        (json!({ "alg": "none" }), claims(), Err("none")),
        (json!({ "crit": ["x"] }), claims(), Err("crit")),
        (json!({ "kid": "" }), claims(), Err("kid")),
        (json!({}), json!({ "sub": "bob" }), Err("tenant")),
    ] {
        check("strict", header, claims, expected);
    }
    // As with a real token, it is `iss` that says whose it is.
    let claims =
        json!({ "iss": "https://id.test", "typ": "Bearer", "sub": "alice", "sid": "s", "tenant": "t" });
    check("strict", json!({}), claims, Ok("User::\"main/alice\""));
    check("nobody", json!({}), json!({ "sub": "bob" }), Err("alg"));
}
