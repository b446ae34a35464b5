//! Explanations: they never disagree with the decision, and say what is missing.

use super::*;
use crate::explain::{Explanation, Kept};

/// Keeps what a server would keep.
#[derive(Clone, Default)]
struct KeptAll(Arc<Mutex<Vec<Kept>>>);

impl Recorder for KeptAll {
    fn offer(&self, record: &Record<'_, '_>) {
        self.0.lock().unwrap().push(Kept::of(record));
    }
}

/// Small numbers that look random and are always the same (an xorshift).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides as u64) as usize
    }

    fn pick<'t>(&mut self, from: &[&'t str]) -> &'t str {
        from[self.roll(from.len())]
    }
}

const PRINCIPALS: &[&str] = &[
    "principal",
    "principal is User",
    "principal is Robot",
    "principal is Actor",
    "principal == User::\"main/u1\"",
    "principal in Group::\"main/g1\"",
    "principal is User in Group::\"main/g2\"",
];
const ACTIONS: &[&str] = &[
    "action",
    "action == Action::\"GET\"",
    "action in Action::\"read\"",
    "action in [Action::\"GET\", Action::\"POST\"]",
];
const RESOURCES: &[&str] = &["resource", "resource is Page", "resource == Page::\"p1\""];
const CONDITIONS: &[&str] = &[
    "",
    "when { resource.name == \"p1\" || resource.name like \"*2\" }",
    "when { context.scopes.contains(\"a\") && !context.scopes.contains(\"b\") }",
    "when { resource.name == \"p1\" } unless { context.scopes.contains(\"b\") }",
    "when { (if resource.name == \"p1\" then 1 else 9223372036854775807) + 1 > 0 }",
    "when { if resource.name == \"p2\" then context.scopes.contains(\"a\") else context.scopes.containsAny([\"b\", \"c\"]) }",
    "unless { context has client_ip && context.client_ip.isInRange(ip(\"10.0.0.0/8\")) }",
];
const OF_USERS: &[&str] = &[
    "when { principal.hasTag(resource.name) && principal.getTag(resource.name).containsAny([\"r\", \"s\"]) }",
    "when { principal has name && principal.name == \"u2\" }",
    "when { principal in Group::\"main/g1\" || principal in Group::\"main/g2\" }",
];

fn policies(dice: &mut Dice) -> String {
    (0..1 + dice.roll(6)).fold(String::new(), |mut text, index| {
        let effect = dice.pick(&["permit", "permit", "permit", "forbid"]);
        let principal = dice.pick(PRINCIPALS);
        let users = principal.contains("User") && dice.roll(2) == 0;
        let condition = dice.pick(if users { OF_USERS } else { CONDITIONS });
        let (action, resource) = (dice.pick(ACTIONS), dice.pick(RESOURCES));
        text.push_str(&format!(
            "@id(\"p{index}\") {effect}({principal}, {action}, {resource}) {condition};\n"
        ));
        text
    })
}

fn principal(dice: &mut Dice) -> Principal {
    let kind = [
        PrincipalKind::User,
        PrincipalKind::User,
        PrincipalKind::Robot,
        PrincipalKind::Client,
    ];
    let mut principal = match dice.roll(8) {
        0 => return Principal::anonymous(),
        _ => Principal::new(kind[dice.roll(4)], "main", dice.pick(&["u1", "u2"])),
    };
    principal.scopes = ["a", "b", "c"]
        .into_iter()
        .filter(|_| dice.roll(2) == 0)
        .map(str::to_owned)
        .collect();
    if matches!(principal.kind, PrincipalKind::User | PrincipalKind::Robot) {
        principal.groups = ["g1", "g2"]
            .into_iter()
            .filter(|_| dice.roll(2) == 0)
            .map(str::to_owned)
            .collect();
        let tags = ["p1", "p2"].into_iter().filter(|_| dice.roll(2) == 0);
        principal.roles = tags
            .map(|tag| {
                (
                    tag.to_owned(),
                    vec![["r", "x"][principal.scopes.len() % 2].to_owned()],
                )
            })
            .collect();
    }
    if principal.kind == PrincipalKind::User && dice.roll(3) == 0 {
        principal.actors = vec![model::Actor::new("main", "service")];
    }
    principal
}

