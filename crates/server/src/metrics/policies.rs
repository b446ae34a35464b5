//! What is counted by policy: the policies in force by name, at most [`NAMED`] of them, and the rest together.
//!
//! A thread finds the place of a policy by the address of its name, which a decision shares with the rules that made it. So
//! no names are compared, and what clients send never makes a label.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use decide::policy::PUBLIC;
use decide::{Record, Rules};
use model::Version;

use super::count::Count;

/// How many policies are counted by name.
pub(super) const NAMED: usize = 1000;
/// The name under which all others are counted together. Nobody can give it to a policy.
pub(super) const OTHERS: &str = "portcullis.other";
/// How many sets of rules can be in use at a time: those in force, and those that were replaced and still answer.
const SETS: usize = 2;

/// What is counted behind the last name: the permit that is no policy, because only a route makes it, and all others.
const BEHIND: [&str; 2] = [PUBLIC, OTHERS];

/// The policies of one set of rules, each with its place.
#[derive(Debug)]
struct Table {
    version: Version,
    names: Vec<Arc<str>>,
    /// By the address of the name.
    places: HashMap<usize, usize, BuildHasherDefault<Address>>,
    /// Every name in `places`: while it is here, no other has its address.
    _addressed: Vec<Arc<str>>,
}

/// What one thread counts by the policies of one set of rules, and in the last places by [`BEHIND`].
#[derive(Debug)]
pub(super) struct Counts {
    table: Arc<Table>,
    policies: Box<[(Count, Count)]>,
}

/// Everything that is counted by policy.
#[derive(Debug, Default)]
pub(super) struct ByPolicy {
    /// The latest is the last.
    tables: Vec<Arc<Table>>,
    counts: Vec<Arc<Counts>>,
    /// What was counted by threads that count by other rules now.
    before: HashMap<Arc<str>, Totals>,
}

/// What was counted of one policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    /// How often it determined an answer.
    pub(super) matches: u64,
    /// How often it could not be evaluated.
    pub(super) errors: u64,
}

impl Counts {
    /// True if it is for decisions by the rules of that version.
    pub(super) fn are_of(&self, version: &Version) -> bool {
        Arc::ptr_eq(&self.table.version.0, &version.0)
    }

    /// Counts what policies had to do with a decision.
    pub(super) fn add(&self, record: &Record<'_, '_>) {
        let audited = record.decision.audited().map(|audited| &*audited.policies);
        for name in record
            .decision
            .policies()
            .iter()
            .chain(audited.unwrap_or_default())
        {
            if let Some((matches, _)) = self.policies.get(self.table.place(name)) {
                matches.add(1);
            }
        }
        for error in record.errors {
            if let Some((_, errors)) = self.policies.get(self.table.place(&error.policy)) {
                errors.add(1);
            }
        }
    }
}

impl ByPolicy {
    /// From now on, decisions are made by these rules, and by those before only where they have begun.
    pub(super) fn begin(&mut self, rules: &Rules) {
        self.begin_with(rules.version(), rules.policy_names());
    }

    fn begin_with<'n>(&mut self, version: &Version, names: impl Iterator<Item = &'n Arc<str>>) {
        self.tables.push(Arc::new(Table::of(version, names)));
        if self.tables.len() > SETS {
            self.tables.remove(0);
        }
        self.put_away();
        // Policies that are gone are forgotten.
        let names = self.tables.iter().flat_map(|table| &table.names);
        let names: HashSet<Arc<str>> = names.cloned().collect();
        self.before
            .retain(|name, _| BEHIND.contains(&&**name) || names.contains(name));
    }

    /// What a thread is to count by that decides by the rules of that version.
    pub(super) fn enter(&mut self, version: &Version) -> Arc<Counts> {
        let mut tables = self.tables.iter().rev();
        let found = tables.find(|table| Arc::ptr_eq(&table.version.0, &version.0));
        let nothing = || Arc::new(Table::of(version, [].into_iter()));
        let table = found.map_or_else(nothing, Arc::clone);
        let places = table.names.len() + BEHIND.len();
        let policies = (0..places).map(|_| Default::default()).collect();
        let counts = Arc::new(Counts { table, policies });
        self.counts.push(Arc::clone(&counts));
        self.put_away();
        counts
    }

    /// Every policy in force with what was counted of it, and all others.
    pub(super) fn totals(&self) -> Vec<(Arc<str>, Totals)> {
        let mut totals = self.before.clone();
        for counts in &self.counts {
            add(&mut totals, counts);
        }
        let in_force = self.tables.last().into_iter().flat_map(|table| &table.names);
        in_force
            .cloned()
            .chain(BEHIND.map(Into::into))
            .map(|name| {
                let total = totals.remove(&name).unwrap_or_default();
                (name, total)
            })
            .collect()
    }

    /// Adds up what no thread counts by any more.
    fn put_away(&mut self) {
        let before = &mut self.before;
        self.counts.retain_mut(|counts| {
            let left = Arc::get_mut(counts).is_some();
            if left {
                add(before, counts);
            }
            !left
        });
    }
}

fn add(totals: &mut HashMap<Arc<str>, Totals>, counts: &Counts) {
    let names = counts.table.names.iter().cloned().chain(BEHIND.map(Into::into));
    for (name, (matches, errors)) in names.zip(&counts.policies) {
        let (matches, errors) = (matches.get(), errors.get());
        if matches + errors > 0 {
            let total = totals.entry(name).or_default();
            total.matches += matches;
            total.errors += errors;
        }
    }
}

impl Table {
    fn of<'n>(version: &Version, names: impl Iterator<Item = &'n Arc<str>>) -> Self {
        let mut known: HashMap<&Arc<str>, usize> = HashMap::new();
        let mut table = Self {
            version: version.clone(),
            names: Vec::new(),
            places: HashMap::default(),
            _addressed: Vec::new(),
        };
        for name in names {
            // One name can be there twice: policies about the house are a set of their own.
            let place = match known.get(name) {
                Some(place) => *place,
                None if table.names.len() == NAMED => continue,
                None => {
                    known.insert(name, table.names.len());
                    table.names.push(Arc::clone(name));
                    table.names.len() - 1
                }
            };
            table.places.insert(address(name), place);
            table._addressed.push(Arc::clone(name));
        }
        table
    }

    /// Where a policy is counted.
    fn place(&self, name: &Arc<str>) -> usize {
        match self.places.get(&address(name)) {
            Some(place) => *place,
            None if **name == *PUBLIC => self.names.len(),
            None => self.names.len() + 1,
        }
    }
}

fn address(name: &Arc<str>) -> usize {
    Arc::as_ptr(name).cast::<u8>() as usize
}

/// Hashes an address: nobody but the allocator chooses them.
#[derive(Default)]
struct Address(u64);

impl Hasher for Address {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_usize(usize::from(*byte));
        }
    }

    fn write_usize(&mut self, address: usize) {
        self.0 = (self.0 ^ address as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests;
