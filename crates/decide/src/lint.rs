//! Advice about policies that are valid: what is probably not meant, and what will be hard to live with.
//!
//! Each piece of advice has a rule with a name, and `@lint("allow: <rule>")` on a policy silences it there.

mod paths;
mod scope;

use std::collections::HashMap;

use cedar_policy::Effect;

use crate::policy::{Outline, Sources, outline};
use crate::problem::{Place, Problem, did_you_mean};
use crate::settings::Settings;
use scope::{Groups, Shape};

/// What is advised against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rule {
    /// No `@id`.
    MissingId,
    /// A permit for everybody, everything and always.
    BroadPermit,
    /// A permit that no request can meet.
    DeadPermit,
    /// The same as another policy.
    Duplicate,
    /// A permit that says nothing that a wider one does not say.
    Shadowed,
    /// A path compared as text.
    PathAsText,
    /// A forbid that leaves the caller without a word.
    ForbidWithoutReason,
    /// No test has it as a reason of its answer.
    Untested,
    /// There are no tests at all.
    NoTests,
    /// `@lint` that cannot be read.
    UnknownRule,
    /// What loading the configuration advises besides.
    Configuration,
}

/// One piece of advice.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What is advised against.
    pub rule: Rule,
    /// What, where, and what to do; an advice.
    pub problem: Problem,
}

impl Finding {
    /// Advice by that rule.
    pub fn advice(rule: Rule, mut problem: Problem) -> Self {
        problem.message = format!("{}: {}", rule.as_str(), problem.message);
        Self {
            rule,
            problem: problem.advice(),
        }
    }
}

impl Rule {
    /// Every rule.
    pub const ALL: [Self; 11] = [
        Self::MissingId,
        Self::BroadPermit,
        Self::DeadPermit,
        Self::Duplicate,
        Self::Shadowed,
        Self::PathAsText,
        Self::ForbidWithoutReason,
        Self::Untested,
        Self::NoTests,
        Self::UnknownRule,
        Self::Configuration,
    ];

    /// Its name in reports and in `@lint`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MissingId => "missing-id",
            Self::BroadPermit => "broad-permit",
            Self::DeadPermit => "dead-permit",
            Self::Duplicate => "duplicate",
            Self::Shadowed => "shadowed",
            Self::PathAsText => "path-as-text",
            Self::ForbidWithoutReason => "forbid-without-reason",
            Self::Untested => "untested",
            Self::NoTests => "no-tests",
            Self::UnknownRule => "unknown-rule",
            Self::Configuration => "configuration",
        }
    }
}

