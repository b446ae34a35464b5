//! What a configuration takes from the environment and from other files, in the forms of Backstage: `${NAME}`,
//! `${NAME:-default}` and `$${` in texts, and objects with the one member `$env`, `$file` or `$include`.
//!
//! Unlike there, what is missing is a problem, and what came from a variable or from `$file` is final: a secret with
//! `${` in it stays as it is. References in an included file count, relative to that file. Names of settings are never
//! replaced.

mod hidden;
mod template;

use std::env::VarError;
use std::path::{Path, PathBuf};

use decide::problem::Problem;
use serde_json::{Map, Value};

pub(super) use hidden::References;

use super::reads::Reader;
use super::yaml;
use template::Part;

/// The most bytes of a file that `$file` or `$include` names.
const MAX_FILE_BYTES: u64 = 1024 * 1024;
/// How deep files may include each other.
const MAX_DEPTH: usize = 8;
/// The members that make an object a reference.
const KINDS: [&str; 3] = ["$env", "$file", "$include"];

/// Looks an environment variable up, as [`std::env::var`] does.
pub(super) type Environment<'a> = &'a dyn Fn(&str) -> Result<String, VarError>;

/// A value with its references replaced.
#[derive(Debug)]
pub(super) struct Resolved {
    /// The value. A reference that failed is an empty text here.
    pub(super) value: Value,
    /// What no message may quote, and which references failed.
    pub(super) references: References,
    /// Why they failed.
    pub(super) problems: Vec<Problem>,
}

/// Replaces all references in `value`; paths begin at `folder`.
pub(super) fn resolve(
    value: Value,
    folder: &Path,
    environment: Environment<'_>,
    reader: &Reader,
) -> Resolved {
    let mut walk = Walk {
        environment,
        reader,
        references: References::default(),
        problems: Vec::new(),
    };
    let file = File {
        folder: folder.to_owned(),
        included: None,
        depth: 0,
    };
    let value = walk.value(value, "", &file);
    Resolved {
        value,
        references: walk.references,
        problems: walk.problems,
    }
}

struct Walk<'a> {
    environment: Environment<'a>,
    reader: &'a Reader,
    references: References,
    problems: Vec<Problem>,
}

/// The file in which a reference stands.
struct File {
    folder: PathBuf,
    /// Its name, unless it is the configuration itself.
    included: Option<String>,
    depth: usize,
}

/// Why a reference has no value, and what to do.
struct Failure {
    message: String,
    help: String,
}

impl Failure {
    fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            help: help.into(),
        }
    }
}

