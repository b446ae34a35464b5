//! `cargo xtask generate`: the generated files that are committed, so that a change of theirs shows in review.

use std::fs;
use std::process::Stdio;

use crate::workspace::Workspace;

/// What to write, and the words that make `portcullis` print it.
const FILES: &[(&str, &str)] = &[
    ("deploy/config.schema.json", "config schema"),
    ("docs/cli.md", "man --output markdown"),
    ("docs/configuration.md", "config schema --output markdown"),
    ("deploy/decision-record.schema.json", "config schema --decisions"),
];

/// Writes every generated file again. A file whose command fails stays as it is.
pub(crate) fn run(workspace: &Workspace) -> Result<(), String> {
    for (file, verb) in FILES {
        let output = workspace
            .cargo("run --quiet --locked --package portcullis --")
            .args(verb.split_whitespace())
            .stderr(Stdio::inherit())
            .output()
            .map_err(|error| format!("cannot start cargo: {error}"))?;
        if !output.status.success() {
            return Err(format!("`portcullis {verb}` failed; {file} is as it was"));
        }
        let path = workspace.root.join(file);
        fs::write(&path, &output.stdout).map_err(|error| format!("{}: {error}", path.display()))?;
        println!("{file}");
    }
    Ok(())
}
