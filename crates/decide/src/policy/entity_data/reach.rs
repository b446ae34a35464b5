//! How far policies look: through how many entities an expression goes, and which entities it begins at.

use std::collections::BTreeSet;

use cedar_policy::{EntityUid, Policy, PolicySet, Template};
use serde_json::Value;

/// Operators that need the entity on their left, in Cedar's JSON form.
const THROUGH: [&str; 6] = [".", "has", "in", "is", "getTag", "hasTag"];

/// The most that any policy needs.
#[derive(Debug, Default)]
pub(in crate::policy) struct Reach {
    /// Entities in a row, the principal or resource included; never less than it is.
    pub(super) steps: usize,
    /// Entities that policies name and look into.
    pub(super) named: Vec<EntityUid>,
}

impl Reach {
    /// Reads the conditions of all policies and templates. What is linked looks as far as its template; what cannot be read
    /// may look at everything.
    pub(in crate::policy) fn of(policies: &PolicySet) -> Self {
        let mut named = BTreeSet::new();
        let statics = policies.policies().filter(|policy| policy.is_static());
        let all = statics.map(Policy::to_json);
        let all = all.chain(policies.templates().map(Template::to_json));
        let steps = all.map(|json| of_form(json.ok().as_ref(), &mut named));
        let steps = steps.max().unwrap_or_default();
        for policy in policies.policies().filter(|policy| policy.to_json().is_err()) {
            named.extend(policy.entity_literals());
        }
        Self {
            steps,
            named: named.into_iter().collect(),
        }
    }
}

/// How far a policy of this form looks; without a form, as far as there is anything.
fn of_form(form: Option<&Value>, named: &mut BTreeSet<EntityUid>) -> usize {
    form.map_or(usize::MAX, |form| steps(form.get("conditions"), false, named))
}

/// The longest row of operators that go through entities; `inside` is true on the left of one.
fn steps(expression: Option<&Value>, inside: bool, named: &mut BTreeSet<EntityUid>) -> usize {
    match expression {
        Some(Value::Object(members)) => {
            let operators = members.iter().map(|(operator, operands)| {
                if operator == "__entity" && inside {
                    named.extend(EntityUid::from_json(serde_json::json!({ "__entity": operands })).ok());
                }
                // `has a.b` is two of them.
                let parts = operands.get("attr").and_then(Value::as_array).map_or(1, Vec::len);
                let through = THROUGH.contains(&operator.as_str());
                steps(Some(operands), inside || through, named) + if through { parts } else { 0 }
            });
            operators.max().unwrap_or_default()
        }
        Some(Value::Array(parts)) => {
            let parts = parts.iter().map(|part| steps(Some(part), inside, named));
            parts.max().unwrap_or_default()
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_far_policies_look() {
        for (condition, expected, names) in [
            ("true", 0, 0),
            ("principal.name == \"a\"", 1, 0),
            ("resource.owner.department == principal.department", 2, 0),
            ("resource has owner.department", 2, 0),
            ("resource.owner in Group::\"g\"", 2, 1),
            (
                "resource.owner.hasTag(\"t\") && resource.owner.getTag(\"t\")",
                2,
                0,
            ),
            ("(if true then resource.a else resource.b.c).d", 3, 0),
            ("Org::\"o\".open", 1, 1),
        ] {
            let policy = format!("permit(principal, action, resource) when {{ {condition} }};");
            let reach = Reach::of(&policy.parse().unwrap());
            assert_eq!((reach.steps, reach.named.len()), (expected, names), "{condition}");
        }
        assert_eq!(
            of_form(None, &mut BTreeSet::new()),
            usize::MAX,
            "what cannot be read"
        );
    }
}
