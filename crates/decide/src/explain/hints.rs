//! What would have changed the answer, in lines for people, the nearest first.

use super::document::{Explanation, Policy, Question, Unmet};

/// As policies name who presents nothing.
const ANONYMOUS: &str = "Anonymous::\"\"";
/// How many are told.
const MOST: usize = 5;

/// The hints for a denial; none for an allow.
pub(crate) fn hints(of: &Explanation) -> Vec<String> {
    if of.verdict == "allow" {
        return Vec::new();
    }
    let mut hints = Vec::new();
    match of.questions.last() {
        None => {
            let near = of.route.near.iter();
            hints.extend(near.map(|near| format!("near is the route {}: {}", near.route, near.why)));
        }
        Some(question) => of_question(question, &mut hints),
    }
    hints.truncate(MOST);
    hints
}

fn of_question(question: &Question, hints: &mut Vec<String>) {
    let whose = match question.about.as_str() {
        "actor" => format!(" to {}, who acts for the principal", question.principal),
        _ => String::new(),
    };
    let forbids = || {
        question
            .policies
            .iter()
            .filter(|policy| policy.effect == "forbid")
    };
    for forbid in forbids().filter(|policy| policy.result == "satisfied") {
        let because: Vec<String> = forbid
            .conditions
            .iter()
            .flat_map(|c| reasons(&c.expression))
            .collect();
        let because = match because.is_empty() {
            true => String::new(),
            false => format!("  — {}", because.join("; ")),
        };
        hints.push(format!("forbidden{whose} by {}{because}", named(forbid)));
    }
    for forbid in forbids().filter(|policy| policy.result == "error") {
        let message = forbid.message.clone().unwrap_or_default();
        hints.push(format!(
            "denied{whose} because {} cannot be evaluated  — {message}",
            named(forbid)
        ));
    }
    if !hints.is_empty() {
        return;
    }
    if question.principal == ANONYMOUS {
        let lacks = |policy: &&Policy| {
            let first = policy.unmet.first();
            first.is_some_and(|unmet| unmet.expression.starts_with("principal "))
        };
        let permits: Vec<&str> = question
            .near
            .iter()
            .filter(lacks)
            .map(|policy| policy.id.as_str())
            .collect();
        if !permits.is_empty() {
            hints.push(format!(
                "no credential was presented  — permits for others than Anonymous are {}",
                permits.join(", ")
            ));
        }
    }
    let candidates = question
        .policies
        .iter()
        .filter(|policy| policy.effect == "permit");
    // That another type of resource could be had helps nobody.
    let of_type = |unmet: &Unmet| unmet.expression.starts_with("resource is ");
    let beside = question
        .near
        .iter()
        .filter(|policy| policy.unmet.len() == 1 && !policy.unmet.iter().any(of_type));
    for policy in candidates.chain(beside).filter(|policy| !policy.unmet.is_empty()) {
        let all = |said: fn(&Unmet) -> &str, between: &str| {
            let mut parts: Vec<&str> = Vec::new();
            for part in policy.unmet.iter().map(said) {
                if !parts.contains(&part) {
                    parts.push(part);
                }
            }
            parts.join(between)
        };
        let wish = all(|unmet| &unmet.wish, " and ");
        let because = all(|unmet| &unmet.because, "; ");
        hints.push(format!(
            "would have been allowed{whose} if {wish}  — {because}  ({})",
            named(policy)
        ));
    }
}

/// What made the true parts of a condition true.
fn reasons(part: &super::document::Part) -> Vec<String> {
    let mut reasons: Vec<String> = part.parts.iter().flat_map(reasons).collect();
    if part.value == "true" {
        reasons.extend(part.because.clone());
    }
    reasons
}

/// `workspace-read, policies/workspaces.cedar:14:1`.
fn named(policy: &Policy) -> String {
    match &policy.place {
        Some(place) => format!("{}, {place}", policy.id),
        None => policy.id.clone(),
    }
}
