//! The messages of the tunnel: header, payload limits, byte layout.
//!
//! Owns the layout of one message, whole or arriving in pieces. What a message means to a session is
//! `session`'s business, how messages travel is `websocket`'s.
//!
//! Layout: `id`, `connection`, `kind`, for `Data` and `Connect` an obsolete `deadline`, then the payload to the
//! end of the message; numbers are Go's signed varints (remotedialer `message.go`, f631a87; our recording
//! `tunnel-frames.txt`).
//!
//! Invariant: no input makes a decoder panic or allocate more than the limit of its kind.

use thiserror::Error;

/// The obsolete deadline in milliseconds that every peer writes and nobody reads.
const DEADLINE_MILLIS: i64 = 15_000;

/// A `Connect` longer than this is refused: the peer would cut it off and dial something else.
pub const CONNECT_LIMIT: usize = 266;

/// `Error`, `AddClient` and `RemoveClient` are read up to here.
pub const TEXT_LIMIT: usize = 100;

/// The text of an `Error` that means a clean end.
pub const EOF: &str = "EOF";

/// The longest `SyncConnections` we read: 65,536 connections. The peer has no limit.
pub const SYNC_LIMIT: usize = 8 * 65_536;

const MAX_VARINT: usize = 10;
const MAX_HEADER: usize = 4 * MAX_VARINT;

/// Why bytes are not a message.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FrameError {
    /// The message ends inside its header.
    #[error("message ends inside its header")]
    Truncated,
    /// A number does not fit 64 bits.
    #[error("number in a message header exceeds 64 bits")]
    Overflow,
    /// A payload over the limit of its kind.
    #[error("payload of {kind:?} exceeds {limit} bytes")]
    TooLong {
        /// The kind of message.
        kind: Kind,
        /// The limit in bytes.
        limit: usize,
    },
    /// A payload that does not have the form its kind demands.
    #[error("malformed payload of {0:?}")]
    Malformed(Kind),
}

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Bytes of a connection.
    Data,
    /// Opens a connection.
    Connect,
    /// Ends a connection, cleanly if the text is `EOF`.
    Error,
    /// A hub says that it has a session of a client.
    AddClient,
    /// A hub says that it has that session no more.
    RemoveClient,
    /// Stop sending on a connection.
    Pause,
    /// Go on sending.
    Resume,
    /// The connections the sender has open.
    SyncConnections,
    /// Any other number; to be ignored.
    Unknown(i64),
}

impl Kind {
    const fn number(self) -> i64 {
        match self {
            Self::Data => 1,
            Self::Connect => 2,
            Self::Error => 3,
            Self::AddClient => 4,
            Self::RemoveClient => 5,
            Self::Pause => 6,
            Self::Resume => 7,
            Self::SyncConnections => 8,
            Self::Unknown(number) => number,
        }
    }

    const fn from_number(number: i64) -> Self {
        match number {
            1 => Self::Data,
            2 => Self::Connect,
            3 => Self::Error,
            4 => Self::AddClient,
            5 => Self::RemoveClient,
            6 => Self::Pause,
            7 => Self::Resume,
            8 => Self::SyncConnections,
            other => Self::Unknown(other),
        }
    }

    const fn has_deadline(self) -> bool {
        matches!(self, Self::Data | Self::Connect)
    }

    /// How much of the payload a reader keeps, and whether more is an error (otherwise the rest is dropped).
    const fn payload_limit(self) -> (usize, bool) {
        match self {
            Self::Connect => (CONNECT_LIMIT, true),
            Self::SyncConnections => (SYNC_LIMIT, true),
            Self::Error | Self::AddClient | Self::RemoveClient => (TEXT_LIMIT, false),
            Self::Data | Self::Pause | Self::Resume | Self::Unknown(_) => (0, false),
        }
    }
}

/// What stands before the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Serial number of the message; nobody checks it.
    pub id: i64,
    /// The connection, 0 where there is none.
    pub connection: i64,
    /// What the message is.
    pub kind: Kind,
}

/// An encoded header, kept inline.
#[derive(Debug, Clone, Copy)]
pub struct EncodedHeader {
    bytes: [u8; MAX_HEADER],
    length: usize,
}

