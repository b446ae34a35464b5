//! `cargo xtask test`: every check there is, one after the other, whatever the earlier ones said, and a summary.
//!
//! The last line is `N passed, N failed`, over all tests and one for each other step; `, N skipped` follows when
//! something could not run, and the lines above name it. With `CI=true` a skip is a failure.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use crate::deny;
use crate::image::{self, Target, Trial};
use crate::tally::Tally;
use crate::workspace::Workspace;

/// How the demo and the image are built here: what is shipped takes several times as long (`dist`).
const PROFILE: &str = "release";

/// How much of it to run.
#[derive(Clone, Copy)]
pub(crate) enum Reach {
    /// All steps.
    Everything,
    /// What needs nothing but cargo and one build.
    Fast,
}

/// The name of a step and what it does.
type Step = (&'static str, Work);

#[derive(Clone, Copy)]
enum Work {
    /// Cargo with these words.
    Cargo(&'static str),
    /// The same, where rustdoc's warnings are errors.
    Docs(&'static str),
    /// The same, and its tests are counted.
    Tests(&'static str),
    /// cargo-deny, installed first.
    Deny,
    /// The demo, with the program that goes into the image: the one optimised build of a run.
    Demo,
    /// The image with that program, made twice and run.
    Image,
}

const FORMAT: Step = ("format", Work::Cargo("fmt --all --check"));
const CLIPPY: Step = (
    "clippy",
    Work::Cargo("clippy --workspace --all-targets --locked -- -D warnings"),
);
const EVERYTHING: &[Step] = &[
    FORMAT,
    CLIPPY,
    ("docs", Work::Docs("doc --workspace --no-deps --locked")),
    ("licences, bans, sources", Work::Deny),
    (
        "tests",
        Work::Tests("test --workspace --all-targets --locked --no-fail-fast"),
    ),
    (
        "doc tests",
        Work::Tests("test --workspace --doc --locked --no-fail-fast"),
    ),
    ("demo", Work::Demo),
    ("image", Work::Image),
];
const FAST: &[Step] = &[
    FORMAT,
    CLIPPY,
    (
        "unit tests",
        Work::Tests("test --workspace --lib --bins --locked --no-fail-fast"),
    ),
];

enum Outcome {
    Passed,
    Failed,
    Skipped,
}

struct Row {
    name: &'static str,
    outcome: Outcome,
    took: Duration,
}

/// Runs the steps of `reach` and prints the summary. An empty error means: the summary has said it.
pub(crate) fn run(workspace: &Workspace, reach: Reach) -> Result<(), String> {
    let steps = match reach {
        Reach::Everything => EVERYTHING,
        Reach::Fast => FAST,
    };
    let mut run = Run::start(workspace)?;
    let mut rows: Vec<Row> = steps.iter().map(|&step| run.step(step)).collect();
    run.read_skipped()?;
    if run.ci && !run.tally.skipped.is_empty() {
        run.tally.failed += 1;
        rows.push(Row {
            name: "nothing skipped",
            outcome: Outcome::Failed,
            took: Duration::ZERO,
        });
    }
    summary(&rows, &run.tally);
    if run.tally.failed == 0 {
        Ok(())
    } else {
        Err(String::new())
    }
}

struct Run<'a> {
    workspace: &'a Workspace,
    ci: bool,
    tally: Tally,
    /// Where the tests write `SKIPPED name: why`, each line with the test's own name and a tab in front.
    skipped_file: PathBuf,
}

impl<'a> Run<'a> {
    fn start(workspace: &'a Workspace) -> Result<Self, String> {
        let skipped_file = workspace.target.join("portcullis-skipped.txt");
        fs::write(&skipped_file, "").map_err(|error| format!("{}: {error}", skipped_file.display()))?;
        Ok(Self {
            workspace,
            ci: env::var("CI").is_ok_and(|ci| ci == "true" || ci == "1"),
            tally: Tally::default(),
            skipped_file,
        })
    }

    /// One heading, one child process, one row, and at least one failure counted when it failed.
    fn step(&mut self, (name, work): Step) -> Row {
        println!("\n=== {name}");
        let started = Instant::now();
        let failed_before = self.tally.failed;
        let outcome = self.work(work).unwrap_or_else(|why| {
            println!("{why}");
            Outcome::Failed
        });
        if matches!(outcome, Outcome::Failed) && self.tally.failed == failed_before {
            self.tally.failed += 1;
        }
        let took = started.elapsed();
        println!("=== {name}: {} in {:.1} s", outcome.word(), took.as_secs_f64());
        Row { name, outcome, took }
    }

    fn work(&mut self, work: Work) -> Result<Outcome, String> {
        match work {
            Work::Cargo(words) => self.plain(self.workspace.cargo(words)),
            Work::Docs(words) => {
                let mut cargo = self.workspace.cargo(words);
                cargo.env("RUSTDOCFLAGS", "-D warnings");
                self.plain(cargo)
            }
            Work::Tests(words) => self.tests(self.workspace.cargo(words)),
            Work::Deny => match deny::install(self.workspace) {
                Ok(binary) => {
                    let mut deny = self.workspace.command(binary);
                    deny.args(deny::WORDS.split_whitespace());
                    self.plain(deny)
                }
                Err(why) => Ok(self.skipped("cargo-deny", &why)),
            },
            Work::Demo => {
                let binary = Target::host()?.build(self.workspace, PROFILE)?;
                let mut demo = self.workspace.command(binary);
                demo.args(["demo", "--once"]);
                self.plain(demo)
            }
            Work::Image => self.image(),
        }
    }

    /// Packs what the demo was run with, a second time to compare, and runs what is in the archive.
    fn image(&mut self) -> Result<Outcome, String> {
        let target = Target::host()?;
        if !target.is_linux() {
            return Ok(self.skipped("image", "images are made on Linux"));
        }
        let binary = target.build(self.workspace, PROFILE)?;
        let once = image::pack(
            self.workspace,
            &target,
            &binary,
            &self.workspace.target.join("image/once"),
        )?;
        let again = image::pack(
            self.workspace,
            &target,
            &binary,
            &self.workspace.target.join("image/again"),
        )?;
        let read = |path: &Path| fs::read(path).map_err(|error| format!("{}: {error}", path.display()));
        if read(&once.archive)? != read(&again.archive)? || read(&once.sbom)? != read(&again.sbom)? {
            return Err("the same program packed twice is not the same image".to_owned());
        }
        println!("{}: {:.1} MB", once.archive.display(), once.size as f64 / 1e6);
        match image::try_out(self.workspace, &once.archive, &binary)? {
            Trial::Passed => {
                self.tally.passed += 1;
                Ok(Outcome::Passed)
            }
            Trial::Impossible(why) => Ok(self.skipped("image", &why)),
        }
    }

    fn skipped(&mut self, name: &str, why: &str) -> Outcome {
        println!("SKIPPED {name}: {why}");
        self.tally.skipped.push(format!("{name}: {why}"));
        Outcome::Skipped
    }

    fn plain(&mut self, mut command: Command) -> Result<Outcome, String> {
        let outcome = Outcome::of(command.status().map_err(|error| cannot_start(&command, &error))?);
        if matches!(outcome, Outcome::Passed) {
            self.tally.passed += 1;
        }
        Ok(outcome)
    }

    fn tests(&mut self, mut command: Command) -> Result<Outcome, String> {
        command.env("TESTS_SKIPPED_FILE", &self.skipped_file);
        if self.ci {
            command.env("TESTS_TOOLS", "required");
        }
        let (status, tally) = Tally::run(command)?;
        let outcome = match tally.failed {
            0 => Outcome::of(status),
            _ => Outcome::Failed,
        };
        self.tally.add(tally);
        Ok(outcome)
    }

    /// A test that could not run has returned, so it was counted as one that passed.
    fn read_skipped(&mut self) -> Result<(), String> {
        let text = fs::read_to_string(&self.skipped_file)
            .map_err(|error| format!("{}: {error}", self.skipped_file.display()))?;
        let skipped = skipped(&text);
        self.tally.passed = self.tally.passed.saturating_sub(skipped.len());
        self.tally.skipped.extend(skipped);
        Ok(())
    }
}

/// The tests that could not run, each once and with its first reason.
fn skipped(text: &str) -> Vec<String> {
    let mut tests = BTreeMap::new();
    for line in text.lines() {
        if let Some((test, why)) = line.split_once("\tSKIPPED ") {
            tests.entry(test).or_insert_with(|| format!("{test}: {why}"));
        }
    }
    tests.into_values().collect()
}

impl Outcome {
    fn of(status: ExitStatus) -> Self {
        if status.success() {
            Self::Passed
        } else {
            Self::Failed
        }
    }

    fn word(&self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "FAILED",
            Self::Skipped => "skipped",
        }
    }
}

fn cannot_start(command: &Command, error: &io::Error) -> String {
    format!("cannot start {}: {error}", command.get_program().display())
}

fn summary(rows: &[Row], tally: &Tally) {
    println!("\n=== summary\n{:<28}{:<10}{:>8}", "step", "result", "seconds");
    for Row { name, outcome, took } in rows {
        println!("{name:<28}{:<10}{:>8.1}", outcome.word(), took.as_secs_f64());
    }
    for skipped in &tally.skipped {
        println!("SKIPPED {skipped}");
    }
    let (passed, failed) = (tally.passed, tally.failed);
    match tally.skipped.len() {
        0 => println!("\n{passed} passed, {failed} failed"),
        skipped => println!("\n{passed} passed, {failed} failed, {skipped} skipped"),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_test_is_skipped_once_whatever_it_lacks() {
        let text = "b::two\tSKIPPED envoy: no network\na::one\tSKIPPED nginx: none\nb::two\tSKIPPED node: none\n\njunk\n";
        assert_eq!(
            super::skipped(text),
            ["a::one: nginx: none", "b::two: envoy: no network"]
        );
    }
}
