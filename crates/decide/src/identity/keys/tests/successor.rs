//! An identity after a change of its settings: what is kept, what is fetched, and what is forgotten.

use crate::identity::settings::OneOrMany;

use super::*;

/// What a derivation makes of the principal: which derivation it was.
fn derived(identity: &Identity<&'static str>, token: &str) -> Result<&'static str, TokenRefusal> {
    let value = format!("Bearer {token}");
    let mut headers = Headers::default();
    headers.push("authorization", value.as_bytes());
    match identity.identify_at_hand(&headers, None, now()) {
        Identified::Verified(verified, _) => Ok(verified.derived()),
        Identified::Refused(refused) => Err(refused.reason),
        other => panic!("{other:?}"),
    }
}

fn of(issuers: &[IssuerSettings]) -> IdentitySettings {
    IdentitySettings {
        issuers: issuers.to_vec(),
        ..IdentitySettings::default()
    }
}

fn start(issuers: &[IssuerSettings]) -> Identity<&'static str> {
    Identity::new(&of(issuers), DEFAULT_CACHE_BYTES, RUNTIME.handle(), |_| "first").unwrap()
}

fn after(before: &Identity<&'static str>, issuers: &[IssuerSettings]) -> Identity<&'static str> {
    before
        .successor(&of(issuers), DEFAULT_CACHE_BYTES, RUNTIME.handle(), |_| "second")
        .unwrap()
}

#[test]
fn with_the_same_settings_tokens_stay_verified_and_are_derived_again() {
    run(async {
        let origin = Origin::new(&[KEYS.a_rsa.jwk()]);
        let issuers = [settings("main", &origin.url())];
        let first = start(&issuers);
        first.first_attempts().await;
        let minted = mint(&origin, &KEYS.a_rsa).mint();
        assert_eq!(derived(&first, &minted), Ok("first"));
        let second = after(&first, &issuers);
        assert_eq!(second.verified.held().0, 1, "the token is verified again");
        assert_eq!(derived(&second, &minted), Ok("second"));
        assert_eq!(derived(&second, &minted), Ok("second"));
        // A request that began before ends as it began, whoever kept the token last.
        assert_eq!(derived(&first, &minted), Ok("first"));
        assert_eq!(derived(&second, &minted), Ok("second"));
        assert_eq!(origin.hits(JWKS), 1);
        drop(first);
        assert_eq!(derived(&second, &minted), Ok("second"));
        assert_eq!(second.status()[0].keys, 1);
    });
}

#[test]
fn keys_are_fetched_again_only_if_where_they_come_from_changes() {
    run(async {
        let origin = Origin::new(&[KEYS.a_rsa.jwk()]);
        let before = settings("main", &origin.url());
        let first = start(std::slice::from_ref(&before));
        first.first_attempts().await;
        let mut fetches = 1;
        type Change = fn(&mut IssuerSettings, &Origin);
        let rows: [(&str, Change, usize, bool); 6] = [
            ("audiences", |s, _| s.audiences.push("more".to_owned()), 0, true),
            (
                "other audiences",
                |s, _| s.audiences = vec!["more".to_owned()],
                0,
                false,
            ),
            ("roles", |s, _| s.trust_roles = true, 0, true),
            ("name", |s, _| s.name = "other".to_owned(), 1, true),
            ("pace", |s, _| s.refresh_seconds = 200, 1, true),
            (
                "place",
                |s, origin| s.jwks_uri = Some(OneOrMany::One(format!("{}{JWKS}", origin.url()))),
                1,
                true,
            ),
        ];
        let minted = mint(&origin, &KEYS.a_rsa).mint();
        for (what, change, more, good) in rows {
            assert!(
                derived(&first, &minted).is_ok(),
                "{what}: kept by the identity before"
            );
            let mut changed = before.clone();
            change(&mut changed, &origin);
            let second = after(&first, &[changed]);
            second.first_attempts().await;
            fetches += more;
            assert_eq!(origin.hits(JWKS), fetches, "{what}");
            assert_eq!(
                derived(&second, &minted).is_ok(),
                good,
                "{what}: {:?}",
                derived(&second, &minted)
            );
        }
    });
}

#[test]
fn another_secret_ends_what_the_old_one_signed() {
    let secret = |fill: char| {
        let issuer = json!({"name": "main", "issuer": "house", "audiences": ["api"], "profile": "oidc",
            "hmac_secrets": [fill.to_string().repeat(32)]});
        serde_json::from_value::<IssuerSettings>(issuer).unwrap()
    };
    let (a, b) = (secret('a'), secret('b'));
    assert_eq!(format!("{a:?}"), format!("{b:?}"), "secrets are not shown");
    assert_eq!(
        of(std::slice::from_ref(&a)).fingerprint(),
        of(std::slice::from_ref(&a)).fingerprint()
    );
    assert_ne!(of(&[a]).fingerprint(), of(&[b]).fingerprint());
}

#[test]
fn an_issuer_that_is_new_is_not_needed_until_its_keys_have_come() {
    run(async {
        let (old, new) = (Origin::new(&[KEYS.a_rsa.jwk()]), Origin::new(&[KEYS.a_ec.jwk()]));
        let settings = [settings("old", &old.url()), settings("new", &new.url())];
        let first = start(&settings[..1]);
        new.close_gate();
        let second = after(&first, &settings);
        let needed = |identity: &Identity<&'static str>| {
            let status = identity.status();
            status.iter().map(|issuer| issuer.needed).collect::<Vec<_>>()
        };
        assert_eq!(needed(&second), [true, false]);
        new.open_gate();
        second.first_attempts().await;
        assert_eq!(needed(&second), [true, true]);
        assert_eq!(old.hits(JWKS), 1);
        // One that is gone is asked no more: nobody holds its keys.
        let third = after(&second, &settings[..1]);
        drop((first, second));
        assert_eq!(third.status().len(), 1);
    });
}
