//! The Kubernetes API as the agent needs it: a handful of JSON requests, and one streaming forward.
//!
//! A client with caches and generated types would cost more memory than the whole agent, so objects are plain JSON
//! here. Each request has a connection of its own; there are few of them. The API is always reached directly: its
//! address is inside the cluster, where a proxy for the way out has no business.
//!
//! The service account's token is read for every request, because the kubelet replaces the file before it expires.

use std::{fs, io, path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use drover_dial::{
    Client, Connection, DialError, Dialer, ExchangeError, Rules, Trust, TrustError,
    proxy::authority, trust::certificates,
};
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::Full;
use rustls::ClientConfig;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::config::KubernetesConfig;

/// Why a request to the Kubernetes API failed.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// A file of the service account cannot be read.
    #[error("cannot read {}", .file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The cluster's CA cannot be used.
    #[error("the CA of the cluster cannot be used")]
    Trust(#[from] TrustError),
    /// The token cannot stand in a header.
    #[error("the service account's token is not a valid header")]
    Token,
    /// A request that cannot be built, for example from an impossible name.
    #[error("{path} is not a valid path")]
    Path {
        /// The path.
        path: String,
        /// Why.
        #[source]
        source: http::Error,
    },
    /// No connection.
    #[error("the Kubernetes API cannot be reached")]
    Dial(#[from] DialError),
    /// No answer.
    #[error("no answer from the Kubernetes API to {method} {path}")]
    Exchange {
        /// The method.
        method: Method,
        /// The path.
        path: String,
        /// Why.
        #[source]
        source: Box<ExchangeError>,
    },
    /// The API refused.
    #[error("the Kubernetes API answered {method} {path} with {status}: {message}")]
    Status {
        /// The method.
        method: Method,
        /// The path.
        path: String,
        /// Its status.
        status: StatusCode,
        /// The message of its `Status` object, or the body's beginning.
        message: String,
    },
    /// The answer is not JSON.
    #[error("the Kubernetes API's answer to {method} {path} is not JSON")]
    Json {
        /// The method.
        method: Method,
        /// The path.
        path: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

impl ApiError {
    /// The API's status, if it answered.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Status { status, .. } => Some(*status),
            Self::File { .. }
            | Self::Trust(_)
            | Self::Token
            | Self::Path { .. }
            | Self::Dial(_)
            | Self::Exchange { .. }
            | Self::Json { .. } => None,
        }
    }
}

/// How the agent shows itself to the API.
#[derive(Clone, Debug)]
enum Bearer {
    File(PathBuf),
    Given(SecretString),
}

/// A client of one Kubernetes API. Clones share nothing but configuration.
#[derive(Clone, Debug)]
pub struct Api {
    host: String,
    port: u16,
    tls: Arc<ClientConfig>,
    dialer: Dialer,
    bearer: Bearer,
}

/// Small objects and single pages only.
const ANSWER_LIMIT: usize = 4 << 20;
const STEP_TIMEOUT: Duration = Duration::from_secs(5);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);
/// Objects per page of a list; bounds the memory of a clean-up in a large cluster.
const PAGE: usize = 100;

impl Api {
    /// A client with the pod's service account.
    pub fn in_cluster(config: &KubernetesConfig) -> Result<Self, ApiError> {
        let file = config.service_account_dir.join("ca.crt");
        let pem = fs::read(&file).map_err(|source| ApiError::File {
            file: file.clone(),
            source,
        })?;
        let tls = Trust::Only(certificates(&pem, &file.display().to_string())?).client_config()?;
        let bearer = Bearer::File(config.service_account_dir.join("token"));
        Ok(Self::new(config.host.clone(), config.port, tls, bearer))
    }

    /// A client with a given CA and token.
    pub fn with_token(
        host: &str,
        port: u16,
        ca_pem: &[u8],
        token: SecretString,
    ) -> Result<Self, ApiError> {
        let tls = Trust::Only(certificates(ca_pem, "the given CA")?).client_config()?;
        Ok(Self::new(host.to_owned(), port, tls, Bearer::Given(token)))
    }

    fn new(host: String, port: u16, tls: Arc<ClientConfig>, bearer: Bearer) -> Self {
        Self {
            host,
            port,
            tls,
            dialer: Dialer::new(Rules::direct(), STEP_TIMEOUT),
            bearer,
        }
    }

    /// `host:port` of the API.
    #[must_use]
    pub fn authority(&self) -> String {
        authority(&self.host, self.port)
    }

    /// The value of `Authorization` for this moment.
    pub fn authorization(&self) -> Result<HeaderValue, ApiError> {
        let token = match &self.bearer {
            Bearer::Given(token) => token.clone(),
            Bearer::File(file) => {
                let text = fs::read_to_string(file);
                SecretString::from(
                    text.map_err(|source| ApiError::File {
                        file: file.clone(),
                        source,
                    })?
                    .trim(),
                )
            }
        };
        let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret()))
            .map_err(|_| ApiError::Token)?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// A TLS connection to the API.
    pub async fn connect(&self) -> Result<Connection, ApiError> {
        Ok(self.dialer.tls(&self.host, self.port, &self.tls).await?)
    }

    /// Reads a path.
    pub async fn get(&self, path: &str) -> Result<Value, ApiError> {
        self.request(Method::GET, path, "", None).await
    }

    /// Reads a path; not found is none.
    pub async fn find(&self, path: &str) -> Result<Option<Value>, ApiError> {
        optional(self.get(path).await)
    }

    /// Reads all items of a collection, page by page, and hands each to `visit`.
    pub async fn list(
        &self,
        path: &str,
        selector: &str,
        mut visit: impl FnMut(Value),
    ) -> Result<(), ApiError> {
        let mut token = String::new();
        loop {
            let query: String = url::form_urlencoded::Serializer::new(String::new())
                .append_pair("limit", &PAGE.to_string())
                .extend_pairs((!selector.is_empty()).then_some(("labelSelector", selector)))
                .extend_pairs((!token.is_empty()).then_some(("continue", token.as_str())))
                .finish();
            let mut page = self.get(&format!("{path}?{query}")).await?;
            if let Value::Array(items) = page["items"].take() {
                items.into_iter().for_each(&mut visit);
            }
            match page["metadata"]["continue"].as_str() {
                Some(next) if !next.is_empty() => token = next.to_owned(),
                Some(_) | None => return Ok(()),
            }
        }
    }

    /// Creates an object.
    pub async fn create(&self, path: &str, object: &Value) -> Result<Value, ApiError> {
        self.request(Method::POST, path, "application/json", Some(object))
            .await
    }

    /// Applies a JSON merge patch.
    pub async fn patch(&self, path: &str, patch: &Value) -> Result<Value, ApiError> {
        self.request(
            Method::PATCH,
            path,
            "application/merge-patch+json",
            Some(patch),
        )
        .await
    }

    /// Deletes an object, dependents in the background. Tells whether it was there.
    pub async fn delete(&self, path: &str) -> Result<bool, ApiError> {
        let options = serde_json::json!({"propagationPolicy": "Background"});
        let answer = self
            .request(Method::DELETE, path, "application/json", Some(&options))
            .await;
        Ok(optional(answer)?.is_some())
    }

    async fn request(
        &self,
        method: Method,
        path: &str,
        content_type: &str,
        body: Option<&Value>,
    ) -> Result<Value, ApiError> {
        let mut request = Request::builder()
            .method(method.clone())
            .uri(format!("https://{}{path}", self.authority()))
            .header(header::ACCEPT, "application/json")
            .header(header::USER_AGENT, USER_AGENT)
            .header(header::AUTHORIZATION, self.authorization()?);
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, content_type);
        }
        let bytes = body
            .map(|body| Bytes::from(body.to_string()))
            .unwrap_or_default();
        let request = request
            .body(Full::new(bytes))
            .map_err(|source| ApiError::Path {
                path: path.to_owned(),
                source,
            })?;
        let client = Client::new(
            self.dialer.clone(),
            Arc::clone(&self.tls),
            REQUEST_TIMEOUT,
            ANSWER_LIMIT,
        );
        let response = client
            .send(request)
            .await
            .map_err(|source| ApiError::Exchange {
                method: method.clone(),
                path: path.to_owned(),
                source: Box::new(source),
            })?
            .response;
        let status = response.status();
        let body = response.into_body();
        if !status.is_success() {
            return Err(ApiError::Status {
                method,
                path: path.to_owned(),
                status,
                message: message(&body),
            });
        }
        serde_json::from_slice(&body).map_err(|source| ApiError::Json {
            method,
            path: path.to_owned(),
            source,
        })
    }
}

/// How the agent calls itself.
pub const USER_AGENT: &str = concat!("drover-agent/", env!("CARGO_PKG_VERSION"));

fn optional(answer: Result<Value, ApiError>) -> Result<Option<Value>, ApiError> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.status() == Some(StatusCode::NOT_FOUND) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The message of a `Status` object, or the beginning of any other body.
fn message(body: &[u8]) -> String {
    let parsed: Option<Value> = serde_json::from_slice(body).ok();
    match parsed
        .as_ref()
        .and_then(|status| status["message"].as_str())
    {
        Some(message) => message.to_owned(),
        None => String::from_utf8_lossy(body)
            .chars()
            .take(200)
            .collect::<String>()
            .trim()
            .to_owned(),
    }
}

/// A single segment of a path, safe to put between slashes.
#[must_use]
pub fn segment(name: &str) -> String {
    url::form_urlencoded::byte_serialize(name.as_bytes()).collect()
}
