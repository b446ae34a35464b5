//! Tokens of the house, row by row, with every way to make one that it did not issue.

use std::time::{Duration, Instant};

use model::Headers;
use serde_json::json;

use super::*;
use crate::identity::testing::{KEYS, NOW, Token, at, now, settings, token, unb64};
use crate::identity::{DEFAULT_CACHE_BYTES, Identified, Identity, ShownAs, Verifier, Waited};

const HOUSE: &str = "https://gate.test";
const MAIN: &str = "https://a.test/realms/one";

fn view(keys: &[&str]) -> HouseView {
    let public: [u8; 32] = unb64(KEYS.a_ed.jwk()["x"].as_str().unwrap()).try_into().unwrap();
    let keys = keys.iter().map(|kid| HouseKey {
        kid: (*kid).to_owned(),
        public,
    });
    let view = HouseView {
        keys: keys.collect(),
        ..HouseView::unknown()
    };
    view.confirmed(Instant::now(), Duration::from_secs(600))
}

/// Takes tokens of the house about users of `main`, whose roles count.
fn house() -> Identity<String> {
    let mut main = settings("main", MAIN);
    main.trust_roles = true;
    let all = IdentitySettings {
        issuers: vec![main],
        ..IdentitySettings::default()
    };
    let own = HouseIdentity {
        name: "house".to_owned(),
        issuer: HOUSE.to_owned(),
        audiences: vec!["portcullis".to_owned(), "other".to_owned()],
        renewal_grace_seconds: 60,
        network: None,
    };
    let house = Arc::new(House::new(view(&["a-ed-1"])));
    let verifier = Verifier::House(Box::new(HouseTokens::new(&own, &all, &house)));
    Identity {
        house,
        ..Identity::with_verifiers(vec![verifier], DEFAULT_CACHE_BYTES, |who: &Arc<Principal>| {
            who.id.clone()
        })
    }
}

fn private() -> Value {
    json!({
        "user": {"issuer": "main", "kind": "User", "subject": "alice", "name": "Alice", "groups": ["staff"],
            "roles": {"ws-alice": ["ws_access"]}, "claims": {"email": "alice@a.test"}},
        "actors": [{"issuer": "main", "client": "jobs"}],
        "holder": "Robot::\"main/jobs\"",
        "workspaces": ["ws-alice"],
        "actions": ["read"],
        "origin": {"jti": "u-1", "iat": 1_700_000_000, "client": "portal"},
        "chain": "d-1", "began": 1_799_999_000,
    })
}

/// A good one.
fn good() -> Token {
    let bare = ["typ", "azp", "sid", "preferred_username", "groups"];
    let token = token(&KEYS.a_ed)
        .head("typ", "at+jwt")
        .claim("iss", HOUSE)
        .claim("sub", "main/alice");
    let token = bare.into_iter().fold(token, Token::no_claim);
    token
        .claim("aud", "portcullis")
        .claim("jti", "d-2")
        .claim("client_id", "jobs")
        .claim("scope", "openid")
        .claim("portcullis", private())
}

fn with(pointer: &str, value: Value) -> Token {
    let mut claims = private();
    match value {
        Value::Null => {
            let (parent, name) = pointer.rsplit_once('/').unwrap();
            claims
                .pointer_mut(parent)
                .unwrap()
                .as_object_mut()
                .unwrap()
                .remove(name);
        }
        value => *claims.pointer_mut(pointer).unwrap() = value,
    }
    good().claim("portcullis", claims)
}

