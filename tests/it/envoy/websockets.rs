//! WebSocket upgrades: asked about like any GET, and a tunnel only after a yes.

use std::time::Duration;

use portcullis::demo::envoy::HeaderForm;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{DECISION_ID, front, raw, token};
use crate::house::TestHouse;

#[tokio::test]
async fn an_upgrade_needs_a_yes() {
    let house = TestHouse::start().await;
    let Some(front) = front(&house, HeaderForm::Joined).await else {
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
            let reached = front.echo.requests();
            let mut headers = String::from(
                "upgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\n\
                 sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
            );
            if let Some(token) = token(&house, who) {
                headers += &format!("authorization: Bearer {token}\r\n");
            }
            let request = format!("GET {target} HTTP/1.1\r\nhost: api.example.test\r\n{headers}\r\n");
            let mut stream = TcpStream::connect(front.envoy.address())
                .await
                .expect("a connection");
            stream.write_all(request.as_bytes()).await.expect("sent");
            let (got, headers) = raw::head(&mut stream).await;
            assert_eq!(got, status, "{who} {target}");
            assert_eq!(front.echo.requests() > reached, status == 101, "{who} {target}");
            if status != 101 {
                let id = headers.get(DECISION_ID).and_then(|id| id.to_str().ok());
                assert_eq!(
                    house.record(id.expect("an id"))["verdict"],
                    "deny",
                    "{who} {target}"
                );
                continue;
            }
            for bytes in [&b"\x81\x02hi"[..], b"\x00\xff and back", &[7; 70_000]] {
                let (mut reader, mut writer) = stream.split();
                let mut back = vec![0; bytes.len()];
                let (sent, read) = tokio::join!(writer.write_all(bytes), reader.read_exact(&mut back));
                sent.and(read.map(drop)).expect("an echo");
                assert_eq!(back, bytes, "{who} {target}");
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), talk)
        .await
        .expect("an end within 30 s");
}
