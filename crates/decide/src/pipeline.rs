//! The order of the steps, from a check to a decision. Start reading at [`Pipeline::judge`].

mod answer;
mod gate;
mod login;
mod what;
mod who;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use model::{Check, Decide, Decision, Malformed, Permit, Principal, PrincipalKind, Reason};
use tokio::runtime::Handle;

use self::answer::{Stop, answer, deny};
use self::who::Who;
use crate::client_ip::client_ip;
use crate::identity::{Awaited, DEFAULT_CACHE_BYTES, Identity, IssuerStatus};
use crate::policy::Circumstances;
use crate::problem::Problem;
use crate::record::{Record, Recorder};
use crate::rules::{Persona, Rules};

/// How long a check may wait for keys when the proxy does not say how long it waits itself.
const PATIENCE: Duration = Duration::from_secs(5);

/// Rules, identity and records, joined: this is what doors ask.
pub struct Pipeline {
    rules: Rules,
    identity: Identity<Result<Persona, String>>,
    recorder: Box<dyn Recorder>,
}

/// What the walk found out so far, for the record.
#[derive(Default)]
struct Story<'r> {
    who: Option<Who>,
    client_ip: Option<IpAddr>,
    route: Option<&'r str>,
    action: Option<&'r str>,
    resource: Option<String>,
}

impl Pipeline {
    /// Starts to answer by `rules`. Keys are fetched on the runtime `fetching`.
    ///
    /// # Errors
    /// Problems of the issuers' settings.
    pub fn start(rules: Rules, recorder: Box<dyn Recorder>, fetching: &Handle) -> Result<Self, Vec<Problem>> {
        let headers = Arc::clone(&rules.identity_headers);
        let identity = Identity::new(&rules.identity, DEFAULT_CACHE_BYTES, fetching, move |principal| {
            Persona::new(principal, &headers)
        })?;
        Ok(Self {
            rules,
            identity,
            recorder,
        })
    }

    /// The rules that are in force.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// How the keys of each issuer are.
    pub fn issuers(&self) -> Vec<IssuerStatus> {
        self.identity.status()
    }

    /// Waits until the keys of every issuer were fetched once, or could not be.
    pub async fn first_key_fetches(&self) {
        self.identity.first_attempts().await;
    }

    /// The walk. Every `?` is a denial (or the wait for a key); only the last line says yes.
    fn judge<'r>(
        &'r self,
        check: &Check<'_>,
        waited: Waited,
        story: &mut Story<'r>,
    ) -> Result<(Permit, Vec<Arc<str>>), Stop> {
        let now = SystemTime::now();
        story.client_ip = client_ip(
            check,
            check.listener.trusted_hops.unwrap_or(self.rules.trusted_hops),
        );
        self.gate(check)?;
        let who = story.who.insert(self.identify(check, waited, now)?);
        let persona = who.persona(&self.rules)?;
        let path = self.comparable(check);
        let what = self.route(check, &path, who.kind(), &mut story.route)?;
        story.action = Some(&what.action.name);
        story.resource = Some(what.resource.uid().to_string());
        let circumstances = Circumstances {
            check,
            client_ip: story.client_ip,
            now,
            token_age: who.token_age(now),
            path: &path,
            capability_path: what.capability_path.as_deref(),
            client_certificates: self.rules.client_certificates.as_ref(),
        };
        let policies = &self.rules.policies;
        let (judgement, actor) = policies.judge(&persona.entity, what.action, &what.resource, &circumstances);
        let edits = self.edits(who, persona, &what)?;
        answer(judgement, who, actor, &edits, what.route)
    }

    /// Walks once; `Err` when something must be waited for first.
    fn walk(&self, check: &Check<'_>, waited: Waited, started: Instant) -> Result<Decision, Awaited> {
        let mut story = Story::default();
        let verdict = self.judge(check, waited, &mut story);
        let version = self.rules.version.clone();
        let decision = match verdict {
            Ok((permit, policies)) => Decision::allow(permit, policies, version),
            Err(Stop::Denied(mut denial, policies)) => {
                denial.redirect = self.login(check, denial.status);
                Decision::deny(*denial, policies, version)
            }
            Err(Stop::Wait(wanted)) => return Err(wanted),
        };
        self.record(Some(check), &story, &decision, check.contract, started);
        Ok(decision)
    }

    /// The one place that offers records.
    fn record(
        &self,
        check: Option<&Check<'_>>,
        story: &Story<'_>,
        decision: &Decision,
        contract: model::Contract,
        started: Instant,
    ) {
        let anonymous = || story.who.as_ref().map(Who::kind) == Some(PrincipalKind::Anonymous);
        let nobody = anonymous().then(Principal::anonymous);
        self.recorder.offer(&Record {
            decision,
            contract,
            check,
            principal: story.who.as_ref().and_then(Who::principal).or(nobody.as_ref()),
            key_id: story.who.as_ref().and_then(Who::key_id),
            route: story.route,
            action: story.action,
            resource: story.resource.as_deref(),
            client_ip: story.client_ip,
            took: started.elapsed(),
        });
    }
}

/// Whether was waited already.
#[derive(Clone, Copy)]
enum Waited {
    No,
    Yes,
}

impl Decide for Pipeline {
    fn decide_now(&self, check: &Check<'_>) -> Option<Decision> {
        self.walk(check, Waited::No, Instant::now()).ok()
    }

    async fn decide(&self, check: &Check<'_>) -> Decision {
        let started = Instant::now();
        let wanted = match self.walk(check, Waited::No, started) {
            Ok(decision) => return decision,
            Err(wanted) => wanted,
        };
        // Some of the proxy's own time is left for the way back.
        let patience = check
            .timeout
            .map_or(PATIENCE, |timeout| timeout.mul_f64(0.8).min(PATIENCE));
        let in_time = tokio::time::timeout(patience, wanted.wait()).await;
        match (in_time, self.walk(check, Waited::Yes, started)) {
            (_, Ok(decision)) => decision,
            (_, Err(_)) => {
                let log = "it was waited twice".to_owned();
                let denial = deny(
                    403,
                    Reason::Internal,
                    "the request cannot be checked right now",
                    log,
                );
                Decision::deny(denial, Vec::new(), self.rules.version.clone())
            }
        }
    }

    fn refuse(&self, malformed: &Malformed) -> Decision {
        let (status, caller) = match malformed.reason {
            Reason::AmbiguousPath => (400, "the path can be read in more than one way"),
            Reason::InvalidHost => (400, "the host is not valid"),
            Reason::Timeout | Reason::Internal | Reason::Overloaded => {
                (403, "the request cannot be checked right now")
            }
            Reason::StrangePeer => (403, "this is not the place to ask"),
            _ => (400, "the request cannot be read"),
        };
        let denial = deny(status, malformed.reason, caller, malformed.detail.clone());
        let decision = Decision::deny(denial, Vec::new(), self.rules.version.clone());
        self.record(
            None,
            &Story::default(),
            &decision,
            malformed.contract,
            Instant::now(),
        );
        decision
    }
}

#[cfg(test)]
mod tests;
