//! Upstreams that take two paths for one: how their paths are compared here.
//!
//! The gate of the doors makes one path of every spelling that HTTP itself calls equal. Some upstreams go further and
//! ignore letter case, or a slash at the end. Behind rules that tell such paths apart, one of the two would be an open
//! door; so for these upstreams both are made one before anything is compared. Without an entry nothing is.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::problem::Problem;
use crate::routes::{HostPattern, RouteSettings};

/// How the upstreams of some hosts read paths.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpstreamPathSettings {
    /// The hosts, in lower case and without port, or patterns as in `routes[].hosts`. Empty: every host. Two entries that can
    /// be for the same host must say the same. Example: `["{workspace}.lab.example.org"]`
    #[serde(default)]
    pub hosts: Vec<String>,
    /// The upstream ignores the case of ASCII letters: routes and policies see lower case only.
    #[serde(default)]
    pub fold_case: bool,
    /// The upstream takes `/a/` for `/a`: routes and policies see no slash at the end.
    #[serde(default)]
    pub slash_equivalent: bool,
}

/// The entries, in the order of the configuration; those that are for the same host say the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct UpstreamPaths(Vec<Entry>);

#[derive(Clone, Debug)]
struct Entry {
    /// Empty: every host.
    hosts: Vec<HostPattern>,
    fold_case: bool,
    slash_equivalent: bool,
}

impl UpstreamPaths {
    /// Checks the entries, and the routes that they would keep from ever matching.
    pub(crate) fn new(
        settings: &[UpstreamPathSettings],
        routes: &[RouteSettings],
        problems: &mut Vec<Problem>,
    ) -> Self {
        let mut all: Vec<(usize, Entry)> = Vec::new();
        for (index, settings) in settings.iter().enumerate() {
            if !settings.fold_case && !settings.slash_equivalent {
                problems.push(Problem::setting(
                    format!("/upstream_paths/{index}"),
                    "this entry changes nothing",
                    "set `fold_case` or `slash_equivalent`",
                ));
            }
            let mut pattern = |i: usize, host: &str| {
                let wrong = |message| {
                    problems.push(Problem::setting(
                        format!("/upstream_paths/{index}/hosts/{i}"),
                        message,
                        "lower case, without port: `files.example.org`, or `{name}.files.example.org`",
                    ));
                };
                HostPattern::parse(host).map_err(wrong).ok()
            };
            let hosts = settings.hosts.iter().enumerate();
            let hosts: Option<Vec<HostPattern>> = hosts.map(|(i, host)| pattern(i, host)).collect();
            let Some(hosts) = hosts else {
                continue;
            };
            let entry = Entry {
                hosts,
                fold_case: settings.fold_case,
                slash_equivalent: settings.slash_equivalent,
            };
            let rival = |(_, other): &&(usize, Entry)| entry.differs(other) && entry.meets(&other.hosts);
            if let Some((other, _)) = all.iter().find(rival) {
                problems.push(Problem::setting(
                    format!("/upstream_paths/{index}"),
                    format!("this entry and /upstream_paths/{other} can be for the same host, and differ"),
                    "say of each host in one entry how its upstream reads paths",
                ));
            }
            all.push((index, entry));
        }
        let all: Vec<Entry> = all.into_iter().map(|(_, entry)| entry).collect();
        for (index, route) in routes.iter().enumerate() {
            // Names of captures have no capitals.
            let (capitals, slashless) = (
                folded(Cow::Borrowed(&route.path)) != route.path,
                route.path.len() > 1 && route.path.ends_with('/'),
            );
            // What is wrong with a host is said where routes are compiled.
            let hosts = route.hosts.iter();
            let hosts: Vec<HostPattern> = hosts.filter_map(|host| HostPattern::parse(host).ok()).collect();
            let met: Vec<&Entry> = all.iter().filter(|entry| entry.meets(&hosts)).collect();
            // Otherwise a name with capitals would be nobody's, and what is denied on it allowed by what is set further up.
            if route.magpie.is_some() && met.iter().any(|entry| entry.fold_case) {
                problems.push(Problem::setting(
                    format!("/routes/{index}/magpie"),
                    "Magpie tells names apart by the case of their letters, and `upstream_paths` takes the capitals away",
                    "name other `hosts`, in the route or in `upstream_paths`",
                ));
            }
            if met
                .iter()
                .any(|entry| (entry.fold_case && capitals) || (entry.slash_equivalent && slashless))
            {
                problems.push(Problem::setting(
                    format!("/routes/{index}/path"),
                    "this route does not match: `upstream_paths` takes the capitals or the slash at the end away",
                    "write it in lower case, without a slash at the end, or name other `hosts`",
                ));
            }
        }
        Self(all)
    }

