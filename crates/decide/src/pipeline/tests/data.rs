//! What policies are made of besides text: links, entity files, typed attributes, and what routes say of exposure, the
//! public, and headers.

use serde_json::{Value, json};

use super::*;
use crate::policy::{Data, DataFile};

const SCHEMA: &str = "
    entity Group in [Group];
    entity User in [Group] = { subject: String, issuer: String, name?: String, client?: String, level?: Long } tags Set<String>;
    entity Robot in [Group] = { subject: String, issuer: String, name?: String, client?: String } tags Set<String>;
    entity Client = { subject: String, issuer: String, name?: String, client?: String };
    entity Anonymous;
    entity Actor = { issuer: String, client: String };
    entity Org = { open: Bool };
    entity Team = { org: Org };
    entity Shelf in [Org] = { name: String, level?: Long, open?: Bool, words?: Set<String>, team?: Team, owner?: User,
                    since?: datetime } tags String;
    entity Page;";

fn rules(policies: &str, links: Value, entities: Value, routes: Value) -> Result<Rules, Vec<Problem>> {
    let file = |name: &str, text: &str| SourceFile {
        name: name.to_owned(),
        text: text.to_owned(),
    };
    let data = |name: &str, value: Value| DataFile {
        name: name.to_owned(),
        text: value.to_string(),
        data: Data::of_json(&value),
    };
    let sources = Sources {
        schema: vec![file("test.cedarschema", SCHEMA)],
        policies: vec![file("test.cedar", policies)],
        links: vec![data("test.links.yaml", links)],
        entities: vec![data("test.entities.yaml", entities)],
        ..Sources::default()
    };
    let settings = Settings {
        routes: serde_json::from_value(routes).unwrap(),
        actions: crate::settings::default_actions(),
        ..Settings::default()
    };
    Rules::compile(&settings, &sources).map(|(rules, _)| rules)
}

fn pipeline(policies: &str, links: Value, entities: Value, routes: Value) -> Pipeline {
    let rules = rules(policies, links, entities, routes).unwrap_or_else(|problems| panic!("{problems:#?}"));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    Pipeline::start(rules, Box::new(Records::default()), runtime.handle()).unwrap()
}

fn user(name: &str, groups: &[&str]) -> Principal {
    let mut user = Principal::anonymous();
    user.kind = PrincipalKind::User;
    user.id = format!("main/{name}");
    user.issuer = "main".to_owned();
    user.subject = name.to_owned();
    user.groups = groups.iter().map(|group| (*group).to_owned()).collect();
    user
}

/// Who, method, path and body; the policies that decided, or nothing for a denial.
fn ask(
    pipeline: &Pipeline,
    who: &Principal,
    method: &str,
    path: &str,
    body: &[u8],
) -> Option<(Vec<String>, Decision)> {
    let (path, query) = RequestPath::parse_target(path.as_bytes(), Decoding::Raw).unwrap();
    let check = Check {
        listener: model::ListenerOptions::default(),
        contract: Contract::EnvoyGrpc,
        target: Target::Http(HttpRequest {
            method,
            scheme: "https",
            host: Host::parse("api.example.test").unwrap(),
            path,
            query,
            headers: Headers::default(),
            body: Body::Whole(body),
        }),
        peer: Peer::default(),
        context_extensions: Pairs::new(),
        metadata: &NoMetadata,
        timeout: None,
        traceparent: None,
    };
    let decision = pipeline.decide_as(&check, who, SystemTime::UNIX_EPOCH);
    let policies = decision.policies().iter().map(ToString::to_string).collect();
    matches!(decision.verdict(), Verdict::Allow(_)).then_some((policies, decision))
}

fn shelves(more: Value) -> Value {
    let mut attributes = json!({"name": "{shelf}"});
    attributes
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    json!([{"path": "/shelves/{shelf}", "methods": ["GET", "POST"],
            "resource": {"type": "Shelf", "id": "{shelf}", "attributes": attributes}}])
}

