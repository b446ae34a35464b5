//! Principals and resources as Cedar entities.

use std::collections::HashSet;
use std::sync::{Arc, LazyLock, OnceLock};

use cedar_policy::{Entities, Entity, EntityId, EntityTypeName, EntityUid, EvalResult, Schema};
use model::{Actor, Capabilities, Operation, Principal, PrincipalKind};

use super::engine::{Given, Place, Resource, Whole};
use super::entity_data::{EntityData, Kept};

/// A principal's entity, made once per verified credential.
#[derive(Clone, Debug)]
pub struct PrincipalEntity {
    principal: Arc<Principal>,
    uid: EntityUid,
    entity: Whole,
    place: Place,
    actors: Vec<ActorEntity>,
    credential: Credential,
    /// Entities of files that its attributes name.
    refers: Vec<EntityUid>,
}

/// What the context says of a principal's credential; most of it made when a policy first looks at it, which few do.
#[derive(Clone, Debug, Default)]
struct Credential {
    scopes: OnceLock<Given>,
    audiences: OnceLock<Given>,
    /// The principal as a record, if somebody acts for it: it may be of any type, and Cedar has no type for that.
    subject: OnceLock<Given>,
    /// What it grants, if that is not what the principal says.
    granted: Option<Capabilities>,
}

/// The entity of somebody who acts for a principal: the principal of the second question.
#[derive(Clone, Debug)]
pub(crate) struct ActorEntity {
    pub(super) uid: EntityUid,
    pub(super) entity: Whole,
    pub(super) refers: Vec<EntityUid>,
    pub(super) place: Place,
    /// Who it is.
    pub(crate) actor: Actor,
}

impl PrincipalEntity {
    /// The entity of `principal`: attributes `subject`, `issuer`, `name`, `client`; groups as parents; the roles of
    /// each client as a tag of the client's name. `data` adds parents and attributes, and everything that the groups are in.
    ///
    /// # Errors
    /// Cedar's message, when it cannot be an entity.
    pub fn new(principal: &Arc<Principal>, data: &EntityData) -> Result<Self, String> {
        let uid = uid(principal.kind.as_str(), &principal.id)?;
        let mut attributes = Vec::new();
        if principal.kind != PrincipalKind::Anonymous {
            attributes.push(("subject", Given::text(&principal.subject)));
            attributes.push(("issuer", Given::text(&principal.issuer)));
            for (name, value) in [("name", &principal.name), ("client", &principal.client)] {
                attributes.extend(value.iter().map(|value| (name, Given::text(value))));
            }
        }
        let kept = data.get(&uid);
        attributes.extend(kept.into_iter().flat_map(Kept::attributes));
        let groups = principal
            .groups
            .iter()
            .map(|group| self::uid(GROUP, &format!("{}/{group}", principal.issuer)))
            .collect::<Result<HashSet<_>, _>>()?;
        let mut groups = data.close(groups);
        groups.extend(kept.into_iter().flat_map(|kept| kept.ancestors().iter().cloned()));
        let tags = principal.roles.iter();
        let tags = tags.map(|(client, roles)| (client.as_str(), texts(roles)));
        let entity = Whole::new(&uid, attributes, groups, tags);
        let actors = principal.actors.iter().map(|actor| ActorEntity::new(actor, data));
        Ok(Self {
            principal: Arc::clone(principal),
            uid,
            entity,
            place: Place::default(),
            actors: actors.collect::<Result<_, _>>()?,
            credential: Credential::default(),
            refers: refers(kept),
        })
    }

    /// Entities of files that its attributes name.
    pub(super) fn refers(&self) -> &[EntityUid] {
        &self.refers
    }

    /// Those who act for the principal; each must be allowed, too.
    pub(crate) fn actors(&self) -> &[ActorEntity] {
        &self.actors
    }

    /// About how many bytes its ancestors take, and those of who acts for it.
    pub(crate) fn bytes_of_ancestors(&self) -> usize {
        let actors = self.actors.iter().map(|actor| &actor.entity);
        let all = actors.chain([&self.entity]);
        all.map(Whole::bytes_of_ancestors).sum()
    }

    pub(super) fn entity(&self) -> &Whole {
        &self.entity
    }

