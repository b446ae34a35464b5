//! What each policy says to a question, and what the nearest permits lack. Made for people, beside the decision: Cedar's
//! public interface evaluates every part by itself, so this is a second opinion and not a trace.

mod because;
mod expression;
mod scope;
mod wish;

use std::collections::BTreeMap;

use cedar_policy::{Effect, Entities, EntityUid, EvalResult, Request};
use serde_json::{Value, json};

use self::expression::{Scene, Truth, joined, text};
use self::scope::Misses;
use super::context::{Asker, Circumstances};
use super::entities::{PrincipalEntity, ResourceEntity};
use super::self_check::PlainQuestion;
use super::{Known, PUBLIC, Policies};
use crate::explain::{Condition, Entity, Part, Policy, Question, Unmet};
use crate::routes::Action;

/// Policies that are listed; more are counted.
const MOST_LISTED: usize = 200;
/// Permits beside the question whose conditions are looked at.
const MOST_TRIED: usize = 500;
/// And of those, how many are told.
const MOST_NEAR: usize = 10;
/// Conditions are split so deep; what is deeper is shown whole.
const MOST_DEEP: usize = 8;

impl Policies {
    /// Every question that belongs to a request, with all that the policies say to it; those that were not asked, because
    /// one before them ended in a denial, are left out.
    pub(crate) fn explain(
        &self,
        principal: &PrincipalEntity,
        action: &Action,
        resource: &ResourceEntity,
        circumstances: &Circumstances<'_, '_>,
    ) -> Vec<Question> {
        let askers = principal.actors().iter().map(Asker::Actor);
        let mut questions = Vec::new();
        for asker in [Asker::Subject].into_iter().chain(askers) {
            let question = self.explain_one(principal, asker, action, resource, circumstances);
            let over = question.verdict != "allow";
            questions.push(question);
            if over {
                break;
            }
        }
        questions
    }

    fn explain_one(
        &self,
        principal: &PrincipalEntity,
        asker: Asker<'_>,
        action: &Action,
        resource: &ResourceEntity,
        circumstances: &Circumstances<'_, '_>,
    ) -> Question {
        let (about, uid) = match asker {
            Asker::Subject => ("principal", principal.uid()),
            Asker::Actor(actor) => ("actor", &actor.uid),
        };
        let mut question = Question {
            about: about.to_owned(),
            principal: uid.to_string(),
            action: action.uid.to_string(),
            resource: resource.uid().to_string(),
            verdict: "error".to_owned(),
            ..Question::default()
        };
        match self.lay_open(principal, asker, action, resource, circumstances) {
            Ok((PlainQuestion { request, entities }, _)) => self.listen(&request, &entities, &mut question),
            Err(message) => question.error = Some(message),
        }
        if circumstances.public && question.error.is_none() {
            let nobody_says_no = question.determined_by.is_empty();
            if nobody_says_no || question.verdict == "allow" {
                question.verdict = "allow".to_owned();
                question.determined_by.push(PUBLIC.to_owned());
                question.determined_by.sort_unstable();
            }
        }
        question
    }

    /// Fills in what the policies say.
    fn listen(&self, request: &Request, entities: &Entities, question: &mut Question) {
        let scene = Scene { request, entities };
        question.entities = entities
            .iter()
            .map(|entity| entity_of(entity, entities))
            .collect();
        question.entities.sort_by_key(|entity| {
            let known = [&question.principal, &question.action, &question.resource];
            known
                .iter()
                .position(|uid| **uid == entity.uid)
                .unwrap_or(known.len())
        });
        if let Some(context) = request.context() {
            let names: Vec<String> = context.clone().into_iter().map(|(name, _)| name).collect();
            let member = |name: String| Some((name.clone(), json_of(&context.get(&name)?)));
            question.context = names.into_iter().filter_map(member).collect();
        }
        let mut near: Vec<Policy> = Vec::new();
        let mut tried = 0;
        let seen = self.engine.book().each_part(|set| {
            for policy in set.policies() {
                let missing = Misses::count(policy, request, entities);
                let known = self.of(policy.id().as_ref());
                if missing == 0 {
                    question.policies.push(told(policy, known, &scene, Vec::new()));
                } else if missing == 1 && policy.effect() == Effect::Permit && tried < MOST_TRIED {
                    tried += 1;
                    let misses = Misses::of(policy, &scene).0;
                    let misses = misses.into_iter().map(|miss| Unmet {
                        wish: miss.wish,
                        expression: miss.expression,
                        because: miss.because,
                    });
                    near.push(told(policy, known, &scene, misses.collect()));
                }
            }
        });
        if let Err(message) = seen {
            question.error = Some(message);
            return;
        }
        question
            .policies
            .sort_by(|a, b| (rank(a), order(a)).cmp(&(rank(b), order(b))));
        (question.verdict, question.determined_by) = verdict(&question.policies);
        near.sort_by(|a, b| (a.unmet.len(), order(a)).cmp(&(b.unmet.len(), order(b))));
        near.truncate(MOST_NEAR);
        question.near = near;
        question.policies.truncate(MOST_LISTED);
        question.others = self.known.len() - question.policies.len() - question.near.len();
    }

