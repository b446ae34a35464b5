//! The current keys of one issuer, and the one task that keeps them current.
//!
//! Readers load a pointer and never wait for the task. The task alone fetches: at start-up, then every `refresh`, and
//! earlier when somebody wants a key that is not there, but never before `cool_down` has passed since the last attempt.
//! So there is at most one fetch in flight and at most one per interval, however many requests wait for it. Failed
//! attempts leave the last good keys in force until they are older than `max_stale`.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwapOption, Guard};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::fetch::{self, FetchFailure, Source};
use super::issuer::Proven;
use super::jwks::{JwksRefusal, KeySet, Skipped};
use super::signature::SignedWith;

/// How often keys are fetched and for how long they last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pace {
    /// From one fetch to the next when all is well.
    pub(super) refresh: Duration,
    /// Least time from the end of one attempt to the start of the next.
    pub(super) cool_down: Duration,
    /// Age at which keys that could not be renewed become unusable.
    pub(super) max_stale: Duration,
    /// Longest time one attempt may take.
    pub(super) patience: Duration,
}

impl Pace {
    /// Where nothing is configured: what is the default for issuers, too.
    pub(super) const USUAL: Self = Self {
        refresh: Duration::from_secs(300),
        cool_down: Duration::from_secs(10),
        max_stale: Duration::from_secs(3600),
        patience: Duration::from_secs(5),
    };
}

/// The keys of one issuer. Dropping it ends the task.
#[derive(Debug)]
pub(super) struct IssuerKeys {
    shared: Arc<Shared>,
    /// The number of the attempt that somebody waits for.
    wanted: watch::Sender<u64>,
    pace: Pace,
    /// None for keys that never change.
    task: Option<AbortHandle>,
    /// Whose they are and where they come from; `None` for keys out of the configuration.
    origin: Option<(String, Source)>,
    since: Since,
}

/// Since when keys are fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Since {
    /// Since the server started.
    Start,
    /// Since a change of the settings, while the server was answering.
    Change,
}

#[derive(Debug)]
struct Shared {
    current: ArcSwapOption<Current>,
    attempts: watch::Sender<Attempts>,
    last_failure: ArcSwapOption<FetchFailure>,
    /// Attempts that brought keys, and those that did not.
    succeeded: AtomicU64,
    failed: AtomicU64,
}

/// Fetches of the keys of one issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fetches {
    /// Attempts that brought keys.
    pub succeeded: u64,
    /// Attempts that did not.
    pub failed: u64,
    /// Age at which keys that could not be renewed become unusable.
    pub max_stale: Duration,
}

/// A key set in force.
#[derive(Debug)]
pub(super) struct Current {
    /// The keys.
    pub(super) keys: Arc<KeySet>,
    /// Changes whenever the keys change.
    pub(super) generation: u64,
    /// Since which generation each key, by its name, is what it is.
    since: HashMap<String, u64>,
    /// When the fetch that brought them began.
    fetched: Instant,
}

/// What the task has done and is doing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempts {
    /// Attempts that ended, well or not.
    finished: u64,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Fetching,
    CoolingDown,
    Idle,
}

/// A fetch under way (or about to begin) that may bring the keys a token needs.
#[derive(Debug)]
pub(super) struct KeysWanted {
    attempts: watch::Receiver<Attempts>,
    after: u64,
    patience: Duration,
}

impl KeysWanted {
    /// Waits until the fetch has ended, well or not; at most about as long as a fetch may take. Needs a runtime with
    /// time enabled. Afterwards ask again with `identify_at_hand`.
    pub(super) async fn wait(mut self) {
        let ended = self.attempts.wait_for(|attempts| attempts.finished > self.after);
        // Either way the next look at the keys decides.
        let _ = tokio::time::timeout(self.patience, ended).await;
    }
}

impl IssuerKeys {
    /// Starts fetching at once, on the runtime `fetching`.
    pub(super) fn start(name: &str, source: Source, pace: Pace, since: Since, fetching: &Handle) -> Self {
        let (shared, wanted) = Shared::new(Phase::Fetching);
        let origin = Some((name.to_owned(), source.clone()));
        let task = Task {
            name: name.to_owned(),
            source,
            pace,
            shared: Arc::clone(&shared),
            wanted: wanted.subscribe(),
        };
        Self {
            shared,
            wanted,
            pace,
            task: Some(fetching.spawn(task.run()).abort_handle()),
            origin,
            since,
        }
    }

