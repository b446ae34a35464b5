//! What the store says counts at once, and questions about the house are decided by policies of their own.

use std::time::Duration;

use model::{Before, HouseView, ListenerOptions, Revocations, Revoked};
use serde_json::json;

use super::tokens::{bearer, issuer};
use super::*;
use crate::house::{HouseAction, HouseResource, HouseValue};
use crate::identity::HouseIdentity;

const EVERYTHING: &str = "@id(\"all\") permit(principal, action, resource);";

/// A stage with an issuer and an authority with these policies.
fn with_authority(policies: &str) -> Stage {
    let mut settings: Settings = serde_json::from_value(json!({"issuers": [issuer()]})).unwrap();
    settings.identity.house = Some(HouseIdentity {
        name: "house".to_owned(),
        issuer: "https://gate.example.test".to_owned(),
        ..HouseIdentity::default()
    });
    let sources = Sources {
        authority: vec![SourceFile {
            name: "authority.cedar".to_owned(),
            text: policies.to_owned(),
        }],
        ..sources(EVERYTHING)
    };
    start(compile(settings, &sources))
}

fn good(revocations: Revocations) -> HouseView {
    let view = HouseView {
        revocations: Arc::new(revocations),
        ..HouseView::unknown()
    };
    view.confirmed(Instant::now(), Duration::from_secs(600))
}

#[test]
fn what_is_revoked_does_not_count_from_the_next_request_on() {
    let stage = with_authority("");
    let token = bearer(&json!({"client_id": "portal"}));
    let check = |headers: &[(&str, &str)], expected: &str| {
        stage.ask("GET", "/pages/a", headers);
        let record = stage.records.0.lock().unwrap().pop().unwrap();
        assert!(record.contains(expected), "{record}");
    };
    let with = [("authorization", &*token)];
    check(&with, "revocations_unknown");
    check(&[], "permitted Anonymous");
    stage.pipeline.publish(good(Revocations::default()));
    check(&with, "permitted User::\"main/alice\"");
    for what in [
        Revoked::Token("j".to_owned()),
        Revoked::Subject("alice".to_owned()),
        Revoked::Client("portal".to_owned()),
        Revoked::Issuer,
    ] {
        let mut revocations = Revocations::default();
        revocations.add("main", what.clone(), Before::Ever);
        stage.pipeline.publish(good(revocations));
        check(
            &with,
            "revoked unknown the credential of User::\"main/alice\" is revoked",
        );
        stage.pipeline.publish(good(Revocations::default()));
        check(&with, "permitted User::\"main/alice\"");
    }
    stage.pipeline.publish(HouseView::unknown());
    check(&with, "revocations_unknown");
}

#[test]
fn new_rules_do_not_forget_what_is_revoked() {
    let stage = with_authority("");
    let mut revocations = Revocations::default();
    revocations.add("main", Revoked::Issuer, Before::Ever);
    stage.pipeline.publish(good(revocations));
    let rules = |policies: &str| {
        let settings: Settings = serde_json::from_value(json!({"issuers": [issuer()]})).unwrap();
        Arc::new(compile(settings, &sources(policies)))
    };
    let again = rules("@id(\"other\") permit(principal, action, resource);");
    stage
        .runtime
        .block_on(stage.pipeline.replace(again))
        .unwrap()
        .free();
    let token = bearer(&json!({"client_id": "portal"}));
    let decision = stage.ask("GET", "/pages/a", &[("authorization", &token)]);
    assert_eq!(decision.reason(), Reason::Revoked);
}

