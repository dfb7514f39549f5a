//! Requests to a Kubernetes API: plain JSON, Tables, and watches as lines.
//!
//! Owns how answers and refusals are read. Whose rights a request has is the
//! client's.

use std::io;

use bytes::Bytes;
use drover_api::keeper::Written;
use drover_auth::web::{ApiError, Piecewise};
use futures::stream::BoxStream;
use futures::{Stream, StreamExt, TryStreamExt};
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue, WARNING};
use http::{Method, Request, StatusCode, response};
use http_body_util::{BodyExt, BodyStream, Limited};
use kube::Client;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio_util::codec::{FramedRead, LinesCodec};
use tokio_util::io::StreamReader;

use crate::reach::Reach;

/// Asks for a Table.
pub(crate) const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
/// Asks for metadata alone.
pub(crate) const METADATA: &str =
    "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json";
pub(crate) const JSON: &str = "application/json";

/// Largest answer that is read whole; a page of a list is smaller (a cluster's objects are at most 1.5 MiB each).
const MAX_ANSWER: usize = 1 << 30;
/// Largest event of a watch.
const MAX_LINE: usize = 16 << 20;

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) method: Method,
    /// Path with query.
    pub(crate) url: &'a str,
    pub(crate) accept: &'a str,
    /// Media type and body.
    pub(crate) body: Option<(&'a str, Vec<u8>)>,
}

impl<'a> Ask<'a> {
    pub(crate) fn get(url: &'a str) -> Self {
        Self {
            method: Method::GET,
            url,
            accept: JSON,
            body: None,
        }
    }

    pub(crate) fn accepting(mut self, accept: &'a str) -> Self {
        self.accept = accept;
        self
    }
}

async fn open(
    client: &Client,
    ask: Ask<'_>,
) -> Result<http::Response<kube::client::Body>, ApiError> {
    send(client, request(ask)?).await
}

fn request(ask: Ask<'_>) -> Result<Request<kube::client::Body>, ApiError> {
    let mut request = Request::builder()
        .method(ask.method)
        .uri(ask.url)
        .header(ACCEPT, ask.accept);
    let body = match ask.body {
        Some((media_type, body)) => {
            request = request.header(CONTENT_TYPE, media_type);
            kube::client::Body::from(body)
        }
        None => kube::client::Body::from(Vec::new()),
    };
    request
        .body(body)
        .map_err(|_| ApiError::not_found("no such path"))
}

async fn send(
    client: &Client,
    request: Request<kube::client::Body>,
) -> Result<http::Response<kube::client::Body>, ApiError> {
    client.send(request).await.map_err(unreachable)
}

fn unreachable(error: kube::Error) -> ApiError {
    match error {
        kube::Error::Api(_) => ApiError::from(error),
        other => {
            tracing::debug!(error = %other, "a cluster did not answer");
            unavailable("the cluster did not answer")
        }
    }
}

const UNAVAILABLE: &str = "ClusterUnavailable";

/// Whether there was no answer, as against a refusal.
pub(crate) fn is_unavailable(error: &ApiError) -> bool {
    error.code == UNAVAILABLE
}

/// 503 in the peer's form.
pub(crate) fn unavailable(message: impl Into<String>) -> ApiError {
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, UNAVAILABLE, message)
}

async fn whole(
    answer: http::Response<kube::client::Body>,
) -> Result<(response::Parts, Vec<u8>), ApiError> {
    let (head, body) = answer.into_parts();
    let body = Limited::new(body, MAX_ANSWER)
        .collect()
        .await
        .map_err(broken_off)?;
    Ok((head, body.to_bytes().into()))
}

/// The refusal that an answer is.
fn refusal(status: StatusCode, body: &[u8]) -> ApiError {
    let parsed: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |name: &str| parsed.get(name).and_then(Value::as_str);
    // The proxy's own refusals are written in capitals.
    let code = text("reason")
        .or_else(|| parsed.pointer("/Code/Code").and_then(Value::as_str))
        .or_else(|| text("code"))
        .filter(|code| !code.is_empty())
        .map_or_else(|| reason(status).to_owned(), str::to_owned);
    let message = text("message").or_else(|| text("Message")).map_or_else(
        || String::from_utf8_lossy(&body[..body.len().min(512)]).into_owned(),
        str::to_owned,
    );
    let mut error = ApiError::new(status, code, message);
    let field = parsed
        .pointer("/details/causes/0/field")
        .and_then(Value::as_str);
    if let Some(field) = field {
        error = error.with_field(field);
    }
    error
}

fn reason(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED => "Unauthorized",
        StatusCode::FORBIDDEN => "Forbidden",
        StatusCode::NOT_FOUND => "NotFound",
        StatusCode::SERVICE_UNAVAILABLE => UNAVAILABLE,
        _ => "ServerError",
    }
}

/// Status and JSON of an answer that is no refusal.
///
/// # Errors
/// The refusal, with its status and reason; 503 where there is no answer.
pub(crate) async fn ask(
    client: &Client,
    request: Ask<'_>,
) -> Result<(StatusCode, Value), ApiError> {
    let (head, body) = bytes(client, request).await?;
    if body.is_empty() {
        return Ok((head.status, Value::Null));
    }
    let value = serde_json::from_slice(&body).map_err(no_json)?;
    Ok((head.status, value))
}

