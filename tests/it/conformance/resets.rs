//! What many clients of one proxy cancel at the same time must not end the connection for the others.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{house, http};

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const DATA: u8 = 0;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// A frame of HTTP/2 (RFC 9113 section 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The headers of a call: indexed fields of the static table, and literals that are not indexed (RFC 7541).
fn call() -> Vec<u8> {
    let mut block = vec![0x83, 0x86]; // :method POST, :scheme http
    let mut literal = |name: &[u8], value: &str| {
        block.extend(name);
        block.push(u8::try_from(value.len()).expect("short"));
        block.extend(value.as_bytes());
    };
    literal(&[0x04], "/envoy.service.auth.v3.Authorization/Check"); // :path
    literal(&[0x01], "portcullis"); // :authority
    literal(&[0x0F, 0x10], "application/grpc"); // content-type
    literal(b"\x00\x02te", "trailers");
    block
}

#[tokio::test]
async fn many_cancelled_calls_do_not_end_the_connection() {
    let house = house().await;
    let question = prost::Message::encode_to_vec(&http("GET", "/public/hello", &[]));
    let mut message = vec![0];
    message.extend(u32::try_from(question.len()).expect("short").to_be_bytes());
    message.extend(&question);

    let mut all = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    all.extend(frame(SETTINGS, 0, 0, &[]));
    let cancelled = 200;
    for index in 0..cancelled {
        all.extend(frame(HEADERS, END_HEADERS, 2 * index + 1, &call()));
        all.extend(frame(RST_STREAM, 0, 2 * index + 1, &8_u32.to_be_bytes()));
    }
    let honest = 2 * cancelled + 1;
    all.extend(frame(HEADERS, END_HEADERS, honest, &call()));
    all.extend(frame(DATA, END_STREAM, honest, &message));

    let mut stream = TcpStream::connect(house.grpc()).await.expect("a connection");
    stream.write_all(&all).await.expect("sent in one piece");
    let mut answered = false;
    while !answered {
        let mut head = [0; 9];
        stream
            .read_exact(&mut head)
            .await
            .expect("the connection stays until the answer");
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let id = u32::from_be_bytes([head[5], head[6], head[7], head[8]]) & 0x7FFF_FFFF;
        let mut payload = vec![0; length as usize];
        stream.read_exact(&mut payload).await.expect("a whole frame");
        assert_ne!(head[3], GOAWAY, "{payload:?}");
        answered = head[3] == DATA && id == honest;
    }
}
