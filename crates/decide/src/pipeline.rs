//! The order of the steps, from a check to a decision. Start reading at `Live::judge`.

mod answer;
mod audit;
mod complaints;
mod delegated;
mod destination;
mod explain;
mod gate;
mod house;
mod live;
mod login;
mod magpie;
mod missing;
mod notes;
mod shadow;
mod shown;
mod what;
mod who;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use cedar_policy::EntityUid;
use model::{Check, Decide, Decision, Denial, HouseView, Malformed, Principal, PrincipalKind, Reason};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use self::answer::{Stop, answer, deny};
use self::audit::{Word, Yes};
use self::complaints::Complaints;
pub use self::house::HouseAnswer;
pub use self::live::{Live, Replaced};
use self::notes::Notes;
use self::shadow::Shadows;
pub use self::shown::Unfit;
use self::who::Who;
use crate::client_ip::client_ip;
use crate::identity::{Awaited, Refused};
use crate::policy::{Circumstances, PolicyError};
use crate::problem::Problem;
use crate::record::{Record, Recorder};
use crate::rules::Rules;
use crate::shadow::ShadowReport;
use crate::steps::Step;

/// How long a check may wait for keys when the proxy does not say how long it waits itself.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many checks wait at a time unless the configuration says otherwise: as many as come in a fifth of a second when a proxy
/// with 20,000 requests a second meets an issuer whose keys are not there yet.
pub const DEFAULT_MAX_WAITING: usize = 4096;

/// What is in force and who keeps records, joined: this is what doors ask.
pub struct Pipeline {
    live: ArcSwap<Live>,
    recorder: Box<dyn Recorder>,
    shadows: Shadows,
    /// Where keys are fetched; nowhere if they are not.
    fetching: Option<Handle>,
    /// Held while rules are being replaced: one after the other.
    replacing: tokio::sync::Mutex<()>,
    complaints: Complaints,
    /// How many checks may wait.
    most_waiting: usize,
    /// Places of those that do not.
    may_wait: Semaphore,
}

/// What the walk found out so far, for the record.
#[derive(Default)]
struct Story<'r> {
    who: Option<Who>,
    client_ip: Option<IpAddr>,
    route: Option<&'r str>,
    action: Option<&'r str>,
    resource: Option<EntityUid>,
    errors: Vec<PolicyError>,
    notes: Notes,
    other_end: Option<String>,
}

/// What a walk ends with: a yes, or a stop.
type Verdict = Result<Yes, Stop>;

/// How a question is asked.
struct Asking<'q> {
    /// When.
    now: SystemTime,
    waited: Waited,
    /// By whom, instead of by whoever the credentials say: for questions that people ask about their rules, never for those
    /// of a proxy.
    given: Option<Given<'q>>,
}

/// Somebody whom nobody has to verify any more.
#[derive(Clone, Copy)]
enum Given<'q> {
    /// Somebody who is known.
    Principal {
        principal: &'q Principal,
        /// When the credential was issued, in Unix seconds.
        issued_at: Option<f64>,
        /// The client's address, when it is known already.
        client_ip: Option<IpAddr>,
    },
    /// Somebody whose credential is refused.
    Refused(&'q Refused),
}

impl Given<'_> {
    fn client_ip(&self) -> Option<IpAddr> {
        match self {
            Self::Principal { client_ip, .. } => *client_ip,
            Self::Refused(_) => None,
        }
    }
}

impl Pipeline {
    /// Starts to answer by `rules`. Keys are fetched on the runtime `fetching`.
    ///
    /// # Errors
    /// Problems of the issuers' settings.
    pub fn start(
        rules: impl Into<Arc<Rules>>,
        recorder: Box<dyn Recorder>,
        fetching: &Handle,
    ) -> Result<Self, Vec<Problem>> {
        let live = Live::new(rules.into(), fetching)?;
        recorder.ruled_by(&live.rules);
        Ok(Self {
            shadows: Shadows::about(&live),
            live: ArcSwap::from_pointee(live),
            recorder,
            fetching: Some(fetching.clone()),
            replacing: tokio::sync::Mutex::new(()),
            complaints: Complaints::default(),
            most_waiting: DEFAULT_MAX_WAITING,
            may_wait: Semaphore::new(DEFAULT_MAX_WAITING),
        })
    }

