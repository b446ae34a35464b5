//! What is granted of what a user's token has, row by row: never more.

use model::{Actor, PrincipalKind};
use serde_json::json;

use super::*;

const NOW: i64 = 1_800_000_000;

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn settings() -> DelegationSettings {
    serde_json::from_value(json!({
        "audiences": ["api", "store", "late"], "scopes": ["openid", "read"], "default_lifetime_seconds": 600,
        "max_lifetime_seconds": 3600, "max_total_seconds": 10_000,
    }))
    .unwrap()
}

fn shown(principal: Principal) -> ShownToken {
    ShownToken {
        principal,
        token_id: Some("j-2".to_owned()),
        issued_at: Some(1_799_999_000.0),
        expires_at: 1_800_000_300.0,
        claims: json!({"iss": "https://a.test"}).as_object().cloned().unwrap(),
    }
}

fn alice() -> Principal {
    Principal {
        client: Some("portal".to_owned()),
        groups: names(&["staff"]),
        roles: vec![
            ("ws-alice".to_owned(), names(&["ws_admin"])),
            ("ws-team".to_owned(), names(&["ws_access"])),
        ],
        scopes: names(&["openid", "read", "offline_access"]),
        audiences: names(&["portcullis"]),
        ..Principal::new(PrincipalKind::User, "main", "alice")
    }
}

/// What `jobs` got for alice, began so many seconds ago.
fn delegated(ago: i64) -> Principal {
    Principal {
        roles: vec![("ws-alice".to_owned(), names(&["ws_admin"]))],
        scopes: names(&["read"]),
        audiences: names(&["api", "store"]),
        actors: vec![Actor::new("main", "jobs")],
        delegation: Some(Box::new(Delegation {
            issuer: "house".to_owned(),
            token_id: Some("j-1".to_owned()),
            issued_at: Some(1.0),
            client: Some("portal".to_owned()),
            chain: "d-1".to_owned(),
            began_at: (NOW - ago) as f64,
            holder: "Robot::\"main/jobs\"".to_owned(),
            workspaces: Some(names(&["ws-alice"])),
            actions: Some(names(&["read", "GET"])),
        })),
        ..alice()
    }
}

fn robot(subject: &str) -> Acting {
    let principal = Principal::new(PrincipalKind::Robot, "main", subject);
    let claims = json!({"iss": "https://a.test", "sub": subject});
    Acting::of(&ShownToken {
        claims: claims.as_object().cloned().unwrap(),
        ..shown(principal)
    })
    .unwrap()
}

fn ask(subject: Principal, form: &Form) -> Result<Grant, Refusal> {
    narrow(form, &shown(subject), &robot("jobs"), &settings(), NOW)
}

#[test]
fn without_wishes_it_is_what_the_token_has() {
    let grant = ask(alice(), &Form::default()).unwrap();
    assert_eq!(grant.audiences, ["api"]);
    assert_eq!(grant.scopes, ["openid", "read"]);
    assert_eq!((&grant.workspaces, &grant.actions), (&None, &None));
    assert_eq!(grant.lifetime_seconds, 600);
    assert_eq!(grant.subject.roles, alice().roles);
    assert_eq!(grant.subject.groups, ["staff"]);
    assert_eq!(grant.actor, Actor::new("main", "jobs"));
    let origin = Origin {
        token_id: Some("j-2".to_owned()),
        issued_at: Some(1_799_999_000.0),
        client: Some("portal".to_owned()),
    };
    assert_eq!(grant.origin, origin);
    assert_eq!(grant.renews, None);
}

#[test]
fn a_renewal_keeps_what_it_came_from_and_its_limits() {
    let grant = ask(delegated(100), &Form::default()).unwrap();
    assert_eq!(grant.audiences, ["api", "store"]);
    assert_eq!(grant.scopes, ["read"]);
    assert_eq!(grant.workspaces, Some(names(&["ws-alice"])));
    assert_eq!(grant.actions, Some(names(&["read", "GET"])));
    let origin = Origin {
        token_id: Some("j-1".to_owned()),
        issued_at: Some(1.0),
        client: Some("portal".to_owned()),
    };
    assert_eq!(grant.origin, origin);
    let renewed = Renewed {
        token_id: "j-2".to_owned(),
        first_id: "d-1".to_owned(),
        began_at: NOW - 100,
    };
    assert_eq!(grant.renews, Some(renewed));
}

