//! Cases 33 and 40, and how much of everything a connection to an HTTP door may use.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::doors::{exchange, exchange_on, house_with, request};
use crate::house::until;

const PUBLIC: &[u8] = b"GET /check/public/a HTTP/1.1\r\nHost: api.example.test\r\n\r\n";

/// One request over HTTP/2 without TLS (prior knowledge): its status and body. `None` if the connection ended instead.
async fn h2(
    address: std::net::SocketAddr,
    method: &str,
    target: &str,
    headers: &[(String, String)],
) -> Option<(u16, Bytes)> {
    let stream = TcpStream::connect(address).await.expect("a connection");
    let (mut sender, connection) = http2::Builder::new(TokioExecutor::new())
        // Ours is the limit that is tested.
        .max_header_list_size(1 << 20)
        .handshake(TokioIo::new(stream))
        .await
        .expect("HTTP/2");
    tokio::spawn(connection);
    let mut request = http::Request::builder()
        .method(method)
        .uri(format!("http://api.example.test{target}"));
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let request = request.body(Full::<Bytes>::default()).expect("a request");
    let answer = sender.send_request(request).await.ok()?;
    let status = answer.status().as_u16();
    Some((status, answer.into_body().collect().await.ok()?.to_bytes()))
}

#[tokio::test]
async fn case_33_both_versions_of_http_on_one_port() {
    let house = house_with("").await;
    let address = house.all_http()[0];
    for (target, status) in [
        ("/check/public/a", 200),
        ("/check/workspaces", 401),
        ("/check/../public/a", 400),
        ("/public/a", 400),
        ("/nginx", 403),
        ("/traefik", 400),
    ] {
        let (over_h2, body) = h2(address, "GET", target, &[]).await.expect("an answer");
        let host = [("host", &b"api.example.test"[..])];
        let over_h1 = exchange(address, &request("GET", target.as_bytes(), &host, b"")).await;
        assert_eq!((over_h2, over_h1.status), (status, status), "{target}");
        assert_eq!(body, over_h1.body, "{target}");
    }
    let (status, body) = h2(address, "HEAD", "/check/workspaces", &[])
        .await
        .expect("an answer");
    assert_eq!((status, body.len()), (401, 0), "case 27");
    // Case 29: a plain request to the gRPC port.
    let plain = h2(house.grpc(), "GET", "/public/a", &[])
        .await
        .expect("an answer");
    assert!((400..500).contains(&plain.0), "{}", plain.0);
    let mut stream = TcpStream::connect(house.grpc()).await.expect("a connection");
    stream.write_all(PUBLIC).await.expect("sent");
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer))
        .await
        .expect("the end of the connection");
    assert!(!answer.starts_with(b"HTTP/1.1 2"), "{}", answer.escape_ascii());
}

/// Longer silence, with a clock that runs faster, is in the tests of the listener.
#[tokio::test]
async fn case_40_an_idle_connection_is_used_again() {
    let house = house_with("").await;
    let mut stream = TcpStream::connect(house.all_http()[0])
        .await
        .expect("a connection");
    for _ in 0..3 {
        assert_eq!(exchange_on(&mut stream, PUBLIC).await.status, 200);
        tokio::time::sleep(Duration::from_millis(1500)).await;
    }
    // A denial and a malformed question do not end it either.
    let denied = request("GET", b"/check/workspaces", &[("host", b"api.example.test")], b"");
    assert_eq!(exchange_on(&mut stream, &denied).await.status, 401);
    let malformed = request("GET", b"/apisix", &[("host", b"x")], b"");
    assert_eq!(exchange_on(&mut stream, &malformed).await.status, 400);
    assert_eq!(exchange_on(&mut stream, PUBLIC).await.status, 200);
}

