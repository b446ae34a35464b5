//! Reading a group of settings that was pasted: typed access, and every fault with its place.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::fault::Fault;
use crate::problem::Problem;

/// What was found to be wrong so far.
#[derive(Debug, Default)]
pub(super) struct Faults(pub(super) Vec<Problem>);

impl Faults {
    /// Notes a fault at a JSON pointer below `/backstage`.
    pub(super) fn add(&mut self, pointer: &str, fault: Fault) {
        self.0.push(fault.at(pointer));
    }
}

/// A group of settings and where it is.
pub(super) struct Part<'v> {
    members: &'v Map<String, Value>,
    pointer: String,
}

impl<'v> Part<'v> {
    /// The group at that JSON pointer below `/backstage`.
    pub(super) fn new(members: &'v Map<String, Value>, pointer: String) -> Self {
        Self { members, pointer }
    }

    /// Where it is.
    pub(super) fn pointer(&self) -> &str {
        &self.pointer
    }

    /// Where a member of it is.
    pub(super) fn below(&self, name: &str) -> String {
        format!("{}/{}", self.pointer, name.replace('~', "~0").replace('/', "~1"))
    }

    /// True if it has no members.
    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// A member. `null` is one: an empty limit is not taken for none.
    pub(super) fn get(&self, name: &str) -> Option<&'v Value> {
        self.members.get(name)
    }

    /// The members and their names.
    pub(super) fn members(&self) -> impl Iterator<Item = (&'v String, &'v Value)> {
        self.members.iter()
    }

    /// The names that are none of `known`.
    pub(super) fn unknown(&self, known: &[&str]) -> Vec<&'v str> {
        let names = self.members.keys().map(String::as_str);
        names.filter(|name| !known.contains(name)).collect()
    }

    /// Notes the members that are none of `known`, which would be ignored and may be meant as a limit.
    pub(super) fn only(&self, known: &'static [&'static str], faults: &mut Faults) {
        for name in self.unknown(known) {
            faults.add(&self.below(name), Fault::UnknownKey(name.to_owned(), known));
        }
    }

    /// A text that must be there.
    pub(super) fn text(&self, name: &'static str, faults: &mut Faults) -> Option<&'v str> {
        if self.get(name).is_none() {
            faults.add(&self.pointer, Fault::Missing(name));
        }
        self.optional_text(name, faults)
    }

    /// A text.
    pub(super) fn optional_text(&self, name: &'static str, faults: &mut Faults) -> Option<&'v str> {
        let value = self.get(name)?;
        if !value.is_string() {
            let expected = "text";
            faults.add(&self.below(name), Fault::Not { name, expected });
        }
        value.as_str()
    }

    /// A group of settings.
    pub(super) fn group(&self, name: &'static str, faults: &mut Faults) -> Option<Part<'v>> {
        let value = self.get(name)?;
        if !value.is_object() {
            let expected = "a group of settings";
            faults.add(&self.below(name), Fault::Not { name, expected });
        }
        Some(Part::new(value.as_object()?, self.below(name)))
    }

    /// One text or a list of texts, each split at blanks and commas; what is there twice counts once. Never an empty list:
    /// Backstage would take it for no limit.
    pub(super) fn list(&self, name: &'static str, faults: &mut Faults) -> Option<Vec<String>> {
        let texts: Option<Vec<&str>> = match self.get(name)? {
            Value::String(one) => Some(vec![one]),
            Value::Array(many) => many.iter().map(Value::as_str).collect(),
            _ => None,
        };
        let Some(texts) = texts else {
            let expected = "text or a list of texts";
            faults.add(&self.below(name), Fault::Not { name, expected });
            return None;
        };
        let mut seen = HashSet::new();
        let words = texts.into_iter().flat_map(|text| text.split([' ', ',']));
        let words = words.filter(|word| !word.is_empty() && seen.insert(*word));
        let words: Vec<String> = words.map(str::to_owned).collect();
        if words.is_empty() {
            faults.add(&self.below(name), Fault::NoLimit(name));
        }
        Some(words)
    }
}
