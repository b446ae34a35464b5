//! Who may act, row by row.

use model::Principal;
use serde_json::json;

use super::*;

const MAIN: &str = "https://a.test";

fn shown(principal: Principal, claims: &Value) -> ShownToken {
    ShownToken {
        principal,
        token_id: Some("j".to_owned()),
        issued_at: Some(1.0),
        expires_at: 2.0,
        claims: claims.as_object().cloned().unwrap_or_default(),
    }
}

fn jobs() -> Principal {
    Principal {
        client: Some("jobs".to_owned()),
        ..Principal::new(PrincipalKind::Robot, "main", "4711")
    }
}

fn acting() -> Acting {
    Acting::of(&shown(jobs(), &json!({"iss": MAIN, "sub": "4711"}))).unwrap()
}

#[test]
fn clients_and_robots_act_as_themselves() {
    let acting = acting();
    assert_eq!(acting.actor, Actor::new("main", "jobs"));
    assert_eq!(acting.holder, "Robot::\"main/4711\"");
    assert_eq!(
        acting.act(None).unwrap(),
        json!({"sub": "4711", "client_id": "jobs", "iss": MAIN})
    );
    let opaque = shown(Principal::new(PrincipalKind::Robot, "static", "ci"), &json!({}));
    let act = Acting::of(&opaque).unwrap().act(None).unwrap();
    assert_eq!(act, json!({"sub": "ci", "client_id": "ci"}));
    let delegated = Principal {
        delegation: Some(Box::default()),
        ..jobs()
    };
    let acted = Principal {
        actors: vec![Actor::new("main", "x")],
        ..jobs()
    };
    let user = Principal::new(PrincipalKind::User, "main", "alice");
    for principal in [delegated, acted, user] {
        let name = principal.to_string();
        let refusal = Acting::of(&shown(principal, &json!({}))).expect_err(&name);
        assert_eq!(refusal.code, Code::UnauthorizedClient, "{name}");
    }
}

#[test]
fn those_who_acted_before_are_inside() {
    let own = json!({"iss": MAIN, "sub": "4711", "act": {"sub": "runner"}});
    let named = Acting::of(&shown(jobs(), &own)).unwrap();
    let before = json!({"sub": "portal"});
    assert_eq!(acting().act(Some(&before)).unwrap()["act"], before);
    assert_eq!(named.act(Some(&before)).unwrap()["act"], json!({"sub": "runner"}));
    let deep = (0..5).fold(
        json!({"sub": "first"}),
        |act, _| json!({"sub": "next", "act": act}),
    );
    assert_eq!(acting().act(Some(&deep)).unwrap_err().code, Code::InvalidRequest);
}

#[test]
fn may_act_names_whoever_may() {
    let check = |may_act: Value, allowed: bool| {
        let subject = json!({"iss": MAIN, "sub": "alice", "may_act": may_act});
        let answer = acting().may_act(subject.as_object().unwrap());
        assert_eq!(answer.is_ok(), allowed, "{may_act}");
        assert!(answer.is_ok() || answer.unwrap_err().code == Code::InvalidRequest);
    };
    assert_eq!(
        acting().may_act(json!({"iss": MAIN}).as_object().unwrap()),
        Ok(())
    );
    check(json!({"sub": "4711"}), true);
    check(json!({"client_id": "jobs"}), true);
    check(json!({"sub": "4711", "client_id": "jobs", "iss": MAIN}), true);
    check(json!({"sub": "jobs"}), false);
    check(json!({"sub": "4711", "client_id": "other"}), false);
    check(json!({"sub": "other", "client_id": "jobs"}), false);
    check(json!({"sub": "4711", "iss": "https://b.test"}), false);
    check(json!({"sub": "4711", "email": "jobs@a.test"}), false);
    check(json!({"sub": ["4711"]}), false);
    check(json!({"sub": 4711}), false);
    check(json!({"iss": MAIN}), false);
    check(json!({}), false);
    check(json!("4711"), false);
    check(json!(null), false);
}

#[test]
fn without_an_issuer_nobody_of_another_one_is_meant() {
    let subject = json!({"iss": "https://b.test", "may_act": {"sub": "4711"}});
    assert!(acting().may_act(subject.as_object().unwrap()).is_err());
    let opaque = shown(Principal::new(PrincipalKind::Robot, "static", "4711"), &json!({}));
    assert!(
        Acting::of(&opaque)
            .unwrap()
            .may_act(subject.as_object().unwrap())
            .is_err()
    );
}
