//! The websockets of event streams and terminals.
//!
//! Owns the handshake with its check of origins and choice of a protocol, the
//! limits on what clients send, and the patience with clients that do not read.
//! What is said over a socket belongs to the APIs.

use std::time::Duration;

use bytes::Bytes;
use drover_auth::csrf;
use drover_auth::web::{self, ApiError, Lifeline, Response};
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use http::header::{HeaderValue, SEC_WEBSOCKET_PROTOCOL};
use http::{HeaderMap, StatusCode, request};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

/// Time a client may take to read one frame.
const PATIENCE: Duration = Duration::from_secs(30);
/// Time for the close frame.
const FAREWELL: Duration = Duration::from_secs(5);
/// Largest message of a client.
const MAX_INCOMING: usize = 64 << 10;

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// A handshake that was answered; the socket comes when the answer is out.
#[derive(Debug)]
pub struct Accepted {
    /// The answer to the handshake.
    pub response: Response,
    pending: Pending,
}

/// The half that frames go out on.
#[derive(Debug)]
pub struct Sender {
    sink: SplitSink<Socket, Message>,
    #[expect(dead_code, reason = "the connection's end is known by its drop")]
    lifeline: Option<Lifeline>,
}

/// The half that a client's words come in on.
#[derive(Debug)]
pub struct Receiver(SplitStream<Socket>);

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A text.
    Text(String),
    /// Bytes.
    Bytes(Bytes),
}

/// Why nothing can be sent any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// The connection is gone.
    Left,
    /// The client does not read.
    Stalled,
}

impl Lost {
    /// The reason, for the log.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Left => "the client left",
            Self::Stalled => "the client reads nothing",
        }
    }
}

/// Answers a handshake.
///
/// # Errors
/// 403 for a browser on a foreign page, 400 if the request is no websocket.
pub fn accept(parts: &mut request::Parts) -> Result<Accepted, ApiError> {
    csrf::check_websocket(parts)?;
    let upgrade = drover_tunnel::server_upgrade(&parts.method, &parts.headers)
        .map_err(|error| ApiError::new(error.status, "InvalidFormat", error.message))?;
    let socket = parts.extensions.remove::<OnUpgrade>().ok_or_else(|| {
        ApiError::new(
            StatusCode::BAD_REQUEST,
            "InvalidFormat",
            "this connection cannot become a websocket",
        )
    })?;
    Ok(Accepted {
        response: upgrade.response.map(|()| web::empty()),
        pending: Pending {
            socket,
            lifeline: parts.extensions.remove::<Lifeline>(),
        },
    })
}

/// Answers a handshake in the first protocol the client offers that is among `known`, and tells which. A client that
/// offers none gets none.
///
/// # Errors
/// As [`accept`], and 400 for a client that offers only others.
pub fn accept_speaking(
    parts: &mut request::Parts,
    known: &[&'static str],
) -> Result<(Accepted, Option<&'static str>), ApiError> {
    let offered = offered(&parts.headers);
    let chosen = offered
        .iter()
        .find_map(|offer| known.iter().copied().find(|known| known == offer));
    if chosen.is_none() && !offered.is_empty() {
        return Err(ApiError::new(
            StatusCode::BAD_REQUEST,
            "InvalidFormat",
            format!(
                "none of the protocols is known here, {} are",
                known.join(", ")
            ),
        ));
    }
    let mut accepted = accept(parts)?;
    if let Some(chosen) = chosen {
        accepted
            .response
            .headers_mut()
            .insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(chosen));
    }
    Ok((accepted, chosen))
}

fn offered(headers: &HeaderMap) -> Vec<&str> {
    headers
        .get_all(SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|offer| !offer.is_empty())
        .collect()
}

impl Accepted {
    /// The answer to the handshake, and the socket to wait for once it is sent.
    #[must_use]
    pub fn split(self) -> (Response, Pending) {
        (self.response, self.pending)
    }
}

/// A socket that is about to open.
#[derive(Debug)]
pub struct Pending {
    socket: OnUpgrade,
    lifeline: Option<Lifeline>,
}

impl Pending {
    /// Waits for the socket. `None`: the client left before.
    pub async fn open(self) -> Option<(Sender, Receiver)> {
        let upgraded = match self.socket.await {
            Ok(upgraded) => upgraded,
            Err(error) => {
                tracing::debug!(%error, "the client left before its stream began");
                return None;
            }
        };
        let mut config = WebSocketConfig::default();
        config.max_message_size = Some(MAX_INCOMING);
        config.max_frame_size = Some(MAX_INCOMING);
        let io = TokioIo::new(upgraded);
        let socket = WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await;
        let (sink, stream) = socket.split();
        let sender = Sender {
            sink,
            lifeline: self.lifeline,
        };
        Some((sender, Receiver(stream)))
    }
}

impl Sender {
    /// Sends one frame.
    ///
    /// # Errors
    /// When the client is gone or does not read.
    pub async fn send(&mut self, frame: &Value) -> Result<(), Lost> {
        self.pass(Message::text(frame.to_string())).await
    }

    /// Sends one message.
    ///
    /// # Errors
    /// When the client is gone or does not read.
    pub async fn send_frame(&mut self, frame: Frame) -> Result<(), Lost> {
        self.pass(match frame {
            Frame::Text(text) => Message::text(text),
            Frame::Bytes(bytes) => Message::Binary(bytes),
        })
        .await
    }

    /// Sends a ping, which keeps proxies on the way from taking the connection for idle.
    ///
    /// # Errors
    /// When the client is gone or does not read.
    pub async fn ping(&mut self) -> Result<(), Lost> {
        self.pass(Message::Ping(Bytes::new())).await
    }

    async fn pass(&mut self, message: Message) -> Result<(), Lost> {
        match tokio::time::timeout(PATIENCE, self.sink.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Lost::Left),
            Err(_) => Err(Lost::Stalled),
        }
    }

    /// Says goodbye.
    pub async fn close(mut self) {
        // The client learns it from the close frame, if it still reads.
        let _ = tokio::time::timeout(FAREWELL, self.sink.close()).await;
    }
}

impl Receiver {
    /// The next text; control frames answer themselves. `None`: the client left. May be cancelled.
    pub async fn next(&mut self) -> Option<String> {
        loop {
            if let Frame::Text(text) = self.next_frame().await? {
                return Some(text);
            }
        }
    }

    /// The next message; control frames answer themselves. `None`: the client left. May be cancelled.
    pub async fn next_frame(&mut self) -> Option<Frame> {
        loop {
            match self.0.next().await? {
                Ok(Message::Text(text)) => return Some(Frame::Text(text.to_string())),
                Ok(Message::Binary(bytes)) => return Some(Frame::Bytes(bytes)),
                Ok(Message::Close(_)) | Err(_) => return None,
                Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => {}
            }
        }
    }
}
