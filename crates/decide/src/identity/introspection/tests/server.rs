//! An introspection endpoint as a small HTTP server in this process, which counts what is asked of it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Says that no token is active, unless told otherwise. A gate can hold its answers back.
pub(super) struct Server {
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    /// Raw responses by token.
    answers: Mutex<HashMap<String, Vec<u8>>>,
    requests: Mutex<Vec<String>>,
    /// Requests that wait for their answers, and the most that ever did.
    waiting: Mutex<(usize, usize)>,
    gate_open: watch::Sender<bool>,
}

impl Server {
    pub(super) async fn new() -> Self {
        Self::at("127.0.0.1:0".parse().unwrap()).await
    }

    pub(super) async fn at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            state: Arc::new(State {
                answers: Mutex::default(),
                requests: Mutex::default(),
                waiting: Mutex::default(),
                gate_open: watch::Sender::new(true),
            }),
        };
        let state = Arc::clone(&server.state);
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(Arc::clone(&state).serve(connection));
            }
        });
        server
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/introspect", self.address)
    }

    pub(super) fn answer(&self, token: &str, raw: Vec<u8>) {
        self.state.answers.lock().unwrap().insert(token.to_owned(), raw);
    }

    /// All requests so far: head and body.
    pub(super) fn requests(&self) -> Vec<String> {
        self.state.requests.lock().unwrap().clone()
    }

    /// The most requests that were under way at a time.
    pub(super) fn most_at_a_time(&self) -> usize {
        self.state.waiting.lock().unwrap().1
    }

    /// Returns once so many requests are under way.
    pub(super) async fn wait_for(&self, requests: usize) {
        while self.state.waiting.lock().unwrap().0 < requests {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    pub(super) fn close_gate(&self) {
        self.state.gate_open.send_replace(false);
    }

    pub(super) fn open_gate(&self) {
        self.state.gate_open.send_replace(true);
    }
}

impl State {
    async fn serve(self: Arc<Self>, mut connection: TcpStream) {
        while let Some(request) = next_request(&mut connection).await {
            {
                let mut waiting = self.waiting.lock().unwrap();
                waiting.0 += 1;
                waiting.1 = waiting.1.max(waiting.0);
            }
            let token = request.split_once("\r\n\r\ntoken=").map(|(_, form)| form);
            let token = token
                .and_then(|form| form.split('&').next())
                .unwrap_or("")
                .to_owned();
            self.requests.lock().unwrap().push(request);
            // Long enough to have company, mostly.
            tokio::time::sleep(Duration::from_millis(1)).await;
            self.gate_open.subscribe().wait_for(|open| *open).await.unwrap();
            let answer = self.answers.lock().unwrap().get(&token).cloned();
            self.waiting.lock().unwrap().0 -= 1;
            let answer = answer.unwrap_or_else(|| ok(r#"{"active":false}"#));
            let last = answer.windows(17).any(|bytes| bytes == b"connection: close");
            if connection.write_all(&answer).await.is_err() || last {
                return;
            }
        }
    }
}

async fn next_request(connection: &mut TcpStream) -> Option<String> {
    let mut request = Vec::new();
    loop {
        if connection.read_buf(&mut request).await.ok()? == 0 {
            return None;
        }
        let text = String::from_utf8(request.clone()).unwrap();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        if body.len() >= length.unwrap().parse().unwrap() {
            return Some(text);
        }
    }
}

/// A response with status 200.
pub(super) fn ok(body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let mut raw = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len()).into_bytes();
    raw.extend_from_slice(body);
    raw
}

/// An empty response.
pub(super) fn status(code: u16, headers: &str) -> Vec<u8> {
    format!("HTTP/1.1 {code} X\r\n{headers}content-length: 0\r\n\r\n").into_bytes()
}
