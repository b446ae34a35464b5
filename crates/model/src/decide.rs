//! The one trait between the doors and the judgement.

use std::future::Future;

use crate::{Check, Contract, Decision, Reason};

/// Turns checks into decisions. Doors know nothing else of the judgement.
pub trait Decide: Send + Sync + 'static {
    /// The warm path: answers at once, or `None` when something has to be fetched first. Never blocks.
    fn decide_now(&self, check: &Check<'_>) -> Option<Decision>;

    /// The cold path: may wait for keys, within the check's timeout. Always ends in a decision.
    fn decide(&self, check: &Check<'_>) -> impl Future<Output = Decision> + Send;

    /// The answer to what could not even be made into a check. Always a denial.
    fn refuse(&self, malformed: &Malformed) -> Decision;
}

/// Why a contract could not make a [`Check`] of what the proxy sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// The contract that refused.
    pub contract: Contract,
    /// The class of the refusal.
    pub reason: Reason,
    /// What was wrong, for the log.
    pub detail: String,
}
