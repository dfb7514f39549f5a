//! An HTTP client for tests: any method, any path, the answer as it came.

use std::net::Ipv4Addr;

use anyhow::{Context, Result, ensure};
use http::{HeaderMap, Method, StatusCode};
use http_body_util::BodyExt as _;
use kube::client::Body;
use kube::config::AuthInfo;
use serde_json::Value;

/// A client of one server, perhaps with a bearer token.
#[derive(Clone)]
pub struct Http {
    client: kube::Client,
}

impl std::fmt::Debug for Http {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Http").finish_non_exhaustive()
    }
}

/// What a server answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: String,
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Errors
    ///
    /// When it is not JSON.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.body).with_context(|| {
            format!(
                "{} with a body that is not JSON: {}",
                self.status, self.body
            )
        })
    }

    /// Fails with the body unless the status is `expected`.
    ///
    /// # Errors
    ///
    /// When it is another.
    pub fn expect(self, expected: u16) -> Result<Self> {
        ensure!(
            self.status == expected,
            "{} instead of {expected}: {}",
            self.status,
            self.body
        );
        Ok(self)
    }

    /// A header as text, empty when absent.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }
}

impl Http {
    /// A client of `https://address:port` that accepts any certificate.
    ///
    /// # Errors
    ///
    /// When the client cannot be made.
    pub fn insecure(address: Ipv4Addr, port: u16, token: Option<&str>) -> Result<Self> {
        let mut config = kube::Config::new(format!("https://{address}:{port}").parse()?);
        config.accept_invalid_certs = true;
        Self::with(config, token)
    }

    /// A client of `url` that trusts only `authority` (PEM).
    ///
    /// # Errors
    ///
    /// When the URL or the PEM is not valid.
    pub fn trusting(url: &str, authority: &str, token: Option<&str>) -> Result<Self> {
        let mut config = kube::Config::new(url.parse()?);
        let certificate = rustls::pki_types::pem::PemObject::from_pem_slice(authority.as_bytes());
        let certificate: rustls::pki_types::CertificateDer<'_> =
            certificate.context("the authority is not PEM")?;
        config.root_cert = Some(vec![certificate.to_vec()]);
        Self::with(config, token)
    }

    fn with(mut config: kube::Config, token: Option<&str>) -> Result<Self> {
        // A test wants the answer that came, 503 too.
        config.default_retry = false;
        config.auth_info = AuthInfo {
            token: token.map(|token| token.to_owned().into()),
            ..AuthInfo::default()
        };
        Ok(Self {
            client: kube::Client::try_from(config)?,
        })
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    ///
    /// When there is no answer.
    pub async fn send(&self, request: http::Request<Vec<u8>>) -> Result<Answer> {
        let what = format!("{} {}", request.method(), request.uri());
        let response = self
            .client
            .send(request.map(Body::from))
            .await
            .with_context(|| what.clone())?;
        let (parts, body) = response.into_parts();
        let body = body
            .collect()
            .await
            .with_context(|| format!("{what}: read the body"))?
            .to_bytes();
        Ok(Answer {
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8_lossy(&body).into_owned(),
        })
    }

    /// Sends JSON (or nothing) and reads the answer.
    ///
    /// # Errors
    ///
    /// When there is no answer.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer> {
        let mut request = http::Request::builder().method(method).uri(path);
        let bytes = match body {
            Some(body) => {
                request = request.header(http::header::CONTENT_TYPE, "application/json");
                serde_json::to_vec(body)?
            }
            None => Vec::new(),
        };
        self.send(request.body(bytes)?).await
    }

    /// `GET path`.
    ///
    /// # Errors
    ///
    /// When there is no answer.
    pub async fn get(&self, path: &str) -> Result<Answer> {
        self.call(Method::GET, path, None).await
    }

    /// `POST path` with JSON.
    ///
    /// # Errors
    ///
    /// When there is no answer.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Answer> {
        self.call(Method::POST, path, Some(body)).await
    }

    /// `PUT path` with JSON.
    ///
    /// # Errors
    ///
    /// When there is no answer.
    pub async fn put(&self, path: &str, body: &Value) -> Result<Answer> {
        self.call(Method::PUT, path, Some(body)).await
    }

    /// `DELETE path`.
    ///
    /// # Errors
    ///
    /// When there is no answer.
    pub async fn delete(&self, path: &str) -> Result<Answer> {
        self.call(Method::DELETE, path, None).await
    }
}