    pub(crate) fn uid(&self) -> &EntityUid {
        &self.uid
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// True for nobody: there is no credential.
    fn is_nobody(&self) -> bool {
        self.principal.kind == PrincipalKind::Anonymous
    }

    pub(super) fn issuer(&self) -> Option<Given> {
        (!self.is_nobody()).then(|| Given::text(&self.principal.issuer))
    }

    pub(super) fn scopes(&self) -> Given {
        let scopes = &self.credential.scopes;
        scopes.get_or_init(|| texts(&self.principal.scopes)).clone()
    }

    pub(super) fn audiences(&self) -> Given {
        let audiences = &self.credential.audiences;
        audiences.get_or_init(|| texts(&self.principal.audiences)).clone()
    }

    /// What the credential grants; `None` for nobody.
    pub(crate) fn granted(&self) -> Option<&Capabilities> {
        let own = (!self.is_nobody()).then_some(&self.principal.capabilities);
        self.credential.granted.as_ref().or(own)
    }

    /// The same principal with a credential that grants these wherever they are asked for.
    pub(crate) fn granting(&self, operations: &[Operation]) -> Self {
        let mut granted = self.granted().cloned().unwrap_or_default();
        for operation in operations {
            granted.grant(*operation, None);
        }
        let mut more = self.clone();
        more.credential.granted = Some(granted);
        more
    }

    /// What the credential grants for a path, and what somewhere below it.
    pub(super) fn capabilities(&self, path: &str) -> Given {
        let granted = self.granted().map(|granted| granted.at(path)).unwrap_or_default();
        Given::texts(granted.names())
    }

    pub(super) fn capabilities_below(&self, path: &str) -> Given {
        let granted = self
            .granted()
            .map(|granted| granted.below(path))
            .unwrap_or_default();
        Given::texts(granted.names())
    }

    /// The principal for whom somebody acts, as a record.
    pub(super) fn as_subject(&self) -> Option<Given> {
        let principal = &*self.principal;
        let subject = || {
            let members = [
                ("type", principal.kind.as_str()),
                ("id", &principal.id),
                ("issuer", &principal.issuer),
                ("subject", &principal.subject),
            ];
            let name = principal.name.as_deref().map(|name| ("name", name));
            let members = members.into_iter().chain(name);
            Given::record(members.map(|(name, text)| (name, Given::text(text))))
        };
        (!principal.actors.is_empty()).then(|| self.credential.subject.get_or_init(subject).clone())
    }
}

impl ActorEntity {
    fn new(actor: &Actor, data: &EntityData) -> Result<Self, String> {
        let uid = uid(Actor::TYPE, &actor.id)?;
        let kept = data.get(&uid);
        let given = [
            ("issuer", Given::text(&actor.issuer)),
            ("client", Given::text(&actor.client)),
        ];
        let attributes = given
            .into_iter()
            .chain(kept.into_iter().flat_map(Kept::attributes));
        let ancestors = kept.into_iter().flat_map(|kept| kept.ancestors().iter().cloned());
        Ok(Self {
            entity: Whole::new(&uid, attributes, ancestors, []),
            uid,
            refers: refers(kept),
            place: Place::default(),
            actor: actor.clone(),
        })
    }
}

fn refers(kept: Option<&Kept>) -> Vec<EntityUid> {
    kept.map_or_else(Vec::new, |kept| kept.refers().to_vec())
}

fn texts(texts: &[String]) -> Given {
    Given::texts(texts.iter().map(String::as_str))
}

/// A resource, made per request.
#[derive(Clone, Debug)]
pub struct ResourceEntity {
    resource: Resource,
    /// Entities of files that its attributes name.
    refers: Vec<EntityUid>,
}

impl ResourceEntity {
    /// A resource with attributes and direct ancestors; `named` are the entities that attributes name. `data` adds to all of
    /// it, and tags; where the route and a file give the same attribute, the route's counts.
    pub fn new<'n>(
        uid: EntityUid,
        attributes: impl IntoIterator<Item = (&'n str, Given)>,
        ancestors: impl IntoIterator<Item = EntityUid>,
        named: Vec<EntityUid>,
        data: &EntityData,
    ) -> Self {
        let mut refers = named;
        let mut resource = if data.is_empty() {
            Resource::new(uid, ancestors)
        } else {
            let ancestors = data.close(ancestors.into_iter().collect());
            match data.get(&uid) {
                None => Resource::new(uid, ancestors),
                Some(kept) => {
                    refers.extend_from_slice(kept.refers());
                    Resource::known(kept.entity(), ancestors)
                }
            }
        };
        for (name, value) in attributes {
            resource.add(name, value);
        }
        Self { resource, refers }
    }

