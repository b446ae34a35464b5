//! Candidate policies, asked beside the ones in force: what would be answered otherwise, before it is.
//!
//! Decisions that policies made are asked about again, by a thread of its own and off the answer's way. The candidate
//! never changes an answer. What differs is counted, logged, and kept for `portcullis shadow report`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use model::{Audited, Decision, Denial, PrincipalKind, Verdict};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rules::Rules;

/// How many different differences are told apart; of more, only the number is known.
const MOST_DIFFERENCES: usize = 1000;

/// The share of decisions that the candidate is asked about: 0 is none, 1 is all.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Sample(#[schemars(range(min = 0.0, max = 1.0))] pub f64);

impl Default for Sample {
    fn default() -> Self {
        Self(1.0)
    }
}

/// Candidate rules, and how often they are asked.
#[derive(Debug)]
pub struct Candidate {
    /// The same settings with other policies.
    pub rules: Arc<Rules>,
    /// The share of decisions they are asked about.
    pub sample: Sample,
}

/// One answer, as far as it matters whether another one is the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Answer {
    /// `allow` or `deny`.
    pub verdict: &'static str,
    /// HTTP status of a denial.
    pub status: Option<u16>,
    /// The class of the reason.
    pub reason: &'static str,
    /// The policies that determined it.
    pub policies: Vec<Arc<str>>,
}

/// What was asked, as far as differences are told apart by it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Asked {
    /// The route that matched.
    pub route: Arc<str>,
    /// The action, by name.
    pub action: Arc<str>,
    /// `User`, `Client`, `Robot` or `Anonymous`.
    pub principal_type: &'static str,
}

/// The same difference, as often as it was seen.
#[derive(Clone, Debug, Serialize)]
pub struct Difference {
    /// What was asked.
    #[serde(flatten)]
    pub asked: Asked,
    /// What is answered.
    pub live: Answer,
    /// What the candidate would answer.
    pub candidate: Answer,
    /// How often.
    pub count: u64,
    /// The latest one.
    pub example: Example,
}

/// A decision that would have been another one.
#[derive(Clone, Debug, Serialize)]
pub struct Example {
    /// The decision's id.
    pub decision_id: String,
    /// When, in Unix seconds.
    pub time: u64,
    /// Who asked.
    pub principal: String,
    /// Method and path, without the query.
    pub request: String,
    /// The resource, as Cedar writes it.
    pub resource: String,
    /// Why it was answered as it was, in words.
    pub live: String,
    /// Why the candidate would have answered otherwise, in words.
    pub candidate: String,
}

/// What the candidate was asked, and what came of it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ShadowReport {
    /// The version of the rules in force; empty without a candidate.
    pub live_version: String,
    /// The version of the candidate; empty without one.
    pub candidate_version: String,
    /// Decisions asked about again.
    pub compared: u64,
    /// Of these, allowed now and denied by the candidate.
    pub newly_denied: u64,
    /// Of these, denied now and allowed by the candidate.
    pub newly_allowed: u64,
    /// Of these, denied by both with another status.
    pub otherwise_denied: u64,
    /// Decisions that were not asked about because the thread did not keep up, or because their body is too large to keep.
    pub dropped: u64,
    /// Differences that are only counted, because there were too many different ones.
    pub untold: u64,
    /// What differs, the most frequent first.
    pub differences: Vec<Difference>,
}

/// The report while it grows.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    report: ShadowReport,
    differences: HashMap<(Asked, Answer, Answer), (u64, Example)>,
}

impl Answer {
    /// What policies say, also where they are only audited.
    pub(crate) fn of(decision: &Decision) -> Self {
        if let Some(Audited { denial, policies }) = decision.audited() {
            return Self {
                verdict: "deny",
                status: Some(denial.status),
                reason: denial.reason.as_str(),
                policies: policies.clone(),
            };
        }
        let status = match decision.verdict() {
            Verdict::Allow(_) => None,
            Verdict::Deny(Denial { status, .. }) => Some(*status),
        };
        Self {
            verdict: if decision.is_allow() { "allow" } else { "deny" },
            status,
            reason: decision.reason().as_str(),
            policies: decision.policies().to_vec(),
        }
    }

    /// True if a client could tell the two apart.
    fn differs(&self, other: &Self) -> bool {
        (self.verdict, self.status) != (other.verdict, other.status)
    }
}

impl Asked {
    pub(crate) fn new(route: &str, action: &str, principal: PrincipalKind) -> Self {
        Self {
            route: route.into(),
            action: action.into(),
            principal_type: principal.as_str(),
        }
    }
}

impl Tally {
    /// Begins anew if these are other rules than before.
    pub(crate) fn begin(&mut self, live: &str, candidate: &str) {
        if !self.is_about(live, candidate) {
            *self = Self::default();
            self.report.live_version = live.to_owned();
            self.report.candidate_version = candidate.to_owned();
        }
    }

    /// True if these are the rules that are compared.
    pub(crate) fn is_about(&self, live: &str, candidate: &str) -> bool {
        self.report.live_version == live && self.report.candidate_version == candidate
    }

    /// Counts one comparison. True the first time that this difference is seen.
    pub(crate) fn compare(
        &mut self,
        asked: Asked,
        live: Answer,
        candidate: Answer,
        example: impl FnOnce() -> Example,
    ) -> bool {
        self.report.compared += 1;
        if !live.differs(&candidate) {
            return false;
        }
        match (live.verdict, candidate.verdict) {
            ("allow", _) => self.report.newly_denied += 1,
            (_, "allow") => self.report.newly_allowed += 1,
            _ => self.report.otherwise_denied += 1,
        }
        let known = self.differences.len();
        match self.differences.entry((asked, live, candidate)) {
            std::collections::hash_map::Entry::Occupied(mut entry) => {
                let (count, latest) = entry.get_mut();
                *count += 1;
                *latest = example();
                false
            }
            std::collections::hash_map::Entry::Vacant(entry) if known < MOST_DIFFERENCES => {
                entry.insert((1, example()));
                true
            }
            std::collections::hash_map::Entry::Vacant(_) => {
                self.report.untold += 1;
                false
            }
        }
    }

    pub(crate) fn report(&self, dropped: u64) -> ShadowReport {
        let mut differences: Vec<Difference> = self
            .differences
            .iter()
            .map(|((asked, live, candidate), (count, example))| Difference {
                asked: asked.clone(),
                live: live.clone(),
                candidate: candidate.clone(),
                count: *count,
                example: example.clone(),
            })
            .collect();
        differences.sort_by(|a, b| {
            let name =
                |difference: &Difference| (difference.asked.route.clone(), difference.asked.action.clone());
            b.count.cmp(&a.count).then_with(|| name(a).cmp(&name(b)))
        });
        ShadowReport {
            dropped,
            differences,
            ..self.report.clone()
        }
    }
}

/// Unix seconds.
pub(crate) fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
