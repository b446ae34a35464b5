//! As much of HTTP/2 as a client needs that asks one thing over and over, with next to no work per request: headers are
//! sent once and referred to afterwards (RFC 7541 section 6.1), and of an answer only the verdict is read.

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

/// What every server takes (RFC 9113 section 6.5.2).
const MAX_FRAME: usize = 16 * 1024;
/// A message must fit the window that every stream has from the beginning.
pub(super) const MAX_MESSAGE: usize = 65_000;
/// What we let a server send: as much as there can be.
const WINDOW: u32 = (1 << 31) - 1 - 65_535;

/// A connection over which many questions are asked at the same time.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    out: Vec<u8>,
    written: usize,
    input: Vec<u8>,
    next_stream: u32,
    /// How many bytes of messages the server still takes.
    room: i64,
    /// Bytes of answers since the window was opened again.
    taken: u32,
    open: HashMap<u32, Exchange>,
    authority: String,
}

#[derive(Debug)]
struct Exchange {
    asked: Instant,
    verdict: Verdict,
    answer: Option<Vec<u8>>,
}

/// What an answer was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The request passes.
    Allowed,
    /// It does not.
    Denied,
    /// No answer of the kind: a reset, an HTTP error.
    None,
}

/// An exchange that ended.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) asked: Instant,
    pub(super) verdict: Verdict,
    /// The whole message, when it was asked for.
    pub(super) answer: Option<Vec<u8>>,
}

impl Connection {
    pub(super) fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut out = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        frame(&mut out, SETTINGS, 0, 0, &[0, 4, 0x3F, 0xFF, 0xFF, 0xFF]);
        frame(&mut out, WINDOW_UPDATE, 0, 0, &WINDOW.to_be_bytes());
        Ok(Self {
            stream,
            out,
            written: 0,
            input: Vec::with_capacity(64 * 1024),
            next_stream: 1,
            room: 65_535,
            taken: 0,
            open: HashMap::new(),
            authority: address.to_string(),
        })
    }

    /// How many questions are not answered yet.
    pub(super) fn unanswered(&self) -> usize {
        self.open.len()
    }

    /// True if the server takes a message of that length now.
    pub(super) fn has_room(&self, length: usize) -> bool {
        self.room >= length as i64
    }

    /// Asks; `message` is a whole gRPC frame of at most [`MAX_MESSAGE`] bytes, for which there is room.
    pub(super) fn ask(&mut self, message: &[u8], asked: Instant, whole: Whole) {
        let id = self.next_stream;
        self.next_stream += 2;
        let block = if id == 1 {
            first_headers(&self.authority)
        } else {
            // POST, http, and what `first_headers` left in the table, the newest first.
            vec![0x83, 0x86, 66 | 0x80, 65 | 0x80, 64 | 0x80, 63 | 0x80, 62 | 0x80]
        };
        frame(&mut self.out, HEADERS, END_HEADERS, id, &block);
        let mut parts = message.chunks(MAX_FRAME).peekable();
        while let Some(part) = parts.next() {
            let flags = if parts.peek().is_none() { END_STREAM } else { 0 };
            frame(&mut self.out, DATA, flags, id, part);
        }
        self.room -= message.len() as i64;
        let exchange = Exchange {
            asked,
            verdict: Verdict::None,
            answer: (whole == Whole::Yes).then(Vec::new),
        };
        self.open.insert(id, exchange);
    }

    /// Sends what the kernel takes, reads what is there; true if anything moved.
    pub(super) fn turn(&mut self, mut done: impl FnMut(Done)) -> Result<bool, String> {
        let mut moved = self.flush()?;
        let mut buffer = [0; 64 * 1024];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err("the server closed the connection".to_owned()),
                Ok(read) => {
                    moved = true;
                    self.input.extend_from_slice(&buffer[..read]);
                    self.frames(&mut done)?;
                    if read < buffer.len() {
                        break;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.to_string()),
            }
        }
        Ok(moved)
    }

    fn flush(&mut self) -> Result<bool, String> {
        let mut moved = false;
        while self.written < self.out.len() {
            match self.stream.write(&self.out[self.written..]) {
                Ok(sent) => {
                    moved = true;
                    self.written += sent;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(moved),
                Err(error) => return Err(error.to_string()),
            }
        }
        self.out.clear();
        self.written = 0;
        Ok(moved)
    }

    fn frames(&mut self, done: &mut impl FnMut(Done)) -> Result<(), String> {
        let input = std::mem::take(&mut self.input);
        let mut rest = &input[..];
        while let Some((head, after)) = rest.split_first_chunk::<9>() {
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            let id = u32::from_be_bytes([head[5] & 0x7F, head[6], head[7], head[8]]);
            let Some((payload, after)) = after.split_at_checked(length) else {
                break;
            };
            rest = after;
            self.frame(head[3], head[4], id, payload, done)?;
        }
        let read = input.len() - rest.len();
        self.input = input;
        self.input.drain(..read);
        Ok(())
    }

    fn frame(
        &mut self,
        kind: u8,
        flags: u8,
        id: u32,
        payload: &[u8],
        done: &mut impl FnMut(Done),
    ) -> Result<(), String> {
        match kind {
            DATA => {
                self.taken += payload.len() as u32;
                if self.taken > WINDOW / 2 {
                    let taken = std::mem::take(&mut self.taken);
                    frame(&mut self.out, WINDOW_UPDATE, 0, 0, &taken.to_be_bytes());
                }
                if let Some(exchange) = self.open.get_mut(&id) {
                    if exchange.verdict == Verdict::None {
                        exchange.verdict = verdict(payload);
                    }
                    if let Some(answer) = &mut exchange.answer {
                        answer.extend_from_slice(payload);
                    }
                }
            }
            SETTINGS if flags & ACK == 0 => frame(&mut self.out, SETTINGS, ACK, 0, &[]),
            PING if flags & ACK == 0 => frame(&mut self.out, PING, ACK, 0, payload),
            WINDOW_UPDATE if id == 0 => {
                if let Some(bytes) = payload.first_chunk::<4>() {
                    self.room += i64::from(u32::from_be_bytes(*bytes) & 0x7FFF_FFFF);
                }
            }
            GOAWAY => return Err("the server ends the connection (GOAWAY)".to_owned()),
            _ => {}
        }
        let ended = (matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0) || kind == RST_STREAM;
        if ended && let Some(exchange) = self.open.remove(&id) {
            done(Done {
                asked: exchange.asked,
                verdict: exchange.verdict,
                answer: exchange.answer,
            });
        }
        Ok(())
    }
}

