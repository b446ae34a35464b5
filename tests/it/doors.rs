//! The HTTP doors of a running house, asked over real sockets: what is the same through all of them, and what a proxy
//! that cannot be had here sends, byte for byte.

mod apisix;
mod listeners;
mod manifests;
mod requests;
mod same;
mod vectors;

use std::net::SocketAddr;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::house::TestHouse;

/// One listener with all contracts (Envoy's at a prefix), and one with Envoy's and no prefix.
const LISTENERS: &str = "envoy_grpc: 127.0.0.1:0
  http:
    - address: 127.0.0.1:0
      doors:
        - { contract: envoy_http, path: /check }
        - { contract: apisix, path: /apisix }
        - { contract: nginx, path: /nginx }
        - { contract: traefik, path: /traefik }
        - { contract: caddy, path: /caddy }
        - { contract: haproxy, path: /haproxy }
        - { contract: apisix_opa, path: /v1/data/apisix/allow }
        - { contract: kong_opa, path: /v1/data/kong/allow }
    - { address: '127.0.0.1:0', doors: [{ contract: envoy_http }] }";

/// Adds the listeners to a configuration.
pub(crate) fn listeners(text: String) -> String {
    let (one, many) = ("envoy_grpc: 127.0.0.1:0", LISTENERS);
    assert_eq!(
        text.matches(one).count(),
        1,
        "the default configuration has changed"
    );
    text.replace(one, many)
}

/// The default house with every door, and more settings.
pub(crate) async fn house_with(more: &str) -> TestHouse {
    TestHouse::with(|text| listeners(text) + more, &[]).await
}

/// The answer of a door.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// The only value of a header; `None` if it is not there.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let value = values
            .next()
            .map(|value| value.to_str().expect("a text in a header"));
        assert!(values.next().is_none(), "{name} is there twice: {self:?}");
        value
    }
}

/// Asks on a connection of its own, byte for byte.
pub(crate) async fn exchange(address: SocketAddr, request: &[u8]) -> Reply {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    exchange_on(&mut stream, request).await
}

/// Asks on this connection and leaves it open.
pub(crate) async fn exchange_on(stream: &mut TcpStream, request: &[u8]) -> Reply {
    let (mut reader, mut writer) = stream.split();
    let answer = async {
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\r\n\r\n") {
            bytes.push(reader.read_u8().await.expect("the head of an answer"));
        }
        let mut reply = head(&bytes);
        let length = reply.header("content-length").map(str::to_owned);
        if !request.starts_with(b"HEAD ") {
            let length = length.map_or(0, |length| length.parse().expect("a length"));
            reply.body = vec![0; length];
            reader.read_exact(&mut reply.body).await.expect("the body");
        }
        reply
    };
    let both = async { tokio::join!(writer.write_all(request), answer).1 };
    tokio::time::timeout(Duration::from_secs(30), both)
        .await
        .expect("an answer within 30 s")
}

fn head(bytes: &[u8]) -> Reply {
    let text = std::str::from_utf8(bytes).expect("a head that is text");
    let mut lines = text.trim_end().split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(':').expect("a header");
        let name: HeaderName = name.parse().expect("a name");
        let value: HeaderValue = value.trim().parse().expect("a value");
        headers.append(name, value);
    }
    Reply {
        status: status
            .and_then(|status| status.parse().ok())
            .expect("a status line"),
        headers,
        body: Vec::new(),
    }
}

/// The bytes of a request.
pub(crate) fn request(method: &str, target: &[u8], headers: &[(&str, &[u8])], body: &[u8]) -> Vec<u8> {
    let mut bytes = [method.as_bytes(), b" ", target, b" HTTP/1.1\r\n"].concat();
    for (name, value) in headers {
        bytes.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
    }
    if !body.is_empty() {
        bytes.extend(format!("Content-Length: {}\r\n", body.len()).bytes());
    }
    [&bytes[..], b"\r\n", body].concat()
}
