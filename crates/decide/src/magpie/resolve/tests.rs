//! Magpie's documented example, its own tests of services, and any tree against the rule written down step by step.

mod random;
mod reference;

use super::super::request::{Need, Permission, Reach, ServiceKind};
use super::super::tree::looks::LOOKS;
use super::super::tree::{Access, Rule, Scope, Tree};
use super::*;

/// A tree from lines of places and what is there: `/service/a/b: user r-A-M, G1 w-D-R`. Of users there is one, `user`.
fn tree(lines: &str) -> Tree {
    let mut tree = Tree::default();
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (place, entries) = line.split_once(':').expect("a place and what is there");
        let mut path = place.split('/').skip(1);
        let service = path.next().expect("a service");
        tree.add_service(service, "api", ServiceKind::Api);
        let root = tree.service(service).expect("just made").root;
        let node = tree.add_resource(root, &path.collect::<Vec<_>>());
        for entry in entries
            .split(',')
            .map(str::trim)
            .filter(|entry| !entry.is_empty())
        {
            let (who, what) = entry.split_once(' ').expect("who and what");
            let (name, rule) = what.split_at(1);
            let permission = match name {
                "r" => Permission::Read,
                _ => Permission::Write,
            };
            let rule = Rule {
                access: if rule.contains('A') {
                    Access::Allow
                } else {
                    Access::Deny
                },
                scope: if rule.contains('M') {
                    Scope::Match
                } else {
                    Scope::Recursive
                },
            };
            let subject = match who {
                "user" => tree.user(who),
                group => tree.group(group),
            };
            tree.grant(node, subject, permission, rule).expect("said once");
        }
    }
    tree
}

fn need(resource: Vec<String>, permission: Permission) -> Need {
    Need {
        resource,
        reach: Reach::Exact,
        permission,
    }
}

/// The answer and its reason, as Magpie names it, with the place.
fn ask(tree: &Tree, groups: &[&str], place: &str, permission: Permission) -> (bool, String) {
    let asker = tree.asker(Some("user"), groups.iter().copied());
    let mut path = place.split('/').skip(1).map(str::to_owned);
    let root = tree
        .service(&path.next().expect("a service"))
        .expect("a service")
        .root;
    let need = need(path.collect(), permission);
    let effective = resolve(tree, &asker, root, &need, |_| {});
    let reason = match effective.reason {
        Reason::Administrator => "administrator".to_owned(),
        Reason::Of(subject, depth) => format!("{} at {depth}", tree.name(subject)),
        Reason::Multiple(depth) => format!("multiple at {depth}"),
        Reason::Below(subject) => format!("{} below", tree.name(subject)),
        Reason::NoPermission => "no-permission".to_owned(),
    };
    (effective.allowed, reason)
}

/// An answer with its reason.
type Answer<'t> = (bool, &'t str);

/// Rows of an id, a place, and the answers to read and write.
fn check(lines: &str, groups: &[&str], rows: &[(&str, &str, Answer<'_>, Answer<'_>)]) {
    let tree = tree(lines);
    for (id, place, read, write) in rows {
        let answer = |permission| ask(&tree, groups, place, permission);
        let owned = |(allowed, reason): (bool, &str)| (allowed, reason.to_owned());
        assert_eq!(answer(Permission::Read), owned(*read), "{id} read");
        assert_eq!(answer(Permission::Write), owned(*write), "{id} write");
    }
}

/// The example of "Resolution of Permissions". Its table says `allow` for write on resource-4 and -5, and overlooks that
/// `anonymous` is denied on resource-4, nearer than it is allowed on the service; the code denies.
#[test]
fn the_documented_example() {
    check(
        "/service-A: user rAM, anonymous wAR
         /service-A/resource-1: anonymous rDR
         /service-A/resource-1/resource-2: G1 wAR, G2 rAR, anonymous wDR
         /service-A/resource-1/resource-2/resource-3: user wDM
         /service-A/resource-4: G1 rDR, G2 rAR, anonymous wDR
         /service-A/resource-4/resource-5: G2 rAR",
        &["G1", "G2"],
        &[
            (
                "M1/M2",
                "/service-A",
                (true, "user at 0"),
                (true, "anonymous at 0"),
            ),
            (
                "M3/M4",
                "/service-A/resource-1",
                (false, "anonymous at 1"),
                (true, "anonymous at 0"),
            ),
            (
                "M5/M6",
                "/service-A/resource-1/resource-2",
                (true, "G2 at 2"),
                (true, "G1 at 2"),
            ),
            (
                "M7/M8",
                "/service-A/resource-1/resource-2/resource-3",
                (true, "G2 at 2"),
                (false, "user at 3"),
            ),
            (
                "M9/M10",
                "/service-A/resource-1/unspecified-1",
                (false, "anonymous at 1"),
                (true, "anonymous at 0"),
            ),
            (
                "M11/M12",
                "/service-A/resource-1/resource-2/unspecified-2",
                (true, "G2 at 2"),
                (true, "G1 at 2"),
            ),
            (
                "M13/M14",
                "/service-A/resource-1/resource-2/resource-3/unspecified-3",
                (true, "G2 at 2"),
                (true, "G1 at 2"),
            ),
            (
                "M15/M16",
                "/service-A/resource-4",
                (false, "G1 at 1"),
                (false, "anonymous at 1"),
            ),
            (
                "M17/M18",
                "/service-A/resource-4/resource-5",
                (true, "G2 at 2"),
                (false, "anonymous at 1"),
            ),
        ],
    );
}

