//! May somebody use a permission on a resource? Magpie's own rule ("Resolution of Permissions" in its documentation, and
//! `effective_permissions` in its code), with the reason.
//!
//! What a user has counts before what groups have, wherever it is set; of what groups have, the higher priority counts, and
//! of equal ones what is nearer; at the same place, no counts before yes. Nothing at all is no.

use super::request::{Need, Reach};
use super::tree::{Access, Asker, NodeId, Priority, Rule, Scope, Subject, Tree};

/// The answer about one permission on one resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Effective {
    /// Yes or no.
    pub(crate) allowed: bool,
    /// Whose permission decides, and at which place.
    pub(crate) reason: Reason,
    /// False if what is asked for is nothing that the tree knows; then its nearest known ancestor is where looking begins.
    pub(crate) exact: bool,
}

/// Whose permission decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Administrators may do everything.
    Administrator,
    /// One user's or group's own, this many steps below the service.
    Of(Subject, usize),
    /// Several groups', that all say the same, at the same place.
    Multiple(usize),
    /// One user's or group's own somewhere below, where everything is asked for.
    Below(Subject),
    /// Nobody's.
    NoPermission,
}

/// A permission that was come across on the way up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// How many steps below the service; 0 is the service itself.
    pub(crate) depth: usize,
    /// Whose it is.
    pub(crate) subject: Subject,
    /// What it says.
    pub(crate) rule: Rule,
    /// False if it is for another resource only.
    pub(crate) reaches: bool,
}

/// What counts so far.
#[derive(Clone, Copy)]
struct Kept {
    access: Access,
    reason: Reason,
    priority: Priority,
}

/// Resolves one need at the service whose resources begin at `root`. Everything that has a say is told to `see`, from the
/// resource up.
pub(crate) fn resolve(
    tree: &Tree,
    asker: &Asker,
    root: NodeId,
    need: &Need,
    see: impl FnMut(Seen),
) -> Effective {
    let effective = at_one_place(tree, asker, root, need, see);
    let decides = match effective.reason {
        _ if need.reach != Reach::Everything || !effective.allowed => return effective,
        Reason::Of(Subject::User(_), _) => None,
        Reason::Of(group, _) => group.priority(),
        Reason::Multiple(_) => Some(Priority::Ordinary),
        Reason::Administrator | Reason::NoPermission | Reason::Below(_) => return effective,
    };
    // What is as strong as that which allows it here, or stronger, can deny it further down: no look at each resource is
    // needed to know that nothing does.
    let groups = asker.groups.iter().map(|number| Subject::Group(*number));
    let mut subjects = asker.user.map(Subject::User).into_iter().chain(groups);
    let denied = subjects.find(|subject| {
        let strong = match (decides, subject.priority()) {
            (_, None) => true,
            (Some(decides), Some(priority)) => priority >= decides,
            (None, Some(_)) => false,
        };
        strong && tree.denies_below(root, *subject, need.permission)
    });
    match denied {
        Some(subject) => Effective {
            allowed: false,
            reason: Reason::Below(subject),
            ..effective
        },
        None => effective,
    }
}

/// The answer for the resource, or for one below that nothing is known of.
fn at_one_place(
    tree: &Tree,
    asker: &Asker,
    root: NodeId,
    need: &Need,
    mut see: impl FnMut(Seen),
) -> Effective {
    let (chain, known) = chain(tree, root, &need.resource);
    let exact = known && need.reach == Reach::Exact;
    if asker.is_administrator() {
        return Effective {
            allowed: true,
            reason: Reason::Administrator,
            exact,
        };
    }
    let mut kept: Option<Kept> = None;
    for (depth, node) in chain.iter().enumerate().rev() {
        let asked_for = exact && depth + 1 == chain.len();
        let mut look = |subject| {
            let rule = tree.rule(*node, subject, need.permission)?;
            let reaches = asked_for || rule.scope == Scope::Recursive;
            see(Seen {
                depth,
                subject,
                rule,
                reaches,
            });
            reaches.then_some(rule.access)
        };
        let direct = asker.user.map(Subject::User);
        if let Some((user, access)) = direct.and_then(|user| Some((user, look(user)?))) {
            return Effective {
                allowed: access == Access::Allow,
                reason: Reason::Of(user, depth),
                exact,
            };
        }
        let mut here: Option<Kept> = None;
        for group in asker.groups.iter().map(|number| Subject::Group(*number)) {
            let (Some(access), Some(priority)) = (look(group), group.priority()) else {
                continue;
            };
            let found = Kept {
                access,
                reason: Reason::Of(group, depth),
                priority,
            };
            here = Some(match here {
                None => found,
                Some(other) => stronger(other, found, depth),
            });
        }
        kept = match (kept, here) {
            (Some(nearer), Some(here)) if here.priority <= nearer.priority => Some(nearer),
            (nearer, here) => here.or(nearer),
        };
    }
    let decided = kept.map_or((false, Reason::NoPermission), |kept| {
        (kept.access == Access::Allow, kept.reason)
    });
    Effective {
        allowed: decided.0,
        reason: decided.1,
        exact,
    }
}

/// Of what two groups have at the same place.
fn stronger(one: Kept, other: Kept, depth: usize) -> Kept {
    match (one.priority.cmp(&other.priority), one.access, other.access) {
        (std::cmp::Ordering::Greater, ..) => one,
        (std::cmp::Ordering::Less, ..) => other,
        (_, Access::Deny, Access::Allow) => one,
        (_, Access::Allow, Access::Deny) => other,
        _ => Kept {
            reason: Reason::Multiple(depth),
            ..one
        },
    }
}

/// The service and the known resources on the way to `path`, and whether it is known itself.
fn chain(tree: &Tree, root: NodeId, path: &[String]) -> (Vec<NodeId>, bool) {
    let mut chain = Vec::with_capacity(path.len() + 1);
    let mut node = root;
    chain.push(root);
    for name in path {
        match tree.child(node, name) {
            Some(child) => node = child,
            None => return (chain, false),
        }
        chain.push(node);
    }
    (chain, true)
}

#[cfg(test)]
mod tests;
