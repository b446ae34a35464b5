//! Text with captures in it: a label of a host, or a segment of a path that is more than one capture.
//!
//! A capture takes as little as lets the rest match, from left to right: in `{workspace}-default{suffix..}` the workspace is
//! the text before the first `-default`. Between two captures there is always text, so matching never has to go back.

use std::fmt;

use super::pattern::is_name;

/// Text with captures in it; without any, it matches itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blend {
    before: Box<str>,
    captures: Vec<Capture>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Capture {
    name: Box<str>,
    /// `{name..}`: also nothing. `{name}`: at least one character.
    may_be_empty: bool,
    /// The text behind it; empty only at the end.
    behind: Box<str>,
}

/// As in the configuration.
impl fmt::Display for Blend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.before)?;
        for capture in &self.captures {
            let dots = if capture.may_be_empty { ".." } else { "" };
            write!(f, "{{{}{dots}}}{}", capture.name, capture.behind)?;
        }
        Ok(())
    }
}

impl Blend {
    /// Reads it.
    ///
    /// # Errors
    /// What is wrong with it, in one line. Whether the literal text is in its canonical form is for the caller to say.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (before, mut rest) = text.split_at(text.find('{').unwrap_or(text.len()));
        let mut captures: Vec<Capture> = Vec::new();
        while let Some(inside) = rest.strip_prefix('{') {
            let (inner, behind) = inside
                .split_once('}')
                .ok_or_else(|| format!("`{text}`: a `{{` without its `}}`"))?;
            if captures.last().is_some_and(|last| last.behind.is_empty()) {
                return Err(format!(
                    "`{text}`: between two captures there must be text, or where one ends is a guess"
                ));
            }
            let name = inner.strip_suffix("..");
            let (name, may_be_empty) = (name.unwrap_or(inner), name.is_some());
            if !is_name(name) {
                return Err(format!(
                    "`{{{inner}}}` is no name: lower-case letters, digits and `_`, and not `host` or `path`"
                ));
            }
            let (behind, next) = behind.split_at(behind.find('{').unwrap_or(behind.len()));
            captures.push(Capture {
                name: name.into(),
                may_be_empty,
                behind: behind.into(),
            });
            rest = next;
        }
        let blend = Self {
            before: before.into(),
            captures,
        };
        if blend.literals().any(|literal| literal.contains('}')) {
            return Err(format!("`{text}`: a `}}` without its `{{`"));
        }
        if blend.literals().any(|literal| literal.contains('*')) {
            return Err(format!("`{text}`: there is no `*`; write `{{name}}`"));
        }
        Ok(blend)
    }

    /// The names of its captures, in order.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.captures.iter().map(|capture| &*capture.name)
    }

    /// Whether it has captures at all.
    pub(super) fn captures_nothing(&self) -> bool {
        self.captures.is_empty()
    }

    /// The text of one capture that takes all of it, if that is what this is.
    pub(super) fn whole(&self) -> Option<(&str, bool)> {
        match self.captures.as_slice() {
            [only] if self.before.is_empty() && only.behind.is_empty() => {
                Some((&only.name, only.may_be_empty))
            }
            _ => None,
        }
    }

    /// The text with `sample` in the place of every capture.
    pub(super) fn sample(&self, sample: &str) -> String {
        self.captures
            .iter()
            .fold(self.before.to_string(), |text, capture| {
                text + sample + &capture.behind
            })
    }

    /// How specific it is: the more literal text, the fewer texts match.
    pub(super) fn literal_bytes(&self) -> usize {
        self.literals().map(str::len).sum()
    }

    /// Whether it matches exactly the texts that `other` matches. Names do not count.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let shape = |capture: &Capture| (capture.may_be_empty, capture.behind.clone());
        self.before == other.before
            && self
                .captures
                .iter()
                .map(shape)
                .eq(other.captures.iter().map(shape))
    }

    /// Whether it matches all of `text`; then what was captured has been added to `captured`.
    ///
    /// Every capture but the last ends where the text behind it comes first. That is never wrong: what follows is a
    /// capture again, which can take whatever an earlier end leaves over.
    pub(crate) fn matches<'t>(&self, text: &'t str, captured: &mut impl Extend<&'t str>) -> bool {
        let Some((last, others)) = self.captures.split_last() else {
            return *self.before == *text;
        };
        let Some(mut rest) = text.strip_prefix(&*self.before) else {
            return false;
        };
        let mut found = smallvec::SmallVec::<[&str; 4]>::new();
        for capture in others {
            let Some((taken, next)) = capture.first_end(rest) else {
                return false;
            };
            found.push(taken);
            rest = next;
        }
        let Some(taken) = rest.strip_suffix(&*last.behind) else {
            return false;
        };
        if taken.len() < last.least() || cuts_an_escape(rest, taken.len()) {
            return false;
        }
        found.push(taken);
        captured.extend(found);
        true
    }

    /// Whether some text matches both.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        let (a, b) = (self.atoms(), other.atoms());
        // `behind` is the answer for what follows an atom of `a` and each place of `b`.
        let mut behind: Vec<bool> = places(&b, None, &[]);
        for atom in a.iter().rev() {
            behind = places(&b, Some(*atom), &behind);
        }
        behind.first().copied().unwrap_or(false)
    }

    fn literals(&self) -> impl Iterator<Item = &str> {
        let behind = self.captures.iter().map(|capture| &*capture.behind);
        std::iter::once(&*self.before).chain(behind)
    }

    fn atoms(&self) -> Vec<Atom> {
        let mut atoms: Vec<Atom> = self.before.bytes().map(Atom::Is).collect();
        for capture in &self.captures {
            if !capture.may_be_empty {
                atoms.push(Atom::Any);
            }
            atoms.push(Atom::Many);
            atoms.extend(capture.behind.bytes().map(Atom::Is));
        }
        atoms
    }
}

