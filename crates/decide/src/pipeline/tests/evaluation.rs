//! How policies are evaluated: errors that are told, and the check of one way by the other.

use super::*;
use crate::policy::SelfCheckStatus;
use crate::policy::engine::Answer;

#[test]
fn every_policy_that_failed_is_told_with_its_place() {
    let maybe = format!("\n@id(\"maybe\")\npermit(principal, action, resource) {OVERFLOW};");
    let no = format!("\n\n@id(\"no\")\nforbid(principal, action, resource) {OVERFLOW};");
    for (policies, start, failed, failed_if_enough) in [
        (
            format!("{PERMIT_ALL}{maybe}"),
            "permitted Anonymous permitted by all",
            &["Some(\"test.cedar:2\") maybe"][..],
            // A permit that is not needed is not evaluated.
            &[] as &[&str],
        ),
        (
            format!("{PERMIT_ALL}{maybe}{no}"),
            "policy_error Anonymous ",
            &["Some(\"test.cedar:2\") maybe", "Some(\"test.cedar:5\") no"],
            &["Some(\"test.cedar:2\") maybe", "Some(\"test.cedar:5\") no"],
        ),
        (
            PERMIT_ALL.to_owned(),
            "permitted Anonymous permitted by all",
            &[],
            &[],
        ),
    ] {
        for (backend, every, failed) in [
            (Backend::Sliced, 0, failed_if_enough),
            (Backend::Sliced, 1, failed),
            (Backend::Authorizer, 0, failed),
        ] {
            let stage = stage(&policies, evaluated(backend, every));
            stage.ask("GET", "/pages/two", &[]);
            let records = stage.records.0.lock().unwrap();
            let record = records.first().unwrap();
            assert!(record.starts_with(start), "{backend:?}: {record}");
            for failed in failed {
                assert!(
                    record.contains(&format!("; {failed}: integer overflow")),
                    "{backend:?}: {record}"
                );
            }
            assert_eq!(stage.pipeline.policy_errors(), failed.len() as u64, "{record}");
        }
    }
}

#[test]
fn a_difference_from_the_authorizer_is_counted_and_turns_a_yes_into_a_no() {
    let other = "@id(\"all\") permit(principal, action, resource) when { false };";
    let forbid = format!("{PERMIT_ALL} @id(\"no\") forbid(principal, action, resource);");
    for (every, authorizer, reason, expected) in [
        (1, PERMIT_ALL, Reason::Permitted, (3, 0)),
        (2, PERMIT_ALL, Reason::Permitted, (2, 0)),
        (0, other, Reason::Permitted, (0, 0)),
        (1, other, Reason::CredentialMissing, (3, 3)),
        (1, "", Reason::CredentialMissing, (3, 3)),
        // A policy that was not indexed counts as well.
        (1, forbid.as_str(), Reason::CredentialMissing, (3, 3)),
    ] {
        let mut rules = rules(PERMIT_ALL, evaluated(Backend::Sliced, every));
        rules.policies.misguide(authorizer);
        let stage = start(rules);
        for _ in 0..3 {
            let decision = stage.ask("GET", "/pages/one", &[]);
            assert_eq!(decision.reason(), reason, "1 in {every} of {authorizer:?}");
        }
        let SelfCheckStatus {
            checked, differences, ..
        } = stage.pipeline.live().rules().policies().self_check();
        assert_eq!((checked, differences), expected, "1 in {every} of {authorizer:?}");
    }
}

/// Permits, forbids, and policies that failed.
type Said<'s> = (&'s [u32], &'s [u32], &'s [u32]);

/// What the quick way could get wrong.
#[test]
fn a_quick_answer_that_says_less_is_a_difference() {
    let policies = r#"@id("a") permit(principal, action, resource); @id("b") permit(principal, action, resource);
        @id("c") @set_header("x-tier: gold") permit(principal, action, resource);
        @id("d") forbid(principal, action, resource); @id("e") forbid(principal, action, resource);"#;
    let rules = rules(policies, evaluated(Backend::Sliced, 1));
    let (a, b, c, d, e) = (0, 1, 2, 3, 4);
    let answer = |(permits, forbids, failed): Said<'_>| Answer {
        permits: permits.into(),
        forbids: forbids.into(),
        errors: failed
            .iter()
            .map(|ordinal| (*ordinal, "overflow".to_owned()))
            .collect(),
    };
    let rows: &[(Said<'_>, Said<'_>, bool)] = &[
        ((&[a], &[], &[]), (&[a], &[], &[]), true),
        // Of a yes, one permit is enough, and those that set headers.
        ((&[a], &[], &[]), (&[a, b], &[], &[]), true),
        ((&[a], &[], &[]), (&[a], &[], &[b]), true),
        ((&[a], &[], &[]), (&[a, c], &[], &[]), false),
        ((&[a], &[], &[]), (&[], &[], &[]), false),
        ((&[a], &[], &[]), (&[a], &[d], &[]), false),
        // A forbid that failed is a no, although Cedar permits it.
        ((&[a], &[], &[]), (&[a], &[], &[d]), false),
        ((&[a], &[], &[d]), (&[a], &[], &[]), false),
        ((&[a], &[], &[d]), (&[a], &[], &[d]), true),
        // Of a no, everything.
        ((&[a], &[], &[d]), (&[a], &[], &[d, e]), false),
        ((&[a], &[], &[d]), (&[a], &[d], &[]), false),
        ((&[], &[d], &[]), (&[], &[d, e], &[]), false),
        ((&[], &[d], &[]), (&[], &[d], &[b]), false),
        ((&[], &[d], &[]), (&[], &[d], &[]), true),
        ((&[], &[], &[]), (&[], &[], &[a]), false),
        ((&[], &[], &[]), (&[], &[], &[]), true),
    ];
    for (quick, all, same) in rows {
        let said = rules.policies.says_as_much(&answer(*quick), &answer(*all));
        assert_eq!(said, *same, "{quick:?} for {all:?}");
    }
}
