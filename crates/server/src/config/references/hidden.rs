//! Keeping out of every message what references were replaced by.

use std::fmt;

use decide::problem::{Place, Problem};
use serde_json::Value;

/// Texts with fewer bytes are too short for a secret, and hidden only where they stand alone.
const SHORT: usize = 4;

/// The references of a configuration: their values, which no message may quote, and those that have none.
#[derive(Clone, Default)]
pub(in crate::config) struct References {
    /// The longest first.
    hidden: Vec<Hidden>,
    replaced: Vec<String>,
    failed: Vec<String>,
    included: Vec<(String, String)>,
}

/// A text that came from a reference.
#[derive(Clone)]
struct Hidden {
    pointer: String,
    text: String,
    /// The reference, which is shown instead.
    shown: String,
}

impl References {
    /// Notes a text that must not be shown.
    pub(super) fn hide(&mut self, pointer: &str, text: &str, shown: &str) {
        // Messages quote settings as they are, as JSON, and as Rust's `Debug`.
        let json = Value::String(text.to_owned()).to_string();
        let debug = format!("{text:?}");
        let inner = |quoted: &str| quoted.get(1..quoted.len() - 1).unwrap_or_default().to_owned();
        let mut forms = vec![text.to_owned(), inner(&json), inner(&debug)];
        forms.dedup();
        for text in forms.into_iter().filter(|text| !text.is_empty()) {
            let at = self
                .hidden
                .partition_point(|known| known.text.len() >= text.len());
            let hidden = Hidden {
                pointer: pointer.to_owned(),
                text,
                shown: shown.to_owned(),
            };
            self.hidden.insert(at, hidden);
        }
    }

    /// The same for all texts and numbers of an included value.
    pub(super) fn hide_all(&mut self, pointer: &str, value: &Value, shown: &str) {
        self.included.push((pointer.to_owned(), shown.to_owned()));
        let mut values = vec![value];
        while let Some(value) = values.pop() {
            match value {
                Value::String(text) => self.hide(pointer, text, shown),
                Value::Number(number) => self.hide(pointer, &number.to_string(), shown),
                Value::Array(below) => values.extend(below),
                Value::Object(below) => values.extend(below.values()),
                Value::Null | Value::Bool(_) => {}
            }
        }
    }

    /// Notes a text in which references were replaced.
    pub(super) fn replaced_at(&mut self, pointer: &str) {
        self.replaced.push(pointer.to_owned());
    }

    /// The JSON pointers of all texts in which references were replaced.
    pub(in crate::config) fn replaced(&self) -> &[String] {
        &self.replaced
    }

    /// Notes a reference without a value.
    pub(super) fn failed(&mut self, pointer: &str) {
        self.failed.push(pointer.to_owned());
    }

    /// Whether a reference at this JSON pointer or around it, or below it, has no value.
    pub(in crate::config) fn failed_near(&self, pointer: &str) -> bool {
        self.failed
            .iter()
            .any(|failed| is_within(pointer, failed) || is_within(failed, pointer))
    }

    /// Whether the problem is with a value that a reference does not have, which was said already.
    pub(in crate::config) fn explains(&self, problem: &Problem) -> bool {
        match &problem.at {
            Place::Setting(at) => self.failed.iter().any(|failed| is_within(at, failed)),
            Place::Name(_) | Place::Source { .. } => false,
        }
    }

    /// The problem, with references instead of their values.
    pub(in crate::config) fn hide_in(&self, mut problem: Problem) -> Problem {
        let at = place(&problem).map(str::to_owned);
        problem.message = self.replace(&problem.message, at.as_deref());
        problem.help = self.replace(&problem.help, at.as_deref());
        if let Some(at) = at {
            problem.message = self.without_fragments(problem.message, &at);
            for (pointer, shown) in &self.included {
                if let Some(below) = at.strip_prefix(&format!("{pointer}/")) {
                    problem.message = format!("{} (at `{below}` in `{shown}`)", problem.message);
                }
            }
        }
        problem
    }

    fn replace(&self, message: &str, at: Option<&str>) -> String {
        let mut result = String::new();
        let mut rest = message;
        while let Some(next) = rest.chars().next() {
            let found = self.hidden.iter().find(|hidden| {
                let here = at.is_some_and(|at| is_within(at, &hidden.pointer));
                rest.strip_prefix(hidden.text.as_str()).is_some_and(|after| {
                    hidden.stands(result.chars().next_back(), after.chars().next(), here)
                })
            });
            match found {
                Some(hidden) => {
                    result.push_str(&hidden.shown);
                    rest = &rest[hidden.text.len()..];
                }
                None => {
                    result.push(next);
                    rest = &rest[next.len_utf8()..];
                }
            }
        }
        result
    }

    /// A message about a reference may also quote a part of its value.
    fn without_fragments(&self, message: String, at: &str) -> String {
        let here: Vec<&Hidden> = self
            .hidden
            .iter()
            .filter(|hidden| is_within(at, &hidden.pointer))
            .collect();
        ['`', '"'].iter().fold(message, |message, quote| {
            let parts = message.split(*quote).enumerate().map(|(index, part)| {
                let is_fragment = index % 2 == 1
                    && part.len() >= SHORT
                    && here.iter().any(|hidden| {
                        hidden.shown != part
                            && hidden
                                .text
                                .to_ascii_lowercase()
                                .contains(&part.to_ascii_lowercase())
                    });
                if is_fragment { "…" } else { part }
            });
            parts.collect::<Vec<_>>().join(&quote.to_string())
        })
    }
}

impl Hidden {
    /// Whether an occurrence is the value and not a word of the message; `here` if the message is about the reference.
    fn stands(&self, before: Option<char>, after: Option<char>, here: bool) -> bool {
        let quoted = before == after && matches!(before, Some('`' | '"' | '\''));
        let alone = !before.is_some_and(char::is_alphanumeric) && !after.is_some_and(char::is_alphanumeric);
        let is_word = self.text.chars().all(char::is_alphabetic);
        let long = self.text.len() >= SHORT;
        quoted
            || if here {
                long || alone
            } else {
                long && alone && !is_word
            }
    }
}

/// Values are secrets.
impl fmt::Debug for References {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("References")
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

fn place(problem: &Problem) -> Option<&str> {
    match &problem.at {
        Place::Setting(pointer) | Place::Name(pointer) => Some(pointer),
        Place::Source { .. } => None,
    }
}

/// Whether a JSON pointer names the value of another one or a part of it.
fn is_within(pointer: &str, around: &str) -> bool {
    pointer
        .strip_prefix(around)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
