//! What it costs to ask policies: by index, and by Cedar's `Authorizer`, with one policy and with many.
//!
//! `cargo bench -p tests --bench policies`. The principal is prepared, as that of a known token is. The resource is not.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use cedar_policy::{
    Context, Entities, Entity, EntityUid, PolicyId, PolicySet, Request, RestrictedExpression, Template,
};
use decide::policy::engine::{Depth, Engine, Filled, Given, Link, Links, Place, Question, Resource, Whole};
use divan::{AllocProfiler, Bencher};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

/// How many policies: as texts of their own, or as links of a template.
const COUNTS: [usize; 5] = [1, 10, 1_000, 10_000, 100_000];
/// The `Authorizer` is not asked to evaluate more than this.
const BEARABLE: [usize; 4] = [1, 10, 1_000, 10_000];

/// What decides a question.
#[derive(Clone, Copy)]
enum Decider {
    /// The scope of one grant.
    Scope,
    /// The same, and a forbid and a permit with conditions that look at principal, resource and context.
    Conditions,
}

const GENERAL: &str = r#"
    @id("general-forbid") forbid (principal, action, resource) when { context.suspended };
    @id("general-permit") permit (principal is User, action == Action::"GET", resource)
    when { resource has workspace && principal.hasTag(resource.workspace) };
"#;

fn uid(text: &str) -> EntityUid {
    text.parse().expect("a uid")
}

fn group(number: usize) -> EntityUid {
    uid(&format!("Group::\"main/{number}\""))
}

fn workspace(number: usize) -> EntityUid {
    uid(&format!("Workspace::\"ws-{number}\""))
}

/// One grant of a workspace to a group for each policy.
fn static_policies(count: usize) -> PolicySet {
    let mut text = String::new();
    for number in 0..count {
        let (group, workspace) = (group(number), workspace(number));
        let _ = writeln!(
            text,
            "permit (principal in {group}, action in Action::\"read\", resource in {workspace});"
        );
    }
    text.parse().expect("policies")
}

/// What is written, and what is linked of it.
type Policies = (PolicySet, Links);

fn linked_policies(count: usize) -> Policies {
    let mut set = PolicySet::new();
    let template = "permit (principal in ?principal, action in Action::\"read\", resource in ?resource);";
    let id = PolicyId::new("grant");
    let template = Template::parse(Some(id.clone()), template).expect("a template");
    set.add_template(template).expect("a new one");
    let filled = |kind: u32, uid: EntityUid| {
        let id = uid.id().unescaped().into();
        Some(Filled { kind, id })
    };
    let link = |number: usize| Link {
        name: format!("grant-{number}").into(),
        template: 0,
        principal: filled(0, group(number)),
        resource: filled(1, workspace(number)),
    };
    let links = Links {
        templates: vec![id],
        kinds: vec![group(0).type_name().clone(), workspace(0).type_name().clone()],
        all: (0..count).map(link).collect(),
    };
    (set, links)
}

struct Bench {
    engine: Engine,
    principal: Whole,
    place: Place,
    resource: EntityUid,
    within: EntityUid,
    action: EntityUid,
    actions: Entities,
}

fn actions() -> Entities {
    let read = Entity::new(uid("Action::\"read\""), HashMap::new(), HashSet::new());
    let get = Entity::new(
        uid("Action::\"GET\""),
        HashMap::new(),
        HashSet::from([uid("Action::\"read\"")]),
    );
    Entities::from_entities([read.expect("read"), get.expect("GET")], None).expect("actions")
}

impl Bench {
    fn new((mut set, links): Policies, decider: Decider) -> Self {
        if let Decider::Conditions = decider {
            let general: PolicySet = GENERAL.parse().expect("policies");
            for policy in general.policies() {
                let id = policy.annotation("id").expect("an id");
                set.add(policy.new_id(PolicyId::new(id))).expect("a new id");
            }
        }
        let groups: HashSet<EntityUid> = [group(0), group(1_000_001), group(1_000_002)].into();
        let text = |text: &str| RestrictedExpression::new_string(text.to_owned());
        let principal = Entity::new_with_tags(
            uid("User::\"main/alice\""),
            [
                ("subject".to_owned(), text("alice")),
                ("issuer".to_owned(), text("main")),
            ],
            groups,
            [(
                "ws-0".to_owned(),
                RestrictedExpression::new_set([text("ws_access")]),
            )],
        );
        let actions = actions();
        let mut engine = Engine::new(set, links, &actions).expect("links that fit");
        engine.join().expect("links that Cedar takes");
        Self {
            engine,
            principal: principal.expect("a principal").into(),
            place: Place::default(),
            resource: uid("Path::\"ws-0/files/scene.tif\""),
            within: workspace(0),
            action: uid("Action::\"GET\""),
            actions,
        }
    }

