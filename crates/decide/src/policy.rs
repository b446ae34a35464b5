//! The policies: loaded whole, validated strictly, asked once per request.

mod body;
mod context;
mod entities;
mod load;
mod outline;
mod reason;
mod schema;

pub use entities::{PrincipalEntity, ResourceEntity};
pub use load::{SourceFile, Sources};
pub use outline::{Outline, outline};
pub use schema::{ActionTable, GENERATED};

use std::collections::HashMap;
use std::sync::Arc;

use cedar_policy::{
    Authorizer, Context, Effect, Entities, Entity, EntityUid, PolicyId, PolicySet, Request, Schema,
};

use model::Actor;

use crate::routes::Action;
use context::{Asker, ContextUse};

pub(crate) use context::{Circumstances, query_parameter};
pub(crate) use entities::uid;
pub(crate) use load::load;
pub(crate) use reason::{filled, shortened};
pub(crate) use schema::{CORS_PREFLIGHT, TCP_CONNECT};

/// A validated set of policies.
#[derive(Debug)]
pub struct Policies {
    set: PolicySet,
    known: HashMap<PolicyId, Known>,
    context: ContextUse,
    /// Each action with the groups it is in.
    actions: HashMap<EntityUid, Entity>,
    schema: Schema,
    schema_text: String,
    authorizer: Authorizer,
}

/// What is kept of a policy besides Cedar's own form of it.
#[derive(Clone, Debug)]
struct Known {
    name: Arc<str>,
    effect: Effect,
    /// `@status` and `@reason`, on forbids.
    answer: ForbidAnswer,
}

/// How a forbid answers the caller.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForbidAnswer {
    /// `@status("404")`.
    pub status: Option<u16>,
    /// `@reason("…")`, to be filled in for who asks ([`filled`]).
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

impl Policies {
    /// Asks: may `principal` do `action` to `resource` under these circumstances, and may everybody who acts for it? All
    /// must be permitted; the first who is not is named.
    pub(crate) fn judge<'p>(
        &self,
        principal: &'p PrincipalEntity,
        action: &Action,
        resource: &ResourceEntity,
        circumstances: &Circumstances<'_, '_>,
    ) -> (Judgement, Option<&'p Actor>) {
        let mut judgement = self.ask(principal, Asker::Subject, action, resource, circumstances);
        for actor in principal.actors() {
            let Judgement::Permit(mut permits) = judgement else {
                break;
            };
            judgement = match self.ask(principal, Asker::Actor(actor), action, resource, circumstances) {
                Judgement::Permit(more) => {
                    permits.extend(more);
                    permits.sort_unstable();
                    permits.dedup();
                    Judgement::Permit(permits)
                }
                no => return (no, Some(&actor.actor)),
            };
        }
        (judgement, None)
    }

    fn ask(
        &self,
        principal: &PrincipalEntity,
        asker: Asker<'_>,
        action: &Action,
        resource: &ResourceEntity,
        circumstances: &Circumstances<'_, '_>,
    ) -> Judgement {
        let unknown = |message: String| Judgement::Unknown(Vec::new(), message);
        let context = match self.context.build(principal, asker, circumstances) {
            Ok(context) => context,
            Err(message) => return unknown(message),
        };
        // Of those who act, the context of the first question refers to the first.
        let (uid, entity, actor) = match asker {
            Asker::Subject => (principal.uid(), principal.entity(), principal.actors().first()),
            Asker::Actor(actor) => (&actor.uid, &actor.entity, None),
        };
        let request = match Request::new(
            uid.clone(),
            action.uid.clone(),
            resource.uid().clone(),
            context,
            None,
        ) {
            Ok(request) => request,
            Err(error) => return unknown(error.to_string()),
        };
        let action = self.actions.get(&action.uid);
        let others = action.into_iter().chain(actor.map(|actor| &actor.entity));
        let entities = [entity, resource.entity()].into_iter().chain(others).cloned();
        let entities = match Entities::from_entities(entities, None) {
            Ok(entities) => entities,
            Err(error) => return unknown(error.to_string()),
        };
        let response = self.authorizer.is_authorized(&request, &self.set, &entities);
        self.judgement(&response)
    }

    /// Cedar skips policies that fail; a forbid that failed may have forbidden, so it turns the answer into a denial.
    fn judgement(&self, response: &cedar_policy::Response) -> Judgement {
        let diagnostics = response.diagnostics();
        let mut failed = Vec::new();
        let mut messages = String::new();
        for error in diagnostics.errors() {
            let cedar_policy::AuthorizationError::PolicyEvaluationError(error) = error;
            let known = self.known.get(error.policy_id());
            if known.is_none_or(|policy| policy.effect == Effect::Forbid) {
                failed.push(known.map_or_else(
                    || error.policy_id().to_string().into(),
                    |policy| Arc::clone(&policy.name),
                ));
                messages.push_str(&error.to_string());
            }
        }
        let reasons = || diagnostics.reason().filter_map(|id| self.known.get(id));
        let mut names: Vec<Arc<str>> = reasons().map(|policy| Arc::clone(&policy.name)).collect();
        names.sort_unstable();
        match response.decision() {
            cedar_policy::Decision::Allow if failed.is_empty() => Judgement::Permit(names),
            cedar_policy::Decision::Deny if !names.is_empty() => {
                let mut answers: Vec<&Known> = reasons()
                    .filter(|p| p.answer != ForbidAnswer::default())
                    .collect();
                answers.sort_unstable_by(|a, b| a.name.cmp(&b.name));
                let answer = answers
                    .first()
                    .map(|policy| policy.answer.clone())
                    .unwrap_or_default();
                Judgement::Forbid(names, answer)
            }
            _ if !failed.is_empty() => Judgement::Unknown(failed, messages),
            _ => Judgement::NoPermit,
        }
    }

    /// How many policies there are.
    pub fn count(&self) -> usize {
        self.known.len()
    }

    /// The names of all policies, in no order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.known.values().map(|known| &*known.name)
    }

    /// The name of what a policy file says: that of the template for a policy that was linked from one.
    pub fn written(&self, name: &str) -> String {
        let policy = self.set.policy(&PolicyId::new(name));
        match policy.and_then(cedar_policy::Policy::template_id) {
            Some(template) => template.to_string(),
            None => name.to_owned(),
        }
    }

    /// The whole schema in Cedar's syntax: the user's entity types with the generated actions and context.
    pub fn schema_text(&self) -> &str {
        &self.schema_text
    }

    /// What of requests policies may look at.
    pub(crate) fn exposed(&self) -> &crate::settings::Expose {
        self.context.exposed()
    }

    /// The compiled schema.
    pub(crate) fn schema(&self) -> &Schema {
        &self.schema
    }
}

/// A context without anything.
fn empty_context() -> Context {
    Context::empty()
}
