//! One connection through the tunnel as a tokio byte stream.
//!
//! Owns nothing but its number; buffers and rules are the session's. Reading lets the other end send on, writing
//! waits while it is paused. Dropping sends what is queued, then the end.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use crate::driver::Shared;
use crate::session::{Read, Write};

/// A byte stream through a session.
#[derive(Debug)]
pub struct Stream {
    shared: Arc<Shared>,
    connection: i64,
}

impl Stream {
    pub(crate) const fn new(shared: Arc<Shared>, connection: i64) -> Self {
        Self { shared, connection }
    }

    /// The connection's number within its session.
    #[must_use]
    pub const fn connection(&self) -> i64 {
        self.connection
    }

    /// Ends the stream with an error for the other end.
    pub fn fail(self, text: &str) {
        self.shared
            .with(|state| state.wire.session.fail(self.connection, text));
    }

    /// Says that what the other end asked for cannot be reached.
    pub fn refuse(self, text: &str) {
        self.shared
            .with(|state| state.wire.session.refuse(self.connection, text));
    }

    fn read(&self, context: &Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = self.shared.with(|state| {
            let read = state
                .wire
                .session
                .read(self.connection, buffer.initialize_unfilled());
            if read == Read::Blocked {
                state.wait_readable(self.connection, context.waker());
            }
            read
        });
        match read {
            Read::Bytes(length) => {
                buffer.advance(length);
                Poll::Ready(Ok(()))
            }
            Read::Blocked => Poll::Pending,
            Read::End => Poll::Ready(Ok(())),
            Read::Failed(text) => {
                Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionReset, text)))
            }
        }
    }

    fn write(&self, context: &Context<'_>, buffers: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let mut total = 0;
        let outcome = self.shared.with(|state| {
            for bytes in buffers {
                match state.wire.session.write(self.connection, bytes) {
                    Write::Done(length) => {
                        total += length;
                        if length < bytes.len() {
                            break;
                        }
                    }
                    Write::Blocked => {
                        if total == 0 {
                            state.wait_writable(self.connection, context.waker());
                            return Write::Blocked;
                        }
                        break;
                    }
                    Write::Broken(text) => return Write::Broken(text),
                }
            }
            Write::Done(total)
        });
        into_poll(outcome)
    }

    fn end(&self, context: &Context<'_>) -> Poll<io::Result<()>> {
        let now = Instant::now().into_std();
        let outcome = self.shared.with(|state| {
            let outcome = state.wire.session.shut_down(now, self.connection);
            if outcome == Write::Blocked {
                state.wait_writable(self.connection, context.waker());
            }
            outcome
        });
        into_poll(outcome).map_ok(|_| ())
    }
}

fn into_poll(outcome: Write) -> Poll<io::Result<usize>> {
    match outcome {
        Write::Done(length) => Poll::Ready(Ok(length)),
        Write::Blocked => Poll::Pending,
        Write::Broken(text) => Poll::Ready(Err(io::Error::new(io::ErrorKind::BrokenPipe, text))),
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let now = Instant::now().into_std();
        self.shared.with(|state| {
            state.forget(self.connection);
            state.wire.session.detach(now, self.connection);
        });
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.read(context, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.write(context, &[io::IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write(context, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The driver sends without being asked; waiting for it here would only add a turn.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.end(context)
    }
}

impl AsyncRead for &Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.read(context, buffer)
    }
}

impl AsyncWrite for &Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.write(context, &[io::IoSlice::new(bytes)])
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.end(context)
    }
}
