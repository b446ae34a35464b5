//! A house for a test: a real server on ports of its own, a local issuer, a memory of what was decided.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use decide::policy::{SourceFile, Sources};
use portcullis::ask::{self, Answer, Question};
use portcullis::config::{self, Config};
use portcullis::decision_log::Memory;
use portcullis::demo::echo::{Echo, Seen};
use portcullis::demo::envoy::{Envoy, EnvoyError, EnvoyOptions};
use portcullis::demo::issuer::{Answer as KeyService, LocalIssuer};
use portcullis::demo::scratch::ScratchDir;
use portcullis::demo::{http, stage};
use portcullis::house::House;
use serde_json::Value;

/// A running server with everything around it. Dropped, it is gone.
pub(crate) struct TestHouse {
    pub(crate) issuer: LocalIssuer,
    pub(crate) memory: Memory,
    config: Config,
    sources: Sources,
    text: String,
    house: Option<House>,
    /// Where the store is, if there is one; gone after the house.
    folder: Option<ScratchDir>,
}

impl TestHouse {
    /// The default configuration and policies.
    pub(crate) async fn start() -> Self {
        Self::with(|text| text, &[]).await
    }

    /// The default configuration, altered by `alter`, with more policies: each a name and its text.
    pub(crate) async fn with(alter: impl FnOnce(String) -> String, policies: &[(&str, &str)]) -> Self {
        let this = Self::begin(KeyService::Keys, alter, policies).await;
        this.until_ready().await;
        this
    }

    /// The same with policies about the house itself; `alter` adds the authority.
    pub(crate) async fn with_house_policies(
        alter: impl FnOnce(String) -> String,
        policies: &[(&str, &str)],
        authority: &str,
    ) -> Self {
        let mut sources = stage::default_sources();
        sources.policies.extend(written(policies));
        sources
            .authority
            .extend(written(&[("authority.cedar", authority)]));
        let this = Self::begin_with(KeyService::Keys, alter, sources).await;
        this.until_ready().await;
        this
    }

    /// A house whose issuer does not hand out its keys from the start. It is not waited for: it is not ready.
    pub(crate) async fn without_keys(answer: KeyService, alter: impl FnOnce(String) -> String) -> Self {
        Self::begin(answer, alter, &[]).await
    }

    /// A pack as it is on disk, but with this configuration (its own, with other issuers), on ports that the kernel chooses.
    pub(crate) async fn of_pack(folder: &std::path::Path, text: &str) -> Self {
        let mut text = text.to_owned();
        for port in ["9191", "9192", "9193"] {
            assert!(
                text.contains(&format!("127.0.0.1:{port}")),
                "the pack has no port {port}"
            );
            text = text.replace(&format!("127.0.0.1:{port}"), "127.0.0.1:0");
        }
        let loaded = match config::load_text("portcullis.yaml", &text, folder) {
            Ok(loaded) => loaded,
            Err(invalid) => panic!("the pack is not valid:\n{invalid}"),
        };
        let memory = Memory::default();
        let house = House::start(&loaded.config, loaded.rules, Box::new(memory.clone()))
            .await
            .expect("a house");
        let this = Self {
            issuer: LocalIssuer::start().await.expect("an issuer"),
            memory,
            config: loaded.config,
            sources: Sources::default(),
            text,
            house: Some(house),
            folder: None,
        };
        this.until_ready().await;
        this
    }

    /// The default configuration with an authority of its own: its store is gone with the house, its policies are these.
    pub(crate) async fn with_authority(policies: &str) -> Self {
        let folder = ScratchDir::new("authority").expect("a folder");
        let text = format!(
            "\nauthority:\n  issuer: http://127.0.0.1:9193\n  listen: 127.0.0.1:0\n  store: sqlite:{}\n  \
             keys: {{ encryption_key: {} }}\n",
            folder.path().join("portcullis.db").display(),
            "5a".repeat(32),
        );
        let sources = Sources {
            authority: vec![SourceFile {
                name: "authority.cedar".to_owned(),
                text: policies.to_owned(),
            }],
            ..stage::default_sources()
        };
        let mut this = Self::begin_with(KeyService::Keys, |config| config + &text, sources).await;
        this.folder = Some(folder);
        this.until_ready().await;
        this
    }

    /// The file with its store.
    pub(crate) fn store(&self) -> std::path::PathBuf {
        let folder = self.folder.as_ref().expect("an authority");
        folder.path().join("portcullis.db")
    }

