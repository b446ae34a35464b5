//! Two ways to evaluate policies, and a check of the quick one by the other while serving.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use cedar_policy::{AuthorizationError, Context, Decision, Entities, PolicyId, Request, Response};
use schemars::JsonSchema;
use serde::Deserialize;

use super::engine::{Answer, Book, Depth, Question};
use super::{Judgement, Policies};

/// Up to this many policies (about a millisecond) a check is part of the decision; with more it happens beside it.
pub(super) const INLINE: usize = 1000;

/// And takes at most a hundredth of a processor: with 100,000 policies it takes a quarter of a second.
const REST: u32 = 99;

/// How policies are evaluated.
#[derive(Clone, Debug)]
pub struct EngineSettings {
    /// The way.
    pub backend: Backend,
    /// One in how many decisions is asked again; 0 for none.
    pub self_check_every: u64,
}

/// How policies are evaluated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "PolicyEngine")]
pub enum Backend {
    /// An index finds the policies that can match a request; only these are evaluated. The cost does not grow with the
    /// number of policies.
    #[default]
    Sliced,
    /// Cedar's own `Authorizer` evaluates every policy for every request: about a microsecond for each. In case of doubts
    /// about the other.
    Authorizer,
}

/// Asks again, now and then, and keeps count.
#[derive(Debug)]
pub(super) struct SelfCheck {
    every: u64,
    /// No two of a process have the same.
    number: u64,
    counts: Arc<Counts>,
}

thread_local! {
    /// The latest self-check of this thread by its number, and how many decisions it was asked about. One count for all threads
    /// would be written by all of them all the time.
    static ASKED: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
}

#[derive(Debug, Default)]
struct Counts {
    checked: AtomicU64,
    differences: AtomicU64,
    /// Whether a check runs beside the decisions.
    running: AtomicBool,
    /// When the next one may.
    next: Mutex<Option<Instant>>,
}

/// Says that no check runs any more when it goes, also if that is for a panic.
struct Running<'c>(&'c Counts);

/// How the answers of [`Backend::Sliced`] compared with those of Cedar's `Authorizer`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SelfCheckStatus {
    /// The way policies are evaluated.
    pub backend: Backend,
    /// One in how many decisions is asked again; 0 for none.
    pub every: u64,
    /// Decisions that were asked again.
    pub checked: u64,
    /// Those of them that had another answer: each is a bug, and was logged as an error.
    pub differences: u64,
}

/// A question in the form that Cedar's public interface takes.
#[derive(Debug)]
pub(crate) struct PlainQuestion {
    pub(crate) request: Request,
    pub(crate) entities: Entities,
}

/// What determined an answer: Cedar's decision, its reasons, and the policies that failed.
#[derive(Debug, PartialEq, Eq)]
struct Essence {
    decision: Decision,
    reasons: Vec<PolicyId>,
    failed: Vec<PolicyId>,
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self {
            backend: Backend::default(),
            self_check_every: 10_000,
        }
    }
}

impl SelfCheck {
    pub(super) fn new(every: u64) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        Self {
            every,
            number: NUMBER.fetch_add(1, Ordering::Relaxed),
            counts: Arc::default(),
        }
    }

    /// Whether this decision is one to ask again: the first of each thread, and one in so many after it.
    pub(super) fn is_due(&self) -> bool {
        let asked = match ASKED.get() {
            (number, asked) if number == self.number => asked,
            _ => 0,
        };
        ASKED.set((self.number, asked.wrapping_add(1)));
        self.every > 0 && asked.is_multiple_of(self.every)
    }

    pub(super) fn status(&self, backend: Backend) -> SelfCheckStatus {
        SelfCheckStatus {
            backend,
            every: self.every,
            checked: self.counts.checked.load(Ordering::Relaxed),
            differences: self.counts.differences.load(Ordering::Relaxed),
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.store(false, Ordering::Release);
    }
}

impl Counts {
    fn is_rested(&self) -> bool {
        let next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        next.is_none_or(|next| Instant::now() >= next)
    }

    /// Lets no other check run for some time after one that took as long.
    fn rest(&self, took: Duration) {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        *next = Instant::now().checked_add(took.saturating_mul(REST));
    }

