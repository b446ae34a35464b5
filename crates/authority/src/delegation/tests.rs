//! Tokens that are given, verified by somebody else's library with what is published.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use model::{Before, PrincipalKind, Revoked};
use serde_json::json;

use super::*;
use crate::Rotation;
use crate::keys::tests::{Kept, sealed};

fn house() -> House {
    House {
        name: "house".to_owned(),
        url: "https://gate.test".to_owned(),
    }
}

fn settings() -> DelegationSettings {
    serde_json::from_value(json!({"audiences": ["api"]})).unwrap()
}

fn grant() -> Grant {
    let names = |name: &str| vec![name.to_owned()];
    Grant {
        subject: Principal {
            name: Some("Alice".to_owned()),
            groups: names("staff"),
            roles: vec![("ws-alice".to_owned(), names("ws_access"))],
            claims: vec![("email".to_owned(), "a@test".to_owned())],
            actors: vec![Actor::new("main", "portal"), Actor::new("main", "jobs")],
            ..Principal::new(PrincipalKind::User, "main", "alice")
        },
        actor: Actor::new("main", "jobs"),
        holder: "Robot::\"main/jobs\"".to_owned(),
        act: json!({"sub": "jobs", "act": {"sub": "runner"}}),
        audiences: names("api"),
        scopes: vec!["openid".to_owned(), "read".to_owned()],
        workspaces: Some(names("ws-alice")),
        actions: None,
        lifetime_seconds: 600,
        origin: Origin {
            token_id: Some("u-1".to_owned()),
            issued_at: Some(1.5),
            client: Some("portal".to_owned()),
        },
        renews: None,
    }
}

fn renewal(of: &Minted, first: &Minted) -> Grant {
    Grant {
        renews: Some(Renewed {
            token_id: of.id.clone(),
            first_id: first.id.clone(),
            began_at: now(),
        }),
        ..grant()
    }
}

/// The claims, if a library that is not ours verifies the token with the published keys.
fn read(kept: &Kept, token: &str) -> Value {
    let header = decode_header(token).unwrap();
    assert_eq!(
        (header.alg, header.typ.as_deref()),
        (Algorithm::EdDSA, Some("at+jwt"))
    );
    let kid = header.kid.unwrap();
    let view = kept.view();
    let key = view.keys.iter().find(|key| key.kid == kid).unwrap();
    let key = DecodingKey::from_ed_components(&URL_SAFE_NO_PAD.encode(key.public)).unwrap();
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.set_audience(&["api"]);
    validation.set_issuer(&["https://gate.test"]);
    decode::<Value>(token, &key, &validation).unwrap().claims
}

#[tokio::test]
async fn others_can_verify_what_is_signed() {
    let kept = Kept::new();
    let authority = kept.open(&sealed("a")).await;
    let minted = authority.mint(&house(), &settings(), &grant()).await.unwrap();
    let mut claims = read(&kept, &minted.token);
    let times = ["iat", "nbf", "exp"].map(|name| claims[name].take().as_i64().unwrap());
    assert_eq!((times[0], times[2]), (times[1], minted.expires_at));
    assert_eq!(minted.expires_at - times[0], 600);
    let private = claims["portcullis"].take();
    let expected = json!({
        "iat": null, "nbf": null, "exp": null, "portcullis": null,
        "iss": "https://gate.test", "sub": "main/alice", "aud": "api", "jti": minted.id,
        "client_id": "jobs", "azp": "jobs", "scope": "openid read",
        "act": {"sub": "jobs", "act": {"sub": "runner"}},
    });
    assert_eq!(claims, expected);
    let expected = json!({
        "user": {"issuer": "main", "kind": "User", "subject": "alice", "name": "Alice", "groups": ["staff"],
            "roles": {"ws-alice": ["ws_access"]}, "claims": {"email": "a@test"}},
        "actors": [{"issuer": "main", "client": "jobs"}, {"issuer": "main", "client": "portal"}],
        "holder": "Robot::\"main/jobs\"", "workspaces": ["ws-alice"],
        "origin": {"jti": "u-1", "iat": 1.5, "client": "portal"},
        "chain": minted.id, "began": times[0],
    });
    assert_eq!(private, expected);
    authority
        .rotate_keys("ada", &[KeyUse::Tokens], Rotation::Now)
        .await
        .unwrap();
    read(&kept, &minted.token);
    let next = authority.mint(&house(), &settings(), &grant()).await.unwrap();
    let kid = |token: &str| decode_header(token).unwrap().kid;
    assert_ne!(kid(&minted.token), kid(&next.token));
    read(&kept, &next.token);
}

