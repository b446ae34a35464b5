//! What the walk writes down on its way when somebody wants it explained; otherwise nothing.

use std::time::{Duration, Instant};

use crate::explain::{Magpie, Question};

/// Notes, if any are wanted.
#[derive(Default)]
pub(crate) struct Notes(Option<Box<Written>>);

/// What was written down.
pub(crate) struct Written {
    /// Each step with the moment it began.
    began: Vec<(&'static str, Instant)>,
    /// What the policies were asked, with all that they say.
    pub(crate) questions: Vec<Question>,
    /// The groups of the action.
    pub(crate) action_groups: Vec<String>,
    /// What Magpie's permissions say.
    pub(crate) magpie: Option<Magpie>,
}

impl Notes {
    /// Notes that are wanted.
    pub(crate) fn wanted() -> Self {
        Self(Some(Box::new(Written {
            began: Vec::new(),
            questions: Vec::new(),
            action_groups: Vec::new(),
            magpie: None,
        })))
    }

    /// A step begins.
    pub(crate) fn at(&mut self, step: &'static str) {
        if let Some(written) = &mut self.0 {
            written.began.push((step, Instant::now()));
        }
    }

    /// Writes down more; not even worked out if nobody wants it.
    pub(crate) fn write(&mut self, more: impl FnOnce(&mut Written)) {
        if let Some(written) = &mut self.0 {
            more(written);
        }
    }

    /// What was written down.
    pub(crate) fn take(&mut self) -> Option<Written> {
        self.0.take().map(|written| *written)
    }
}

impl Written {
    /// The steps with their times.
    pub(crate) fn steps(&self) -> Vec<(&'static str, Duration)> {
        let ends = self.began.iter().skip(1).map(|(_, began)| *began);
        let steps = self.began.iter().zip(ends.chain([Instant::now()]));
        steps
            .map(|((step, began), ended)| (*step, ended.duration_since(*began)))
            .filter(|(step, _)| *step != EXPLAINING && *step != OVER)
            .collect()
    }
}

/// Steps that are none: making the explanation, and what comes behind the walk.
pub(crate) const EXPLAINING: &str = "explaining";
pub(crate) const OVER: &str = "over";
