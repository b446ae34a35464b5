//! The configuration: one YAML file, checked as a whole, every problem told at once.

mod admin;
mod authority;
mod checked;
mod described;
mod files;
mod json;
mod limits;
mod listen;
mod load;
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

use std::net::SocketAddr;
use std::path::PathBuf;

use decide::Settings;
use decide::policy::{Backend, EngineSettings};
use decide::shadow::Sample;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::decision_log::DecisionLogSettings;
use crate::recent::ExplainSettings;
use crate::tls::Identities;
pub(crate) use admin::{AdminAt, admin};
pub use authority::AuthoritySection;
pub(crate) use checked::Checked;
use files::Named;
pub use limits::Limits;
pub(crate) use listen::AllowedPeers;
pub use listen::{AdminListen, DoorSettings, GrpcListen, HttpContract, HttpListen, Listen};
#[cfg(test)]
pub(crate) use load::settings;
pub use load::{Loaded, load, load_text, load_with_sources};
pub(crate) use load::{load_again, load_noting};
use overrides::OTHERS;
pub use overrides::Overrides;
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

/// The reference of all settings, as Markdown.
pub(crate) fn reference() -> String {
    described::Described::new().markdown()
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

#[cfg(test)]
mod tests;
