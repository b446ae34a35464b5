//! The thread that asks the candidate about decisions that were made already.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::SystemTime;

use model::{Body, Check, Decision, Keep, OwnedCheck, Principal, Target};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::live::Live;
use super::who::Who;
use super::{Asking, Given, Story, Waited, decided};
use crate::record::why;
use crate::rules::Rules;
use crate::shadow::{Answer, Asked, Candidate, Example, Sample, ShadowReport, Tally, seconds};

/// How many decisions may wait for the thread; more are dropped and counted.
const QUEUE: usize = 1024;

/// How many bytes they may take together. They outlive their requests, so no bound on those is one on them.
const ROOM: usize = 16 * 1024 * 1024;

/// What a decision takes at least, with what is said about it.
const LEAST: usize = ROOM / QUEUE;

/// Decisions about larger bodies are not compared: without their body they would be about something else.
pub(super) const LARGEST_BODY: usize = 64 * 1024;

/// Request headers that a judgement may need although policies do not look at them.
const NEEDED: [&str; 6] = [
    "x-forwarded-for",
    "origin",
    "access-control-request-method",
    "destination",
    "source",
    "content-type",
];

/// Request headers of which it matters that they are there: a request with a token is no CORS preflight.
const MARKS: [&str; 1] = ["authorization"];

/// Candidate rules, ready to be asked, and what of a request they need.
pub(super) struct Shadow {
    live: Live,
    sample: Sample,
    headers: Vec<String>,
    metadata: Vec<(String, Vec<Box<str>>)>,
    body: bool,
}

/// Where decisions are offered; the thread starts with the first of them.
pub(super) struct Shadows {
    thread: OnceLock<Option<SyncSender<Decided>>>,
    offered: AtomicU64,
    dropped: AtomicU64,
    tally: Arc<Mutex<Tally>>,
    /// What is free of [`ROOM`].
    pub(super) room: Arc<Semaphore>,
}

/// A decision with all that is needed to ask somebody else about it.
struct Decided {
    live: Arc<Live>,
    check: OwnedCheck,
    who: Who,
    now: SystemTime,
    asked: Asked,
    answer: Answer,
    example: Example,
    /// Its part of the room, until it was asked about.
    _place: OwnedSemaphorePermit,
}

impl Shadow {
    /// The candidate beside `rules`, if there is one. Nobody presents credentials to it: it is told who asked.
    pub(super) fn of(rules: &Rules) -> Option<Self> {
        let Candidate { rules, sample } = rules.candidate.as_ref()?;
        let live = Live::offline(Arc::clone(rules));
        let expose = &live.rules.exposed_anywhere;
        let metadata = expose.metadata.values();
        Some(Self {
            sample: *sample,
            headers: NEEDED
                .iter()
                .map(|name| (*name).to_owned())
                .chain(expose.headers.iter().cloned())
                .collect(),
            metadata: metadata
                .map(|place| (place.namespace.clone(), place.path.clone()))
                .collect(),
            body: !expose.body.is_empty() || live.rules.magpie.is_some(),
            live,
        })
    }
}

impl Live {
    /// The versions of the rules in force and of the candidate beside them, if there is one.
    fn compared(&self) -> Option<(&str, &str)> {
        let shadow = self.shadow.as_ref()?;
        Some((&self.rules.version.0, &shadow.live.rules.version.0))
    }
}

impl Shadows {
    /// For the candidate beside what is in force, if there is one.
    pub(super) fn about(live: &Live) -> Self {
        let shadows = Self {
            thread: OnceLock::new(),
            offered: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            tally: Arc::default(),
            room: Arc::new(Semaphore::new(ROOM)),
        };
        shadows.begin(live);
        shadows
    }

    /// From now on only what is decided by `live` is compared: what still waits was decided by rules that are gone.
    pub(super) fn begin(&self, live: &Live) {
        let (live, candidate) = live.compared().unwrap_or_default();
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        tally.begin(live, candidate);
    }

