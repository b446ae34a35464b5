//! What is wrong with a setting.

/// A setting that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// The setting, below its section.
    pub pointer: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: &'static str,
}
