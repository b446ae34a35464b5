//! Case 24: `grpc.health.v1` on the admin listener.

use std::net::SocketAddr;
use std::time::Duration;

use portcullis::demo::issuer::{Answer as KeyService, OldKey};
use portcullis::demo::people;
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::{bearer, client, denied, http, metadata};
use crate::house::{TestHouse, until};

async fn health(admin: SocketAddr, service: &str) -> ServingStatus {
    let endpoint = Endpoint::from_shared(format!("http://{admin}")).expect("an address");
    let mut client = HealthClient::new(endpoint.connect().await.expect("a connection"));
    let service = service.to_owned();
    let answer = client.check(HealthCheckRequest { service }).await;
    answer.expect("an answer").into_inner().status()
}

#[tokio::test]
async fn case_24_serving_only_with_policies_and_keys() {
    let house = TestHouse::without_keys(KeyService::Unavailable, |text| {
        text.replace(
            "trust_roles: true",
            "trust_roles: true\n    min_refresh_interval_seconds: 1",
        )
    })
    .await;
    let services = ["", portcullis::admin::SERVICE];
    for service in services {
        assert_eq!(
            health(house.admin(), service).await,
            ServingStatus::NotServing,
            "{service:?}"
        );
    }
    house.issuer.set_answer(KeyService::Keys);
    house.until_ready().await;
    for service in services {
        until("it is serving", async || {
            health(house.admin(), service).await == ServingStatus::Serving
        })
        .await;
    }
}

#[tokio::test]
async fn case_24_at_shutdown_not_serving_comes_first_and_what_is_in_flight_finishes() {
    let mut house = TestHouse::with(
        |text| {
            text.replace(
                "trust_roles: true",
                "trust_roles: true\n    min_refresh_interval_seconds: 1",
            )
        },
        &[],
    )
    .await;
    // A token of a key that is still to be fetched makes a check that takes its time.
    house.issuer.set_answer(KeyService::Never);
    house.issuer.rotate(OldKey::Removed).expect("a new key");
    let token = bearer(&people::alice(&house.issuer).token);
    let (discoveries, admin) = (house.issuer.discoveries(), house.admin());
    let client = client(&house).await;
    let ask = || {
        let mut client = client.clone();
        let mut request = tonic::Request::new(http(
            "GET",
            "/workspaces/ws-alice",
            &[("authorization", token.as_str())],
        ));
        request.set_timeout(Duration::from_secs(3));
        tokio::spawn(async move { client.check(request).await })
    };
    // While the last fetch is too recent, the answer comes at once; then one check waits.
    let mut in_flight = ask();
    until("a check waits for a key", async || {
        if in_flight.is_finished() {
            in_flight = ask();
        }
        house.issuer.discoveries() > discoveries
    })
    .await;
    until("it is serving", async || {
        health(admin, "").await == ServingStatus::Serving
    })
    .await;

    let stopping = tokio::spawn(async move {
        house.stop().await;
        house
    });
    until("it is not serving", async || {
        health(admin, "").await == ServingStatus::NotServing
    })
    .await;
    assert!(!in_flight.is_finished(), "nothing was in flight");
    assert!(!stopping.is_finished(), "it did not wait for what is in flight");
    let answer = in_flight
        .await
        .expect("no panic")
        .expect("an answer, although it stops")
        .into_inner();
    // There are keys, but not this one.
    denied(&answer, 16, 401);
    assert_eq!(metadata(&answer, "reason"), "credential_refused");
    let house = stopping.await.expect("no panic");
    assert!(house.memory.find(&metadata(&answer, "decision_id")).is_some());
}

#[tokio::test]
async fn for_the_grace_period_it_answers_although_it_says_not_ready() {
    let mut house = TestHouse::with(|text| format!("grace_seconds: 2\n{text}"), &[]).await;
    let (grpc, admin) = (house.grpc().to_string(), house.admin());
    let stopping = tokio::spawn(async move { house.stop().await });
    until("it is not serving", async || {
        health(admin, "").await == ServingStatus::NotServing
    })
    .await;
    // A connection of its own, begun after that.
    let question = portcullis::ask::Question {
        method: "GET".to_owned(),
        scheme: "https".to_owned(),
        host: "api.example.test".to_owned(),
        target: "/public/hello".to_owned(),
        headers: Vec::new(),
    };
    let answer = portcullis::ask::over_grpc(&grpc, question).await;
    assert!(answer.expect("an answer, although it is about to stop").allowed);
    assert!(!stopping.is_finished(), "the grace period is over already");
    stopping.await.expect("no panic");
}
