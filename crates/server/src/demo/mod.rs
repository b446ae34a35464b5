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
pub struct Demo {
    /// End after the table; exit code 0 only if every row is what it must be
    #[arg(long)]
    once: bool,
}

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
