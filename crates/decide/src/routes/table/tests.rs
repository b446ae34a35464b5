use std::sync::Arc;

use super::*;
use crate::routes::{DenyAnswer, ResourceTemplate, Template};

fn route(name: &str, methods: &[&str]) -> Route {
    let action = |method: &str| Action {
        name: method.into(),
        uid: format!("Action::\"{method}\"").parse().unwrap(),
    };
    Route {
        name: name.into(),
        captures: Vec::new(),
        actions: methods.iter().map(|m| ((*m).into(), action(m))).collect(),
        resource: ResourceTemplate {
            kind: "Path".parse().unwrap(),
            id: Template::parse("", &[]).unwrap(),
            attributes: Vec::new(),
            ancestors: Vec::new(),
        },
        public: false,
        expose: Arc::default(),
        capability_path: None,
        mode: None,
        on_deny: DenyAnswer::default(),
        login: None,
        on_allow: Arc::default(),
    }
}

fn insert(table: &mut RouteTable, hosts: &[&str], path: &str, methods: &[&str]) -> Result<(), String> {
    let hosts: Vec<String> = hosts.iter().map(|h| (*h).to_owned()).collect();
    let name = format!("{}{path}", hosts.join(","));
    table.insert(&Pattern::parse(path).unwrap(), &hosts, route(&name, methods))
}

#[test]
fn the_most_specific_path_wins() {
    let mut table = RouteTable::default();
    for (hosts, path, methods) in [
        (&[][..], "/", &["GET"][..]),
        (&[], "/workspaces", &["GET", "POST"]),
        (&[], "/workspaces/{ws}", &["GET", "DELETE"]),
        (&[], "/workspaces/{ws}", &["PUT"]),
        (&[], "/workspaces/{ws}/credentials", &["GET"]),
        (
            &[],
            "/workspaces/{ws}/{rest..}",
            &["GET", "POST", "DELETE", "PATCH"],
        ),
        (&[], "/a/b/c", &["GET"]),
        (&[], "/a/{x}/d", &["GET"]),
        (&[], "/a/{rest..}", &["GET"]),
        (&["h.test", "i.test"], "/workspaces/{ws}", &["GET"]),
    ] {
        insert(&mut table, hosts, path, methods).unwrap();
    }
    for (host, method, path, expected) in [
        ("x", "GET", "/", "/ []"),
        ("x", "GET", "/workspaces", "/workspaces []"),
        ("x", "GET", "/workspaces/", "nothing"),
        ("x", "GET", "/workspace", "nothing"),
        ("x", "GET", "/Workspaces", "nothing"),
        ("x", "GET", "/workspaces/ws-alice", "/workspaces/{ws} [ws-alice]"),
        ("x", "PUT", "/workspaces/ws-alice", "/workspaces/{ws} [ws-alice]"),
        (
            "x",
            "GET",
            "/workspaces/ws-alice/",
            "/workspaces/{ws}/{rest..} [ws-alice,]",
        ),
        (
            "x",
            "GET",
            "/workspaces/ws-alice/a/b",
            "/workspaces/{ws}/{rest..} [ws-alice,a/b]",
        ),
        (
            "x",
            "GET",
            "/workspaces/ws-alice/credentials",
            "/workspaces/{ws}/credentials [ws-alice]",
        ),
        (
            "x",
            "GET",
            "/workspaces/ws-alice/credentials/",
            "/workspaces/{ws}/{rest..} [ws-alice,credentials/]",
        ),
        // A path with a route of its own does not fall back to a wider one because of its method.
        ("x", "PATCH", "/workspaces/ws-alice", "no method /workspaces/{ws}"),
        (
            "x",
            "POST",
            "/workspaces/ws-alice/credentials",
            "no method /workspaces/{ws}/credentials",
        ),
        ("x", "get", "/workspaces", "no method /workspaces"),
        ("x", "GET", "/a/b/c", "/a/b/c []"),
        ("x", "GET", "/a/b/d", "/a/{x}/d [b]"),
        ("x", "GET", "/a/b/e", "/a/{rest..} [b/e]"),
        ("x", "GET", "/a", "/a/{rest..} []"),
        (
            "h.test",
            "GET",
            "/workspaces/w",
            "h.test,i.test/workspaces/{ws} [w]",
        ),
        (
            "h.test",
            "DELETE",
            "/workspaces/w",
            "no method h.test,i.test/workspaces/{ws}",
        ),
        ("i.test", "GET", "/workspaces", "/workspaces []"),
    ] {
        let found = match table.find(host, path, method) {
            Found::Route(route, _, captures) => format!("{} [{}]", route.name, captures.join(",")),
            Found::NoMethod(route) => format!("no method {}", route.name),
            Found::Nothing => "nothing".to_owned(),
        };
        assert_eq!(found, expected, "{method} {host}{path}");
    }
}

#[test]
fn routes_that_match_the_same_requests_are_refused() {
    let mut table = RouteTable::default();
    insert(&mut table, &[], "/w/{a}", &["GET", "PUT"]).unwrap();
    assert_eq!(
        insert(&mut table, &[], "/w/{b}", &["PUT"]),
        Err("PUT /w/{a}".to_owned())
    );
    insert(&mut table, &[], "/w/{b}", &["POST"]).unwrap();
    insert(&mut table, &["h"], "/w/{b}", &["PUT"]).unwrap();
    assert_eq!(
        insert(&mut table, &["g", "h"], "/w/{c}", &["PUT"]),
        Err("PUT h/w/{b}".to_owned())
    );
    // What was refused left nothing behind.
    assert!(matches!(table.find("g", "/w/1", "PUT"), Found::Route(route, ..) if &*route.name == "/w/{a}"));
}

#[test]
fn a_deep_path_costs_no_more_than_the_table() {
    let mut table = RouteTable::default();
    insert(
        &mut table,
        &[],
        &format!("{}/end", "/{a}/x".replace("{a}", "y").repeat(60)),
        &["GET"],
    )
    .unwrap();
    let path = "/y/x".repeat(60) + "/other";
    assert!(matches!(table.find("h", &path, "GET"), Found::Nothing));
}

#[test]
fn ten_thousand_routes_are_told_apart() {
    let mut table = RouteTable::default();
    let kinds = 2_500;
    for i in 0..kinds {
        let host = format!("h{i}.example.test");
        for (hosts, path) in [
            (vec![], format!("/p{i}")),
            (vec![], format!("/p{i}/{{id}}/{{rest..}}")),
            (vec![host.as_str()], "/{rest..}".to_owned()),
            (vec![host.as_str()], format!("/p{i}/x")),
        ] {
            insert(&mut table, &hosts, &path, &["GET"]).unwrap();
        }
    }
    assert_eq!(table.routes().len(), 10_000);
    for i in [0, 1, 77, kinds - 1] {
        let host = format!("h{i}.example.test");
        for (host, path, expected) in [
            ("a.example.test", format!("/p{i}"), Some(format!("/p{i}"))),
            (
                "a.example.test",
                format!("/p{i}/x/y/z"),
                Some(format!("/p{i}/{{id}}/{{rest..}}")),
            ),
            (&*host, format!("/p{i}/x"), Some(format!("{host}/p{i}/x"))),
            (&*host, format!("/p{i}"), Some(format!("{host}/{{rest..}}"))),
            ("a.example.test", format!("/p{}", i + kinds), None),
        ] {
            let found = match table.find(host, &path, "GET") {
                Found::Route(route, ..) => Some(route.name.to_string()),
                Found::NoMethod(_) | Found::Nothing => None,
            };
            assert_eq!(found, expected, "{host}{path}");
        }
    }
}
