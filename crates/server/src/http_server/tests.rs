//! Whoever connects and asks for nothing does not hold a place, and everybody else is answered meanwhile.

use axum::routing::get;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;

#[tokio::test]
async fn what_asks_for_nothing_is_closed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().route("/livez", get(|| async { "ok" }));
    let server = tokio::spawn(accept(
        listener,
        None,
        (router, Places::for_operators()),
        JoinSet::new(),
        CancellationToken::new(),
    ));
    let begun = [
        &b""[..],
        b"P",
        b"GET /livez HTT",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ];
    let mut silent = Vec::new();
    for bytes in begun {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        silent.push((bytes, stream));
    }
    let mut asking = TcpStream::connect(address).await.unwrap();
    asking
        .write_all(b"GET /livez HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    asking.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    for (bytes, mut stream) in silent {
        let mut rest = Vec::new();
        // A reset is an end, too.
        let ended = tokio::time::timeout(Duration::from_secs(60), stream.read_to_end(&mut rest)).await;
        assert!(
            ended.is_ok(),
            "{:?} holds its place",
            String::from_utf8_lossy(bytes)
        );
    }
    server.abort();
}

#[tokio::test]
async fn what_is_in_flight_is_answered_before_it_leaves() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (told, waits) = (Arc::clone(&begun), Arc::clone(&go_on));
    let slow = get(move || async move {
        told.notify_one();
        waits.notified().await;
        "done"
    });
    let leave = CancellationToken::new();
    let router = Router::new().route("/slow", slow);
    let server = tokio::spawn(accept(
        listener,
        None,
        (router, Places::for_clients()),
        JoinSet::new(),
        leave.clone(),
    ));
    let mut asking = TcpStream::connect(address).await.unwrap();
    let mut idle = TcpStream::connect(address).await.unwrap();
    asking
        .write_all(b"GET /slow HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    begun.notified().await;
    leave.cancel();
    let mut rest = Vec::new();
    let _ = idle.read_to_end(&mut rest).await;
    assert!(!server.is_finished(), "it did not wait for what is in flight");
    go_on.notify_one();
    let mut answer = String::new();
    asking.read_to_string(&mut answer).await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.ends_with("done"),
        "{answer}"
    );
    server.await.unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

#[test]
fn what_is_this_host() {
    for (peer, local, here) in [
        ("127.0.0.1:5000", "127.0.0.1:9192", true),
        ("127.8.9.1:5000", "127.0.0.1:9192", true),
        ("[::1]:5000", "[::1]:9192", true),
        ("[::ffff:127.0.0.1]:5000", "[::ffff:127.0.0.1]:9192", true),
        ("10.0.0.7:5000", "10.0.0.1:9192", false),
        ("192.168.1.2:9192", "192.168.1.2:9192", false),
        ("0.0.0.0:1", "0.0.0.0:9192", false),
        ("[::ffff:10.0.0.7]:5000", "[::ffff:10.0.0.1]:9192", false),
        ("[fe80::1]:5000", "[fe80::2]:9192", false),
        // The sidecar of a mesh, which passes on what others send; and what claims to be here and asks from elsewhere.
        ("127.0.0.6:5000", "10.0.0.1:9192", false),
        ("[::6]:5000", "[fd00::1]:9192", false),
        ("[::1]:5000", "[fd00::1]:9192", false),
        ("10.0.0.7:5000", "127.0.0.1:9192", false),
    ] {
        let address = |text: &str| text.parse().expect("an address");
        let connected = Connected {
            peer: address(peer),
            local: address(local),
            encrypted: false,
        };
        assert_eq!(connected.is_here(), here, "{peer} at {local}");
    }
}
