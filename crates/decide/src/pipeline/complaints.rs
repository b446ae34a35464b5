//! Policies that could not be evaluated: counted always, said in the log once a minute for each.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::policy::PolicyError;

/// How long to be silent about a policy after a warning.
const SILENCE: Duration = Duration::from_secs(60);
/// Of how many policies to remember when they were warned about.
const REMEMBERED: usize = 1000;

/// What was complained about, and when.
#[derive(Default)]
pub(super) struct Complaints {
    count: AtomicU64,
    said: Mutex<HashMap<Arc<str>, Instant>>,
}

impl Complaints {
    /// Counts `errors` of a decision and warns of those that were not warned about just now.
    pub(super) fn tell(&self, errors: &[PolicyError], decision: impl fmt::Display) {
        for error in errors {
            self.count.fetch_add(1, Ordering::Relaxed);
            if self.is_news(&error.policy, Instant::now()) {
                let (file, line) = match &error.place {
                    Some((file, line)) => (Some(&**file), Some(*line)),
                    None => (None, None),
                };
                tracing::warn!(
                    policy = %error.policy,
                    file,
                    line,
                    %decision,
                    "a policy could not be evaluated: {}",
                    error.message
                );
            }
        }
    }

    pub(super) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    fn is_news(&self, policy: &Arc<str>, now: Instant) -> bool {
        let Ok(mut said) = self.said.lock() else {
            return false;
        };
        if said
            .get(policy)
            .is_some_and(|at| now.duration_since(*at) < SILENCE)
        {
            return false;
        }
        if said.len() >= REMEMBERED {
            said.retain(|_, at| now.duration_since(*at) < SILENCE);
        }
        said.len() < REMEMBERED && {
            said.insert(Arc::clone(policy), now);
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_news_once_a_minute() {
        let complaints = Complaints::default();
        let start = Instant::now();
        for (policy, after, news) in [
            ("a", 0, true),
            ("a", 1, false),
            ("b", 1, true),
            ("a", 59, false),
            ("a", 60, true),
            ("b", 60, false),
        ] {
            let now = start + Duration::from_secs(after);
            assert_eq!(
                complaints.is_news(&policy.into(), now),
                news,
                "{policy} after {after} s"
            );
        }
        for policy in 0..2 * REMEMBERED {
            complaints.is_news(&policy.to_string().into(), start);
        }
        assert_eq!(complaints.said.lock().unwrap().len(), REMEMBERED);
    }
}
