//! Evaluates policies as Cedar's `Authorizer` does, but only those that can match the request.
//!
//! `Authorizer::is_authorized` looks at every policy. [`Engine::answer`] finds the candidates in an index over the scopes
//! of all policies, takes those without a condition as satisfied, and interprets the conditions of the rest. The answer is
//! the same: which policies are satisfied, and which failed with which error. A yes may be had with less
//! ([`Depth::Enough`]). This is the only module that uses `cedar-policy-core`, which promises nothing between versions.

mod book;
mod build;
mod condition;
mod entities;
mod index;
mod quick;
mod resource;
#[cfg(test)]
mod tests;
mod value;
mod whole;

use std::borrow::Cow;
use std::cell::OnceCell;
use std::cmp::Reverse;
use std::fmt;
use std::sync::Arc;

#[cfg(test)]
use cedar_policy::PolicySet;
use cedar_policy::{Context, Decision, EntityUid, PolicyId};
use cedar_policy_core::evaluator::Evaluator;
use cedar_policy_core::extensions::Extensions;
use cedar_policy_core::{ast, entities as core};
use smallvec::SmallVec;

pub use book::{Book, Filled, Link, Links};
use condition::{Condition, Outcome};
pub use entities::Place;
use entities::{Actions, Parties};
use index::{Ordinal, ScopeIndex};
use quick::Facts;
pub use resource::Resource;
pub use value::{Given, context};
pub use whole::Whole;

/// A set of policies, indexed. Policies are known by their ordinals: their places in the order of their ids.
#[derive(Debug)]
pub struct Engine {
    book: Arc<Book>,
    policies: Vec<Policy>,
    index: ScopeIndex,
    actions: Actions,
    /// No two engines of a process have the same.
    generation: u64,
}

#[derive(Debug)]
struct Policy {
    name: Arc<str>,
    /// The place of the link that it is.
    link: Option<u32>,
    effect: ast::Effect,
    condition: Option<Arc<Condition>>,
    /// How narrow its scope is: the narrower, the sooner it is evaluated.
    narrow: u8,
    /// Whether a yes must tell if this permit is satisfied.
    told: bool,
}

/// How much of an answer is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// All of it, as from Cedar's `Authorizer`.
    All,
    /// The decision, and all of a no. Of a yes: every forbid was evaluated, none matched and none failed; of the permits
    /// those are named that were found on the way (at least one), and all that [`Engine::always_tell`] asks for.
    Enough,
}

/// Tells which members of `context` a condition looks at.
pub type LookedAt<'a> = &'a dyn Fn(&str) -> bool;

/// One question.
pub struct Question<'q> {
    /// Who asks.
    pub principal: &'q Whole,
    /// Where the engine keeps what it found out about the principal.
    pub place: &'q Place,
    /// What is to be done.
    pub action: &'q EntityUid,
    /// With what.
    pub resource: &'q Resource,
    /// Further entities that attributes and the context refer to.
    pub others: &'q [&'q Whole],
    /// Makes the context of the members that are looked at; asked only if a condition looks at any.
    pub context: &'q dyn Fn(LookedAt<'_>) -> Result<Context, String>,
}

/// What the policies say, by ordinals, in ascending order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Satisfied permits.
    pub permits: SmallVec<[u32; 8]>,
    /// Satisfied forbids.
    pub forbids: SmallVec<[u32; 8]>,
    /// Policies that could not be evaluated, with Cedar's messages.
    pub errors: Vec<(u32, String)>,
}

impl Engine {
    /// From now on every yes tells whether these permits are satisfied; by ordinal.
    pub fn always_tell(&mut self, told: impl IntoIterator<Item = bool>) {
        for (policy, told) in self.policies.iter_mut().zip(told) {
            policy.told = told;
        }
    }

    /// Everything in the form that Cedar's public interface takes.
    pub fn book(&self) -> &Arc<Book> {
        &self.book
    }

    /// Makes policies of all links beforehand, so that asking Cedar's `Authorizer` does not take long.
    ///
    /// # Errors
    /// Cedar does not take a link, which loading excludes.
    pub fn join(&mut self) -> Result<(), String> {
        match Arc::get_mut(&mut self.book) {
            Some(book) => book.join(),
            None => Err("somebody uses the policies already".to_owned()),
        }
    }

    #[cfg(test)]
    pub(super) fn misguide(&mut self, set: PolicySet) {
        self.book = Arc::new(Book::new(set, Links::default()));
    }

    /// How many policies there are.
    pub fn count(&self) -> usize {
        self.policies.len()
    }

    /// The names of all policies, each with the place of the link that it is; a policy's ordinal is its place here.
    pub fn names(&self) -> impl ExactSizeIterator<Item = (&Arc<str>, Option<usize>)> {
        let policies = self.policies.iter();
        policies.map(|policy| (&policy.name, policy.link.map(|link| link as usize)))
    }