    /// The canonical path in the form in which it is compared.
    pub(crate) fn comparable<'p>(&self, host: &str, path: &'p str) -> Cow<'p, str> {
        let mut compared = Cow::Borrowed(path);
        for entry in self.0.iter().filter(|entry| entry.is_for(host)) {
            if entry.slash_equivalent && compared.len() > 1 && compared.ends_with('/') {
                compared = match compared {
                    Cow::Borrowed(path) => Cow::Borrowed(path.strip_suffix('/').unwrap_or(path)),
                    Cow::Owned(path) => Cow::Owned(path.strip_suffix('/').unwrap_or(&path).to_owned()),
                };
            }
            if entry.fold_case {
                compared = folded(compared);
            }
        }
        compared
    }
}

impl Entry {
    fn is_for(&self, host: &str) -> bool {
        self.hosts.is_empty() || self.hosts.iter().any(|known| known.is_for(host))
    }

    /// Whether some host is one of its hosts and one of `hosts`, where none are all.
    fn meets(&self, hosts: &[HostPattern]) -> bool {
        let mut pairs = self
            .hosts
            .iter()
            .flat_map(|own| hosts.iter().map(move |other| (own, other)));
        self.hosts.is_empty() || hosts.is_empty() || pairs.any(|(own, other)| own.overlaps(other))
    }

    fn differs(&self, other: &Self) -> bool {
        (self.fold_case, self.slash_equivalent) != (other.fold_case, other.slash_equivalent)
    }
}

