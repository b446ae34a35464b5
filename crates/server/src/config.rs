//! The configuration: one YAML file, checked as a whole, every problem told at once.

mod checked;
mod listen;
mod paths;
mod references;
mod report;
mod schema;
mod yaml;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use decide::policy::{SourceFile, Sources};
use decide::problem::{Place, Problem};
use decide::shadow::{Candidate, Sample};
use decide::{Rules, Settings};
use schemars::JsonSchema;
use serde::Deserialize;

pub(crate) use checked::Checked;
pub(crate) use listen::AllowedPeers;
use listen::check_listeners;
pub use listen::{DoorSettings, GrpcListen, HttpContract, HttpListen, Listen};
pub use report::Invalid;
pub use schema::json_schema;

/// The configuration of `portcullis serve`.
///
/// Any text can take values from the environment: `${NAME}`, or `${NAME:-default}` where the default counts if the
/// variable is unset or empty; `$${` stands for `${` itself. Instead of a value there can be `$env: NAME` (the variable),
/// `$file: path` (the text of a file, without line breaks at its end) or `$include: file.yaml#member.member` (a value of
/// a YAML or JSON file). The text of a reference may stand for a number, `true` or `false`. Files are at most 1 MiB, and
/// their paths are relative to the configuration file. What has no value is an error, and no message shows a value that
/// came from elsewhere.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(title = "Portcullis configuration")]
pub struct Config {
    /// Where proxies ask.
    #[serde(default)]
    pub listen: Listen,
    /// Where operators and probes ask: `/livez`, `/readyz` and `grpc.health.v1`. Never reachable through the proxy.
    /// Default: `127.0.0.1:9192`
    #[serde(default = "default_admin")]
    #[schemars(extend("format" = schema::ADDRESS))]
    pub admin: SocketAddr,
    /// Schema and policy files.
    pub policies: PolicyFiles,
    /// Policies to try: they are asked beside those in force and never answer. `portcullis shadow report` shows what they
    /// would answer otherwise. Default: none
    #[serde(default)]
    pub shadow: Option<ShadowSettings>,
    /// Where decision records go. Default: `stdout`
    #[serde(default)]
    pub decision_log: DecisionLogSettings,
    /// Bounds on what a proxy can make the server do.
    #[serde(default)]
    pub limits: Limits,
    /// Threads that answer. Default: one for each core.
    #[serde(default)]
    pub threads: Option<usize>,
    /// How long to go on as before after `/readyz` says no at shutdown, in seconds, so that load balancers hear it
    /// first; in Kubernetes 5 is a good value. Default: 0
    #[serde(default)]
    pub grace_seconds: u64,
    /// How long requests in flight may take to finish at shutdown, in seconds. Default: 10
    #[serde(default = "default_drain_seconds")]
    pub drain_seconds: u64,
    /// What decides.
    #[serde(flatten)]
    pub settings: Settings,
}

/// Files with entity types and policies. Paths are relative to the configuration file; a folder stands for all
/// `*.cedarschema` or `*.cedar` files in it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyFiles {
    /// Entity types in Cedar's schema syntax. Actions and context are generated from the routes.
    pub schema: Vec<PathBuf>,
    /// Policies in Cedar's syntax.
    pub files: Vec<PathBuf>,
}

/// Candidate policies. Whatever is not said here is as in `policies`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShadowSettings {
    /// Policies in place of `policies.files`. Example: `[candidate/]`
    pub files: Vec<PathBuf>,
    /// Entity types in place of `policies.schema`.
    #[serde(default)]
    pub schema: Option<Vec<PathBuf>>,
    /// The share of decisions that they are asked about, from 0 to 1. Default: 1
    #[serde(default)]
    pub sample: Sample,
}

/// A sink for decision records: one JSON object a line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DecisionLogSettings {
    /// Standard output.
    #[default]
    Stdout,
    /// Standard error, among the server's own log.
    Stderr,
    /// Nowhere.
    Off,
    /// A file that is appended to.
    File(PathBuf),
}

/// Bounds on what a proxy can make the server do.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// The largest message of a proxy, in bytes; a request with a larger one is denied. Default: 8388608
    #[serde(default = "default_max_message_bytes")]
    pub max_message_bytes: usize,
    /// Bytes of messages that one listener reads or answers at the same time; what finds no room is denied.
    /// Default: 268435456
    #[serde(default = "default_max_bytes_in_flight")]
    pub max_bytes_in_flight: usize,
    /// Connections at the same time. Default: 1024
    #[serde(default = "default_max_connections")]
    pub max_connections: usize,
    /// Requests at the same time on one connection (HTTP/2 streams). Default: 1000
    #[serde(default = "default_max_streams")]
    pub max_streams: u32,
}

