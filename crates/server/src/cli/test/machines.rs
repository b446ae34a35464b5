//! Results for programs: JUnit's XML, JSON, and annotations of GitHub's workflows.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Result, Summary, shown};
use crate::policy_tests::{COMMITTED, Row};

/// One document with everything.
pub(super) fn json(results: &[Result], summary: &Summary) -> String {
    let packs: Vec<Value> = results
        .iter()
        .map(|result| {
            let suites = result.ran.iter().filter(|suite| !suite.rows.is_empty());
            let suites: Vec<Value> = suites
                .map(|suite| {
                    let tests: Vec<Value> = suite.rows.iter().map(test).collect();
                    json!({ "file": suite.file, "tests": tests })
                })
                .collect();
            let mut pack = json!({ "pack": result.pack.file.display().to_string(), "suites": suites });
            if let Some(diff) = &result.outdated {
                pack["matrix_diff"] = diff.as_str().into();
            }
            if let Some(coverage) = &result.coverage {
                let uncovered: Vec<Value> = coverage
                    .uncovered
                    .iter()
                    .map(|u| json!({ "file": u.file, "line": u.line, "what": u.what }))
                    .collect();
                pack["coverage"] = json!({
                    "policies": { "exercised": coverage.policies.0, "all": coverage.policies.1 },
                    "methods": { "exercised": coverage.methods.0, "all": coverage.methods.1 },
                    "uncovered": uncovered,
                });
            }
            pack
        })
        .collect();
    let document = json!({ "packs": packs, "passed": summary.passed, "failed": summary.failed });
    format!("{document:#}\n")
}

fn test(row: &Row) -> Value {
    let (case, answer) = (&row.case, &row.answer);
    let differences: Vec<Value> = row
        .differences
        .iter()
        .map(|d| json!({ "what": d.what, "expected": d.expected, "got": d.got }))
        .collect();
    json!({
        "id": case.id,
        "line": case.line,
        "as": case.who,
        "principal": row.principal,
        "request": case.request,
        "passed": row.passed(),
        "differences": differences,
        "answer": {
            "verdict": if answer.allowed { "allow" } else { "deny" },
            "status": answer.status,
            "reason": answer.reason,
            "why": answer.why,
            "policies": answer.policies.iter().map(|policy| &**policy).collect::<Vec<_>>(),
            "route": answer.route,
        },
    })
}

/// A test suite for each suite; an outdated table is a failed test of its pack.
pub(super) fn junit(results: &[Result], summary: &Summary) -> String {
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"portcullis\" tests=\"{}\" failures=\"{}\">\n",
        summary.passed + summary.failed + summary.outdated,
        summary.failed + summary.outdated
    );
    for result in results {
        for suite in result.ran.iter().filter(|suite| !suite.rows.is_empty()) {
            let (passed, failed) = suite.counts();
            let file = escaped(&suite.file);
            let _ = writeln!(
                xml,
                "  <testsuite name=\"{file}\" tests=\"{}\" failures=\"{failed}\">",
                passed + failed
            );
            for row in &suite.rows {
                let case = &row.case;
                let name = escaped(&format!("{}: {} as {}", case.id, case.request, case.who));
                let _ = write!(
                    xml,
                    "    <testcase name=\"{name}\" classname=\"{file}\" file=\"{file}\" line=\"{}\"",
                    case.line
                );
                if row.passed() {
                    xml.push_str("/>\n");
                } else {
                    let message = escaped(&row.in_a_line());
                    let explain = escaped(&result.explain(row));
                    let _ = write!(
                        xml,
                        ">\n      <failure message=\"{message}\">{explain}</failure>\n    </testcase>\n"
                    );
                }
            }
            xml.push_str("  </testsuite>\n");
        }
        if let Some(diff) = &result.outdated {
            let file = escaped(&shown(&result.pack.folder, COMMITTED));
            let _ = write!(
                xml,
                "  <testsuite name=\"{file}\" tests=\"1\" failures=\"1\">\n    <testcase name=\"{COMMITTED} is up to date\" \
                 classname=\"{file}\">\n      <failure message=\"it is not what the policies do\">{}</failure>\n    \
                 </testcase>\n  </testsuite>\n",
                escaped(diff)
            );
        }
    }
    xml.push_str("</testsuites>\n");
    xml
}

/// An error at the place of each failure.
pub(super) fn github(results: &[Result], summary: &Summary, coverage_is_required: bool) -> String {
    let mut text = String::new();
    let mut annotate = |level: &str, file: &str, line: usize, title: &str, message: &str| {
        let _ = writeln!(
            text,
            "::{level} file={},line={line},title={}::{}",
            property(file),
            property(title),
            data(message)
        );
    };
    for result in results {
        for suite in &result.ran {
            for row in suite.rows.iter().filter(|row| !row.passed()) {
                let message = format!("{}\n{}", row.in_a_line(), result.explain(row));
                annotate(
                    "error",
                    &suite.file,
                    row.case.line,
                    "policy test failed",
                    &message,
                );
            }
        }
        if let Some(diff) = &result.outdated {
            let file = shown(&result.pack.folder, COMMITTED);
            annotate("error", &file, 1, "this is not what the policies do", diff);
        }
        for uncovered in result.coverage.iter().flat_map(|coverage| &coverage.uncovered) {
            let level = if coverage_is_required { "error" } else { "warning" };
            let message = format!("no test that passed exercises {}", uncovered.what);
            annotate(level, &uncovered.file, uncovered.line, "not tested", &message);
        }
    }
    text.push_str(&summary.in_a_line());
    text.push('\n');
    text
}

/// Text in XML; characters that XML does not have are left out.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' => escaped.push_str("&#10;"),
            c if c.is_control() && c != '\t' => {}
            c => escaped.push(c),
        }
    }
    escaped
}

/// The message of an annotation.
pub(in crate::cli) fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A property of an annotation.
pub(in crate::cli) fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
