use serde_json::{Value, json};

use super::*;
use crate::identity::refusal::ScopeFault;
use crate::identity::testing;

const SUBJECT: &str = "a1b98335";

/// A user's token with more claims; `null` takes one away.
fn token(more: &Value) -> Value {
    let mut claims =
        json!({"wlcg.ver": "1.0", "client_id": "edf", "scope": "openid", "jti": "j-1", "iat": 1});
    for (name, value) in more.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
        .as_object_mut()
        .unwrap()
        .retain(|_, value| !value.is_null());
    claims
}

fn read_below(base: &str, subject: &str, more: &Value) -> Result<Principal, TokenRefusal> {
    let settings = json!({"name": "cms", "profile": "wlcg", "base_path": base});
    testing::principal_of(Purpose::Unsaid, settings, subject, &token(more))
}

fn read_as(subject: &str, more: &Value) -> Result<Principal, TokenRefusal> {
    read_below("/", subject, more)
}

fn read(more: &Value) -> Result<Principal, TokenRefusal> {
    read_as(SUBJECT, more)
}

#[test]
fn a_user_with_groups() {
    let claims = json!({
        "wlcg.groups": ["/cms/uscms", "/cms/ALARM", "/cms"], "scope": "openid wlcg.groups", "azp": "edf",
        "preferred_username": "alice", "name": "Alice A."
    });
    assert_eq!(
        read(&claims),
        Ok(Principal {
            kind: PrincipalKind::User,
            id: "cms/a1b98335".to_owned(),
            issuer: "cms".to_owned(),
            subject: SUBJECT.to_owned(),
            name: Some("alice".to_owned()),
            client: Some("edf".to_owned()),
            groups: ["cms/uscms", "cms/ALARM", "cms"].map(str::to_owned).into(),
            scopes: ["openid", "wlcg.groups"].map(str::to_owned).into(),
            ..Principal::anonymous()
        })
    );
    assert_eq!(
        read(&json!({"name": "Alice A."})).unwrap().name.as_deref(),
        Some("Alice A.")
    );
}

#[test]
fn capabilities_put_groups_out_of_force() {
    for (what, scope, groups, granted) in [
        ("W3: groups only", "openid", "wlcg", ""),
        ("the scope that asked for them", "wlcg.groups", "wlcg", ""),
        ("a capability set is none", "wlcg.capabilityset:/wlcg", "wlcg", ""),
        ("a capability", "storage.read:/", "", "storage.read storage.stat"),
        (
            "W27: one for other services",
            "openid compute.create",
            "",
            "compute.create",
        ),
        ("one for other paths", "storage.read:/y", "", ""),
        ("one that is unknown here", "storage.list:/", "", ""),
    ] {
        let who = read(&json!({"wlcg.groups": ["/wlcg"], "scope": scope})).unwrap();
        assert_eq!(who.kind, PrincipalKind::User, "{what}");
        assert_eq!(who.groups.join(","), groups, "{what}");
        assert_eq!(
            who.capabilities.at("/x").names().collect::<Vec<_>>().join(" "),
            granted,
            "{what}"
        );
    }
}

#[test]
fn the_base_of_the_issuer_is_in_front_of_every_path() {
    let who = read_below("/vo", SUBJECT, &json!({"scope": "storage.read:/"})).unwrap();
    assert!(who.capabilities.at("/f").is_empty());
    assert!(!who.capabilities.at("/vo/f").is_empty());
}

