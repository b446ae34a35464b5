//! What Magpie's files become. How their mistakes are told is in `server/tests/cli/broken/magpie.*`.

use serde_json::{Value, json};

use super::super::request::{Need, Permission, Reach};
use super::super::resolve::{Seen, resolve};
use super::super::tree::Subject;
use super::*;

fn file(value: &Value) -> DataFile {
    DataFile {
        name: "config.yml".to_owned(),
        text: value.to_string(),
        data: Data::of_json(value),
    }
}

fn read_all(files: &[Value]) -> (Tree, Vec<String>) {
    let files: Vec<DataFile> = files.iter().map(file).collect();
    let mut problems = Vec::new();
    let tree = read(&files, &mut problems);
    let problems = problems.into_iter().map(|problem| problem.message);
    (tree, problems.collect())
}

/// What everybody has at a place of a service, as `subject permission`.
fn at(tree: &Tree, place: &str) -> Vec<String> {
    let mut path = place.split('/').skip(1);
    let root = tree
        .service(path.next().expect("a service"))
        .expect("a service")
        .root;
    let resource: Vec<String> = path.map(str::to_owned).collect();
    let depth = resource.len();
    let groups = ["staff", "anonymous"];
    let mut found = Vec::new();
    for permission in Permission::all() {
        let need = Need {
            resource: resource.clone(),
            reach: Reach::Exact,
            permission,
        };
        for asker in [tree.asker(None, groups), tree.asker(Some("alice"), [])] {
            resolve(tree, &asker, root, &need, |seen: Seen| {
                let text = format!("{} {permission}-{}", tree.name(seen.subject), seen.rule.as_str());
                let own = matches!(seen.subject, Subject::User(_)) || asker.user.is_none();
                if seen.depth == depth && own {
                    found.push(text);
                }
            });
        }
    }
    found
}

fn permissions(entries: &Value) -> (Tree, Vec<String>) {
    let services =
        json!({ "providers": { "api": { "url": "http://h", "type": "api" }, "door": { "type": "access" } } });
    read_all(&[json!({ "permissions": entries }), services])
}

#[test]
fn permissions_are_read_in_all_their_forms() {
    for (written, read) in [
        (json!("read"), "read-allow-recursive"),
        (json!("read-match"), "read-allow-match"),
        (json!("read-recursive"), "read-allow-recursive"),
        (json!("read-allow"), "read-allow-recursive"),
        (json!("read-deny"), "read-deny-recursive"),
        (json!("read-allow-match"), "read-allow-match"),
        (json!("write-deny-recursive"), "write-deny-recursive"),
        (json!({ "name": "read" }), "read-allow-recursive"),
        (json!({ "name": "read", "access": "deny" }), "read-deny-recursive"),
        (
            json!({ "name": "write", "access": "allow", "scope": "match" }),
            "write-allow-match",
        ),
    ] {
        let (tree, problems) = permissions(
            &json!([{ "service": "api", "resource": "/a/b", "permission": written, "group": "staff" }]),
        );
        assert_eq!(problems, [""; 0], "{written}");
        assert_eq!(at(&tree, "/api/a/b"), [format!("staff {read}")], "{written}");
    }
}

#[test]
fn entries_count_one_after_the_other() {
    let entry = |permission: &str, action: &str| json!({ "service": "api", "permission": permission, "user": "alice", "group": "staff", "action": action });
    for (entries, expected, problem) in [
        (vec![entry("read", "create")], 2, None),
        (
            vec![entry("read", "create"), entry("read-allow-recursive", "create")],
            2,
            None,
        ),
        (vec![entry("read", "create"), entry("read", "remove")], 0, None),
        (
            vec![entry("read-deny-match", "create"), entry("read", "remove")],
            0,
            None,
        ),
        (
            vec![
                entry("read-match", "create"),
                entry("read", "remove"),
                entry("read-deny", "create"),
            ],
            2,
            None,
        ),
        (
            vec![entry("read", "create"), entry("read-deny", "create")],
            2,
            Some("an entry before this one says `read-allow-recursive` of the same"),
        ),
        (
            vec![
                entry("read-deny-match", "create"),
                entry("read-allow-match", "remove"),
            ],
            0,
            Some("what is there is `read-deny-match`"),
        ),
        (
            vec![entry("read", "remove")],
            0,
            Some("no entry before this one creates what is removed"),
        ),
    ] {
        let (tree, problems) = permissions(&json!(entries));
        assert_eq!(at(&tree, "/api").len(), expected, "{entries:?}");
        let told = problem.map_or_else(Vec::new, |problem| vec![problem; 2]);
        assert_eq!(problems, told, "{entries:?}");
    }
}

#[test]
fn services_may_be_in_another_file_than_their_permissions() {
    let (tree, problems) = permissions(&json!([
        { "service": "door", "permission": "access-match", "user": "alice" },
        { "service": "api", "resource": "a/", "type": "route", "permission": "read", "group": "anonymous" },
        { "service": "api", "resource": "/", "permission": "write", "group": "staff", "user": null },
    ]));
    assert_eq!(problems, [""; 0]);
    assert_eq!(at(&tree, "/door"), ["alice access-allow-match"]);
    assert_eq!(at(&tree, "/api/a"), ["anonymous read-allow-recursive"]);
    assert_eq!(at(&tree, "/api"), ["staff write-allow-recursive"]);
}

#[test]
fn users_are_members_of_their_groups() {
    let (tree, problems) = read_all(&[
        json!(null),
        json!({ "users": [
            { "username": "alice", "password": "no matter", "email": "a@example.org", "group": "staff" },
            { "username": "bob", "group": ["staff", "far"] },
            { "username": "carol", "group": null },
        ], "webhooks": [{ "name": "x" }] }),
        json!({ "groups": [{ "name": "staff", "description": "all", "discoverable": true }], "permissions": null }),
    ]);
    assert_eq!(problems, [""; 0]);
    for (user, groups) in [
        ("alice", vec!["staff"]),
        ("bob", vec!["staff", "far"]),
        ("carol", vec![]),
    ] {
        assert_eq!(
            tree.asker(Some(user), []).groups,
            tree.asker(None, groups).groups,
            "{user}"
        );
    }
}
