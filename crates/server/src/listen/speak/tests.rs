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
