//! Tokens by published keys.

use std::time::Duration;

use super::*;
use crate::identity::keys::tests::origin::{ok, status};

/// Rows B11 and B12.
#[test]
fn jwks_tokens() {
    let origin = Origin::new(&[KEYS.a_rsa.jwk(), KEYS.a_ec.jwk()]);
    let good = || token(&KEYS.a_rsa);
    let claims = json!({"groups": ["/a", "/b"], "scope": ["write", "read"], "attempt": [1], "main": true});
    let full = || {
        let token = good()
            .claim("groups", json!(["/b", "/c"]))
            .claim("scope", "read more");
        token.claim("attempt", 1).claim("main", true)
    };
    type Row = (&'static str, Value, Token, Result<&'static str, fn(&R) -> bool>);
    let rows: Vec<Row> = vec![
        ("plain", json!({}), good(), Ok("external:user-1")),
        (
            "B12",
            json!({"subjectPrefix": "p"}),
            good(),
            Ok("external:p:user-1"),
        ),
        (
            "no kid, one key for it",
            json!({}),
            good().no_head("kid"),
            Ok("external:user-1"),
        ),
        ("no typ", json!({}), good().no_head("typ"), Ok("external:user-1")),
        (
            "aud list",
            json!({"audience": "x, portcullis"}),
            good().claim("aud", json!(["y", OURS])),
            Ok("external:user-1"),
        ),
        (
            "issuers",
            json!({"issuer": ["https://x.test", ISSUER_A]}),
            good(),
            Ok("external:user-1"),
        ),
        (
            "algorithms",
            json!({"algorithm": ["RS256", "ES256"]}),
            token(&KEYS.a_ec),
            Ok("external:user-1"),
        ),
        (
            "no demands",
            json!({}),
            good().no_claim("iss").no_claim("iat").no_claim("jti"),
            Ok("external:user-1"),
        ),
        ("claims", json!({"claims": claims}), full(), Ok("external:user-1")),
        (
            "whole text",
            json!({"claims": {"scope": "read more"}}),
            full(),
            Ok("external:user-1"),
        ),
        (
            "issuer",
            json!({"issuer": "https://x.test"}),
            good(),
            Err(|r| matches!(r, R::UnknownIssuer(_))),
        ),
        (
            "issuer slash",
            json!({"issuer": format!("{ISSUER_A}/")}),
            good(),
            Err(|r| matches!(r, R::UnknownIssuer(_))),
        ),
        (
            "no issuer",
            json!({"issuer": ISSUER_A}),
            good().no_claim("iss"),
            Err(|r| matches!(r, R::Claim { name: "iss", .. })),
        ),
        (
            "audience",
            json!({"audience": "x"}),
            good(),
            Err(|r| matches!(r, R::Audience(_))),
        ),
        (
            "no audience",
            json!({}),
            good().no_claim("aud"),
            Err(|r| matches!(r, R::Claim { name: "aud", .. })),
        ),
        (
            "algorithm",
            json!({"algorithm": "ES384"}),
            good(),
            Err(|r| matches!(r, R::AlgorithmNotAllowed(_))),
        ),
        (
            "claim",
            json!({"claims": claims}),
            full().claim("groups", json!(["/c"])),
            Err(|r| matches!(r, R::ClaimValue(_))),
        ),
        (
            "one claim of all",
            json!({"claims": claims}),
            full().no_claim("main"),
            Err(|r| matches!(r, R::ClaimValue(_))),
        ),
        (
            "a number is its text",
            json!({"claims": {"attempt": "1"}}),
            full(),
            Ok("external:user-1"),
        ),
        (
            "part of a word",
            json!({"claims": {"scope": "rea"}}),
            full(),
            Err(|r| matches!(r, R::ClaimValue(_))),
        ),
        (
            "claim object",
            json!({"claims": {"main": true}}),
            full().claim("main", json!({"true": true})),
            Err(|r| matches!(r, R::ClaimValue(_))),
        ),
        (
            "no sub",
            json!({}),
            good().no_claim("sub"),
            Err(|r| matches!(r, R::Claim { name: "sub", .. })),
        ),
        (
            "empty sub",
            json!({}),
            good().claim("sub", ""),
            Err(|r| matches!(r, R::Claim { name: "sub", .. })),
        ),
        (
            "sub a number",
            json!({}),
            good().claim("sub", 7),
            Err(|r| matches!(r, R::Claim { name: "sub", .. })),
        ),
        (
            "no exp",
            json!({}),
            good().no_claim("exp"),
            Err(|r| matches!(r, R::Claim { name: "exp", .. })),
        ),
        (
            "expired",
            json!({}),
            good().claim("exp", NOW - 30),
            Err(|r| matches!(r, R::Expired { .. })),
        ),
        (
            "nbf",
            json!({}),
            good().claim("nbf", NOW + 31),
            Err(|r| matches!(r, R::NotYetValid { .. })),
        ),
        (
            "bound",
            json!({}),
            good().claim("cnf", json!({})),
            Err(|r| matches!(r, R::SenderConstrained)),
        ),
        (
            "signature",
            json!({}),
            token(&KEYS.mallory),
            Err(|r| matches!(r, R::Signature(_))),
        ),
        (
            "unknown key",
            json!({}),
            token(&KEYS.b_rsa),
            Err(|r| matches!(r, R::UnknownKey { .. })),
        ),
        (
            "user token",
            json!({}),
            good().head("typ", "vnd.backstage.user"),
            Err(|r| matches!(r, R::UnknownIssuer(_))),
        ),
        (
            "plugin token",
            json!({}),
            good().head("typ", "vnd.backstage.plugin"),
            Err(|r| matches!(r, R::BackstagePlugin)),
        ),
        (
            "limited token",
            json!({}),
            good().head("typ", "vnd.backstage.limited-user"),
            Err(|r| matches!(r, R::BackstageLimitedUser)),
        ),
        (
            "other purpose",
            json!({}),
            good().head("typ", "dpop+jwt"),
            Err(|r| matches!(r, R::UnknownIssuer(_))),
        ),
    ];
    for (id, options, token, expected) in rows {
        let identity = entries(json!([jwks_entry(&origin, options)]));
        match (ask(&identity, &token.mint()), expected) {
            (Ok(got), Ok(who)) => {
                assert_eq!(got, format!("backstage/{who} *: permission=* action=*"), "{id}")
            }
            (Err(refusal), Err(expected)) => {
                let refusal = inner(refusal);
                assert!(expected(&refusal), "{id}: {refusal:?}");
            }
            (got, _) => panic!("{id}: {got:?}"),
        }
    }
    // B11: the first entry that fits decides.
    let narrow = |changes| {
        let mut entry = jwks_entry(&origin, changes);
        entry["accessRestrictions"] = json!([{"plugin": "catalog"}]);
        entry
    };
    let fits = || {
        jwks_entry(
            &origin,
            json!({"issuer": ISSUER_A, "algorithm": "RS256", "subjectPrefix": "second"}),
        )
    };
    for (first, expected) in [
        (
            json!({"issuer": "https://x.test"}),
            "backstage/external:second:user-1 *: permission=* action=*",
        ),
        (
            json!({"audience": "x"}),
            "backstage/external:second:user-1 *: permission=* action=*",
        ),
        (
            json!({"algorithm": "ES384"}),
            "backstage/external:second:user-1 *: permission=* action=*",
        ),
        (
            json!({}),
            "backstage/external:user-1 catalog: permission=* action=*",
        ),
    ] {
        let identity = entries(json!([narrow(first.clone()), fits()]));
        assert_eq!(ask(&identity, &good().mint()).as_deref(), Ok(expected), "{first}");
    }
}

