//! The issuer's keys while Envoy asks: rotated, gone, late.

use portcullis::demo::envoy::{EnvoyOptions, HeaderForm, OnError};
use portcullis::demo::issuer::{Answer, OldKey};
use portcullis::demo::keys::KeyKind;
use portcullis::demo::people;

use super::{ask, front, record_of, token};
use crate::house::{Front, TestHouse, until};

/// An issuer may be asked once a second instead of once in ten.
fn impatient(text: String) -> String {
    let name = "  - name: main ";
    assert!(text.contains(name));
    text.replacen(
        name,
        &format!("  - min_refresh_interval_seconds: 1\n    {}", &name[4..]),
        1,
    )
}

async fn status(front: &Front, token: &str) -> u16 {
    let got = front.get("/workspaces/ws-alice", token).await;
    assert_eq!(got.seen.is_some(), got.status == 200, "{got:?}");
    got.status
}

#[tokio::test]
async fn the_last_good_keys_outlive_their_issuer() {
    let mut house = TestHouse::with(impatient, &[]).await;
    let Some(front) = front(&house, HeaderForm::Joined).await else {
        return;
    };
    let known = token(&house, "alice").expect("a token");
    assert_eq!(status(&front, &known).await, 200);
    house.issuer.stop().await;
    house.issuer.rotate(OldKey::Kept).expect("a key");
    let of_an_unknown_key = token(&house, "alice").expect("a token");
    until("its keys were asked for in vain", async || {
        assert_eq!(status(&front, &of_an_unknown_key).await, 401);
        house.readyz().await.1.contains("last fetch failed")
    })
    .await;
    assert_eq!(status(&front, &known).await, 200, "known");
    for kind in [KeyKind::Ps256, KeyKind::Es256, KeyKind::Es384, KeyKind::EdDsa] {
        let new = house.issuer.token_by(kind, people::alice_claims());
        assert_eq!(status(&front, &new).await, 200, "new, {kind:?}");
    }
    assert_eq!(house.readyz().await.0, 200);
    house.issuer.restart().await.expect("the same port");
    until("the new key is known", async || {
        status(&front, &of_an_unknown_key).await == 200
    })
    .await;
}

#[tokio::test]
async fn a_new_key_costs_one_fetch_and_a_withdrawn_one_is_forgotten() {
    for (old, old_status) in [(OldKey::Kept, 200), (OldKey::Removed, 401)] {
        let house = TestHouse::with(impatient, &[]).await;
        let Some(front) = front(&house, HeaderForm::Joined).await else {
            return;
        };
        let by_old_key = token(&house, "alice").expect("a token");
        assert_eq!(
            (status(&front, &by_old_key).await, house.issuer.fetches()),
            (200, 1)
        );
        house.issuer.rotate(old).expect("a key");
        let by_new_key: Vec<String> = (0..20).filter_map(|_| token(&house, "alice")).collect();
        until("tokens of the new key are accepted", async || {
            status(&front, &by_new_key[0]).await == 200
        })
        .await;
        for token in &by_new_key {
            assert_eq!(status(&front, token).await, 200, "{old:?}");
        }
        assert_eq!(status(&front, &by_old_key).await, old_status, "{old:?}");
        let forged = ask(&house, &front, "forged", "GET", "/public/hello").await;
        assert_eq!(forged.status, 401, "{old:?}");
        assert_eq!(house.issuer.fetches(), 2, "{old:?}");
    }
}

#[tokio::test]
async fn without_keys_tokens_wait_and_nobody_else() {
    let house = TestHouse::without_keys(Answer::Unavailable, impatient).await;
    let Some(front) = front(&house, HeaderForm::Joined).await else {
        return;
    };
    assert_eq!(house.readyz().await.0, 503);
    for (who, target, status, reason) in [
        ("alice", "/workspaces/ws-alice", 403, "keys_unavailable"),
        ("alice", "/public/hello", 403, "keys_unavailable"),
        ("forged", "/workspaces/ws-alice", 403, "keys_unavailable"),
        // What is wrong without looking at a signature is wrong without keys, too.
        ("expired", "/workspaces/ws-alice", 401, "credential_refused"),
        ("wrong-issuer", "/workspaces/ws-alice", 401, "credential_refused"),
        ("nobody", "/workspaces/ws-alice", 401, "credential_missing"),
        ("nobody", "/public/hello", 200, "permitted"),
    ] {
        let got = ask(&house, &front, who, "GET", target).await;
        assert_eq!(
            (got.status, got.seen.is_some()),
            (status, status == 200),
            "{who} {target}"
        );
        assert_eq!(record_of(&house, &got)["reason"], reason, "{who} {target}");
        assert_eq!(
            got.header("www-authenticate").is_some(),
            status == 401,
            "{who} {target}"
        );
    }
    assert_eq!(house.readyz().await.0, 503);
    house.issuer.set_answer(Answer::Keys);
    house.until_ready().await;
    let got = ask(&house, &front, "alice", "GET", "/workspaces/ws-alice").await;
    assert_eq!(got.status, 200);
}

/// The wait for keys ends before Envoy's patience does: with an open failure mode a timeout would be a yes.
#[tokio::test]
async fn an_issuer_that_never_answers_does_not_open_the_gate() {
    let house = TestHouse::without_keys(Answer::Never, impatient).await;
    // Long enough for a busy machine to answer in the last fifth of it.
    let timeout = std::time::Duration::from_secs(3);
    let front = house
        .envoy(|options| EnvoyOptions {
            on_error: OnError::Allow,
            timeout,
            ..options
        })
        .await;
    let Some(front) = front else { return };
    let got = ask(&house, &front, "alice", "GET", "/workspaces/ws-alice").await;
    assert_eq!((got.status, got.seen.is_some()), (403, false), "{got:?}");
    assert_eq!(record_of(&house, &got)["reason"], "keys_unavailable");
}