    /// Offers a decision that policies made; never waits.
    pub(super) fn offer(
        &self,
        live: &Arc<Live>,
        check: &Check<'_>,
        now: SystemTime,
        story: &Story<'_>,
        decision: &Decision,
    ) {
        let Some(shadow) = &live.shadow else {
            return;
        };
        let (Some(who), Some(action), Some(resource)) = (&story.who, story.action, &story.resource) else {
            return;
        };
        if !self.is_sampled(shadow.sample) {
            return;
        }
        let keep = Keep {
            headers: Some(&shadow.headers),
            marks: &MARKS,
            body: shadow.body,
            metadata: &shadow.metadata,
        };
        let Some(place) = self.place(check, &keep) else {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let principal = who
            .principal()
            .map_or_else(|| "Anonymous".to_owned(), Principal::to_string);
        let request = match &check.target {
            Target::Http(request) => format!(
                "{} {}{}",
                request.method,
                request.host.as_str(),
                request.path.as_str()
            ),
            Target::Tcp(_) => "a connection".to_owned(),
        };
        let decided = Decided {
            live: Arc::clone(live),
            check: OwnedCheck::of(check, &keep),
            who: who.clone(),
            now,
            asked: Asked::new(story.route.unwrap_or_default(), action, who.kind()),
            answer: Answer::of(decision),
            example: Example {
                decision_id: decision.id().to_string(),
                time: seconds(now),
                principal,
                request,
                resource: resource.to_string(),
                live: why(decision),
                candidate: String::new(),
            },
            _place: place,
        };
        let thread = self.thread.get_or_init(|| self.start());
        if thread
            .as_ref()
            .is_none_or(|thread| thread.try_send(decided).is_err())
        {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What came of it so far.
    pub(super) fn report(&self, live: &Live) -> Option<ShadowReport> {
        live.shadow.as_ref()?;
        let tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        Some(tally.report(self.dropped.load(Ordering::Relaxed)))
    }

    /// Room for a copy, before it is made; `None` if there is none.
    fn place(&self, check: &Check<'_>, keep: &Keep<'_>) -> Option<OwnedSemaphorePermit> {
        if let Target::Http(request) = &check.target
            && let Body::Whole(bytes) | Body::Truncated(bytes) = request.body
            && keep.body
            && bytes.len() > LARGEST_BODY
        {
            return None;
        }
        let bytes = u32::try_from(LEAST + OwnedCheck::size(check, keep)).ok()?;
        Arc::clone(&self.room).try_acquire_many_owned(bytes).ok()
    }

    /// Every n-th decision, evenly.
    pub(super) fn is_sampled(&self, Sample(share): Sample) -> bool {
        let number = self.offered.fetch_add(1, Ordering::Relaxed) as f64;
        ((number + 1.0) * share).floor() > (number * share).floor()
    }

    fn start(&self) -> Option<SyncSender<Decided>> {
        let (queue, decisions) = sync_channel(QUEUE);
        let tally = Arc::clone(&self.tally);
        let thread = std::thread::Builder::new()
            .name("shadow".to_owned())
            .stack_size(crate::policy::STACK);
        match thread.spawn(move || ask_all(&decisions, &tally)) {
            Ok(_ends_with_the_queue) => Some(queue),
            Err(error) => {
                tracing::error!(%error, "no thread for the candidate policies: they are not asked");
                None
            }
        }
    }
}

fn ask_all(decisions: &Receiver<Decided>, tally: &Mutex<Tally>) {
    while let Ok(decided) = decisions.recv() {
        // A panic in here must not end the comparing; the answer was given long ago.
        let asked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| ask(&decided)));
        let Ok(Some((answer, why))) = asked else {
            tracing::error!(
                decision_id = decided.example.decision_id,
                "the candidate policies could not be asked"
            );
            continue;
        };
        let Decided {
            live,
            asked,
            answer: given,
            mut example,
            ..
        } = decided;
        example.candidate = why;
        let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
        let compared = live.compared();
        if !compared.is_some_and(|(live, candidate)| tally.is_about(live, candidate)) {
            continue;
        }
        let logged = example.clone();
        let (live_verdict, candidate_verdict) = (given.verdict, answer.verdict);
        if tally.compare(asked, given, answer, || example) {
            tracing::warn!(
                decision_id = logged.decision_id,
                principal = logged.principal,
                request = logged.request,
                live = logged.live,
                candidate = logged.candidate,
                "the candidate policies would answer {candidate_verdict} where {live_verdict} is answered (told once; \
                 `portcullis shadow report` counts)",
            );
        }
    }
}

fn ask(decided: &Decided) -> Option<(Answer, String)> {
    let shadow = decided.live.shadow.as_ref()?;
    let nobody = Principal::anonymous();
    let asking = Asking {
        now: decided.now,
        waited: Waited::Yes,
        given: Some(Given::Principal {
            principal: decided.who.principal().unwrap_or(&nobody),
            issued_at: decided.who.issued_at(),
            client_ip: None,
        }),
    };
    let decision = decided_by(&shadow.live, &decided.check.check(), &asking)?;
    Some((Answer::of(&decision), why(&decision)))
}

fn decided_by(live: &Live, check: &Check<'_>, asking: &Asking<'_>) -> Option<Decision> {
    let mut story = Story::default();
    let verdict = live.judge(check, asking, &mut story);
    decided(live, check, verdict).ok()
}
