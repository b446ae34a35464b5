//! A connection that may be idle for long, but not be silent in the middle of a request's head.
//!
//! An idle connection costs nothing and proxies keep some; a head that is sent a byte at a time would hold a connection
//! for as long as its sender likes.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::{Read, ReadBufCursor, Write};
use tokio::time::{Instant, Sleep};

/// The connection. From the first byte of a head until [`Head::ended`] no more than so much time may pass.
pub(super) struct Patient<S> {
    stream: S,
    head: Head,
    patience: Duration,
    /// Runs while a head is read.
    clock: Option<Pin<Box<Sleep>>>,
}

/// Whether the head of a request is being waited for.
#[derive(Clone)]
pub(super) struct Head(Arc<AtomicBool>);

impl<S> Patient<S> {
    pub(super) fn new(stream: S, patience: Duration) -> (Self, Head) {
        let head = Head(Arc::new(AtomicBool::new(true)));
        let patient = Self {
            stream,
            head: head.clone(),
            patience,
            clock: None,
        };
        (patient, head)
    }
}

impl Head {
    /// The head is complete: what follows is a body, or nothing until the next one.
    pub(super) fn ended(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    /// The request is answered: what is read next begins a head.
    pub(super) fn next(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_awaited(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl<S: Read + Unpin> Read for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.head.is_awaited() {
            self.clock = None;
        }
        if let Some(clock) = &mut self.clock
            && clock.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if read.is_ready() && self.head.is_awaited() && self.clock.is_none() {
            let mut clock = Box::pin(tokio::time::sleep_until(Instant::now() + self.patience));
            // From now on it wakes the reader.
            let _ = clock.as_mut().poll(context);
            self.clock = Some(clock);
        }
        read
    }
}

impl<S: Write + Unpin> Write for Patient<S> {
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
