//! Magpie's answer on its way to policies, logs and explanations. What it is, is in the pack's suites.

use serde_json::{Value, json};

use super::*;
use crate::explain::{Explanation, MagpieSeen};
use crate::policy::{Data, DataFile};

const POLICIES: &str = r#"
    @id("magpie") permit(principal, action, resource) when { context has magpie && context.magpie.allowed };
    @id("maps") forbid(principal, action, resource)
    when { context has magpie && context.magpie.service_type == "api" && context.magpie.permissions.contains("write")
           && context.magpie.resources.contains("/api/frozen") };
    @id("others") permit(principal is Actor, action, resource) when { principal.client == "trusted" };
"#;

fn rules() -> Rules {
    let file = json!({
        "providers": { "api": { "type": "api" } },
        "users": [{ "username": "alice", "group": "staff" }],
        "permissions": [
            { "service": "api", "permission": "read-match", "user": "alice" },
            { "service": "api", "resource": "/a", "permission": "read", "group": "staff" },
            { "service": "api", "resource": "/a", "permission": "write", "group": "staff" },
            { "service": "api", "resource": "/a", "permission": "read-deny", "group": "anonymous" },
            { "service": "api", "resource": "/frozen", "permission": "write", "group": "staff" },
        ],
    });
    let text = |name: &str, text: &str| SourceFile {
        name: name.to_owned(),
        text: text.to_owned(),
    };
    let sources = Sources {
        schema: vec![text("test.cedarschema", SCHEMA)],
        policies: vec![text("test.cedar", POLICIES)],
        magpie: vec![DataFile {
            name: "magpie.cfg".to_owned(),
            text: file.to_string(),
            data: Data::of_json(&file),
        }],
        ..Sources::default()
    };
    let settings: Settings = serde_json::from_value(json!({
        "cors_preflight": "allow",
        "magpie": { "files": [] },
        "routes": [{
            "path": "/ows/{service}/{rest..}", "methods": ["GET", "POST", "MOVE"], "destination": "local",
            "magpie": { "service": "{service}" },
            "resource": { "type": "Page", "attributes": { "name": "{service}" } },
        }],
    }))
    .unwrap();
    let (mut rules, _) =
        Rules::compile(&settings, &sources).unwrap_or_else(|problems| panic!("{problems:#?}"));
    let users: Value = json!([{ "issuer": "main" }]);
    rules.magpie = rules
        .magpie
        .take()
        .map(|magpie| magpie.with_users(serde_json::from_value(users).unwrap()));
    rules
}

fn ask(
    who: Option<&Principal>,
    (method, target): (&str, &str),
    headers: &[(&str, &str)],
) -> (Option<u16>, Explanation) {
    let nobody = Principal::anonymous();
    let (path, query) = RequestPath::parse_target(target.as_bytes(), Decoding::Raw).unwrap();
    let mut sent = Headers::default();
    for (name, value) in headers {
        sent.push(name, value.as_bytes());
    }
    let check = Check {
        listener: model::ListenerOptions::default(),
        contract: Contract::EnvoyGrpc,
        target: Target::Http(HttpRequest {
            method,
            scheme: "https",
            host: Host::parse("api.example.test").unwrap(),
            path,
            query,
            headers: sent,
            body: Body::Absent,
        }),
        peer: Peer::default(),
        context_extensions: Pairs::new(),
        metadata: &NoMetadata,
        timeout: None,
        traceparent: None,
    };
    let pipeline = Pipeline::offline(Arc::new(rules()), Box::new(Records::default()));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let (decision, explanation) = runtime.block_on(pipeline.explain(&check, Some(who.unwrap_or(&nobody))));
    let status = match decision.verdict() {
        Verdict::Allow(_) => None,
        Verdict::Deny(denial) => Some(denial.status),
    };
    (status, explanation)
}

fn alice() -> Principal {
    Principal::new(PrincipalKind::User, "main", "alice")
}

