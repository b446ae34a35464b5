//! Which policies stand where in the files: for reports about whole sets of policies.

use cedar_policy::{Policy, PolicySet};

use super::Sources;
use super::load::number;

/// One policy of a file.
#[derive(Clone, Debug)]
pub struct Outline {
    /// Its name in decisions.
    pub name: String,
    /// The file's name as given to the loader.
    pub file: String,
    /// The line (from 1) of its beginning.
    pub line: usize,
    /// First byte and number of bytes.
    pub span: (usize, usize),
    /// Number of bytes of its first line.
    pub(crate) first_line: usize,
    /// The policy itself.
    pub(crate) policy: Policy,
}

/// The policies of all files that can be read, in their order. Built-in policies and templates are not among them.
pub fn outline(sources: &Sources) -> Vec<Outline> {
    let mut outlines = Vec::new();
    for file in &sources.policies {
        let Ok(parsed) = file.text.parse::<PolicySet>() else {
            continue;
        };
        let mut policies: Vec<&Policy> = parsed.policies().collect();
        policies.sort_by_key(|policy| number(policy.id()));
        // Two policies may be the same, word for word.
        let mut from = 0;
        for policy in policies {
            let name = match policy.annotation("id") {
                Some(id) if !id.is_empty() => id.to_owned(),
                _ => format!("{}#{}", file.name, number(policy.id())),
            };
            let text = policy.to_cedar().unwrap_or_default();
            let behind = file.text.get(from..).unwrap_or_default();
            let start = from + behind.find(&text).unwrap_or_default();
            from = start + text.len();
            let before = file.text.get(..start).unwrap_or_default();
            outlines.push(Outline {
                name,
                file: file.name.clone(),
                line: before.matches('\n').count() + 1,
                span: (start, text.len()),
                first_line: text.lines().next().map_or(0, str::len),
                policy: policy.clone(),
            });
        }
    }
    outlines
}
