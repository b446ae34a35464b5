//! One fault more per row, each before the last: the list of checks is in the order of verification.

use serde_json::json;

use super::super::keys::tests::runtime;
use super::super::refusal::{ClaimFault, Quoted, ScopeFault};
use super::super::testing::*;
use super::super::tests::ours;
use super::*;

fn bearer(token: &str) -> Vec<u8> {
    format!("Bearer {token}").into_bytes()
}

/// Fails at `check`, after passing all before it, and nothing was looked at after it.
#[track_caller]
fn stops_at(inspection: &Inspection, check: TokenCheck) {
    let at = inspection
        .steps
        .iter()
        .position(|(_, outcome)| *outcome == Outcome::Failed)
        .expect("something fails");
    let (before, after) = inspection.steps.split_at(at);
    assert_eq!(after[0].0, check, "{:?}", inspection.refusal);
    assert!(before.iter().all(|(_, outcome)| *outcome == Outcome::Passed));
    let rest = &after[1..];
    assert!(rest.iter().all(|(_, outcome)| *outcome == Outcome::NotChecked));
    assert!(inspection.principal.is_none());
}

#[test]
fn a_good_token_passes_every_check_and_is_somebody() {
    let minted = token(&KEYS.b_ec).claim("iss", ISSUER_B).mint();
    let inspection = runtime().block_on(ours().inspect(&bearer(&minted), now()));
    assert_eq!(inspection.refusal, None);
    assert!(inspection.steps.iter().all(|(_, o)| *o == Outcome::Passed));
    assert_eq!(
        inspection.principal.map(|p| p.to_string()).as_deref(),
        Some("User::\"b/user-1\"")
    );
    assert_eq!(inspection.header.expect("a header")["alg"], "ES256");
    assert_eq!(inspection.claims.expect("claims")["iss"], ISSUER_B);
}

#[test]
fn the_first_fault_in_the_order_of_verification_is_the_one_that_is_told() {
    let ours = ours();
    let check = |value: &[u8], expected| stops_at(&runtime().block_on(ours.inspect(value, now())), expected);
    let mut faulty = token(&KEYS.b_ec).claim("iss", ISSUER_B).claim("typ", "Refresh");
    check(&bearer(&faulty.mint()), TokenCheck::Principal);
    let forge = |token: &Token| bearer(&token.signed(|message| KEYS.mallory.sign(message)));
    check(&forge(&faulty), TokenCheck::Signature);
    for (name, value, expected) in [
        ("jti", json!(1), TokenCheck::TokenId),
        ("exp", json!(NOW - 60), TokenCheck::Times),
        ("aud", json!("others"), TokenCheck::Audience),
        ("sub", json!(""), TokenCheck::Subject),
        ("cnf", json!({}), TokenCheck::Binding),
    ] {
        faulty = faulty.claim(name, value);
        check(&forge(&faulty), expected);
    }
    faulty = faulty.head("alg", "ES384");
    check(&forge(&faulty), TokenCheck::Algorithm);
    faulty = faulty.claim("iss", "https://c.test");
    check(&forge(&faulty), TokenCheck::Issuer);
    check(&bearer(&format!("{}.A", faulty.unsigned())), TokenCheck::Encoding);
    faulty = faulty.head("alg", "none");
    check(&bearer(&format!("{}.A", faulty.unsigned())), TokenCheck::Header);
    check(&bearer(&faulty.unsigned()), TokenCheck::Segments);
    check(
        &bearer(&format!("{} !", faulty.unsigned())),
        TokenCheck::Credential,
    );
}

#[test]
fn what_a_profile_refuses_is_told_as_such() {
    for (refusal, text) in [
        (
            TokenRefusal::ProfileClaim {
                name: "jti",
                fault: ClaimFault::Missing,
            },
            "claim `jti` is missing, which the profile",
        ),
        (
            TokenRefusal::ProfileVersion {
                name: "wlcg.ver",
                found: Quoted::new("2.0"),
                known: "`1.<number>`",
            },
            "claim `wlcg.ver` is \"2.0\", but only `1.<number>`",
        ),
        (
            TokenRefusal::Scope {
                scope: Quoted::new("storage.read"),
                fault: ScopeFault::NoPath,
            },
            "the scope \"storage.read\" has no path (`/` would be everything), so the whole token",
        ),
    ] {
        assert_eq!(TokenCheck::that_gave(&refusal), TokenCheck::Principal);
        assert!(refusal.to_string().starts_with(text), "{refusal}");
    }
}

#[test]
fn without_issuers_only_the_shape_is_checked() {
    let expired = token(&KEYS.mallory).claim("exp", NOW - 3600).mint();
    let inspection = inspect(&bearer(&expired));
    assert_eq!((&inspection.refusal, &inspection.principal), (&None, &None));
    for (check, outcome) in &inspection.steps {
        let shape = matches!(
            check,
            TokenCheck::Credential | TokenCheck::Segments | TokenCheck::Header | TokenCheck::Encoding
        );
        let expected = if shape {
            Outcome::Passed
        } else {
            Outcome::NotChecked
        };
        assert_eq!(*outcome, expected, "{check:?}");
    }
    let none = inspect(&bearer(&format!(
        "{}.",
        token(&KEYS.a_rsa).head("alg", "none").unsigned()
    )));
    stops_at(&none, TokenCheck::Header);
    assert_eq!(none.header.expect("it can be read all the same")["alg"], "none");
    stops_at(&inspect(b"Bearer"), TokenCheck::Credential);
    stops_at(&inspect(b"Basic YTpi"), TokenCheck::Credential);
    stops_at(&inspect(b"Bearer \xFF.a.b"), TokenCheck::Credential);
    stops_at(&inspect(&bearer("garbage")), TokenCheck::Segments);
}
