//! The engine against Cedar's `Authorizer`: the same answer to every question.

mod random;

use std::collections::BTreeSet;

use cedar_policy::{
    AuthorizationError, Authorizer, Context, Decision, Entities, Entity, EntityUid, PolicyId, PolicySet,
    Request, Response, Template,
};

use super::{Answer, Depth, Engine, Filled, Link, Links, LookedAt, Place, Question, Resource, Whole};
use random::{Random, World};

/// Questions in a run.
const CASES: usize = 100_000;
/// Questions to one set of policies.
const QUESTIONS: usize = 500;

/// Decision, the policies that determine it, and those that failed, with the messages.
type Essence = (Decision, BTreeSet<String>, BTreeSet<(String, String)>);

/// A question in the forms that both sides take.
pub(super) struct Case {
    principal: Entity,
    action: EntityUid,
    resource: Entity,
    others: Vec<Entity>,
    context: Context,
}

impl Case {
    fn ask(&self, engine: &Engine, place: &Place, depth: Depth) -> Result<Answer, String> {
        let others: Vec<Whole> = self.others.iter().cloned().map(Whole::from).collect();
        let others: Vec<&Whole> = others.iter().collect();
        let question = Question {
            principal: &self.principal.clone().into(),
            place,
            action: &self.action,
            resource: &Resource::known(&self.resource.clone().into(), []),
            others: &others,
            context: &|looked_at| Ok(self.looked_at(looked_at)),
        };
        engine.answer(&question, depth)
    }

    /// The members of the context that are looked at, and no others.
    fn looked_at(&self, looked_at: LookedAt<'_>) -> Context {
        let members = self.context.clone().into_iter();
        Context::from_pairs(members.filter(|(name, _)| looked_at(name))).unwrap()
    }

    /// What Cedar says, over all policies and all entities; `None` if the entities contradict each other.
    fn plainly(&self, world: &World, engine: &Engine) -> Option<Essence> {
        let given = [&self.principal, &self.resource].into_iter().chain(&self.others);
        let entities = given.chain(world.actions.iter());
        let entities = Entities::from_entities(entities.cloned(), None).ok()?;
        let request = Request::new(
            self.principal.uid(),
            self.action.clone(),
            self.resource.uid(),
            self.context.clone(),
            None,
        );
        let request = request.unwrap();
        let whole = told(&Authorizer::new().is_authorized(&request, &world.set, &entities));
        let in_parts = told(&engine.book().ask(&request, &entities).unwrap());
        assert_eq!(whole, in_parts, "{}", world.text);
        Some(whole)
    }
}

fn told(response: &Response) -> Essence {
    let diagnostics = response.diagnostics();
    let errors = diagnostics.errors().map(|error| {
        let AuthorizationError::PolicyEvaluationError(error) = error;
        (error.policy_id().to_string(), error.inner().to_string())
    });
    (
        response.decision(),
        diagnostics.reason().map(ToString::to_string).collect(),
        errors.collect(),
    )
}

fn essence(engine: &Engine, answer: &Answer) -> Essence {
    let name = |ordinal: &u32| engine.name(*ordinal).unwrap().to_string();
    let errors = answer.errors.iter();
    (
        answer.decision(),
        answer.reasons().iter().map(name).collect(),
        errors
            .map(|(ordinal, message)| (name(ordinal), message.clone()))
            .collect(),
    )
}

/// What questions turned out to be, so that a run that tests nothing is noticed.
#[derive(Debug, Default)]
struct Tally {
    cases: usize,
    allowed: usize,
    forbidden: usize,
    failed: usize,
    contradictory: usize,
    candidates: usize,
    /// Answers that named fewer permits, because those were enough.
    shortened: usize,
}

impl Tally {
    /// Asks both sides.
    fn compare(&mut self, world: &World, engine: &Engine, case: &Case, place: &Place, seed: u64) {
        let plain = case.plainly(world, engine);
        let ours = case.ask(engine, place, Depth::All);
        let enough = case.ask(engine, place, Depth::Enough);
        self.cases += 1;
        let told = || {
            format!(
                "seed {seed}\n{}\nprincipal {}\naction {}\nresource {}\ncontext {:?}\nothers {:?}",
                world.text, case.principal, case.action, case.resource, case.context, case.others
            )
        };
        let (plain, ours) = match (plain, ours) {
            (Some(plain), Ok(ours)) => (plain, ours),
            (None, Err(_)) => {
                assert!(enough.is_err(), "{}", told());
                self.contradictory += 1;
                return;
            }
            (plain, ours) => panic!("Cedar: {plain:?}\nengine: {ours:?}\n{}", told()),
        };
        self.allowed += usize::from(ours.decision() == Decision::Allow);
        self.forbidden += usize::from(!ours.forbids.is_empty());
        self.failed += usize::from(!ours.errors.is_empty());
        self.candidates += ours.permits.len() + ours.forbids.len();
        self.compare_depths(
            engine,
            &ours,
            &enough.unwrap_or_else(|error| panic!("{error}\n{}", told())),
            told,
        );
        let ours = essence(engine, &ours);
        assert!(ours == plain, "Cedar: {plain:?}\nengine: {ours:?}\n{}", told());
    }
}

