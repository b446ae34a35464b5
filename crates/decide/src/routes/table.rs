//! The route table: a tree of segments per host.

use std::collections::HashMap;

use smallvec::SmallVec;

use super::pattern::{Pattern, Segment};
use super::{Action, Route};

/// All routes, ready for lookups.
#[derive(Debug, Default)]
pub struct RouteTable {
    routes: Vec<Route>,
    hosts: HashMap<Box<str>, Node>,
    any_host: Node,
}

/// One place in the tree of segments.
#[derive(Debug, Default)]
struct Node {
    literals: HashMap<Box<str>, Node>,
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

/// Captured segments in the order of the pattern.
pub(super) type Captures<'p> = SmallVec<[&'p str; 4]>;

impl RouteTable {
    /// Adds a route for its pattern and hosts (none: any host).
    ///
    /// # Errors
    /// The name of the route that matches the same requests with one of the same methods.
    pub fn insert(&mut self, pattern: &Pattern, hosts: &[String], route: Route) -> Result<(), String> {
        let mut hosts: Vec<Option<&str>> = match hosts {
            [] => vec![None],
            hosts => hosts.iter().map(|host| Some(host.as_str())).collect(),
        };
        hosts.sort_unstable();
        hosts.dedup();
        for host in &hosts {
            let place = Self::tree(&mut self.hosts, &mut self.any_host, *host).at(&pattern.segments);
            let others = place.iter().filter_map(|index| self.routes.get(*index));
            for (other, method) in others.flat_map(|other| other.actions.iter().map(move |(m, _)| (other, m)))
            {
                if route.actions.iter().any(|(m, _)| m == method) {
                    return Err(format!("{method} {}", other.name));
                }
            }
        }
        for host in hosts {
            let place = Self::tree(&mut self.hosts, &mut self.any_host, host).at(&pattern.segments);
            place.push(self.routes.len());
        }
        self.routes.push(route);
        Ok(())
    }

    fn tree<'t>(
        hosts: &'t mut HashMap<Box<str>, Node>,
        any: &'t mut Node,
        host: Option<&str>,
    ) -> &'t mut Node {
        match host {
            Some(host) => hosts.entry(host.into()).or_default(),
            None => any,
        }
    }

    /// The route for a request: the most specific path wins, whatever its methods are. A path that has a route of its
    /// own never falls back to a wider one because of its method.
    pub fn find<'p>(&self, host: &str, path: &'p str, method: &str) -> Found<'_, 'p> {
        let path = path.strip_prefix('/').unwrap_or(path);
        for tree in self.hosts.get(host).into_iter().chain([&self.any_host]) {
            let mut captures = Captures::new();
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
    fn at(&mut self, segments: &[Segment]) -> &mut Vec<usize> {
        match segments.split_first() {
            None => &mut self.ends,
            Some((Segment::Literal(text), rest)) => self.literals.entry(text.clone()).or_default().at(rest),
            Some((Segment::One(_), rest)) => self.one.get_or_insert_default().at(rest),
            Some((Segment::Rest(_), _)) => &mut self.rests,
        }
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

#[cfg(test)]
mod tests;
