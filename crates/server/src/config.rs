//! The configuration: one YAML file, checked as a whole, every problem told at once.

mod admin;
mod authority;
mod checked;
mod described;
mod files;
mod json;
mod listen;
mod overrides;
mod paths;
mod reads;
mod references;
mod reload;
mod report;
mod schema;
mod shown;
mod tls;
mod yaml;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use decide::policy::{Backend, EngineSettings, Sources};
use decide::problem::{Place, Problem, Severity};
use decide::shadow::{Candidate, Sample};
use decide::{Rules, Settings};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::decision_log::DecisionLogSettings;
use crate::recent::ExplainSettings;
use crate::stack;
use crate::tls::Identities;
pub(crate) use admin::{AdminAt, admin};
pub use authority::AuthoritySection;
pub(crate) use checked::Checked;
use files::Named;
pub(crate) use listen::AllowedPeers;
use listen::check_listeners;
pub use listen::{AdminListen, DoorSettings, GrpcListen, HttpContract, HttpListen, Listen};
use overrides::OTHERS;
pub use overrides::Overrides;
use reads::Reader;
pub use reads::Reads;
pub use reload::ReloadSettings;
pub use report::Invalid;
pub use schema::json_schema;
pub(crate) use shown::Shown;
pub use tls::TlsSettings;

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
    /// Where operators and probes ask: `/livez`, `/readyz`, `/metrics`, `/reload` and `grpc.health.v1`. Never reachable through the proxy.
    /// Default: `127.0.0.1:9192`
    #[serde(default = "default_admin")]
    #[schemars(extend("format" = schema::ADDRESS))]
    pub admin: SocketAddr,
    /// What holds for that listener alone.
    #[serde(default)]
    pub admin_options: AdminListen,
    /// Schema and policy files.
    pub policies: PolicyFiles,
    /// Policies to try: they are asked beside those in force and never answer. `portcullis shadow report` shows what they
    /// would answer otherwise. Default: none
    #[serde(default)]
    pub shadow: Option<ShadowSettings>,
    /// Where decision records go, and what of them: a word, or settings. Default: `stdout`
    #[serde(default)]
    pub decision_log: DecisionLogSettings,
    /// The house as an authority of its own: revocations, federated nodes, and tokens that it issues. Default: none
    #[serde(default)]
    pub authority: Option<AuthoritySection>,
    /// Which decisions can be explained later.
    #[serde(default)]
    pub explain: ExplainSettings,
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
    /// How changes of this file, and of all files and folders that it names, come into force while the server runs.
    #[serde(default)]
    pub reload: ReloadSettings,
    /// What the files of `tls` come to.
    #[serde(skip)]
    pub(crate) tls: Identities,
    /// What decides.
    #[serde(flatten)]
    pub settings: Settings,
}

/// Files with entity types, policies and data. Paths are relative to the configuration file; a folder stands for all
/// files of the kind in it: `*.cedarschema`, `*.cedar`, `*.links.yaml`, `*.entities.yaml` (or `.yml`, or `.json`).
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyFiles {
    /// Entity types in Cedar's schema syntax. Actions and context are generated from the routes.
    pub schema: Vec<PathBuf>,
    /// Policies in Cedar's syntax. Templates (`?principal`, `?resource`) become policies by `links`.
    pub files: Vec<PathBuf>,
    /// Links, YAML or JSON: lists of `{template: <@id>, principal: 'User::"main/alice"', resource: 'Workspace::"ws-alice"'}`,
    /// each of which makes a policy of a template; `id` names it in decisions.
    #[serde(default)]
    pub links: Vec<PathBuf>,
    /// Entities in Cedar's JSON form (`uid`, `attrs`, `parents`, `tags`), YAML or JSON: groups of groups, owners, and whatever
    /// else policies ask for and neither tokens nor paths say.
    #[serde(default)]
    pub entities: Vec<PathBuf>,
    /// How policies are evaluated. Default: `sliced`
    #[serde(default)]
    pub engine: Backend,
    /// One in how many decisions of the engine `sliced` is asked again of Cedar's `Authorizer`, over all policies; 0 for none.
    /// A difference is a bug: it is logged as an error, shown in `/readyz?verbose`, and the answer is no. With more than
    /// 1000 policies the answer does not wait for the check. Default: 10000
    #[serde(default = "default_self_check_every")]
    pub self_check_every: u64,
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
    /// Links in place of `policies.links`.
    #[serde(default)]
    pub links: Option<Vec<PathBuf>>,
    /// Entities in place of `policies.entities`.
    #[serde(default)]
    pub entities: Option<Vec<PathBuf>>,
    /// The share of decisions that they are asked about, from 0 to 1. Default: 1
    #[serde(default)]
    pub sample: Sample,
}

