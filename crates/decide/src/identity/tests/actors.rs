//! Who acts for the subject of a token, and in which groups its subject is.

use super::*;

/// Judges each token by an issuer A with these settings: its actors, or the refusal.
fn check(settings: &Value, rows: impl IntoIterator<Item = (&'static str, Token, &'static str)>) {
    let ours = with_keys(&under(settings.clone()), &jwks_a());
    for (id, token, expected) in rows {
        match ask(&ours, &token.mint(), now()) {
            Identified::Verified(verified, _) => {
                let actors = &verified.principal().actors;
                let ids: Vec<&str> = actors.iter().map(|actor| actor.id.as_str()).collect();
                assert_eq!(ids.join(" "), expected, "{id}");
                assert!(actors.iter().all(|actor| actor.issuer == "a"), "{id}");
            }
            Identified::Refused(refused) => {
                let refused = refused.to_string();
                assert!(
                    !expected.is_empty() && refused.starts_with(expected),
                    "{id}: {refused}"
                );
            }
            other => panic!("{id}: {other:?}"),
        }
    }
}

fn act(act: Value) -> Token {
    good().claim("act", act)
}

#[test]
fn forms_of_act() {
    let long = "n".repeat(1025);
    let foreign = "issuer \"a\": the actor in `act` is somebody of another issuer";
    let unreadable = "issuer \"a\": claim `act` is not an object";
    check(
        &json!({}),
        [
            ("none", good(), ""),
            ("sub", act(json!({"sub": "svc"})), "a/svc"),
            ("client_id", act(json!({"client_id": "app"})), "a/app"),
            (
                "client_id before sub",
                act(json!({"client_id": "app", "sub": "svc"})),
                "a/app",
            ),
            (
                "of the same issuer",
                act(json!({"sub": "svc", "iss": ISSUER_A})),
                "a/svc",
            ),
            (
                "of another issuer",
                act(json!({"sub": "svc", "iss": ISSUER_B})),
                foreign,
            ),
            (
                "of almost the same issuer",
                act(json!({"sub": "svc", "iss": format!("{ISSUER_A}/")})),
                foreign,
            ),
            (
                "iss is no text",
                act(json!({"sub": "svc", "iss": [ISSUER_A]})),
                unreadable,
            ),
            ("a text", act(json!("svc")), unreadable),
            ("an array", act(json!([{"sub": "svc"}])), unreadable),
            ("null", act(Value::Null), unreadable),
            ("nobody", act(json!({})), unreadable),
            ("only an issuer", act(json!({"iss": ISSUER_A})), unreadable),
            ("sub is no text", act(json!({"sub": 1})), unreadable),
            (
                "sub is no text, beside client_id",
                act(json!({"client_id": "app", "sub": 1})),
                unreadable,
            ),
            ("null inside", act(json!({"sub": null})), unreadable),
            (
                "empty",
                act(json!({"sub": ""})),
                "issuer \"a\": claim `act` is empty",
            ),
            (
                "control",
                act(json!({"sub": "a\0b"})),
                "issuer \"a\": claim `act` has a control character",
            ),
            (
                "too long",
                act(json!({ "sub": long })),
                "issuer \"a\": claim `act` is longer than",
            ),
            (
                "those before",
                act(json!({"sub": "svc", "act": {"sub": "earlier", "act": {"sub": "first"}}})),
                "a/svc",
            ),
            (
                "those before, unreadable",
                act(json!({"sub": "svc", "act": {"iss": ISSUER_B, "sub": 5}})),
                "a/svc",
            ),
        ],
    );
}

#[test]
fn the_client_by_rule() {
    let client = || good().claim("sub", "portal").no_claim("sid");
    check(
        &json!({"actor": "azp"}),
        [
            ("a user's client", good(), "a/portal"),
            ("beside act", act(json!({"sub": "svc"})), "a/svc a/portal"),
            ("the same as act", act(json!({"sub": "portal"})), "a/portal"),
            (
                "without azp",
                good().no_claim("azp"),
                "issuer \"a\": claim `azp` is missing",
            ),
            ("a client for itself", client(), ""),
            (
                "a client with act",
                client().claim("act", json!({"sub": "svc"})),
                "a/svc",
            ),
            (
                "a robot",
                good()
                    .no_claim("sid")
                    .claim("jti", "trrtcc:0f1e")
                    .claim("preferred_username", "service-account-portal"),
                "",
            ),
        ],
    );
    check(
        &json!({"actor": "azp", "profile": "oidc"}),
        [
            ("azp", good(), "a/portal"),
            (
                "client_id",
                good().no_claim("azp").claim("client_id", "app"),
                "a/app",
            ),
        ],
    );
}

