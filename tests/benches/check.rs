//! What a check costs once its token is known: time and allocations, without transport.
//!
//! `cargo bench -p tests`. Times on a shared machine are noise; compare within one run, and count the allocations.

use std::sync::Arc;

use decide::policy::{SourceFile, Sources};
use decide::{Pipeline, Record, Recorder, Rules, Settings};
use divan::{AllocProfiler, Bencher};
use futures_util::FutureExt as _;
use model::Decide;
use portcullis::ask::Question;
use portcullis::demo::issuer::LocalIssuer;
use portcullis::demo::{people, stage};
use tokio::runtime::Runtime;

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

/// A pipeline with the default policies and the keys of an issuer, and a token of it.
struct Warm {
    pipeline: Arc<Pipeline>,
    token: String,
    _issuer: LocalIssuer,
    _runtime: Runtime,
}

struct Nowhere;

impl Recorder for Nowhere {
    fn offer(&self, _: &Record<'_, '_>) {}
}

impl Warm {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let (issuer, pipeline) = runtime.block_on(async {
            let issuer = LocalIssuer::start().await.expect("an issuer");
            let rules = stage::load(&issuer)
                .expect("the default configuration is valid")
                .rules;
            let pipeline = Pipeline::start(rules, Box::new(Nowhere), runtime.handle()).expect("a pipeline");
            pipeline.live().first_key_fetches().await;
            (issuer, pipeline)
        });
        Self {
            pipeline: Arc::new(pipeline),
            token: people::alice(&issuer).token,
            _issuer: issuer,
            _runtime: runtime,
        }
    }

    /// The `CheckRequest` of a browser-like request, about 2 KB.
    fn message(&self, method: &str, target: &str, token: Option<&str>) -> Vec<u8> {
        let mut headers: Vec<(String, String)> = [
            (
                "accept",
                "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            ),
            ("accept-encoding", "gzip, deflate, br"),
            ("accept-language", "en-GB,en;q=0.5"),
            ("cache-control", "no-cache"),
            ("referer", "https://portal.example.test/workspaces"),
            ("sec-fetch-dest", "document"),
            ("sec-fetch-mode", "navigate"),
            (
                "user-agent",
                "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
            ),
            ("x-forwarded-for", "203.0.113.7"),
            ("x-forwarded-proto", "https"),
            ("x-request-id", "0b2d0f2e-5a53-4d0e-9f0a-3b7c1d1c7f52"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec();
        headers.extend(token.map(|token| ("authorization".to_owned(), format!("Bearer {token}"))));
        Question {
            method: method.to_owned(),
            scheme: "https".to_owned(),
            host: "api.example.test".to_owned(),
            target: target.to_owned(),
            headers,
        }
        .encode()
    }
}

/// From the bytes of a request to the bytes of the answer.
fn bench(bencher: Bencher<'_, '_>, method: &str, target: &str, credential: Credential) {
    let warm = Warm::new();
    let token = match credential {
        Credential::Alice => Some(warm.token.as_str()),
        Credential::None => None,
    };
    let message = warm.message(method, target, token);
    bencher.bench(|| answer(&*warm.pipeline, &message));
}

enum Credential {
    Alice,
    None,
}

fn answer(decide: &impl Decide, message: &[u8]) -> Vec<u8> {
    contracts::envoy::answer(
        decide,
        message,
        contracts::envoy::Call::default(),
        model::ListenerOptions::default(),
    )
    .now_or_never()
    .expect("the token is known")
}

#[divan::bench]
fn allowed(bencher: Bencher<'_, '_>) {
    bench(
        bencher,
        "GET",
        "/workspaces/ws-alice/files/scene.tif",
        Credential::Alice,
    );
}

#[divan::bench]
fn denied(bencher: Bencher<'_, '_>) {
    bench(bencher, "GET", "/workspaces/ws-bob", Credential::Alice);
}

#[divan::bench]
fn anonymous(bencher: Bencher<'_, '_>) {
    bench(bencher, "GET", "/public/hello", Credential::None);
}

#[divan::bench]
fn refused_path(bencher: Bencher<'_, '_>) {
    bench(bencher, "GET", "/public/../workspaces", Credential::None);
}

/// The lookup of a route among many, through the table of a loaded configuration.
#[divan::bench(args = [10, 1_000, 10_000])]
fn route(bencher: Bencher<'_, '_>, count: usize) {
    let routes: Vec<serde_json::Value> = (0..count)
        .map(|i| {
            serde_json::json!({
                "path": format!("/platform/p{i}/{{page}}/{{rest..}}"), "methods": ["GET"],
                "resource": {"type": "PublicPage"},
            })
        })
        .collect();
    let settings: Settings =
        serde_json::from_value(serde_json::json!({ "routes": routes })).expect("settings");
    let default = stage::default_sources();
    let sources = Sources {
        policies: vec![SourceFile {
            name: "none".to_owned(),
            text: String::new(),
        }],
        ..default
    };
    let (rules, _) = Rules::compile(&settings, &sources).expect("rules");
    let path = format!("/platform/p{}/a/b/c", count / 2);
    bencher.bench(|| {
        let found = rules
            .routes()
            .find("api.example.test", divan::black_box(&path), "GET");
        assert!(matches!(found, decide::routes::Found::Route(..)));
    });
}