#[test]
fn wishes_only_narrow() {
    let form = Form::default;
    let audiences = |wished: &[&str]| Form {
        audiences: names(wished),
        ..form()
    };
    let scopes = |wished: &[&str]| Form {
        scopes: Some(names(wished)),
        ..form()
    };
    let workspaces = |wished: &[&str]| Form {
        workspaces: Some(names(wished)),
        ..form()
    };
    let actions = |wished: &[&str]| Form {
        actions: Some(names(wished)),
        ..form()
    };
    let lifetime = |seconds: u64| Form {
        lifetime_seconds: Some(seconds),
        ..form()
    };
    let bare = || Principal {
        roles: Vec::new(),
        ..alice()
    };
    let old = || delegated(100);
    for (name, subject, form, expected) in [
        ("a known audience", alice(), audiences(&["store", "late"]), None),
        (
            "an unknown one",
            alice(),
            audiences(&["api", "evil"]),
            Some(Code::InvalidTarget),
        ),
        (
            "the user's own audience",
            alice(),
            audiences(&["portcullis"]),
            Some(Code::InvalidTarget),
        ),
        ("fewer scopes", alice(), scopes(&["read"]), None),
        ("no scopes", alice(), scopes(&[]), None),
        (
            "a scope that the user lacks",
            alice(),
            scopes(&["write"]),
            Some(Code::InvalidScope),
        ),
        (
            "one that no delegated token has",
            alice(),
            scopes(&["offline_access"]),
            Some(Code::InvalidScope),
        ),
        ("a workspace with a role", alice(), workspaces(&["ws-team"]), None),
        (
            "a workspace without",
            alice(),
            workspaces(&["ws-alice", "ws-bob"]),
            Some(Code::InvalidTarget),
        ),
        (
            "any workspace where roles are not per workspace",
            bare(),
            workspaces(&["ws-bob"]),
            None,
        ),
        ("actions", alice(), actions(&["read"]), None),
        ("the longest life", alice(), lifetime(3600), None),
        (
            "a longer one",
            alice(),
            lifetime(3601),
            Some(Code::InvalidRequest),
        ),
        ("renewed for fewer", old(), audiences(&["store"]), None),
        (
            "renewed for others",
            old(),
            audiences(&["late"]),
            Some(Code::InvalidTarget),
        ),
        (
            "renewed with a scope of the user's",
            old(),
            scopes(&["openid"]),
            Some(Code::InvalidScope),
        ),
        (
            "renewed for another workspace",
            old(),
            workspaces(&["ws-team"]),
            Some(Code::InvalidTarget),
        ),
        (
            "renewed for one more",
            old(),
            workspaces(&["ws-alice", "ws-team"]),
            Some(Code::InvalidTarget),
        ),
        ("renewed for fewer actions", old(), actions(&["GET"]), None),
        (
            "renewed for another action",
            old(),
            actions(&["DELETE"]),
            Some(Code::InvalidScope),
        ),
        ("renewed at the last moment", delegated(9_999), form(), None),
        (
            "renewed too late",
            delegated(10_000),
            form(),
            Some(Code::InvalidRequest),
        ),
    ] {
        assert_eq!(
            ask(subject, &form).err().map(|refusal| refusal.code),
            expected,
            "{name}"
        );
    }
}

#[test]
fn roles_in_other_workspaces_are_left_behind() {
    let form = Form {
        workspaces: Some(names(&["ws-team"])),
        ..Form::default()
    };
    let grant = ask(alice(), &form).unwrap();
    assert_eq!(
        grant.subject.roles,
        [("ws-team".to_owned(), names(&["ws_access"]))]
    );
    assert_eq!(grant.subject.groups, ["staff"]);
}

#[test]
fn no_renewal_outlives_the_end_of_all_renewals() {
    for (ago, expected) in [(100, 600), (9_400, 600), (9_700, 300), (9_999, 1)] {
        assert_eq!(
            ask(delegated(ago), &Form::default()).unwrap().lifetime_seconds,
            expected,
            "{ago}"
        );
    }
}

#[test]
fn nobody_else_gets_a_delegated_token() {
    let refused = |subject: Principal, acting: &Acting| {
        narrow(&Form::default(), &shown(subject), acting, &settings(), NOW)
            .unwrap_err()
            .code
    };
    assert_eq!(refused(delegated(1), &robot("other")), Code::InvalidRequest);
    let own = Principal::new(PrincipalKind::Robot, "main", "jobs");
    assert_eq!(refused(own, &robot("jobs")), Code::InvalidRequest);
}

#[test]
fn policies_see_what_would_be_granted() {
    let form = Form {
        workspaces: Some(names(&["ws-alice"])),
        ..Form::default()
    };
    let question = question(&ask(alice(), &form).unwrap());
    assert_eq!(question.id, "main/alice");
    let has = |name: &str, value: HouseValue| {
        assert!(
            question
                .attributes
                .iter()
                .any(|(known, it)| *known == name && *it == value),
            "{name}"
        );
    };
    has("subject", HouseValue::Text("main/alice".to_owned()));
    has("subject_type", HouseValue::Text("User".to_owned()));
    has("workspaces", HouseValue::Texts(names(&["ws-alice"])));
    has("lifetime_seconds", HouseValue::Number(600));
    has("renewal", HouseValue::Flag(false));
    assert!(!question.attributes.iter().any(|(name, _)| *name == "actions"));
}
