//! Candidate policies beside those in force: what is compared with what, and what is not kept for it.

use serde_json::{Value, json};

use super::tokens::{bearer, issuer};
use super::*;
use crate::pipeline::shadow::LARGEST_BODY;
use crate::shadow::{Candidate, Sample};

const NOTHING: &str = "";

/// Rules beside which a candidate with other policies is asked.
fn beside(policies: &str, candidate: &str, settings: &Value) -> Rules {
    let rules = |policies| super::rules(policies, serde_json::from_value(settings.clone()).unwrap());
    rules(policies).with_candidate(Candidate {
        rules: Arc::new(rules(candidate)),
        sample: Sample(1.0),
    })
}

impl Stage {
    fn report(&self) -> ShadowReport {
        self.pipeline.shadow_report().expect("a candidate")
    }

    /// The report, once it is about `compared` decisions.
    fn compared(&self, compared: u64) -> ShadowReport {
        loop {
            let report = self.report();
            assert!(report.compared <= compared, "{report:?}");
            if report.compared == compared {
                return report;
            }
            std::thread::yield_now();
        }
    }

    /// Posts `body` by the rules of `live`.
    fn post(&self, live: &Arc<Live>, body: Body<'_>) {
        let (path, query) = RequestPath::parse_target(b"/pages/one", Decoding::Raw).unwrap();
        let check = Check {
            contract: Contract::EnvoyGrpc,
            target: Target::Http(HttpRequest {
                method: "POST",
                scheme: "https",
                host: Host::parse("api.example.test").unwrap(),
                path,
                query,
                headers: Headers::default(),
                body,
            }),
            peer: Peer::default(),
            context_extensions: Pairs::new(),
            metadata: &NoMetadata,
            timeout: None,
            traceparent: None,
            listener: model::ListenerOptions::default(),
        };
        let asking = Asking::by_credentials(Waited::No);
        let walked = self.pipeline.walk(live, &check, &asking, Instant::now());
        assert!(walked.is_ok(), "no key is needed");
    }
}

#[test]
fn samples_are_even() {
    for (share, expected) in [(0.0, 0), (0.01, 10), (0.25, 250), (0.5, 500), (1.0, 1000)] {
        let stage = stage(NOTHING, Settings::default());
        let shadows = &stage.pipeline.shadows;
        let sampled = (0..1000).filter(|_| shadows.is_sampled(Sample(share))).count();
        assert_eq!(sampled, expected, "{share}");
    }
}

#[test]
fn what_would_take_too_much_is_dropped_and_counted() {
    let large = vec![b' '; LARGEST_BODY + 1];
    let whole = Body::Whole(&large);
    let least = Body::Whole(large.split_last().unwrap().1);
    let shown = json!({"expose": {"body": ["name"]}});
    let hidden = json!({});
    for (name, settings, body, full, dropped) in [
        ("no body", &shown, Body::Absent, false, false),
        ("the largest body", &shown, least, false, false),
        ("a larger one", &shown, whole, false, true),
        (
            "a larger one, cut off",
            &shown,
            Body::Truncated(&large),
            false,
            true,
        ),
        ("a larger one that nobody looks at", &hidden, whole, false, false),
        ("no room", &hidden, Body::Absent, true, true),
    ] {
        let stage = start(beside(PERMIT_ALL, NOTHING, settings));
        let room = Arc::clone(&stage.pipeline.shadows.room);
        let all = room.available_permits();
        let taken = full.then(|| room.try_acquire_many(u32::try_from(all).unwrap()).unwrap());
        stage.post(&stage.pipeline.live(), body);
        let report = stage.compared(u64::from(!dropped));
        assert_eq!(report.dropped, u64::from(dropped), "{name}");
        assert_eq!(report.newly_denied, report.compared, "{name}");
        drop(taken);
        // What was taken is given back.
        while room.available_permits() < all {
            std::thread::yield_now();
        }
    }
}

/// A request with a token is none for the candidate either, although the token is not kept.
#[test]
fn a_request_with_a_token_is_no_preflight() {
    let settings = json!({
        "issuers": [issuer()], "cors_preflight": "allow",
        "routes": [{"path": "/all/{page}", "methods": ["GET", "OPTIONS"],
            "resource": {"type": "Page", "id": "{page}", "attributes": {"name": "{page}"}}}],
    });
    let policies = format!("{PERMIT_ALL} forbid(principal, action == Action::\"OPTIONS\", resource);");
    let stage = start(beside(&policies, &policies, &settings));
    let token = bearer(&json!({"client_id": "portal"}));
    let preflight = [
        ("origin", "https://a.test"),
        ("access-control-request-method", "GET"),
    ];
    for (compared, more, status) in [(1, Some(("authorization", &*token)), 403), (2, None, 200)] {
        let headers: Vec<_> = preflight.into_iter().chain(more).collect();
        assert_eq!(told(&stage.ask("OPTIONS", "/all/one", &headers)).0, status);
        let report = stage.compared(compared);
        assert!(report.differences.is_empty(), "{report:?}");
    }
}

/// Decisions by the rules before may still come or wait; they neither count nor end the count.
#[test]
fn only_the_rules_in_force_are_compared() {
    let stage = start(beside(PERMIT_ALL, PERMIT_ALL, &json!({})));
    let before = stage.pipeline.live();
    stage.post(&before, Body::Absent);
    stage.compared(1);
    let next = Arc::new(beside(PERMIT_ALL, NOTHING, &json!({})));
    let version = next.candidate.as_ref().unwrap().rules.version().0.clone();
    let replaced = stage.runtime.block_on(stage.pipeline.replace(next)).unwrap();
    assert_eq!(stage.report().compared, 0);
    for now in 1..=3 {
        stage.post(&before, Body::Absent);
        stage.post(&stage.pipeline.live(), Body::Absent);
        let report = stage.compared(now);
        assert_eq!(
            (report.newly_denied, &*report.candidate_version),
            (now, &*version)
        );
    }
    drop(replaced);
}
