//! The upstream behind the demo's proxies: it answers every request with what it saw, so that what a proxy added,
//! removed or let through can be read off the answer.
//!
//! HTTP/1.1 only, any method and path, never an error; WebSocket upgrades become a tunnel that returns each byte.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body_util::BodyExt as _;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};

use super::loopback::Loopback;

/// The key suffix of RFC 6455 section 1.3.
const WEBSOCKET_GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A running upstream; it ends when dropped.
#[derive(Debug)]
pub struct Echo {
    server: Loopback,
    requests: Arc<AtomicUsize>,
}

/// What the upstream saw, and its whole answer as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The method, as sent.
    pub method: String,
    /// The request target, with its query, byte for byte.
    pub path: String,
    /// Lower-case names, each with its values in order; bytes that are not UTF-8 become U+FFFD.
    pub headers: BTreeMap<String, Vec<String>>,
    /// The length of the body, in bytes, without its framing.
    pub body_bytes: u64,
}

impl Echo {
    /// Listens on a loopback port that the kernel chooses.
    pub async fn start() -> io::Result<Self> {
        let requests = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&requests);
        let router = Router::new().fallback(move |request: Request| {
            counter.fetch_add(1, Ordering::Relaxed);
            answer(request)
        });
        Ok(Self {
            server: Loopback::start(0, router).await?,
            requests,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// How many requests have arrived, upgrades included: what a denied request must not raise.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    /// Ends the server and its connections (not the tunnels) and frees the port.
    pub async fn stop(self) {
        self.server.stop().await;
    }
}

async fn answer(mut request: Request) -> Response {
    if let Some(accept) = websocket_accept(request.headers()) {
        tokio::spawn(tunnel(hyper::upgrade::on(&mut request)));
        let headers = [
            (header::UPGRADE, HeaderValue::from_static("websocket")),
            (header::CONNECTION, HeaderValue::from_static("upgrade")),
            (header::SEC_WEBSOCKET_ACCEPT, accept),
        ];
        return (StatusCode::SWITCHING_PROTOCOLS, headers, Body::empty()).into_response();
    }
    let (parts, body) = request.into_parts();
    let mut headers = BTreeMap::<_, Vec<_>>::new();
    for (name, value) in &parts.headers {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        headers.entry(name.to_string()).or_default().push(value);
    }
    let seen = Seen {
        method: parts.method.to_string(),
        path: parts.uri.to_string(),
        headers,
        body_bytes: length(body).await,
    };
    axum::Json(seen).into_response()
}

/// Counts a body's bytes as they pass. A body that breaks off counts as far as it came: nobody is left to be told.
async fn length(mut body: Body) -> u64 {
    let mut total = 0;
    while let Some(Ok(frame)) = body.frame().await {
        total += frame.data_ref().map_or(0, |data| data.len() as u64);
    }
    total
}

/// The value of `Sec-WebSocket-Accept`, if this asks for a WebSocket (RFC 6455 section 4.2).
fn websocket_accept(headers: &HeaderMap) -> Option<HeaderValue> {
    let upgrade = headers.get(header::UPGRADE)?;
    if !upgrade.as_bytes().eq_ignore_ascii_case(b"websocket") {
        return None;
    }
    let key = headers.get(header::SEC_WEBSOCKET_KEY)?.as_bytes();
    let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, &[key, WEBSOCKET_GUID].concat());
    HeaderValue::from_str(&STANDARD.encode(hash)).ok()
}

async fn tunnel(upgrade: OnUpgrade) {
    let Ok(upgraded) = upgrade.await else { return };
    let (mut reader, mut writer) = tokio::io::split(TokioIo::new(upgraded));
    // Either side closing ends the tunnel; how it ended is of no interest.
    let _ = tokio::io::copy(&mut reader, &mut writer).await;
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn answers_with_what_it_saw() {
        let echo = Echo::start().await.unwrap();
        let mut stream = TcpStream::connect(echo.address()).await.unwrap();
        let request = "PURGE /a/%2e%2E//b;c?q=1&q=%20 HTTP/1.1\r\nHost: up\r\nX-Two: a\r\nx-two: b\r\n\
                       Content-Length: 5\r\nConnection: close\r\n\r\nhello";
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).await.unwrap();
        let (head, body) = reply.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        let seen: Seen = serde_json::from_str(body).unwrap();
        assert_eq!(
            (seen.method.as_str(), seen.path.as_str()),
            ("PURGE", "/a/%2e%2E//b;c?q=1&q=%20")
        );
        assert_eq!(seen.headers["x-two"], ["a", "b"]);
        assert_eq!(seen.body_bytes, 5);
        assert_eq!(echo.requests(), 1);
    }

    #[tokio::test]
    async fn swallows_a_large_body() {
        let echo = Echo::start().await.unwrap();
        let url = format!("http://{}/big", echo.address());
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let reply = client
            .post(url)
            .body(vec![b'x'; 5 << 20])
            .send()
            .await
            .unwrap()
            .bytes()
            .await
            .unwrap();
        assert_eq!(
            serde_json::from_slice::<Seen>(&reply).unwrap().body_bytes,
            5 << 20
        );
    }

    #[tokio::test]
    async fn becomes_a_tunnel_for_a_websocket() {
        let echo = Echo::start().await.unwrap();
        let mut stream = TcpStream::connect(echo.address()).await.unwrap();
        // The key and its answer are the example of RFC 6455 section 1.3.
        let request = "GET /chat HTTP/1.1\r\nHost: up\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap().to_lowercase();
        assert!(head.starts_with("http/1.1 101 "), "{head}");
        assert!(
            head.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="),
            "{head}"
        );
        let bytes = [0x81, 0x02, b'h', b'i', 0x00, 0xff];
        stream.write_all(&bytes).await.unwrap();
        let mut back = [0; 6];
        stream.read_exact(&mut back).await.unwrap();
        assert_eq!(back, bytes);
    }
}