impl Config {
    fn named(&self) -> Named<'_> {
        Named {
            magpie: self
                .settings
                .magpie
                .as_ref()
                .map(|magpie| magpie.files.as_slice()),
            authority: self.authority.as_ref().map(|authority| &*authority.policies),
            admin: &self.admin_options.policies,
            ..self.policies.named()
        }
    }
}

impl PolicyFiles {
    fn named(&self) -> Named<'_> {
        Named {
            magpie: None,
            files: &self.files,
            schema: Some(&self.schema),
            links: Some(&self.links),
            entities: Some(&self.entities),
            authority: None,
            admin: &[],
        }
    }
}

impl ShadowSettings {
    fn named(&self) -> Named<'_> {
        Named {
            files: &self.files,
            schema: self.schema.as_deref(),
            links: self.links.as_deref(),
            entities: self.entities.as_deref(),
            authority: None,
            admin: &[],
            magpie: None,
        }
    }
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
    /// Checks that wait at the same time, for keys that are being fetched or for what an issuer says of a token; others that
    /// would have to wait are denied at once. Default: 4096
    #[serde(default = "default_max_waiting")]
    pub max_waiting: usize,
}

fn default_admin() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 9192))
}

fn default_self_check_every() -> u64 {
    EngineSettings::default().self_check_every
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

fn default_max_waiting() -> usize {
    decide::DEFAULT_MAX_WAITING
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_message_bytes: default_max_message_bytes(),
            max_bytes_in_flight: default_max_bytes_in_flight(),
            max_connections: default_max_connections(),
            max_streams: default_max_streams(),
            max_waiting: default_max_waiting(),
        }
    }
}

/// The reference of all settings, as Markdown.
pub(crate) fn reference() -> String {
    described::Described::new().markdown()
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
    /// Why the candidate policies are left out, if they are.
    pub unfit: Option<Invalid>,
}

/// What it means that the candidate policies (`shadow`) cannot be used.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unfit {
    /// The configuration cannot be used.
    Refuses,
    /// The candidate is left out: it never answers, and must not keep a change away from those that do.
    LeftOut,
}

/// Reads and compiles the configuration file at `path`.
///
/// # Errors
/// Every problem of the file and of the policy and schema files it names, ready to be shown.
pub fn load(path: &Path) -> Result<Loaded, Invalid> {
    noting(path, Unfit::Refuses, &Overrides::default()).0
}

/// The same where flags or the environment say some settings, with what was read for it, whether that is a configuration or
/// not.
pub(crate) fn load_noting(path: &Path, overrides: &Overrides) -> (Result<Loaded, Invalid>, Reads) {
    noting(path, Unfit::Refuses, overrides)
}

/// The same for a server that runs: candidate policies that cannot be used are left out.
pub(crate) fn load_again(path: &Path, overrides: &Overrides) -> (Result<Loaded, Invalid>, Reads) {
    noting(path, Unfit::LeftOut, overrides)
}

/// The settings of the file alone: policies are not looked at, and what is wrong elsewhere is left out.
///
/// # Errors
/// It cannot be read, or has no such settings at all.
#[cfg(test)]
pub(crate) fn settings(path: &Path, overrides: &Overrides) -> Result<Config, Invalid> {
    let name = path.display().to_string();
    let reader = Reader::default();
    let text = reader.text(path).map_err(|error| {
        Invalid::unreadable(&name, &error.to_string(), "name the file with --config FILE")
    })?;
    let document = yaml::Document::parse(&name, &text)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let (_, config, _) = read_settings(document, (folder, &reader), overrides)?;
    Ok(config)
}

