//! One tunnel session: many connections over one ordered link, without sockets or clocks.
//!
//! Owns the connections' states, their buffers, back-pressure, the order of what is sent, and the session's
//! timers. Bytes come in as message pieces, go out as [`Transmit`]s; what happened comes out as [`Event`]s; time is
//! handed in. Rules of the peer: remotedialer f631a87 (`session.go`, `session_serve.go`, `session_sync.go`,
//! `connection.go`, `readbuffer.go`, `back_pressure.go`).
//!
//! Invariants: the bytes of a connection reach its reader in order, each once, and a reader sees a clean end only
//! after the last of them; after our `Error` no frame of that connection is sent; received bytes never exceed the
//! limits, whatever the other end does.

mod arriving;
mod config;
mod flow;
mod leaving;
mod owned;

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::frame::{self, FrameError, Header, Kind};
pub use config::{Config, Limits, Role, Timers};
use flow::{Flow, Phase};

/// Why a session ended by the other end's doing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SessionError {
    /// Bytes that are no message.
    #[error("malformed message")]
    Frame(#[from] FrameError),
    /// No sign of life.
    #[error("nothing heard for {0:?}")]
    Silence(Duration),
    /// It opens a connection under a number that is in use.
    #[error("connection {0} is opened twice")]
    Duplicate(i64),
    /// It sends what must be answered and does not read the answers.
    #[error("answers are not read")]
    Backlog,
}

/// Why a connection cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OpenError {
    /// Protocol and address do not fit a message.
    #[error("protocol and address exceed {} bytes", frame::CONNECT_LIMIT)]
    TooLong,
    /// A protocol with a slash cannot be told from its address.
    #[error("protocol {0:?} contains a slash")]
    Protocol(String),
    /// Too many are open.
    #[error("more than {0} connections are open")]
    TooMany(usize),
    /// The session has ended.
    #[error("the session has ended")]
    Ended,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The other end opens a connection. It exists from now on; end it to refuse.
    Opened {
        /// The connection.
        connection: i64,
        /// Protocol.
        protocol: String,
        /// Address.
        address: String,
    },
    /// A reader can go on.
    Readable(i64),
    /// A writer, or who waits for the end, can go on.
    Writable(i64),
    /// The other end, a hub, has this session of a client.
    ClientAdded {
        /// The client's key.
        client: String,
        /// The session's key.
        session: i64,
    },
    /// The other end has it no more.
    ClientRemoved {
        /// The client's key.
        client: String,
        /// The session's key.
        session: i64,
    },
}

/// What is to be sent. A message borrows from the session until the next call.
#[derive(Debug)]
pub enum Transmit<'a> {
    /// A binary message of these parts.
    Message([&'a [u8]; 3]),
    /// Keepalive.
    Ping,
    /// The answer to one.
    Pong(&'a [u8]),
}

/// Outcome of a read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Read {
    /// So many bytes.
    Bytes(usize),
    /// Nothing yet.
    Blocked,
    /// The clean end.
    End,
    /// The connection broke, with this text.
    Failed(String),
}

/// Outcome of a write or of waiting for the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// So many bytes are taken; or the end is sent.
    Done(usize),
    /// Not now.
    Blocked,
    /// The other end is gone, with this text.
    Broken(String),
}

/// Counters of a session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Connections open now.
    pub streams: usize,
    /// Connections ever opened.
    pub opened: u64,
    /// Payload bytes received.
    pub received: u64,
    /// Payload bytes sent.
    pub sent: u64,
    /// Bytes received and not yet read.
    pub unread: usize,
}

/// The text connections get when their session ends.
pub const DISCONNECT: &str = "tunnel disconnect";

/// The text of a connection that the other end no longer lists.
const LOST: &str = "the other end no longer has the connection";

/// The state machine.
#[derive(Debug)]
pub struct Session {
    config: Config,
    reader: frame::Reader,
    flows: BTreeMap<i64, Flow>,
    next_message: i64,
    last_connection: i64,
    /// Encoded control messages, sent before any data.
    control: VecDeque<Vec<u8>>,
    /// Connections with something to send, each once, in turn.
    ready: VecDeque<i64>,
    events: VecDeque<Event>,
    pong: Option<Vec<u8>>,
    ping_due: bool,
    heard: Instant,
    next_ping: Instant,
    next_sync: Instant,
    /// The message handed out last, kept while its parts are borrowed.
    sending: Sending,
    unread: usize,
    opened: u64,
    received: u64,
    sent: u64,
    ended: bool,
}

