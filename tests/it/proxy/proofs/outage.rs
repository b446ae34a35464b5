//! Portcullis is gone, or something else is in its place, or it is asked again and again.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::envoy::{DECISION_ID, raw};
use crate::house::until;
use crate::proxy::Program;

/// While Portcullis is stopped nothing passes, and nobody has to do anything when it is back.
pub(crate) async fn outage(program: &'static Program, status: u16) {
    let mut house = program.house(|text| text).await;
    let Some(proxy) = program.start(&house).await else {
        return;
    };
    for round in 0..2 {
        for (who, target) in [("alice", "/workspaces/ws-alice"), ("nobody", "/public/hello")] {
            let got = proxy.send_as(&house, who, "GET", target, &[]).await;
            assert_eq!(
                (got.status, got.seen.is_some()),
                (200, true),
                "round {round}: {who}"
            );
        }
        house.stop().await;
        for (who, target) in [
            ("alice", "/workspaces/ws-alice"),
            ("nobody", "/public/hello"),
            ("nobody", "/workspaces/ws-alice"),
        ] {
            for headers in [&[][..], &[("x-auth-subject", "root")]] {
                let got = proxy.send_as(&house, who, "GET", target, headers).await;
                assert_eq!(
                    (got.status, got.seen.is_some()),
                    (status, false),
                    "round {round}: {who}"
                );
                assert_eq!(got.header(DECISION_ID), None, "nobody decided: {got:?}");
            }
        }
        house.restart().await;
        until("alice gets through again", async || {
            let got = proxy
                .send_as(&house, "alice", "GET", "/workspaces/ws-alice", &[])
                .await;
            got.status == 200
        })
        .await;
    }
}

/// One connection to Portcullis is enough, whatever was answered on it.
pub(crate) async fn kept_connections(program: &'static Program) {
    let house = program.house(|text| text).await;
    let (authz, connections) = counted(house.http()).await;
    let Some(proxy) = program.start_with(authz, |_, text| text).await else {
        return;
    };
    for (who, target, status) in [
        ("alice", "/workspaces/ws-alice", 200),
        ("nobody", "/public/hello", 200),
        ("nobody", "/workspaces", 401),
        ("alice", "/workspaces", 403),
        ("alice", "/workspaces/ws-alice", 200),
    ] {
        let got = proxy.send_as(&house, who, "GET", target, &[]).await;
        assert_eq!(got.status, status, "{who} {target}: {got:?}");
    }
    assert_eq!(connections.load(Ordering::Relaxed), 1);
}

/// Where the same is answered as there, and how many connections were made to it.
async fn counted(to: SocketAddr) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let address = listener.local_addr().expect("its address");
    let connections = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            counter.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(async move {
                let mut far = TcpStream::connect(to).await?;
                tokio::io::copy_bidirectional(&mut near, &mut far).await
            });
        }
    });
    (address, connections)
}

/// Something in Portcullis' place that answers every question with these bytes, or never if there are none.
async fn impostor(answer: &'static str) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let address = listener.local_addr().expect("its address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut asked = [0; 4096];
                let _ = stream.read(&mut asked).await;
                if answer.is_empty() {
                    std::future::pending::<()>().await;
                }
                let _ = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    address
}

/// Answers that are no verdict.
const NO_VERDICTS: [&str; 7] = [
    "",
    "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n",
    "HTTP/1.1 301 Moved Permanently\r\nlocation: /\r\ncontent-length: 0\r\n\r\n",
    "HTTP/1.1 2",
    "HTTP/1.1 200 OK\r\ncontent-le",
    "HTTP/1.1 100 Continue\r\n\r\n",
    "SSH-2.0-nothing\r\n",
];

/// With each of [`NO_VERDICTS`] in place of an answer, the client gets this status and the upstream nothing. `impatient`
/// makes the proxy wait less for one.
pub(crate) async fn no_verdict(
    program: &'static Program,
    impatient: impl Fn(&str, String) -> String,
    status: u16,
) {
    for answer in NO_VERDICTS {
        let Some(proxy) = program.start_with(impostor(answer).await, &impatient).await else {
            return;
        };
        let got = proxy.exchange(&raw::request("GET", b"/public/hello", &[])).await;
        assert_eq!(
            (got.status, got.seen.is_some()),
            (status, false),
            "{answer:?}: {got:?}"
        );
    }
}