/// [`ask`] for the JSON, with what the API server warns of.
///
/// # Errors
/// As [`ask`].
pub(crate) async fn written(client: &Client, request: Ask<'_>) -> Result<Written, ApiError> {
    let (head, body) = bytes(client, request).await?;
    let object = if body.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(&body).map_err(no_json)?
    };
    Ok(Written {
        object,
        warnings: warnings(&head),
    })
}

fn warnings(head: &response::Parts) -> Vec<HeaderValue> {
    head.headers.get_all(WARNING).iter().cloned().collect()
}

/// Head and body of an answer that is no refusal.
async fn bytes(client: &Client, request: Ask<'_>) -> Result<(response::Parts, Vec<u8>), ApiError> {
    let (head, body) = whole(open(client, request).await?).await?;
    if head.status.is_success() {
        Ok((head, body))
    } else {
        Err(refusal(head.status, &body))
    }
}

/// What to say of an answer that cannot be read.
pub(crate) fn no_json(error: impl std::fmt::Display) -> ApiError {
    tracing::warn!(%error, "a cluster answered what is no JSON");
    unavailable("the cluster's answer is not JSON")
}

/// [`ask`] for the JSON alone.
pub(crate) async fn get(client: &Client, url: &str, accept: &str) -> Result<Value, ApiError> {
    let (_, value) = ask(client, Ask::get(url).accepting(accept)).await?;
    Ok(value)
}

/// [`get`] for the text of the answer.
pub(crate) async fn get_text(client: &Client, url: &str, accept: &str) -> Result<String, ApiError> {
    Ok(get_warned(client, url, accept).await?.0)
}

/// [`get_text`] with what the API server warns of.
pub(crate) async fn get_warned(
    client: &Client,
    url: &str,
    accept: &str,
) -> Result<(String, Vec<HeaderValue>), ApiError> {
    let (head, body) = bytes(client, Ask::get(url).accepting(accept)).await?;
    let text = String::from_utf8(body).map_err(no_json)?;
    Ok((text, warnings(&head)))
}

/// [`get`] with all rights; once more when the cluster's agent is replaced meanwhile.
///
/// # Errors
/// The refusal; 404 and 503 where the cluster is not there.
pub(crate) async fn get_whole(
    reach: &dyn Reach,
    cluster: &str,
    url: &str,
    accept: &str,
) -> Result<Value, ApiError> {
    let client = reach.whole(cluster).await?;
    match get(&client, url, accept).await {
        Err(error) if is_unavailable(&error) => {
            tracing::debug!(%cluster, %error, "a question to a cluster is repeated");
            get(&reach.whole(cluster).await?, url, accept).await
        }
        other => other,
    }
}

/// [`get_text`] as it arrives, cut anywhere, of any length.
///
/// # Errors
/// The refusal, before the first piece.
pub(crate) async fn pieces(
    client: &Client,
    url: &str,
    accept: &str,
) -> Result<BoxStream<'static, Result<Bytes, kube::Error>>, ApiError> {
    let mut request = request(Ask::get(url).accepting(accept))?;
    request.extensions_mut().insert(Piecewise);
    let answer = send(client, request).await?;
    if !answer.status().is_success() {
        let (head, body) = whole(answer).await?;
        return Err(refusal(head.status, &body));
    }
    let pieces = BodyStream::new(answer.into_body())
        .try_filter_map(|frame| async move { Ok(frame.into_data().ok()) });
    Ok(pieces.boxed())
}

/// What to say of an answer that ended before its end.
pub(crate) fn broken_off(error: impl std::fmt::Display) -> ApiError {
    tracing::debug!(%error, "an answer of a cluster broke off");
    unavailable("the cluster's answer broke off")
}

/// One event of a watch.
#[derive(Debug, Deserialize)]
pub(crate) struct Event {
    /// `ADDED`, `MODIFIED`, `DELETED`, `BOOKMARK`, `ERROR`.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// As it was written.
    pub(crate) object: Box<RawValue>,
}

/// Opens a watch; the stream ends when the server ends it.
///
/// # Errors
/// The refusal, before the first event.
pub(crate) async fn watch(
    client: &Client,
    url: &str,
    accept: &str,
) -> Result<impl Stream<Item = Result<Event, ApiError>> + Send + Unpin + use<>, ApiError> {
    let bytes = pieces(client, url, accept).await?;
    let lines = FramedRead::new(
        StreamReader::new(bytes.map_err(io::Error::other)),
        LinesCodec::new_with_max_length(MAX_LINE),
    );
    Ok(lines
        .map(|line| {
            let broken = || unavailable("the watch of the cluster broke off");
            let line = line.map_err(|_| broken())?;
            let event: Event = serde_json::from_str(&line).map_err(|_| broken())?;
            if event.kind == "ERROR" {
                #[derive(Deserialize)]
                struct Refused {
                    code: Option<u16>,
                }
                let text = event.object.get();
                let status = serde_json::from_str::<Refused>(text)
                    .ok()
                    .and_then(|refused| StatusCode::from_u16(refused.code?).ok())
                    .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                return Err(refusal(status, text.as_bytes()));
            }
            Ok(event)
        })
        .boxed())
}