#[test]
fn kinds() {
    use PrincipalKind::{Client, Robot, User};
    let host = "host:ce.example.test";
    for (what, subject, claims, kind) in [
        (
            "W35: a client",
            "edf",
            json!({"scope": "compute.create wlcg.groups"}),
            Some(Client),
        ),
        (
            "a client by azp",
            "edf",
            json!({"client_id": null, "azp": "edf"}),
            Some(Client),
        ),
        (
            "a client does not become a user",
            "edf",
            json!({"auth_time": 5, "acr": "x"}),
            Some(Client),
        ),
        (
            "a host",
            host,
            json!({"client_id": host, "scope": "host.auth"}),
            Some(Robot),
        ),
        (
            "a host, client unsaid",
            host,
            json!({"client_id": null, "scope": "openid host.auth"}),
            Some(Robot),
        ),
        (
            "a host for another client",
            host,
            json!({"scope": "host.auth"}),
            Some(Robot),
        ),
        ("a host without its scope", host, json!({}), None),
        ("the same, logged in", host, json!({"auth_time": 5}), None),
        (
            "a client with a host's name",
            host,
            json!({"client_id": host}),
            Some(Client),
        ),
        (
            "the scope without a host",
            SUBJECT,
            json!({"scope": "host.auth"}),
            Some(User),
        ),
        (
            "a longer scope",
            host,
            json!({"scope": "host.auth:x host.authx"}),
            None,
        ),
        (
            "another case",
            "HOST:x",
            json!({"scope": "host.auth", "client_id": null}),
            None,
        ),
        ("a user by client_id", SUBJECT, json!({}), Some(User)),
        (
            "azp is not enough",
            SUBJECT,
            json!({"client_id": null, "azp": "edf"}),
            None,
        ),
        (
            "a user by auth_time",
            SUBJECT,
            json!({"client_id": null, "auth_time": 5}),
            Some(User),
        ),
        (
            "a user by sid",
            SUBJECT,
            json!({"client_id": null, "sid": "s"}),
            Some(User),
        ),
        (
            "a user by acr",
            SUBJECT,
            json!({"client_id": null, "acr": "https://refeds.org/profile/mfa"}),
            Some(User),
        ),
        (
            "a user by assurance",
            SUBJECT,
            json!({"client_id": null, "eduperson_assurance": ["https://refeds.org/assurance/IAP/high"]}),
            Some(User),
        ),
        (
            "by one assurance",
            SUBJECT,
            json!({"client_id": null, "eduperson_assurance": "x"}),
            Some(User),
        ),
        (
            "no assurance",
            SUBJECT,
            json!({"client_id": null, "eduperson_assurance": []}),
            None,
        ),
        ("nobody", SUBJECT, json!({"client_id": null}), None),
        (
            "nobody with capabilities",
            SUBJECT,
            json!({"client_id": null, "scope": "storage.read:/"}),
            None,
        ),
    ] {
        let who = read_as(subject, &claims);
        assert_eq!(
            who.map(|who| who.kind),
            kind.ok_or(TokenRefusal::Nobody),
            "{what}"
        );
    }
}

#[test]
fn only_users_have_groups() {
    for (subject, claims) in [
        ("edf", json!({"wlcg.groups": ["/cms"]})),
        ("host:x", json!({"wlcg.groups": ["/cms"], "scope": "host.auth"})),
    ] {
        assert_eq!(read_as(subject, &claims).unwrap().groups, [""; 0], "{subject}");
    }
}

#[test]
fn versions() {
    for (version, accepted) in [
        ("1.0", true),
        ("1.7", true),
        ("1.99999999999999999999", true),
        ("2.0", false),
        ("0.9", false),
        ("10.0", false),
        ("01.0", false),
        ("1", false),
        ("1.", false),
        (".0", false),
        ("1.0.0", false),
        ("1.x", false),
        ("1.\u{0661}", false),
        ("1,0", false),
        (" 1.0", false),
        ("1.0 ", false),
        ("-1.0", false),
        ("", false),
    ] {
        let refusal = TokenRefusal::ProfileVersion {
            name: "wlcg.ver",
            found: Quoted::new(version),
            known: "`1.<number>`",
        };
        let expected = if accepted { None } else { Some(refusal) };
        assert_eq!(read(&json!({"wlcg.ver": version})).err(), expected, "{version:?}");
    }
}

