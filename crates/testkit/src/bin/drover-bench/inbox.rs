//! Connections whose bytes are taken as they come and looked at later.
//!
//! What a client does with bytes (TLS, HTTP, tasks) costs more than what a server does to send them, and takes the cores that the
//! server needs: it would hide the server. Taking bytes from the kernel costs little.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// Bytes taken at once.
const PIECE: usize = 64 << 10;

#[derive(Debug)]
struct Shared {
    stream: TcpStream,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// When the newest bytes came.
    newest: Option<Instant>,
    /// Bytes that were taken and not yet read.
    taken: Vec<u8>,
    /// Whether the reader has to wait.
    held: bool,
    reader: Option<Waker>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes bytes for ever.
    async fn take(&self) -> io::Result<()> {
        let mut piece = vec![0; PIECE];
        loop {
            self.stream.readable().await?;
            match self.stream.try_read(&mut piece) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(length) => {
                    let mut state = self.state();
                    state.newest = Some(Instant::now());
                    state.taken.extend_from_slice(&piece[..length]);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// The receiving side of a connection.
#[derive(Debug, Clone)]
pub(crate) struct Inbox(Arc<Shared>);

impl Inbox {
    /// When the newest bytes came.
    pub(crate) fn newest(&self) -> Option<Instant> {
        self.0.state().newest
    }

    /// Takes bytes as they come, so that the sender may go on, and shows them to nobody until `until`.
    pub(crate) async fn hold(&self, until: Instant) -> io::Result<()> {
        self.0.state().held = true;
        let taken = tokio::time::timeout_at(until, self.0.take()).await;
        let mut state = self.0.state();
        state.held = false;
        if let Some(reader) = state.reader.take() {
            reader.wake();
        }
        match taken {
            Err(_elapsed) => Ok(()),
            Ok(ended) => ended,
        }
    }
}

/// A connection with an [`Inbox`].
pub(crate) struct Connection(Arc<Shared>);

impl Connection {
    pub(crate) fn new(stream: TcpStream) -> Self {
        let state = Mutex::default();
        Self(Arc::new(Shared { stream, state }))
    }

    pub(crate) fn inbox(&self) -> Inbox {
        Inbox(Arc::clone(&self.0))
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.0.state();
        state.reader = Some(context.waker().clone());
        if state.held {
            return Poll::Pending;
        }
        if !state.taken.is_empty() {
            let length = state.taken.len().min(buffer.remaining());
            buffer.put_slice(&state.taken[..length]);
            state.taken.drain(..length);
            return Poll::Ready(Ok(()));
        }
        loop {
            ready!(self.0.stream.poll_read_ready(context))?;
            match self.0.stream.try_read(buffer.initialize_unfilled()) {
                Ok(length) => {
                    state.newest = Some(Instant::now());
                    buffer.advance(length);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.0.stream.poll_write_ready(context))?;
            match self.0.stream.try_write(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// The connection ends when it is dropped.
    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
