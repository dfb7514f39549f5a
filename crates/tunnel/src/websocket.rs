//! WebSocket framing (RFC 6455) for the tunnel: binary messages and control frames, nothing else.
//!
//! Owns bytes to message pieces and back. Handshake, sockets and time belong to others. A general WebSocket library
//! collects whole messages; here a payload is handed on as it arrives, because the peer writes messages of any
//! size, and idle sessions keep no buffer.
//!
//! Invariant: a piece is handed out once, unmasked, in order; control frames may come between the pieces.

use thiserror::Error;

/// The longest frame header: two bytes, a 64-bit length, a mask.
pub const MAX_HEADER: usize = 14;

/// The longest payload of a control frame (RFC 6455, section 5.5).
const MAX_CONTROL: usize = 125;

/// Why the bytes are not acceptable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum WebSocketError {
    /// Reserved bits without an extension.
    #[error("reserved bits are set")]
    Reserved,
    /// A text message; the tunnel is binary.
    #[error("text message on a binary connection")]
    Text,
    /// An opcode the protocol does not define.
    #[error("unknown opcode {0}")]
    Opcode(u8),
    /// A continuation without a beginning, or a beginning inside a message.
    #[error("fragments out of order")]
    Fragments,
    /// A control frame that is fragmented or too long.
    #[error("malformed control frame")]
    Control,
    /// A client must mask, a server must not.
    #[error("wrong masking")]
    Masking,
    /// A length over 63 bits.
    #[error("frame length exceeds 63 bits")]
    Length,
}

/// What has arrived.
#[derive(Debug, PartialEq, Eq)]
pub enum Received<'a> {
    /// Bytes of the current message; `last` says that it is complete.
    Message {
        /// Some bytes, perhaps none.
        bytes: &'a [u8],
        /// The message ends here.
        last: bool,
    },
    /// To be answered with a pong of the same payload.
    Ping(Vec<u8>),
    /// A sign of life.
    Pong,
    /// The other end closes.
    Close,
}

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

#[derive(Debug, Clone, Copy)]
struct Frame {
    opcode: u8,
    last: bool,
    remaining: u64,
    mask: Option<[u8; 4]>,
}

/// Turns received bytes into message pieces.
#[derive(Debug)]
pub struct Decoder {
    /// Whether frames must be masked: on the server's side.
    masked: bool,
    /// An incomplete header.
    header: [u8; MAX_HEADER],
    header_length: usize,
    frame: Option<Frame>,
    /// The payload of a control frame so far.
    control: Vec<u8>,
    /// Inside a message whose last frame has not come.
    in_message: bool,
}

impl Decoder {
    /// A decoder; `masked` on the server's side.
    #[must_use]
    pub const fn new(masked: bool) -> Self {
        Self {
            masked,
            header: [0; MAX_HEADER],
            header_length: 0,
            frame: None,
            control: Vec::new(),
            in_message: false,
        }
    }

