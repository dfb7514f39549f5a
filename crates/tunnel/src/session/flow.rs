//! One connection of a session: its buffers and where it is in its life.

use std::collections::VecDeque;
use std::time::Instant;

/// A buffer larger than this is given back when it runs empty, so that idle connections hold next to nothing.
const KEPT: usize = 4 << 10;

/// Where a connection is in its life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Phase {
    /// Both directions work.
    Open,
    /// Our side has ended; the queue drains, then an `Error` goes.
    Closing,
    /// Our `Error` is sent; what the other end had sent before it saw it still arrives, then its answer.
    Closed,
    /// The other end is done: cleanly, or with a text.
    Ended(Option<String>),
}

#[derive(Debug)]
pub(super) struct Flow {
    pub(super) phase: Phase,
    /// Received and not yet read.
    pub(super) receive: VecDeque<u8>,
    /// Written and not yet sent.
    pub(super) send: VecDeque<u8>,
    /// The other end asked us to pause.
    pub(super) paused: bool,
    /// We asked the other end to pause.
    pub(super) pause_sent: bool,
    /// We told the other end to go on, after its last `Pause`.
    pub(super) resume_sent: bool,
    /// Remind it when this much is unread.
    next_pause: usize,
    /// In the session's `ready` list.
    pub(super) queued: bool,
    /// Somebody waits for room or for the queue to drain.
    pub(super) writer_waits: bool,
    /// Nobody here holds the connection.
    pub(super) detached: bool,
    /// The other end has said something about it.
    pub(super) heard: bool,
    pub(super) opened: Instant,
    /// Forget a detached connection by then, whatever the other end does.
    pub(super) linger_until: Option<Instant>,
}

impl Flow {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            phase: Phase::Open,
            receive: VecDeque::new(),
            send: VecDeque::new(),
            paused: false,
            pause_sent: false,
            resume_sent: false,
            next_pause: 0,
            queued: false,
            writer_waits: false,
            detached: false,
            heard: false,
            opened: now,
            linger_until: None,
        }
    }

    /// Whether received bytes still have a reader.
    pub(super) const fn takes_data(&self) -> bool {
        !self.detached && !matches!(self.phase, Phase::Ended(_))
    }

    /// Whether we may still send something about it.
    pub(super) const fn speaks(&self) -> bool {
        matches!(self.phase, Phase::Open | Phase::Closing)
    }

    /// Whether a `Pause` is due now that so much is unread: the first time, then again every `step` bytes.
    pub(super) const fn should_pause(&mut self, unread: usize, step: usize) -> bool {
        if self.pause_sent && unread < self.next_pause {
            return false;
        }
        self.pause_sent = true;
        self.next_pause = unread + step;
        true
    }

    pub(super) const fn resumed(&mut self) {
        self.pause_sent = false;
        self.next_pause = 0;
    }

    pub(super) fn take_received(&mut self, into: &mut [u8]) -> usize {
        let (first, second) = self.receive.as_slices();
        let (head, tail) = into.split_at_mut(first.len().min(into.len()));
        head.copy_from_slice(first.get(..head.len()).unwrap_or_default());
        let more = second.len().min(tail.len());
        if let (Some(place), Some(bytes)) = (tail.get_mut(..more), second.get(..more)) {
            place.copy_from_slice(bytes);
        }
        let read = head.len() + more;
        self.receive.drain(..read);
        give_back(&mut self.receive);
        read
    }

    /// The first `length` bytes to send.
    pub(super) fn sendable(&self, length: usize) -> (&[u8], &[u8]) {
        let (first, second) = self.send.as_slices();
        let head = first.get(..length.min(first.len())).unwrap_or_default();
        let tail = second.get(..length - head.len()).unwrap_or_default();
        (head, tail)
    }

    pub(super) fn drop_sent(&mut self, length: usize) {
        self.send.drain(..length.min(self.send.len()));
        give_back(&mut self.send);
    }
}

fn give_back(buffer: &mut VecDeque<u8>) {
    if buffer.is_empty() && buffer.capacity() > KEPT {
        *buffer = VecDeque::new();
    }
}
