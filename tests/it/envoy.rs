//! Through a real Envoy: what the client gets, what the upstream sees, and what is recorded of it.
//!
//! Each test starts its own house, its own Envoy and its own upstream, so it may break any of them.

mod bodies;
mod certificates;
mod context;
mod deploy;
mod fail_open;
mod grpc_clients;
mod identity_headers;
mod keys;
mod outage;
pub(crate) mod raw;
mod route_edits;
mod tokens;
mod verdicts;
mod websockets;

use bytes::Bytes;
use portcullis::demo::envoy::{EnvoyOptions, HeaderForm};
use portcullis::demo::people;
use serde_json::Value;

use crate::house::{Front, Got, TestHouse};

/// Both ways in which Envoy can send headers: what a request comes to must not depend on it.
const HEADER_FORMS: [HeaderForm; 2] = [HeaderForm::Joined, HeaderForm::Raw];

pub(crate) const DECISION_ID: &str = "x-portcullis-decision-id";

/// The default house behind an Envoy that sends headers in this form.
async fn front(house: &TestHouse, headers: HeaderForm) -> Option<Front> {
    house.envoy(|options| EnvoyOptions { headers, ..options }).await
}

/// A fresh token of one of the people; `None` for nobody.
pub(crate) fn token(house: &TestHouse, who: &str) -> Option<String> {
    let issuer = &house.issuer;
    let minted = match who {
        "nobody" => return None,
        "alice" => people::alice(issuer),
        "admin" => people::admin(issuer),
        "robot" => people::robot(issuer),
        "client" => people::client(issuer),
        "expired" => people::expired(issuer),
        "forged" => people::forged(issuer).expect("a key"),
        "alg:none" => people::unsigned(issuer),
        "wrong-issuer" => people::wrong_issuer(issuer),
        "wrong-audience" => people::wrong_audience(issuer),
        other => panic!("nobody is called {other:?}"),
    };
    Some(minted.token)
}

/// Sends a request of one of the people.
async fn ask(house: &TestHouse, front: &Front, who: &str, method: &str, target: &str) -> Got {
    let bearer = token(house, who).map(|token| format!("Bearer {token}"));
    let headers: Vec<(&str, &str)> = bearer.iter().map(|b| ("authorization", b.as_str())).collect();
    front.send(method, target, &headers, Bytes::new()).await
}

/// The record of the decision whose id the client (of a denial) or the upstream (of an allow) was told.
fn record_of(house: &TestHouse, got: &Got) -> Value {
    let id = match got.header(DECISION_ID) {
        Some(id) => id.to_owned(),
        None => {
            let ids = got.at_upstream(DECISION_ID);
            assert_eq!(ids.len(), 1, "one decision, one id: {got:?}");
            ids.concat()
        }
    };
    house.record(&id)
}

/// One of the filter's own counters; 0 until it counts something.
async fn counted(front: &Front, name: &str) -> u64 {
    let name = format!("http.ingress.ext_authz.{name}");
    let stats = front.envoy.stats(&name).await.expect("Envoy's counters");
    stats.get(&name).copied().unwrap_or_default()
}
