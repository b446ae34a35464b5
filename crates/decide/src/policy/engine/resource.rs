//! Entities as questions take them: whole ones that many questions share, and what is asked for, whose entity is made only
//! once a condition looks at it.

use std::cell::OnceCell;
use std::collections::HashSet;
use std::sync::Arc;

use cedar_policy::EntityUid;
use cedar_policy_core::ast::{Entity, PartialValue, Value};
use smallvec::SmallVec;
use smol_str::SmolStr;

use super::quick::known;
use super::value::Given;

/// An entity with all its ancestors. Clones share it.
#[derive(Clone, Debug)]
pub struct Whole(pub(super) Arc<Entity>);

impl Whole {
    /// An entity that is in `ancestors`, which are all that it is in, directly or not. Of two values of one name the last
    /// counts.
    pub fn new<'n>(
        uid: &EntityUid,
        attributes: impl IntoIterator<Item = (&'n str, Given)>,
        ancestors: impl IntoIterator<Item = EntityUid>,
        tags: impl IntoIterator<Item = (&'n str, Given)>,
    ) -> Self {
        let member = |(name, Given(value)): (&str, Given)| (name.into(), PartialValue::Value(value));
        let ancestors = ancestors.into_iter().map(|uid| uid.as_ref().clone());
        Self(Arc::new(Entity::new_with_attr_partial_value(
            uid.as_ref().clone(),
            attributes.into_iter().map(member),
            HashSet::new(),
            ancestors.collect(),
            tags.into_iter().map(member),
        )))
    }

    /// Its attributes, as far as they are known.
    pub fn attributes(&self) -> impl Iterator<Item = (&str, Given)> {
        self.0.attrs().filter_map(given)
    }

    /// Its tags, as far as they are known.
    pub fn tags(&self) -> impl Iterator<Item = (&str, Given)> {
        self.0.tags().filter_map(given)
    }

    /// About how many bytes the names of its ancestors take, beside those of the entities that files have.
    pub fn bytes_of_ancestors(&self) -> usize {
        // A set has room to spare, and the index has them once more.
        self.0.ancestors().count() * 3 * size_of::<EntityUid>()
    }

    /// It in the form of Cedar's public interface.
    pub fn to_entity(&self) -> cedar_policy::Entity {
        Entity::clone(&self.0).into()
    }
}

impl From<cedar_policy::Entity> for Whole {
    fn from(entity: cedar_policy::Entity) -> Self {
        let entity: &Entity = entity.as_ref();
        Self(Arc::new(entity.clone()))
    }
}

fn given<'e>((name, value): (&'e SmolStr, &PartialValue)) -> Option<(&'e str, Given)> {
    match value {
        PartialValue::Value(value) => Some((name, Given(value.clone()))),
        PartialValue::Residual(_) => None,
    }
}

/// A resource: its name, everything it is in, and its attributes.
#[derive(Clone, Debug)]
pub struct Resource {
    uid: EntityUid,
    ancestors: SmallVec<[EntityUid; 2]>,
    attributes: SmallVec<[(SmolStr, Given); 2]>,
    /// What else is known of it; of two values of an attribute, the one above counts.
    known: Option<Arc<Entity>>,
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
        let mut all: SmallVec<[EntityUid; 2]> = known.0.ancestors().cloned().map(EntityUid::from).collect();
        let before = all.len();
        for uid in ancestors {
            if !all.contains(&uid) {
                all.push(uid);
            }
        }
        Self {
            uid: known.0.uid().clone().into(),
            more: all.len() > before,
            ancestors: all,
            attributes: SmallVec::new(),
            known: Some(Arc::clone(&known.0)),
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
            None => known(self.known.as_ref().and_then(|entity| entity.get(name))),
        }
    }

    /// The same of a tag.
    pub(super) fn tag(&self, name: &str) -> Option<Option<&Value>> {
        known(self.known.as_ref().and_then(|entity| entity.get_tag(name)))
    }

    /// Its entity in the form of Cedar's public interface.
    pub fn to_entity(&self) -> cedar_policy::Entity {
        Entity::clone(self.entity()).into()
    }

    /// Its entity.
    pub(super) fn entity(&self) -> &Arc<Entity> {
        self.entity.get_or_init(|| match &self.known {
            Some(known) if !self.more => Arc::clone(known),
            known => Arc::new(self.made(known.as_deref())),
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
