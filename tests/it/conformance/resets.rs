//! Floods of HTTP/2 frames, on the gRPC port and on an HTTP port: what many clients of one proxy cancel at the same time
//! must not end the connection for the others, and what nobody sends in good faith must cost only its own connection.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::http;
use crate::doors::{exchange, house_with, request};
use crate::house::TestHouse;

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
pub(crate) const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
pub(crate) const DATA: u8 = 0;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// What is asked on a connection: the flags of its headers, the headers, and the message if there is one.
#[derive(Debug)]
pub(crate) struct Port {
    pub(crate) what: &'static str,
    address: SocketAddr,
    pub(crate) block: Vec<u8>,
    message: Option<Vec<u8>>,
}

/// A frame of HTTP/2 (RFC 9113 section 4.1).
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// Adds a literal field that is not indexed (RFC 7541).
fn literal(block: &mut Vec<u8>, name: &[u8], value: &str) {
    block.extend(name);
    block.push(u8::try_from(value.len()).expect("short"));
    block.extend(value.as_bytes());
}

/// The headers of a call.
pub(crate) fn call() -> Vec<u8> {
    let mut call = vec![0x83, 0x86]; // :method POST, :scheme http
    literal(&mut call, &[0x04], "/envoy.service.auth.v3.Authorization/Check"); // :path
    literal(&mut call, &[0x01], "portcullis"); // :authority
    literal(&mut call, &[0x0F, 0x10], "application/grpc"); // content-type
    literal(&mut call, b"\x00\x02te", "trailers");
    call
}

pub(crate) fn ports(house: &TestHouse) -> [Port; 2] {
    let question = prost::Message::encode_to_vec(&http("GET", "/public/hello", &[]));
    let mut message = vec![0];
    message.extend(u32::try_from(question.len()).expect("short").to_be_bytes());
    message.extend(&question);
    let mut get = vec![0x82, 0x86]; // :method GET, :scheme http
    literal(&mut get, &[0x04], "/check/public/hello");
    literal(&mut get, &[0x01], "api.example.test");
    [
        Port {
            what: "gRPC",
            address: house.grpc(),
            block: call(),
            message: Some(message),
        },
        Port {
            what: "HTTP",
            address: house.all_http()[0],
            block: get,
            message: None,
        },
    ]
}

impl Port {
    /// A whole question.
    pub(crate) fn question(&self, stream: u32) -> Vec<u8> {
        match &self.message {
            Some(message) => [
                frame(HEADERS, END_HEADERS, stream, &self.block),
                frame(DATA, END_STREAM, stream, message),
            ]
            .concat(),
            None => frame(HEADERS, END_HEADERS | END_STREAM, stream, &self.block),
        }
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("a connection")
    }

    /// Reads until the headers of the answer on `stream`; `None` if the connection ends before.
    async fn answer(&self, connection: &mut (impl tokio::io::AsyncRead + Unpin), stream: u32) -> Option<()> {
        let payload = self.wait_for(connection, HEADERS, stream).await?;
        // `:status 200` in the static table.
        assert_eq!(payload.first(), Some(&0x88), "{}: {payload:?}", self.what);
        Some(())
    }

    /// Reads until the answer to a PING.
    async fn pong(&self, connection: &mut TcpStream) -> Option<()> {
        self.wait_for(connection, PING, 0).await.map(drop)
    }

    /// Reads until such a frame; `None` if the connection ends before.
    async fn wait_for(
        &self,
        connection: &mut (impl tokio::io::AsyncRead + Unpin),
        kind: u8,
        stream: u32,
    ) -> Option<Vec<u8>> {
        loop {
            let mut head = [0; 9];
            connection.read_exact(&mut head).await.ok()?;
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let id = u32::from_be_bytes([head[5], head[6], head[7], head[8]]) & 0x7FFF_FFFF;
            let mut payload = vec![0; length as usize];
            connection.read_exact(&mut payload).await.ok()?;
            if head[3] == GOAWAY {
                return None;
            }
            if head[3] == kind && id == stream {
                return Some(payload);
            }
        }
    }

    /// Everybody else is answered.
    pub(crate) async fn others_are_answered(&self) {
        let mut other = self.connect().await;
        let all = [PREFACE, &frame(SETTINGS, 0, 0, &[]), &self.question(1)].concat();
        other.write_all(&all).await.expect("sent");
        let answer = tokio::time::timeout(Duration::from_secs(20), self.answer(&mut other, 1)).await;
        assert_eq!(answer, Ok(Some(())), "{}: another connection", self.what);
    }
}

