//! Services and the resources below them, with the permissions that users and groups have there.
//!
//! Filled from Magpie's files (`files`), and from records of any other origin just as well. What a lookup costs does not
//! depend on how much there is.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::request::{Permission, ServiceKind};

/// Everything that Magpie knows: services, resources, users, groups and permissions. Replaced whole or not at all.
#[derive(Debug)]
pub(crate) struct Tree {
    services: HashMap<Box<str>, Service>,
    /// What is below each service and resource.
    nodes: Vec<HashMap<Box<str>, NodeId>>,
    /// The service of each, as the place where its resources begin.
    roots: Vec<NodeId>,
    rules: HashMap<(NodeId, Subject, Permission), Rule>,
    /// How often a permission is denied below a service, on whichever resources.
    denials: HashMap<(NodeId, Subject, Permission), usize>,
    users: Names,
    groups: Names,
    /// The groups of users, as the files or records say.
    members: HashMap<u32, Vec<u32>>,
}

/// A service, or a resource below one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct NodeId(usize);

/// Who has a permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Subject {
    /// A user of this number.
    User(u32),
    /// A group of this number.
    Group(u32),
}

/// A service.
#[derive(Debug)]
pub(crate) struct Service {
    /// What Magpie calls its type.
    pub(crate) type_name: Box<str>,
    /// What its requests mean.
    pub(crate) kind: ServiceKind,
    /// Where its resources begin.
    pub(crate) root: NodeId,
}

/// What a permission says, beside its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) access: Access,
    pub(crate) scope: Scope,
}

/// Yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Allow,
    Deny,
}

/// How far a permission reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The resource that it is set on, if exactly that is asked for.
    Match,
    /// That resource, and everything below it.
    Recursive,
}

/// Which group decides where several say something: later ones win.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Priority {
    /// The group of everybody (-1 in Magpie).
    Anonymous,
    /// Every other group (0 in Magpie).
    Ordinary,
}

/// The group of everybody, and the user that stands for whoever is not logged in.
pub(crate) const ANONYMOUS: &str = "anonymous";
/// The group whose members may do everything.
pub(crate) const ADMINISTRATORS: &str = "administrators";

/// The number of [`ANONYMOUS`] among groups.
const EVERYBODY: u32 = 0;
/// The number of [`ADMINISTRATORS`] among groups.
const ADMINISTRATION: u32 = 1;

/// Numbers for names.
#[derive(Debug, Default)]
struct Names {
    numbers: HashMap<Box<str>, u32>,
    names: Vec<Box<str>>,
}

/// Somebody who asks, as the tree knows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asker {
    /// The user, if the tree knows something of them.
    pub(super) user: Option<u32>,
    /// Groups that the tree knows, the one of everybody among them; each once.
    pub(super) groups: Vec<u32>,
}

impl Default for Tree {
    fn default() -> Self {
        let mut groups = Names::default();
        groups.number(ANONYMOUS);
        groups.number(ADMINISTRATORS);
        Self {
            services: HashMap::new(),
            nodes: Vec::new(),
            roots: Vec::new(),
            rules: HashMap::new(),
            denials: HashMap::new(),
            users: Names::default(),
            groups,
            members: HashMap::new(),
        }
    }
}

impl Tree {
    /// The service of that name.
    pub(crate) fn service(&self, name: &str) -> Option<&Service> {
        self.services.get(name)
    }

    /// The names of all services, in no order.
    pub(crate) fn services(&self) -> impl Iterator<Item = &str> {
        self.services.keys().map(|name| &**name)
    }

    /// What is called `name` right below `parent`.
    pub(super) fn child(&self, parent: NodeId, name: &str) -> Option<NodeId> {
        count_a_look();
        self.nodes.get(parent.0)?.get(name).copied()
    }

    /// What `subject` itself has at one place.
    pub(super) fn rule(&self, node: NodeId, subject: Subject, permission: Permission) -> Option<Rule> {
        count_a_look();
        self.rules.get(&(node, subject, permission)).copied()
    }

    /// True if `subject` is denied this on any resource below the service that begins at `root`.
    pub(super) fn denies_below(&self, root: NodeId, subject: Subject, permission: Permission) -> bool {
        count_a_look();
        self.denials.contains_key(&(root, subject, permission))
    }

