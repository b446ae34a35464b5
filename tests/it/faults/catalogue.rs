//! The catalogue is whole, and what it says of tests is true.

use std::collections::BTreeSet;

use crate::architecture::{is_there, test_functions};

/// What can go wrong in each area; whoever takes a row away has to say so here, too.
const AREAS: [(&str, usize); 11] = [
    ("jwks", 29),
    ("clock", 7),
    ("disk", 5),
    ("sqlite", 12),
    ("postgres", 15),
    ("config", 24),
    ("process", 19),
    ("network", 27),
    ("cache", 7),
    ("cluster", 6),
    ("response", 8),
];

/// A row: the area and the name of a fault, the fault in words, and what holds it.
struct Row {
    area: &'static str,
    id: &'static str,
    held: &'static str,
}

fn rows() -> Vec<Row> {
    let mut area = "";
    let mut rows = Vec::new();
    for line in include_str!("catalogue.txt").lines() {
        if let Some(name) = line.strip_prefix("## ") {
            area = name;
        } else if !line.is_empty() && !line.starts_with('#') {
            let parts: Vec<&str> = line.split(" | ").collect();
            let &[id, fault, held] = &parts[..] else {
                panic!("not of three parts: {line}");
            };
            assert!(!fault.is_empty(), "{id} does not say what it is");
            rows.push(Row { area, id, held });
        }
    }
    rows
}

/// Fails if the catalogue has no fault of this name: rows of tests are named by it.
pub(super) fn known(id: &str) {
    assert!(
        rows().iter().any(|row| row.id == id),
        "{id} is not in the catalogue"
    );
}

#[test]
fn every_fault_names_the_tests_that_hold_it_or_says_why_none_does() {
    let (rows, tests) = (rows(), test_functions());
    let ids: BTreeSet<&str> = rows.iter().map(|row| row.id).collect();
    assert_eq!(ids.len(), rows.len(), "a fault is there twice");
    for (area, count) in AREAS {
        assert_eq!(
            rows.iter().filter(|row| row.area == area).count(),
            count,
            "{area}"
        );
    }
    assert_eq!(rows.len(), AREAS.iter().map(|(_, count)| count).sum::<usize>());
    let mut problems = Vec::new();
    for Row { id, held, .. } in &rows {
        let words = held.split([' ', ',', ';']).filter(|word| word.contains("::"));
        let named: Vec<&str> = words.map(|word| word.trim_end_matches(':')).collect();
        match held.strip_prefix("not: ") {
            Some(why) => assert!(why.len() > 20, "{id}: {why:?} is no reason"),
            None => assert!(
                !named.is_empty(),
                "{id}: nothing holds it, and no reason is given"
            ),
        }
        let wrong = named.iter().filter_map(|name| is_there(&tests, name).err());
        problems.extend(wrong.map(|why| format!("{id}: {why}")));
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}
