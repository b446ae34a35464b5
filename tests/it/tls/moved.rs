//! Listeners that are changed in the file while the server runs: nobody gets in meanwhile who would get in neither before nor after
//! the restart that the rest of the change takes.

use std::net::SocketAddr;
use std::process::Command;

use portcullis::demo::issuer::LocalIssuer;
use portcullis::demo::stage;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::papers::{Authority, Paper, exchange};
use super::{LISTENER, connect};
use crate::house::until;
use crate::served::Served;

/// A port that is free now: two listeners that say `0` would not differ.
fn free() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address")
}

/// Whether a client with this certificate, or without one, gets an answer: with TLS 1.3 it hears of a refusal after the handshake.
async fn answered(address: SocketAddr, ours: &Authority, paper: Option<&Paper>) -> bool {
    let Ok(mut stream) = connect(address, ours.client(paper), &["http/1.1"]).await else {
        return false;
    };
    let request = b"GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let mut answer = Vec::new();
    let _ = stream.write_all(request).await;
    let _ = stream.read_to_end(&mut answer).await;
    answer.starts_with(b"HTTP/1.1 ")
}

/// Puts this in the place of the configuration, reloads, and waits until all of that is told.
async fn reload(served: &Served, text: &str, told: &[&str]) {
    let before = served.log().len();
    exchange(&served.file("portcullis.yaml"), text);
    let process = served.process().to_string();
    let hangup = Command::new("kill").args(["-HUP", &process]).status();
    assert!(hangup.expect("kill is there").success());
    until("the reload is told", async || {
        let log = served.log();
        let new = log.get(before..).unwrap_or_default();
        new.contains("nothing that decides has changed") && told.iter().all(|told| new.contains(told))
    })
    .await;
}

#[tokio::test]
async fn a_change_of_listeners_lets_nobody_in_before_the_restart() {
    let issuer = LocalIssuer::start().await.expect("an issuer");
    let ours = Authority::new();
    let (listener, client) = (ours.paper(&LISTENER), ours.paper(&["client.test"]));
    let (closed, open) = (free(), free());
    let mutual = "tls: { certificate: tls.crt, key: tls.key, client_ca: ca.crt }";
    let plain = "tls: { certificate: tls.crt, key: tls.key }";
    let of =
        |address, more: &str| format!("{{ address: '{address}', doors: [{{ contract: nginx }}], {more} }}");
    let (first, second) = (of(closed, mutual), of(open, plain));
    let config = |http: &str, admin: &str| {
        let address = "envoy_grpc: 127.0.0.1:0";
        let text = stage::config_text(&issuer).replace(address, &format!("{address}\n  http: [{http}]"));
        format!(
            "{text}\nreload: {{ watch: false, poll_seconds: 0 }}\nadmin_options: {{ {admin} }}\ndecision_log: stdout\n"
        )
    };
    let usual = config(&format!("{first}, {second}"), mutual);
    let files = [
        ("tls.crt", listener.certificate.as_str()),
        ("tls.key", listener.key.as_str()),
        ("ca.crt", &ours.pem()),
    ];
    let served = Served::spawn(r#"exec "$@""#, &usual, &files, &[]);
    until("it answers", async || served.log().contains(" answers ")).await;
    let allowed_peers = "allowed_peers: ['127.0.0.0/8']";
    for (what, text, told) in [
        (
            "listeners in another order",
            config(&format!("{second}, {first}"), mutual),
            &["`listen.http`", "`listen.http[0].tls`", "`listen.http[1].tls`"][..],
        ),
        (
            "networks instead of certificates",
            config(
                &format!("{}, {second}", of(closed, &format!("{plain}, {allowed_peers}"))),
                mutual,
            ),
            &["`listen.http`", "`listen.http[0].tls`"],
        ),
        (
            "no certificates, and nothing else",
            config(&format!("{}, {second}", of(closed, plain)), mutual),
            &["`listen.http[0].tls`"],
        ),
        (
            "no certificates of operators",
            config(&format!("{first}, {second}"), plain),
            &["`admin_options.tls`"],
        ),
        ("all as it was", usual.clone(), &[]),
    ] {
        let told: Vec<String> = told
            .iter()
            .map(|name| format!("{name} changed: takes effect at the next start"))
            .collect();
        reload(
            &served,
            &text,
            &told.iter().map(String::as_str).collect::<Vec<_>>(),
        )
        .await;
        for (address, paper, expected) in [
            (closed, None, false),
            (closed, Some(&client), true),
            (open, None, true),
            (served.admin(), None, false),
            (served.admin(), Some(&client), true),
        ] {
            let got = answered(address, &ours, paper).await;
            assert_eq!(got, expected, "{what}: {address}, {}", paper.is_some());
        }
    }
}
