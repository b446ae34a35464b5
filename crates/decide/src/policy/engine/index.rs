//! The scope index: which policies can match a request, by what they say before their `when` and `unless`.
//!
//! A scope never fails to evaluate, and Cedar looks at it first. So a policy whose scope does not match a request gives
//! neither a decision, nor a reason, nor an error, and leaving it out changes nothing. This is proved for Cedar's
//! model (cedar-spec, `Cedar/Thm/PolicySlice.lean`) and held for this code by the tests beside [`super::Engine`].

use std::collections::HashMap;

use cedar_policy::Entities;
use cedar_policy_core::ast::{
    ActionConstraint, Entity, EntityReference, EntityType, EntityUID, PrincipalOrResourceConstraint, Template,
};
use cedar_policy_core::entities::Dereference;
use foldhash::fast::RandomState;
use smallvec::SmallVec;
use smol_str::SmolStr;

type Table<K, V> = HashMap<K, V, RandomState>;

/// The place of a policy in the order of their ids.
pub(super) type Ordinal = u32;

/// The key of whatever a policy does not restrict.
const ANY: u32 = 0;
/// Stands where no policy has asked for a key of that kind.
const NONE: u32 = 0;

/// From a pair of keys, the principal's and the resource's, to the policies that have them in their scopes.
#[derive(Debug, Default)]
pub(super) struct ScopeIndex {
    principals: Side,
    resources: Side,
    postings: Table<(u32, u32), SmallVec<[Posting; 1]>>,
    actions: Table<EntityUID, Bits>,
    /// The restrictions that an action meets which no policy and no schema names.
    unknown_action: Bits,
}

/// One policy under its pair of keys.
#[derive(Clone, Copy, Debug)]
struct Posting {
    policy: Ordinal,
    /// The number of its restriction on actions.
    actions: u32,
    /// The types that `is … in …` asks for besides; [`NONE`] for any.
    principal_kind: u32,
    resource_kind: u32,
}

/// The keys that scopes use for principals, or for resources.
#[derive(Debug)]
struct Side {
    kinds: Table<EntityType, Kind>,
    /// Whether scopes name any entity.
    names: bool,
    next: u32,
}

/// A type, and the entities of it that scopes name, by their ids.
#[derive(Debug, Default)]
struct Kind {
    keys: KindKeys,
    entities: Table<SmolStr, EntityKeys>,
}

/// The keys of `== E` and of `in E`.
#[derive(Clone, Copy, Debug, Default)]
struct EntityKeys {
    equal: u32,
    within: u32,
}

/// The key of `is T`, and the number of the type.
#[derive(Clone, Copy, Debug, Default)]
struct KindKeys {
    is: u32,
    number: u32,
}

/// The keys of one entity: only those that some policy has.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys {
    keys: SmallVec<[u32; 8]>,
    kind: u32,
}

/// A set of small numbers.
#[derive(Clone, Debug, Default)]
struct Bits(Vec<u64>);

/// An index in the making.
#[derive(Default)]
pub(super) struct Indexing {
    index: ScopeIndex,
    restrictions: Restrictions,
}

/// The scope of a policy, or of all links of a template.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scope {
    principal: Part,
    resource: Part,
    actions: u32,
}

/// What a scope says of the principal, or of the resource.
#[derive(Clone, Copy, Debug)]
enum Part {
    /// Key and type.
    Known(u32, u32),
    /// `== ?slot`.
    Equal,
    /// `in ?slot`, and the type.
    Within(u32),
}

/// An entity, by its type and its id.
pub(super) type Named<'n> = (&'n EntityType, &'n SmolStr);

impl Indexing {
    /// With room for so many policies.
    pub(super) fn of(count: usize) -> Self {
        let mut this = Self::default();
        this.index.postings.reserve(count);
        this
    }

    pub(super) fn scope(&mut self, template: &Template) -> Scope {
        let index = &mut self.index;
        Scope {
            principal: index.principals.part(template.principal_constraint().as_inner()),
            resource: index.resources.part(template.resource_constraint().as_inner()),
            actions: self.restrictions.number(template.action_constraint()),
        }
    }

    /// Adds a policy with what its slots stand for.
    pub(super) fn add(
        &mut self,
        policy: Ordinal,
        scope: Scope,
        principal: Option<Named<'_>>,
        resource: Option<Named<'_>>,
    ) {
        let index = &mut self.index;
        let (principal, principal_kind) = index.principals.place(scope.principal, principal);
        let (resource, resource_kind) = index.resources.place(scope.resource, resource);
        let posting = Posting {
            policy,
            actions: scope.actions,
            principal_kind,
            resource_kind,
        };
        let postings = index.postings.entry((principal, resource));
        postings.or_default().push(posting);
    }

