//! Entities that many questions share, kept small: tokens and files have many of them. Cedar's own form of one takes several times
//! the memory, and is made when its interpreter first has to look at it.

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};

use cedar_policy::EntityUid;
use cedar_policy_core::ast::{Entity, EntityUID, PartialValue, Value};
use smol_str::SmolStr;

use super::quick::known;
use super::value::Given;

/// An entity with all its ancestors. Clones share it.
#[derive(Clone, Debug)]
pub struct Whole(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    uid: EntityUID,
    /// In order.
    ancestors: Box<[EntityUID]>,
    attributes: Members,
    tags: Members,
    entity: OnceLock<Arc<Entity>>,
}

/// Values by their names, in order.
#[derive(Debug)]
struct Members(Box<[(SmolStr, Given)]>);

impl Whole {
    /// An entity that is in `ancestors`, which are all that it is in, directly or not. Of two values of one name the last
    /// counts.
    pub fn new<'n>(
        uid: &EntityUid,
        attributes: impl IntoIterator<Item = (&'n str, Given)>,
        ancestors: impl IntoIterator<Item = EntityUid>,
        tags: impl IntoIterator<Item = (&'n str, Given)>,
    ) -> Self {
        let ancestors = ancestors.into_iter().map(|uid| uid.as_ref().clone());
        Self(Arc::new(Parts {
            uid: uid.as_ref().clone(),
            ancestors: in_order(ancestors),
            attributes: Members::of(attributes),
            tags: Members::of(tags),
            entity: OnceLock::new(),
        }))
    }

    /// Its attributes, as far as they are known.
    pub fn attributes(&self) -> impl Iterator<Item = (&str, Given)> {
        self.0.attributes.all()
    }

    /// Its tags, as far as they are known.
    pub fn tags(&self) -> impl Iterator<Item = (&str, Given)> {
        self.0.tags.all()
    }

    /// About how many bytes the names of its ancestors take, beside those of the entities that files have.
    pub fn bytes_of_ancestors(&self) -> usize {
        // Cedar's form of it has them once more, with room to spare.
        self.0.ancestors.len() * 3 * size_of::<EntityUid>()
    }

    /// It in the form of Cedar's public interface.
    pub fn to_entity(&self) -> cedar_policy::Entity {
        Entity::clone(self.entity()).into()
    }

    /// Its name.
    pub(super) fn uid(&self) -> &EntityUID {
        &self.0.uid
    }

    /// Everything it is in.
    pub(super) fn ancestors(&self) -> &[EntityUID] {
        &self.0.ancestors
    }

    pub(super) fn is_in(&self, uid: &EntityUID) -> bool {
        self.0.ancestors.binary_search(uid).is_ok()
    }

    /// An attribute, if it is there; `None` if that is not known.
    pub(super) fn attribute(&self, name: &str) -> Option<Option<&Value>> {
        match self.0.attributes.get(name) {
            Some(value) => Some(Some(value)),
            // What is not known yet has no value, and Cedar's form still has it.
            None => known(self.0.entity.get().and_then(|entity| entity.get(name))),
        }
    }

    /// The same of a tag.
    pub(super) fn tag(&self, name: &str) -> Option<Option<&Value>> {
        match self.0.tags.get(name) {
            Some(value) => Some(Some(value)),
            None => known(self.0.entity.get().and_then(|entity| entity.get_tag(name))),
        }
    }

    /// Cedar's form of it.
    pub(super) fn entity(&self) -> &Arc<Entity> {
        self.0.entity.get_or_init(|| Arc::new(self.0.made()))
    }
}

impl Parts {
    fn made(&self) -> Entity {
        Entity::new_with_attr_partial_value(
            self.uid.clone(),
            self.attributes.partial(),
            HashSet::new(),
            self.ancestors.iter().cloned().collect(),
            self.tags.partial(),
        )
    }
}

impl From<cedar_policy::Entity> for Whole {
    fn from(entity: cedar_policy::Entity) -> Self {
        let entity: &Entity = entity.as_ref();
        Self(Arc::new(Parts {
            uid: entity.uid().clone(),
            ancestors: in_order(entity.ancestors().cloned()),
            attributes: Members::of(entity.attrs().filter_map(given)),
            tags: Members::of(entity.tags().filter_map(given)),
            entity: Arc::new(entity.clone()).into(),
        }))
    }
}

impl Members {
    fn of<'n>(members: impl IntoIterator<Item = (&'n str, Given)>) -> Self {
        let all = members.into_iter();
        let mut all: Vec<(SmolStr, Given)> = all.map(|(name, value)| (name.into(), value)).collect();
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        all.dedup_by(|last, kept| {
            let is_same = last.0 == kept.0;
            if is_same {
                std::mem::swap(last, kept);
            }
            is_same
        });
        Self(all.into())
    }

    fn get(&self, name: &str) -> Option<&Value> {
        let place = self.0.binary_search_by(|(known, _)| known.as_str().cmp(name));
        self.0.get(place.ok()?).map(|(_, Given(value))| value)
    }

    fn all(&self) -> impl Iterator<Item = (&str, Given)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.clone()))
    }

    fn partial(&self) -> impl Iterator<Item = (SmolStr, PartialValue)> {
        let all = self.0.iter();
        all.map(|(name, Given(value))| (name.clone(), PartialValue::Value(value.clone())))
    }
}

