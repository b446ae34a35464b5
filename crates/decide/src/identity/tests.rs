//! Whole tokens against two issuers, row by row. The names of the rows are those of the attack catalogue.

use std::sync::LazyLock;
use std::time::SystemTime;

use aws_lc_rs::signature;
use model::Headers;
use serde_json::{Value, json};

use super::issuer::Issuer;
use super::jwks::KeySet;
use super::keys::tests::{holding, runtime};
use super::refusal::{ClaimFault as F, TokenRefusal as R};
use super::static_token::StaticTokens;
use super::testing::*;
use super::*;

pub(super) type Ours = Identity<String>;

/// Issuers A (all algorithms, trusted for roles) and B (ES256 only), with keys at hand and no network.
pub(super) fn ours() -> Ours {
    with_jwks(&jwks_a())
}

fn with_jwks(jwks: &[Value]) -> Ours {
    let mut a = settings("a", ISSUER_A);
    a.trust_roles = true;
    let mut b = settings("b", ISSUER_B);
    b.algorithms = Some(vec![Algorithm::Es256]);
    let issuers = [(a, jwks.to_vec()), (b, jwks_b())].map(|(settings, jwks)| {
        let (keys, _) = KeySet::parse(&document(&jwks)).unwrap();
        Verifier::Issuer(Box::new(Issuer::with_keys(&settings, holding(keys))))
    });
    Identity::with_verifiers(issuers.into(), DEFAULT_CACHE_BYTES, |principal| {
        principal.id.clone()
    })
}

static OURS_ONCE: LazyLock<Ours> = LazyLock::new(ours);

/// An identity of these [`IdentitySettings`]; A and B have their keys at hand.
fn of(settings: Value) -> Ours {
    let settings: IdentitySettings = serde_json::from_value(settings).unwrap();
    assert_eq!(validate(&settings), [], "{settings:?}");
    let statics = settings.static_tokens.iter().map(|settings| {
        let (tokens, proofs) = StaticTokens::new(settings);
        Verifier::Static(tokens, proofs)
    });
    let issuers = settings.issuers.iter().map(|issuer| match issuer.name.as_str() {
        "a" => published(issuer, &jwks_a()),
        "b" => published(issuer, &jwks_b()),
        _ => Verifier::Issuer(Box::new(Issuer::new(issuer, &Fetching::anew(runtime().handle())))),
    });
    let verifiers = statics.chain(issuers).collect();
    Identity::with_verifiers(verifiers, DEFAULT_CACHE_BYTES, |who| who.id.clone())
}

/// Issuer A with other settings.
fn under(changes: Value) -> IssuerSettings {
    let mut settings = json!({"name": "a", "issuer": ISSUER_A, "audiences": [OURS]});
    for (name, value) in changes.as_object().unwrap() {
        settings[name] = value.clone();
    }
    serde_json::from_value(settings).unwrap()
}

/// An identity of that one issuer, with these keys at hand.
fn with_keys(settings: &IssuerSettings, jwks: &[Value]) -> Ours {
    assert_eq!(
        settings::validate(std::slice::from_ref(settings)),
        [],
        "{settings:?}"
    );
    Identity::with_verifiers(vec![published(settings, jwks)], DEFAULT_CACHE_BYTES, |who| {
        who.id.clone()
    })
}

fn published(settings: &IssuerSettings, jwks: &[Value]) -> Verifier {
    let (keys, _) = KeySet::parse(&document(jwks)).unwrap();
    Verifier::Issuer(Box::new(Issuer::with_keys(settings, holding(keys))))
}

fn ask(identity: &Ours, token: &str, now: SystemTime) -> Identified<String> {
    let value = format!("Bearer {token}");
    let mut headers = Headers::default();
    headers.push("authorization", value.as_bytes());
    identity.identify(&headers, None, now)
}

fn ask_with(identity: &Ours, headers: &[(&str, &str)], query: Option<&str>) -> Identified<String> {
    let mut list = Headers::default();
    for (name, value) in headers {
        list.push(name, value.as_bytes());
    }
    identity.identify(&list, query, now())
}

/// What is expected: kind and id, `anonymous`, or how the refusal begins.
#[track_caller]
fn expect(id: &str, answer: &Identified<String>, expected: &str) {
    match answer {
        Identified::Anonymous => assert_eq!("anonymous", expected, "{id}"),
        Identified::Verified(verified, _) => {
            let who = verified.principal();
            assert_eq!(format!("{:?} {}", who.kind, who.id), expected, "{id}");
        }
        Identified::Refused(refused) => {
            let text = refused.to_string();
            assert!(
                !expected.is_empty() && text.starts_with(expected),
                "{id}: expected {expected}, got {text}"
            );
        }
        Identified::NotYet(_) => panic!("{id}: expected {expected}, but keys are missing"),
    }
}