impl Stage {
    /// What is decided, and how the same is explained.
    fn explained(&self, method: &str, page: &str, given: &Principal) -> (Decision, Explanation) {
        let target = format!("/pages/{page}");
        let (path, query) = RequestPath::parse_target(target.as_bytes(), Decoding::Raw).unwrap();
        let check = Check {
            listener: model::ListenerOptions::default(),
            contract: Contract::Direct,
            target: Target::Http(HttpRequest {
                method,
                scheme: "https",
                host: Host::parse("api.example.test").unwrap(),
                path,
                query,
                headers: Headers::default(),
                body: Body::Absent,
            }),
            peer: Peer::default(),
            context_extensions: Pairs::new(),
            metadata: &NoMetadata,
            timeout: None,
            traceparent: None,
        };
        let decision = self.pipeline.decide_as(&check, given, SystemTime::now());
        let (_, explanation) = self.runtime.block_on(self.pipeline.explain(&check, Some(given)));
        (decision, explanation)
    }
}

#[track_caller]
fn agrees(decision: &Decision, explanation: &Explanation, policies: &str) {
    let expected = if decision.is_allow() { "allow" } else { "deny" };
    let context = format!("{explanation:#?}\n{policies}");
    assert_eq!(explanation.verdict, expected, "{context}");
    assert_eq!(explanation.reason, decision.reason().as_str(), "{context}");
    let questions = &explanation.questions;
    assert_eq!(questions.last().unwrap().verdict, expected, "{context}");
    let mut determined: Vec<&str> = match decision.is_allow() {
        true => questions
            .iter()
            .flat_map(|q| q.determined_by.iter().map(String::as_str))
            .collect(),
        false => questions
            .last()
            .unwrap()
            .determined_by
            .iter()
            .map(String::as_str)
            .collect(),
    };
    determined.sort_unstable();
    determined.dedup();
    let mut policies: Vec<&str> = decision.policies().iter().map(|policy| &**policy).collect();
    policies.sort_unstable();
    assert_eq!(determined, policies, "{context}");
    if decision.reason() == Reason::NoPermit {
        for policy in &questions.last().unwrap().policies {
            let permit = policy.effect == "permit";
            assert_eq!(
                permit,
                !policy.unmet.is_empty(),
                "a permit lacks something: {context}"
            );
        }
    }
}

#[test]
fn an_explanation_never_disagrees_with_the_decision() {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let mut seen: std::collections::BTreeMap<&str, usize> = std::collections::BTreeMap::new();
    for _ in 0..30 {
        let text = policies(&mut dice);
        // A forbid that can never apply does not load.
        let Some(mut stage) = may_load(&text) else {
            continue;
        };
        let kept = KeptAll::default();
        stage.pipeline.recorder = Box::new(kept.clone());
        for _ in 0..16 {
            let given = principal(&mut dice);
            let (method, page) = (dice.pick(&["GET", "POST"]), dice.pick(&["p1", "p2", "p3"]));
            let (decision, explanation) = stage.explained(method, page, &given);
            agrees(&decision, &explanation, &text);
            *seen.entry(decision.reason().as_str()).or_default() += 1;
            let kept = std::mem::take(&mut *kept.0.lock().unwrap());
            let remembered = stage.pipeline.explain_kept(&kept[0]);
            agrees(&decision, &remembered, &text);
            assert_eq!(remembered.decision_id, decision.id().to_string());
            assert!(remembered.recorded.unwrap().same_rules);
        }
    }
    for reason in [
        "permitted",
        "no_permit",
        "forbidden",
        "policy_error",
        "credential_missing",
    ] {
        assert!(seen.get(reason).is_some_and(|count| *count > 5), "{seen:?}");
    }
}

fn may_load(policies: &str) -> Option<Stage> {
    std::panic::catch_unwind(|| stage(policies, Settings::default())).ok()
}

