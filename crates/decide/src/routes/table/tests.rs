mod reference;

use std::sync::{Arc, LazyLock};

use cedar_policy::{EntityTypeName, EntityUid};

use super::*;
use crate::routes::{DenyAnswer, ResourceTemplate, Template};

/// Parsed once: here are tables of ten thousand routes, and which entities they make is no matter.
static PARSED: LazyLock<(EntityTypeName, EntityUid)> =
    LazyLock::new(|| ("Path".parse().unwrap(), "Action::\"GET\"".parse().unwrap()));

fn route(name: &str, methods: &[&str]) -> Route {
    let action = |method: &str| Action {
        name: method.into(),
        uid: PARSED.1.clone(),
    };
    Route {
        name: name.into(),
        captures: Vec::new(),
        actions: methods.iter().map(|m| ((*m).into(), action(m))).collect(),
        resource: ResourceTemplate {
            kind: PARSED.0.clone(),
            id: Template::parse("", &[]).unwrap(),
            attributes: Vec::new(),
            ancestors: Vec::new(),
        },
        public: false,
        expose: Arc::default(),
        capability_path: None,
        magpie: None,
        destination: None,
        mode: None,
        on_deny: DenyAnswer::default(),
        login: None,
        on_allow: Arc::default(),
    }
}

fn insert(table: &mut RouteTable, hosts: &[&str], path: &str, methods: &[&str]) -> Result<(), Conflict> {
    let name = format!("{}{path}", hosts.join(","));
    let hosts: Vec<HostPattern> = hosts.iter().map(|h| HostPattern::parse(h).unwrap()).collect();
    table.insert(&Pattern::parse(path).unwrap(), &hosts, route(&name, methods))
}

fn find(table: &RouteTable, host: &str, path: &str, method: &str) -> String {
    match table.find(host, path, method) {
        Found::Route(route, _, captures) => format!("{} [{}]", route.name, captures.join(",")),
        Found::NoMethod(route) => format!("no method {}", route.name),
        Found::Nothing => "nothing".to_owned(),
    }
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
        assert_eq!(
            find(&table, host, path, method),
            expected,
            "{method} {host}{path}"
        );
    }
}

#[test]
fn segments_with_text_and_captures() {
    let mut table = RouteTable::default();
    for path in [
        "/c/{collection}/{rest..}",
        "/c/{workspace..}.{name..}/{rest..}",
        "/c/ws-{name}.public/{rest..}",
        "/c/ws-a.b/items",
        "/d/{a}.json/x",
        "/d/{a}/y",
        "/d/v{major}.{minor}.json/x",
    ] {
        insert(&mut table, &[], path, &["GET"]).unwrap();
    }
    for (path, expected) in [
        ("/c/sentinel-2", "/c/{collection}/{rest..} [sentinel-2,]"),
        ("/c/ws-a.b/items", "/c/ws-a.b/items []"),
        (
            "/c/ws-a.b/items/1",
            "/c/{workspace..}.{name..}/{rest..} [ws-a,b,items/1]",
        ),
        ("/c/ws-a.public/1", "/c/ws-{name}.public/{rest..} [a,1]"),
        (
            "/c/ws-.public/1",
            "/c/{workspace..}.{name..}/{rest..} [ws-,public,1]",
        ),
        ("/c/a.b.c/x", "/c/{workspace..}.{name..}/{rest..} [a,b.c,x]"),
        ("/c/.b", "/c/{workspace..}.{name..}/{rest..} [,b,]"),
        ("/c/a.", "/c/{workspace..}.{name..}/{rest..} [a,,]"),
        // The segment right behind `/c/` counts, and no other.
        ("/c/a/b.c", "/c/{collection}/{rest..} [a,b.c]"),
        ("/d/v1.2.json/x", "/d/v{major}.{minor}.json/x [1,2]"),
        // A branch that ends nowhere is left again, with what it captured.
        ("/d/v1.2.json/y", "/d/{a}/y [v1.2.json]"),
        ("/d/.json/x", "nothing"),
    ] {
        assert_eq!(find(&table, "h", path, "GET"), expected, "{path}");
    }
}

