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
        Identified::Verified(_, _)
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
    let identity = both(jwks_entry(&slow, json!({"audience": "x", "subjectPrefix": "up"})));
    let refusal = ask(&identity, &token(&KEYS.a_rsa).mint()).unwrap_err();
    assert!(refusal.is_for_want_of_keys(), "{refusal}");
    down.page(JWKS, ok(document(&[KEYS.a_rsa.jwk()])));
}

fn started(list: Value) -> Identity<()> {
    let settings = json!({"backstage": {"backend": {"auth": {"externalAccess": list}}}});
    let settings = serde_json::from_value(settings).unwrap();
    Identity::new(&settings, DEFAULT_CACHE_BYTES, runtime().handle(), |_| ()).unwrap()
}

fn narrow(origin: &Origin, changes: Value) -> Value {
    let mut entry = jwks_entry(origin, changes);
    entry["accessRestrictions"] = json!([{"plugin": "catalog"}]);
    entry
}

/// Else a token could come past the restrictions of the first entry, while only the second has its key.
#[test]
fn entries_of_one_url_have_one_set_of_keys() {
    let origin = Origin::new(&[KEYS.a_rsa.jwk()]);
    let identity = entries(json!([
        narrow(&origin, json!({})),
        jwks_entry(&origin, json!({"subjectPrefix": "wide"})),
        jwks_entry(
            &origin,
            json!({"url": origin.url().replace("http:", "HTTP:") + JWKS})
        ),
    ]));
    assert_eq!(origin.hits(JWKS), 1);
    let (_, second) = identity.keys().nth(1).unwrap();
    second.replace(
        crate::identity::jwks::KeySet::parse(&document(&[KEYS.b_rsa.jwk()]))
            .unwrap()
            .0,
    );
    assert_eq!(
        ask(&identity, &token(&KEYS.b_rsa).mint()).as_deref(),
        Ok("backstage/external:user-1 catalog: permission=* action=*")
    );
}

/// Who else is asked while the first entry has no key for a token.
#[test]
fn an_entry_that_names_the_issuer_of_a_token_keeps_it() {
    let (down, other) = (Origin::new(&[]), Origin::new(&[KEYS.b_rsa.jwk()]));
    down.page(JWKS, status(503, ""));
    let up = Origin::new(&[KEYS.a_rsa.jwk()]);
    let wide = "backstage/external:wide:user-1 *: permission=* action=*";
    for (first, changes, expected) in [
        (&down, json!({"issuer": ISSUER_A}), None),
        (&down, json!({"issuer": ["https://x.test", ISSUER_A]}), None),
        (&other, json!({"issuer": ISSUER_A}), None),
        (&down, json!({"issuer": "https://x.test"}), Some(wide)),
        (&down, json!({"issuer": ISSUER_A, "audience": "x"}), Some(wide)),
        (
            &down,
            json!({"issuer": ISSUER_A, "claims": {"azp": "x"}}),
            Some(wide),
        ),
        (
            &down,
            json!({"issuer": ISSUER_A, "algorithm": "ES256"}),
            Some(wide),
        ),
        (&down, json!({}), Some(wide)),
        (&other, json!({}), Some(wide)),
    ] {
        let mut changes_of_first = changes.clone();
        changes_of_first["subjectPrefix"] = "narrow".into();
        let identity = entries(json!([
            narrow(first, changes_of_first),
            jwks_entry(&up, json!({"subjectPrefix": "wide"})),
        ]));
        match (ask(&identity, &token(&KEYS.a_rsa).mint()), expected) {
            (Ok(who), Some(expected)) => assert_eq!(who, expected, "{changes}"),
            (Err(R::KeysUnavailable(_) | R::UnknownKey { .. }), None) => {}
            (got, _) => panic!("{changes}: {got:?}"),
        }
    }
}

/// It is waited for once; then it is as if it were not there, unless it names the issuer.
#[test]
fn an_entry_that_is_slow_does_not_keep_the_tokens_of_others() {
    let (slow, up) = (Origin::new(&[]), Origin::new(&[KEYS.a_rsa.jwk()]));
    slow.close_gate();
    for (changes, kept) in [
        (json!({"subjectPrefix": "slow"}), false),
        (json!({"subjectPrefix": "slow", "issuer": ISSUER_A}), true),
    ] {
        let identity = started(json!([
            jwks_entry(&slow, changes.clone()),
            jwks_entry(&up, json!({"subjectPrefix": "up"})),
        ]));
        let (_, keys) = identity.keys().nth(1).unwrap();
        runtime().block_on(keys.first_attempt().wait());
        let value = format!("Bearer {}", token(&KEYS.a_rsa).mint());
        let mut headers = Headers::default();
        headers.push("authorization", value.as_bytes());
        let first = identity.identify(&headers, None, now());
        assert!(matches!(first, Identified::NotYet(_)), "{first:?}");
        match (identity.identify_at_hand(&headers, None, now()), kept) {
            (Identified::Verified(verified, _), false) => {
                assert_eq!(verified.principal().id, "backstage/external:up:user-1");
            }
            (Identified::Refused(refused), true) => assert!(refused.is_for_want_of_keys()),
            (got, _) => panic!("{changes}: {got:?}"),
        }
    }
    slow.open_gate();
}

/// `sub` is the issuer's to choose, the ids of other entries are not.
#[test]
fn nobody_gets_the_id_of_another_entry() {
    let origin = Origin::new(&[KEYS.a_rsa.jwk()]);
    let keys = |prefix: Value| {
        let changes = match prefix {
            Value::Null => json!({}),
            prefix => json!({ "subjectPrefix": prefix }),
        };
        jwks_entry(&origin, changes)
    };
    let fixed_entry = |subject: &str| fixed(json!({"token": TOKEN, "subject": subject}));
    let (none, old) = (Value::Null, json!([{"secret": secret(1)}]));
    for (list, old, sub, taken) in [
        (
            json!([fixed_entry("external:ci"), keys(none.clone())]),
            json!([]),
            "ci",
            true,
        ),
        (
            json!([keys(none.clone()), fixed_entry("external:ci")]),
            json!([]),
            "ci",
            true,
        ),
        (
            json!([keys(none.clone()), legacy_entry(0, "external:ci")]),
            json!([]),
            "ci",
            true,
        ),
        (
            json!([keys(json!("p")), fixed_entry("external:p:ci")]),
            json!([]),
            "ci",
            true,
        ),
        (json!([keys(none.clone())]), old.clone(), "backstage-plugin", true),
        (json!([keys(none.clone())]), json!([]), "backstage-plugin", false),
        (json!([keys(json!("p"))]), old, "backstage-plugin", false),
        (
            json!([keys(none.clone()), fixed_entry("ci")]),
            json!([]),
            "ci",
            false,
        ),
        (
            json!([keys(json!("p")), fixed_entry("external:ci")]),
            json!([]),
            "ci",
            false,
        ),
        (
            json!([keys(none), fixed_entry("external:ci")]),
            json!([]),
            "cj",
            false,
        ),
    ] {
        let auth = json!({"externalAccess": list, "keys": old});
        let identity = house(json!({}), auth.clone());
        let got = ask(&identity, &token(&KEYS.a_rsa).claim("sub", sub).mint());
        match got {
            Err(R::Claim { name: "sub", .. }) if taken => {}
            Ok(_) if !taken => {}
            got => panic!("{auth}: {got:?}"),
        }
    }
}
