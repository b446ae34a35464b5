//! Principals and resources as Cedar entities.

use std::collections::{HashMap, HashSet};

use cedar_policy::{
    Entities, Entity, EntityId, EntityTypeName, EntityUid, EvalResult, RestrictedExpression, Schema,
};
use model::{Actor, Capabilities, Operation, Principal, PrincipalKind};

use super::engine::{Given, Place, Resource, Whole};
use super::entity_data::{EntityData, Kept};

/// A principal's entity, made once per verified credential.
#[derive(Clone, Debug)]
pub struct PrincipalEntity {
    uid: EntityUid,
    entity: Whole,
    place: Place,
    actors: Vec<ActorEntity>,
    credential: Credential,
    /// Entities of files that its attributes name.
    refers: Vec<EntityUid>,
}

/// What the context says of a principal's credential.
#[derive(Clone, Debug)]
struct Credential {
    /// `None` for nobody.
    issuer: Option<Given>,
    scopes: Given,
    audiences: Given,
    /// What it grants; `None` for nobody.
    capabilities: Option<Capabilities>,
    /// The principal as a record, if somebody acts for it: it may be of any type, and Cedar has no type for that.
    subject: Option<Given>,
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
    pub fn new(principal: &Principal, data: &EntityData) -> Result<Self, String> {
        let uid = uid(principal.kind.as_str(), &principal.id)?;
        let string = |text: &str| RestrictedExpression::new_string(text.to_owned());
        let mut attributes = HashMap::new();
        if principal.kind != PrincipalKind::Anonymous {
            attributes.insert("subject".to_owned(), string(&principal.subject));
            attributes.insert("issuer".to_owned(), string(&principal.issuer));
            for (name, value) in [("name", &principal.name), ("client", &principal.client)] {
                if let Some(value) = value {
                    attributes.insert(name.to_owned(), string(value));
                }
            }
        }
        let kept = data.get(&uid);
        attributes.extend(kept.into_iter().flat_map(Kept::attributes));
        let groups = principal
            .groups
            .iter()
            .map(|group| self::uid("Group", &format!("{}/{group}", principal.issuer)))
            .collect::<Result<HashSet<_>, _>>()?;
        let mut groups = data.close(groups);
        groups.extend(kept.into_iter().flat_map(|kept| kept.ancestors().iter().cloned()));
        let tags = principal.roles.iter().map(|(client, roles)| {
            let roles = RestrictedExpression::new_set(roles.iter().map(|role| string(role)));
            (client.clone(), roles)
        });
        let entity = Entity::new_with_tags(uid.clone(), attributes, groups, tags)
            .map_err(|error| error.to_string())?;
        let actors = principal.actors.iter().map(|actor| ActorEntity::new(actor, data));
        Ok(Self {
            uid,
            entity: entity.into(),
            place: Place::default(),
            actors: actors.collect::<Result<_, _>>()?,
            credential: Credential::of(principal),
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

    pub(super) fn issuer(&self) -> Option<Given> {
        self.credential.issuer.clone()
    }

    pub(super) fn scopes(&self) -> Given {
        self.credential.scopes.clone()
    }

    pub(super) fn audiences(&self) -> Given {
        self.credential.audiences.clone()
    }

    /// What the credential grants; `None` for nobody.
    pub(crate) fn granted(&self) -> Option<&Capabilities> {
        self.credential.capabilities.as_ref()
    }

    /// The same principal with a credential that grants these wherever they are asked for.
    pub(crate) fn granting(&self, operations: &[Operation]) -> Self {
        let mut more = self.clone();
        for operation in operations {
            let capabilities = more.credential.capabilities.get_or_insert_default();
            capabilities.grant(*operation, None);
        }
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
        self.credential.subject.clone()
    }
}

impl Credential {
    fn of(principal: &Principal) -> Self {
        let somebody = principal.kind != PrincipalKind::Anonymous;
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
        Self {
            issuer: somebody.then(|| Given::text(&principal.issuer)),
            scopes: texts(&principal.scopes),
            audiences: texts(&principal.audiences),
            capabilities: somebody.then(|| principal.capabilities.clone()),
            subject: (!principal.actors.is_empty()).then(subject),
        }
    }
}

impl ActorEntity {
    fn new(actor: &Actor, data: &EntityData) -> Result<Self, String> {
        let uid = uid(Actor::TYPE, &actor.id)?;
        let kept = data.get(&uid);
        let string = |text: &str| RestrictedExpression::new_string(text.to_owned());
        let mut attributes = HashMap::from([
            ("issuer".to_owned(), string(&actor.issuer)),
            ("client".to_owned(), string(&actor.client)),
        ]);
        attributes.extend(kept.into_iter().flat_map(Kept::attributes));
        let ancestors = kept.into_iter().flat_map(|kept| kept.ancestors().iter().cloned());
        let entity =
            Entity::new(uid.clone(), attributes, ancestors.collect()).map_err(|error| error.to_string())?;
        Ok(Self {
            uid,
            entity: entity.into(),
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
            let checked = PrincipalEntity::new(&sample, &data)
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
    let kind: EntityTypeName = kind.parse().map_err(|error| format!("{error}"))?;
    Ok(EntityUid::from_type_name_and_id(kind, EntityId::new(id)))
}
