//! Random trees against the rule said in another way: not what replaces what on the way up, but which permission is left
//! when everything weaker is crossed out.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;

use super::*;

/// Who can have permissions: two users and some groups.
const WHO: [&str; 6] = ["user:ann", "user:bob", "anonymous", "g1", "g2", "g3"];

type Path = Vec<&'static str>;
/// Where, whose (of `WHO`), and for reading or not.
type Place = (Path, usize, bool);

/// Everything there is, as plain lists.
#[derive(Debug)]
struct World {
    known: BTreeSet<Path>,
    /// Allowed or not, and recursive or not.
    rules: BTreeMap<Place, (bool, bool)>,
    /// The groups that the tree knows of each user.
    members: [BTreeSet<&'static str>; 2],
}

/// Whoever asks: one of the users, or nobody; and the groups of the token.
type Asking = (Option<usize>, BTreeSet<&'static str>);

fn path() -> impl Strategy<Value = Path> {
    vec(prop::sample::select(vec!["a", "b", "c"]), 0..5)
}

fn groups() -> impl Strategy<Value = BTreeSet<&'static str>> {
    let named = prop::sample::select(vec!["g1", "g1", "g2", "g2", "g3", "unheard-of", "administrators"]);
    btree_set(named, 0..3)
}

fn world() -> impl Strategy<Value = World> {
    let place = (path(), 0..WHO.len(), any::<bool>());
    let rules = btree_map(place, (any::<bool>(), any::<bool>()), 0..40);
    (btree_set(path(), 0..12), rules, groups(), groups()).prop_map(|(more, rules, ann, bob)| {
        let named = rules.keys().map(|(path, ..)| path.clone()).chain(more);
        let begins = |path: Path| (0..=path.len()).map(move |end| path[..end].to_vec());
        World {
            known: named.flat_map(begins).chain([Vec::new()]).collect(),
            rules,
            members: [ann, bob],
        }
    })
}

impl World {
    fn tree(&self) -> Tree {
        let mut tree = Tree::default();
        assert!(tree.add_service("s", "api", ServiceKind::Api));
        // Of another service, with the same names: none of it may count.
        assert!(tree.add_service("other", "api", ServiceKind::Api));
        let root = tree.service("s").expect("a service").root;
        let other = tree.service("other").expect("a service").root;
        for path in &self.known {
            tree.add_resource(root, path);
        }
        for ((path, who, reads), (allow, recursive)) in &self.rules {
            let subject = match WHO[*who].strip_prefix("user:") {
                Some(user) => tree.user(user),
                None => tree.group(WHO[*who]),
            };
            let permission = if *reads {
                Permission::Read
            } else {
                Permission::Write
            };
            let rule = |allow| Rule {
                access: if allow { Access::Allow } else { Access::Deny },
                scope: if *recursive {
                    Scope::Recursive
                } else {
                    Scope::Match
                },
            };
            let node = tree.add_resource(root, path);
            tree.grant(node, subject, permission, rule(*allow)).expect("once");
            let node = tree.add_resource(other, path);
            tree.grant(node, subject, permission, rule(!allow)).expect("once");
        }
        for (user, groups) in ["ann", "bob"].iter().zip(&self.members) {
            groups.iter().for_each(|group| tree.join(user, group));
        }
        tree
    }

