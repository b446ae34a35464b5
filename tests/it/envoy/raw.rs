//! Requests that no HTTP library would send: bytes in, an answer out.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use portcullis::demo::echo::Echo;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::house::{Front, Got};

/// A request for `api.example.test`, byte for byte, without a body.
pub(crate) fn request(method: &str, target: &[u8], headers: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = [
        method.as_bytes(),
        b" ",
        target,
        b" HTTP/1.1\r\nconnection: close\r\n",
    ]
    .concat();
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        bytes.extend(b"host: api.example.test\r\n");
    }
    for (name, value) in headers {
        bytes.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
    }
    bytes.extend(b"\r\n");
    bytes
}

/// Sends the bytes through Envoy on a connection of their own and reads the answer.
pub(super) async fn exchange(front: &Front, request: &[u8]) -> Got {
    through(front.envoy.address(), &front.echo, request).await
}

/// The same through any proxy at this address, with this upstream behind it.
pub(crate) async fn through(address: SocketAddr, echo: &Echo, request: &[u8]) -> Got {
    let reached = echo.requests();
    let stream = TcpStream::connect(address).await;
    let (reader, mut writer) = stream.expect("a connection").into_split();
    let talk = async {
        // An answer may come before the end of the request, and end the connection: it is what counts.
        tokio::join!(writer.write_all(request), answer(reader)).1
    };
    let (status, headers, body) = tokio::time::timeout(Duration::from_secs(30), talk)
        .await
        .expect("an answer within 30 s");
    let seen =
        (echo.requests() > reached).then(|| serde_json::from_slice(&body).expect("what the upstream saw"));
    Got {
        status,
        headers,
        body,
        seen,
    }
}

/// Reads until the body has its announced length or the connection ends: Envoy keeps one that it is to close for a
/// second, in case its peer is still sending.
async fn answer(mut reader: impl AsyncRead + Unpin) -> (u16, HeaderMap, Bytes) {
    let mut bytes = Vec::new();
    while reader.read_buf(&mut bytes).await.is_ok_and(|read| read > 0) {
        if !bytes.windows(4).any(|four| four == b"\r\n\r\n") {
            continue;
        }
        let (status, headers, body) = parse(&bytes);
        let announced = headers
            .get("content-length")
            .and_then(|length| length.to_str().ok());
        if announced.is_some_and(|length| length == body.len().to_string()) {
            return (status, headers, body);
        }
    }
    parse(&bytes)
}

/// Reads until the end of the head of an answer, and not a byte more.
pub(super) async fn head(stream: &mut TcpStream) -> (u16, HeaderMap) {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        bytes.push(stream.read_u8().await.expect("the head of an answer"));
    }
    let (status, headers, _) = parse(&bytes);
    (status, headers)
}

fn parse(answer: &[u8]) -> (u16, HeaderMap, Bytes) {
    let end = answer
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap_or_else(|| panic!("no answer: {:?}", String::from_utf8_lossy(answer)));
    let head = std::str::from_utf8(&answer[..end]).expect("a head that is text");
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    let headers = lines.map(|line| {
        let (name, value) = line.split_once(':').expect("a header");
        let name: HeaderName = name.parse().expect("a header name");
        (name, value.trim().parse::<HeaderValue>().expect("a header value"))
    });
    (
        status
            .and_then(|status| status.parse().ok())
            .expect("a status line"),
        headers.fold(HeaderMap::new(), |mut map, (name, value)| {
            map.append(name, value);
            map
        }),
        Bytes::copy_from_slice(&answer[end + 4..]),
    )
}