    /// The index. `actions` are those of the schema, with all groups they are in.
    pub(super) fn finish(self, actions: &Entities) -> ScopeIndex {
        let mut index = self.index;
        index.actions = self.restrictions.met_by(actions);
        index.unknown_action = self.restrictions.any;
        index
    }
}

impl ScopeIndex {
    /// The keys of a principal that is in all of `ancestors`.
    pub(super) fn principal<'e>(
        &self,
        uid: &EntityUID,
        ancestors: impl Iterator<Item = &'e EntityUID>,
    ) -> Keys {
        self.principals.keys(uid, ancestors)
    }

    /// The keys of a resource that is in all of `ancestors`.
    pub(super) fn resource<'e>(
        &self,
        uid: &EntityUID,
        ancestors: impl Iterator<Item = &'e EntityUID>,
    ) -> Keys {
        self.resources.keys(uid, ancestors)
    }

    /// The policies whose scopes match, in ascending order.
    pub(super) fn candidates(
        &self,
        principal: &Keys,
        action: &EntityUID,
        resource: &Keys,
    ) -> SmallVec<[Ordinal; 16]> {
        let met = self.actions.get(action).unwrap_or(&self.unknown_action);
        let is = |wanted: u32, kind: u32| wanted == NONE || wanted == kind;
        let mut found = SmallVec::new();
        for &principal_key in &principal.keys {
            for &resource_key in &resource.keys {
                let Some(postings) = self.postings.get(&(principal_key, resource_key)) else {
                    continue;
                };
                let matching = postings.iter().filter(|posting| {
                    met.contains(posting.actions)
                        && is(posting.principal_kind, principal.kind)
                        && is(posting.resource_kind, resource.kind)
                });
                found.extend(matching.map(|posting| posting.policy));
            }
        }
        found.sort_unstable();
        found
    }
}

/// How narrow a scope is: what is said of principal, action and resource, counted.
pub(super) fn narrowness(scope: &Template) -> u8 {
    use PrincipalOrResourceConstraint::{Any, Eq, In, Is, IsIn};
    let of = |restriction: &PrincipalOrResourceConstraint| match restriction {
        Any => 0,
        Is(_) => 1,
        In(_) | IsIn(..) => 2,
        Eq(_) => 3,
    };
    let action = match scope.action_constraint() {
        ActionConstraint::Any => 0,
        ActionConstraint::In(_) => 1,
        ActionConstraint::Eq(_) => 2,
    };
    of(scope.principal_constraint().as_inner()) + of(scope.resource_constraint().as_inner()) + action
}

impl Default for Side {
    fn default() -> Self {
        Self {
            kinds: Table::default(),
            names: false,
            next: ANY + 1,
        }
    }
}

impl Side {
    fn part(&mut self, restriction: &PrincipalOrResourceConstraint) -> Part {
        use EntityReference::{EUID, Slot};
        use PrincipalOrResourceConstraint::{Any, Eq, In, Is, IsIn};
        match restriction {
            Any => Part::Known(ANY, NONE),
            Is(kind) => Part::Known(self.kind(kind, |keys| &mut keys.is), NONE),
            Eq(EUID(uid)) => Part::Known(self.known(uid, |keys| &mut keys.equal), NONE),
            In(EUID(uid)) => Part::Known(self.known(uid, |keys| &mut keys.within), NONE),
            IsIn(kind, EUID(uid)) => {
                let kind = self.kind(kind, |keys| &mut keys.number);
                Part::Known(self.known(uid, |keys| &mut keys.within), kind)
            }
            Eq(Slot(_)) => Part::Equal,
            In(Slot(_)) => Part::Within(NONE),
            IsIn(kind, Slot(_)) => Part::Within(self.kind(kind, |keys| &mut keys.number)),
        }
    }

    /// The key of a restriction, and the type it asks for besides. `slot` is what the link of a template fills in.
    fn place(&mut self, part: Part, slot: Option<Named<'_>>) -> (u32, u32) {
        match (part, slot) {
            (Part::Known(key, kind), _) => (key, kind),
            (Part::Equal, Some(named)) => (self.entity(named, |keys| &mut keys.equal), NONE),
            (Part::Within(kind), Some(named)) => (self.entity(named, |keys| &mut keys.within), kind),
            // Nothing with an open slot gets here; if it did, it would match nothing.
            (Part::Equal | Part::Within(_), None) => (u32::MAX, NONE),
        }
    }

