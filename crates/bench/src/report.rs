//! What was found, as JSON for machines and Markdown for people.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde::Serialize;

use crate::targets;

/// Everything a run found.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    /// When.
    pub(crate) date: String,
    /// Which state of the code.
    pub(crate) commit: String,
    /// Which machine.
    pub(crate) machine: String,
    /// How thorough.
    pub(crate) effort: String,
    /// The tables, in the order of the scenarios.
    pub(crate) tables: Vec<Table>,
    /// Single numbers by name, which targets are compared with.
    pub(crate) measures: BTreeMap<String, f64>,
    /// What was not measured, and why.
    pub(crate) skipped: Vec<(String, String)>,
}

/// One table.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Table {
    pub(crate) title: String,
    /// What the columns mean, if they do not say so.
    pub(crate) note: String,
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(title: &str, note: &str, columns: &[&str]) -> Self {
        Self {
            title: title.to_owned(),
            note: note.to_owned(),
            columns: columns.iter().map(|&column| column.to_owned()).collect(),
            rows: Vec::new(),
        }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// As Markdown: the first column is text, the others are numbers.
    pub(crate) fn markdown(&self) -> String {
        let mut text = format!("### {}\n\n", self.title);
        let _ = writeln!(text, "| {} |", self.columns.join(" | "));
        let rules: Vec<&str> = (0..self.columns.len())
            .map(|column| if column == 0 { "---" } else { "---:" })
            .collect();
        let _ = writeln!(text, "| {} |", rules.join(" | "));
        for row in &self.rows {
            let _ = writeln!(text, "| {} |", row.join(" | "));
        }
        if !self.note.is_empty() {
            let _ = writeln!(text, "\n{}", self.note);
        }
        text
    }
}

impl Report {
    pub(crate) fn measure(&mut self, name: &str, value: f64) {
        self.measures.insert(name.to_owned(), value);
    }

    /// The whole, without a heading of its own.
    pub(crate) fn markdown(&self) -> String {
        let mut text = format!(
            "Measured {} at commit `{}` on {}; {}.\n\n",
            self.date, self.commit, self.machine, self.effort
        );
        text.push_str(&targets::table(&self.measures).markdown());
        for table in &self.tables {
            text.push('\n');
            text.push_str(&table.markdown());
        }
        if !self.skipped.is_empty() {
            text.push_str("\nNot measured:\n\n");
            for (what, why) in &self.skipped {
                let _ = writeln!(text, "* {what}: {why}");
            }
        }
        text
    }

    /// Writes JSON.
    pub(crate) fn write_json(&self, path: &Path) -> Result<(), String> {
        let text = serde_json::to_string_pretty(self).map_err(|error| error.to_string())?;
        write(path, &(text + "\n"))
    }

    /// Writes Markdown: between the marks of a document that has them, else the whole file.
    pub(crate) fn write_markdown(&self, path: &Path) -> Result<(), String> {
        let document = fs::read_to_string(path).unwrap_or_default();
        write(path, &between_marks(&document, &self.markdown()))
    }
}

const BEGIN: &str = "<!-- measured: begin -->\n";
const END: &str = "<!-- measured: end -->\n";

fn between_marks(document: &str, text: &str) -> String {
    match (document.split_once(BEGIN), document.split_once(END)) {
        (Some((before, _)), Some((_, after))) => format!("{before}{BEGIN}{text}{END}{after}"),
        _ => text.to_owned(),
    }
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::{BEGIN, END, Table, between_marks};

    #[test]
    fn a_document_keeps_what_is_around() {
        let document = format!("# A\n{BEGIN}old\n{END}b\n");
        let expected = format!("# A\n{BEGIN}new\n{END}b\n");
        assert_eq!(between_marks(&document, "new\n"), expected);
        assert_eq!(between_marks("# A\n", "new\n"), "new\n");
    }

    #[test]
    fn tables() {
        let mut table = Table::new("T", "", &["a", "b"]);
        table.row(["x".to_owned(), "1".to_owned()]);
        assert_eq!(
            table.markdown(),
            "### T\n\n| a | b |\n| --- | ---: |\n| x | 1 |\n"
        );
    }
}
