use std::time::Duration;

use serde_json::json;

use super::*;
use crate::identity::testing::{NOW, OURS, now};

const N: f64 = NOW as f64;

fn demands() -> Demands {
    Demands {
        audiences: vec![OURS.to_owned()],
        expiry_leeway: 30.0,
        start_leeway: 30.0,
        max_lifetime: None,
    }
}

/// Checks the good claims with `changes`: `null` in a change stands for itself, `"-"` removes.
fn check(id: &str, changes: Value, expected: Result<(), TokenRefusal>) {
    let mut claims = json!({"sub": "user-1", "aud": OURS, "exp": NOW + 300});
    for (name, value) in changes.as_object().unwrap() {
        if value == "-" {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    let got = Registered::check(Claims(claims.as_object().unwrap()), &demands(), now());
    assert_eq!(got.map(drop), expected, "{id}");
}

fn bad(name: &'static str, what: ClaimFault) -> Result<(), TokenRefusal> {
    Err(fault(name, what))
}

fn number(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn audiences() {
    let not_ours = |shown: &str| Err(TokenRefusal::Audience(shown.to_owned()));
    let shape = || bad("aud", ClaimFault::Not("a string or an array of strings"));
    let mixed = || bad("aud", ClaimFault::Not("an array of strings"));
    for (id, aud, expected) in [
        ("one", json!(OURS), Ok(())),
        ("among others", json!(["x", OURS, "y"]), Ok(())),
        ("aud-missing", json!("-"), bad("aud", ClaimFault::Missing)),
        ("aud-null", json!(null), shape()),
        ("aud-number", json!(1), shape()),
        ("aud-bool", json!(true), shape()),
        ("aud object", json!({OURS: OURS}), shape()),
        ("aud-empty", json!(""), not_ours("\"\"")),
        ("aud-empty-array", json!([]), not_ours("")),
        ("aud-wrong", json!("other"), not_ours("\"other\"")),
        ("aud-mixed", json!([OURS, 1]), mixed()),
        ("aud-mixed-null", json!([null, OURS]), mixed()),
        ("aud nested", json!([[OURS]]), mixed()),
        (
            "aud-prefix",
            json!("portcullis-evil"),
            not_ours("\"portcullis-evil\""),
        ),
        ("aud-space", json!("portcullis "), not_ours("\"portcullis \"")),
        ("aud-case", json!("Portcullis"), not_ours("\"Portcullis\"")),
        (
            "aud-comma",
            json!("portcullis,other"),
            not_ours("\"portcullis,other\""),
        ),
        (
            "aud-too-many",
            json!(vec![OURS; MAX_ENTRIES + 1]),
            bad("aud", ClaimFault::TooMany),
        ),
    ] {
        check(id, json!({"aud": aud}), expected);
    }
    check(
        "aud-azp-only",
        json!({"aud": "-", "azp": OURS}),
        bad("aud", ClaimFault::Missing),
    );
}

#[test]
fn expiry() {
    let expired = |exp: f64| {
        Err(TokenRefusal::Expired {
            ago: N - exp,
            exp,
            leeway: 30.0,
        })
    };
    let range = || bad("exp", ClaimFault::OutOfRange);
    let number_expected = || bad("exp", ClaimFault::Not("a number"));
    for (id, exp, expected) in [
        ("missing", json!("-"), bad("exp", ClaimFault::Missing)),
        ("ok-exp-leeway", json!(NOW - 5), Ok(())),
        ("last moment", json!(NOW - 29), Ok(())),
        ("on the second", json!(NOW - 30), expired(N - 30.0)),
        ("exp-leeway-over", json!(NOW - 35), expired(N - 35.0)),
        ("exp-zero", json!(0), expired(0.0)),
        ("exp-neg", json!(-1), range()),
        ("exp-negzero", number("-0"), expired(-0.0)),
        (
            "exp-type-string",
            json!((NOW + 300).to_string()),
            number_expected(),
        ),
        ("exp-type-bool", json!(true), number_expected()),
        ("exp-type-object", json!({}), number_expected()),
        ("exp-type-null", json!(null), number_expected()),
        ("exp-type-array", json!([NOW + 300]), number_expected()),
        ("exp-num-2p63", number("9223372036854775808"), range()),
        ("exp-num-2p64", number("18446744073709551616"), range()),
        ("exp-num-2p64m1", number("18446744073709551615"), range()),
        ("exp-num-i64max", number("9223372036854775807"), range()),
        ("largest number", number("1.7976931348623157e308"), range()),
        ("milliseconds", json!((NOW + 300) * 1000), range()),
        ("last second of 9999", json!(253_402_300_799_u64), Ok(())),
        ("first second of 10000", json!(253_402_300_800_u64), range()),
        ("exp-float-past", json!(N - 30.5), expired(N - 30.5)),
        ("ok-exp-float", json!(N - 29.5), Ok(())),
        ("ok-exp-exponent", number("1.9e9"), Ok(())),
    ] {
        check(id, json!({"exp": exp}), expected);
    }
    // `exp-num-1e999` and `exp-num-neg1e999` do not get past the JSON parser.
    assert!(crate::identity::json::parse(br#"{"exp":1e999}"#).is_err());
    assert!(crate::identity::json::parse(br#"{"exp":-1e999}"#).is_err());
}

#[test]
fn beginnings() {
    let early = |name: &'static str, ahead: f64| {
        Err(TokenRefusal::NotYetValid {
            name,
            ahead,
            leeway: 30.0,
        })
    };
    for (id, changes, expected) in [
        ("ok-nbf-past", json!({"nbf": NOW - 60}), Ok(())),
        ("nbf within leeway", json!({"nbf": NOW + 30}), Ok(())),
        ("nbf-future", json!({"nbf": NOW + 3600}), early("nbf", 3600.0)),
        (
            "nbf-future-leeway-over",
            json!({"nbf": NOW + 90}),
            early("nbf", 90.0),
        ),
        (
            "nbf-type-string",
            json!({"nbf": "0"}),
            bad("nbf", ClaimFault::Not("a number")),
        ),
        (
            "nbf-type-bool",
            json!({"nbf": false}),
            bad("nbf", ClaimFault::Not("a number")),
        ),
        (
            "nbf-type-null",
            json!({"nbf": null}),
            bad("nbf", ClaimFault::Not("a number")),
        ),
        (
            "nbf-type-object",
            json!({"nbf": {}}),
            bad("nbf", ClaimFault::Not("a number")),
        ),
        (
            "nbf-after-exp",
            json!({"nbf": NOW + 10, "exp": NOW - 10}),
            Err(TokenRefusal::EndsBeforeItStarts {
                nbf: N + 10.0,
                exp: N - 10.0,
            }),
        ),
        ("iat within leeway", json!({"iat": NOW + 30}), Ok(())),
        ("iat in the future", json!({"iat": NOW + 31}), early("iat", 31.0)),
        (
            "iat-string",
            json!({"iat": "now"}),
            bad("iat", ClaimFault::Not("a number")),
        ),
        (
            "iat null",
            json!({"iat": null}),
            bad("iat", ClaimFault::Not("a number")),
        ),
        ("iat-neg", json!({"iat": -5}), bad("iat", ClaimFault::OutOfRange)),
    ] {
        check(id, changes, expected);
    }
}

#[test]
fn subjects_and_ids() {
    let control = |name| bad(name, ClaimFault::Control);
    let text = |name| bad(name, ClaimFault::Not("a string"));
    for (id, changes, expected) in [
        (
            "sub-missing",
            json!({"sub": "-"}),
            bad("sub", ClaimFault::Missing),
        ),
        ("sub-null", json!({"sub": null}), text("sub")),
        ("sub-number", json!({"sub": 1}), text("sub")),
        ("sub-array", json!({"sub": ["admin"]}), text("sub")),
        ("sub-object", json!({"sub": {"sub": "admin"}}), text("sub")),
        ("sub-empty", json!({"sub": ""}), bad("sub", ClaimFault::Empty)),
        ("sub-inj-crlf", json!({"sub": "a\r\nX-Admin: 1"}), control("sub")),
        ("sub-inj-lf", json!({"sub": "a\nb"}), control("sub")),
        ("sub-inj-cr", json!({"sub": "a\rb"}), control("sub")),
        ("sub-inj-nul", json!({"sub": "a\0b"}), control("sub")),
        ("sub-inj-del", json!({"sub": "a\u{7f}b"}), control("sub")),
        ("sub-inj-vt", json!({"sub": "a\u{b}b"}), control("sub")),
        (
            "sub with a C1 control",
            json!({"sub": "a\u{85}b"}),
            control("sub"),
        ),
        ("sub-latin-fold", json!({"sub": "a\u{10d}\u{10a}b"}), Ok(())),
        (
            "sub-space-edges",
            json!({"sub": " admin "}),
            bad("sub", ClaimFault::EdgeBlank),
        ),
        (
            "sub edge, not ASCII",
            json!({"sub": "admin\u{a0}"}),
            bad("sub", ClaimFault::EdgeBlank),
        ),
        ("sub with a blank inside", json!({"sub": "a b"}), Ok(())),
        (
            "sub-long",
            json!({"sub": "s".repeat(10_000)}),
            bad("sub", ClaimFault::TooLong),
        ),
        (
            "sub at the limit",
            json!({"sub": "s".repeat(MAX_NAME_BYTES)}),
            Ok(()),
        ),
        ("jti-control", json!({"jti": "a\0b"}), control("jti")),
        ("jti number", json!({"jti": 1}), text("jti")),
        ("jti null", json!({"jti": null}), text("jti")),
        ("jti empty", json!({"jti": ""}), bad("jti", ClaimFault::Empty)),
        (
            "cnf-jkt",
            json!({"cnf": {"jkt": "x"}}),
            Err(TokenRefusal::SenderConstrained),
        ),
        (
            "cnf null",
            json!({"cnf": null}),
            Err(TokenRefusal::SenderConstrained),
        ),
    ] {
        check(id, changes, expected);
    }
}

#[test]
fn clocks_that_are_wrong_break_nothing() {
    let claims = json!({"sub": "user-1", "aud": OURS, "exp": NOW + 300, "iat": NOW});
    let at = |time| Registered::check(Claims(claims.as_object().unwrap()), &demands(), time);
    assert!(matches!(
        at(UNIX_EPOCH),
        Err(TokenRefusal::NotYetValid { name: "iat", .. })
    ));
    assert!(matches!(
        at(UNIX_EPOCH - Duration::from_secs(1 << 40)),
        Err(TokenRefusal::NotYetValid { .. })
    ));
    assert!(matches!(
        at(UNIX_EPOCH + Duration::from_secs(1 << 40)),
        Err(TokenRefusal::Expired { .. })
    ));
    assert!(at(now()).is_ok());
}