#[test]
fn group_names() {
    let bad = fault(
        "wlcg.groups",
        ClaimFault::Not("an array of groups like `/vo/group`"),
    );
    for (groups, expected) in [
        (json!([]), Ok("")),
        (json!(["/cms"]), Ok("cms")),
        (json!(["/cms/uscms"]), Ok("cms/uscms")),
        (json!(["/b", "/a", "/b"]), Ok("b,a")),
        (json!(["/9a/x_y.z-1"]), Ok("9a/x_y.z-1")),
        (json!(["cms"]), Err(bad.clone())),
        (json!(["/"]), Err(bad.clone())),
        (json!(["/cms/"]), Err(bad.clone())),
        (json!(["//cms"]), Err(bad.clone())),
        (json!(["/cms//x"]), Err(bad.clone())),
        (json!(["/cms/../atlas"]), Err(bad.clone())),
        (json!(["/.cms"]), Err(bad.clone())),
        (json!(["/cms/-x"]), Err(bad.clone())),
        (json!(["/cms x"]), Err(bad.clone())),
        (json!(["/cms/Role=pilot"]), Err(bad.clone())),
        (json!(["/cm\u{15b}"]), Err(bad.clone())),
        (json!(["/cms", ""]), Err(fault("wlcg.groups", ClaimFault::Empty))),
        (
            json!("/cms"),
            Err(fault("wlcg.groups", ClaimFault::Not("an array of strings"))),
        ),
        (
            json!(["/cms", 1]),
            Err(fault("wlcg.groups", ClaimFault::Not("an array of strings"))),
        ),
    ] {
        let read = read(&json!({"wlcg.groups": groups})).map(|who| who.groups.join(","));
        assert_eq!(read.as_deref(), expected.as_ref().copied(), "{groups}");
    }
    // Even those that would be of no use.
    let out_of_force = json!({"wlcg.groups": ["cms"], "scope": "compute.read"});
    assert_eq!(read(&out_of_force), Err(bad));
}

#[test]
fn refused() {
    for (claims, expected) in [
        (json!({"nonce": "n"}), TokenRefusal::IdToken("nonce")),
        (json!({"at_hash": "x"}), TokenRefusal::IdToken("at_hash")),
        (
            json!({"client_id": null, "scope": null, "wlcg.groups": ["/cms"], "auth_time": 5, "azp": "edf"}),
            TokenRefusal::NotAnAccessToken,
        ),
        (json!({"wlcg.ver": null}), missing("wlcg.ver")),
        (
            json!({"wlcg.ver": 1.0}),
            fault("wlcg.ver", ClaimFault::Not("a string")),
        ),
        (
            json!({"azp": "other"}),
            fault("azp", ClaimFault::Not("the same as `client_id`")),
        ),
        (
            json!({"scope": ["openid"]}),
            fault("scope", ClaimFault::Not("a string")),
        ),
        (
            json!({"scope": "openid storage.read"}),
            TokenRefusal::Scope {
                scope: Quoted::new("storage.read"),
                fault: ScopeFault::NoPath,
            },
        ),
        (
            json!({"auth_time": "5"}),
            fault("auth_time", ClaimFault::Not("a number")),
        ),
        (
            json!({"eduperson_assurance": 1}),
            fault("eduperson_assurance", ClaimFault::Not("an array of strings")),
        ),
        (json!({"name": 1}), fault("name", ClaimFault::Not("a string"))),
    ] {
        assert_eq!(read(&claims), Err(expected), "{claims}");
    }
}

#[test]
fn what_the_profile_demands_of_registered_claims() {
    let not_ascii = TokenRefusal::ProfileClaim {
        name: "sub",
        fault: ClaimFault::Not("at most 255 ASCII characters"),
    };
    for (what, subject, changes, expected) in [
        ("longest subject", "s".repeat(255), json!({}), None),
        ("longer", "s".repeat(256), json!({}), Some(not_ascii.clone())),
        ("not ASCII", "\u{e4}".to_owned(), json!({}), Some(not_ascii)),
        (
            "jti",
            SUBJECT.to_owned(),
            json!({"jti": null}),
            Some(missing("jti")),
        ),
        (
            "iat",
            SUBJECT.to_owned(),
            json!({"iat": null}),
            Some(missing("iat")),
        ),
    ] {
        assert_eq!(read_as(&subject, &changes).err(), expected, "{what}");
    }
}
