//! What a delegated token is limited to, whatever policies say: its workspaces and its actions.
//!
//! The user was free to do more, and so may whoever acts: neither their permits nor those of public routes widen the token.

use model::{Delegation, Reason};

use super::answer::{Stop, deny};
use super::live::Live;
use super::who::Who;
use crate::policy::ResourceEntity;
use crate::routes::Action;

impl Live {
    /// Denies what is outside of the limits of the token, if it was delegated.
    pub(super) fn within_delegation(
        &self,
        who: &Who,
        action: &Action,
        resource: &ResourceEntity,
    ) -> Result<(), Stop> {
        let principal = who.principal();
        let Some((principal, delegation)) = principal.and_then(|it| Some((it, it.delegation.as_deref()?)))
        else {
            return Ok(());
        };
        let outside = |why: String| outside(&format!("the token that acts for {principal} {why}"));
        if let Some(workspaces) = &delegation.workspaces {
            match resource.text("workspace") {
                Some(workspace) if workspaces.contains(&workspace) => {}
                Some(workspace) => {
                    return Err(outside(format!(
                        "is good for {}, and {} is in the workspace {workspace:?}",
                        listed("workspace", workspaces),
                        resource.uid(),
                    )));
                }
                None => {
                    return Err(outside(format!(
                        "is good for {} only, and {} is in none (it has no attribute `workspace`)",
                        listed("workspace", workspaces),
                        resource.uid(),
                    )));
                }
            }
        }
        match &delegation.actions {
            Some(actions) if !self.rules.policies.is_among(action, actions) => Err(outside(format!(
                "is good for {}, and {:?} is none of them",
                listed("action", actions),
                action.name,
            ))),
            _ => Ok(()),
        }
    }
}

/// Delegated tokens are for requests: with one of them nobody gets another one, and nobody administers the house.
pub(super) fn not_for_the_house(delegation: Option<&Delegation>) -> Result<(), Stop> {
    match delegation {
        None => Ok(()),
        Some(_) => Err(outside(
            "the token was delegated for requests, and is no credential of its bearer to the house itself",
        )),
    }
}

fn outside(log: &str) -> Stop {
    let caller = "the token was not delegated for this";
    deny(403, Reason::OutsideDelegation, caller, log.to_owned()).into()
}

fn listed(what: &str, names: &[String]) -> String {
    /// How many names are told.
    const TOLD: usize = 10;
    let told: Vec<String> = names.iter().take(TOLD).map(|name| format!("{name:?}")).collect();
    let more = names.len().saturating_sub(TOLD);
    let plural = if names.len() == 1 { "" } else { "s" };
    match (names.is_empty(), more) {
        (true, _) => format!("no {what}"),
        (_, 0) => format!("the {what}{plural} {}", told.join(", ")),
        _ => format!("the {what}s {} and {more} more", told.join(", ")),
    }
}
