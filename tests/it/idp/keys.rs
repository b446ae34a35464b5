//! Its keys while requests run: rotated, gone, and from the start slow or far too large.

use std::cell::Cell;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::join;
use portcullis::demo::http;

use super::provider::{Mood, OldKeys, Provider};
use super::{house, impatient_house, record_of};
use crate::house::{Front, until};

/// The status of a GET that the scope of the token allows, if the token is good.
///
/// Not by `Front::get`, which supposes that no other request is on its way.
pub(super) async fn status(front: &Front, token: &str) -> u16 {
    let headers = [
        ("host".to_owned(), "api.example.test".to_owned()),
        ("authorization".to_owned(), format!("Bearer {token}")),
    ];
    let answer = http::send(
        front.envoy.address(),
        "GET",
        "/catalogue/x",
        &headers,
        Bytes::new(),
    );
    answer.await.expect("an answer").status().as_u16()
}

/// Asks with these tokens, again and again, while something happens. Every one has to be accepted every time.
async fn all_along(front: &Front, tokens: &[String], happens: impl Future<Output = ()>) {
    let over = Cell::new(false);
    let asking = async {
        let mut asked = 0;
        for token in tokens.iter().cycle() {
            assert_eq!(status(front, token).await, 200, "request {asked}");
            asked += 1;
            if over.get() {
                break;
            }
        }
        asked
    };
    let happening = async {
        happens.await;
        over.set(true);
    };
    let (asked, ()) = join(asking, happening).await;
    assert!(asked > 10, "only {asked} requests were made meanwhile");
}

#[tokio::test]
async fn a_rotation_costs_one_fetch_and_no_request() {
    let Some(mut provider) = Provider::start().await else {
        return;
    };
    let Some((_house, front)) = house(&provider, &[]).await else {
        return;
    };
    let ready = Instant::now();
    let old = provider.client_tokens(20).await;
    let mut new = Vec::new();
    all_along(&front, &old, async {
        until("keys may be fetched again", async || {
            ready.elapsed() > Duration::from_millis(1500)
        })
        .await;
        assert_eq!(provider.fetches().await, 1, "all keys are known");
        provider.rotate(OldKeys::Kept).await;
        new = provider.client_tokens(20).await;
        for token in &new {
            assert_eq!(status(&front, token).await, 200, "from the first request on");
        }
        assert_eq!(provider.fetches().await, 2);
    })
    .await;

    // Withdrawn keys are forgotten as soon as the new ones are fetched.
    provider.rotate(OldKeys::Removed).await;
    let newest = provider.client_token("catalogue").await;
    until("the newest key is known", async || {
        status(&front, &newest).await == 200
    })
    .await;
    for token in old.iter().chain(&new) {
        assert_eq!(status(&front, token).await, 401);
    }
    assert_eq!(status(&front, &newest).await, 200);
}

#[tokio::test]
async fn an_outage_is_not_noticed_by_tokens_of_known_keys() {
    let Some(mut provider) = Provider::start().await else {
        return;
    };
    let Some((house, front)) = house(&provider, &[]).await else {
        return;
    };
    let seen = provider.client_tokens(5).await;
    for token in &seen {
        assert_eq!(status(&front, token).await, 200);
    }
    let unseen = provider.client_tokens(20).await;
    provider.rotate(OldKeys::Kept).await;
    let of_a_new_key = provider.client_token("catalogue").await;
    provider.set_mood(Mood::Gone).await;
    all_along(&front, &seen, async {
        until("the new key was asked for in vain", async || {
            assert_eq!(status(&front, &of_a_new_key).await, 401);
            house.readyz().await.1.contains("last fetch failed")
        })
        .await;
        for token in &unseen {
            assert_eq!(status(&front, token).await, 200, "its key is known");
        }
        assert_eq!(house.readyz().await.0, 200);
        provider.set_mood(Mood::Well).await;
        until("the new key is known", async || {
            status(&front, &of_a_new_key).await == 200
        })
        .await;
    })
    .await;
}

/// Until there are keys: not ready, no token accepted, no token blamed, and who has none is served as ever.
async fn starts_without_keys(mood: Mood, why: &str) {
    let Some(mut provider) = Provider::start().await else {
        return;
    };
    let token = provider.client_token("catalogue").await;
    provider.set_mood(mood).await;
    let Some((house, front)) = impatient_house(&provider).await else {
        return;
    };
    let got = front.get("/catalogue/x", &token).await;
    assert_eq!((got.status, got.seen.is_some()), (403, false), "{got:?}");
    assert_eq!(record_of(&house, &got)["reason"], "keys_unavailable");
    let public = front.send("GET", "/public/hello", &[], Bytes::new()).await;
    assert_eq!((public.status, public.seen.is_some()), (200, true), "{public:?}");
    until("readyz says why", async || {
        let (status, text) = house.readyz().await;
        assert_eq!(status, 503, "{text}");
        text.contains(why)
    })
    .await;
    provider.set_mood(Mood::Well).await;
    house.until_ready().await;
    assert_eq!(front.get("/catalogue/x", &token).await.status, 200);
}

#[tokio::test]
async fn a_provider_that_is_gone_at_the_start_is_waited_for() {
    starts_without_keys(Mood::Gone, "/.well-known/openid-configuration").await;
}

#[tokio::test]
async fn keys_that_come_too_slowly_are_given_up_and_asked_for_again() {
    starts_without_keys(Mood::Slow, "no answer within").await;
}

#[tokio::test]
async fn a_key_set_without_end_is_not_read_to_its_end() {
    starts_without_keys(Mood::Oversized, "sent more than").await;
}
