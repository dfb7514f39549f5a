//! Passes requests into clusters: `/k8s/clusters/<id>/…`.
//!
//! Owns the way of one request: gate, cleaned headers, impersonation, the right upstream, the answer, and its end when
//! the caller's rights end. The caller has authenticated the request; links belong to `clusters`.
//!
//! Invariants: nothing is forwarded without an identity; identity headers of the client are removed and ours set last;
//! a stream ends within a second of its identity's end; the client's going ends the upstream request.

mod answers;
mod body;
mod headers;
mod persona;
mod upgrade;

use std::sync::Arc;
use std::time::Duration;

use drover_auth::web::{self, BoxError, Lifeline, Request, Response};
use drover_auth::{Access, Authenticator, Identity};
use drover_types::names::LOCAL_CLUSTER;
use futures::future::BoxFuture;
use http::header::{HOST, HeaderValue};
use http::{HeaderMap, StatusCode, Uri};
use http_body::Body as _;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::chain::Chain;
use crate::clusters::{Clusters, Link, Unreachable};
use crate::gate::{Edge, Gate};
use body::{Activity, Guarded, Vigil};
use persona::Persona;
pub(crate) use persona::reviewed;

/// How long an upstream may be silent before its response headers, counted from the last byte of the request's body.
/// An API server answers or gives up after 60 s; a dead tunnel is noticed by the tunnel.
const HEADERS_DEADLINE: Duration = Duration::from_secs(120);

/// Largest body of a request to the local cluster (kube-apiserver: 3 MiB).
const LOCAL_BODY: usize = 4 << 20;

/// Tells an agent's API the path prefix of its links.
const PREFIX_HEADER: &str = "x-api-url-prefix";

/// Passes requests into clusters; clones are the same.
#[derive(Debug, Clone)]
pub struct Proxy {
    clusters: Clusters,
    gate: Arc<dyn Gate>,
    /// Running upgrades.
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// Where a request goes.
enum Upstream {
    Local(kube::Client),
    Cluster(Arc<Link>),
    Steve,
}

impl Proxy {
    /// A proxy that asks `access` and `authenticator` about identities.
    #[must_use]
    pub fn new(clusters: Clusters, access: Access, authenticator: Authenticator) -> Self {
        Self::with_gate(clusters, Arc::new(Edge::new(access, authenticator)))
    }

    /// A proxy with another gate.
    #[must_use]
    pub fn with_gate(clusters: Clusters, gate: Arc<dyn Gate>) -> Self {
        Self {
            clusters,
            gate,
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        }
    }

    /// Ends running upgrades and waits for them.
    pub async fn shutdown(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Passes a request on. `path` is what follows the cluster's id, with its slash; the query is the request's.
    ///
    /// The future is boxed here so that its code is made once, with this crate's options, and not in each caller.
    pub fn handle<'a>(
        &'a self,
        request: Request,
        identity: Option<Identity>,
        cluster: &'a str,
        path: &'a str,
    ) -> BoxFuture<'a, Response> {
        Box::pin(self.answer(request, identity, cluster, path))
    }

    async fn answer(
        &self,
        request: Request,
        identity: Option<Identity>,
        cluster: &str,
        path: &str,
    ) -> Response {
        let Some(identity) = identity else {
            return web::unauthorized();
        };
        self.forward(request, &identity, cluster, path)
            .await
            .unwrap_or_else(|answer| *answer)
    }