fn default_admin() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 9192))
}

fn default_drain_seconds() -> u64 {
    10
}

fn default_max_message_bytes() -> usize {
    contracts::grpc::DEFAULT_MAX_MESSAGE_BYTES
}

fn default_max_bytes_in_flight() -> usize {
    256 * 1024 * 1024
}

fn default_max_connections() -> usize {
    1024
}

fn default_max_streams() -> u32 {
    1000
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_message_bytes: default_max_message_bytes(),
            max_bytes_in_flight: default_max_bytes_in_flight(),
            max_connections: default_max_connections(),
            max_streams: default_max_streams(),
        }
    }
}

/// A configuration that passed every check, compiled.
#[derive(Debug)]
pub struct Loaded {
    /// The settings of the server.
    pub config: Config,
    /// The compiled routes and policies.
    pub rules: Arc<Rules>,
    /// What is worth knowing and breaks nothing.
    pub advice: Invalid,
}

/// Reads and compiles the configuration file at `path`.
///
/// # Errors
/// Every problem of the file and of the policy and schema files it names, ready to be shown.
pub fn load(path: &Path) -> Result<Loaded, Invalid> {
    match std::fs::read_to_string(path) {
        Ok(text) => load_text(
            &path.display().to_string(),
            &text,
            path.parent().unwrap_or(Path::new(".")),
        ),
        Err(error) => Err(Invalid::unreadable(
            &path.display().to_string(),
            &error.to_string(),
            "name the file with --config FILE",
        )),
    }
}

/// The same for a text that was read already; `name` is for messages, relative paths begin at `folder`.
///
/// # Errors
/// As [`load`].
pub fn load_text(name: &str, text: &str, folder: &Path) -> Result<Loaded, Invalid> {
    let document = yaml::Document::parse(name, text)?;
    let (document, config, mut problems) = read_settings(document, folder)?;
    let before = problems.len();
    let mut read = |key, extension, paths| read_files(key, extension, paths, folder, &mut problems);
    let schema = read("/policies/schema", "cedarschema", &config.policies.schema);
    let policies = read("/policies/files", "cedar", &config.policies.files);
    let candidate = config.shadow.as_ref().map(|shadow| Sources {
        schema: match &shadow.schema {
            Some(paths) => read("/shadow/schema", "cedarschema", paths),
            None => schema.clone(),
        },
        policies: read("/shadow/files", "cedar", &shadow.files),
    });
    let sources = Sources { schema, policies };
    let unread = problems.split_off(before);
    if !unread.is_empty() || document.references().failed_near("/policies") {
        // What the missing file would have declared must not be reported as well.
        problems.extend(
            unread
                .into_iter()
                .filter(|problem| !document.references().explains(problem)),
        );
        return Err(Invalid::new(document, sources, problems));
    }
    compile(document, config, sources, candidate, problems)
}

/// The same with the sources at hand instead of in files; other relative paths begin at the current folder.
///
/// # Errors
/// As [`load`].
pub fn load_with_sources(name: &str, text: &str, sources: Sources) -> Result<Loaded, Invalid> {
    let document = yaml::Document::parse(name, text)?;
    let (document, config, problems) = read_settings(document, Path::new(""))?;
    compile(document, config, sources, None, problems)
}

/// The settings, with the unknown ones left out and reported: everything else can be looked at all the same.
fn read_settings(
    mut document: yaml::Document,
    folder: &Path,
) -> Result<(yaml::Document, Config, Vec<Problem>), Invalid> {
    let mut problems = document.resolve(folder, &|name| std::env::var(name));
    let mut known = document.value().clone();
    schema::convert(&mut known, document.references().replaced());
    for problem in schema::check(&known) {
        let follows = document.references().explains(&problem);
        match &problem.at {
            Place::Name(pointer) => remove(&mut known, pointer),
            // The empty text in place of a value that is missing.
            Place::Setting(pointer) if follows => remove(&mut known, pointer),
            Place::Setting(_) | Place::Source { .. } => {}
        }
        if !follows {
            problems.push(problem);
        }
    }
    paths::begin_at(folder, &mut known);
    match serde_json::from_value(known) {
        Ok(config) => Ok((document, config, problems)),
        Err(error) => {
            if problems.is_empty() {
                problems.push(Problem::setting("", error.to_string(), ""));
            }
            Err(Invalid::new(document, Sources::default(), problems))
        }
    }
}

