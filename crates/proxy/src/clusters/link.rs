//! The link to one cluster's API server: TLS against its CA, its credential, warm connections.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use drover_auth::web::{self, Body, BoxError};
use drover_tunnel::{Session, Sessions};
use http::header::{AUTHORIZATION, UPGRADE};
use http::uri::Authority;
use http::{HeaderValue, Method, Request, Response, Uri};
use hyper::body::{Body as _, Incoming};
use rustls::RootCertStore;
use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use thiserror::Error;
use tokio_rustls::TlsConnector;
use tokio_util::task::TaskTracker;

use super::bounded::{Allowance, Bounded};
use super::connector::{Connector, H1, H2, HttpClient, Tls, http_client};
use super::{Target, Unreachable};
use crate::chain::Chain;

/// The port of an API endpoint that names none.
const HTTPS: u16 = 443;

/// Why a request got no answer.
#[derive(Debug, Error)]
pub(crate) enum SendError {
    #[error("request to the cluster")]
    Http(#[from] hyper_util::client::legacy::Error),
    #[error("address of the request")]
    Uri(#[from] http::Error),
}

/// A link; all requests to a cluster share it.
pub(crate) struct Link {
    transport: Transport,
    client: kube::Client,
    sharing: kube::Client,
    target: Arc<Target>,
    /// The newest session when it was made, where its first connections went.
    newest: Option<Session>,
    cluster: String,
    refused: AtomicBool,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Link")
            .field("cluster", &self.cluster)
            .finish_non_exhaustive()
    }
}

/// What a link is laid over.
pub(super) struct Ways {
    pub(super) sessions: Sessions,
    pub(super) tasks: TaskTracker,
    /// For what the hub itself reads through the link.
    pub(super) allowance: Allowance,
}

#[derive(Clone)]
struct Transport {
    http: HttpClient,
    authority: Authority,
    credential: HeaderValue,
}

impl Link {
    pub(super) fn new(
        cluster: &str,
        target: Arc<Target>,
        newest: Option<Session>,
        credential: &str,
        ways: &Ways,
    ) -> Result<Self, Unreachable> {
        let malformed = |what, reason: String| Unreachable::Malformed { what, reason };
        let endpoint: Uri = target
            .api_endpoint
            .parse()
            .map_err(|error: http::uri::InvalidUri| malformed("API endpoint", error.to_string()))?;
        let authority = endpoint
            .authority()
            .ok_or_else(|| malformed("API endpoint", "it names no host".to_owned()))?
            .clone();
        let host = authority.host();
        let address = format!("{host}:{}", authority.port_u16().unwrap_or(HTTPS));
        let name = ServerName::try_from(
            host.trim_start_matches('[')
                .trim_end_matches(']')
                .to_owned(),
        )
        .map_err(|error| malformed("API endpoint", error.to_string()))?;
        let roots = Arc::new(roots(&target.ca_cert)?);
        let mut credential = HeaderValue::from_str(&format!("Bearer {}", credential.trim()))
            .map_err(|error| malformed("credential", error.to_string()))?;
        credential.set_sensitive(true);
        let over = |protocols: &[&[u8]]| -> Result<Transport, Unreachable> {
            let tls = Tls {
                connector: tls_connector(&roots, protocols)?,
                name: name.clone(),
            };
            let connector = Connector::cluster(ways.sessions.clone(), cluster, &address, tls);
            Ok(Transport {
                http: http_client(connector, ways.tasks.clone()),
                authority: authority.clone(),
                credential: credential.clone(),
            })
        };
        let with_full_rights = |transport: &Transport| {
            let transport = transport.clone();
            let allowance = ways.allowance.clone();
            kube::Client::new(
                FullRights {
                    transport,
                    allowance,
                },
                "default",
            )
        };
        let transport = over(&[H1])?;
        Ok(Self {
            client: with_full_rights(&transport),
            sharing: with_full_rights(&over(&[H2, H1])?),
            transport,
            target,
            newest,
            cluster: cluster.to_owned(),
            refused: AtomicBool::new(false),
        })
    }

    /// Whether no other session came meanwhile. A link's idle connections stay where they are, and requests would go
    /// on in the session of an agent that was replaced and is about to end.
    pub(super) fn is_over(&self, newest: Option<&Session>) -> bool {
        match (&self.newest, newest) {
            (Some(own), Some(newest)) => own.same(newest),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        }
    }

    pub(super) fn target(&self) -> &Target {
        &self.target
    }

    pub(super) fn cluster(&self) -> &str {
        &self.cluster
    }

    pub(super) fn client(&self) -> kube::Client {
        self.client.clone()
    }

    pub(super) fn sharing(&self) -> kube::Client {
        self.sharing.clone()
    }

    /// Whether this is the first refusal of the credential.
    pub(super) fn take_refusal(&self) -> bool {
        !self.refused.swap(true, Ordering::Relaxed)
    }

