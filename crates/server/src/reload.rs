//! Changes of the configuration while the server runs: noticed, loaded, checked, and put in force as a whole or not at all.
//!
//! One thread does all of it, one change after the other: reading and compiling, waiting until nobody uses the old rules
//! any more, and freeing them. The threads that answer only ever load a pointer.

mod restart;
mod trail;
mod watch;
mod work;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Instant, SystemTime};

use decide::{Pipeline, Rules};
use serde::Serialize;
use tokio::sync::{oneshot, watch as tokio_watch};

use crate::config::{Config, Overrides, Reads};
use crate::listen::Stop;
use crate::tls::Tls;

/// Where a running server was configured from.
#[derive(Debug)]
pub struct Origin {
    /// The configuration file.
    pub file: PathBuf,
    /// What was read when it was loaded.
    pub reads: Reads,
    /// What flags and the environment say instead of it.
    pub overrides: Overrides,
}

/// Reloads of a running server: asked for, and told about. Clones are about the same server.
#[derive(Clone, Debug)]
pub(crate) struct Reload {
    signals: Sender<Signal>,
    state: Arc<State>,
}

/// What became of a reload.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Outcome {
    /// The version in force now.
    pub(crate) version: String,
    /// Whether it is another one than before.
    pub(crate) changed: bool,
    /// Seconds.
    pub(crate) took: f64,
    /// Why nothing has changed, if something should have.
    pub(crate) problems: Vec<String>,
    /// Why the candidate policies (`shadow`) are left out, if they are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) candidate: Vec<String>,
    /// Settings that have changed and take effect at the next start.
    pub(crate) restart: Vec<String>,
}

/// Who wants a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trigger {
    /// SIGHUP.
    Hangup,
    /// `POST /reload`.
    Admin,
}

/// What the thread is told.
#[derive(Debug)]
enum Signal {
    Asked(Trigger, Option<oneshot::Sender<Outcome>>),
    /// The system says that something happened to a file.
    Event(notify::Event),
    /// The system may have failed to say so.
    Lost,
    Stop,
}

/// What is known of the reloads so far.
#[derive(Debug, Default)]
struct State {
    reloads: AtomicU64,
    unchanged: AtomicU64,
    refused: AtomicU64,
    last: Mutex<Last>,
}

#[derive(Debug, Default)]
struct Last {
    /// When other rules came into force.
    changed: Option<Instant>,
    /// When everything was last found good, at the start or by a reload.
    good: Option<SystemTime>,
    /// When the last change was refused, and for how many problems; `None` if it was not.
    refused: Option<(Instant, usize)>,
    /// For how many problems the candidate policies are left out; 0 if they are not.
    unfit: usize,
    /// Why changes of the files are not told of by the system.
    unwatched: Option<String>,
}

impl Reload {
    /// Starts the thread. It ends with `stop`, and does not keep the pipeline.
    ///
    /// # Errors
    /// No thread can be had.
    pub(crate) fn start(
        origin: Origin,
        config: &Config,
        (pipeline, tls): (Weak<Pipeline>, Tls),
        stop: tokio_watch::Receiver<Stop>,
    ) -> std::io::Result<Self> {
        let (signals, told) = channel();
        let state = Arc::<State>::default();
        state.last().good = Some(SystemTime::now());
        let this = Self {
            signals: signals.clone(),
            state: Arc::clone(&state),
        };
        let runtime = tokio::runtime::Handle::current();
        let work = work::Work::new(
            origin,
            config.clone(),
            (pipeline, tls),
            state,
            (signals, told),
            (runtime, stop),
        );
        std::thread::Builder::new()
            .name("reload".to_owned())
            .stack_size(crate::stack::COMPILING)
            .spawn(move || {
                crate::background::give_way();
                work.run();
            })?;
        Ok(this)
    }

    /// Asks for a reload and does not wait for it.
    pub(crate) fn ask(&self, trigger: Trigger) {
        // Nobody is there to do it when the server is stopping.
        let _ = self.signals.send(Signal::Asked(trigger, None));
    }

