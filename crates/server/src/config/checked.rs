//! YAML files beside the configuration, read as strictly: by the JSON Schema of their type, with the place of every problem.

use decide::policy::Sources;
use decide::problem::{Place, Problem};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::de::DeserializeOwned;

use super::load::remove;
use super::report::Invalid;
use super::{schema, yaml};

/// A file that was read, with its text. Entries of its lists and maps that cannot be read are null in it, so that the rest
/// can be looked at all the same.
#[derive(Debug)]
pub(crate) struct Checked<T> {
    /// What it says; what is unknown in it is left out.
    pub(crate) value: T,
    /// What is unknown or does not fit, so far.
    pub(crate) problems: Vec<Problem>,
    document: yaml::Document,
}

impl<T: DeserializeOwned + JsonSchema> Checked<T> {
    /// Reads the text of the file called `name`.
    ///
    /// # Errors
    /// Everything that is wrong with it, if it cannot be read at all.
    pub(crate) fn read(name: &str, text: &str) -> Result<Self, Invalid> {
        let document = yaml::Document::parse(name, text)?;
        let schema = SchemaSettings::draft2020_12()
            .into_generator()
            .into_root_schema_for::<T>();
        let mut problems = schema::check_by(&schema.to_value(), document.value());
        let mut known = document.value().clone();
        for problem in &problems {
            match &problem.at {
                Place::Name(pointer) => remove(&mut known, pointer),
                Place::Setting(pointer) => blank(&mut known, pointer),
                Place::Source { .. } => {}
            }
        }
        match serde_json::from_value(known) {
            Ok(value) => Ok(Self {
                value,
                problems,
                document,
            }),
            Err(error) => {
                if problems.is_empty() {
                    problems.push(Problem::setting("", error.to_string(), ""));
                }
                Err(Invalid::new(document, Sources::default(), problems))
            }
        }
    }
}

/// Makes null of the entry (the second step) that a JSON pointer leads into; what has no entries is left out.
fn blank(value: &mut serde_json::Value, pointer: &str) {
    let mut steps = pointer.match_indices('/').map(|(at, _)| at).skip(1);
    if steps.next().is_some() {
        let entry = pointer
            .get(..steps.next().unwrap_or(pointer.len()))
            .unwrap_or_default();
        if let Some(entry) = value.pointer_mut(entry) {
            *entry = serde_json::Value::Null;
        }
    } else {
        remove(value, pointer);
    }
}

impl<T> Checked<T> {
    /// The line (from 1) of what a JSON pointer names.
    pub(crate) fn line(&self, pointer: &str) -> usize {
        self.document.line(pointer)
    }

    /// What it says, unless there are problems.
    ///
    /// # Errors
    /// The problems, ready to be shown.
    pub(crate) fn finish(self) -> Result<T, Invalid> {
        if self.problems.is_empty() {
            Ok(self.value)
        } else {
            Err(Invalid::new(self.document, Sources::default(), self.problems))
        }
    }
}