    fn context() -> Context {
        let suspended = RestrictedExpression::new_bool(false);
        Context::from_pairs([("suspended".to_owned(), suspended)]).expect("a context")
    }

    /// As it is made for every request.
    fn resource(&self) -> Resource {
        let mut resource = Resource::new(self.resource.clone(), [self.within.clone()]);
        resource.add("workspace", Given::text("ws-0"));
        resource
    }

    fn ask(&self) -> bool {
        let question = Question {
            principal: &self.principal,
            place: &self.place,
            action: &self.action,
            resource: &self.resource(),
            others: &[],
            context: &|_| Ok(Self::context()),
        };
        let answer = self.engine.answer(&question, Depth::Enough);
        let answer = answer.expect("an answer");
        assert!(!answer.permits.is_empty() && answer.forbids.is_empty());
        true
    }

    /// The same from Cedar's public interface: the entities, the request and the decision.
    fn ask_authorizer(&self) -> bool {
        let parties = [self.principal.to_entity(), self.resource().to_entity()];
        let user = parties[0].uid();
        let entities = parties.into_iter().chain(self.actions.get(&self.action).cloned());
        let entities = Entities::from_entities(entities, None).expect("entities");
        let request = Request::new(
            user,
            self.action.clone(),
            self.resource.clone(),
            Self::context(),
            None,
        );
        let request = request.expect("a request");
        let response = self.engine.book().ask(&request, &entities).expect("an answer");
        assert_eq!(response.decision(), cedar_policy::Decision::Allow);
        true
    }
}

#[divan::bench(args = COUNTS)]
fn static_scope(bencher: Bencher<'_, '_>, count: usize) {
    let bench = Bench::new((static_policies(count), Links::default()), Decider::Scope);
    bencher.bench_local(|| bench.ask());
}

#[divan::bench(args = COUNTS)]
fn linked_scope(bencher: Bencher<'_, '_>, count: usize) {
    let bench = Bench::new(linked_policies(count), Decider::Scope);
    bencher.bench_local(|| bench.ask());
}

#[divan::bench(args = COUNTS)]
fn static_conditions(bencher: Bencher<'_, '_>, count: usize) {
    let bench = Bench::new((static_policies(count), Links::default()), Decider::Conditions);
    bencher.bench_local(|| bench.ask());
}

#[divan::bench(args = COUNTS)]
fn linked_conditions(bencher: Bencher<'_, '_>, count: usize) {
    let bench = Bench::new(linked_policies(count), Decider::Conditions);
    bencher.bench_local(|| bench.ask());
}

#[divan::bench(args = BEARABLE, max_time = 3)]
fn static_authorizer(bencher: Bencher<'_, '_>, count: usize) {
    let bench = Bench::new((static_policies(count), Links::default()), Decider::Conditions);
    bencher.bench_local(|| bench.ask_authorizer());
}

#[divan::bench(args = BEARABLE, max_time = 3)]
fn linked_authorizer(bencher: Bencher<'_, '_>, count: usize) {
    let bench = Bench::new(linked_policies(count), Decider::Conditions);
    bencher.bench_local(|| bench.ask_authorizer());
}

/// Making the index of policies that are parsed already.
#[divan::bench(args = [1_000, 100_000], sample_count = 5)]
fn index_static(bencher: Bencher<'_, '_>, count: usize) {
    let (set, actions) = (static_policies(count), actions());
    bencher
        .with_inputs(|| set.clone())
        .bench_local_values(|set| Engine::new(set, Links::default(), &actions));
}

#[divan::bench(args = [1_000, 100_000], sample_count = 5)]
fn index_linked(bencher: Bencher<'_, '_>, count: usize) {
    let actions = actions();
    bencher
        .with_inputs(|| linked_policies(count))
        .bench_local_values(|(set, links)| Engine::new(set, links, &actions));
}
