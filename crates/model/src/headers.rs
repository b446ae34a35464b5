//! Request headers as they came, and the edits of headers that an answer asks for.

use std::sync::{Arc, OnceLock};

use smallvec::SmallVec;

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
    set: Vec<(Arc<str>, Box<str>)>,
    unset: Vec<Arc<str>>,
    others: Arc<[Arc<str>]>,
    encoded: OnceLock<Box<[u8]>>,
}

impl HeaderEdits {
    /// Edits that set (overwriting), and remove those declared headers that are `unset` and `others` besides; a name that
    /// is set is not removed.
    pub fn new(set: Vec<(Arc<str>, Box<str>)>, mut unset: Vec<Arc<str>>, others: &Arc<[Arc<str>]>) -> Self {
        let is_set = |name: &str| set.iter().any(|(n, _)| **n == *name);
        unset.retain(|name| !is_set(name));
        // They are the same for nearly everybody.
        let others = match others.iter().any(|name| is_set(name)) {
            true => others.iter().filter(|name| !is_set(name)).cloned().collect(),
            false => Arc::clone(others),
        };
        Self {
            set,
            unset,
            others,
            encoded: OnceLock::new(),
        }
    }

    /// The same with some of the unset headers set.
    pub fn with(&self, more: impl IntoIterator<Item = (Arc<str>, Box<str>)>) -> Self {
        let set = self.set.iter().cloned().chain(more).collect();
        Self::new(set, self.unset.clone(), &self.others)
    }

    /// Headers to set, overwriting what the client sent; names in lower case.
    pub fn set(&self) -> &[(Arc<str>, Box<str>)] {
        &self.set
    }

    /// Headers to remove; names in lower case.
    pub fn remove(&self) -> impl Iterator<Item = &str> {
        self.unset.iter().chain(self.others.iter()).map(|name| &**name)
    }

    /// Declared headers without a value, among those to remove: where a proxy cannot remove, they are set to nothing.
    pub fn unset(&self) -> &[Arc<str>] {
        &self.unset
    }

    /// The bytes these edits have in a `CheckResponse`, made by `encode` the first time and kept.
    pub fn encoded(&self, encode: impl FnOnce(&Self) -> Vec<u8>) -> &[u8] {
        self.encoded.get_or_init(|| encode(self).into_boxed_slice())
    }
}
