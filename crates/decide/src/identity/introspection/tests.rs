//! Questions over the network: against a small HTTP server in this process.

use std::time::SystemTime;

use serde_json::json;

use self::server::{Server, ok, status};
use super::exchange::{MAX_BYTES, form_encoded};
use super::*;
use crate::identity::claims::{Claims, Registered, fault, unix_seconds};
use crate::identity::keys::tests::runtime;
use crate::identity::refusal::Refused;

mod people;
mod rows;
mod server;

const SECRET: &str = "s3cret:/ +&=ü";

fn settings(url: &str, changes: Value) -> IntrospectionSettings {
    let mut settings = json!({
        "name": "main", "url": url, "client_id": "portcullis", "client_secret": SECRET, "audiences": ["ours"],
    });
    for (name, value) in changes.as_object().unwrap() {
        settings[name] = value.clone();
    }
    serde_json::from_value(settings).unwrap()
}

fn introspector(server: &Server, changes: Value) -> Introspector {
    let settings = settings(&server.url(), changes);
    assert_eq!(validate(std::slice::from_ref(&settings)), []);
    Introspector::start(&settings, runtime().handle())
}

fn ask(introspector: &Introspector, token: &str) -> Asked {
    introspector.ask(token, Digest::of(token))
}

fn pending(introspector: &Introspector, token: &str) -> AnswerWanted {
    match ask(introspector, token) {
        Asked::Pending(wanted) => wanted,
        asked => panic!("{token}: {asked:?}"),
    }
}

fn known(introspector: &Introspector, token: &str) -> Outcome {
    match ask(introspector, token) {
        Asked::Known(outcome) => (*outcome).clone(),
        asked => panic!("{token}: {asked:?}"),
    }
}

/// Asks about a new token, waits, and asks again.
async fn ask_and_wait(introspector: &Introspector, token: &str) -> Outcome {
    pending(introspector, token).wait().await;
    known(introspector, token)
}

