//! Whom an answer makes the bearer of its token.

use std::sync::Arc;

use model::Headers;

use super::*;
use crate::identity::refusal::Quoted;
use crate::identity::{DEFAULT_CACHE_BYTES, Identified, Identity, Verified};

fn house(server: &Server, changes: Value) -> Identity<()> {
    let mut one = json!({
        "name": "main", "url": server.url(), "client_id": "portcullis", "client_secret": SECRET, "audiences": ["ours"],
    });
    for (name, value) in changes.as_object().unwrap() {
        one[name] = value.clone();
    }
    let settings = serde_json::from_value(json!({ "introspection": [one] })).unwrap();
    Identity::new(&settings, DEFAULT_CACHE_BYTES, runtime().handle(), |_| ()).unwrap()
}

async fn identified(identity: &Identity<()>, now: SystemTime) -> Result<Arc<Verified<()>>, TokenRefusal> {
    let mut headers = Headers::default();
    headers.push("authorization", b"Bearer t");
    let answer = match identity.identify(&headers, None, now) {
        Identified::NotYet(wanted) => {
            wanted.wait().await;
            identity.identify_at_hand(&headers, None, now)
        }
        answer => answer,
    };
    match answer {
        Identified::Verified(verified, _) => Ok(verified),
        Identified::Refused(refused) => Err(refused.reason),
        other => panic!("{other:?}"),
    }
}

#[test]
fn people_clients_and_robots_are_told_apart() {
    let plain = || json!({});
    let otherwise = |kind: &str| json!({"claims": {"type": {"otherwise": kind}}});
    let typed = || json!({"claims": {"type": {"claim": "/acct/kind", "values": {"service": "Robot", "api": "Client"}}}});
    let places =
        || json!({"claims": {"groups": "/acct/teams", "roles": "/acct/roles", "entitlements": "ent"}});
    let of_type = |typ: &str| format!("{:?}", TokenRefusal::KeycloakType(Quoted::new(typ)));
    let nobody = || "Nobody".to_owned();
    let service = "service-account-portal";
    for (changes, claims, expected) in [
        (plain(), json!({"username": "alice"}), "User main/u-1".to_owned()),
        (
            plain(),
            json!({"preferred_username": "alice"}),
            "User main/u-1".to_owned(),
        ),
        (plain(), json!({"sid": "s-1"}), "User main/u-1".to_owned()),
        (plain(), json!({"auth_time": 1}), "User main/u-1".to_owned()),
        (
            plain(),
            json!({"family_name": "Smith"}),
            "User main/u-1".to_owned(),
        ),
        (plain(), json!({"sub": "portal"}), "Client main/portal".to_owned()),
        (
            plain(),
            json!({"sub": "portal", "groups": ["admins"]}),
            "Client main/portal".to_owned(),
        ),
        (plain(), json!({}), nobody()),
        (
            plain(),
            json!({"groups": ["admins"], "iss": "https://as.test"}),
            nobody(),
        ),
        (plain(), json!({"username": "portal"}), nobody()),
        (plain(), json!({"username": service}), "Robot main/u-1".to_owned()),
        (
            plain(),
            json!({"preferred_username": service}),
            "Robot main/u-1".to_owned(),
        ),
        (plain(), json!({"username": service, "sid": "s-1"}), nobody()),
        (
            plain(),
            json!({"username": "service-account-other"}),
            "User main/u-1".to_owned(),
        ),
        (otherwise("User"), json!({}), "User main/u-1".to_owned()),
        (otherwise("Robot"), json!({}), "Robot main/u-1".to_owned()),
        (
            otherwise("Robot"),
            json!({"sid": "s-1"}),
            "User main/u-1".to_owned(),
        ),
        (
            typed(),
            json!({"acct": {"kind": "service"}}),
            "Robot main/u-1".to_owned(),
        ),
        (
            typed(),
            json!({"acct": {"kind": "api"}, "sid": "s"}),
            "Client main/u-1".to_owned(),
        ),
        (
            typed(),
            json!({"acct": {"kind": "x"}, "sid": "s"}),
            format!(
                "{:?}",
                TokenRefusal::UnknownType {
                    claim: "/acct/kind".to_owned(),
                    value: Some(Quoted::new("x")),
                }
            ),
        ),
        (
            places(),
            json!({"sid": "s", "groups": ["no"], "acct": {"teams": ["a"], "roles": ["r"]},
                "ent": "urn:geant:as.test:group:b#as.test"}),
            "User main/u-1 a,urn:geant:as.test:group:b roles=r".to_owned(),
        ),
        // Roles count where the settings say that they are, and nowhere else.
        (
            plain(),
            json!({"sid": "s", "groups": ["a"], "resource_access": {"ws": {"roles": ["r"]}}}),
            "User main/u-1 a".to_owned(),
        ),
        (
            plain(),
            json!({"sid": "s", "typ": "Bearer"}),
            "User main/u-1".to_owned(),
        ),
        (plain(), json!({"sid": "s", "typ": "ID"}), of_type("ID")),
        (plain(), json!({"sid": "s", "typ": "id"}), of_type("id")),
        (plain(), json!({"sid": "s", "typ": "Refresh"}), of_type("Refresh")),
        (plain(), json!({"sid": "s", "typ": "REFRESH"}), of_type("REFRESH")),
        (plain(), json!({"sid": "s", "typ": "Offline"}), of_type("Offline")),
    ] {
        let row = format!("{changes} {claims}");
        run(async move {
            let server = Server::new().await;
            let mut answer = json!({
                "active": true, "sub": "u-1", "client_id": "portal", "aud": "ours", "exp": seconds_from_now(300.0),
            });
            for (name, value) in claims.as_object().unwrap() {
                answer[name] = value.clone();
            }
            server.answer("t", ok(answer.to_string()));
            let got = match identified(&house(&server, changes), SystemTime::now()).await {
                Ok(verified) => {
                    let principal = verified.principal();
                    let mut text = format!("{:?} {}", principal.kind, principal.id);
                    if !principal.groups.is_empty() {
                        text = format!("{text} {}", principal.groups.join(","));
                    }
                    for (name, set) in &principal.roles {
                        text = format!("{text} {name}={}", set.join(","));
                    }
                    text
                }
                Err(refusal) => format!("{refusal:?}"),
            };
            assert_eq!(got, expected, "{row}");
        });
    }
}

/// A revoked token must not live on because somebody set the clock back.
#[test]
fn an_answer_is_too_old_whatever_the_wall_clock_says() {
    run(async {
        let server = Server::new().await;
        server.answer(
            "t",
            ok(json!({"active": true, "sub": "u-1", "sid": "s-1", "aud": "ours"}).to_string()),
        );
        let identity = house(&server, json!({"cache_seconds": 1}));
        let now = SystemTime::now();
        assert!(identified(&identity, now).await.is_ok());
        server.answer("t", ok(r#"{"active":false}"#));
        let back = now - Duration::from_secs(3600);
        assert!(identified(&identity, back).await.is_ok());
        tokio::time::sleep(Duration::from_millis(1050)).await;
        assert_eq!(
            identified(&identity, back).await.err(),
            Some(TokenRefusal::Inactive)
        );
    });
}
