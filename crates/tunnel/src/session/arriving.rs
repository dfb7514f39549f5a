//! What the other end sends.

use std::collections::VecDeque;
use std::time::Instant;

use super::flow::{Flow, Phase};
use super::{Event, LOST, Session, SessionError};
use crate::frame::{self, Control, Kind, Piece};

impl Session {
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
}
