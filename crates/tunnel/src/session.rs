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

mod flow;

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::frame::{self, Control, FrameError, Header, Kind, Piece};
use flow::{Flow, Phase};

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

    // ---- what arrives -------------------------------------------------------------------------------------------

    /// Takes the next bytes of the current message; `last` says that it ends with them.
    ///
    /// # Errors
    /// When the session must end.
    pub fn receive(&mut self, now: Instant, bytes: &[u8], last: bool) -> Result<(), SessionError> {
        self.heard = now;
        match self.reader.push(bytes, last)? {
            None => {}
            Some(Piece::Data { connection, bytes }) => self.receive_data(connection, bytes),
            Some(Piece::Control {
                connection,
                control,
            }) => self.receive_control(now, connection, control)?,
        }
        if self.control.len() > self.config.limits.control_queue {
            return Err(SessionError::Backlog);
        }
        Ok(())
    }

    /// A ping arrived; only the latest unanswered one matters.
    pub fn receive_ping(&mut self, now: Instant, payload: Vec<u8>) {
        self.heard = now;
        self.pong = Some(payload);
    }

    /// A pong arrived.
    pub const fn receive_pong(&mut self, now: Instant) {
        self.heard = now;
    }

    fn receive_data(&mut self, connection: i64, bytes: &[u8]) {
        self.received += bytes.len() as u64;
        let Some(flow) = self.flows.get_mut(&connection) else {
            self.answer_unknown(connection);
            return;
        };
        flow.heard = true;
        if !flow.takes_data() {
            return;
        }
        if flow.receive.is_empty() && !bytes.is_empty() {
            self.events.push_back(Event::Readable(connection));
        }
        flow.receive.extend(bytes);
        self.unread += bytes.len();
        let unread = flow.receive.len();
        // Pauses come earlier when the whole session holds much.
        let crowded = self.unread > self.config.limits.session_receive / 4;
        let threshold = if crowded {
            self.config.limits.resume_below
        } else {
            self.config.limits.pause_above
        };
        // A peer that was told to pause may go on by its own reads (its flag serves both directions): remind it now and then.
        if unread > threshold
            && flow.speaks()
            && flow.should_pause(unread, self.config.limits.pause_above)
        {
            self.push_control(connection, Kind::Pause, &[]);
        }
        if unread > self.config.limits.stream_receive {
            self.fail(connection, "receive buffer exceeded");
        } else if self.unread > self.config.limits.session_receive {
            let largest = self
                .flows
                .iter()
                .max_by_key(|(_, flow)| flow.receive.len())
                .map(|(id, _)| *id);
            if let Some(largest) = largest {
                self.fail(largest, "receive buffers of the session exceeded");
            }
        }
    }

    fn answer_unknown(&mut self, connection: i64) {
        // Advisory: dropped rather than queued without end.
        if self.control.len() >= self.config.limits.control_queue / 2 {
            return;
        }
        let text = format!(
            "connection not found {}/{}/{connection}",
            self.config.client_key, self.config.session_key
        );
        self.push_control(connection, Kind::Error, frame::error_text(&text).as_bytes());
    }

    fn receive_control(
        &mut self,
        now: Instant,
        connection: i64,
        control: Control,
    ) -> Result<(), SessionError> {
        match control {
            Control::Connect { protocol, address } => {
                if self.flows.contains_key(&connection) {
                    return Err(SessionError::Duplicate(connection));
                }
                if self.flows.len() >= self.config.limits.streams {
                    self.push_control(connection, Kind::Error, b"too many connections");
                    self.push_control(connection, Kind::Error, frame::EOF.as_bytes());
                    return Ok(());
                }
                let mut flow = Flow::new(now);
                flow.heard = true;
                self.flows.insert(connection, flow);
                self.opened += 1;
                self.events.push_back(Event::Opened {
                    connection,
                    protocol,
                    address,
                });
            }
            Control::Error(text) => self.receive_error(connection, &text),
            Control::Pause => self.receive_pause(connection),
            Control::Resume => self.receive_resume(connection),
            Control::SyncConnections(open) => self.receive_sync(now, open),
            Control::AddClient { client, session } => self
                .events
                .push_back(Event::ClientAdded { client, session }),
            Control::RemoveClient { client, session } => self
                .events
                .push_back(Event::ClientRemoved { client, session }),
            Control::Unknown => {}
        }
        Ok(())
    }

    /// Whether the other end keeps one flag for both directions of a connection, as the peer does (`back_pressure.go`):
    /// telling it to pause or to go on is then also what makes it remember, or forget, that it told us to pause; and a
    /// writer of its own that waits for the flag is woken by our `Resume` alone.
    const fn one_flag(&self) -> bool {
        !self.reader.own_kind()
    }

    fn receive_pause(&mut self, connection: i64) {
        let one_flag = self.one_flag();
        let Some(flow) = self.flows.get_mut(&connection) else {
            return;
        };
        flow.heard = true;
        flow.paused = true;
        // A Resume of ours that crossed this Pause makes the peer forget that it owes us one: remind it.
        let remind = one_flag && flow.resume_sent && !flow.pause_sent && flow.speaks();
        flow.resume_sent = false;
        if remind {
            self.push_control(connection, Kind::Pause, &[]);
        }
    }

    fn receive_resume(&mut self, connection: i64) {
        let one_flag = self.one_flag();
        let Some(flow) = self.flows.get_mut(&connection) else {
            return;
        };
        flow.heard = true;
        let was_paused = std::mem::take(&mut flow.paused);
        if flow.pause_sent && flow.speaks() {
            // An unasked Resume means that the peer has cleared its own flag although we are full: say it again.
            self.push_control(connection, Kind::Pause, &[]);
        } else if one_flag && was_paused && flow.speaks() {
            // While it had us paused its own writer waited too, and clearing the flag has not woken it.
            flow.resume_sent = true;
            self.push_control(connection, Kind::Resume, &[]);
        }
        self.make_ready(connection);
    }

    fn receive_error(&mut self, connection: i64, text: &str) {
        let Some(flow) = self.flows.get_mut(&connection) else {
            return;
        };
        flow.send = VecDeque::new();
        match flow.phase {
            Phase::Open | Phase::Closing => {
                flow.phase = Phase::Ended((text != frame::EOF).then(|| text.to_owned()));
                self.push_control(connection, Kind::Error, text.as_bytes());
            }
            // The answer to our end, or an end that crossed it; another text is a failure that crossed it.
            Phase::Closed => {
                flow.phase = Phase::Ended((text != frame::EOF).then(|| text.to_owned()))
            }
            Phase::Ended(_) => return,
        }
        self.events.push_back(Event::Readable(connection));
        self.events.push_back(Event::Writable(connection));
        self.drop_if_done(connection);
    }

    fn receive_sync(&mut self, now: Instant, mut open: Vec<i64>) {
        open.sort_unstable();
        let grace = self.config.timers.sync_grace;
        let gone: Vec<i64> = self
            .flows
            .iter()
            .filter(|(id, flow)| {
                !matches!(flow.phase, Phase::Ended(_))
                    && open.binary_search(id).is_err()
                    // A Connect on its way is lost by the peer's rule; a young connection nothing was heard of waits for the next list.
                    && (flow.heard || now >= flow.opened + grace)
            })
            .map(|(id, _)| *id)
            .collect();
        for connection in gone {
            if let Some(flow) = self.flows.get_mut(&connection) {
                let unheard = flow.speaks() && !flow.heard;
                flow.phase = Phase::Ended(Some(LOST.to_owned()));
                flow.send = VecDeque::new();
                // The peer sends no Error here; but a Connect still on its way would leave a connection nobody ends.
                if unheard {
                    self.push_control(connection, Kind::Error, LOST.as_bytes());
                }
                self.events.push_back(Event::Readable(connection));
                self.events.push_back(Event::Writable(connection));
            }
            self.drop_if_done(connection);
        }
    }

    // ---- what the owner does --------------------------------------------------------------------------------------

    /// Opens a connection; there is no answer on success, a failure comes later as the connection's error.
    ///
    /// # Errors
    /// When nothing was sent.
    pub fn open(&mut self, now: Instant, protocol: &str, address: &str) -> Result<i64, OpenError> {
        if self.ended {
            return Err(OpenError::Ended);
        }
        if protocol.contains('/') {
            return Err(OpenError::Protocol(protocol.to_owned()));
        }
        let payload = format!("{protocol}/{address}");
        if payload.len() > frame::CONNECT_LIMIT {
            return Err(OpenError::TooLong);
        }
        if self.flows.len() >= self.config.limits.streams {
            return Err(OpenError::TooMany(self.config.limits.streams));
        }
        let mut connection = self.last_connection;
        loop {
            connection = connection.wrapping_add(1);
            if !self.flows.contains_key(&connection) {
                break;
            }
        }
        self.last_connection = connection;
        self.flows.insert(connection, Flow::new(now));
        self.opened += 1;
        self.push_control(connection, Kind::Connect, payload.as_bytes());
        Ok(connection)
    }

    /// Announces a client's session to the other hub.
    pub fn add_client(&mut self, client: &str, session: i64) {
        let text = format!("{client}/{session}");
        self.push_control(0, Kind::AddClient, text.as_bytes());
    }

    /// Takes an announcement back.
    pub fn remove_client(&mut self, client: &str, session: i64) {
        let text = format!("{client}/{session}");
        self.push_control(0, Kind::RemoveClient, text.as_bytes());
    }

    /// Reads what has arrived on a connection.
    pub fn read(&mut self, connection: i64, into: &mut [u8]) -> Read {
        let one_flag = self.one_flag();
        let Some(flow) = self.flows.get_mut(&connection) else {
            return Read::Failed(DISCONNECT.to_owned());
        };
        let read = flow.take_received(into);
        self.unread -= read;
        if read > 0 {
            // A peer that had us pause cannot write itself; between two full neighbours nothing else would set it going.
            let holds_itself = one_flag && flow.paused;
            if (flow.pause_sent || holds_itself)
                && flow.receive.len() < self.config.limits.resume_below
            {
                flow.resumed();
                if flow.speaks() {
                    flow.resume_sent = true;
                    // The peer forgets with this that it told us to pause, so nothing would end our pause.
                    flow.paused &= !one_flag;
                    self.push_control(connection, Kind::Resume, &[]);
                    self.make_ready(connection);
                }
            }
            return Read::Bytes(read);
        }
        if into.is_empty() {
            return Read::Bytes(0);
        }
        match &flow.phase {
            Phase::Open | Phase::Closing | Phase::Closed => Read::Blocked,
            Phase::Ended(None) => Read::End,
            Phase::Ended(Some(text)) => Read::Failed(text.clone()),
        }
    }

    /// Queues bytes on a connection, as many as it may hold now.
    pub fn write(&mut self, connection: i64, bytes: &[u8]) -> Write {
        let busy = self.ready.len().max(1);
        let limits = &self.config.limits;
        let share = (limits.session_send / busy)
            .min(limits.stream_send)
            .max(limits.chunk.min(limits.stream_send));
        let Some(flow) = self.flows.get_mut(&connection) else {
            return Write::Broken(DISCONNECT.to_owned());
        };
        match &flow.phase {
            Phase::Open => {}
            Phase::Closing | Phase::Closed => {
                return Write::Broken("the connection was shut down".to_owned());
            }
            Phase::Ended(text) => {
                return Write::Broken(
                    text.clone()
                        .unwrap_or_else(|| "the other end closed the connection".to_owned()),
                );
            }
        }
        let room = share.saturating_sub(flow.send.len()).min(bytes.len());
        if room == 0 && !bytes.is_empty() {
            flow.writer_waits = true;
            return Write::Blocked;
        }
        flow.send.extend(bytes.get(..room).unwrap_or_default());
        self.make_ready(connection);
        Write::Done(room)
    }

    /// Ends our side after what is queued; `Done` once the end is on its way. What the other end still sends can be read.
    pub fn shut_down(&mut self, now: Instant, connection: i64) -> Write {
        let Some(flow) = self.flows.get_mut(&connection) else {
            return Write::Broken(DISCONNECT.to_owned());
        };
        match &flow.phase {
            Phase::Open => {
                flow.phase = Phase::Closing;
                self.finish_if_drained(now, connection);
                match self.flows.get(&connection).map(|flow| &flow.phase) {
                    Some(Phase::Closing) => Write::Blocked,
                    _ => Write::Done(0),
                }
            }
            Phase::Closing => Write::Blocked,
            Phase::Closed | Phase::Ended(None) => Write::Done(0),
            Phase::Ended(Some(text)) => Write::Broken(text.clone()),
        }
    }

    /// Whether everything written to the connection has been handed out for sending.
    pub fn flushed(&mut self, connection: i64) -> bool {
        match self.flows.get_mut(&connection) {
            Some(flow) if !flow.send.is_empty() => {
                flow.writer_waits = true;
                false
            }
            _ => true,
        }
    }

    /// Ends a connection at once with an error text for the other end; its reader here gets the same text.
    pub fn fail(&mut self, connection: i64, text: &str) {
        let Some(flow) = self.flows.get_mut(&connection) else {
            return;
        };
        let speaks = flow.speaks();
        self.unread -= flow.receive.len();
        flow.receive = VecDeque::new();
        flow.send = VecDeque::new();
        flow.phase = Phase::Ended(Some(text.to_owned()));
        if speaks {
            self.push_control(connection, Kind::Error, frame::error_text(text).as_bytes());
        }
        self.events.push_back(Event::Readable(connection));
        self.events.push_back(Event::Writable(connection));
        self.drop_if_done(connection);
    }

    /// Says that a dial failed: the text, then the end, as the peer does; the connection is gone.
    pub fn refuse(&mut self, connection: i64, text: &str) {
        let Some(flow) = self.flows.remove(&connection) else {
            return;
        };
        self.unread -= flow.receive.len();
        if flow.speaks() {
            self.push_control(connection, Kind::Error, frame::error_text(text).as_bytes());
            self.push_control(connection, Kind::Error, frame::EOF.as_bytes());
        }
    }

    /// Nobody here reads or writes the connection any more. What is queued is still sent, then the end;
    /// if the other end has paused us, it gets an error instead.
    pub fn detach(&mut self, now: Instant, connection: i64) {
        let Some(flow) = self.flows.get_mut(&connection) else {
            return;
        };
        flow.detached = true;
        self.unread -= flow.receive.len();
        flow.receive = VecDeque::new();
        if flow.paused && !flow.send.is_empty() {
            self.fail(connection, "abandoned while paused");
            return;
        }
        if flow.phase == Phase::Open {
            flow.phase = Phase::Closing;
        }
        flow.linger_until = Some(now + self.config.timers.linger);
        self.finish_if_drained(now, connection);
        self.drop_if_done(connection);
    }

    /// Ends all connections; nothing is sent any more.
    pub fn disconnect(&mut self) {
        self.ended = true;
        self.control.clear();
        self.ready.clear();
        for (id, flow) in &mut self.flows {
            flow.send = VecDeque::new();
            match flow.phase {
                Phase::Open | Phase::Closing | Phase::Closed => {
                    flow.phase = Phase::Ended(Some(DISCONNECT.to_owned()));
                }
                Phase::Ended(_) => {}
            }
            self.events.push_back(Event::Readable(*id));
            self.events.push_back(Event::Writable(*id));
        }
        self.flows.retain(|_, flow| !flow.detached);
    }

    // ---- what leaves ----------------------------------------------------------------------------------------------

    /// What happened since the last call.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Whether [`Session::poll_transmit`] has something.
    #[must_use]
    pub fn wants_transmit(&self) -> bool {
        self.ping_due || self.pong.is_some() || !self.control.is_empty() || !self.ready.is_empty()
    }

    /// The next thing to send: control messages first, then the busy connections in turn.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Transmit<'_>> {
        self.settle(now);
        if let Some(pong) = self.pong.take() {
            self.sending.control = pong;
            return Some(Transmit::Pong(&self.sending.control));
        }
        if self.ping_due {
            self.ping_due = false;
            return Some(Transmit::Ping);
        }
        if let Some(message) = self.control.pop_front() {
            self.sending.control = message;
            return Some(Transmit::Message([&self.sending.control, &[], &[]]));
        }
        while let Some(connection) = self.ready.pop_front() {
            let Some(flow) = self.flows.get_mut(&connection) else {
                continue;
            };
            flow.queued = false;
            let length = flow.send.len().min(self.config.limits.chunk);
            if flow.paused || length == 0 {
                continue;
            }
            let header = Header {
                id: self.next_message,
                connection,
                kind: Kind::Data,
            };
            self.next_message = self.next_message.wrapping_add(1);
            self.sent += length as u64;
            self.sending.header = Some(header.encode());
            self.sending.taken = Some((connection, length));
            let head = self
                .sending
                .header
                .as_ref()
                .map(AsRef::as_ref)
                .unwrap_or_default();
            let (first, second) = self
                .flows
                .get(&connection)
                .map(|flow| flow.sendable(length))
                .unwrap_or_default();
            return Some(Transmit::Message([head, first, second]));
        }
        None
    }

    /// Takes the payload handed out last off its queue, now that it has been copied.
    pub fn settle(&mut self, now: Instant) {
        let Some((connection, length)) = self.sending.taken.take() else {
            return;
        };
        let Some(flow) = self.flows.get_mut(&connection) else {
            return;
        };
        flow.drop_sent(length);
        if flow.writer_waits && flow.send.len() <= self.config.limits.stream_send / 2 {
            flow.writer_waits = !flow.send.is_empty();
            self.events.push_back(Event::Writable(connection));
        }
        if flow.send.is_empty() {
            self.finish_if_drained(now, connection);
        } else {
            self.make_ready(connection);
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

    // ---- inner --------------------------------------------------------------------------------------------------

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
