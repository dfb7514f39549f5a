//! The public API as commands use it: `/v3` objects as JSON, by ids, filters, links and actions.
//!
//! Protocol facts: reference `api-v3-and-auth.md`, sections 1.4 to 1.7; recorded requests 01 to 07.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use drover_dial::{
    Client, Dialer, Rules, Trust,
    trust::{Fingerprint, certificates},
};
use http::{Method, Request, Response, header};
use http_body_util::Full;
use rustls::ClientConfig;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::Url;

use crate::{Environment, configuration::Context, error::CliError};

const STEP_TIMEOUT: Duration = Duration::from_secs(10);
const TIMEOUT: Duration = Duration::from_secs(60);
/// A page of a thousand large clusters.
const ANSWER_LIMIT: usize = 64 << 20;
const USER_AGENT: &str = concat!("drover/", env!("CARGO_PKG_VERSION"));

/// A connection's settings to one server.
#[derive(Debug, Clone)]
pub struct Server {
    base: String,
    dialer: Dialer,
    tls: Arc<ClientConfig>,
}

/// The address of a server in its one form: `https://host[:port]`.
pub fn address(text: &str) -> Result<String, CliError> {
    let text = text.trim();
    let invalid = || {
        CliError::Usage(format!(
            "{text:?} is not an address of a server, such as https://drover.example.com"
        ))
    };
    let with_scheme = if text.contains("://") {
        text.to_owned()
    } else {
        format!("https://{text}")
    };
    let url = Url::parse(&with_scheme).map_err(|_| invalid())?;
    match url.scheme() {
        "https" => {}
        "http" => {
            return Err(CliError::Usage(format!(
                "{text} is not encrypted, and a token must not travel in the clear; give the https:// address"
            )));
        }
        _ => return Err(invalid()),
    }
    let host = url
        .host_str()
        .filter(|host| !host.is_empty())
        .ok_or_else(invalid)?;
    Ok(match url.port() {
        Some(port) => format!("https://{host}:{port}"),
        None => format!("https://{host}"),
    })
}

impl Server {
    /// A server under a trust.
    pub fn new(base: &str, trust: &Trust, environment: &Environment) -> Result<Self, CliError> {
        let rules = Rules::from_lookup(|name| environment.get(name).map(ToOwned::to_owned))
            .map_err(|error| CliError::Usage(error.to_string()))?;
        Ok(Self {
            base: base.to_owned(),
            dialer: Dialer::new(rules, STEP_TIMEOUT),
            tls: trust.client_config()?,
        })
    }

    /// The server of a context.
    pub fn of(context: &Context, environment: &Environment) -> Result<Self, CliError> {
        Self::new(&context.server, &trust(context)?, environment)
    }

    /// Its address.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Sends a request; any status is an answer. `location` is a path or an absolute address on this server.
    pub async fn send(
        &self,
        method: Method,
        location: &str,
        token: Option<&SecretString>,
        body: Option<&Value>,
    ) -> Result<drover_dial::exchange::Answer, CliError> {
        let url = if location.starts_with('/') {
            format!("{}{location}", self.base)
        } else {
            location.to_owned()
        };
        let understood = |problem: String| CliError::Answer {
            what: format!("{method} {location}"),
            problem,
        };
        let mut request = Request::builder()
            .method(method.clone())
            .uri(&url)
            .header(header::ACCEPT, "application/json")
            .header(header::USER_AGENT, USER_AGENT);
        if let Some(token) = token {
            request = request.header(
                header::AUTHORIZATION,
                format!("Bearer {}", token.expose_secret()),
            );
        }
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let bytes = body
            .map(|body| Bytes::from(body.to_string()))
            .unwrap_or_default();
        let request = request
            .body(Full::new(bytes))
            .map_err(|error| understood(error.to_string()))?;
        Client::new(
            self.dialer.clone(),
            Arc::clone(&self.tls),
            TIMEOUT,
            ANSWER_LIMIT,
        )
        .send(request)
        .await
        .map_err(|source| CliError::Server {
            server: self.base.clone(),
            source,
        })
    }
}

/// Whom a context trusts.
pub fn trust(context: &Context) -> Result<Trust, CliError> {
    Ok(match (&context.ca, &context.fingerprint) {
        (Some(pem), _) => Trust::SystemAnd(certificates(pem.as_bytes(), "the CA of the context")?),
        (None, Some(text)) => Trust::Pinned(Fingerprint::parse(text).ok_or_else(|| {
            CliError::Usage(format!(
                "{text:?} is not a SHA-256 fingerprint of 64 hexadecimal digits"
            ))
        })?),
        (None, None) => Trust::System,
    })
}

/// A logged-in user's view of a server.
#[derive(Debug)]
pub struct Api {
    server: Server,
    token: SecretString,
}

impl Api {
    /// The API of a context.
    pub fn of(context: &Context, environment: &Environment) -> Result<Self, CliError> {
        let token = context
            .token
            .as_ref()
            .ok_or(CliError::NotLoggedIn)?
            .0
            .clone();
        Ok(Self {
            server: Server::of(context, environment)?,
            token,
        })
    }

