//! Opaque access tokens: their authorization server is asked about them (RFC 7662).
//!
//! [`Introspector::ask`] looks at the answers that are known, or has a task ask; it does no IO and never waits. However
//! many requests come with whatever tokens, there is at most one question per token under way, at most `max_in_flight`
//! in all, and none for a while after the endpoint failed. Tokens that were good a while ago have a quarter of those places
//! for themselves, so that junk cannot end them. [`registered()`] checks what an answer says.
//!
//! Not here: the order among the verifiers.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Map, Value};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use self::exchange::{Blame, Endpoint};
use self::kept::{KeptAnswers, OTHERS_AGE};
use super::cache::Digest;
use super::keys;
use super::refusal::TokenRefusal;

mod answered;
mod counts;
mod exchange;
mod kept;
mod registered;
mod settings;

use self::counts::Counts;
pub use self::counts::Introspections;
use self::exchange::IntrospectionFailure;
use self::registered::registered;
pub(super) use self::registered::still_holds;
pub use self::settings::IntrospectionSettings;
pub(super) use self::settings::validate;

/// First pause after the endpoint failed; it doubles with every failure.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// So many tokens in a row are not all to blame for the endpoint's failures.
const SUSPECTS: usize = 3;

/// One introspection endpoint with its answers. Dropping it ends its tasks.
pub(super) struct Introspector {
    /// Its (validated) settings.
    pub(super) settings: IntrospectionSettings,
    shared: Arc<Shared>,
    token_prefix: String,
    places: Places,
    patience: Duration,
    asking: Handle,
}

/// How many questions may be under way.
#[derive(Clone, Copy, Debug)]
struct Places {
    in_all: usize,
    /// About tokens that were not known to be good.
    for_strangers: usize,
}

/// What was known about a token when its question began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// It was good lately.
    Known,
    /// Nothing, as about junk.
    Stranger,
}

/// What is known about a token.
#[derive(Debug)]
enum Asked {
    /// It does not begin like the tokens of this endpoint, which does not get to see it.
    NotMine,
    /// The endpoint has been asked.
    Known(Arc<Outcome>),
    /// It is being asked. Wait, then ask again.
    Pending(AnswerWanted),
    /// It cannot be asked now.
    Busy(Busy),
}

/// Why the endpoint is not asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Busy {
    /// So many questions are under way as may be.
    #[error("`max_in_flight` questions are under way")]
    Full,
    /// It failed a short while ago.
    #[error("it failed and is left alone for a while")]
    CoolingDown,
}

/// How asking ended.
#[derive(Clone, Debug, PartialEq)]
enum Outcome {
    /// The endpoint vouches for the token. The claims are yet to be checked, see [`registered()`].
    Active {
        /// Everything that was answered.
        claims: Map<String, Value>,
        /// When the answer ceases to count, by the monotonic clock.
        believed_until: Instant,
    },
    /// It does not.
    Inactive,
    /// There was no answer that could be used.
    Failed(IntrospectionFailure),
}

/// A question under way.
#[derive(Debug)]
pub(super) struct AnswerWanted {
    /// Closed when the question has ended.
    under_way: watch::Receiver<()>,
    patience: Duration,
}

impl AnswerWanted {
    /// Waits until the question has ended, well or not; at most about as long as it may take. Needs a runtime with
    /// time enabled. Afterwards ask again.
    pub(super) async fn wait(mut self) {
        // Either way the next look at the answers decides.
        let _ = tokio::time::timeout(self.patience, self.under_way.changed()).await;
    }
}

impl Introspector {
    /// An endpoint by its (validated) settings, to be asked by tasks on the runtime `asking` (with IO and time
    /// enabled).
    pub(super) fn start(settings: &IntrospectionSettings, asking: &Handle) -> Self {
        Self {
            settings: settings.clone(),
            shared: Arc::new(Shared {
                endpoint: Endpoint::new(settings),
                answers: KeptAnswers::new(settings.cache()),
                questions: Mutex::default(),
                counts: Counts::default(),
            }),
            token_prefix: settings.token_prefix.clone().unwrap_or_default(),
            places: Places::of(usize::try_from(settings.max_in_flight).unwrap_or(usize::MAX)),
            patience: settings.patience() + Duration::from_millis(100),
            asking: asking.clone(),
        }
    }

