//! The hub's side of the tunnels: `/v3/connect` and `/v3/connect/register`.
//!
//! Owns who may open a tunnel for which cluster, what its first message says about the cluster, and the life of its
//! session. The wire is `drover_tunnel`'s. Facts: reference tunnel-and-import 1.7, 2.1 to 2.3.
//!
//! Invariants: authorisation comes before the upgrade; a session is registered under the cluster its token belongs to
//! and under no other key.

mod params;
mod registrations;
mod report;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use drover_auth::web::{self, Actor, Lifeline, Request, Response};
use drover_tunnel::{Options, RefuseAll, Role, Session, server_upgrade};
use drover_types::names::STEVE_PREFIX;
use http::StatusCode;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::chain::Chain;
use crate::clusters::Clusters;
use params::{Params, ParamsError};
use registrations::{LookupError, Registrations};
use report::{Report, ReportError};

const TOKEN_HEADER: &str = "x-api-tunnel-token";
const PARAMS_HEADER: &str = "x-api-tunnel-params";

/// Agents ping every 5 s, so one that is silent this long is gone, or the way to it is. (The peer: 60 s, which leaves a
/// cut network unseen for as long.)
const SILENCE: Duration = Duration::from_secs(12);

/// Takes tunnels; clones are the same.
#[derive(Debug, Clone)]
pub struct Connect {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    clusters: Clusters,
    registrations: Registrations,
    report: Report,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// Why a tunnel is refused.
#[derive(Debug, Error)]
enum Refused {
    /// 401.
    #[error("failed authentication")]
    Unauthorized,
    #[error("cluster not found")]
    UnknownToken,
    #[error(transparent)]
    Params(#[from] ParamsError),
    #[error(transparent)]
    Lookup(#[from] LookupError),
    #[error(transparent)]
    Report(#[from] ReportError),
}

impl Connect {
    /// Takes tunnels into the sessions of `clusters`; `client` holds registration tokens and clusters.
    #[must_use]
    pub fn new(clusters: Clusters, client: kube::Client) -> Self {
        let inner = Inner {
            registrations: Registrations::new(client.clone()),
            report: Report::new(client),
            clusters,
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Keeps the registration tokens current until it is dropped; to be spawned once. Without it every unknown token is
    /// looked up in the store.
    pub async fn run(&self) {
        self.inner.registrations.run().await;
    }

    /// Ends all sessions and waits for them.
    pub async fn shutdown(&self) {
        self.inner.stop.cancel();
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
    }

    /// Answers a request for a tunnel: 101 and a session, or why not.
    pub async fn handle(&self, mut request: Request) -> Response {
        let key = match self.authorise(request.headers()).await {
            Ok(key) => key,
            Err(error) => return refusal(&error),
        };
        let upgrade = match server_upgrade(request.method(), request.headers()) {
            Ok(upgrade) => upgrade,
            Err(error) => {
                // First the library's text, then the peer's own (reference 1.7).
                let text = format!("{error}\nError during upgrade for host [{key}]: {error}");
                return plain(error.status, text);
            }
        };
        let Some(client) = request
            .extensions_mut()
            .remove::<hyper::upgrade::OnUpgrade>()
        else {
            return plain(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the connection cannot be upgraded".to_owned(),
            );
        };
        let (inner, stop) = (Arc::clone(&self.inner), self.inner.stop.clone());
        let lifeline = request.extensions_mut().remove::<Lifeline>();
        let actor = Actor {
            cluster: Some(key.trim_start_matches(STEVE_PREFIX).to_owned()),
            ..Actor::default()
        };
        self.inner.tasks.spawn(async move {
            match client.await {
                Ok(socket) => inner.serve(key, TokioIo::new(socket), stop).await,
                Err(error) => {
                    tracing::warn!(%key, error = %Chain(&error), "tunnel was not upgraded")
                }
            }
            drop(lifeline);
        });
        let mut response = upgrade.response.map(|()| web::empty());
        response.extensions_mut().insert(actor);
        response
    }

    /// The client key of the tunnel that these headers may open.
    async fn authorise(&self, headers: &HeaderMap) -> Result<String, Refused> {
        if let Some(token) = steve_token(headers) {
            let cluster = self
                .inner
                .registrations
                .lookup(token)
                .await?
                .ok_or(Refused::Unauthorized)?;
            return Ok(format!("{STEVE_PREFIX}{cluster}"));
        }
        let token = headers
            .get(TOKEN_HEADER)
            .and_then(|token| token.to_str().ok())
            .unwrap_or_default()
            .trim();
        if token.is_empty() {
            return Err(Refused::Unauthorized);
        }
        let cluster = self
            .inner
            .registrations
            .lookup(token)
            .await?
            .ok_or(Refused::UnknownToken)?;
        let params = headers
            .get(PARAMS_HEADER)
            .map(HeaderValue::as_bytes)
            .unwrap_or_default();
        let params = STANDARD.decode(params).map_err(ParamsError::Base64)?;
        let params = Params::parse(&params)?;
        match self.inner.report.store(&cluster, &params).await? {
            Some(object) => {
                // The credential may have changed without the cluster's status.
                self.inner.clusters.forget(&cluster);
                self.inner.clusters.learn(&object);
            }
            None => tracing::debug!(%cluster, "agent reported nothing new"),
        }
        Ok(cluster)
    }
}

impl Inner {
    async fn serve(
        &self,
        key: String,
        socket: TokioIo<hyper::upgrade::Upgraded>,
        stop: CancellationToken,
    ) {
        // 63 bits, as the peer's.
        let session_key = (rand::random::<u64>() >> 1).cast_signed();
        let mut options = Options::hub(&key, session_key);
        options.timers.silence = SILENCE;
        let (session, driver) = Session::serve(socket, Role::Server, RefuseAll, options);
        let registration = self.clusters.sessions().add(&key, session.clone());
        tracing::info!(%key, session = session_key, "tunnel connected");
        let mut driver = std::pin::pin!(driver);
        let closed = tokio::select! {
            closed = driver.as_mut() => closed,
            () = stop.cancelled() => {
                session.close("the server stops");
                driver.await
            }
        };
        drop(registration);
        tracing::info!(%key, session = session_key, reason = %Chain(&closed), "tunnel disconnected");
    }
}

fn steve_token(headers: &HeaderMap) -> Option<&str> {
    headers
        .get(AUTHORIZATION)?
        .to_str()
        .ok()?
        .strip_prefix("Bearer ")?
        .trim()
        .strip_prefix(STEVE_PREFIX)
}

fn refusal(error: &Refused) -> Response {
    let status = match error {
        Refused::Unauthorized => StatusCode::UNAUTHORIZED,
        Refused::UnknownToken | Refused::Params(_) | Refused::Lookup(_) | Refused::Report(_) => {
            StatusCode::BAD_REQUEST
        }
    };
    tracing::debug!(error = %Chain(error), "tunnel refused");
    plain(status, error.to_string())
}

fn plain(status: StatusCode, text: String) -> Response {
    let mut response = web::text(status, text);
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    response
}
