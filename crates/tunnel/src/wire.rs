//! A session with its WebSocket framing: bytes in, bytes out.
//!
//! Owns the joint of [`websocket`](crate::websocket) and [`session`](crate::session); still no socket and no clock.

use std::time::Instant;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use thiserror::Error;

use crate::session::{Config, Role, Session, SessionError, Transmit};
use crate::websocket::{self, Decoder, Outgoing, Received, WebSocketError};

/// Why the link must be cut.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WireError {
    /// The WebSocket is broken.
    #[error("websocket")]
    WebSocket(#[from] WebSocketError),
    /// The session is broken.
    #[error("session")]
    Session(#[from] SessionError),
}

/// Whether the other end goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Continue {
    /// It does.
    Yes,
    /// It has sent a close frame.
    Closed,
}

/// One end of a link.
#[derive(Debug)]
pub struct Wire {
    /// The session, to be read and written through.
    pub session: Session,
    decoder: Decoder,
    /// Masks, on the client's side. They protect proxies from scripts in browsers, so that a fast generator will do.
    masks: Option<SmallRng>,
}

impl Wire {
    /// A link that begins now; `seed` is for the masks.
    #[must_use]
    pub fn new(config: Config, seed: u64, now: Instant) -> Self {
        let (masked, masks) = match config.role {
            Role::Server => (true, None),
            Role::Client => (false, Some(SmallRng::seed_from_u64(seed))),
        };
        Self {
            session: Session::new(config, now),
            decoder: Decoder::new(masked),
            masks,
        }
    }

    /// Takes received bytes; they are unmasked in place.
    ///
    /// # Errors
    /// When the link must be cut.
    pub fn receive(&mut self, now: Instant, mut bytes: &mut [u8]) -> Result<Continue, WireError> {
        while let Some(received) = self.decoder.next(&mut bytes)? {
            match received {
                Received::Message { bytes, last } => self.session.receive(now, bytes, last)?,
                Received::Ping(payload) => self.session.receive_ping(now, payload),
                Received::Pong => self.session.receive_pong(now),
                Received::Close => return Ok(Continue::Closed),
            }
        }
        Ok(Continue::Yes)
    }

    /// Appends what is to be sent until `out` holds about `limit` bytes or nothing is left.
    pub fn transmit(&mut self, now: Instant, out: &mut Vec<u8>, limit: usize) {
        while out.len() < limit {
            let mask = self.masks.as_mut().map(|masks| masks.random::<[u8; 4]>());
            match self.session.poll_transmit(now) {
                None => break,
                Some(Transmit::Message(parts)) => {
                    websocket::encode(out, Outgoing::Binary, &parts, mask)
                }
                Some(Transmit::Ping) => websocket::encode(out, Outgoing::Ping, &[], mask),
                Some(Transmit::Pong(payload)) => {
                    websocket::encode(out, Outgoing::Pong, &[payload], mask)
                }
            }
        }
        self.session.settle(now);
    }

    /// Appends a close frame.
    pub fn close(&mut self, out: &mut Vec<u8>) {
        // 1000, normal closure (RFC 6455, section 7.4.1).
        let mask = self.masks.as_mut().map(|masks| masks.random::<[u8; 4]>());
        websocket::encode(out, Outgoing::Close, &[&[0x03, 0xe8]], mask);
    }
}
