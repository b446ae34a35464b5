//! COPY and MOVE are two questions; what a token lacks is said.

use serde_json::json;

use super::tokens::{bearer, with_issuer};
use super::*;

const POLICIES: &str = r#"
    @id("copy") permit(principal, action == Action::"COPY", resource)
        when { context.capabilities.contains("storage.read") && !(context has source) };
    @id("fetch") permit(principal, action == Action::"COPY", resource)
        when { context has source && context.source.host == "friend.test" && context.capabilities.contains("storage.modify") };
    @id("move") permit(principal, action == Action::"MOVE", resource)
        when { context.capabilities.contains("storage.modify") };
    @id("put-there") permit(principal, action in [Action::"COPY.destination", Action::"MOVE.destination"], resource)
        when { context.capabilities.contains("storage.modify") };
    @id("not-there") @reason("this page stays") forbid(principal, action == Action::"MOVE.destination", resource)
        when { context.path == "/dav/vo/fixed" };
    @id("not-to-strangers") forbid(principal, action, resource)
        when { context has destination && !(context.destination has path) && context.destination.host != "friend.test" };
    @id("not-for-others") forbid(principal == Actor::"main/relay", action == Action::"COPY.destination", resource);
    @id("named") permit(principal, action in [Action::"shelf.move", Action::"shelf.move.destination"], resource);
"#;

fn dav() -> Stage {
    let resource = json!({"type": "Page", "id": "{path}", "attributes": {"name": "{path}"}});
    let two = ["COPY", "MOVE"];
    let routes = json!([
        {"path": "/dav/{vo}/{rest..}", "methods": two, "resource": resource, "destination": "local"},
        {"path": "/dav/{vo}/hidden/{rest..}", "methods": ["GET"], "resource": resource},
        {"path": "/plain/{rest..}", "methods": two, "resource": resource, "destination": "ignore"},
        {"path": "/tpc/{rest..}", "hosts": ["api.example.test", "alias.test"], "methods": ["COPY"], "resource": resource, "destination": "third_party",
         "capability_path": "/{rest}", "on_deny": {"status": 404}},
        {"path": "/trial/{rest..}", "methods": two, "resource": resource, "destination": "local", "mode": "audit"},
        {"path": "/shelf/{rest..}", "methods": ["MOVE"], "action": "shelf.move", "resource": resource, "destination": "local"},
    ]);
    with_issuer(POLICIES, json!({"profile": "wlcg"}), routes)
}

/// Method, path, headers, scope; status, and a part of the record.
type Row<'r> = (&'r str, &'r str, &'r [(&'r str, &'r str)], &'r str, u16, &'r str);

