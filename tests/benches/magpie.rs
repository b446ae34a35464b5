//! What it costs to ask Magpie's permissions, with few resources and users and with many.
//!
//! `cargo bench -p tests --bench magpie`. From the bytes of a request to those of the answer, for a known user in ten groups,
//! four segments deep.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::SystemTime;

use decide::{Pipeline, Record, Recorder};
use divan::{AllocProfiler, Bencher};
use futures_util::FutureExt as _;
use model::{Check, Decide, Decision, Malformed, Principal, PrincipalKind};
use portcullis::ask::Question;
use portcullis::config;
use portcullis::demo::scratch::ScratchDir;

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

/// Resources and users.
const COUNTS: [(usize, usize); 3] = [(100, 10), (10_000, 1_000), (100_000, 10_000)];

/// Answers as if somebody had asked.
struct For {
    pipeline: Pipeline,
    principal: Principal,
}

struct Nowhere;

impl Recorder for Nowhere {
    fn offer(&self, _: &Record<'_, '_>) {}
}

impl Decide for For {
    fn decide_now(&self, check: &Check<'_>) -> Option<Decision> {
        Some(self.pipeline.decide_as(check, &self.principal, SystemTime::now()))
    }

    async fn decide(&self, check: &Check<'_>) -> Decision {
        self.pipeline.decide_as(check, &self.principal, SystemTime::now())
    }

    fn refuse(&self, malformed: &Malformed) -> Decision {
        self.pipeline.refuse(malformed)
    }
}

/// The pack with a tree of this size instead of its own.
fn asked(resources: usize, users: usize) -> For {
    let pack = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies/magpie");
    let here = ScratchDir::new("bench-magpie").expect("a folder");
    for name in ["portcullis.yaml", "schema.cedarschema", "magpie.cedar"] {
        fs::copy(pack.join(name), here.path().join(name)).expect("a copy");
    }
    let mut permissions = String::from("users:\n");
    for user in 0..users {
        let groups: Vec<String> = (0..10)
            .map(|group| format!("g{}", (user + group) % 100))
            .collect();
        let _ = writeln!(
            permissions,
            "  - {{ username: u{user}, group: [{}] }}",
            groups.join(", ")
        );
    }
    permissions.push_str("permissions:\n");
    for resource in 0..resources {
        let (outer, inner) = (resource / 100, resource % 100);
        let _ = writeln!(
            permissions,
            "  - {{ service: api, resource: /a/b{outer}/c{inner}, permission: read, group: g{inner} }}"
        );
    }
    let write = |name: &str, text: &str| fs::write(here.path().join(name), text).expect("a file");
    write("providers.cfg", "providers: { api: { type: api } }");
    write("permissions.cfg", &permissions);
    let loaded = config::load(&here.path().join("portcullis.yaml")).expect("a configuration");
    For {
        pipeline: Pipeline::offline(loaded.rules, Box::new(Nowhere)),
        principal: Principal {
            name: Some("u5".to_owned()),
            ..Principal::new(PrincipalKind::User, "main", "5")
        },
    }
}

fn bench(bencher: Bencher<'_, '_>, (resources, users): (usize, usize), target: &str) {
    let asked = asked(resources, users);
    let question = Question {
        method: "GET".to_owned(),
        scheme: "https".to_owned(),
        host: "birdhouse.example.org".to_owned(),
        target: target.to_owned(),
        headers: Vec::new(),
    };
    let message = question.encode();
    bencher.bench(|| {
        contracts::envoy::answer(
            &asked,
            &message,
            contracts::envoy::Call::default(),
            model::ListenerOptions::default(),
        )
        .now_or_never()
        .expect("nothing is waited for")
    });
}

#[divan::bench(args = COUNTS)]
fn allowed(bencher: Bencher<'_, '_>, count: (usize, usize)) {
    bench(bencher, count, "/ows/proxy/api/a/b0/c7/d");
}

#[divan::bench(args = COUNTS)]
fn denied(bencher: Bencher<'_, '_>, count: (usize, usize)) {
    bench(bencher, count, "/ows/proxy/api/a/b0/c77/d");
}
