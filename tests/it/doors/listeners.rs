//! What is configured for one listener: who may ask, options that hold there alone, and how much is read at the same time.

use std::net::{IpAddr, SocketAddr};

use portcullis::ask::{Question, over_grpc};
use proto::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use super::{exchange, exchange_on, house_with, request};
use crate::house::{TestHouse, until};
use crate::metrics::Scrape;

async fn house(listen: &str, more: &str) -> TestHouse {
    let alter = |text: String| text.replace("envoy_grpc: 127.0.0.1:0", listen) + more;
    TestHouse::with(alter, &[]).await
}

fn question(headers: &[(&str, &str)]) -> Question {
    let headers = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Question {
        method: "GET".to_owned(),
        scheme: "https".to_owned(),
        host: "api.example.test".to_owned(),
        target: "/public/a".to_owned(),
        headers: headers.collect(),
    }
}

#[tokio::test]
async fn options_of_a_listener_hold_there_alone() {
    let listen = "envoy_grpc: 127.0.0.1:0
  envoy_grpc_options: { trusted_hops: 0, method_override: refuse }
  http:
    - { address: '127.0.0.1:0', doors: [{ contract: caddy }] }
    - { address: '127.0.0.1:0', trusted_hops: 3, method_override: refuse, doors: [{ contract: caddy }] }
    - { address: '127.0.0.1:0', trusted_hops: 1, doors: [{ contract: caddy }] }";
    let house = house(listen, "trusted_hops: 2\nmethod_override: ignore\n").await;
    let list = "1.1.1.1, 2.2.2.2, 3.3.3.3";
    for (listener, address, overridden) in [
        (None, Value::Null, 400),
        (Some(0), json!("2.2.2.2"), 200),
        (Some(1), json!("1.1.1.1"), 400),
        (Some(2), json!("3.3.3.3"), 200),
    ] {
        for (more, status) in [(None, 200), (Some("DELETE"), overridden)] {
            let id = match listener {
                None => {
                    let named = more.map(|method| ("x-http-method-override", method));
                    let headers: Vec<_> = [("x-forwarded-for", list)].into_iter().chain(named).collect();
                    let answer = over_grpc(&house.grpc().to_string(), question(&headers)).await;
                    let answer = answer.expect("an answer");
                    assert_eq!(answer.status, status, "gRPC {more:?}");
                    answer.decision_id
                }
                Some(index) => {
                    let mut headers: Vec<(&str, &[u8])> = vec![
                        ("host", b"p"),
                        ("x-forwarded-method", b"GET"),
                        ("x-forwarded-proto", b"https"),
                        ("x-forwarded-host", b"api.example.test"),
                        ("x-forwarded-uri", b"/public/a"),
                        ("x-forwarded-for", list.as_bytes()),
                    ];
                    headers.extend(more.map(|method| ("x-http-method-override", method.as_bytes())));
                    let address = house.all_http()[index];
                    let reply = exchange(address, &request("GET", b"/", &headers, b"")).await;
                    assert_eq!(reply.status, status, "listener {index} {more:?}");
                    reply
                        .header("x-portcullis-decision-id")
                        .expect("an id")
                        .to_owned()
                }
            };
            assert_eq!(
                house.record(&id)["client_ip"],
                address,
                "listener {listener:?} {more:?}"
            );
        }
    }
}