#[test]
fn a_link_is_a_policy_with_a_name_of_its_own() {
    let policies = r#"@id("reader") permit(principal == ?principal, action == Action::"GET", resource == ?resource);
                      @id("out") forbid(principal in ?principal, action, resource);"#;
    let links = json!([
        {"template": "reader", "principal": "User::\"main/alice\"", "resource": "Shelf::\"a\""},
        {"template": "reader", "principal": "User::\"main/bob\"", "resource": "Shelf::\"a\"", "id": "bob-reads"},
        {"template": "out", "principal": "Group::\"main/gone\""},
    ]);
    let pipeline = pipeline(policies, links, json!([]), shelves(json!({})));
    for (who, groups, path, expected) in [
        (
            "alice",
            &[][..],
            "/shelves/a",
            Some("reader#User::\"main/alice\"#Shelf::\"a\""),
        ),
        ("bob", &[], "/shelves/a", Some("bob-reads")),
        ("bob", &[], "/shelves/b", None),
        ("eve", &[], "/shelves/a", None),
        ("alice", &["gone"], "/shelves/a", None),
    ] {
        let got = ask(&pipeline, &user(who, groups), "GET", path, b"").map(|(policies, _)| policies.concat());
        assert_eq!(got.as_deref(), expected, "{who} {groups:?} {path}");
    }
}

#[test]
fn what_files_say_joins_what_tokens_and_routes_say() {
    let entities = json!([
        {"uid": {"type": "Group", "id": "main/team"}, "parents": [{"type": "Group", "id": "main/unit"}]},
        {"uid": "Group::\"main/unit\"", "parents": ["Group::\"main/all\""]},
        {"uid": "User::\"main/alice\"", "attrs": {"level": 3}, "parents": ["Group::\"main/team\""]},
        {"uid": "Shelf::\"a\"", "attrs": {"name": "a", "level": 3, "since": {"__extn": {"fn": "datetime", "arg": "2020-01-01"}},
         "owner": {"type": "User", "id": "main/alice"}, "team": {"type": "Team", "id": "t"}},
         "parents": [{"type": "Org", "id": "o"}], "tags": {"colour": "red"}},
        {"uid": "Shelf::\"b\"", "attrs": {"name": "other"}},
        {"uid": "Team::\"t\"", "attrs": {"org": {"__entity": {"type": "Org", "id": "o"}}}},
        {"uid": "Org::\"o\"", "attrs": {"open": true}},
    ]);
    let (alice, bob) = (user("alice", &[]), user("bob", &["team"]));
    for (condition, who, path, expected) in [
        ("principal in Group::\"main/all\"", &alice, "/shelves/x", true),
        ("principal in Group::\"main/all\"", &bob, "/shelves/x", true),
        (
            "principal in Group::\"main/all\"",
            &user("eve", &["other"]),
            "/shelves/x",
            false,
        ),
        (
            "principal has level && principal.level == 3",
            &alice,
            "/shelves/x",
            true,
        ),
        (
            "principal has level && principal.level == 3",
            &bob,
            "/shelves/x",
            false,
        ),
        (
            "resource has level && resource.level == 3",
            &bob,
            "/shelves/a",
            true,
        ),
        (
            "resource has since && resource.since < datetime(\"2020-01-02\")",
            &bob,
            "/shelves/a",
            true,
        ),
        ("resource has level", &bob, "/shelves/x", false),
        (
            "resource has owner && resource.owner == principal",
            &alice,
            "/shelves/a",
            true,
        ),
        (
            "resource has owner && resource.owner in Group::\"main/unit\"",
            &bob,
            "/shelves/a",
            true,
        ),
        (
            "resource has owner && resource.owner has level && resource.owner.level > 2",
            &bob,
            "/shelves/a",
            true,
        ),
        (
            "resource has owner && resource.owner has level && resource.owner.level > 2",
            &alice,
            "/shelves/a",
            true,
        ),
        (
            "resource has team && resource.team.org.open",
            &bob,
            "/shelves/a",
            true,
        ),
        ("Org::\"o\".open", &bob, "/shelves/x", true),
        ("resource in Org::\"o\"", &bob, "/shelves/a", true),
        (
            "resource.hasTag(\"colour\") && resource.getTag(\"colour\") == \"red\"",
            &bob,
            "/shelves/a",
            true,
        ),
        // The route's own attribute counts.
        ("resource.name == \"b\"", &bob, "/shelves/b", true),
    ] {
        let policy = format!("permit(principal is User, action, resource is Shelf) when {{ {condition} }};");
        let pipeline = pipeline(&policy, json!([]), entities.clone(), shelves(json!({})));
        let got = ask(&pipeline, who, "GET", path, b"").is_some();
        assert_eq!(got, expected, "{condition} {} {path}", who.id);
    }
}

