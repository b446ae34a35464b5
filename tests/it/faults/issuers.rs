//! One server, and many issuers of which each goes wrong in a way of its own: first from the start, then after all was well.
//!
//! Every broken answer has the key of a stranger in it wherever there is room for one, so that believing any of it would show.

use std::sync::Arc;

use futures_util::future::join_all;
use portcullis::demo::issuer::Answer as KeyService;
use portcullis::demo::keys::{KeyKind, SigningKey};
use portcullis::demo::people;
use serde_json::json;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::version::{TLS12, TLS13};

use super::catalogue;
use super::origin::{DISCOVERY, JWKS, Origin, Way, key_set, ok, status, with};
use crate::house::{TestHouse, until};
use crate::tls::papers::{Authority, Paper};

/// What an answer can be made of.
struct Stage {
    /// Published when all is well.
    good: SigningKey,
    /// Published later, in addition.
    next: SigningKey,
    /// Of somebody who must never be believed.
    stranger: SigningKey,
    /// Where nothing must ever be asked for.
    elsewhere: Origin,
}

/// A fault: its name in the catalogue, which document it is about, what is answered, and what is told of it.
type Row = (&'static str, &'static str, Way, &'static str);

impl Stage {
    async fn new() -> Self {
        let key = |name: &str| SigningKey::generate(KeyKind::Es256, name).expect("a key");
        let this = Self {
            good: key("good"),
            next: key("next"),
            stranger: key("stranger"),
            elsewhere: Origin::start().await,
        };
        this.elsewhere.set(JWKS, ok(key_set(&[&this.stranger])));
        this
    }

    fn rows(&self) -> Vec<Row> {
        let both = key_set(&[&self.good, &self.stranger]);
        let to = |place: &str| status(302, &format!("location: {place}\r\n"), &both);
        let elsewhere = self.elsewhere.url();
        let away = |path: &str| to(&format!("{elsewhere}{path}"));
        let html = format!("<html><script>{both}</script></html>");
        let cut = format!(
            "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{both}",
            both.len() + 1
        );
        let many: Vec<_> = (0..10_000)
            .map(|number| json!({ "kty": "OKP", "kid": number.to_string() }))
            .chain([self.stranger.jwk()])
            .collect();
        let mut leaked = self.stranger.jwk();
        leaked["d"] = "AAAA".into();
        let discovery = |issuer: &str| {
            // The same host, and another port.
            let jwks_uri = format!("{elsewhere}{JWKS}");
            ok(json!({ "issuer": issuer, "jwks_uri": jwks_uri }).to_string())
        };
        // 1 MiB of zeros in a kilobyte would be the real one; it is not even opened.
        let packed = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3, 0x4B, 4, 0];
        let gzip = "content-type: application/json\r\ncontent-encoding: gzip\r\n";
        let key_twice = format!("{{\"keys\":[],\"keys\":{}}}", json!([self.stranger.jwk()]));
        vec![
            ("jwks-500", JWKS, status(500, "", &both), "answered 500"),
            ("jwks-500", JWKS, status(503, "", &both), "answered 503"),
            ("jwks-500", DISCOVERY, status(502, "", &both), "answered 502"),
            ("jwks-404", JWKS, status(404, "", &both), "answered 404"),
            ("jwks-404", JWKS, status(410, "", &both), "answered 410"),
            ("jwks-html", JWKS, ok(&html), "not strict JSON"),
            (
                "jwks-html",
                DISCOVERY,
                ok(&html),
                "discovery document is not usable",
            ),
            ("jwks-html", JWKS, ok(key_twice), "occurs twice"),
            ("jwks-truncated", JWKS, Way::Bytes(cut.into_bytes()), "/jwks: "),
            (
                "jwks-truncated",
                JWKS,
                ok(&both[..both.len() - 1]),
                "not strict JSON",
            ),
            ("jwks-truncated", JWKS, Way::Reset, "/jwks: "),
            ("jwks-down-later", JWKS, Way::Nothing, "/jwks: "),
            (
                "jwks-empty-keys",
                JWKS,
                ok("{\"keys\":[]}"),
                "no key that can be used",
            ),
            ("jwks-slow-headers", JWKS, Way::Silence, ""),
            ("jwks-slow-headers", DISCOVERY, Way::Silence, ""),
            ("jwks-slow-body", JWKS, Way::Trickle, ""),
            ("jwks-huge", JWKS, Way::Endless, "more than 1048576 bytes"),
            ("jwks-huge", DISCOVERY, Way::Endless, "more than 262144 bytes"),
            (
                "jwks-gzip-bomb",
                JWKS,
                with("HTTP/1.1 200 OK", gzip, packed),
                "not strict JSON",
            ),
            (
                "jwks-10k-keys",
                JWKS,
                ok(json!({ "keys": many }).to_string()),
                "10001 keys",
            ),
            ("jwks-redirect-other-host", JWKS, away(JWKS), "answered 302"),
            (
                "jwks-redirect-other-host",
                DISCOVERY,
                away(DISCOVERY),
                "answered 302",
            ),
            ("jwks-redirect-loop", JWKS, to(JWKS), "answered 302"),
            (
                "jwks-redirect-metadata",
                JWKS,
                to("http://169.254.169.254/latest/meta-data"),
                "answered 302",
            ),
            (
                "jwks-redirect-file",
                JWKS,
                to("file:///etc/passwd"),
                "answered 302",
            ),
            (
                "jwks-discovery-mismatch",
                DISCOVERY,
                discovery("https://other.test"),
                "of issuer \"https://other.test\"",
            ),
            (
                "jwks-discovery-jwks-uri",
                DISCOVERY,
                // The name is right: it is filled in where the row is tried.
                discovery("SELF"),
                "points to keys at",
            ),
        ]
    }
}

