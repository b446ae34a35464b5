//! What becomes of a yes and of a no: the words of a route, bodies, tunnels.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::envoy::{DECISION_ID, raw, token};
use crate::proxy::{Program, replaced};

/// An upgrade that a browser could send (the key is the example of RFC 6455 section 1.3).
const UPGRADE: &str = "upgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\n\
                       sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// What a route says about its denials reaches the caller: status, text, headers.
pub(crate) async fn answers(program: &'static Program) {
    let house = program
        .house(|text| {
            let catalogue = "    resource: { type: Catalogue, id: main }\n";
            let slow = "    on_deny: { status: 429, reason: slow down, headers: [[retry-after, \"7\"], [set-cookie, a=1], [set-cookie, b=2]] }\n";
            let workspaces = "    resource: { type: Workspaces }\n";
            let hidden = "    on_deny: { status: 404, reason: nothing here }\n";
            assert!(text.contains(catalogue) && text.contains(workspaces));
            text.replace(catalogue, &format!("{catalogue}{slow}"))
                .replace(workspaces, &format!("{workspaces}{hidden}"))
        })
        .await;
    let Some(proxy) = program.start(&house).await else {
        return;
    };
    for (who, target, status, text) in [
        ("nobody", "/catalogue/x", 429, "slow down"),
        ("alice", "/workspaces", 404, "nothing here"),
        ("alice", "/workspaces/ws-bob", 403, "access denied"),
        ("nobody", "/workspaces/ws-bob", 401, "a credential is needed"),
    ] {
        let got = proxy.send_as(&house, who, "GET", target, &[]).await;
        assert_eq!(
            (got.status, got.seen.is_some()),
            (status, false),
            "{target}: {got:?}"
        );
        assert!(
            String::from_utf8_lossy(&got.body).contains(text),
            "{target}: {got:?}"
        );
        let slow = status == 429;
        assert_eq!(got.header("retry-after"), slow.then_some("7"), "{target}");
        let cookies = got.headers.get_all("set-cookie").iter().count();
        assert_eq!(cookies, if slow { 2 } else { 0 }, "{target}");
        assert_eq!(
            got.header("www-authenticate").is_some(),
            status == 401,
            "{target}"
        );
    }
}

/// A body goes to the upstream after a yes, whole, and nowhere else; a no does not wait for it.
pub(crate) async fn bodies(program: &'static Program) {
    let house = program.house(|text| text).await;
    let Some(proxy) = program.start(&house).await else {
        return;
    };
    let large = "x".repeat(300_000);
    let chunked = format!("186a0\r\n{}\r\n0\r\n\r\n", &large[..100_000]);
    for (framing, body, length) in [
        ("content-length: 5", "hello", 5),
        (
            "transfer-encoding: chunked",
            "5\r\nhello\r\n2\r\n!!\r\n0\r\n\r\n",
            7,
        ),
        ("transfer-encoding: chunked", &chunked, 100_000),
        ("content-length: 300000", &large, 300_000),
    ] {
        for (who, target, status) in [
            ("alice", "/workspaces/ws-alice/file", 200),
            ("alice", "/workspaces/ws-bob/file", 403),
            ("robot", "/workspaces/ws-alice", 403),
            ("nobody", "/workspaces/ws-alice", 401),
        ] {
            for connection in ["close", "keep-alive"] {
                let mut request = format!(
                    "PUT {target} HTTP/1.1\r\nhost: api.example.test\r\nconnection: {connection}\r\n{framing}\r\n"
                );
                if let Some(token) = token(&house, who) {
                    request += &format!("authorization: Bearer {token}\r\n");
                }
                let row = format!("{who} {target} {framing} {connection}");
                let got = proxy.exchange(format!("{request}\r\n{body}").as_bytes()).await;
                assert_eq!(got.status, status, "{row}: {got:?}");
                let arrived = got.seen.as_ref().map(|seen| seen.body_bytes);
                assert_eq!(arrived, (status == 200).then_some(length), "{row}");
            }
        }
    }
}