/// Whether the whole answer is wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Whole {
    Yes,
    No,
}

fn frame(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let [_, length @ ..] = (payload.len() as u32).to_be_bytes();
    out.extend_from_slice(&length);
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
}

/// Headers of the first request: POST, http, and five literals that go into the table (RFC 7541 section 6.2.1).
fn first_headers(authority: &str) -> Vec<u8> {
    let mut block = vec![0x83, 0x86];
    let mut literal = |name: Result<u8, &str>, value: &str| {
        match name {
            Ok(index) => block.push(0x40 | index),
            Err(name) => {
                block.extend_from_slice(&[0x40, name.len() as u8]);
                block.extend_from_slice(name.as_bytes());
            }
        }
        block.push(value.len() as u8);
        block.extend_from_slice(value.as_bytes());
    };
    literal(Ok(4), contracts::grpc::CHECK_PATH);
    literal(Ok(1), authority);
    literal(Ok(31), "application/grpc");
    literal(Err("te"), "trailers");
    literal(Ok(58), "bench");
    block
}

/// Reads the verdict off the beginning of a gRPC frame with a `CheckResponse`: its first field is `status`, whose first
/// field is the code, and both servers always write them.
fn verdict(data: &[u8]) -> Verdict {
    match data.get(5..) {
        Some([0x0A, 0, ..]) => Verdict::Allowed,
        Some([0x0A, _, 0x08, code, ..]) if *code != 0 => Verdict::Denied,
        Some([0x0A, ..]) => Verdict::Allowed,
        _ => Verdict::None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Verdict, first_headers, frame, verdict};

    #[test]
    fn frames_have_nine_bytes_of_head() {
        let mut out = Vec::new();
        frame(&mut out, 1, 4, 3, b"abc");
        assert_eq!(out, b"\x00\x00\x03\x01\x04\x00\x00\x00\x03abc");
    }

    #[test]
    fn headers_go_into_the_table() {
        let block = first_headers("127.0.0.1:1");
        assert_eq!(block[..3], [0x83, 0x86, 0x44]);
        assert_eq!(usize::from(block[3]), contracts::grpc::CHECK_PATH.len());
        assert!(block.ends_with(b"\x40\x02te\x08trailers\x7a\x05bench"));
    }

    #[test]
    fn verdicts() {
        for (message, expected) in [
            (&b""[..], Verdict::None),
            (b"\x0a\x00\x1a\x00", Verdict::Allowed),
            (b"\x0a\x02\x08\x00\x1a\x00", Verdict::Allowed),
            (b"\x0a\x0b\x08\x07\x12\x07no", Verdict::Denied),
            (b"\x1a\x00", Verdict::None),
        ] {
            let framed = [&[0, 0, 0, 0, 9], message].concat();
            assert_eq!(verdict(&framed), expected, "{message:?}");
        }
    }
}
