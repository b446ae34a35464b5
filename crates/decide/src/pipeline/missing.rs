//! What a token lacks, for the log of a denial: the capabilities with which policies would have said yes, and what Magpie
//! says.

use std::fmt::Write as _;

use model::{Capabilities, Operation};

use super::live::Live;
use crate::magpie::Answer;
use crate::policy::{Circumstances, Judgement, PrincipalEntity, ResourceEntity};
use crate::routes::Action;
use crate::rules::Persona;

/// How many grants of a token are told, and how many characters of each path.
const TOLD: usize = 5;
const LONGEST_PATH: usize = 100;

impl Live {
    /// Asks again with capabilities that the token does not have, if policies look at capabilities at all and nothing
    /// permitted. Empty when there is nothing to say.
    pub(super) fn missing(
        &self,
        judgement: &Judgement,
        persona: &Persona,
        action: &Action,
        resource: &ResourceEntity,
        at: &Circumstances<'_, '_>,
    ) -> String {
        let policies = &self.rules.policies;
        if !matches!(judgement, Judgement::NoPermit) {
            return String::new();
        }
        let magpie = at.magpie.map(Answer::said).unwrap_or_default();
        let held = persona.entity.granted();
        let Some(held) = held.filter(|_| policies.look_at_capabilities()) else {
            return magpie;
        };
        let would_permit = |operations: &[Operation]| {
            let more: PrincipalEntity = persona.entity.granting(operations);
            let judged = policies.judge(&more, action, resource, at);
            matches!(judged.judgement, Judgement::Permit(_))
        };
        let mut enough = Vec::new();
        if would_permit(&Operation::ALL) {
            let scopes = Operation::ALL
                .into_iter()
                .filter(|operation| operation.has_scope());
            enough.extend(
                scopes
                    .filter(|operation| would_permit(&[*operation]))
                    .map(Operation::as_str),
            );
        }
        magpie + &said(&enough, at.granted_at(), held)
    }
}

/// `; storage.read for /x is missing (the token grants storage.create for /y)`.
fn said(enough: &[&str], path: &str, held: &Capabilities) -> String {
    let mut text = String::new();
    if let Some((last, others)) = enough.split_last() {
        let others = others
            .iter()
            .fold(String::new(), |all, name| format!("{all}{name} or "));
        let _ = write!(text, "; {others}{last}");
        if last.starts_with("storage.") {
            let _ = write!(text, " for {}", shortened(path));
        }
        text.push_str(" is missing");
    }
    if enough.is_empty() && held.is_empty() {
        return text;
    }
    text.push_str(if text.is_empty() {
        "; the token grants "
    } else {
        " (the token grants "
    });
    let grants: Vec<String> = held
        .iter()
        .take(TOLD)
        .map(|(path, operations)| grant(path, operations))
        .collect();
    let more = held.iter().count().saturating_sub(TOLD);
    match (grants.is_empty(), more) {
        (true, _) => text.push_str("no capability"),
        (_, 0) => text.push_str(&grants.join(", ")),
        _ => {
            let _ = write!(text, "{}, and more at {more} other paths", grants.join(", "));
        }
    }
    if !enough.is_empty() {
        text.push(')');
    }
    text
}

fn grant(path: Option<&str>, operations: model::Operations) -> String {
    let names: Vec<&str> = operations.names().collect();
    match path {
        Some(path) => format!("{} for {}", names.join(" "), shortened(path)),
        None => names.join(" "),
    }
}

fn shortened(path: &str) -> String {
    match path.char_indices().nth(LONGEST_PATH) {
        Some((end, _)) => format!("{}…", path.get(..end).unwrap_or_default()),
        None => path.to_owned(),
    }
}
