//! What a session is told when it begins: which end it is, how much it may hold, and its clocks.

use std::time::Duration;

/// Which end of the WebSocket this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Accepted the WebSocket; answers pings.
    Server,
    /// Opened the WebSocket; pings and tells which connections it has.
    Client,
}

/// How much a session may hold.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Over this many unread bytes the other end is told to pause (peer: 2 MiB).
    pub pause_above: usize,
    /// Under this many it is told to resume (peer: 256 KiB).
    pub resume_below: usize,
    /// Over this many unread bytes a connection is ended with an error.
    pub stream_receive: usize,
    /// Over this many unread bytes in all connections together the largest is ended with an error. From a quarter of it
    /// on, connections are paused earlier.
    pub session_receive: usize,
    /// Bytes of a connection waiting to be sent, beyond which its writer waits.
    pub stream_send: usize,
    /// The same for all together: with many busy connections each gets less.
    pub session_send: usize,
    /// Connections open at once.
    pub streams: usize,
    /// Payload of one message; also the turn of a connection among the busy ones.
    pub chunk: usize,
    /// Control messages waiting to be sent, beyond which the other end is held for dead.
    pub control_queue: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            pause_above: 2 << 20,
            resume_below: 256 << 10,
            stream_receive: 16 << 20,
            session_receive: 128 << 20,
            stream_send: 128 << 10,
            session_send: 16 << 20,
            streams: 16_384,
            chunk: 32 << 10,
            control_queue: 65_536,
        }
    }
}

/// The session's clocks; the peer's values are the defaults.
#[derive(Debug, Clone, Copy)]
pub struct Timers {
    /// The client pings this often.
    pub ping_every: Duration,
    /// Without a sign of life for this long the session ends. The peer counts only pings and pongs; any byte counts here.
    pub silence: Duration,
    /// The client tells its connections this often.
    pub sync_every: Duration,
    /// A connection this young may be missing in the other end's list because its `Connect` is on the way.
    pub sync_grace: Duration,
    /// How long a connection we ended waits for the other end's last word.
    pub linger: Duration,
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            ping_every: Duration::from_secs(5),
            silence: Duration::from_secs(60),
            sync_every: Duration::from_secs(60),
            sync_grace: Duration::from_secs(5),
            linger: Duration::from_secs(60),
        }
    }
}

/// Who a session is, and its limits.
#[derive(Debug, Clone)]
pub struct Config {
    /// Which end this is.
    pub role: Role,
    /// The client's key; an agent calls itself `client`.
    pub client_key: String,
    /// The session's key; an agent's is 0.
    pub session_key: i64,
    /// Number of the first message, to be marked as ours; counts up.
    pub first_message: i64,
    /// Limits.
    pub limits: Limits,
    /// Timers.
    pub timers: Timers,
}

impl Config {
    /// The peer's values.
    #[must_use]
    pub fn new(role: Role) -> Self {
        Self {
            role,
            client_key: "client".to_owned(),
            session_key: 0,
            first_message: 1,
            limits: Limits::default(),
            timers: Timers::default(),
        }
    }
}