/// One issuer with its fault.
struct Trial<'s> {
    stage: &'s Stage,
    house: &'s TestHouse,
    origin: Origin,
    name: String,
    row: Row,
}

impl Trial<'_> {
    /// True if a token by this key, which nobody has seen before, is good enough for a page that everybody may see.
    async fn accepts(&self, key: &SigningKey) -> bool {
        let mut claims = people::alice_claims();
        claims["iss"] = self.origin.url().into();
        let token = key.sign(&key.header(), &self.house.issuer.complete(claims));
        let headers = [("authorization", format!("Bearer {token}"))];
        let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
        self.house.ask("GET", "/public/hello", &headers).await.allowed
    }

    fn mend(&self, keys: &[&SigningKey]) {
        let url = self.origin.url();
        self.origin.discovery(&url, &format!("{url}{JWKS}"));
        self.origin.set(JWKS, ok(key_set(keys)));
    }

    fn spoil(&self) {
        let (_, path, way, _) = &self.row;
        let way = match way.clone() {
            Way::Bytes(bytes) => {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                match text.split_once("\r\n\r\n") {
                    Some((_, body)) if text.contains("\"SELF\"") => {
                        ok(body.replace("SELF", &self.origin.url()))
                    }
                    _ => Way::Bytes(bytes),
                }
            }
            way => way,
        };
        self.origin.set(path, way);
    }

    /// Waits until the fault has been met and told.
    async fn until_told(&self) {
        let (id, _, _, says) = &self.row;
        let line = format!("issuer {}: ", self.name);
        until(&format!("{id} is told"), async || {
            assert!(
                !self.accepts(&self.stage.next).await,
                "{id}: a key that nobody published"
            );
            assert!(
                !self.accepts(&self.stage.stranger).await,
                "{id}: a stranger is believed"
            );
            let text = self.house.readyz().await.1;
            let told = text.lines().find(|told| told.contains(&line)).unwrap_or_default();
            let failure = told.split_once("last fetch failed: ");
            failure.is_some_and(|(_, why)| why.contains(says))
        })
        .await;
    }

    async fn run(self) {
        let (id, ..) = self.row;
        let Stage {
            good, next, stranger, ..
        } = self.stage;
        // From the start.
        self.until_told().await;
        assert!(!self.accepts(good).await, "{id}: keys out of nowhere");
        self.mend(&[good]);
        until(&format!("{id} heals"), async || self.accepts(good).await).await;
        // After all was well: what was known stays known.
        self.spoil();
        self.until_told().await;
        for _ in 0..3 {
            assert!(self.accepts(good).await, "{id}: the last good keys are gone");
            assert!(!self.accepts(stranger).await, "{id}: a stranger is believed");
        }
        self.mend(&[good, next]);
        until(&format!("{id} heals again"), async || self.accepts(next).await).await;
        assert!(!self.accepts(stranger).await, "{id}: a stranger is believed");
        let sent = self.origin.most_sent();
        assert!(sent < 32 << 20, "{id}: {sent} bytes were taken");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_fault_of_an_issuer_takes_its_keys_away_or_brings_others() {
    let stage = Stage::new().await;
    let mut entries = String::new();
    let mut trials = Vec::new();
    for (number, row) in stage.rows().into_iter().enumerate() {
        catalogue::known(row.0);
        let (origin, name) = (Origin::start().await, format!("fault-{number}"));
        entries += &format!(
            "  - name: {name}\n    issuer: {}\n    audiences: [workspace-api]\n    \
             min_refresh_interval_seconds: 1\n",
            origin.url()
        );
        trials.push((origin, name, row));
    }
    // Each is broken before the server asks for the first time.
    let house = TestHouse::without_keys(KeyService::Keys, |text| {
        for (origin, _, row) in &trials {
            origin.set(JWKS, Way::Nothing);
            origin.set(row.1, row.2.clone());
        }
        text.replacen("issuers:\n", &format!("issuers:\n{entries}"), 1)
    })
    .await;
    let trials: Vec<Trial<'_>> = trials
        .into_iter()
        .map(|(origin, name, row)| Trial {
            stage: &stage,
            house: &house,
            origin,
            name,
            row,
        })
        .collect();
    trials.iter().for_each(Trial::spoil);
    let (status, text) = house.readyz().await;
    assert_eq!(status, 503, "{text}");
    // Others are not concerned.
    let alice = people::alice(&house.issuer).bearer();
    until("the issuer without a fault is asked", async || {
        house
            .ask("GET", "/workspaces/ws-alice", &[("authorization", &alice)])
            .await
            .allowed
    })
    .await;
    join_all(trials.into_iter().map(Trial::run)).await;
    house.until_ready().await;
    assert_eq!(stage.elsewhere.requests(), 0, "somebody else was asked");
}

fn server(paper: &Paper) -> ServerConfig {
    let key = PrivateKeyDer::from_pem_slice(paper.key.as_bytes()).expect("PEM");
    ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![paper.der()], key)
        .expect("they fit")
}

