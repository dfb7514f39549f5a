//! Reads ahead of a reader that asks for little at a time.
//!
//! A TLS session asks its stream for 4 kB, whatever waits there: a system call, or a turn of the tunnel's lock, for
//! each quarter of a record. While much is coming this reads 64 kB at once and hands them out.
//!
//! Invariants: bytes keep their order and none is lost; an error and the end come after what was read before them; a
//! stream from which little comes holds no buffer.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes read at once while much is coming.
const AHEAD: usize = 64 << 10;

/// A stream that is read ahead.
#[derive(Debug)]
pub struct ReadAhead<S> {
    stream: S,
    /// What was read; empty while little comes.
    ahead: Vec<u8>,
    /// Which part of it waits to be handed out.
    start: usize,
    end: usize,
    /// The last read filled what it was given, so that more is likely to wait.
    busy: bool,
}

impl<S> ReadAhead<S> {
    /// Reads `stream` ahead while much comes from it.
    pub const fn new(stream: S) -> Self {
        Self {
            stream,
            ahead: Vec::new(),
            start: 0,
            end: 0,
            busy: false,
        }
    }

    fn hand_out(&mut self, buffer: &mut ReadBuf<'_>) {
        let end = self.end.min(self.start + buffer.remaining());
        buffer.put_slice(self.ahead.get(self.start..end).unwrap_or_default());
        self.start = end;
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ReadAhead<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let room = buffer.remaining();
        if this.start == this.end {
            if !this.busy || room >= AHEAD {
                this.ahead = Vec::new();
                let read = Pin::new(&mut this.stream).poll_read(context, buffer);
                this.busy = room > 0 && buffer.remaining() == 0;
                return read;
            }
            this.ahead.resize(AHEAD, 0);
            let mut ahead = ReadBuf::new(&mut this.ahead);
            let read = Pin::new(&mut this.stream).poll_read(context, &mut ahead);
            (this.start, this.end) = (0, ahead.filled().len());
            if !matches!(read, Poll::Ready(Ok(()))) {
                // Who waits holds no buffer.
                this.ahead = Vec::new();
                return read;
            }
            this.busy = this.end >= room;
        }
        this.hand_out(buffer);
        if this.start == this.end && !this.busy {
            this.ahead = Vec::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ReadAhead<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    /// Gives what it was told to, one part a read, then an error.
    struct Script(VecDeque<Option<Vec<u8>>>);

    impl AsyncRead for Script {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _context: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            match self.0.front_mut() {
                None => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
                Some(None) => {
                    self.0.pop_front();
                    Poll::Pending
                }
                Some(Some(part)) => {
                    let rest = part.split_off(part.len().min(buffer.remaining()));
                    buffer.put_slice(part);
                    *part = rest;
                    if part.is_empty() {
                        self.0.pop_front();
                    }
                    Poll::Ready(Ok(()))
                }
            }
        }
    }

    fn read<S: AsyncRead + Unpin>(stream: &mut S, room: usize) -> Poll<io::Result<Vec<u8>>> {
        let mut bytes = vec![0; room];
        let mut buffer = ReadBuf::new(&mut bytes);
        let mut context = Context::from_waker(std::task::Waker::noop());
        let read = Pin::new(stream).poll_read(&mut context, &mut buffer);
        let length = buffer.filled().len();
        read.map_ok(|()| {
            bytes.truncate(length);
            bytes
        })
    }

    fn part() -> impl Strategy<Value = Option<Vec<u8>>> {
        let sizes = prop_oneof![1..64_usize, 3_000..5_000_usize, 60_000..200_000_usize];
        let bytes = (sizes, any::<u8>()).prop_map(|(length, seed)| {
            (0..length)
                .map(|at| (at as u8).wrapping_mul(31).wrapping_add(seed))
                .collect()
        });
        proptest::option::weighted(0.8, bytes)
    }

    proptest! {
        #[test]
        fn every_byte_comes_once_and_in_order_and_the_error_last(
            parts in proptest::collection::vec(part(), 0..12),
            rooms in proptest::collection::vec(prop_oneof![1..100_usize, Just(4096), Just(AHEAD)], 1..20),
        ) {
            let expected: Vec<u8> = parts.iter().flatten().flatten().copied().collect();
            let mut stream = ReadAhead::new(Script(parts.into()));
            let mut rooms = rooms.iter().cycle();
            let mut seen = Vec::new();
            loop {
                match read(&mut stream, *rooms.next().unwrap()) {
                    Poll::Ready(Ok(bytes)) => {
                        prop_assert!(!bytes.is_empty());
                        seen.extend(bytes);
                    }
                    Poll::Pending => prop_assert_eq!(stream.ahead.capacity(), 0),
                    Poll::Ready(Err(error)) => {
                        prop_assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
                        break;
                    }
                }
            }
            prop_assert!(seen == expected);
        }
    }

    #[test]
    fn a_busy_stream_is_asked_seldom_and_a_quiet_one_holds_nothing() {
        let parts = [
            Some(vec![7; 4096 + AHEAD]),
            Some(vec![7; 10]),
            Some(vec![7; 10]),
        ];
        let mut stream = ReadAhead::new(Script(parts.into()));
        for _ in 0..2 {
            assert_eq!(ready(&mut stream), 4096);
        }
        // All of the first part was taken by the second read.
        assert_eq!(stream.stream.0.len(), 2);
        for _ in 0..AHEAD / 4096 - 1 {
            assert_eq!(ready(&mut stream), 4096);
        }
        assert_eq!(ready(&mut stream), 10);
        assert_eq!(stream.ahead.capacity(), 0);
        assert_eq!(ready(&mut stream), 10);
        assert_eq!(stream.ahead.capacity(), 0);
    }

    fn ready(stream: &mut ReadAhead<Script>) -> usize {
        match read(stream, 4096) {
            Poll::Ready(Ok(bytes)) => bytes.len(),
            other => panic!("{other:?}"),
        }
    }
}
