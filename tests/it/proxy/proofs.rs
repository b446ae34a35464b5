//! What must hold behind every proxy, whatever its configuration looks like.

mod answers;
mod claims;
mod headers;
mod hosts;
mod outage;
mod targets;
mod verdicts;

use std::collections::BTreeMap;

pub(crate) use answers::{answers, bodies, login, upgrades};
pub(crate) use claims::claims;
pub(crate) use headers::{ALIASES, connection_headers, nothing_of_nobody, spoofed_headers};
pub(crate) use hosts::{hosts, whole_urls};
pub(crate) use outage::{kept_connections, no_verdict, outage};
pub(crate) use targets::{paths, queries, stripped};
pub(crate) use verdicts::verdicts;

use crate::house::Got;

/// All that the upstream saw under these names and whatever it could take for them.
fn at_upstream(got: &Got, names: &[impl AsRef<str>]) -> BTreeMap<String, Vec<String>> {
    let seen = got.seen.as_ref().expect("the upstream was reached");
    let fold = |name: &str| {
        name.to_lowercase()
            .replace(|c: char| !c.is_ascii_alphanumeric(), "_")
    };
    let wanted = |name: &str| names.iter().any(|n| fold(n.as_ref()) == fold(name));
    let headers = seen.headers.iter().filter(|(name, _)| wanted(name));
    headers
        .map(|(name, values)| (name.clone(), values.clone()))
        .collect()
}
