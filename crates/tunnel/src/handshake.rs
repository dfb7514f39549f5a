//! The WebSocket opening handshake, both sides (RFC 6455, section 4).
//!
//! Owns header checks and the accept key. Authorisation comes before, TLS and sockets belong to the caller.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::FutureExt;
use futures::future::FusedFuture;
use http::header::{
    CONNECTION, HOST, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, Version};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use sha1::{Digest, Sha1};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};

const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const VERSION: &str = "13";
/// How much of a refusal's body is kept.
const BODY_LIMIT: usize = 16 << 10;

/// The value of `Sec-WebSocket-Accept` for a key.
#[must_use]
pub fn accept_key(key: &[u8]) -> String {
    let mut hash = Sha1::new();
    hash.update(key);
    hash.update(GUID);
    STANDARD.encode(hash.finalize())
}

/// An accepted handshake.
#[derive(Debug)]
pub struct Upgrade {
    /// The 101 to answer with; the socket is what the HTTP server upgrades to.
    pub response: Response<()>,
}

/// A request that is no WebSocket handshake. Status and beginnings of the texts are those of gorilla/websocket (e064f32).
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct UpgradeError {
    /// Status to answer with.
    pub status: StatusCode,
    /// The reason, as body.
    pub message: String,
}

/// Checks the headers of a handshake and makes the answer.
///
/// # Errors
/// When the request is no WebSocket handshake of version 13.
pub fn server_upgrade(method: &Method, headers: &HeaderMap) -> Result<Upgrade, UpgradeError> {
    let not_using = |status, what: &str| UpgradeError {
        status,
        message: format!("websocket: the client is not using the websocket protocol: {what}"),
    };
    if !has_token(headers, &CONNECTION, "upgrade") {
        return Err(not_using(
            StatusCode::BAD_REQUEST,
            "no 'upgrade' in 'Connection' header",
        ));
    }
    if !has_token(headers, &UPGRADE, "websocket") {
        return Err(not_using(
            StatusCode::UPGRADE_REQUIRED,
            "no 'websocket' in 'Upgrade' header",
        ));
    }
    if method != Method::GET {
        return Err(not_using(
            StatusCode::METHOD_NOT_ALLOWED,
            "method is not GET",
        ));
    }
    if !has_token(headers, &SEC_WEBSOCKET_VERSION, VERSION) {
        return Err(UpgradeError {
            status: StatusCode::BAD_REQUEST,
            message: "websocket: unsupported version: not 13".to_owned(),
        });
    }
    let key = headers
        .get(SEC_WEBSOCKET_KEY)
        .map(HeaderValue::as_bytes)
        .unwrap_or_default();
    if STANDARD.decode(key).map(|bytes| bytes.len()) != Ok(16) {
        return Err(UpgradeError {
            status: StatusCode::BAD_REQUEST,
            message: "websocket: not a websocket handshake: bad 'Sec-WebSocket-Key' header"
                .to_owned(),
        });
    }
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    // Base64 is always a valid header value.
    if let Ok(value) = HeaderValue::from_str(&accept_key(key)) {
        headers.insert(SEC_WEBSOCKET_ACCEPT, value);
    }
    Ok(Upgrade { response })
}

fn has_token(headers: &HeaderMap, name: &http::HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|part| part.trim().eq_ignore_ascii_case(token))
}

/// What to ask for.
#[derive(Debug, Clone)]
pub struct ClientRequest {
    /// The whole URL; its authority becomes `Host`.
    pub url: Uri,
    /// Further headers, credentials among them.
    pub headers: HeaderMap,
    /// How long the handshake may take (peer: 10 s).
    pub deadline: Duration,
}

impl ClientRequest {
    /// A request without further headers.
    #[must_use]
    pub fn new(url: Uri) -> Self {
        Self {
            url,
            headers: HeaderMap::new(),
            deadline: Duration::from_secs(10),
        }
    }
}

/// Why there is no WebSocket.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// The URL names no host.
    #[error("the URL has no host")]
    NoHost,
    /// HTTP failed.
    #[error("handshake")]
    Http(#[from] hyper::Error),
    /// The request cannot be built.
    #[error("request")]
    Request(#[from] http::Error),
    /// The server said no.
    #[error("the server answered {status}: {}", body.trim())]
    Refused {
        /// Its status.
        status: StatusCode,
        /// The beginning of its body.
        body: String,
    },
    /// The server's answer is a 101 of something else.
    #[error("the server's upgrade is no WebSocket")]
    BadAccept,
    /// It took too long.
    #[error("no answer within {0:?}")]
    Deadline(Duration),
}

/// Does the client's handshake over a byte stream and returns the socket for [`Session::serve`](crate::Session::serve).
///
/// # Errors
/// When the server refuses (with its status and body) or the stream fails. Not to be repeated on the same stream.
pub async fn connect<S>(
    request: ClientRequest,
    stream: S,
) -> Result<TokioIo<Upgraded>, ConnectError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let deadline = request.deadline;
    match tokio::time::timeout(deadline, handshake(request, stream)).await {
        Ok(result) => result,
        Err(_) => Err(ConnectError::Deadline(deadline)),
    }
}

async fn handshake<S>(request: ClientRequest, stream: S) -> Result<TokioIo<Upgraded>, ConnectError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let key = STANDARD.encode(rand::random::<[u8; 16]>());
    let host = request.url.authority().ok_or(ConnectError::NoHost)?.clone();
    let path = request
        .url
        .path_and_query()
        .map_or("/", http::uri::PathAndQuery::as_str);
    let mut http_request = Request::builder()
        .version(Version::HTTP_11)
        .uri(path)
        .header(HOST, host.as_str())
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_VERSION, VERSION)
        .header(SEC_WEBSOCKET_KEY, &key)
        .body(Empty::<Bytes>::new())?;
    http_request.headers_mut().extend(request.headers);

    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let mut connection = pin!(connection.with_upgrades().fuse());
    let mut response = alongside(connection.as_mut(), sender.send_request(http_request)).await?;
    let status = response.status();
    if status != StatusCode::SWITCHING_PROTOCOLS {
        let body = Limited::new(response.into_body(), BODY_LIMIT).collect();
        let body = alongside(connection.as_mut(), body)
            .await
            .map(http_body_util::Collected::to_bytes)
            .unwrap_or_default();
        return Err(ConnectError::Refused {
            status,
            body: String::from_utf8_lossy(&body).into_owned(),
        });
    }
    let accepted = response
        .headers()
        .get(SEC_WEBSOCKET_ACCEPT)
        .is_some_and(|value| value == accept_key(key.as_bytes()).as_str());
    if !accepted || !has_token(response.headers(), &UPGRADE, "websocket") {
        return Err(ConnectError::BadAccept);
    }
    let upgraded = alongside(connection.as_mut(), hyper::upgrade::on(&mut response)).await?;
    Ok(TokioIo::new(upgraded))
}

/// Waits for `wanted` while `connection`, which it depends on, makes progress.
async fn alongside<C, W>(mut connection: Pin<&mut C>, wanted: W) -> W::Output
where
    C: FusedFuture<Output = hyper::Result<()>>,
    W: Future,
{
    let mut wanted = pin!(wanted);
    poll_fn(|context| {
        // The end of the connection, clean or not, shows in what is wanted.
        if !connection.is_terminated() {
            let _ = connection.as_mut().poll(context);
        }
        wanted.as_mut().poll(context)
    })
    .await
}