    /// The rule. What is asked for lies `below` the resource, or is the resource.
    fn allows(&self, (user, token): &Asking, asked: &Path, below: bool, reads: bool) -> bool {
        // A user of whom no file says anything has no groups there, either.
        let own = user.map(|user| &self.members[user]).into_iter().flatten();
        let groups: BTreeSet<&str> = own.chain(token).copied().chain(["anonymous"]).collect();
        if groups.contains("administrators") {
            return true;
        }
        let mut nearest = asked.clone();
        while !self.known.contains(&nearest) {
            nearest.pop();
        }
        let exact = nearest == *asked && !below;
        let mine = |who: usize| match WHO[who].strip_prefix("user:") {
            Some(name) => user.is_some_and(|user| ["ann", "bob"][user] == name),
            None => groups.contains(WHO[who]),
        };
        let reaching = self
            .rules
            .iter()
            .filter(|((path, who, of_reading), (_, recursive))| {
                let here = exact && *path == nearest;
                mine(*who) && *of_reading == reads && nearest.starts_with(path) && (here || *recursive)
            });
        // A user's own before groups', groups' before everybody's, then the nearest, then a no.
        let strength = |((path, who, _), (allow, _)): &(&Place, &(bool, bool))| {
            let rank = match WHO[*who] {
                "anonymous" => 0,
                name => 1 + u8::from(name.starts_with("user:")),
            };
            (rank, path.len(), !allow)
        };
        let strongest = reaching.max_by_key(strength);
        strongest.is_some_and(|(_, (allow, _))| *allow)
    }

    /// Everything below `asked`, known or not, one after the other.
    fn allows_all_below(&self, asking: &Asking, asked: &Path, reads: bool) -> bool {
        let mut below = self
            .known
            .iter()
            .filter(|path| path.starts_with(asked) && *path != asked);
        let each =
            |path: &Path| self.allows(asking, path, false, reads) && self.allows(asking, path, true, reads);
        self.allows(asking, asked, true, reads) && below.all(each)
    }

    /// Whether anybody is denied anything below the service.
    fn denies_below(&self, reads: bool) -> bool {
        let mut rules = self.rules.iter();
        rules.any(|((path, _, of_reading), (allow, _))| !path.is_empty() && *of_reading == reads && !allow)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, ..ProptestConfig::default() })]

    #[test]
    fn the_strongest_permission_decides(
        world in world(),
        questions in vec(((prop::option::of(0..2_usize), groups()), path(), any::<(bool, bool)>(), any::<bool>()), 16),
    ) {
        let tree = world.tree();
        let root = tree.service("s").expect("a service").root;
        for (asking, asked, (below, everything), reads) in &questions {
            let user = asking.0.map(|user| ["ann", "bob"][user]);
            let asker = tree.asker(user, asking.1.iter().copied());
            let need = Need {
                resource: asked.iter().map(|name| (*name).to_owned()).collect(),
                reach: match (*everything, *below) {
                    (true, _) => Reach::Everything,
                    (false, true) => Reach::Below,
                    (false, false) => Reach::Exact,
                },
                permission: if *reads { Permission::Read } else { Permission::Write },
            };
            let mut decisive = Vec::new();
            let effective = resolve(&tree, &asker, root, &need, |seen| decisive.push(seen));
            let expected = world.allows(asking, asked, *below, *reads);
            prop_assert!(*everything || effective.allowed == expected, "{:?} {:?} {:?}", asking, need, effective);
            if *everything {
                prop_assert!(!effective.exact);
                prop_assert!(!effective.allowed || world.allows_all_below(asking, asked, *reads), "{:?}", effective);
                if !world.denies_below(*reads) {
                    prop_assert_eq!(effective.allowed, world.allows(asking, asked, true, *reads));
                }
                continue;
            }
            // The reason names one that was come across and says so.
            let named = decisive.iter().any(|seen| {
                let says = seen.reaches && (seen.rule.access == Access::Allow) == expected;
                says && match effective.reason {
                    Reason::Of(subject, depth) => seen.subject == subject && seen.depth == depth,
                    Reason::Multiple(depth) => seen.depth == depth,
                    Reason::Administrator | Reason::NoPermission | Reason::Below(_) => false,
                }
            });
            match effective.reason {
                Reason::Administrator => prop_assert!(effective.allowed),
                Reason::Below(_) => prop_assert!(false, "not everything is asked for"),
                Reason::NoPermission => prop_assert!(!effective.allowed && !decisive.iter().any(|seen| seen.reaches)),
                Reason::Of(..) | Reason::Multiple(_) => prop_assert!(named, "{:?} {:?}", effective, decisive),
            }
            prop_assert_eq!(effective.exact, world.known.contains(asked) && !*below);
        }
    }
}
