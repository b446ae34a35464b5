//! How asking an endpoint went, in numbers for metrics.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{Busy, Outcome};

/// How asking one introspection endpoint went so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Introspections {
    /// Its short name.
    pub name: String,
    /// Questions that were answered: the token is active.
    pub active: u64,
    /// Questions that were answered: it is not.
    pub inactive: u64,
    /// Questions without an answer that could be used.
    pub failed: u64,
    /// Tokens that were not asked about because the answer was kept.
    pub kept: u64,
    /// Tokens that were not asked about because `max_in_flight` questions were under way.
    pub full: u64,
    /// Tokens that were not asked about because the endpoint had failed a short while ago.
    pub cooling_down: u64,
}

/// The same while it is counted.
#[derive(Debug, Default)]
pub(super) struct Counts {
    active: AtomicU64,
    inactive: AtomicU64,
    failed: AtomicU64,
    kept: AtomicU64,
    full: AtomicU64,
    cooling_down: AtomicU64,
}

impl Counts {
    /// A question ended like that.
    pub(super) fn asked(&self, outcome: &Outcome) {
        one_more(match outcome {
            Outcome::Active { .. } => &self.active,
            Outcome::Inactive => &self.inactive,
            Outcome::Failed(_) => &self.failed,
        });
    }

    /// The answer was there.
    pub(super) fn kept(&self) {
        one_more(&self.kept);
    }

    /// The endpoint was left alone.
    pub(super) fn unasked(&self, busy: Busy) {
        one_more(match busy {
            Busy::Full => &self.full,
            Busy::CoolingDown => &self.cooling_down,
        });
    }

    /// What was counted.
    pub(super) fn told(&self, name: &str) -> Introspections {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Introspections {
            name: name.to_owned(),
            active: of(&self.active),
            inactive: of(&self.inactive),
            failed: of(&self.failed),
            kept: of(&self.kept),
            full: of(&self.full),
            cooling_down: of(&self.cooling_down),
        }
    }
}

fn one_more(count: &AtomicU64) {
    count.fetch_add(1, Ordering::Relaxed);
}
