//! Where in HTTP/2 a peer has stopped: between two frames, where it may rest, or inside something it owes us the rest of.
//! Only the outermost shape is looked at (RFC 9113 sections 3.4, 4.1 and 6.10); everything else is HTTP's own business.

/// What a client sends first.
pub(super) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;

/// Follows the bytes of a connection.
#[derive(Debug)]
pub(super) enum Frames {
    /// So many bytes of the preface were read.
    Preface(usize),
    /// The first byte was another: this is no HTTP/2.
    Other,
    /// Between the bytes of a frame's head.
    Head(FrameHead),
    /// So many bytes of the frame are to come.
    Payload { left: usize, kind: u8, open: Open },
}

/// The head of a frame, as far as it was read.
#[derive(Debug, Default)]
pub(super) struct FrameHead {
    bytes: [u8; 9],
    read: usize,
    open: Open,
}

/// What goes on beyond one frame.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Open {
    /// `SETTINGS` were received.
    settled: bool,
    /// A list of headers was begun and continues in the next frame.
    headers: bool,
}

impl Frames {
    pub(super) fn new() -> Self {
        Self::Preface(0)
    }

    /// True if this is HTTP/2 as far as can be told, and begun.
    pub(super) fn is_http2(&self) -> bool {
        !matches!(self, Self::Preface(0) | Self::Other)
    }

    /// True while the peer owes us the rest of the preface, of its first settings, of a list of headers or of a frame. What
    /// it owes of a body is looked after where bodies are read.
    pub(super) fn owes(&self) -> bool {
        match self {
            Self::Preface(read) => *read > 0,
            Self::Other => false,
            Self::Head(head) => head.read > 0 || head.open.headers || !head.open.settled,
            Self::Payload { kind, open, .. } => *kind != DATA || open.headers,
        }
    }

    /// Looks at the next bytes. True if the peer owed us nothing at the end of one of them.
    pub(super) fn see(&mut self, mut bytes: &[u8]) -> bool {
        let mut rested = false;
        while !bytes.is_empty() {
            bytes = self.step(bytes);
            rested |= !self.owes();
        }
        rested
    }

    /// Looks at some of the bytes, and says what is left of them.
    fn step<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        match self {
            Self::Other => &[],
            Self::Preface(read) => {
                let expected = PREFACE.get(*read..).unwrap_or_default();
                let now = expected.len().min(bytes.len());
                let (seen, rest) = bytes.split_at(now);
                if !expected.starts_with(seen) {
                    *self = Self::Other;
                } else if now == expected.len() {
                    *self = Self::Head(FrameHead::default());
                } else {
                    *read += now;
                }
                rest
            }
            Self::Head(head) => {
                let wanted = head.bytes.get_mut(head.read..).unwrap_or_default();
                let now = wanted.len().min(bytes.len());
                let (seen, rest) = bytes.split_at(now);
                wanted.iter_mut().zip(seen).for_each(|(to, from)| *to = *from);
                head.read += now;
                if head.read == head.bytes.len() {
                    *self = head.payload();
                }
                rest
            }
            Self::Payload { left, open, .. } => {
                let now = (*left).min(bytes.len());
                *left -= now;
                if *left == 0 {
                    let open = *open;
                    *self = Self::Head(FrameHead {
                        open,
                        ..FrameHead::default()
                    });
                }
                bytes.split_at(now).1
            }
        }
    }
}

impl FrameHead {
    fn payload(&self) -> Frames {
        let [a, b, c, kind, flags, ..] = self.bytes;
        let left = u32::from_be_bytes([0, a, b, c]) as usize;
        let open = Open {
            settled: self.open.settled || kind == SETTINGS,
            headers: match kind {
                HEADERS | CONTINUATION => flags & END_HEADERS == 0,
                _ => self.open.headers,
            },
        };
        match left {
            0 => Frames::Head(Self {
                open,
                ..Self::default()
            }),
            left => Frames::Payload { left, kind, open },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: usize) -> Vec<u8> {
        let length = u32::try_from(payload).unwrap().to_be_bytes();
        let mut frame = length[1..].to_vec();
        frame.extend([kind, flags, 0, 0, 0, 1]);
        frame.extend(vec![b'x'; payload]);
        frame
    }

    #[test]
    fn a_peer_may_rest_between_frames_only() {
        let settings = frame(SETTINGS, 0, 6);
        let begun = [&PREFACE[..], &settings].concat();
        for (id, bytes, http2, owes) in [
            ("nothing", vec![], false, false),
            ("HTTP/1", b"GET / HTTP/1.1\r\n".to_vec(), false, false),
            ("like HTTP/2", b"PRI * HTTP/1.1\r\n".to_vec(), false, false),
            ("half the preface", PREFACE[..10].to_vec(), true, true),
            ("the preface", PREFACE.to_vec(), true, true),
            ("half the settings", begun[..begun.len() - 1].to_vec(), true, true),
            ("settings", begun.clone(), true, false),
            (
                "no settings",
                [&PREFACE[..], &frame(8, 0, 4)].concat(),
                true,
                true,
            ),
            (
                "empty settings",
                [&PREFACE[..], &frame(SETTINGS, 0, 0)].concat(),
                true,
                false,
            ),
            ("half a head", [&begun[..], &[0, 0, 1]].concat(), true, true),
            (
                "half the headers",
                [&begun[..], &frame(HEADERS, END_HEADERS, 9)[..12]].concat(),
                true,
                true,
            ),
            (
                "headers",
                [&begun[..], &frame(HEADERS, END_HEADERS, 9)].concat(),
                true,
                false,
            ),
            (
                "headers that go on",
                [&begun[..], &frame(HEADERS, 0, 9)].concat(),
                true,
                true,
            ),
            (
                "and on",
                [&begun[..], &frame(HEADERS, 0, 9), &frame(CONTINUATION, 0, 0)].concat(),
                true,
                true,
            ),
            (
                "and end",
                [
                    &begun[..],
                    &frame(HEADERS, 0, 9),
                    &frame(CONTINUATION, END_HEADERS, 3),
                ]
                .concat(),
                true,
                false,
            ),
            (
                "half a body",
                [&begun[..], &frame(DATA, 0, 9)[..12]].concat(),
                true,
                false,
            ),
            (
                "half a ping",
                [&begun[..], &frame(6, 0, 8)[..12]].concat(),
                true,
                true,
            ),
        ] {
            for piece in [1, 7, 1000] {
                let mut frames = Frames::new();
                for bytes in bytes.chunks(piece) {
                    frames.see(bytes);
                }
                assert_eq!(
                    (frames.is_http2(), frames.owes()),
                    (http2, owes),
                    "{id} by {piece}"
                );
            }
        }
    }
}