/// Removes the member of an object that a JSON pointer names.
fn remove(value: &mut serde_json::Value, pointer: &str) {
    let Some((parent, name)) = pointer.rsplit_once('/') else {
        return;
    };
    let name = name.replace("~1", "/").replace("~0", "~");
    if let Some(object) = value
        .pointer_mut(parent)
        .and_then(serde_json::Value::as_object_mut)
    {
        object.remove(&name);
    }
}

fn compile(
    document: yaml::Document,
    config: Config,
    sources: Sources,
    candidate: Option<Sources>,
    mut problems: Vec<Problem>,
) -> Result<Loaded, Invalid> {
    check_listeners(&config.listen, &mut problems);
    if config.limits.max_bytes_in_flight < config.limits.max_message_bytes {
        problems.push(Problem::setting(
            "/limits/max_bytes_in_flight",
            "a message of `max_message_bytes` would never find room",
            "make it several times as much: it is for all messages of a listener",
        ));
    }
    let rules = Rules::compile(&config.settings, &sources);
    let shadow = config.shadow.as_ref().zip(candidate.as_ref());
    let shadow = shadow.map(|(shadow, sources)| (shadow.sample, Rules::compile(&config.settings, sources)));
    let all = Sources::all([Some(sources), candidate].into_iter().flatten());
    let (mut found, rules) = match rules {
        Ok((rules, advice)) => (advice, Some(rules)),
        Err(found) => (found, None),
    };
    let candidate = match shadow {
        None => Ok(None),
        Some((sample, compiled)) => {
            let (more, rules) = match compiled {
                Ok((rules, advice)) => (advice, Some(rules)),
                Err(found) => (found, None),
            };
            // What is wrong with the settings is wrong for both.
            let more: Vec<Problem> = more
                .into_iter()
                .filter(|problem| !found.contains(problem))
                .collect();
            found.extend(more);
            let candidate = rules.map(|rules| Candidate {
                rules: Arc::new(rules),
                sample,
            });
            candidate.map(Some).ok_or(())
        }
    };
    match (rules, candidate) {
        (Some(rules), Ok(candidate)) if problems.is_empty() => Ok(Loaded {
            config,
            rules: Arc::new(match candidate {
                Some(candidate) => rules.with_candidate(candidate),
                None => rules,
            }),
            advice: Invalid::new(document, all, found),
        }),
        _ => {
            let references = document.references();
            problems.extend(found.into_iter().filter(|problem| !references.explains(problem)));
            Err(Invalid::new(document, all, problems))
        }
    }
}

fn read_files(
    key: &str,
    extension: &str,
    paths: &[PathBuf],
    folder: &Path,
    problems: &mut Vec<Problem>,
) -> Vec<SourceFile> {
    let mut files = Vec::new();
    for (index, path) in paths.iter().enumerate() {
        let full = folder.join(path);
        let pointer = format!("{key}/{index}");
        let named = match list(&full, extension) {
            Ok(named) => named,
            Err(error) => {
                problems.push(Problem::setting(
                    pointer,
                    format!("cannot read {}: {error}", full.display()),
                    "paths are relative to the folder of the configuration file",
                ));
                continue;
            }
        };
        if named.is_empty() {
            let message = format!("there is no *.{extension} file in {}", full.display());
            problems.push(Problem::setting(&pointer, message, ""));
        }
        for file in named {
            match std::fs::read_to_string(&file) {
                Ok(text) => files.push(SourceFile {
                    name: file.display().to_string(),
                    text,
                }),
                Err(error) => {
                    let message = format!("cannot read {}: {error}", file.display());
                    problems.push(Problem::setting(&pointer, message, ""));
                }
            }
        }
    }
    files
}

/// The file itself, or the files of a folder with this extension, in the order of their names.
fn list(path: &Path, extension: &str) -> std::io::Result<Vec<PathBuf>> {
    if !path.metadata()?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in path.read_dir()? {
        let file = entry?.path();
        if file.extension().is_some_and(|found| found == extension) {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests;