#[test]
fn hosts_with_captures() {
    let mut table = RouteTable::default();
    for (hosts, path, methods) in [
        (
            &["{ws}-default{suffix..}.lab.test"][..],
            "/{rest..}",
            &["GET", "PUT"][..],
        ),
        (&["{ws}-default{suffix..}.lab.test"], "/own", &["GET"]),
        (
            &[
                "editor-{ws}-default{suffix..}.lab.test",
                "data-{ws}-default{suffix..}.lab.test",
            ],
            "/{rest..}",
            &["GET"],
        ),
        (&["ws-a-default.lab.test"], "/exact", &["GET"]),
        (&["{label}.lab.test"], "/{rest..}", &["GET"]),
        (&["{tenant}.example.test"], "/t/{id}", &["GET"]),
        (&["api.{tenant}.example.test"], "/t/{id}", &["GET"]),
        (&["{api}.{tenant}.example.test"], "/t/{id}", &["GET"]),
        (&[], "/t/{id}", &["GET"]),
    ] {
        insert(&mut table, hosts, path, methods).unwrap();
    }
    let plain = "{ws}-default{suffix..}.lab.test/{rest..}";
    let prefixed = "editor-{ws}-default{suffix..}.lab.test,data-{ws}-default{suffix..}.lab.test/{rest..}";
    for (host, path, method, expected) in [
        ("ws-a-default.lab.test", "/x", "GET", format!("{plain} [ws-a,,x]")),
        (
            "ws-a-default-abc.lab.test",
            "/x",
            "GET",
            format!("{plain} [ws-a,-abc,x]"),
        ),
        (
            "a-default-default.lab.test",
            "/",
            "GET",
            format!("{plain} [a,-default,]"),
        ),
        (
            "editor-ws-a-default.lab.test",
            "/x",
            "GET",
            format!("{prefixed} [ws-a,,x]"),
        ),
        (
            "data-ws-a-default-editor.lab.test",
            "/x",
            "GET",
            format!("{prefixed} [ws-a,-editor,x]"),
        ),
        (
            "editor-data-a-default.lab.test",
            "/",
            "GET",
            format!("{prefixed} [data-a,,]"),
        ),
        // The most specific host with a route for the path decides, also about methods.
        (
            "editor-ws-a-default.lab.test",
            "/x",
            "PUT",
            format!("no method {prefixed}"),
        ),
        (
            "ws-b-default.lab.test",
            "/own",
            "PUT",
            "no method {ws}-default{suffix..}.lab.test/own".to_owned(),
        ),
        (
            "ws-a-default.lab.test",
            "/exact",
            "GET",
            "ws-a-default.lab.test/exact []".to_owned(),
        ),
        (
            "ws-b-default.lab.test",
            "/exact",
            "GET",
            format!("{plain} [ws-b,,exact]"),
        ),
        (
            "editor-default.lab.test",
            "/x",
            "GET",
            format!("{plain} [editor,,x]"),
        ),
        (
            "-default.lab.test",
            "/x",
            "GET",
            "{label}.lab.test/{rest..} [-default,x]".to_owned(),
        ),
        (
            "ws-a.lab.test",
            "/x",
            "GET",
            "{label}.lab.test/{rest..} [ws-a,x]".to_owned(),
        ),
        ("lab.test", "/x", "GET", "nothing".to_owned()),
        ("a.b.lab.test", "/x", "GET", "nothing".to_owned()),
        ("ws-a-default.lab.test.evil", "/x", "GET", "nothing".to_owned()),
        ("ws-a-default.xlab.test", "/x", "GET", "nothing".to_owned()),
        (
            "acme.example.test",
            "/t/1",
            "GET",
            "{tenant}.example.test/t/{id} [acme,1]".to_owned(),
        ),
        (
            "api.acme.example.test",
            "/t/1",
            "GET",
            "api.{tenant}.example.test/t/{id} [acme,1]".to_owned(),
        ),
        (
            "app.acme.example.test",
            "/t/1",
            "GET",
            "{api}.{tenant}.example.test/t/{id} [app,acme,1]".to_owned(),
        ),
        ("a.b.acme.example.test", "/t/1", "GET", "/t/{id} [1]".to_owned()),
        ("[::1]", "/t/1", "GET", "/t/{id} [1]".to_owned()),
    ] {
        assert_eq!(
            find(&table, host, path, method),
            expected,
            "{method} {host}{path}"
        );
    }
}