/// An upgrade is asked about like any GET, Portcullis answers it like any GET, and there is a tunnel only after a yes.
pub(crate) async fn upgrades(program: &'static Program) {
    let house = program.house(|text| text).await;
    let Some(proxy) = program.start(&house).await else {
        return;
    };
    let talk = async {
        for (who, target, status) in [
            ("alice", "/workspaces/ws-alice/notebook", 101),
            ("alice", "/workspaces/ws-bob/notebook", 403),
            ("expired", "/workspaces/ws-alice/notebook", 401),
            ("nobody", "/workspaces/ws-alice/notebook", 401),
            ("nobody", "/public/chat", 101),
        ] {
            let reached = proxy.echo.requests();
            let mut request = format!("GET {target} HTTP/1.1\r\nhost: api.example.test\r\n{UPGRADE}");
            if let Some(token) = token(&house, who) {
                request += &format!("authorization: Bearer {token}\r\n");
            }
            let mut stream = TcpStream::connect(proxy.address).await.expect("a connection");
            stream
                .write_all((request + "\r\n").as_bytes())
                .await
                .expect("sent");
            let (got, headers) = raw::head(&mut stream).await;
            assert_eq!(got, status, "{who} {target}");
            assert_eq!(proxy.echo.requests() > reached, status == 101, "{who} {target}");
            if status == 101 {
                let bytes = [7; 70_000];
                let (mut reader, mut writer) = stream.split();
                let mut back = vec![0; bytes.len()];
                let (sent, read) = tokio::join!(writer.write_all(&bytes), reader.read_exact(&mut back));
                sent.and(read.map(drop)).expect("an echo");
                assert_eq!(back, bytes, "{who} {target}");
            } else {
                let id = headers.get(DECISION_ID).and_then(|id| id.to_str().ok());
                assert_eq!(
                    house.record(id.expect("an id"))["verdict"],
                    "deny",
                    "{who} {target}"
                );
            }
        }
        // Without the proxy: an answer and no other protocol, after a yes as well.
        for (target, status) in [("/public/chat", 200), ("/workspaces/ws-alice", 401)] {
            let request = format!(
                "GET /{} HTTP/1.1\r\nhost: x\r\nx-forwarded-method: GET\r\nx-forwarded-proto: ws\r\n\
                 x-forwarded-host: api.example.test\r\nx-forwarded-uri: {target}\r\nx-forwarded-for: 10.0.0.1\r\n\
                 {UPGRADE}\r\n",
                program.contract
            );
            let mut stream = TcpStream::connect(house.http()).await.expect("a connection");
            stream.write_all(request.as_bytes()).await.expect("sent");
            let (got, headers) = raw::head(&mut stream).await;
            assert_eq!(got, status, "{target}");
            assert!(headers.get("upgrade").is_none(), "{target}: {headers:?}");
        }
    };
    tokio::time::timeout(Duration::from_secs(60), talk)
        .await
        .expect("an end within 60 s");
}

/// A person without a session is sent to the login of a route; a program is told 401, and so is everybody by a proxy that
/// cannot send people anywhere (`person` is then 401).
pub(crate) async fn login(program: &'static Program, person: u16) {
    let route = "resource: { type: Catalogue, id: main }";
    let with_login = format!("{route}\n    on_deny: {{ login: 'https://id.example.org/login?rd={{url}}' }}");
    let house = program.house(|text| replaced(&text, route, &with_login)).await;
    let Some(proxy) = program.start(&house).await else {
        return;
    };
    for (accept, status) in [("text/html", person), ("application/json", 401)] {
        let got = proxy.send("GET", "/catalogue/a?b=c", &[("accept", accept)]).await;
        assert_eq!(
            (got.status, got.seen.is_some()),
            (status, false),
            "{accept}: {got:?}"
        );
        let location = got
            .headers
            .get("location")
            .map(|value| value.to_str().expect("a text"));
        let to_login = location.is_some_and(|location| {
            location.starts_with("https://id.example.org/login?rd=http")
                && location.ends_with("%2Fcatalogue%2Fa%3Fb%3Dc")
        });
        assert_eq!(to_login, status == 302, "{accept}: {got:?}");
    }
}
