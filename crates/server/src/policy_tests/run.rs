//! Every question of a pack is asked, and the answers compared with the right ones.

use std::sync::Arc;

use decide::Rules;

use super::question::{Answer, Rehearsal};
use super::read::{Case, Expected, ReadSuite};

/// What came of one suite.
#[derive(Debug)]
pub(crate) struct Ran {
    /// The suite.
    pub(crate) file: String,
    /// Its rows, in order.
    pub(crate) rows: Vec<Row>,
}

/// What came of one question.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) case: Case,
    /// Who asked, as policies see it.
    pub(crate) principal: String,
    pub(crate) answer: Answer,
    /// What differs; nothing if the row passed.
    pub(crate) differences: Vec<Difference>,
}

/// One thing that is not as it should be.
#[derive(Debug)]
pub(crate) struct Difference {
    pub(crate) what: String,
    pub(crate) expected: String,
    pub(crate) got: String,
}

/// Asks every question of `suites` for which `wanted` is true.
pub(super) fn run(
    rules: &Arc<Rules>,
    suites: &[ReadSuite],
    wanted: impl Fn(&ReadSuite, &Case) -> bool,
) -> Vec<Ran> {
    let rehearsal = Rehearsal::of(rules);
    let mut ran = Vec::new();
    for suite in suites {
        let cases = suite.cases.iter().filter(|case| wanted(suite, case));
        let rows = cases.filter_map(|case| {
            let asker = suite.people.get(&case.who)?;
            let answer = rehearsal.ask(asker, &case.question, suite.now);
            Some(Row {
                case: case.clone(),
                principal: match asker {
                    Ok(principal) => principal.to_string(),
                    Err(_) => "somebody whose credential is refused".to_owned(),
                },
                differences: differences(&case.expected, &answer),
                answer,
            })
        });
        ran.push(Ran {
            file: suite.file.clone(),
            rows: rows.collect(),
        });
    }
    ran
}

impl Row {
    /// True if everything is as it should be.
    pub(crate) fn passed(&self) -> bool {
        self.differences.is_empty()
    }
}

impl Ran {
    /// How many rows passed, and how many did not.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let passed = self.rows.iter().filter(|row| row.passed()).count();
        (passed, self.rows.len() - passed)
    }
}

fn differences(expected: &Expected, answer: &Answer) -> Vec<Difference> {
    let mut found = Vec::new();
    let mut compare = |what: &str, expected: Option<String>, got: String| {
        if let Some(expected) = expected
            && expected != got
        {
            found.push(Difference {
                what: what.to_owned(),
                expected,
                got,
            });
        }
    };
    let verdict = if answer.allowed { "allow" } else { "deny" };
    compare(
        "verdict",
        Some(expected.verdict.as_str().to_owned()),
        verdict.to_owned(),
    );
    let none = || "(none)".to_owned();
    let status = answer.status.map_or_else(none, |status| status.to_string());
    compare("status", expected.status.map(|status| status.to_string()), status);
    compare("reason", expected.reason.clone(), answer.reason.to_owned());
    compare(
        "says",
        expected.says.clone(),
        answer.says.clone().unwrap_or_else(none),
    );
    let list = |names: Vec<&str>| {
        if names.is_empty() {
            none()
        } else {
            names.join(", ")
        }
    };
    let policies = expected.policies.as_ref();
    let mut got: Vec<&str> = answer.policies.iter().map(|name| &**name).collect();
    got.sort_unstable();
    compare(
        "policies",
        policies.map(|names| list(names.iter().map(String::as_str).collect())),
        list(got),
    );
    compare(
        "route",
        expected.route.clone(),
        answer.route.clone().unwrap_or_else(none),
    );
    if answer.allowed {
        let header = |name: &str| match answer.set.iter().find(|(set, _)| set == name) {
            Some((_, value)) => value.clone(),
            None if answer.removed.iter().any(|removed| removed == name) => "(removed)".to_owned(),
            None => "(as the client sends it)".to_owned(),
        };
        for (name, value) in &expected.set {
            compare(&format!("header {name}"), Some(value.clone()), header(name));
        }
        for name in &expected.unset {
            compare(
                &format!("header {name}"),
                Some("(removed)".to_owned()),
                header(name),
            );
        }
    }
    found
}
