use serde_json::{Value, json};

use super::*;
use crate::identity::claims::fault;
use crate::identity::refusal::ScopeFault;
use crate::identity::testing;

/// A token of `bob` with more claims; `null` takes one away.
fn read(more: &Value) -> Result<Principal, TokenRefusal> {
    let mut claims = json!({"ver": "scitoken:2.0", "nbf": 5, "scope": "read:/data"});
    for (name, value) in more.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
        .as_object_mut()
        .unwrap()
        .retain(|_, value| !value.is_null());
    let settings = json!({"name": "osg", "profile": "scitokens", "base_path": "/base"});
    testing::principal(settings, "bob", &claims)
}

#[test]
fn a_token_that_speaks_by_its_capabilities() {
    let who = read(&json!({"scope": "read:/data write:/data/bob", "wlcg.groups": ["/cms"], "groups": ["x"]}))
        .unwrap();
    let at = |path: &str| who.capabilities.at(path).names().collect::<Vec<_>>().join(" ");
    assert_eq!(at("/base/data/x"), "storage.read storage.stat");
    assert_eq!(
        at("/base/data/bob/x"),
        "storage.read storage.create storage.modify storage.stat"
    );
    assert_eq!(at("/data/x"), "");
    assert_eq!(
        Principal {
            capabilities: Default::default(),
            ..who
        },
        Principal {
            scopes: ["read:/data", "write:/data/bob"].map(str::to_owned).into(),
            ..Principal::new(PrincipalKind::Client, "osg", "bob")
        }
    );
}

#[test]
fn kinds() {
    use PrincipalKind::{Client, User};
    for (what, claims, kind) in [
        ("capabilities only", json!({}), Some(Client)),
        ("jobs only", json!({"scope": "condor:/READ"}), Some(Client)),
        ("a client", json!({"client_id": "bob"}), Some(Client)),
        (
            "a client by azp",
            json!({"azp": "bob", "scope": "openid"}),
            Some(Client),
        ),
        (
            "a user of a client",
            json!({"client_id": "portal", "scope": "openid"}),
            Some(User),
        ),
        ("the same by azp", json!({"azp": "portal"}), Some(User)),
        ("logged in", json!({"auth_time": 5}), Some(User)),
        ("with a session", json!({"sid": "s", "scope": ""}), Some(User)),
        ("nothing but a name", json!({"scope": "openid"}), None),
        ("no scopes", json!({"scope": ""}), None),
    ] {
        let who = read(&claims);
        assert!(
            who.iter()
                .all(|who| who.groups.is_empty() && who.roles.is_empty()),
            "{what}"
        );
        assert_eq!(
            who.map(|who| who.kind),
            kind.ok_or(TokenRefusal::Nobody),
            "{what}"
        );
    }
}

#[test]
fn versions() {
    for (version, accepted) in [
        ("scitoken:2.0", true),
        ("scitokens:2.0", true),
        ("scitoken:2.13", true),
        ("scitoken:1.0", false),
        ("scitokens:1.0", false),
        ("scitoken:2", false),
        ("scitoken:2.", false),
        ("scitoken:2.x", false),
        ("scitoken:2.0.0", false),
        ("scitoken:3.0", false),
        ("scitoken:20.0", false),
        ("SciToken:2.0", false),
        ("scitokenss:2.0", false),
        ("2.0", false),
        ("", false),
    ] {
        let refusal = TokenRefusal::ProfileVersion {
            name: "ver",
            found: Quoted::new(version),
            known: "`scitoken:2.<number>`",
        };
        let expected = if accepted { None } else { Some(refusal) };
        assert_eq!(read(&json!({"ver": version})).err(), expected, "{version:?}");
    }
}

#[test]
fn refused() {
    for (claims, expected) in [
        (json!({"ver": null}), missing("ver")),
        (json!({"ver": 2.0}), fault("ver", ClaimFault::Not("a string"))),
        (json!({"nbf": null}), missing("nbf")),
        (json!({"nbf": "5"}), fault("nbf", ClaimFault::Not("a number"))),
        (json!({"scope": null}), missing("scope")),
        (json!({"scope": null, "scp": ["read:/"]}), missing("scope")),
        (
            json!({"scope": ["read:/"]}),
            fault("scope", ClaimFault::Not("a string")),
        ),
        (
            json!({"client_id": "a", "azp": "b"}),
            fault("azp", ClaimFault::Not("the same as `client_id`")),
        ),
        (
            json!({"scope": "read:/data storage.read"}),
            TokenRefusal::Scope {
                scope: Quoted::new("storage.read"),
                fault: ScopeFault::NoPath,
            },
        ),
    ] {
        assert_eq!(read(&claims), Err(expected), "{claims}");
    }
}