    /// The same where there may be no answer of the `Authorizer`: that is a difference.
    fn compare_with(&self, engine: &Essence, response: &Result<Response, String>, request: &Request) -> bool {
        match response {
            Ok(response) => self.compare(engine, &Essence::of(response), request),
            Err(message) => {
                self.checked.fetch_add(1, Ordering::Relaxed);
                self.differences.fetch_add(1, Ordering::Relaxed);
                tracing::error!("Cedar's Authorizer cannot be asked about the policies: {message}");
                false
            }
        }
    }

    /// Counts a check and says whether both answers are the same; a difference is logged.
    fn compare(&self, engine: &Essence, authorizer: &Essence, request: &Request) -> bool {
        self.checked.fetch_add(1, Ordering::Relaxed);
        let same = engine == authorizer;
        if !same {
            self.differences.fetch_add(1, Ordering::Relaxed);
            let entity = |uid: Option<&cedar_policy::EntityUid>| uid.map(ToString::to_string);
            tracing::error!(
                ?engine,
                ?authorizer,
                principal = entity(request.principal()),
                action = entity(request.action()),
                resource = entity(request.resource()),
                "the policy engine and Cedar's Authorizer differ: this is a bug; set `policies.engine: authorizer` and \
                 report it"
            );
        }
        same
    }
}

impl Policies {
    /// Asks Cedar's `Authorizer` the same, over the whole set. A difference turns a yes into a no; where there are many
    /// policies, the answer does not wait for the check.
    pub(super) fn check(&self, question: &Question<'_>, answer: &Answer, judgement: Judgement) -> Judgement {
        // What no policy looks at whose scope matches may be missing.
        let context = self.engine.context(question).unwrap_or_else(|_| Context::empty());
        let plain = match self.plain(question, context) {
            Ok(plain) => plain,
            Err(message) => return Judgement::Unknown(Vec::new(), message),
        };
        let engine = self.essence(answer);
        let counts = &self.self_check.counts;
        if !self.is_told_quickly(question, answer) {
            counts.differences.fetch_add(1, Ordering::Relaxed);
            tracing::error!(
                ?engine,
                "the policy engine gives another answer when it looks at less: this is a bug; set \
                 `policies.engine: authorizer` and report it"
            );
        }
        if self.count() > INLINE {
            if counts.is_rested() && !counts.running.swap(true, Ordering::AcqRel) {
                let (counts, book) = (Arc::clone(counts), Arc::clone(self.engine.book()));
                let thread = std::thread::Builder::new()
                    .name("self-check".to_owned())
                    .stack_size(crate::policy::STACK);
                let spawned = thread.spawn({
                    let counts = Arc::clone(&counts);
                    move || {
                        let _running = Running(&counts);
                        let begun = Instant::now();
                        counts.compare_with(&engine, &plain.ask(&book), &plain.request);
                        counts.rest(begun.elapsed());
                    }
                });
                if spawned.is_err() {
                    counts.running.store(false, Ordering::Release);
                }
            }
            return judgement;
        }
        let response = plain.ask(self.engine.book());
        if counts.compare_with(&engine, &response, &plain.request) {
            return judgement;
        }
        match (judgement, response) {
            (Judgement::Permit(_), Ok(response)) => {
                self.judgement(&self.answer_of(&response), &mut Vec::new())
            }
            (Judgement::Permit(_), Err(message)) => Judgement::Unknown(Vec::new(), message),
            (no, _) => no,
        }
    }

    /// Whether the quick way comes to the same verdict: of a yes with the same headers, and to all of a no.
    fn is_told_quickly(&self, question: &Question<'_>, answer: &Answer) -> bool {
        let quick = self.engine.answer(question, Depth::Enough);
        quick.is_ok_and(|quick| self.says_as_much(&quick, answer))
    }

    /// Whether the quick answer says what all of it says.
    pub(crate) fn says_as_much(&self, quick: &Answer, all: &Answer) -> bool {
        let permitted =
            |answer: &Answer| matches!(self.judgement(answer, &mut Vec::new()), Judgement::Permit(_));
        let sets_headers = |ordinal: &&u32| {
            let known = self.known.get(**ordinal as usize);
            known.is_some_and(|known| !known.headers.is_empty())
        };
        match (permitted(quick), permitted(all)) {
            (true, true) => {
                let (quick, all) = (quick.permits.iter(), all.permits.iter());
                quick.filter(sets_headers).eq(all.filter(sets_headers))
            }
            (false, false) => quick == all,
            _ => false,
        }
    }