    /// What the endpoint says to the token with that digest. Does no IO and never waits; for a known token, takes no
    /// lock that a question holds.
    fn ask(&self, token: &str, digest: Digest) -> Asked {
        if !token.starts_with(&self.token_prefix) {
            return Asked::NotMine;
        }
        if let Some(outcome) = self.shared.answers.get(&digest) {
            return Asked::Known(outcome);
        }
        let mut questions = self.shared.questions();
        if let Some(question) = questions.under_way.get(&digest) {
            return self.pending(question.under_way.clone());
        }
        // The question may have ended since.
        if let Some(outcome) = self.shared.answers.get(&digest) {
            return Asked::Known(outcome);
        }
        let now = Instant::now();
        if questions.pause.lasts(now) {
            return Asked::Busy(Busy::CoolingDown);
        }
        let standing = match self.shared.answers.vouched_lately(&digest) {
            true => Standing::Known,
            false => Standing::Stranger,
        };
        if !questions.has_place(standing, self.places) {
            return Asked::Busy(Busy::Full);
        }
        let (ending, under_way) = watch::channel(());
        let task = Arc::clone(&self.shared).run(token.to_owned(), digest, now, ending);
        let question = Question {
            under_way: under_way.clone(),
            task: self.asking.spawn(task).abort_handle(),
            standing,
        };
        questions.begin(digest, question);
        self.pending(under_way)
    }

    /// How asking went so far.
    pub(super) fn told(&self) -> Introspections {
        self.shared.counts.told(&self.settings.name)
    }

    fn pending(&self, under_way: watch::Receiver<()>) -> Asked {
        Asked::Pending(AnswerWanted {
            under_way,
            patience: self.patience,
        })
    }
}

impl Places {
    /// Three quarters for strangers, and one for the others at least; a single place is for all.
    fn of(in_all: usize) -> Self {
        let for_strangers = in_all.saturating_sub(in_all.div_ceil(4)).max(1);
        Self {
            in_all,
            for_strangers,
        }
    }
}

impl Busy {
    /// What it means for the token.
    fn refusal(self) -> TokenRefusal {
        TokenRefusal::IntrospectionUnavailable(self.to_string())
    }
}

impl Drop for Introspector {
    fn drop(&mut self) {
        // Not while the lock is held: a task that ends takes it.
        let under_way = std::mem::take(&mut self.shared.questions().under_way);
        for question in under_way.into_values() {
            question.task.abort();
        }
    }
}

impl fmt::Debug for Introspector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Introspector")
            .field("endpoint", &self.shared.endpoint)
            .finish_non_exhaustive()
    }
}

impl IntrospectionSettings {
    fn cache(&self) -> Duration {
        Duration::from_secs(self.cache_seconds)
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(self.timeout_seconds)
    }
}

/// What the tasks see, too.
struct Shared {
    endpoint: Endpoint,
    answers: KeptAnswers,
    questions: Mutex<Questions>,
    counts: Counts,
}

#[derive(Default)]
struct Questions {
    under_way: HashMap<Digest, Question>,
    /// How many of them are about strangers.
    strangers: usize,
    pause: Pause,
}

struct Question {
    under_way: watch::Receiver<()>,
    task: AbortHandle,
    standing: Standing,
}

impl Questions {
    fn has_place(&self, standing: Standing, places: Places) -> bool {
        let allowed = standing == Standing::Known || self.strangers < places.for_strangers;
        allowed && self.under_way.len() < places.in_all
    }

    fn begin(&mut self, digest: Digest, question: Question) {
        self.strangers += usize::from(question.standing == Standing::Stranger);
        self.under_way.insert(digest, question);
    }

