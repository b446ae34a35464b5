//! The entities that a question is evaluated against: few, with all their ancestors.
//!
//! Cedar stores with each entity all it is in, directly or not, and asks only the entity on the left of an `in`. So the
//! ancestors themselves need not be there.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use cedar_policy::EntityUid;
use cedar_policy_core::ast::{Entity, EntityType, EntityUID};
use cedar_policy_core::entities::{Entities, NoEntitiesSchema, TCComputation};
use cedar_policy_core::extensions::Extensions;
use foldhash::fast::RandomState;
use smallvec::SmallVec;

use super::index::Keys;
use super::resource::Resource;
use super::whole::Whole;
use super::{Engine, Question};

/// What an engine found out about a principal: worked out once, and anew for another engine.
#[derive(Clone, Debug, Default)]
pub struct Place(Arc<ArcSwapOption<Placed>>);

#[derive(Debug)]
pub(super) struct Placed {
    generation: u64,
    pub(super) uid: Arc<EntityUID>,
    pub(super) whole: Whole,
    pub(super) keys: Keys,
    /// The types of its ancestors.
    kinds: SmallVec<[EntityType; 2]>,
}

/// Principal, resource and others, each with all its ancestors.
pub(super) struct Parties<'q> {
    pub(super) place: Arc<Placed>,
    /// The principal, if it is in more than its place says, because it is in another party.
    pub(super) grown: Option<Entity>,
    resource: &'q Resource,
    /// The resource, if it is in more than it says.
    pub(super) grown_resource: Option<Arc<Entity>>,
    others: SmallVec<[Arc<Entity>; 1]>,
}

/// The actions of the schema.
#[derive(Debug)]
pub(super) struct Actions(HashMap<EntityUID, (Arc<EntityUID>, Arc<Entity>), RandomState>);

impl Place {
    /// What `engine` knows of `principal`.
    pub(super) fn of(&self, principal: &Whole, engine: &Engine) -> Arc<Placed> {
        if let Some(placed) = &*self.0.load()
            && placed.generation == engine.generation
        {
            return Arc::clone(placed);
        }
        let mut kinds: SmallVec<[EntityType; 2]> = SmallVec::new();
        for ancestor in principal.ancestors() {
            if !kinds.contains(ancestor.entity_type()) {
                kinds.push(ancestor.entity_type().clone());
            }
        }
        let placed = Arc::new(Placed {
            generation: engine.generation,
            uid: Arc::new(principal.uid().clone()),
            keys: engine
                .index
                .principal(principal.uid(), principal.ancestors().iter()),
            kinds,
            whole: principal.clone(),
        });
        self.0.store(Some(Arc::clone(&placed)));
        placed
    }
}

impl Placed {
    pub(super) fn is_in(&self, uid: &EntityUID) -> bool {
        self.kinds.contains(uid.entity_type()) && self.whole.is_in(uid)
    }
}

impl Actions {
    pub(super) fn new(actions: &cedar_policy::Entities) -> Self {
        let actions: &Entities = actions.as_ref();
        let actions = actions.iter().map(|action| {
            let uid = Arc::new(action.uid().clone());
            (action.uid().clone(), (uid, Arc::new(action.clone())))
        });
        Self(actions.collect())
    }

    pub(super) fn uid(&self, action: &EntityUid) -> Arc<EntityUID> {
        match self.0.get(action.as_ref()) {
            Some((uid, _)) => Arc::clone(uid),
            None => Arc::new(action.as_ref().clone()),
        }
    }

    pub(super) fn entity(&self, action: &EntityUid) -> Option<Arc<Entity>> {
        let (_, entity) = self.0.get(action.as_ref())?;
        Some(Arc::clone(entity))
    }
}

impl<'q> Parties<'q> {
    pub(super) fn new(question: &Question<'q>, place: Arc<Placed>) -> Result<Self, String> {
        one_meaning(question)?;
        let others = question.others.iter();
        let mut parties = Self {
            place,
            grown: None,
            resource: question.resource,
            grown_resource: None,
            others: others.map(|other| Arc::clone(other.entity())).collect(),
        };
        if parties.is_in_each_other() {
            parties.join()?;
        }
        Ok(parties)
    }

