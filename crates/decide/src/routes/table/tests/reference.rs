//! Lookups compared with a matcher that tries everything, on patterns as they are written.

use proptest::prelude::*;

use super::*;

type Line = (&'static str, String, &'static str);
/// Of each segment: its kind, and how much of it is literal.
type PathRank = Vec<(u8, usize)>;

/// What `pattern` captures of all of `text`: of all ways, the one whose first captures are shortest.
fn taken(pattern: &str, text: &str) -> Option<Vec<String>> {
    let Some(inside) = pattern.strip_prefix('{') else {
        let Some(first) = pattern.chars().next() else {
            return text.is_empty().then(Vec::new);
        };
        return taken(&pattern[1..], text.strip_prefix(first)?);
    };
    let (name, behind) = inside.split_once('}').unwrap();
    let least = usize::from(!name.ends_with(".."));
    (least..=text.len()).find_map(|end| {
        let mut all = taken(behind, &text[end..])?;
        all.insert(0, text[..end].to_owned());
        Some(all)
    })
}

/// The bytes of a pattern that are no capture.
fn literal(pattern: &str) -> usize {
    let mut inside = false;
    let outside = pattern.bytes().filter(|byte| {
        let was = inside;
        inside = *byte == b'{' || (inside && *byte != b'}');
        !was && !inside
    });
    outside.count()
}

/// How specific a host is, and what it captures.
fn host_of(pattern: &str, host: &str) -> Option<(usize, Vec<String>)> {
    if pattern.is_empty() {
        return Some((0, Vec::new()));
    }
    if !pattern.contains('{') {
        return (pattern == host).then_some((usize::MAX, Vec::new()));
    }
    let pattern = pattern.replace("..}", "\u{2025}}");
    let (labels, texts): (Vec<&str>, Vec<&str>) = (pattern.split('.').collect(), host.split('.').collect());
    if labels.len() != texts.len() {
        return None;
    }
    let mut captured = Vec::new();
    for (label, text) in labels.iter().zip(texts) {
        captured.extend(taken(&label.replace('\u{2025}', ".."), text)?);
    }
    Some((literal(&pattern), captured))
}

/// How specific a path is, segment by segment, and what it captures.
fn path_of(pattern: &str, path: &str) -> Option<(PathRank, Vec<String>)> {
    let (mut rank, mut captured) = (Vec::new(), Vec::new());
    let mut texts = path.split('/').skip(1);
    for segment in pattern.split('/').skip(1) {
        if segment == "{r..}" {
            rank.push((0, 0));
            captured.push(texts.collect::<Vec<_>>().join("/"));
            return Some((rank, captured));
        }
        let text = texts.next()?;
        captured.extend(taken(segment, text)?);
        rank.push(match (segment.contains('{'), literal(segment)) {
            (false, _) => (3, 0),
            (true, 0) => (1, 0),
            (true, bytes) => (2, bytes),
        });
    }
    rank.push((4, 0));
    texts.next().is_none().then_some((rank, captured))
}

/// What a lookup has to find.
fn expected(routes: &[Line], host: &str, path: &str, method: &str) -> String {
    let matching = routes.iter().filter_map(|(hosts, pattern, methods)| {
        let (of_host, mut captured) = host_of(hosts, host)?;
        let (of_path, of_the_path) = path_of(pattern, path)?;
        captured.extend(of_the_path);
        Some(((of_host, of_path), format!("{hosts}{pattern}"), methods, captured))
    });
    let matching: Vec<_> = matching.collect();
    let Some(best) = matching.iter().map(|(rank, ..)| rank).max() else {
        return "nothing".to_owned();
    };
    let mut best = matching.iter().filter(|(rank, ..)| rank == best).peekable();
    let first = best.peek().map(|(_, name, ..)| name.clone()).unwrap();
    match best.find(|(_, _, methods, _)| **methods == method) {
        Some((_, name, _, captured)) => format!("{name} [{}]", captured.join(",")),
        None => format!("no method {first}"),
    }
}

/// Routes and requests over few letters, so that they meet.
fn some_route() -> impl Strategy<Value = Line> {
    let host = prop_oneof![
        Just(""),
        Just("a.b.t"),
        Just("{h}.b.t"),
        Just("a{h..}.b.t"),
        Just("{h}b.b.t"),
        Just("a.{h}.t"),
        Just("{h}-a.{i}.t"),
    ];
    let segment = prop_oneof![
        Just("a"),
        Just("b{x}"),
        Just("{x}b"),
        Just("a{x..}"),
        Just("{x}.{y..}"),
        Just("{x}")
    ];
    let path = (
        proptest::collection::vec(segment, 1..3),
        prop_oneof![Just(""), Just("/"), Just("/{r..}")],
    );
    let path = path.prop_map(|(segments, end)| {
        let numbered = segments.iter().enumerate().map(|(n, segment)| {
            segment
                .replace("{x", &format!("{{x{n}"))
                .replace("{y", &format!("{{y{n}"))
        });
        format!("/{}{end}", numbered.collect::<Vec<_>>().join("/"))
    });
    (host, path, prop_oneof![Just("GET"), Just("PUT")])
}

fn table_of<'r>(routes: impl Iterator<Item = &'r Line>) -> Result<RouteTable, Conflict> {
    let mut table = RouteTable::default();
    for (host, path, method) in routes {
        let hosts: Vec<&str> = [*host].into_iter().filter(|host| !host.is_empty()).collect();
        insert(&mut table, &hosts, path, &[method])?;
    }
    Ok(table)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    /// Which route wins is never a question of which one was written first; nor is whether there is a conflict.
    #[test]
    fn the_route_is_that_of_the_reference_in_any_order(
        routes in proptest::collection::vec(some_route(), 1..5),
        host in "[ab-]{1,3}\\.(b|ab)\\.t",
        path in "(/[ab.]{1,3}){1,3}/?",
        method in "GET|PUT",
    ) {
        let (there, back) = (table_of(routes.iter()), table_of(routes.iter().rev()));
        prop_assert_eq!(there.is_ok(), back.is_ok());
        if let Ok(there) = &there {
            let found = find(there, &host, &path, &method);
            prop_assert_eq!(found, expected(&routes, &host, &path, &method));
        }
        if let (Ok(there), Ok(back)) = (there, back) {
            let found = find(&there, &host, &path, &method);
            // Routes of one place and several methods share the denial of any other method.
            let no_method = |found: &str| found.starts_with("no method");
            let other = find(&back, &host, &path, &method);
            prop_assert!(found == other || (no_method(&found) && no_method(&other)), "{} {}", found, other);
        }
    }
}