    /// True if one of these is the name of the action, or of a group that it is in.
    pub(crate) fn is_among(&self, action: &Action, names: &[String]) -> bool {
        let entity = self.actions.get(&action.uid).cloned();
        let all = Entities::from_entities(entity, None).unwrap_or_else(|_| Entities::empty());
        let named = |uid: &EntityUid| names.iter().any(|name| name == uid.id().unescaped());
        named(&action.uid)
            || all
                .ancestors(&action.uid)
                .is_some_and(|mut groups| groups.any(named))
    }

    /// The groups that an action is in.
    pub(crate) fn groups_of(&self, action: &Action) -> Vec<String> {
        let entity = self.actions.get(&action.uid).cloned();
        let all = Entities::from_entities(entity, None).unwrap_or_else(|_| Entities::empty());
        ancestors(&action.uid, &all)
    }
}

/// The verdict of the candidates, by the rules of Cedar and ours: a forbid that cannot be evaluated may have forbidden.
fn verdict(policies: &[Policy]) -> (String, Vec<String>) {
    let of = |effect: &str, result: &str| -> Vec<String> {
        let those = policies
            .iter()
            .filter(|p| p.effect == effect && p.result == result);
        let mut names: Vec<String> = those.map(|policy| policy.id.clone()).collect();
        names.sort_unstable();
        names
    };
    let forbids = of("forbid", "satisfied");
    let erred = of("forbid", "error");
    let permits = of("permit", "satisfied");
    match () {
        () if !forbids.is_empty() => ("deny".to_owned(), forbids),
        () if !erred.is_empty() => ("deny".to_owned(), erred),
        () if !permits.is_empty() => ("allow".to_owned(), permits),
        () => ("deny".to_owned(), Vec::new()),
    }
}

/// What decides first, then what nearly did.
fn rank(policy: &Policy) -> (u8, usize) {
    let first = match (policy.effect.as_str(), policy.result.as_str()) {
        ("forbid", "satisfied" | "error") => 0,
        ("permit", "satisfied") => 1,
        ("permit", _) => 2,
        _ => 3,
    };
    (first, policy.unmet.len())
}

/// As they are written: by file and line.
fn order(policy: &Policy) -> (&str, usize, &str) {
    let mut place = policy.place.as_deref().unwrap_or_default().rsplitn(3, ':');
    let line = place
        .nth(1)
        .and_then(|line| line.parse().ok())
        .unwrap_or_default();
    (place.next().unwrap_or_default(), line, &policy.id)
}