#[derive(Debug, Default)]
struct Sending {
    control: Vec<u8>,
    header: Option<frame::EncodedHeader>,
    /// Payload bytes to take off this connection's queue.
    taken: Option<(i64, usize)>,
}

impl Session {
    /// A session that begins now.
    #[must_use]
    pub fn new(config: Config, now: Instant) -> Self {
        Self {
            reader: frame::Reader::default(),
            flows: BTreeMap::new(),
            next_message: frame::own_number(config.first_message),
            // A server's first connection is 2, a client's 1 (remotedialer `session.go`).
            last_connection: match config.role {
                Role::Server => 1,
                Role::Client => 0,
            },
            control: VecDeque::new(),
            ready: VecDeque::new(),
            events: VecDeque::new(),
            pong: None,
            ping_due: false,
            heard: now,
            next_ping: now + config.timers.ping_every,
            next_sync: now + config.timers.sync_every,
            sending: Sending::default(),
            unread: 0,
            opened: 0,
            received: 0,
            sent: 0,
            ended: false,
            config,
        }
    }

    /// The session's configuration.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Counters.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats {
            streams: self.flows.len(),
            opened: self.opened,
            received: self.received,
            sent: self.sent,
            unread: self.unread,
        }
    }

    /// When [`Session::handle_timeout`] is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Instant {
        let dead = self.heard + self.config.timers.silence;
        match self.config.role {
            Role::Server => dead,
            Role::Client => dead.min(self.next_ping).min(self.next_sync),
        }
    }

    /// Does what time demands.
    ///
    /// # Errors
    /// When the other end has been silent too long.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), SessionError> {
        let timers = self.config.timers;
        if now >= self.heard + timers.silence {
            return Err(SessionError::Silence(timers.silence));
        }
        if self.config.role == Role::Client {
            if now >= self.next_ping {
                self.ping_due = true;
                self.next_ping = now + timers.ping_every;
            }
            if now >= self.next_sync {
                self.next_sync = now + timers.sync_every;
                let open: Vec<u8> = self
                    .flows
                    .iter()
                    .filter(|(_, flow)| flow.speaks())
                    .take(frame::SYNC_LIMIT / 8)
                    .flat_map(|(id, _)| id.to_le_bytes())
                    .collect();
                self.push_control(0, Kind::SyncConnections, &open);
            }
        }
        let forgotten =
            |flow: &Flow| flow.detached && flow.linger_until.is_some_and(|until| now >= until);
        let forgotten: Vec<i64> = self
            .flows
            .iter()
            .filter(|(_, flow)| forgotten(flow))
            .map(|(id, _)| *id)
            .collect();
        for connection in forgotten {
            // Still paused after all that time: what was queued is lost, so this is no clean end.
            self.fail(connection, "abandoned while paused");
            self.drop_if_done(connection);
        }
        Ok(())
    }

    /// Whether the other end keeps one flag for both directions of a connection, as the peer does (`back_pressure.go`):
    /// telling it to pause or to go on is then also what makes it remember, or forget, that it told us to pause; and a
    /// writer of its own that waits for the flag is woken by our `Resume` alone.
    const fn one_flag(&self) -> bool {
        !self.reader.own_kind()
    }

    fn push_control(&mut self, connection: i64, kind: Kind, payload: &[u8]) {
        if self.ended {
            return;
        }
        let header = Header {
            id: self.next_message,
            connection,
            kind,
        };
        self.next_message = self.next_message.wrapping_add(1);
        self.control.push_back(frame::encode(&header, payload));
    }

    fn make_ready(&mut self, connection: i64) {
        if let Some(flow) = self.flows.get_mut(&connection)
            && !flow.paused
            && !flow.queued
            && !flow.send.is_empty()
        {
            flow.queued = true;
            self.ready.push_back(connection);
        }
    }

    /// Sends the end once the queue is empty.
    fn finish_if_drained(&mut self, now: Instant, connection: i64) {
        let Some(flow) = self.flows.get_mut(&connection) else {
            return;
        };
        if !flow.send.is_empty() {
            return;
        }
        if flow.phase != Phase::Closing {
            return;
        }
        flow.phase = Phase::Closed;
        flow.linger_until = Some(now + self.config.timers.linger);
        self.push_control(connection, Kind::Error, frame::EOF.as_bytes());
        self.events.push_back(Event::Writable(connection));
    }

    fn drop_if_done(&mut self, connection: i64) {
        if let Some(flow) = self.flows.get(&connection)
            && flow.detached
            && matches!(flow.phase, Phase::Ended(_))
        {
            self.unread -= flow.receive.len();
            self.flows.remove(&connection);
        }
    }
}

#[cfg(test)]
mod tests;
