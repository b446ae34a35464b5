//! Where a policy compares a path as text.

use serde_json::Value;

use crate::policy::Outline;

/// Operators that compare texts.
const COMPARISONS: [&str; 6] = ["like", "==", "!=", "contains", "containsAny", "containsAll"];

/// The places (first byte in the policy, and number of bytes) of paths that are compared as text.
pub(super) fn compared(policy: &Outline) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    walk(&policy.form, &mut found);
    found.sort_unstable();
    found.dedup();
    found
        .into_iter()
        .map(|name| match policy.text.find(name) {
            Some(at) => (at, name.len()),
            None => (0, policy.span.1),
        })
        .collect()
}

fn walk(json: &Value, found: &mut Vec<&'static str>) {
    match json {
        Value::Object(object) => {
            for (key, value) in object {
                if COMPARISONS.contains(&key.as_str()) {
                    let sides = ["left", "right"].iter().filter_map(|side| value.get(side));
                    found.extend(sides.filter_map(path));
                }
                walk(value, found);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| walk(value, found)),
        _ => {}
    }
}

/// `context.path` or `resource.path`.
fn path(side: &Value) -> Option<&'static str> {
    let access = side.get(".")?;
    if access.get("attr")? != "path" {
        return None;
    }
    match access.pointer("/left/Var")?.as_str()? {
        "context" => Some("context.path"),
        "resource" => Some("resource.path"),
        _ => None,
    }
}
