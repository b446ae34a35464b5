//! The steps of the walk, and how long each took. Looking at the clock costs about as much as a step, so only some checks
//! are measured.

use std::cell::Cell;
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::Deserialize;

/// A step of the walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Until keys came, for a check that had to wait for them.
    Wait,
    /// What is refused before anybody asks who it is.
    Gate,
    /// Who asks: the credential is found and verified.
    Identity,
    /// What is asked for: route, action and resource.
    Route,
    /// What the policies say.
    Policies,
    /// The answer is put together; for COPY and MOVE the destination is asked about, too.
    Answer,
}

impl Step {
    /// Every step, in the order of the walk.
    pub const ALL: [Self; 6] = [
        Self::Wait,
        Self::Gate,
        Self::Identity,
        Self::Route,
        Self::Policies,
        Self::Answer,
    ];

    /// Its name, in logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Wait => "wait",
            Self::Gate => "gate",
            Self::Identity => "identity",
            Self::Route => "route",
            Self::Policies => "policies",
            Self::Answer => "answer",
        }
    }
}

/// How long each step took that was taken; the last one is the one that decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Steps([Option<Duration>; Step::ALL.len()]);

impl Steps {
    /// The steps that were taken, in order.
    pub fn taken(&self) -> impl Iterator<Item = (Step, Duration)> {
        let both = Step::ALL.into_iter().zip(self.0);
        both.filter_map(|(step, took)| Some((step, took?)))
    }

    fn add(&mut self, step: Step, more: Duration) {
        if let Some(took) = self.0.get_mut(step as usize) {
            *took = Some(took.unwrap_or_default() + more);
        }
    }
}

/// One in how many checks of a thread is measured step by step; 0: none.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
pub struct Every(pub u32);

impl Default for Every {
    fn default() -> Self {
        Self(16)
    }
}

impl Every {
    /// Whether it is the turn of this check. Each thread counts for itself.
    pub(crate) fn is_due(self) -> bool {
        thread_local! {
            static PASSED: Cell<u32> = const { Cell::new(0) };
        }
        PASSED.with(|passed| {
            let now = passed.get().saturating_add(1);
            let due = self.0 != 0 && now >= self.0;
            passed.set(if due { 0 } else { now });
            due
        })
    }
}

/// Measures steps, one after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch {
    steps: Steps,
    step: Option<Step>,
    since: Instant,
}

impl Stopwatch {
    /// `step` began at `since`; with `None`, nothing that is measured.
    pub(crate) fn begun(step: Option<Step>, since: Instant) -> Self {
        let steps = Steps::default();
        Self { steps, step, since }
    }

    /// The step before ends, and `step` begins; with `None`, nothing that is measured.
    pub(crate) fn at(&mut self, step: Option<Step>) {
        let now = Instant::now();
        if let Some(ended) = self.step {
            self.steps.add(ended, now.duration_since(self.since));
        }
        (self.step, self.since) = (step, now);
    }

    /// Stands still meanwhile.
    pub(crate) fn pause(&mut self, meanwhile: impl FnOnce()) {
        let step = self.step;
        self.at(None);
        meanwhile();
        self.at(step);
    }

    /// What was measured.
    pub(crate) fn steps(&self) -> Steps {
        self.steps
    }
}

#[cfg(test)]
mod tests;
