//! Sends together what many tasks write to one connection at about the same time.
//!
//! An HTTP/2 connection whose streams all have something to say is woken by the first of them, and would send each
//! stream's frame alone: a TLS record and a system call for a hundred bytes. This keeps what is written until the tasks
//! that are ready have had their turn.
//!
//! Invariants: bytes keep their order and none is lost; a flush ends only when all that was written before it was handed
//! on; a stream to which nothing is written holds no buffer.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes kept at most.
const ROOM: usize = 64 << 10;

/// A stream whose writes are gathered.
#[derive(Debug)]
pub struct Gathered<S> {
    stream: S,
    gathers: bool,
    /// What was written and not yet handed on, but for the first `gone` bytes.
    kept: Vec<u8>,
    gone: usize,
    /// The others had their turn since a flush was asked for.
    had_turn: bool,
}

impl<S> Gathered<S> {
    /// Gathers what is written to `stream`, or hands it on at once if it is not to: what one task writes is gathered
    /// before it gets here.
    pub const fn new(stream: S, gathers: bool) -> Self {
        Self {
            stream,
            gathers,
            kept: Vec::new(),
            gone: 0,
            had_turn: false,
        }
    }
}

impl<S: AsyncWrite + Unpin> Gathered<S> {
    /// Hands on what is kept.
    fn poll_hand_on(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest @ [_, ..]) = self.kept.get(self.gone..) {
            let length = ready!(Pin::new(&mut self.stream).poll_write(context, rest))?;
            if length == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.gone += length;
        }
        self.kept = Vec::new();
        self.gone = 0;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gathered<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.kept.len() + bytes.len() > ROOM {
            ready!(this.poll_hand_on(context))?;
        }
        if !this.gathers || bytes.len() > ROOM {
            return Pin::new(&mut this.stream).poll_write(context, bytes);
        }
        this.kept.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.gathers {
            let first = buffers.iter().find(|buffer| !buffer.is_empty());
            return self.poll_write(context, first.map_or(&[], |buffer| buffer));
        }
        Pin::new(&mut self.stream).poll_write_vectored(context, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        !self.gathers && self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.kept.is_empty() && !this.had_turn {
            this.had_turn = true;
            // A task that wakes itself runs again after those that are ready.
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        ready!(this.poll_hand_on(context))?;
        this.had_turn = false;
        Pin::new(&mut this.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_hand_on(context))?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gathered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Takes so many bytes a write as it was told to; at 0 it is not ready.
    struct Sink {
        steps: Vec<usize>,
        taken: Vec<u8>,
        n_writes: usize,
    }

    impl AsyncWrite for Sink {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _context: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            let length = self.steps.pop().unwrap_or(usize::MAX).min(bytes.len());
            if length == 0 {
                return Poll::Pending;
            }
            self.n_writes += 1;
            self.taken.extend_from_slice(&bytes[..length]);
            Poll::Ready(Ok(length))
        }

        fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn gathered(steps: Vec<usize>, gathers: bool) -> Gathered<Sink> {
        let sink = Sink {
            steps,
            taken: Vec::new(),
            n_writes: 0,
        };
        Gathered::new(sink, gathers)
    }

    fn write(stream: &mut Gathered<Sink>, bytes: &[u8]) {
        let mut context = Context::from_waker(std::task::Waker::noop());
        let mut written = 0;
        while written < bytes.len() {
            if let Poll::Ready(length) =
                Pin::new(&mut *stream).poll_write(&mut context, &bytes[written..])
            {
                written += length.unwrap();
            }
        }
    }

    fn flush(stream: &mut Gathered<Sink>) {
        let mut context = Context::from_waker(std::task::Waker::noop());
        while Pin::new(&mut *stream).poll_flush(&mut context).is_pending() {}
    }

    proptest! {
        #[test]
        fn every_byte_is_handed_on_once_and_in_order(
            writes in proptest::collection::vec((prop_oneof![1..64_usize, 10_000..100_000_usize], any::<bool>()), 0..12),
            steps in proptest::collection::vec(prop_oneof![Just(0), 1..100_usize, 5_000..50_000_usize], 0..20),
            gathers: bool,
        ) {
            let mut stream = gathered(steps, gathers);
            let mut expected = Vec::new();
            for (nth, (length, then_flush)) in writes.into_iter().enumerate() {
                let bytes: Vec<u8> = (0..length).map(|at| (at as u8).wrapping_mul(31).wrapping_add(nth as u8)).collect();
                write(&mut stream, &bytes);
                expected.extend(bytes);
                prop_assert!(stream.kept.len() <= ROOM);
                if then_flush {
                    flush(&mut stream);
                    prop_assert!(stream.stream.taken == expected);
                    prop_assert_eq!(stream.kept.capacity(), 0);
                }
            }
            flush(&mut stream);
            prop_assert!(stream.stream.taken == expected);
        }
    }

    #[test]
    fn what_is_written_before_a_turn_is_over_goes_together() {
        let mut stream = gathered(Vec::new(), true);
        let mut context = Context::from_waker(std::task::Waker::noop());
        write(&mut stream, b"first");
        let first = Pin::new(&mut stream).poll_flush(&mut context);
        assert!(first.is_pending(), "others may have something to say");
        write(&mut stream, b"second");
        assert!(Pin::new(&mut stream).poll_flush(&mut context).is_ready());
        assert_eq!(
            (stream.stream.n_writes, &*stream.stream.taken),
            (1, &b"firstsecond"[..])
        );
        let nothing = Pin::new(&mut stream).poll_flush(&mut context);
        assert!(nothing.is_ready(), "there is nothing to wait for");
    }
}
