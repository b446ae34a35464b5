//! `docs/limits.md` says what the settings and the code say.

use std::fs;

use serde_json::Value;

use crate::{root, run};

/// A row of the tables: the default, and where it is.
struct Row {
    what: String,
    default: u64,
    place: String,
}

fn rows() -> Vec<Row> {
    let page = fs::read_to_string(root().join("docs/limits.md")).expect("the page");
    let cells = page.lines().filter_map(|line| {
        let cells: Vec<&str> = line.strip_prefix("| ")?.split('|').map(str::trim).collect();
        let &[what, default, place, _, ""] = &cells[..] else {
            return None;
        };
        Some((what.to_owned(), default.to_owned(), place.to_owned()))
    });
    cells
        .filter(|(what, ..)| what != "what")
        .map(|(what, default, place)| Row {
            default: number(&default),
            what,
            place,
        })
        .collect()
}

/// `8 MiB` in bytes, `5 s` in seconds, `16` as it is.
fn number(text: &str) -> u64 {
    let (number, unit) = text.split_once(' ').unwrap_or((text, ""));
    let number: u64 = number.parse().unwrap_or_else(|_| panic!("{text:?} is no number"));
    match unit {
        "" | "s" => number,
        "KiB" => number * 1024,
        "MiB" => number * 1024 * 1024,
        other => panic!("no unit: {other:?}"),
    }
}

/// The default of a setting like `limits.max_streams` or `issuers[].max_stale_seconds`.
fn setting(schema: &Value, path: &str) -> u64 {
    let resolve = |value: &Value| match value["$ref"].as_str() {
        Some(pointer) => schema
            .pointer(pointer.trim_start_matches('#'))
            .expect("a definition")
            .clone(),
        None => value.clone(),
    };
    let mut here = schema.clone();
    for step in path.split('.') {
        let (name, list) = step.strip_suffix("[]").map_or((step, false), |name| (name, true));
        here = resolve(&here["properties"][name]);
        if list {
            here = resolve(&here["items"]);
        }
    }
    here["default"]
        .as_u64()
        .unwrap_or_else(|| panic!("{path} has no default: {here}"))
}

/// The value of a constant in a source file: a number, a product, or seconds.
fn constant(file: &str, name: &str) -> u64 {
    let text = fs::read_to_string(root().join("crates").join(file))
        .unwrap_or_else(|error| panic!("{file}: {error}"));
    let declared = format!("const {name}: ");
    let (_, rest) = text
        .split_once(&declared)
        .unwrap_or_else(|| panic!("{file} has no {name}"));
    let (_, value) = rest.split_once(" = ").expect("a value");
    let (value, _) = value.split_once(';').expect("its end");
    let value = value
        .strip_prefix("Duration::from_secs(")
        .map_or(value, |seconds| seconds.trim_end_matches(')'));
    value
        .split('*')
        .map(|factor| factor.trim().parse::<u64>().expect("a factor"))
        .product()
}

#[test]
fn every_limit_of_the_page_is_that_of_the_code() {
    let schema: Value = serde_json::from_str(&run(&["config", "schema"]).expect(0).out).expect("JSON");
    let rows = rows();
    assert!(rows.len() > 30, "{}", rows.len());
    for Row { what, default, place } in &rows {
        let names: Vec<&str> = place.split('`').skip(1).step_by(2).collect();
        let (value, at) = match names[..] {
            [path] => (setting(&schema, path), path),
            [file, name] => (constant(file, name), name),
            _ => panic!("{what}: {place}"),
        };
        assert_eq!(*default, value, "{what}: {at}");
    }
    let limits = schema
        .pointer("/$defs/Limits/properties")
        .and_then(Value::as_object)
        .expect("limits");
    for name in limits.keys() {
        let path = format!("`limits.{name}`");
        assert!(rows.iter().any(|row| row.place == path), "the page lacks {path}");
    }
}
