//! What `portcullis demo` shows itself with, and what the integration tests stand on: an issuer with real keys, people
//! with real tokens, an upstream that tells what reached it, and a real Envoy between them.
//!
//! Everything listens on loopback only and on ports the kernel chooses. Nothing here is part of a running server.

pub mod child;
pub mod echo;
pub mod envoy;
pub mod http;
pub mod issuer;
pub mod keys;
mod loopback;
pub mod people;
mod rows;
pub mod scratch;
mod show;
pub mod stage;
pub mod tools;

use std::process::ExitCode;

/// Show it: a local issuer, a real Envoy, an echo upstream, and a table of answers.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Demo {
    /// End after the table; exit code 0 only if every row is what it must be
    #[arg(long)]
    once: bool,
}

const AFTER_HELP: &str = "\
Examples:
  portcullis demo           stays up, with tokens and curl lines to try
  portcullis demo --once

Exit codes: 0 every row is what it must be, 1 it is not, or something could not be started, 2 wrong usage.";

impl Demo {
    /// Runs it.
    pub fn run(self) -> ExitCode {
        show::run(if self.once {
            show::After::Exit
        } else {
            show::After::Stay
        })
    }
}
