//! Problems of a data file, of which there may be as many as it has lines.

use crate::policy::DataFile;
use crate::problem::{Problem, Severity};

/// As many problems of one file are shown; of the others only how many they are.
const SHOWN: usize = 20;

/// Adds an error to the problems of the file with this index.
pub(in crate::policy) fn error_in(
    files: &mut [Findings<'_>],
    index: usize,
    span: (usize, usize),
    message: impl Into<String>,
    help: impl Into<String>,
) {
    if let Some(findings) = files.get_mut(index) {
        findings.error(span, message, help);
    }
}

/// The problems of one data file.
pub(crate) struct Findings<'f> {
    file: &'f DataFile,
    found: Vec<Problem>,
    more: usize,
    last: (usize, usize),
}

impl<'f> Findings<'f> {
    pub(crate) fn new(file: &'f DataFile) -> Self {
        Self {
            file,
            found: Vec::new(),
            more: 0,
            last: (0, 0),
        }
    }

    pub(crate) fn error(
        &mut self,
        span: (usize, usize),
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.add(Problem::source(&self.file.name, span, message, help), span);
    }

    /// Something that is worth knowing and breaks nothing.
    pub(crate) fn advice(
        &mut self,
        span: (usize, usize),
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.add(
            Problem::source(&self.file.name, span, message, help).advice(),
            span,
        );
    }

    pub(in crate::policy) fn add(&mut self, problem: Problem, span: (usize, usize)) {
        if self.found.len() < SHOWN {
            self.found.push(problem);
        } else {
            self.more += usize::from(problem.severity == Severity::Error);
            self.last = span;
        }
    }

    /// Hands the problems over.
    pub(crate) fn finish(self, problems: &mut Vec<Problem>) {
        problems.extend(self.found);
        if self.more > 0 {
            let message = format!("and {} more problems in this file", self.more);
            problems.push(Problem::source(
                &self.file.name,
                self.last,
                message,
                "mend the others first",
            ));
        }
    }
}
