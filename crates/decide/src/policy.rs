//! The policies: loaded whole, validated strictly, asked once per request.

mod body;
mod context;
mod data;
pub mod engine;
mod entities;
mod entity_data;
mod explain;
mod load;
mod outline;
mod reason;
mod schema;
mod self_check;
mod uids;

pub use data::{Data, DataFile, DataValue};
pub use entities::{PrincipalEntity, ResourceEntity};
pub use entity_data::EntityData;
pub use load::{SourceFile, Sources};
pub use outline::{Outline, outline};
pub use schema::{ActionTable, GENERATED};
pub use self_check::{Backend, EngineSettings, SelfCheckStatus};
pub use uids::append_uid;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use cedar_policy::{Context, Effect, Entity, EntityUid, PolicyId, Schema};

use model::Actor;

use crate::routes::Action;
use context::{Asker, ContextUse};
use engine::{Answer, Depth, Engine, LookedAt, Question, Whole};
use self_check::{PlainQuestion, SelfCheck};

pub(crate) use body::members as body_members;
pub(crate) use context::{Circumstances, percent_decode, query_parameter};
pub(crate) use engine::Given;
pub(crate) use entities::uid;
pub(crate) use load::{Findings, load};
pub(crate) use reason::{filled, shortened};
pub(crate) use schema::{CORS_PREFLIGHT, TCP_CONNECT};

/// Bytes of stack that a thread needs that evaluates policies, with plenty to spare: expressions are evaluated by recursion,
/// and as deep ones as are allowed do not fit into the usual two megabytes.
pub const STACK: usize = 16 << 20;

/// How many characters of an error of Cedar's are kept.
const LONGEST_MESSAGE: usize = 300;

/// A validated set of policies.
#[derive(Debug)]
pub struct Policies {
    engine: Engine,
    /// By ordinal.
    known: Vec<Known>,
    context: ContextUse,
    /// The headers that some permit sets.
    headers: Vec<Arc<str>>,
    /// What files say of entities. Principals and resources have it already.
    entities: Arc<EntityData>,
    /// Each action with the groups it is in.
    actions: HashMap<EntityUid, Entity>,
    schema: Schema,
    schema_text: String,
    backend: Backend,
    self_check: SelfCheck,
}

/// What is kept of a policy besides Cedar's own form of it.
#[derive(Clone, Debug)]
struct Known {
    name: Arc<str>,
    effect: Effect,
    /// File and line; `None` for what is built in.
    place: Option<(Arc<str>, usize)>,
    /// `@status` and `@reason`, on forbids.
    answer: ForbidAnswer,
    /// `@set_header`, on permits.
    headers: Arc<[Header]>,
}

/// A header's name, in lower case, and its value.
pub(crate) type Header = (Arc<str>, Box<str>);

/// How a forbid answers the caller.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForbidAnswer {
    /// `@status("404")`.
    pub status: Option<u16>,
    /// `@reason("…")`, to be filled in for who asks (`filled`).
    pub reason: Option<Arc<str>>,
}

/// What the policies say to one question.
#[derive(Debug)]
pub enum Judgement {
    /// At least one permit matched and no forbid did.
    Permit(Vec<Arc<str>>),
    /// Nothing matched.
    NoPermit,
    /// These forbids matched.
    Forbid(Vec<Arc<str>>, ForbidAnswer),
    /// These forbids could not be evaluated: whether they match is not known. With Cedar's messages.
    Unknown(Vec<Arc<str>>, String),
}

/// What the policies say to all questions about a request.
#[derive(Debug)]
pub(crate) struct Judged<'p> {
    /// The verdict.
    pub judgement: Judgement,
    /// Whom a no is about, if not the principal itself.
    pub actor: Option<&'p Actor>,
    /// Policies that could not be evaluated, whether or not the verdict depends on them.
    pub errors: Vec<PolicyError>,
}

/// A policy that could not be evaluated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyError {
    /// Its name.
    pub policy: Arc<str>,
    /// The file it stands in, and the line it begins at.
    pub place: Option<(Arc<str>, usize)>,
    /// Cedar's message.
    pub message: String,
}

