//! Cases 22 and 25: gRPC and HTTP/2 themselves, and everything that only looks like a call.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::join_all;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use portcullis::demo::issuer::Answer as KeyService;
use portcullis::demo::people;
use prost::Message as _;
use proto::CHECK_PATH;
use proto::envoy::service::auth::v3::{CheckRequest, CheckResponse};
use tokio::net::TcpStream;
use tonic::Code;
use tonic::transport::Endpoint;

use super::{allowed, bearer, client, code, denied, house, house_with, metadata};
use crate::house::TestHouse;

#[tokio::test]
async fn case_22_any_authority_will_do() {
    let house = house().await;
    for authority in [
        "http://ext_authz_cluster",
        "http://portcullis.auth.svc.cluster.local:9191",
        "http://x_y-z:1",
    ] {
        let endpoint = Endpoint::from_shared(format!("http://{}", house.grpc())).expect("an address");
        let endpoint = endpoint.origin(authority.parse().expect("a URI"));
        let channel = endpoint.connect().await.expect("a connection");
        let mut client =
            proto::envoy::service::auth::v3::authorization_client::AuthorizationClient::new(channel);
        let answer = client
            .check(super::http("GET", "/public/hello", &[]))
            .await
            .expect("an answer");
        allowed(&answer.into_inner());
    }
}

#[tokio::test]
async fn case_22_a_hundred_streams_on_one_connection() {
    let house = house().await;
    let client = client(&house).await;
    let answers = join_all((0..100).map(|number| {
        let mut client = client.clone();
        async move {
            let path = if number % 2 == 0 {
                "/public/hello"
            } else {
                "/workspaces"
            };
            let answer = client.check(super::http("GET", path, &[])).await;
            (number, answer.expect("an answer").into_inner())
        }
    }))
    .await;
    for (number, answer) in answers {
        assert_eq!(code(&answer) == 0, number % 2 == 0, "{number}");
    }
}

#[tokio::test]
async fn case_22_an_answer_comes_before_the_proxy_gives_up() {
    let slow = KeyService::Slow(Duration::from_secs(30));
    let house = TestHouse::without_keys(slow, |text| text).await;
    let token = bearer(&people::alice(&house.issuer).token);
    let mut request = tonic::Request::new(super::http(
        "GET",
        "/workspaces/ws-alice",
        &[("authorization", &token)],
    ));
    request
        .metadata_mut()
        .insert("grpc-timeout", "2S".parse().expect("a value"));
    let mut client = client(&house).await;
    let started = Instant::now();
    // After two seconds the client itself would make an error of it.
    let answer = client
        .check(request)
        .await
        .expect("an answer, not DEADLINE_EXCEEDED")
        .into_inner();
    let took = started.elapsed();
    assert!(took < Duration::from_secs(2), "{took:?}");
    denied(&answer, 7, 403);
    assert_eq!(metadata(&answer, "reason"), "keys_unavailable");
}

#[tokio::test]
async fn case_25_the_old_version_of_the_service_is_not_served() {
    let house = house().await;
    let endpoint = Endpoint::from_shared(format!("http://{}", house.grpc())).expect("an address");
    let mut grpc = tonic::client::Grpc::new(endpoint.connect().await.expect("a connection"));
    for path in [
        "/envoy.service.auth.v2.Authorization/Check",
        "/envoy.service.auth.v3.Authorization/Other",
        "/grpc.health.v1.Health/Check",
    ] {
        grpc.ready().await.expect("a connection");
        let codec = tonic_prost::ProstCodec::<CheckRequest, CheckResponse>::default();
        let request = tonic::Request::new(super::http("GET", "/public/hello", &[]));
        let path = http::uri::PathAndQuery::from_static(path);
        let answer = grpc.unary(request, path, codec).await;
        assert_eq!(
            answer.expect_err("must not be served").code(),
            Code::Unimplemented
        );
    }
}

