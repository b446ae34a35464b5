//! The keys that other nodes publish: fetched from the registered URL only, kept for a while, and never fetched more often
//! than every few seconds, whatever tokens say.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::RSA_PKCS1_2048_8192_SHA256;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::outbound::Outbound;

/// How long fetched keys count. A key that a node withdraws works for at most that long.
const KEPT: Duration = Duration::from_secs(300);
/// Time between two attempts to fetch the keys of one node, whatever became of the first.
const COOL_DOWN: Duration = Duration::from_secs(5);
/// Largest key set.
const MAX_BYTES: usize = 256 * 1024;
/// Most keys of one node.
const MAX_KEYS: usize = 100;
/// Longest `kid`.
pub(super) const MAX_KID_BYTES: usize = 256;
/// Most nodes whose keys are kept.
const MAX_NODES: usize = 2000;

/// The keys of all nodes, by the URL they are from.
#[derive(Debug, Default)]
pub(super) struct NodeKeys(Mutex<HashMap<String, Arc<OneNode>>>);

/// The keys of one node. Whoever wants one that is not known while they are being fetched waits for that fetch.
#[derive(Debug, Default)]
struct OneNode {
    fetched: Mutex<Fetched>,
    /// Held over a fetch.
    fetching: tokio::sync::Mutex<()>,
}

/// What a node said.
#[derive(Debug, Default)]
struct Fetched {
    keys: HashMap<String, RsaKey>,
    /// When the keys came.
    at: Option<Instant>,
    /// When they were asked for last.
    attempted: Option<Instant>,
    /// Why that brought none.
    failure: Option<String>,
}

/// An RSA public key for RS256.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RsaKey {
    n: Vec<u8>,
    e: Vec<u8>,
}

/// Why there is no key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NoKey {
    /// The node publishes none of that name.
    Unknown,
    /// Its keys could not be fetched.
    Unavailable(String),
}

impl NodeKeys {
    /// The key of that name at that URL.
    pub(super) async fn get(&self, outbound: &Outbound, url: &str, kid: &str) -> Result<RsaKey, NoKey> {
        let node = {
            let mut nodes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if nodes.len() >= MAX_NODES && !nodes.contains_key(url) {
                // URLs of nodes that are gone; the keys of the others are fetched again.
                nodes.clear();
            }
            Arc::clone(nodes.entry(url.to_owned()).or_default())
        };
        if let Some(key) = node.fetched().known(kid) {
            return Ok(key);
        }
        let _fetching = node.fetching.lock().await;
        if node.fetched().begin(kid) {
            let keys = match outbound.get(url, MAX_BYTES).await {
                Ok(document) => parse(&document),
                Err(failure) => Err(failure.to_string()),
            };
            let mut fetched = node.fetched();
            match keys {
                Ok(keys) => {
                    fetched.keys = keys;
                    fetched.at = Some(Instant::now());
                    fetched.failure = None;
                }
                Err(failure) => fetched.failure = Some(failure),
            }
        }
        let fetched = node.fetched();
        match (fetched.known(kid), &fetched.failure) {
            (Some(key), _) => Ok(key),
            (None, Some(failure)) => Err(NoKey::Unavailable(failure.clone())),
            (None, None) => Err(NoKey::Unknown),
        }
    }
}

impl OneNode {
    /// Never held over anything that waits.
    fn fetched(&self) -> MutexGuard<'_, Fetched> {
        self.fetched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Fetched {
    /// True if the keys are to be fetched now, for that one.
    fn begin(&mut self, kid: &str) -> bool {
        let again = self.attempted.is_none_or(|at| at.elapsed() >= COOL_DOWN);
        if !again || self.known(kid).is_some() {
            return false;
        }
        self.attempted = Some(Instant::now());
        // Whoever asked may go away meanwhile: the attempt counts all the same.
        self.failure = Some("the fetch was not finished".to_owned());
        true
    }

    fn known(&self, kid: &str) -> Option<RsaKey> {
        let fresh = self.at.is_some_and(|at| at.elapsed() < KEPT);
        fresh.then(|| self.keys.get(kid).cloned()).flatten()
    }
}

impl RsaKey {
    /// True if that is this key's signature by RS256.
    pub(super) fn verifies(&self, signed: &str, signature: &[u8]) -> bool {
        let key = PublicKeyComponents {
            n: &self.n,
            e: &self.e,
        };
        key.verify(&RSA_PKCS1_2048_8192_SHA256, signed.as_bytes(), signature)
            .is_ok()
    }

    /// One member of a key set; `None` if it is not for us.
    fn read(key: &Value) -> Option<(String, Self)> {
        let text = |name: &str| key.get(name).and_then(Value::as_str);
        let absent_or = |name: &str, value: &str| key.get(name).is_none_or(|it| it == value);
        let for_us = text("kty") == Some("RSA") && absent_or("use", "sig") && absent_or("alg", "RS256");
        let verifies = key.get("key_ops").is_none_or(|ops| {
            let ops = ops.as_array();
            ops.is_some_and(|ops| ops.iter().any(|op| op == "verify"))
        });
        let kid = text("kid").filter(|kid| (1..=MAX_KID_BYTES).contains(&kid.len()))?;
        let number = |name: &str| {
            let bytes = URL_SAFE_NO_PAD.decode(text(name)?).ok()?;
            let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
            let bytes = bytes.get(zeros..)?.to_vec();
            bytes.last().is_some_and(|last| last % 2 == 1).then_some(bytes)
        };
        let (n, e) = (number("n")?, number("e")?);
        let exponent = e.iter().fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
        let sizes = (256..=1024).contains(&n.len())
            && (2..=5).contains(&e.len())
            && (65_537..=1 << 32).contains(&exponent);
        (for_us && verifies && sizes).then(|| (kid.to_owned(), Self { n, e }))
    }
}

/// The keys of a document, one by one: one that cannot be used does not spoil the others.
fn parse(document: &[u8]) -> Result<HashMap<String, RsaKey>, String> {
    let document: Value =
        serde_json::from_slice(document).map_err(|_| "the key set is not JSON".to_owned())?;
    let Some(listed) = document.get("keys").and_then(Value::as_array) else {
        return Err("the key set has no list `keys`".to_owned());
    };
    if listed.len() > MAX_KEYS {
        return Err(format!("the key set has more than {MAX_KEYS} keys"));
    }
    if listed.iter().any(|key| key.get("d").is_some()) {
        return Err("the key set publishes a private key: whoever read it can sign for the node".to_owned());
    }
    let mut keys = HashMap::new();
    let mut ambiguous = Vec::new();
    for (kid, key) in listed.iter().filter_map(RsaKey::read) {
        match keys.get(&kid) {
            Some(other) if *other != key => ambiguous.push(kid),
            _ => {
                keys.insert(kid, key);
            }
        }
    }
    keys.retain(|kid, _| !ambiguous.contains(kid));
    match keys.is_empty() {
        true => Err("the key set has no RSA key with a `kid` that can be used for RS256".to_owned()),
        false => Ok(keys),
    }
}

#[cfg(test)]
mod tests;
