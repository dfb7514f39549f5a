//! Bodies and whole answers.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::ApiError;

/// Any error, as bodies carry it.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
/// The body of every request and answer at the edge.
pub type Body = UnsyncBoxBody<Bytes, BoxError>;
/// A request at the edge.
pub type Request = http::Request<Body>;
/// An answer at the edge.
pub type Response = http::Response<Body>;

/// Largest body of an API request, in bytes (rancher/norman `parse/read_input.go` reads 2 MiB).
pub const MAX_BODY: usize = 2 << 20;

/// How long a whole body may take. It holds a connection, and before anybody is authenticated a login's as well.
const BODY_TIME: Duration = Duration::from_mins(2);
/// How long nothing of a body may come.
const BODY_SILENCE: Duration = Duration::from_secs(30);

/// Any body as a [`Body`].
pub fn boxed<B>(body: B) -> Body
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    body.map_err(Into::into).boxed_unsync()
}

/// A body of these bytes.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    boxed(Full::new(bytes.into()))
}

/// A body of no bytes.
#[must_use]
pub fn empty() -> Body {
    boxed(Empty::new())
}

/// JSON as the peer writes it: `&`, `<` and `>` inside strings as `\u00XX` (Go's HTML escaping), a newline at the end.
///
/// # Errors
/// When `value` cannot be written as JSON (a map with keys that are no strings, say).
pub fn to_json<T: Serialize + ?Sized>(value: &T) -> Result<Bytes, serde_json::Error> {
    let plain = serde_json::to_vec(value)?;
    if !plain.iter().any(|byte| matches!(byte, b'&' | b'<' | b'>')) {
        let mut plain = plain;
        plain.push(b'\n');
        return Ok(plain.into());
    }
    // These three bytes occur in JSON only inside strings, so that replacing them anywhere is right.
    let mut escaped = Vec::with_capacity(plain.len() + 32);
    for byte in plain {
        match byte {
            b'&' => escaped.extend_from_slice(br"\u0026"),
            b'<' => escaped.extend_from_slice(br"\u003c"),
            b'>' => escaped.extend_from_slice(br"\u003e"),
            _ => escaped.push(byte),
        }
    }
    escaped.push(b'\n');
    Ok(escaped.into())
}

/// An answer with a JSON body; a value that cannot be written becomes a 500.
pub fn json<T: Serialize + ?Sized>(status: StatusCode, value: &T) -> Response {
    match to_json(value) {
        Ok(bytes) => with_type(status, "application/json", full(bytes)),
        Err(error) => {
            tracing::error!(%error, "answer cannot be written as JSON");
            ApiError::server_error("the answer could not be encoded").into_response()
        }
    }
}

/// An answer of plain text.
pub fn text(status: StatusCode, body: impl Into<Bytes>) -> Response {
    with_type(status, "text/plain; charset=utf-8", full(body))
}

/// 204 without a body.
#[must_use]
pub fn no_content() -> Response {
    let mut response = Response::new(empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

fn with_type(status: StatusCode, media_type: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

/// Reads a whole body of at most `limit` bytes. A body that announces more is refused before it is read.
///
/// # Errors
/// 413 `RequestEntityTooLarge` above the limit, 422 `InvalidBodyContent` when the body breaks off, 408 `RequestTimeout`
/// when it does not come.
pub async fn read<B>(headers: &HeaderMap, body: B, limit: usize) -> Result<Bytes, ApiError>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let too_large = || {
        ApiError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "RequestEntityTooLarge",
            format!("the body is larger than the allowed {limit} bytes"),
        )
    };
    let announced = headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok())
        .and_then(|length| length.parse::<u64>().ok());
    if announced.is_some_and(|length| usize::try_from(length).map_or(true, |length| length > limit))
    {
        return Err(too_large());
    }
    let too_slow = |_| {
        ApiError::new(
            StatusCode::REQUEST_TIMEOUT,
            "RequestTimeout",
            "the body did not arrive in time",
        )
    };
    let end = tokio::time::Instant::now() + BODY_TIME;
    let mut body = std::pin::pin!(body);
    let mut whole = BytesMut::new();
    loop {
        let until = end.min(tokio::time::Instant::now() + BODY_SILENCE);
        let frame = tokio::time::timeout_at(until, body.frame())
            .await
            .map_err(too_slow)?;
        let Some(frame) = frame else { break };
        let frame = frame.map_err(|error| {
            let error: BoxError = error.into();
            tracing::debug!(error = %error, "request body broke off");
            ApiError::invalid_body("the body could not be read to its end")
        })?;
        if let Ok(data) = frame.into_data() {
            if whole.len() + data.len() > limit {
                return Err(too_large());
            }
            whole.extend_from_slice(&data);
        }
    }
    Ok(whole.freeze())
}

/// Reads a body of at most `limit` bytes as JSON. No body at all reads as `{}`, as the peer does.
///
/// # Errors
/// Those of [`read`], and 422 `InvalidBodyContent` saying where the JSON is wrong (never what it holds).
pub async fn read_json<T: DeserializeOwned>(
    headers: &HeaderMap,
    body: Body,
    limit: usize,
) -> Result<T, ApiError> {
    let bytes = read(headers, body, limit).await?;
    let bytes: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
    serde_json::from_slice(bytes).map_err(|error| {
        ApiError::invalid_body(format!(
            "the body is not the expected JSON: {} at line {} column {}",
            match error.classify() {
                serde_json::error::Category::Syntax => "syntax error",
                serde_json::error::Category::Eof => "it ends too early",
                serde_json::error::Category::Data => "a value has the wrong type",
                serde_json::error::Category::Io => "read error",
            },
            error.line(),
            error.column()
        ))
    })
}