fn given<'e>((name, value): (&'e SmolStr, &PartialValue)) -> Option<(&'e str, Given)> {
    match value {
        PartialValue::Value(value) => Some((name, Given(value.clone()))),
        PartialValue::Residual(_) => None,
    }
}

fn in_order(uids: impl Iterator<Item = EntityUID>) -> Box<[EntityUID]> {
    let mut uids: Vec<EntityUID> = uids.collect();
    uids.sort_unstable();
    uids.dedup();
    uids.into()
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use cedar_policy::{EntityUid, RestrictedExpression};

    use super::*;

    fn uid(text: &str) -> EntityUid {
        text.parse().unwrap()
    }

    #[test]
    fn it_is_the_entity_that_cedar_would_make() {
        let text = |text: &str| RestrictedExpression::new_string(text.to_owned());
        let roles = RestrictedExpression::new_set([text("a"), text("b")]);
        let above = [uid("Group::\"z\""), uid("Group::\"a\""), uid("Org::\"o\"")];
        let expected = cedar_policy::Entity::new_with_tags(
            uid("User::\"u\""),
            HashMap::from([
                ("name".to_owned(), text("last")),
                ("issuer".to_owned(), text("main")),
            ]),
            HashSet::from(above.clone()),
            [("client".to_owned(), roles)],
        )
        .unwrap();
        let whole = Whole::new(
            &uid("User::\"u\""),
            [
                ("name", Given::text("first")),
                ("issuer", Given::text("main")),
                ("name", Given::text("last")),
            ],
            above.clone(),
            [("client", Given::texts(["b", "a"]))],
        );
        assert!(whole.to_entity().deep_eq(&expected));
        for whole in [whole, Whole::from(expected)] {
            let attribute = |name: &str| whole.attribute(name).unwrap().map(ToString::to_string);
            assert_eq!(attribute("name").unwrap(), "\"last\"");
            assert_eq!(attribute("issuer").unwrap(), "\"main\"");
            assert_eq!(attribute("client"), None);
            assert!(whole.tag("client").unwrap().is_some() && whole.tag("name").unwrap().is_none());
            assert!(above.iter().all(|above| whole.is_in(above.as_ref())));
            assert!(!whole.is_in(uid("Group::\"b\"").as_ref()));
            let names: Vec<&str> = whole.attributes().map(|(name, _)| name).collect();
            assert_eq!(names, ["issuer", "name"]);
        }
    }
}
