//! Results for people.

use std::fmt::Write as _;

use super::{Result, Summary, shown};
use crate::policy_tests::{COMMITTED, Row};

pub(super) fn text(results: &[Result], summary: &Summary) -> String {
    let mut text = String::new();
    let suites = results.iter().flat_map(|result| &result.ran);
    let width = suites
        .map(|suite| suite.file.chars().count())
        .max()
        .unwrap_or_default();
    for suite in results.iter().flat_map(|result| &result.ran) {
        let _ = match suite.counts() {
            (0, 0) => Ok(()),
            (passed, 0) => writeln!(text, "{:width$}  {passed} passed", suite.file),
            (passed, failed) => writeln!(text, "{:width$}  {passed} passed, {failed} failed", suite.file),
        };
    }
    for result in results {
        for suite in &result.ran {
            for row in suite.rows.iter().filter(|row| !row.passed()) {
                failure(&mut text, result, &suite.file, row);
            }
        }
        if let Some(diff) = &result.outdated {
            let _ = write!(
                text,
                "\nFAILED {} is not what the policies do (- committed, + now)\n{}  if this is wanted: portcullis matrix {} \
                 --write\n",
                shown(&result.pack.folder, COMMITTED),
                indented(diff),
                quoted(&result.pack.file.display().to_string()),
            );
        }
    }
    for result in results {
        let Some(coverage) = &result.coverage else {
            continue;
        };
        let ((policies, all_policies), (methods, all_methods)) = (coverage.policies, coverage.methods);
        let _ = writeln!(
            text,
            "\ncoverage of {}: {policies} of {all_policies} policies, {methods} of {all_methods} methods of routes",
            result.pack.file.display()
        );
        for uncovered in &coverage.uncovered {
            let _ = writeln!(
                text,
                "  {}:{}: no test that passed exercises {}",
                uncovered.file, uncovered.line, uncovered.what
            );
        }
    }
    let _ = writeln!(text, "\n{}", summary.in_a_line());
    text
}

fn failure(text: &mut String, result: &Result, file: &str, row: &Row) {
    let case = &row.case;
    let _ = write!(text, "\nFAILED {file}:{}: {}", case.line, case.id);
    if let Some(why) = &case.why {
        let _ = write!(text, ": {why}");
    }
    let _ = writeln!(text, "\n  {} as {} ({})", case.request, case.who, row.principal);
    let labels = row
        .differences
        .iter()
        .map(|difference| difference.what.chars().count());
    let label = labels.max().unwrap_or_default().max(8);
    for difference in &row.differences {
        let _ = writeln!(
            text,
            "  {:label$}  expected  {}",
            difference.what, difference.expected
        );
        let _ = writeln!(text, "  {:label$}  got       {}", "", difference.got);
    }
    let answer = &row.answer;
    let mut line = |name: &str, what: &str| {
        let _ = writeln!(text, "  {name:label$}  {what}");
    };
    let whole = format!("{} ({}): {}", answer.in_short(), answer.reason, answer.why);
    line("answer", &whole);
    line("route", answer.route.as_deref().unwrap_or("(none)"));
    line("explain", &result.explain(row));
}

impl Result {
    /// The command that explains the answer.
    pub(super) fn explain(&self, row: &Row) -> String {
        let question = &row.case.question;
        let mut command = format!(
            "portcullis check --config {} {} {}",
            quoted(&self.pack.file.display().to_string()),
            question.method,
            quoted(&question.url())
        );
        for (name, value) in &question.headers {
            let _ = write!(command, " -H {}", quoted(&format!("{name}: {value}")));
        }
        if row.principal != "Anonymous" {
            command.push_str(" -H 'authorization: Bearer …'");
        }
        command
    }
}

impl Summary {
    pub(super) fn in_a_line(&self) -> String {
        let mut line = format!("{} passed, {} failed", self.passed, self.failed);
        let mut add = |number: usize, one: &str, many: &str| {
            if number > 0 {
                let _ = write!(line, ", {number} {}", if number == 1 { one } else { many });
            }
        };
        add(self.outdated, "matrix out of date", "matrices out of date");
        add(self.uncovered, "gap in the coverage", "gaps in the coverage");
        let plural =
            |number: usize, word: &str| format!("{number} {word}{}", if number == 1 { "" } else { "s" });
        let _ = write!(
            line,
            " ({} in {})",
            plural(self.suites, "suite"),
            plural(self.packs, "pack")
        );
        line
    }
}

/// A word of a shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

fn indented(lines: &str) -> String {
    lines.lines().map(|line| format!("  {line}\n")).collect()
}