    /// Everything that conditions can look at.
    pub(super) fn entities(&self, action: Option<Arc<Entity>>) -> Result<Entities, String> {
        let principal = match &self.grown {
            None => Arc::clone(self.place.whole.entity()),
            Some(grown) => Arc::new(grown.clone()),
        };
        let resource = self.grown_resource.as_ref();
        let resource = Arc::clone(resource.unwrap_or_else(|| self.resource.entity()));
        let mut all: SmallVec<[Arc<Entity>; 4]> = SmallVec::new();
        all.push(principal);
        if all.iter().all(|known| known.uid() != resource.uid()) {
            all.push(resource);
        }
        for party in &self.others {
            if all.iter().all(|known| known.uid() != party.uid()) {
                all.push(Arc::clone(party));
            }
        }
        all.extend(action);
        Entities::new()
            .add_entities(
                all,
                None::<&NoEntitiesSchema>,
                TCComputation::AssumeAlreadyComputed,
                Extensions::all_available(),
            )
            .map_err(|error| error.to_string())
    }

    /// Whether a party may be in another one, or in itself.
    fn is_in_each_other(&self) -> bool {
        let (place, resource) = (&self.place, self.resource);
        let all = || {
            let others = self.others.iter().map(|other| other.uid());
            [&*place.uid, resource.uid().as_ref()].into_iter().chain(others)
        };
        let is_asked_about = |above: &EntityUID| all().any(|uid| uid == above);
        all().any(|uid| place.is_in(uid))
            || (resource.ancestors().iter()).any(|above| is_asked_about(above.as_ref()))
            || (self.others.iter()).any(|party| party.ancestors().any(is_asked_about))
    }

    /// Whoever is in a party is also in whatever that is in.
    fn join(&mut self) -> Result<(), String> {
        let mut principal = Cow::Borrowed(&**self.place.whole.entity());
        let mut resource = Cow::Borrowed(&**self.resource.entity());
        loop {
            let others = self.others.iter().map(|other| &**other);
            let all: Vec<Entity> = [&*principal, &*resource]
                .into_iter()
                .chain(others)
                .cloned()
                .collect();
            if let Some(cyclic) = all.iter().find(|party| party.is_descendant_of(party.uid())) {
                return Err(format!("the entity {} is in itself", cyclic.uid()));
            }
            let mut grown = false;
            let mut step = |party: &mut Cow<'_, Entity>| {
                let above = all.iter().filter(|other| party.is_descendant_of(other.uid()));
                let above: Vec<EntityUID> = above.flat_map(Entity::ancestors).cloned().collect();
                for uid in above {
                    if !party.is_descendant_of(&uid) {
                        party.to_mut().add_indirect_ancestor(uid);
                        grown = true;
                    }
                }
            };
            step(&mut principal);
            step(&mut resource);
            for other in &mut self.others {
                let mut party = Cow::Borrowed(&**other);
                step(&mut party);
                if let Cow::Owned(party) = party {
                    *other = Arc::new(party);
                }
            }
            if !grown {
                break;
            }
        }
        if let Cow::Owned(principal) = principal {
            self.grown = Some(principal);
        }
        if let Cow::Owned(resource) = resource {
            self.grown_resource = Some(Arc::new(resource));
        }
        Ok(())
    }
}

/// Parties with one name must say the same.
fn one_meaning(question: &Question<'_>) -> Result<(), String> {
    let resource = question.resource;
    let mut others = question.others.iter().map(|other| &**other.entity());
    let twice =
        |uid: &EntityUID| format!("the entity {uid} is asked about twice, and not with the same attributes");
    let contradicts = |one: &Entity, other: &Entity| one.uid() == other.uid() && !one.deep_eq(other);
    let is_resource =
        |entity: &Entity| entity.uid() == resource.uid().as_ref() && !entity.deep_eq(resource.entity());
    let principal = question.principal;
    // Its entity need not be made for that.
    let is_principal = |uid: &EntityUID| principal.uid() == uid;
    if is_principal(resource.uid().as_ref()) && is_resource(principal.entity()) {
        return Err(twice(principal.uid()));
    }
    while let Some(entity) = others.next() {
        let mut more = others.clone();
        if (is_principal(entity.uid()) && contradicts(principal.entity(), entity))
            || is_resource(entity)
            || more.any(|other| contradicts(entity, other))
        {
            return Err(twice(entity.uid()));
        }
    }
    Ok(())
}
