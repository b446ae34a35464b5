//! Who may do what, as a table: every principal of a suite with every request of it.
//!
//! Requests are rows and stand last, so that a new one changes one line and a long one moves no column.

use std::fmt::Write as _;

use super::Pack;
use super::question::{Question, Rehearsal};
use super::read::{ANONYMOUS, ReadSuite};

/// The file in the folder of a pack that its table is kept in.
pub(crate) const COMMITTED: &str = "matrix.txt";

/// Who may do what by one suite.
pub(crate) struct Answers<'p> {
    /// The suite's file, in the folder of the pack.
    pub(crate) file: &'p str,
    /// The principals, whoever presents no credential last.
    pub(crate) people: Vec<&'p str>,
    /// Each request with an answer for each of the principals: `allow`, or the status of the denial.
    pub(crate) requests: Vec<(&'p str, Vec<String>)>,
}

/// The answers of a pack, suite by suite. Requests that depend on more than method and URL are left out.
pub(crate) fn answers(pack: &Pack) -> Vec<Answers<'_>> {
    let rehearsal = Rehearsal::of(&pack.loaded.rules);
    pack.suites
        .iter()
        .map(|suite| of_suite(&rehearsal, pack, suite))
        .collect()
}

fn of_suite<'p>(rehearsal: &Rehearsal, pack: &Pack, suite: &'p ReadSuite) -> Answers<'p> {
    let mut requests: Vec<(&Question, &str)> = Vec::new();
    for case in &suite.cases {
        if case.question.is_plain() && !requests.iter().any(|(known, _)| **known == case.question) {
            requests.push((&case.question, &case.request));
        }
    }
    requests.sort_by_key(|(question, _)| (&question.host, &question.target, &question.method));
    let mut people: Vec<_> = suite
        .people
        .iter()
        .filter(|(name, _)| *name != ANONYMOUS)
        .collect();
    people.extend(suite.people.get_key_value(ANONYMOUS));
    let answered = requests.into_iter().map(|(question, request)| {
        let answer = |asker| rehearsal.ask(asker, question, suite.now).in_short();
        let answers = people.iter().map(|(_, asker)| answer(asker));
        (request, answers.collect())
    });
    let file = suite.file.strip_prefix(&format!("{}/", pack.folder.display()));
    Answers {
        file: file.unwrap_or(&suite.file),
        requests: answered.collect(),
        people: people.iter().map(|(name, _)| name.as_str()).collect(),
    }
}

/// The table of a pack, suite by suite.
pub(crate) fn matrix(pack: &Pack) -> String {
    let mut text = String::from(
        "# Who may do what: allow, or the status of the denial. Made by `portcullis matrix --write`.\n",
    );
    for suite in answers(pack) {
        let width = |name: &str| name.chars().count().max("allow".len());
        let _ = writeln!(text, "\n# {}", suite.file);
        for name in &suite.people {
            let _ = write!(text, "{name:0$}  ", width(name));
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
        for (request, answers) in suite.requests {
            for (name, answer) in suite.people.iter().zip(answers) {
                let _ = write!(text, "{answer:0$}  ", width(name));
            }
            let _ = writeln!(text, "{request}");
        }
    }
    text
}

/// The lines of tables that differ, `-` for the old and `+` for the new, below the heads of their columns; `None` if there
/// are none.
pub(crate) fn diff(old: &str, new: &str) -> Option<String> {
    if old == new {
        return None;
    }
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    // common[i][j]: how many lines the rests from i and from j have in common, in order.
    let mut common = vec![vec![0usize; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i][j] = if old[i] == new[j] {
                common[i + 1][j + 1] + 1
            } else {
                common[i + 1][j].max(common[i][j + 1])
            };
        }
    }
    let mut text = String::new();
    let (mut i, mut j) = (0, 0);
    // Name and columns of the table, until they are told.
    let mut head: Vec<&str> = Vec::new();
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            if old[i].starts_with("# ") {
                head = old[i..].iter().take(2).copied().collect();
            }
            (i, j) = (i + 1, j + 1);
            continue;
        }
        for line in head.drain(..) {
            let _ = writeln!(text, "  {line}");
        }
        if j == new.len() || (i < old.len() && common[i + 1][j] >= common[i][j + 1]) {
            let _ = writeln!(text, "- {}", old[i]);
            i += 1;
        } else {
            let _ = writeln!(text, "+ {}", new[j]);
            j += 1;
        }
    }
    if text.is_empty() {
        text.push_str("(only the line ends differ)\n");
    }
    Some(text)
}
