use std::collections::HashMap;
use std::time::{Duration, Instant, UNIX_EPOCH};

use model::{Headers, HouseView, LocalUser};
use tokio::runtime::Runtime;

use super::*;
use crate::identity::{HouseIdentity, Identified, Identity, IdentitySettings, NetworkIdentity};

const TOKEN: &str = "0f9a3c1e-4b7d-4e21-9c55-7d6b0a2f1e34";
/// printf '\x0f\x9a\x3c\x1e\x4b\x7d\x4e\x21\x9c\x55\x7d\x6b\x0a\x2f\x1e\x34' | sha256sum
const DIGEST: &str = "e6db2eae2d6efdeb495048ddb3287a5438ae0e288cef11b83f1562693b42ad45";
const NOW: u64 = 1_800_000_000;

fn token(local_user: Option<(&str, &str)>) -> NetworkToken {
    NetworkToken {
        node: "node-b".to_owned(),
        remote_user: "bob".to_owned(),
        local_user: local_user.map(|(issuer, subject)| LocalUser {
            issuer: issuer.to_owned(),
            subject: subject.to_owned(),
        }),
        issued_at: NOW as i64 - 10,
        expires_at: NOW as i64 + 100,
    }
}

fn view(tokens: &[(&str, NetworkToken)]) -> HouseView {
    let tokens = tokens
        .iter()
        .map(|(digest, token)| (unhex(digest).unwrap(), token.clone()));
    let view = HouseView {
        network_tokens: Arc::new(tokens.collect::<HashMap<_, _>>()),
        ..HouseView::unknown()
    };
    view.confirmed(Instant::now(), Duration::from_secs(600))
}

/// An identity that knows network tokens; its runtime must live as long.
fn identity(in_query: bool) -> (Runtime, Identity<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let settings = IdentitySettings {
        house: Some(HouseIdentity {
            name: "house".to_owned(),
            issuer: "https://gate.test".to_owned(),
            network: Some(NetworkIdentity { in_query }),
            ..HouseIdentity::default()
        }),
        ..IdentitySettings::default()
    };
    let identity = Identity::new(&settings, 1 << 20, runtime.handle(), |_| ()).unwrap();
    (runtime, identity)
}

/// Who it is with the groups, or why it is refused.
fn ask(identity: &Identity<()>, authorization: Option<&str>, query: Option<&str>, at: u64) -> String {
    let mut headers = Headers::default();
    if let Some(value) = authorization {
        headers.push("authorization", value.as_bytes());
    }
    match identity.identify(&headers, query, UNIX_EPOCH + Duration::from_secs(at)) {
        Identified::Anonymous => "nobody".to_owned(),
        Identified::Verified(verified, _) => {
            let who = verified.principal();
            assert_eq!(verified.token_id(), Some(DIGEST));
            assert_eq!(verified.issued_at(), Some(NOW as f64 - 10.0));
            format!("{who} {}", who.groups.join(" ")).trim().to_owned()
        }
        Identified::Refused(refused) => refused.to_string(),
        Identified::NotYet(_) => "not yet".to_owned(),
    }
}

#[test]
fn whose_a_token_is() {
    let unmapped = "User::\"house/magpie_network_node-b\" magpie_network_node-b magpie_network";
    let (_runtime, plain) = identity(false);
    let (_other, with_query) = identity(true);
    let bearer = |token: &str| Some(format!("Bearer {token}"));
    let in_query = format!("a=b&magpie_token={TOKEN}");
    let alice = token(Some(("main", "alice")));
    for (known, authorization, query, at, expected) in [
        (token(None), bearer(TOKEN), None, NOW, unmapped),
        (alice.clone(), bearer(TOKEN), None, NOW, "User::\"main/alice\""),
        (
            alice.clone(),
            bearer(&TOKEN.to_uppercase()),
            None,
            NOW,
            "User::\"main/alice\"",
        ),
        (
            alice.clone(),
            bearer(TOKEN),
            None,
            NOW + 99,
            "User::\"main/alice\"",
        ),
        (alice.clone(), bearer(TOKEN), None, NOW + 100, "the token expired"),
        (
            alice.clone(),
            bearer("0f9a3c1e-4b7d-4e21-9c55-7d6b0a2f1e35"),
            None,
            NOW,
            "no network token",
        ),
        // Other spellings of the number are no tokens of ours.
        (
            alice.clone(),
            bearer(&TOKEN.replace('-', "")),
            None,
            NOW,
            "segments",
        ),
        (
            alice.clone(),
            bearer(&format!("{{{TOKEN}}}")),
            None,
            NOW,
            "segments",
        ),
        (
            alice.clone(),
            bearer(&format!("urn:uuid:{TOKEN}")),
            None,
            NOW,
            "segments",
        ),
        (
            alice.clone(),
            bearer("0f9a3c1-e4b7d-4e21-9c55-7d6b0a2f1e34"),
            None,
            NOW,
            "segments",
        ),
        (
            alice.clone(),
            bearer("gf9a3c1e-4b7d-4e21-9c55-7d6b0a2f1e34"),
            None,
            NOW,
            "segments",
        ),
        (
            alice.clone(),
            Some(format!("Basic {TOKEN}")),
            None,
            NOW,
            "Bearer scheme",
        ),
        (alice.clone(), None, Some(&*in_query), NOW, "nobody"),
    ] {
        plain.house().publish(view(&[(DIGEST, known)]));
        let found = ask(&plain, authorization.as_deref(), query, at);
        assert!(
            found.contains(expected),
            "{authorization:?}: {found} is not {expected}"
        );
    }
    with_query.house().publish(view(&[(DIGEST, alice)]));
    for (authorization, query, expected) in [
        (None, Some(&*in_query), "User::\"main/alice\""),
        (bearer(TOKEN), Some(&*in_query), "several credentials"),
        (None, Some("magpie_token=x"), "not a JWT"),
        (None, Some("a=b"), "nobody"),
    ] {
        let found = ask(&with_query, authorization.as_deref(), query, NOW);
        assert!(found.contains(expected), "{query:?}: {found} is not {expected}");
    }
}

#[test]
fn a_token_is_what_the_latest_view_says() {
    let (_runtime, identity) = identity(false);
    let bearer = format!("Bearer {TOKEN}");
    let other = "00".repeat(32);
    let expired = NetworkToken {
        expires_at: NOW as i64,
        ..token(None)
    };
    for (tokens, expected) in [
        (
            vec![(DIGEST, token(Some(("main", "alice"))))],
            "User::\"main/alice\"",
        ),
        (
            vec![(DIGEST, token(Some(("main", "carol"))))],
            "User::\"main/carol\"",
        ),
        (
            vec![(DIGEST, token(None))],
            "User::\"house/magpie_network_node-b\"",
        ),
        (
            vec![(DIGEST, token(Some(("other", "carol"))))],
            "User::\"other/carol\"",
        ),
        (vec![(DIGEST, expired)], "the token expired"),
        (
            vec![(DIGEST, token(None))],
            "User::\"house/magpie_network_node-b\"",
        ),
        // Replaced by another one.
        (vec![(&*other, token(None))], "no network token"),
        (vec![], "no network token"),
    ] {
        identity.house().publish(view(&tokens));
        let found = ask(&identity, Some(&bearer), None, NOW);
        assert!(found.contains(expected), "{tokens:?}: {found} is not {expected}");
    }
    // Nobody knows then: that is no fault of the token's.
    identity.house().publish(HouseView::unknown());
    let found = ask(&identity, Some(&bearer), None, NOW);
    assert!(found.contains("not at hand"), "{found}");
}
