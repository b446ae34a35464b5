//! A revocation through the API counts for the next request at the door, and no longer when it is lifted.

use std::time::{SystemTime, UNIX_EPOCH};

use portcullis::demo::people;
use serde_json::{Value, json};

use super::{administrator, ask, house};
use crate::house::TestHouse;

const TARGET: &str = "/workspaces/ws-alice";

/// Whether the bearer passes, and why not.
async fn passes(house: &TestHouse, token: &str) -> Result<(), String> {
    let answer = house
        .ask("GET", TARGET, &[("authorization", &format!("Bearer {token}"))])
        .await;
    if answer.allowed {
        Ok(())
    } else {
        Err(answer.reason)
    }
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.expect("a clock").as_secs()
}

fn rfc3339(seconds: u64) -> Value {
    let time = proto::google::protobuf::Timestamp {
        seconds: i64::try_from(seconds).expect("a time"),
        nanos: 0,
    };
    json!(proto::rfc3339::text(&time))
}

#[tokio::test]
async fn each_kind_counts_at_once_until_it_is_lifted() {
    let house = house().await;
    let administrator = administrator(&house);
    let begun = now();
    let minted = |issued_at: u64, id: &str| {
        let mut claims = people::alice_claims();
        claims["iat"] = issued_at.into();
        claims["jti"] = id.into();
        house.issuer.token(claims)
    };
    let (old, new) = (minted(begun - 100, "onrtac:old"), minted(begun, "onrtac:new"));
    let before = rfc3339(begun - 50);
    // What is revoked, and whether the old and the new token still count then.
    for (what, old_counts, new_counts) in [
        (json!({ "kind": "token", "value": "onrtac:old" }), false, true),
        (
            json!({ "kind": "token", "value": "onrtac:new", "expires_at": rfc3339(begun + 600) }),
            true,
            false,
        ),
        (json!({ "kind": "token", "value": "onrtac:other" }), true, true),
        (json!({ "kind": "subject", "value": people::ALICE }), false, false),
        (
            json!({ "kind": "subject", "value": people::ALICE, "issued_before": before }),
            false,
            true,
        ),
        (
            json!({ "kind": "subject", "value": people::ADMIN, "issued_before": before }),
            true,
            true,
        ),
        (
            json!({ "kind": "client", "value": "workspace-api", "issued_before": before }),
            false,
            true,
        ),
        (json!({ "kind": "client", "value": "portal-backend" }), true, true),
        (json!({ "kind": "issuer", "issued_before": before }), false, true),
    ] {
        assert_eq!(passes(&house, &old).await, Ok(()), "before {what}");
        assert_eq!(passes(&house, &new).await, Ok(()), "before {what}");
        let mut asked = what.clone();
        asked["issuer"] = json!("main");
        let made = ask(&house, Some(&administrator), ("POST", "/revocations"), &asked).await;
        assert_eq!(made.status, 201, "{what}: {made:?}");
        for (member, value) in asked.as_object().expect("an object") {
            assert_eq!(made.body[member], *value, "{made:?}");
        }
        for (token, counts) in [(&old, old_counts), (&new, new_counts)] {
            let expected = if counts { Ok(()) } else { Err("revoked".to_owned()) };
            assert_eq!(passes(&house, token).await, expected, "{what}");
        }
        let path = format!("/revocations/{}", made.body["id"].as_str().expect("an id"));
        let shown = ask(&house, Some(&administrator), ("GET", &path), &Value::Null).await;
        assert_eq!(shown.body, made.body, "{what}");
        let lifted = ask(&house, Some(&administrator), ("DELETE", &path), &Value::Null).await;
        assert_eq!(lifted.status, 204, "{lifted:?}");
    }
    assert_eq!(passes(&house, &old).await, Ok(()));
}

#[tokio::test]
async fn an_issuer_is_found_by_what_its_tokens_say() {
    let house = house().await;
    let administrator = administrator(&house);
    let asked = json!({ "issuer_url": house.issuer.issuer(), "kind": "subject", "value": people::ALICE });
    let made = ask(&house, Some(&administrator), ("POST", "/revocations"), &asked).await;
    assert_eq!(
        (made.status, &made.body["issuer"]),
        (201, &json!("main")),
        "{made:?}"
    );
    let alice = people::alice(&house.issuer).token;
    assert_eq!(passes(&house, &alice).await, Err("revoked".to_owned()));
}

#[tokio::test]
async fn an_administrator_who_is_revoked_is_none_any_more() {
    let house = house().await;
    let administrator = administrator(&house);
    let asked = json!({ "issuer": "main", "kind": "subject", "value": people::ADMIN });
    let made = ask(&house, Some(&administrator), ("POST", "/revocations"), &asked).await;
    assert_eq!(made.status, 201, "{made:?}");
    let next = ask(
        &house,
        Some(&administrator),
        ("GET", "/revocations"),
        &Value::Null,
    )
    .await;
    assert_eq!(next.status, 401, "{next:?}");
    assert_eq!(house.last_record()["reason"], "revoked");
}
