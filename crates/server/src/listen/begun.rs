//! A connection of which the first bytes were read already: an encrypted one cannot be peeked at.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

/// As many as are ever read ahead: the preface of HTTP/2 (RFC 9113 section 3.4).
pub(super) const MOST: usize = 24;

/// The connection, from its first byte.
#[derive(Debug)]
pub(super) struct Begun<S> {
    first: [u8; MOST],
    /// Which of them are still to be given.
    from: usize,
    to: usize,
    stream: S,
}

impl<S: AsyncRead + Unpin> Begun<S> {
    /// Waits until the peer has sent at least so many bytes, [`MOST`] at most.
    ///
    /// # Errors
    /// It ends before that.
    pub(super) async fn wait(mut stream: S, least: usize) -> io::Result<Self> {
        let (mut first, mut to) = ([0; MOST], 0);
        while to < least {
            match stream.read(first.get_mut(to..).unwrap_or_default()).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => to += read,
            }
        }
        Ok(Self {
            first,
            from: 0,
            to,
            stream,
        })
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Begun<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.from == self.to {
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        }
        let now = (self.to - self.from).min(buffer.remaining());
        let given = self.first.get(self.from..self.from + now);
        buffer.put_slice(given.unwrap_or_default());
        self.from += now;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Begun<S> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nothing_of_what_was_read_ahead_is_lost() {
        for (sent, least, begun) in [
            (&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nand more"[..], MOST, true),
            (b"G", 1, true),
            (b"GET / HTTP/1.1\r\n\r\n", 1, true),
            (b"GET / HTTP/1.1\r\n\r\n", MOST, false),
            (b"", 1, false),
        ] {
            let stream = Begun::wait(sent, least).await;
            assert_eq!(stream.is_ok(), begun, "{}", sent.escape_ascii());
            if let Ok(mut stream) = stream {
                let mut read = Vec::new();
                stream.read_to_end(&mut read).await.unwrap();
                assert_eq!(read, sent);
            }
        }
    }
}