impl AsRef<[u8]> for EncodedHeader {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

impl EncodedHeader {
    fn put(&mut self, number: i64) {
        let mut rest = ((number << 1) ^ (number >> 63)).cast_unsigned();
        loop {
            let low = (rest & 0x7f) as u8;
            rest >>= 7;
            let byte = if rest == 0 { low } else { low | 0x80 };
            if let Some(place) = self.bytes.get_mut(self.length) {
                *place = byte;
                self.length += 1;
            }
            if rest == 0 {
                return;
            }
        }
    }
}

impl Header {
    /// The header's bytes.
    #[must_use]
    pub fn encode(&self) -> EncodedHeader {
        let mut encoded = EncodedHeader {
            bytes: [0; MAX_HEADER],
            length: 0,
        };
        encoded.put(self.id);
        encoded.put(self.connection);
        encoded.put(self.kind.number());
        if self.kind.has_deadline() {
            encoded.put(DEADLINE_MILLIS);
        }
        encoded
    }

    /// Reads a header from the start of a message; the second value is its length.
    ///
    /// # Errors
    /// `Truncated` when more bytes are needed, `Overflow` for a number beyond 64 bits.
    pub fn decode(input: &[u8]) -> Result<(Self, usize), FrameError> {
        let mut at = 0;
        let id = take_varint(input, &mut at)?;
        let connection = take_varint(input, &mut at)?;
        let kind = Kind::from_number(take_varint(input, &mut at)?);
        if kind.has_deadline() {
            take_varint(input, &mut at)?;
        }
        Ok((
            Self {
                id,
                connection,
                kind,
            },
            at,
        ))
    }
}

fn take_varint(input: &[u8], at: &mut usize) -> Result<i64, FrameError> {
    let mut value = 0_u64;
    for index in 0..MAX_VARINT {
        let byte = *input.get(*at).ok_or(FrameError::Truncated)?;
        *at += 1;
        if index == MAX_VARINT - 1 && byte > 1 {
            return Err(FrameError::Overflow);
        }
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Ok((value >> 1).cast_signed() ^ -((value & 1).cast_signed()));
        }
    }
    Err(FrameError::Overflow)
}

/// A message with its payload read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Control {
    /// Opens a connection.
    Connect {
        /// `tcp`, or on a session between hubs `<client>::tcp`.
        protocol: String,
        /// What to dial.
        address: String,
    },
    /// Ends a connection.
    Error(String),
    /// A hub has a session of a client.
    AddClient {
        /// The client's key.
        client: String,
        /// The session's key.
        session: i64,
    },
    /// A hub has that session no more.
    RemoveClient {
        /// The client's key.
        client: String,
        /// The session's key.
        session: i64,
    },
    /// Stop sending.
    Pause,
    /// Go on.
    Resume,
    /// The connections the sender has open, in ascending order.
    SyncConnections(Vec<i64>),
    /// To be ignored.
    Unknown,
}

/// One piece of what arrives.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Bytes of a connection; a message of any size comes as it arrives.
    Data {
        /// The connection.
        connection: i64,
        /// Some of its bytes.
        bytes: &'a [u8],
    },
    /// Any other message, complete.
    Control {
        /// The connection, 0 where there is none.
        connection: i64,
        /// The message.
        control: Control,
    },
}

/// Reads messages that arrive in pieces.
///
/// Keeps at most a header or a bounded control payload; the payload of `Data` passes through.
#[derive(Debug, Default)]
pub struct Reader {
    state: ReaderState,
    own_kind: bool,
}

#[derive(Debug)]
enum ReaderState {
    /// Bytes of an incomplete header.
    Header(Vec<u8>),
    /// Inside the payload of `Data`.
    Data { connection: i64 },
    /// Inside the payload of another kind.
    Control { header: Header, payload: Vec<u8> },
}

impl Default for ReaderState {
    fn default() -> Self {
        Self::Header(Vec::new())
    }
}

impl Reader {
    /// Whether a message came from an end of this implementation.
    #[must_use]
    pub const fn own_kind(&self) -> bool {
        self.own_kind
    }