fn noting(path: &Path, unfit: Unfit, overrides: &Overrides) -> (Result<Loaded, Invalid>, Reads) {
    let noting = || {
        let reader = Reader::default();
        let name = path.display().to_string();
        let loaded = match reader.text(path) {
            Ok(text) => {
                let folder = path.parent().unwrap_or(Path::new("."));
                read_all(&name, &text, (folder, &reader), unfit, overrides)
            }
            Err(error) => Err(Invalid::unreadable(
                &name,
                &error.to_string(),
                "name the file with --config FILE",
            )),
        };
        (loaded, reader.reads())
    };
    stack::with_room(noting).unwrap_or_else(|error| {
        (
            Err(no_room(&path.display().to_string(), &error)),
            Reads::default(),
        )
    })
}

fn no_room(name: &str, error: &std::io::Error) -> Invalid {
    Invalid::unreadable(name, &format!("no thread to compile in: {error}"), "")
}

/// The same for a text that was read already; `name` is for messages, relative paths begin at `folder`.
///
/// # Errors
/// As [`load`].
pub fn load_text(name: &str, text: &str, folder: &Path) -> Result<Loaded, Invalid> {
    let read = || {
        let (reader, overrides) = (Reader::default(), Overrides::default());
        read_all(name, text, (folder, &reader), Unfit::Refuses, &overrides)
    };
    stack::with_room(read).unwrap_or_else(|error| Err(no_room(name, &error)))
}

fn read_all(
    name: &str,
    text: &str,
    (folder, reader): (&Path, &Reader),
    unfit: Unfit,
    overrides: &Overrides,
) -> Result<Loaded, Invalid> {
    let document = yaml::Document::parse(name, text)?;
    let (document, config, mut problems) = read_settings(document, (folder, reader), overrides)?;
    let before = problems.len();
    let named = config.named();
    let sources = files::sources(
        "/policies",
        &named,
        &Sources::default(),
        (folder, reader),
        &mut problems,
    )?;
    let mut lacking = Vec::new();
    let mut left_out = None;
    let candidate = config.shadow.as_ref().map(|shadow| {
        files::sources(
            "/shadow",
            &shadow.named(),
            &sources,
            (folder, reader),
            &mut lacking,
        )
    });
    let candidate = match candidate {
        Some(Err(invalid)) if unfit == Unfit::LeftOut => {
            left_out = Some(invalid);
            None
        }
        Some(Ok(_)) if unfit == Unfit::LeftOut && !lacking.is_empty() => {
            left_out = Some(Invalid::new(
                document.clone(),
                sources.clone(),
                lacking.split_off(0),
            ));
            None
        }
        candidate => candidate.transpose()?,
    };
    problems.extend(lacking);
    if config.reload.run_tests {
        // Read where they are run; here only so that a change of them is noticed.
        let suites = reader.list(&folder.join(crate::policy_tests::SUITES), &[".yaml", ".yml"]);
        for suite in suites.into_iter().flatten() {
            let _ = reader.text(&suite);
        }
    }
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
    let loaded = compile(document, config, (sources, candidate), problems, unfit)?;
    Ok(Loaded {
        unfit: left_out.or(loaded.unfit),
        ..loaded
    })
}

/// The same with the sources at hand instead of in files; other relative paths begin at the current folder.
///
/// # Errors
/// As [`load`].
pub fn load_with_sources(name: &str, text: &str, sources: Sources) -> Result<Loaded, Invalid> {
    let here = || {
        let document = yaml::Document::parse(name, text)?;
        let (reader, overrides) = (Reader::default(), Overrides::default());
        let (document, config, problems) = read_settings(document, (Path::new(""), &reader), &overrides)?;
        compile(document, config, (sources, None), problems, Unfit::Refuses)
    };
    stack::with_room(here).unwrap_or_else(|error| Err(no_room(name, &error)))
}

