//! `portcullis config`: what a configuration can say, and what one comes to.

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};

use super::{ConfigFile, Output, exit, say, tell_invalid};
use crate::config::{self, Shown};
use crate::decision_log;

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigVerb {
    /// Print the configuration that is in force: flags > environment > file > defaults
    #[command(after_help = SHOW)]
    Show(Show),
    /// Print the JSON Schema of the configuration file, for editors and for reading
    #[command(after_help = SCHEMA)]
    Schema(Schema),
}

const SHOW: &str = "\
What comes out is a configuration again, with every default in it. Secrets are hidden, and what the file takes from the
environment or from other files is shown as the reference; numbers, true and false are shown.

Examples:
  portcullis config show --config policies/default/portcullis.yaml
  portcullis config show --config policies/default/portcullis.yaml --origin
  portcullis config show --config policies/default/portcullis.yaml --origin -o json

Exit codes: 0 done, 1 failed, 2 wrong usage, 4 invalid configuration.";

const SCHEMA: &str = "\
Examples:
  portcullis config schema > config.schema.json
  portcullis config schema --decisions
  portcullis config schema -o markdown

Exit codes: 0 done, 2 wrong usage.";

/// The configuration in force.
#[derive(Debug, clap::Args)]
pub(crate) struct Show {
    #[command(flatten)]
    file: ConfigFile,
    #[command(flatten)]
    settings: Settings,
    /// Say of each value where it came from: a flag, a variable, a line of the file, or the default
    #[arg(long)]
    origin: bool,
    /// How it is printed
    #[arg(long, short, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// A schema.
#[derive(Debug, clap::Args)]
pub(crate) struct Schema {
    /// That of a line of the decision log instead
    #[arg(long)]
    decisions: bool,
    /// How it is printed
    #[arg(long, short, value_enum, default_value_t = SchemaOutput::Json, conflicts_with = "decisions")]
    output: SchemaOutput,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum SchemaOutput {
    /// JSON Schema
    Json,
    /// A page with all settings: docs/configuration.md
    Markdown,
}

/// Settings that flags say instead of the file.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Instead of what the file says")]
pub(crate) struct Settings {
    /// `admin`: where operators and probes ask (also PORTCULLIS_ADMIN)
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<SocketAddr>,
    /// `listen.envoy_grpc`: where Envoy asks (also PORTCULLIS_LISTEN_ENVOY_GRPC)
    #[arg(long, value_name = "ADDRESS")]
    listen_envoy_grpc: Option<SocketAddr>,
    /// `threads`: how many answer (also PORTCULLIS_THREADS)
    #[arg(long, value_name = "COUNT")]
    threads: Option<usize>,
    /// `grace_seconds`: how long to go on once `/readyz` says no (also PORTCULLIS_GRACE_SECONDS)
    #[arg(long, value_name = "SECONDS")]
    grace_seconds: Option<u64>,
    /// `drain_seconds`: how long requests in flight may take to finish (also PORTCULLIS_DRAIN_SECONDS)
    #[arg(long, value_name = "SECONDS")]
    drain_seconds: Option<u64>,
}

impl Settings {
    /// The settings that were said, with their values.
    pub(super) fn said(&self) -> Vec<(&'static str, String)> {
        let address = |address: Option<SocketAddr>| address.map(|it| it.to_string());
        let number = |number: Option<u64>| number.map(|it| it.to_string());
        [
            ("admin", address(self.admin)),
            ("listen.envoy_grpc", address(self.listen_envoy_grpc)),
            ("threads", self.threads.map(|it| it.to_string())),
            ("grace_seconds", number(self.grace_seconds)),
            ("drain_seconds", number(self.drain_seconds)),
        ]
        .into_iter()
        .filter_map(|(setting, said)| Some((setting, said?)))
        .collect()
    }
}

impl ConfigVerb {
    pub(super) fn run(self) -> ExitCode {
        match self {
            Self::Show(show) => show.run(),
            Self::Schema(schema) => {
                say(&match (schema.decisions, schema.output) {
                    (true, _) => format!("{:#}\n", decision_log::schema()),
                    (false, SchemaOutput::Json) => format!("{:#}\n", config::json_schema()),
                    (false, SchemaOutput::Markdown) => config::reference(),
                });
                ExitCode::SUCCESS
            }
        }
    }
}

impl Show {
    fn run(self) -> ExitCode {
        let path = self.file.path();
        let shown = match Shown::load(&path, &ConfigFile::overrides(&self.settings)) {
            Ok(shown) => shown,
            Err(invalid) => {
                tell_invalid(std::slice::from_ref(&invalid), self.output);
                return exit::invalid();
            }
        };
        say(&match (self.output, self.origin) {
            (Output::Text, origin) => shown.yaml(origin, &path),
            (Output::Json, false) => format!("{:#}\n", shown.json()),
            (Output::Json, true) => format!("{:#}\n", shown.json_with_origins(&path)),
        });
        ExitCode::SUCCESS
    }
}