#[test]
fn denials_say_what_magpie_says() {
    let alice = alice();
    for (who, request, status, why) in [
        (Some(&alice), ("GET", "/ows/api/a/b"), None, "permitted by magpie"),
        (
            Some(&alice),
            ("GET", "/ows/api/b"),
            Some(403),
            "no policy permits this to User::\"main/alice\"; Magpie denies read on /api/b (no-permission)",
        ),
        (
            None,
            ("GET", "/ows/api/a/b"),
            Some(401),
            "no policy permits this to Anonymous; Magpie denies read on /api/a/b (group:anonymous)",
        ),
        (
            Some(&alice),
            ("POST", "/ows/api/frozen"),
            Some(403),
            "forbidden by maps",
        ),
        (
            Some(&alice),
            ("GET", "/ows/ipa"),
            Some(404),
            "Magpie's files have no service `ipa`",
        ),
    ] {
        let (got, explanation) = ask(who, request, &[]);
        assert_eq!(got, status, "{request:?}: {}", explanation.why);
        assert!(explanation.why.contains(why), "{request:?}: {}", explanation.why);
    }
}

#[test]
fn an_explanation_shows_the_way_up_and_what_decides() {
    let (_, explanation) = ask(Some(&alice()), ("GET", "/ows/api/a/b"), &[]);
    let magpie = explanation.magpie.expect("Magpie was asked");
    assert_eq!((magpie.allowed, magpie.reason.as_str()), (true, "group:staff"));
    assert_eq!(
        (magpie.user.as_deref(), magpie.groups),
        (Some("alice"), vec!["anonymous".to_owned(), "staff".to_owned()])
    );
    let need = &magpie.needs[0];
    assert_eq!(
        (need.resource.as_str(), need.permission.as_str(), need.exact),
        ("/api/a/b", "read", false)
    );
    let seen = |resource: &str, subject: &str, permission: &str, reaches, decides| MagpieSeen {
        resource: resource.to_owned(),
        subject: subject.to_owned(),
        permission: permission.to_owned(),
        reaches,
        decides,
    };
    assert_eq!(
        need.chain,
        [
            seen("/api/a", "group:anonymous", "read-deny-recursive", true, false),
            seen("/api/a", "group:staff", "read-allow-recursive", true, true),
            seen("/api", "user:alice", "read-allow-match", false, false),
        ]
    );
    let context = &explanation.questions[0].context["magpie"];
    assert_eq!(context["reason"], "group:staff");
    assert_eq!(context["resources"], json!(["/api/a/b"]));
}

/// Magpie has no permissions for clients: what it says of a user is nothing for whoever acts for that user.
#[test]
fn who_acts_for_a_user_needs_a_permit_of_its_own() {
    for (client, status) in [("portal", Some(403)), ("trusted", None)] {
        let delegated = Principal {
            actors: vec![model::Actor::new("main", client)],
            ..alice()
        };
        assert_eq!(
            ask(Some(&delegated), ("GET", "/ows/api/a"), &[]).0,
            status,
            "{client}"
        );
    }
}

#[test]
fn a_destination_is_asked_about_as_well() {
    for (destination, status) in [
        ("/ows/api/a/x", None),
        ("/ows/api/b", Some(403)),
        ("/ows/ipa/a", Some(404)),
    ] {
        let headers = [("destination", destination)];
        let (got, explanation) = ask(Some(&alice()), ("MOVE", "/ows/api/a/b"), &headers);
        assert_eq!(got, status, "{destination}: {}", explanation.why);
    }
}

#[test]
fn a_preflight_asks_for_nothing_yet() {
    let headers = [
        ("origin", "https://portal.example.test"),
        ("access-control-request-method", "GET"),
    ];
    let (status, explanation) = ask(None, ("OPTIONS", "/ows/api/b"), &headers);
    assert_eq!((status, explanation.magpie), (None, None));
}
