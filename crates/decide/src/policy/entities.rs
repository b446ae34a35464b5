//! Principals and resources as Cedar entities.

use std::collections::{HashMap, HashSet};

use cedar_policy::{
    Entities, Entity, EntityId, EntityTypeName, EntityUid, EvalResult, RestrictedExpression, Schema,
};
use model::{Actor, Capabilities, Operation, Principal, PrincipalKind};

use super::engine::Place;
use super::entity_data::{EntityData, Kept};

/// A principal's entity, made once per verified credential.
#[derive(Clone, Debug)]
pub struct PrincipalEntity {
    uid: EntityUid,
    entity: Entity,
    place: Place,
    actors: Vec<ActorEntity>,
    /// What the context says of the credential.
    principal: Principal,
    /// Entities of files that its attributes name.
    refers: Vec<EntityUid>,
}

/// The entity of somebody who acts for a principal: the principal of the second question.
#[derive(Clone, Debug)]
pub(crate) struct ActorEntity {
    pub(super) uid: EntityUid,
    pub(super) entity: Entity,
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
            entity,
            place: Place::default(),
            actors: actors.collect::<Result<_, _>>()?,
            principal: principal.clone(),
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

    pub(super) fn entity(&self) -> &Entity {
        &self.entity
    }

    pub(crate) fn uid(&self) -> &EntityUid {
        &self.uid
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    pub(super) fn issuer(&self) -> Option<&str> {
        let nobody = self.principal.kind == PrincipalKind::Anonymous;
        (!nobody).then_some(self.principal.issuer.as_str())
    }

    pub(super) fn scopes(&self) -> RestrictedExpression {
        strings(self.principal.scopes.iter().map(String::as_str))
    }

    pub(super) fn audiences(&self) -> RestrictedExpression {
        strings(self.principal.audiences.iter().map(String::as_str))
    }

    /// What the credential grants; `None` for nobody.
    pub(crate) fn granted(&self) -> Option<&Capabilities> {
        let nobody = self.principal.kind == PrincipalKind::Anonymous;
        (!nobody).then_some(&self.principal.capabilities)
    }

    /// The same principal with a credential that grants these wherever they are asked for.
    pub(crate) fn granting(&self, operations: &[Operation]) -> Self {
        let mut more = self.clone();
        for operation in operations {
            more.principal.capabilities.grant(*operation, None);
        }
        more
    }

    /// What the credential grants for a path, and what somewhere below it.
    pub(super) fn capabilities(&self, path: &str) -> RestrictedExpression {
        strings(self.principal.capabilities.at(path).names())
    }

    pub(super) fn capabilities_below(&self, path: &str) -> RestrictedExpression {
        strings(self.principal.capabilities.below(path).names())
    }

    /// The principal for whom somebody acts, as a record: it may be of any type, and Cedar has no type for that.
    pub(super) fn as_subject(&self) -> Result<RestrictedExpression, String> {
        let principal = &self.principal;
        let string = |text: &str| RestrictedExpression::new_string(text.to_owned());
        let mut members = vec![
            ("type".to_owned(), string(principal.kind.as_str())),
            ("id".to_owned(), string(&principal.id)),
            ("issuer".to_owned(), string(&principal.issuer)),
            ("subject".to_owned(), string(&principal.subject)),
        ];
        if let Some(name) = &principal.name {
            members.push(("name".to_owned(), string(name)));
        }
        RestrictedExpression::new_record(members).map_err(|error| error.to_string())
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
            entity,
            refers: refers(kept),
            place: Place::default(),
            actor: actor.clone(),
        })
    }
}

fn refers(kept: Option<&Kept>) -> Vec<EntityUid> {
    kept.map_or_else(Vec::new, |kept| kept.refers().to_vec())
}

fn strings<'s>(texts: impl Iterator<Item = &'s str>) -> RestrictedExpression {
    RestrictedExpression::new_set(texts.map(|text| RestrictedExpression::new_string(text.to_owned())))
}

/// A resource's entity, made per request.
#[derive(Clone, Debug)]
pub struct ResourceEntity {
    uid: EntityUid,
    entity: Entity,
    /// Entities of files that its attributes name.
    refers: Vec<EntityUid>,
}

impl ResourceEntity {
    /// An entity with attributes and direct ancestors. `data` adds to both, and tags; where the route and a file give the
    /// same attribute, the route's counts.
    ///
    /// # Errors
    /// Cedar's message, when it cannot be an entity.
    pub fn new(
        uid: EntityUid,
        attributes: impl IntoIterator<Item = (String, RestrictedExpression)>,
        ancestors: HashSet<EntityUid>,
        named: Vec<EntityUid>,
        data: &EntityData,
    ) -> Result<Self, String> {
        let mut refers = named;
        let mut attributes: HashMap<_, _> = attributes.into_iter().collect();
        let mut ancestors = data.close(ancestors);
        let kept = data.get(&uid);
        if let Some(kept) = kept {
            refers.extend_from_slice(kept.refers());
            if attributes.is_empty() && ancestors.is_empty() {
                let entity = kept.entity().clone();
                return Ok(Self { uid, entity, refers });
            }
            for (name, value) in kept.attributes() {
                attributes.entry(name).or_insert(value);
            }
            ancestors.extend(kept.ancestors().iter().cloned());
        }
        let tags = kept.into_iter().flat_map(Kept::tags);
        let entity = Entity::new_with_tags(uid.clone(), attributes, ancestors, tags)
            .map_err(|error| error.to_string())?;
        Ok(Self { uid, entity, refers })
    }

    /// Entities of files that its attributes name.
    pub(super) fn refers(&self) -> &[EntityUid] {
        &self.refers
    }

    pub(crate) fn uid(&self) -> &EntityUid {
        &self.uid
    }

    pub(super) fn entity(&self) -> &Entity {
        &self.entity
    }

    /// The attribute of that name, if it is a text.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        match self.entity.attr(name)? {
            Ok(EvalResult::String(text)) => Some(text),
            _ => None,
        }
    }

    /// Whether the schema lets this entity exist.
    ///
    /// # Errors
    /// Cedar's message: an unknown type, a missing or undeclared attribute, an ancestor of a wrong type.
    pub(crate) fn conforms(&self, schema: &Schema) -> Result<(), String> {
        conforms(&self.entity, schema)
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
            let checked =
                PrincipalEntity::new(&sample, &data).and_then(|sample| conforms(&sample.entity, schema));
            if let Err(message) = checked {
                problems.push((kind.as_str(), message));
                break;
            }
        }
    }
    let actor = ActorEntity::new(&Actor::new("issuer", "client"), &data);
    if let Err(message) = actor.and_then(|actor| conforms(&actor.entity, schema)) {
        problems.push((Actor::TYPE, message));
    }
    problems
}

fn conforms(entity: &Entity, schema: &Schema) -> Result<(), String> {
    Entities::from_entities([entity.clone()], Some(schema))
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