#[test]
fn what_is_missing_is_said() {
    let mut alice = Principal::new(PrincipalKind::User, "main", "alice");
    alice.roles = vec![("mine".to_owned(), vec!["reader".to_owned()])];
    alice.scopes = vec!["s1".to_owned()];
    alice.groups = vec!["staff".to_owned()];
    let permit =
        |condition: &str| format!("@id(\"x\") permit(principal is User, action, resource) {condition};");
    for (policy, page, expected) in [
        (
            permit(
                "when { principal.hasTag(resource.name) && principal.getTag(resource.name).contains(\"reader\") }",
            ),
            "yours",
            "principal had the role \"reader\" at \"yours\"  — principal has no tag \"yours\"; it has: mine",
        ),
        (
            permit(
                "when { principal.hasTag(resource.name) && principal.getTag(resource.name).containsAny([\"a\", \"b\"]) }",
            ),
            "mine",
            "principal had the role \"a\" or \"b\" at \"mine\"  — principal.getTag(resource.name) is [\"reader\"]",
        ),
        (
            permit("when { context.scopes.contains(\"s2\") }"),
            "x",
            "the token had the scope \"s2\"  — context.scopes is [\"s1\"]",
        ),
        (
            permit("when { principal in Group::\"main/admins\" }"),
            "x",
            "principal were in Group::\"main/admins\"  — principal is User::\"main/alice\", which is in \
             Group::\"main/staff\"",
        ),
        (
            permit("when { resource.name like \"a*\" }"),
            "x",
            "resource.name like \"a*\"  — resource.name is \"x\"",
        ),
        (
            permit("when { resource.name == principal.subject }"),
            "x",
            "resource.name == \"alice\"  — resource.name is \"x\", principal.subject is \"alice\"",
        ),
        (
            permit("when { principal has name && principal.name == \"Alice\" }"),
            "x",
            "principal.name == \"Alice\"  — principal has no \"name\"; it has: issuer, subject",
        ),
        (
            permit("when { resource.name == \"a\" || context.scopes.contains(\"s2\") }"),
            "x",
            "resource.name == \"a\", or the token had the scope \"s2\"  — resource.name is \"x\"; context.scopes is [\"s1\"]",
        ),
        (
            permit("unless { context.scopes.contains(\"s1\") }"),
            "x",
            "the token had not the scope \"s1\"  — context.scopes is [\"s1\"]",
        ),
        (
            permit("when { context.scopes.contains(\"s1\") && !(resource.name == \"x\") }"),
            "x",
            "!(resource.name == \"x\")  — resource.name is \"x\"",
        ),
        (
            "@id(\"x\") permit(principal is Robot, action, resource);".to_owned(),
            "x",
            "principal were of type Robot  — principal is User::\"main/alice\"",
        ),
        (
            "@id(\"x\") permit(principal, action == Action::\"POST\", resource);".to_owned(),
            "x",
            "the action were POST  — action is Action::\"GET\", which is in Action::\"read\"",
        ),
    ] {
        let stage = stage(&policy, Settings::default());
        let (decision, explanation) = stage.explained("GET", page, &alice);
        agrees(&decision, &explanation, &policy);
        let hint = explanation.hints.first().map(String::as_str).unwrap_or_default();
        let expected = format!("would have been allowed if {expected}  (x, test.cedar:1:1)");
        assert_eq!(hint, expected, "{policy}\n{explanation:#?}");
    }
}

/// What is kept of one question that is asked of `stage`.
fn kept_of(stage: &mut Stage, method: &str, target: &str, headers: &[(&str, &str)]) -> Kept {
    let all = KeptAll::default();
    stage.pipeline.recorder = Box::new(all.clone());
    stage.ask(method, target, headers);
    let kept = all.0.lock().unwrap().pop();
    kept.unwrap()
}

fn exposing(expose: serde_json::Value) -> Settings {
    serde_json::from_value(serde_json::json!({ "expose": expose })).unwrap()
}

#[test]
fn what_was_denied_is_asked_again_as_it_was() {
    let permit = "@id(\"x\") permit(principal, action, resource) when { resource.name == \"y\" };";
    let settings = exposing(serde_json::json!({"query": ["page"], "headers": ["x-tier"]}));
    let mut stage = stage(permit, settings);
    for (method, target, reason, path, query, missing) in [
        (
            "GET",
            "/pages/x%20y",
            "credential_missing",
            "/pages/x%20y",
            &[][..],
            "",
        ),
        (
            "GET",
            "/pages/%C3%A9?page=1",
            "credential_missing",
            "/pages/%C3%A9",
            &[("page", Some("1"))],
            "",
        ),
        (
            "GET",
            "/pages/a?secret&key=secret",
            "credential_missing",
            "/pages/a",
            &[("key", None)],
            "",
        ),
        (
            "GET",
            "/pages/a?page=1;secret=2",
            "credential_missing",
            "/pages/a",
            &[],
            "the query: it has a `;`",
        ),
        ("GET", "/else%20where", "no_route", "/else%20where", &[], ""),
        ("PUT", "/pages/a", "no_method", "/pages/a", &[], ""),
    ] {
        let kept = kept_of(
            &mut stage,
            method,
            target,
            &[("x-tier", "gold"), ("cookie", "secret")],
        );
        assert!(!format!("{kept:?}").contains("\"secret"), "{kept:?}");
        let explanation = stage.pipeline.explain_kept(&kept);
        let request = explanation.request.as_ref().unwrap();
        let shown: Vec<(&str, Option<&str>)> = request
            .query
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_deref()))
            .collect();
        assert_eq!(
            (explanation.reason.as_str(), request.path.as_str()),
            (reason, path),
            "{explanation:#?}"
        );
        assert_eq!(shown, query, "{target}");
        assert_eq!(request.headers, [("x-tier".to_owned(), "gold".to_owned())]);
        assert!(!explanation.steps.is_empty(), "{target} was asked again");
        let recorded = explanation.recorded.unwrap();
        assert!(recorded.missing.concat().starts_with(missing), "{recorded:?}");
        assert_eq!(recorded.missing.is_empty(), missing.is_empty(), "{recorded:?}");
    }
}

