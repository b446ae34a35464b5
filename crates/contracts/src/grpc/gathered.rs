//! A connection on which many answers are written at once.
//!
//! `h2` copies what is small into one buffer and writes that when it is full or nothing more is to be said. "Small" is less
//! than 256 bytes where several buffers can be written in one call, and 1 KiB where they cannot; what is larger is
//! written at once, alone. Answers are about 1 KiB, and a call to the kernel for each of them costs as much as the decision.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};

/// The largest piece of an answer that is copied.
pub(super) const PIECE: usize = 1023;

/// A stream that says it takes one buffer at a time.
#[derive(Debug)]
pub struct Gathered<S>(pub S);

impl<S: Read + Unpin> Read for Gathered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl<S: Write + Unpin> Write for Gathered<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        false
    }
}