/// Waits until no question is under way.
async fn idle(introspector: &Introspector) {
    while !introspector.shared.questions().under_way.is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn seconds_from_now(seconds: f64) -> f64 {
    unix_seconds(SystemTime::now()) + seconds
}

fn active(exp: f64) -> Vec<u8> {
    ok(json!({"active": true, "sub": "u-1", "aud": "ours", "exp": exp}).to_string())
}

#[track_caller]
fn assert_active(outcome: &Outcome) {
    assert!(matches!(outcome, Outcome::Active { .. }), "{outcome:?}");
}

fn run(test: impl Future<Output = ()>) {
    runtime().block_on(async {
        tokio::time::timeout(Duration::from_secs(30), test)
            .await
            .expect("the test hangs")
    });
}

#[test]
fn a_hundred_who_ask_about_one_token_cost_one_request() {
    run(async {
        let server = Server::new().await;
        server.answer("t", active(seconds_from_now(300.0)));
        let introspector = introspector(&server, json!({}));
        server.close_gate();
        let waiting: Vec<_> = (0..100).map(|_| pending(&introspector, "t").wait()).collect();
        server.open_gate();
        for wait in waiting {
            wait.await;
        }
        assert_active(&known(&introspector, "t"));
        assert_eq!(server.requests().len(), 1);
        // What is not active is not asked about again at once either.
        assert_eq!(ask_and_wait(&introspector, "other").await, Outcome::Inactive);
        assert_eq!(known(&introspector, "other"), Outcome::Inactive);
        assert_eq!(server.requests().len(), 2);
    });
}

#[test]
fn many_unknown_tokens_neither_flood_the_endpoint_nor_push_out_good_answers() {
    run(async {
        let server = Server::new().await;
        let introspector = introspector(&server, json!({"max_in_flight": 8}));
        let good: Vec<String> = (0..50).map(|n| format!("good-{n}")).collect();
        for token in &good {
            server.answer(token, active(seconds_from_now(300.0)));
            assert_active(&ask_and_wait(&introspector, token).await);
        }
        let mut begun = good.len();
        for n in 0..10_000 {
            match ask(&introspector, &format!("junk-{n}")) {
                Asked::Pending(_) => begun += 1,
                // Some of those without a place wait, so that questions end and others begin.
                Asked::Busy(Busy::Full) if n % 64 == 0 => idle(&introspector).await,
                Asked::Busy(Busy::Full) => {}
                asked => panic!("{asked:?}"),
            }
        }
        // Of 64 one begins, or one waits and six begin; not all can have had a place.
        assert!((150..10_000).contains(&begun), "{begun}");
        idle(&introspector).await;
        assert_eq!(server.requests().len(), begun);
        assert!(server.most_at_a_time() <= 6);
        for token in &good {
            assert_active(&known(&introspector, token));
        }
        let asked = server.requests();
        let asked = asked.iter().filter(|request| request.contains("good-"));
        assert_eq!(asked.count(), good.len());
        // Nobody else gets in while the places are taken.
        idle(&introspector).await;
        server.close_gate();
        let taken = fill(&introspector, "more");
        assert_eq!(taken.len(), 6);
        server.wait_for(6).await;
        assert!(matches!(ask(&introspector, "honest"), Asked::Busy(Busy::Full)));
        assert_active(&known(&introspector, "good-0"));
        server.open_gate();
        for wanted in taken {
            wanted.wait().await;
        }
        assert_eq!(ask_and_wait(&introspector, "honest").await, Outcome::Inactive);
        assert_eq!(server.most_at_a_time(), 6);
    });
}

/// Asks about tokens that nobody knows for as long as there are places.
fn fill(introspector: &Introspector, name: &str) -> Vec<AnswerWanted> {
    let mut taken = Vec::new();
    while let Asked::Pending(wanted) = ask(introspector, &format!("{name}-{}", taken.len())) {
        taken.push(wanted);
    }
    taken
}

/// Once their answers are too old they are asked about again, however much junk is.
#[test]
fn tokens_that_were_good_a_while_ago_have_places_of_their_own() {
    run(async {
        for (in_all, for_unknown) in [(1, 1), (2, 1), (3, 2), (4, 3), (5, 3), (8, 6), (32, 24)] {
            let server = Server::new().await;
            let introspector = introspector(&server, json!({"max_in_flight": in_all, "cache_seconds": 1}));
            let good: Vec<String> = (0..in_all).map(|n| format!("good-{n}")).collect();
            for token in good.iter().map(String::as_str).chain(["revoked"]) {
                server.answer(token, active(seconds_from_now(300.0)));
                assert_active(&ask_and_wait(&introspector, token).await);
            }
            tokio::time::sleep(Duration::from_millis(1050)).await;
            server.answer("revoked", ok(r#"{"active":false}"#));
            assert_eq!(ask_and_wait(&introspector, "revoked").await, Outcome::Inactive);
            idle(&introspector).await;
            server.close_gate();
            let junk = fill(&introspector, "junk");
            assert_eq!(junk.len(), for_unknown, "{in_all}");
            let waiting: Vec<_> = good
                .iter()
                .map_while(|token| match ask(&introspector, token) {
                    Asked::Pending(wanted) => Some(wanted),
                    _ => None,
                })
                .collect();
            assert_eq!(waiting.len(), in_all - for_unknown, "{in_all}");
            server.open_gate();
            for wanted in junk.into_iter().chain(waiting) {
                wanted.wait().await;
            }
            idle(&introspector).await;
            // The places are given back, and those who come back may have all of them.
            server.close_gate();
            let waiting = good.iter().skip(in_all - for_unknown);
            let waiting: Vec<_> = waiting.map(|token| pending(&introspector, token)).collect();
            assert_eq!(fill(&introspector, "again").len(), in_all - waiting.len());
            server.open_gate();
        }
    });
}

/// One token that the endpoint stumbles over keeps nobody from being asked about; an endpoint that is down shows with
/// several.
#[test]
fn a_token_that_the_endpoint_stumbles_over_is_no_reason_to_leave_it_alone() {
    run(async {
        for raw in [status(500, ""), status(503, ""), status(429, "")] {
            let server = Server::new().await;
            let introspector = introspector(&server, json!({}));
            for token in ["bad-0", "bad-1", "bad-2", "bad-3"] {
                server.answer(token, raw.clone());
            }
            let left_alone =
                |token: &str| matches!(ask(&introspector, token), Asked::Busy(Busy::CoolingDown));
            for token in ["bad-0", "bad-1", "answered", "bad-2", "bad-3"] {
                assert!(!left_alone(token), "{token}");
                pending(&introspector, token).wait().await;
            }
            // The same token again is no news.
            introspector.shared.answers.forget();
            pending(&introspector, "bad-3").wait().await;
            introspector.shared.answers.forget();
            pending(&introspector, "bad-0").wait().await;
            assert!(left_alone("next"));
            // It is left alone again for one failure, until it has answered.
            tokio::time::sleep(FIRST_PAUSE).await;
            introspector.shared.answers.forget();
            pending(&introspector, "bad-0").wait().await;
            assert!(left_alone("next"));
        }
    });
}

#[test]
fn an_endpoint_that_does_not_answer_costs_its_timeout_and_no_more() {
    run(async {
        let server = Server::new().await;
        let introspector = introspector(&server, json!({"timeout_seconds": 1}));
        server.answer("early", active(seconds_from_now(300.0)));
        assert_active(&ask_and_wait(&introspector, "early").await);
        server.close_gate();
        let begun = Instant::now();
        let waiting = ["slow-0", "slow-1", "slow-2"].map(|token| pending(&introspector, token));
        for wanted in waiting {
            wanted.wait().await;
        }
        let took = begun.elapsed();
        assert!((900..2500).contains(&took.as_millis()), "{took:?}");
        let slow = known(&introspector, "slow-0");
        assert!(matches!(slow, Outcome::Failed(_)), "{slow:?}");
        assert!(matches!(
            ask(&introspector, "next"),
            Asked::Busy(Busy::CoolingDown)
        ));
        // What is known stays known.
        assert_active(&known(&introspector, "early"));
        server.open_gate();
    });
}

#[test]
fn an_endpoint_that_was_down_is_asked_again() {
    run(async {
        let address = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let settings = settings(&format!("http://{address}/introspect"), json!({}));
        let introspector = Introspector::start(&settings, runtime().handle());
        let Outcome::Failed(failure) = ask_and_wait(&introspector, "t").await else {
            panic!("it is not down")
        };
        assert!(
            failure.to_string().to_lowercase().contains("refused"),
            "{failure}"
        );
        assert!(matches!(
            ask(&introspector, "next"),
            Asked::Busy(Busy::CoolingDown)
        ));
        let server = Server::at(address).await;
        for token in ["next", "t"] {
            server.answer(token, active(seconds_from_now(300.0)));
        }
        tokio::time::sleep(FIRST_PAUSE + Duration::from_millis(50)).await;
        for token in ["next", "t"] {
            assert_active(&ask_and_wait(&introspector, token).await);
        }
    });
}

#[test]
fn a_pause_doubles_with_every_failure_but_not_for_one_reason_twice() {
    let start = Instant::now();
    let at = |seconds: u64| start + Duration::from_secs(seconds);
    let mut pause = Pause::default();
    let check = |pause: &Pause, now: Instant, expected: u64| {
        let length = (pause.until - now).as_secs_f64();
        let expected = expected as f64;
        assert!(
            (expected * 0.9..=expected).contains(&length),
            "{length} for {expected}"
        );
    };
    for (n, expected) in [1, 2, 4, 8, 16, 30, 30].into_iter().enumerate() {
        let begun = at(100 * n as u64 + 10);
        let noticed = begun + Duration::from_secs(1);
        assert!(pause.begin(begun, noticed));
        check(&pause, noticed, expected);
        assert!(pause.lasts(noticed) && !pause.lasts(noticed + Duration::from_secs(31)));
        // Others that were under way by then fail later, or were still answered.
        assert!(!pause.begin(begun, noticed + Duration::from_secs(1)));
        pause.end(begun);
        check(&pause, noticed, expected);
    }
    pause.end(at(1000));
    assert!(pause.begin(at(1001), at(1002)));
    check(&pause, at(1002), 1);
}

#[test]
fn only_tokens_with_the_prefix_are_sent() {
    run(async {
        let server = Server::new().await;
        let introspector = introspector(&server, json!({"token_prefix": "pat-"}));
        for other in ["", "pat", "PAT-1", "eyJhbGciOiJub25lIn0.e30.", " pat-1"] {
            assert!(matches!(ask(&introspector, other), Asked::NotMine), "{other}");
        }
        assert_eq!(ask_and_wait(&introspector, "pat-1").await, Outcome::Inactive);
        assert_eq!(server.requests().len(), 1);
    });
}

#[test]
fn what_is_sent_is_what_the_rfcs_say() {
    run(async {
        let server = Server::new().await;
        let introspector = introspector(&server, json!({"client_id": "a:b c"}));
        let token = "o+/paque~1==";
        assert_eq!(ask_and_wait(&introspector, token).await, Outcome::Inactive);
        let request = server.requests().remove(0);
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("POST /introspect HTTP/1.1\r\n"), "{head}");
        let head = head.to_lowercase();
        for line in [
            "accept: application/json",
            "content-type: application/x-www-form-urlencoded",
        ] {
            assert!(head.lines().any(|l| l == line), "{line}: {head}");
        }
        assert!(!head.contains("accept-encoding"), "{head}");
        assert_eq!(body, "token=o%2B%2Fpaque%7E1%3D%3D&token_type_hint=access_token");
        let basic = request
            .lines()
            .find_map(|l| l.strip_prefix("authorization: Basic "));
        let decoded = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, basic.unwrap());
        assert_eq!(
            String::from_utf8(decoded.unwrap()).unwrap(),
            "a%3Ab+c:s3cret%3A%2F+%2B%26%3D%C3%BC"
        );
    });
    // The library's own encoder agrees about every byte.
    let every: String = (0..0x250).filter_map(char::from_u32).collect();
    let mut url = reqwest::Url::parse("http://localhost").unwrap();
    url.query_pairs_mut().append_pair("t", &every);
    assert_eq!(format!("t={}", form_encoded(&every)), url.query().unwrap());
}

#[test]
fn no_text_has_the_token_or_the_secret() {
    run(async {
        let server = Server::new().await;
        let settings = settings(&server.url(), json!({}));
        let introspector = Introspector::start(&settings, runtime().handle());
        let token = "verysecrettoken";
        server.answer(
            token,
            ok(format!("{{\"active\": true, \"{token}\": 1, \"{token}\": 2}}")),
        );
        let mut texts = vec![format!("{introspector:?} {settings:?}")];
        let first = ask(&introspector, token);
        texts.push(format!("{first:?}"));
        let Asked::Pending(wanted) = first else {
            panic!("{first:?}")
        };
        wanted.wait().await;
        texts.push(format!("{:?}", ask(&introspector, token)));
        for answer in [ok("verysecrettoken"), status(500, "")] {
            server.answer(token, answer);
            let introspector = Introspector::start(&settings, runtime().handle());
            let Outcome::Failed(failure) = ask_and_wait(&introspector, token).await else {
                panic!("no failure")
            };
            let refused = Refused {
                reason: failure.refusal(),
                issuer: None,
            };
            assert!(refused.is_for_want_of_keys());
            texts.push(format!("{failure} {failure:?} {refused} {refused:?}"));
        }
        for text in texts {
            assert!(!text.contains(token) && !text.contains("s3cret"), "{text}");
        }
    });
}

#[test]
fn an_answer_ends_with_the_token() {
    run(async {
        let server = Server::new().await;
        let introspector = introspector(&server, json!({}));
        server.answer("t", active(seconds_from_now(1.0)));
        assert_active(&ask_and_wait(&introspector, "t").await);
        tokio::time::sleep(Duration::from_millis(1050)).await;
        server.answer("t", ok(r#"{"active":false}"#));
        assert_eq!(ask_and_wait(&introspector, "t").await, Outcome::Inactive);
        assert_eq!(introspector.shared.answers.counts(), (0, 1));
    });
}

#[test]
fn dropping_it_ends_the_asking() {
    run(async {
        let server = Server::new().await;
        let introspector = introspector(&server, json!({}));
        server.close_gate();
        let waiting = pending(&introspector, "t");
        let shared = Arc::downgrade(&introspector.shared);
        drop(introspector);
        let begun = Instant::now();
        waiting.wait().await;
        assert!(begun.elapsed() < Duration::from_secs(2));
        while shared.upgrade().is_some() {
            tokio::task::yield_now().await;
        }
        server.open_gate();
    });
}
