//! The answers of one endpoint, kept for a while.
//!
//! Answers that vouch for a token and all others are kept apart: anybody can make any number of tokens that nobody
//! vouches for, and they must not push out those that are good. For longer than the answers themselves it is remembered
//! which tokens were good, so that they can be asked about first.

use std::sync::Arc;
use std::time::{Duration, Instant};

use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use serde_json::{Map, Value};

use super::Outcome;
use crate::identity::cache::Digest;

/// Bytes of answers that vouch for a token.
const MAX_ACTIVE_BYTES: u64 = 16 * 1024 * 1024;
/// How many other answers.
pub(super) const MAX_OTHERS: u64 = 10_000;
/// For how long the others are remembered.
pub(super) const OTHERS_AGE: Duration = Duration::from_secs(5);
/// For how many tokens it is remembered that they were good.
const MAX_LATELY: u64 = 10_000;
/// For how long, after the answer has become too old.
const LATELY: Duration = Duration::from_secs(600);
/// What an entry takes beside its claims.
const ENTRY_BYTES: usize = 512;

/// Answers by the digest of their token.
pub(super) struct KeptAnswers {
    active: Cache<Digest, Kept>,
    others: Cache<Digest, Kept>,
    lately: Cache<Digest, ()>,
}

#[derive(Clone)]
struct Kept {
    outcome: Arc<Outcome>,
    until: Instant,
    bytes: u32,
}

impl KeptAnswers {
    /// Keeps what vouches for a token for at most `active_age`. The newest answers stay (and not the most wanted ones,
    /// as is usual): whoever has waited for an answer must find it.
    pub(super) fn new(active_age: Duration) -> Self {
        Self {
            active: Cache::builder()
                .max_capacity(MAX_ACTIVE_BYTES)
                .weigher(|_, kept: &Kept| kept.bytes)
                .time_to_live(active_age)
                .eviction_policy(EvictionPolicy::lru())
                .build(),
            others: Cache::builder()
                .max_capacity(MAX_OTHERS)
                .time_to_live(OTHERS_AGE)
                .eviction_policy(EvictionPolicy::lru())
                .build(),
            lately: Cache::builder()
                .max_capacity(MAX_LATELY)
                .time_to_live(active_age + LATELY)
                .eviction_policy(EvictionPolicy::lru())
                .build(),
        }
    }

    /// What was answered about the token with that digest, while it counts.
    pub(super) fn get(&self, digest: &Digest) -> Option<Arc<Outcome>> {
        let fresh = |kept: &Kept| Instant::now() < kept.until;
        let kept = self.active.get(digest).filter(fresh);
        kept.or_else(|| self.others.get(digest).filter(fresh))
            .map(|kept| kept.outcome)
    }

    /// True if the last answer about the token with that digest vouched for it, not too long ago.
    pub(super) fn vouched_lately(&self, digest: &Digest) -> bool {
        self.lately.contains_key(digest)
    }

    /// Keeps an answer in place of an earlier one about the same token. One that does not vouch for the token (now)
    /// counts until `until`.
    pub(super) fn put(&self, digest: Digest, outcome: Outcome, until: Instant) {
        match &outcome {
            Outcome::Active {
                claims,
                believed_until,
            } if Instant::now() < *believed_until => {
                let bytes = u32::try_from(object_bytes(claims) + ENTRY_BYTES).unwrap_or(u32::MAX);
                let until = *believed_until;
                let outcome = Arc::new(outcome);
                self.active.insert(
                    digest,
                    Kept {
                        outcome,
                        until,
                        bytes,
                    },
                );
                self.others.invalidate(&digest);
                self.lately.insert(digest, ());
            }
            _ => {
                if outcome == Outcome::Inactive {
                    self.lately.invalidate(&digest);
                }
                let outcome = Arc::new(outcome);
                self.others.insert(
                    digest,
                    Kept {
                        outcome,
                        until,
                        bytes: 0,
                    },
                );
                self.active.invalidate(&digest);
            }
        }
    }

    /// As after a while.
    #[cfg(test)]
    pub(super) fn forget(&self) {
        self.active.invalidate_all();
        self.others.invalidate_all();
    }

    #[cfg(test)]
    pub(super) fn counts(&self) -> (u64, u64) {
        self.active.run_pending_tasks();
        self.others.run_pending_tasks();
        (self.active.entry_count(), self.others.entry_count())
    }
}

/// About what an object takes in memory, beside itself.
fn object_bytes(object: &Map<String, Value>) -> usize {
    let member = |(name, value): (&String, &Value)| 2 * size_of::<Value>() + name.len() + value_bytes(value);
    object.iter().map(member).sum()
}

fn value_bytes(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(entries) => entries.iter().map(|e| size_of::<Value>() + value_bytes(e)).sum(),
        Value::Object(object) => object_bytes(object),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}
