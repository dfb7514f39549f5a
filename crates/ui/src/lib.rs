//! The built web UI inside the binary, and how it is served.
//!
//! Owns paths below `/dashboard/`, compressed forms, caching and the security
//! headers of the pages. Who listens, and common headers, belong to `server`.
//! What is served is public: it is the same for everybody and holds no data.
//!
//! Invariant: no answer allows a page to run or style anything that did not
//! come from this server with this answer.

mod encoding;

use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
    ETAG, HeaderValue, IF_NONE_MATCH, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderName, Method, Response, StatusCode};
use sha2::{Digest, Sha256};

/// A file of the built UI.
#[derive(Clone, Copy)]
struct File {
    path: &'static str,
    /// Whether `bytes` are its compressed form.
    is_packed: bool,
    bytes: &'static [u8],
}

include!(concat!(env!("OUT_DIR"), "/files.rs"));

/// Where the UI is served.
pub const ROOT: &str = "/dashboard/";
/// Its icon (`ui/public`).
pub const ICON: &str = "/dashboard/icon.svg";
/// The page that starts the UI, for every path that is no file.
const PAGE: &str = "index.html";
/// Stands in the page for the nonce of the answer (`ui/vite.config.ts`).
const NONCE: &str = "__DROVER_NONCE__";
/// Files whose names change with their contents.
const HASHED: &str = "assets/";
const FOREVER: &str = "public, max-age=31536000, immutable";

const NOT_BUILT: &str = "<!doctype html>
<html lang=\"en\">
<meta charset=\"utf-8\">
<title>Drover</title>
<h1>The web UI was not built into this server</h1>
<p>Build it with <code>cd ui &amp;&amp; npm ci &amp;&amp; npm run build</code>, then build the server again;
<code>cargo xtask up</code> does both. The drover command and the API work without it.</p>
</html>
";

/// Whether a UI is in this binary.
#[must_use]
pub fn is_built() -> bool {
    find(PAGE).is_some()
}

/// Answers a request below [`ROOT`]. The nonce must be new for each call and unknown to others.
#[must_use]
pub fn answer(method: &Method, path: &str, headers: &HeaderMap, nonce: &str) -> Response<Bytes> {
    if !matches!(*method, Method::GET | Method::HEAD) {
        let mut response = Response::new(Bytes::from_static(b"method not allowed\n"));
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        let allow = HeaderValue::from_static("GET, HEAD");
        response.headers_mut().insert(ALLOW, allow);
        return response;
    }
    let name = path.strip_prefix(ROOT).unwrap_or_default();
    match find(name) {
        Some(file) if name != PAGE => asset(file, headers),
        None if name.starts_with(HASHED) => {
            // An old page asks for a file of another build; the start page in its place would be a riddle.
            let mut response = Response::new(Bytes::from_static(b"no such file\n"));
            *response.status_mut() = StatusCode::NOT_FOUND;
            response
        }
        _ => page(nonce),
    }
}

fn find(name: &str) -> Option<File> {
    let at = FILES.binary_search_by(|file| file.path.cmp(name)).ok()?;
    FILES.get(at).copied()
}

fn page(nonce: &str) -> Response<Bytes> {
    let built = find(PAGE).map(|file| String::from_utf8_lossy(file.bytes));
    let status = if built.is_some() {
        StatusCode::OK
    } else {
        StatusCode::NOT_FOUND
    };
    let html = built.map_or_else(|| NOT_BUILT.to_owned(), |html| html.replace(NONCE, nonce));
    let mut response = Response::new(Bytes::from(html));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    );
    headers.insert(
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static("camera=(), geolocation=(), microphone=()"),
    );
    if let Ok(policy) = HeaderValue::from_str(&policy(nonce)) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    harden(headers);
    response
}

/// Styles that the editor and the terminal write at run time carry the nonce; `style` attributes are never parsed.
fn policy(nonce: &str) -> String {
    format!(
        "default-src 'none'; script-src 'self' 'nonce-{nonce}'; style-src 'self' 'nonce-{nonce}'; img-src 'self' data:; \
         font-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )
}

fn asset(file: File, request: &HeaderMap) -> Response<Bytes> {
    let takes_packed = encoding::is_accepted(request.get(ACCEPT_ENCODING));
    let is_packed = file.is_packed && takes_packed;
    // A form has its own tag.
    let mut digest = Sha256::new();
    digest.update([u8::from(is_packed)]);
    digest.update(file.bytes);
    let tag = format!("\"{}\"", hex::encode(&digest.finalize()[..16]));
    let known = request
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|value| value.trim().trim_start_matches("W/") == tag);
    let mut response = if known {
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else if file.is_packed && !takes_packed {
        match encoding::plain(file.bytes) {
            Ok(plain) => Response::new(Bytes::from(plain)),
            Err(error) => return broken(file.path, &error),
        }
    } else {
        Response::new(Bytes::from_static(file.bytes))
    };
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static(media_type(file.path)),
    );
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    let caching = if file.path.starts_with(HASHED) {
        FOREVER
    } else {
        "no-cache"
    };
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(caching));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(ETAG, tag);
    }
    if is_packed {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding::GZIP));
    }
    harden(headers);
    response
}

/// The build wrote something else than it said.
fn broken(path: &str, error: &std::io::Error) -> Response<Bytes> {
    tracing::error!(%path, %error, "a file of the web UI cannot be unpacked");
    let mut response = Response::new(Bytes::from_static(b"the file cannot be unpacked\n"));
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
}

fn harden(headers: &mut HeaderMap) {
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    );
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("json") => "application/json",
        Some("png") => "image/png",
        Some("woff2") => "font/woff2",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests;
