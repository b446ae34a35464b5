//! Its opaque access tokens: it is asked about them (RFC 7662), as one of its clients.

use std::cell::Cell;

use futures_util::future::{join, join_all};
use portcullis::demo::envoy::{EnvoyOptions, OnError};

use super::keys::status;
use super::provider::{Mood, Provider};
use super::tokens::log_in;
use super::{record_of, trusting};
use crate::house::{Front, TestHouse, until};

/// As many questions as may be under way.
const MOST: u64 = 8;
/// As many of them as may be about tokens that were not known to be good.
const MOST_JUNK: u64 = 6;

const ALICE_READS_HERS: &str = r#"
@id("alice-reads-hers")
permit (principal == User::"opaque/alice", action in Action::"read", resource is Workspace)
when { resource.workspace == "ws-alice" && context.scopes.contains("workspaces") };
"#;

/// The settings of the provider's endpoint.
pub(super) fn asking(provider: &Provider, cache_seconds: u64) -> String {
    format!(
        "
introspection:
  - name: opaque
    url: {issuer}/token/introspection
    issuer: {issuer}
    client_id: portcullis
    client_secret: 'a secret: 100% +/=&'
    audiences: [workspace-api]
    claims: {{ type: {{ otherwise: User }} }}
    cache_seconds: {cache_seconds}
    max_in_flight: {MOST}
    timeout_seconds: 30
",
        issuer = provider.issuer()
    )
}

/// A house that believes the provider's JWTs and asks it about all other tokens, behind Envoy.
async fn house(provider: &Provider, cache_seconds: u64) -> Option<(TestHouse, Front)> {
    let trusting = trusting(provider);
    let asking = asking(provider, cache_seconds);
    let policies = [("alice.cedar", ALICE_READS_HERS)];
    let house = TestHouse::with(|text| trusting(text) + &asking, &policies).await;
    let front = house.envoy(|options| options).await?;
    Some((house, front))
}

#[tokio::test]
async fn an_opaque_token_is_what_its_provider_says_it_is() {
    let Some(mut provider) = Provider::start().await else {
        return;
    };
    let Some((house, front)) = house(&provider, 60).await else {
        return;
    };
    // Who issued a JWT is known: nobody has to be asked about it.
    let jwt = provider.client_token("catalogue").await;
    let forged = format!("{}AAAA", &jwt[..jwt.len() - 4]);
    for (token, status) in [(&jwt, 200), (&forged, 401)] {
        assert_eq!(front.get("/catalogue/x", token).await.status, status);
    }
    assert_eq!(provider.asked().await.in_all, 0, "JWTs of the issuer were shown");

    let client = provider.token_of("gleaner", "catalogue").await;
    let modest = provider.token_of("gleaner", "workspaces").await;
    let foreign = provider.token_of("stranger", "catalogue").await;
    let alice = log_in(&provider, "kiosk", "alice", "").await;
    let bob = log_in(&provider, "kiosk", "bob", "").await;
    assert!(
        !client.contains('.') && !alice.access.contains('.'),
        "they are JWTs"
    );
    let rows = [
        (&client, "/catalogue/x", 200, "permitted", ""),
        (&client, "/workspaces/ws-alice", 403, "no_permit", ""),
        (&modest, "/catalogue/x", 403, "no_permit", ""),
        (&alice.access, "/workspaces/ws-alice", 200, "permitted", ""),
        (&alice.access, "/workspaces/ws-bob", 403, "no_permit", ""),
        (&bob.access, "/workspaces/ws-alice", 403, "no_permit", ""),
        (&foreign, "/public/hello", 401, "credential_refused", "not for us"),
        (
            &"r4nd0m-and-unknown".to_owned(),
            "/public/hello",
            401,
            "credential_refused",
            "not active",
        ),
        // A JWT of the issuer: no endpoint is asked about it.
        (
            &alice.id,
            "/public/hello",
            401,
            "credential_refused",
            "not for us",
        ),
    ];
    for (row, (token, target, status, reason, why)) in rows.into_iter().enumerate() {
        let got = front.get(target, token).await;
        assert_eq!(
            (got.status, got.seen.is_some()),
            (status, status == 200),
            "row {row}: {got:?}"
        );
        let record = record_of(&house, &got);
        assert_eq!(record["reason"], reason, "row {row}: {record}");
        let said = record["why"].as_str().unwrap_or_default();
        assert!(said.contains(why), "row {row}: {record}");
        assert!(
            !record.to_string().contains(token.as_str()),
            "row {row}: {record}"
        );
    }
    for (token, target, principal, kind, client) in [
        (&client, "/catalogue/x", "opaque/gleaner", "Client", "gleaner"),
        (
            &alice.access,
            "/workspaces/ws-alice",
            "opaque/alice",
            "User",
            "kiosk",
        ),
    ] {
        let got = front.get(target, token).await;
        for (header, value) in [
            ("x-auth-principal", principal),
            ("x-auth-type", kind),
            ("x-auth-client", client),
        ] {
            assert_eq!(got.at_upstream(header), [value], "{header}");
        }
    }
    assert_eq!(
        provider.asked().await.in_all,
        6,
        "one question for each opaque token"
    );
}

