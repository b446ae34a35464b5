use super::*;
use crate::policy::SourceFile;

fn settings() -> Settings {
    let settings = serde_json::json!({
        "actions": { "read": ["GET", "HEAD"], "all": ["read", "PUT"] },
    });
    serde_json::from_value(settings).unwrap()
}

/// The rules that find something, with the names of the policies that they find it in.
fn lint_text(text: &str) -> Vec<(Rule, String)> {
    let sources = Sources {
        policies: vec![SourceFile {
            name: "a.cedar".to_owned(),
            text: text.to_owned(),
        }],
        ..Sources::default()
    };
    let outlines = outline(&sources);
    let findings = lint(&settings(), &sources, &[], &[]);
    let about = |finding: &Finding| {
        let policy = outlines.iter().find(|policy| is_about(finding, policy)).unwrap();
        (finding.rule, policy.name.clone())
    };
    findings.iter().map(about).collect()
}

fn check(text: &str, expected: &[(Rule, &str)]) {
    let found = lint_text(text);
    let found: Vec<(Rule, &str)> = found.iter().map(|(rule, name)| (*rule, name.as_str())).collect();
    assert_eq!(found, expected, "{text}");
}

#[test]
fn each_rule_finds_what_it_is_for_and_nothing_else() {
    for (text, expected) in [
        (
            "@id(\"a\") permit (principal, action, resource is Page);",
            &[][..],
        ),
        (
            "permit (principal, action, resource is Page);",
            &[(Rule::MissingId, "a.cedar#0")][..],
        ),
        (
            "@id(\"\") permit (principal, action, resource is Page);",
            &[(Rule::MissingId, "a.cedar#0")],
        ),
        (
            "@id(\"a\") permit (principal, action, resource);",
            &[(Rule::BroadPermit, "a")],
        ),
        (
            "@id(\"a\") permit (principal, action, resource) when { context.x };",
            &[],
        ),
        (
            "@id(\"a\") permit (principal, action, resource) unless { context.x };",
            &[],
        ),
        (
            "@id(\"a\") @reason(\"r\") forbid (principal, action, resource);",
            &[],
        ),
        (
            "@id(\"a\") forbid (principal, action, resource);",
            &[(Rule::ForbidWithoutReason, "a")],
        ),
        (
            "@id(\"a\") permit (principal, action, resource) when { context.path == \"/a\" };",
            &[(Rule::PathAsText, "a")],
        ),
        (
            "@id(\"a\") permit (principal, action, resource) when { \"/a\" != resource.path };",
            &[(Rule::PathAsText, "a")],
        ),
        (
            "@id(\"a\") permit (principal, action, resource) when { resource.owner.path == \"/a\" };",
            &[],
        ),
        (
            "@id(\"a\") permit (principal == ?principal, action, resource is Page);",
            &[],
        ),
        (
            "@id(\"a\") @lint(\"allow: broad-permit\") permit (principal, action, resource);",
            &[],
        ),
        (
            "@id(\"a\") @lint(\"allow: shadowed\") permit (principal, action, resource);",
            &[(Rule::BroadPermit, "a")],
        ),
        (
            "@lint(\"allow: missing-id ,broad-permit\") permit (principal, action, resource);",
            &[],
        ),
        (
            "@id(\"a\") @lint(\"allow: broad\") permit (principal, action, resource is Page);",
            &[(Rule::UnknownRule, "a")],
        ),
        ("no cedar", &[]),
    ] {
        check(text, expected);
    }
}