#[tokio::test]
async fn what_is_no_call_never_gets_an_http_200() {
    let house = house().await;
    let message = frame(0, &super::http("GET", "/public/hello", &[]).encode_to_vec());
    let grpc = [("content-type", "application/grpc"), ("te", "trailers")];
    // The same thing said rightly is a call.
    assert_eq!(
        h2(house.grpc(), "POST", CHECK_PATH, &grpc, message.clone())
            .await
            .status(),
        200
    );
    for (what, method, path, headers) in [
        ("a browser", "GET", "/", &[][..]),
        ("a probe", "GET", "/livez", &[]),
        ("GET of the method", "GET", CHECK_PATH, &grpc),
        ("PUT of the method", "PUT", CHECK_PATH, &grpc),
        ("a call of something else", "POST", "/public/hello", &grpc),
        (
            "a path with more",
            "POST",
            "/envoy.service.auth.v3.Authorization/Check/",
            &grpc,
        ),
        (
            "a path with a query",
            "POST",
            "/envoy.service.auth.v3.Authorization/Check?x",
            &grpc,
        ),
        ("no te", "POST", CHECK_PATH, &grpc[..1]),
        (
            "another te",
            "POST",
            CHECK_PATH,
            &[grpc[0], ("te", "trailers, deflate")],
        ),
        ("no content type", "POST", CHECK_PATH, &grpc[1..]),
        (
            "JSON",
            "POST",
            CHECK_PATH,
            &[("content-type", "application/json"), grpc[1]],
        ),
        (
            "gRPC-web",
            "POST",
            CHECK_PATH,
            &[("content-type", "application/grpc-web"), grpc[1]],
        ),
        (
            "two content types",
            "POST",
            CHECK_PATH,
            &[grpc[0], grpc[0], grpc[1]],
        ),
    ] {
        let answer = h2(house.grpc(), method, path, headers, message.clone()).await;
        assert!(answer.status().is_client_error(), "{what}: {}", answer.status());
        assert!(answer.body().is_empty(), "{what}: {:?}", answer.body());
    }
    let answer = h2(house.grpc(), "POST", CHECK_PATH, &grpc, Bytes::new()).await;
    assert!(
        answer.status().is_client_error(),
        "a call without a message: {}",
        answer.status()
    );
    // HTTP/1.1 is not spoken here at all.
    for target in ["/", "/livez", CHECK_PATH] {
        let headers = grpc.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let answer =
            portcullis::demo::http::send(house.grpc(), "POST", target, &headers, message.clone()).await;
        assert!(
            !answer.is_ok_and(|answer| answer.status().is_success()),
            "{target}"
        );
    }
}

#[tokio::test]
async fn a_message_that_cannot_be_read_is_denied_and_not_an_error() {
    let house = house_with("limits: { max_message_bytes: 4096 }\n").await;
    let good = super::http("GET", "/public/hello", &[]).encode_to_vec();
    let large = super::http("GET", "/public/hello", &[("x-large", &"x".repeat(5000))]).encode_to_vec();
    let mut long = frame(0, &good).to_vec();
    long.push(0);
    let mut short = frame(0, &good).to_vec();
    short.pop();
    assert_eq!(
        code(&call(&house, frame(0, &good)).await),
        0,
        "the good one passes"
    );
    for (what, body) in [
        ("garbage", frame(0, b"\xff\xff\xff\xff garbage")),
        ("HTML", frame(0, b"<html></html>")),
        ("random bytes without a frame", Bytes::from_static(b"\x00\x00")),
        ("cut off in the middle", frame(0, &good[..good.len() / 2])),
        ("compressed, it says", frame(1, &good)),
        ("an odd flag", frame(7, &good)),
        ("longer than it says", long.into()),
        ("shorter than it says", short.into()),
        ("two messages", [frame(0, &good), frame(0, &good)].concat().into()),
        ("larger than the limit", frame(0, &large)),
    ] {
        let answer = call(&house, body).await;
        assert_eq!(metadata(&answer, "reason"), "malformed", "{what}");
        assert_ne!(code(&answer), 0, "{what}");
        assert!(
            !super::record(&house, &answer)["why"]
                .as_str()
                .unwrap_or_default()
                .is_empty(),
            "{what}"
        );
    }
}

/// Calls the method with these bytes; the call itself must go well.
async fn call(house: &TestHouse, body: Bytes) -> CheckResponse {
    let grpc = [("content-type", "application/grpc"), ("te", "trailers")];
    let answer = h2(house.grpc(), "POST", CHECK_PATH, &grpc, body).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(
        answer
            .headers()
            .get("grpc-status")
            .and_then(|status| status.to_str().ok()),
        Some("0")
    );
    CheckResponse::decode(&answer.body()[5..]).expect("a CheckResponse")
}

/// A gRPC frame: flags, length, message.
fn frame(flags: u8, message: &[u8]) -> Bytes {
    let length = u32::try_from(message.len())
        .expect("a short message")
        .to_be_bytes();
    [&[flags][..], &length, message].concat().into()
}

/// One request over HTTP/2 without TLS, exactly as given. Trailers are put among the headers.
async fn h2(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Bytes,
) -> Response<Bytes> {
    let stream = TcpStream::connect(address).await.expect("a connection");
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .expect("HTTP/2");
    let driver = tokio::spawn(connection);
    let mut request = Request::builder()
        .method(method)
        .uri(format!("http://{address}{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(body)).expect("a request");
    let (mut parts, body) = sender
        .send_request(request)
        .await
        .expect("an answer")
        .into_parts();
    let body = body.collect().await.expect("a whole answer");
    for (name, value) in body.trailers().into_iter().flatten() {
        parts.headers.insert(name, value.clone());
    }
    driver.abort();
    Response::from_parts(parts, body.to_bytes())
}
