//! Whose name and whose groups count.

use super::*;

fn tree() -> Tree {
    let mut tree = Tree::default();
    for name in ["alice", "anonymous", "magpie_network_far", "job"] {
        tree.user(name);
    }
    for name in ["staff", "magpie_network"] {
        tree.group(name);
    }
    tree.join("alice", "members");
    tree
}

/// Name and groups of whoever the tree takes somebody for.
fn check(users: &str, principal: Option<&Principal>, user: Option<&str>, groups: &[&str]) {
    let tree = tree();
    let users: Vec<MagpieUserSettings> = serde_json::from_str(users).expect("settings");
    let expected = Asker {
        user: tree.asker(user, []).user,
        ..tree.asker(None, groups.iter().copied())
    };
    assert_eq!(expected.user.is_some(), user.is_some(), "{user:?} is in the tree");
    assert_eq!(
        asker(&tree, &users, principal),
        expected,
        "{users:?} {principal:?}"
    );
}

fn somebody(kind: PrincipalKind, issuer: &str, subject: &str) -> Principal {
    Principal {
        name: Some("alice".to_owned()),
        groups: ["staff", "administrators", "magpie_network", "unknown"]
            .map(str::to_owned)
            .into(),
        ..Principal::new(kind, issuer, subject)
    }
}

#[test]
fn only_users_of_named_issuers_are_users() {
    use PrincipalKind::{Client, Robot, User};
    let main = r#"[{"issuer": "main"}]"#;
    let alice = somebody(User, "main", "alice");
    check(main, Some(&alice), Some("alice"), &["members"]);
    check("[]", Some(&alice), None, &[]);
    check(main, Some(&somebody(User, "other", "alice")), None, &[]);
    check(main, Some(&somebody(User, "main", "nobody-knows")), None, &[]);
    check(main, Some(&somebody(Robot, "main", "job")), None, &[]);
    check(main, Some(&somebody(Client, "main", "alice")), None, &[]);
    let robots = r#"[{"issuer": "main", "robots": true}]"#;
    check(robots, Some(&somebody(Robot, "main", "job")), Some("job"), &[]);
    check(robots, Some(&somebody(Client, "main", "alice")), None, &[]);
    // Whoever presents no credential has a name of their own, which nobody else can have.
    check(main, None, Some("anonymous"), &[]);
    check(main, Some(&Principal::anonymous()), Some("anonymous"), &[]);
    check(main, Some(&somebody(User, "main", "anonymous")), None, &[]);
    check(
        main,
        Some(&somebody(User, "main", "magpie_network_far")),
        None,
        &[],
    );
}

#[test]
fn names_and_groups_are_taken_where_the_settings_say_so() {
    let subject = somebody(PrincipalKind::User, "main", "7d2f");
    let name = r#"[{"issuer": "main", "user_name": "name"}]"#;
    check(name, Some(&subject), Some("alice"), &["members"]);
    let nameless = Principal {
        name: None,
        ..subject.clone()
    };
    check(name, Some(&nameless), None, &[]);
    let groups = r#"[{"issuer": "main", "groups": true}]"#;
    check(groups, Some(&subject), None, &["staff", "administrators"]);
    let both = r#"[{"issuer": "main", "user_name": "name", "groups": true}]"#;
    check(
        both,
        Some(&subject),
        Some("alice"),
        &["staff", "members", "administrators"],
    );
}
