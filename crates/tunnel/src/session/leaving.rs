//! What is handed out: events for the owner, messages for the other end.

use std::time::Instant;

use super::{Event, Session, Transmit};
use crate::frame::{Header, Kind};

impl Session {
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
}