/// ASCII letters in lower case, except the digits of escapes, which are capitals in every canonical path.
fn folded(path: Cow<'_, str>) -> Cow<'_, str> {
    if !path.bytes().any(|b| b.is_ascii_uppercase()) {
        return path;
    }
    let mut digits = 0;
    let fold = |c: char| {
        if c == '%' {
            digits = 2;
        } else if digits > 0 {
            digits -= 1;
            return c;
        }
        c.to_ascii_lowercase()
    };
    Cow::Owned(path.chars().map(fold).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn paths(settings: serde_json::Value, routes: &[&str]) -> (UpstreamPaths, Vec<String>) {
        let settings: Vec<UpstreamPathSettings> = serde_json::from_value(settings).unwrap();
        let route = |path: &&str| {
            serde_json::from_value(json!({"path": path, "methods": ["GET"], "resource": {"type": "Page"}}))
                .unwrap()
        };
        let routes: Vec<RouteSettings> = routes.iter().map(route).collect();
        let mut problems = Vec::new();
        let paths = UpstreamPaths::new(&settings, &routes, &mut problems);
        (paths, problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn paths_are_compared_as_the_upstream_reads_them() {
        let (paths, problems) = paths(
            json!([
                {"hosts": ["fold.test", "{w}.lab.test"], "fold_case": true},
                {"hosts": ["slash.test"], "slash_equivalent": true},
                {"hosts": ["both.test"], "fold_case": true, "slash_equivalent": true},
            ]),
            &["/a/{rest..}"],
        );
        assert_eq!(problems, [""; 0]);
        for (host, path, expected) in [
            ("other.test", "/Admin/", "/Admin/"),
            ("fold.test", "/Admin/", "/admin/"),
            ("fold.test", "/admin", "/admin"),
            ("fold.test", "/A%C3%89B", "/a%C3%89b"),
            ("fold.test", "/%C3%89", "/%C3%89"),
            ("slash.test", "/Admin/", "/Admin"),
            ("slash.test", "/", "/"),
            ("both.test", "/Admin/", "/admin"),
            ("a.lab.test", "/Admin/", "/admin/"),
            ("a.b.lab.test", "/Admin/", "/Admin/"),
        ] {
            assert_eq!(paths.comparable(host, path), expected, "{host}{path}");
        }
    }

    #[test]
    fn what_could_never_match_is_said() {
        let everywhere = |option: &str| json!([{option: true}]);
        for (settings, route, expected) in [
            (everywhere("fold_case"), "/Admin", 1),
            (everywhere("fold_case"), "/admin/{name}/x-{rest..}", 0),
            (everywhere("fold_case"), "/admin/{name}X", 1),
            (everywhere("slash_equivalent"), "/admin/", 1),
            (everywhere("slash_equivalent"), "/", 0),
            (json!([{"hosts": ["a.test"], "fold_case": true}]), "/Admin", 1),
            (json!([{"hosts": ["a.test"]}]), "/a", 1),
            (json!([{"hosts": ["A.test"], "fold_case": true}]), "/a", 1),
            (json!([{"hosts": ["a.test:80"], "fold_case": true}]), "/a", 1),
            (json!([{"hosts": ["{w}.test"], "fold_case": true}]), "/Admin", 1),
            (json!([{"hosts": ["{w}"], "fold_case": true}]), "/a", 1),
            (
                json!([{"fold_case": true}, {"hosts": ["a.test"], "slash_equivalent": true}]),
                "/a",
                1,
            ),
            (
                json!([{"fold_case": true}, {"hosts": ["a.test"], "fold_case": true}]),
                "/a",
                0,
            ),
            (
                json!([{"hosts": ["{w}.a.test"], "fold_case": true}, {"hosts": ["x-{w}.a.test"], "slash_equivalent": true}]),
                "/a",
                1,
            ),
            (
                json!([{"hosts": ["{w}.a.test"], "fold_case": true}, {"hosts": ["x.b.test"], "slash_equivalent": true}]),
                "/a",
                0,
            ),
        ] {
            let (_, problems) = paths(settings.clone(), &[route]);
            assert_eq!(problems.len(), expected, "{settings} {route}: {problems:?}");
        }
    }

    #[test]
    fn routes_for_patterns_of_hosts_are_checked_too() {
        let lower = json!([{"hosts": ["x.lab.test"], "fold_case": true}]);
        let pattern = json!([{"hosts": ["{w}.lab.test"], "fold_case": true}]);
        for (settings, host, expected) in [
            (&lower, "{w}.lab.test", 1),
            (&lower, "y-{w}.lab.test", 0),
            (&lower, "{w}.other.test", 0),
            (&pattern, "x.lab.test", 1),
            (&pattern, "y-{w}.lab.test", 1),
            (&pattern, "lab.test", 0),
        ] {
            let settings: Vec<UpstreamPathSettings> = serde_json::from_value(settings.clone()).unwrap();
            let route = json!({"hosts": [host], "path": "/Admin/{rest..}", "methods": ["GET"], "resource": {"type": "Page"}});
            let routes: Vec<RouteSettings> = vec![serde_json::from_value(route).unwrap()];
            let mut problems = Vec::new();
            UpstreamPaths::new(&settings, &routes, &mut problems);
            assert_eq!(problems.len(), expected, "{host}: {problems:?}");
        }
    }

    #[test]
    fn names_that_are_told_apart_by_case_stay_so() {
        for (settings, expected) in [
            (json!([{"fold_case": true}]), 1),
            (json!([{"slash_equivalent": true}]), 0),
            (json!([{"hosts": ["other.test"], "fold_case": true}]), 0),
        ] {
            let route = json!({
                "hosts": ["a.test"], "path": "/ows/{service}/{rest..}", "methods": ["GET"],
                "resource": {"type": "Page"}, "magpie": {"service": "{service}"},
            });
            let settings: Vec<UpstreamPathSettings> = serde_json::from_value(settings).unwrap();
            let routes: Vec<RouteSettings> = vec![serde_json::from_value(route).unwrap()];
            let mut problems = Vec::new();
            UpstreamPaths::new(&settings, &routes, &mut problems);
            assert_eq!(problems.len(), expected, "{problems:?}");
        }
    }
}
