//! What a route has for its hosts: a tree of paths per exact host, and per pattern of hosts.
//!
//! A pattern is a host with captures in its labels, such as `editor-{workspace}-default.lab.example.org`: no capture takes a
//! dot, and the last label has none. Patterns are found by the domain behind their last capture, so what a lookup costs
//! does not grow with the number of hosts and domains, only with the patterns of one domain: at most [`MOST`].

use std::collections::HashMap;

use smallvec::SmallVec;

use super::blend::Blend;
use super::pattern::Pattern;
use super::table::{Captures, Conflict};

/// How many patterns a domain may have, and how many texts with captures a place in a tree of segments.
pub(super) const MOST: usize = 100;

/// A host of a route.
#[derive(Clone, Debug)]
pub struct HostPattern {
    text: Box<str>,
    /// All labels; without captures in any of them it is an exact host.
    labels: Vec<Blend>,
    /// How many of them stand before the domain: up to the last one with a capture.
    front: usize,
    /// How many bytes are literal, dots included: which of two patterns is the more specific one.
    rank: usize,
}

/// Values by host.
#[derive(Debug)]
pub(super) struct Hosts<T> {
    exact: HashMap<Box<str>, T>,
    patterns: Vec<Entry<T>>,
    /// Patterns by the domain behind their last capture.
    by_domain: HashMap<Box<str>, Vec<usize>>,
    /// The largest `front` of them.
    deepest: usize,
}

#[derive(Debug)]
struct Entry<T> {
    pattern: HostPattern,
    value: T,
    /// Other patterns of the same rank that can match the same host.
    rivals: Vec<usize>,
    /// The paths of the routes here.
    paths: Vec<(Pattern, usize)>,
}

impl HostPattern {
    /// Reads a host or a pattern of hosts.
    ///
    /// # Errors
    /// What is wrong with it, in one line.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut inside = false;
        let labels = text.split(|c| {
            // The dots of `{name..}` end no label.
            inside = c == '{' || (inside && c != '}');
            c == '.' && !inside
        });
        let labels = labels.map(Blend::parse).collect::<Result<Vec<_>, _>>()?;
        let front = labels.iter().rposition(|label| !label.captures_nothing());
        let front = front.map_or(0, |last| last + 1);
        if front == labels.len() {
            return Err(format!(
                "`{text}`: the last label of a host has no captures, or the pattern would be one of every domain"
            ));
        }
        if let Some((name, true)) = labels.iter().find_map(Blend::whole) {
            return Err(format!(
                "`{{{name}..}}` may be empty and no label of a host is: write `{{{name}}}`"
            ));
        }
        let samples: Vec<String> = labels.iter().map(|label| label.sample("x")).collect();
        match model::Host::parse(&samples.join(".")) {
            Ok(normal) if normal.as_str() == samples.join(".") => {}
            Ok(normal) if front == 0 => {
                let normal = normal.as_str();
                return Err(format!(
                    "hosts are compared in their normal form: write `{normal}`"
                ));
            }
            Ok(_) => {
                return Err(format!(
                    "`{text}`: hosts are compared in lower case and without port or a dot at the end"
                ));
            }
            Err(refusal) => return Err(refusal.to_string()),
        }
        let mut names: Vec<&str> = labels.iter().flat_map(Blend::names).collect();
        names.sort_unstable();
        if let Some([name, _]) = names.array_windows().find(|[a, b]| a == b) {
            return Err(format!("`{{{name}}}` is there twice"));
        }
        Ok(Self {
            text: text.into(),
            rank: labels.iter().map(Blend::literal_bytes).sum::<usize>() + labels.len() - 1,
            labels,
            front,
        })
    }

    /// The names that a match captures, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.labels.iter().flat_map(Blend::names)
    }

    fn domain(&self) -> String {
        let labels = self.labels.iter().skip(self.front);
        labels.map(|label| label.sample("")).collect::<Vec<_>>().join(".")
    }

    /// Whether the labels before the domain match; then what they captured has been added to `captures`.
    fn matches<'h>(&self, host: &'h str, captures: &mut Captures<'h>) -> bool {
        let front = self.labels.iter().take(self.front);
        front
            .zip(host.split('.'))
            .all(|(label, text)| label.matches(text, captures))
    }

    /// Whether it matches a whole host.
    pub(crate) fn is_for(&self, host: &str) -> bool {
        let given = host.split('.').count() == self.labels.len();
        let mut labels = self.labels.iter().zip(host.split('.'));
        given && labels.all(|(label, text)| label.matches(text, &mut Vec::new()))
    }

    /// Whether some host matches both.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        // The domain first: it tells most pairs apart.
        self.labels.len() == other.labels.len()
            && (self.labels.iter().zip(&other.labels).rev()).all(|(a, b)| a.overlaps(b))
    }

    fn is_like(&self, other: &Self) -> bool {
        self.labels.len() == other.labels.len()
            && self.labels.iter().zip(&other.labels).all(|(a, b)| a.is_like(b))
    }

    /// Whether some host matches both, and neither is more specific.
    pub(super) fn is_rival_of(&self, other: &Self) -> bool {
        self.rank == other.rank && !self.is_like(other) && self.overlaps(other)
    }
}