#[tokio::test]
async fn only_what_was_given_is_renewed() {
    let kept = Kept::new();
    let authority = kept.open(&sealed("a")).await;
    let first = authority.mint(&house(), &settings(), &grant()).await.unwrap();
    let second = authority
        .mint(&house(), &settings(), &renewal(&first, &first))
        .await
        .unwrap();
    assert_eq!(read(&kept, &second.token)["portcullis"]["chain"], json!(first.id));
    let third = authority
        .mint(&house(), &settings(), &renewal(&second, &first))
        .await
        .unwrap();
    type Change = fn(&mut Grant);
    let rows: [(&str, Change); 4] = [
        ("another actor", |grant| grant.actor = Actor::new("main", "other")),
        ("an actor of another issuer", |grant| {
            grant.actor = Actor::new("other", "jobs")
        }),
        ("another subject", |grant| {
            grant.subject.subject = "bob".to_owned()
        }),
        ("another chain", |grant| {
            grant.renews.as_mut().unwrap().first_id = "none".to_owned()
        }),
    ];
    for (name, change) in rows {
        let mut grant = renewal(&second, &first);
        change(&mut grant);
        let refused = authority.mint(&house(), &settings(), &grant).await;
        assert_eq!(refused.err(), Some(StoreError::NotFound), "{name}");
    }
    let page = Page {
        after: None,
        limit: 2,
    };
    let listed = authority
        .delegated_tokens(&page, Some("main/alice"))
        .await
        .unwrap();
    let ids: Vec<&str> = listed.items.iter().map(|token| &*token.id).collect();
    assert_eq!(ids, [&first.id, &second.id]);
    let page = Page {
        after: listed.next,
        limit: 2,
    };
    let rest = authority.delegated_tokens(&page, None).await.unwrap();
    assert_eq!(
        rest.items.iter().map(|token| &*token.id).collect::<Vec<_>>(),
        [&third.id]
    );
    assert_eq!(
        authority
            .delegated_tokens(&page, Some("main/bob"))
            .await
            .unwrap()
            .items,
        []
    );
}

#[tokio::test]
async fn what_is_too_long_or_too_much_is_not_written_down() {
    let kept = Kept::new();
    let authority = kept.open(&sealed("a")).await;
    let long = Grant {
        workspaces: Some(vec!["w".repeat(1000); 20]),
        ..grant()
    };
    let first = authority.mint(&house(), &settings(), &grant()).await.unwrap();
    let copies = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1) \
                  INSERT INTO delegated_tokens SELECT 'copy-' || $1 || '-' || i, first_id || $2, subject_type, \
                  subject_issuer, subject, subject_token_id, subject_issued_at, actor_issuer, actor, audiences, scopes, \
                  workspaces, actions, issued_at, expires_at, renewable_until FROM delegated_tokens, n WHERE id = $3";
    let rows = [
        (long, 0, "", "bytes, more than 16384"),
        (
            renewal(&first, &first),
            MOST_PER_CHAIN - 1,
            "",
            "renewed from the same one",
        ),
        (
            grant(),
            MOST_PER_HOLDER - MOST_PER_CHAIN,
            "-other",
            "of the same client",
        ),
    ];
    for (grant, others, chain, expected) in rows {
        if others > 0 {
            let copies = sqlx::query(copies)
                .bind(others)
                .bind(chain)
                .bind(first.id.as_str());
            authority.store.rows(copies).await.unwrap();
        }
        let before = authority.status().revision;
        let refused = authority.mint(&house(), &settings(), &grant).await;
        let refused = refused.err().unwrap().to_string();
        assert!(refused.contains(expected), "{refused}");
        assert_eq!(authority.status().revision, before, "{expected}");
    }
}

#[tokio::test]
async fn what_ends_one_ends_the_chain() {
    let kept = Kept::new();
    let authority = kept.open(&sealed("a")).await;
    let about = |minted: &Minted, first: &Minted| Principal {
        delegation: Some(Box::new(model::Delegation {
            issuer: "house".to_owned(),
            chain: first.id.clone(),
            began_at: now() as f64,
            ..model::Delegation::default()
        })),
        name: Some(minted.id.clone()),
        ..grant().subject
    };
    for by_id in [true, false] {
        let first = authority.mint(&house(), &settings(), &grant()).await.unwrap();
        let second = authority
            .mint(&house(), &settings(), &renewal(&first, &first))
            .await
            .unwrap();
        let third = authority
            .mint(&house(), &settings(), &renewal(&first, &first))
            .await
            .unwrap();
        let revoked = |minted: &Minted| {
            let principal = about(minted, &first);
            kept.view()
                .revocations
                .find(&principal, Some(&minted.id), Some(now() as f64))
                .is_some()
        };
        assert!(![&first, &second, &third].into_iter().any(revoked));
        let mut lifted = None;
        match by_id {
            true => authority
                .end_delegated_token("ada", "house", &second.id)
                .await
                .unwrap(),
            false => {
                let revocation = NewRevocation {
                    issuer: "house".to_owned(),
                    what: Revoked::Token(second.id.clone()),
                    before: Before::Ever,
                    reason: None,
                    expires_at: None,
                };
                lifted = Some(authority.revoke("ada", revocation).await.unwrap().id);
            }
        }
        assert!([&first, &second, &third].into_iter().all(revoked), "{by_id}");
        if let Some(id) = lifted {
            authority.lift("ada", &id).await.unwrap();
            assert!(![&first, &second, &third].into_iter().any(revoked));
        }
    }
    let none = authority.end_delegated_token("ada", "house", "none").await;
    assert_eq!(none, Err(StoreError::NotFound));
}

#[test]
fn settings_that_cannot_be_used_are_told_at_once() {
    let settings: DelegationSettings = serde_json::from_value(json!({
        "audiences": ["api", " blank"], "scopes": ["a b"], "default_lifetime_seconds": 0,
        "max_lifetime_seconds": 100_000, "max_total_seconds": 0, "renewal_grace_seconds": 100_000,
    }))
    .unwrap();
    let pointers: Vec<String> = settings.validate().into_iter().map(|flaw| flaw.pointer).collect();
    let expected = [
        "/audiences/1",
        "/scopes/0",
        "/max_lifetime_seconds",
        "/default_lifetime_seconds",
        "/max_total_seconds",
        "/renewal_grace_seconds",
    ];
    assert_eq!(pointers, expected);
    assert_eq!(super::tests::settings().validate(), []);
}
