//! `cargo xtask bench`: builds what is shipped as it is shipped, what it is compared with in the same way, and hands over to
//! the program `bench` (`crates/bench`), which measures.

use crate::workspace::Workspace;

/// What is measured comes alone: in one build with the others it would get what only they need.
const BUILDS: &[&str] = &[
    "build --profile dist --locked --package portcullis --bin portcullis",
    "build --profile dist --locked --package yardstick",
    "build --locked --workspace --bin bench",
];

/// Builds, then runs `bench` with these words.
pub(crate) fn run(workspace: &Workspace, words: &[&str]) -> Result<(), String> {
    let builds = if words.iter().any(|word| ["--help", "-h", "list"].contains(word)) {
        &BUILDS[2..]
    } else {
        BUILDS
    };
    for build in builds {
        println!("cargo {build}");
        succeed(&mut workspace.cargo(build), "cargo")?;
    }
    let dist = workspace.target.join("dist");
    let mut bench = workspace.command(workspace.target.join("debug/bench"));
    bench
        .arg("--portcullis")
        .arg(dist.join("portcullis"))
        .arg("--yardstick")
        .arg(dist.join("yardstick"))
        .args(words);
    succeed(&mut bench, "bench")
}

fn succeed(command: &mut std::process::Command, name: &str) -> Result<(), String> {
    let status = command
        .status()
        .map_err(|error| format!("cannot start {name}: {error}"))?;
    if status.success() {
        return Ok(());
    }
    Err(format!("{name} ended with {status}"))
}
