//! Claims that are not where the profile looks for them, through whole tokens.

use super::*;

/// Judges each token by an issuer A with these settings and this mapping. Of who it is, `expected` names some: words of
/// [`describe`].
fn check(settings: &Value, rows: impl IntoIterator<Item = (&'static str, Value, Token, &'static str)>) {
    for (id, claims, token, expected) in rows {
        let mut settings = settings.clone();
        settings["claims"] = claims;
        let ours = with_keys(&under(settings), &jwks_a());
        match ask(&ours, &token.mint(), now()) {
            Identified::Verified(verified, _) => {
                let who = describe(verified.principal());
                let words: Vec<&str> = who.split(' ').collect();
                let missing = expected.split(' ').find(|word| !words.contains(word));
                assert_eq!(missing, None, "{id}: {who}");
            }
            Identified::Refused(refused) => {
                assert!(refused.to_string().starts_with(expected), "{id}: {refused}");
            }
            other => panic!("{id}: {other:?}"),
        }
    }
}

/// One word for everything that claims can say; none of the tests' values has a blank.
fn describe(who: &Principal) -> String {
    let roles: Vec<String> = who
        .roles
        .iter()
        .map(|(client, roles)| format!("{client}:{}", roles.join("+")))
        .collect();
    let actors: Vec<&str> = who.actors.iter().map(|actor| actor.id.as_str()).collect();
    format!(
        "{:?} id={} name={} client={} groups={} roles={} scopes={} actors={}",
        who.kind,
        who.id,
        who.name.as_deref().unwrap_or_default(),
        who.client.as_deref().unwrap_or_default(),
        who.groups.join(","),
        roles.join(","),
        who.scopes.join(","),
        actors.join(",")
    )
}

fn realm(value: Value) -> Token {
    good().claim("realm", json!({"x": value}))
}

#[test]
fn every_claim_can_be_elsewhere() {
    let at = |field: &str| json!({ field: "/realm/x" });
    let bad = |claim: &str, fault: &str| format!("issuer \"a\": claim `{claim}` {fault}");
    let rows: Vec<(&'static str, &str, Value, String)> = vec![
        ("id", "id", json!("u-9"), "id=a/u-9".into()),
        ("id is no text", "id", json!(9), bad("sub", "is not a string")),
        ("id is empty", "id", json!(""), bad("sub", "is empty")),
        (
            "id with control",
            "id",
            json!("a\nb"),
            bad("sub", "has a control"),
        ),
        ("id with a blank", "id", json!(" a"), bad("sub", "begins or ends")),
        ("name", "name", json!("bob"), "name=bob id=a/user-1".into()),
        (
            "name is no text",
            "name",
            json!(["bob"]),
            bad("preferred_username", "is not a string"),
        ),
        ("client", "client", json!("app"), "client=app".into()),
        (
            "client is no text",
            "client",
            json!({}),
            bad("azp", "is not a string"),
        ),
        ("groups", "groups", json!(["/x", "y"]), "groups=x,y".into()),
        (
            "groups-string",
            "groups",
            json!("/x"),
            bad("groups", "is not an array of strings"),
        ),
        (
            "group-crlf",
            "groups",
            json!(["a\r\nb"]),
            bad("groups", "has a control character"),
        ),
        (
            "roles, an array",
            "roles",
            json!(["r", "s"]),
            "roles=roles:r+s".into(),
        ),
        (
            "roles, by client",
            "roles",
            json!({"ws": ["r"]}),
            "roles=ws:r".into(),
        ),
        (
            "roles, as Keycloak has them",
            "roles",
            json!({"ws": {"roles": ["r"]}}),
            "roles=ws:r".into(),
        ),
        (
            "roles, a text",
            "roles",
            json!("r"),
            bad("resource_access", "is not an object"),
        ),
        (
            "roles, an array of others",
            "roles",
            json!(["r", 1]),
            bad("resource_access", "is not an array of strings"),
        ),
        (
            "roles, by client, a text",
            "roles",
            json!({"ws": "r"}),
            bad("resource_access", "is not an object of objects"),
        ),
        ("scopes, a text", "scopes", json!("a b"), "scopes=a,b".into()),
        (
            "scopes, an array",
            "scopes",
            json!(["a", "b"]),
            "scopes=a,b".into(),
        ),
        (
            "scopes, an entry with a blank",
            "scopes",
            json!(["a b"]),
            bad("scope", "is not a string"),
        ),
        (
            "scopes, others",
            "scopes",
            json!(["a", 1]),
            bad("scope", "is not a string"),
        ),
        (
            "entitlements, one",
            "entitlements",
            json!("urn:geant:x.test:group:dev"),
            "groups=ws-alice,urn:geant:x.test:group:dev".into(),
        ),
        (
            "entitlements, several",
            "entitlements",
            json!(["urn:geant:x.test:group:dev", "nothing"]),
            "groups=ws-alice,urn:geant:x.test:group:dev".into(),
        ),
        (
            "entitlements, others",
            "entitlements",
            json!([1]),
            bad("entitlements", "is not an array of strings"),
        ),
        ("actor", "actor", json!("svc"), "actors=a/svc".into()),
        (
            "actor is an object",
            "actor",
            json!({"sub": "svc"}),
            bad("act", "is not an object of strings"),
        ),
    ];
    for (id, field, value, expected) in rows {
        let expected: &'static str = expected.leak();
        check(
            &json!({"trust_roles": true}),
            [(id, at(field), realm(value), expected)],
        );
    }
}

