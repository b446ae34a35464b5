//! What is asked for: its entity is made only once a condition looks at it.

use std::cell::OnceCell;
use std::collections::HashSet;
use std::sync::Arc;

use cedar_policy::EntityUid;
use cedar_policy_core::ast::{Entity, PartialValue, Value};
use smallvec::SmallVec;
use smol_str::SmolStr;

use super::value::Given;
use super::whole::Whole;

/// A resource: its name, everything it is in, and its attributes.
#[derive(Clone, Debug)]
pub struct Resource {
    uid: EntityUid,
    ancestors: SmallVec<[EntityUid; 2]>,
    attributes: SmallVec<[(SmolStr, Given); 2]>,
    /// What else is known of it; of two values of an attribute, the one above counts.
    known: Option<Whole>,
    /// Whether it is more than what is known.
    more: bool,
    entity: OnceCell<Arc<Entity>>,
}

impl Resource {
    /// A resource. `ancestors` are all that it is in, directly or not.
    pub fn new(uid: EntityUid, ancestors: impl IntoIterator<Item = EntityUid>) -> Self {
        Self {
            uid,
            ancestors: ancestors.into_iter().collect(),
            attributes: SmallVec::new(),
            known: None,
            more: true,
            entity: OnceCell::new(),
        }
    }

    /// What is known of an entity, which is also in `ancestors`.
    pub fn known(known: &Whole, ancestors: impl IntoIterator<Item = EntityUid>) -> Self {
        let mut all: SmallVec<[EntityUid; 2]> =
            known.ancestors().iter().cloned().map(EntityUid::from).collect();
        let before = all.len();
        for uid in ancestors {
            if !all.contains(&uid) {
                all.push(uid);
            }
        }
        Self {
            uid: known.uid().clone().into(),
            more: all.len() > before,
            ancestors: all,
            attributes: SmallVec::new(),
            known: Some(known.clone()),
            entity: OnceCell::new(),
        }
    }

    /// Gives it an attribute.
    pub fn add(&mut self, name: &str, value: Given) {
        self.attributes.push((name.into(), value));
        self.more = true;
        self.entity = OnceCell::new();
    }

    /// Its name.
    pub fn uid(&self) -> &EntityUid {
        &self.uid
    }

    /// Everything it is in.
    pub(super) fn ancestors(&self) -> &[EntityUid] {
        &self.ancestors
    }

    /// An attribute, if it is there; `None` if that is not known.
    pub(super) fn attribute(&self, name: &str) -> Option<Option<&Value>> {
        // The last of two values of one name is kept.
        match self.attributes.iter().rev().find(|(given, _)| given == name) {
            Some((_, Given(value))) => Some(Some(value)),
            None => self
                .known
                .as_ref()
                .map_or(Some(None), |known| known.attribute(name)),
        }
    }

    /// The same of a tag.
    pub(super) fn tag(&self, name: &str) -> Option<Option<&Value>> {
        self.known.as_ref().map_or(Some(None), |known| known.tag(name))
    }

    /// Its entity in the form of Cedar's public interface.
    pub fn to_entity(&self) -> cedar_policy::Entity {
        Entity::clone(self.entity()).into()
    }

    /// Its entity.
    pub(super) fn entity(&self) -> &Arc<Entity> {
        self.entity.get_or_init(|| match &self.known {
            Some(known) if !self.more => Arc::clone(known.entity()),
            known => Arc::new(self.made(known.as_ref().map(|known| &**known.entity()))),
        })
    }

    fn made(&self, known: Option<&Entity>) -> Entity {
        let given = self.attributes.iter();
        let given = given.map(|(name, Given(value))| (name.clone(), PartialValue::Value(value.clone())));
        let own = |(name, value): (&SmolStr, &PartialValue)| (name.clone(), value.clone());
        let ancestors = self.ancestors.iter().map(|uid| uid.as_ref().clone());
        Entity::new_with_attr_partial_value(
            self.uid.as_ref().clone(),
            // The last of two values of one name is kept.
            known.into_iter().flat_map(Entity::attrs).map(own).chain(given),
            HashSet::new(),
            ancestors.collect(),
            known.into_iter().flat_map(Entity::tags).map(own),
        )
    }
}
