//! `failure_mode_allow: true`: whoever can make the authorization fail gets in. Nothing that a client sends may do so.

use bytes::Bytes;
use portcullis::demo::envoy::{BodyForm, CheckBody, EnvoyOptions, HeaderForm, LongerBody, OnError};

use super::raw::{exchange, request};
use super::{DECISION_ID, HEADER_FORMS, ask, counted, token};
use crate::house::{Front, TestHouse};

/// What Envoy adds to a request that it lets through without an answer.
pub(super) const LET_THROUGH: &str = "x-envoy-auth-failure-mode-allowed";

/// An Envoy with an open failure mode, large headers and bodies.
async fn open(house: &TestHouse, headers: HeaderForm) -> Option<Front> {
    let body = CheckBody {
        max_bytes: 16 << 20,
        longer: LongerBody::Refused,
        form: BodyForm::Bytes,
    };
    house
        .envoy(|options| EnvoyOptions {
            on_error: OnError::Allow,
            body: Some(body),
            headers,
            max_request_headers_kb: 96,
            max_request_headers: 300,
            ..options
        })
        .await
}

/// A name and a request.
pub(super) type Row = (&'static str, Vec<u8>);

/// A GET of what Alice may see, or of what everybody may see, with these headers.
fn get(target: &[u8], headers: &[(&str, &[u8])]) -> Vec<u8> {
    request("GET", target, headers)
}

/// So many headers, each with a name of its own: Envoy may join those that share one.
fn many(count: usize) -> Vec<(&'static str, &'static [u8])> {
    let name = |index| &*format!("x-many-{index}").leak();
    (0..count).map(|index| (name(index), &b"v"[..])).collect()
}

/// Credentials that are none: 401 by us.
pub(super) fn credentials(alice: &str) -> Vec<Row> {
    let good = format!("Bearer {alice}");
    let (signed, _) = alice.rsplit_once('.').expect("a JWS");
    let deep = format!("Bearer {}.e30.AAAA", "W1tb".repeat(4000));
    let with = |value: &[u8]| get(b"/public/x", &[("authorization", value)]);
    let two = |first: &[u8], second: &[u8]| {
        get(
            b"/workspaces/ws-alice",
            &[("authorization", first), ("Authorization", second)],
        )
    };
    vec![
        ("none", get(b"/workspaces/ws-alice", &[])),
        ("a word", with(b"garbage")),
        ("nothing", with(b"")),
        ("no token behind the scheme", with(b"Bearer")),
        ("another scheme", with(b"Basic cm9vdDpyb290")),
        ("three words", with(b"Bearer a.b.c d e")),
        ("three letters", with(b"Bearer a.b.c")),
        ("dots", with(b"Bearer .....")),
        ("two parts", with(format!("Bearer {signed}").as_bytes())),
        ("no signature", with(format!("Bearer {signed}.").as_bytes())),
        ("padding", with(format!("{good}==").as_bytes())),
        ("JSON that is not", with(b"Bearer e30.e3t7e3t7.AAAA")),
        ("deep JSON", with(deep.as_bytes())),
        ("not UTF-8", with(b"Bearer \xff\xfe")),
        ("long", with(&[b"Bearer ", &[b'a'; 80_000][..]].concat())),
        ("twice the same", two(good.as_bytes(), good.as_bytes())),
        ("good, then bad", two(good.as_bytes(), b"Bearer x")),
        ("bad, then good", two(b"Basic eDp5", good.as_bytes())),
    ]
}

/// Nothing but odd headers and methods around a request without a credential: 401 by us.
pub(super) fn surroundings() -> Vec<Row> {
    let nobody = |headers: &[(&str, &[u8])]| get(b"/workspaces/ws-alice", headers);
    let timeouts: [(&str, &[u8]); 3] = [
        ("x-envoy-expected-rq-timeout-ms", b"1"),
        ("x-envoy-upstream-rq-timeout-ms", b"1"),
        ("grpc-timeout", b"1n"),
    ];
    vec![
        ("bytes that are not text", nobody(&[("x-junk", b"\xff\xfe\x80")])),
        ("many headers", nobody(&many(180))),
        ("a long header", nobody(&[("x-long", &[b'a'; 80_000])])),
        ("says so itself", nobody(&[(LET_THROUGH, b"true")])),
        ("has no time", nobody(&timeouts)),
        ("unknown method", request("PURGE", b"/public/x", &[])),
    ]
}

/// Alice's good token, and something about target, host or header names that cannot be read in one way: 400 by us.
pub(super) fn ambiguous(alice: &str) -> Vec<Row> {
    let good = format!("Bearer {alice}").into_bytes();
    let target = |target: &[u8]| get(target, &[("authorization", &good)]);
    let host = |host: &str| {
        let headers = [("host", host.as_bytes()), ("authorization", &good)];
        get(b"/workspaces/ws-alice", &headers)
    };
    let alias: [(&str, &[u8]); 2] = [("x-auth_subject", b"root"), ("authorization", &good)];
    let long = [b'a'; 60_000];
    vec![
        ("encoded slashes", target(b"/workspaces/ws-alice/..%2fws-bob")),
        ("dots", target(b"/workspaces/ws-alice/../ws-bob")),
        ("overlong UTF-8", target(b"/workspaces/ws-alice/%c0%ae%c0%ae/x")),
        ("bad escape", target(b"/workspaces/ws-alice/%zz")),
        ("cut escape", target(b"/workspaces/ws-alice/%")),
        ("encoded NUL", target(b"/workspaces/ws-alice/%00")),
        ("backslash", target(b"/workspaces/ws-alice\\..\\ws-bob")),
        (
            "long path",
            target(&[b"/workspaces/ws-alice/", &long[..]].concat()),
        ),
        (
            "long query",
            target(&[b"/workspaces/ws-alice?", &long[..]].concat()),
        ),
        ("many segments", target(&b"/a".repeat(20_000))),
        ("user in the host", host("root@api.example.test")),
        ("port out of range", host("api.example.test:999999")),
        ("open bracket", host("[::1")),
        ("empty label", host("api..test")),
        ("two hosts", host("a.test,b.test")),
        ("long host", host(&"a".repeat(5000))),
        ("more headers than we read", get(b"/public/x", &many(250))),
        ("a reserved name", get(b"/workspaces/ws-alice", &alias)),
    ]
}

/// What Envoy itself refuses, and nobody is asked about.
pub(super) fn refused_by_envoy(alice: &str) -> Vec<Row> {
    let good = format!("Bearer {alice}").into_bytes();
    let with = |method: &str, target: &[u8]| request(method, target, &[("authorization", &good)]);
    let host = [("host", &b"a b"[..]), ("authorization", &good)];
    let long = [("x-long", &[b'a'; 120_000][..]), ("authorization", &good)];
    vec![
        ("raw bytes", with("GET", b"/workspaces/ws-alice/\xff\xfe")),
        (
            "raw bytes in the query",
            with("GET", b"/workspaces/ws-alice?\xff\xfe"),
        ),
        ("asterisk", with("OPTIONS", b"*")),
        ("unknown method", with("BREW", b"/workspaces/ws-alice")),
        ("lower-case method", with("get", b"/workspaces/ws-alice")),
        ("blank in the host", get(b"/workspaces/ws-alice", &host)),
        ("headers too many", get(b"/public/x", &many(400))),
        ("headers too long", get(b"/workspaces/ws-alice", &long)),
    ]
}

#[tokio::test]
async fn no_client_can_make_the_answer_fail() {
    let house = TestHouse::start().await;
    let alice = token(&house, "alice").expect("a token");
    for form in HEADER_FORMS {
        let Some(front) = open(&house, form).await else {
            return;
        };
        let mut surprises = Vec::new();
        for (rows, status) in [
            (credentials(&alice), Some(401)),
            (surroundings(), Some(401)),
            (ambiguous(&alice), Some(400)),
            (refused_by_envoy(&alice), None),
        ] {
            for (what, bytes) in rows {
                let got = exchange(&front, &bytes).await;
                let decided = got.header(DECISION_ID).map(|_| got.status);
                if decided != status || !(400..500).contains(&got.status) {
                    surprises.push(format!(
                        "{what}: {}, decided {decided:?}, {:?}",
                        got.status, got.body
                    ));
                }
            }
        }
        assert_eq!(surprises, [""; 0], "{form:?}");
        assert_eq!(front.echo.requests(), 0, "{form:?}");
        assert_eq!(counted(&front, "error").await, 0, "{form:?}");
        assert_eq!(counted(&front, "failure_mode_allowed").await, 0, "{form:?}");
    }
}

/// A question larger than `limits.max_message_bytes` is answered, not dropped.
#[tokio::test]
async fn a_body_larger_than_a_question_may_be_is_denied() {
    let house = TestHouse::start().await;
    let Some(front) = open(&house, HeaderForm::Joined).await else {
        return;
    };
    for size in [9 << 20, 15 << 20] {
        let body = Bytes::from(vec![b'x'; size]);
        let got = front.send("POST", "/workspaces", &[], body).await;
        assert_eq!((got.status, got.seen.is_some()), (400, false), "{size}: {got:?}");
        assert!(got.header(DECISION_ID).is_some(), "{size}: {got:?}");
    }
    assert_eq!(counted(&front, "error").await, 0);
}

/// The control: this Envoy does let requests through when nobody answers, so the rows above have something to prevent.
#[tokio::test]
async fn the_failure_mode_is_open() {
    let mut house = TestHouse::start().await;
    let Some(front) = open(&house, HeaderForm::Joined).await else {
        return;
    };
    let got = ask(&house, &front, "nobody", "GET", "/workspaces/ws-alice").await;
    assert_eq!(got.status, 401);
    let got = ask(&house, &front, "alice", "GET", "/workspaces/ws-alice").await;
    assert_eq!((got.status, got.at_upstream(LET_THROUGH)), (200, vec![]));
    house.stop().await;
    let got = ask(&house, &front, "nobody", "GET", "/workspaces/ws-alice").await;
    assert_eq!(
        (got.status, got.at_upstream(LET_THROUGH)),
        (200, vec!["true".to_owned()])
    );
    assert_eq!(counted(&front, "failure_mode_allowed").await, 1);
}
