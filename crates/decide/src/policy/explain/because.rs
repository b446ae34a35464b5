//! Why a part of a condition is true or false: the values of its operands, said for people.

use cedar_policy::{EntityUid, EvalResult};
use serde_json::Value;

use super::expression::{Scene, operation, sides, text, variable};

/// Longer lists and texts are cut.
const MOST: usize = 12;

impl Scene<'_> {
    /// The values that make `expression` what it is; `None` when there is nothing to add to its text.
    pub(super) fn because(&self, expression: &Value) -> Option<String> {
        let (name, applied) = operation(expression)?;
        match name {
            "hasTag" => self.tags_of(applied.get("left")?, applied.get("right")?),
            "has" => self.attributes_of(applied),
            "!" => self.because(applied.get("arg")?),
            "in" | "is" => {
                let left = applied.get("left")?;
                let Ok(EvalResult::EntityUid(uid)) = self.value(left) else {
                    return self.is(left);
                };
                match name {
                    "in" => Some(format!("{} is {uid}, {}", text(left), self.ancestors_of(&uid))),
                    _ => Some(format!("{} is {uid}", text(left))),
                }
            }
            "if-then-else" => self.is(applied.get("if")?),
            "like" => self.is(applied.get("left")?),
            "." => Some(format!("it is {}", shown(&self.value(expression).ok()?))),
            "isEmpty" => self.is(applied.get("arg")?),
            _ => match sides(expression, name) {
                Some((left, right)) => both([self.is(left), self.is(right)]),
                // A function of an extension: its arguments.
                None => both(applied.as_array()?.iter().map(|argument| self.is(argument))),
            },
        }
    }

    /// `context.scopes is ["a"]`; nothing for literals, whose text says it already.
    fn is(&self, expression: &Value) -> Option<String> {
        let function = operation(expression)?.0;
        if matches!(function, "ip" | "decimal" | "datetime" | "duration") {
            return None;
        }
        let text = text(expression);
        match self.value(expression) {
            Ok(value) => {
                let value = shown(&value);
                (value != text).then(|| format!("{text} is {value}"))
            }
            Err(message) => Some(format!("{text} has no value: {}", plain(&message))),
        }
        .filter(|_| variable(expression).is_none())
    }

    fn tags_of(&self, owner: &Value, key: &Value) -> Option<String> {
        let Ok(EvalResult::EntityUid(uid)) = self.value(owner) else {
            return self.is(owner);
        };
        let key = match self.value(key) {
            Ok(key) => shown(&key),
            Err(message) => return Some(format!("{} has no value: {}", text(key), plain(&message))),
        };
        let mut tags: Vec<String> = self
            .entities
            .get(&uid)
            .map(|entity| entity.tags().map(|(tag, _)| tag.to_owned()).collect())
            .unwrap_or_default();
        tags.sort_unstable();
        let owner = text(owner);
        if tags.iter().any(|tag| format!("{tag:?}") == key) {
            return Some(format!("{owner} has the tag {key}"));
        }
        Some(match tags.is_empty() {
            true => format!("{owner} has no tag {key}, and no other"),
            false => format!("{owner} has no tag {key}; it has: {}", listed(&tags)),
        })
    }

    fn attributes_of(&self, applied: &Value) -> Option<String> {
        let owner = applied.get("left")?;
        let attribute = match applied.get("attr")? {
            Value::String(attribute) => attribute.clone(),
            Value::Array(parts) => parts.first()?.as_str()?.to_owned(),
            _ => return None,
        };
        let mut names: Vec<String> = match self.value(owner) {
            Ok(EvalResult::EntityUid(uid)) => self
                .entities
                .get(&uid)
                .map(|entity| entity.attrs().map(|(name, _)| name.to_owned()).collect())
                .unwrap_or_default(),
            Ok(EvalResult::Record(record)) => record.iter().map(|(name, _)| name.clone()).collect(),
            _ => return self.is(owner),
        };
        names.sort_unstable();
        let owner = text(owner);
        if names.contains(&attribute) {
            return None;
        }
        Some(match names.is_empty() {
            true => format!("{owner} has no {attribute:?}, and nothing else"),
            false => format!("{owner} has no {attribute:?}; it has: {}", listed(&names)),
        })
    }

    pub(super) fn ancestors_of(&self, uid: &EntityUid) -> String {
        let mut ancestors: Vec<String> = self
            .entities
            .ancestors(uid)
            .map(|found| found.map(ToString::to_string).collect())
            .unwrap_or_default();
        ancestors.sort_unstable();
        match ancestors.is_empty() {
            true => "which is in nothing".to_owned(),
            false => format!("which is in {}", listed(&ancestors)),
        }
    }
}

/// A value as Cedar writes it, cut if it is long.
pub(super) fn shown(value: &EvalResult) -> String {
    match value {
        EvalResult::String(text) => cut(&format!("{text:?}")),
        EvalResult::Set(set) => {
            let values: Vec<String> = set.iter().map(shown).collect();
            format!("[{}]", listed(&values))
        }
        EvalResult::Record(record) => {
            let members: Vec<String> = record
                .iter()
                .map(|(name, value)| format!("{name}: {}", shown(value)))
                .collect();
            format!("{{{}}}", listed(&members))
        }
        other => cut(&other.to_string()),
    }
}

/// Cedar's message without what it says about where.
pub(super) fn plain(message: &str) -> String {
    let first = message.lines().next().unwrap_or_default();
    cut(first)
}

fn both(parts: impl IntoIterator<Item = Option<String>>) -> Option<String> {
    let said: Vec<String> = parts.into_iter().flatten().collect();
    (!said.is_empty()).then(|| said.join(", "))
}

fn listed(names: &[String]) -> String {
    let more = names.len().saturating_sub(MOST);
    let mut list = names.iter().take(MOST).cloned().collect::<Vec<_>>().join(", ");
    if more > 0 {
        list.push_str(&format!(", and {more} more"));
    }
    list
}

fn cut(text: &str) -> String {
    const LENGTH: usize = 200;
    match text.char_indices().nth(LENGTH) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
