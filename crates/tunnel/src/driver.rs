//! Runs a session over a byte stream: moves bytes, keeps time, wakes readers and writers.
//!
//! Owns the handle of a session and what it shares with the future that runs it ([`pump`]). The rules are in `session`;
//! nothing here makes a protocol decision.
//!
//! Invariant: when the future ends or is dropped, every stream of the session ends.

pub(crate) mod forward;
mod pump;

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use futures::future::BoxFuture;
use parking_lot::Mutex;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::Instant;

use self::pump::Pump;
use crate::session::{Config, Event, Limits, OpenError, Role, Stats, Timers};
use crate::stream::Stream;
use crate::wire::{Wire, WireError};

/// A byte stream of any kind.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// A byte stream of unknown type.
pub type BoxedIo = Box<dyn Io>;

/// What to do with a connection that the other end opens.
pub enum Accept {
    /// Not allowed: the whole session ends, as at the peer.
    Refuse,
    /// Dial, then pass bytes both ways.
    Dial(BoxFuture<'static, io::Result<BoxedIo>>),
    /// Hand the stream to this function.
    Serve(Box<dyn FnOnce(Stream) -> BoxFuture<'static, ()> + Send>),
}

impl std::fmt::Debug for Accept {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Refuse => "Refuse",
            Self::Dial(_) => "Dial",
            Self::Serve(_) => "Serve",
        })
    }
}

/// Decides about connections that the other end opens.
pub trait Acceptor: Send + 'static {
    /// What to do with one; must not block.
    fn accept(&self, protocol: &str, address: &str) -> Accept;

    /// The other end, a hub, has this session of a client. `false` ends the session, as the peer does for a bad announcement.
    fn client_added(&self, client: &str, session: i64) -> bool {
        let _ = (client, session);
        true
    }

    /// The other end has it no more.
    fn client_removed(&self, client: &str, session: i64) -> bool {
        let _ = (client, session);
        true
    }
}

/// Refuses every connection, as a hub does towards agents.
#[derive(Debug, Clone, Copy)]
pub struct RefuseAll;

impl Acceptor for RefuseAll {
    fn accept(&self, _protocol: &str, _address: &str) -> Accept {
        Accept::Refuse
    }
}

/// A session's settings.
#[derive(Debug, Clone)]
pub struct Options {
    /// The client's key, for the registry and in messages; an agent calls itself `client`.
    pub client_key: String,
    /// The session's key; an agent's is 0, a hub draws one.
    pub session_key: i64,
    /// Seed of message numbers and masks.
    pub seed: u64,
    /// Limits.
    pub limits: Limits,
    /// Timers.
    pub timers: Timers,
    /// How long a dial for the other end may take (peer: 60 s).
    pub dial_deadline: Duration,
}

impl Options {
    /// An agent's settings.
    #[must_use]
    pub fn agent() -> Self {
        Self::hub("client", 0)
    }

    /// A hub's settings for one client's session.
    #[must_use]
    pub fn hub(client_key: &str, session_key: i64) -> Self {
        Self {
            client_key: client_key.to_owned(),
            session_key,
            seed: rand::random(),
            limits: Limits::default(),
            timers: Timers::default(),
            dial_deadline: Duration::from_secs(60),
        }
    }
}

/// Why a session ended.
#[derive(Debug, Error)]
pub enum Closed {
    /// We closed it.
    #[error("closed here: {0}")]
    Local(String),
    /// The other end closed it.
    #[error("closed by the other end")]
    Remote,
    /// The other end opened a connection that is not allowed, or announced a client that it may not.
    #[error("refused: {0}")]
    Refused(String),
    /// The other end broke the protocol or fell silent.
    #[error("protocol")]
    Wire(#[from] WireError),
    /// The socket failed.
    #[error("socket")]
    Io(#[from] io::Error),
}

/// Why no stream could be opened.
#[derive(Debug, Error)]
pub enum DialError {
    /// The session does not take it.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// There is no session; the peer matches on this text.
    #[error("failed to find Session for client {0}")]
    NoSession(String),
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) wire: Wire,
    wakers: HashMap<i64, Wakers>,
    driver: Option<Waker>,
    /// Somebody here wants the session to end.
    closing: Option<String>,
}

#[derive(Debug, Default)]
struct Wakers {
    read: Option<Waker>,
    write: Option<Waker>,
}

impl State {
    pub(crate) fn wait_readable(&mut self, connection: i64, waker: &Waker) {
        remember(&mut self.wakers.entry(connection).or_default().read, waker);
    }

    pub(crate) fn wait_writable(&mut self, connection: i64, waker: &Waker) {
        remember(&mut self.wakers.entry(connection).or_default().write, waker);
    }

    pub(crate) fn forget(&mut self, connection: i64) {
        self.wakers.remove(&connection);
    }

