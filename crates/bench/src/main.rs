//! `cargo xtask bench`: what a decision costs, beside servers that decide nothing, in one table.
//!
//! Never part of what is shipped. It starts real servers, asks them over loopback, and reads from the kernel how much CPU
//! they took. Times on a machine that does other things are noise: trust ratios within one run, and instruction counts.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it talks to the developer"
)]

mod callgrind;
mod folder;
mod h2load;
mod load;
mod machine;
mod material;
mod report;
mod rounds;
mod scenario;
mod server;
mod stats;
mod targets;
mod tools;
mod wrk;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::Parser;
use portcullis::demo::scratch::ScratchDir;

use crate::folder::{Places, Setup};
use crate::machine::Cores;
use crate::material::Issuer;
use crate::report::Report;
use crate::rounds::{CROWD, Effort};
use crate::scenario::SCENARIOS;
use crate::server::{Binaries, Program, Server};

/// What a decision costs, beside servers that decide nothing.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench")]
struct Words {
    /// A rough look in about three minutes
    #[arg(long)]
    quick: bool,
    /// Only these scenarios; `list` names them
    #[arg(long, num_args = 1.., value_name = "SCENARIO")]
    only: Vec<String>,
    /// Write everything as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the tables as Markdown: between the marks of a document that has them, or as a file of their own
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// The binary to measure, instead of one that is built for it
    #[arg(long, value_name = "FILE")]
    portcullis: PathBuf,
    /// The servers to compare it with
    #[arg(long, value_name = "FILE", hide = true)]
    yardstick: PathBuf,
}

/// What every scenario works with.
#[derive(Debug)]
pub(crate) struct Bench {
    binaries: Binaries,
    cores: Cores,
    dir: ScratchDir,
    issuer: Issuer,
    quick: bool,
    report: Report,
}

fn main() -> ExitCode {
    match run(&Words::parse()) {
        Ok(code) => code,
        Err(why) => {
            eprintln!("bench: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &Words) -> Result<ExitCode, String> {
    if words.only.iter().any(|name| name == "list") {
        for scenario in SCENARIOS {
            println!("{:<14} {}", scenario.name, scenario.about);
        }
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(unknown) = words
        .only
        .iter()
        .find(|name| SCENARIOS.iter().all(|scenario| scenario.name != **name))
    {
        return Err(format!("no such scenario: {unknown} (`--only list` names them)"));
    }
    let cores = Cores::find()?;
    let mut bench = Bench {
        binaries: Binaries {
            portcullis: words.portcullis.clone(),
            yardstick: words.yardstick.clone(),
        },
        cores,
        dir: ScratchDir::new("bench").map_err(|error| error.to_string())?,
        issuer: Issuer::new()?,
        quick: words.quick,
        report: Report {
            date: said_by("date", &["-u", "+%Y-%m-%d %H:%M UTC"]),
            commit: said_by("git", &["describe", "--always", "--dirty"]),
            machine: machine::description(),
            effort: if words.quick { "a quick look" } else { "all rounds" }.to_owned(),
            ..Report::default()
        },
    };
    // What it starts to ask with is on this processor, too; servers are put on another one.
    machine::pin_myself(cores.client)?;
    let mut failed = false;
    for scenario in SCENARIOS {
        let wanted = if words.only.is_empty() {
            !(words.quick && scenario.slow)
        } else {
            words.only.iter().any(|name| name == scenario.name)
        };
        if !wanted {
            if words.only.is_empty() {
                bench.skip(scenario.name, "not with --quick");
            }
            continue;
        }
        eprintln!("=== {}: {}", scenario.name, scenario.about);
        let tables = bench.report.tables.len();
        if let Err(why) = (scenario.run)(&mut bench) {
            eprintln!("{}: {why}", scenario.name);
            bench.skip(scenario.name, why.lines().next().unwrap_or_default());
            failed = true;
        }
        for table in bench.report.tables.iter().skip(tables) {
            println!("{}", table.markdown());
        }
    }
    println!("{}", targets::table(&bench.report.measures).markdown());
    for (what, why) in &bench.report.skipped {
        println!("skipped: {what}: {why}");
    }
    if let Some(path) = &words.json {
        bench.report.write_json(path)?;
    }
    if let Some(path) = &words.markdown {
        bench.report.write_markdown(path)?;
    }
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

impl Bench {
    fn skip(&mut self, what: &str, why: &str) {
        self.report.skipped.push((what.to_owned(), why.to_owned()));
    }

    /// How much to ask, when this many servers take turns.
    fn effort(&self) -> Effort {
        Effort {
            rounds: if self.quick { 5 } else { 24 },
            requests: if self.quick { 12_000 } else { 30_000 },
            crowd: CROWD,
        }
    }

    /// Writes a configuration in a folder of its own.
    fn configure(&self, name: &str, setup: &Setup) -> Result<Places, String> {
        folder::write(&self.dir.path().join(name), setup, &self.issuer.jwks())
    }

    /// Starts a server on the processor for servers.
    fn start(&self, name: &str, program: &Program<'_>) -> Result<Server, String> {
        let log = self.dir.path().join(format!("{name}.log"));
        Server::start(&self.binaries, program, &self.cores.server.to_string(), &[], log)
    }

    /// Configures `portcullis` and starts it.
    fn portcullis(&self, name: &str, setup: &Setup) -> Result<Server, String> {
        let places = self.configure(name, setup)?;
        self.start(name, &Program::Portcullis(&places))
    }

    /// Writes a message (or anything else) to a file.
    fn file(&self, name: &str, bytes: &[u8]) -> Result<PathBuf, String> {
        let path = self.dir.path().join(name);
        std::fs::write(&path, bytes).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(path)
    }
}

fn said_by(program: &str, words: &[&str]) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    Command::new(program)
        .args(words)
        .current_dir(root)
        .output()
        .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
        .unwrap_or_default()
}
