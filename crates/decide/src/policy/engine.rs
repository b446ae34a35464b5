//! Evaluates policies as Cedar's `Authorizer` does, but only those that can match the request.
//!
//! `Authorizer::is_authorized` looks at every policy. [`Engine::answer`] finds the candidates in an index over the scopes
//! of all policies, takes those without a condition as satisfied, and interprets the conditions of the rest. The answer is
//! the same: which policies are satisfied, and which failed with which error. This is the only module that uses
//! `cedar-policy-core`, which promises nothing between versions.

mod condition;
mod entities;
mod index;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cedar_policy::{Context, Decision, Entities, Entity, EntityUid, PolicyId, PolicySet};
use cedar_policy_core::ast;
use cedar_policy_core::evaluator::Evaluator;
use cedar_policy_core::extensions::Extensions;
use smallvec::SmallVec;

use condition::{Condition, Conditions, Outcome};
pub use entities::Place;
use entities::{Actions, Parties};
use index::{Ordinal, Role, ScopeIndex};

/// A set of policies, indexed. Policies are known by their ordinals: their places in the order of their ids.
#[derive(Debug)]
pub struct Engine {
    set: Arc<PolicySet>,
    policies: Vec<Policy>,
    index: ScopeIndex,
    actions: Actions,
    /// No two engines of a process have the same.
    generation: u64,
}

#[derive(Debug)]
struct Policy {
    id: PolicyId,
    effect: ast::Effect,
    condition: Option<Arc<Condition>>,
}

/// One question.
pub struct Question<'q> {
    /// Who asks.
    pub principal: &'q Entity,
    /// Where the engine keeps what it found out about the principal.
    pub place: &'q Place,
    /// What is to be done.
    pub action: &'q EntityUid,
    /// With what.
    pub resource: &'q Entity,
    /// Further entities that attributes and the context refer to.
    pub others: &'q [&'q Entity],
    /// Makes the context; asked only if a condition looks at it.
    pub context: &'q dyn Fn() -> Result<Context, String>,
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
    /// Indexes a set of policies. `actions` are all that the schema knows, groups included.
    pub fn new(set: PolicySet, actions: &Entities) -> Self {
        static GENERATION: AtomicU64 = AtomicU64::new(1);
        let core: &ast::PolicySet = set.as_ref();
        let mut sorted: Vec<&ast::Policy> = core.policies().collect();
        sorted.sort_unstable_by(|a, b| a.id().cmp(b.id()));
        let mut conditions = Conditions::default();
        let policies = sorted.iter().map(|policy| Policy {
            id: PolicyId::new(policy.id()),
            effect: policy.effect(),
            condition: conditions.of(policy),
        });
        Self {
            policies: policies.collect(),
            index: ScopeIndex::new(sorted.iter().copied(), actions),
            actions: Actions::new(actions),
            generation: GENERATION.fetch_add(1, Ordering::Relaxed),
            set: Arc::new(set),
        }
    }

    /// The whole set.
    pub fn set(&self) -> &Arc<PolicySet> {
        &self.set
    }

    #[cfg(test)]
    pub(super) fn misguide(&mut self, set: PolicySet) {
        self.set = Arc::new(set);
    }

    /// The ids of all policies; a policy's ordinal is its place.
    pub fn ids(&self) -> impl ExactSizeIterator<Item = &PolicyId> {
        self.policies.iter().map(|policy| &policy.id)
    }

    /// The policy at an ordinal.
    pub fn id(&self, ordinal: u32) -> Option<&PolicyId> {
        self.policy(ordinal).map(|policy| &policy.id)
    }

    /// The ordinal of a policy.
    pub fn ordinal(&self, id: &PolicyId) -> Option<u32> {
        let place = self.policies.binary_search_by(|policy| policy.id.cmp(id));
        place.ok().and_then(|place| Ordinal::try_from(place).ok())
    }

    /// The policies whose scopes match a question: all that can matter for its answer.
    ///
    /// # Errors
    /// The entities contradict each other.
    pub fn candidates(&self, question: &Question<'_>) -> Result<Vec<&PolicyId>, String> {
        let (_, candidates) = self.prepare(question)?;
        let policies = candidates.iter().filter_map(|ordinal| self.policy(*ordinal));
        Ok(policies.map(|policy| &policy.id).collect())
    }

    /// What the policies say.
    ///
    /// # Errors
    /// The entities contradict each other, or there is no context: nothing is known then, and the answer must be no.
    pub fn answer(&self, question: &Question<'_>) -> Result<Answer, String> {
        let (parties, candidates) = self.prepare(question)?;
        let mut answer = Answer::default();
        let mut conditional: SmallVec<[_; 8]> = SmallVec::new();
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
            self.evaluate(question, &parties, &conditional, &mut answer)?;
            answer.permits.sort_unstable();
            answer.forbids.sort_unstable();
        }
        Ok(answer)
    }

    /// The entities of a question, and the policies whose scopes match it.
    fn prepare<'q>(&self, question: &Question<'q>) -> Result<(Parties<'q>, SmallVec<[Ordinal; 16]>), String> {
        let place = question.place.of(question.principal, self);
        let parties = Parties::new(question, place)?;
        let resource = self.index.keys(Role::Resource, &parties.resource);
        let action = question.action.as_ref();
        let candidates = match &parties.grown {
            None => self.index.candidates(&parties.place.keys, action, &resource),
            Some(principal) => {
                let principal = self.index.keys(Role::Principal, principal);
                self.index.candidates(&principal, action, &resource)
            }
        };
        Ok((parties, candidates))
    }

    fn evaluate(
        &self,
        question: &Question<'_>,
        parties: &Parties<'_>,
        conditional: &[(Ordinal, &Policy, &Condition)],
        answer: &mut Answer,
    ) -> Result<(), String> {
        let context = if conditional.iter().any(|(_, _, condition)| condition.context) {
            AsRef::<ast::Context>::as_ref(&(question.context)()?).clone()
        } else {
            ast::Context::empty()
        };
        let entities = parties.entities(self.actions.entity(question.action))?;
        let known = |euid| ast::EntityUIDEntry::Known { euid, loc: None };
        let request = ast::Request::new_unchecked(
            known(Arc::clone(&parties.place.uid)),
            known(self.actions.uid(question.action)),
            known(Arc::new(parties.resource.uid().clone())),
            Some(context),
        );
        let evaluator = Evaluator::new(request, &entities, Extensions::all_available());
        let set: &ast::PolicySet = self.set.as_ref().as_ref();
        for (ordinal, policy, condition) in conditional {
            match condition.evaluate(&evaluator, || set.get(policy.id.as_ref())) {
                Outcome::Satisfied => answer.satisfied(*ordinal, policy.effect),
                Outcome::NotSatisfied => {}
                Outcome::Failed(message) => answer.errors.push((*ordinal, message)),
            }
        }
        Ok(())
    }

    fn policy(&self, ordinal: Ordinal) -> Option<&Policy> {
        self.policies.get(ordinal as usize)
    }
}

impl Answer {
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