    /// Sends a request whose URI holds path and query, with the link's credential.
    ///
    /// A request that only reads is sent once more when its session ends before the answer begins: another agent of
    /// the cluster may hold one.
    pub(crate) async fn send(
        &self,
        request: Request<Body>,
    ) -> Result<Response<Incoming>, SendError> {
        let again = repeatable(&request);
        match (self.transport.send(request).await, again) {
            (Err(SendError::Http(error)), Some(request)) if !error.is_connect() => {
                tracing::debug!(cluster = %self.cluster, error = %Chain(&error), "sent once more");
                self.transport.send(request).await
            }
            (answer, _) => answer,
        }
    }
}

/// The same request again, if sending it twice is the same as sending it once.
fn repeatable(request: &Request<Body>) -> Option<Request<Body>> {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    if !reads
        || request.body().size_hint().exact() != Some(0)
        || request.headers().contains_key(UPGRADE)
    {
        return None;
    }
    let mut again = Request::new(web::empty());
    *again.method_mut() = request.method().clone();
    *again.uri_mut() = request.uri().clone();
    *again.headers_mut() = request.headers().clone();
    Some(again)
}

impl Transport {
    async fn send(&self, mut request: Request<Body>) -> Result<Response<Incoming>, SendError> {
        let mut uri = std::mem::take(request.uri_mut()).into_parts();
        uri.scheme = Some(http::uri::Scheme::HTTPS);
        uri.authority = Some(self.authority.clone());
        if uri.path_and_query.is_none() {
            uri.path_and_query = Some(http::uri::PathAndQuery::from_static("/"));
        }
        *request.uri_mut() = Uri::from_parts(uri).map_err(http::Error::from)?;
        *request.version_mut() = http::Version::HTTP_11;
        request
            .headers_mut()
            .insert(AUTHORIZATION, self.credential.clone());
        Ok(self.http.request(request).await?)
    }
}

fn roots(ca_cert: &str) -> Result<RootCertStore, Unreachable> {
    let malformed = |error: &dyn std::fmt::Display| malformed_ca(error.to_string());
    let pem = STANDARD
        .decode(ca_cert.trim())
        .map_err(|error| malformed(&error))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| malformed(&error))?;
        roots.add(certificate).map_err(|error| malformed(&error))?;
    }
    if roots.is_empty() {
        return Err(malformed_ca("it holds no certificate".to_owned()));
    }
    Ok(roots)
}

fn tls_connector(
    roots: &Arc<RootCertStore>,
    protocols: &[&[u8]],
) -> Result<TlsConnector, Unreachable> {
    // Sessions are resumed from the configuration's own cache, which lives as long as the link.
    let mut config = rustls::ClientConfig::builder_with_provider(Arc::new(
        rustls::crypto::ring::default_provider(),
    ))
    .with_safe_default_protocol_versions()
    .map_err(|error| malformed_ca(error.to_string()))?
    .with_root_certificates(Arc::clone(roots))
    .with_no_client_auth();
    // There is one server, where the library has room for 256.
    config.resumption = Resumption::in_memory_sessions(1);
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    Ok(TlsConnector::from(Arc::new(config)))
}

fn malformed_ca(reason: String) -> Unreachable {
    Unreachable::Malformed {
        what: "CA certificate",
        reason,
    }
}

/// The link as a service for `kube::Client`, without impersonation.
#[derive(Clone)]
struct FullRights {
    transport: Transport,
    allowance: Allowance,
}

impl tower::Service<Request<kube::client::Body>> for FullRights {
    type Response = Response<Bounded<Incoming>>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<kube::client::Body>) -> Self::Future {
        let Self {
            transport,
            allowance,
        } = self.clone();
        let request = request.map(web::boxed);
        Box::pin(async move {
            let query = request.uri().query().map(str::to_owned);
            let piecewise = request.extensions().get().copied();
            let answer = transport.send(request).await?;
            Ok(answer.map(|body| allowance.bound(query.as_deref(), piecewise, body)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_requests_that_read_are_sent_twice() {
        let check = |method: Method, body: Body, upgrade: bool, expected: bool| {
            let mut request = Request::new(body);
            *request.method_mut() = method;
            *request.uri_mut() = Uri::from_static("/api/v1/pods?limit=1");
            if upgrade {
                let websocket = HeaderValue::from_static("websocket");
                request.headers_mut().insert(UPGRADE, websocket);
            }
            let again = repeatable(&request);
            assert_eq!(again.is_some(), expected, "{request:?}");
            if let Some(again) = again {
                assert_eq!(again.uri(), request.uri());
                assert_eq!(again.method(), request.method());
            }
        };
        check(Method::GET, web::empty(), false, true);
        check(Method::HEAD, web::empty(), false, true);
        check(Method::GET, web::empty(), true, false);
        check(Method::GET, web::full("body"), false, false);
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            check(method, web::empty(), false, false);
        }
    }
}
