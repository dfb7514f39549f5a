//! Answers: headers, text forms, compression.

use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, VARY,
};
use http::{Response, StatusCode};
use serde_json::Value;

use super::Body;
use super::negotiate::{Accept, Format};
use super::warnings;
use crate::status::StatusError;

/// Bodies from this size on are compressed for clients that read gzip (apiserver `response_writers`: 128 KiB).
pub(super) const GZIP_FROM: usize = 128 * 1024;

const WARNING: HeaderName = HeaderName::from_static("warning");

fn headers(response: &mut Response<Body>, content_type: &'static str) {
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
}

/// An answer of JSON bytes, in the text form the client reads.
pub(super) fn json(code: StatusCode, bytes: Vec<u8>, accept: Accept) -> Response<Body> {
    let (bytes, content_type) = match accept.format {
        Format::Json if accept.pretty => (pretty(&bytes).unwrap_or(bytes), "application/json"),
        Format::Json => (bytes, "application/json"),
        Format::Yaml => match yaml(&bytes) {
            Ok(text) => (text, "application/yaml"),
            Err(why) => return error(&StatusError::internal(why)),
        },
    };
    let mut response = Response::new(Body::full(bytes));
    *response.status_mut() = code;
    headers(&mut response, content_type);
    response
}

fn pretty(bytes: &[u8]) -> Option<Vec<u8>> {
    let value: Value = serde_json::from_slice(bytes).ok()?;
    let mut text = serde_json::to_vec_pretty(&value).ok()?;
    text.push(b'\n');
    Some(text)
}

fn yaml(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let value: Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    serde_saphyr::to_string(&value)
        .map(String::into_bytes)
        .map_err(|error| error.to_string())
}

/// A plain text.
pub(super) fn text(code: StatusCode, text: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Body::full(text));
    *response.status_mut() = code;
    headers(&mut response, "text/plain; charset=utf-8");
    response
}

/// A document for everybody, which may be kept for an hour.
pub(super) fn public(document: impl Into<Bytes>, content_type: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::full(document));
    headers(&mut response, content_type);
    response.headers_mut().insert(
        CACHE_CONTROL,
        HeaderValue::from_static("public, max-age=3600"),
    );
    response
}

/// An answer without content.
pub(super) fn nothing() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    response
}

/// A stream of JSON lines.
pub(super) fn stream(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    headers(&mut response, "application/json");
    response
}

/// A `Status` of failure.
pub(super) fn error(error: &StatusError) -> Response<Body> {
    let mut response = Response::new(Body::full(error.to_value().to_string()));
    *response.status_mut() = error.code;
    headers(&mut response, "application/json");
    let retry = error
        .details
        .as_ref()
        .and_then(|details| details.retry_after_seconds);
    if let Some(seconds) = retry {
        response
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if error.code == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(
            http::header::WWW_AUTHENTICATE,
            HeaderValue::from_static("Bearer realm=\"kubernetes-master\""),
        );
    }
    response
}

/// Adds `Warning: 299` headers (RFC 9111 §5.5, as apiserver `pkg/warning`).
pub(super) fn warn(response: &mut Response<Body>, texts: &[String]) {
    for text in warnings::fitting(texts) {
        let mut quoted = String::from("299 - \"");
        for c in text.chars() {
            match c {
                '"' | '\\' => {
                    quoted.push('\\');
                    quoted.push(c);
                }
                c if c.is_control() => quoted.push(' '),
                c => quoted.push(c),
            }
        }
        quoted.push('"');
        if let Ok(value) = HeaderValue::from_bytes(quoted.as_bytes()) {
            response.headers_mut().append(WARNING, value);
        }
    }
}

/// Compresses bytes; level 1, as most of the gain comes from it.
pub(super) async fn gzip(bytes: Bytes) -> std::io::Result<Vec<u8>> {
    tokio::task::spawn_blocking(move || {
        let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 8), Compression::fast());
        encoder.write_all(&bytes)?;
        encoder.finish()
    })
    .await
    .map_err(std::io::Error::other)?
}

pub(super) fn mark_gzip(response: &mut Response<Body>) {
    let headers = response.headers_mut();
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
}
