//! One thing that is wrong in the configuration, said so that its author can mend it.

use std::fmt;

/// A problem found while loading: what is wrong, where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where: a JSON pointer into the configuration (`/issuers/0/audiences`), or a place in a policy file.
    pub at: Place,
    /// What is wrong, in one line.
    pub message: String,
    /// What to do about it; may be empty.
    pub help: String,
    /// True if it keeps the server from starting; false for an advice.
    pub severity: Severity,
}

/// Whether a problem stops the load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The server does not start with it.
    Error,
    /// Worth knowing, nothing breaks.
    Advice,
}

/// A place in what was loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A JSON pointer (RFC 6901) into the configuration.
    Setting(String),
    /// The same, but it is the name that is wrong and not the value.
    Name(String),
    /// A byte range of a policy or schema file.
    Source {
        /// The file's name as given to the loader.
        file: String,
        /// First byte.
        start: usize,
        /// Number of bytes.
        length: usize,
    },
}

impl Problem {
    /// An error in a setting.
    pub fn setting(pointer: impl Into<String>, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            at: Place::Setting(pointer.into()),
            message: message.into(),
            help: help.into(),
            severity: Severity::Error,
        }
    }

    /// An error in the name of a setting.
    pub fn name(pointer: impl Into<String>, message: impl Into<String>, help: impl Into<String>) -> Self {
        let mut problem = Self::setting("", message, help);
        problem.at = Place::Name(pointer.into());
        problem
    }

    /// An error in a policy or schema file.
    pub fn source(
        file: &str,
        (start, length): (usize, usize),
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self {
            at: Place::Source {
                file: file.to_owned(),
                start,
                length,
            },
            message: message.into(),
            help: help.into(),
            severity: Severity::Error,
        }
    }

    /// True if it is in one of these files.
    pub(crate) fn is_in(&self, files: &[crate::policy::SourceFile]) -> bool {
        match &self.at {
            Place::Source { file, .. } => files.iter().any(|known| known.name == *file),
            Place::Setting(_) | Place::Name(_) => false,
        }
    }

    /// The same, as an advice.
    #[must_use]
    pub fn advice(mut self) -> Self {
        self.severity = Severity::Advice;
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.at {
            Place::Setting(pointer) | Place::Name(pointer) => write!(f, "{pointer}: {}", self.message),
            Place::Source { file, start, .. } => write!(f, "{file} (byte {start}): {}", self.message),
        }
    }
}

/// `"did you mean …?"` for the candidate that is closest to `word`, or an empty string.
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    candidates
        .into_iter()
        .map(|c| (strsim::damerau_levenshtein(word, c), c))
        .filter(|(distance, c)| *distance <= 1 + c.len() / 4)
        .min()
        .map_or_else(String::new, |(_, c)| format!("did you mean `{c}`?"))
}
