//! What is counted of every decision: once a check, by the thread that answers, in memory that only this thread writes to.
//!
//! A check costs a handful of plain additions: no lock, no allocation, no line of the cache that another thread writes to. Who
//! reads adds up what all threads have.

use std::cell::RefCell;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use decide::identity::CacheUse;
use decide::{Record, Recorder, Rules, Step};
use model::{Contract, Reason, Version};

use super::count::{Count, Histogram, Times};
use super::policies::{ByPolicy, Counts, Totals};

/// Counts decisions. Clones count the same.
#[derive(Clone)]
pub(crate) struct Counted(Arc<Inner>);

struct Inner {
    /// No two of a process have the same.
    number: u64,
    /// One for each thread that decides; those of threads that are gone are given to others.
    tallies: Mutex<Vec<Arc<Tally>>>,
    by_policy: Mutex<ByPolicy>,
    loaded: Mutex<SystemTime>,
    /// Who gets the records.
    next: Box<dyn Recorder>,
}

/// The counts of one thread, in lines of the cache of their own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Tally {
    decisions: [[Count; Reason::ALL.len()]; Contract::COUNT],
    allowed: Times,
    denied: Times,
    steps: [Times; Step::ALL.len()],
    cache: [Count; CacheUse::ALL.len()],
}

/// What a thread counts with.
struct Mine {
    /// For whom.
    number: u64,
    tally: Arc<Tally>,
    policies: Arc<Counts>,
}

thread_local! {
    static MINE: RefCell<Option<Mine>> = const { RefCell::new(None) };
}

impl Counted {
    /// Counts what goes to `next`.
    pub(crate) fn new(next: Box<dyn Recorder>) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        Self(Arc::new(Inner {
            number: NUMBER.fetch_add(1, Ordering::Relaxed),
            tallies: Mutex::default(),
            by_policy: Mutex::default(),
            loaded: Mutex::new(SystemTime::now()),
            next,
        }))
    }

    /// How many decisions there were, by the place of their reason in [`Reason::ALL`].
    pub(super) fn decisions(&self, contract: Contract) -> [u64; Reason::ALL.len()] {
        let mut sums = [0; Reason::ALL.len()];
        for tally in &*self.tallies() {
            let counts = tally.decisions.get(contract as usize).into_iter().flatten();
            for (sum, count) in sums.iter_mut().zip(counts) {
                *sum += count.get();
            }
        }
        sums
    }

    /// How long allows and denials took.
    pub(super) fn durations(&self) -> [(&'static str, Histogram); 2] {
        let tallies = self.tallies();
        [
            ("allow", tallies.iter().map(|tally| &tally.allowed).collect()),
            ("deny", tallies.iter().map(|tally| &tally.denied).collect()),
        ]
    }

    /// How long each step took, of the checks that were measured.
    pub(super) fn steps(&self) -> Vec<(&'static str, Histogram)> {
        let tallies = self.tallies();
        let of = |step: Step| {
            let times = tallies.iter().filter_map(|tally| tally.steps.get(step as usize));
            (step.as_str(), times.collect())
        };
        Step::ALL.into_iter().map(of).collect()
    }

    /// What was known of the tokens that were good.
    pub(super) fn cache_uses(&self) -> Vec<(&'static str, u64)> {
        let tallies = self.tallies();
        let of = |kind: CacheUse| {
            let counts = tallies.iter().filter_map(|tally| tally.cache.get(kind as usize));
            (kind.as_str(), counts.map(Count::get).sum())
        };
        CacheUse::ALL.into_iter().map(of).collect()
    }

    /// The policies in force.
    pub(super) fn policies(&self) -> Vec<(Arc<str>, Totals)> {
        self.by_policy().totals()
    }

    /// When the rules in force were loaded.
    pub(super) fn loaded(&self) -> SystemTime {
        *self.0.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many threads can count at a time without new memory.
    #[cfg(test)]
    pub(super) fn threads(&self) -> usize {
        self.tallies().len()
    }

    fn tallies(&self) -> MutexGuard<'_, Vec<Arc<Tally>>> {
        self.0.tallies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn by_policy(&self) -> MutexGuard<'_, ByPolicy> {
        self.0.by_policy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What this thread counts with from now on.
    fn enter(&self, version: &Version) -> Mine {
        let mut tallies = self.tallies();
        let free = tallies
            .iter_mut()
            .find_map(|tally| Arc::get_mut(tally).is_some().then(|| Arc::clone(tally)));
        let tally = free.unwrap_or_else(|| {
            let new = Arc::<Tally>::default();
            tallies.push(Arc::clone(&new));
            new
        });
        Mine {
            number: self.0.number,
            tally,
            policies: self.by_policy().enter(version),
        }
    }
}

impl Recorder for Counted {
    fn offer(&self, record: &Record<'_, '_>) {
        self.0.next.offer(record);
        let version = record.decision.version();
        MINE.with_borrow_mut(|mine| {
            let mine = match mine {
                Some(mine) if mine.number == self.0.number => mine,
                other => other.insert(self.enter(version)),
            };
            if !mine.policies.are_of(version) {
                mine.policies = self.by_policy().enter(version);
            }
            mine.tally.add(record);
            mine.policies.add(record);
        });
    }

    fn ruled_by(&self, rules: &Rules) {
        self.by_policy().begin(rules);
        *self.0.loaded.lock().unwrap_or_else(PoisonError::into_inner) = SystemTime::now();
        self.0.next.ruled_by(rules);
    }

    fn dropped(&self) -> Vec<(&'static str, u64)> {
        self.0.next.dropped()
    }
}

impl Tally {
    fn add(&self, record: &Record<'_, '_>) {
        let by_reason = self.decisions.get(record.contract as usize);
        if let Some(count) = by_reason.and_then(|counts| counts.get(record.decision.reason() as usize)) {
            count.add(1);
        }
        match record.decision.is_allow() {
            true => self.allowed.add(record.took),
            false => self.denied.add(record.took),
        }
        if let Some(count) = record.token_cache.and_then(|kind| self.cache.get(kind as usize)) {
            count.add(1);
        }
        for (step, took) in record.steps.iter().flat_map(decide::Steps::taken) {
            if let Some(times) = self.steps.get(step as usize) {
                times.add(took);
            }
        }
    }
}

impl fmt::Debug for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counted").finish_non_exhaustive()
    }
}
