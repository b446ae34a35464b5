//! What is missing for a condition to be true, in words where the shape is a usual one and as Cedar writes it otherwise.

use cedar_policy::EvalResult;
use serde_json::{Value, json};

use super::expression::{Scene, Truth, joined, mentions, operation, sides, text, variable};
use crate::explain::Unmet;

impl Scene<'_> {
    /// What would have to be otherwise for `expression` to be `wanted`; all of it is needed. Empty if it is so already.
    pub(super) fn unmet(&self, expression: &Value, wanted: bool) -> Vec<Unmet> {
        let is_so = match self.truth(expression) {
            Truth::True => wanted,
            Truth::False => !wanted,
            Truth::Error(_) => false,
        };
        if is_so {
            return Vec::new();
        }
        if let Some(inner) = expression.pointer("/!/arg") {
            return self.unmet(inner, !wanted);
        }
        if let Some(choice) = expression.get("if-then-else") {
            let part = |name: &str| choice.get(name).unwrap_or(&Value::Null);
            return match self.truth(part("if")) {
                Truth::True => self.unmet(part("then"), wanted),
                Truth::False => self.unmet(part("else"), wanted),
                Truth::Error(_) => vec![self.simple(part("if"), true)],
            };
        }
        // What all must hold, and what one must hold of, change places when the opposite is wanted.
        let (all, one) = if wanted { ("&&", "||") } else { ("||", "&&") };
        if expression.get(all).is_some() {
            return self.unmet_of_all(&joined(expression, all), wanted);
        }
        if expression.get(one).is_some() {
            return self.unmet_of_one(&joined(expression, one), wanted);
        }
        vec![self.simple(expression, wanted)]
    }

    /// Of parts that must all be so. A guard (`has`, `hasTag`) that fails makes what it guards fail as well: that is one
    /// thing missing, and what is guarded says better what.
    fn unmet_of_all(&self, parts: &[&Value], wanted: bool) -> Vec<Unmet> {
        let mut unmet = Vec::new();
        let mut told: Vec<usize> = Vec::new();
        for (index, part) in parts.iter().enumerate() {
            if told.contains(&index) {
                continue;
            }
            let mut of_part = self.unmet(part, wanted);
            if let ([of_guard], Some(guarded), true) = (of_part.as_mut_slice(), guarded(part), wanted) {
                let follows = parts.iter().enumerate().skip(index + 1);
                let follows: Vec<(usize, &&Value)> =
                    follows.filter(|(_, part)| mentions(part, &guarded)).collect();
                if let Some((_, first)) = follows.first()
                    && let Some(wish) = self.words(first, true)
                {
                    of_guard.wish = wish;
                    of_guard.expression = text(&self.with_values(first));
                    told.extend(follows.iter().map(|(index, _)| *index));
                } else {
                    let erring = |part: &Value| matches!(self.truth(part), Truth::Error(_));
                    if let Some((index, first)) = follows.first().filter(|(_, part)| erring(part)) {
                        of_guard.expression = text(&self.with_values(first));
                        of_guard.wish = of_guard.expression.clone();
                        told.push(*index);
                    }
                }
            }
            unmet.append(&mut of_part);
        }
        unmet
    }

    /// Of parts of which one is enough.
    fn unmet_of_one(&self, parts: &[&Value], wanted: bool) -> Vec<Unmet> {
        let ways = parts.iter().map(|part| self.unmet(part, wanted));
        let mut ways: Vec<Vec<Unmet>> = ways.filter(|way| !way.is_empty()).collect();
        if ways.len() == 1 {
            return ways.pop().unwrap_or_default();
        }
        let join = |said: &dyn Fn(&Unmet) -> String, inner: &str, outer: &str| {
            let ways: Vec<String> = ways
                .iter()
                .map(|way| way.iter().map(said).collect::<Vec<_>>().join(inner))
                .collect();
            ways.join(outer)
        };
        let mut because: Vec<String> = Vec::new();
        for unmet in ways.iter().flatten() {
            if !because.contains(&unmet.because) {
                because.push(unmet.because.clone());
            }
        }
        vec![Unmet {
            wish: join(&|unmet| unmet.wish.clone(), " and ", ", or "),
            expression: join(&|unmet| unmet.expression.clone(), " && ", " || "),
            because: because.join("; "),
        }]
    }

    fn simple(&self, expression: &Value, wanted: bool) -> Unmet {
        let filled = self.with_values(expression);
        let as_cedar = match wanted {
            true => text(&filled),
            false => text(&json!({ "!": { "arg": filled } })),
        };
        let because = match self.truth(expression) {
            Truth::Error(message) => self
                .because(expression)
                .unwrap_or_else(|| super::because::plain(&message)),
            truth => self
                .because(expression)
                .unwrap_or_else(|| format!("it is {}", truth.as_str())),
        };
        Unmet {
            wish: self.words(expression, wanted).unwrap_or_else(|| as_cedar.clone()),
            expression: as_cedar,
            because,
        }
    }

    /// The expression with the values of keys and of right sides filled in: what is left of it is what is asked about.
    fn with_values(&self, expression: &Value) -> Value {
        let Some((name, applied)) = operation(expression) else {
            return expression.clone();
        };
        let (Some(left), Some(right)) = (applied.get("left"), applied.get("right")) else {
            return expression.clone();
        };
        let left = match operation(left) {
            Some(("getTag", _)) => self.with_values(left),
            _ => left.clone(),
        };
        json!({ name: { "left": left, "right": self.filled(right) } })
    }

    /// The usual shapes in words, as what comes after "if".
    fn words(&self, expression: &Value, wanted: bool) -> Option<String> {
        let (name, applied) = operation(expression)?;
        let negation = if wanted { "" } else { "not " };
        if let ("contains" | "containsAny" | "containsAll", Some((set, members))) =
            (name, sides(expression, name))
        {
            let members = self.names(members)?;
            let members = match name {
                "containsAll" => members.join(" and "),
                _ => members.join(" or "),
            };
            if let Some((owner, key)) = sides(set, "getTag").filter(|(owner, _)| variable(owner).is_some()) {
                let key = self.names(key)?.join(", ");
                let owner = variable(owner)?;
                return Some(format!("{owner} had {negation}the role {members} at {key}"));
            }
            let of_context = |member: &str| {
                set.pointer("/./attr").and_then(Value::as_str) == Some(member)
                    && set.pointer("/./left/Var").and_then(Value::as_str) == Some("context")
            };
            if of_context("scopes") {
                return Some(format!("the token had {negation}the scope {members}"));
            }
            if of_context("audiences") {
                return Some(format!("the token were {negation}for the audience {members}"));
            }
            if of_context("capabilities") {
                return Some(format!("the token did {negation}grant {members} for this path"));
            }
            return None;
        }
        let left = applied.get("left");
        match name {
            "hasTag" => {
                let key = self.names(applied.get("right")?)?.join(", ");
                let owner = variable(left?)?;
                Some(format!("{owner} had {negation}roles at {key}"))
            }
            "has" => {
                let owner = text(left?);
                let attribute = applied.get("attr")?.as_str()?;
                Some(format!("{owner} had {negation}the attribute {attribute:?}"))
            }
            "in" => {
                let owner = variable(left?)?;
                let groups = self.names(applied.get("right")?)?.join(" or ");
                Some(format!("{owner} were {negation}in {groups}"))
            }
            "is" if applied.get("in").is_none() => {
                let kind = applied.get("entity_type")?.as_str()?;
                Some(format!("{} were {negation}of type {kind}", text(left?)))
            }
            _ => None,
        }
    }

    /// What a literal, or the value of an expression, names: one name or those of a set.
    fn names(&self, expression: &Value) -> Option<Vec<String>> {
        let one = |value: &EvalResult| match value {
            EvalResult::String(text) => Some(format!("{text:?}")),
            EvalResult::EntityUid(uid) => Some(uid.to_string()),
            EvalResult::Long(number) => Some(number.to_string()),
            _ => None,
        };
        match self.value(expression).ok()? {
            EvalResult::Set(set) if !set.is_empty() => set.iter().map(one).collect(),
            value => Some(vec![one(&value)?]),
        }
    }
}

/// What may only be evaluated when this guard holds.
fn guarded(guard: &Value) -> Option<Value> {
    match operation(guard)? {
        ("hasTag", applied) => Some(json!({ "getTag": applied })),
        ("has", applied) => {
            Some(json!({ ".": { "left": applied.get("left")?, "attr": applied.get("attr")? } }))
        }
        _ => None,
    }
}
