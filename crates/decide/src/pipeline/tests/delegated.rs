//! Limits of delegated tokens hold before policies are asked, at both ends of a COPY, and for the house.

use model::{Actor, Delegation, PrincipalKind};
use serde_json::json;

use super::*;

const EVERYTHING: &str = "@id(\"all\") permit(principal, action, resource);";
const USERS: &str = "@id(\"users\") permit(principal is User, action, resource);";

fn with(policies: &str) -> Stage {
    let settings = json!({
        "routes": [
            {"path": "/workspaces/{workspace}/{rest..}", "methods": ["GET", "DELETE", "COPY"], "destination": "local",
                "resource": {"type": "Place", "id": "{path}", "attributes": {"workspace": "{workspace}"}}},
            {"path": "/open", "methods": ["GET"], "public": true, "resource": {"type": "Page", "id": "open", "attributes": {"name": "open"}}},
        ],
    });
    let settings: Settings = serde_json::from_value(settings).unwrap();
    let mut sources = sources(policies);
    sources.schema[0].text += "entity Place = { workspace: String };";
    start(compile(settings, &sources))
}

/// Alice, for whom `jobs` acts.
fn alice(workspaces: Option<&[&str]>, actions: Option<&[&str]>) -> Principal {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Principal {
        actors: vec![Actor::new("main", "jobs")],
        delegation: Some(Box::new(Delegation {
            workspaces: workspaces.map(owned),
            actions: actions.map(owned),
            ..Delegation::default()
        })),
        ..Principal::new(PrincipalKind::User, "main", "alice")
    }
}

fn decided(
    stage: &Stage,
    principal: &Principal,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> String {
    let mut all = Headers::default();
    for (name, value) in headers {
        all.push(name, value.as_bytes());
    }
    let (path, _) = RequestPath::parse_target(path.as_bytes(), Decoding::Raw).unwrap();
    let target = Target::Http(HttpRequest {
        method,
        scheme: "https",
        host: Host::parse("api.example.test").unwrap(),
        path,
        query: None,
        headers: all,
        body: Body::Absent,
    });
    let check = Check {
        contract: Contract::EnvoyGrpc,
        target,
        peer: Peer::default(),
        context_extensions: Pairs::default(),
        metadata: &NoMetadata,
        timeout: None,
        traceparent: None,
        listener: model::ListenerOptions::default(),
    };
    stage.pipeline.decide_as(&check, principal, SystemTime::now());
    stage.records.0.lock().unwrap().pop().unwrap()
}

#[test]
fn limits_hold_whatever_policies_permit() {
    let stage = with(EVERYTHING);
    let place = "/workspaces/a/data/x";
    let ws = |names: &'static [&'static str]| alice(Some(names), None);
    let may = |names: &'static [&'static str]| alice(None, Some(names));
    let (from, to) = ("/workspaces/a/x", "https://api.example.test/workspaces/b/x");
    for (principal, method, path, headers, expected) in [
        (alice(None, None), "GET", place, &[][..], "permitted"),
        (ws(&["a"]), "GET", place, &[], "permitted"),
        (ws(&["b", "a"]), "GET", place, &[], "permitted"),
        (
            ws(&["b"]),
            "GET",
            place,
            &[],
            "is good for the workspace \"b\", and Place::",
        ),
        (ws(&["A"]), "GET", place, &[], "outside_delegation"),
        (ws(&["a/data"]), "GET", place, &[], "outside_delegation"),
        (ws(&[]), "GET", place, &[], "is good for no workspace"),
        (
            ws(&["a"]),
            "GET",
            "/pages/a",
            &[],
            "is in none (it has no attribute `workspace`)",
        ),
        (ws(&["a"]), "GET", "/open", &[], "outside_delegation"),
        (may(&["GET"]), "GET", place, &[], "permitted"),
        (may(&["read"]), "GET", place, &[], "permitted"),
        (may(&["write", "read"]), "GET", place, &[], "permitted"),
        (may(&["write"]), "DELETE", place, &[], "permitted"),
        (
            may(&["read"]),
            "DELETE",
            place,
            &[],
            "is good for the action \"read\", and \"DELETE\" is none of them",
        ),
        (may(&["get"]), "GET", place, &[], "outside_delegation"),
        (may(&[]), "GET", "/open", &[], "is good for no action"),
        (
            alice(Some(&["a"]), Some(&["read"])),
            "DELETE",
            place,
            &[],
            "outside_delegation",
        ),
        (ws(&["a", "b"]), "COPY", from, &[("destination", to)], "permitted"),
        (
            ws(&["a"]),
            "COPY",
            from,
            &[("destination", to)],
            "at the destination /workspaces/b/x: the token that acts for",
        ),
        (
            may(&["COPY"]),
            "COPY",
            from,
            &[("destination", to)],
            "\"COPY.destination\" is none of them",
        ),
        (
            may(&["COPY", "COPY.destination"]),
            "COPY",
            from,
            &[("destination", to)],
            "permitted",
        ),
    ] {
        let record = decided(&stage, &principal, method, path, headers);
        assert!(
            record.contains(expected),
            "{method} {path} {:?}: {record}",
            principal.delegation
        );
        assert_eq!(record.contains("permitted"), expected == "permitted", "{record}");
    }
}

#[test]
fn both_the_user_and_whoever_acts_must_be_permitted() {
    let stage = with(USERS);
    let record = decided(&stage, &alice(Some(&["a"]), None), "GET", "/workspaces/a/x", &[]);
    assert!(
        record.contains("no policy permits this to Actor::\"main/jobs\", who acts for it"),
        "{record}"
    );
}

#[test]
fn audit_mode_does_not_widen_a_token() {
    let settings: Settings = serde_json::from_value(json!({"mode": "audit"})).unwrap();
    let stage = start(rules("", settings));
    let record = decided(&stage, &alice(None, Some(&["POST"])), "GET", "/pages/a", &[]);
    assert!(record.starts_with("outside_delegation"), "{record}");
}

#[test]
fn a_delegated_token_is_no_credential_to_the_house() {
    let principal = alice(None, None);
    let asks = crate::pipeline::delegated::not_for_the_house;
    assert!(asks(principal.delegation.as_deref()).is_err());
    assert!(asks(None).is_ok());
}
