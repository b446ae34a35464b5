//! The kinds of credentials and the places they may be in, through a real Envoy: what each makes of its bearer.
//!
//! Opaque tokens of an authorization server are in [`crate::idp`].

mod issuers;
mod places;
mod static_tokens;
mod wlcg;

use serde_json::Value;

use crate::house::{Got, TestHouse};

const DECISION_ID: &str = "x-portcullis-decision-id";

/// The record of the decision whose id the client (of a denial) or the upstream (of an allow) was told.
fn record_of(house: &TestHouse, got: &Got) -> Value {
    let id = match got.header(DECISION_ID) {
        Some(id) => id.to_owned(),
        None => got.at_upstream(DECISION_ID).concat(),
    };
    house.record(&id)
}

/// Checks that the request was refused for want of a good credential, and that the record says why.
#[track_caller]
fn refused(house: &TestHouse, got: &Got, why: &str, row: &str) {
    assert_eq!((got.status, got.seen.is_some()), (401, false), "{row}: {got:?}");
    let record = record_of(house, got);
    assert_eq!(record["reason"], "credential_refused", "{row}: {record}");
    let said = record["why"].as_str().unwrap_or_default();
    assert!(said.contains(why), "{row}: {record}");
}

/// Checks that the request passed, and that the upstream was told this of its sender.
#[track_caller]
fn passed(got: &Got, told: &[(&str, &str)], row: &str) {
    assert_eq!((got.status, got.seen.is_some()), (200, true), "{row}: {got:?}");
    for (header, value) in told {
        assert_eq!(got.at_upstream(header), [*value], "{row}: {header}");
    }
}