#[tokio::test]
async fn a_revoked_token_works_for_as_long_as_an_answer_is_believed() {
    let Some(mut provider) = Provider::start().await else {
        return;
    };
    let Some((_house, front)) = house(&provider, 1).await else {
        return;
    };
    let token = provider.token_of("gleaner", "catalogue").await;
    let other = provider.token_of("gleaner", "catalogue").await;
    assert_eq!(status(&front, &token).await, 200);
    provider.revoke("gleaner", &token).await;
    until("the revoked token is refused", async || {
        status(&front, &token).await == 401
    })
    .await;
    assert_eq!(status(&front, &other).await, 200, "nobody revoked this one");
    // Without anybody to ask, what was answered counts no longer than it would have counted.
    provider.set_mood(Mood::Gone).await;
    until("nothing vouches for the token any more", async || {
        status(&front, &other).await == 403
    })
    .await;
    provider.set_mood(Mood::Well).await;
    until("the token is good again", async || {
        status(&front, &other).await == 200
    })
    .await;
    assert_eq!(status(&front, &token).await, 401, "revoked is revoked");
}

#[tokio::test]
async fn while_nobody_can_be_asked_tokens_that_are_known_still_work() {
    let Some(mut provider) = Provider::start().await else {
        return;
    };
    let Some((house, front)) = house(&provider, 600).await else {
        return;
    };
    let known = provider.token_of("gleaner", "catalogue").await;
    let unknown = provider.token_of("gleaner", "catalogue").await;
    assert_eq!(status(&front, &known).await, 200);
    provider.set_mood(Mood::Gone).await;
    for target in ["/catalogue/x", "/public/hello"] {
        let got = front.get(target, &unknown).await;
        assert_eq!((got.status, got.seen.is_some()), (403, false), "{got:?}");
        assert_eq!(got.header("www-authenticate"), None, "the token is not to blame");
        assert_eq!(record_of(&house, &got)["reason"], "keys_unavailable");
    }
    assert_eq!(status(&front, &known).await, 200);
    assert_eq!(house.readyz().await.0, 200);
    provider.set_mood(Mood::Well).await;
    until("the provider is asked again", async || {
        status(&front, &unknown).await == 200
    })
    .await;
    assert_eq!(status(&front, &known).await, 200);
}

/// The wait for an answer ends before Envoy's patience does: with an open failure mode a timeout would be a yes.
#[tokio::test]
async fn an_endpoint_that_never_answers_does_not_open_the_gate() {
    let Some(mut provider) = Provider::start().await else {
        return;
    };
    let (trusting, asking) = (trusting(&provider), asking(&provider, 60));
    let house = TestHouse::with(|text| trusting(text) + &asking, &[]).await;
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
    let token = provider.token_of("gleaner", "catalogue").await;
    provider.set_mood(Mood::Mute).await;
    let statuses = join_all((0..5).map(|_| status(&front, &token))).await;
    assert_eq!((statuses, front.echo.requests()), (vec![403; 5], 0));
    let record = house.memory.last().expect("a record");
    assert_eq!(record["reason"], "keys_unavailable", "{record}");
    assert_eq!(provider.asked().await.under_way, 1, "one question for five");
    provider.set_mood(Mood::Well).await;
    until("the answer is there", async || {
        status(&front, &token).await == 200
    })
    .await;
    assert_eq!(provider.asked().await.in_all, 1);
}

#[tokio::test]
async fn a_flood_of_junk_keeps_nobody_out_who_is_known() {
    let Some(mut provider) = Provider::start().await else {
        return;
    };
    let Some((_house, front)) = house(&provider, 600).await else {
        return;
    };
    let mut honest = Vec::new();
    for _ in 0..5 {
        honest.push(provider.token_of("gleaner", "catalogue").await);
    }
    for token in &honest {
        assert_eq!(status(&front, token).await, 200);
    }
    let before = provider.asked().await;
    assert_eq!((before.in_all, before.under_way), (5, 0));

    // The provider says nothing meanwhile, so that all that can be under way is under way.
    provider.set_mood(Mood::Mute).await;
    let answered = Cell::new(0);
    let (front, count) = (&front, &answered);
    let junk = (0..300).map(|number| async move {
        let status = status(front, &format!("junk-token-number-{number}")).await;
        count.set(count.get() + 1);
        status
    });
    let meanwhile = async {
        let mut rounds = 0;
        until("all that cannot be asked about are answered", async || {
            rounds += 1;
            for token in &honest {
                assert_eq!(status(front, token).await, 200, "round {rounds}");
            }
            rounds > 10 && count.get() >= 300 - MOST_JUNK
        })
        .await;
        let asked = provider.asked().await;
        assert_eq!(
            (asked.under_way, asked.in_all),
            (MOST_JUNK, 5 + MOST_JUNK),
            "{asked:?}"
        );
        provider.set_mood(Mood::Well).await;
    };
    let (statuses, ()) = join(join_all(junk), meanwhile).await;
    let refused = |with: u16| statuses.iter().filter(|status| **status == with).count() as u64;
    assert_eq!(refused(401) + refused(403), 300, "{statuses:?}");
    assert!(refused(403) >= 300 - MOST_JUNK, "{statuses:?}");
    assert_eq!(provider.asked().await.most_under_way, MOST_JUNK);
    let fresh = provider.token_of("gleaner", "catalogue").await;
    assert_eq!(status(front, &fresh).await, 200, "the flood is over");
}