    /// The driver's waker, if it has something to do; to be woken after the lock is released.
    pub(crate) fn driver_if_needed(&mut self) -> Option<Waker> {
        if self.wire.session.wants_transmit() || self.closing.is_some() {
            self.driver.take()
        } else {
            None
        }
    }

    /// Collects the wakers that events concern, and the events that are not about wakers.
    fn take_events(&mut self, wakers: &mut Vec<Waker>, others: &mut Vec<Event>) {
        while let Some(event) = self.wire.session.poll_event() {
            match event {
                Event::Readable(connection) => {
                    wakers.extend(
                        self.wakers
                            .get_mut(&connection)
                            .and_then(|waiting| waiting.read.take()),
                    );
                }
                Event::Writable(connection) => {
                    wakers.extend(
                        self.wakers
                            .get_mut(&connection)
                            .and_then(|waiting| waiting.write.take()),
                    );
                }
                Event::Opened { .. } | Event::ClientAdded { .. } | Event::ClientRemoved { .. } => {
                    others.push(event)
                }
            }
        }
    }
}

fn remember(place: &mut Option<Waker>, waker: &Waker) {
    match place {
        Some(old) if old.will_wake(waker) => {}
        other => *other = Some(waker.clone()),
    }
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) state: Mutex<State>,
    closed: watch::Sender<bool>,
    client_key: String,
    session_key: i64,
}

impl Shared {
    /// Runs `change` on the state; wakes the driver if there is something to send, and whoever can go on.
    pub(crate) fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut wakers = Vec::new();
        let (result, driver) = {
            let mut state = self.state.lock();
            let result = change(&mut state);
            // Opened and announced clients come from received bytes only, which the driver handles itself.
            state.take_events(&mut wakers, &mut Vec::new());
            (result, state.driver_if_needed())
        };
        driver.into_iter().chain(wakers).for_each(Waker::wake);
        result
    }
}

/// A handle of a running session; clones are the same session.
#[derive(Debug, Clone)]
pub struct Session {
    shared: Arc<Shared>,
}

impl Session {
    /// Starts a session over an upgraded socket. The future drives it and must be spawned; it ends with the session.
    pub fn serve<S, A>(
        socket: S,
        role: Role,
        acceptor: A,
        options: Options,
    ) -> (Self, impl Future<Output = Closed> + Send)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        A: Acceptor,
    {
        let now = Instant::now();
        let config = Config {
            role,
            client_key: options.client_key.clone(),
            session_key: options.session_key,
            first_message: (options.seed >> 2).cast_signed(),
            limits: options.limits,
            timers: options.timers,
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                wire: Wire::new(config, options.seed, now.into_std()),
                wakers: HashMap::new(),
                driver: None,
                closing: None,
            }),
            closed: watch::Sender::new(false),
            client_key: options.client_key,
            session_key: options.session_key,
        });
        let session = Self {
            shared: Arc::clone(&shared),
        };
        let driver = Pump::new(shared, socket, acceptor, options.dial_deadline);
        (session, driver.run())
    }

    /// Opens a stream. There is no answer on success; a failure comes later as the stream's error.
    ///
    /// # Errors
    /// When the session has ended or is full, or the address does not fit.
    #[expect(
        clippy::unused_async,
        reason = "a dialler may have to wait for an answer when both ends agree on one"
    )]
    pub async fn dial(&self, protocol: &str, address: &str) -> Result<Stream, DialError> {
        Ok(self.open(protocol, address)?)
    }

    pub(crate) fn open(&self, protocol: &str, address: &str) -> Result<Stream, OpenError> {
        let now = Instant::now().into_std();
        let connection = self
            .shared
            .with(|state| state.wire.session.open(now, protocol, address))?;
        Ok(Stream::new(Arc::clone(&self.shared), connection))
    }

    /// Announces a client's session to the other hub.
    pub fn add_client(&self, client: &str, session: i64) {
        self.shared
            .with(|state| state.wire.session.add_client(client, session));
    }

    /// Takes an announcement back.
    pub fn remove_client(&self, client: &str, session: i64) {
        self.shared
            .with(|state| state.wire.session.remove_client(client, session));
    }

    /// Ends the session; its streams end with an error.
    pub fn close(&self, reason: &str) {
        self.shared
            .with(|state| state.closing = Some(reason.to_owned()));
    }

    /// Whether the session has ended.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        *self.shared.closed.borrow()
    }

    /// Waits until the session has ended.
    pub fn closed(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut closed = self.shared.closed.subscribe();
        async move {
            // An error means that the sender is gone, and the session with it.
            let _ = closed.wait_for(|closed| *closed).await;
        }
    }

    /// The client's key.
    #[must_use]
    pub fn client_key(&self) -> &str {
        &self.shared.client_key
    }

    /// The session's key.
    #[must_use]
    pub fn key(&self) -> i64 {
        self.shared.session_key
    }

    /// Counters.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.state.lock().wire.session.stats()
    }

    /// Whether both handles are the same session.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

#[cfg(test)]
mod tests;