    async fn begin(
        answer: KeyService,
        alter: impl FnOnce(String) -> String,
        policies: &[(&str, &str)],
    ) -> Self {
        let mut sources = stage::default_sources();
        sources.policies.extend(written(policies));
        Self::begin_with(answer, alter, sources).await
    }

    async fn begin_with(answer: KeyService, alter: impl FnOnce(String) -> String, sources: Sources) -> Self {
        let issuer = LocalIssuer::start().await.expect("an issuer");
        issuer.set_answer(answer);
        let text = alter(stage::config_text(&issuer));
        let loaded = match config::load_with_sources("test.yaml", &text, sources.clone()) {
            Ok(loaded) => loaded,
            Err(invalid) => panic!("the configuration of the test is not valid:\n{invalid}"),
        };
        let memory = Memory::default();
        let house = House::start(&loaded.config, loaded.rules, Box::new(memory.clone()))
            .await
            .expect("a house");
        Self {
            issuer,
            memory,
            config: loaded.config,
            sources,
            text,
            house: Some(house),
            folder: None,
        }
    }

    /// The names of the identity headers that the configuration declares.
    pub(crate) fn identity_headers(&self) -> Vec<String> {
        self.config.settings.identity_headers.keys().cloned().collect()
    }

    fn house(&self) -> &House {
        self.house.as_ref().expect("the house is stopped")
    }

    /// Where proxies ask.
    pub(crate) fn grpc(&self) -> SocketAddr {
        self.house().envoy_grpc()
    }

    /// Where proxies ask over HTTP: the first such listener.
    pub(crate) fn http(&self) -> SocketAddr {
        self.house().http()[0]
    }

    /// All such listeners, in the order of the configuration.
    pub(crate) fn all_http(&self) -> Vec<SocketAddr> {
        self.house().http()
    }

    /// Where clients of the authority ask.
    pub(crate) fn authority(&self) -> SocketAddr {
        self.house().authority().expect("an authority")
    }

    /// Where probes ask.
    pub(crate) fn admin(&self) -> SocketAddr {
        self.house().admin()
    }

    /// Stops the server; the issuer and the memory stay.
    pub(crate) async fn stop(&mut self) {
        if let Some(house) = self.house.take() {
            self.config.listen.envoy_grpc = house.envoy_grpc();
            for (listener, address) in self.config.listen.http.iter_mut().zip(house.http()) {
                listener.address = address;
            }
            self.config.admin = house.admin();
            house.stop().await;
        }
    }

    /// Starts it again, on the port it had.
    pub(crate) async fn restart(&mut self) {
        self.stop().await;
        let loaded =
            config::load_with_sources("test.yaml", &self.text, self.sources.clone()).expect("valid before");
        let mut config = loaded.config;
        config.listen = self.config.listen.clone();
        let rules = loaded.rules;
        self.house = Some(
            House::start(&config, rules, Box::new(self.memory.clone()))
                .await
                .expect("a house"),
        );
        self.until_ready().await;
    }

    /// The status of `/readyz?verbose` and its text.
    pub(crate) async fn readyz(&self) -> (u16, String) {
        let answer = http::send(self.admin(), "GET", "/readyz?verbose", &[], Bytes::new()).await;
        let answer = answer.expect("an answer");
        let text = String::from_utf8_lossy(answer.body()).into_owned();
        (answer.status().as_u16(), text)
    }

    /// Waits until `/readyz` says yes.
    pub(crate) async fn until_ready(&self) {
        until("the house is ready", async || {
            http::send(self.admin(), "GET", "/readyz", &[], Bytes::new())
                .await
                .is_ok_and(|answer| answer.status() == 200)
        })
        .await;
    }

    /// Asks over gRPC as Envoy would: a method, a target and headers, for `api.example.test`.
    pub(crate) async fn ask(&self, method: &str, target: &str, headers: &[(&str, &str)]) -> Answer {
        let question = Question {
            method: method.to_owned(),
            scheme: "https".to_owned(),
            host: "api.example.test".to_owned(),
            target: target.to_owned(),
            headers: headers
                .iter()
                .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
                .collect(),
        };
        ask::over_grpc(&self.grpc().to_string(), question)
            .await
            .expect("an answer, whatever the question")
    }

    /// What was recorded of a decision.
    pub(crate) fn record(&self, decision_id: &str) -> Value {
        self.memory
            .find(decision_id)
            .unwrap_or_else(|| panic!("no record of decision {decision_id:?}"))
    }

    /// What was recorded last.
    pub(crate) fn last_record(&self) -> Value {
        self.memory.last().expect("a record")
    }

