//! Whether the scope of a policy is about a question: asked of Cedar's constraints, not of the index that finds candidates.

use cedar_policy::{
    ActionConstraint, Entities, EntityTypeName, EntityUid, Policy, PrincipalConstraint, Request,
    ResourceConstraint,
};

use super::expression::Scene;

/// The three parts of a scope that do not match, each said for people: what it is for, and how it is.
pub(super) struct Misses(pub(super) Vec<Miss>);

/// One part of a scope that does not match.
pub(super) struct Miss {
    /// What would have to be so, as what comes after "if".
    pub(super) wish: String,
    /// In Cedar's syntax.
    pub(super) expression: String,
    /// How it is.
    pub(super) because: String,
}

/// Constraints of principals and of resources are the same in all but name.
enum Wanted<'c> {
    Any,
    In(&'c EntityUid),
    Eq(&'c EntityUid),
    Is(&'c EntityTypeName),
    IsIn(&'c EntityTypeName, &'c EntityUid),
}

impl Misses {
    /// How many parts of the scope do not match, without the words: for tables of many policies.
    pub(super) fn count(policy: &Policy, request: &Request, entities: &Entities) -> usize {
        let principal = policy.principal_constraint();
        let resource = policy.resource_constraint();
        [
            Wanted::of_principal(&principal).holds(request.principal(), entities),
            action_holds(&policy.action_constraint(), request.action(), entities),
            Wanted::of_resource(&resource).holds(request.resource(), entities),
        ]
        .into_iter()
        .filter(|holds| !holds)
        .count()
    }

    /// The parts of the scope that do not match.
    pub(super) fn of(policy: &Policy, scene: &Scene<'_>) -> Self {
        let (request, entities) = (scene.request, scene.entities);
        let mut misses = Vec::new();
        let principal = policy.principal_constraint();
        let resource = policy.resource_constraint();
        for (name, wanted, uid) in [
            ("principal", Wanted::of_principal(&principal), request.principal()),
            ("resource", Wanted::of_resource(&resource), request.resource()),
        ] {
            let Some(uid) = uid.filter(|_| !wanted.holds(uid, entities)) else {
                continue;
            };
            let mut because = format!("{name} is {uid}");
            if matches!(wanted, Wanted::In(_) | Wanted::IsIn(..)) {
                because = format!("{because}, {}", scene.ancestors_of(uid));
            }
            misses.push(Miss {
                wish: wanted.wish(name),
                expression: wanted.expression(name),
                because,
            });
        }
        let action = policy.action_constraint();
        if let Some(uid) = request.action()
            && !action_holds(&action, Some(uid), entities)
        {
            let wanted: Vec<String> = match &action {
                ActionConstraint::Any => Vec::new(),
                ActionConstraint::In(groups) => groups.iter().map(ToString::to_string).collect(),
                ActionConstraint::Eq(action) => vec![action.to_string()],
            };
            misses.push(Miss {
                wish: format!("the action were {}", names(&wanted).join(" or ")),
                expression: match &action {
                    ActionConstraint::Eq(action) => format!("action == {action}"),
                    _ => format!("action in [{}]", wanted.join(", ")),
                },
                because: format!("action is {uid}, {}", scene.ancestors_of(uid)),
            });
        }
        Self(misses)
    }
}

impl<'c> Wanted<'c> {
    fn of_principal(constraint: &'c PrincipalConstraint) -> Self {
        match constraint {
            PrincipalConstraint::Any => Self::Any,
            PrincipalConstraint::In(uid) => Self::In(uid),
            PrincipalConstraint::Eq(uid) => Self::Eq(uid),
            PrincipalConstraint::Is(kind) => Self::Is(kind),
            PrincipalConstraint::IsIn(kind, uid) => Self::IsIn(kind, uid),
        }
    }

    fn of_resource(constraint: &'c ResourceConstraint) -> Self {
        match constraint {
            ResourceConstraint::Any => Self::Any,
            ResourceConstraint::In(uid) => Self::In(uid),
            ResourceConstraint::Eq(uid) => Self::Eq(uid),
            ResourceConstraint::Is(kind) => Self::Is(kind),
            ResourceConstraint::IsIn(kind, uid) => Self::IsIn(kind, uid),
        }
    }

    fn holds(&self, uid: Option<&EntityUid>, entities: &Entities) -> bool {
        let Some(uid) = uid else {
            return true;
        };
        match self {
            Self::Any => true,
            Self::In(group) => is_in(uid, group, entities),
            Self::Eq(one) => uid == *one,
            Self::Is(kind) => uid.type_name() == *kind,
            Self::IsIn(kind, group) => uid.type_name() == *kind && is_in(uid, group, entities),
        }
    }

    fn expression(&self, name: &str) -> String {
        match self {
            Self::Any => name.to_owned(),
            Self::In(group) => format!("{name} in {group}"),
            Self::Eq(one) => format!("{name} == {one}"),
            Self::Is(kind) => format!("{name} is {kind}"),
            Self::IsIn(kind, group) => format!("{name} is {kind} in {group}"),
        }
    }

    fn wish(&self, name: &str) -> String {
        match self {
            Self::Any => name.to_owned(),
            Self::In(group) => format!("{name} were in {group}"),
            Self::Eq(one) => format!("{name} were {one}"),
            Self::Is(kind) => format!("{name} were of type {kind}"),
            Self::IsIn(kind, group) => format!("{name} were of type {kind} in {group}"),
        }
    }
}

fn action_holds(constraint: &ActionConstraint, uid: Option<&EntityUid>, entities: &Entities) -> bool {
    let Some(uid) = uid else {
        return true;
    };
    match constraint {
        ActionConstraint::Any => true,
        ActionConstraint::In(groups) => groups.iter().any(|group| is_in(uid, group, entities)),
        ActionConstraint::Eq(action) => uid == action,
    }
}

fn is_in(uid: &EntityUid, group: &EntityUid, entities: &Entities) -> bool {
    uid == group || entities.is_ancestor_of(group, uid)
}

/// `PUT` of `Action::"PUT"`.
fn names(actions: &[String]) -> Vec<&str> {
    let name = |action| -> Option<&str> {
        let action: &str = action;
        action.strip_prefix("Action::\"")?.strip_suffix('"')
    };
    actions
        .iter()
        .map(|action| name(action.as_str()).unwrap_or(action))
        .collect()
}