    fn end(&mut self, digest: &Digest) {
        if let Some(question) = self.under_way.remove(digest)
            && question.standing == Standing::Stranger
        {
            self.strangers = self.strangers.saturating_sub(1);
        }
    }
}

impl Shared {
    /// Held for a moment only, never while something is waited for.
    fn questions(&self) -> MutexGuard<'_, Questions> {
        self.questions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The task of one question. `ending` is dropped last: who waits for it finds the answer.
    async fn run(self: Arc<Self>, token: String, digest: Digest, begun: Instant, ending: watch::Sender<()>) {
        let _ending = ending;
        let _place = Place {
            shared: &self,
            digest,
        };
        let outcome = self.endpoint.ask(&token).await;
        self.counts.asked(&outcome);
        let now = Instant::now();
        let until = match &outcome {
            Outcome::Failed(failure) => match failure.blame() {
                Blame::Endpoint => self.pause(failure, begun, now),
                Blame::Either if self.questions().pause.suspect(digest) => self.pause(failure, begun, now),
                Blame::Either | Blame::Token => now + OTHERS_AGE,
            },
            Outcome::Active { .. } | Outcome::Inactive => {
                self.questions().pause.end(begun);
                now + OTHERS_AGE
            }
        };
        self.answers.put(digest, outcome, until);
    }

    /// Leaves the endpoint alone for a while; until when the failure counts for the token.
    fn pause(&self, failure: &IntrospectionFailure, begun: Instant, now: Instant) -> Instant {
        let mut questions = self.questions();
        let news = questions.pause.begin(begun, now);
        let until = questions.pause.until;
        drop(questions);
        if news {
            let pause = until.saturating_duration_since(now).as_secs_f64();
            let name = &self.endpoint.name;
            tracing::warn!(
                introspection = name,
                pause_seconds = pause,
                "tokens cannot be introspected: {failure}"
            );
        }
        // No longer than the pause, but long enough for those who have waited.
        until.clamp(now + FIRST_PAUSE, now + OTHERS_AGE)
    }
}

/// The place of a question among those under way, given up however the task ends.
struct Place<'s> {
    shared: &'s Shared,
    digest: Digest,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.shared.questions().end(&self.digest);
    }
}

/// For how long the endpoint is left alone.
#[derive(Debug)]
struct Pause {
    /// Failures in a row.
    failures: u32,
    /// When the last of them was noticed.
    since: Option<Instant>,
    until: Instant,
    /// Tokens whose questions failed for a reason that may be theirs, since the endpoint last answered.
    suspects: Vec<Digest>,
}

impl Default for Pause {
    fn default() -> Self {
        Self {
            failures: 0,
            since: None,
            until: Instant::now(),
            suspects: Vec::new(),
        }
    }
}

impl Pause {
    fn lasts(&self, now: Instant) -> bool {
        now < self.until
    }

    /// The question begun then failed. False if that is no news: many questions can fail for one reason.
    fn begin(&mut self, begun: Instant, now: Instant) -> bool {
        if self.knew(begun) {
            return false;
        }
        let doubled = FIRST_PAUSE.saturating_mul(1 << self.failures.min(5));
        self.failures = self.failures.saturating_add(1);
        self.since = Some(now);
        self.until = now + doubled.min(LONGEST_PAUSE).mul_f64(keys::spread());
        true
    }

    /// A question about this token failed, which may be for the token's sake. True if so many did that it is not.
    fn suspect(&mut self, digest: Digest) -> bool {
        if self.suspects.len() < SUSPECTS && !self.suspects.contains(&digest) {
            self.suspects.push(digest);
        }
        self.suspects.len() >= SUSPECTS
    }

    /// The question begun then was answered.
    fn end(&mut self, begun: Instant) {
        if !self.knew(begun) {
            self.failures = 0;
            self.suspects.clear();
        }
    }

    /// True if a failure was noticed after that question had begun.
    fn knew(&self, begun: Instant) -> bool {
        self.since.is_some_and(|since| begun <= since)
    }
}

#[cfg(test)]
mod tests;
