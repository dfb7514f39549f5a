//! One HTTP/1.1 request and its whole answer, bounded in size and time.
//!
//! Meant for the few small requests of start checks and commands: a connection each, nothing spawned, nothing pooled.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;

use crate::{
    dialer::{DialError, Dialer, Io},
    proxy::{Scheme, authority},
};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// The server was not reached.
    #[error("the server cannot be reached")]
    Dial(#[from] DialError),
    /// The address is not of the form `http(s)://host`.
    #[error("{url} is not an http:// or https:// address")]
    Url {
        /// The address.
        url: String,
    },
    /// The connection failed during the exchange.
    #[error("the connection to {target} failed during the request")]
    Http {
        /// Host and port.
        target: String,
        /// The failure.
        #[source]
        source: hyper::Error,
    },
    /// The answer's body failed or is larger than allowed.
    #[error("the answer of {target} broke off or is larger than {limit} bytes")]
    Body {
        /// Host and port.
        target: String,
        /// The limit.
        limit: usize,
        /// The failure.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The whole exchange took too long.
    #[error("no answer from {target} within {} s", .after.as_secs_f32())]
    Timeout {
        /// Host and port.
        target: String,
        /// The time allowed.
        after: Duration,
    },
}

/// An answer and the certificates of the server that gave it.
#[derive(Debug)]
pub struct Answer {
    /// Status, headers and whole body.
    pub response: Response<Bytes>,
    /// The certificates the server showed, leaf first; empty without TLS.
    pub certificates: Vec<CertificateDer<'static>>,
}

/// Sends single requests.
#[derive(Clone, Debug)]
pub struct Client {
    dialer: Dialer,
    tls: Arc<ClientConfig>,
    timeout: Duration,
    limit: usize,
}

impl Client {
    /// A client whose exchanges end within `timeout` and whose answers have at most `limit` bytes.
    #[must_use]
    pub fn new(dialer: Dialer, tls: Arc<ClientConfig>, timeout: Duration, limit: usize) -> Self {
        Self {
            dialer,
            tls,
            timeout,
            limit,
        }
    }

    /// Sends a request whose URI is absolute. May be dropped at any time; the connection then closes.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Result<Answer, ExchangeError> {
        let uri = request.uri();
        let invalid = || ExchangeError::Url {
            url: uri.to_string(),
        };
        let host = uri.host().ok_or_else(invalid)?.to_owned();
        let (scheme, default) = match uri.scheme_str() {
            Some("https") => (Scheme::Https, 443),
            Some("http") => (Scheme::Http, 80),
            Some(_) | None => return Err(invalid()),
        };
        let port = uri.port_u16().unwrap_or(default);
        let target = authority(&host, port);
        let work = async {
            let (stream, certificates) = match scheme {
                Scheme::Https => {
                    let connection = self.dialer.tls(&host, port, &self.tls).await?;
                    (connection.stream, connection.certificates)
                }
                Scheme::Http => (self.dialer.stream(scheme, &host, port).await?, Vec::new()),
            };
            let response = exchange(stream, request, &target, self.limit).await?;
            Ok(Answer {
                response,
                certificates,
            })
        };
        tokio::time::timeout(self.timeout, work)
            .await
            .map_err(|_| ExchangeError::Timeout {
                target: target.clone(),
                after: self.timeout,
            })?
    }
}

/// Sends one request over an open stream. The URI may be absolute; only its path is sent.
async fn exchange(
    stream: Box<dyn Io>,
    mut request: Request<Full<Bytes>>,
    target: &str,
    limit: usize,
) -> Result<Response<Bytes>, ExchangeError> {
    let broken = |source| ExchangeError::Http {
        target: target.to_owned(),
        source,
    };
    if !request.headers().contains_key(header::HOST) {
        let host = request
            .uri()
            .authority()
            .map(http::uri::Authority::as_str)
            .unwrap_or(target);
        if let Ok(value) = host.parse() {
            request.headers_mut().insert(header::HOST, value);
        }
    }
    let path = request
        .uri()
        .path_and_query()
        .map_or("/", http::uri::PathAndQuery::as_str);
    if let Ok(uri) = path.parse() {
        *request.uri_mut() = uri;
    }
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(broken)?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, limit)
            .collect()
            .await
            .map_err(|source| ExchangeError::Body {
                target: target.to_owned(),
                limit,
                source,
            })?;
        Ok(Response::from_parts(parts, body.to_bytes()))
    };
    tokio::pin!(answer);
    tokio::select! {
        // The connection must be driven for the answer to arrive; its own end is told through the answer.
        biased;
        result = &mut answer => result,
        _ = connection => answer.await,
    }
}