    /// What Cedar's `Authorizer` says, over the whole set.
    pub(super) fn ask_authorizer(&self, question: &Question<'_>) -> Result<Answer, String> {
        let plain = self.plain(question, (question.context)(&|_| true)?)?;
        Ok(self.answer_of(&plain.ask(self.engine.book())?))
    }

    /// The question in the form that Cedar's public interface takes.
    pub(super) fn plain(&self, question: &Question<'_>, context: Context) -> Result<PlainQuestion, String> {
        let principal = question.principal.to_entity();
        let request = Request::new(
            principal.uid(),
            question.action.clone(),
            question.resource.uid().clone(),
            context,
            None,
        )
        .map_err(|error| error.to_string())?;
        let others = question.others.iter().map(|other| other.to_entity());
        let action = self.actions.get(question.action).cloned();
        let entities = [principal, question.resource.to_entity()].into_iter();
        let entities = Entities::from_entities(entities.chain(action).chain(others), None)
            .map_err(|error| error.to_string())?;
        Ok(PlainQuestion { request, entities })
    }

    fn answer_of(&self, response: &Response) -> Answer {
        let ordinal = |id: &PolicyId| self.engine.ordinal(id.as_ref());
        let mut reasons: Vec<u32> = response.diagnostics().reason().filter_map(ordinal).collect();
        reasons.sort_unstable();
        let errors = response.diagnostics().errors().filter_map(|error| {
            let AuthorizationError::PolicyEvaluationError(error) = error;
            Some((ordinal(error.policy_id())?, error.inner().to_string()))
        });
        let mut answer = Answer {
            errors: errors.collect(),
            ..Answer::default()
        };
        answer.errors.sort_unstable();
        match response.decision() {
            Decision::Allow => answer.permits = reasons.into(),
            Decision::Deny => answer.forbids = reasons.into(),
        }
        answer
    }

    fn essence(&self, answer: &Answer) -> Essence {
        let ids = |ordinals: &mut dyn Iterator<Item = u32>| -> Vec<PolicyId> {
            let named = ordinals.filter_map(|ordinal| self.engine.name(ordinal));
            named.map(PolicyId::new).collect()
        };
        let mut failed: Vec<u32> = answer.errors.iter().map(|(ordinal, _)| *ordinal).collect();
        failed.sort_unstable();
        Essence {
            decision: answer.decision(),
            reasons: ids(&mut answer.reasons().iter().copied()),
            failed: ids(&mut failed.into_iter()),
        }
    }
}

impl PlainQuestion {
    fn ask(&self, book: &Book) -> Result<Response, String> {
        book.ask(&self.request, &self.entities)
    }
}

impl Essence {
    fn of(response: &Response) -> Self {
        let mut reasons: Vec<PolicyId> = response.diagnostics().reason().cloned().collect();
        let failed = response.diagnostics().errors().map(|error| {
            let AuthorizationError::PolicyEvaluationError(error) = error;
            error.policy_id().clone()
        });
        let mut failed: Vec<PolicyId> = failed.collect();
        reasons.sort_unstable();
        failed.sort_unstable();
        Self {
            decision: response.decision(),
            reasons,
            failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_that_panics_does_not_keep_others_from_running() {
        let counts = Arc::<Counts>::default();
        counts.running.store(true, Ordering::Release);
        let beside = std::thread::spawn({
            let counts = Arc::clone(&counts);
            move || {
                let _running = Running(&counts);
                panic!("a bug");
            }
        });
        assert!(beside.join().is_err());
        assert!(!counts.running.load(Ordering::Acquire));
    }

    #[test]
    fn after_a_long_check_there_is_none_for_a_longer_time() {
        let counts = Counts::default();
        assert!(counts.is_rested());
        counts.rest(Duration::from_secs(60));
        assert!(!counts.is_rested());
        counts.rest(Duration::ZERO);
        assert!(counts.is_rested());
    }
}
