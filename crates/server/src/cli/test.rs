//! `portcullis test`: runs the suites of packs, offline.

mod machines;
mod people;

pub(super) use machines::{data as github_data, property as github_property};

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ValueEnum;

use super::{exit, say, tell, tell_invalid};
use crate::config::Invalid;
use crate::policy_tests::{self, COMMITTED, Coverage, Pack, Ran, diff};

/// Run the tests of policies.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Test {
    /// Folders with packs at or below them: a pack is a `portcullis.yaml` with `tests/*.yaml` beside it
    #[arg(value_name = "DIR", default_value = ".")]
    folders: Vec<PathBuf>,
    /// Only tests with this in their id, file, principal or request
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Print the policies, and the methods of routes, that no test exercises
    #[arg(long, conflicts_with = "filter")]
    coverage: bool,
    /// Fail if there are such
    #[arg(long, conflicts_with = "filter")]
    require_coverage: bool,
    /// How results are printed
    #[arg(long, short, value_enum, default_value_t = Output::Text)]
    output: Output,
}

const AFTER_HELP: &str = "\
Examples:
  portcullis test                                every pack at or below this folder
  portcullis test policies --filter ws-alice     while you write
  portcullis test --require-coverage -o github   in a pipeline

A suite, tests/workspaces.yaml:
  principals:
    alice: { user: main/alice, roles: { ws-alice: [ws_access] } }
  tests:
    - id: own-workspace
      as: alice
      request: GET /workspaces/ws-alice
      expect: allow

No network is used and no token is needed. A pack with a matrix.txt (`portcullis matrix --write`) fails if it is not up to
date. All there is to a suite: docs/policy-tests.md

Exit codes: 0 all passed, 2 wrong usage, 4 invalid configuration or suite, 5 tests failed.";

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Output {
    /// For people
    Text,
    /// JUnit's XML
    Junit,
    /// One document
    Json,
    /// Annotations of GitHub's workflows
    Github,
}

impl Output {
    /// How problems of the packs themselves are printed.
    fn problems(self) -> super::Output {
        match self {
            Self::Json => super::Output::Json,
            Self::Text | Self::Junit | Self::Github => super::Output::Text,
        }
    }
}

/// What came of one pack.
struct Result {
    pack: Pack,
    ran: Vec<Ran>,
    /// How the committed table differs from what it should be.
    outdated: Option<String>,
    coverage: Option<Coverage>,
}

/// What came of everything.
struct Summary {
    passed: usize,
    failed: usize,
    suites: usize,
    packs: usize,
    outdated: usize,
    uncovered: usize,
}

impl Test {
    pub(super) fn run(self) -> ExitCode {
        let packs = match packs(&self.folders, Suites::Needed, self.output.problems()) {
            Ok(packs) => packs,
            Err(code) => return code,
        };
        let mut results = Vec::new();
        for pack in packs {
            let ran = pack.run(|suite, case| {
                let wanted = |filter: &str| {
                    [&case.id, &suite.file, &case.who, &case.request]
                        .iter()
                        .any(|text| text.contains(filter))
                };
                self.filter.as_deref().is_none_or(wanted)
            });
            results.push(Result {
                outdated: self.filter.is_none().then(|| outdated(&pack)).flatten(),
                coverage: (self.coverage || self.require_coverage).then(|| Coverage::of(&pack, &ran)),
                pack,
                ran,
            });
        }
        let summary = Summary::of(&results);
        if summary.passed + summary.failed == 0 {
            let filter = self.filter.unwrap_or_default();
            tell(&format!(
                "no test has {filter:?} in its id, file, principal or request"
            ));
            return exit::invalid();
        }
        say(&match self.output {
            Output::Text => people::text(&results, &summary),
            Output::Junit => machines::junit(&results, &summary),
            Output::Json => machines::json(&results, &summary),
            Output::Github => machines::github(&results, &summary, self.require_coverage),
        });
        if summary.failed + summary.outdated > 0 || (self.require_coverage && summary.uncovered > 0) {
            exit::tests_failed()
        } else {
            ExitCode::SUCCESS
        }
    }
}

/// Whether a pack may be without suites.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Suites {
    Needed,
    Optional,
}

/// Loads all packs at or below these folders, or prints everything that is wrong with them.
pub(super) fn packs(
    folders: &[PathBuf],
    suites: Suites,
    output: super::Output,
) -> std::result::Result<Vec<Pack>, ExitCode> {
    let mut found: Vec<PathBuf> = Vec::new();
    let mut unusable = Vec::new();
    let mut fail = |message: String| unusable.push(message);
    for folder in folders {
        match policy_tests::packs(folder) {
            Ok(packs) if packs.is_empty() => fail(format!(
                "there is no pack at or below {}: a pack is a folder with a portcullis.yaml",
                folder.display()
            )),
            Ok(packs) => found.extend(packs),
            Err(error) => fail(format!("cannot look for packs in {}: {error}", folder.display())),
        }
    }
    found.dedup();
    let (mut packs, mut invalid) = (Vec::new(), Vec::new());
    for file in &found {
        match Pack::load(file) {
            Ok(pack) if pack.suites.is_empty() && suites == Suites::Needed => fail(format!(
                "{} has no tests: write {}",
                file.display(),
                shown(&pack.folder, "tests/first.yaml")
            )),
            Ok(pack) => packs.push(pack),
            Err(problems) => invalid.extend(problems),
        }
    }
    if invalid.is_empty() && unusable.is_empty() {
        return Ok(packs);
    }
    if output == super::Output::Json {
        // A folder has no place to point to.
        let bare = unusable.iter().map(|message| Invalid::bare(message));
        invalid.splice(0..0, bare.collect::<Vec<_>>());
    } else {
        unusable.iter().for_each(|message| tell(message));
    }
    tell_invalid(&invalid, output);
    Err(exit::invalid())
}

/// A file of a pack, as messages name it.
pub(super) fn shown(folder: &Path, file: &str) -> String {
    folder.join(file).display().to_string()
}

/// How the committed table of the pack differs from what it should be, if there is one and it does.
pub(super) fn outdated(pack: &Pack) -> Option<String> {
    let committed = std::fs::read_to_string(pack.folder.join(COMMITTED)).ok()?;
    diff(&committed, &policy_tests::matrix(pack))
}

impl Summary {
    fn of(results: &[Result]) -> Self {
        let mut summary = Self {
            passed: 0,
            failed: 0,
            suites: 0,
            packs: results.len(),
            outdated: 0,
            uncovered: 0,
        };
        for result in results {
            for suite in &result.ran {
                let (passed, failed) = suite.counts();
                summary.passed += passed;
                summary.failed += failed;
                summary.suites += usize::from(passed + failed > 0);
            }
            summary.outdated += usize::from(result.outdated.is_some());
            summary.uncovered += result
                .coverage
                .as_ref()
                .map_or(0, |coverage| coverage.uncovered.len());
        }
        summary
    }
}
