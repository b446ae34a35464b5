//! Settings that a flag of `serve` or an environment variable says instead of the file: flags > environment > file > defaults.
//!
//! The few that differ from one environment to the next, and always in the same way: `listen.envoy_grpc` is
//! `--listen-envoy-grpc` and `PORTCULLIS_LISTEN_ENVOY_GRPC`.

use std::collections::BTreeSet;

use decide::problem::{Place, Problem, did_you_mean};
use serde_json::{Map, Value};

/// The settings.
pub(crate) const SETTINGS: [&str; 5] = [
    "admin",
    "listen.envoy_grpc",
    "threads",
    "grace_seconds",
    "drain_seconds",
];
/// What the names of our variables begin with.
pub(crate) const PREFIX: &str = "PORTCULLIS_";
/// Variables that say something else than a setting of the file.
pub(crate) const OTHERS: [(&str, &str); 4] = [
    ("PORTCULLIS_CONFIG", "the configuration file: `--config`"),
    (
        "PORTCULLIS_LOG",
        "what is in the server's own log, `info` or `decide=debug,info`: `--log` (RUST_LOG, if it is not set)",
    ),
    (
        "PORTCULLIS_LOG_FORMAT",
        "how that log looks, `text` or `json`: `--log-format`",
    ),
    (
        "PORTCULLIS_TOKEN",
        "the token of whoever asks a running server: `--token-file`",
    ),
];
/// The name in messages of what stands in the environment.
pub(super) const ENVIRONMENT: &str = "environment";

/// Settings that something else than the file says.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    settings: Vec<Override>,
    /// Variables that begin as ours do and are none of ours.
    unknown: Vec<String>,
}

/// One of them.
#[derive(Clone, Debug)]
struct Override {
    setting: &'static str,
    text: String,
    by: By,
}

/// What says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// A flag of the command line.
    Flag(String),
    /// An environment variable.
    Variable(String),
}

/// The name of the environment variable for a setting.
pub(crate) fn variable(setting: &str) -> String {
    format!("{PREFIX}{}", setting.replace('.', "_").to_uppercase())
}

/// The flag for a setting.
pub(crate) fn flag(setting: &str) -> String {
    format!("--{}", setting.replace(['.', '_'], "-"))
}

/// The JSON pointer of a setting.
fn pointer(setting: &str) -> String {
    format!("/{}", setting.replace('.', "/"))
}

impl Overrides {
    /// What flags say, each with its setting, and else the environment. An empty variable says nothing.
    pub(crate) fn of(
        flags: &[(&'static str, String)],
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        let mut found = Self::default();
        let environment: Vec<(String, String)> = environment
            .into_iter()
            .filter(|(name, value)| name.starts_with(PREFIX) && !value.is_empty())
            .collect();
        for setting in SETTINGS {
            let said = flags.iter().find(|(known, _)| *known == setting);
            let said = said.map(|(_, text)| (text, By::Flag(flag(setting))));
            let name = variable(setting);
            let set = environment.iter().find(|(known, _)| *known == name);
            let set = set.map(|(_, text)| (text, By::Variable(name)));
            if let Some((text, by)) = said.or(set) {
                found.settings.push(Override {
                    setting,
                    text: text.clone(),
                    by,
                });
            }
        }
        let unknown = environment.into_iter().map(|(name, _)| name).filter(|name| {
            let settings = SETTINGS.iter().any(|setting| variable(setting) == *name);
            let others = OTHERS.iter().any(|(known, _)| known == name);
            !settings && !others && !is_of_a_service(name)
        });
        found.unknown = unknown.collect();
        found.unknown.sort();
        found
    }

    /// The JSON pointers of the settings, with what says them.
    pub(crate) fn places(&self) -> impl Iterator<Item = (String, &By)> {
        self.settings.iter().map(|it| (pointer(it.setting), &it.by))
    }

    /// Puts them into the configuration as texts, which is what a variable is.
    pub(super) fn put(&self, value: &mut Value) {
        for it in &self.settings {
            let mut place = &mut *value;
            for step in it.setting.split('.') {
                if !place.is_object() {
                    *place = Value::Object(Map::new());
                }
                place = &mut place[step];
            }
            *place = Value::String(it.text.clone());
        }
    }

    /// The variables as a text that problems can point into.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for it in &self.settings {
            if let By::Variable(name) = &it.by {
                text += &format!("{name}={}\n", it.text);
            }
        }
        // Whatever those are, they may be secrets.
        for name in &self.unknown {
            text += &format!("{name}=…\n");
        }
        text
    }

    /// Variables that nothing reads: neither this program nor a reference of the configuration.
    pub(super) fn unknown(&self, referenced: &BTreeSet<String>) -> Vec<Problem> {
        let known: Vec<String> = SETTINGS.iter().map(|setting| variable(setting)).collect();
        let known = || {
            let others = OTHERS.iter().map(|(name, _)| *name);
            known.iter().map(String::as_str).chain(others)
        };
        let unknown = self.unknown.iter().filter(|name| !referenced.contains(*name));
        unknown
            .map(|name| {
                let meant = did_you_mean(name, known());
                let help = match meant.is_empty() {
                    true => format!("there are: {}", known().collect::<Vec<_>>().join(", ")),
                    false => meant,
                };
                let message = format!("the environment variable `{name}` says nothing to Portcullis");
                Problem {
                    at: self.place(name),
                    ..Problem::setting("", message, help)
                }
            })
            .collect()
    }

    /// The problem where it is: in the environment, if that says the setting.
    pub(super) fn place_of(&self, problem: Problem) -> Problem {
        let Place::Setting(at) = &problem.at else {
            return problem;
        };
        let mut said = self.places();
        match said.find(|(pointer, _)| pointer == at) {
            Some((_, By::Variable(name))) => Problem {
                at: self.place(name),
                ..problem
            },
            _ => problem,
        }
    }

    fn place(&self, variable: &str) -> Place {
        let text = self.text();
        let beginning = format!("{variable}=");
        let lines = text.split_inclusive('\n');
        let before: usize = lines
            .take_while(|line| !line.starts_with(&beginning))
            .map(str::len)
            .sum();
        Place::Source {
            file: ENVIRONMENT.to_owned(),
            start: before,
            length: variable.len(),
        }
    }
}

/// Variables that Kubernetes sets for a service whose name begins with `portcullis`.
fn is_of_a_service(name: &str) -> bool {
    let Some(rest) = name.strip_prefix("PORTCULLIS") else {
        return false;
    };
    if rest.ends_with("_SERVICE_HOST") || rest.contains("_SERVICE_PORT") || rest.ends_with("_PORT") {
        return true;
    }
    let Some((_, port)) = rest.rsplit_once("_PORT_") else {
        return false;
    };
    let digits = port.split('_').next().unwrap_or_default();
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests;
