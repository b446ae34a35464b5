//! Policies against the schema, and Cedar's findings in our words.

use std::collections::HashSet;

use cedar_policy::{Effect, PolicyId, Schema, ValidationError, ValidationMode, ValidationWarning, Validator};
use miette::Diagnostic;

use super::{Loaded, Sources};
use crate::problem::{Problem, did_you_mean};

/// Validates what the policy files say, strictly; the answer is what does not even have the right types. What is linked
/// comes later: a template is validated for everything that its slots can be.
pub(super) fn validate(
    schema: &Schema,
    loaded: &Loaded,
    sources: &Sources,
    problems: &mut Vec<Problem>,
) -> HashSet<PolicyId> {
    let result = Validator::new(schema.clone()).validate(&loaded.set, ValidationMode::Strict);
    let mut found: Vec<Problem> = Vec::new();
    let place = |id: &PolicyId, span, message: String, help: String| {
        let file = loaded.origin(id).and_then(|origin| origin.file);
        match file.and_then(|file| sources.policies.get(file)) {
            Some(file) => Problem::source(&file.name, span, message, help),
            None => Problem::setting("/policies", message, help),
        }
    };
    let mut wrong: HashSet<PolicyId> = HashSet::new();
    for error in result.validation_errors() {
        wrong.insert(error.policy_id().clone());
        for (message, help, span) in explained(error, schema) {
            found.push(place(error.policy_id(), span, message, help));
        }
    }
    let mut dead: HashSet<&PolicyId> = HashSet::new();
    // What is wrong with a policy is said already; that it cannot apply then is no news.
    for warning in result
        .validation_warnings()
        .filter(|w| !wrong.contains(w.policy_id()))
    {
        let id = warning.policy_id();
        let known = loaded.origin(id).map(|origin| &origin.known);
        let name = known.map_or_else(|| id.to_string(), |known| known.name.to_string());
        for (message, help, span) in flatten(warning) {
            if !never_applies(warning) {
                found.push(place(id, span, message, help).advice());
            } else if !dead.insert(id) {
                // Cedar warns of the scope and of the whole policy.
            } else if known.is_none_or(|known| known.effect == Effect::Forbid) {
                found.push(place(
                    id,
                    span,
                    format!(
                        "the forbid `{name}` can never apply: no request of any route meets its conditions"
                    ),
                    OPEN_DOOR.to_owned(),
                ));
            } else {
                let message = format!(
                    "the permit `{name}` can never apply: no request of any route meets its conditions"
                );
                found.push(place(id, span, message, "mend it or delete it".to_owned()).advice());
            }
        }
    }
    let mut seen = HashSet::new();
    found.retain(|problem| seen.insert((problem.to_string(), problem.help.clone())));
    problems.extend(found);
    wrong
}

/// What to do about a forbid that never applies.
pub(super) const OPEN_DOOR: &str = "a forbid that never applies is an open door: mend it or delete it";

/// Whether no request can satisfy the policy.
pub(super) fn never_applies(warning: &ValidationWarning) -> bool {
    matches!(
        warning,
        ValidationWarning::ImpossiblePolicy(_) | ValidationWarning::InvalidActionApplication(_)
    )
}

/// Message, help and span of an error, with what there is instead.
pub(super) fn explained(error: &ValidationError, schema: &Schema) -> Vec<(String, String, (usize, usize))> {
    let found = flatten(error).into_iter().map(|(message, help, span)| {
        // Cedar says the same again for every action that a policy is for.
        let message = match message.split_once(" in context for Action::") {
            Some((what, _action)) => format!("{what} in `context` not found"),
            None => message,
        };
        let help = exposed(&message)
            .or_else(|| known_names(&message, schema))
            .unwrap_or(help);
        (message, help, span)
    });
    found.collect()
}

/// What there is instead of an unknown type or action. Cedar suggests something too, but not always the same, and be it
/// ever so far off.
fn known_names(message: &str, schema: &Schema) -> Option<String> {
    let unknown = |what: &str| Some(message.split_once(what)?.1.trim_end_matches('`'));
    let (word, mut names): (_, Vec<String>) = if let Some(word) = unknown("unrecognized entity type `") {
        (word, schema.entity_types().map(ToString::to_string).collect())
    } else {
        let word = unknown("unrecognized action `")?;
        (word, schema.actions().map(ToString::to_string).collect())
    };
    names.sort_unstable();
    Some(match did_you_mean(word, names.iter().map(String::as_str)) {
        help if help.is_empty() => format!("known are {}", names.join(", ")),
        help => help,
    })
}

/// What to do about a part of `context` that is there only if the configuration says so.
fn exposed(message: &str) -> Option<String> {
    let part = message
        .strip_suffix("` in `context` not found")
        .and_then(|m| m.rsplit('`').next())?;
    matches!(part, "headers" | "query" | "extensions" | "metadata" | "body").then(|| {
        format!("name what policies may look at in `expose.{part}` of the configuration or of a route")
    })
}

/// Message, help and first span of a diagnostic and of those related to it.
pub(super) fn flatten(diagnostic: &dyn Diagnostic) -> Vec<(String, String, (usize, usize))> {
    let label = diagnostic.labels().and_then(|mut labels| labels.next());
    let span = label
        .as_ref()
        .map_or((0, 0), |label| (label.offset(), label.len()));
    let mut message = diagnostic.to_string();
    let mut source = std::error::Error::source(diagnostic);
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !message.contains(&inner_text) {
            message = format!("{message}: {inner_text}");
        }
        source = inner.source();
    }
    // Of a syntax error the label says what was expected.
    let help = match (diagnostic.help(), label.as_ref().and_then(|label| label.label())) {
        (Some(help), _) => help.to_string(),
        (None, Some(label)) => label.to_owned(),
        (None, None) => String::new(),
    };
    let mut all = vec![(message, help, span)];
    for related in diagnostic.related().into_iter().flatten() {
        all.extend(flatten(related));
    }
    all
}
