//! Request headers as they came, and the edits of headers that an answer asks for.

use std::sync::OnceLock;

use smallvec::SmallVec;

use crate::Contract;

/// The headers of a request, borrowed, in order, duplicates kept.
#[derive(Clone, Debug, Default)]
pub struct Headers<'a>(SmallVec<[(&'a str, &'a [u8]); 24]>);

impl<'a> Headers<'a> {
    /// Adds one entry; pseudo-headers (`:path`) are dropped, the contract has their values from better places.
    pub fn push(&mut self, name: &'a str, value: &'a [u8]) {
        if !name.starts_with(':') {
            self.0.push((name, value));
        }
    }

    /// All values of `name` (compared without regard to ASCII case), in order.
    pub fn all<'n>(&'n self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + 'n {
        self.0
            .iter()
            .filter(move |(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| *value)
    }

    /// The only value of `name`: `Ok(None)` when absent, `Err` with the count when there are several.
    ///
    /// # Errors
    /// The number of values, when there are two or more: which one counts would be a guess.
    pub fn single(&self, name: &str) -> Result<Option<&'a [u8]>, usize> {
        let mut values = self.all(name);
        match (values.next(), values.count()) {
            (first, 0) => Ok(first),
            (_, more) => Err(more + 1),
        }
    }

    /// Name and value of every entry.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> + '_ {
        self.0.iter().copied()
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True without any entry.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What happens to the upstream's headers on an allow: every identity header is either set or removed, never left.
///
/// Made once per verified credential and shared by every decision about it. No name is in both lists (a proxy removes
/// after it sets).
#[derive(Debug, Default)]
pub struct HeaderEdits {
    set: Vec<(Box<str>, Box<str>)>,
    remove: Vec<Box<str>>,
    unset: Vec<Box<str>>,
    encoded: [OnceLock<Box<[u8]>>; Contract::COUNT],
}

impl HeaderEdits {
    /// Edits that set (overwriting), and remove those declared headers that are `unset` and `others` besides; a name that
    /// is set is not removed.
    pub fn new(
        set: Vec<(Box<str>, Box<str>)>,
        mut unset: Vec<Box<str>>,
        others: impl IntoIterator<Item = Box<str>>,
    ) -> Self {
        let is_set = |name: &str| set.iter().any(|(n, _)| **n == *name);
        unset.retain(|name| !is_set(name));
        let others = others.into_iter().filter(|name| !is_set(name));
        let remove = unset.iter().cloned().chain(others).collect();
        Self {
            set,
            remove,
            unset,
            encoded: Default::default(),
        }
    }

    /// The same with some of the unset headers set.
    pub fn with(&self, more: Vec<(Box<str>, Box<str>)>) -> Self {
        let others = self.remove.iter().filter(|name| !self.unset.contains(name));
        let set = self.set.iter().cloned().chain(more).collect();
        Self::new(set, self.unset.clone(), others.cloned())
    }

    /// Headers to set, overwriting what the client sent; names in lower case.
    pub fn set(&self) -> &[(Box<str>, Box<str>)] {
        &self.set
    }

    /// Headers to remove; names in lower case.
    pub fn remove(&self) -> &[Box<str>] {
        &self.remove
    }

    /// Declared headers without a value, among those to remove: where a proxy cannot remove, they are set to nothing.
    pub fn unset(&self) -> &[Box<str>] {
        &self.unset
    }

    /// The bytes these edits have on the wire of `contract`, made by `encode` the first time and kept.
    pub fn encoded(&self, contract: Contract, encode: impl FnOnce(&Self) -> Vec<u8>) -> &[u8] {
        match self.encoded.get(contract as usize) {
            Some(cell) => cell.get_or_init(|| encode(self).into_boxed_slice()),
            None => &[],
        }
    }
}
