//! The future of a session: bytes between its socket and its rules, and its time.
//!
//! Owns the socket, its buffers and the tasks of accepted connections; all of them end with it.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep};

use super::{Accept, Acceptor, Closed, Shared, forward, remember};
use crate::session::Event;
use crate::stream::Stream;
use crate::wire::{Continue, WireError};

/// The read buffer of an idle session.
const INPUT_MIN: usize = 2 << 10;
/// The read buffer of a busy one.
const INPUT_MAX: usize = 128 << 10;
/// After so many small reads a busy session's buffer shrinks.
const SMALL_READS: u32 = 32;
/// How much is encoded before the socket gets it: enough to make a system call worth while, little enough that a small
/// request is not kept waiting behind it.
const BATCH: usize = 64 << 10;
/// How long a close frame may take.
const CLOSE_DEADLINE: Duration = Duration::from_secs(1);

/// Ends all streams when the driver ends, in whatever way.
#[derive(Debug)]
struct EndGuard {
    shared: Arc<Shared>,
}

impl Drop for EndGuard {
    fn drop(&mut self) {
        self.shared.with(|state| state.wire.session.disconnect());
        self.shared.closed.send_replace(true);
    }
}

pub(super) struct Pump<S, A> {
    end: EndGuard,
    socket: S,
    acceptor: A,
    dial_deadline: Duration,
    input: Vec<u8>,
    input_wanted: usize,
    small_reads: u32,
    output: Vec<u8>,
    written: usize,
    flush: bool,
    sleep: Pin<Box<Sleep>>,
    tasks: JoinSet<()>,
}

impl<S, A> Pump<S, A>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    A: Acceptor,
{
    pub(super) fn new(
        shared: Arc<Shared>,
        socket: S,
        acceptor: A,
        dial_deadline: Duration,
    ) -> Self {
        Self {
            end: EndGuard { shared },
            socket,
            acceptor,
            dial_deadline,
            input: Vec::new(),
            input_wanted: INPUT_MIN,
            small_reads: 0,
            output: Vec::new(),
            written: 0,
            flush: false,
            sleep: Box::pin(tokio::time::sleep_until(Instant::now())),
            tasks: JoinSet::new(),
        }
    }

    pub(super) async fn run(mut self) -> Closed {
        let reason = match poll_fn(|context| self.poll(context)).await {
            Ok(reason) | Err(reason) => reason,
        };
        self.tasks.abort_all();
        let mut goodbye = self.output.split_off(self.written.min(self.output.len()));
        let shared = Arc::clone(&self.end.shared);
        shared.with(|state| {
            state.wire.session.disconnect();
            state.wire.close(&mut goodbye);
        });
        shared.closed.send_replace(true);
        // Best effort: the peer sends no close frame at all, and a dead socket takes none.
        let _ = tokio::time::timeout(CLOSE_DEADLINE, async {
            use tokio::io::AsyncWriteExt;
            self.socket.write_all(&goodbye).await?;
            self.socket.shutdown().await
        })
        .await;
        reason
    }

