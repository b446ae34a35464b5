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
    /// The how many-th of its file, from 0.
    number: usize,
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
    let policies = parsed.policies().map(|policy| Outline {
        effect: policy.effect(),
        annotations: owned(policy.annotations()),
        form: bare(policy.to_json().unwrap_or_default()),
        ..Outline::unplaced(file, policy.id(), policy.to_cedar().unwrap_or_default())
    });
    let templates = parsed.templates().map(|template| Outline {
        effect: template.effect(),
        annotations: owned(template.annotations()),
        form: bare(template.to_json().unwrap_or_default()),
        ..Outline::unplaced(file, template.id(), template.to_cedar())
    });
    let mut outlines: Vec<Outline> = policies.chain(templates).collect();
    outlines.sort_by_key(|outline| outline.number);
    // Two of them may be the same, word for word.
    let mut from = 0;
    for outline in &mut outlines {
        let behind = file.text.get(from..).unwrap_or_default();
        let start = from + behind.find(&outline.text).unwrap_or_default();
        from = start + outline.text.len();
        let before = file.text.get(..start).unwrap_or_default();
        outline.line = before.matches('\n').count() + 1;
        outline.span = (start, outline.text.len());
        if let Some(name) = outline.annotation("id").filter(|name| !name.is_empty()) {
            outline.name = name.to_owned();
        }
    }
    outlines
}

impl Outline {
    /// What is known of it before its place is.
    fn unplaced(file: &SourceFile, id: &PolicyId, text: String) -> Self {
        Self {
            name: format!("{}#{}", file.name, number(id)),
            file: file.name.clone(),
            line: 0,
            span: (0, 0),
            text,
            effect: Effect::Forbid,
            annotations: Vec::new(),
            form: Value::Null,
            number: number(id),
        }
    }
}

fn owned<'a>(annotations: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<(String, String)> {
    annotations
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// The JSON form without annotations.
fn bare(mut form: Value) -> Value {
    if let Some(members) = form.as_object_mut() {
        members.remove("annotations");
    }
    form
}
