//! A certified OpenID Connect provider that is not ours, through a real Envoy: how it mints tokens, publishes and rotates
//! keys and logs people in is what we have to understand. The provider is the npm package `oidc-provider`.

mod introspection;
mod keys;
mod provider;
mod secrets;
mod tokens;

use portcullis::demo::issuer::Answer;
use serde_json::Value;

use self::provider::Provider;
use crate::house::{Front, Got, TestHouse, with_issuers};

const DECISION_ID: &str = "x-portcullis-decision-id";

/// The default configuration with the provider as the only issuer.
fn trusting(provider: &Provider) -> impl FnOnce(String) -> String {
    let issuer = provider.issuer();
    with_issuers(format!(
        "
  - name: idp
    issuer: {issuer}
    audiences: [workspace-api]
    profile: oidc
    min_refresh_interval_seconds: 1
"
    ))
}

/// A house that trusts the provider, behind Envoy; ready.
async fn house(provider: &Provider, policies: &[(&str, &str)]) -> Option<(TestHouse, Front)> {
    let house = TestHouse::with(trusting(provider), policies).await;
    let front = house.envoy(|options| options).await?;
    Some((house, front))
}

/// The same, not waited for: the provider may not be in the mood to hand out its keys.
async fn impatient_house(provider: &Provider) -> Option<(TestHouse, Front)> {
    let house = TestHouse::without_keys(Answer::Keys, trusting(provider)).await;
    let front = house.envoy(|options| options).await?;
    Some((house, front))
}

/// The record of the decision whose id the client (of a denial) or the upstream (of an allow) was told.
fn record_of(house: &TestHouse, got: &Got) -> Value {
    let id = match got.header(DECISION_ID) {
        Some(id) => id.to_owned(),
        None => got.at_upstream(DECISION_ID).concat(),
    };
    house.record(&id)
}
