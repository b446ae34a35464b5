//! The messages that doors read: bounded each in size and time, and all together in memory.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use futures_util::FutureExt as _;
use http_body::Body;
use http_body_util::BodyExt as _;
use model::Reason;

/// How many bytes of a message that is refused are still let come.
const MOST_DISCARDED: usize = 16 * 1024 * 1024;

/// Room for the messages of one listener that are being read or answered, in bytes. Clones share it.
#[derive(Clone, Debug)]
pub struct Room(Arc<AtomicUsize>);

impl Room {
    /// Room for so many bytes.
    pub fn new(bytes: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(bytes)))
    }

    /// How many bytes are free.
    pub fn free(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    fn take(&self, bytes: usize) -> bool {
        let less = |free: usize| free.checked_sub(bytes);
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
            .is_ok()
    }
}

/// A message that was read, in its room until it is dropped.
#[derive(Debug)]
pub(crate) struct Message {
    bytes: Bytes,
    _place: Place,
}

/// What a message takes of its room; given back when dropped.
#[derive(Debug)]
struct Place {
    room: Room,
    bytes: usize,
}

/// Why a message was not read to its end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unread {
    /// It is larger than it may be.
    TooLarge,
    /// Other messages take all the room there is.
    NoRoom,
    /// It broke off before its end.
    BrokeOff(String),
    /// Its sender did not finish it in time.
    TooSlow,
}

impl Unread {
    /// The class of the refusal, and what the log says about `what`, which may have `most` bytes.
    pub(crate) fn told(self, what: &str, most: usize, help: &str) -> (Reason, String) {
        match self {
            Self::TooLarge => (
                Reason::Malformed,
                format!("{what} is larger than {most} bytes: {help}"),
            ),
            Self::NoRoom => (
                Reason::Overloaded,
                format!(
                    "there is no room for {what}: other questions to this listener take limits.max_bytes_in_flight"
                ),
            ),
            Self::BrokeOff(error) => (
                Reason::Malformed,
                format!("{what} broke off before its end: {error}"),
            ),
            Self::TooSlow => (
                Reason::Timeout,
                format!("the proxy did not finish {what} in time"),
            ),
        }
    }
}

impl Message {
    /// For questions without one.
    pub(crate) fn empty(room: &Room) -> Self {
        Self {
            bytes: Bytes::new(),
            _place: Place::none(room),
        }
    }

    /// Reads a body of at most `most` bytes within `patience`.
    pub(crate) async fn read<B>(body: B, most: usize, patience: Duration, room: &Room) -> Result<Self, Unread>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let mut body = std::pin::pin!(body);
        // What is left of the patience for the rest of a body that is refused.
        let mut left = patience;
        let read = {
            let mut reading = std::pin::pin!(Self::collect(body.as_mut(), most, room));
            // Nearly all are there already, and need no clock.
            match reading.as_mut().now_or_never() {
                Some(read) => read,
                None => {
                    let begun = Instant::now();
                    let read = Box::pin(tokio::time::timeout(patience, reading)).await;
                    left = patience.saturating_sub(begun.elapsed());
                    read.unwrap_or(Err(Unread::TooSlow))
                }
            }
        };
        if let Err(Unread::TooLarge | Unread::NoRoom) = read {
            let _ = Box::pin(tokio::time::timeout(left, discard(body))).await;
        }
        read
    }

    async fn collect<B>(mut body: Pin<&mut B>, most: usize, room: &Room) -> Result<Self, Unread>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let mut place = Place::none(room);
        let mut first = Bytes::new();
        let mut whole = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| Unread::BrokeOff(error.into().to_string()))?;
            let Ok(data) = frame.into_data() else {
                continue;
            };
            if place.bytes + data.len() > most {
                return Err(Unread::TooLarge);
            }
            if !room.take(data.len()) {
                return Err(Unread::NoRoom);
            }
            // Nearly all come in one piece, which needs no copy.
            let begins = place.bytes == 0;
            place.bytes += data.len();
            if begins {
                first = data;
                continue;
            }
            if whole.is_empty() {
                whole.extend_from_slice(&std::mem::take(&mut first));
            }
            whole.extend_from_slice(&data);
        }
        let bytes = if whole.is_empty() { first } else { whole.freeze() };
        Ok(Self { bytes, _place: place })
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Lets the rest of a body that is refused come, within reason, and keeps nothing of it. On HTTP/2, what still comes after an
/// answer is an error, and too many of those end the connection for all clients of the proxy.
async fn discard<B: Body<Data = Bytes>>(mut body: Pin<&mut B>) {
    let mut discarded = 0;
    while discarded < MOST_DISCARDED
        && let Some(Ok(frame)) = body.frame().await
    {
        discarded += frame.data_ref().map_or(0, Bytes::len);
    }
}

