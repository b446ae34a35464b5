//! The configuration: one YAML file, checked as a whole, every problem told at once.

mod paths;
mod references;
mod report;
mod schema;
mod yaml;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use decide::policy::{SourceFile, Sources};
use decide::problem::{Place, Problem};
use decide::{Rules, Settings};
use schemars::JsonSchema;
use serde::Deserialize;

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

/// The listeners, one for each contract.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Listen {
    /// Envoy's `ext_authz` filter over gRPC (also Istio and Envoy Gateway). Default: `127.0.0.1:9191`
    #[serde(default = "default_envoy_grpc")]
    #[schemars(extend("format" = schema::ADDRESS))]
    pub envoy_grpc: SocketAddr,
    /// Listeners for proxies that ask over HTTP. Default: none
    #[serde(default)]
    pub http: Vec<HttpListen>,
}

/// A listener for proxies that ask over HTTP/1.1 or HTTP/2.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpListen {
    /// Where to listen. Whoever reaches this port can ask, so let only proxies reach it.
    #[schemars(extend("format" = schema::ADDRESS))]
    pub address: SocketAddr,
    /// What is spoken there. A path without a door is denied.
    pub doors: Vec<DoorSettings>,
}

/// One contract at one path.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DoorSettings {
    /// Who asks. Nothing that a client sends changes this.
    pub contract: HttpContract,
    /// The path at which the proxy asks; for `envoy_http` the prefix (`path_prefix` in Envoy) before the path that is
    /// asked about. Default: `/`
    #[serde(default = "root")]
    pub path: String,
}

/// The contracts over HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HttpContract {
    /// Envoy's `ext_authz` in HTTP mode; also the HTTP providers of Istio, Envoy Gateway and Contour.
    EnvoyHttp,
    /// APISIX `forward-auth`: it sends the path decoded.
    Apisix,
    /// nginx `auth_request` and ingress-nginx `auth-url`: every denial is 401 or 403.
    Nginx,
    /// Traefik `ForwardAuth`.
    Traefik,
    /// Caddy `forward_auth`.
    Caddy,
    /// HAProxy with the script in `deploy/haproxy`.
    Haproxy,
    /// APISIX `opa`: it posts a document to `/v1/data/<package>/<decision>` and sends the path decoded.
    ApisixOpa,
    /// Kong `opa`: it posts a document to its `opa_path`.
    KongOpa,
}

fn root() -> String {
    "/".to_owned()
}

impl HttpListen {
    /// The doors, as the contracts know them.
    pub(crate) fn doors(&self) -> Vec<contracts::http::Door> {
        let door = |door: &DoorSettings| {
            let contract = door.contract.into();
            // Behind the prefix of Envoy comes a path that begins with a slash.
            let path = match contract {
                model::Contract::EnvoyHttp => door.path.trim_end_matches('/'),
                _ => &door.path,
            };
            contracts::http::Door {
                contract,
                path: path.into(),
            }
        };
        self.doors.iter().map(door).collect()
    }
}

impl From<HttpContract> for model::Contract {
    fn from(contract: HttpContract) -> Self {
        match contract {
            HttpContract::EnvoyHttp => Self::EnvoyHttp,
            HttpContract::Apisix => Self::Apisix,
            HttpContract::Nginx => Self::Nginx,
            HttpContract::Traefik => Self::Traefik,
            HttpContract::Caddy => Self::Caddy,
            HttpContract::Haproxy => Self::Haproxy,
            HttpContract::ApisixOpa => Self::ApisixOpa,
            HttpContract::KongOpa => Self::KongOpa,
        }
    }
}

/// What is wrong with the listeners.
fn check_listeners(listen: &Listen, problems: &mut Vec<Problem>) {
    for (index, listener) in listen.http.iter().enumerate() {
        let mut problem = |field: String, message: &str, help: &str| {
            problems.push(Problem::setting(
                format!("/listen/http/{index}/{field}"),
                message,
                help,
            ));
        };
        if listener.doors.is_empty() {
            let message = "a listener without doors denies everything";
            problem(
                "doors".to_owned(),
                message,
                "for example `doors: [{contract: nginx}]`",
            );
        }
        for (i, door) in listener.doors.iter().enumerate() {
            let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'-' | b'_' | b'.');
            if !door.path.starts_with('/') || !door.path.bytes().all(plain) || door.path.contains("//") {
                problem(
                    format!("doors/{i}/path"),
                    "this is not a plain path",
                    "for example `/auth`: letters, digits, `-`, `_` and `.` between slashes",
                );
            }
            if door.contract == HttpContract::EnvoyHttp && door.path == "/" && listener.doors.len() > 1 {
                problem(
                    format!("doors/{i}/path"),
                    "without a prefix Envoy's clients choose the path, and could choose another door",
                    "give this door a prefix such as `/check`, or a listener of its own",
                );
            }
            if listener.doors.iter().take(i).any(|other| other.path == door.path) {
                problem(
                    format!("doors/{i}/path"),
                    "another door is at the same path",
                    "which contract is spoken there would be a guess",
                );
            }
            let asked_about = |prefix: &DoorSettings| {
                prefix.contract == HttpContract::EnvoyHttp
                    && prefix.path != door.path
                    && door
                        .path
                        .strip_prefix(prefix.path.trim_end_matches('/'))
                        .is_some_and(|rest| rest.starts_with('/'))
            };
            if listener.doors.iter().any(asked_about) {
                problem(
                    format!("doors/{i}/path"),
                    "this path is behind the prefix of an `envoy_http` door",
                    "a client's own path would choose this door; give it another path, or a listener of its own",
                );
            }
        }
    }
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

fn default_envoy_grpc() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 9191))
}

fn default_drain_seconds() -> u64 {
    10
}

fn default_max_message_bytes() -> usize {
    contracts::grpc::DEFAULT_MAX_MESSAGE_BYTES
}

fn default_max_connections() -> usize {
    1024
}

fn default_max_streams() -> u32 {
    1000
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            envoy_grpc: default_envoy_grpc(),
            http: Vec::new(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_message_bytes: default_max_message_bytes(),
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
    pub rules: Rules,
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
    let schema = read("schema", "cedarschema", &config.policies.schema);
    let policies = read("files", "cedar", &config.policies.files);
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
    compile(document, config, sources, problems)
}

/// The same with the sources at hand instead of in files; other relative paths begin at the current folder.
///
/// # Errors
/// As [`load`].
pub fn load_with_sources(name: &str, text: &str, sources: Sources) -> Result<Loaded, Invalid> {
    let document = yaml::Document::parse(name, text)?;
    let (document, config, problems) = read_settings(document, Path::new(""))?;
    compile(document, config, sources, problems)
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
    mut problems: Vec<Problem>,
) -> Result<Loaded, Invalid> {
    check_listeners(&config.listen, &mut problems);
    match Rules::compile(&config.settings, &sources) {
        Ok((rules, advice)) if problems.is_empty() => Ok(Loaded {
            config,
            rules,
            advice: Invalid::new(document, sources, advice),
        }),
        Ok((_, found)) | Err(found) => {
            let references = document.references();
            problems.extend(found.into_iter().filter(|problem| !references.explains(problem)));
            Err(Invalid::new(document, sources, problems))
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
        let pointer = format!("/policies/{key}/{index}");
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
