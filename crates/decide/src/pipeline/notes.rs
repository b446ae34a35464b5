//! What the walk writes down on its way: times if this check is measured, and more when somebody wants it explained.

use std::time::Instant;

use super::{Asking, Waited};
use crate::explain::{Magpie, Question};
use crate::steps::{Every, Step, Steps, Stopwatch};

/// Notes, if any are wanted.
#[derive(Default)]
pub(crate) struct Notes {
    watch: Option<Stopwatch>,
    written: Option<Box<Written>>,
}

/// What was written down.
pub(crate) struct Written {
    /// How long the steps took.
    pub(crate) steps: Steps,
    /// What the policies were asked, with all that they say.
    pub(crate) questions: Vec<Question>,
    /// The groups of the action.
    pub(crate) action_groups: Vec<String>,
    /// What Magpie's permissions say.
    pub(crate) magpie: Option<Magpie>,
}

impl Notes {
    /// Everything is wanted.
    pub(crate) fn wanted() -> Self {
        Self {
            watch: Some(Stopwatch::begun(None, Instant::now())),
            written: Some(Box::new(Written {
                steps: Steps::default(),
                questions: Vec::new(),
                action_groups: Vec::new(),
                magpie: None,
            })),
        }
    }

    /// For a check that came in at `started`: the times of one in so many, and of all that had to wait.
    pub(super) fn sampled(every: Every, asking: &Asking<'_>, started: Instant) -> Self {
        let watch = match asking.waited {
            _ if asking.given.is_some() => None,
            Waited::Yes => Some(Stopwatch::begun(Some(Step::Wait), started)),
            Waited::No if every.is_due() => Some(Stopwatch::begun(None, started)),
            Waited::No => None,
        };
        Self { watch, written: None }
    }

    /// A step begins.
    pub(crate) fn at(&mut self, step: Step) {
        if let Some(watch) = &mut self.watch {
            watch.at(Some(step));
        }
    }

    /// The walk is over.
    pub(crate) fn over(&mut self) {
        if let Some(watch) = &mut self.watch {
            watch.at(None);
        }
    }

    /// How long the steps took, if that was measured.
    pub(crate) fn steps(&self) -> Option<Steps> {
        self.watch.as_ref().map(Stopwatch::steps)
    }

    /// Writes down more; not even worked out if nobody wants it, and no part of the step that it is in.
    pub(crate) fn write(&mut self, more: impl FnOnce(&mut Written)) {
        let Some(written) = &mut self.written else {
            return;
        };
        match &mut self.watch {
            Some(watch) => watch.pause(|| more(written)),
            None => more(written),
        }
    }

    /// What was written down.
    pub(crate) fn take(&mut self) -> Option<Written> {
        let mut written = self.written.take()?;
        written.steps = self.steps().unwrap_or_default();
        Some(*written)
    }
}
