//! Requests to the hub beside the tunnels, with the cluster's registration token.
//!
//! Owns how such a request is made: credentials read anew for each, one connection, a deadline. What is asked and what an
//! answer means is decided elsewhere.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use drover_dial::{Client, Dialer, ExchangeError};
use http::{HeaderValue, Request, StatusCode, header};
use http_body_util::Full;
use rustls::ClientConfig;
use secrecy::ExposeSecret;
use serde::Serialize;

use crate::{
    config::{Config, ConfigError},
    kubernetes::USER_AGENT,
    tunnel::TOKEN_HEADER,
};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The credentials cannot be read.
    #[error("the credentials are missing or wrong")]
    Config(#[from] ConfigError),
    /// A credential cannot stand in a header, or the address in a URL.
    #[error("the credentials hold characters that HTTP does not allow")]
    Header(#[source] http::Error),
    /// What is asked cannot be written.
    #[error("the question cannot be written as JSON")]
    Body(#[source] serde_json::Error),
    /// The hub was not reached, or broke off.
    #[error("the hub does not answer")]
    Exchange(#[from] ExchangeError),
}

impl AskError {
    /// Whether the hub's certificate is not the one that is trusted.
    #[must_use]
    pub fn is_untrusted(&self) -> bool {
        matches!(self, Self::Exchange(ExchangeError::Dial(dial)) if dial.certificate_error().is_some())
    }
}

/// Within which time a hub has to answer, and in how many bytes.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For everything, connecting included.
    pub deadline: Duration,
    /// Bytes.
    pub largest_answer: usize,
}

/// Sends `body` as JSON; the status and what the hub says.
///
/// # Errors
/// When no answer came.
pub async fn post(
    config: &Config,
    dialer: &Dialer,
    tls: Arc<ClientConfig>,
    patience: Patience,
    path: &str,
    body: &impl Serialize,
) -> Result<(StatusCode, Bytes), AskError> {
    let credentials = config.credentials()?;
    let mut own = HeaderValue::from_str(credentials.token.expose_secret())
        .map_err(|error| AskError::Header(error.into()))?;
    own.set_sensitive(true);
    let body = serde_json::to_vec(body).map_err(AskError::Body)?;
    let request = Request::post(credentials.server.url(path))
        .header(header::USER_AGENT, USER_AGENT)
        .header(header::CONTENT_TYPE, "application/json")
        .header(TOKEN_HEADER, own)
        .body(Full::new(Bytes::from(body)))
        .map_err(AskError::Header)?;
    let client = Client::new(
        dialer.clone(),
        tls,
        patience.deadline,
        patience.largest_answer,
    );
    let answer = client.send(request).await?;
    Ok((answer.response.status(), answer.response.into_body()))
}
