//! What policies see of tokens: who acts for whom, what the token itself grants, whom it is for.

use std::time::UNIX_EPOCH;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::*;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// An issuer `main` that signs with a secret.
pub(super) fn issuer() -> Value {
    json!({"name": "main", "issuer": "house", "audiences": ["api"], "hmac_secrets": [SECRET], "profile": "oidc"})
}

/// A stage with one issuer, `main`, that signs with a secret.
pub(super) fn with_issuer(policies: &str, changes: Value, routes: Value) -> Stage {
    let mut issuer = issuer();
    for (name, value) in changes.as_object().unwrap() {
        issuer[name] = value.clone();
    }
    let settings: Settings = serde_json::from_value(json!({"issuers": [issuer], "routes": routes})).unwrap();
    stage(policies, settings)
}

/// `Bearer` and a token with these claims beside those that every token has.
pub(super) fn bearer(claims: &Value) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let mut all = json!({
        "iss": "house", "aud": "api", "sub": "alice", "iat": now, "exp": now + 300, "jti": "j", "scope": "",
    });
    for (name, value) in claims.as_object().unwrap() {
        all[name] = value.clone();
    }
    let signed = [json!({"alg": "HS256"}), all].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
    let signed = signed.join(".");
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let tag = hmac::sign(&key, signed.as_bytes());
    format!("Bearer {signed}.{}", URL_SAFE_NO_PAD.encode(tag))
}

fn check(stage: &Stage, rows: &[(&str, &str, &str, Value, &str)]) {
    for (id, method, path, claims, expected) in rows {
        stage.records.0.lock().unwrap().clear();
        let decision = stage.ask(method, path, &[("authorization", &bearer(claims))]);
        let record = stage.records.0.lock().unwrap().pop().unwrap();
        assert_eq!(
            decision.is_allow(),
            expected.starts_with("permitted"),
            "{id}: {record}"
        );
        assert!(record.contains(expected), "{id}: {record}");
    }
}

