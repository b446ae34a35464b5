//! Answers of the admin API for people: lists as tables, single things as lines.

use std::fmt::Write as _;

use serde_json::Value;

/// A column: its heading, and the member of each item that stands in it.
pub(in crate::cli) type Column = (&'static str, &'static str);

/// A table, its columns as wide as they need to be.
pub(super) fn rows(items: &[Value], columns: &[Column]) -> String {
    if items.is_empty() {
        return "none\n".to_owned();
    }
    let heading = columns.iter().map(|(heading, _)| (*heading).to_owned()).collect();
    let mut lines: Vec<Vec<String>> = vec![heading];
    lines.extend(items.iter().map(|item| {
        let cells = columns.iter().map(|(_, member)| text(&item[*member]));
        cells.collect()
    }));
    let mut widths = vec![0; columns.len()];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut table = String::new();
    for line in lines {
        let mut row = String::new();
        for (cell, width) in line.iter().zip(&widths) {
            let _ = write!(row, "{cell:width$}  ");
        }
        table.push_str(row.trim_end());
        table.push('\n');
    }
    table
}

/// A line for each member.
pub(super) fn record(item: &Value) -> String {
    let Some(members) = item.as_object() else {
        return format!("{}\n", text(item));
    };
    let width = members.keys().map(String::len).max().unwrap_or_default();
    let mut lines = String::new();
    for (name, value) in members {
        let _ = writeln!(lines, "{name:width$}  {}", text(value));
    }
    lines
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) if text.is_empty() => "-".to_owned(),
        Value::String(text) => plain(text),
        Value::Array(items) if items.is_empty() => "-".to_owned(),
        Value::Array(items) => items.iter().map(text_of_item).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}

fn text_of_item(value: &Value) -> String {
    text(value)
}

/// The text without anything that a terminal would obey.
pub(in crate::cli) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') {
            plain.extend(c.escape_unicode());
        } else {
            plain.push(c);
        }
    }
    plain
}
