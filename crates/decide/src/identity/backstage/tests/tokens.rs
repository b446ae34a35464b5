//! Tokens against entries, with the keys of a small HTTP server in this process.

use std::time::SystemTime;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::Headers;

use super::*;
use crate::identity::keys::tests::origin::{JWKS, Origin};
use crate::identity::keys::tests::runtime;
use crate::identity::refusal::{ClaimFault as F, TokenRefusal as R};
use crate::identity::testing::*;
use crate::identity::{DEFAULT_CACHE_BYTES, Identified, Identity};

mod legacy;
mod limited;
mod plugins;
mod published;

const RAW: [&[u8]; 3] = [
    b"the first secret, of 32 bytes...",
    b"another secret that has 32 bytes",
    b"a secret nobody knows in 32 byte",
];

fn house(extra: Value, auth: Value) -> Identity<()> {
    let mut settings = json!({"backstage": {"backend": {"auth": auth}}});
    for (name, value) in extra.as_object().unwrap() {
        settings[name] = value.clone();
    }
    let settings = serde_json::from_value(settings).unwrap();
    let identity = Identity::new(&settings, DEFAULT_CACHE_BYTES, runtime().handle(), |_| ()).unwrap();
    runtime().block_on(identity.first_attempts());
    identity
}

fn entries(entries: Value) -> Identity<()> {
    house(json!({}), json!({ "externalAccess": entries }))
}

/// Id and tags, or why not; after waiting if need be.
fn ask_at(identity: &Identity<()>, token: &str, now: SystemTime) -> Result<String, R> {
    let value = format!("Bearer {token}");
    let mut headers = Headers::default();
    headers.push("authorization", value.as_bytes());
    let answer = match identity.identify(&headers, None, now) {
        Identified::NotYet(wanted) => {
            runtime().block_on(wanted.wait());
            identity.identify_at_hand(&headers, None, now)
        }
        answer => answer,
    };
    match answer {
        Identified::Verified(verified, _) => {
            let principal = verified.principal();
            assert_eq!(principal.kind, PrincipalKind::Robot);
            Ok(format!("{} {}", principal.id, shown(&principal.roles)))
        }
        Identified::Refused(refused) => Err(refused.reason),
        other => panic!("{other:?}"),
    }
}

fn ask(identity: &Identity<()>, token: &str) -> Result<String, R> {
    ask_at(identity, token, now())
}

fn secret(index: usize) -> String {
    STANDARD.encode(RAW[index])
}

fn legacy_entry(index: usize, subject: &str) -> Value {
    json!({"type": "legacy", "options": {"secret": secret(index), "subject": subject}})
}

/// A legacy token in the making: what Backstage's own library makes.
fn legacy() -> Token {
    let token = token(&KEYS.a_rsa)
        .head("alg", "HS256")
        .no_head("kid")
        .no_head("typ");
    [
        "iss",
        "aud",
        "iat",
        "jti",
        "typ",
        "azp",
        "sid",
        "preferred_username",
        "groups",
        "scope",
    ]
    .into_iter()
    .fold(token.claim("sub", "backstage-server"), Token::no_claim)
}

fn sign(token: &Token, index: usize) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, RAW[index]);
    token.signed(|message| hmac::sign(&key, message).as_ref().to_vec())
}

/// The reason inside, if no entry accepts the token.
fn inner(refusal: R) -> R {
    match refusal {
        R::NoEntry { reason, .. } => *reason,
        other => other,
    }
}

/// Rows B1, B3: what a static token is.
#[test]
fn static_tokens_are_who_they_are_configured_to_be() {
    let identity = entries(json!([
        restricted(json!([{"plugin": "catalog", "permission": "do.it"}])),
        fixed(json!({"token": "unlimited-static-token", "subject": "external:all"})),
    ]));
    assert_eq!(
        ask(&identity, TOKEN),
        Ok("backstage/ci catalog: permission=do.it action=*".to_owned())
    );
    assert_eq!(
        ask(&identity, "unlimited-static-token"),
        Ok("backstage/external:all *: permission=* action=*".to_owned())
    );
    for unknown in [
        "limited-static-toke",
        "limited-static-token1",
        "LIMITED-static-token",
        "x",
    ] {
        assert!(matches!(ask(&identity, unknown), Err(R::Unknown(_))), "{unknown}");
    }
}

fn jwks_entry(origin: &Origin, changes: Value) -> Value {
    let mut entry = jwks(json!({"url": format!("{}{JWKS}", origin.url()), "audience": OURS}));
    for (name, value) in changes.as_object().unwrap() {
        entry["options"][name] = value.clone();
    }
    entry
}