    /// Answers by `rules` to people only ([`Self::decide_as`]): no keys are fetched, and every token is refused.
    pub fn offline(rules: Arc<Rules>, recorder: Box<dyn Recorder>) -> Self {
        let live = Live::offline(rules);
        Self {
            shadows: Shadows::about(&live),
            live: ArcSwap::from_pointee(live),
            recorder,
            complaints: Complaints::default(),
            fetching: None,
            replacing: tokio::sync::Mutex::new(()),
            most_waiting: DEFAULT_MAX_WAITING,
            may_wait: Semaphore::new(DEFAULT_MAX_WAITING),
        }
    }

    /// The same, but no more checks than that wait at a time for keys or for what an issuer says of a token; others are denied
    /// at once ([`Reason::Overloaded`]).
    #[must_use]
    pub fn with_most_waiting(mut self, most: usize) -> Self {
        self.most_waiting = most.min(Semaphore::MAX_PERMITS);
        self.may_wait = Semaphore::new(self.most_waiting);
        self
    }

    /// How many checks wait at this moment.
    pub fn waiting(&self) -> usize {
        self.most_waiting
            .saturating_sub(self.may_wait.available_permits())
    }

    /// Answers by other rules from now on. A request that has begun ends by the rules it began with,
    /// unless it must wait for keys: then it begins again, by those that are in force after the wait.
    ///
    /// Keys are kept for every issuer whose settings are the same. Those of a new issuer are fetched before, as long as
    /// that takes no more than some seconds; after that the rules are replaced all the same, and until the keys are there
    /// tokens of that issuer are denied. It must not hold up everything else, a new forbid for example.
    ///
    /// # Errors
    /// Problems of the issuers' settings; then nothing has changed.
    pub async fn replace(&self, rules: Arc<Rules>) -> Result<Replaced, Vec<Problem>> {
        let _alone = self.replacing.lock().await;
        let next = match &self.fetching {
            Some(fetching) => self.live.load_full().successor(rules, fetching)?,
            None => Live::offline(rules),
        };
        let next = Arc::new(next);
        // Whether they have come or not is seen by whoever needs them.
        let _ = tokio::time::timeout(PATIENCE, next.first_key_fetches()).await;
        self.shadows.begin(&next);
        self.recorder.ruled_by(&next.rules);
        Ok(Replaced(self.live.swap(next)))
    }

    /// Answers by this view of the store from now on.
    pub fn publish(&self, view: HouseView) {
        self.live.load().identity.house().publish(view);
    }

    /// The view of the store that answers go by.
    pub fn house_view(&self) -> Arc<HouseView> {
        Arc::clone(&self.live.load().identity.house().view())
    }

    /// What is in force at this moment.
    pub fn live(&self) -> Arc<Live> {
        self.live.load_full()
    }

    /// What candidate policies would answer otherwise; `None` if there are none.
    pub fn shadow_report(&self) -> Option<ShadowReport> {
        self.shadows.report(&self.live.load())
    }

    /// How many times a policy could not be evaluated.
    pub fn policy_errors(&self) -> u64 {
        self.complaints.count()
    }

    /// Decides about `check` as if `principal` had asked at the time `now` (nobody: [`Principal::anonymous`]): for people
    /// who ask about their rules. Credentials in the check are not looked at.
    pub fn decide_as(&self, check: &Check<'_>, principal: &Principal, now: SystemTime) -> Decision {
        let given = Given::Principal {
            principal,
            issued_at: None,
            client_ip: None,
        };
        self.decide_given(check, given, now)
    }

    /// Denies `check` as if somebody had asked whose credential is refused like that.
    pub fn decide_refused(&self, check: &Check<'_>, refused: &Refused, now: SystemTime) -> Decision {
        self.decide_given(check, Given::Refused(refused), now)
    }

    fn decide_given(&self, check: &Check<'_>, given: Given<'_>, now: SystemTime) -> Decision {
        let asking = Asking {
            now,
            waited: Waited::Yes,
            given: Some(given),
        };
        let live = self.live.load_full();
        let started = Instant::now();
        self.walk(&live, check, &asking, started)
            .unwrap_or_else(|_| self.waited_twice(&live, check, check.contract, started))
    }

    /// Walks once; `Err` when something must be waited for first.
    fn walk(
        &self,
        live: &Arc<Live>,
        check: &Check<'_>,
        asking: &Asking<'_>,
        started: Instant,
    ) -> Result<Decision, Awaited> {
        let mut story = Story {
            notes: Notes::sampled(live.rules.measure_steps_every, asking, started),
            ..Story::default()
        };
        self.tell(live, check, asking, started, &mut story)
    }