#[test]
fn attributes_of_routes_have_types() {
    let attributes = json!({"level": 3, "open": true, "words": ["a", "{shelf}"], "team": {"entity": {"type": "Team", "id": "{shelf}"}}});
    let entities = json!([{"uid": "Team::\"x\"", "attrs": {"org": {"type": "Org", "id": "o"}}}]);
    for condition in [
        "resource.level == 3",
        "resource.open",
        "resource.words == [\"a\", \"x\"]",
        "resource.team == Team::\"x\"",
        "resource.team.org == Org::\"o\"",
    ] {
        let guards = "resource has level && resource has open && resource has words && resource has team";
        let policy =
            format!("permit(principal, action, resource is Shelf) when {{ {guards} && {condition} }};");
        let pipeline = pipeline(&policy, json!([]), entities.clone(), shelves(attributes.clone()));
        assert!(
            ask(&pipeline, &user("a", &[]), "GET", "/shelves/x", b"").is_some(),
            "{condition}"
        );
    }
}

#[test]
fn a_route_shows_its_own_parts_only() {
    let routes = json!([
        {"path": "/named", "methods": ["POST"], "action": "name", "resource": {"type": "Page"}, "expose": {"body": ["name"]}},
        {"path": "/titled", "methods": ["POST"], "action": "title", "resource": {"type": "Page"}, "expose": {"body": ["title"], "query": ["name"]}},
        {"path": "/plain", "methods": ["POST", "GET"], "resource": {"type": "Page"}},
    ]);
    let policies = r#"@id("all") permit(principal, action, resource);
        forbid(principal, action == Action::"name", resource) when { context.body has name && context.body.name == "x" };
        forbid(principal, action == Action::"title", resource) when { context.query has name && context.query.name == "y" };"#;
    let pipeline = pipeline(policies, json!([]), json!([]), routes);
    for (method, path, body, expected) in [
        ("POST", "/named", &br#"{"name": "x"}"#[..], false),
        ("POST", "/named", br#"{"name": "z"}"#, true),
        // What cannot be read in one way only is a denial, where it is shown.
        ("POST", "/named", b"name=x", false),
        ("POST", "/titled", b"name=x", false),
        ("POST", "/titled", br#"{"name": "x"}"#, true),
        ("POST", "/titled?name=y", br#"{"title": "x"}"#, false),
        ("POST", "/plain", b"name=x", true),
        ("POST", "/plain?name=y", b"", true),
        ("GET", "/plain", b"name=x", true),
    ] {
        let got = ask(&pipeline, &user("a", &[]), method, path, body).is_some();
        assert_eq!(got, expected, "{method} {path} {}", String::from_utf8_lossy(body));
    }
}

#[test]
fn a_public_route_is_open_but_for_forbids() {
    let routes = json!([
        {"path": "/open/{rest..}", "methods": ["GET"], "resource": {"type": "Page", "id": "{rest}"}, "public": true},
        {"path": "/closed/{rest..}", "methods": ["GET"], "resource": {"type": "Page", "id": "{rest}"}},
    ]);
    let policies = r#"@id("no") forbid(principal, action, resource == Page::"secret");
        @id("alice") permit(principal == User::"main/alice", action, resource);"#;
    let pipeline = pipeline(policies, json!([]), json!([]), routes);
    let nobody = Principal::anonymous();
    for (who, path, expected) in [
        (&nobody, "/open/a", Some("portcullis.public")),
        (&user("bob", &[]), "/open/a", Some("portcullis.public")),
        (&user("alice", &[]), "/open/a", Some("alice portcullis.public")),
        (&nobody, "/open/secret", None),
        (&user("alice", &[]), "/open/secret", None),
        (&nobody, "/closed/a", None),
        (&user("alice", &[]), "/closed/a", Some("alice")),
    ] {
        let got = ask(&pipeline, who, "GET", path, b"").map(|(policies, _)| policies.join(" "));
        assert_eq!(got.as_deref(), expected, "{} {path}", who.id);
    }
}

#[test]
fn every_satisfied_permit_sets_its_headers_and_nobody_else_does() {
    let policies = r#"@id("gold") @set_header("x-tier: gold\nx-zone: eu; strict") permit(principal in Group::"main/gold", action, resource);
        @id("gold-too") @set_header("x-tier: gold") permit(principal in Group::"main/vip", action, resource);
        @id("all") permit(principal, action, resource);"#;
    let pipeline = pipeline(policies, json!([]), json!([]), shelves(json!({})));
    for (groups, expected) in [
        (&["gold"][..], &["x-tier: gold", "x-zone: eu; strict"][..]),
        (&["vip"], &["x-tier: gold"]),
        (&["gold", "vip"], &["x-tier: gold", "x-zone: eu; strict"]),
        (&[], &[]),
    ] {
        let (_, decision) = ask(&pipeline, &user("a", groups), "GET", "/shelves/a", b"").unwrap();
        let Verdict::Allow(permit) = decision.verdict() else {
            panic!("denied")
        };
        let set: Vec<String> = permit
            .edits()
            .set()
            .iter()
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        assert_eq!(set, expected, "{groups:?}");
        let removed: Vec<&str> = permit.edits().remove().collect();
        for name in ["x-tier", "x-zone", "x_tier", "x_zone"] {
            let is_set = set.iter().any(|header| header.starts_with(&format!("{name}:")));
            assert_eq!(removed.contains(&name), !is_set, "{groups:?} {name}");
        }
    }
}

#[test]
fn headers_that_could_contradict_each_other_do_not_load() {
    let permit = |value: &str, scope: &str| format!("@set_header(\"x-a: {value}\") permit({scope});\n");
    for (one, other, clash) in [
        ("principal, action, resource", "principal, action, resource", true),
        (
            "principal, action == Action::\"GET\", resource",
            "principal, action == Action::\"POST\", resource",
            false,
        ),
        (
            "principal is User, action, resource",
            "principal is Robot, action, resource",
            false,
        ),
        // Who acts for a user is asked about in the same request.
        (
            "principal is User, action, resource",
            "principal is Actor, action, resource",
            true,
        ),
        (
            "principal, action, resource == Shelf::\"a\"",
            "principal, action, resource == Shelf::\"b\"",
            false,
        ),
        (
            "principal == User::\"main/a\", action, resource",
            "principal == User::\"main/b\", action, resource",
            false,
        ),
        (
            "principal == Actor::\"main/a\", action, resource",
            "principal == Actor::\"main/b\", action, resource",
            true,
        ),
        (
            "principal in Group::\"main/a\", action, resource",
            "principal in Group::\"main/b\", action, resource",
            true,
        ),
    ] {
        let both = permit("1", one) + &permit("2", other);
        let got = rules(&both, json!([]), json!([]), shelves(json!({})));
        assert_eq!(got.is_err(), clash, "{one} / {other}: {:?}", got.err());
        let same = permit("1", one) + &permit("1", other);
        assert!(
            rules(&same, json!([]), json!([]), shelves(json!({}))).is_ok(),
            "{one} / {other}"
        );
    }
}

#[test]
fn a_forbid_must_see_what_it_forbids_on_every_route_that_it_is_about() {
    let named = json!({"path": "/named", "methods": ["POST"], "action": "name", "resource": {"type": "Page"},
                       "expose": {"body": ["name"], "headers": ["x-danger"]}});
    let routes = json!([
        named,
        {"path": "/plain", "methods": ["GET"], "resource": {"type": "Page"}},
        {"path": "/shelf", "methods": ["GET"], "resource": {"type": "Shelf", "attributes": {"name": "a"}},
         "expose": {"headers": ["x-danger", "x-b"]}},
    ]);
    for (policy, expected) in [
        (
            "forbid(principal, action, resource) when { context.headers has \"x-danger\" };",
            "`x-danger` /plain",
        ),
        (
            "forbid(principal, action, resource) unless { !(context.headers has \"x-danger\") };",
            "`x-danger` /plain",
        ),
        (
            "forbid(principal, action, resource) when { context has headers && {a: context.headers} == {a: context.headers} };",
            "`x-danger` /plain, `x-b` /named",
        ),
        (
            "forbid(principal, action, resource is Shelf) when { context.headers has \"x-danger\" };",
            "",
        ),
        (
            "forbid(principal, action == Action::\"GET\", resource) when { context.headers has \"x-danger\" };",
            "`x-danger` /plain",
        ),
        (
            "forbid(principal, action, resource == ?resource) when { context.headers has \"x-danger\" };",
            "`x-danger` /plain",
        ),
        (
            "forbid(principal, action == Action::\"name\", resource) when { context.body has name && context.body.name == \"x\" };",
            "",
        ),
        (
            "forbid(principal, action, resource) when { context.body has name && context.body.name == \"x\" };",
            "`name` /plain",
        ),
        (
            "forbid(principal, action, resource) when { context.host == \"x\" };",
            "",
        ),
        (
            "permit(principal, action, resource) when { context.headers has \"x-danger\" };",
            "",
        ),
    ] {
        let problems = rules(policy, json!([]), json!([]), routes.clone())
            .err()
            .unwrap_or_default();
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        let blind: Vec<&String> = problems
            .iter()
            .filter(|line| line.contains("does not show it"))
            .collect();
        let expected: Vec<&str> = expected.split(", ").filter(|part| !part.is_empty()).collect();
        assert_eq!(blind.len(), expected.len(), "{policy}: {problems:?}");
        for (line, words) in blind.iter().zip(expected) {
            assert!(
                words.split(' ').all(|word| line.contains(word)),
                "{policy}: {line}"
            );
        }
    }
}