/// Row B21; the order among kinds of tokens does not matter here, each is of one kind.
#[test]
fn all_kinds_side_by_side() {
    let origin = Origin::new(&[KEYS.a_rsa.jwk()]);
    let mut list = [
        legacy_entry(0, "legacy-subject"),
        fixed(json!({"token": "defdefdef", "subject": "static-subject"})),
        jwks_entry(&origin, json!({"subjectPrefix": "custom-prefix"})),
    ];
    for entry in &mut list {
        entry["accessRestrictions"] = json!([{"plugin": "catalog", "permission": "catalog.entity.read"}]);
    }
    let identity = entries(json!(list));
    for (token, who) in [
        (sign(&legacy(), 0), "legacy-subject"),
        ("defdefdef".to_owned(), "static-subject"),
        (
            token(&KEYS.a_rsa).claim("sub", "jwks-subject").mint(),
            "external:custom-prefix:jwks-subject",
        ),
    ] {
        let expected = format!("backstage/{who} catalog: permission=catalog.entity.read action=*");
        assert_eq!(ask(&identity, &token), Ok(expected));
    }
    let status = identity.status();
    let [keys] = status.as_slice() else {
        panic!("{status:?}")
    };
    assert_eq!(
        (keys.name.as_str(), keys.ready, keys.keys),
        ("backstage/externalAccess/2", true, 1)
    );
}

/// An issuer's own token is judged by the issuer, however wide an entry is.
#[test]
fn issuers_are_asked_before() {
    let origin = Origin::new(&[KEYS.a_rsa.jwk()]);
    let url = origin.url();
    let issuers = json!([{"name": "main", "issuer": url, "audiences": ["elsewhere"]}]);
    let auth = json!({"externalAccess": [jwks_entry(&origin, json!({}))]});
    let identity = house(json!({ "issuers": issuers }), auth);
    let own = token(&KEYS.a_rsa).claim("iss", url).mint();
    assert!(matches!(ask(&identity, &own), Err(R::Audience(_))));
    assert!(ask(&identity, &token(&KEYS.a_rsa).mint()).is_ok());
    assert_eq!(identity.status().len(), 2);
}

#[test]
fn verdicts_end_with_the_token_and_with_its_keys() {
    let origin = Origin::new(&[KEYS.a_rsa.jwk()]);
    let identity = entries(json!([jwks_entry(&origin, json!({})), legacy_entry(0, "legacy")]));
    let by_keys = token(&KEYS.a_rsa).mint();
    let by_secret = sign(&legacy(), 0);
    for token in [&by_keys, &by_secret] {
        assert!(ask(&identity, token).is_ok());
        assert!(ask_at(&identity, token, at(NOW + 329)).is_ok());
        let late = ask_at(&identity, token, at(NOW + 330)).map_err(inner);
        assert!(matches!(late, Err(R::Expired { .. })), "{late:?}");
    }
    let (_, keys) = identity.keys().next().unwrap();
    keys.replace(
        crate::identity::jwks::KeySet::parse(&document(&[KEYS.mallory.jwk()]))
            .unwrap()
            .0,
    );
    let other = ask(&identity, &by_keys).map_err(inner);
    assert!(matches!(other, Err(R::Signature(_))), "{other:?}");
    assert!(ask(&identity, &by_secret).is_ok());
}

#[test]
fn an_actor_must_be_allowed_too() {
    let origin = Origin::new(&[KEYS.a_rsa.jwk()]);
    let identity = entries(json!([jwks_entry(&origin, json!({}))]));
    let minted = token(&KEYS.a_rsa).claim("act", json!({"sub": "agent"})).mint();
    let value = format!("Bearer {minted}");
    let mut headers = Headers::default();
    headers.push("authorization", value.as_bytes());
    match identity.identify(&headers, None, now()) {
        Identified::Verified(verified, _) => assert_eq!(verified.principal().actors[0].id, "backstage/agent"),
        other => panic!("{other:?}"),
    }
}

