//! The sections `groups` and `users`.

use std::collections::HashSet;

use super::super::tree::{ANONYMOUS, Tree};
use super::entry::{map, one_text, text};
use crate::policy::{Data, DataValue, Findings};

/// What a group may say; only its name counts.
const GROUP: [&str; 4] = ["name", "description", "discoverable", "terms"];
/// What a user may say. Passwords and addresses are not looked at.
const USER: [&str; 4] = ["username", "password", "email", "group"];

/// The names that were read.
#[derive(Debug, Default)]
pub(super) struct Known {
    groups: HashSet<String>,
    users: HashSet<String>,
}

impl Known {
    /// Checks the groups. They are known by being named anywhere.
    pub(super) fn read_groups(&mut self, data: &Data, findings: &mut Findings<'_>) {
        for entry in list("groups", data, findings) {
            if !map("a group", entry, &GROUP, findings) {
                continue;
            }
            match text(entry, "name", findings) {
                Ok(Some((name, span))) => {
                    if !self.groups.insert(name.to_owned()) {
                        findings.error(
                            span,
                            format!("there is a group `{name}` already"),
                            "keep one of the two",
                        );
                    }
                }
                Ok(None) => findings.error(entry.span, "a group says its `name`", ""),
                Err(()) => {}
            }
        }
    }

    /// Makes the users members of their groups.
    pub(super) fn read_users(&mut self, data: &Data, tree: &mut Tree, findings: &mut Findings<'_>) {
        for entry in list("users", data, findings) {
            if !map("a user", entry, &USER, findings) {
                continue;
            }
            match text(entry, "username", findings) {
                Ok(Some((ANONYMOUS, span))) => {
                    let help = "whoever is not logged in is in the group `anonymous` and in no other";
                    findings.error(span, format!("`{ANONYMOUS}` is nobody"), help);
                }
                Ok(Some((name, span))) => {
                    if !self.users.insert(name.to_owned()) {
                        findings.error(
                            span,
                            format!("there is a user `{name}` already"),
                            "keep one of the two",
                        );
                    }
                    for group in groups_of(entry, findings) {
                        tree.join(name, group);
                    }
                }
                Ok(None) => findings.error(entry.span, "a user says its `username`", ""),
                Err(()) => {}
            }
        }
    }
}

/// The groups of a user: one, as Magpie has it, or a list.
fn groups_of<'d>(entry: &'d Data, findings: &mut Findings<'_>) -> Vec<&'d str> {
    let Some(data) = entry.get("group") else {
        return Vec::new();
    };
    let all = match &data.value {
        DataValue::List(groups) => groups.as_slice(),
        DataValue::Scalar(_) | DataValue::Map(_) => std::slice::from_ref(data),
    };
    let texts = all
        .iter()
        .filter_map(|group| one_text(group, "group", findings).ok().flatten());
    texts.map(|(name, _)| name).collect()
}

fn list<'d>(name: &str, data: &'d Data, findings: &mut Findings<'_>) -> &'d [Data] {
    data.list().unwrap_or_else(|| {
        findings.error(
            data.span,
            format!("`{name}` is a list"),
            "begin each entry with `- `",
        );
        &[]
    })
}
