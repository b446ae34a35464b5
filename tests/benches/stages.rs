//! Where the time of a warm check goes, stage by stage, and its allocations, without transport.
//!
//! `cargo bench -p tests --bench stages`. What a stage costs that cannot be run alone is the difference of two rows: the
//! record is `whole_and_record` less `whole`; resource, context and answer are `whole` less the rows above it.

use std::sync::Arc;
use std::time::SystemTime;

use decide::identity::{Identified, Identity};
use decide::{Pipeline, Record, Recorder, Settings};
use divan::{AllocProfiler, Bencher, black_box};
use futures_util::FutureExt as _;
use model::{Check, Decide, Decision, Denial, Headers, Malformed, Reason, Version};
use portcullis::ask::Question;
use portcullis::decision_log::{DecisionLog, DecisionLogSettings};
use portcullis::demo::issuer::LocalIssuer;
use portcullis::demo::{people, stage};
use tokio::runtime::Runtime;

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

const HOST: &str = "api.example.test";
const PATH: &str = "/workspaces/ws-alice/files/scenes/2026/11/scene-0001.tif";

/// An issuer whose keys are at hand, and where they were fetched.
struct Place {
    issuer: LocalIssuer,
    runtime: Runtime,
}

impl Place {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let issuer = runtime.block_on(LocalIssuer::start()).expect("an issuer");
        Self { issuer, runtime }
    }

    /// About 2 KB, with Alice's token.
    fn message(&self) -> Vec<u8> {
        let mut headers: Vec<(String, String)> = [
            (
                "accept",
                "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            ),
            ("accept-encoding", "gzip, deflate, br, zstd"),
            ("accept-language", "en-GB,en;q=0.7,de;q=0.3"),
            (
                "cookie",
                "theme=dark; session-hint=9f2c7a51d0b84e6e; region=eu-central",
            ),
            (
                "referer",
                "https://portal.example.test/workspaces/ws-alice/browse",
            ),
            ("sec-fetch-mode", "navigate"),
            (
                "user-agent",
                "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
            ),
            ("x-forwarded-for", "203.0.113.7"),
            ("x-forwarded-proto", "https"),
            ("x-request-id", "0b2d0f2e-5a53-4d0e-9f0a-3b7c1d1c7f52"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec();
        headers.push(("authorization".to_owned(), people::alice(&self.issuer).bearer()));
        Question {
            method: "GET".to_owned(),
            scheme: "https".to_owned(),
            host: HOST.to_owned(),
            target: PATH.to_owned(),
            headers,
        }
        .encode()
    }

    fn pipeline(&self, recorder: Box<dyn Recorder>) -> Arc<Pipeline> {
        let rules = stage::load(&self.issuer).expect("the default pack").rules;
        let handle = self.runtime.handle();
        let pipeline = Pipeline::start(rules, recorder, handle).expect("a pipeline");
        self.runtime.block_on(pipeline.live().first_key_fetches());
        Arc::new(pipeline)
    }

    fn identity(&self, cache_bytes: u64) -> Identity<()> {
        let loaded = stage::load(&self.issuer).expect("the default pack");
        let settings: Settings = loaded.config.settings;
        let handle = self.runtime.handle();
        let identity = Identity::new(&settings.identity, cache_bytes, handle, |_| ()).expect("an identity");
        self.runtime.block_on(identity.first_attempts());
        identity
    }
}

struct Nowhere;

impl Recorder for Nowhere {
    fn offer(&self, _: &Record<'_, '_>) {}
}

/// Says no at once: what is left is reading the question and writing an answer.
struct AtOnce;

impl AtOnce {
    fn no() -> Decision {
        let denial = Denial {
            status: 403,
            reason: Reason::NoPermit,
            caller: "you may not".into(),
            log: String::new(),
            challenge: None,
            redirect: None,
            headers: Arc::default(),
        };
        Decision::deny(denial, Vec::new(), Version("0123456789abcdef".into()))
    }
}

impl Decide for AtOnce {
    fn decide_now(&self, check: &Check<'_>) -> Option<Decision> {
        black_box(check);
        Some(Self::no())
    }

    async fn decide(&self, _: &Check<'_>) -> Decision {
        Self::no()
    }

    fn refuse(&self, _: &Malformed) -> Decision {
        Self::no()
    }
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
fn a_decode_and_reply(bencher: Bencher<'_, '_>) {
    let message = Place::new().message();
    bencher.bench_local(|| answer(&AtOnce, &message));
}

#[divan::bench]
fn b_identity(bencher: Bencher<'_, '_>) {
    identify(bencher, decide::identity::DEFAULT_CACHE_BYTES);
}

/// Verified anew each time: nothing is kept.
#[divan::bench]
fn b_identity_cold(bencher: Bencher<'_, '_>) {
    identify(bencher, 0);
}

fn identify(bencher: Bencher<'_, '_>, cache_bytes: u64) {
    let place = Place::new();
    let identity = place.identity(cache_bytes);
    let bearer = people::alice(&place.issuer).bearer();
    let mut headers = Headers::default();
    headers.push("authorization", bearer.as_bytes());
    bencher.bench_local(|| {
        let identified = identity.identify(&headers, None, SystemTime::now());
        assert!(matches!(identified, Identified::Verified(_, _)));
    });
}

/// Finding the route; the entity of the resource is made from it.
#[divan::bench]
fn c_route(bencher: Bencher<'_, '_>) {
    let place = Place::new();
    let rules = stage::load(&place.issuer).expect("the default pack").rules;
    bencher.bench_local(|| {
        let found = rules.routes().find(HOST, black_box(PATH), "GET");
        assert!(matches!(found, decide::routes::Found::Route(..)));
    });
}

#[divan::bench]
fn d_whole(bencher: Bencher<'_, '_>) {
    let place = Place::new();
    let (pipeline, message) = (place.pipeline(Box::new(Nowhere)), place.message());
    bencher.bench_local(|| answer(&*pipeline, &message));
}

#[divan::bench]
fn e_whole_and_record(bencher: Bencher<'_, '_>) {
    let place = Place::new();
    let settings = DecisionLogSettings::file("/dev/null".into());
    let (log, _writer) = DecisionLog::start(&settings).expect("a log");
    let (pipeline, message) = (place.pipeline(Box::new(log)), place.message());
    bencher.bench_local(|| answer(&*pipeline, &message));
}