#[test]
fn a_permit_is_shadowed_only_by_one_that_is_wider_in_all_parts() {
    let scopes = |wide: &str, narrow: &str| {
        let text = format!("@id(\"wide\") permit ({wide};\n@id(\"narrow\") permit ({narrow};");
        lint_text(&text).contains(&(Rule::Shadowed, "narrow".to_owned()))
    };
    for (wide, narrow, shadowed) in [
        (
            "principal, action, resource is Page)",
            "principal is User, action, resource is Page)",
            true,
        ),
        (
            "principal is User, action, resource)",
            "principal == User::\"a\", action, resource)",
            true,
        ),
        (
            "principal is User, action, resource)",
            "principal is User in Group::\"g\", action, resource)",
            true,
        ),
        (
            "principal is User, action, resource)",
            "principal in Group::\"g\", action, resource)",
            false,
        ),
        (
            "principal is User, action, resource)",
            "principal is Client, action, resource is Page)",
            false,
        ),
        (
            "principal in Group::\"g\", action, resource)",
            "principal is User in Group::\"g\", action, resource)",
            true,
        ),
        (
            "principal in Group::\"g\", action, resource)",
            "principal == Group::\"g\", action, resource)",
            true,
        ),
        (
            "principal in Group::\"g\", action, resource)",
            "principal in Group::\"h\", action, resource)",
            false,
        ),
        (
            "principal is User in Group::\"g\", action, resource)",
            "principal is User, action, resource)",
            false,
        ),
        (
            "principal == User::\"a\", action, resource)",
            "principal == User::\"b\", action, resource)",
            false,
        ),
        (
            "principal, action in Action::\"read\", resource is Page)",
            "principal, action == Action::\"GET\", resource is Page)",
            true,
        ),
        (
            "principal, action in Action::\"all\", resource is Page)",
            "principal, action in [Action::\"HEAD\", Action::\"PUT\"], resource is Page)",
            true,
        ),
        (
            "principal, action == Action::\"read\", resource is Page)",
            "principal, action == Action::\"GET\", resource is Page)",
            false,
        ),
        (
            "principal, action in Action::\"read\", resource is Page)",
            "principal, action == Action::\"PUT\", resource is Page)",
            false,
        ),
        (
            "principal, action in Action::\"read\", resource is Page)",
            "principal, action, resource is Page)",
            false,
        ),
        (
            "principal is User, action, resource) when { context.a }",
            "principal is User, action, resource) when { context.b && context.a }",
            true,
        ),
        (
            "principal is User, action, resource) when { context.a }",
            "principal is User, action, resource) when { context.b || context.a }",
            false,
        ),
        (
            "principal is User, action, resource) when { context.a }",
            "principal is User, action, resource) unless { context.a }",
            false,
        ),
        (
            "principal is User, action, resource) when { context.a } unless { context.b }",
            "principal is User, action, resource) when { context.a }",
            false,
        ),
        (
            "principal is User, action, resource)",
            "principal is User, action, resource) unless { context.a }",
            true,
        ),
        // A permit for everything is found by a rule of its own.
        (
            "principal, action, resource)",
            "principal is User, action, resource)",
            false,
        ),
        (
            "principal == ?principal, action, resource)",
            "principal == User::\"a\", action, resource)",
            false,
        ),
    ] {
        assert_eq!(scopes(wide, narrow), shadowed, "{wide} and {narrow}");
        assert!(
            !shadowed || !scopes(narrow, wide),
            "{narrow} is wider than {wide}"
        );
    }
    // Forbids do not make permits needless, and what sets a header is needed for that.
    let header = "@id(\"w\") permit (principal, action, resource is Page);\n\
                  @id(\"n\") @set_header(\"x-tier: gold\") permit (principal is User, action, resource is Page);";
    check(header, &[]);
    let forbid = "@id(\"w\") @reason(\"r\") forbid (principal, action, resource is Page);\n\
                  @id(\"n\") permit (principal is User, action, resource is Page);";
    check(forbid, &[]);
}

#[test]
fn the_same_twice_is_found_whatever_it_is_called_and_however_it_is_written() {
    check(
        "@id(\"a\") permit (principal, action, resource is Page);\n\
         @id(\"b\")\npermit(principal,action,resource is Page\n);\n\
         @id(\"c\") @reason(\"x\") forbid (principal, action, resource is Page);",
        &[(Rule::Duplicate, "b")],
    );
}
