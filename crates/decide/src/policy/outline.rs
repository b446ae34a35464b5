//! What is written where in the policy files: for reports about whole sets of policies.

use cedar_policy::{Effect, PolicyId, PolicySet};
use serde_json::Value;

use super::load::number;
use super::{SourceFile, Sources};

/// One policy or template of a file.
#[derive(Clone, Debug)]
pub struct Outline {
    /// Its name in decisions.
    pub name: String,
    /// The file's name as given to the loader.
    pub file: String,
    /// The line (from 1) of its beginning.
    pub line: usize,
    /// First byte and number of bytes.
    pub(crate) span: (usize, usize),
    /// As it is written.
    pub(crate) text: String,
    pub(crate) effect: Effect,
    annotations: Vec<(String, String)>,
    /// Cedar's JSON form without annotations; null for what has none.
    pub(crate) form: Value,
}

/// The policies and templates of all files that can be read, in their order. What is built in is not among them.
pub fn outline(sources: &Sources) -> Vec<Outline> {
    sources.policies.iter().flat_map(of_file).collect()
}

impl Outline {
    /// The value of an annotation.
    pub(crate) fn annotation(&self, name: &str) -> Option<&str> {
        let found = self.annotations.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

fn of_file(file: &SourceFile) -> Vec<Outline> {
    let Ok(parsed) = file.text.parse::<PolicySet>() else {
        return Vec::new();
    };
    let owned = |annotations: &mut dyn Iterator<Item = (&str, &str)>| {
        annotations
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    };
    let policies = parsed.policies().map(|policy| {
        let annotations = owned(&mut policy.annotations());
        let form = policy.to_json().unwrap_or_default();
        let text = policy.to_cedar().unwrap_or_default();
        (policy.id(), policy.effect(), annotations, form, text)
    });
    let templates = parsed.templates().map(|template| {
        let annotations = owned(&mut template.annotations());
        let form = template.to_json().unwrap_or_default();
        (
            template.id(),
            template.effect(),
            annotations,
            form,
            template.to_cedar(),
        )
    });
    let mut written: Vec<(&PolicyId, Effect, Vec<(String, String)>, Value, String)> =
        policies.chain(templates).collect();
    written.sort_by_key(|(id, ..)| number(id));
    // Two of them may be the same, word for word.
    let mut from = 0;
    let mut outlines = Vec::new();
    for (id, effect, annotations, mut form, text) in written {
        if let Some(members) = form.as_object_mut() {
            members.remove("annotations");
        }
        let behind = file.text.get(from..).unwrap_or_default();
        let start = from + behind.find(&text).unwrap_or_default();
        from = start + text.len();
        let before = file.text.get(..start).unwrap_or_default();
        let mut outline = Outline {
            name: String::new(),
            file: file.name.clone(),
            line: before.matches('\n').count() + 1,
            span: (start, text.len()),
            text,
            effect,
            annotations,
            form,
        };
        outline.name = match outline.annotation("id") {
            Some(name) if !name.is_empty() => name.to_owned(),
            _ => format!("{}#{}", file.name, number(id)),
        };
        outlines.push(outline);
    }
    outlines
}