    /// Keys out of the configuration: they are there from the start, and nothing is ever fetched.
    pub(super) fn fixed(name: &str, keys: KeySet) -> Self {
        let (shared, wanted) = Shared::new(Phase::CoolingDown);
        shared.take(name, Instant::now(), Ok((keys, Vec::new())));
        shared.attempts.send_modify(|attempts| attempts.finished = 1);
        Self {
            shared,
            wanted,
            pace: Pace {
                refresh: Duration::MAX,
                cool_down: Duration::MAX,
                max_stale: Duration::MAX,
                patience: Duration::ZERO,
            },
            task: None,
            origin: None,
            since: Since::Start,
        }
    }

    /// True if they are fetched for that name, from there and at that pace.
    pub(super) fn are_from(&self, name: &str, source: &Source, pace: Pace) -> bool {
        let same = |(whose, from): &(String, Source)| whose == name && from == source;
        self.pace == pace && self.origin.as_ref().is_some_and(same)
    }

    /// False for keys that were asked for while the server was answering, and have not come yet.
    pub(super) fn were_ever_needed(&self) -> bool {
        self.since == Since::Start || self.load().is_some()
    }

    /// The keys, unless there are none or they are too old.
    pub(super) fn current(&self) -> Option<Arc<Current>> {
        self.load()
            .as_ref()
            .filter(|current| self.is_fresh(current))
            .map(Arc::clone)
    }

    /// True while what was proven with one of these keys would be proven again: that others come and go does not matter, or
    /// else every token would be verified anew whenever an issuer publishes its next key. Takes no lock.
    pub(super) fn still_vouch_for(&self, proven: &Proven) -> bool {
        let current = self.load();
        let current = current.as_ref().filter(|current| self.is_fresh(current));
        let signed_with = proven.signed_with.as_ref();
        current
            .zip(signed_with)
            .is_some_and(|(current, signed_with)| current.has(signed_with))
    }

    /// Where the task stands. Read this before looking for a key, so that keys that arrive in between are not missed.
    pub(super) fn attempts(&self) -> Attempts {
        *self.shared.attempts.borrow()
    }

    /// Asks for an attempt that ends after `seen`. `None` while cooling down: no attempt may begin now.
    pub(super) fn want(&self, seen: Attempts) -> Option<KeysWanted> {
        if seen.phase == Phase::CoolingDown {
            return None;
        }
        self.wanted.send_if_modified(|wanted| {
            let news = *wanted <= seen.finished;
            *wanted = (*wanted).max(seen.finished + 1);
            news
        });
        Some(self.waiting(seen.finished))
    }

    /// Waits for the very first attempt, if it has not ended yet.
    pub(super) fn first_attempt(&self) -> KeysWanted {
        self.waiting(0)
    }

    /// How long ago the keys in force were fetched.
    pub(super) fn age(&self) -> Option<Duration> {
        self.load().as_ref().map(|current| current.fetched.elapsed())
    }

    /// Why the last attempt failed; `None` if it did not.
    pub(super) fn last_failure(&self) -> Option<Arc<FetchFailure>> {
        self.shared.last_failure.load_full()
    }

    /// How fetching went; `None` for keys that never change.
    pub(super) fn fetches(&self) -> Option<Fetches> {
        self.task.as_ref().map(|_| Fetches {
            succeeded: self.shared.succeeded.load(Ordering::Relaxed),
            failed: self.shared.failed.load(Ordering::Relaxed),
            max_stale: self.pace.max_stale,
        })
    }

    fn waiting(&self, after: u64) -> KeysWanted {
        KeysWanted {
            attempts: self.shared.attempts.subscribe(),
            after,
            patience: self.pace.patience + Duration::from_millis(100),
        }
    }

    fn load(&self) -> Guard<Option<Arc<Current>>> {
        self.shared.current.load()
    }

    fn is_fresh(&self, current: &Current) -> bool {
        current.fetched.elapsed() <= self.pace.max_stale
    }
}

impl Drop for IssuerKeys {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl Current {
    /// Keys of the next generation, or of the same one if they are the same.
    fn after(before: Option<&Self>, keys: KeySet, fetched: Instant) -> Self {
        if let Some(before) = before.filter(|before| *before.keys == keys) {
            return Self {
                keys: Arc::clone(&before.keys),
                generation: before.generation,
                since: before.since.clone(),
                fetched,
            };
        }
        let generation = before.map_or(0, |before| before.generation) + 1;
        let since = |(kid, key)| {
            let same = before.filter(|before| before.keys.get(kid) == Some(key));
            let since = same.and_then(|before| before.since.get(kid)).copied();
            (kid.to_owned(), since.unwrap_or(generation))
        };
        Self {
            since: keys.named().map(since).collect(),
            keys: Arc::new(keys),
            generation,
            fetched,
        }
    }

