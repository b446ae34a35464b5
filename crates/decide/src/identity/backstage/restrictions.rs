//! What a caller of Backstage is restricted to, as tags of the principal.
//!
//! Each plugin it may call is a tag with a set: `permission=<name>` for every permission it has there or `permission=*` for
//! all, and `action=<verb>` or `action=*` likewise. A caller without restrictions has the one tag `*`. Policies compare
//! them with what a route says of its endpoint; both must fit, and only Backstage's tags count: those of another issuer
//! are roles, which may have such names for other reasons.
//!
//! ```cedar
//! context has issuer && context.issuer == "backstage" &&
//! (principal.hasTag("*") ||
//!  (principal.hasTag(resource.plugin) &&
//!   (principal.getTag(resource.plugin).contains("permission=*") ||
//!    (resource has permission && principal.getTag(resource.plugin).contains(resource.permission))) &&
//!   (principal.getTag(resource.plugin).contains("action=*") ||
//!    (resource has action && principal.getTag(resource.plugin).contains(resource.action)))))
//! ```
//!
//! A permission without an action attribute is denied to a caller that is restricted to actions, as in Backstage.

use std::collections::HashSet;

use serde_json::Value;

use super::fault::Fault;
use super::part::{Faults, Part};

/// For everything; no plugin has that name, and no permission.
const ALL: &str = "*";
/// The values of an action attribute.
const ACTIONS: [&str; 4] = ["create", "read", "update", "delete"];

/// Tags: the name of each with its set.
pub(super) type Tags = Vec<(String, Vec<String>)>;

/// The tag of a caller that may do everything.
pub(super) fn unrestricted() -> Tags {
    vec![(ALL.to_owned(), set(&[], &[]))]
}

/// The tag of a caller that may do everything in one plugin.
pub(super) fn all_of(plugin: &str) -> (String, Vec<String>) {
    (plugin.to_owned(), set(&[], &[]))
}

/// True for what can be the id of a plugin; `*` cannot.
pub(super) fn is_plugin_id(text: &str) -> bool {
    let letters = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    !text.is_empty() && text.bytes().all(letters)
}

/// The tags that `accessRestrictions` of an entry make.
pub(super) fn tags(entry: &Part<'_>, faults: &mut Faults) -> Tags {
    let Some(list) = entry.get("accessRestrictions") else {
        return unrestricted();
    };
    let pointer = entry.below("accessRestrictions");
    let Value::Array(list) = list else {
        let (name, expected) = ("accessRestrictions", "a list");
        faults.add(&pointer, Fault::Not { name, expected });
        return Tags::new();
    };
    if list.is_empty() {
        faults.add(&pointer, Fault::NoLimit("accessRestrictions"));
    }
    let (mut tags, mut plugins) = (Tags::new(), HashSet::new());
    for (index, restriction) in list.iter().enumerate() {
        let pointer = format!("{pointer}/{index}");
        let Value::Object(members) = restriction else {
            let (name, expected) = ("accessRestrictions", "a list of groups of settings");
            faults.add(&pointer, Fault::Not { name, expected });
            continue;
        };
        let restriction = Part::new(members, pointer);
        if let Some((plugin, set)) = one(&restriction, faults) {
            if plugins.insert(plugin) {
                tags.push((plugin.to_owned(), set));
            } else {
                let twice = Fault::PluginTwice(plugin.to_owned());
                faults.add(&restriction.below("plugin"), twice);
            }
        }
    }
    tags
}

fn one<'v>(restriction: &Part<'v>, faults: &mut Faults) -> Option<(&'v str, Vec<String>)> {
    for name in restriction.unknown(&["plugin", "permission", "permissionAttribute"]) {
        faults.add(&restriction.below(name), Fault::RestrictionKey(name.to_owned()));
    }
    let permissions = restriction.list("permission", faults).unwrap_or_default();
    for permission in &permissions {
        if permission.contains(ALL) {
            faults.add(
                &restriction.below("permission"),
                Fault::Permission(permission.clone()),
            );
        }
    }
    let actions = actions(restriction, faults);
    let plugin = restriction.text("plugin", faults)?;
    if !is_plugin_id(plugin) {
        faults.add(&restriction.below("plugin"), Fault::Plugin(plugin.to_owned()));
    }
    Some((plugin, set(&permissions, &actions)))
}

fn actions(restriction: &Part<'_>, faults: &mut Faults) -> Vec<String> {
    let Some(attribute) = restriction.group("permissionAttribute", faults) else {
        return Vec::new();
    };
    for name in attribute.unknown(&["action"]) {
        faults.add(&attribute.below(name), Fault::AttributeKey(name.to_owned()));
    }
    if attribute.is_empty() {
        faults.add(attribute.pointer(), Fault::NoLimit("permissionAttribute"));
    }
    let actions = attribute.list("action", faults).unwrap_or_default();
    for action in &actions {
        if !ACTIONS.contains(&action.as_str()) {
            faults.add(&attribute.below("action"), Fault::Action(action.clone()));
        }
    }
    actions
}

fn set(permissions: &[String], actions: &[String]) -> Vec<String> {
    let named = |kind: &str, names: &[String]| match names {
        [] => vec![format!("{kind}={ALL}")],
        names => names.iter().map(|name| format!("{kind}={name}")).collect(),
    };
    [named("permission", permissions), named("action", actions)].concat()
}
