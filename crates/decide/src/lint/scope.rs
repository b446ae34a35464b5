//! When one permit says everything that another says: by their scopes and the parts of their conditions, as written.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::policy::Outline;

/// Groups of actions, by name, with their members.
pub(super) struct Groups<'s>(pub(super) &'s BTreeMap<String, Vec<String>>);

/// What decides whether a policy applies.
#[derive(Debug)]
pub(super) struct Shape {
    /// All of it, comparable.
    pub(super) text: String,
    effect: Value,
    principal: Value,
    action: Value,
    resource: Value,
    /// All of these must hold.
    conditions: BTreeSet<String>,
}

impl Shape {
    /// `None` for what has no JSON form.
    pub(super) fn of(policy: &Outline) -> Option<Self> {
        let form = &policy.form;
        let mut conditions = BTreeSet::new();
        for condition in form.get("conditions")?.as_array()? {
            let body = condition.get("body")?;
            if condition.get("kind")? == "when" {
                parts(body, &mut conditions);
            } else {
                conditions.insert(format!("unless {body}"));
            }
        }
        Some(Self {
            text: form.to_string(),
            effect: form.get("effect")?.clone(),
            principal: form.get("principal")?.clone(),
            action: form.get("action")?.clone(),
            resource: form.get("resource")?.clone(),
            conditions,
        })
    }

    /// True if it is for everybody and everything, always.
    pub(super) fn is_unconditional(&self) -> bool {
        let all = |part: &Value| part.get("op").is_some_and(|op| op == "All");
        all(&self.principal) && all(&self.action) && all(&self.resource) && self.conditions.is_empty()
    }

    /// True if it applies wherever `narrow` applies, and does not say the same.
    pub(super) fn shadows(&self, narrow: &Self, groups: &Groups<'_>) -> bool {
        self.text != narrow.text
            && self.effect == narrow.effect
            && covers(&self.principal, &narrow.principal)
            && covers(&self.resource, &narrow.resource)
            && groups.cover(&self.action, &narrow.action)
            && self.conditions.is_subset(&narrow.conditions)
    }
}

/// The parts of `a && b && …`.
fn parts(body: &Value, into: &mut BTreeSet<String>) {
    match body.get("&&") {
        Some(both) => {
            for side in ["left", "right"].iter().filter_map(|side| both.get(side)) {
                parts(side, into);
            }
        }
        None => {
            into.insert(body.to_string());
        }
    }
}

/// True if the constraint `wide` on a principal or resource holds wherever `narrow` holds.
fn covers(wide: &Value, narrow: &Value) -> bool {
    let op = |scope: &Value| {
        scope
            .get("op")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    if wide == narrow {
        return true;
    }
    let kind = |scope: &Value| match scope.get("entity_type") {
        Some(kind) => Some(kind.clone()),
        None if op(scope) == "==" => scope.pointer("/entity/type").cloned(),
        None => None,
    };
    let group = |scope: &Value| scope.pointer("/in/entity").or(scope.get("entity")).cloned();
    match op(wide).as_str() {
        "All" => true,
        "is" => {
            let same_kind = kind(wide).is_some() && kind(wide) == kind(narrow);
            same_kind
                && (wide.get("in").is_none() || (narrow.get("in").is_some() && group(wide) == group(narrow)))
        }
        // An entity is in itself.
        "in" => op(narrow) != "All" && group(wide).is_some() && group(wide) == group(narrow),
        _ => false,
    }
}

impl Groups<'_> {
    /// The same for actions, whose groups are known.
    fn cover(&self, wide: &Value, narrow: &Value) -> bool {
        match (self.actions(wide), self.actions(narrow)) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(wide), Some(narrow)) => narrow.is_subset(&wide),
        }
    }

    /// The actions and groups that a constraint names, with all members; `None` for all there are.
    fn actions(&self, scope: &Value) -> Option<BTreeSet<String>> {
        let op = scope.get("op").and_then(Value::as_str).unwrap_or_default();
        if op == "All" {
            return None;
        }
        let entities = scope
            .get("entities")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        let named = entities.chain(scope.get("entity"));
        let mut open: Vec<String> = named
            .filter_map(|entity| entity.get("id").and_then(Value::as_str).map(str::to_owned))
            .collect();
        let mut all = BTreeSet::new();
        while let Some(name) = open.pop() {
            if op == "in" {
                open.extend(
                    self.0
                        .get(&name)
                        .into_iter()
                        .flatten()
                        .filter(|name| !all.contains(*name))
                        .cloned(),
                );
            }
            all.insert(name);
        }
        Some(all)
    }
}
