//! What decisions know of the store: published whole, never an older one, and good for a limited time.
//!
//! Time is measured with the clock of this process that only goes forward, from the moment *before* the store was asked:
//! clocks of hosts that are wrong, or are set, change nothing.

mod load;
mod revision;
mod watch;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use model::HouseView;

use crate::Publish;

pub(crate) use load::revoked;
pub(crate) use revision::Revision;
pub(crate) use watch::watch;

/// How the store does, for operators and `/readyz`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// `sqlite` or `postgres`.
    pub backend: &'static str,
    /// The last look at the store succeeded.
    pub connected: bool,
    /// Which contents decisions rely on. 0 before anything was read.
    pub revision: u64,
    /// How long ago these contents were known to be the newest; `None` before anything was read.
    pub age: Option<Duration>,
    /// Decisions may rely on them still.
    pub good: bool,
    /// What went wrong last, until a look succeeds.
    pub last_error: Option<String>,
}

/// The latest view and what is known about it.
pub(crate) struct View {
    publish: Publish,
    max_stale: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Which one it is; `None` before anything was read.
    seen: Option<Revision>,
    contents: HouseView,
    newest_at: Option<Instant>,
    problem: Option<String>,
}

impl View {
    pub(crate) fn new(publish: Publish, max_stale: Duration) -> Self {
        let state = State {
            seen: None,
            contents: HouseView::unknown(),
            newest_at: None,
            problem: Some("the store was not read yet".to_owned()),
        };
        Self {
            publish,
            max_stale,
            state: Mutex::new(state),
        }
    }

    /// The revision that decisions know.
    pub(crate) fn seen(&self) -> Option<Revision> {
        self.state().seen.clone()
    }

    /// Puts contents in force that were known to be the newest at that moment, unless newer ones are already.
    pub(crate) fn publish(&self, revision: Revision, contents: HouseView, newest_at: Instant) {
        let mut state = self.state();
        if state
            .seen
            .as_ref()
            .is_some_and(|seen| seen.number > revision.number)
        {
            return;
        }
        state.seen = Some(revision);
        state.contents = contents;
        self.confirm(&mut state, newest_at);
    }

    /// The store still had that revision at that moment.
    pub(crate) fn confirmed(&self, revision: &Revision, newest_at: Instant) {
        let mut state = self.state();
        if state.seen.as_ref() == Some(revision) {
            self.confirm(&mut state, newest_at);
        }
    }

    /// A look at the store failed. What is known goes on counting until it is too old.
    pub(crate) fn lost(&self, why: String) {
        self.state().problem = Some(why);
    }

    /// Which contents there are, for those that replace parts of them.
    fn contents(&self) -> (Option<Revision>, HouseView) {
        let state = self.state();
        (state.seen.clone(), state.contents.clone())
    }

    pub(crate) fn status(&self, backend: &'static str) -> Status {
        let state = self.state();
        let age = state.newest_at.map(|at| at.elapsed());
        Status {
            backend,
            connected: state.problem.is_none(),
            revision: state.contents.revision,
            age,
            good: age.is_some_and(|age| age < self.max_stale),
            last_error: state.problem.clone(),
        }
    }

    fn confirm(&self, state: &mut State, newest_at: Instant) {
        // Of two looks at the same time the later one may be through first.
        let newest_at = state.newest_at.map_or(newest_at, |known| known.max(newest_at));
        state.newest_at = Some(newest_at);
        state.problem = None;
        (self.publish)(state.contents.clone().confirmed(newest_at, self.max_stale));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for View {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("View")
            .field("max_stale", &self.max_stale)
            .finish_non_exhaustive()
    }
}
