//! The section `permissions`: who has what where.

use super::super::request::{Permission, ServiceKind};
use super::super::tree::{ADMINISTRATORS, Access, NodeId, Rule, Scope, Subject, Tree};
use super::entry::{map, text};
use crate::policy::{Data, DataValue, Findings};
use crate::problem::did_you_mean;

/// What an entry may say.
const MEMBERS: [&str; 7] = [
    "service",
    "resource",
    "type",
    "user",
    "group",
    "permission",
    "action",
];
/// What a permission may say that is no text.
const PARTS: [&str; 3] = ["name", "access", "scope"];
/// Magpie's types of resources. Here a resource is told by its place alone.
const TYPES: [&str; 7] = [
    "service",
    "directory",
    "file",
    "layer",
    "process",
    "route",
    "workspace",
];

type Span = (usize, usize);

/// A permission as it is written: what is not said is `None`.
#[derive(Clone, Copy)]
struct Written {
    permission: Permission,
    access: Option<Access>,
    scope: Option<Scope>,
}

/// Sets and removes all permissions of a section, one after the other.
pub(super) fn read(data: &Data, tree: &mut Tree, findings: &mut Findings<'_>) {
    let Some(entries) = data.list() else {
        let help = "for example `- {service: api, resource: /a/b, permission: read, group: staff}`";
        findings.error(data.span, "`permissions` is a list", help);
        return;
    };
    for entry in entries {
        // Everything that is wrong with it is told.
        let known = map("a permission", entry, &MEMBERS, findings);
        let place = place(entry, tree, findings);
        let written = written(entry, findings);
        let subjects = subjects(entry, tree, findings);
        let action = action(entry, findings);
        check_type(entry, findings);
        let (true, Some((node, kind)), Some((written, span)), Some(create)) = (known, place, written, action)
        else {
            continue;
        };
        let known = kind.permissions();
        if !known.contains(&written.permission) {
            let names: Vec<&str> = known.iter().map(|known| known.as_str()).collect();
            let message = format!(
                "services of this type have no permission `{}`",
                written.permission
            );
            findings.error(span, message, format!("they have {}", names.join(", ")));
            continue;
        }
        for subject in subjects {
            match create {
                true => set(tree, (node, subject), written, span, findings),
                false => remove(tree, (node, subject), written, span, findings),
            }
        }
    }
}

/// Where the permission is set, and at which kind of service.
fn place(entry: &Data, tree: &mut Tree, findings: &mut Findings<'_>) -> Option<(NodeId, ServiceKind)> {
    let resource = text(entry, "resource", findings);
    let (service, span) = match text(entry, "service", findings) {
        Ok(Some(found)) => found,
        Ok(None) => {
            findings.error(
                entry.span,
                "a permission names its `service`",
                "the name of one of `providers`",
            );
            return None;
        }
        Err(()) => return None,
    };
    let Some(found) = tree.service(service) else {
        let help = did_you_mean(service, tree.services());
        findings.error(span, format!("there is no service `{service}`"), help);
        return None;
    };
    let (kind, root) = (found.kind.clone(), found.root);
    let Some((path, span)) = resource.ok()? else {
        return Some((root, kind));
    };
    let path = path.strip_prefix('/').unwrap_or(path);
    if path.is_empty() {
        return Some((root, kind));
    }
    let names: Vec<&str> = path.strip_suffix('/').unwrap_or(path).split('/').collect();
    if names.iter().any(|name| matches!(*name, "" | "." | "..")) {
        findings.error(
            span,
            "a name in this path is empty, `.` or `..`",
            "for example `/outer/inner`",
        );
        return None;
    }
    if matches!(kind, ServiceKind::Access) {
        let help = "set it on the service: leave `resource` out";
        findings.error(span, "services of type `access` have no resources", help);
        return None;
    }
    Some((tree.add_resource(root, &names), kind))
}

