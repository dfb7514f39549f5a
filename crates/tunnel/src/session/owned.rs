//! What the owner of a session does with its connections.

use std::collections::VecDeque;
use std::time::Instant;

use super::flow::{Flow, Phase};
use super::{DISCONNECT, Event, OpenError, Read, Session, Write};
use crate::frame::{self, Kind};

impl Session {
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
}
