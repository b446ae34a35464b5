use serde_json::{Value, json};

use super::*;
use crate::identity::claims::fault;
use crate::identity::refusal::ClaimFault;
use crate::identity::testing;

/// Kind, client, groups and scopes of the principal of an `at+jwt`, or the refusal.
fn read(claims: &Value) -> Result<String, TokenRefusal> {
    read_as(Purpose::Access, claims)
}

fn read_as(purpose: Purpose, claims: &Value) -> Result<String, TokenRefusal> {
    let settings = json!({"profile": "oidc"});
    testing::principal_of(purpose, settings, "s-1", claims).map(|who| {
        assert_eq!((who.id.as_str(), who.issuer.as_str()), ("main/s-1", "main"));
        assert!(who.roles.is_empty());
        format!(
            "{:?} {:?} {:?} {:?}",
            who.kind, who.client, who.groups, who.scopes
        )
    })
}

#[test]
fn users_and_clients() {
    for (claims, expected) in [
        (json!({}), "User None [] []"),
        (
            json!({"client_id": "app", "scope": "openid read"}),
            "User Some(\"app\") [] [\"openid\", \"read\"]",
        ),
        (
            json!({"azp": "app", "groups": ["/a", "b,c"]}),
            "User Some(\"app\") [\"/a\", \"b,c\"] []",
        ),
        (
            json!({"client_id": "app", "azp": "app"}),
            "User Some(\"app\") [] []",
        ),
        (json!({"client_id": "s-1"}), "Client Some(\"s-1\") [] []"),
        (
            json!({"azp": "s-1", "groups": ["admins"]}),
            "Client Some(\"s-1\") [] []",
        ),
        // What Keycloak would call a robot is nobody special here.
        (
            json!({"azp": "app", "preferred_username": "service-account-app"}),
            "User Some(\"app\") [] []",
        ),
    ] {
        assert_eq!(read(&claims).as_deref(), Ok(expected), "{claims}");
    }
}

#[test]
fn refused() {
    let id_token = TokenRefusal::IdToken;
    for (claims, expected) in [
        (json!({"nonce": "n"}), id_token("nonce")),
        (json!({"at_hash": null}), id_token("at_hash")),
        (json!({"c_hash": "x"}), id_token("c_hash")),
        (json!({"s_hash": "x"}), id_token("s_hash")),
        (
            json!({"client_id": "a", "azp": "b"}),
            fault("azp", ClaimFault::Not("the same as `client_id`")),
        ),
        (
            json!({"client_id": 1}),
            fault("client_id", ClaimFault::Not("a string")),
        ),
        (json!({"azp": ""}), fault("azp", ClaimFault::Empty)),
        (
            json!({"groups": "admins"}),
            fault("groups", ClaimFault::Not("an array of strings")),
        ),
        (json!({"groups": ["a\nb"]}), fault("groups", ClaimFault::Control)),
        (
            json!({"scope": ["a"]}),
            fault("scope", ClaimFault::Not("a string")),
        ),
    ] {
        assert_eq!(read(&claims), Err(expected), "{claims}");
    }
}

#[test]
fn what_nothing_marks_as_an_access_token_may_be_an_id_token() {
    for (claims, accepted) in [
        (json!({}), false),
        (json!({"azp": "app"}), false),
        (
            json!({"preferred_username": "alice", "groups": ["admins"]}),
            false,
        ),
        (json!({"client_id": "app"}), true),
        (json!({"scope": "read"}), true),
        (json!({"scp": ["read"]}), true),
    ] {
        let read = read_as(Purpose::Unsaid, &claims);
        assert_eq!(read.is_ok(), accepted, "{claims}");
        if !accepted {
            assert_eq!(read, Err(TokenRefusal::NotAnAccessToken), "{claims}");
        }
        assert!(read_as(Purpose::Access, &claims).is_ok(), "{claims}");
    }
}