#[test]
fn patterns_of_which_neither_is_more_specific_are_refused() {
    let ambiguous = Err(Conflict::Ambiguous(0));
    for (first, second, expected) in [
        // Hosts.
        (
            (&["{a}-x.t"][..], "/p"),
            (&["y-{a}.t"][..], "/p"),
            ambiguous.clone(),
        ),
        (
            (&["{a}-x.t"], "/{p}"),
            (&["y-{a}.t"], "/q/{r..}"),
            ambiguous.clone(),
        ),
        ((&["{a}-x.t"], "/p"), (&["y-{a}.t"], "/q"), Ok(())),
        ((&["{a}-x.t"], "/p"), (&["yy-{a}.t"], "/p"), Ok(())),
        ((&["x-{a}.t"], "/p"), (&["y-{a}.t"], "/p"), Ok(())),
        ((&["{a}-x.t"], "/p"), (&["{a}-x{b..}.t"], "/p"), ambiguous.clone()),
        ((&["{a}.b.t"], "/p"), (&["a.{b}.t"], "/p"), ambiguous.clone()),
        ((&["{a}.b.t"], "/p"), (&["aa.{b}.t"], "/p"), Ok(())),
        ((&["{a}.t"], "/p"), (&["{a}.{b}.t"], "/p"), Ok(())),
        ((&["{a}-x.t"], "/p"), (&[], "/p"), Ok(())),
        (
            (&["{a}-x.t"], "/p"),
            (&["{b}-x.t"], "/p"),
            Err(Conflict::Same(0, "GET".into())),
        ),
        (
            (&["z.t"], "/p"),
            (&["{a}-x.t", "y-{a}.t"], "/p"),
            Err(Conflict::Hosts),
        ),
        // Segments.
        ((&[], "/{a}-x"), (&[], "/y-{a}"), ambiguous.clone()),
        ((&[], "/{a}-x/b"), (&[], "/y-{a}/{c..}"), ambiguous.clone()),
        ((&[], "/{a}-x"), (&[], "/yy-{a}"), Ok(())),
        ((&[], "/x-{a}"), (&[], "/y-{a}"), Ok(())),
        ((&[], "/z/{a}-x"), (&[], "/y/y-{a}"), Ok(())),
        ((&[], "/{a}-x"), (&["h.t"], "/y-{a}"), Ok(())),
        (
            (&[], "/{a}-x"),
            (&[], "/{b}-x"),
            Err(Conflict::Same(0, "GET".into())),
        ),
    ] {
        let mut table = RouteTable::default();
        insert(&mut table, first.0, first.1, &["GET"]).unwrap();
        let row = format!("{first:?} {second:?}");
        // For hosts and segments of which neither is more specific, other methods make no difference.
        if matches!(expected, Err(Conflict::Ambiguous(_))) {
            assert_eq!(
                insert(&mut table, second.0, second.1, &["PUT"]),
                expected,
                "{row}"
            );
        }
        assert_eq!(
            insert(&mut table, second.0, second.1, &["GET"]),
            expected,
            "{row}"
        );
    }
}

#[test]
fn a_place_has_only_so_many_patterns() {
    let mut table = RouteTable::default();
    for n in 0..MOST {
        insert(&mut table, &[&format!("{{a}}-{n}.t")], "/p", &["GET"]).unwrap();
        insert(&mut table, &[], &format!("/{{a}}-{n}"), &["GET"]).unwrap();
    }
    assert_eq!(
        insert(&mut table, &["{a}-z.t"], "/p", &["GET"]),
        Err(Conflict::Crowded)
    );
    assert_eq!(
        insert(&mut table, &[], "/{a}-z", &["GET"]),
        Err(Conflict::Crowded)
    );
    // Other domains, and other hosts in the tree, are other places.
    for n in 0..500 {
        insert(&mut table, &[&format!("{{a}}-z.u{n}.t")], "/p", &["GET"]).unwrap();
    }
    assert_eq!(find(&table, "b-z.u499.t", "/p", "GET"), "{a}-z.u499.t/p [b]");
    insert(&mut table, &["{a}-7.t"], "/{a}-z", &["GET"]).unwrap();
}

#[test]
fn routes_that_match_the_same_requests_are_refused() {
    let mut table = RouteTable::default();
    insert(&mut table, &[], "/w/{a}", &["GET", "PUT"]).unwrap();
    assert_eq!(
        insert(&mut table, &[], "/w/{b}", &["PUT"]),
        Err(Conflict::Same(0, "PUT".into()))
    );
    insert(&mut table, &[], "/w/{b}", &["POST"]).unwrap();
    insert(&mut table, &["h"], "/w/{b}", &["PUT"]).unwrap();
    assert_eq!(
        insert(&mut table, &["g", "h"], "/w/{c}", &["PUT"]),
        Err(Conflict::Same(2, "PUT".into()))
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