    /// Asks for a reload; `None` if the server is stopping.
    pub(crate) async fn outcome(&self, trigger: Trigger) -> Option<Outcome> {
        let (answer, outcome) = oneshot::channel();
        self.signals.send(Signal::Asked(trigger, Some(answer))).ok()?;
        outcome.await.ok()
    }

    /// Ends the thread.
    pub(crate) fn stop(&self) {
        let _ = self.signals.send(Signal::Stop);
    }

    /// How many changes came into force, and how many were refused.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (read(&self.state.reloads), read(&self.state.refused))
    }

    /// What metrics say of reloads.
    pub(crate) fn figures(&self) -> Figures {
        let (changed, refused) = self.counts();
        let last = self.state.last();
        Figures {
            changed,
            unchanged: self.state.unchanged.load(Ordering::Relaxed),
            refused,
            is_good: last.refused.is_none(),
            good: last.good.unwrap_or(SystemTime::UNIX_EPOCH),
        }
    }

    /// The last reload in a line, and whether it was refused.
    pub(crate) fn told(&self, rules: &Rules) -> (Told, String) {
        let last = self.state.last();
        let ago = |at: Instant| at.elapsed().as_secs();
        let version = rules.version();
        if let Some((at, problems)) = last.refused {
            let s = if problems == 1 { "" } else { "s" };
            let line = format!(
                "reload: refused {} s ago, {problems} problem{s}, still answering by version {version}; see log",
                ago(at)
            );
            return (Told::Refused, line);
        }
        let (reloads, _) = self.counts();
        let since = last.changed.map_or_else(
            || "in force since the start".to_owned(),
            |at| format!("in force for {} s", ago(at)),
        );
        let line = format!("reload: version {version} {since}, reloads: {reloads}");
        let mut notices = String::new();
        if last.unfit > 0 {
            let s = if last.unfit == 1 { "" } else { "s" };
            notices = format!(
                "; the candidate policies (`shadow`) are left out, {} problem{s}; see log",
                last.unfit
            );
        }
        if let Some(why) = &last.unwatched {
            notices = format!("{notices}; files cannot be watched: {why}");
        }
        match notices.as_str() {
            "" => (Told::Well, line),
            _ => (Told::Noticed, line + &notices),
        }
    }
}

/// Reloads in numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    /// Changes that came into force.
    pub(crate) changed: u64,
    /// Reloads that found nothing changed that decides.
    pub(crate) unchanged: u64,
    /// Changes that were refused.
    pub(crate) refused: u64,
    /// False if the last one was refused.
    pub(crate) is_good: bool,
    /// When everything was last found good.
    pub(crate) good: SystemTime,
}

impl Figures {
    /// Of a server that was started then and never reloads.
    pub(crate) fn never(started: SystemTime) -> Self {
        Self {
            changed: 0,
            unchanged: 0,
            refused: 0,
            is_good: true,
            good: started,
        }
    }
}

/// How the reloads are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Well,
    /// With something that is not as it should be.
    Noticed,
    Refused,
}

impl State {
    fn last(&self) -> std::sync::MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Trigger {
    fn as_str(self) -> &'static str {
        match self {
            Self::Hangup => "SIGHUP",
            Self::Admin => "POST /reload",
        }
    }
}

/// Says loudly what is only audited.
pub(crate) fn warn_of_audit(rules: &Rules) {
    let audited = rules.audited();
    if !audited.is_empty() {
        tracing::warn!(
            routes = audited.join(" "),
            "audit mode: what policies deny here PASSES, and is only recorded (`mode: audit`)"
        );
    }
}

/// Says so if other headers than before are set or cleared on requests.
pub(crate) fn warn_of_headers(before: &Rules, now: &Rules) {
    let (before, now) = (
        before.upstream_headers().join(" "),
        now.upstream_headers().join(" "),
    );
    if before != now {
        tracing::warn!(
            before,
            now,
            "other headers than before are set or cleared on requests: a proxy that copies headers by name needs the new list"
        );
    }
}
