//! The provider as a child process, the commands it takes, and the tokens it gives to clients.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use portcullis::demo::scratch::ScratchDir;
use portcullis::demo::tools::npm_tool;
use portcullis::demo::{child, http};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::house::skipped;

const PACKAGE: &str = "oidc-provider";
const VERSION: &str = "9.13.3";
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/it/idp/provider.mjs");
/// Long enough to make an RSA key on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// How the provider answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    Well,
    /// Connections are closed without an answer.
    Gone,
    /// The keys come a byte at a time, without end.
    Slow,
    /// The document with the keys is larger than any such document is.
    Oversized,
    /// Questions about tokens (RFC 7662) wait until it is in another mood.
    Mute,
}

/// What it was asked about tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// All questions that arrived so far.
    pub(super) in_all: u64,
    /// Those that are not answered yet.
    pub(super) under_way: u64,
    /// The most that were under way at a time.
    pub(super) most_under_way: u64,
}

/// What becomes of the keys before a rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OldKeys {
    Kept,
    Removed,
}

/// A running provider. Dropped, it is gone; and it ends by itself when this process does.
pub(super) struct Provider {
    child: Child,
    lines: mpsc::UnboundedReceiver<String>,
    issuer: String,
    log: ScratchDir,
}

impl Provider {
    /// Starts it, installing it first if need be. `None`, and said so, where that is not possible.
    pub(super) async fn start() -> Option<Self> {
        let installing = tokio::task::spawn_blocking(|| npm_tool(PACKAGE, VERSION, &mut |_| {}));
        let modules = match installing.await.expect("no panic") {
            Ok(modules) => modules,
            Err(error) => {
                skipped(PACKAGE, &error.to_string());
                return None;
            }
        };
        let log = ScratchDir::new(PACKAGE).expect("a directory");
        let spawned = Command::new("node")
            .arg(SCRIPT)
            .arg(modules)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(log.path().join("log")).expect("a log"))
            .spawn();
        let mut child = match spawned {
            Ok(child) => child,
            Err(error) => {
                skipped(PACKAGE, &format!("cannot run node: {error}"));
                return None;
            }
        };
        let lines = lines_of(&mut child);
        let mut this = Self {
            child,
            lines,
            issuer: String::new(),
            log,
        };
        let state = this.answer().await;
        if let Some(why) = state["unusable"].as_str() {
            skipped(PACKAGE, why);
            return None;
        }
        this.issuer = state["issuer"].as_str().expect("an issuer").to_owned();
        Some(this)
    }

    /// Its URL, as `iss` has it.
    pub(super) fn issuer(&self) -> &str {
        &self.issuer
    }

    pub(super) fn address(&self) -> SocketAddr {
        let address = self.issuer.strip_prefix("http://").expect("plain http");
        address.parse().expect("an address and a port")
    }

    /// From now on it signs with new keys.
    pub(super) async fn rotate(&mut self, old: OldKeys) {
        let old = match old {
            OldKeys::Kept => "kept",
            OldKeys::Removed => "removed",
        };
        self.tell(&json!({ "rotate": old })).await;
    }

    pub(super) async fn set_mood(&mut self, mood: Mood) {
        let mood = match mood {
            Mood::Well => "well",
            Mood::Gone => "gone",
            Mood::Slow => "slow",
            Mood::Oversized => "oversized",
            Mood::Mute => "mute",
        };
        let state = self.tell(&json!({ "mood": mood })).await;
        assert_eq!(state["mood"], mood);
    }

    /// How often it was asked for its keys.
    pub(super) async fn fetches(&mut self) -> u64 {
        self.tell(&json!({})).await["fetches"].as_u64().expect("a number")
    }

    /// How often it was asked about a token.
    pub(super) async fn asked(&mut self) -> Asked {
        let state = self.tell(&json!({})).await;
        let number = |name: &str| state[name].as_u64().expect("a number");
        Asked {
            in_all: number("asked"),
            under_way: number("under_way"),
            most_under_way: number("most_under_way"),
        }
    }

    /// A fresh token of the client `harvester`: a JWT.
    pub(super) async fn client_token(&self, scope: &str) -> String {
        self.token_of("harvester", scope).await
    }

    /// A fresh token of this client, acting for itself (RFC 6749 section 4.4). Those of `gleaner` and, for another API,
    /// of `stranger` are opaque.
    pub(super) async fn token_of(&self, client: &str, scope: &str) -> String {
        let form = format!(
            "grant_type=client_credentials&client_id={client}&client_secret={client}-secret&scope={scope}"
        );
        let tokens = self.token_endpoint(form).await;
        tokens["access_token"].as_str().expect("a token").to_owned()
    }

    /// As many of them.
    pub(super) async fn client_tokens(&self, count: usize) -> Vec<String> {
        let mut tokens = Vec::new();
        for _ in 0..count {
            tokens.push(self.client_token("catalogue").await);
        }
        tokens
    }

    /// What the token endpoint answers to a form.
    pub(super) async fn token_endpoint(&self, form: String) -> Value {
        serde_json::from_slice(&self.post("/token", form).await).expect("JSON")
    }

    /// Revokes a token of this client (RFC 7009).
    pub(super) async fn revoke(&self, client: &str, token: &str) {
        let form = format!("client_id={client}&client_secret={client}-secret&token={token}");
        self.post("/token/revocation", form).await;
    }

    async fn post(&self, path: &str, form: String) -> Bytes {
        let headers = [(
            "content-type".to_owned(),
            "application/x-www-form-urlencoded".to_owned(),
        )];
        let answer = http::send(self.address(), "POST", path, &headers, Bytes::from(form))
            .await
            .expect("an answer");
        assert_eq!(answer.status(), 200, "{path}: {:?}", answer.body());
        answer.into_body()
    }

    async fn tell(&mut self, command: &Value) -> Value {
        let stdin = self.child.stdin.as_mut().expect("it is piped");
        writeln!(stdin, "{command}").expect("it is there");
        self.answer().await
    }

    async fn answer(&mut self) -> Value {
        let line = tokio::time::timeout(PATIENCE, self.lines.recv()).await;
        let Ok(Some(line)) = line else {
            let said = child::tail(&self.log.path().join("log"), 12);
            panic!("the provider does not answer ({line:?}):\n{said}");
        };
        serde_json::from_str(&line).expect("JSON")
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the child says, line by line. The thread ends with the child.
fn lines_of(child: &mut Child) -> mpsc::UnboundedReceiver<String> {
    let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
    let (sender, lines) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in stdout.lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    lines
}
