//! Any tree against the rule as Magpie's documentation tells it: permission by permission, with one winner.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

/// A permission in a chain of five places: where, whose (0 is the user, 1 everybody, then groups), what.
type Entry = (usize, u8, bool, bool);

const SUBJECTS: [&str; 5] = ["user", "anonymous", "G1", "G2", "G3"];

fn entries() -> impl Strategy<Value = Vec<Entry>> {
    let entry = (0..5_usize, 0..5_u8, any::<bool>(), any::<bool>());
    proptest::collection::vec(entry, 0..14).prop_map(|entries| {
        let entries = entries.into_iter().map(|entry| ((entry.0, entry.1), entry));
        entries.collect::<HashMap<_, _>>().into_values().collect()
    })
}

/// The rule, step by step. `places` are those of the chain, `exact` says whether its end is what was asked for.
fn by_the_book(entries: &[Entry], places: usize, exact: bool) -> bool {
    let mut winner: Option<(usize, &Entry)> = None;
    for place in (0..places).rev() {
        for entry in entries.iter().filter(|entry| entry.0 == place) {
            let (_, who, _, recursive) = *entry;
            let asked_for = exact && place + 1 == places;
            if !(recursive || asked_for) {
                continue;
            }
            let replaces = match winner {
                None => true,
                Some((_, (_, 0, ..))) => false,
                Some(_) if who == 0 => true,
                Some((at, (_, other, allow, _))) => {
                    let priority = |who: u8| if who == 1 { -1 } else { 0 };
                    let (mine, others) = (priority(who), priority(*other));
                    mine > others || (at == place && mine == others && *allow && !entry.2)
                }
            };
            if replaces {
                winner = Some((place, entry));
            }
        }
        if winner.is_some_and(|(_, entry)| entry.1 == 0) {
            break;
        }
    }
    winner.is_some_and(|(_, entry)| entry.2)
}

proptest! {
    #[test]
    fn every_tree_is_resolved_by_the_book(entries in entries(), asked in 0..7_usize) {
        let names = ["/s", "/a", "/b", "/c", "/d", "/e", "/f"];
        let place = |depth: usize| names.iter().take(depth + 1).copied().collect::<String>();
        // All five places are there; two more are not.
        let mut lines = format!("{}:\n", place(4));
        for (depth, who, allow, recursive) in &entries {
            let (allow, recursive) = (if *allow { 'A' } else { 'D' }, if *recursive { 'R' } else { 'M' });
            lines.push_str(&format!("{}: {} r{allow}{recursive}\n", place(*depth), SUBJECTS[usize::from(*who)]));
        }
        let (allowed, reason) = ask(&tree(&lines), &["G1", "G2", "G3"], &place(asked), Permission::Read);
        let expected = by_the_book(&entries, asked.min(4) + 1, asked <= 4);
        prop_assert_eq!(allowed, expected, "{} {}", reason, lines);
    }
}