impl Place {
    fn none(room: &Room) -> Self {
        Self {
            room: room.clone(),
            bytes: 0,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.room.0.fetch_add(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::{StreamExt as _, stream};
    use http_body::Frame;
    use http_body_util::StreamBody;

    use super::*;

    const PATIENCE: Duration = Duration::from_millis(50);

    async fn read(parts: &[&'static str], most: usize, room: &Room) -> Result<Message, Unread> {
        let frames = parts
            .iter()
            .map(|part| Ok::<_, Infallible>(Frame::data(Bytes::from_static(part.as_bytes()))));
        Message::read(
            StreamBody::new(stream::iter(frames.collect::<Vec<_>>())),
            most,
            PATIENCE,
            room,
        )
        .await
    }

    #[tokio::test]
    async fn messages_share_their_room_and_give_it_back() {
        let room = Room::new(10);
        for (parts, most, whole) in [
            (vec![], 4, Ok("")),
            (vec!["abcd"], 4, Ok("abcd")),
            (vec!["ab", "", "cd"], 4, Ok("abcd")),
            (vec!["", "abcd"], 4, Ok("abcd")),
            (vec!["ab", "cde"], 4, Err(Unread::TooLarge)),
            (vec!["0123456", "789"], 10, Ok("0123456789")),
            (vec!["0123456", "7890"], 20, Err(Unread::NoRoom)),
        ] {
            let read = read(&parts, most, &room).await;
            assert_eq!(
                read.as_ref().map(Message::bytes),
                whole.as_ref().map(|whole| whole.as_bytes()),
                "{parts:?}"
            );
            let taken = whole.map_or(0, str::len);
            assert_eq!(room.free(), 10 - taken, "while it is held");
            drop(read);
            assert_eq!(room.free(), 10, "afterwards");
        }
        let held = read(&["0123456"], 10, &room).await.unwrap();
        assert_eq!(read(&["789a"], 10, &room).await.unwrap_err(), Unread::NoRoom);
        assert!(read(&["789"], 10, &room).await.is_ok());
        drop(held);
        assert!(read(&["789a"], 10, &room).await.is_ok());
    }

    #[tokio::test]
    async fn the_rest_of_what_is_refused_is_let_come() {
        const PIECE: &[u8] = &[0; 1 << 20];
        for (room, sent, taken) in [(1 << 30, 3, 3), (1 << 30, 100, 18), (10, 3, 3)] {
            let came = AtomicUsize::new(0);
            let frames = stream::iter(0..sent).map(|_| {
                came.fetch_add(1, Ordering::Relaxed);
                Ok::<_, Infallible>(Frame::data(Bytes::from_static(PIECE)))
            });
            let read = Message::read(StreamBody::new(frames), PIECE.len(), PATIENCE, &Room::new(room)).await;
            assert!(matches!(read, Err(Unread::TooLarge | Unread::NoRoom)), "{sent}");
            assert_eq!(came.load(Ordering::Relaxed), taken, "of {sent}");
        }
    }

    #[tokio::test]
    async fn what_does_not_end_is_given_up() {
        let room = Room::new(10);
        let begun = stream::iter([Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"ab")))]);
        let body = StreamBody::new(begun.chain(stream::pending()));
        let read = Message::read(body, 10, PATIENCE, &room).await;
        assert_eq!(read.unwrap_err(), Unread::TooSlow);
        assert_eq!(room.free(), 10);
    }
}