fn said(identity: &Identity<String>, token: &str, time: std::time::SystemTime) -> Result<Principal, String> {
    let bearer = format!("Bearer {token}");
    let mut headers = Headers::default();
    headers.push("authorization", bearer.as_bytes());
    match identity.identify(&headers, None, time) {
        Identified::Verified(verified, _) => Ok(verified.principal().clone()),
        Identified::Refused(refused) => Err(refused.to_string()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_good_one_is_the_user_with_an_actor_and_limits() {
    let principal = said(&house(), &good().mint(), now()).unwrap();
    assert_eq!(principal.to_string(), "User::\"main/alice\"");
    assert_eq!(principal.actors, [Actor::new("main", "jobs")]);
    assert_eq!(principal.client.as_deref(), Some("jobs"));
    assert_eq!(principal.groups, ["staff"]);
    assert_eq!(
        principal.roles,
        [("ws-alice".to_owned(), vec!["ws_access".to_owned()])]
    );
    assert_eq!(
        principal.claims,
        [("email".to_owned(), "alice@a.test".to_owned())]
    );
    let delegation = principal.delegation.unwrap();
    let expected = Delegation {
        issuer: "house".to_owned(),
        token_id: Some("u-1".to_owned()),
        issued_at: Some(1_700_000_000.0),
        client: Some("portal".to_owned()),
        chain: "d-1".to_owned(),
        began_at: 1_799_999_000.0,
        holder: "Robot::\"main/jobs\"".to_owned(),
        workspaces: Some(vec!["ws-alice".to_owned()]),
        actions: Some(vec!["read".to_owned()]),
    };
    assert_eq!(*delegation, expected);
}

#[test]
fn what_the_house_did_not_issue_like_that_is_refused() {
    let check = |name: &str, token: String, expected: &str| {
        let refused = said(&house(), &token, now()).expect_err(name);
        assert!(refused.contains(expected), "{name}: {refused}");
    };
    let rsa = |token: Token| {
        let token = token.head("alg", "RS256");
        token.signed(|bytes| KEYS.a_rsa.sign(bytes))
    };
    check(
        "alg none",
        good().head("alg", "none").mint(),
        "the algorithm \"none\" is not supported",
    );
    check(
        "HS256 by the public key",
        good().head("alg", "HS256").signed(|bytes| {
            let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &view(&["k"]).keys[0].public);
            aws_lc_rs::hmac::sign(&key, bytes).as_ref().to_vec()
        }),
        "HS256 is not among the algorithms",
    );
    check(
        "RS256 with our kid",
        rsa(good()),
        "RS256 is not among the algorithms",
    );
    check("another key", good().signed(|_| vec![0; 64]), "does not verify");
    check("another kid", good().head("kid", "old").mint(), "no key \"old\"");
    check("no kid", good().no_head("kid").mint(), "names no key");
    check(
        "an ID token",
        good().head("typ", "JWT").mint(),
        "is not an access token of this issuer",
    );
    check(
        "no type",
        good().no_head("typ").mint(),
        "is not an access token of this issuer",
    );
    check("a foreign iss", good().claim("iss", MAIN).mint(), "no issuer");
    check(
        "for others",
        good().claim("aud", "elsewhere").mint(),
        "not for us",
    );
    check("ended", good().claim("exp", NOW - 1).mint(), "expired");
    check("not yet", good().claim("nbf", NOW + 100).mint(), "starts in");
    check(
        "no jti, no chain",
        with("/chain", Value::Null).mint(),
        "`chain` is missing",
    );
    check(
        "bound",
        good().claim("cnf", json!({})).mint(),
        "bound to its sender",
    );
    check(
        "no private claim",
        good().no_claim("portcullis").mint(),
        "`portcullis` is missing",
    );
    check(
        "nobody acts",
        with("/actors", json!([])).mint(),
        "`actors` is missing",
    );
    check(
        "actors of no shape",
        with("/actors/0", json!("jobs")).mint(),
        "`actors` is not an object",
    );
    check(
        "nobody holds it",
        with("/holder", Value::Null).mint(),
        "`holder` is missing",
    );
    check(
        "an issuer that is gone",
        with("/user/issuer", json!("gone")).mint(),
        "no issuer of that name is configured",
    );
    check(
        "somebody else in sub",
        good().claim("sub", "main/bob").mint(),
        "is not the user whom the token is about",
    );
    check(
        "no such kind",
        with("/user/kind", json!("Anonymous")).mint(),
        "`kind` is not",
    );
    check(
        "limits of no shape",
        with("/workspaces", json!("ws-alice")).mint(),
        "`workspaces` is not an array",
    );
    check(
        "limits of no shape",
        with("/actions", json!([1])).mint(),
        "`actions` is not an array",
    );
}

#[test]
fn a_verdict_ends_with_the_key_and_with_the_view() {
    let identity = house();
    let token = good().mint();
    assert!(said(&identity, &token, now()).is_ok());
    identity.house().publish(view(&["new", "a-ed-1"]));
    assert!(said(&identity, &token, now()).is_ok());
    identity.house().publish(view(&["new"]));
    assert!(
        said(&identity, &token, now())
            .unwrap_err()
            .contains("no key \"a-ed-1\"")
    );
    identity.house().publish(view(&["a-ed-1"]));
    assert!(said(&identity, &token, now()).is_ok());
    identity.house().publish(HouseView::unknown());
    assert!(
        said(&identity, &token, now())
            .unwrap_err()
            .contains("keys are not at hand")
    );
}

#[test]
fn only_what_is_to_be_renewed_may_have_ended_a_while_ago() {
    let identity = house();
    let token = good().mint();
    let ended = |seconds: u64| at(NOW + 300 + seconds);
    let shown = |shown_as, time| identity.shown(&token, shown_as, time, Waited::Yes).is_ok();
    for (time, subject, actor) in [
        (now(), true, true),
        (ended(59), true, false),
        (ended(60), false, false),
    ] {
        assert_eq!(shown(ShownAs::Subject, time), subject, "{time:?}");
        assert_eq!(shown(ShownAs::Actor, time), actor, "{time:?}");
        assert_eq!(said(&identity, &token, time).is_ok(), actor, "{time:?}");
    }
}

#[test]
fn roles_count_while_the_issuer_is_trusted_for_them() {
    let all = IdentitySettings {
        issuers: vec![settings("main", MAIN)],
        ..IdentitySettings::default()
    };
    let own = HouseIdentity {
        name: "house".to_owned(),
        issuer: HOUSE.to_owned(),
        audiences: vec!["portcullis".to_owned()],
        renewal_grace_seconds: 60,
        network: None,
    };
    let house = Arc::new(House::new(view(&["a-ed-1"])));
    let verifier = Verifier::House(Box::new(HouseTokens::new(&own, &all, &house)));
    let identity = Identity {
        house,
        ..Identity::with_verifiers(vec![verifier], DEFAULT_CACHE_BYTES, |who: &Arc<Principal>| {
            who.id.clone()
        })
    };
    assert_eq!(said(&identity, &good().mint(), now()).unwrap().roles, []);
}