    /// An `Err` is an answer too: that of a request which was not forwarded.
    async fn forward(
        &self,
        request: Request,
        identity: &Identity,
        cluster: &str,
        path: &str,
    ) -> Result<Response, Box<Response>> {
        let steve = cluster != LOCAL_CLUSTER && (path == "/v1" || path.starts_with("/v1/"));
        let refusal = |error| {
            if steve {
                answers::steve_refused()
            } else {
                answers::api_error(&error)
            }
        };
        if !identity.may_reach(Some(cluster)) {
            return Err(Box::new(web::unauthorized()));
        }
        // Rights that change from here on end the stream.
        let changes = self.gate.changes();
        let groups = self
            .gate
            .enter(identity, cluster)
            .map_err(|error| Box::new(refusal(error)))?;
        let (mut parts, body) = request.into_parts();
        let upgrade = upgrade::wanted(&parts.headers);
        if upgrade.is_some() {
            upgrade::check_origin(&parts)?;
        }
        let persona = Persona::of(
            &*self.gate,
            identity,
            cluster,
            groups.clone(),
            &parts.headers,
        )?;
        let upstream = self.upstream(cluster, steve).await.map_err(Box::new)?;

        let mut sent = headers::forwarded(&parts.headers);
        headers::add_forwarded_for(&mut sent, &parts);
        if matches!(upstream, Upstream::Steve) {
            // The agent's API builds links from these.
            if let Some(host) = parts.headers.get(HOST) {
                sent.insert(HOST, host.clone());
            }
            if let Ok(prefix) = HeaderValue::from_str(&format!("/k8s/clusters/{cluster}")) {
                sent.insert(PREFIX_HEADER, prefix);
            }
        }
        if let Some(protocol) = &upgrade {
            headers::set_upgrade(&mut sent, protocol);
        }
        persona.write(&mut sent);

        let lifeline = parts.extensions.remove::<Lifeline>();
        let client_upgrade = parts.extensions.remove::<hyper::upgrade::OnUpgrade>();
        let activity = Activity::default();
        let mut outgoing = http::Request::new(web::boxed(activity.watch(body)));
        *outgoing.method_mut() = parts.method;
        *outgoing.uri_mut() = target(path, parts.uri.query())
            .map_err(|error| Box::new(answers::bad_request(&error)))?;
        *outgoing.headers_mut() = sent;

        let answer = activity
            .limit(HEADERS_DEADLINE, self.send(&upstream, cluster, outgoing))
            .await;
        let answer = match answer {
            Some(Ok(answer)) => answer,
            Some(Err(error)) => {
                tracing::debug!(%cluster, error = %Chain(&*error), "request into the cluster failed");
                return Err(Box::new(answers::transport_failed(
                    &*error,
                    upgrade.is_some(),
                )));
            }
            None => return Err(Box::new(answers::too_late(HEADERS_DEADLINE))),
        };
        if let Upstream::Cluster(link) = &upstream
            && answer.status() == StatusCode::UNAUTHORIZED
        {
            self.clusters.refused(link);
        }
        let vigil = || {
            Vigil::new(
                Arc::clone(&self.gate),
                identity.clone(),
                cluster.to_owned(),
                groups,
                changes,
            )
        };
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
            let stop = self.stop.clone();
            return Ok(upgrade::join(
                answer,
                client_upgrade,
                lifeline,
                vigil(),
                &self.tasks,
                stop,
            ));
        }
        Ok(returned(answer, vigil))
    }

    async fn upstream(&self, cluster: &str, steve: bool) -> Result<Upstream, Response> {
        let answer = |error: Unreachable| {
            tracing::debug!(%cluster, error = %Chain(&error), "cluster cannot be reached");
            answers::unreachable(&error)
        };
        if cluster == LOCAL_CLUSTER {
            return Ok(Upstream::Local(self.clusters.local().clone()));
        }
        if steve {
            if self.clusters.steve().connected(cluster) {
                return Ok(Upstream::Steve);
            }
            self.clusters.check_exists(cluster).await.map_err(answer)?;
            return Err(answers::no_steve());
        }
        self.clusters
            .link(cluster)
            .await
            .map(Upstream::Cluster)
            .map_err(answer)
    }

    async fn send(
        &self,
        upstream: &Upstream,
        cluster: &str,
        request: Request,
    ) -> Result<Response, BoxError> {
        match upstream {
            Upstream::Local(client) => {
                // The client takes no stream; an API server takes no more than this either.
                let (parts, body) = request.into_parts();
                let body = match web::read(&parts.headers, body, LOCAL_BODY).await {
                    Ok(body) => body,
                    Err(error) => return Ok(answers::api_error(&error)),
                };
                let request = http::Request::from_parts(parts, kube::client::Body::from(body));
                match client.send(request).await {
                    Ok(answer) => Ok(answer.map(web::boxed)),
                    Err(error) => Err(Box::new(error)),
                }
            }
            Upstream::Cluster(link) => match link.send(request).await {
                Ok(answer) => Ok(answer.map(web::boxed)),
                Err(error) => Err(Box::new(error)),
            },
            Upstream::Steve => match self.clusters.steve().send(cluster, request).await {
                Ok(answer) => Ok(answer.map(web::boxed)),
                Err(error) => Err(error),
            },
        }
    }
}

/// Path and query as the upstream gets them.
fn target(path: &str, query: Option<&str>) -> Result<Uri, http::uri::InvalidUri> {
    let path = if path.is_empty() { "/" } else { path };
    match query {
        None => path.parse(),
        Some(query) => format!("{path}?{query}").parse(),
    }
}

/// The upstream's answer for the client.
fn returned(answer: Response, vigil: impl FnOnce() -> Vigil) -> Response {
    let (mut parts, body) = answer.into_parts();
    parts.headers = headers::returned(&parts.headers);
    headers::set_apart(&mut parts.headers);
    parts.extensions = http::Extensions::new();
    parts.version = http::Version::HTTP_11;
    // A body of known length ends by itself; only streams need watching.
    let body = if body.size_hint().exact().is_some() {
        body
    } else {
        web::boxed(Guarded::new(body, vigil()))
    };
    Response::from_parts(parts, body)
}

/// The client's `Host`.
fn host(headers: &HeaderMap) -> Option<&HeaderValue> {
    headers.get(HOST)
}