impl Walk<'_> {
    fn value(&mut self, value: Value, pointer: &str, file: &File) -> Value {
        let resolved = match value {
            Value::String(text) => self.text(&text, pointer, file).map(Value::String),
            Value::Array(values) => {
                let values = values.into_iter().enumerate();
                Ok(values
                    .map(|(index, value)| self.value(value, &format!("{pointer}/{index}"), file))
                    .collect())
            }
            Value::Object(object) if is_reference(&object) => self.object(&object, pointer, file),
            Value::Object(object) => {
                let members = object.into_iter().map(|(name, value)| {
                    let below = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
                    let value = self.value(value, &below, file);
                    (name, value)
                });
                Ok(Value::Object(members.collect()))
            }
            other => Ok(other),
        };
        resolved.unwrap_or_else(|Failure { message, help }| {
            let message = match &file.included {
                Some(name) => format!("in {name}: {message}"),
                None => message,
            };
            self.problems.push(Problem::setting(pointer, message, help));
            self.references.failed(pointer);
            Value::String(String::new())
        })
    }

    /// A text with its `${…}` replaced.
    fn text(&mut self, text: &str, pointer: &str, file: &File) -> Result<String, Failure> {
        let parts = template::parts(text).map_err(|malformed| {
            Failure::new(
                malformed.to_string(),
                "write `${NAME}` or `${NAME:-default}`, and `$${` for a `${` that is meant as it stands",
            )
        })?;
        if parts.iter().any(|part| matches!(part, Part::Variable { .. })) {
            self.references.replaced_at(pointer);
        }
        let (mut whole, mut missing, mut hidden) = (String::new(), Vec::new(), false);
        for part in parts {
            match part {
                Part::Text(text) => whole.push_str(text),
                Part::Variable { name, default } => match (self.variable(name), default) {
                    (Ok(value), Some(default)) if value.is_empty() => whole.push_str(default),
                    (Err(VarError::NotPresent), Some(default)) => whole.push_str(default),
                    (Ok(value), _) => {
                        self.references.hide(pointer, &value, &format!("${{{name}}}"));
                        hidden = true;
                        whole.push_str(&value);
                    }
                    (Err(error), _) => missing.push(without_value(
                        name,
                        &error,
                        &format!("set it, or give a default: `${{{name}:-…}}`"),
                    )),
                },
            }
        }
        // One text, one problem: it has only one place.
        let failures = missing.into_iter().reduce(|mut all, next| {
            all.message = format!("{}, and {}", all.message, next.message);
            all.help = format!("{}; {}", all.help, next.help);
            all
        });
        if let Some(failures) = failures {
            return Err(failures);
        }
        if hidden && file.depth == 0 {
            self.references.hide(pointer, &whole, text);
        }
        Ok(whole)
    }

    /// The value of `{$env: …}`, `{$file: …}` or `{$include: …}`.
    fn object(&mut self, object: &Map<String, Value>, pointer: &str, file: &File) -> Result<Value, Failure> {
        let Some((kind, named)) = object.iter().next().filter(|_| object.len() == 1) else {
            return Err(Failure::new(
                "a reference has one member, and this one has others beside it",
                "only one of `$env`, `$file` and `$include`, and no other setting",
            ));
        };
        let Value::String(named) = named else {
            return Err(Failure::new(
                format!("`{kind}` is followed by a text"),
                "write `$env: NAME`, `$file: path` or `$include: file.yaml#member.member`",
            ));
        };
        let shown = format!("{kind}: {named}");
        let named = self.text(named, pointer, file)?;
        match kind.as_str() {
            "$env" => {
                if !template::is_name(&named) {
                    return Err(Failure::new(
                        "`$env` is not followed by the name of an environment variable",
                        "a name has letters, digits, `_` and `.`, and does not begin with a digit",
                    ));
                }
                let value = self.variable(&named).map_err(|error| {
                    let help = format!("set it, or give a default: `${{{named}:-…}}` instead of `$env`");
                    without_value(&named, &error, &help)
                })?;
                self.references.hide(pointer, &value, &shown);
                self.references.replaced_at(pointer);
                Ok(Value::String(value))
            }
            "$file" => {
                let value = read(self.reader, &file.folder.join(&named))?;
                let value = without_line_breaks(value);
                self.references.hide(pointer, &value, &shown);
                self.references.replaced_at(pointer);
                Ok(Value::String(value))
            }
            "$include" => {
                let value = self.include(&named, pointer, file)?;
                if file.depth == 0 {
                    self.references.hide_all(pointer, &value, &shown);
                }
                Ok(value)
            }
            _ => Err(Failure::new(
                format!("`{kind}` is no reference"),
                format!("known are {}", KINDS.map(|kind| format!("`{kind}`")).join(", ")),
            )),
        }
    }

    /// The value of the member of a file, with its own references replaced.
    fn include(&mut self, named: &str, pointer: &str, file: &File) -> Result<Value, Failure> {
        let (path, members) = named.split_once('#').unwrap_or((named, ""));
        if file.depth == MAX_DEPTH {
            return Err(Failure::new(
                format!("files include each other more than {MAX_DEPTH} deep"),
                "perhaps in a circle",
            ));
        }
        let full = file.folder.join(path);
        let text = read(self.reader, &full)?;
        // The reader's own message could quote the file.
        let mut value = yaml::value(&text).map_err(|(line, column)| {
            Failure::new(
                format!(
                    "{} is neither YAML nor JSON (line {line}, column {column})",
                    full.display()
                ),
                "",
            )
        })?;
        for member in members.split('.').filter(|_| !members.is_empty()) {
            let found = value.as_object_mut().and_then(|object| object.remove(member));
            value = found.ok_or_else(|| {
                Failure::new(
                    format!("there is no `{members}` in {}", full.display()),
                    "the names after `#` lead from the top of the file to the value: `file.yaml#member.member`",
                )
            })?;
        }
        let inside = File {
            folder: full.parent().unwrap_or(Path::new("")).to_owned(),
            included: Some(full.display().to_string()),
            depth: file.depth + 1,
        };
        Ok(self.value(value, pointer, &inside))
    }

    fn variable(&self, name: &str) -> Result<String, VarError> {
        (self.environment)(name).map(without_line_breaks)
    }
}

/// An object with a member that makes it a reference, or that looks as if it was meant to.
fn is_reference(object: &Map<String, Value>) -> bool {
    let looks_so = |name: &String| {
        let kind = name.strip_prefix('$').unwrap_or_default();
        !kind.is_empty() && kind.chars().all(|c| c.is_ascii_alphabetic())
    };
    KINDS.iter().any(|kind| object.contains_key(*kind)) || (object.len() == 1 && object.keys().all(looks_so))
}

fn without_value(name: &str, error: &VarError, help: &str) -> Failure {
    match error {
        VarError::NotPresent => Failure::new(format!("the environment variable `{name}` is not set"), help),
        VarError::NotUnicode(_) => Failure::new(
            format!("the value of the environment variable `{name}` is not UTF-8"),
            "a secret of any bytes can be given as base64",
        ),
    }
}

/// Editors, `kubectl create secret` and `echo` put one at the end.
fn without_line_breaks(mut text: String) -> String {
    text.truncate(text.trim_end_matches(['\n', '\r']).len());
    text
}

fn read(reader: &Reader, path: &Path) -> Result<String, Failure> {
    let shown = path.display();
    let unreadable = |error: std::io::Error| {
        Failure::new(
            format!("cannot read {shown}: {error}"),
            "paths are relative to the folder of the file that names them",
        )
    };
    let bytes = reader.bytes(path, MAX_FILE_BYTES + 1).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(Failure::new(
            format!("{shown} is larger than {MAX_FILE_BYTES} bytes"),
            "is it the right file?",
        ));
    }
    String::from_utf8(bytes).map_err(|_| {
        Failure::new(
            format!("{shown} is not UTF-8"),
            "a secret of any bytes can be given as base64",
        )
    })
}

#[cfg(test)]
mod tests;