#[test]
fn an_api() {
    let lines = "/api: user wDM, group wAR
         /api/R1: group rAR
         /api/R1/R2: user rDR
         /api/R1/R2/R3: user wAR, group wDM
         /api/R1/R2/R3/R4: user wDM";
    check(
        lines,
        &["group"],
        &[
            ("M19", "/api", (false, "no-permission"), (false, "user at 0")),
            ("M20", "/api/R1", (true, "group at 1"), (true, "group at 0")),
            ("M21", "/api/R1/R2", (false, "user at 2"), (true, "group at 0")),
            ("M22", "/api/R1/R2/R3", (false, "user at 2"), (true, "user at 3")),
            (
                "M23",
                "/api/R1/R2/R3/R4",
                (false, "user at 2"),
                (false, "user at 4"),
            ),
            (
                "M24",
                "/api/R1/R2/R3/R4/R5",
                (false, "user at 2"),
                (true, "user at 3"),
            ),
        ],
    );
    let all = (true, "administrator");
    check(
        lines,
        &["administrators", "group"],
        &[
            ("M25", "/api/R1/R2/R3/R4", all, all),
            ("M25", "/api/nothing", all, all),
        ],
    );
}

#[test]
fn what_counts_before_what() {
    let no = (false, "no-permission");
    for (id, lines, read) in [
        (
            "a user's own, though further up",
            "/s: user rAR\n/s/a: G1 rDR",
            (true, "user at 0"),
        ),
        (
            "a nearer one of the same user",
            "/s: user rAR\n/s/a: user rDR",
            (false, "user at 1"),
        ),
        (
            "the higher priority, though further up",
            "/s: G1 rAR\n/s/a: anonymous rDR",
            (true, "G1 at 0"),
        ),
        (
            "the nearer of equal ones",
            "/s: G1 rDR\n/s/a: G2 rAR",
            (true, "G2 at 1"),
        ),
        (
            "no before yes at the same place",
            "/s/a: G1 rAR, G2 rDR",
            (false, "G2 at 1"),
        ),
        ("in either order", "/s/a: G2 rAR, G1 rDR", (false, "G1 at 1")),
        (
            "several that say the same",
            "/s/a: G1 rAR, G2 rAR, anonymous rDR",
            (true, "multiple at 1"),
        ),
        (
            "several that say no",
            "/s/a: G1 rDR, G2 rDR",
            (false, "multiple at 1"),
        ),
        (
            "a match on the resource itself",
            "/s/a: G1 rAM",
            (true, "G1 at 1"),
        ),
        ("a match above does not reach", "/s: G1 rAM\n/s/a:", no),
        ("nor one of the user", "/s: user rAM\n/s/a:", no),
        ("a match of somebody else", "/s/a: G3 rAR", no),
        (
            "everybody is in anonymous",
            "/s: anonymous rAR",
            (true, "anonymous at 0"),
        ),
    ] {
        assert_eq!(
            ask(&tree(lines), &["G1", "G2"], "/s/a", Permission::Read),
            (read.0, read.1.to_owned()),
            "{id}"
        );
    }
    // Nor what lies below and has no name.
    let known = tree("/s/a: G1 rAM");
    let asker = known.asker(None, ["G1"]);
    let root = known.service("s").expect("a service").root;
    for (reach, allowed) in [(Reach::Exact, true), (Reach::Below, false)] {
        let need = Need {
            reach,
            ..need(vec!["a".to_owned()], Permission::Read)
        };
        assert_eq!(
            resolve(&known, &asker, root, &need, |_| {}).allowed,
            allowed,
            "{reach:?}"
        );
    }
    // A match on the nearest known ancestor does not cover what is not known.
    assert_eq!(
        ask(&tree("/s/a: G1 rAM"), &["G1"], "/s/a/unknown", Permission::Read),
        (false, "no-permission".to_owned())
    );
}