    /// True if the key is in force, and has been all the time since. Without a name it has to be the only one there is,
    /// which another key may change.
    fn has(&self, key: &SignedWith) -> bool {
        let since = || self.since.get(&key.kid);
        self.generation == key.generation
            || key.named && since().is_some_and(|since| *since <= key.generation)
    }
}

impl Shared {
    fn new(phase: Phase) -> (Arc<Self>, watch::Sender<u64>) {
        let shared = Self {
            current: ArcSwapOption::empty(),
            attempts: watch::Sender::new(Attempts { finished: 0, phase }),
            last_failure: ArcSwapOption::empty(),
            succeeded: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        };
        (Arc::new(shared), watch::Sender::new(0))
    }

    /// Puts the outcome of an attempt in force, and says so when it is. A failure changes nothing but the news.
    fn take(&self, name: &str, fetched: Instant, outcome: Result<(KeySet, Vec<Skipped>), FetchFailure>) {
        let before = self.current.load_full();
        match outcome {
            Ok((keys, skipped)) => {
                let current = Arc::new(Current::after(before.as_deref(), keys, fetched));
                self.current.store(Some(Arc::clone(&current)));
                self.last_failure.store(None);
                let generation = current.generation;
                if before.is_none_or(|before| before.generation != generation) {
                    let keys = current.keys.names();
                    tracing::info!(issuer = name, generation, keys, "keys changed");
                    for key in skipped {
                        tracing::warn!(issuer = name, "{key}; it is skipped");
                    }
                }
            }
            Err(failure) => {
                let age = before.as_ref().map(|b| b.fetched.elapsed().as_secs());
                let failure = Arc::new(failure);
                if let (FetchFailure::Jwks(JwksRefusal::PrivateKey(_)), Some(before)) = (&*failure, before) {
                    // Anybody may sign as the issuer now: no key is good until it publishes others.
                    let none = Current::after(Some(&before), KeySet::default(), fetched);
                    self.current.store(Some(Arc::new(none)));
                }
                self.last_failure.store(Some(Arc::clone(&failure)));
                tracing::warn!(
                    issuer = name,
                    keys_age_seconds = age,
                    "keys could not be fetched: {failure}"
                );
            }
        }
    }
}

/// The task of one issuer.
struct Task {
    name: String,
    source: Source,
    pace: Pace,
    shared: Arc<Shared>,
    wanted: watch::Receiver<u64>,
}

impl Task {
    async fn run(mut self) {
        let mut client = None;
        loop {
            self.enter(Phase::Fetching);
            let begun = Instant::now();
            let outcome = self.attempt(&mut client).await;
            let failed = outcome.is_err();
            let count = match failed {
                true => &self.shared.failed,
                false => &self.shared.succeeded,
            };
            count.fetch_add(1, Ordering::Relaxed);
            self.shared.take(&self.name, begun, outcome);
            self.shared.attempts.send_modify(|attempts| {
                attempts.finished += 1;
                attempts.phase = Phase::CoolingDown;
            });
            // Never less; and a little more, so that many servers do not come back at the same moment.
            tokio::time::sleep(self.pace.cool_down.mul_f64(2.0 - spread())).await;
            if failed {
                continue;
            }
            self.enter(Phase::Idle);
            let finished = self.shared.attempts.borrow().finished;
            let pause = self
                .pace
                .refresh
                .saturating_sub(begun.elapsed())
                .mul_f64(spread());
            let asked = self.wanted.wait_for(|wanted| *wanted > finished);
            if let Ok(Err(_)) = tokio::time::timeout(pause, asked).await {
                // Nobody is left who could ask.
                return;
            }
        }
    }

    async fn attempt(
        &self,
        client: &mut Option<reqwest::Client>,
    ) -> Result<(KeySet, Vec<Skipped>), FetchFailure> {
        let client = match client {
            Some(client) => client,
            None => client.insert(fetch::client(&self.source, self.pace.patience)?),
        };
        fetch::keys(client, &self.source, self.pace.patience).await
    }

    fn enter(&self, phase: Phase) {
        self.shared
            .attempts
            .send_modify(|attempts| attempts.phase = phase);
    }
}

/// A factor between 0.9 and 1, so that many servers do not ask an issuer at the same moment.
pub(super) fn spread() -> f64 {
    let mut byte = [0];
    // Without randomness they do.
    let _ = aws_lc_rs::rand::fill(&mut byte);
    let [byte] = byte;
    1.0 - f64::from(byte) / 2550.0
}

#[cfg(test)]
pub(super) mod tests;
