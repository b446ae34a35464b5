//! An issuer's server that can do what no issuer should.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use portcullis::demo::keys::SigningKey;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

pub(super) const DISCOVERY: &str = "/.well-known/openid-configuration";
pub(super) const JWKS: &str = "/jwks";

/// What becomes of a request.
#[derive(Clone, Debug)]
pub(super) enum Way {
    /// These bytes, and the end of the connection.
    Bytes(Vec<u8>),
    /// It is read, and nothing is ever answered.
    Silence,
    /// The head of an answer, and then a byte from time to time, without end.
    Trickle,
    /// The head of an answer, and then as much as is taken, without end.
    Endless,
    /// The connection is reset in the middle of the answer.
    Reset,
    /// The connection ends without an answer.
    Nothing,
}

/// A running server. Dropped, it is gone.
pub(super) struct Origin {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    ways: Mutex<HashMap<String, Way>>,
    requests: AtomicUsize,
    /// The most that was sent on one connection.
    most_sent: AtomicUsize,
}

impl Origin {
    /// With a discovery document, and nothing at `/jwks` yet.
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared::default());
        let server = tokio::spawn({
            let shared = Arc::clone(&shared);
            async move {
                while let Ok((connection, _)) = listener.accept().await {
                    let shared = Arc::clone(&shared);
                    tokio::spawn(async move { shared.answer(connection).await });
                }
            }
        });
        let this = Self {
            address,
            shared,
            server,
        };
        this.discovery(&this.url(), &format!("{}{JWKS}", this.url()));
        this
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What happens from now on to requests for this path.
    pub(super) fn set(&self, path: &str, way: Way) {
        let mut ways = self.shared.ways.lock().expect("no panic");
        ways.insert(path.to_owned(), way);
    }

    /// Publishes a discovery document.
    pub(super) fn discovery(&self, issuer: &str, jwks_uri: &str) {
        let document = json!({ "issuer": issuer, "jwks_uri": jwks_uri });
        self.set(DISCOVERY, ok(document.to_string()));
    }

    /// How many requests came.
    pub(super) fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::Relaxed)
    }

    /// The most bytes of a body that were sent on one connection.
    pub(super) fn most_sent(&self) -> usize {
        self.shared.most_sent.load(Ordering::Relaxed)
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Shared {
    async fn answer(&self, mut connection: TcpStream) {
        let mut request = Vec::new();
        let mut byte = [0];
        while !request.ends_with(b"\r\n\r\n") {
            match connection.read(&mut byte).await {
                Ok(1) => request.push(byte[0]),
                _ => return,
            }
        }
        self.requests.fetch_add(1, Ordering::Relaxed);
        let request = String::from_utf8_lossy(&request).into_owned();
        let path = request.split(' ').nth(1).unwrap_or_default();
        let way = self.ways.lock().expect("no panic").get(path).cloned();
        match way.unwrap_or_else(|| status(404, "", "")) {
            Way::Bytes(bytes) => {
                let _ = connection.write_all(&bytes).await;
                let _ = connection.shutdown().await;
            }
            Way::Silence => {
                // Until the other end gives up.
                let _ = connection.read(&mut byte).await;
            }
            Way::Trickle => {
                self.pour(connection, b" ", std::time::Duration::from_millis(100))
                    .await
            }
            Way::Endless => {
                self.pour(connection, &[b' '; 1 << 16], std::time::Duration::ZERO)
                    .await
            }
            Way::Reset => {
                let _ = connection
                    .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{")
                    .await;
                let _ = connection.set_zero_linger();
            }
            Way::Nothing => {}
        }
    }

    /// Sends `piece` again and again until nobody takes it any more.
    async fn pour(&self, mut connection: TcpStream, piece: &[u8], pause: std::time::Duration) {
        let mut sent = 0;
        let head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n";
        let mut go_on = connection.write_all(head).await.is_ok();
        while go_on {
            tokio::time::sleep(pause).await;
            go_on = connection.write_all(piece).await.is_ok();
            sent += piece.len();
            self.most_sent.fetch_max(sent, Ordering::Relaxed);
        }
    }
}

/// 200 with this body.
pub(super) fn ok(body: impl AsRef<[u8]>) -> Way {
    with("HTTP/1.1 200 OK", "content-type: application/json\r\n", body)
}

/// Another status, with these lines of a head and a body.
pub(super) fn status(code: u16, lines: &str, body: &str) -> Way {
    with(&format!("HTTP/1.1 {code} X"), lines, body)
}

/// A whole answer.
pub(super) fn with(first: &str, lines: &str, body: impl AsRef<[u8]>) -> Way {
    let body = body.as_ref();
    let head = format!(
        "{first}\r\nconnection: close\r\n{lines}content-length: {}\r\n\r\n",
        body.len()
    );
    Way::Bytes([head.as_bytes(), body].concat())
}

/// A JWK set.
pub(super) fn key_set(keys: &[&SigningKey]) -> String {
    let keys: Vec<_> = keys.iter().map(|key| key.jwk()).collect();
    json!({ "keys": keys }).to_string()
}