    /// Runs until the session ends; both outcomes are reasons, so that `?` can be used.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Closed, Closed>> {
        loop {
            self.keep_time(context)?;
            let wrote = self.poll_output(context)?;
            if let Some(closed) = self.poll_closing(context) {
                return Poll::Ready(Ok(closed));
            }
            let read = match self.poll_input(context)? {
                Poll::Ready(None) => return Poll::Ready(Ok(Closed::Remote)),
                Poll::Ready(Some(())) => true,
                Poll::Pending => false,
            };
            while let Poll::Ready(Some(_)) = self.tasks.poll_join_next(context) {}
            if !wrote && !read {
                return Poll::Pending;
            }
        }
    }

    fn keep_time(&mut self, context: &mut Context<'_>) -> Result<(), Closed> {
        loop {
            let due = Instant::from_std(self.end.shared.state.lock().wire.session.poll_timeout());
            // A deadline that has moved away is noticed when the old one fires, so that traffic does not touch the timer.
            if due < self.sleep.deadline() || self.sleep.is_elapsed() {
                self.sleep.as_mut().reset(due);
            }
            if self.sleep.as_mut().poll(context).is_pending() {
                return Ok(());
            }
            let now = Instant::now().into_std();
            self.end
                .shared
                .state
                .lock()
                .wire
                .session
                .handle_timeout(now)
                .map_err(WireError::Session)?;
        }
    }

    /// Registers for wake-ups and says whether somebody here wants the end and everything before it is written.
    fn poll_closing(&mut self, context: &Context<'_>) -> Option<Closed> {
        let mut state = self.end.shared.state.lock();
        remember(&mut state.driver, context.waker());
        let done = self.written == self.output.len();
        match &state.closing {
            Some(reason) if done => Some(Closed::Local(reason.clone())),
            _ => None,
        }
    }

    /// Writes what there is; says whether something was written.
    fn poll_output(&mut self, context: &mut Context<'_>) -> Result<bool, Closed> {
        let mut progress = false;
        loop {
            if self.written == self.output.len() {
                self.output.clear();
                self.written = 0;
                self.fill_output(context);
                if self.output.is_empty() {
                    self.output = Vec::new();
                    if self.flush {
                        match Pin::new(&mut self.socket).poll_flush(context)? {
                            Poll::Ready(()) => self.flush = false,
                            Poll::Pending => {}
                        }
                    }
                    return Ok(progress);
                }
            }
            let rest = self.output.get(self.written..).unwrap_or_default();
            match Pin::new(&mut self.socket).poll_write(context, rest)? {
                Poll::Pending => return Ok(progress),
                Poll::Ready(0) => return Err(Closed::Remote),
                Poll::Ready(written) => {
                    self.written += written;
                    self.flush = true;
                    progress = true;
                }
            }
        }
    }

    fn fill_output(&mut self, context: &Context<'_>) {
        let now = Instant::now().into_std();
        let mut wakers = Vec::new();
        {
            let mut state = self.end.shared.state.lock();
            remember(&mut state.driver, context.waker());
            if !state.wire.session.wants_transmit() {
                return;
            }
            state.wire.transmit(now, &mut self.output, BATCH);
            state.take_events(&mut wakers, &mut Vec::new());
        }
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Reads once; `None` at the end of the socket.
    fn poll_input(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<()>, Closed>> {
        if self.input.len() != self.input_wanted {
            self.input = vec![0; self.input_wanted];
        }
        let mut buffer = ReadBuf::new(&mut self.input);
        match ready!(Pin::new(&mut self.socket).poll_read(context, &mut buffer)) {
            // TLS that ends without a goodbye, as a killed process leaves it.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Poll::Ready(Ok(None));
            }
            read => read?,
        }
        let length = buffer.filled().len();
        if length == 0 {
            return Poll::Ready(Ok(None));
        }
        let now = Instant::now().into_std();
        let (mut wakers, mut others) = (Vec::new(), Vec::new());
        let received = {
            let mut state = self.end.shared.state.lock();
            let bytes = self.input.get_mut(..length).unwrap_or_default();
            let received = state.wire.receive(now, bytes);
            state.take_events(&mut wakers, &mut others);
            received
        };
        wakers.into_iter().for_each(Waker::wake);
        for event in others {
            self.handle(event)?;
        }
        self.adapt_input(length);
        Poll::Ready(match received? {
            Continue::Yes => Ok(Some(())),
            Continue::Closed => Ok(None),
        })
    }

    fn adapt_input(&mut self, length: usize) {
        if length == self.input_wanted {
            self.input_wanted = (self.input_wanted * 4).min(INPUT_MAX);
            self.small_reads = 0;
        } else if length < self.input_wanted / 8 && self.input_wanted > INPUT_MIN {
            self.small_reads += 1;
            if self.small_reads >= SMALL_READS {
                self.input_wanted = INPUT_MIN;
                self.small_reads = 0;
            }
        } else {
            self.small_reads = 0;
        }
    }

    fn handle(&mut self, event: Event) -> Result<(), Closed> {
        match event {
            Event::Opened {
                connection,
                protocol,
                address,
            } => {
                let shared = Arc::clone(&self.end.shared);
                match self.acceptor.accept(&protocol, &address) {
                    Accept::Refuse => return Err(Closed::Refused(format!("{protocol}/{address}"))),
                    Accept::Dial(dial) => {
                        let stream = Stream::new(shared, connection);
                        self.tasks.spawn(forward::dial_and_forward(
                            stream,
                            dial,
                            self.dial_deadline,
                            protocol,
                            address,
                        ));
                    }
                    Accept::Serve(serve) => {
                        self.tasks.spawn(serve(Stream::new(shared, connection)));
                    }
                }
                Ok(())
            }
            Event::ClientAdded { client, session }
                if !self.acceptor.client_added(&client, session) =>
            {
                Err(Closed::Refused(format!("client {client}/{session}")))
            }
            Event::ClientRemoved { client, session }
                if !self.acceptor.client_removed(&client, session) =>
            {
                Err(Closed::Refused(format!("client {client}/{session}")))
            }
            Event::ClientAdded { .. }
            | Event::ClientRemoved { .. }
            | Event::Readable(_)
            | Event::Writable(_) => Ok(()),
        }
    }
}