    /// Entities of files that its attributes name.
    pub(super) fn refers(&self) -> &[EntityUid] {
        &self.refers
    }

    pub(crate) fn uid(&self) -> &EntityUid {
        self.resource.uid()
    }

    pub(super) fn resource(&self) -> &Resource {
        &self.resource
    }

    /// The attribute of that name, if it is a text.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        match self.resource.to_entity().attr(name)? {
            Ok(EvalResult::String(text)) => Some(text),
            _ => None,
        }
    }

    /// Whether the schema lets this entity exist.
    ///
    /// # Errors
    /// Cedar's message: an unknown type, a missing or undeclared attribute, an ancestor of a wrong type.
    pub(crate) fn conforms(&self, schema: &Schema) -> Result<(), String> {
        conforms(self.resource.to_entity(), schema)
    }
}

/// Whether the schema declares the principal types with everything that identity fills in.
///
/// # Errors
/// One message per type.
pub(crate) fn principals_conform(schema: &Schema) -> Vec<(&'static str, String)> {
    let data = EntityData::default();
    let mut problems = Vec::new();
    for kind in PrincipalKind::ALL {
        let mut least = Principal::anonymous();
        least.kind = kind;
        let mut most = least.clone();
        if kind != PrincipalKind::Anonymous {
            least.id = "issuer/least".to_owned();
            most.id = "issuer/most".to_owned();
            most.name = Some("name".to_owned());
            most.client = Some("client".to_owned());
        }
        if matches!(kind, PrincipalKind::User | PrincipalKind::Robot) {
            most.groups = vec!["group".to_owned()];
            most.roles = vec![("client".to_owned(), vec!["role".to_owned()])];
        }
        for sample in [least, most] {
            let checked = PrincipalEntity::new(&Arc::new(sample), &data)
                .and_then(|sample| conforms(sample.entity.to_entity(), schema));
            if let Err(message) = checked {
                problems.push((kind.as_str(), message));
                break;
            }
        }
    }
    let actor = ActorEntity::new(&Actor::new("issuer", "client"), &data);
    if let Err(message) = actor.and_then(|actor| conforms(actor.entity.to_entity(), schema)) {
        problems.push((Actor::TYPE, message));
    }
    problems
}

fn conforms(entity: Entity, schema: &Schema) -> Result<(), String> {
    Entities::from_entities([entity], Some(schema))
        .map(|_| ())
        .map_err(|error| cause_of(&error))
}

/// What Cedar finds wrong with an entity: its outermost message says only that something does not conform.
pub(super) fn cause_of(error: &dyn std::error::Error) -> String {
    let mut cause = error.source();
    let mut message = cause.map_or_else(|| error.to_string(), ToString::to_string);
    while let Some(inner) = cause.and_then(|cause| cause.source()) {
        message = format!("{message}: {inner}");
        cause = Some(inner);
    }
    message
}

pub(crate) fn uid(kind: &str, id: &str) -> Result<EntityUid, String> {
    let known = TYPES.iter().find(|known| known.basename() == kind);
    let kind = match known {
        Some(known) => known.clone(),
        None => kind.parse().map_err(|error| format!("{error}"))?,
    };
    Ok(EntityUid::from_type_name_and_id(kind, EntityId::new(id)))
}

/// The types that identity makes entities of, for parsing a name takes longer than all else about an entity.
static TYPES: LazyLock<Vec<EntityTypeName>> = LazyLock::new(|| {
    let names = PrincipalKind::ALL.map(PrincipalKind::as_str);
    let names = names.into_iter().chain([GROUP, Actor::TYPE]);
    names.filter_map(|name| name.parse().ok()).collect()
});

const GROUP: &str = "Group";