impl Policies {
    /// Asks: may `principal` do `action` to `resource` under these circumstances, and may everybody who acts for it? All
    /// must be permitted; the first who is not is named.
    pub(crate) fn judge<'p>(
        &self,
        principal: &'p PrincipalEntity,
        action: &Action,
        resource: &ResourceEntity,
        circumstances: &Circumstances<'_, '_>,
    ) -> Judged<'p> {
        let mut errors = Vec::new();
        let mut ask = |asker| {
            let judgement = self.ask(principal, asker, action, resource, circumstances, &mut errors);
            if circumstances.public {
                opened(judgement)
            } else {
                judgement
            }
        };
        let mut judgement = ask(Asker::Subject);
        let mut about = None;
        for actor in principal.actors() {
            let Judgement::Permit(mut permits) = judgement else {
                break;
            };
            judgement = ask(Asker::Actor(actor));
            if let Judgement::Permit(more) = &mut judgement {
                permits.append(more);
                permits.sort_unstable();
                permits.dedup();
                judgement = Judgement::Permit(permits);
            } else {
                about = Some(&actor.actor);
            }
        }
        Judged {
            judgement,
            actor: about,
            errors,
        }
    }

    fn ask(
        &self,
        principal: &PrincipalEntity,
        asker: Asker<'_>,
        action: &Action,
        resource: &ResourceEntity,
        circumstances: &Circumstances<'_, '_>,
        errors: &mut Vec<PolicyError>,
    ) -> Judgement {
        let context =
            |looked_at: LookedAt<'_>| self.context.build(principal, asker, circumstances, looked_at);
        self.with_question(principal, asker, action, resource, &context, |question| {
            let due = self.backend == Backend::Sliced && self.self_check.is_due();
            let depth = match due || circumstances.thorough {
                true => Depth::All,
                false => Depth::Enough,
            };
            let answer = match self.backend {
                Backend::Sliced => self.engine.answer(question, depth),
                Backend::Authorizer => self.ask_authorizer(question),
            };
            let answer = match answer {
                Ok(answer) => answer,
                Err(message) => return Judgement::Unknown(Vec::new(), message),
            };
            let judgement = self.judgement(&answer, errors);
            match due {
                true => self.check(question, &answer, judgement),
                false => judgement,
            }
        })
    }

    fn with_question<T>(
        &self,
        principal: &PrincipalEntity,
        asker: Asker<'_>,
        action: &Action,
        resource: &ResourceEntity,
        context: &dyn Fn(LookedAt<'_>) -> Result<Context, String>,
        then: impl FnOnce(&Question<'_>) -> T,
    ) -> T {
        // Of those who act, the context of the first question refers to the first.
        let (entity, place, actor) = match asker {
            Asker::Subject => (principal.entity(), principal.place(), principal.actors().first()),
            Asker::Actor(actor) => (&actor.entity, &actor.place, None),
        };
        let mut others = self.more_entities(principal, asker, resource);
        others.extend(actor.map(|actor| &actor.entity));
        then(&Question {
            principal: entity,
            place,
            action: &action.uid,
            resource: resource.resource(),
            others: &others,
            context,
        })
    }

    /// Cedar skips policies that fail; a forbid that failed may have forbidden, so it turns the answer into a denial.
    fn judgement(&self, answer: &Answer, errors: &mut Vec<PolicyError>) -> Judgement {
        let known = |ordinal: &u32| self.known.get(*ordinal as usize);
        let names = |ordinals: &[u32]| -> Vec<Arc<str>> {
            let policies = ordinals.iter().filter_map(known);
            policies.map(|policy| Arc::clone(&policy.name)).collect()
        };
        let mut failed = Vec::new();
        let mut messages = String::new();
        for (ordinal, message) in &answer.errors {
            let Some(policy) = known(ordinal) else {
                continue;
            };
            // It may quote what the client sent.
            let message: String = message.chars().take(LONGEST_MESSAGE).collect();
            if policy.effect == Effect::Forbid {
                failed.push(Arc::clone(&policy.name));
                let _ = write!(
                    messages,
                    "error while evaluating policy `{}`: {message}",
                    policy.name
                );
            }
            errors.push(PolicyError {
                policy: Arc::clone(&policy.name),
                place: policy.place.clone(),
                message,
            });
        }
        if !answer.forbids.is_empty() {
            let mut answers = answer
                .forbids
                .iter()
                .filter_map(known)
                .map(|policy| &policy.answer);
            let answered = answers.find(|answer| **answer != ForbidAnswer::default());
            Judgement::Forbid(names(&answer.forbids), answered.cloned().unwrap_or_default())
        } else if !failed.is_empty() {
            Judgement::Unknown(failed, messages)
        } else if !answer.permits.is_empty() {
            Judgement::Permit(names(&answer.permits))
        } else {
            Judgement::NoPermit
        }
    }

    /// True if some policy asks for capabilities.
    pub(crate) fn look_at_capabilities(&self) -> bool {
        self.context.mentions("capabilities") || self.context.mentions("capabilities_below")
    }

    /// True if some policy asks what Magpie says.
    pub(crate) fn look_at_magpie(&self) -> bool {
        self.context.mentions("magpie")
    }

    /// The headers that some permit sets.
    pub(crate) fn header_names(&self) -> &[Arc<str>] {
        &self.headers
    }

    /// The headers that the permits of these names set. Needs all permits that were satisfied, not only one that was
    /// enough.
    ///
    /// # Errors
    /// The header that two of them set differently, which loading excludes.
    pub(crate) fn headers_of(&self, permits: &[Arc<str>]) -> Result<Vec<Header>, String> {
        let mut headers: Vec<Header> = Vec::new();
        if self.headers.is_empty() {
            return Ok(headers);
        }
        let known = permits.iter().filter_map(|name| self.of(name));
        for (name, value) in known.flat_map(|known| known.headers.iter()) {
            match headers.iter().find(|(set, _)| set == name) {
                Some((_, other)) if other != value => {
                    return Err(format!("two permits set the header {name} differently"));
                }
                Some(_) => {}
                None => headers.push((name.clone(), value.clone())),
            }
        }
        Ok(headers)
    }

    /// What files say of entities.
    pub(crate) fn entities(&self) -> &Arc<EntityData> {
        &self.entities
    }

    /// The entities of files that policies can get to through attributes, besides those of the question itself.
    fn more_entities(
        &self,
        principal: &PrincipalEntity,
        asker: Asker<'_>,
        resource: &ResourceEntity,
    ) -> Vec<&Whole> {
        let resource = (resource.uid(), resource.refers());
        match asker {
            Asker::Actor(actor) => self.entities.beyond(&[(&actor.uid, &actor.refers), resource]),
            Asker::Subject => {
                let subject = (principal.uid(), principal.refers());
                match principal.actors().first() {
                    Some(actor) => self
                        .entities
                        .beyond(&[subject, (&actor.uid, &actor.refers), resource]),
                    None => self.entities.beyond(&[subject, resource]),
                }
            }
        }
    }

    /// How many policies there are.
    pub fn count(&self) -> usize {
        self.known.len()
    }

    /// The names of all policies, in no order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.known.iter().map(|known| &*known.name)
    }

    /// The same names as decisions have them.
    pub(crate) fn shared_names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.known.iter().map(|known| &known.name)
    }

    /// The names of all policies that forbid, in no order.
    pub fn forbids(&self) -> impl Iterator<Item = &str> {
        let forbids = self.known.iter().filter(|known| known.effect == Effect::Forbid);
        forbids.map(|known| &*known.name)
    }

    /// The name of what a policy file says: that of the template for a policy that was linked from one.
    pub fn written(&self, name: &str) -> String {
        let ordinal = self.engine.ordinal(name);
        match ordinal.and_then(|ordinal| self.engine.template(ordinal)) {
            Some(template) => template.to_string(),
            None => name.to_owned(),
        }
    }

    /// What is kept of the policy with that name.
    fn of(&self, name: &str) -> Option<&Known> {
        let ordinal = self.engine.ordinal(name)?;
        self.known.get(ordinal as usize)
    }

    /// Lets the self-check ask other policies than those that were indexed.
    #[cfg(test)]
    pub(crate) fn misguide(&mut self, policies: &str) {
        let parsed: cedar_policy::PolicySet = policies.parse().expect("policies");
        let named = parsed.policies().map(|policy| {
            let id = policy.annotation("id").expect("an @id");
            policy.new_id(PolicyId::new(id))
        });
        let set = cedar_policy::PolicySet::from_policies(named);
        self.engine.misguide(set.expect("different ids"));
    }

    /// The whole schema in Cedar's syntax: the user's entity types with the generated actions and context.
    pub fn schema_text(&self) -> &str {
        &self.schema_text
    }

    /// One question laid open: in the form that Cedar's public interface takes, and with the policies whose scopes match.
    pub(crate) fn lay_open(
        &self,
        principal: &PrincipalEntity,
        asker: Asker<'_>,
        action: &Action,
        resource: &ResourceEntity,
        circumstances: &Circumstances<'_, '_>,
    ) -> Result<(PlainQuestion, Vec<PolicyId>), String> {
        let context =
            |looked_at: LookedAt<'_>| self.context.build(principal, asker, circumstances, looked_at);
        self.with_question(principal, asker, action, resource, &context, |question| {
            let candidates = self
                .engine
                .candidates(question)?
                .into_iter()
                .map(PolicyId::new)
                .collect();
            // People want to see all of it; where that cannot be had, what the answer depends on.
            let context = context(&|_| true).or_else(|_| self.engine.context(question))?;
            Ok((self.plain(question, context)?, candidates))
        })
    }

    /// How the engine's answers compared with those of Cedar's `Authorizer`.
    pub fn self_check(&self) -> SelfCheckStatus {
        self.self_check.status(self.backend)
    }

    /// The compiled schema.
    pub(crate) fn schema(&self) -> &Schema {
        &self.schema
    }
}

/// The built-in permit of public routes.
pub const PUBLIC: &str = "portcullis.public";

/// A judgement about a public route: what no policy forbids is permitted.
fn opened(judgement: Judgement) -> Judgement {
    match judgement {
        Judgement::NoPermit => Judgement::Permit(vec![PUBLIC.into()]),
        Judgement::Permit(mut permits) => {
            permits.push(PUBLIC.into());
            permits.sort_unstable();
            Judgement::Permit(permits)
        }
        no @ (Judgement::Forbid(..) | Judgement::Unknown(..)) => no,
    }
}

/// A context without anything.
fn empty_context() -> Context {
    Context::empty()
}
