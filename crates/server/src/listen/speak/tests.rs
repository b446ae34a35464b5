//! How long connections of the HTTP contracts may be silent, with a clock that runs fast.

use std::sync::Arc;
use std::time::Instant;

use contracts::http::Door;
use model::{Check, Contract, Decision, Denial, Malformed, Reason, Version};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream as Stream};

use super::*;

/// Denies everything.
#[derive(Debug)]
struct Nobody;

fn no() -> Decision {
    let denial = Denial {
        status: 403,
        reason: Reason::NoPermit,
        caller: "no".into(),
        log: String::new(),
        challenge: None,
        redirect: None,
        headers: Arc::default(),
    };
    Decision::deny(denial, Vec::new(), Version("none".into()))
}

impl Decide for Nobody {
    fn decide_now(&self, _: &Check<'_>) -> Option<Decision> {
        Some(no())
    }

    async fn decide(&self, _: &Check<'_>) -> Decision {
        no()
    }

    fn refuse(&self, _: &Malformed) -> Decision {
        no()
    }
}

const HEAD: Duration = Duration::from_millis(300);
const FAST: Patience = Patience {
    head: HEAD,
    idle: Duration::from_millis(1500),
};
const REQUEST: &[u8] = b"GET /check/a HTTP/1.1\r\nhost: a.test\r\n\r\n";

/// A connection to doors that are this patient.
async fn connection() -> Stream {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = Stream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (server, _) = listener.accept().await.unwrap();
    let door = Door {
        contract: Contract::EnvoyHttp,
        path: "/check".into(),
    };
    let doors = HttpDoors::new(Arc::new(Nobody), vec![door], contracts::Listener::new(1024));
    tokio::spawn(http(doors, server, 10, FAST, std::future::pending()));
    client
}

async fn is_answered(client: &mut Stream) {
    let mut answer = [0; 1024];
    let read = client.read(&mut answer).await.unwrap();
    assert!(
        answer[..read].starts_with(b"HTTP/1.1 403 "),
        "{}",
        answer.escape_ascii()
    );
}

/// Waits for the end of the connection; how long that took.
async fn ended(mut client: Stream) -> Duration {
    let started = Instant::now();
    let mut rest = Vec::new();
    // A reset is an end, too.
    let _ = tokio::time::timeout(Duration::from_secs(20), client.read_to_end(&mut rest))
        .await
        .expect("the connection must end");
    started.elapsed()
}

#[tokio::test]
async fn an_idle_connection_is_kept_and_half_a_head_is_not() {
    let mut client = connection().await;
    for _ in 0..2 {
        tokio::time::sleep(HEAD * 2).await;
        client.write_all(REQUEST).await.unwrap();
        is_answered(&mut client).await;
    }
    tokio::time::sleep(HEAD * 2).await;
    client.write_all(&REQUEST[..30]).await.unwrap();
    let took = ended(client).await;
    assert!(took >= HEAD / 2 && took < FAST.idle, "{took:?}");
}

#[tokio::test]
async fn a_head_byte_by_byte_is_cut() {
    let mut client = connection().await;
    let started = Instant::now();
    let mut sent = 0;
    for byte in REQUEST.iter().cycle() {
        if client.write_all(&[*byte]).await.is_err() || started.elapsed() > FAST.idle * 4 {
            break;
        }
        sent += 1;
        if sent == REQUEST.len() {
            panic!("the whole head was taken");
        }
        tokio::time::sleep(HEAD / 10).await;
    }
    assert!(started.elapsed() < FAST.idle * 2, "{:?}", started.elapsed());
}

#[tokio::test]
async fn the_preface_of_http_2_alone_is_cut() {
    let mut client = connection().await;
    client
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .await
        .unwrap();
    let took = ended(client).await;
    assert!(took < FAST.idle, "{took:?}");
}

#[tokio::test]
async fn a_connection_without_a_byte_is_not_kept_for_ever() {
    let took = ended(connection().await).await;
    assert!(took >= FAST.idle / 2, "{took:?}");
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
const PING: &[u8] = &[0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
/// `GET /` of nobody, ended.
const HEADERS: &[u8] = &[0, 0, 3, 1, 5, 0, 0, 0, 1, 0x82, 0x84, 0x86];

/// Reads until the headers of an answer.
async fn is_answered_over_http2(client: &mut Stream) {
    loop {
        let mut head = [0; 9];
        client.read_exact(&mut head).await.expect("a frame");
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        client.read_exact(&mut vec![0; length]).await.expect("its rest");
        if head[3] == 1 {
            return;
        }
    }
}

#[tokio::test]
async fn a_connection_that_was_opened_ahead_waits_for_its_first_request() {
    let mut client = connection().await;
    client.write_all(&[PREFACE, SETTINGS].concat()).await.unwrap();
    tokio::time::sleep(HEAD * 2).await;
    client.write_all(HEADERS).await.unwrap();
    is_answered_over_http2(&mut client).await;
    // And for the next one.
    tokio::time::sleep(HEAD * 2).await;
    let mut next = HEADERS.to_vec();
    next[8] = 3;
    client.write_all(&next).await.unwrap();
    is_answered_over_http2(&mut client).await;
}

#[tokio::test]
async fn what_was_begun_in_http_2_must_go_on() {
    let open = [&[0, 0, 3, 1, 0, 0, 0, 0, 1][..], &HEADERS[9..]].concat();
    let asked = [PREFACE, SETTINGS, HEADERS].concat();
    for (what, bytes, again, idle) in [
        ("nothing more", [PREFACE, SETTINGS].concat(), &b""[..], true),
        (
            "half of the settings",
            [PREFACE, &SETTINGS[..5]].concat(),
            b"",
            false,
        ),
        (
            "half of the headers",
            [PREFACE, SETTINGS, &HEADERS[..10]].concat(),
            b"",
            false,
        ),
        (
            "headers without an end",
            [PREFACE, SETTINGS, &open].concat(),
            b"",
            false,
        ),
        (
            "headers that go on for ever",
            [PREFACE, SETTINGS, &open].concat(),
            &[0, 0, 0, 9, 0, 0, 0, 0, 1],
            false,
        ),
        (
            "half of a second request",
            [&asked[..], &HEADERS[..4]].concat(),
            b"",
            false,
        ),
        (
            "pings, which are no request",
            [PREFACE, SETTINGS].concat(),
            PING,
            true,
        ),
    ] {
        let mut client = connection().await;
        client.write_all(&bytes).await.unwrap();
        let (mut reader, mut writer) = client.into_split();
        let more = tokio::spawn(async move {
            loop {
                tokio::time::sleep(HEAD / 4).await;
                if again.is_empty() || writer.write_all(again).await.is_err() {
                    return writer;
                }
            }
        });
        let started = Instant::now();
        let mut rest = Vec::new();
        let _ = tokio::time::timeout(Duration::from_secs(20), reader.read_to_end(&mut rest))
            .await
            .unwrap_or_else(|_| panic!("{what}: the connection must end"));
        let took = started.elapsed();
        more.abort();
        if idle {
            assert!(took >= FAST.idle / 2, "{what}: {took:?}");
        } else {
            assert!(took < FAST.idle, "{what}: {took:?}");
        }
    }
}
