//! What files say of entities, ready to be joined with what tokens and routes say.
//!
//! Ancestors are closed when the files are loaded, so a request pays for lookups and never for a walk through groups of
//! groups. Entities that attributes refer to are as many steps away as the policies take at most.

mod load;
mod reach;

use std::collections::{HashMap, HashSet};

use cedar_policy::{EntityUid, EvalResult};
use smol_str::SmolStr;

use super::engine::{Given, Whole};

pub(super) use load::load;
pub(super) use reach::Reach;

/// The entities of all files.
#[derive(Debug, Default)]
pub struct EntityData {
    kept: HashMap<EntityUid, Kept>,
    reach: Reach,
}

/// One entity of a file.
#[derive(Debug)]
pub(super) struct Kept {
    /// The whole of it, with closed ancestors.
    entity: Whole,
    attributes: Vec<(SmolStr, Given)>,
    ancestors: Vec<EntityUid>,
    /// The entities of files that its attributes and tags name.
    refers: Vec<EntityUid>,
}

impl Kept {
    pub(super) fn attributes(&self) -> impl Iterator<Item = (&str, Given)> {
        let attributes = self.attributes.iter();
        attributes.map(|(name, value)| (name.as_str(), value.clone()))
    }

    pub(super) fn refers(&self) -> &[EntityUid] {
        &self.refers
    }

    /// The whole entity, if nothing has to be added to it.
    pub(super) fn entity(&self) -> &Whole {
        &self.entity
    }

    pub(super) fn ancestors(&self) -> &[EntityUid] {
        &self.ancestors
    }
}

impl EntityData {
    /// What a file says of an attribute of an entity.
    pub(crate) fn attribute(&self, uid: &EntityUid, name: &str) -> Option<EvalResult> {
        self.get(uid)?.entity.to_entity().attr(name)?.ok()
    }

    /// True if no file says anything.
    pub(super) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// What a file says of an entity.
    pub(super) fn get(&self, uid: &EntityUid) -> Option<&Kept> {
        self.kept.get(uid)
    }

    /// `parents` with everything that they are in.
    pub(super) fn close(&self, parents: HashSet<EntityUid>) -> HashSet<EntityUid> {
        if self.kept.is_empty() {
            return parents;
        }
        let mut closed = parents.clone();
        for parent in &parents {
            closed.extend(
                self.get(parent)
                    .into_iter()
                    .flat_map(|kept| kept.ancestors.iter().cloned()),
            );
        }
        closed
    }

    /// The entities that policies can get to from `given`, each with what it refers to; without those that are given.
    pub(super) fn beyond(&self, given: &[(&EntityUid, &[EntityUid])]) -> Vec<&Whole> {
        if self.kept.is_empty() {
            return Vec::new();
        }
        let mut seen: HashSet<&EntityUid> = given.iter().map(|(uid, _)| *uid).collect();
        let mut found = Vec::new();
        let mut next: Vec<&EntityUid> = given.iter().flat_map(|(_, refers)| refers.iter()).collect();
        let named: Vec<&EntityUid> = self.reach.named.iter().collect();
        next.extend(&named);
        // The first step of a row is what is given, or what a policy names.
        let more = self.reach.steps.saturating_sub(1) + usize::from(!named.is_empty());
        for _ in 0..more {
            if next.is_empty() {
                break;
            }
            let mut behind = Vec::new();
            for uid in next {
                if let Some(kept) = self.get(uid).filter(|_| seen.insert(uid)) {
                    found.push(&kept.entity);
                    behind.extend(&kept.refers);
                }
            }
            next = behind;
        }
        found
    }
}

/// The entities that a value names.
fn entities_in(value: &EvalResult, found: &mut Vec<EntityUid>) {
    match value {
        EvalResult::EntityUid(uid) => found.push(uid.clone()),
        EvalResult::Set(set) => set.iter().for_each(|value| entities_in(value, found)),
        EvalResult::Record(record) => record.iter().for_each(|(_, value)| entities_in(value, found)),
        EvalResult::Bool(_) | EvalResult::Long(_) | EvalResult::String(_) | EvalResult::ExtensionValue(_) => {
        }
    }
}