enum Expect {
    Accept(&'static str),
    Refuse(&'static str, fn(&R) -> bool),
}

macro_rules! refused {
    ($pattern:pat) => {
        Expect::Refuse(stringify!($pattern), |refusal| matches!(refusal, $pattern))
    };
}

/// `Claim` with that name and fault.
macro_rules! bad_claim {
    ($name:literal, $fault:pat) => {
        refused!(R::Claim {
            name: $name,
            fault: $fault
        })
    };
}

fn user() -> Expect {
    Expect::Accept("a/user-1")
}

fn check(rows: impl IntoIterator<Item = (&'static str, String, Expect)>) {
    for (id, token, expect) in rows {
        match (ask(&OURS_ONCE, &token, now()), expect) {
            (Identified::Verified(v, _), Expect::Accept(who)) => {
                assert_eq!(v.principal().id, who, "{id}");
                assert_eq!(v.derived(), who, "{id}");
            }
            (Identified::Refused(r), Expect::Refuse(pattern, matches)) => {
                assert!(matches(&r.reason), "{id}: expected {pattern}, got {:?}", r.reason);
                let log = r.to_string();
                assert!(!log.chars().any(char::is_control), "{id}: {log:?}");
                assert!(
                    token.len() < 40 || !log.contains(&token[..40]),
                    "{id}: the token is in the log: {log}"
                );
            }
            (got, Expect::Accept(who)) => panic!("{id}: expected {who}, got {got:?}"),
            (got, Expect::Refuse(pattern, _)) => panic!("{id}: expected {pattern}, got {got:?}"),
        }
    }
}

fn good() -> Token {
    token(&KEYS.a_rsa)
}

mod actors;
mod catalogue;
mod clock;
mod demands;
mod fuzz;
mod mapping;
mod places;
mod shapes;
mod signing;
mod verifiers;

#[test]
fn honest() {
    let k = &*KEYS;
    let ps_by_plain = token(&k.a_plain)
        .head("alg", "PS256")
        .signed(|m| k.a_plain.sign_rsa(&signature::RSA_PSS_SHA256, m));
    check([
        ("control RS256", good().mint(), user()),
        ("control PS256", token(&k.a_ps).mint(), user()),
        ("control ES256", token(&k.a_ec).mint(), user()),
        ("control ES384", token(&k.a_ec384).mint(), user()),
        ("control EdDSA", token(&k.a_ed).mint(), user()),
        ("key without alg, RS256", token(&k.a_plain).mint(), user()),
        ("key without alg, PS256", ps_by_plain, user()),
        (
            "ok-b-es256",
            token(&k.b_ec).claim("iss", ISSUER_B).mint(),
            Expect::Accept("b/user-1"),
        ),
        (
            "ok-b-shared-kid",
            token(&k.b_shared).claim("iss", ISSUER_B).mint(),
            Expect::Accept("b/user-1"),
        ),
        ("shared-kid at A", token(&k.a_shared).mint(), user()),
        ("ok-typ-case", good().head("typ", "AT+JWT").mint(), user()),
        (
            "ok-typ-full",
            good().head("typ", "application/at+jwt").mint(),
            user(),
        ),
        ("typ absent", good().no_head("typ").mint(), user()),
        (
            "ok-aud-array",
            good().claim("aud", json!(["other", OURS])).mint(),
            user(),
        ),
        ("ok-aud-array1", good().claim("aud", json!([OURS])).mint(), user()),
        (
            "ok-exp-float",
            good().raw_member("exp", &format!("{NOW}.5")).mint(),
            user(),
        ),
        (
            "ok-exp-exponent",
            good().raw_member("exp", "1.9e9").mint(),
            user(),
        ),
        ("ok-exp-leeway", good().claim("exp", NOW - 5).mint(), user()),
        ("ok-nbf-past", good().claim("nbf", NOW - 60).mint(), user()),
        (
            "ok-unknown-claims",
            good().claim("x", json!({"y": [1, {"z": null}]})).mint(),
            user(),
        ),
        (
            "ok-unknown-header",
            good().head("x", json!({"y": 1})).mint(),
            user(),
        ),
        (
            "ok-utf8-sub",
            good().claim("sub", "j\u{fc}rgen-\u{65e5}").mint(),
            Expect::Accept("a/j\u{fc}rgen-\u{65e5}"),
        ),
        (
            "ok-jwk-ignored",
            good().head("jwk", k.mallory.jwk()).mint(),
            user(),
        ),
        (
            "sub-latin-fold",
            good().claim("sub", "a\u{10d}\u{10a}b").mint(),
            Expect::Accept("a/a\u{10d}\u{10a}b"),
        ),
        (
            "group-comma",
            good().claim("groups", json!(["dev,admin"])).mint(),
            user(),
        ),
    ]);
}

/// A forged token says nothing that would reach the principal.
#[test]
fn an_unverified_principal_is_never_made() {
    let keys = holding(KeySet::parse(&document(&jwks_a())).unwrap().0);
    let issuer = Issuer::with_keys(&settings("a", ISSUER_A), keys);
    let counting = Identity::with_verifiers(
        vec![Verifier::Issuer(Box::new(issuer))],
        DEFAULT_CACHE_BYTES,
        |principal| -> String { panic!("derived from {principal}") },
    );
    let forged = token(&KEYS.mallory).mint();
    assert!(matches!(ask(&counting, &forged, now()), Identified::Refused(_)));
}

#[test]
fn transport() {
    let minted = good().mint();
    let other = good().claim("sub", "admin").mint();
    let forged = token(&KEYS.mallory).mint();
    let check = |id: &str, headers: &[(&str, String)], expected: &str| {
        let mut list = Headers::default();
        for (name, value) in headers {
            list.push(name, value.as_bytes());
        }
        let got = match OURS_ONCE.identify(&list, None, now()) {
            Identified::Anonymous => "anonymous".to_owned(),
            Identified::Verified(v, _) => v.principal().id.clone(),
            Identified::Refused(_) => "refused".to_owned(),
            Identified::NotYet(_) => "needs keys".to_owned(),
        };
        assert_eq!(got, expected, "{id}");
    };
    let one = |value: String| [("authorization", value)];
    let two = |a: &str, b: &str| {
        [
            ("Authorization", format!("Bearer {a}")),
            ("authorization", format!("Bearer {b}")),
        ]
    };
    check("tp-bearer", &one(format!("Bearer {minted}")), "a/user-1");
    check("tp-lower", &one(format!("bearer {minted}")), "a/user-1");
    check("tp-upper", &one(format!("BEARER {minted}")), "a/user-1");
    check("tp-two-spaces", &one(format!("Bearer  {minted}")), "a/user-1");
    check("tp-trailing-space", &one(format!("Bearer {minted} ")), "a/user-1");
    check("tp-nospace", &one(format!("Bearer{minted}")), "refused");
    check("tp-bare", &one(minted.clone()), "refused");
    check("tp-basic", &one(format!("Basic {minted}")), "refused");
    check("tp-two-headers-same", &two(&minted, &minted), "refused");
    check("tp-two-headers-bad-good", &two(&forged, &minted), "refused");
    check("tp-two-subs", &two(&minted, &other), "refused");
    check(
        "tp-comma",
        &one(format!("Bearer {minted}, Bearer {other}")),
        "refused",
    );
    check("tp-comma-tail", &one(format!("Bearer {minted},")), "refused");
    check(
        "tp-basic-then-bearer",
        &one(format!("Basic eDp5, Bearer {minted}")),
        "refused",
    );
    // Not credentials: the caller is anonymous, and gets what anonymous callers get.
    check(
        "tp-underscore",
        &[("X_Authorization", format!("Bearer {minted}"))],
        "anonymous",
    );
    check(
        "tp-proxy-auth",
        &[("Proxy-Authorization", format!("Bearer {minted}"))],
        "anonymous",
    );
    check(
        "tp-xfwd-auth",
        &[("X-Forwarded-Authorization", format!("Bearer {minted}"))],
        "anonymous",
    );
    check("none", &[], "anonymous");
}

#[test]
fn a_verified_token_is_answered_from_the_cache_until_it_expires() {
    let ours = ours();
    let minted = good().claim("exp", NOW - 22).mint();
    let first = match ask(&ours, &minted, now()) {
        Identified::Verified(v, _) => v,
        other => panic!("sq-exp-1: {other:?}"),
    };
    match ask(&ours, &minted, at(NOW + 7)) {
        Identified::Verified(again, _) => assert!(Arc::ptr_eq(&first, &again), "verified twice"),
        other => panic!("sq-exp-1, again: {other:?}"),
    }
    for late in [8, 10, 3600] {
        let answer = ask(&ours, &minted, at(NOW + late));
        assert!(
            matches!(&answer, Identified::Refused(r) if matches!(r.reason, R::Expired { .. })),
            "sq-exp-2, {late} s later: {answer:?}"
        );
    }
}

#[test]
fn twins_of_a_cached_token_are_not_served_from_its_entry() {
    let minted = good().mint();
    check([
        ("sq-sig-1", minted.clone(), user()),
        (
            "sq-base64-3",
            format!("{minted}=="),
            refused!(R::Base64(Part::Signature)),
        ),
        (
            "sq-sig-4",
            format!("{}.", good().head("alg", "none").unsigned()),
            refused!(R::UnknownAlgorithm(_)),
        ),
        (
            "same claims, attacker's signature",
            token(&KEYS.mallory).mint(),
            refused!(R::Signature(_)),
        ),
        ("sq-claims-1", minted, user()),
        (
            "sq-claims-2",
            good().claim("sub", "user-2").mint(),
            Expect::Accept("a/user-2"),
        ),
        ("sq-rev-4", good().claim("jti", "onrtac:other").mint(), user()),
    ]);
}

#[test]
fn a_change_of_keys_ends_cached_verdicts() {
    let mut jwks = jwks_a();
    let ours = with_jwks(&jwks);
    let minted = good().mint();
    assert!(matches!(ask(&ours, &minted, now()), Identified::Verified(_, _)));
    let replace = |jwks: &[Value]| {
        let (_, keys) = ours.keys().next().unwrap();
        keys.replace(KeySet::parse(&document(jwks)).unwrap().0)
    };

    // Another key is added, and the verdict stands.
    let mut news = TestKey::new("a-next", Algorithm::Es256).jwk();
    jwks.push(news.clone());
    replace(&jwks);
    assert!(
        matches!(ask(&ours, &minted, now()), Identified::Verified(_, _)),
        "jwks-rotate-overlap"
    );

    // The key keeps its name and becomes another one.
    jwks[0] = KEYS.mallory.jwk();
    replace(&jwks);
    let answer = ask(&ours, &minted, now());
    assert!(
        matches!(&answer, Identified::Refused(r) if matches!(r.reason, R::Signature(_))),
        "{answer:?}"
    );

    // It is withdrawn.
    news["kid"] = "a-later".into();
    replace(&[news]);
    let answer = ask(&ours, &minted, now());
    assert!(
        matches!(&answer, Identified::Refused(r) if matches!(r.reason, R::UnknownKey { .. })),
        "{answer:?}"
    );
}

#[test]
fn without_keys_nothing_is_verified() {
    let _guard = runtime().enter();
    let stale = with_jwks(&jwks_a());
    let minted = good().mint();
    assert!(matches!(ask(&stale, &minted, now()), Identified::Verified(_, _)));
    stale.keys().next().unwrap().1.forget();
    let answer = ask(&stale, &minted, now());
    assert!(
        matches!(&answer, Identified::Refused(r) if r.is_for_want_of_keys()),
        "{answer:?}"
    );
    // The other issuer is not touched.
    let other = token(&KEYS.b_ec).claim("iss", ISSUER_B).mint();
    assert!(matches!(ask(&stale, &other, now()), Identified::Verified(_, _)));
    assert_eq!(
        stale
            .status()
            .iter()
            .map(|s| (s.ready, s.keys))
            .collect::<Vec<_>>(),
        [(false, 0), (true, 3)]
    );
}

#[test]
fn the_log_says_what_is_wrong() {
    let say = |token: String| match ask(&OURS_ONCE, &token, now()) {
        Identified::Refused(r) => r.to_string(),
        other => panic!("{other:?}"),
    };
    for (token, text) in [
        (
            good().claim("exp", NOW - 312).mint(),
            "issuer \"a\": the token expired 312 s ago (exp 1799999688, leeway 30 s)",
        ),
        (
            token(&KEYS.b_rsa).claim("iss", ISSUER_B).mint(),
            "issuer \"b\": RS256 is not among the algorithms of this issuer",
        ),
        (
            token(&KEYS.b_ec)
                .head("kid", "x\r\ny")
                .claim("iss", ISSUER_B)
                .mint(),
            "issuer \"b\": no key \"x\\r\\ny\" in the JWKS (keys: \"b-ec-1\", \"b-rsa-1\", \"shared-kid\")",
        ),
        (
            good().claim("iss", "https://c.test").mint(),
            "no issuer \"https://c.test\" is configured",
        ),
        (
            good().claim("aud", json!(["x", "y"])).mint(),
            "issuer \"a\": the token is for \"x\", \"y\", not for us",
        ),
        (
            good().claim("nbf", "soon").mint(),
            "issuer \"a\": claim `nbf` is not a number",
        ),
    ] {
        assert_eq!(say(token), text);
    }
    assert_eq!(
        Quoted::new(&"\u{e9}".repeat(500)).to_string().chars().count(),
        102
    );
}