    /// Somebody of that name who is in these groups, in those that the tree itself knows, and in that of everybody. Without
    /// a name: somebody of whom nothing is known.
    pub(crate) fn asker<'g>(&self, user: Option<&str>, groups: impl IntoIterator<Item = &'g str>) -> Asker {
        let user = user.and_then(|name| self.users.find(name));
        let mut known = vec![EVERYBODY];
        let own = user
            .and_then(|user| self.members.get(&user))
            .into_iter()
            .flatten();
        let named = groups.into_iter().filter_map(|name| self.groups.find(name));
        known.extend(own.copied().chain(named));
        known.sort_unstable();
        known.dedup();
        Asker { user, groups: known }
    }

    /// The name of a user or group.
    pub(super) fn name(&self, subject: Subject) -> &str {
        match subject {
            Subject::User(number) => self.users.name(number),
            Subject::Group(number) => self.groups.name(number),
        }
    }

    /// Adds a service; false if there is one of that name.
    pub(crate) fn add_service(&mut self, name: &str, type_name: &str, kind: ServiceKind) -> bool {
        if self.services.contains_key(name) {
            return false;
        }
        let root = self.add_node(None);
        let service = Service {
            type_name: type_name.into(),
            kind,
            root,
        };
        self.services.insert(name.into(), service);
        true
    }

    /// The resource at `path` below `root`, made if it is not there.
    pub(crate) fn add_resource(&mut self, root: NodeId, path: &[&str]) -> NodeId {
        path.iter().fold(root, |parent, name| {
            if let Some(child) = self.nodes.get(parent.0).and_then(|below| below.get(*name)) {
                return *child;
            }
            let child = self.add_node(self.roots.get(parent.0).copied());
            if let Some(below) = self.nodes.get_mut(parent.0) {
                below.insert((*name).into(), child);
            }
            child
        })
    }

    /// Sets a permission.
    ///
    /// # Errors
    /// What the same subject has there under that name already, if that says something else. It stays.
    pub(crate) fn grant(
        &mut self,
        node: NodeId,
        subject: Subject,
        permission: Permission,
        rule: Rule,
    ) -> Result<(), Rule> {
        match self.rules.entry((node, subject, permission)) {
            Entry::Occupied(there) if *there.get() != rule => return Err(*there.get()),
            Entry::Occupied(_) => return Ok(()),
            Entry::Vacant(place) => place.insert(rule),
        };
        if let Some(root) = self.denied_below(node, rule) {
            *self.denials.entry((root, subject, permission)).or_default() += 1;
        }
        Ok(())
    }

    /// Takes a permission away.
    pub(crate) fn revoke(&mut self, node: NodeId, subject: Subject, permission: Permission) -> Option<Rule> {
        let rule = self.rules.remove(&(node, subject, permission))?;
        if let Some(root) = self.denied_below(node, rule)
            && let Entry::Occupied(mut denials) = self.denials.entry((root, subject, permission))
        {
            match denials.get().saturating_sub(1) {
                0 => drop(denials.remove()),
                left => *denials.get_mut() = left,
            }
        }
        Some(rule)
    }

    /// The service, if `rule` on `node` denies something below it.
    fn denied_below(&self, node: NodeId, rule: Rule) -> Option<NodeId> {
        let root = *self.roots.get(node.0)?;
        (root != node && rule.access == Access::Deny).then_some(root)
    }

    /// The user of that name, known from now on.
    pub(crate) fn user(&mut self, name: &str) -> Subject {
        Subject::User(self.users.number(name))
    }

    /// The group of that name, known from now on.
    pub(crate) fn group(&mut self, name: &str) -> Subject {
        Subject::Group(self.groups.number(name))
    }

    /// Makes a user a member of a group.
    pub(crate) fn join(&mut self, user: &str, group: &str) {
        let (user, group) = (self.users.number(user), self.groups.number(group));
        self.members.entry(user).or_default().push(group);
    }

    fn add_node(&mut self, root: Option<NodeId>) -> NodeId {
        let node = NodeId(self.nodes.len());
        self.nodes.push(HashMap::new());
        self.roots.push(root.unwrap_or(node));
        node
    }
}

impl Asker {
    /// True if everything is allowed.
    pub(super) fn is_administrator(&self) -> bool {
        self.groups.contains(&ADMINISTRATION)
    }
}

impl Subject {
    /// Of a group; a user has none and decides before every group.
    pub(super) fn priority(self) -> Option<Priority> {
        match self {
            Self::User(_) => None,
            Self::Group(EVERYBODY) => Some(Priority::Anonymous),
            Self::Group(_) => Some(Priority::Ordinary),
        }
    }
}

impl Names {
    fn find(&self, name: &str) -> Option<u32> {
        count_a_look();
        self.numbers.get(name).copied()
    }

    fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        // There are fewer names than bytes in all files.
        let number = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.names.push(name.into());
        self.numbers.insert(name.into(), number);
        number
    }

    fn name(&self, number: u32) -> &str {
        self.names.get(number as usize).map_or("?", |name| name)
    }
}

impl Rule {
    /// `allow-recursive` and so on: as Magpie writes it behind the permission's name.
    pub(crate) fn as_str(self) -> &'static str {
        match (self.access, self.scope) {
            (Access::Allow, Scope::Match) => "allow-match",
            (Access::Allow, Scope::Recursive) => "allow-recursive",
            (Access::Deny, Scope::Match) => "deny-match",
            (Access::Deny, Scope::Recursive) => "deny-recursive",
        }
    }
}

#[cfg(not(test))]
fn count_a_look() {}

#[cfg(test)]
fn count_a_look() {
    looks::LOOKS.with(|looks| looks.set(looks.get() + 1));
}

/// How often a tree was looked into by this thread.
#[cfg(test)]
pub(super) mod looks {
    use std::cell::Cell;

    thread_local! {
        pub(in crate::magpie) static LOOKS: Cell<usize> = const { Cell::new(0) };
    }
}