#[tokio::test]
async fn many_cancelled_calls_do_not_end_the_connection() {
    let house = house_with("").await;
    for port in ports(&house) {
        let mut all = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
        let cancelled = 2_000;
        for index in 0..cancelled {
            all.extend(frame(HEADERS, END_HEADERS, 2 * index + 1, &port.block));
            all.extend(frame(RST_STREAM, 0, 2 * index + 1, &8_u32.to_be_bytes()));
        }
        let honest = 2 * cancelled + 1;
        all.extend(port.question(honest));
        let mut connection = port.connect().await;
        connection.write_all(&all).await.expect("sent in one piece");
        let answer = port.answer(&mut connection, honest).await;
        assert!(
            answer.is_some(),
            "{}: the connection stays until the answer",
            port.what
        );
    }
}

/// What is too large is refused, and the rest of it comes all the same.
#[tokio::test]
async fn many_refused_messages_do_not_end_the_connection() {
    let house = house_with("limits: { max_message_bytes: 1024, max_streams: 100 }").await;
    let [port, _] = ports(&house);
    let mut connection = port.connect().await;
    // All answers may come.
    let window = frame(WINDOW_UPDATE, 0, 0, &(1_u32 << 30).to_be_bytes());
    let begin = [PREFACE, &frame(SETTINGS, 0, 0, &[]), &window].concat();
    connection.write_all(&begin).await.expect("sent");
    let mut streams = (0..).map(|index| 2 * index + 1);
    for round in 0..30 {
        let refused: Vec<u32> = streams.by_ref().take(50).collect();
        let part = |flags, stream: &u32| frame(DATA, flags, *stream, &[0; 1100]);
        let begun =
            |stream: &u32| [frame(HEADERS, END_HEADERS, *stream, &port.block), part(0, stream)].concat();
        let mut all: Vec<u8> = refused.iter().flat_map(begun).collect();
        all.extend(frame(PING, 0, 0, &[7; 8]));
        connection.write_all(&all).await.expect("sent");
        // All that was sent before has been seen.
        assert!(port.pong(&mut connection).await.is_some(), "round {round}");
        let mut all: Vec<u8> = refused
            .iter()
            .flat_map(|stream| part(END_STREAM, stream))
            .collect();
        let honest = streams.next().expect("a stream");
        all.extend(port.question(honest));
        connection.write_all(&all).await.expect("sent");
        assert!(
            port.answer(&mut connection, honest).await.is_some(),
            "round {round}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_frames_ends_at_most_its_own_connection() {
    let house = house_with("").await;
    for port in ports(&house) {
        // A list of headers that never ends; and frames that cost their sender nothing.
        let endless = frame(CONTINUATION, 0, 1, &[0; 16]);
        let begun = frame(HEADERS, 0, 1, &port.block);
        let long = [&[0x00, 0x01, b'x', 0x7F, 0x80, 0x7F][..], &[b'v'; 16_000]].concat();
        let large = frame(CONTINUATION, 0, 1, &long);
        let ping = frame(PING, 0, 0, &[7; 8]);
        let settings = frame(SETTINGS, 0, 0, &[]);
        let empty = frame(DATA, 0, 1, &[]);
        let open = frame(HEADERS, END_HEADERS, 1, &port.block);
        let reset = |index: u32| {
            [
                frame(HEADERS, END_HEADERS, 2 * index + 1, &port.block),
                frame(RST_STREAM, 0, 2 * index + 1, &8_u32.to_be_bytes()),
            ]
            .concat()
        };
        let resets: Vec<u8> = (0..50_000).flat_map(reset).collect();
        for (what, first, repeated, times, must_end) in [
            ("continuations", &begun, &endless, 200_000, true),
            ("large continuations", &begun, &large, 2_000, true),
            ("pings", &settings, &ping, 100_000, false),
            ("settings", &settings, &settings, 100_000, false),
            ("empty data", &open, &empty, 100_000, false),
            ("resets", &settings, &resets, 1, false),
        ] {
            let (mut reader, mut writer) = port.connect().await.into_split();
            let drained = tokio::spawn(async move {
                let mut bytes = vec![0; 1 << 16];
                while reader.read(&mut bytes).await.is_ok_and(|read| read > 0) {}
            });
            let all = [
                PREFACE,
                &frame(SETTINGS, 0, 0, &[]),
                first,
                &repeated.repeat(times),
            ]
            .concat();
            let sent = tokio::time::timeout(Duration::from_secs(60), writer.write_all(&all)).await;
            let sent = sent.unwrap_or_else(|_| panic!("{} {what}: neither taken nor ended", port.what));
            port.others_are_answered().await;
            if must_end {
                let ended = tokio::time::timeout(Duration::from_secs(5), drained).await;
                assert!(sent.is_err() || ended.is_ok(), "{} {what}: it goes on", port.what);
            } else {
                drop(writer);
            }
        }
    }
    let small = request("GET", b"/check/public/a", &[("host", b"api.example.test")], b"");
    assert_eq!(exchange(house.all_http()[0], &small).await.status, 200);
}
