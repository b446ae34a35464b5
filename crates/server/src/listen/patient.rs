//! A connection that may be idle for long, but not be silent in the middle of what it has begun.
//!
//! An idle connection costs nothing and proxies keep some; a head that is sent a byte at a time would hold a connection
//! for as long as its sender likes.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::frames::Frames;

/// How long a connection may keep us waiting.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// For the rest of what was begun.
    pub(super) head: Duration,
    /// For the beginning of a request.
    pub(super) idle: Duration,
}

/// The connection. In HTTP/1.1 no more than so much time may pass from the first byte of a head until [`Head::ended`]; in
/// HTTP/2 from the first byte of a preface, a frame or a list of headers to its last one. A connection of HTTP/2 without
/// any request is an idle one.
pub(super) struct Patient<S> {
    stream: S,
    head: Head,
    patience: Patience,
    frames: Frames,
    /// When a connection of HTTP/2 must have had a request.
    first_until: Option<Instant>,
    /// What was awaited when something came last: it is begun.
    begun: Option<Awaited>,
    /// Runs while the rest of something is awaited, with what that is.
    clock: Option<(Awaited, Pin<Box<Sleep>>)>,
}

/// Whether the head of a request is being waited for: an even number if so, and another one for each head.
#[derive(Clone)]
pub(super) struct Head(Arc<AtomicU32>);

/// What a clock runs for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaited {
    /// The rest of this head.
    Head(u32),
    /// The rest of a preface, a frame or a list of headers.
    Frame,
    /// The first request of a connection of HTTP/2.
    First,
}

impl<S> Patient<S> {
    pub(super) fn new(stream: S, patience: Patience) -> (Self, Head) {
        let head = Head(Arc::new(AtomicU32::new(0)));
        let patient = Self {
            stream,
            head: head.clone(),
            patience,
            frames: Frames::new(),
            first_until: None,
            begun: None,
            clock: None,
        };
        (patient, head)
    }

    /// What the peer keeps us waiting for, once it has begun to send.
    fn awaited(&self) -> Option<Awaited> {
        let head = self.head.is_awaited();
        if !self.frames.is_http2() {
            return head.map(Awaited::Head);
        }
        match (self.frames.owes(), head) {
            (true, _) => Some(Awaited::Frame),
            (false, Some(_)) => Some(Awaited::First),
            // Pings look after silence between requests.
            (false, None) => None,
        }
    }

    /// Stops the clock if it runs for something that came.
    fn stop_clock(&mut self) {
        let awaited = self.awaited();
        self.clock = self.clock.take().filter(|(running, _)| Some(*running) == awaited);
    }

    /// Runs the clock for what is awaited.
    fn run_clock(&mut self, context: &mut Context<'_>) {
        self.stop_clock();
        let Some(awaited) = self.awaited().filter(|_| self.clock.is_none()) else {
            return;
        };
        let now = Instant::now();
        let until = match awaited {
            Awaited::Head(_) | Awaited::Frame => now + self.patience.head,
            Awaited::First => *self.first_until.get_or_insert(now + self.patience.idle),
        };
        let mut clock = Box::pin(tokio::time::sleep_until(until));
        // From now on it wakes the reader.
        let _ = clock.as_mut().poll(context);
        self.clock = Some((awaited, clock));
    }
}

impl Head {
    /// The head is complete: what follows is a body, or nothing until the next one.
    pub(super) fn ended(&self) {
        self.turn(1);
    }

    /// The request is answered: what is read next begins a head.
    pub(super) fn next(&self) {
        self.turn(0);
    }

    /// Goes on to the next number, unless it is odd or even as wanted.
    fn turn(&self, odd: u32) {
        let next = |now: u32| (now % 2 != odd).then(|| now.wrapping_add(1));
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
    }

    /// The number of the head that is being waited for.
    fn is_awaited(&self) -> Option<u32> {
        Some(self.0.load(Ordering::Relaxed)).filter(|now| now % 2 == 0)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.stop_clock();
        if let Some((_, clock)) = &mut self.clock
            && clock.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if read.is_ready() {
            let rested = self.frames.see(buffer.filled().get(before..).unwrap_or_default());
            if rested && self.frames.owes() {
                // This is another frame, which has time of its own.
                self.clock = None;
            }
            self.begun = self.awaited();
        } else if self.begun.is_some() && self.begun == self.awaited() {
            // Only now, because nearly all comes at once, and setting a clock wakes the thread.
            self.run_clock(context);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }
}