/// All advice about the policies themselves. `advice` is what loading them gave, `untested` names the policies that no test
/// exercises.
pub fn lint(settings: &Settings, sources: &Sources, advice: &[Problem], untested: &[&str]) -> Vec<Finding> {
    let policies = outline(sources);
    let mut findings: Vec<Finding> = advice.iter().map(given).collect();
    let shapes: Vec<Option<Shape>> = policies.iter().map(Shape::of).collect();
    let groups = Groups(&settings.actions);
    let mut seen: HashMap<String, &Outline> = HashMap::new();
    for (policy, shape) in policies.iter().zip(&shapes) {
        let mut find = |rule, message: String, help: &str| findings.push(found(policy, rule, message, help));
        let name = &policy.name;
        let effect = policy.effect;
        if policy.annotation("id").is_none_or(str::is_empty) {
            find(
                Rule::MissingId,
                format!("this policy has no name but its place: decisions call it `{name}`"),
                "add @id(\"…\") before it, so that logs and tests keep their meaning when files change",
            );
        }
        if effect == Effect::Forbid && policy.annotation("reason").is_none() {
            find(
                Rule::ForbidWithoutReason,
                format!("whoever meets the forbid `{name}` reads nothing but \"access denied\""),
                "add @reason(\"…\"), a line that the caller may read",
            );
        }
        for (start, length) in paths::compared(policy) {
            let at = (policy.span.0 + start, length);
            findings.push(Finding::advice(
                Rule::PathAsText,
                Problem::source(
                    &policy.file,
                    at,
                    format!("`{name}` compares a path as text"),
                    "a text knows no segments (`/a*` covers `/ab`): let a route match the path, and look at its resource",
                ),
            ));
        }
        let Some(shape) = shape else {
            continue;
        };
        let mut find = |rule, message: String, help: &str| findings.push(found(policy, rule, message, help));
        if effect == Effect::Permit && shape.is_unconditional() {
            find(
                Rule::BroadPermit,
                format!("the permit `{name}` lets everybody do everything"),
                "name a principal, an action or a resource, or add a condition; if it is meant, add @lint(\"allow: broad-permit\")",
            );
        }
        if let Some(other) = seen.get(&shape.text) {
            find(
                Rule::Duplicate,
                format!(
                    "`{name}` says the same as `{}` ({}:{})",
                    other.name, other.file, other.line
                ),
                "delete one of the two",
            );
            continue;
        }
        seen.insert(shape.text.clone(), policy);
        let wider = policies.iter().zip(&shapes).find(|(_, wider)| {
            // Beside a permit for everything every other one is too much, and that one is to blame.
            let shadows = |wider: &Shape| !wider.is_unconditional() && wider.shadows(shape, &groups);
            wider.as_ref().is_some_and(shadows)
        });
        let dead = findings
            .iter()
            .any(|finding| finding.rule == Rule::DeadPermit && is_about(finding, policy));
        let mut find = |rule, message: String, help: &str| findings.push(found(policy, rule, message, help));
        if effect == Effect::Permit
            && !dead
            && let Some((wider, _)) = wider
            && policy.annotation("set_header").is_none()
        {
            find(
                Rule::Shadowed,
                format!(
                    "the permit `{name}` permits nothing that `{}` ({}:{}) does not permit",
                    wider.name, wider.file, wider.line
                ),
                "delete it, or narrow the other one",
            );
        }
    }
    for policy in policies
        .iter()
        .filter(|policy| untested.contains(&policy.name.as_str()))
    {
        findings.push(found(
            policy,
            Rule::Untested,
            format!("no test that passed exercises `{}`", policy.name),
            "write a test whose answer it determines: `policies: […]` in a suite shows that it does",
        ));
    }
    for policy in &policies {
        silence(policy, &mut findings);
    }
    findings.sort_by_key(|finding| match &finding.problem.at {
        Place::Source { file, start, .. } => (file.clone(), *start),
        Place::Setting(_) | Place::Name(_) => (String::new(), 0),
    });
    findings
}

/// Takes out what `@lint` on the policy allows, and says what in it cannot be read.
fn silence(policy: &Outline, findings: &mut Vec<Finding>) {
    let Some(text) = policy.annotation("lint") else {
        return;
    };
    let Some(names) = text.trim().strip_prefix("allow:") else {
        let message = format!("@lint(\"{text}\") says nothing");
        findings.push(found(
            policy,
            Rule::UnknownRule,
            message,
            "write @lint(\"allow: broad-permit\")",
        ));
        return;
    };
    for name in names.split(',').map(str::trim) {
        let known = Rule::ALL.map(Rule::as_str);
        let Some(rule) = Rule::ALL.into_iter().find(|rule| rule.as_str() == name) else {
            let help = match did_you_mean(name, known) {
                help if help.is_empty() => format!("rules are {}", known.join(", ")),
                help => help,
            };
            let message = format!("there is no rule `{name}` to allow");
            findings.push(found(policy, Rule::UnknownRule, message, &help));
            continue;
        };
        findings.retain(|finding| finding.rule != rule || !is_about(finding, policy));
    }
}

fn is_about(finding: &Finding, policy: &Outline) -> bool {
    let (start, length) = policy.span;
    match &finding.problem.at {
        Place::Source { file, start: at, .. } => *file == policy.file && (start..start + length).contains(at),
        Place::Setting(_) | Place::Name(_) => false,
    }
}

/// Advice that loading gave.
fn given(problem: &Problem) -> Finding {
    let rule = if problem.message.contains("can never apply") {
        Rule::DeadPermit
    } else {
        Rule::Configuration
    };
    Finding::advice(rule, problem.clone())
}

/// Points to the first line of the policy: the whole would be pages of text.
fn found(policy: &Outline, rule: Rule, message: String, help: &str) -> Finding {
    let span = (policy.span.0, policy.text.lines().next().map_or(0, str::len));
    Finding::advice(rule, Problem::source(&policy.file, span, message, help))
}

#[cfg(test)]
mod tests;