/// What is not where it is said to be is absent, even if it is where the profile would have looked.
#[test]
fn an_absent_claim_is_absent() {
    let at = |field: &str| json!({ field: "/realm/nowhere" });
    let token = || {
        realm(json!(1))
            .claim("act", json!({"sub": "svc"}))
            .claim("resource_access", json!({"ws": {"roles": ["r"]}}))
    };
    check(
        &json!({"trust_roles": true}),
        [
            (
                "nothing is mapped",
                json!({}),
                token(),
                "User id=a/user-1 name=alice client=portal groups=ws-alice roles=ws:r scopes=openid,roles actors=a/svc",
            ),
            ("id", at("id"), token(), "issuer \"a\": claim `sub` is missing"),
            ("name", at("name"), token(), "name="),
            ("client", at("client"), token(), "client="),
            ("groups", at("groups"), token(), "groups="),
            ("roles", at("roles"), token(), "roles="),
            ("scopes", at("scopes"), token(), "scopes="),
            ("entitlements", at("entitlements"), token(), "groups=ws-alice"),
            ("actor", at("actor"), token(), "actors=a/svc"),
        ],
    );
}

#[test]
fn paths() {
    let groups = |path: &str| json!({ "groups": path });
    let token = || {
        good()
            .claim("https://x.test/groups", json!(["by-name"]))
            .claim(
                "r",
                json!({"a/b": {"~": {"g": ["escaped"]}}, "l": [["first"], ["second"]]}),
            )
            .claim("~1", json!({"g": ["tilde"]}))
    };
    check(
        &json!({}),
        [
            (
                "a name",
                groups("https://x.test/groups"),
                token(),
                "groups=by-name",
            ),
            ("escapes", groups("/r/a~1b/~0/g"), token(), "groups=escaped"),
            (
                "the first step escaped",
                groups("/~01/g"),
                token(),
                "groups=tilde",
            ),
            ("an index", groups("/r/l/1"), token(), "groups=second"),
            (
                "an index that is no number",
                groups("/r/l/01"),
                token(),
                "groups=",
            ),
            ("past the end", groups("/r/l/-"), token(), "groups="),
        ],
    );
}

/// Roles of an issuer that is not trusted for them are checked and dropped, wherever they are.
#[test]
fn roles_need_trust() {
    let roles = || json!({"roles": "/realm/x"});
    check(
        &json!({}),
        [
            ("dropped", roles(), realm(json!(["r"])), "roles="),
            (
                "checked",
                roles(),
                realm(json!(["r\0"])),
                "issuer \"a\": claim `resource_access` has a control character",
            ),
        ],
    );
}

#[test]
fn each_profile_has_its_own_places() {
    let mapping = || json!({"groups": "/realm/x", "client": "/realm/client"});
    let token = |groups: Value, client: &str| good().claim("realm", json!({"x": groups, "client": client}));
    check(
        &json!({"profile": "wlcg"}),
        [(
            "wlcg",
            mapping(),
            token(json!(["/vo/dev"]), "app")
                .claim("wlcg.ver", "1.0")
                .claim("wlcg.groups", json!(["/other"])),
            "User client=app groups=vo/dev",
        )],
    );
    check(
        &json!({"profile": "oidc"}),
        [
            (
                "azp need not agree",
                mapping(),
                token(json!(["dev"]), "app"),
                "User client=app groups=dev",
            ),
            (
                "the client for itself",
                mapping(),
                token(json!(["dev"]), "user-1").no_claim("sid"),
                "Client client=user-1 groups=",
            ),
            (
                "somebody of that name",
                mapping(),
                token(json!(["dev"]), "user-1"),
                "User client=user-1 groups=dev",
            ),
        ],
    );
    check(
        &json!({"profile": "backstage"}),
        [(
            "backstage",
            json!({"groups": "/realm/x"}),
            token(json!(["group:default/dev"]), "app").head("typ", "vnd.backstage.user"),
            "User groups=group:default/dev",
        )],
    );
}

#[test]
fn kinds() {
    let by_claim = |otherwise: Value| {
        let values = json!({"person": "User", "service": "Robot", "app": "Client"});
        json!({"type": {"claim": "/realm/x", "values": values, "otherwise": otherwise}})
    };
    let nobody = || good().no_claim("sid");
    let unknown = "issuer \"a\": the claim \"/realm/x\" says";
    check(
        &json!({}),
        [
            ("person", by_claim(json!(null)), realm(json!("person")), "User"),
            (
                "service",
                by_claim(json!(null)),
                realm(json!("service")),
                "Robot groups=ws-alice",
            ),
            (
                "app",
                by_claim(json!(null)),
                realm(json!("app")),
                "Client groups=",
            ),
            ("unknown", by_claim(json!(null)), realm(json!("Person")), unknown),
            ("absent", by_claim(json!(null)), good(), unknown),
            (
                "unknown, otherwise",
                by_claim(json!("Client")),
                realm(json!("x")),
                "Client",
            ),
            ("absent, otherwise", by_claim(json!("Robot")), good(), "Robot"),
            (
                "not a text, otherwise",
                by_claim(json!("Robot")),
                realm(json!(["person"])),
                "issuer \"a\": claim `type` is not a string",
            ),
            (
                "null, otherwise",
                by_claim(json!("Robot")),
                realm(Value::Null),
                "issuer \"a\": claim `type` is not a string",
            ),
            (
                "what the profile knows",
                json!({"type": {"otherwise": "Robot"}}),
                good(),
                "User",
            ),
            (
                "what the profile does not know",
                json!({"type": {"otherwise": "Robot"}}),
                nobody(),
                "Robot",
            ),
            (
                "nobody",
                json!({}),
                nobody(),
                "issuer \"a\": the token is good, but describes neither",
            ),
        ],
    );
}
