//! The route table: a tree of segments per host.

use std::cmp::Reverse;
use std::collections::HashMap;

use smallvec::SmallVec;

use super::blend::Blend;
use super::hosts::{HostPattern, Hosts, MOST};
use super::pattern::{Pattern, Segment};
use super::{Action, Route};

/// All routes, ready for lookups.
#[derive(Debug, Default)]
pub struct RouteTable {
    routes: Vec<Route>,
    hosts: Hosts<Node>,
    any_host: Node,
}

/// One place in the tree of segments.
#[derive(Debug, Default)]
struct Node {
    literals: HashMap<Box<str>, Node>,
    /// Segments with captures and other text, those with most of it first.
    blends: Vec<(Blend, Node)>,
    one: Option<Box<Node>>,
    /// Routes that end here, by index.
    ends: Vec<usize>,
    /// Routes whose `{rest..}` begins here, by index.
    rests: Vec<usize>,
}

/// What a lookup found.
#[derive(Debug)]
pub enum Found<'t, 'p> {
    /// The route, its action for the method, and what the pattern captured, in the pattern's order.
    Route(&'t Route, &'t Action, Captures<'p>),
    /// The path has routes, but none of them lists the method.
    NoMethod(&'t Route),
    /// Nothing matches.
    Nothing,
}

/// What was captured, in the order of the patterns: of the host, then of the path.
pub(super) type Captures<'p> = SmallVec<[&'p str; 4]>;

/// Why a route cannot be in the table with those that are there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// The route of that index matches the same requests with this method.
    Same(usize, Box<str>),
    /// The route of that index can match the same requests, and neither is more specific.
    Ambiguous(usize),
    /// Two hosts of the route can match the same host and capture different texts.
    Hosts,
    /// There are too many patterns in one place.
    Crowded,
}

impl RouteTable {
    /// Adds a route for its pattern and hosts (none: any host).
    ///
    /// # Errors
    /// The route that is in conflict with it.
    pub fn insert(&mut self, pattern: &Pattern, hosts: &[HostPattern], route: Route) -> Result<(), Conflict> {
        let index = self.routes.len();
        for (before, host) in hosts.iter().enumerate() {
            if hosts.iter().take(before).any(|other| other.is_rival_of(host)) {
                return Err(Conflict::Hosts);
            }
            if let Some(rival) = self.hosts.rival(host, pattern)? {
                return Err(Conflict::Ambiguous(rival));
            }
            let list = self.hosts.at(host)?.at(&pattern.segments)?;
            free(&self.routes, list, &route)?;
        }
        if hosts.is_empty() {
            let list = self.any_host.at(&pattern.segments)?;
            free(&self.routes, list, &route)?;
            list.push(index);
        }
        for host in hosts {
            let list = self.hosts.at(host)?.at(&pattern.segments)?;
            if list.last() != Some(&index) {
                list.push(index);
            }
            self.hosts.note(host, pattern, index);
        }
        self.routes.push(route);
        Ok(())
    }

    /// The route for a request: the most specific path wins, whatever its methods are. A path that has a route of its
    /// own never falls back to a wider one because of its method. Of several hosts that match, the most specific one that
    /// has any route for the path wins: the host itself, then patterns, those with more literal text first, then any host.
    pub fn find<'p>(&self, host: &'p str, path: &'p str, method: &str) -> Found<'_, 'p> {
        let path = path.strip_prefix('/').unwrap_or(path);
        let any_host = std::iter::once_with(|| (&self.any_host, Captures::new()));
        for (tree, mut captures) in self.hosts.find(host).chain(any_host) {
            let Some(indices) = tree.walk(Some(path), &mut captures) else {
                continue;
            };
            let mut routes = indices.iter().filter_map(|index| self.routes.get(*index));
            let with_method = routes.clone().find_map(|route| {
                let (_, action) = route.actions.iter().find(|(m, _)| **m == *method)?;
                Some((route, action))
            });
            return match (with_method, routes.next()) {
                (Some((route, action)), _) => Found::Route(route, action, captures),
                (None, Some(route)) => Found::NoMethod(route),
                (None, None) => Found::Nothing,
            };
        }
        Found::Nothing
    }

    /// Every route, in the order of the configuration.
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }
}

