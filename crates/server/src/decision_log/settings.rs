//! Where decision records go, and what of them.

use std::path::PathBuf;

use decide::problem::Problem;
use decide::shadow::Sample;
use schemars::JsonSchema;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

/// How many bytes a key must have at least.
const LEAST_KEY: usize = 16;

/// Where decision records go, and what of them. A word, or settings: `decision_log: stdout`, `decision_log: { file:
/// decisions.jsonl }`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(from = "Written")]
pub struct DecisionLogSettings {
    /// Where to.
    pub to: Vec<Sink>,
    /// Everything else.
    pub more: RecordSettings,
}

/// As it is written in the configuration.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Written {
    Word(Sink),
    Settings(RecordSettings),
}

/// A place for decision records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sink {
    /// Standard output, one JSON object a line.
    Stdout,
    /// Standard error, among the server's own log.
    Stderr,
    /// An OpenTelemetry collector, as log records; where it is say the variables `OTEL_EXPORTER_OTLP_*`.
    Otlp,
    /// Nowhere.
    Off,
}

/// What of decisions is recorded, and where.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordSettings {
    /// One or more of `stdout`, `stderr` and `otlp`. Default: `[stdout]`, and none with `file`
    #[serde(default)]
    pub to: Option<Sinks>,
    /// A file that is appended to, one JSON object a line; only its owner may read it. A new one begins when it was moved
    /// away, so other programs can rotate it without a signal. Default: none
    #[serde(default)]
    pub file: Option<PathBuf>,
    /// When to begin a new file, in bytes: what was `x` becomes `x.1`, and so on. 0: never. Default: 134217728
    #[serde(default)]
    pub rotate_bytes: Option<u64>,
    /// How many of the files that were full are kept. Default: 8
    #[serde(default)]
    pub keep_files: Option<u32>,
    /// The share of allows that are recorded, from 0 to 1. Denials, what is only audited, and whatever had an error in a
    /// policy are always recorded. Default: 1
    #[serde(default)]
    pub sample_allows: Sample,
    /// What is told of the query of a request. Default: `drop`
    #[serde(default)]
    pub query: QueryMask,
    /// How the principal is told. Default: `keep`
    #[serde(default)]
    pub subject: SubjectMask,
    /// The key of `subject: hash`, at least 16 bytes. Use `${NAME}` or `$file`. Replicas with the same key give a subject the
    /// same hash.
    #[serde(default)]
    #[schemars(with = "Option<String>", extend("writeOnly" = true))]
    pub hash_key: Option<SecretString>,
    /// How the client's address is told. Default: `keep`
    #[serde(default)]
    pub client_ip: AddressMask,
}

/// One place, or several.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Sinks {
    /// One.
    One(Sink),
    /// Several.
    Many(Vec<Sink>),
}

/// What is told of a query. Values that are credentials never are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum QueryMask {
    /// Nothing.
    #[default]
    Drop,
    /// The names of the parameters, and the values of those that policies may look at (`expose.query`).
    Exposed,
}

/// How a principal is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SubjectMask {
    /// As it is.
    #[default]
    Keep,
    /// Its type and issuer, and instead of the subject an HMAC-SHA256 of it with `hash_key`, 32 hexadecimal digits: the same
    /// for the same subject, so what somebody did can be followed without knowing who it is.
    Hash,
}

/// How an address is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AddressMask {
    /// As it is.
    #[default]
    Keep,
    /// Its network: the first 24 bits of an IPv4 address, the first 48 of an IPv6 address.
    Network,
    /// Not at all.
    Drop,
}

impl Default for DecisionLogSettings {
    fn default() -> Self {
        Written::Word(Sink::Stdout).into()
    }
}

impl From<Written> for DecisionLogSettings {
    fn from(written: Written) -> Self {
        let (mut to, more) = match written {
            Written::Word(sink) => (vec![sink], RecordSettings::default()),
            Written::Settings(more) => (
                match &more.to {
                    Some(Sinks::One(sink)) => vec![*sink],
                    Some(Sinks::Many(sinks)) => sinks.clone(),
                    None if more.file.is_some() => Vec::new(),
                    None => vec![Sink::Stdout],
                },
                more,
            ),
        };
        to.retain(|sink| *sink != Sink::Off);
        // Each once, wherever it is said again.
        let mut each = Vec::new();
        for sink in to {
            if !each.contains(&sink) {
                each.push(sink);
            }
        }
        Self { to: each, more }
    }
}

impl DecisionLogSettings {
    /// To this file, and everything of everything.
    pub fn file(path: PathBuf) -> Self {
        let file = Some(path);
        Written::Settings(RecordSettings {
            file,
            ..RecordSettings::default()
        })
        .into()
    }

    /// What cannot be meant.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let key = self.more.hash_key.as_ref().map(|key| key.expose_secret().len());
        match (self.more.subject, key) {
            (SubjectMask::Hash, None) => problems.push(Problem::setting(
                "/decision_log/subject",
                "a hash without a key could be undone by whoever guesses subjects",
                "give a `hash_key`, for example `hash_key: ${DECISION_LOG_KEY}`",
            )),
            (SubjectMask::Hash, Some(length)) if length < LEAST_KEY => problems.push(Problem::setting(
                "/decision_log/hash_key",
                format!("a key of {length} bytes can be guessed"),
                format!("take at least {LEAST_KEY} random bytes, for example of `openssl rand -hex 32`"),
            )),
            (SubjectMask::Keep, Some(_)) => problems.push(Problem::setting(
                "/decision_log/hash_key",
                "nothing is hashed with this key",
                "say `subject: hash`, too, or leave the key out",
            )),
            _ => {}
        }
        let more = &self.more;
        if more.file.is_none() && (more.rotate_bytes.is_some() || more.keep_files.is_some()) {
            problems.push(Problem::setting(
                "/decision_log",
                "`rotate_bytes` and `keep_files` are about a file, and there is none",
                "name it with `file`, or leave them out",
            ));
        }
        problems
    }

    /// When to begin a new file.
    pub(super) fn rotate_bytes(&self) -> u64 {
        self.more.rotate_bytes.unwrap_or(128 * 1024 * 1024)
    }

    /// Whether full files are moved away.
    pub(crate) fn rotates(&self) -> bool {
        self.rotate_bytes() > 0
    }

    /// How many full files are kept.
    pub(super) fn keep_files(&self) -> u32 {
        self.more.keep_files.unwrap_or(8)
    }

    /// For comparing two: everything, secrets included.
    pub(crate) fn all(&self) -> (String, Option<&str>) {
        let key = self.more.hash_key.as_ref();
        (format!("{self:?}"), key.map(|key| key.expose_secret()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_sink_is_one_however_often_it_is_said() {
        use Sink::{Otlp, Stderr, Stdout};
        for (written, expected) in [
            (json!("stdout"), &[Stdout][..]),
            (json!("off"), &[]),
            (
                json!({"to": ["stdout", "stderr", "stdout", "otlp", "stderr"]}),
                &[Stdout, Stderr, Otlp],
            ),
            (json!({"to": ["off", "stdout", "off", "stdout"]}), &[Stdout]),
            (json!({"file": "x"}), &[]),
        ] {
            let settings: DecisionLogSettings = serde_json::from_value(written.clone()).unwrap();
            assert_eq!(settings.to, expected, "{written}");
        }
    }
}