    fn known(&mut self, uid: &EntityUID, key: impl Fn(&mut EntityKeys) -> &mut u32) -> u32 {
        let id = uid.eid().clone().into_smolstr();
        self.entity((uid.entity_type(), &id), key)
    }

    fn entity(&mut self, (kind, id): Named<'_>, key: impl Fn(&mut EntityKeys) -> &mut u32) -> u32 {
        self.names = true;
        let kind = match self.kinds.get_mut(kind) {
            Some(kind) => kind,
            None => self.kinds.entry(kind.clone()).or_default(),
        };
        let keys = match kind.entities.get_mut(id) {
            Some(keys) => keys,
            None => kind.entities.entry(id.clone()).or_default(),
        };
        numbered(key(keys), &mut self.next)
    }

    fn kind(&mut self, kind: &EntityType, key: impl Fn(&mut KindKeys) -> &mut u32) -> u32 {
        let kind = self.kinds.entry(kind.clone()).or_default();
        numbered(key(&mut kind.keys), &mut self.next)
    }

    fn keys<'e>(&self, uid: &EntityUID, ancestors: impl Iterator<Item = &'e EntityUID>) -> Keys {
        let mut keys: SmallVec<[u32; 8]> = SmallVec::new();
        let own = self.kinds.get(uid.entity_type());
        let kind = own.map(|kind| kind.keys).unwrap_or_default();
        keys.push(kind.is);
        if self.names {
            let own = own.and_then(|kind| kind.of(uid)).unwrap_or_default();
            keys.extend([own.equal, own.within]);
            let ancestors = ancestors.filter_map(|uid| self.kinds.get(uid.entity_type())?.of(uid));
            keys.extend(ancestors.map(|keys| keys.within));
        }
        keys.retain(|key| *key != NONE);
        keys.push(ANY);
        keys.sort_unstable();
        keys.dedup();
        Keys {
            keys,
            kind: kind.number,
        }
    }
}

impl Kind {
    fn of(&self, uid: &EntityUID) -> Option<EntityKeys> {
        let id: &str = uid.eid().as_ref();
        self.entities.get(id).copied()
    }
}

/// Gives a key its number when it is asked for first.
fn numbered(key: &mut u32, next: &mut u32) -> u32 {
    if *key == NONE {
        *key = *next;
        *next += 1;
    }
    *key
}

/// The different restrictions on actions, numbered, by what they name.
#[derive(Default)]
struct Restrictions {
    numbers: HashMap<ActionConstraint, u32>,
    any: Bits,
    equal: HashMap<EntityUID, Vec<u32>>,
    within: HashMap<EntityUID, Vec<u32>>,
}

impl Restrictions {
    fn number(&mut self, restriction: &ActionConstraint) -> u32 {
        if let Some(number) = self.numbers.get(restriction) {
            return *number;
        }
        let number = u32::try_from(self.numbers.len()).unwrap_or(u32::MAX);
        self.numbers.insert(restriction.clone(), number);
        match restriction {
            ActionConstraint::Any => self.any.insert(number),
            ActionConstraint::Eq(uid) => self.equal.entry(uid.as_ref().clone()).or_default().push(number),
            ActionConstraint::In(uids) => {
                for uid in uids {
                    let uid = uid.as_ref().clone();
                    self.within.entry(uid).or_default().push(number);
                }
            }
        }
        number
    }

    /// For each action that the schema or a policy names: the restrictions it meets.
    fn met_by(&self, actions: &Entities) -> Table<EntityUID, Bits> {
        let core: &cedar_policy_core::entities::Entities = actions.as_ref();
        let mut rows = Table::default();
        let bare = self.equal.keys().chain(self.within.keys());
        let bare: Vec<Entity> = bare
            .filter(|uid| matches!(core.entity(uid), Dereference::NoSuchEntity))
            .map(|uid| Entity::with_uid(uid.clone()))
            .collect();
        for action in core.iter().chain(&bare) {
            let mut row = self.any.clone();
            let equal = self.equal.get(action.uid()).into_iter();
            let above = std::iter::once(action.uid()).chain(action.ancestors());
            let within = above.filter_map(|uid| self.within.get(uid));
            for number in equal.chain(within).flatten() {
                row.insert(*number);
            }
            rows.insert(action.uid().clone(), row);
        }
        rows
    }
}

impl Bits {
    fn insert(&mut self, number: u32) {
        let word = number as usize / 64;
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        if let Some(word) = self.0.get_mut(word) {
            *word |= 1 << (number % 64);
        }
    }

    fn contains(&self, number: u32) -> bool {
        let word = self.0.get(number as usize / 64).copied().unwrap_or_default();
        word >> (number % 64) & 1 == 1
    }
}