impl<T: Default> Hosts<T> {
    /// What there is for hosts of this pattern, made if need be.
    ///
    /// # Errors
    /// [`Conflict::Crowded`]
    pub(super) fn at(&mut self, host: &HostPattern) -> Result<&mut T, Conflict> {
        if host.front == 0 {
            return Ok(self.exact.entry(host.text.clone()).or_default());
        }
        let id = self.id(host)?;
        // The id is that of an entry.
        self.patterns
            .get_mut(id)
            .map(|entry| &mut entry.value)
            .ok_or(Conflict::Crowded)
    }

    /// A route whose hosts and paths can be those of this pattern and path, while neither pattern of hosts is more specific.
    /// Its methods make no difference: with two such routes, which one is asked first would be a guess.
    pub(super) fn rival(&mut self, host: &HostPattern, path: &Pattern) -> Result<Option<usize>, Conflict> {
        if host.front == 0 {
            return Ok(None);
        }
        let id = self.id(host)?;
        let rivals = self.patterns.get(id).map(|entry| entry.rivals.as_slice());
        let rivals = rivals
            .unwrap_or_default()
            .iter()
            .filter_map(|id| self.patterns.get(*id));
        let mut routes = rivals.flat_map(|rival| &rival.paths);
        let rival = routes.find(|(other, _)| other.overlaps(path));
        Ok(rival.map(|(_, route)| *route))
    }

    /// Notes that the route `index` has this path at the pattern.
    pub(super) fn note(&mut self, host: &HostPattern, path: &Pattern, index: usize) {
        if let Ok(id) = self.id(host)
            && host.front > 0
            && let Some(entry) = self.patterns.get_mut(id)
        {
            entry.paths.push((path.clone(), index));
        }
    }

    fn id(&mut self, host: &HostPattern) -> Result<usize, Conflict> {
        let domain = self.by_domain.entry(host.domain().into()).or_default();
        let known = |id: &&usize| {
            let entry = self.patterns.get(**id);
            entry.is_some_and(|entry| entry.pattern.is_like(host))
        };
        if let Some(id) = domain.iter().find(known) {
            return Ok(*id);
        }
        if domain.len() >= MOST {
            return Err(Conflict::Crowded);
        }
        let id = self.patterns.len();
        let mut rivals = Vec::new();
        for (other, entry) in self.patterns.iter_mut().enumerate() {
            if entry.pattern.is_rival_of(host) {
                entry.rivals.push(id);
                rivals.push(other);
            }
        }
        domain.push(id);
        self.deepest = self.deepest.max(host.front);
        self.patterns.push(Entry {
            pattern: host.clone(),
            value: T::default(),
            rivals,
            paths: Vec::new(),
        });
        Ok(id)
    }
}

impl<T> Hosts<T> {
    /// What there is for a host, the most specific first: the host itself, then patterns by how much of them is literal.
    pub(super) fn find<'t, 'h>(&'t self, host: &'h str) -> impl Iterator<Item = (&'t T, Captures<'h>)> {
        let mut found = SmallVec::<[(usize, &T, Captures<'h>); 4]>::new();
        let mut rest = host;
        for front in 1..=self.deepest {
            let Some((_, domain)) = rest.split_once('.') else {
                break;
            };
            rest = domain;
            for id in self.by_domain.get(domain).into_iter().flatten() {
                let mut captures = Captures::new();
                if let Some(entry) = self.patterns.get(*id)
                    && entry.pattern.front == front
                    && entry.pattern.matches(host, &mut captures)
                {
                    found.push((entry.pattern.rank, &entry.value, captures));
                }
            }
        }
        found.sort_by_key(|(rank, ..)| std::cmp::Reverse(*rank));
        let exact = self.exact.get(host).map(|value| (value, Captures::new()));
        let patterns = found.into_iter().map(|(_, value, captures)| (value, captures));
        exact.into_iter().chain(patterns)
    }
}

impl<T> Default for Hosts<T> {
    fn default() -> Self {
        Self {
            exact: HashMap::new(),
            patterns: Vec::new(),
            by_domain: HashMap::new(),
            deepest: 0,
        }
    }
}