#[test]
fn policies_of_the_authority_say_who_may_ask_what_of_it() {
    let stage = with_authority(
        "@id(\"read\") permit(principal == User::\"main/alice\", action in Action::\"read\", resource);
         @id(\"nodes\") permit(principal == User::\"main/alice\", action == Action::\"nodes.write\", resource)
             when { resource has name && resource.name == \"b\" };
         @id(\"exchange\") permit(principal is Client, action == Action::\"token.exchange\", resource)
             when { resource.lifetime_seconds <= 60 && resource has workspaces && resource.workspaces.contains(\"w\") };",
    );
    stage.pipeline.publish(good(Revocations::default()));
    let delegation = |lifetime: i64| HouseResource {
        kind: crate::house::HouseKind::Delegation,
        id: "main/alice".to_owned(),
        attributes: [
            ("subject", "main/alice"),
            ("subject_type", "User"),
            ("subject_issuer", "main"),
        ]
        .map(|(name, value)| (name, HouseValue::Text(value.to_owned())))
        .into_iter()
        .chain(
            ["workspaces", "scopes", "audiences"].map(|name| (name, HouseValue::Texts(vec!["w".to_owned()]))),
        )
        .chain([
            ("lifetime_seconds", HouseValue::Number(lifetime)),
            ("renewal", HouseValue::Flag(false)),
        ])
        .collect(),
    };
    let item = HouseResource::item;
    let alice = bearer(&json!({"client_id": "portal"}));
    let runner = bearer(&json!({"sub": "runner", "client_id": "runner"}));
    for (who, action, resource, expected) in [
        (
            "",
            HouseAction::NodesRead,
            item("node", None),
            "credential_missing",
        ),
        (
            &*alice,
            HouseAction::NodesRead,
            item("node", None),
            "permitted by read",
        ),
        (
            &*alice,
            HouseAction::NodesWrite,
            item("node", Some("b")),
            "permitted by nodes",
        ),
        (
            &*alice,
            HouseAction::NodesWrite,
            item("node", Some("c")),
            "no_permit",
        ),
        (&*alice, HouseAction::KeysWrite, item("key", None), "no_permit"),
        (&*runner, HouseAction::NodesRead, item("node", None), "no_permit"),
        (
            &*runner,
            HouseAction::TokenExchange,
            delegation(60),
            "permitted by exchange",
        ),
        (&*runner, HouseAction::TokenExchange, delegation(61), "no_permit"),
        (&*alice, HouseAction::TokenExchange, delegation(60), "no_permit"),
        (
            "Bearer x.y.z",
            HouseAction::NodesRead,
            item("node", None),
            "credential_refused",
        ),
        (
            &*alice,
            HouseAction::TokenExchange,
            item("node", None),
            "no_permit",
        ),
        // What does not fit the schema is no question.
        (
            &*alice,
            HouseAction::NodesRead,
            item("node", None).with("colour", HouseValue::Flag(true)),
            "internal",
        ),
    ] {
        let mut headers = Headers::default();
        if !who.is_empty() {
            headers.push("authorization", who.as_bytes());
        }
        let check = Check {
            contract: Contract::House,
            target: Target::Http(HttpRequest {
                method: "GET",
                scheme: "",
                host: Host::parse("127.0.0.1:9192").unwrap(),
                path: RequestPath::parse_target(b"/admin/v1/nodes", Decoding::Raw)
                    .unwrap()
                    .0,
                query: None,
                headers,
                body: Body::Absent,
            }),
            peer: Peer::default(),
            context_extensions: Pairs::default(),
            metadata: &NoMetadata,
            timeout: None,
            traceparent: None,
            listener: ListenerOptions::default(),
        };
        let answer = stage
            .runtime
            .block_on(stage.pipeline.decide_house(&check, action, &resource));
        let record = stage.records.0.lock().unwrap().pop().unwrap();
        assert!(
            record.contains(expected),
            "{} {expected}: {record}",
            action.as_str()
        );
        assert_eq!(
            answer.decision.is_allow(),
            expected.starts_with("permitted"),
            "{record}"
        );
        assert_eq!(answer.principal.is_some(), who.len() > 20, "{record}");
    }
}

#[test]
fn what_is_wrong_with_policies_of_the_authority_is_told_at_their_place() {
    let mut settings: Settings = serde_json::from_value(json!({"issuers": [issuer()]})).unwrap();
    settings.identity.house = Some(HouseIdentity {
        name: "main".to_owned(),
        issuer: "http://gate.example.test".to_owned(),
        ..HouseIdentity::default()
    });
    let sources = Sources {
        authority: vec![SourceFile {
            name: "authority.cedar".to_owned(),
            text: "permit(principal, action == Action::\"nodes.paint\", resource);".to_owned(),
        }],
        ..sources(EVERYTHING)
    };
    let problems = Rules::compile(&settings, &sources).unwrap_err();
    let all: Vec<String> = problems.iter().map(ToString::to_string).collect();
    for expected in [
        "authority.cedar (byte",
        "/authority/issuer: the URL is plain http",
        "/authority/name: somebody else is called `main`",
    ] {
        assert!(
            all.iter().any(|problem| problem.starts_with(expected)),
            "{expected}: {all:#?}"
        );
    }
}
