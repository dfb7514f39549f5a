//! The HTTP vocabulary every part of the edge shares: bodies, answers, error bodies, cookies, link bases.
//!
//! Owns the forms of the wire that are not specific to one API. Routing and listening belong to `server`.

mod body;
pub mod cookie;
mod error;

use std::any::Any;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use http::header::{HOST, HeaderMap, USER_AGENT};

pub use body::{
    Body, BoxError, MAX_BODY, Request, Response, boxed, empty, full, json, no_content, read,
    read_json, text, to_json,
};
pub use error::{ApiError, unauthorized};

/// What the listener knows about a connection; it puts this into the extensions of each request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    /// The other end of the socket.
    pub remote: SocketAddr,
    /// Whether the request came in over TLS.
    pub tls: bool,
}

/// Who a request came from, where its handler finds that out: put into the extensions of the answer, for the audit log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Actor {
    /// Id of the user who has signed in.
    pub user: Option<String>,
    /// Name that was given to sign in.
    pub login_name: Option<String>,
    /// The cluster whose agent it is.
    pub cluster: Option<String>,
}

/// Whoever asks reads the answer piece by piece and keeps none of them: put into the extensions of a request to a cluster,
/// whose answer is held whole else, and limited as such.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piecewise;

/// Lives as long as an upgraded connection: who takes the connection over takes this from the request's extensions and
/// drops it at the end.
#[derive(Clone)]
pub struct Lifeline {
    #[expect(dead_code, reason = "held for its drop alone")]
    held: Arc<dyn Any + Send + Sync>,
}

impl Lifeline {
    /// Keeps `held` alive.
    pub fn new<T: Send + Sync + 'static>(held: Arc<T>) -> Self {
        Self { held }
    }
}

impl fmt::Debug for Lifeline {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Lifeline").finish_non_exhaustive()
    }
}

/// Whether the caller is a browser: its User-Agent contains `mozilla` (rancher/norman `parse/browser.go`).
#[must_use]
pub fn is_browser(headers: &HeaderMap) -> bool {
    headers
        .get(USER_AGENT)
        .and_then(|agent| agent.to_str().ok())
        .is_some_and(|agent| agent.to_ascii_lowercase().contains("mozilla"))
}

/// `scheme://host[prefix]` that links in answers start with (reference section 1.1): scheme from X-Forwarded-Proto,
/// else from the connection; host from X-API-Host, the first of X-Forwarded-Host, or Host; prefix from X-API-URL-Prefix.
/// What is no host, and what is no path or could be taken for a host, is passed over.
#[must_use]
pub fn link_base(parts: &http::request::Parts) -> String {
    let header = |name: &str| {
        parts
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .map(str::trim)
            .filter(|value| !value.is_empty())
    };
    let tls = parts
        .extensions
        .get::<Connection>()
        .is_none_or(|connection| connection.tls);
    let scheme = match header("x-forwarded-proto")
        .map(str::to_ascii_lowercase)
        .as_deref()
    {
        Some("http" | "ws") => "http",
        Some("https" | "wss") => "https",
        _ if tls => "https",
        _ => "http",
    };
    let host = header("x-api-host")
        .filter(|host| is_host(host))
        .or_else(|| {
            header("x-forwarded-host")
                .and_then(|hosts| hosts.split(',').next())
                .map(str::trim)
                .filter(|host| is_host(host))
        })
        .or_else(|| header(HOST.as_str()))
        .or_else(|| parts.uri.authority().map(http::uri::Authority::as_str))
        .unwrap_or("localhost");
    let prefix = header("x-api-url-prefix")
        .filter(|prefix| is_prefix(prefix))
        .unwrap_or_default()
        .trim_end_matches('/');
    format!("{scheme}://{host}{prefix}")
}

/// Longest name of a host with a port: 253 bytes (RFC 1035, 2.3.4) and `:65535`.
const LONGEST_HOST: usize = 259;
/// Longest path that is put before those of links.
const LONGEST_PREFIX: usize = 1024;

/// A name or an address, maybe with a port. Nothing else may stand in a link where its host is.
fn is_host(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
    (1..=LONGEST_HOST).contains(&text.len()) && text.bytes().all(allowed)
}

fn is_prefix(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/%".contains(&byte);
    text.len() <= LONGEST_PREFIX
        && text.starts_with('/')
        && !text.contains("//")
        && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests;
