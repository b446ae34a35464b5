//! TLS and mutual TLS on our own listeners, with real certificates and real peers.

mod moved;
pub(crate) mod papers;
mod renewed;

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use portcullis::ask::{self, Question};
use portcullis::demo::envoy::{AuthzTls, EnvoyOptions};
use portcullis::demo::scratch::ScratchDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

use self::papers::{Authority, Paper};
use crate::house::TestHouse;

/// The name by which listeners are asked.
pub(crate) const GATE: &str = "gate.test";
/// The names in the listeners' certificates: one for clients that know no names.
pub(crate) const LISTENER: [&str; 2] = [GATE, "127.0.0.1"];
const ENVOY: &str = "spiffe://cluster.test/ns/ingress/sa/envoy";

/// A section `tls` with these files, and what else is said there.
pub(crate) fn section(folder: &ScratchDir, more: &str) -> String {
    let file = |name: &str| folder.path().join(name).display().to_string();
    format!(
        "tls: {{ certificate: {}, key: {}{more} }}",
        file("tls.crt"),
        file("tls.key")
    )
}

/// The default configuration with this section for the gRPC listener.
fn on_grpc(section: &str) -> impl FnOnce(String) -> String {
    move |text| {
        let address = "envoy_grpc: 127.0.0.1:0";
        assert!(text.contains(address));
        text.replace(
            address,
            &format!("{address}\n  envoy_grpc_options: {{ {section} }}"),
        )
    }
}

#[tokio::test]
async fn a_real_envoy_asks_by_tls_and_mutual_tls() {
    let (ours, other) = (Authority::new(), Authority::new());
    let folder = ScratchDir::new("tls").expect("a folder");
    ours.paper(&LISTENER).write(&folder, "tls");
    std::fs::write(folder.path().join("ca.crt"), ours.pem()).expect("a file");
    let mutual = format!(
        ", client_ca: {}, allowed_names: ['{ENVOY}']",
        folder.path().join("ca.crt").display()
    );
    let shown = |paper: Paper| Some((paper.certificate, paper.key));
    let asks = |ca: &Authority, name: &str, client| {
        let (ca, name) = (ca.pem(), name.to_owned());
        Some(AuthzTls { ca, name, client })
    };
    for (section, rows) in [
        (
            section(&folder, ""),
            vec![
                ("it believes the authority", asks(&ours, GATE, None), true),
                ("it believes another one", asks(&other, GATE, None), false),
                ("it wants another name", asks(&ours, "other.test", None), false),
                ("it does not encrypt", None, false),
            ],
        ),
        (
            section(&folder, &mutual),
            vec![
                (
                    "it shows its certificate",
                    asks(&ours, GATE, shown(ours.paper(&[ENVOY]))),
                    true,
                ),
                ("it shows none", asks(&ours, GATE, None), false),
                (
                    "one of another authority",
                    asks(&ours, GATE, shown(other.paper(&[ENVOY]))),
                    false,
                ),
                (
                    "one that has expired",
                    asks(&ours, GATE, shown(ours.expired(&[ENVOY]))),
                    false,
                ),
                (
                    "one with another name",
                    asks(&ours, GATE, shown(ours.paper(&["spiffe://cluster.test/x"]))),
                    false,
                ),
            ],
        ),
    ] {
        let house = TestHouse::with(on_grpc(&section), &[]).await;
        for (what, authz_tls, passes) in rows {
            let options = |options| EnvoyOptions { authz_tls, ..options };
            let Some(front) = house.envoy(options).await else {
                return;
            };
            let got = front.send("GET", "/public/hello", &[], Bytes::new()).await;
            let expected = if passes { (200, true) } else { (403, false) };
            assert_eq!((got.status, got.seen.is_some()), expected, "{what}: {got:?}");
            assert_eq!(
                got.header("x-portcullis-decision-id"),
                None,
                "{what}: nobody decided"
            );
            let stats = front
                .envoy
                .stats("http.ingress.ext_authz.error")
                .await
                .expect("counters");
            let errors = stats
                .get("http.ingress.ext_authz.error")
                .copied()
                .unwrap_or_default();
            assert_eq!(errors, u64::from(!passes), "{what}");
        }
        let (status, text) = house.readyz().await;
        assert_eq!(status, 200);
        let line = text
            .lines()
            .find(|line| line.contains("tls listen.envoy_grpc"))
            .unwrap_or_default();
        assert!(
            line.starts_with("[+] tls listen.envoy_grpc: the certificate expires in "),
            "{text}"
        );
        assert!(!line.ends_with(" 0 handshakes failed"), "{text}");
    }
}

