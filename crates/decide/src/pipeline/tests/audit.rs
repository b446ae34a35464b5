//! Audit mode: what passes although policies say no, and what does not.

use serde_json::{Value, json};

use super::*;

const FORBID: &str = "@id(\"all\") permit(principal, action, resource); \
    @id(\"no\") @status(\"404\") forbid(principal, action, resource);";

fn settings(server: &str, route: &str) -> Settings {
    let mut route = json!({"mode": route, "path": "/audited/{page}", "methods": ["GET"],
        "resource": {"type": "Page", "id": "{page}", "attributes": {"name": "{page}"}}});
    if route["mode"] == "" {
        route.as_object_mut().unwrap().remove("mode");
    }
    let all: Value = json!({"mode": server, "routes": [route], "identity_headers": {"x-user": "principal"}});
    serde_json::from_value(all).unwrap()
}

#[test]
fn only_what_policies_deny_passes() {
    let overflow = format!("{PERMIT_ALL} @id(\"maybe\") forbid(principal, action, resource) {OVERFLOW};");
    let bad = [("authorization", "Bearer x")];
    let override_ = [("x-http-method-override", "DELETE")];
    let none: &[(&str, &str)] = &[];
    type Row<'r> = (
        &'r str,
        &'r str,
        &'r str,
        &'r str,
        &'r [(&'r str, &'r str)],
        (Reason, Option<Reason>),
    );
    let rows: &[Row<'_>] = &[
        (
            "enforce",
            "audit",
            "",
            "/audited/a",
            none,
            (Reason::Audited, Some(Reason::CredentialMissing)),
        ),
        (
            "enforce",
            "audit",
            FORBID,
            "/audited/a",
            none,
            (Reason::Audited, Some(Reason::Forbidden)),
        ),
        (
            "enforce",
            "audit",
            &overflow,
            "/audited/a",
            none,
            (Reason::Audited, Some(Reason::PolicyError)),
        ),
        (
            "enforce",
            "audit",
            PERMIT_ALL,
            "/audited/a",
            none,
            (Reason::Permitted, None),
        ),
        (
            "enforce",
            "audit",
            "",
            "/pages/a",
            none,
            (Reason::CredentialMissing, None),
        ),
        (
            "enforce",
            "audit",
            PERMIT_ALL,
            "/audited/a",
            &bad,
            (Reason::CredentialRefused, None),
        ),
        (
            "enforce",
            "audit",
            PERMIT_ALL,
            "/audited/a",
            &override_,
            (Reason::Malformed, None),
        ),
        (
            "enforce",
            "audit",
            PERMIT_ALL,
            "/elsewhere",
            none,
            (Reason::NoRoute, None),
        ),
        (
            "audit",
            "",
            FORBID,
            "/pages/a",
            none,
            (Reason::Audited, Some(Reason::Forbidden)),
        ),
        (
            "audit",
            "",
            "",
            "/audited/a",
            none,
            (Reason::Audited, Some(Reason::CredentialMissing)),
        ),
        (
            "audit",
            "",
            FORBID,
            "/pages/a",
            &bad,
            (Reason::CredentialRefused, None),
        ),
        ("audit", "", FORBID, "/elsewhere", none, (Reason::NoRoute, None)),
        (
            "audit",
            "",
            FORBID,
            "/pages/a",
            &override_,
            (Reason::Malformed, None),
        ),
        (
            "audit",
            "enforce",
            FORBID,
            "/audited/a",
            none,
            (Reason::Forbidden, None),
        ),
        (
            "audit",
            "enforce",
            FORBID,
            "/pages/a",
            none,
            (Reason::Audited, Some(Reason::Forbidden)),
        ),
        (
            "enforce",
            "",
            FORBID,
            "/audited/a",
            none,
            (Reason::Forbidden, None),
        ),
    ];
    for row in rows {
        let (server, route, policies, path, headers, expected) = row;
        let stage = stage(policies, settings(server, route));
        let decision = stage.ask("GET", path, headers);
        let would = decision.audited().map(|audited| audited.denial.reason);
        assert_eq!((decision.reason(), would), *expected, "{row:?}");
        let passes = matches!(decision.reason(), Reason::Audited | Reason::Permitted);
        assert_eq!(decision.is_allow(), passes, "{row:?}");
    }
    // A method that no route has.
    let stage = stage(FORBID, settings("audit", ""));
    assert_eq!(stage.ask("PUT", "/audited/a", &[]).reason(), Reason::NoMethod);
}

#[test]
fn what_passes_is_an_allow_like_others_and_is_recorded_with_what_it_would_have_been() {
    let stage = stage(FORBID, settings("enforce", "audit"));
    let decision = stage.ask("GET", "/audited/a", &[("x-user", "root")]);
    let Verdict::Allow(permit) = decision.verdict() else {
        panic!("{decision:?}");
    };
    let removed: Vec<&str> = permit.edits().remove().collect();
    assert!(removed.contains(&"x-user"), "identity headers are set or removed");
    let audited = decision.audited().unwrap();
    assert_eq!(audited.denial.status, 404);
    let policies: Vec<&str> = audited.policies.iter().map(|name| &**name).collect();
    assert_eq!((policies, decision.policies().len()), (vec!["no"], 0));
    let record = stage.records.0.lock().unwrap().pop().unwrap();
    assert!(
        record.contains("only audited, would have been denied: forbidden by no"),
        "{record}"
    );
    assert_eq!(stage.pipeline.live().rules().audited(), ["/audited/{page}"]);
}

#[test]
fn it_is_said_when_the_rules_are_loaded() {
    for (server, route, pointers) in [
        ("enforce", "enforce", &[][..]),
        ("enforce", "audit", &["/routes/0/mode"]),
        ("audit", "", &["/mode"]),
        ("audit", "audit", &["/mode", "/routes/0/mode"]),
    ] {
        let sources = Sources {
            schema: vec![SourceFile {
                name: "s".to_owned(),
                text: SCHEMA.to_owned(),
            }],
            ..Sources::default()
        };
        let (_, advice) = Rules::compile(&settings(server, route), &sources).unwrap();
        let at: Vec<String> = advice.iter().map(ToString::to_string).collect();
        let told = at.iter().filter(|line| line.contains("only audited"));
        let expected = pointers.iter().map(|pointer| format!("{pointer}: "));
        assert!(
            told.clone()
                .zip(expected)
                .all(|(line, pointer)| line.starts_with(&pointer)),
            "{at:?}"
        );
        assert_eq!(told.count(), pointers.len(), "{at:?}");
    }
}
