//! How verifying credentials ended, counted by whoever vouches for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::refusal::TokenRefusal;
use super::verifier::Verifier;

/// Stands for the name where nobody knows a credential, or nobody was asked. No short name looks like it.
pub const NOBODY: &str = "(none)";
/// So many threads count in lines of the cache of their own.
const THREADS: usize = 16;

/// How it ended for one credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Verified,
    Refused,
    /// What it takes to verify it is not at hand.
    Unavailable,
}

/// What is counted for each verifier, by its place, and behind them for nobody. Copies count the same.
#[derive(Clone, Debug)]
pub(super) struct Outcomes(Arc<[(String, Arc<Counts>)]>);

#[derive(Debug, Default)]
struct Counts([OfThread; THREADS]);

/// By [`Outcome`].
#[derive(Debug, Default)]
#[repr(align(128))]
struct OfThread([AtomicU64; 3]);

/// How verifying credentials of one who vouches for them ended so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verifications {
    /// The short name, or [`NOBODY`].
    pub issuer: String,
    /// They are good.
    pub verified: u64,
    /// They are not.
    pub refused: u64,
    /// There was no way to tell: keys or the endpoint were not at hand.
    pub unavailable: u64,
}

impl Outcome {
    /// What a refusal comes to.
    pub(super) fn of(reason: &TokenRefusal) -> Self {
        match reason.is_for_want_of_keys() {
            true => Self::Unavailable,
            false => Self::Refused,
        }
    }
}

impl Outcomes {
    /// From nothing.
    pub(super) fn anew(verifiers: &[Verifier]) -> Self {
        Self::with(&[], verifiers)
    }

    /// With what was counted before for the same names.
    pub(super) fn after(before: &Self, verifiers: &[Verifier]) -> Self {
        Self::with(&before.0, verifiers)
    }

    fn with(before: &[(String, Arc<Counts>)], verifiers: &[Verifier]) -> Self {
        let mut all: Vec<(String, Arc<Counts>)> = Vec::with_capacity(verifiers.len() + 1);
        for name in verifiers.iter().map(Verifier::label).chain([NOBODY]) {
            // Several verifiers can have one name.
            let known = all.iter().chain(before).find(|(known, _)| known == name);
            let counts = known.map(|(_, counts)| Arc::clone(counts));
            all.push((name.to_owned(), counts.unwrap_or_default()));
        }
        Self(all.into())
    }

    /// Counts for the verifier at that place, or for nobody.
    pub(super) fn count(&self, verifier: Option<usize>, outcome: Outcome) {
        thread_local! {
            static PLACE: usize = {
                static PLACES: AtomicUsize = AtomicUsize::new(0);
                PLACES.fetch_add(1, Ordering::Relaxed) % THREADS
            };
        }
        let counts = match verifier {
            Some(place) => self.0.get(place),
            None => self.0.last(),
        };
        let of_thread = counts.and_then(|(_, counts)| PLACE.with(|place| counts.0.get(*place)));
        if let Some(count) = of_thread.and_then(|OfThread(counts)| counts.get(outcome as usize)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What was counted, once for each name.
    pub(super) fn told(&self) -> Vec<Verifications> {
        let mut told: Vec<Verifications> = Vec::new();
        for (name, counts) in &*self.0 {
            if told.iter().any(|told| told.issuer == *name) {
                continue;
            }
            let sum = |outcome: Outcome| {
                let of_threads = counts.0.iter();
                let counts = of_threads.filter_map(|OfThread(counts)| counts.get(outcome as usize));
                counts.map(|count| count.load(Ordering::Relaxed)).sum()
            };
            told.push(Verifications {
                issuer: name.clone(),
                verified: sum(Outcome::Verified),
                refused: sum(Outcome::Refused),
                unavailable: sum(Outcome::Unavailable),
            });
        }
        told
    }
}