/// `jti` of Keycloak 26.2 and later: session, token and grant in two letters each.
#[test]
fn keycloak_tokens_of_clients_that_act() {
    let jti = |jti: &str| good().claim("jti", jti);
    check(
        &json!({}),
        [
            ("a login", jti("onrtac:0f1e"), ""),
            ("exchanged", jti("onrtte:0f1e"), "a/portal"),
            ("offline", jti("ofrtac:0f1e"), "a/portal"),
            ("offline, refreshed", jti("ofrtrt:0f1e"), "a/portal"),
            ("both", jti("ofrtte:0f1e"), "a/portal"),
            ("no colon", jti("ofrtte"), ""),
            (
                "no colon, a UUID",
                jti("0f1e2d3c-4b5a-4978-8695-a4b3c2d1e0f9"),
                "",
            ),
            ("another session", jti("xxrtac:1"), ""),
            ("another grant", jti("onrtxx:1"), ""),
            ("a longer grant", jti("onrttex:1"), ""),
            ("in capitals", jti("OFRTTE:1"), ""),
            ("too short for a grant", jti("on:te"), ""),
            ("cut within a character", jti("o\u{fc}rtac:1"), ""),
            ("nothing before the colon", jti(":ofrtte"), ""),
            ("no jti", good().no_claim("jti"), ""),
            (
                "by scope",
                good().claim("scope", "openid offline_access"),
                "a/portal",
            ),
            (
                "almost by scope",
                good().claim("scope", "openid offline_accessx"),
                "",
            ),
            (
                "exchanged, with act",
                jti("onrtte:1").claim("act", json!({"sub": "svc"})),
                "a/svc a/portal",
            ),
            (
                "exchanged, by nobody",
                jti("onrtte:1").no_claim("azp"),
                "issuer \"a\": claim `azp` is missing",
            ),
        ],
    );
    let offline = || {
        good()
            .claim("jti", "ofrtte:1")
            .claim("scope", "openid offline_access")
    };
    check(
        &json!({"profile": "oidc"}),
        [("only Keycloak's say it so", offline(), "")],
    );
}

#[test]
fn groups_within_groups() {
    let deep = |segments: usize| vec!["g"; segments].join("/");
    let nested = || json!({"group_hierarchy": "nested"});
    let keycloak = |groups: Value| good().claim("groups", groups);
    let rows = [
        ("flat", json!({}), keycloak(json!(["/a/b/c"])), Ok("a/b/c")),
        ("one", nested(), keycloak(json!(["a"])), Ok("a")),
        ("none", nested(), keycloak(json!([])), Ok("")),
        (
            "three levels",
            nested(),
            keycloak(json!(["/a/b/c"])),
            Ok("a/b/c a/b a"),
        ),
        (
            "each once",
            nested(),
            keycloak(json!(["/a/b", "/a/x", "/a"])),
            Ok("a/b a a/x"),
        ),
        (
            "longer names are others",
            nested(),
            keycloak(json!(["ab/c"])),
            Ok("ab/c ab"),
        ),
        (
            "oidc keeps the slash in front",
            json!({"group_hierarchy": "nested", "profile": "oidc"}),
            keycloak(json!(["/a/b"])),
            Ok("/a/b /a"),
        ),
        (
            "a client is in no group",
            nested(),
            keycloak(json!(["/a/b"])).claim("sub", "portal").no_claim("sid"),
            Ok(""),
        ),
        // A token of 16 KiB must not become megabytes.
        (
            "too many in all",
            nested(),
            keycloak(json!([format!("x{}", deep(500)), format!("y{}", deep(500)), "z"])),
            Err("issuer \"a\": claim `groups` has more than 1000 entries"),
        ),
    ];
    for (id, settings, token, expected) in rows {
        let ours = with_keys(&under(settings), &jwks_a());
        let got = match ask(&ours, &token.mint(), now()) {
            Identified::Verified(verified, _) => Ok(verified.principal().groups.join(" ")),
            Identified::Refused(refused) => Err(refused.to_string()),
            other => panic!("{id}: {other:?}"),
        };
        assert_eq!(got.as_deref().map_err(String::as_str), expected, "{id}");
    }
}
