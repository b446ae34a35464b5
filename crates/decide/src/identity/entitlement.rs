//! Groups from entitlements (`eduperson_entitlement`) as AARC-G069 and the older AARC-G002 write them:
//!
//! `urn:<nid>:<delegated namespace>[:<sub-namespace>]*:group:<group>[:<subgroup>]*[:role=<role>][#<authority>]`
//!
//! Two of them are compared in normal form: namespace in lower case, hexadecimal digits of escapes in upper case, without
//! authority and all other components of RFC 8141 section 2.3. Groups and roles keep their case.
//!
//! Two namespaces are two, even if one begins the other: whoever has been delegated a sub-namespace does not decide
//! about the groups of the whole.

use std::collections::HashSet;

use super::claims::{MAX_ENTRIES, MAX_NAME_BYTES};

/// The most groups within each other. What is deeper is no group of ours.
const MAX_DEPTH: usize = 32;

/// An entitlement that is a membership, in normal form.
struct Membership {
    /// `urn:<nid>:<namespace>:group`.
    prefix: String,
    /// The group, and the subgroups within it.
    path: Vec<String>,
    /// The role in the last of them.
    role: Option<String>,
}

/// The normalised ids of all groups that these entitlements make their holder a member of, each once.
///
/// A member of a subgroup is a member of the groups around it, and who has a role in a group is a member of that group;
/// the role itself is one in that very group only. So a policy that demands an entitlement is one that demands the group
/// of its normal form. What is no entitlement of this kind gives nothing. At most 1000 are read.
pub(super) fn groups(entitlements: &[&str]) -> Vec<String> {
    let mut seen = HashSet::new();
    let memberships = entitlements.iter().take(MAX_ENTRIES);
    let all = memberships
        .filter_map(|text| Membership::parse(text))
        .flat_map(|m| m.implied());
    all.filter(|id| seen.insert(id.clone())).collect()
}

impl Membership {
    /// Reads one. The marker `group` must be there once: with two, where the namespace ends would be a guess.
    fn parse(entitlement: &str) -> Option<Self> {
        if entitlement.len() > MAX_NAME_BYTES {
            return None;
        }
        let (namespace, group) = assigned_name(entitlement)?.split_once(":group:")?;
        let namespace = namespace.to_ascii_lowercase();
        let (nid, delegated) = namespace.strip_prefix("urn:")?.split_once(':')?;
        if !is_nid(nid)
            || delegated
                .split(':')
                .any(|part| part == "group" || !is_segment(part))
        {
            return None;
        }
        let (path, role) = match group.split_once(":role=") {
            Some((path, role)) => (path, Some(role)),
            None => (group, None),
        };
        let path: Vec<_> = path.split(':').collect();
        let named = |part: &&str| is_segment(part) && *part != "group";
        if path.len() > MAX_DEPTH || !path.iter().all(named) || !role.is_none_or(is_segment) {
            return None;
        }
        Some(Self {
            prefix: format!("urn:{nid}:{}:group", capital_escapes(delegated)),
            path: path.into_iter().map(capital_escapes).collect(),
            role: role.map(capital_escapes),
        })
    }

    /// The ids of all that it implies, its own as the last.
    fn implied(&self) -> Vec<String> {
        let mut id = self.prefix.clone();
        let mut ids = Vec::new();
        for group in &self.path {
            id = format!("{id}:{group}");
            ids.push(id.clone());
        }
        ids.extend(self.role.iter().map(|role| format!("{id}:role={role}")));
        ids
    }
}

/// A URN without its r-, q- and f-component (RFC 8141 section 2.3), in which a group authority is, too.
fn assigned_name(urn: &str) -> Option<&str> {
    let ends = ["?+", "?=", "#"].into_iter().filter_map(|mark| urn.find(mark));
    match ends.min() {
        Some(end) => urn.get(..end),
        None => Some(urn),
    }
}

/// RFC 8141 section 2: 2 to 32 letters, digits and hyphens, no hyphen at an end.
fn is_nid(nid: &str) -> bool {
    (2..=32).contains(&nid.len())
        && nid
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !nid.starts_with('-')
        && !nid.ends_with('-')
}

/// One name between two colons: what RFC 3986 allows in a path, but `:` and `=` only as escapes.
fn is_segment(segment: &str) -> bool {
    let (first, escapes) = match segment.split_once('%') {
        Some((first, rest)) => (first, Some(rest)),
        None => (segment, None),
    };
    let plain = |text: &str| {
        text.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;@/".contains(&byte))
    };
    let escaped = |text: &str| match text.split_at_checked(2) {
        Some((digits, rest)) => digits.bytes().all(|digit| digit.is_ascii_hexdigit()) && plain(rest),
        None => false,
    };
    !segment.is_empty() && plain(first) && escapes.is_none_or(|rest| rest.split('%').all(escaped))
}

fn capital_escapes(text: &str) -> String {
    let mut digits = 0;
    let capital = |c: char| {
        let in_escape = digits > 0;
        digits = if c == '%' {
            2
        } else {
            usize::saturating_sub(digits, 1)
        };
        if in_escape { c.to_ascii_uppercase() } else { c }
    };
    text.chars().map(capital).collect()
}

#[cfg(test)]
mod tests;