impl Node {
    /// The list of routes at the end of `segments`, made on the way.
    fn at(&mut self, segments: &[Segment]) -> Result<&mut Vec<usize>, Conflict> {
        match segments.split_first() {
            None => Ok(&mut self.ends),
            Some((Segment::Literal(text), rest)) => self.literals.entry(text.clone()).or_default().at(rest),
            Some((Segment::Blend(blend), rest)) => self.blend(blend)?.at(rest),
            Some((Segment::One(_), rest)) => self.one.get_or_insert_default().at(rest),
            Some((Segment::Rest(_), _)) => Ok(&mut self.rests),
        }
    }

    /// The node behind `blend`. Where two of them can match the same segment, one has more literal text.
    fn blend(&mut self, blend: &Blend) -> Result<&mut Node, Conflict> {
        let rank = blend.literal_bytes();
        let place = match self.blends.iter().position(|(other, _)| other.is_like(blend)) {
            Some(place) => place,
            None => {
                let mut rivals = self
                    .blends
                    .iter()
                    .filter(|(other, _)| other.literal_bytes() == rank && other.overlaps(blend));
                if let Some(route) = rivals.find_map(|(_, node)| node.any()) {
                    return Err(Conflict::Ambiguous(route));
                }
                if self.blends.len() >= MOST {
                    return Err(Conflict::Crowded);
                }
                let place = self
                    .blends
                    .partition_point(|(other, _)| Reverse(other.literal_bytes()) <= Reverse(rank));
                self.blends.insert(place, (blend.clone(), Node::default()));
                place
            }
        };
        let node = self.blends.get_mut(place).map(|(_, node)| node);
        node.ok_or(Conflict::Crowded)
    }

    /// Some route here or below.
    fn any(&self) -> Option<usize> {
        let here = self.ends.first().or(self.rests.first()).copied();
        let blends = self.blends.iter().map(|(_, node)| node);
        let mut below = self.literals.values().chain(blends).chain(self.one.as_deref());
        here.or_else(|| below.find_map(Node::any))
    }

    /// Walks down, most specific branch first, to the routes of a path; a branch that ends nowhere is left again.
    ///
    /// `remaining` is the path behind the last slash walked over; `None` when the path has ended. Every node is entered
    /// at most once, so the walk is bounded by the table, not by the request.
    fn walk<'p>(&self, remaining: Option<&'p str>, captures: &mut Captures<'p>) -> Option<&[usize]> {
        let Some(remaining) = remaining else {
            if !self.ends.is_empty() {
                return Some(&self.ends);
            }
            return self.rest("", captures);
        };
        let (segment, behind) = match remaining.split_once('/') {
            Some((segment, behind)) => (segment, Some(behind)),
            None => (remaining, None),
        };
        if let Some(node) = self.literals.get(segment)
            && let Some(found) = node.walk(behind, captures)
        {
            return Some(found);
        }
        let before = captures.len();
        for (blend, node) in &self.blends {
            if blend.matches(segment, captures) {
                if let Some(found) = node.walk(behind, captures) {
                    return Some(found);
                }
                captures.truncate(before);
            }
        }
        if let Some(node) = &self.one
            && !segment.is_empty()
        {
            captures.push(segment);
            if let Some(found) = node.walk(behind, captures) {
                return Some(found);
            }
            captures.pop();
        }
        self.rest(remaining, captures)
    }

    fn rest<'p>(&self, remaining: &'p str, captures: &mut Captures<'p>) -> Option<&[usize]> {
        if self.rests.is_empty() {
            return None;
        }
        captures.push(remaining);
        Some(&self.rests)
    }
}

/// Whether none of the routes of `list` has a method of `route`.
fn free(routes: &[Route], list: &[usize], route: &Route) -> Result<(), Conflict> {
    for index in list {
        let other = routes.get(*index).map_or(&[][..], |other| &other.actions);
        if let Some((method, _)) = other
            .iter()
            .find(|(method, _)| route.actions.iter().any(|(m, _)| m == method))
        {
            return Err(Conflict::Same(*index, method.clone()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