fn check(rows: &[Row<'_>]) {
    let stage = dav();
    for (method, path, headers, scope, status, expected) in rows {
        let claims = json!({"wlcg.ver": "1.0", "client_id": "portal", "scope": scope});
        let bearer = bearer(&claims);
        let headers: Vec<_> = headers
            .iter()
            .copied()
            .chain([("authorization", bearer.as_str())])
            .collect();
        let decision = stage.ask(method, path, &headers);
        let record = stage.records.0.lock().unwrap().pop().unwrap();
        assert_eq!(
            told(&decision).0,
            *status,
            "{method} {path} {headers:?}: {record}"
        );
        assert!(record.contains(expected), "{method} {path} {headers:?}: {record}");
    }
}

#[test]
fn both_ends_must_be_permitted() {
    let to = |path: &'static str| [("destination", path)];
    let all = "storage.read:/ storage.modify:/";
    let some = "storage.read:/dav/vo/a storage.modify:/dav/vo/b";
    check(&[
        (
            "COPY",
            "/dav/vo/a",
            &to("/dav/vo/b"),
            some,
            200,
            "permitted by copy, put-there",
        ),
        (
            "COPY",
            "/dav/vo/a",
            &to("https://api.example.test/dav/vo/b/c"),
            some,
            200,
            "permitted by copy, put-there",
        ),
        (
            "COPY",
            "/dav/vo/b",
            &to("/dav/vo/b/c"),
            some,
            403,
            "storage.read for /dav/vo/b is missing",
        ),
        // What is permitted at the source is not for that permitted at the destination.
        (
            "COPY",
            "/dav/vo/a",
            &to("/dav/vo/a/c"),
            some,
            403,
            "at the destination /dav/vo/a/c: no policy permits this",
        ),
        (
            "COPY",
            "/dav/vo/a",
            &to("/dav/other/b"),
            some,
            403,
            "storage.modify for /dav/other/b is missing (the token grants",
        ),
        (
            "MOVE",
            "/dav/vo/b/x",
            &to("/dav/vo/b/y"),
            some,
            200,
            "permitted by move, put-there",
        ),
        (
            "MOVE",
            "/dav/vo/b/x",
            &to("/dav/vo/fixed"),
            all,
            403,
            "at the destination /dav/vo/fixed: forbidden by not-there",
        ),
        // A place that no route leads to, or one whose route does not take it.
        (
            "COPY",
            "/dav/vo/a",
            &to("/nowhere"),
            all,
            403,
            "at the destination /nowhere: no route",
        ),
        (
            "COPY",
            "/dav/vo/a",
            &to("/dav/vo/hidden/x"),
            all,
            403,
            "has no method \"COPY\"",
        ),
        (
            "COPY",
            "/dav/vo/a",
            &to("/plain/x"),
            all,
            403,
            "/plain/{rest..}: it says `destination: ignore`",
        ),
        (
            "MOVE",
            "/dav/vo/a",
            &to("/tpc/x"),
            all,
            404,
            "has no method \"MOVE\"",
        ),
        (
            "MOVE",
            "/dav/vo/a",
            &to("/shelf/x"),
            all,
            200,
            "permitted by move, named",
        ),
        (
            "MOVE",
            "/shelf/x",
            &to("/shelf/y"),
            "openid",
            200,
            "permitted by named",
        ),
        (
            "MOVE",
            "/shelf/x",
            &to("/dav/vo/a"),
            "openid",
            403,
            "at the destination /dav/vo/a: no policy",
        ),
        // Another name of the server is no other server.
        (
            "COPY",
            "/tpc/a",
            &to("https://alias.test/tpc/b"),
            "storage.read:/a",
            404,
            "storage.modify for /b is missing",
        ),
        (
            "COPY",
            "/tpc/a",
            &to("https://alias.test/tpc/b"),
            "storage.read:/a storage.modify:/b",
            200,
            "permitted by copy, put-there",
        ),
        // Capabilities are matched with what the destination's own route says.
        (
            "COPY",
            "/dav/vo/a",
            &to("/tpc/x/y"),
            "storage.read:/dav storage.modify:/x",
            200,
            "permitted by copy, put-there",
        ),
        (
            "COPY",
            "/dav/vo/a",
            &to("/tpc/x/y"),
            "storage.read:/dav storage.modify:/tpc",
            404,
            "storage.modify for /x/y is missing",
        ),
    ]);
}

#[test]
fn a_destination_that_is_not_certain_is_a_denial() {
    let all = "storage.read:/ storage.modify:/";
    check(&[
        ("COPY", "/dav/vo/a", &[], all, 400, "malformed"),
        (
            "COPY",
            "/dav/vo/a",
            &[("destination", "/dav/vo/../b")],
            all,
            400,
            "malformed",
        ),
        (
            "COPY",
            "/dav/vo/a",
            &[("destination", "/dav/b"), ("destination", "/dav/c")],
            all,
            400,
            "2 times",
        ),
        (
            "COPY",
            "/dav/vo/a",
            &[("destination", "/dav/b,/dav/c")],
            all,
            400,
            "comma",
        ),
        (
            "COPY",
            "/dav/vo/a",
            &[("destination", "https://friend.test/b")],
            all,
            400,
            "one server only",
        ),
        (
            "COPY",
            "/dav/vo/a",
            &[("destination", "/dav/vo/b"), ("source", "https://friend.test/b")],
            all,
            400,
            "`Source`",
        ),
        // Nobody looks at it.
        (
            "COPY",
            "/plain/a",
            &[("destination", "/dav/vo/../b")],
            all,
            200,
            "permitted by copy",
        ),
    ]);
}

/// A route whose denials do not count is no way around one whose denials do.
#[test]
fn each_end_is_enforced_as_its_own_route_says() {
    let (out, inside) = ([("destination", "/dav/vo/b")], [("destination", "/trial/b")]);
    check(&[
        ("MOVE", "/trial/a", &inside, "openid", 200, ""),
        (
            "MOVE",
            "/trial/a",
            &out,
            "openid",
            403,
            "at the destination /dav/vo/b: no policy permits",
        ),
        (
            "MOVE",
            "/trial/a",
            &out,
            "storage.modify:/trial",
            403,
            "at the destination /dav/vo/b: no policy permits",
        ),
        ("MOVE", "/trial/a", &out, "storage.modify:/dav", 200, ""),
        ("MOVE", "/dav/vo/b", &inside, "storage.modify:/dav", 200, ""),
        (
            "MOVE",
            "/dav/vo/b",
            &inside,
            "storage.modify:/trial",
            403,
            "no policy permits",
        ),
    ]);
}

#[test]
fn copies_between_servers() {
    let read = "storage.read:/a";
    let write = "storage.modify:/a";
    check(&[
        (
            "COPY",
            "/tpc/a",
            &[("destination", "https://friend.test//eos/a?x")],
            read,
            200,
            "permitted by copy",
        ),
        (
            "COPY",
            "/tpc/a",
            &[("destination", "https://friend.test//eos/a?x")],
            write,
            404,
            "storage.read for /a is missing",
        ),
        (
            "COPY",
            "/tpc/a",
            &[("destination", "https://evil.test/a")],
            read,
            404,
            "forbidden by not-to-strangers",
        ),
        (
            "COPY",
            "/tpc/a",
            &[("source", "https://friend.test/a")],
            write,
            200,
            "permitted by fetch",
        ),
        (
            "COPY",
            "/tpc/a",
            &[("source", "https://friend.test/a")],
            read,
            404,
            "storage.modify for /a is missing",
        ),
        (
            "COPY",
            "/tpc/a",
            &[("source", "https://evil.test/a")],
            write,
            404,
            "no_permit",
        ),
        (
            "COPY",
            "/tpc/a",
            &[("destination", "/dav/vo/b")],
            read,
            403,
            "at the destination /dav/vo/b",
        ),
    ]);
}

#[test]
fn what_a_token_lacks_is_said() {
    let long = format!("storage.read:/{}", "x/".repeat(100));
    let many: Vec<String> = (0..7).map(|n| format!("storage.create:/{n}")).collect();
    let move_it = &[("destination", "/dav/vo/b")][..];
    check(&[
        (
            "MOVE",
            "/dav/vo/a",
            move_it,
            "storage.read:/x storage.create:/y",
            403,
            "no policy permits this to User::\"main/alice\"; storage.modify for /dav/vo/a is missing (the token grants \
             storage.read storage.stat for /x, storage.create storage.stat for /y)",
        ),
        (
            "MOVE",
            "/dav/vo/a",
            move_it,
            "openid",
            403,
            "; storage.modify for /dav/vo/a is missing (the token grants no capability)",
        ),
        // No capability would help: this says only what there is.
        (
            "POST",
            "/pages/a",
            &[],
            "compute.read",
            403,
            "; the token grants compute.read",
        ),
        (
            "POST",
            "/pages/a",
            &[],
            "openid",
            403,
            "no policy permits this to User::\"main/alice\"",
        ),
        (
            "POST",
            "/pages/a",
            &[],
            &many.join(" "),
            403,
            "storage.create storage.stat for /4, and more at 2 other paths",
        ),
        ("POST", "/pages/a", &[], &long, 403, "/x…"),
    ]);
}

/// Whoever acts for somebody is asked about both ends, too.
#[test]
fn an_actor_must_be_permitted_at_the_destination() {
    let stage = dav();
    for (actor, expected) in [
        ("jobs", "permitted by copy, put-there"),
        (
            "relay",
            "at the destination /dav/vo/b: forbidden by not-for-others to Actor::\"main/relay\"",
        ),
    ] {
        let claims = json!({"wlcg.ver": "1.0", "client_id": "portal", "scope": "storage.read:/ storage.modify:/", "act": {"sub": actor}});
        let headers = [
            ("authorization", bearer(&claims)),
            ("destination", "/dav/vo/b".to_owned()),
        ];
        let headers: Vec<_> = headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        stage.ask("COPY", "/dav/vo/a", &headers);
        let record = stage.records.0.lock().unwrap().pop().unwrap();
        assert!(record.contains(expected), "{actor}: {record}");
    }
}