    /// Takes the next bytes of the current message; `last` says that it ends with them.
    ///
    /// # Errors
    /// When the bytes are no message; the reader must not be used afterwards.
    pub fn push<'a>(
        &mut self,
        bytes: &'a [u8],
        last: bool,
    ) -> Result<Option<Piece<'a>>, FrameError> {
        let (header, rest) = match std::mem::take(&mut self.state) {
            ReaderState::Header(mut earlier) => {
                let had = earlier.len();
                let decoded = if had == 0 {
                    Header::decode(bytes)
                } else {
                    earlier.extend_from_slice(
                        bytes.get(..bytes.len().min(MAX_HEADER)).unwrap_or_default(),
                    );
                    Header::decode(&earlier)
                };
                match decoded {
                    Ok((header, length)) => (header, bytes.get(length - had..).unwrap_or_default()),
                    Err(FrameError::Truncated) if !last => {
                        if had == 0 {
                            earlier.extend_from_slice(bytes);
                        }
                        self.state = ReaderState::Header(earlier);
                        return Ok(None);
                    }
                    Err(error) => return Err(error),
                }
            }
            ReaderState::Data { connection } => {
                if !last {
                    self.state = ReaderState::Data { connection };
                }
                return Ok((!bytes.is_empty()).then_some(Piece::Data { connection, bytes }));
            }
            ReaderState::Control { header, payload } => {
                return self.collect(header, payload, bytes, last);
            }
        };
        self.own_kind |= header.id < 0;
        if header.kind == Kind::Data {
            let connection = header.connection;
            if !last {
                self.state = ReaderState::Data { connection };
            }
            return Ok(Some(Piece::Data {
                connection,
                bytes: rest,
            }));
        }
        self.collect(header, Vec::new(), rest, last)
    }

    fn collect<'a>(
        &mut self,
        header: Header,
        mut payload: Vec<u8>,
        bytes: &[u8],
        last: bool,
    ) -> Result<Option<Piece<'a>>, FrameError> {
        let (limit, strict) = header.kind.payload_limit();
        let room = limit.saturating_sub(payload.len());
        if strict && bytes.len() > room {
            return Err(FrameError::TooLong {
                kind: header.kind,
                limit,
            });
        }
        payload.extend_from_slice(bytes.get(..bytes.len().min(room)).unwrap_or_default());
        if !last {
            self.state = ReaderState::Control { header, payload };
            return Ok(None);
        }
        let control = Control::parse(header.kind, &payload)?;
        Ok(Some(Piece::Control {
            connection: header.connection,
            control,
        }))
    }
}

impl Control {
    fn parse(kind: Kind, payload: &[u8]) -> Result<Self, FrameError> {
        let malformed = FrameError::Malformed(kind);
        match kind {
            Kind::Connect => {
                let text = str::from_utf8(payload).map_err(|_| malformed.clone())?;
                let (protocol, address) = text.split_once('/').ok_or(malformed)?;
                Ok(Self::Connect {
                    protocol: protocol.to_owned(),
                    address: address.to_owned(),
                })
            }
            Kind::Error => Ok(Self::Error(lossy_text(payload))),
            Kind::AddClient | Kind::RemoveClient => {
                let text = str::from_utf8(payload).map_err(|_| malformed.clone())?;
                let (client, session) = text.split_once('/').ok_or_else(|| malformed.clone())?;
                let session = session.parse().map_err(|_| malformed)?;
                let client = client.to_owned();
                Ok(if kind == Kind::AddClient {
                    Self::AddClient { client, session }
                } else {
                    Self::RemoveClient { client, session }
                })
            }
            Kind::Pause => Ok(Self::Pause),
            Kind::Resume => Ok(Self::Resume),
            Kind::SyncConnections => {
                let (words, rest) = payload.as_chunks::<8>();
                if !rest.is_empty() {
                    return Err(malformed);
                }
                Ok(Self::SyncConnections(
                    words.iter().map(|word| i64::from_le_bytes(*word)).collect(),
                ))
            }
            Kind::Data | Kind::Unknown(_) => Ok(Self::Unknown),
        }
    }
}

/// Text that may have been cut inside a character.
fn lossy_text(payload: &[u8]) -> String {
    String::from_utf8_lossy(payload).into_owned()
}

/// The part of an error text that fits an `Error`: up to the reader's limit, cut between characters.
#[must_use]
pub fn error_text(text: &str) -> &str {
    text.get(..text.floor_char_boundary(TEXT_LIMIT))
        .unwrap_or(text)
}

/// The number of a message, marked as ours: below zero, where the peer never counts (`message.go`: `rand.Int63`, then up
/// by one). Nobody checks numbers, so that this tells two ends of this implementation about each other and disturbs none.
#[must_use]
pub const fn own_number(number: i64) -> i64 {
    number | i64::MIN
}

/// A whole message as bytes, for control messages and tests.
#[must_use]
pub fn encode(header: &Header, payload: &[u8]) -> Vec<u8> {
    let head = header.encode();
    let mut message = Vec::with_capacity(head.as_ref().len() + payload.len());
    message.extend_from_slice(head.as_ref());
    message.extend_from_slice(payload);
    message
}

#[cfg(test)]
mod tests;
