//! Certificates that are renewed while the server runs, and new ones that cannot be used.

use std::cell::Cell;

use futures_util::future::{join, join_all};
use portcullis::demo::issuer::LocalIssuer;
use portcullis::demo::{http, stage};

use super::papers::{Authority, Paper, exchange};
use super::{LISTENER, allowed, connect};
use crate::house::until;
use crate::served::Served;

async fn readyz(served: &Served) -> String {
    let answer = http::send(served.admin(), "GET", "/readyz?verbose", &[], bytes::Bytes::new()).await;
    let answer = answer.expect("an answer");
    assert_eq!(
        answer.status(),
        200,
        "it answers whatever becomes of its certificates"
    );
    String::from_utf8_lossy(answer.body()).into_owned()
}

/// The server whose gRPC listener begins with this certificate; changes are told of by the system alone.
async fn serve(first: &Paper, issuer: &LocalIssuer) -> Served {
    let address = "envoy_grpc: 127.0.0.1:0";
    let tls = "envoy_grpc_options: { tls: { certificate: tls.crt, key: tls.key } }";
    let config = stage::config_text(issuer).replace(address, &format!("{address}\n  {tls}"));
    let files = [
        ("tls.crt", first.certificate.as_str()),
        ("tls.key", first.key.as_str()),
    ];
    Served::start(&(config + "\nreload: { poll_seconds: 0 }\n"), &files, &[]).await
}

/// Whether a new connection gets this certificate.
async fn shows(served: &Served, authority: &Authority, paper: &Paper) -> bool {
    let stream = connect(served.grpc(), authority.client(None), &["h2"])
        .await
        .expect("a handshake");
    let shown = stream.get_ref().1.peer_certificates().expect("certificates");
    shown[0] == paper.der()
}

#[tokio::test]
async fn a_renewal_under_load_fails_nobody() {
    let issuer = LocalIssuer::start().await.expect("an issuer");
    let ours = Authority::new();
    let served = serve(&ours.paper(&LISTENER), &issuer).await;
    let over = Cell::new(false);
    // Each question has a connection of its own, and so a handshake.
    let asker = async || {
        let mut asked = 0;
        while !over.get() {
            assert!(allowed(served.grpc(), ours.client(None)).await);
            asked += 1;
        }
        asked
    };
    let renewing = async {
        for _ in 0..5 {
            let paper = ours.paper(&LISTENER);
            paper.write_to(&served.file("tls"));
            until("the new certificate is shown", async || {
                shows(&served, &ours, &paper).await
            })
            .await;
        }
        over.set(true);
    };
    let (asked, ()) = join(join_all((0..3).map(|_| asker())), renewing).await;
    assert!(asked.iter().sum::<usize>() > 20, "{asked:?}");
    let log = served.log();
    assert!(
        log.matches("TLS of `listen.envoy_grpc`: other files count from now on")
            .count()
            >= 5,
        "{log}"
    );
}

#[tokio::test]
async fn what_cannot_be_used_replaces_nothing_and_is_said() {
    let issuer = LocalIssuer::start().await.expect("an issuer");
    let ours = Authority::new();
    let (good, other) = (ours.paper(&LISTENER), ours.paper(&LISTENER));
    let served = serve(&good, &issuer).await;
    let broken = good.certificate.replace("-----END CERTIFICATE-----", "");
    // How the log breaks a line depends on the path in it.
    for (file, text, told) in [
        ("tls.crt", "", "there is no certificate in "),
        ("tls.crt", broken.as_str(), "is no PEM file, or breaks off"),
        ("tls.crt", other.certificate.as_str(), "this private key belongs"),
        ("tls.key", other.key.as_str(), "this private key belongs"),
        (
            "tls.key",
            good.certificate.as_str(),
            "there is no private key in ",
        ),
    ] {
        let path = served.file(file);
        let before = std::fs::read_to_string(&path).expect("the file");
        exchange(&path, text);
        until("the refusal is told", async || {
            readyz(&served).await.contains("[-] reload: refused ")
        })
        .await;
        let log = served.log();
        let (_, refusal) = log
            .rsplit_once("the change is refused")
            .expect("it is in the log");
        // Lines are as wide as a terminal.
        let words = refusal.split(['│', '\n', ' ']).filter(|word| !word.is_empty());
        let refusal = words.collect::<Vec<_>>().join(" ");
        assert!(
            refusal.contains(told) && refusal.contains(file),
            "{file}: {refusal}"
        );
        assert!(!log.contains(&good.key[40..80]), "a key is in the log");
        assert!(allowed(served.grpc(), ours.client(None)).await);
        assert!(shows(&served, &ours, &good).await);
        exchange(&path, &before);
        until("all is well", async || {
            readyz(&served).await.contains("[+] reload: ")
        })
        .await;
    }
    // One that has expired is shown all the same: whose clock is right is not for the listener to say.
    let expired = ours.expired(&LISTENER);
    expired.write_to(&served.file("tls"));
    until("it is told", async || {
        readyz(&served)
            .await
            .contains("[!] tls listen.envoy_grpc: the certificate HAS EXPIRED at 2024-01-01T00:00:00Z")
    })
    .await;
    assert!(served.log().contains("the certificate HAS EXPIRED"));
    assert!(!allowed(served.grpc(), ours.client(None)).await);
}