    /// Walks once, and leaves in `story` what it found out.
    fn tell<'r>(
        &self,
        live: &'r Arc<Live>,
        check: &Check<'_>,
        asking: &Asking<'_>,
        started: Instant,
        story: &mut Story<'r>,
    ) -> Result<Decision, Awaited> {
        let verdict = live.judge(check, asking, story);
        story.notes.over();
        let decision = decided(live, check, verdict)?;
        self.shadows.offer(live, check, asking.now, story, &decision);
        // Last: after a panic in anything before, the denial is the one that is recorded and counted.
        self.record(live, Some(check), story, &decision, check.contract, started);
        Ok(decision)
    }

    /// The one place that offers records.
    fn record(
        &self,
        live: &Live,
        check: Option<&Check<'_>>,
        story: &Story<'_>,
        decision: &Decision,
        contract: model::Contract,
        started: Instant,
    ) {
        let anonymous = || story.who.as_ref().map(Who::kind) == Some(PrincipalKind::Anonymous);
        let nobody = anonymous().then(Principal::anonymous);
        self.complaints.tell(&story.errors, decision.id());
        self.recorder.offer(&Record {
            decision,
            contract,
            check,
            principal: story.who.as_ref().and_then(Who::principal).or(nobody.as_ref()),
            key_id: story.who.as_ref().and_then(Who::key_id),
            token_cache: story.who.as_ref().and_then(Who::token_cache),
            route: story.route,
            action: story.action,
            resource: story.resource.as_ref(),
            issued_at: story.who.as_ref().and_then(Who::issued_at),
            visible: live.visible(),
            other_end: story.other_end.as_deref(),
            client_ip: story.client_ip,
            errors: &story.errors,
            took: started.elapsed(),
            steps: story.notes.steps(),
        });
    }

    /// Denies a check that would have to wait, because too many do.
    fn shed(&self, live: &Live, check: &Check<'_>, started: Instant) -> Decision {
        let denial = deny(
            403,
            Reason::Overloaded,
            "the request cannot be checked right now",
            format!("{} checks wait already (`limits.max_waiting`)", self.most_waiting),
        );
        let decision = denied(live, Some(check), denial, Vec::new());
        let story = Story::default();
        self.record(live, Some(check), &story, &decision, check.contract, started);
        decision
    }

    fn waited_twice(
        &self,
        live: &Live,
        check: &Check<'_>,
        contract: model::Contract,
        started: Instant,
    ) -> Decision {
        let decision = Self::after_waiting_twice(live);
        self.record(live, Some(check), &Story::default(), &decision, contract, started);
        decision
    }

    fn after_waiting_twice(live: &Live) -> Decision {
        let denial = deny(
            403,
            Reason::Internal,
            "the request cannot be checked right now",
            "it was waited twice".to_owned(),
        );
        denied(live, None, denial, Vec::new())
    }
}