    /// The name of the policy at an ordinal.
    pub fn name(&self, ordinal: u32) -> Option<&Arc<str>> {
        self.policy(ordinal).map(|policy| &policy.name)
    }

    /// The ordinal of a policy.
    pub fn ordinal(&self, name: &str) -> Option<u32> {
        let place = self.policies.binary_search_by(|policy| (*policy.name).cmp(name));
        place.ok().and_then(|place| Ordinal::try_from(place).ok())
    }

    /// The template that a policy is linked from, if it is.
    pub fn template(&self, ordinal: u32) -> Option<&PolicyId> {
        let links = self.book.links();
        let link = links.all.get(self.policy(ordinal)?.link? as usize)?;
        links.template(link)
    }

    /// A policy as Cedar evaluates it.
    fn whole(&self, policy: &Policy) -> Option<Cow<'_, ast::Policy>> {
        match policy.link {
            None => {
                let id = PolicyId::new(&policy.name);
                self.book.core().get(id.as_ref()).map(Cow::Borrowed)
            }
            Some(link) => {
                let link = self.book.links().all.get(link as usize)?;
                self.book.linked(link).map(Cow::Owned)
            }
        }
    }

    /// The policies whose scopes match a question: all that can matter for its answer.
    ///
    /// # Errors
    /// The entities contradict each other.
    pub fn candidates(&self, question: &Question<'_>) -> Result<Vec<&Arc<str>>, String> {
        let (_, candidates) = self.prepare(question)?;
        let policies = candidates.iter().filter_map(|ordinal| self.policy(*ordinal));
        Ok(policies.map(|policy| &policy.name).collect())
    }

    /// What the policies say.
    ///
    /// # Errors
    /// The entities contradict each other, or there is no context: nothing is known then, and the answer must be no.
    pub fn answer(&self, question: &Question<'_>, depth: Depth) -> Result<Answer, String> {
        let (parties, candidates) = self.prepare(question)?;
        let mut answer = Answer::default();
        let mut conditional = Conditional::new();
        for ordinal in candidates {
            let Some(policy) = self.policy(ordinal) else {
                continue;
            };
            match policy.condition.as_deref() {
                None => answer.satisfied(ordinal, policy.effect),
                Some(condition) => conditional.push((ordinal, policy, condition)),
            }
        }
        if !conditional.is_empty() {
            let context = made_context(question, &conditional)?;
            if depth == Depth::All || !answer.is_enough(&conditional) {
                self.evaluate(question, &parties, context, &mut conditional, depth, &mut answer)?;
                answer.permits.sort_unstable();
                answer.forbids.sort_unstable();
                answer.errors.sort_unstable_by_key(|(ordinal, _)| *ordinal);
            }
        }
        Ok(answer)
    }

    /// The context as far as policies look at it whose scopes match.
    ///
    /// # Errors
    /// As [`Engine::answer`].
    pub fn context(&self, question: &Question<'_>) -> Result<Context, String> {
        let (_, candidates) = self.prepare(question)?;
        let policies = candidates
            .iter()
            .filter_map(|ordinal| Some((*ordinal, self.policy(*ordinal)?)));
        let conditional: Conditional<'_> = policies
            .filter_map(|(ordinal, policy)| Some((ordinal, policy, policy.condition.as_deref()?)))
            .collect();
        Ok(made_context(question, &conditional)?.into())
    }

    /// The entities of a question, and the policies whose scopes match it.
    fn prepare<'q>(&self, question: &Question<'q>) -> Result<(Parties<'q>, SmallVec<[Ordinal; 16]>), String> {
        let place = question.place.of(question.principal, self);
        let parties = Parties::new(question, place)?;
        let resource = match &parties.grown_resource {
            None => {
                let ancestors = question.resource.ancestors().iter().map(AsRef::as_ref);
                self.index.resource(question.resource.uid().as_ref(), ancestors)
            }
            Some(grown) => self.index.resource(grown.uid(), grown.ancestors()),
        };
        let action = question.action.as_ref();
        let candidates = match &parties.grown {
            None => self.index.candidates(&parties.place.keys, action, &resource),
            Some(principal) => {
                let principal = self.index.principal(principal.uid(), principal.ancestors());
                self.index.candidates(&principal, action, &resource)
            }
        };
        Ok((parties, candidates))
    }

    /// Forbids first: each of them can turn the answer round, also by failing.
    fn evaluate(
        &self,
        question: &Question<'_>,
        parties: &Parties<'_>,
        context: ast::Context,
        conditional: &mut Conditional<'_>,
        depth: Depth,
        answer: &mut Answer,
    ) -> Result<(), String> {
        conditional.sort_unstable_by_key(|(ordinal, policy, _)| {
            (
                policy.effect == ast::Effect::Permit,
                Reverse(policy.narrow),
                *ordinal,
            )
        });
        // What grew is in more than its own entity says, and only the interpreter looks further.
        let grown = parties.grown.is_some() || parties.grown_resource.is_some();
        let facts = Facts {
            principal: &parties.place,
            resource: question.resource,
            context: &context,
        };
        let (entities, evaluator) = (OnceCell::new(), OnceCell::new());
        for (ordinal, policy, condition) in &*conditional {
            let permit = policy.effect == ast::Effect::Permit;
            if depth == Depth::Enough && permit && !policy.told && self.is_yes(answer) {
                continue;
            }
            let looked = if grown { None } else { condition.look(&facts) };
            let outcome = match looked {
                Some(outcome) => outcome,
                None => {
                    if entities.get().is_none() {
                        let _ = entities.set(parties.entities(self.actions.entity(question.action))?);
                    }
                    let entities = entities.get_or_init(core::Entities::new);
                    let evaluator =
                        evaluator.get_or_init(|| self.evaluator(question, parties, &context, entities));
                    condition.evaluate(evaluator, || self.whole(policy))
                }
            };
            match outcome {
                Outcome::Satisfied => answer.satisfied(*ordinal, policy.effect),
                Outcome::NotSatisfied => {}
                Outcome::Failed(message) => answer.errors.push((*ordinal, message)),
            }
        }
        Ok(())
    }

    /// Cedar's interpreter, ready to be asked about conditions.
    fn evaluator<'e>(
        &self,
        question: &Question<'_>,
        parties: &Parties<'_>,
        context: &ast::Context,
        entities: &'e core::Entities,
    ) -> Evaluator<'e> {
        let known = |euid| ast::EntityUIDEntry::Known { euid, loc: None };
        let request = ast::Request::new_unchecked(
            known(Arc::clone(&parties.place.uid)),
            known(self.actions.uid(question.action)),
            known(Arc::new(question.resource.uid().as_ref().clone())),
            Some(context.clone()),
        );
        Evaluator::new(request, entities, Extensions::all_available())
    }

    /// True if all that is left are permits that make no difference.
    fn is_yes(&self, answer: &Answer) -> bool {
        let failed = |ordinal: u32| {
            self.policy(ordinal)
                .is_none_or(|policy| policy.effect == ast::Effect::Forbid)
        };
        !answer.permits.is_empty()
            && answer.forbids.is_empty()
            && !answer.errors.iter().any(|(ordinal, _)| failed(*ordinal))
    }

    fn policy(&self, ordinal: Ordinal) -> Option<&Policy> {
        self.policies.get(ordinal as usize)
    }
}

