//! The table of tokens is complete: what is in the list is a row somewhere.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// What the list says of one token.
struct Entry<'l> {
    id: &'l str,
    note: Option<&'l str>,
}

fn entries(list: &str) -> Vec<Entry<'_>> {
    let lines = list.lines().filter(|line| !line.starts_with('#'));
    let entry = |line| {
        let (fact, note) = match str::split_once(line, "; ") {
            Some((fact, note)) => (fact, Some(note)),
            None => (line, None),
        };
        let (id, expected) = fact.split_once(' ').unwrap_or_else(|| panic!("{line}"));
        assert!(["accept", "reject"].contains(&expected), "{line}");
        Entry { id, note }
    };
    lines.map(entry).collect()
}

/// All Rust sources of the tests below `folder`.
fn test_sources(folder: &Path, sources: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path: PathBuf = entry.unwrap().path();
        let in_tests = path
            .components()
            .any(|part| part.as_os_str().to_string_lossy().starts_with("tests"));
        if path.is_dir() {
            test_sources(&path, sources);
        } else if in_tests && path.extension().is_some_and(|extension| extension == "rs") {
            sources.push(std::fs::read_to_string(path).unwrap());
        }
    }
}

/// True if a string literal begins with `id` as a whole word.
fn is_row(source: &str, id: &str) -> bool {
    let start = format!("\"{id}");
    let ends = |rest: &str| !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    source
        .match_indices(&start)
        .any(|(at, _)| ends(&source[at + start.len()..]))
}

#[test]
fn every_described_token_is_a_row() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/identity");
    let mut sources = Vec::new();
    test_sources(&root, &mut sources);
    let list = include_str!("catalogue.txt");
    let entries = entries(list);
    assert!(entries.len() > 200, "the list is cut");
    let ids: HashSet<&str> = entries.iter().map(|entry| entry.id).collect();
    assert_eq!(ids.len(), entries.len(), "an id is there twice");
    for Entry { id, note } in entries {
        let rows = sources.iter().filter(|source| is_row(source, id)).count();
        match note {
            Some(note) if note.starts_with("no row: ") => {
                assert_eq!(
                    rows, 0,
                    "{id} has a row now: take it off the list of those without"
                );
            }
            _ => assert_ne!(rows, 0, "no row is called {id:?}"),
        }
    }
}