/// The settings, with the unknown ones left out and reported: everything else can be looked at all the same.
fn read_settings(
    mut document: yaml::Document,
    (folder, reader): (&Path, &Reader),
    overrides: &Overrides,
) -> Result<(yaml::Document, Config, Vec<Problem>), Invalid> {
    let referenced = RefCell::new(BTreeSet::new());
    let environment = |name: &str| {
        referenced.borrow_mut().insert(name.to_owned());
        std::env::var(name)
    };
    let mut problems = document.resolve(folder, &environment, reader);
    document.override_by(overrides);
    problems.extend(overrides.unknown(&referenced.borrow()));
    let mut known = document.value().clone();
    let overridden = overrides.places().map(|(pointer, _)| pointer);
    let texts: Vec<String> = overridden
        .chain(document.references().replaced().iter().cloned())
        .collect();
    schema::convert(&mut known, &texts);
    for problem in schema::check(&known) {
        let follows = document.references().explains(&problem);
        match &problem.at {
            Place::Name(pointer) => remove(&mut known, pointer),
            // The empty text in place of a value that is missing.
            Place::Setting(pointer) if follows => remove(&mut known, pointer),
            Place::Setting(_) | Place::Source { .. } => {}
        }
        if !follows {
            problems.push(overrides.place_of(problem));
        }
    }
    paths::begin_at(folder, &mut known);
    match serde_json::from_value::<Config>(known) {
        Ok(mut config) => {
            config.tls = tls::read(&config, (folder, reader), &mut problems);
            Ok((document, config, problems))
        }
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
    mut config: Config,
    (sources, candidate_sources): (Sources, Option<Sources>),
    mut problems: Vec<Problem>,
    unfit: Unfit,
) -> Result<Loaded, Invalid> {
    config.settings.engine = EngineSettings {
        backend: config.policies.engine,
        self_check_every: config.policies.self_check_every,
    };
    if let Some(authority) = &config.authority {
        config.settings.identity.house = Some(authority.house());
        problems.extend(authority.problems(&config.settings.identity));
    }
    check_listeners(&config.listen, &mut problems);
    problems.extend(config.decision_log.problems());
    if config.limits.max_bytes_in_flight < config.limits.max_message_bytes {
        problems.push(Problem::setting(
            "/limits/max_bytes_in_flight",
            "a message of `max_message_bytes` would never find room",
            "make it several times as much: it is for all messages of a listener",
        ));
    }
    let (advice, mut problems): (Vec<Problem>, Vec<Problem>) = problems
        .into_iter()
        .partition(|problem| problem.severity == Severity::Advice);
    let (rules, mut found) = compiled(Rules::compile(&config.settings, &sources));
    let mut left_out = None;
    let candidate = match config.shadow.as_ref().zip(candidate_sources.as_ref()) {
        None => Ok(None),
        Some((shadow, sources)) => {
            let (candidate, more) = compiled(Rules::compile(&config.settings, sources));
            let sample = shadow.sample;
            let candidate = candidate.map(|rules| Candidate {
                rules: Arc::new(rules),
                sample,
            });
            if candidate.is_none() && rules.is_some() && unfit == Unfit::LeftOut {
                left_out = Some(Invalid::new(document.clone(), sources.clone(), more));
                Ok(None)
            } else {
                // What is wrong with the settings is wrong for both.
                let known = std::mem::take(&mut found);
                found.extend(more.into_iter().filter(|problem| !known.contains(problem)));
                found.splice(0..0, known);
                candidate.map(Some).ok_or(())
            }
        }
    };
    found.extend(advice);
    let all = Sources::all([Some(sources), candidate_sources].into_iter().flatten());
    match (rules, candidate) {
        (Some(rules), Ok(candidate)) if problems.is_empty() => Ok(Loaded {
            config,
            rules: Arc::new(match candidate {
                Some(candidate) => rules.with_candidate(candidate),
                None => rules,
            }),
            advice: Invalid::new(document, all, found),
            unfit: left_out,
        }),
        _ => {
            let references = document.references();
            problems.extend(found.into_iter().filter(|problem| !references.explains(problem)));
            Err(Invalid::new(document, all, problems))
        }
    }
}

/// The rules, if there are any, and what was found.
fn compiled(rules: Result<(Rules, Vec<Problem>), Vec<Problem>>) -> (Option<Rules>, Vec<Problem>) {
    match rules {
        Ok((rules, advice)) => (Some(rules), advice),
        Err(found) => (None, found),
    }
}

#[cfg(test)]
mod tests;