    /// Takes bytes from the front of `input` (unmasking them in place) until something is complete or the input is used up.
    ///
    /// # Errors
    /// When the bytes break the protocol; the decoder must not be used afterwards.
    pub fn next<'a>(
        &mut self,
        input: &mut &'a mut [u8],
    ) -> Result<Option<Received<'a>>, WebSocketError> {
        loop {
            let mut frame = if let Some(frame) = self.frame.take() {
                frame
            } else {
                match self.take_header(input)? {
                    Some(frame) => frame,
                    None => return Ok(None),
                }
            };
            let length = usize::try_from(frame.remaining)
                .unwrap_or(usize::MAX)
                .min(input.len());
            if length == 0 && frame.remaining > 0 {
                self.frame = Some(frame);
                return Ok(None);
            }
            let (piece, rest) = std::mem::take(input).split_at_mut(length);
            *input = rest;
            frame.remaining -= length as u64;
            if let Some(mask) = &mut frame.mask {
                apply_mask(piece, *mask);
                mask.rotate_left(length % 4);
            }
            let complete = frame.remaining == 0;
            if !complete {
                self.frame = Some(frame);
            }
            if frame.opcode < CLOSE {
                let last = complete && frame.last;
                self.in_message = !last;
                return Ok(Some(Received::Message { bytes: piece, last }));
            }
            self.control.extend_from_slice(piece);
            if complete {
                let payload = std::mem::take(&mut self.control);
                return Ok(Some(match frame.opcode {
                    PING => Received::Ping(payload),
                    PONG => Received::Pong,
                    _ => Received::Close,
                }));
            }
        }
    }

    fn take_header(&mut self, input: &mut &mut [u8]) -> Result<Option<Frame>, WebSocketError> {
        loop {
            let needed = match self.header.get(1) {
                Some(second) if self.header_length >= 2 => {
                    let length = match second & 0x7f {
                        126 => 2,
                        127 => 8,
                        _ => 0,
                    };
                    2 + length + if second & 0x80 == 0 { 0 } else { 4 }
                }
                _ => 2,
            };
            if self.header_length >= needed && self.header_length >= 2 {
                let frame = self.parse_header(needed)?;
                self.header_length = 0;
                return Ok(Some(frame));
            }
            let take = (needed - self.header_length).min(input.len());
            if take == 0 {
                return Ok(None);
            }
            let (bytes, rest) = std::mem::take(input).split_at_mut(take);
            *input = rest;
            if let Some(place) = self
                .header
                .get_mut(self.header_length..self.header_length + take)
            {
                place.copy_from_slice(bytes);
            }
            self.header_length += take;
        }
    }

    fn parse_header(&self, length: usize) -> Result<Frame, WebSocketError> {
        let [first, second, ..] = self.header;
        if first & 0x70 != 0 {
            return Err(WebSocketError::Reserved);
        }
        let (opcode, last) = (first & 0x0f, first & 0x80 != 0);
        let mask = if second & 0x80 == 0 {
            None
        } else {
            self.header
                .get(length - 4..length)
                .and_then(|bytes| bytes.try_into().ok())
        };
        if mask.is_some() != self.masked {
            return Err(WebSocketError::Masking);
        }
        let [_, _, b2, b3, b4, b5, b6, b7, b8, b9, ..] = self.header;
        let remaining = match second & 0x7f {
            126 => u64::from(u16::from_be_bytes([b2, b3])),
            127 => u64::from_be_bytes([b2, b3, b4, b5, b6, b7, b8, b9]),
            short => u64::from(short),
        };
        if remaining >> 63 != 0 {
            return Err(WebSocketError::Length);
        }
        match opcode {
            TEXT => return Err(WebSocketError::Text),
            BINARY if self.in_message => return Err(WebSocketError::Fragments),
            CONTINUATION if !self.in_message => return Err(WebSocketError::Fragments),
            BINARY | CONTINUATION => {}
            CLOSE | PING | PONG => {
                if !last || remaining > MAX_CONTROL as u64 {
                    return Err(WebSocketError::Control);
                }
            }
            other => return Err(WebSocketError::Opcode(other)),
        }
        Ok(Frame {
            opcode,
            last,
            remaining,
            mask,
        })
    }
}

/// Masks or unmasks in place (RFC 6455, section 5.3).
fn apply_mask(bytes: &mut [u8], mask: [u8; 4]) {
    if mask == [0; 4] {
        return;
    }
    let word = u64::from(u32::from_ne_bytes(mask));
    let word = word | word << 32;
    let (chunks, rest) = bytes.as_chunks_mut::<8>();
    for chunk in chunks {
        *chunk = (u64::from_ne_bytes(*chunk) ^ word).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= key;
    }
}

/// A frame that can be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outgoing {
    /// A whole binary message.
    Binary,
    /// Keepalive.
    Ping,
    /// Its answer.
    Pong,
    /// The end, with status 1000.
    Close,
}

/// Appends one unfragmented frame made of `parts`; with a mask on the client's side.
pub fn encode(out: &mut Vec<u8>, what: Outgoing, parts: &[&[u8]], mask: Option<[u8; 4]>) {
    let opcode = match what {
        Outgoing::Binary => BINARY,
        Outgoing::Ping => PING,
        Outgoing::Pong => PONG,
        Outgoing::Close => CLOSE,
    };
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let masked = if mask.is_some() { 0x80 } else { 0 };
    out.reserve(MAX_HEADER + length);
    out.push(0x80 | opcode);
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short @ 0..=125), _) => out.push(masked | short),
        (_, Ok(medium)) => {
            out.push(masked | 126);
            out.extend_from_slice(&medium.to_be_bytes());
        }
        _ => {
            out.push(masked | 127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    if let Some(mask) = mask {
        out.extend_from_slice(&mask);
    }
    let start = out.len();
    for part in parts {
        out.extend_from_slice(part);
    }
    if let (Some(mask), Some(payload)) = (mask, out.get_mut(start..)) {
        apply_mask(payload, mask);
    }
}

#[cfg(test)]
mod tests;