/// A connection by TLS that offers these protocols.
async fn connect(
    address: SocketAddr,
    mut config: ClientConfig,
    alpn: &[&str],
) -> std::io::Result<TlsStream<TcpStream>> {
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from(GATE).expect("a name");
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

/// The status of a GET over the version of HTTP that was agreed on.
async fn get(stream: TlsStream<TcpStream>, target: &str) -> u16 {
    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let host = if http2 { "https://api.example.test" } else { "" };
    let request = http::Request::builder().uri(format!("{host}{target}"));
    let request = request
        .header("host", "api.example.test")
        .body(Full::<Bytes>::default());
    let (request, io) = (request.expect("a request"), TokioIo::new(stream));
    let answer = if http2 {
        let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
            .await
            .expect("HTTP/2");
        tokio::spawn(connection);
        sender.send_request(request).await
    } else {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.expect("HTTP/1.1");
        tokio::spawn(connection);
        sender.send_request(request).await
    };
    let answer = answer.expect("an answer");
    let status = answer.status().as_u16();
    answer.into_body().collect().await.expect("the body");
    status
}

#[tokio::test]
async fn http_listeners_speak_both_versions_inside_tls() {
    let ours = Authority::new();
    let folder = ScratchDir::new("tls-http").expect("a folder");
    ours.paper(&LISTENER).write(&folder, "tls");
    let section = section(&folder, "");
    let house = TestHouse::with(
        |text| {
            let listener = "address: '127.0.0.1:0', doors: [{ contract: envoy_http, path: /check }]";
            let listeners = format!("http:\n    - {{ {listener}, {section} }}\n    - {{ {listener} }}");
            let address = "envoy_grpc: 127.0.0.1:0";
            text.replace(address, &format!("{address}\n  {listeners}"))
        },
        &[],
    )
    .await;
    for (alpn, agreed) in [
        (&["h2"][..], Some("h2")),
        (&["http/1.1"], Some("http/1.1")),
        (&["http/1.1", "h2"], Some("h2")),
        (&[], None),
    ] {
        let stream = connect(house.http(), ours.client(None), alpn)
            .await
            .expect("a handshake");
        assert_eq!(
            stream.get_ref().1.alpn_protocol(),
            agreed.map(str::as_bytes),
            "{alpn:?}"
        );
        for (target, status) in [("/check/public/hello", 200), ("/check/workspaces/ws-alice", 401)] {
            let stream = connect(house.http(), ours.client(None), alpn)
                .await
                .expect("a handshake");
            assert_eq!(get(stream, target).await, status, "{alpn:?} {target}");
        }
    }
    assert!(connect(house.http(), ours.client(None), &["acme"]).await.is_err());
    assert!(
        connect(house.all_http()[1], ours.client(None), &["h2"])
            .await
            .is_err(),
        "this one has no TLS"
    );
}

#[tokio::test]
async fn peers_that_are_silent_or_say_something_else_hold_no_place() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let ours = Authority::new();
    let folder = ScratchDir::new("tls-silent").expect("a folder");
    ours.paper(&LISTENER).write(&folder, "tls");
    let section = section(&folder, "");
    let alter = |text: String| on_grpc(&section)(text) + "\nlimits: { max_connections: 4 }\n";
    let house = TestHouse::with(alter, &[]).await;
    let mut peers = Vec::new();
    for bytes in [
        &b""[..],
        b"\x16\x03\x01\x02\x00\x01",
        b"GET / HTTP/1.1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(house.grpc()).await.expect("a connection");
        stream.write_all(bytes).await.expect("sent");
        peers.push(stream);
    }
    for mut peer in peers {
        let mut rest = Vec::new();
        let ended =
            tokio::time::timeout(std::time::Duration::from_secs(30), peer.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "it holds its place");
        assert!(
            matches!(rest.first(), None | Some(21)),
            "an alert at most: {rest:?}"
        );
    }
    assert!(allowed(house.grpc(), ours.client(None)).await);
}

/// Whether the public page is allowed, asked over gRPC on a connection of its own.
pub(crate) async fn allowed(address: SocketAddr, config: ClientConfig) -> bool {
    let question = Question {
        method: "GET".to_owned(),
        scheme: "https".to_owned(),
        host: "api.example.test".to_owned(),
        target: "/public/hello".to_owned(),
        headers: Vec::new(),
    };
    let answer = ask::over(&format!("https://{address}"), Some(config), question).await;
    answer.is_ok_and(|answer| answer.allowed)
}
