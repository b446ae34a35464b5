//! What is told of a decision to whoever keeps records: once a check, in one place.

use std::net::IpAddr;
use std::time::Duration;

use cedar_policy::EntityUid;
use model::{Check, Contract, Decision, Principal, Verdict};

use crate::explain::Visible;
use crate::identity::CacheUse;
use crate::policy::PolicyError;
use crate::rules::Rules;
use crate::steps::Steps;

/// Everything worth keeping of one decision, borrowed. No token is in it.
#[derive(Debug)]
pub struct Record<'a, 'c> {
    /// The decision.
    pub decision: &'a Decision,
    /// The contract it came through.
    pub contract: Contract,
    /// The check, unless there was none to be made.
    pub check: Option<&'a Check<'c>>,
    /// Who asked, once that was known.
    pub principal: Option<&'a Principal>,
    /// The id of the key that verified the credential.
    pub key_id: Option<&'a str>,
    /// What was known of the token already; `None` where no token was verified.
    pub token_cache: Option<CacheUse>,
    /// The route that matched.
    pub route: Option<&'a str>,
    /// The action, by name.
    pub action: Option<&'a str>,
    /// The resource.
    pub resource: Option<&'a EntityUid>,
    /// When the credential was issued, in Unix seconds.
    pub issued_at: Option<f64>,
    /// What of the request may be shown.
    pub visible: Visible<'a>,
    /// The other end of a COPY or MOVE: `to /path`, or `to` or `from` another host.
    pub other_end: Option<&'a str>,
    /// The client's address.
    pub client_ip: Option<IpAddr>,
    /// Policies that could not be evaluated, whether or not the decision depends on them.
    pub errors: &'a [PolicyError],
    /// From the check's arrival in the pipeline to the decision.
    pub took: Duration,
    /// How that time went into steps; only of some checks.
    pub steps: Option<Steps>,
}

impl<'a> Record<'a, '_> {
    /// The record of a decision about which nothing else is known.
    pub fn of(decision: &'a Decision, contract: Contract) -> Self {
        Self {
            decision,
            contract,
            check: None,
            principal: None,
            key_id: None,
            token_cache: None,
            route: None,
            action: None,
            resource: None,
            issued_at: None,
            visible: Visible::nothing(),
            other_end: None,
            client_ip: None,
            errors: &[],
            took: Duration::ZERO,
            steps: None,
        }
    }

    /// Why, in a line for operators: the full reason of a denial, or the policies that permitted.
    pub fn why(&self) -> String {
        why(self.decision)
    }
}

/// Why it was decided like that, in a line for operators.
pub(crate) fn why(decision: &Decision) -> String {
    match decision.verdict() {
        Verdict::Allow(_) if let Some(audited) = decision.audited() => {
            format!("only audited, would have been denied: {}", audited.denial.log)
        }
        Verdict::Allow(_) => format!("permitted by {}", decision.policies().join(", ")),
        Verdict::Deny(denial) => denial.log.clone(),
    }
}

/// Keeps records. It must not block: what cannot be kept at once is dropped and counted.
pub trait Recorder: Send + Sync + 'static {
    /// Takes a record, or drops it.
    fn offer(&self, record: &Record<'_, '_>);

    /// Is told of the rules before the first decision is made by them.
    fn ruled_by(&self, _rules: &Rules) {}

    /// How many records were dropped so far, by where: in the `queue`, or at a sink.
    fn dropped(&self) -> Vec<(&'static str, u64)> {
        vec![("queue", 0)]
    }
}