/// A token waits for keys that may come, and then for none: the next entry is asked.
#[test]
fn missing_keys_are_waited_for_once() {
    let (slow, down) = (Origin::new(&[KEYS.a_rsa.jwk()]), Origin::new(&[]));
    down.page(JWKS, status(503, ""));
    slow.close_gate();
    let settings = json!({"backstage": {"backend": {"auth": {"externalAccess": [
        jwks_entry(&slow, json!({"subjectPrefix": "slow"})),
    ]}}}});
    let settings = serde_json::from_value(settings).unwrap();
    let identity: Identity<()> =
        Identity::new(&settings, DEFAULT_CACHE_BYTES, runtime().handle(), |_| ()).unwrap();
    let value = format!("Bearer {}", token(&KEYS.a_rsa).mint());
    let mut headers = Headers::default();
    headers.push("authorization", value.as_bytes());
    let Identified::NotYet(wanted) = identity.identify(&headers, None, now()) else {
        panic!("no wait")
    };
    let gate = slow.clone();
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(20));
        gate.open_gate();
    });
    runtime().block_on(wanted.wait());
    assert!(matches!(
        identity.identify_at_hand(&headers, None, now()),
        Identified::Verified(_)
    ));

    let both = |second: Value| {
        entries(json!([
            jwks_entry(&down, json!({"subjectPrefix": "down"})),
            second
        ]))
    };
    let identity = both(jwks_entry(&slow, json!({"subjectPrefix": "up"})));
    let who = ask(&identity, &token(&KEYS.a_rsa).mint()).unwrap();
    assert!(who.starts_with("backstage/external:up:user-1 "), "{who}");
    // That keys are missing is told, and not what the last entry says.
    let identity = both(jwks_entry(&slow, json!({"audience": "x"})));
    let refusal = ask(&identity, &token(&KEYS.a_rsa).mint()).unwrap_err();
    assert!(refusal.is_for_want_of_keys(), "{refusal}");
    down.page(JWKS, ok(document(&[KEYS.a_rsa.jwk()])));
}
