//! What must hold behind every proxy, whatever its configuration looks like.

mod answers;
mod headers;
mod targets;

use std::collections::BTreeMap;

pub(crate) use answers::{answers, bodies, outage, upgrades, verdicts};
pub(crate) use headers::{ALIASES, claims, connection_headers, spoofed_headers};
pub(crate) use targets::{hosts, paths, queries, stripped};

use super::Proxy;
use crate::envoy::token;
use crate::house::{Got, TestHouse};

/// Sends a request with these headers and the credential of one of the people.
pub(crate) async fn send_as(
    house: &TestHouse,
    proxy: &Proxy,
    who: &str,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
) -> Got {
    let bearer = token(house, who).map(|token| format!("Bearer {token}"));
    let bearer = bearer.iter().map(|bearer| ("authorization", bearer.as_str()));
    let headers: Vec<_> = headers.iter().copied().chain(bearer).collect();
    proxy.send(method, target, &headers).await
}

/// All that the upstream saw under these names and whatever it could take for them; nothing in it is nothing.
fn identity_at_upstream(got: &Got, names: &[String]) -> BTreeMap<String, Vec<String>> {
    let seen = got.seen.as_ref().expect("the upstream was reached");
    let fold = |name: &str| {
        name.to_lowercase()
            .replace(|c: char| !c.is_ascii_alphanumeric(), "_")
    };
    let wanted = |name: &str| names.iter().any(|n| fold(n) == fold(name));
    let headers = seen.headers.iter().filter(|(name, _)| wanted(name));
    headers
        .map(|(name, values)| (name.clone(), values.clone()))
        .filter(|(_, values)| values.iter().any(|value| !value.is_empty()))
        .collect()
}
