//! What the proxy in front sends, and what it should send.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use decide::{Record, Recorder};
use model::Target;

use super::Finding;
use crate::config::Loaded;
use crate::house::House;

/// Reasons that say something about the proxy, not about who asks; and what to do.
const TELLING: [(&str, &str); 4] = [
    (
        "ambiguous_path",
        "let the proxy put paths in one form before it asks (Envoy: `normalize_path`, `merge_slashes`, \
         `path_with_escaped_slashes_action`), or refuse them",
    ),
    (
        "invalid_host",
        "let the proxy refuse requests without one proper host",
    ),
    (
        "malformed",
        "what comes is not what this door expects: compare the proxy with the folder of it in deploy/",
    ),
    (
        "strange_peer",
        "somebody asks from a network that `allowed_peers` does not have",
    ),
];

/// What came, by the contract it came through.
#[derive(Debug, Default)]
struct Came {
    checks: u64,
    denied: u64,
    reasons: BTreeMap<String, u64>,
    peers: BTreeSet<String>,
    hosts: BTreeSet<String>,
    schemes: BTreeSet<String>,
    /// The most addresses in `X-Forwarded-For`.
    hops: usize,
    with_body: u64,
    with_timeout: u64,
    with_credential: u64,
}

/// What the metrics of a running server say.
pub(super) fn by_metrics(metrics: &str) -> Vec<Finding> {
    let mut all: BTreeMap<String, Came> = BTreeMap::new();
    for line in metrics.lines() {
        let Some((labels, number)) = line
            .strip_prefix("portcullis_decisions_total{")
            .and_then(|rest| rest.split_once("} "))
        else {
            continue;
        };
        let label = |name: &str| {
            let (_, rest) = labels.split_once(&format!("{name}=\""))?;
            rest.split('"').next()
        };
        let count: u64 = number.trim().parse().unwrap_or_default();
        let Some(contract) = label("contract").filter(|contract| *contract != "house" && count > 0) else {
            continue;
        };
        let came = all.entry(contract.to_owned()).or_default();
        came.checks += count;
        if label("verdict") == Some("deny") {
            came.denied += count;
            *came
                .reasons
                .entry(label("reason").unwrap_or_default().to_owned())
                .or_default() += count;
        }
    }
    told(&all, "since the server started")
}

/// Is the server for a while, and tells what came.
pub(super) async fn listen(loaded: Loaded, time: Duration) -> Vec<Finding> {
    let trusted_hops = usize::from(loaded.config.settings.trusted_hops);
    let came = Seen::default();
    let house = match House::start(&loaded.config, loaded.rules, Box::new(came.clone())).await {
        Ok(house) => house,
        Err(error) => return vec![Finding::wrong("proxy", error.to_string(), "")],
    };
    tokio::time::sleep(time).await;
    house.stop().await;
    let all = came.0.lock().unwrap_or_else(PoisonError::into_inner);
    let mut findings = told(&all, &format!("within {} s", time.as_secs()));
    for (contract, came) in all.iter() {
        findings.extend(sent(contract, came, trusted_hops));
    }
    findings
}

/// A line for each contract, and one for each reason that tells of the proxy.
fn told(all: &BTreeMap<String, Came>, when: &str) -> Vec<Finding> {
    if all.is_empty() {
        return vec![Finding::doubtful(
            "proxy",
            format!("nobody asked {when}"),
            "send a request through the proxy; if it still does not ask, compare it with its folder in deploy/",
        )];
    }
    let mut findings = Vec::new();
    for (contract, came) in all {
        let about = format!("proxy by {contract}");
        let found = format!("checks {when}: {}, denied: {}", came.checks, came.denied);
        findings.push(Finding::good(&about, found));
        for (reason, help) in TELLING {
            if let Some(count) = came.reasons.get(reason) {
                findings.push(Finding::doubtful(
                    &about,
                    format!("denied as {reason}: {count}"),
                    help,
                ));
            }
        }
        let no_route = came.reasons.get("no_route").copied().unwrap_or_default();
        if no_route * 2 > came.checks {
            let help = "most requests match no route: are `routes` about these hosts and paths, or does the proxy change paths first?";
            findings.push(Finding::doubtful(
                &about,
                format!("denied as no_route: {no_route}"),
                help,
            ));
        }
    }
    findings
}

/// What was in the checks themselves.
fn sent(contract: &str, came: &Came, trusted_hops: usize) -> Vec<Finding> {
    let about = format!("proxy by {contract}");
    let listed = |names: &BTreeSet<String>| names.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    let mut findings = vec![Finding::good(
        &about,
        format!(
            "it sends schemes: {}; hosts: {}; client addresses: {}; with a credential: {}, a body: {}, a deadline: {}",
            listed(&came.schemes),
            listed(&came.hosts),
            listed(&came.peers),
            came.with_credential,
            came.with_body,
            came.with_timeout
        ),
    )];
    if came.hops > trusted_hops {
        findings.push(Finding::doubtful(
            &about,
            format!(
                "X-Forwarded-For has up to {} addresses, and trusted_hops is {trusted_hops}",
                came.hops
            ),
            "if that many proxies in front append to it, set `trusted_hops`; clients can write it, too",
        ));
    }
    if came.with_credential == 0 {
        findings.push(Finding::doubtful(
            &about,
            "no check had a credential",
            "let the proxy send `Authorization` along (Envoy over HTTP: `allowed_headers`)",
        ));
    }
    findings
}

/// As many different names are kept.
const NAMES: usize = 8;

/// Remembers what came.
#[derive(Clone, Debug, Default)]
struct Seen(Arc<Mutex<BTreeMap<String, Came>>>);

impl Recorder for Seen {
    fn offer(&self, record: &Record<'_, '_>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let came = all.entry(record.contract.as_str().to_owned()).or_default();
        came.checks += 1;
        if !record.decision.is_allow() {
            came.denied += 1;
            let reason = record.decision.reason().as_str();
            *came.reasons.entry(reason.to_owned()).or_default() += 1;
        }
        let keep = |names: &mut BTreeSet<String>, name: &str| {
            if names.len() < NAMES && !name.is_empty() {
                names.insert(name.to_owned());
            }
        };
        if let Some(address) = record.client_ip {
            keep(&mut came.peers, &address.to_string());
        }
        let Some(check) = record.check else {
            return;
        };
        came.with_timeout += u64::from(check.timeout.is_some());
        let Target::Http(request) = &check.target else {
            return;
        };
        keep(&mut came.schemes, request.scheme);
        keep(&mut came.hosts, request.host.as_str());
        came.with_body += u64::from(!matches!(request.body, model::Body::Absent));
        came.with_credential += u64::from(request.headers.all("authorization").next().is_some());
        let forwarded = request.headers.all("x-forwarded-for");
        let hops = forwarded
            .map(|value| value.split(|byte| *byte == b',').count())
            .sum();
        came.hops = came.hops.max(hops);
    }
}

#[cfg(test)]
mod tests;
