//! An issuer as a small HTTP server in this process.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

use serde_json::json;

use crate::identity::testing::document;

/// An HTTP server with pages that can be exchanged, and a gate that can hold its answers back.
#[derive(Clone)]
pub(in crate::identity) struct Origin {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    pages: Mutex<HashMap<String, Vec<u8>>>,
    hits: Mutex<HashMap<String, usize>>,
    gate_closed: Mutex<bool>,
    gate_opens: Condvar,
}

pub(in crate::identity) const DISCOVERY: &str = "/.well-known/openid-configuration";
pub(in crate::identity) const JWKS: &str = "/jwks";

impl Origin {
    /// Serves discovery, and `jwks` at `/jwks`.
    pub(in crate::identity) fn new(jwks: &[serde_json::Value]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = Self {
            address: listener.local_addr().unwrap(),
            state: Arc::default(),
        };
        let url = origin.url();
        origin.page(
            DISCOVERY,
            ok(json!({"issuer": url, "jwks_uri": format!("{url}{JWKS}")}).to_string()),
        );
        origin.page(JWKS, ok(document(jwks)));
        let state = Arc::clone(&origin.state);
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                let state = Arc::clone(&state);
                std::thread::spawn(move || state.answer(connection.unwrap()));
            }
        });
        origin
    }

    pub(in crate::identity) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(in crate::identity) fn page(&self, path: &str, raw: Vec<u8>) {
        self.state.pages.lock().unwrap().insert(path.to_owned(), raw);
    }

    pub(in crate::identity) fn hits(&self, path: &str) -> usize {
        self.state.hits.lock().unwrap().get(path).copied().unwrap_or(0)
    }

    pub(in crate::identity) fn close_gate(&self) {
        *self.state.gate_closed.lock().unwrap() = true;
    }

    pub(in crate::identity) fn open_gate(&self) {
        *self.state.gate_closed.lock().unwrap() = false;
        self.state.gate_opens.notify_all();
    }
}

impl State {
    fn answer(&self, mut connection: TcpStream) {
        let mut request = Vec::new();
        let mut byte = [0];
        while !request.ends_with(b"\r\n\r\n") && connection.read(&mut byte).is_ok_and(|n| n == 1) {
            request.push(byte[0]);
        }
        let request = String::from_utf8(request).unwrap();
        let Some(path) = request.split(' ').nth(1) else {
            return;
        };
        *self.hits.lock().unwrap().entry(path.to_owned()).or_default() += 1;
        drop(
            self.gate_opens
                .wait_while(self.gate_closed.lock().unwrap(), |closed| *closed)
                .unwrap(),
        );
        let page = self.pages.lock().unwrap().get(path).cloned();
        let _ = connection.write_all(&page.unwrap_or_else(|| status(404, "")));
    }
}

pub(in crate::identity) fn ok(body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let mut raw = format!(
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    raw.extend_from_slice(body);
    raw
}

pub(in crate::identity) fn status(code: u16, headers: &str) -> Vec<u8> {
    format!("HTTP/1.1 {code} X\r\nconnection: close\r\n{headers}content-length: 0\r\n\r\n").into_bytes()
}
