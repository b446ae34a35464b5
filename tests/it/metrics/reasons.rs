//! Reasons that no plain request meets, made from outside: each is answered, counted and recorded as what it is.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::Request;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use portcullis::ask::Answer;
use portcullis::demo::people;
use portcullis::demo::scratch::ScratchDir;
use prost::Message as _;
use proto::envoy::service::auth::v3::CheckResponse;
use proto::google::protobuf::value::Kind as Value;
use tokio::net::TcpStream;

use super::Scrape;
use super::counts::{Kind, check};
use crate::authority::delegation::Stage;
use crate::house::{TestHouse, until};

/// A call of which the first `sent` bytes come and the rest never does: the id and the reason of the answer.
async fn unfinished(address: SocketAddr, sent: usize, timeout: &'static str) -> [String; 2] {
    let stream = TcpStream::connect(address).await.expect("a connection");
    let connection = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (mut sender, connection) = connection.expect("HTTP/2");
    let driver = tokio::spawn(connection);
    let begun = Ok::<_, Infallible>(Frame::data(Bytes::from(vec![0; sent])));
    let body = StreamBody::new(stream::iter([begun]).chain(stream::pending()));
    let request = Request::post(format!("http://{address}{}", contracts::grpc::CHECK_PATH))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("grpc-timeout", timeout)
        .body(body)
        .expect("a request");
    let answer = sender.send_request(request).await.expect("an answer");
    let answer = answer.into_body().collect().await.expect("a whole answer");
    driver.abort();
    let answer = CheckResponse::decode(&answer.to_bytes()[5..]).expect("a CheckResponse");
    assert_ne!(answer.status.expect("a status").code, 0, "it is denied");
    let fields = answer.dynamic_metadata.expect("metadata").fields;
    ["decision_id", "reason"].map(|name| match &fields[name].kind {
        Some(Value::StringValue(text)) => text.clone(),
        other => panic!("{name}: {other:?}"),
    })
}

fn is_recorded(house: &TestHouse, answer: &Answer) {
    let record = house.record(&answer.decision_id);
    assert_eq!(record["reason"], answer.reason, "{record}");
    let verdict = if answer.allowed { "allow" } else { "deny" };
    assert_eq!(record["verdict"], verdict, "{record}");
}

#[tokio::test]
async fn what_cannot_be_done_and_what_takes_too_long_or_too_much_is_counted_as_that() {
    let limits = "\nlimits: { max_message_bytes: 60000, max_bytes_in_flight: 60000 }\n";
    let house = TestHouse::with(|text| text + limits, &[]).await;
    let mut expected: Vec<Kind> = Vec::new();

    // Their names fit into a token, and not into a header.
    let mut claims = people::alice_claims();
    let groups: Vec<String> = (0..90).map(|n| format!("{n:0100}")).collect();
    claims["groups"] = groups.into();
    let token = house.issuer.token(house.issuer.complete(claims));
    let bearer = format!("Bearer {token}");
    let many_groups = house
        .ask("GET", "/workspaces/ws-alice", &[("authorization", &bearer)])
        .await;
    assert_eq!((&*many_groups.reason, many_groups.status), ("internal", 403));
    is_recorded(&house, &many_groups);
    expected.push(("envoy_grpc", "deny", "internal"));

    let address = house.grpc();
    let held = tokio::spawn(unfinished(address, 50_000, "4S"));
    until("most of the room is taken", async || {
        let scrape = Scrape::of(house.admin()).await;
        scrape.sum("portcullis_listener_message_bytes", &[]) >= 50_000.0
    })
    .await;
    let filler = "x".repeat(20_000);
    let second = house.ask("GET", "/public/a", &[("x-filler", &filler)]).await;
    assert_eq!((&*second.reason, second.status), ("overloaded", 403));
    is_recorded(&house, &second);
    expected.push(("envoy_grpc", "deny", "overloaded"));
    let [id, reason] = held.await.expect("an answer");
    assert_eq!(reason, "timeout");
    assert_eq!(house.record(&id)["reason"], "timeout");
    expected.push(("envoy_grpc", "deny", "timeout"));
    check(&Scrape::of(house.admin()).await, &expected);
}

#[tokio::test]
async fn a_store_that_was_not_read_for_too_long_is_counted_as_that() {
    let folder = ScratchDir::new("gone").expect("a folder");
    let store = folder.path().join("house.db");
    let section = format!(
        "\nauthority: {{ issuer: 'http://127.0.0.1:9193', listen: '127.0.0.1:0', store: 'sqlite:{}', max_stale_seconds: 2 }}\n",
        store.display()
    );
    let house = TestHouse::with_house_policies(|text| text + &section, &[], "").await;
    let bearer = format!("Bearer {}", people::alice(&house.issuer).token);
    std::fs::remove_file(&store).expect("the store");
    let mut expected: Vec<Kind> = Vec::new();
    until("nobody knows what is revoked", async || {
        let answer = house
            .ask("GET", "/workspaces/ws-alice", &[("authorization", &bearer)])
            .await;
        is_recorded(&house, &answer);
        match &*answer.reason {
            "revocations_unknown" => expected.push(("envoy_grpc", "deny", "revocations_unknown")),
            reason => {
                assert_eq!(reason, "permitted", "as long as it was read a moment ago");
                expected.push(("envoy_grpc", "allow", "permitted"));
            }
        }
        !answer.allowed
    })
    .await;
    let scrape = Scrape::of(house.admin()).await;
    check(&scrape, &expected);
    assert_eq!(scrape.sum("portcullis_store_good", &[]), 0.0);
}

#[tokio::test]
async fn a_job_that_leaves_its_workspace_is_counted_as_that() {
    let stage = Stage::start().await;
    let house = &stage.house;
    let robot = people::robot(&house.issuer).token;
    let alice = people::alice(&house.issuer).token;
    let given = stage.exchange(Some(&robot), &alice, "workspace=ws-alice").await;
    let bearer = format!("Bearer {}", given.token());
    let mut expected: Vec<Kind> = vec![("house", "allow", "permitted")];
    for (target, kind) in [
        ("/workspaces/ws-alice", ("envoy_grpc", "allow", "permitted")),
        ("/workspaces/ws-bob", ("envoy_grpc", "deny", "outside_delegation")),
    ] {
        let answer = house.ask("GET", target, &[("authorization", &bearer)]).await;
        assert_eq!(answer.reason, kind.2, "{target}");
        is_recorded(house, &answer);
        expected.push(kind);
    }
    check(&Scrape::of(house.admin()).await, &expected);
}
