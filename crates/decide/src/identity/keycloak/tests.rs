use serde_json::{Value, json};

use super::*;
use crate::identity::testing;

/// Whether roles count.
#[derive(Clone, Copy)]
enum RoleTrust {
    Trusted,
    Ignored,
}

fn read(claims: &Value, trust: RoleTrust) -> Result<Principal, TokenRefusal> {
    let trusted = matches!(trust, RoleTrust::Trusted);
    testing::principal(json!({"trust_roles": trusted}), "7d2f", claims)
}

fn with(mut claims: Value, more: Value) -> Value {
    for (name, value) in more.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

#[test]
fn a_user_of_keycloak() {
    let claims = json!({
        "typ": "Bearer", "azp": "portal", "sid": "s-1", "preferred_username": "alice", "scope": "openid  roles",
        "groups": ["/ws-alice", "ws-bob", "/a/b"], "realm_access": {"roles": ["x"]},
        "resource_access": {"ws-alice": {"roles": ["ws_access", "ws_admin"]}, "account": {"roles": []}, "odd": {}}
    });
    let mut user = read(&claims, RoleTrust::Trusted).unwrap();
    user.roles.sort();
    assert_eq!(
        user,
        Principal {
            kind: PrincipalKind::User,
            id: "main/7d2f".to_owned(),
            issuer: "main".to_owned(),
            subject: "7d2f".to_owned(),
            name: Some("alice".to_owned()),
            client: Some("portal".to_owned()),
            groups: ["ws-alice", "ws-bob", "a/b"].map(str::to_owned).into(),
            roles: vec![
                ("account".to_owned(), vec![]),
                ("odd".to_owned(), vec![]),
                (
                    "ws-alice".to_owned(),
                    vec!["ws_access".to_owned(), "ws_admin".to_owned()]
                ),
            ],
            scopes: vec!["openid".to_owned(), "roles".to_owned()],
            ..Principal::anonymous()
        }
    );
    let untrusted = read(&claims, RoleTrust::Ignored).unwrap();
    assert_eq!(untrusted.roles, []);
    assert_eq!(untrusted.groups, user.groups);
}

#[test]
fn kinds() {
    let robot = json!({"typ": "Bearer", "azp": "CI-Bot", "preferred_username": "service-account-ci-bot"});
    let client = json!({"typ": "Bearer", "azp": "7d2f"});
    let bare = json!({"typ": "Bearer", "azp": "portal"});
    use PrincipalKind::{Client, Robot, User};
    for (id, claims, kind) in [
        ("robot without session", robot.clone(), Some(Robot)),
        (
            "robot by client_id",
            with(robot.clone(), json!({"client_id": "CI-Bot", "sid": "s"})),
            Some(Robot),
        ),
        (
            "robot by clientId",
            with(robot.clone(), json!({"clientId": "CI-Bot", "sid": "s"})),
            Some(Robot),
        ),
        (
            "robot by grant",
            with(robot.clone(), json!({"jti": "trrtcc:1", "sid": "s"})),
            Some(Robot),
        ),
        // Whoever may choose a name may choose this one.
        (
            "a person with such a name",
            with(robot.clone(), json!({"sid": "s"})),
            Some(User),
        ),
        (
            "the same, by auth_time",
            with(robot.clone(), json!({"auth_time": 5})),
            Some(User),
        ),
        (
            "the same, other grant",
            with(robot.clone(), json!({"jti": "onrtac:1", "sid": "s"})),
            Some(User),
        ),
        (
            "the same, grant forged",
            with(robot.clone(), json!({"jti": "xcc:1", "sid": "s"})),
            Some(User),
        ),
        (
            "the same, no colon",
            with(robot.clone(), json!({"jti": "trrtcc", "sid": "s"})),
            Some(User),
        ),
        (
            "the same, client_id of another",
            with(robot.clone(), json!({"client_id": "ci-bot", "sid": "s"})),
            Some(User),
        ),
        (
            "not of this client",
            with(robot.clone(), json!({"azp": "other"})),
            None,
        ),
        (
            "not of this client, logged in",
            with(robot.clone(), json!({"azp": "other", "sid": "s"})),
            Some(User),
        ),
        (
            "name not in lower case",
            with(
                robot.clone(),
                json!({"preferred_username": "service-account-CI-Bot"}),
            ),
            None,
        ),
        ("client by azp", client.clone(), Some(Client)),
        (
            "client by client_id",
            json!({"typ": "Bearer", "client_id": "7d2f"}),
            Some(Client),
        ),
        (
            "client by both",
            with(client.clone(), json!({"client_id": "7d2f"})),
            Some(Client),
        ),
        (
            "azp is not client_id",
            with(client.clone(), json!({"client_id": "other"})),
            None,
        ),
        (
            "client_id is not azp",
            with(bare.clone(), json!({"client_id": "7d2f"})),
            None,
        ),
        (
            "a client does not log in",
            with(client.clone(), json!({"sid": "s"})),
            Some(User),
        ),
        ("user by sid", with(bare.clone(), json!({"sid": "s"})), Some(User)),
        (
            "user by auth_time",
            with(bare.clone(), json!({"auth_time": 1_700_000_000})),
            Some(User),
        ),
        ("no azp", json!({"typ": "Bearer", "sid": "s"}), Some(User)),
        ("nobody", bare.clone(), None),
        ("nothing", json!({"typ": "Bearer"}), None),
    ] {
        let got = read(&claims, RoleTrust::Trusted);
        assert_eq!(got.map(|p| p.kind), kind.ok_or(TokenRefusal::Nobody), "{id}");
    }
}

#[test]
fn a_client_belongs_to_nothing_and_a_robot_may() {
    let claims = json!({
        "typ": "Bearer", "azp": "7d2f", "groups": ["/admins"], "scope": "storage.read:/",
        "resource_access": {"ws": {"roles": ["r"]}}
    });
    let client = read(&claims, RoleTrust::Trusted).unwrap();
    assert_eq!(
        (client.kind, client.groups.len(), client.roles.len()),
        (PrincipalKind::Client, 0, 0)
    );
    assert_eq!(client.scopes, ["storage.read:/"]);
    assert_eq!(client.client.as_deref(), Some("7d2f"));
    let robot = with(
        claims,
        json!({"azp": "ci", "preferred_username": "service-account-ci"}),
    );
    let robot = read(&robot, RoleTrust::Trusted).unwrap();
    assert_eq!(
        (robot.kind, robot.groups.len(), robot.roles.len()),
        (PrincipalKind::Robot, 1, 1)
    );
}

#[test]
fn only_access_tokens() {
    for typ in [
        "Offline", "Refresh", "ID", "Logout", "bearer", "BEARER", "DPoP", "",
    ] {
        let refusal = read(&json!({"typ": typ, "sid": "s"}), RoleTrust::Ignored).unwrap_err();
        assert_eq!(refusal, TokenRefusal::KeycloakType(Quoted::new(typ)));
    }
    assert_eq!(
        read(&json!({"sid": "s"}), RoleTrust::Ignored),
        Err(fault("typ", ClaimFault::Missing))
    );
    assert_eq!(
        read(&json!({"typ": ["Bearer"], "sid": "s"}), RoleTrust::Ignored),
        Err(fault("typ", ClaimFault::Not("a string")))
    );
}

#[test]
fn a_claim_that_does_not_parse_is_not_absent() {
    let long = "n".repeat(1025);
    let many: Vec<String> = (0..1001).map(|n| n.to_string()).collect();
    let not_strings = ClaimFault::Not("an array of strings");
    let not_text = ClaimFault::Not("a string");
    for (id, name, value, what) in [
        ("groups-string", "groups", json!("/admins"), not_strings),
        ("groups null", "groups", json!(null), not_strings),
        ("groups object", "groups", json!({"0": "/a"}), not_strings),
        ("groups mixed", "groups", json!(["/a", 1]), not_strings),
        ("groups nested", "groups", json!([["/a"]]), not_strings),
        ("group-crlf", "groups", json!(["/a\r\nb"]), ClaimFault::Control),
        ("group empty", "groups", json!([""]), ClaimFault::Empty),
        ("group is the root", "groups", json!(["/"]), ClaimFault::Empty),
        ("group too long", "groups", json!([long]), ClaimFault::TooLong),
        ("too many groups", "groups", json!(many), ClaimFault::TooMany),
        ("sid null", "sid", json!(null), not_text),
        ("sid empty", "sid", json!(""), ClaimFault::Empty),
        (
            "auth_time string",
            "auth_time",
            json!("0"),
            ClaimFault::Not("a number"),
        ),
        (
            "auth_time null",
            "auth_time",
            json!(null),
            ClaimFault::Not("a number"),
        ),
        ("azp array", "azp", json!(["a"]), not_text),
        ("azp control", "azp", json!("a\nb"), ClaimFault::Control),
        ("client_id number", "client_id", json!(1), not_text),
        ("clientId null", "clientId", json!(null), not_text),
        (
            "name control",
            "preferred_username",
            json!("a\u{1b}[2J"),
            ClaimFault::Control,
        ),
        ("name null", "preferred_username", json!(null), not_text),
        ("scope array", "scope", json!(["openid"]), not_text),
        ("scope control", "scope", json!("a\tb"), ClaimFault::Control),
        ("scope too long", "scope", json!(long), ClaimFault::TooLong),
        (
            "too many scopes",
            "scope",
            json!(many.join(" ")),
            ClaimFault::TooMany,
        ),
        (
            "roles null",
            "resource_access",
            json!(null),
            ClaimFault::Not("an object"),
        ),
        (
            "roles array",
            "resource_access",
            json!([]),
            ClaimFault::Not("an object"),
        ),
        (
            "client not an object",
            "resource_access",
            json!({"c": ["r"]}),
            ClaimFault::Not("an object of objects"),
        ),
        (
            "roles string",
            "resource_access",
            json!({"c": {"roles": "r"}}),
            not_strings,
        ),
        (
            "roles null",
            "resource_access",
            json!({"c": {"roles": null}}),
            not_strings,
        ),
        (
            "roles mixed",
            "resource_access",
            json!({"c": {"roles": ["r", true]}}),
            not_strings,
        ),
        (
            "role control",
            "resource_access",
            json!({"c": {"roles": ["r\0"]}}),
            ClaimFault::Control,
        ),
        (
            "role empty",
            "resource_access",
            json!({"c": {"roles": [""]}}),
            ClaimFault::Empty,
        ),
        (
            "client control",
            "resource_access",
            json!({"c\n": {"roles": []}}),
            ClaimFault::Control,
        ),
        (
            "client empty",
            "resource_access",
            json!({"": {"roles": []}}),
            ClaimFault::Empty,
        ),
        (
            "too many roles in all",
            "resource_access",
            json!({"c": {"roles": many[..600]}, "d": {"roles": many[..600]}}),
            ClaimFault::TooMany,
        ),
    ] {
        let claims = with(
            json!({"typ": "Bearer", "azp": "portal", "sid": "s"}),
            json!({ name: value }),
        );
        for trust in [RoleTrust::Trusted, RoleTrust::Ignored] {
            assert_eq!(read(&claims, trust), Err(fault(name, what)), "{id}");
        }
    }
}

#[test]
fn what_is_empty_is_fine_where_it_may_be() {
    let claims = json!({"typ": "Bearer", "sid": "s", "scope": "", "groups": [], "resource_access": {}});
    let user = read(&claims, RoleTrust::Trusted).unwrap();
    assert_eq!(
        (
            user.scopes.len(),
            user.groups.len(),
            user.roles.len(),
            user.client,
            user.name
        ),
        (0, 0, 0, None, None)
    );
}