    /// The API of a server with a token.
    #[must_use]
    pub fn new(server: Server, token: SecretString) -> Self {
        Self { server, token }
    }

    /// Reads one object.
    pub async fn get(&self, location: &str) -> Result<Value, CliError> {
        self.call(Method::GET, location, None).await
    }

    /// Reads one object; not found is none.
    pub async fn find(&self, location: &str) -> Result<Option<Value>, CliError> {
        match self.get(location).await {
            Ok(value) => Ok(Some(value)),
            Err(CliError::Refused { status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads all pages of a collection.
    pub async fn list(&self, location: &str) -> Result<Vec<Value>, CliError> {
        let mut items = Vec::new();
        let mut next = Some(location.to_owned());
        while let Some(location) = next {
            let mut page = self.get(&location).await?;
            match page["data"].take() {
                Value::Array(data) => items.extend(data),
                _ => {
                    return Err(CliError::Answer {
                        what: format!("GET {location}"),
                        problem: "it is not a collection".to_owned(),
                    });
                }
            }
            // The link is the server's own idea of its address, which need not be ours.
            next = page["pagination"]["next"].as_str().and_then(path_of);
        }
        Ok(items)
    }

    /// Creates an object, or runs an action.
    pub async fn post(&self, location: &str, body: &Value) -> Result<Value, CliError> {
        self.call(Method::POST, location, Some(body)).await
    }

    /// Changes an object.
    pub async fn put(&self, location: &str, body: &Value) -> Result<Value, CliError> {
        self.call(Method::PUT, location, Some(body)).await
    }

    /// Deletes an object.
    pub async fn delete(&self, location: &str) -> Result<Value, CliError> {
        self.call(Method::DELETE, location, None).await
    }

    async fn call(
        &self,
        method: Method,
        location: &str,
        body: Option<&Value>,
    ) -> Result<Value, CliError> {
        let what = format!("{method} {}{location}", self.server.base);
        let answer = self
            .server
            .send(method, location, Some(&self.token), body)
            .await?;
        understand(&what, &answer.response)
    }
}

/// Turns an answer into its object, or into the API's error.
pub fn understand(what: &str, response: &Response<Bytes>) -> Result<Value, CliError> {
    let status = response.status();
    let body = response.body();
    let parsed: Option<Value> = serde_json::from_slice(body).ok();
    if !status.is_success() {
        let text = |field: &str| {
            parsed
                .as_ref()
                .and_then(|error| error[field].as_str())
                .map(ToOwned::to_owned)
                .unwrap_or_default()
        };
        let mut message = text("message");
        let field = text("fieldName");
        if !field.is_empty() {
            message = if message.is_empty() {
                format!("field {field:?}")
            } else {
                format!("field {field:?}: {message}")
            };
        }
        if message.is_empty() && parsed.is_none() {
            message = String::from_utf8_lossy(body)
                .trim()
                .chars()
                .take(200)
                .collect();
        }
        if message.is_empty() {
            message = status.canonical_reason().unwrap_or("refused").to_owned();
        }
        return Err(CliError::Refused {
            what: what.to_owned(),
            status: status.as_u16(),
            code: text("code"),
            message,
        });
    }
    match parsed {
        Some(value) => Ok(value),
        None if body.trim_ascii().is_empty() => Ok(Value::Null),
        None => Err(CliError::Answer {
            what: what.to_owned(),
            problem: "it is not JSON".to_owned(),
        }),
    }
}

/// Path and query of an absolute address.
fn path_of(link: &str) -> Option<String> {
    let url = Url::parse(link).ok()?;
    Some(match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    })
}

/// The query of an address.
#[must_use]
pub fn query(pairs: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish()
}

/// A path segment from a name.
#[must_use]
pub fn segment(name: &str) -> String {
    url::form_urlencoded::byte_serialize(name.as_bytes())
        .collect::<String>()
        .replace('+', "%20")
        .replace("%3A", ":")
}

#[cfg(test)]
mod tests {
    use super::{address, path_of, segment};

    #[test]
    fn an_address_has_one_form() {
        let table = [
            ("drover.test", Some("https://drover.test")),
            ("https://drover.test/", Some("https://drover.test")),
            (
                "https://drover.test:8443/dashboard/",
                Some("https://drover.test:8443"),
            ),
            ("drover.test:8443", Some("https://drover.test:8443")),
            ("https://[::1]:8443", Some("https://[::1]:8443")),
            ("http://drover.test", None),
            ("ftp://drover.test", None),
            ("", None),
        ];
        for (text, expected) in table {
            assert_eq!(address(text).ok().as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn links_lose_their_host_and_names_are_escaped() {
        assert_eq!(
            path_of("https://other/v3/clusters?marker=c-2&limit=1").unwrap(),
            "/v3/clusters?marker=c-2&limit=1"
        );
        assert_eq!(segment("c-1:p-2"), "c-1:p-2");
        assert_eq!(segment("a/b c?"), "a%2Fb%20c%3F");
    }
}