fn told(
    policy: &cedar_policy::Policy,
    known: Option<&Known>,
    scene: &Scene<'_>,
    misses: Vec<Unmet>,
) -> Policy {
    let permit = policy.effect() == Effect::Permit;
    let mut told = Policy {
        id: known.map_or_else(|| policy.id().to_string(), |known| known.name.to_string()),
        effect: if permit { "permit" } else { "forbid" }.to_owned(),
        place: known.and_then(|known| {
            known
                .place
                .as_ref()
                .map(|(file, line)| format!("{file}:{line}:1"))
        }),
        result: "satisfied".to_owned(),
        ..Policy::default()
    };
    let json = match policy.to_json() {
        Ok(json) => json,
        Err(error) => {
            told.result = "error".to_owned();
            told.message = Some(error.to_string());
            return told;
        }
    };
    let mut over = false;
    for condition in json
        .get("conditions")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let Some((kind, body)) = condition
            .get("kind")
            .and_then(Value::as_str)
            .zip(condition.get("body"))
        else {
            continue;
        };
        let wanted = kind == "when";
        let expression = part(body, scene, over, 0);
        let truth = scene.truth(body);
        match (&truth, wanted) {
            _ if over => {}
            (Truth::True, true) | (Truth::False, false) => {}
            (Truth::Error(message), _) => {
                over = true;
                told.result = "error".to_owned();
                told.message = Some(because::plain(message));
            }
            _ => {
                over = true;
                told.result = "not_satisfied".to_owned();
            }
        }
        if permit {
            told.unmet.extend(scene.unmet(body, wanted));
        }
        told.conditions.push(Condition {
            kind: kind.to_owned(),
            expression,
        });
    }
    if !misses.is_empty() {
        told.result = "scope".to_owned();
        let says: Vec<String> = misses
            .iter()
            .map(|miss| format!("it is for {}; {}", miss.expression, miss.because))
            .collect();
        told.message = Some(says.join("; "));
        told.unmet.splice(0..0, misses);
    }
    told
}

/// An expression split at its `&&` and `||`, as far as it was evaluated.
fn part(expression: &Value, scene: &Scene<'_>, over: bool, depth: usize) -> Part {
    let truth = scene.truth(expression);
    let mut told = Part {
        text: text(expression),
        value: if over { "not_reached" } else { truth.as_str() }.to_owned(),
        ..Part::default()
    };
    for (operator, decisive) in [("&&", Truth::False), ("||", Truth::True)] {
        if expression.get(operator).is_none() || depth >= MOST_DEEP {
            continue;
        }
        told.operator = Some(operator.to_owned());
        let mut over = over;
        for inner in joined(expression, operator) {
            told.parts.push(part(inner, scene, over, depth + 1));
            let truth = scene.truth(inner);
            over |= truth == decisive || matches!(truth, Truth::Error(_));
        }
    }
    if told.parts.is_empty() && !over {
        told.because = match &truth {
            Truth::Error(message) => Some(because::plain(message)),
            _ => scene.because(expression),
        };
    }
    told
}

fn entity_of(entity: &cedar_policy::Entity, entities: &Entities) -> Entity {
    let values = |values: &mut dyn Iterator<Item = (String, EvalResult)>| -> BTreeMap<String, Value> {
        values.map(|(name, value)| (name, json_of(&value))).collect()
    };
    let known = |(name, value): (&str, Result<EvalResult, _>)| Some((name.to_owned(), value.ok()?));
    Entity {
        uid: entity.uid().to_string(),
        attributes: values(
            &mut entity
                .attrs()
                .filter_map(|(name, value)| known((name, value.map_err(drop)))),
        ),
        tags: values(
            &mut entity
                .tags()
                .filter_map(|(name, value)| known((name, value.map_err(drop)))),
        ),
        ancestors: ancestors(&entity.uid(), entities),
    }
}

fn ancestors(uid: &EntityUid, entities: &Entities) -> Vec<String> {
    let found = entities.ancestors(uid).into_iter().flatten();
    let mut names: Vec<String> = found.map(ToString::to_string).collect();
    names.sort_unstable();
    names
}

/// A value as JSON: entities and values of extensions as Cedar writes them.
fn json_of(value: &EvalResult) -> Value {
    match value {
        EvalResult::Bool(yes) => json!(yes),
        EvalResult::Long(number) => json!(number),
        EvalResult::String(text) | EvalResult::ExtensionValue(text) => json!(text),
        EvalResult::EntityUid(uid) => json!(uid.to_string()),
        EvalResult::Set(set) => set.iter().map(json_of).collect(),
        EvalResult::Record(record) => record
            .iter()
            .map(|(name, value)| (name.clone(), json_of(value)))
            .collect(),
    }
}
