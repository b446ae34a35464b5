//! Tokens by shared secrets.

use super::*;

/// Rows B5 to B10.
#[test]
fn legacy_tokens() {
    let identity = entries(json!([legacy_entry(0, "first"), legacy_entry(1, "second")]));
    let good = |who: &str| Ok(format!("backstage/{who} *: permission=* action=*"));
    assert_eq!(ask(&identity, &sign(&legacy(), 0)), good("first"), "B5");
    assert_eq!(ask(&identity, &sign(&legacy(), 1)), good("second"), "B10");
    for (id, token) in [
        ("typ", legacy().head("typ", "JWT")),
        ("aud empty", legacy().claim("aud", "")),
        ("aud null", legacy().claim("aud", json!(null))),
        ("aud 0", legacy().claim("aud", 0)),
        ("aud false", legacy().claim("aud", false)),
        ("kid", legacy().head("kid", "any")),
        ("within the leeway", legacy().claim("exp", NOW - 29)),
    ] {
        assert_eq!(ask(&identity, &sign(&token, 0)), good("first"), "{id}");
    }
    type Row = (&'static str, String, fn(&R) -> bool);
    let not_mine: fn(&R) -> bool = |r| {
        matches!(
            r,
            R::Claim {
                name: "iss",
                fault: F::Missing
            }
        )
    };
    let rows: [Row; 18] = [
        ("B6", sign(&legacy().claim("aud", "backstage"), 0), not_mine),
        ("B6 list", sign(&legacy().claim("aud", json!([])), 0), not_mine),
        ("B7", sign(&legacy().claim("sub", "somebody"), 0), not_mine),
        ("B7 none", sign(&legacy().no_claim("sub"), 0), not_mine),
        ("B6b", sign(&legacy().no_claim("exp"), 0), |r| {
            matches!(
                r,
                R::Claim {
                    name: "exp",
                    fault: F::Missing
                }
            )
        }),
        ("B8", sign(&legacy().claim("exp", NOW - 30), 0), |r| {
            matches!(r, R::Expired { .. })
        }),
        ("B8 second", sign(&legacy().claim("exp", NOW - 30), 1), |r| {
            matches!(r, R::Expired { .. })
        }),
        ("B9", sign(&legacy().claim("exp", "soon"), 0), |r| {
            r.to_string() == "claim `exp` is not a number"
        }),
        ("B9 null", sign(&legacy().claim("exp", json!(null)), 0), |r| {
            matches!(
                r,
                R::Claim {
                    name: "exp",
                    fault: F::Not("a number")
                }
            )
        }),
        ("nbf", sign(&legacy().claim("nbf", NOW + 31), 0), |r| {
            matches!(r, R::NotYetValid { .. })
        }),
        ("bound", sign(&legacy().claim("cnf", json!({})), 0), |r| {
            matches!(r, R::SenderConstrained)
        }),
        (
            "B10 unknown secret",
            sign(&legacy(), 2),
            |r| matches!(r, R::NoEntry { reason, .. } if matches!(**reason, R::Signature(_))),
        ),
        (
            "B10 ES256",
            token(&KEYS.a_ec)
                .claim("sub", "backstage-server")
                .no_claim("aud")
                .no_claim("iss")
                .mint(),
            not_mine,
        ),
        ("B10 text", "plain-text".to_owned(), |r| {
            matches!(r, R::Segments(1))
        }),
        ("HS384", sign(&legacy().head("alg", "HS384"), 0), not_mine),
        ("none", legacy().head("alg", "none").signed(|_| Vec::new()), |r| {
            matches!(r, R::UnknownAlgorithm(_))
        }),
        (
            "plugin",
            sign(&legacy().head("typ", "vnd.backstage.plugin"), 0),
            |r| matches!(r, R::BackstagePlugin),
        ),
        (
            "user",
            sign(&legacy().head("typ", "vnd.backstage.user"), 0),
            not_mine,
        ),
    ];
    for (id, token, expected) in rows {
        let refusal = ask(&identity, &token).expect_err(id);
        assert!(expected(&refusal), "{id}: {refusal:?}");
    }
}

/// A token that some entry's secret signed ends the walk there, even where the next entry would take it.
#[test]
fn an_expired_legacy_token_does_not_fall_through() {
    let expired = sign(&legacy().claim("exp", NOW - 60), 0);
    let identity = entries(json!([
        legacy_entry(0, "first"),
        fixed(json!({"token": expired, "subject": "x"}))
    ]));
    assert!(matches!(ask(&identity, &expired), Err(R::Expired { .. })));
    let identity = entries(json!([
        fixed(json!({"token": expired, "subject": "x"})),
        legacy_entry(0, "first")
    ]));
    assert!(
        ask(&identity, &expired).is_ok(),
        "the order is that of the configuration"
    );
}

/// Row B23.
#[test]
fn old_keys_come_after_the_entries() {
    let identity = house(
        json!({}),
        json!({
            "keys": [{"secret": secret(0)}, {"secret": secret(1)}],
            "externalAccess": [legacy_entry(1, "new")],
        }),
    );
    let who = |index| ask(&identity, &sign(&legacy(), index)).unwrap();
    assert!(who(0).starts_with("backstage/external:backstage-plugin *:"));
    assert!(who(1).starts_with("backstage/new *:"));
}
