//! `portcullis matrix`: who may do what, as a table.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Map, Value, json};

use super::test::{Suites, packs, shown};
use super::{Output, exit, say, tell};
use crate::policy_tests::{COMMITTED, Pack, answers, diff, matrix};

/// Print who may do what.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Matrix {
    /// Folders with packs at or below them
    #[arg(value_name = "DIR", default_value = ".")]
    folders: Vec<PathBuf>,
    /// Compare with the `matrix.txt` of each pack instead, and fail if they differ
    #[arg(long, conflicts_with = "write")]
    check: bool,
    /// Write the `matrix.txt` of each pack instead
    #[arg(long)]
    write: bool,
    /// How the table is printed
    #[arg(long, short, value_enum, default_value_t = Output::Text, conflicts_with_all = ["check", "write"])]
    output: Output,
}

const AFTER_HELP: &str = "\
Every principal of a suite with every request of it: allow, or the status of the denial.
Commit the table, and a change of policies shows in a review as the change of what people may do.

Examples:
  portcullis matrix policies/default           print it
  portcullis matrix policies/default --write   keep it in policies/default/matrix.txt
  portcullis matrix policies --check           in a pipeline (`portcullis test` does the same)

Exit codes: 0 done, 1 cannot write, 2 wrong usage, 4 invalid configuration or suite, 5 a table is out of date.";

impl Matrix {
    pub(super) fn run(self) -> ExitCode {
        let packs = match packs(&self.folders, Suites::Needed, self.output) {
            Ok(packs) => packs,
            Err(code) => return code,
        };
        let several = packs.len() > 1;
        let mut code = ExitCode::SUCCESS;
        let mut list = Vec::new();
        for (index, pack) in packs.iter().enumerate() {
            let table = matrix(pack);
            let file = shown(&pack.folder, COMMITTED);
            if self.write {
                match std::fs::write(&file, &table) {
                    Ok(()) => say(&format!("{file}\n")),
                    Err(error) => {
                        tell(&format!("cannot write {file}: {error}"));
                        code = exit::FAILURE;
                    }
                }
            } else if self.check {
                match std::fs::read_to_string(&file).map(|committed| diff(&committed, &table)) {
                    Ok(None) => say(&format!("{file} is up to date\n")),
                    Ok(Some(diff)) => {
                        say(&format!(
                            "{file} is not what the policies do (- committed, + now)\n{diff}"
                        ));
                        code = exit::tests_failed();
                    }
                    Err(error) => {
                        tell(&format!(
                            "cannot read {file}: {error}\n`portcullis matrix --write` makes it"
                        ));
                        code = exit::tests_failed();
                    }
                }
            } else if self.output == Output::Json {
                list.push(json(pack));
            } else {
                let gap = if index > 0 { "\n" } else { "" };
                let heading = format!("{gap}==> {} <==\n", pack.file.display());
                say(&format!("{}{table}", if several { &heading } else { "" }));
            }
        }
        if self.output == Output::Json {
            say(&format!("{:#}\n", Value::Array(list)));
        }
        code
    }
}

/// The table of a pack for programs.
fn json(pack: &Pack) -> Value {
    let suites = answers(pack).into_iter().map(|suite| {
        let requests = suite.requests.iter().map(|(request, answers)| {
            let people = suite.people.iter().map(|name| (*name).to_owned());
            let answers: Map<String, Value> =
                people.zip(answers.iter().cloned().map(Value::String)).collect();
            json!({ "request": request, "answers": answers })
        });
        json!({ "file": suite.file, "requests": requests.collect::<Vec<_>>() })
    });
    json!({ "pack": pack.file.display().to_string(), "suites": suites.collect::<Vec<_>>() })
}
