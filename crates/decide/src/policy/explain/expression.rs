//! Expressions in Cedar's JSON form: their text, their value, and the parts between `&&` and `||`.

use cedar_policy::{Entities, EvalResult, Expression, Policy, Request, eval_expression};
use serde_json::{Map, Value, json};

/// Where expressions are evaluated.
pub(super) struct Scene<'s> {
    pub(super) request: &'s Request,
    pub(super) entities: &'s Entities,
}

/// What a condition comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Truth {
    True,
    False,
    /// With Cedar's message.
    Error(String),
}

impl Truth {
    pub(super) fn as_str(&self) -> &'static str {
        match self {
            Self::True => "true",
            Self::False => "false",
            Self::Error(_) => "error",
        }
    }
}

impl Scene<'_> {
    /// The value of an expression.
    pub(super) fn value(&self, expression: &Value) -> Result<EvalResult, String> {
        let text = text(expression);
        let parsed: Expression = text
            .parse()
            .map_err(|error: cedar_policy::ParseErrors| error.to_string())?;
        eval_expression(self.request, self.entities, &parsed).map_err(|error| error.to_string())
    }

    /// The value of a condition or a part of it.
    pub(super) fn truth(&self, expression: &Value) -> Truth {
        match self.value(expression) {
            Ok(EvalResult::Bool(true)) => Truth::True,
            Ok(EvalResult::Bool(false)) => Truth::False,
            Ok(other) => Truth::Error(format!("a condition came to {other}")),
            Err(message) => Truth::Error(message),
        }
    }

    /// An expression with its value in place of it, if that can be had and is a plain one.
    pub(super) fn filled(&self, expression: &Value) -> Value {
        match self.value(expression) {
            Ok(EvalResult::String(text)) => json!({ "Value": text }),
            Ok(EvalResult::Long(number)) => json!({ "Value": number }),
            Ok(EvalResult::Bool(yes)) => json!({ "Value": yes }),
            Ok(EvalResult::EntityUid(uid)) if variable(expression).is_none() => {
                json!({ "Value": { "__entity": { "type": uid.type_name().to_string(), "id": uid.id().unescaped() } } })
            }
            _ => expression.clone(),
        }
    }
}

/// The expression in Cedar's syntax. Cedar prints whole policies only, so it is made the condition of one.
pub(super) fn text(expression: &Value) -> String {
    let any = json!({ "op": "All" });
    let policy = json!({
        "effect": "permit", "principal": any, "action": any, "resource": any,
        "conditions": [{ "kind": "when", "body": expression }],
    });
    let printed = Policy::from_json(None, policy)
        .ok()
        .and_then(|policy| policy.to_cedar())
        .unwrap_or_default();
    let condition = printed
        .split_once("when {")
        .and_then(|(_, rest)| rest.rsplit_once('}'))
        .map(|(condition, _)| condition.trim());
    condition
        .unwrap_or("(an expression that cannot be printed)")
        .to_owned()
}

/// `principal` for the variable of that name.
pub(super) fn variable(expression: &Value) -> Option<&str> {
    expression.get("Var")?.as_str()
}

/// The name of the operator or function and what it is applied to; `None` for literals and variables.
pub(super) fn operation(expression: &Value) -> Option<(&str, &Value)> {
    let object: &Map<String, Value> = expression.as_object()?;
    let (name, applied) = object.iter().next()?;
    (!matches!(name.as_str(), "Value" | "Var" | "Set" | "Record")).then_some((name, applied))
}

/// The two sides of a binary operation.
pub(super) fn sides<'e>(expression: &'e Value, operator: &str) -> Option<(&'e Value, &'e Value)> {
    let applied = expression.get(operator)?;
    Some((applied.get("left")?, applied.get("right")?))
}

/// What `&&` or `||` joins, however it is nested; the expression itself if nothing does.
pub(super) fn joined<'e>(expression: &'e Value, operator: &str) -> Vec<&'e Value> {
    match sides(expression, operator) {
        Some((left, right)) => {
            let mut all = joined(left, operator);
            all.extend(joined(right, operator));
            all
        }
        None => vec![expression],
    }
}

/// True if `inner` is somewhere in `outer`.
pub(super) fn mentions(outer: &Value, inner: &Value) -> bool {
    outer == inner
        || match outer {
            Value::Object(members) => members.values().any(|value| mentions(value, inner)),
            Value::Array(values) => values.iter().any(|value| mentions(value, inner)),
            _ => false,
        }
}
