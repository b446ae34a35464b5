//! Peers that do not keep to the rules, on the gRPC port and on an HTTP port: whatever they do, others are answered.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::catalogue;
use crate::conformance::resets::{
    DATA, END_HEADERS, END_STREAM, HEADERS, PREFACE, Port, SETTINGS, frame, ports,
};
use crate::doors::{exchange, house_with, request};
use crate::house::TestHouse;

const WINDOW_UPDATE: u8 = 8;
const PRIORITY: u8 = 2;

/// What such a peer sends after the preface and its settings.
type Row = (&'static str, Vec<u8>, Vec<u8>);

fn rows(port: &Port) -> Vec<Row> {
    let streams = |count: u32| (0..count).map(|index| 2 * index + 1);
    // A field of 3900 bytes that goes into the table, and then that field again and again, for a byte each.
    let field = [&[0x40, 1, b'x', 0x7F, 0xBD, 0x1D][..], &[b'v'; 3900]].concat();
    let bomb = [&port.block[..], &field, &[0xBE; 12_000]].concat();
    let begun = |stream| frame(HEADERS, END_HEADERS, stream, &port.block);
    let reset = |kind, payload: &'static [u8]| {
        streams(5_000)
            .flat_map(|stream| [begun(stream), frame(kind, 0, stream, payload)].concat())
            .collect::<Vec<u8>>()
    };
    let nothing = Vec::new();
    // SETTINGS_INITIAL_WINDOW_SIZE.
    let closed = [&[0, 4][..], &0_u32.to_be_bytes()].concat();
    vec![
        (
            "h2-hpack-bomb",
            nothing.clone(),
            streams(500)
                .flat_map(|stream| frame(HEADERS, END_HEADERS | END_STREAM, stream, &bomb))
                .collect(),
        ),
        (
            "h2-zero-window",
            closed,
            streams(500).flat_map(|stream| port.question(stream)).collect(),
        ),
        (
            "h2-made-you-reset",
            nothing.clone(),
            reset(WINDOW_UPDATE, &[0, 0, 0, 0]),
        ),
        ("h2-made-you-reset", nothing.clone(), reset(PRIORITY, &[0])),
        (
            "grpc-len-lie",
            nothing,
            streams(100)
                .flat_map(|stream| {
                    let lie = [0, 0xFF, 0xFF, 0xFF, 0xFF, 10, 1, 2];
                    [begun(stream), frame(DATA, 0, stream, &lie)].concat()
                })
                .collect(),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_sends_in_good_faith_harms_nobody_else() {
    let house = house_with("").await;
    for port in ports(&house) {
        for (id, settings, sent) in rows(&port) {
            catalogue::known(id);
            let all = [PREFACE, &frame(SETTINGS, 0, 0, &settings), &sent].concat();
            let mut bad = Vec::new();
            for _ in 0..4 {
                let mut connection = port.connect().await;
                // It may be ended before all of it is sent; what it must not be is taken for ever.
                let writing = tokio::time::timeout(Duration::from_secs(20), connection.write_all(&all)).await;
                bad.push((connection, writing.is_ok()));
            }
            port.others_are_answered().await;
            drop(bad);
            port.others_are_answered().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_break_off_harm_nobody() {
    ["econnaborted", "net-reset-mid"]
        .iter()
        .for_each(|id| catalogue::known(id));
    let house = house_with("").await;
    for port in ports(&house) {
        let question = [PREFACE, &frame(SETTINGS, 0, 0, &[]), &port.question(1)].concat();
        for sent in [&[][..], &question, &question[..question.len() - 3]] {
            for _ in 0..300 {
                let mut connection = port.connect().await;
                let _ = connection.write_all(sent).await;
                // A reset instead of an end.
                connection.set_zero_linger().expect("a socket");
            }
            port.others_are_answered().await;
        }
    }
}

#[tokio::test]
async fn thousands_of_requests_in_a_row_are_answered_in_order() {
    catalogue::known("http-pipelining");
    let house = house_with("").await;
    let host: (&str, &[u8]) = ("host", b"api.example.test");
    let targets: [&[u8]; 3] = [b"/check/public/a", b"/check/workspaces", b"/check/../x"];
    let one = targets.map(|target| request("GET", target, &[host], b""));
    let mut expected = Vec::new();
    for target in &one {
        expected.push(exchange(house.all_http()[0], target).await.status);
    }
    assert_eq!(expected[..2], [200, 401]);
    let count = 9_999;
    let (mut reader, mut writer) = TcpStream::connect(house.all_http()[0])
        .await
        .expect("a connection")
        .into_split();
    let writing = tokio::spawn(async move {
        let _ = writer.write_all(&one.concat().repeat(count / 3)).await;
        let last = request("GET", b"/check/public/a", &[host, ("connection", b"close")], b"");
        let _ = writer.write_all(&last).await;
        writer
    });
    let mut answers = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(60), reader.read_to_end(&mut answers)).await;
    let _ = read.expect("an end, one way or the other");
    writing.await.expect("no panic");
    let text = String::from_utf8_lossy(&answers);
    let statuses: Vec<u16> = text
        .match_indices("HTTP/1.1 ")
        .map(|(at, _)| text[at + 9..at + 12].parse().expect("a status"))
        .collect();
    assert_eq!(statuses.len(), count + 1, "all of them");
    for (number, status) in statuses.iter().enumerate() {
        assert_eq!(*status, expected[number % 3], "answer {number}");
    }
}

/// The statuses of all answers to these bytes.
async fn answers(house: &TestHouse, bytes: &[u8]) -> Vec<u16> {
    let mut stream = TcpStream::connect(house.all_http()[0])
        .await
        .expect("a connection");
    let _ = stream.write_all(bytes).await;
    let mut read = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(30), stream.read_to_end(&mut read)).await;
    let _ = ended.expect("answers, and an end");
    let text = String::from_utf8_lossy(&read).into_owned();
    text.match_indices("HTTP/1.1 ")
        .map(|(at, _)| text[at + 9..at + 12].parse().expect("a status"))
        .collect()
}

/// Behind each request stands another one, which some parsers would take for its body, and some bodies for a request.
#[tokio::test]
async fn one_stream_of_bytes_is_read_in_one_way() {
    catalogue::known("http-smuggle");
    let house = house_with("").await;
    let hidden = "GET /check/public/a HTTP/1.1\r\nHost: api.example.test\r\nConnection: close\r\n\r\n";
    let begin = "POST /check/workspaces HTTP/1.1\r\nHost: api.example.test\r\n";
    let length = hidden.len();
    let plain = answers(
        &house,
        format!("{begin}Content-Length: 0\r\n\r\n{hidden}").as_bytes(),
    )
    .await;
    assert_eq!(plain, [401, 200], "one after the other");
    for (what, head) in [
        (
            "two lengths",
            format!("Content-Length: 0\r\nContent-Length: {length}\r\n\r\n"),
        ),
        (
            "two lengths in one",
            format!("Content-Length: 0, {length}\r\n\r\n"),
        ),
        (
            "a length with a sign",
            format!("Content-Length: +{length}\r\n\r\n"),
        ),
        (
            "chunked, written badly",
            "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n".to_owned(),
        ),
        (
            "chunked, and something after it",
            "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n".to_owned(),
        ),
        (
            "chunked, behind a blank",
            "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n".to_owned(),
        ),
        (
            "a header that goes on",
            "X: a\r\n Content-Length: 0\r\n\r\n".to_owned(),
        ),
        (
            "a chunk of no size",
            "Transfer-Encoding: chunked\r\n\r\nx\r\n\r\n".to_owned(),
        ),
    ] {
        let statuses = answers(&house, format!("{begin}{head}{hidden}").as_bytes()).await;
        assert!(
            !statuses.contains(&200),
            "{what}: the hidden one was answered: {statuses:?}"
        );
        assert!(statuses.len() <= 1, "{what}: {statuses:?}");
    }
    // With both, chunks count (RFC 9112 section 6.3), and nothing behind them is believed any more.
    let both =
        format!("{begin}Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}");
    let statuses = answers(&house, both.as_bytes()).await;
    assert!(!statuses.contains(&200), "a length and chunks: {statuses:?}");
}