/// Whoever could pass for the issuer's server could give any keys.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_of_nobody_we_know_brings_no_keys() {
    catalogue::known("jwks-bad-cert");
    let stranger = SigningKey::generate(KeyKind::Es256, "stranger").expect("a key");
    let paper = Authority::new().paper(&["localhost"]);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let url = format!(
        "https://localhost:{}",
        listener.local_addr().expect("an address").port()
    );
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(server(&paper)));
    let server = tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            assert!(acceptor.accept(connection).await.is_err(), "it went on to ask");
        }
    });
    let entry = format!(
        "issuers:\n  - name: nobody\n    issuer: {url}\n    audiences: [workspace-api]\n    \
         min_refresh_interval_seconds: 1\n"
    );
    let house =
        TestHouse::without_keys(KeyService::Keys, |text| text.replacen("issuers:\n", &entry, 1)).await;
    until("it is told", async || {
        let text = house.readyz().await.1.to_lowercase();
        assert!(!server.is_finished(), "it went on to ask");
        text.lines()
            .any(|line| line.contains("issuer nobody: ") && line.contains("certificate"))
    })
    .await;
    let mut claims = people::alice_claims();
    claims["iss"] = url.into();
    let token = stranger.sign(&stranger.header(), &house.issuer.complete(claims));
    let answer = house
        .ask(
            "GET",
            "/public/hello",
            &[("authorization", &format!("Bearer {token}"))],
        )
        .await;
    assert_eq!(
        (answer.allowed, answer.reason.as_str()),
        (false, "keys_unavailable")
    );
    assert_eq!(house.readyz().await.0, 503);
}
