//! Two nodes with a store each that ask each other over real connections.

mod hostile;
mod rows;

use std::net::SocketAddr;
use std::sync::Arc;

use ::authority::{Authority, NetworkSettings, StoreSettings};
use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use decide::policy::SourceFile;
use decide::{Pipeline, Recorder};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::*;
use crate::config;
use crate::decision_log::Memory;
use crate::demo::scratch::ScratchDir;
use crate::demo::{http as client, stage};
use crate::http_server;

/// Who there is: an administrator and two users, all of an issuer `static`.
const PEOPLE: &str = r#"
static_tokens:
  tokens:
    - { token: the-token-of-admin, subject: admin, type: User }
    - { token: the-token-of-alice, subject: alice, type: User }
    - { token: the-token-of-bob-1, subject: bob, type: User }
    - { token: the-token-of-robot, subject: robot, type: Robot }
authority:
  issuer: http://127.0.0.1:1
  keys: { encryption_key: "0101010101010101010101010101010101010101010101010101010101010101" }
  network: { instance: here }
"#;
const POLICIES: &str = r#"
@id("administrators")
permit (principal == User::"static/admin", action in Action::"administer", resource);
@id("users")
permit (principal, action == Action::"network.use", resource) when { principal is User || principal is Robot };
"#;

/// A node.
struct Side {
    address: SocketAddr,
    authority: Authority,
    memory: Memory,
    pem: String,
    _server: AbortOnDropHandle<()>,
    _folder: ScratchDir,
}

/// What came of a request.
#[derive(Debug)]
struct Got {
    status: u16,
    headers: ::http::HeaderMap,
    text: String,
}

impl Side {
    async fn start(name: &str) -> Self {
        Self::with(name, json!({ "local_issuer": "static" })).await
    }

    /// With these settings besides the name and a key.
    async fn with(name: &str, mut settings: Value) -> Self {
        let pem = pem();
        settings["instance"] = name.into();
        settings["private_keys"] = json!([pem]);
        let settings: NetworkSettings = serde_json::from_value(settings).unwrap();
        let mut sources = stage::default_sources();
        sources.authority = vec![SourceFile {
            name: "authority.cedar".to_owned(),
            text: POLICIES.to_owned(),
        }];
        let text = stage::DEFAULT_CONFIG.replace("issuers:\n", "no_issuers:\n");
        let text = without_issuers(&text) + PEOPLE;
        let loaded = config::load_with_sources("test.yaml", &text, sources);
        let loaded = loaded.unwrap_or_else(|invalid| panic!("{invalid}"));
        let memory = Memory::default();
        let recorder: Box<dyn Recorder> = Box::new(memory.clone());
        let runtime = tokio::runtime::Handle::current();
        let pipeline = Arc::new(Pipeline::start(loaded.rules, recorder, &runtime).unwrap());
        let folder = ScratchDir::new("network").unwrap();
        let store = format!("sqlite:{}", folder.path().join("store.db").display());
        let publish = Arc::clone(&pipeline);
        let authority = Authority::start(
            &StoreSettings {
                store: store.into(),
                ..StoreSettings::default()
            },
            Arc::new(move |view| publish.publish(view)),
        )
        .await;
        let authority = authority.unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let url = format!("http://{address}/");
        let network = Network::new(
            Asker::new(pipeline),
            authority.clone(),
            &settings,
            ("house", &url),
        )
        .unwrap();
        let server = tokio::spawn(http_server::accept(
            listener,
            None,
            (router(network), http_server::Places::for_clients()),
            JoinSet::new(),
            CancellationToken::new(),
        ));
        Self {
            address,
            authority,
            memory,
            pem,
            _server: AbortOnDropHandle::new(server),
            _folder: folder,
        }
    }

    /// How another node is told about this one.
    fn as_node(&self, name: &str) -> Value {
        let at = |path: &str| format!("http://{}{path}", self.address);
        json!({
            "name": name, "base_url": at("/"), "jwks_url": at("/network/jwks"), "token_url": at("/network/token"),
            "authorization_url": at("/ui/network/authorize"), "redirect_uris": [at("/network/link")],
        })
    }

    async fn send(&self, method: &str, target: &str, who: &str, body: &Value) -> Got {
        let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        if !who.is_empty() {
            headers.push(("authorization".to_owned(), authorization(who)));
        }
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        self.exchange(method, target, &headers, body).await
    }

    async fn exchange(&self, method: &str, target: &str, headers: &[(String, String)], body: String) -> Got {
        let answer = client::send(self.address, method, target, headers, Bytes::from(body))
            .await
            .unwrap();
        Got {
            status: answer.status().as_u16(),
            headers: answer.headers().clone(),
            text: String::from_utf8(answer.body().to_vec()).unwrap(),
        }
    }
}

impl Got {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    fn token(&self) -> String {
        self.json()["token"]
            .as_str()
            .unwrap_or_else(|| panic!("no token: {self:?}"))
            .to_owned()
    }
}

/// Two nodes, `node-a` and `node-b`, that know each other.
async fn two() -> (Side, Side) {
    let (a, b) = (Side::start("node-a").await, Side::start("node-b").await);
    for (here, there, name) in [(&a, &b, "node-b"), (&b, &a, "node-a")] {
        let added = here
            .send("POST", "/network/nodes", "admin", &there.as_node(name))
            .await;
        assert_eq!(added.status, 201, "{added:?}");
    }
    (a, b)
}

/// The header of somebody of the configuration, or of whoever has a network token.
fn authorization(who: &str) -> String {
    match who {
        "admin" | "alice" | "robot" => format!("Bearer the-token-of-{who}"),
        "bob" => "Bearer the-token-of-bob-1".to_owned(),
        token => format!("Bearer {token}"),
    }
}

fn pem() -> String {
    let key = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let der: aws_lc_rs::encoding::Pkcs8V1Der<'_> = key.as_der().unwrap();
    let text = STANDARD.encode(der.as_ref());
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        lines.join("\n")
    )
}

/// The default configuration without its issuer, which nobody here needs.
fn without_issuers(text: &str) -> String {
    let start = text.find("no_issuers:\n").unwrap();
    let length = text[start..].find("\n\n").unwrap();
    format!("{}{}", &text[..start], &text[start + length + 1..])
}