#[tokio::test]
async fn only_allowed_peers_may_ask_over_grpc() {
    let listen = "envoy_grpc: 127.0.0.1:0
  envoy_grpc_options: { allowed_peers: [127.0.0.1/32, 10.0.0.0/8] }";
    let house = house(listen, "").await;
    for (from, status) in [("127.0.0.1", None), ("127.0.0.2", Some("strange_peer"))] {
        let from: IpAddr = from.parse().expect("an address");
        let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{}", house.grpc()))
            .expect("an address")
            .local_address(Some(from));
        let mut client = AuthorizationClient::new(endpoint.connect().await.expect("a connection"));
        let bytes = question(&[]).encode();
        let check = <proto::envoy::service::auth::v3::CheckRequest as prost::Message>::decode(&bytes[..])
            .expect("a CheckRequest");
        let answer = client
            .check(check)
            .await
            .expect("an answer, whoever asks")
            .into_inner();
        let code = answer.status.expect("a status").code;
        assert_eq!(code == 0, status.is_none(), "{from}");
        let metadata = answer.dynamic_metadata.unwrap_or_default().fields;
        let reason = metadata.get("reason").and_then(|reason| match &reason.kind {
            Some(proto::google::protobuf::value::Kind::StringValue(text)) => Some(text.as_str()),
            _ => None,
        });
        assert_eq!(reason.filter(|reason| *reason != "permitted"), status, "{from}");
    }
}

/// A connection to `address` from this one of our own addresses.
async fn connection(address: SocketAddr, from: [u8; 4]) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind((from, 0).into()).expect("an address");
    socket.connect(address).await.expect("a connection")
}

#[tokio::test]
async fn strangers_take_no_place_of_a_proxy() {
    let listen = "envoy_grpc: 127.0.0.1:0
  http: [{ address: '127.0.0.1:0', allowed_peers: [127.0.0.1/32], doors: [{ contract: envoy_http, path: /check }] }]";
    let house = house(listen, "limits: { max_connections: 1 }\n").await;
    let address = house.all_http()[0];
    let question = request("GET", b"/check/public/a", &[("host", b"api.example.test")], b"");
    let mut strangers = Vec::new();
    for _ in 0..16 {
        let mut stranger = connection(address, [127, 0, 0, 2]).await;
        assert_eq!(exchange_on(&mut stranger, &question).await.status, 403);
        strangers.push(stranger);
    }
    let mut one_more = connection(address, [127, 0, 0, 2]).await;
    let _ = one_more.write_all(&question).await;
    let mut answer = Vec::new();
    let _ = one_more.read_to_end(&mut answer).await;
    assert_eq!(answer.escape_ascii().to_string(), "", "it is closed at once");
    let mut proxy = connection(address, [127, 0, 0, 1]).await;
    assert_eq!(exchange_on(&mut proxy, &question).await.status, 200);
}

/// A question with this much of its body.
fn post(length: usize) -> Vec<u8> {
    let body = vec![b'x'; length];
    request(
        "POST",
        b"/check/public/a",
        &[("host", b"api.example.test")],
        &body,
    )
}

#[tokio::test]
async fn what_finds_no_room_is_denied() {
    let house = house_with("limits: { max_message_bytes: 1000, max_bytes_in_flight: 1000 }\n").await;
    let address = house.all_http()[0];
    let mut held = TcpStream::connect(address).await.expect("a connection");
    let whole = post(800);
    let (most, last) = whole.split_at(whole.len() - 1);
    held.write_all(most).await.expect("sent");
    until("the room is taken", async || {
        let scrape = Scrape::of(house.admin()).await;
        scrape.sum("portcullis_listener_message_bytes", &[]) >= 799.0
    })
    .await;
    let reply = exchange(address, &post(400)).await;
    let record = house.record(reply.header("x-portcullis-decision-id").expect("an id"));
    let found = (reply.status, &record["verdict"], &record["reason"]);
    assert_eq!(found, (403, &json!("deny"), &json!("overloaded")), "{record}");
    // What needs no room is answered, and the one that holds it, too.
    let small = request("GET", b"/check/public/a", &[("host", b"api.example.test")], b"");
    assert_eq!(exchange(address, &small).await.status, 200);
    assert_eq!(
        exchange(house.all_http()[1], &post(400)).await.status,
        401,
        "another listener has its own"
    );
    held.write_all(last).await.expect("sent");
    let mut answer = [0; 12];
    held.read_exact(&mut answer).await.expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 401");
    until("there is room again", async || {
        exchange(address, &post(900)).await.status == 401
    })
    .await;
}