/// Where it cannot be said what below the service is asked for.
#[test]
fn everything_below() {
    for (lines, allowed) in [
        ("/s: G1 rAR", true),
        ("/s: G1 rAM", false),
        ("/s: user rAR\n/s/a/b: user rDM", false),
        ("/s: user rAR\n/s/a: user rDR\n/s/a/b: user rAR", false),
        ("/s: G1 rAR\n/s/a/b: G2 rDM", false),
        ("/s: G1 rAR\n/s/a/b: user rDM", false),
        ("/s: anonymous rAR\n/s/a: anonymous rDM", false),
        // What is weaker than what allows it, or is about something or somebody else.
        ("/s: user rAR\n/s/a: G1 rDM", true),
        ("/s: G1 rAR\n/s/a: anonymous rDR", true),
        ("/s: G1 rAR\n/s/a: G3 rDR", true),
        ("/s: G1 rAR\n/s/a: G1 wDR", true),
        ("/s: G1 rAR\n/other/a: G1 rDR", true),
        ("/s: G1 rAR, G2 rDM", true),
        ("/s: G1 rAR, user rDM", true),
    ] {
        let tree = tree(lines);
        let asker = tree.asker(Some("user"), ["G1", "G2"]);
        let root = tree.service("s").expect("a service").root;
        let need = Need {
            reach: Reach::Everything,
            ..need(Vec::new(), Permission::Read)
        };
        let effective = resolve(&tree, &asker, root, &need, |_| {});
        assert_eq!(effective.allowed, allowed, "{lines} {effective:?}");
    }
    // A denial that is taken away, and one that is set twice, leave no trace.
    let mut tree = tree("/s: G1 rAR\n/s/a: G1 rDR\n/s/b: G1 rDR");
    let root = tree.service("s").expect("a service").root;
    let group = tree.group("G1");
    let denied = |tree: &Tree| tree.denies_below(root, group, Permission::Read);
    for (name, left) in [("a", true), ("b", false)] {
        let node = tree.add_resource(root, &[name]);
        let rule = tree.rule(node, group, Permission::Read).expect("set");
        tree.grant(node, group, Permission::Read, rule).expect("the same");
        assert_eq!(tree.revoke(node, group, Permission::Read), Some(rule));
        assert_eq!(tree.revoke(node, group, Permission::Read), None);
        assert_eq!(denied(&tree), left, "{name}");
    }
}

/// Looks into the tree for one question.
fn looks(tree: &Tree, groups: &[&str], need: &Need) -> usize {
    LOOKS.with(|looks| looks.set(0));
    let asker = tree.asker(Some("user"), groups.iter().copied());
    let root = tree.service("s").expect("a service").root;
    resolve(tree, &asker, root, need, |_| {});
    LOOKS.with(std::cell::Cell::get)
}

#[test]
fn the_work_does_not_grow_with_the_tree() {
    let build = |resources: usize, users: usize| {
        let mut tree = tree("/s: user rAM\n/s/a/b/c: G1 rAR");
        let root = tree.service("s").expect("a service").root;
        let allow = |access| Rule {
            access,
            scope: Scope::Recursive,
        };
        for number in 0..resources {
            let node = tree.add_resource(root, &["a", &format!("r{number}")]);
            let group = tree.group(&format!("g{}", number % 100));
            tree.grant(node, group, Permission::Read, allow(Access::Deny))
                .expect("once");
        }
        for number in 0..users {
            let name = format!("u{number}");
            let subject = tree.user(&name);
            tree.join(&name, "G1");
            tree.grant(root, subject, Permission::Read, allow(Access::Allow))
                .expect("once");
        }
        tree
    };
    let path = ["a", "b", "c", "unknown"].map(str::to_owned).into();
    let path = need(path, Permission::Read);
    let small = build(10, 10);
    let expected = looks(&small, &["G1", "g1"], &path);
    // The user, two groups; four steps down; on each of four places the user and three groups.
    assert_eq!(expected, 3 + 4 + 4 * 4);
    assert_eq!(looks(&build(100_000, 10_000), &["G1", "g1"], &path), expected);
}
