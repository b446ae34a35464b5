//! Principals and resources as Cedar entities.

use std::collections::{HashMap, HashSet};

use cedar_policy::{Entities, Entity, EntityId, EntityTypeName, EntityUid, RestrictedExpression, Schema};
use model::{Principal, PrincipalKind};

/// A principal's entity, made once per verified credential.
#[derive(Clone, Debug)]
pub struct PrincipalEntity {
    uid: EntityUid,
    entity: Entity,
    issuer: Option<String>,
    scopes: Vec<String>,
}

impl PrincipalEntity {
    /// The entity of `principal`: attributes `subject`, `issuer`, `name`, `client`; groups as parents; the roles of
    /// each client as a tag of the client's name.
    ///
    /// # Errors
    /// Cedar's message, when it cannot be an entity.
    pub fn new(principal: &Principal) -> Result<Self, String> {
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
        let groups = principal
            .groups
            .iter()
            .map(|group| self::uid("Group", &format!("{}/{group}", principal.issuer)))
            .collect::<Result<HashSet<_>, _>>()?;
        let tags = principal.roles.iter().map(|(client, roles)| {
            let roles = RestrictedExpression::new_set(roles.iter().map(|role| string(role)));
            (client.clone(), roles)
        });
        let entity = Entity::new_with_tags(uid.clone(), attributes, groups, tags)
            .map_err(|error| error.to_string())?;
        Ok(Self {
            uid,
            entity,
            issuer: (principal.kind != PrincipalKind::Anonymous).then(|| principal.issuer.clone()),
            scopes: principal.scopes.clone(),
        })
    }

    pub(crate) fn uid(&self) -> &EntityUid {
        &self.uid
    }

    pub(super) fn entity(&self) -> &Entity {
        &self.entity
    }

    pub(super) fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    pub(super) fn scopes(&self) -> RestrictedExpression {
        RestrictedExpression::new_set(
            self.scopes
                .iter()
                .map(|s| RestrictedExpression::new_string(s.clone())),
        )
    }
}

/// A resource's entity, made per request.
#[derive(Clone, Debug)]
pub struct ResourceEntity {
    uid: EntityUid,
    entity: Entity,
}

impl ResourceEntity {
    /// An entity with string attributes and direct ancestors.
    ///
    /// # Errors
    /// Cedar's message, when it cannot be an entity.
    pub fn new(
        uid: EntityUid,
        attributes: impl IntoIterator<Item = (String, String)>,
        ancestors: HashSet<EntityUid>,
    ) -> Result<Self, String> {
        let attributes = attributes
            .into_iter()
            .map(|(name, value)| (name, RestrictedExpression::new_string(value)))
            .collect();
        let entity = Entity::new(uid.clone(), attributes, ancestors).map_err(|error| error.to_string())?;
        Ok(Self { uid, entity })
    }

    pub(crate) fn uid(&self) -> &EntityUid {
        &self.uid
    }

    pub(super) fn into_entity(self) -> Entity {
        self.entity
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
pub(crate) fn principals_conform(schema: &Schema) -> Vec<(PrincipalKind, String)> {
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
            let checked = PrincipalEntity::new(&sample).and_then(|sample| conforms(&sample.entity, schema));
            if let Err(message) = checked {
                problems.push((kind, message));
                break;
            }
        }
    }
    problems
}

fn conforms(entity: &Entity, schema: &Schema) -> Result<(), String> {
    Entities::from_entities([entity.clone()], Some(schema))
        .map(|_| ())
        .map_err(|error| {
            // Cedar's outermost message says only that something does not conform.
            let mut cause = std::error::Error::source(&error);
            let mut message = cause.map_or_else(|| error.to_string(), ToString::to_string);
            while let Some(inner) = cause.and_then(|cause| cause.source()) {
                message = format!("{message}: {inner}");
                cause = Some(inner);
            }
            message
        })
}

pub(crate) fn uid(kind: &str, id: &str) -> Result<EntityUid, String> {
    let kind: EntityTypeName = kind.parse().map_err(|error| format!("{error}"))?;
    Ok(EntityUid::from_type_name_and_id(kind, EntityId::new(id)))
}