fn written(entry: &Data, findings: &mut Findings<'_>) -> Option<(Written, Span)> {
    let Some(data) = entry.get("permission") else {
        findings.error(
            entry.span,
            "this entry names no `permission`",
            "for example `permission: read-allow-match`",
        );
        return None;
    };
    let (name, access, scope, span) = if let DataValue::Map(_) = data.value {
        if !map("a permission's form", data, &PARTS, findings) {
            return None;
        }
        let mut part = |name| {
            text(data, name, findings)
                .ok()
                .map(|found| found.map(|(text, _)| text))
        };
        let (name, access, scope) = (part("name")?, part("access")?, part("scope")?);
        (name.unwrap_or_default(), access, scope, data.span)
    } else {
        let (whole, span) = text(entry, "permission", findings)
            .ok()?
            .unwrap_or(("", data.span));
        let mut parts = whole.splitn(3, '-');
        let name = parts.next().unwrap_or_default();
        match (parts.next(), parts.next()) {
            // `read-match`: Magpie leaves out what is the default.
            (Some(scope @ ("match" | "recursive")), None) => (name, None, Some(scope), span),
            (access, scope) => (name, access, scope, span),
        }
    };
    let Ok(permission) = name.parse::<Permission>() else {
        let help = did_you_mean(name, Permission::all().map(Permission::as_str));
        findings.error(span, format!("there is no permission `{name}`"), help);
        return None;
    };
    let mut refuse = |what: &str, word: &str, known: [&str; 2]| {
        findings.error(
            span,
            format!("`{word}` is no {what}"),
            format!("there are `{}` and `{}`", known[0], known[1]),
        );
    };
    let access = match access {
        None => None,
        Some("allow") => Some(Access::Allow),
        Some("deny") => Some(Access::Deny),
        Some(other) => {
            refuse("access", other, ["allow", "deny"]);
            return None;
        }
    };
    let scope = match scope {
        None => None,
        Some("match") => Some(Scope::Match),
        Some("recursive") => Some(Scope::Recursive),
        Some(other) => {
            refuse("scope", other, ["match", "recursive"]);
            return None;
        }
    };
    let written = Written {
        permission,
        access,
        scope,
    };
    Some((written, span))
}

/// The user, the group, or both.
fn subjects(entry: &Data, tree: &mut Tree, findings: &mut Findings<'_>) -> Vec<Subject> {
    let (user, group) = (text(entry, "user", findings), text(entry, "group", findings));
    if user == Ok(None) && group == Ok(None) {
        findings.error(entry.span, "a permission is for a `user`, a `group` or both", "");
    }
    if let Ok(Some((ADMINISTRATORS, span))) = group {
        let message = "administrators may do everything already";
        findings.advice(span, message, "remove the entry: it changes nothing");
    }
    let user = user.ok().flatten().map(|(name, _)| tree.user(name));
    let group = group.ok().flatten().map(|(name, _)| tree.group(name));
    user.into_iter().chain(group).collect()
}

/// True for `create`, false for `remove`.
fn action(entry: &Data, findings: &mut Findings<'_>) -> Option<bool> {
    match text(entry, "action", findings).ok()? {
        None | Some(("create", _)) => Some(true),
        Some(("remove", _)) => Some(false),
        Some((other, span)) => {
            findings.error(
                span,
                format!("`{other}` is no action"),
                "there are `create` and `remove`",
            );
            None
        }
    }
}

fn check_type(entry: &Data, findings: &mut Findings<'_>) {
    if let Ok(Some((name, span))) = text(entry, "type", findings)
        && !TYPES.contains(&name)
    {
        let help = did_you_mean(name, TYPES);
        findings.error(span, format!("`{name}` is no type of resource"), help);
    }
}

fn set(
    tree: &mut Tree,
    (node, subject): (NodeId, Subject),
    written: Written,
    span: Span,
    findings: &mut Findings<'_>,
) {
    let rule = Rule {
        access: written.access.unwrap_or(Access::Allow),
        scope: written.scope.unwrap_or(Scope::Recursive),
    };
    if let Err(there) = tree.grant(node, subject, written.permission, rule) {
        let (name, there) = (written.permission, there.as_str());
        let message = format!("an entry before this one says `{name}-{there}` of the same");
        findings.error(span, message, "keep one of the two; both cannot hold");
    }
}

fn remove(
    tree: &mut Tree,
    (node, subject): (NodeId, Subject),
    written: Written,
    span: Span,
    findings: &mut Findings<'_>,
) {
    let Some(there) = tree.revoke(node, subject, written.permission) else {
        let message = "no entry before this one creates what is removed";
        findings.advice(
            span,
            message,
            "only these files count: nothing is kept from an earlier start",
        );
        return;
    };
    let is_meant = written.access.is_none_or(|access| access == there.access)
        && written.scope.is_none_or(|scope| scope == there.scope);
    if !is_meant {
        let message = format!("what is there is `{}-{}`", written.permission, there.as_str());
        findings.error(span, message, "write the permission as it was created");
    }
}