impl Live {
    /// The walk. Every `?` is a denial (or the wait for a key); only the last line says yes.
    fn judge<'r>(&'r self, check: &Check<'_>, asking: &Asking<'_>, story: &mut Story<'r>) -> Verdict {
        let now = asking.now;
        let known = asking.given.and_then(|given| given.client_ip());
        let hops = check.listener.trusted_hops.unwrap_or(self.rules.trusted_hops);
        story.client_ip = known.or_else(|| client_ip(check, hops));
        story.notes.at(Step::Gate);
        self.gate(check)?;
        story.notes.at(Step::Identity);
        let who = story.who.insert(self.identify(check, asking)?);
        let persona = who.persona(&self.rules)?;
        story.notes.at(Step::Route);
        let path = self.comparable(check);
        let what = self.route(check, &path, who.kind(), &mut story.route)?;
        story.action = Some(&what.action.name);
        story.resource = Some(what.resource.uid().clone());
        self.within_delegation(who, what.action, &what.resource)?;
        let ends = self.ends(check, &what)?;
        story.other_end = ends.as_ref().map(ToString::to_string);
        let magpie = self.magpie(check, &what, who)?;
        let circumstances = Circumstances {
            check,
            client_ip: story.client_ip,
            now,
            token_age: who.token_age(now),
            path: &path,
            capability_path: what.capability_path.as_deref(),
            ends: ends.as_ref(),
            expose: what.route.map_or(&self.rules.expose, |route| &route.expose),
            public: what.route.is_some_and(|route| route.public),
            magpie: magpie.as_ref(),
            thorough: asking.given.is_some() || self.shadow.is_some(),
            client_certificates: self.rules.client_certificates.as_ref(),
        };
        let policies = &self.rules.policies;
        story.notes.at(Step::Policies);
        let judged = policies.judge(&persona.entity, what.action, &what.resource, &circumstances);
        story.errors = judged.errors;
        story.notes.write(|notes| {
            notes.questions = policies.explain(&persona.entity, what.action, &what.resource, &circumstances);
            notes.action_groups = policies.groups_of(what.action);
            notes.magpie = self.explain_magpie(who, magpie.as_ref());
        });
        story.notes.at(Step::Answer);
        let missing = self.missing(
            &judged.judgement,
            persona,
            what.action,
            &what.resource,
            &circumstances,
        );
        let edits = self.edits(who, persona, &what, &judged.judgement)?;
        let verdict = answer(judged.judgement, who, judged.actor, &missing, &edits, what.route);
        let yes = self.enforce(verdict, &edits, what.route)?;
        self.judge_destination(
            who,
            persona,
            &circumstances,
            yes,
            (&mut story.errors, &mut story.notes),
        )
    }
}

/// The decision that a walk ends with; `Err` when something must be waited for first.
fn decided(live: &Live, check: &Check<'_>, verdict: Verdict) -> Result<Decision, Awaited> {
    let version = live.rules.version.clone();
    match verdict {
        Ok(Yes { permit, word }) => Ok(match word {
            Word::Policies(policies) => Decision::allow(permit, policies, version),
            Word::Audit(audited) => Decision::audit(permit, audited, version),
        }),
        Err(Stop::Denied(mut denial, policies)) => {
            denial.redirect = live.login(check, denial.status);
            Ok(denied(live, Some(check), *denial, policies))
        }
        Err(Stop::Wait(wanted)) => Err(wanted),
    }
}

/// A no as the caller gets to see it.
fn denied(live: &Live, check: Option<&Check<'_>>, mut denial: Denial, policies: Vec<Arc<str>>) -> Decision {
    let denials = &live.rules.denials;
    denials.say(&mut denial);
    let decision = Decision::deny(denial, policies, live.rules.version.clone());
    denials.dress(decision, check)
}

/// Whether it was waited already.
#[derive(Clone, Copy)]
enum Waited {
    No,
    Yes,
}

impl Decide for Pipeline {
    fn decide_now(&self, check: &Check<'_>) -> Option<Decision> {
        self.walk(
            &self.live.load(),
            check,
            &Asking::by_credentials(Waited::No),
            Instant::now(),
        )
        .ok()
    }

    async fn decide(&self, check: &Check<'_>) -> Decision {
        let started = Instant::now();
        let live = self.live.load_full();
        let wanted = match self.walk(&live, check, &Asking::by_credentials(Waited::No), started) {
            Ok(decision) => return decision,
            Err(wanted) => wanted,
        };
        let Ok(_place) = self.may_wait.try_acquire() else {
            return self.shed(&live, check, started);
        };
        // Some of the proxy's own time is left for the way back.
        let patience = check
            .timeout
            .map_or(PATIENCE, |timeout| timeout.mul_f64(0.8).min(PATIENCE));
        let in_time = tokio::time::timeout(patience, wanted.wait()).await;
        let asking = Asking::by_credentials(Waited::Yes);
        // A forbid that came into force meanwhile counts.
        let live = self.live.load_full();
        match (in_time, self.walk(&live, check, &asking, started)) {
            (_, Ok(decision)) => decision,
            (_, Err(_)) => self.waited_twice(&live, check, check.contract, started),
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
        let live = self.live.load();
        let decision = denied(&live, None, denial, Vec::new());
        self.record(
            &live,
            None,
            &Story::default(),
            &decision,
            malformed.contract,
            Instant::now(),
        );
        decision
    }
}

impl Asking<'_> {
    /// As proxies ask: now, and whoever the credentials say.
    fn by_credentials(waited: Waited) -> Self {
        Self {
            now: SystemTime::now(),
            waited,
            given: None,
        }
    }
}

#[cfg(test)]
mod tests;
