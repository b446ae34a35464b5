//! `portcullis shadow report`: what the candidate policies of a running server would answer otherwise.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Subcommand, ValueEnum};
use serde_json::Value;

use super::access::{Access, refusal};
use super::{Failure, runtime, say};

const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, Subcommand)]
pub(crate) enum ShadowVerb {
    /// Print what differs, the most frequent first (exit code 3 if anything does)
    #[command(after_help = AFTER_HELP)]
    Report(Report),
}

const AFTER_HELP: &str = "\
Examples:
  portcullis shadow report
  portcullis shadow report --server 127.0.0.1:9192 -o json

Exit codes: 0 nothing differs, 1 failed, 2 wrong usage, 3 something differs.";

/// Where to ask, and how to print.
#[derive(Debug, clap::Args)]
pub(crate) struct Report {
    /// The `admin` address of the server, or its URL: https, if it has `admin_options.tls`
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9192")]
    server: String,
    #[command(flatten)]
    access: Access,
    /// How the report is printed
    #[arg(long, short, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Output {
    /// For people
    Text,
    /// As the server tells it
    Json,
}

impl ShadowVerb {
    pub(super) fn run(self) -> ExitCode {
        let Self::Report(report) = self;
        report.run().unwrap_or_else(Failure::tell)
    }
}

impl Report {
    fn run(&self) -> Result<ExitCode, Failure> {
        let runtime = runtime().map_err(|error| Failure::Message(error.to_string()))?;
        let report = runtime.block_on(self.fetch())?;
        match self.output {
            Output::Json => say(&format!("{report:#}\n")),
            Output::Text => say(&text(&report)),
        }
        let differs = report["differences"]
            .as_array()
            .is_some_and(|all| !all.is_empty());
        Ok(if differs {
            super::exit::denied()
        } else {
            ExitCode::SUCCESS
        })
    }

    async fn fetch(&self) -> Result<Value, Failure> {
        let (status, body) = self.access.get(&self.server, &["shadow"], PATIENCE).await?;
        if status != 200 {
            return Err(Failure::Message(format!(
                "{} says: {}",
                self.server,
                refusal(&body)
            )));
        }
        serde_json::from_str(&body).map_err(|error| {
            Failure::Message(format!("{} does not answer with a report: {error}", self.server))
        })
    }
}

fn text(report: &Value) -> String {
    let number = |name: &str| report[name].as_u64().unwrap_or_default();
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut text = format!(
        "candidate {} beside {}: {} decisions compared\n  {} now allowed would be denied, {} now denied would be allowed, {} denied with \
         another status\n",
        word(&report["candidate_version"]),
        word(&report["live_version"]),
        number("compared"),
        number("newly_denied"),
        number("newly_allowed"),
        number("otherwise_denied"),
    );
    for (name, what) in [
        (
            "dropped",
            "not compared: there were more than the comparing could follow",
        ),
        ("untold", "differ in more ways than are told apart"),
    ] {
        if number(name) > 0 {
            let _ = writeln!(text, "  {} {what}", number(name));
        }
    }
    for difference in report["differences"].as_array().into_iter().flatten() {
        let example = &difference["example"];
        let status = |answer: &Value| match answer["status"].as_u64() {
            Some(status) => format!("{} {status}", word(&answer["verdict"])),
            None => word(&answer["verdict"]),
        };
        let _ = write!(
            text,
            "\n{} -> {}  {} times  {} {} by {}\n  now        {}\n  candidate  {}\n  latest     {} {} ({})\n",
            status(&difference["live"]),
            status(&difference["candidate"]),
            difference["count"],
            word(&difference["action"]),
            word(&difference["route"]),
            word(&difference["principal_type"]),
            word(&example["live"]),
            word(&example["candidate"]),
            word(&example["principal"]),
            word(&example["request"]),
            word(&example["decision_id"]),
        );
    }
    text
}