#[test]
fn what_is_kept_of_one_request_is_bounded_and_counted() {
    let mut stage = stage("", exposing(serde_json::json!({"query": ["q"]})));
    // As many pairs as a query can have: they cost what the query has bytes, and no more.
    let query = format!("/pages/a?{}{}", "&".repeat(6_000), "q&".repeat(5_000));
    let kept = kept_of(&mut stage, "GET", &query, &[]);
    assert!((10_000..20_000).contains(&kept.bytes()), "{}", kept.bytes());
    let explanation = stage.pipeline.explain_kept(&kept);
    assert_eq!(explanation.request.unwrap().query.len(), 5_000);
    // Names of headers are kept, each at its price, until they are too many.
    for (headers, is_kept) in [(100, true), (4_000, false)] {
        let kept = kept_of(&mut stage, "GET", "/pages/a", &vec![("x", "y"); headers]);
        let explanation = stage.pipeline.explain_kept(&kept);
        assert_eq!(explanation.request.is_some(), is_kept, "{headers}");
        let most = if is_kept { headers * 200 } else { 2_000 };
        assert!(kept.bytes() < most + 4_000, "{headers}: {}", kept.bytes());
        assert_eq!(explanation.recorded.unwrap().missing.is_empty(), is_kept);
    }
}

#[test]
fn bodies_are_read_again_only_where_policies_were_asked() {
    let mut stage = stage("", exposing(serde_json::json!({"body": ["kind"]})));
    let all = KeptAll::default();
    stage.pipeline.recorder = Box::new(all.clone());
    for (target, missing) in [
        ("/pages/a", &[][..]),
        ("/nowhere", &["the body: policies were not asked"]),
    ] {
        let (path, query) = RequestPath::parse_target(target.as_bytes(), Decoding::Raw).unwrap();
        let body = br#"{"kind": "a", "password": "topsecret"}"#;
        stage.decide(
            Peer::default(),
            Target::Http(HttpRequest {
                method: "POST",
                scheme: "https",
                host: Host::parse("api.example.test").unwrap(),
                path,
                query,
                headers: Headers::default(),
                body: Body::Whole(body),
            }),
        );
        let kept = all.0.lock().unwrap().pop().unwrap();
        let explanation = stage.pipeline.explain_kept(&kept);
        assert_eq!(explanation.request.unwrap().body_bytes, Some(body.len()));
        assert_eq!(explanation.recorded.unwrap().missing, missing, "{target}");
    }
}

#[test]
fn what_is_only_audited_says_what_it_would_have_been() {
    let settings = serde_json::from_value(serde_json::json!({"mode": "audit"})).unwrap();
    let mut stage = stage("@id(\"no\") forbid(principal, action, resource);", settings);
    let kept = kept_of(&mut stage, "GET", "/pages/a", &[]);
    let explanation = stage.pipeline.explain_kept(&kept);
    let recorded = explanation.recorded.unwrap();
    for (verdict, reason, why) in [
        (&explanation.verdict, &explanation.reason, &explanation.why),
        (&recorded.verdict, &recorded.reason, &recorded.why),
    ] {
        assert_eq!((verdict.as_str(), reason.as_str()), ("allow", "audited"));
        assert!(
            why.starts_with("only audited, would have been denied: forbidden by no"),
            "{why}"
        );
    }
    assert_eq!(recorded.policies, ["no"]);
}
