//! `portcullis lint`: advice about policies that are valid.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;
use decide::lint::{Finding, Rule};
use decide::problem::Problem;
use serde_json::{Value, json};

use super::test::{Suites, github_data, github_property, packs};
use super::{exit, say};
use crate::config::Invalid;
use crate::policy_tests::{Coverage, Pack};

/// Look for what is probably not meant.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Lint {
    /// Folders with packs at or below them
    #[arg(value_name = "DIR", default_value = ".")]
    folders: Vec<PathBuf>,
    /// One configuration file instead
    #[arg(long, short, value_name = "FILE", conflicts_with = "folders")]
    config: Option<PathBuf>,
    /// Fail if anything is found
    #[arg(long)]
    deny: bool,
    /// How findings are printed
    #[arg(long, short, value_enum, default_value_t = Output::Text)]
    output: Output,
}

const AFTER_HELP: &str = "\
Rules:
  missing-id             a policy without @id: decisions call it by its place
  broad-permit           a permit for everybody, everything and always
  dead-permit            a permit that no request of any route can meet
  duplicate              the same as another policy
  shadowed               a permit that says nothing that a wider one does not say
  path-as-text           a path compared with like, == or contains
  forbid-without-reason  a forbid without @reason
  untested               a policy that no test exercises
  no-tests               a pack without suites
  unknown-rule           an @lint that cannot be read
  configuration          what `portcullis validate` advises

@lint(\"allow: broad-permit\") on a policy allows it there; several names are separated by commas.

Examples:
  portcullis lint                       every pack at or below this folder
  portcullis lint --deny -o github      in a pipeline
  portcullis lint --config policies/default/portcullis.yaml

Exit codes: 0 done, 1 something was found and --deny given, 2 wrong usage, 4 invalid configuration or suite.";

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Output {
    /// For people
    Text,
    /// A list of findings
    Json,
    /// Annotations of GitHub's workflows
    Github,
}

impl Lint {
    pub(super) fn run(self) -> ExitCode {
        let folders = self.config.map_or(self.folders, |file| vec![file]);
        let problems = match self.output {
            Output::Json => super::Output::Json,
            Output::Text | Output::Github => super::Output::Text,
        };
        let packs = match packs(&folders, Suites::Optional, problems) {
            Ok(packs) => packs,
            Err(code) => return code,
        };
        let mut text = String::new();
        let mut list = Vec::new();
        let mut count = 0;
        for pack in packs {
            let findings = findings(&pack);
            count += findings.len();
            let rules: Vec<Rule> = findings.iter().map(|finding| finding.rule).collect();
            let problems = findings.into_iter().map(|finding| finding.problem).collect();
            let report = pack.loaded.advice.about(problems);
            if let Output::Text = self.output {
                let _ = write!(text, "{report}");
            }
            for (problem, rule) in report.problems().iter().zip(rules) {
                match self.output {
                    Output::Text => {}
                    Output::Json => list.push(json(&report, problem, rule)),
                    Output::Github => annotate(&mut text, &report, problem, rule),
                }
            }
        }
        say(&match self.output {
            Output::Text | Output::Github => match count {
                0 => "nothing found\n".to_owned(),
                1 => format!("{text}1 finding\n"),
                count => format!("{text}{count} findings\n"),
            },
            Output::Json => format!("{:#}\n", Value::Array(list)),
        });
        if self.deny && count > 0 {
            exit::FAILURE
        } else {
            ExitCode::SUCCESS
        }
    }
}

fn findings(pack: &Pack) -> Vec<Finding> {
    let advice = &pack.loaded.advice;
    let settings = &pack.loaded.config.settings;
    let lint =
        |untested: &[&str]| decide::lint::lint(settings, advice.sources(), advice.problems(), untested);
    if pack.suites.is_empty() {
        let mut findings = lint(&[]);
        findings.push(Finding::advice(
            Rule::NoTests,
            Problem::setting(
                "/policies",
                "nothing tests these policies",
                "write tests/first.yaml beside this file, and run `portcullis test`",
            ),
        ));
        return findings;
    }
    let coverage = Coverage::of(pack, &pack.run(|_, _| true));
    lint(&coverage.untested_policies())
}

fn json(report: &Invalid, problem: &Problem, rule: Rule) -> Value {
    let (file, line, column) = report.place(problem);
    json!({
        "rule": rule.as_str(),
        "file": file,
        "line": line,
        "column": column,
        "message": bare(problem),
        "help": problem.help,
    })
}

/// The message without the rule's name before it.
fn bare(problem: &Problem) -> &str {
    problem
        .message
        .split_once(": ")
        .map_or(&*problem.message, |(_rule, message)| message)
}

fn annotate(text: &mut String, report: &Invalid, problem: &Problem, rule: Rule) {
    let (file, line, column) = report.place(problem);
    let _ = writeln!(
        text,
        "::warning file={},line={line},col={column},title={}::{}",
        github_property(&file),
        github_property(rule.as_str()),
        github_data(&format!("{}\n{}", bare(problem), problem.help))
    );
}