impl Tally {
    /// With less looked at: the whole of a no; of a yes some of the permits, among them all that are always told, and no
    /// error that is not one.
    fn compare_depths(&mut self, engine: &Engine, all: &Answer, enough: &Answer, told: impl Fn() -> String) {
        let failed_forbid = |answer: &Answer| {
            answer
                .errors
                .iter()
                .any(|(ordinal, _)| is_forbid(engine, *ordinal))
        };
        if all.decision() == Decision::Deny || failed_forbid(all) {
            assert!(all == enough, "{all:?}\n{enough:?}\n{}", told());
            return;
        }
        let always = |ordinal: &&u32| is_always_told(**ordinal);
        assert!(
            enough.decision() == Decision::Allow
                && enough.permits.iter().all(|permit| all.permits.contains(permit))
                && enough.errors.iter().all(|error| all.errors.contains(error))
                && enough
                    .permits
                    .iter()
                    .filter(always)
                    .eq(all.permits.iter().filter(always)),
            "{all:?}\n{enough:?}\n{}",
            told()
        );
        self.shortened += usize::from(enough != all);
    }
}

fn is_forbid(engine: &Engine, ordinal: u32) -> bool {
    engine.policy(ordinal).unwrap().effect == super::ast::Effect::Forbid
}

/// Every fifth policy, in these tests.
fn is_always_told(ordinal: u32) -> bool {
    ordinal.is_multiple_of(5)
}

fn engine(world: &World) -> Engine {
    let mut engine = Engine::new(world.written.clone(), world.links(), &world.actions).unwrap();
    engine.always_tell((0..).map(is_always_told));
    engine
}

#[test]
#[expect(clippy::print_stdout, reason = "how much was compared")]
fn the_engine_answers_as_cedar_does() {
    let mut tally = Tally::default();
    for seed in 0.. {
        if tally.cases >= CASES {
            break;
        }
        let mut random = Random::new(seed);
        let world = World::new(&mut random);
        let engine = engine(&world);
        let principals: Vec<(Entity, Place)> = (0..8)
            .map(|_| (world.principal(&mut random), Place::default()))
            .collect();
        for _ in 0..QUESTIONS {
            // As of a token, the same place serves many questions.
            let (principal, place) = random.of(&principals);
            let case = world.case(&mut random, principal.clone());
            tally.compare(&world, &engine, &case, place, seed);
        }
    }
    println!("the engine answers as Cedar does: {tally:?}");
    assert!(tally.cases >= CASES, "{tally:?}");
    for enough in [tally.allowed, tally.forbidden, tally.failed, tally.shortened] {
        assert!(enough > CASES / 50, "{tally:?}");
    }
    assert!(tally.contradictory < CASES / 10, "{tally:?}");
}

#[test]
fn a_place_is_worked_out_anew_for_another_engine() {
    let mut random = Random::new(7);
    let place = Place::default();
    let (first, second) = (World::new(&mut random), World::new(&mut random));
    let principal = first.principal(&mut random);
    let mut tally = Tally::default();
    let engines = [&first, &second].map(engine);
    for turn in 0..100 {
        for (world, engine) in [&first, &second].into_iter().zip(&engines) {
            let case = world.case(&mut random, principal.clone());
            tally.compare(world, engine, &case, &place, turn);
        }
    }
    assert_eq!(tally.cases, 200);
}

#[test]
fn a_link_that_does_not_fit_its_template_is_refused() {
    let policies = "permit (principal in ?principal, action, resource);";
    let template = Template::parse(Some(PolicyId::new("one")), policies).unwrap();
    let mut written = PolicySet::new();
    written.add_template(template).unwrap();
    let filled = |kind: u32| Some(Filled { kind, id: "a".into() });
    for (template, principal, resource, fits) in [
        (0, filled(0), None, true),
        (0, None, None, false),
        (0, filled(0), filled(0), false),
        (0, None, filled(0), false),
        (0, filled(1), None, false),
        (1, filled(0), None, false),
        (2, filled(0), None, false),
    ] {
        let link = Link {
            name: "link".into(),
            template,
            principal,
            resource,
        };
        let links = Links {
            templates: vec![PolicyId::new("one"), PolicyId::new("another")],
            kinds: vec!["Group".parse().unwrap()],
            all: vec![link],
        };
        let told = format!("{links:?}");
        let engine = Engine::new(written.clone(), links, &Entities::empty());
        assert_eq!(engine.is_ok(), fits, "{told}");
    }
}
