//! The `portcullis` binary.

use std::process::ExitCode;

use clap::Parser as _;
use portcullis::cli::Cli;

// A fifth less CPU per check than with the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    Cli::parse().run()
}