/// Candidates with a condition.
type Conditional<'e> = SmallVec<[(Ordinal, &'e Policy, &'e Condition); 8]>;

/// The context of the members that conditions look at. What cannot be read is an error, whether or not the answer depends
/// on the policy that looks at it.
fn made_context(question: &Question<'_>, conditional: &Conditional<'_>) -> Result<ast::Context, String> {
    if conditional
        .iter()
        .all(|(_, _, condition)| condition.context.is_nothing())
    {
        return Ok(ast::Context::empty());
    }
    let looked_at = |name: &str| {
        conditional
            .iter()
            .any(|(_, _, condition)| condition.context.at(name))
    };
    Ok(AsRef::<ast::Context>::as_ref(&(question.context)(&looked_at)?).clone())
}

impl Answer {
    /// True if permits without conditions decide, whatever `conditional` say.
    fn is_enough(&self, conditional: &Conditional<'_>) -> bool {
        let matters = |policy: &Policy| policy.effect == ast::Effect::Forbid || policy.told;
        self.forbids.is_empty()
            && !self.permits.is_empty()
            && !conditional.iter().any(|(_, policy, _)| matters(policy))
    }

    fn satisfied(&mut self, ordinal: Ordinal, effect: ast::Effect) {
        match effect {
            ast::Effect::Permit => self.permits.push(ordinal),
            ast::Effect::Forbid => self.forbids.push(ordinal),
        }
    }

    /// Cedar's decision: what failed counts for nothing.
    pub fn decision(&self) -> Decision {
        if self.forbids.is_empty() && !self.permits.is_empty() {
            Decision::Allow
        } else {
            Decision::Deny
        }
    }

    /// The policies that determine Cedar's decision.
    pub fn reasons(&self) -> &[u32] {
        if self.forbids.is_empty() {
            &self.permits
        } else {
            &self.forbids
        }
    }
}

impl fmt::Debug for Question<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Question")
            .field("principal", self.principal)
            .field("action", self.action)
            .field("resource", self.resource)
            .finish_non_exhaustive()
    }
}