/// `token inspect` says which check it was.
#[test]
fn refusals_belong_to_their_checks() {
    use crate::identity::{Outcome, TokenCheck};
    let origin = Origin::new(&[KEYS.a_rsa.jwk()]);
    let options = json!({"issuer": ISSUER_A, "algorithm": "RS256", "claims": {"azp": "portal"}});
    let identity = entries(json!([legacy_entry(0, "legacy"), jwks_entry(&origin, options)]));
    let good = || token(&KEYS.a_rsa);
    for (token, expected) in [
        (good().mint(), None),
        (
            good().claim("iss", "https://x.test").mint(),
            Some(TokenCheck::Issuer),
        ),
        (token(&KEYS.a_ec).mint(), Some(TokenCheck::Algorithm)),
        (
            good().head("typ", "vnd.backstage.plugin").mint(),
            Some(TokenCheck::Type),
        ),
        (good().claim("azp", "other").mint(), Some(TokenCheck::Required)),
        (good().claim("aud", "other").mint(), Some(TokenCheck::Audience)),
        (good().claim("exp", 1).mint(), Some(TokenCheck::Times)),
        (token(&KEYS.mallory).mint(), Some(TokenCheck::Signature)),
        (sign(&legacy(), 0), None),
        (sign(&legacy().no_claim("exp"), 0), Some(TokenCheck::Times)),
        (sign(&legacy(), 1), Some(TokenCheck::Signature)),
    ] {
        let bearer = format!("Bearer {token}");
        let inspection = runtime().block_on(identity.inspect(bearer.as_bytes(), now()));
        let mut failed = inspection
            .steps
            .iter()
            .filter(|(_, outcome)| *outcome == Outcome::Failed);
        assert_eq!(
            failed.next().map(|(check, _)| *check),
            expected,
            "{:?}",
            inspection.refusal
        );
        assert_eq!(inspection.principal.is_some(), expected.is_none());
    }
}

/// In a cookie that an issuer's tokens may be in, these are nobody's.
#[test]
fn only_the_authorization_header_counts() {
    let issuers = json!([{
        "name": "main", "issuer": "http://127.0.0.1:9", "audiences": ["x"], "credentials": ["bearer", {"cookie": "session"}]
    }]);
    let auth = json!({"externalAccess": [fixed(json!({"token": TOKEN, "subject": "ci"})), legacy_entry(0, "legacy")]});
    let identity = house(json!({ "issuers": issuers }), auth);
    for (token, expected) in [
        (TOKEN.to_owned(), R::WrongPlace),
        (
            sign(&legacy(), 0),
            crate::identity::claims::fault("iss", F::Missing),
        ),
    ] {
        assert!(ask(&identity, &token).is_ok());
        let cookie = format!("session={token}");
        let mut headers = Headers::default();
        headers.push("cookie", cookie.as_bytes());
        match identity.identify(&headers, None, now()) {
            Identified::Refused(refused) => assert_eq!(refused.reason, expected),
            other => panic!("{other:?}"),
        }
    }
}

/// Also where nothing is configured for Backstage.
#[test]
fn tokens_of_plugins_are_named() {
    let nothing: Identity<()> = Identity::new(
        &IdentitySettings::default(),
        DEFAULT_CACHE_BYTES,
        runtime().handle(),
        |_| (),
    )
    .unwrap();
    let with_entries = entries(json!([
        legacy_entry(0, "x"),
        fixed(json!({"token": TOKEN, "subject": "ci"}))
    ]));
    for identity in [&nothing, &with_entries] {
        for (typ, expected) in [
            ("vnd.backstage.plugin", "a token of a Backstage plugin"),
            ("VND.Backstage.Plugin", "a token of a Backstage plugin"),
            (
                "application/vnd.backstage.plugin",
                "a token of a Backstage plugin",
            ),
            ("vnd.backstage.limited-user", "a limited user token of Backstage"),
            ("vnd.backstage.", "claim `iss` is missing"),
            ("vnd.backstage.new-kind", "claim `iss` is missing"),
        ] {
            let token = token(&KEYS.a_ec)
                .head("typ", typ)
                .no_claim("iss")
                .claim("sub", "scaffolder");
            let told = ask(identity, &token.mint()).unwrap_err().to_string();
            assert!(told.contains(expected), "{typ}: {told}");
        }
    }
}

/// Of an introspection endpoint, too: it must not get to see them.
#[test]
fn tokens_of_plugins_are_shown_to_nobody() {
    let introspection = json!([{
        "name": "opaque", "url": "http://127.0.0.1:9/introspect", "client_id": "c", "client_secret": "s", "audiences": ["x"]
    }]);
    let identity = house(json!({ "introspection": introspection }), json!({}));
    let token = token(&KEYS.a_ec)
        .head("typ", "vnd.backstage.plugin")
        .no_claim("iss");
    assert_eq!(ask(&identity, &token.mint()), Err(R::BackstagePlugin));
}
