//! Routes that nearly matched.

use super::NearRoute;
use crate::routes::{Pattern, Route, Segment};

/// How many are told.
const MOST: usize = 5;

/// The nearest of `routes` to a request that none of them matched.
pub(crate) fn near(routes: &[Route], host: &str, path: &str, method: &str) -> Vec<NearRoute> {
    let mut near: Vec<(usize, NearRoute)> = Vec::new();
    for route in routes {
        if let Some((distance, why)) = miss(route, host, path, method) {
            let route = route.name.to_string();
            near.push((distance, NearRoute { route, why }));
        }
    }
    near.sort_by(|(a, x), (b, y)| (a, &x.route).cmp(&(b, &y.route)));
    // Where only the method differs, nothing else is nearer.
    if near.first().is_some_and(|(distance, _)| *distance == 0) {
        near.retain(|(distance, _)| *distance == 0);
    }
    near.into_iter().take(MOST).map(|(_, near)| near).collect()
}

/// How far a route is from the request, and what it lacks; `None` when it has nothing to do with it.
fn miss(route: &Route, host: &str, path: &str, method: &str) -> Option<(usize, String)> {
    let (hosts, pattern) = route.name.split_at(route.name.find('/')?);
    let pattern = Pattern::parse(pattern).ok()?;
    let same_host = hosts.is_empty() || hosts.split(',').any(|known| known == host);
    let mut found = differs(&pattern.segments, path);
    if let Some((distance, why)) = &mut found
        && !same_host
    {
        *distance += 10;
        *why = match why.is_empty() {
            true => format!("it is for the host {hosts}"),
            false => format!("{why}, and it is for the host {hosts}"),
        };
    }
    let (distance, why) = found?;
    if !why.is_empty() {
        return Some((distance, why));
    }
    let methods: Vec<&str> = route.actions.iter().map(|(method, _)| &**method).collect();
    (!methods.contains(&method)).then(|| (0, format!("it has the methods {}", methods.join(", "))))
}

/// One difference between a pattern and a path; nothing to say if there is none, `None` if there are several.
fn differs(segments: &[Segment], path: &str) -> Option<(usize, String)> {
    let mut given = path.strip_prefix('/').unwrap_or(path).split('/');
    let mut difference: Option<(usize, String)> = None;
    let mut same = 0;
    for (index, segment) in segments.iter().enumerate() {
        let literal = match segment {
            Segment::Rest(_) => {
                // What nothing but the rest has in common with the path is not near.
                let distance = difference.as_ref().map_or(0, |(distance, _)| *distance);
                return (distance <= 3 || same > 0).then(|| difference.unwrap_or_default());
            }
            Segment::One(name) => match given.next() {
                Some("") => {
                    let lacks = format!("`{{{name}}}` stands for a segment that is not empty");
                    difference = once(difference, (3, lacks))?;
                    continue;
                }
                Some(_) => continue,
                None => return longer(difference, segments, index, same),
            },
            Segment::Literal(literal) => literal,
        };
        match given.next() {
            Some(text) if *text == **literal => same += 1,
            None => return longer(difference, segments, index, same),
            Some(text) => {
                let edits = strsim::damerau_levenshtein(text, literal);
                let close = edits <= 1 + literal.len() / 3;
                let why = format!("segment {} is {text:?}, not {literal:?}", index + 1);
                difference = once(difference, (if close { 3 } else { 6 }, why))?;
            }
        }
    }
    let rest: Vec<&str> = given.collect();
    match rest.as_slice() {
        [] => {}
        [""] => difference = once(difference, (2, "the path has a slash at its end".to_owned()))?,
        rest => {
            let why = format!("the path goes on with \"/{}\"", rest.join("/"));
            difference = once(difference, (4 + rest.len(), why))?;
        }
    }
    match difference {
        Some((distance, _)) if distance > 3 && same == 0 => None,
        None => Some((0, String::new())),
        difference => difference,
    }
}

/// The path ended before the pattern.
fn longer(
    difference: Option<(usize, String)>,
    segments: &[Segment],
    from: usize,
    same: usize,
) -> Option<(usize, String)> {
    let rest = segments.get(from..).unwrap_or_default();
    let rest: Vec<String> = rest.iter().map(written).collect();
    let why = match rest.as_slice() {
        [only] if only.is_empty() => "the path has no slash at its end".to_owned(),
        rest => format!("the path ends before \"/{}\"", rest.join("/")),
    };
    let found = once(difference, (4 + rest.len(), why))?;
    found.filter(|_| same > 0)
}

/// As in the configuration.
fn written(segment: &Segment) -> String {
    match segment {
        Segment::Literal(text) => text.to_string(),
        Segment::One(name) => format!("{{{name}}}"),
        Segment::Rest(name) => format!("{{{name}..}}"),
    }
}

fn once(before: Option<(usize, String)>, now: (usize, String)) -> Option<Option<(usize, String)>> {
    before.is_none().then_some(Some(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_difference_is_near_and_two_are_not() {
        for (pattern, path, expected) in [
            ("/workspaces/{w}", "/workspaces/a", Some("")),
            (
                "/workspaces/{w}",
                "/workspace/a",
                Some("segment 1 is \"workspace\", not \"workspaces\""),
            ),
            (
                "/workspaces/{w}",
                "/workspaces/a/",
                Some("the path has a slash at its end"),
            ),
            (
                "/workspaces/{w}",
                "/workspaces/a/b",
                Some("the path goes on with \"/b\""),
            ),
            (
                "/workspaces/{w}",
                "/workspaces",
                Some("the path ends before \"/{w}\""),
            ),
            (
                "/workspaces/{w}",
                "/workspaces/",
                Some("`{w}` stands for a segment that is not empty"),
            ),
            (
                "/workspaces/{w}/x",
                "/workspaces/a/y",
                Some("segment 3 is \"y\", not \"x\""),
            ),
            (
                "/workspaces/{w}/x/",
                "/workspaces/a/x",
                Some("the path has no slash at its end"),
            ),
            (
                "/public/{rest..}",
                "/publik/a/b",
                Some("segment 1 is \"publik\", not \"public\""),
            ),
            ("/workspaces/{w}", "/elsewhere/x/y", None),
            ("/a/b/c", "/x/y/c", None),
            ("/catalogue/items", "/nowhere", None),
        ] {
            let pattern = Pattern::parse(pattern).unwrap();
            let found = differs(&pattern.segments, path).map(|(_, why)| why);
            assert_eq!(found.as_deref(), expected, "{path}");
        }
    }
}
