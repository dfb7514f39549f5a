//! The hub's side of the tunnels: `/v3/connect` and `/v3/connect/register`, and what agents tell before they connect.
//!
//! Owns who may open a tunnel for which cluster, what its first message says about the cluster, and the life of its
//! session. The wire is `drover_tunnel`'s. Facts: reference tunnel-and-import 1.7, 2.1 to 2.3.
//!
//! Invariants: authorisation comes before the upgrade; a session is registered under the cluster its token belongs to
//! and under no other key; only a replica that shows the replicas' token may announce clients.

mod checks;
mod neighbours;
mod params;
mod registrations;
mod report;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use drover_auth::web::{self, Actor, Lifeline, Request, Response};
use drover_tunnel::{Closed, Options, RefuseAll, Role, Session, server_upgrade};
use drover_types::management::{Cluster, Setting};
use drover_types::names::STEVE_PREFIX;
use http::StatusCode;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper_util::rt::TokioIo;
use kube::Api;
use secrecy::SecretString;
use thiserror::Error;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::chain::Chain;
use crate::clusters::Clusters;
use neighbours::Neighbours;
use params::{Params, ParamsError};
pub(crate) use registrations::LookupError;
use registrations::Registrations;
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
    neighbours: Neighbours,
    report: Report,
    /// The Cluster objects.
    described: Api<Cluster>,
    settings: Api<Setting>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// Who opens a tunnel.
enum Caller {
    /// A client: an agent, by its key.
    Client(String),
    /// Another replica of this hub, by its name.
    Neighbour(String),
}

impl Caller {
    fn name(&self) -> &str {
        match self {
            Self::Client(name) | Self::Neighbour(name) => name,
        }
    }
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
            neighbours: Neighbours::default(),
            report: Report::new(client.clone()),
            described: Api::all(client.clone()),
            settings: Api::all(client),
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

    /// The cluster whose registration token these headers carry, as the main tunnel's do.
    pub(crate) async fn cluster_of(
        &self,
        headers: &HeaderMap,
    ) -> Result<Option<String>, LookupError> {
        match registration_token(headers) {
            "" => Ok(None),
            token => self.inner.registrations.lookup(token).await,
        }
    }

    /// Takes whoever shows `token` for another replica of this hub from now on: its announcements of clients count, and
    /// clients that only it has are reached through it.
    pub fn expect_neighbours(&self, token: &SecretString) {
        self.inner.neighbours.expect(token);
    }

    /// Ends all sessions and waits for them.
    pub async fn shutdown(&self) {
        self.inner.stop.cancel();
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
    }

    /// Answers a request for a tunnel: 101 and a session, or why not.
    pub async fn handle(&self, mut request: Request) -> Response {
        if request.uri().path() == drover_types::checks::PATH {
            return self.take_checks(request).await;
        }
        let caller = match self.authorise(request.headers()).await {
            Ok(caller) => caller,
            Err(error) => return refusal(&error),
        };
        let upgrade = match server_upgrade(request.method(), request.headers()) {
            Ok(upgrade) => upgrade,
            Err(error) => {
                // First the library's text, then the peer's own (reference 1.7).
                let name = caller.name();
                let text = format!("{error}\nError during upgrade for host [{name}]: {error}");
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
            cluster: match &caller {
                Caller::Client(key) => Some(key.trim_start_matches(STEVE_PREFIX).to_owned()),
                Caller::Neighbour(_) => None,
            },
            ..Actor::default()
        };
        self.inner.tasks.spawn(async move {
            match client.await {
                Ok(socket) => inner.serve(&caller, TokioIo::new(socket), stop).await,
                Err(error) => {
                    tracing::warn!(key = caller.name(), error = %Chain(&error), "tunnel was not upgraded")
                }
            }
            drop(lifeline);
        });
        let mut response = upgrade.response.map(|()| web::empty());
        response.extensions_mut().insert(actor);
        response
    }

    /// Whose tunnel these headers may open.
    async fn authorise(&self, headers: &HeaderMap) -> Result<Caller, Refused> {
        if let Some(neighbour) = self.inner.neighbours.recognise(headers) {
            return Ok(Caller::Neighbour(neighbour));
        }
        if let Some(token) = steve_token(headers) {
            let cluster = self
                .inner
                .registrations
                .lookup(token)
                .await?
                .ok_or(Refused::Unauthorized)?;
            return Ok(Caller::Client(format!("{STEVE_PREFIX}{cluster}")));
        }
        let token = registration_token(headers);
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
            Some(described) => {
                if described.other_authority && self.inner.clusters.sessions().connected(&cluster) {
                    // Refused it could not be: authorities are replaced while agents are connected.
                    tracing::warn!(
                        %cluster,
                        "an agent of another Kubernetes cluster connects beside those that are connected; was one manifest applied to two clusters?"
                    );
                }
                // The credential may have changed without the cluster's status.
                self.inner.clusters.forget(&cluster);
                self.inner.clusters.learn(&described.cluster);
            }
            None => tracing::debug!(%cluster, "agent reported nothing new"),
        }
        Ok(Caller::Client(cluster))
    }
}

impl Inner {
    async fn serve(
        &self,
        caller: &Caller,
        socket: TokioIo<hyper::upgrade::Upgraded>,
        stop: CancellationToken,
    ) {
        let sessions = self.clusters.sessions();
        // 63 bits, as the peer's.
        let session_key = (rand::random::<u64>() >> 1).cast_signed();
        let mut options = Options::hub(caller.name(), session_key);
        options.timers.silence = SILENCE;
        match caller {
            Caller::Client(key) => {
                let (session, driver) = Session::serve(socket, Role::Server, RefuseAll, options);
                let registered = sessions.add(key, session.clone());
                let cluster = key.strip_prefix(STEVE_PREFIX).unwrap_or(key);
                // Whoever deleted it since its token was read closed the sessions that were there then.
                let checked = self.clusters.end_if_gone(cluster);
                tokio::join!(drive(&session, driver, registered, stop), checked);
            }
            Caller::Neighbour(_) => {
                let (neighbour, announcements) = sessions.neighbour();
                let (session, driver) =
                    Session::serve(socket, Role::Server, announcements, options);
                neighbour.attach(&session);
                drive(&session, driver, neighbour, stop).await;
            }
        }
    }
}

/// Drives a session to its end; `registered` keeps it in the registry until then.
async fn drive(
    session: &Session,
    driver: impl Future<Output = Closed>,
    registered: impl Sized,
    stop: CancellationToken,
) {
    let key = session.client_key();
    tracing::info!(%key, session = session.key(), "tunnel connected");
    let mut driver = std::pin::pin!(driver);
    let closed = tokio::select! {
        closed = driver.as_mut() => closed,
        () = stop.cancelled() => {
            session.close("the server stops");
            driver.await
        }
    };
    drop(registered);
    tracing::info!(%key, session = session.key(), reason = %Chain(&closed), "tunnel disconnected");
}

/// The registration token of a main tunnel; empty if there is none.
fn registration_token(headers: &HeaderMap) -> &str {
    headers
        .get(TOKEN_HEADER)
        .and_then(|token| token.to_str().ok())
        .unwrap_or_default()
        .trim()
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