#[tokio::test]
async fn too_many_and_too_large_headers_are_refused() {
    let house = house_with("").await;
    let address = house.all_http()[0];
    let many = |count: usize| -> Vec<(String, String)> {
        (0..count)
            .map(|index| (format!("x-{index}"), "v".to_owned()))
            .collect()
    };
    let large = |kib: usize| -> Vec<(String, String)> {
        (0..kib)
            .map(|index| (format!("x-{index}"), "v".repeat(1000)))
            .collect()
    };
    for (what, headers, status) in [
        ("many", many(150), 200..=200),
        ("more than we look at", many(220), 400..=431),
        ("300", many(300), 400..=431),
        ("large", large(50), 200..=200),
        ("too large", large(150), 400..=431),
    ] {
        let mut pairs: Vec<(&str, &[u8])> = vec![("host", b"api.example.test")];
        pairs.extend(
            headers
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_bytes())),
        );
        let over_h1 = exchange(address, &request("GET", b"/check/public/a", &pairs, b"")).await;
        assert!(status.contains(&over_h1.status), "{what}: {}", over_h1.status);
        // HTTP/2 may also refuse the stream or end the connection.
        let over_h2 = h2(address, "GET", "/check/public/a", &headers).await;
        match over_h2 {
            Some((got, _)) => assert!(status.contains(&got), "{what}: {got} over HTTP/2"),
            None => assert!(!status.contains(&200), "{what}: no answer over HTTP/2"),
        }
    }
    let long = [
        b"GET /check/public/",
        &[b'a'; 200_000][..],
        b" HTTP/1.1\r\nHost: a.test\r\n\r\n",
    ]
    .concat();
    let reply = exchange(address, &long).await;
    assert!((400..500).contains(&reply.status), "{}", reply.status);
}

#[tokio::test]
async fn what_is_no_request_is_not_answered_with_200() {
    let house = house_with("").await;
    for bytes in [
        &b"GET /check/public/a HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\n\r\n"[..],
        b"GET /check/public/a HTTP/1.1\r\n\r\n",
        b"GET http://a.test/check/public/a HTTP/1.1\r\nHost: a.test\r\n\r\n",
        b"GET /check/public/a HTTP/3.0\r\nHost: a.test\r\n\r\n",
        b"GET  /check/public/a HTTP/1.1\r\nHost: a.test\r\n\r\n",
        b"G(T /check/public/a HTTP/1.1\r\nHost: a.test\r\n\r\n",
        b"GET /check/public/\xFF HTTP/1.1\r\nHost: a.test\r\n\r\n",
        b"GET /check/public/a HTTP/1.1\r\nHost: a.test\r\n folded\r\n\r\n",
        b"GET /check/public/a HTTP/1.1\r\nHost : a.test\r\n\r\n",
        b"POST /check/public/a HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"POST /check/public/a HTTP/1.1\r\nHost: a.test\r\nContent-Length: -1\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: a.test\r\n\r\n",
        b"CONNECT a.test:443 HTTP/1.1\r\nHost: a.test\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 and so on, as TLS begins, with a line end\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(house.all_http()[0])
            .await
            .expect("a connection");
        stream.write_all(bytes).await.expect("sent");
        stream.shutdown().await.expect("sent");
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer))
            .await
            .expect("an answer or the end");
        let refused =
            answer.is_empty() || answer.starts_with(b"HTTP/1.1 4") || answer.starts_with(b"HTTP/1.0 4");
        assert!(refused, "{}: {}", bytes.escape_ascii(), answer.escape_ascii());
    }
}

#[tokio::test]
async fn connections_beyond_the_limit_are_closed() {
    let house = house_with("limits: { max_connections: 4 }\n").await;
    let address = house.all_http()[0];
    let mut kept = Vec::new();
    for _ in 0..4 {
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        assert_eq!(exchange_on(&mut stream, PUBLIC).await.status, 200);
        kept.push(stream);
    }
    let mut fifth = TcpStream::connect(address).await.expect("the system takes it");
    let _ = fifth.write_all(PUBLIC).await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(20), fifth.read_to_end(&mut answer))
        .await
        .expect("it is closed at once");
    assert_eq!(answer, b"");
    assert_eq!(
        exchange_on(&mut kept[0], PUBLIC).await.status,
        200,
        "the others stay"
    );
    kept.pop();
    until("there is a place again", async || {
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        let _ = stream.write_all(PUBLIC).await;
        let mut byte = [0];
        stream.read(&mut byte).await.is_ok_and(|read| read == 1)
    })
    .await;
}

#[tokio::test]
async fn half_a_preface_holds_no_place_once_its_sender_is_gone() {
    let house = house_with("limits: { max_connections: 2 }\n").await;
    for rest in [&b""[..], b"PRI * HTTP/2.0\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r"] {
        let mut stream = TcpStream::connect(house.grpc()).await.expect("a connection");
        stream.write_all(rest).await.expect("sent");
        stream.shutdown().await.expect("sent");
        let mut answer = Vec::new();
        // Less than a connection has that stays open. A reset is an end, too.
        let _ = tokio::time::timeout(Duration::from_secs(8), stream.read_to_end(&mut answer))
            .await
            .unwrap_or_else(|_| panic!("{} is waited for", rest.escape_ascii()));
        assert_eq!(answer, b"");
    }
    assert!(house.ask("GET", "/public/a", &[]).await.allowed);
}