    /// A real Envoy in front of an echo upstream, asking this house. `None`, and said so, where Envoy cannot be had.
    pub(crate) async fn envoy(&self, options: impl FnOnce(EnvoyOptions) -> EnvoyOptions) -> Option<Front> {
        Front::start(self.grpc(), options).await
    }
}

/// Puts these entries in the place of the default configuration's only issuer.
pub(crate) fn with_issuers(entries: String) -> impl FnOnce(String) -> String {
    move |text| {
        let start = text.find("issuers:\n").expect("a list of issuers");
        let length = text[start..].find("\n\n").expect("an empty line after it");
        let entries = entries.trim_matches('\n');
        format!(
            "{}issuers:\n{entries}\n{}",
            &text[..start],
            &text[start + length + 1..]
        )
    }
}

/// Envoy with an upstream behind it.
pub(crate) struct Front {
    pub(crate) envoy: Envoy,
    pub(crate) echo: Echo,
}

/// What the client got, and what the upstream saw.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) headers: ::http::HeaderMap,
    pub(crate) body: Bytes,
    /// `None` when the upstream was not reached.
    pub(crate) seen: Option<Seen>,
}

impl Front {
    /// A real Envoy that asks at this address. `None`, and said so, where Envoy cannot be had.
    pub(crate) async fn start(
        authz: SocketAddr,
        options: impl FnOnce(EnvoyOptions) -> EnvoyOptions,
    ) -> Option<Self> {
        let echo = Echo::start().await.expect("an upstream");
        let mut defaults = EnvoyOptions::new(echo.address(), authz);
        // On a busy machine a second may pass before a thread gets its turn.
        defaults.timeout = Duration::from_secs(10);
        match Envoy::start(&options(defaults)).await {
            Ok(envoy) => Some(Self { envoy, echo }),
            Err(EnvoyError::Tool(error)) => {
                skipped("envoy", &error.to_string());
                None
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// Sends a request through Envoy, byte for byte as given.
    pub(crate) async fn send(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Got {
        self.send_to("api.example.test", method, target, headers, body)
            .await
    }

    /// The same for another host.
    pub(crate) async fn send_to(
        &self,
        host: &str,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Got {
        let reached = self.echo.requests();
        let mut headers: Vec<(String, String)> = headers
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
            .collect();
        headers.push(("host".to_owned(), host.to_owned()));
        let answer = http::send(self.envoy.address(), method, target, &headers, body)
            .await
            .expect("an answer");
        let seen = (self.echo.requests() > reached)
            .then(|| serde_json::from_slice(answer.body()).expect("what the upstream saw"));
        Got {
            status: answer.status().as_u16(),
            headers: answer.headers().clone(),
            body: answer.body().clone(),
            seen,
        }
    }

    /// A GET with a bearer token.
    pub(crate) async fn get(&self, target: &str, token: &str) -> Got {
        self.send(
            "GET",
            target,
            &[("authorization", &format!("Bearer {token}"))],
            Bytes::new(),
        )
        .await
    }
}

impl Got {
    /// A response header as text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The values of a request header at the upstream.
    pub(crate) fn at_upstream(&self, name: &str) -> Vec<String> {
        let seen = self.seen.as_ref().expect("the upstream was not reached");
        seen.headers.get(name).cloned().unwrap_or_default()
    }
}

/// Waits for a condition, half a minute at most.
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    while !holds().await {
        assert!(
            std::time::Instant::now() < deadline,
            "after 30 s it is still not so that {what}"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Says that a test could not do its work; where everything must be there, that is a failure.
pub(crate) fn skipped(name: &str, why: &str) {
    use std::io::Write as _;
    assert!(
        std::env::var("TESTS_TOOLS").as_deref() != Ok("required"),
        "{name} is required here and cannot be had: {why}"
    );
    let line = format!("SKIPPED {name}: {}\n", why.lines().next().unwrap_or_default());
    let _ = std::io::stderr().write_all(line.as_bytes());
    if let Some(path) = std::env::var_os("TESTS_SKIPPED_FILE")
        && let Ok(mut file) = std::fs::OpenOptions::new().create(true).append(true).open(path)
    {
        let test = std::thread::current();
        let line = format!("{}\t{line}", test.name().unwrap_or("a test"));
        let _ = file.write_all(line.as_bytes());
    }
}

/// Files of these names and texts.
fn written(files: &[(&str, &str)]) -> Vec<SourceFile> {
    let file = |(name, text): &(&str, &str)| SourceFile {
        name: (*name).to_owned(),
        text: (*text).to_owned(),
    };
    files.iter().map(file).collect()
}