impl Capture {
    fn least(&self) -> usize {
        usize::from(!self.may_be_empty)
    }

    /// What it takes of `text`, and what comes after the text behind it.
    fn first_end<'t>(&self, text: &'t str) -> Option<(&'t str, &'t str)> {
        (self.least()..text.len()).find_map(|end| {
            let (taken, rest) = text.split_at_checked(end)?;
            let rest = rest.strip_prefix(&*self.behind)?;
            (!cuts_an_escape(text, end)).then_some((taken, rest))
        })
    }
}

/// Whether the byte at `at` is a digit of a percent escape.
fn cuts_an_escape(text: &str, at: usize) -> bool {
    let is_percent = |back: usize| {
        let place = at.checked_sub(back);
        place.and_then(|place| text.as_bytes().get(place)) == Some(&b'%')
    };
    is_percent(1) || is_percent(2)
}

/// What one step of a text can be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Atom {
    Is(u8),
    /// One byte, whichever.
    Any,
    /// Any number of bytes, also none.
    Many,
}

/// For every place in `b` (and its end): whether a text matches both what is there and `atom` with what follows it.
/// `behind` is that answer for what follows `atom`; without an atom, both must be at their ends.
fn places(b: &[Atom], atom: Option<Atom>, behind: &[bool]) -> Vec<bool> {
    let after = |place: usize| behind.get(place).copied().unwrap_or(false);
    let mut answers = vec![false; b.len() + 1];
    let mut next = match atom {
        None => true,
        Some(atom) => atom == Atom::Many && after(b.len()),
    };
    if let Some(last) = answers.last_mut() {
        *last = next;
    }
    for (place, (other, answer)) in b.iter().zip(&mut answers).enumerate().rev() {
        // `next` is the answer one place further in `b`.
        next = match (atom, other) {
            (None, other) => *other == Atom::Many && next,
            (Some(Atom::Many), _) | (_, Atom::Many) => next || after(place),
            (Some(Atom::Is(x)), Atom::Is(y)) => x == *y && after(place + 1),
            (Some(Atom::Any), _) | (_, Atom::Any) => after(place + 1),
        };
        *answer = next;
    }
    answers
}

#[cfg(test)]
mod tests;