/// The five tests of delegation, and what policies can say about it.
#[test]
fn the_subject_may_and_so_may_each_actor() {
    let policies = "
        @id(\"alice\") permit(principal == User::\"main/alice\", action, resource);
        @id(\"jobs\") permit(principal == Actor::\"main/jobs\", action == Action::\"GET\", resource)
            when { context has subject && context.subject.type == \"User\" && context.subject.issuer == principal.issuer };
        @id(\"jobs-itself\") permit(principal == Client::\"main/other\", action, resource);
        @id(\"never-for\") forbid(principal is User, action, resource)
            when { context has actor && context.actor == Actor::\"main/evil\" };
        @id(\"alone\") forbid(principal, action, resource == Page::\"private\")
            when { context has actor || context has subject };
        @id(\"evil\") permit(principal is Actor, action, resource) when { principal.client == \"evil\" };";
    let stage = with_issuer(policies, json!({}), json!([]));
    let by = |client: &str| json!({"client_id": "portal", "act": {"sub": client}});
    let both = "both must be allowed";
    check(
        &stage,
        &[
            (
                "nobody acts",
                "GET",
                "/pages/a",
                json!({"client_id": "portal"}),
                "permitted by alice",
            ),
            (
                "both may",
                "GET",
                "/pages/a",
                by("jobs"),
                "permitted by alice, jobs",
            ),
            ("user may, actor not", "GET", "/pages/a", by("other"), both),
            ("user may, actor not that", "POST", "/pages/a", by("jobs"), both),
            (
                "user not, actor may",
                "GET",
                "/pages/a",
                json!({"sub": "bob", "act": {"sub": "jobs"}, "client_id": "p"}),
                "no policy permits this to User::\"main/bob\"",
            ),
            (
                "grants to a client are none to an actor",
                "GET",
                "/pages/a",
                by("other"),
                "Actor::\"main/other\", who acts for it",
            ),
            (
                "a policy forbids an actor",
                "GET",
                "/pages/a",
                by("evil"),
                "forbidden by never-for",
            ),
            (
                "without an actor",
                "GET",
                "/pages/private",
                json!({"client_id": "portal"}),
                "permitted by alice",
            ),
            (
                "a policy forbids delegation",
                "GET",
                "/pages/private",
                by("jobs"),
                "forbidden by alone",
            ),
            (
                "client_id goes before sub",
                "GET",
                "/pages/a",
                json!({"client_id": "p", "act": {"sub": "x", "client_id": "jobs"}}),
                "permitted by alice, jobs",
            ),
            (
                "only the outermost counts",
                "GET",
                "/pages/a",
                json!({"client_id": "p", "act": {"sub": "jobs", "act": {"sub": "evil"}}}),
                "permitted by alice, jobs",
            ),
            (
                "an actor of another issuer",
                "GET",
                "/pages/a",
                json!({"client_id": "p", "act": {"sub": "jobs", "iss": "other"}}),
                "another issuer",
            ),
            (
                "an actor that cannot be read",
                "GET",
                "/pages/a",
                json!({"client_id": "p", "act": "jobs"}),
                "claim `act`",
            ),
            (
                "an actor's own token",
                "GET",
                "/pages/a",
                json!({"sub": "jobs", "client_id": "jobs"}),
                "no policy permits this to Client::\"main/jobs\"",
            ),
        ],
    );
}

#[test]
fn every_actor_is_asked_about() {
    let policies = "
        @id(\"users\") permit(principal is User, action, resource);
        @id(\"jobs\") permit(principal == Actor::\"main/jobs\", action, resource);
        @id(\"portal\") permit(principal == Actor::\"main/portal\", action, resource);";
    let azp = with_issuer(policies, json!({"actor": "azp"}), json!([]));
    let rows = |client: &str, act: Option<&str>| {
        let mut claims = json!({"client_id": client});
        if let Some(act) = act {
            claims["act"] = json!({"sub": act});
        }
        claims
    };
    check(
        &azp,
        &[
            (
                "the client alone",
                "GET",
                "/pages/a",
                rows("portal", None),
                "permitted by portal, users",
            ),
            (
                "both",
                "GET",
                "/pages/a",
                rows("portal", Some("jobs")),
                "permitted by jobs, portal, users",
            ),
            (
                "the same twice",
                "GET",
                "/pages/a",
                rows("jobs", Some("jobs")),
                "permitted by jobs, users",
            ),
            (
                "act may, azp not",
                "GET",
                "/pages/a",
                rows("other", Some("jobs")),
                "Actor::\"main/other\"",
            ),
            (
                "azp may, act not",
                "GET",
                "/pages/a",
                rows("portal", Some("other")),
                "Actor::\"main/other\"",
            ),
        ],
    );
    let keycloak = with_issuer(policies, json!({"profile": "keycloak"}), json!([]));
    let token = |azp: &str, jti: &str, scope: &str| json!({"typ": "Bearer", "azp": azp, "sid": "s", "jti": jti, "scope": scope});
    check(
        &keycloak,
        &[
            (
                "a login",
                "GET",
                "/pages/a",
                token("any", "onrtac:1", "openid"),
                "permitted by users",
            ),
            (
                "made offline, actor may",
                "GET",
                "/pages/a",
                token("jobs", "ofrtrt:1", "openid offline_access"),
                "permitted by jobs, users",
            ),
            (
                "made offline, actor not",
                "GET",
                "/pages/a",
                token("any", "ofrtrt:1", "openid"),
                "Actor::\"main/any\"",
            ),
            (
                "made offline, before 26.2",
                "GET",
                "/pages/a",
                token("any", "1", "offline_access"),
                "Actor::\"main/any\"",
            ),
            (
                "exchanged",
                "GET",
                "/pages/a",
                token("any", "onrtte:1", ""),
                "Actor::\"main/any\"",
            ),
        ],
    );
}

/// The cases of the WLCG profile that are about what a request needs.
#[test]
fn capabilities_are_matched_with_the_path_once_for_all_policies() {
    let policies = "
        @id(\"read\") permit(principal, action in [Action::\"GET\"], resource is Page)
            when { context.capabilities.contains(\"storage.read\") };
        @id(\"put\") permit(principal, action == Action::\"PUT\", resource is Page)
            when { context.capabilities.contains(\"storage.modify\") };
        @id(\"mkcol\") permit(principal, action == Action::\"MKCOL\", resource is Page) when {
            context.capabilities.contains(\"storage.create\") || context.capabilities_below.contains(\"storage.create\") };
        @id(\"submit\") permit(principal is Client, action == Action::\"POST\", resource is Page)
            when { context.capabilities.contains(\"compute.create\") };
        @id(\"group\") permit(principal in Group::\"main/wlcg\", action, resource);";
    let routes = json!([{
        "path": "/dav/{rest..}", "methods": ["GET", "PUT", "MKCOL", "POST"], "capability_path": "/{rest}",
        "resource": {"type": "Page", "attributes": {"name": "{rest}"}},
    }]);
    let changes = json!({"profile": "wlcg", "base_path": "/vo"});
    let stage = with_issuer(policies, changes, routes);
    let user = |scope: &str| json!({"wlcg.ver": "1.0", "client_id": "edf", "scope": scope});
    let groups = |groups: Value, scope: &str| json!({"wlcg.ver": "1.0", "client_id": "edf", "scope": scope, "wlcg.groups": groups});
    let no = "no policy permits this";
    check(
        &stage,
        &[
            ("W1", "GET", "/dav/vo/f", user("openid"), no),
            (
                "W3",
                "GET",
                "/dav/vo/f",
                groups(json!(["/wlcg"]), "openid"),
                "permitted by group",
            ),
            ("W6", "PUT", "/dav/vo/f", user("storage.read:/"), no),
            ("W7", "GET", "/dav/vo/f", user("storage.modify:/"), no),
            ("W9", "PUT", "/dav/vo/f", user("storage.create:/"), no),
            (
                "W11",
                "PUT",
                "/dav/vo/f",
                user("storage.modify:/"),
                "permitted by put",
            ),
            (
                "W11 mkdir",
                "MKCOL",
                "/dav/vo/f",
                user("storage.modify:/"),
                "permitted by mkcol",
            ),
            (
                "W14",
                "GET",
                "/dav/vo/x/foobar/file",
                user("storage.read:/x/foo"),
                no,
            ),
            (
                "W15",
                "MKCOL",
                "/dav/vo/d/base/foobar",
                user("storage.create:/d/base"),
                "permitted by mkcol",
            ),
            (
                "W16",
                "MKCOL",
                "/dav/vo/d/base/foobar",
                user("storage.create:/d/bas"),
                no,
            ),
            (
                "W21",
                "MKCOL",
                "/dav/vo/foo",
                user("storage.create:/foo/bar"),
                "permitted by mkcol",
            ),
            (
                "W24",
                "GET",
                "/dav/vo/f",
                user("storage.read:/ storage.create:/stageout"),
                "permitted by read",
            ),
            ("W25", "GET", "/dav/f", user("storage.read:/"), no),
            (
                "W26",
                "GET",
                "/dav/vo/f",
                user("storage.read storage.read:/"),
                "storage.read",
            ),
            (
                "W27",
                "GET",
                "/dav/vo/f",
                groups(json!(["/wlcg"]), "compute.create"),
                no,
            ),
            ("W28", "GET", "/dav/vo/x/f", user("storage.stage:/x"), no),
            (
                "W30",
                "GET",
                "/dav/vo/bar",
                user("storage.read:/foo/%2e%2e/bar"),
                "scope",
            ),
            (
                "W32",
                "GET",
                "/dav/vo/f",
                groups(json!(["/wlcg/sub"]), "openid"),
                no,
            ),
            (
                "W35",
                "POST",
                "/dav/vo/job",
                json!({"wlcg.ver": "1.0", "sub": "pilot", "client_id": "pilot", "scope": "compute.create"}),
                "permitted by submit",
            ),
            (
                "not the path of the request itself",
                "GET",
                "/pages/a",
                user("storage.read:/"),
                no,
            ),
        ],
    );
}

/// Whoever may choose a name may choose that of a client; and what a token grants itself, its groups do not widen.
#[test]
fn names_from_configured_claims_make_nobody_a_client() {
    let policies = "
        @id(\"clients\") permit(principal is Client, action, resource);
        @id(\"users\") permit(principal is User, action, resource);";
    let stage = with_issuer(
        policies,
        json!({"claims": {"id": "preferred_username"}}),
        json!([]),
    );
    let token = |sub: &str, more: Value| {
        let mut claims = json!({"sub": sub, "client_id": "deployer", "preferred_username": "deployer"});
        claims
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        claims
    };
    check(
        &stage,
        &[
            (
                "a user of that name",
                "GET",
                "/pages/a",
                token("7d2f", json!({})),
                "permitted by users",
            ),
            (
                "the client itself",
                "GET",
                "/pages/a",
                token("deployer", json!({})),
                "permitted by clients",
            ),
            (
                "a login with such a subject",
                "GET",
                "/pages/a",
                token("deployer", json!({"sid": "s"})),
                "permitted by users",
            ),
        ],
    );
    let policies = "@id(\"group\") permit(principal in Group::\"main/urn:geant:example.org:group:a\", action, resource);";
    let changes = json!({"profile": "scitokens", "claims": {"entitlements": "eduperson_entitlement"}});
    let stage = with_issuer(policies, changes, json!([]));
    let scitoken = |scope: &str| json!({"ver": "scitoken:2.0", "nbf": 5, "client_id": "c", "scope": scope, "eduperson_entitlement": "urn:geant:example.org:group:a"});
    check(
        &stage,
        &[
            (
                "without capabilities",
                "GET",
                "/pages/a",
                scitoken("openid"),
                "permitted by group",
            ),
            (
                "with one",
                "GET",
                "/pages/a",
                scitoken("read:/x"),
                "no policy permits this",
            ),
        ],
    );
    let policies = "@id(\"users\") permit(principal is User, action, resource);";
    let stage = with_issuer(policies, json!({"claims": {"actor": "delegate"}}), json!([]));
    let by = |claims: Value| {
        let mut all = json!({"client_id": "portal"});
        all.as_object_mut()
            .unwrap()
            .extend(claims.as_object().unwrap().clone());
        all
    };
    check(
        &stage,
        &[
            ("nobody", "GET", "/pages/a", by(json!({})), "permitted by users"),
            (
                "configured",
                "GET",
                "/pages/a",
                by(json!({"delegate": "x"})),
                "Actor::\"main/x\"",
            ),
            (
                "in act all the same",
                "GET",
                "/pages/a",
                by(json!({"act": {"sub": "y"}})),
                "Actor::\"main/y\"",
            ),
        ],
    );
}

/// `azp` and `aud` of a token, as the rule for browser sessions of workspaces needs them.
#[test]
fn policies_see_whom_a_token_is_for() {
    let policies = "@id(\"ui\") permit(principal is User, action, resource) when {
        principal has client && principal.client == \"workspace-api\" && context.audiences.contains(\"workspace-api\") };";
    let changes = json!({"audiences": ["api", "workspace-api"]});
    let stage = with_issuer(policies, changes, json!([]));
    let token = |client: &str, aud: Value| json!({"client_id": client, "aud": aud});
    check(
        &stage,
        &[
            (
                "list",
                "GET",
                "/pages/a",
                token("workspace-api", json!(["x", "workspace-api"])),
                "permitted by ui",
            ),
            (
                "string",
                "GET",
                "/pages/a",
                token("workspace-api", json!("workspace-api")),
                "permitted by ui",
            ),
            (
                "another client",
                "GET",
                "/pages/a",
                token("ws-alice", json!("workspace-api")),
                "no policy",
            ),
            (
                "another audience of ours",
                "GET",
                "/pages/a",
                token("workspace-api", json!("api")),
                "no policy",
            ),
        ],
    );
}

/// Headers made of the token and of what is asked for; on every allow they are set or removed.
#[test]
fn identity_headers_show_claims_and_attributes() {
    let settings = json!({
        "issuers": [{
            "name": "main", "issuer": "house", "audiences": ["api"], "hmac_secrets": [SECRET], "profile": "oidc",
        }],
        "identity_headers": {
            "x-who": {"template": "{issuer}:{subject}"},
            "x-email": {"template": "{claims./email}"},
            "x-page": {"template": "{subject}@{resource.name}"},
        },
    });
    let stage = stage(PERMIT_ALL, serde_json::from_value(settings).unwrap());
    for (claims, set, unset) in [
        (
            json!({"client_id": "p", "email": "a@b.test"}),
            "x-email=a@b.test x-who=main:alice x-page=alice@one",
            "",
        ),
        (
            json!({"client_id": "p"}),
            "x-who=main:alice x-page=alice@one",
            "x-email",
        ),
    ] {
        let decision = stage.ask("GET", "/pages/one", &[("authorization", &bearer(&claims))]);
        let Verdict::Allow(permit) = decision.verdict() else {
            panic!("denied")
        };
        let edits = permit.edits();
        let got: Vec<String> = edits
            .set()
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        assert_eq!(got.join(" "), set);
        assert_eq!(edits.unset().join(" "), unset);
        let mut set = edits.set().iter().map(|(name, _)| &**name);
        assert!(set.all(|name| edits.remove().all(|removed| removed != name)));
    }
    let anonymous = stage.ask("GET", "/pages/one", &[]);
    let Verdict::Allow(permit) = anonymous.verdict() else {
        panic!("denied")
    };
    assert!(permit.edits().set().is_empty());
    assert_eq!(permit.edits().unset().join(" "), "x-email x-page x-who");
    let odd = stage.ask(
        "GET",
        "/pages/one",
        &[(
            "authorization",
            &bearer(&json!({"client_id": "p", "email": ["a"]})),
        )],
    );
    assert_eq!(told(&odd).0, 401);
}
