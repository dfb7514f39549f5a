//! Holds one session to the hub open, for ever.
//!
//! Owns the loop of dial, handshake, session, wait; the two kinds of session differ in their credentials and in who
//! answers. Several replicas may do this for one cluster; the hub uses the oldest session.
//!
//! Protocol facts: `cmd/agent/main.go`, `pkg/agent/rancher` of `rancher/rancher`, recorded frames.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use drover_dial::{Chain, DialError, Dialer, Rules};
use drover_tunnel::{
    Accept, Acceptor, BoxedIo, ClientRequest, ConnectError, Options, Role, Session, connect,
};
use drover_types::names::STEVE_PREFIX;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use rustls::ClientConfig;
use secrecy::ExposeSecret;
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::{
    backoff::{Backoff, Ended},
    config::{ConfigError, Credentials},
    dial_policy::{self, DialPolicy},
    identity::Identity,
    kubernetes::USER_AGENT,
    steve::Steve,
};

/// The header with the registration token.
pub const TOKEN_HEADER: HeaderName = HeaderName::from_static("x-api-tunnel-token");
/// The header with what the hub is told about the cluster.
pub const PARAMS_HEADER: HeaderName = HeaderName::from_static("x-api-tunnel-params");

/// A hub answers pings, one every 5 s, at once, so silence this long means that it, or the way to it, is gone. (The
/// peer: 60 s.) Shorter than our hub's own patience, so that the agent looks for a new way before the hub gives up.
const SILENCE: Duration = Duration::from_secs(10);
/// How long a shutdown waits for streams to end by themselves.
const DRAIN: Duration = Duration::from_secs(5);
const DRAIN_POLL: Duration = Duration::from_millis(50);
const HANDSHAKE: Duration = Duration::from_secs(10);
/// The peer allows a dial as long.
const DIAL_STEP: Duration = Duration::from_secs(30);

/// Why a session did not come about.
#[derive(Debug, thiserror::Error)]
pub enum TunnelError {
    /// Credentials cannot be read.
    #[error("the credentials cannot be read")]
    Config(#[from] ConfigError),
    /// The hub was not reached.
    #[error("the hub cannot be reached")]
    Dial(#[from] DialError),
    /// The hub answered something else than a tunnel.
    #[error("the hub opened no tunnel")]
    Connect(#[from] ConnectError),
    /// A credential cannot stand in a header, or the address in a URL.
    #[error("the credentials hold characters that HTTP does not allow")]
    Header(#[source] http::Error),
}

impl TunnelError {
    /// Whether the hub knows us and says no, so that trying often is of no use.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Connect(ConnectError::Refused { status, .. }) => {
                *status == StatusCode::UNAUTHORIZED || *status == StatusCode::BAD_REQUEST
            }
            Self::Config(_) | Self::Dial(_) | Self::Header(_) | Self::Connect(_) => false,
        }
    }

    /// Whether not even a connection came about.
    #[must_use]
    pub fn is_unreached(&self) -> bool {
        match self {
            Self::Dial(error) => error.is_unreached(),
            Self::Config(_) | Self::Connect(_) | Self::Header(_) => false,
        }
    }
}

/// The headers that open the main session.
pub fn main_headers(
    credentials: &Credentials,
    identity: &Identity,
) -> Result<HeaderMap, TunnelError> {
    let mut headers = HeaderMap::new();
    headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
    headers.insert(TOKEN_HEADER, secret(credentials.token.expose_secret())?);
    headers.insert(PARAMS_HEADER, secret(&identity.tunnel_params())?);
    Ok(headers)
}

/// The headers that open the second session.
pub fn steve_headers(credentials: &Credentials) -> Result<HeaderMap, TunnelError> {
    let mut headers = HeaderMap::new();
    headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
    let bearer = format!("Bearer {STEVE_PREFIX}{}", credentials.token.expose_secret());
    headers.insert(header::AUTHORIZATION, secret(&bearer)?);
    Ok(headers)
}

fn secret(text: &str) -> Result<HeaderValue, TunnelError> {
    let mut value =
        HeaderValue::from_str(text).map_err(|error| TunnelError::Header(error.into()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// How often the hub asked for a connection, and what became of it.
#[derive(Debug, Default)]
pub struct DialCounts {
    /// Asked for.
    pub asked: AtomicU64,
    /// Refused by the policy.
    pub refused: AtomicU64,
    /// Failed.
    pub failed: AtomicU64,
}

/// Dials for the hub.
#[derive(Clone, Debug)]
pub struct ClusterDialer {
    policy: Arc<DialPolicy>,
    dialer: Dialer,
    counts: Arc<DialCounts>,
}

impl ClusterDialer {
    /// A dialer under a policy. Targets lie in the cluster, so no proxy is used.
    #[must_use]
    pub fn new(policy: DialPolicy) -> Self {
        Self {
            policy: Arc::new(policy),
            dialer: Dialer::new(Rules::direct(), DIAL_STEP),
            counts: Arc::default(),
        }
    }

    /// The counters.
    #[must_use]
    pub fn counts(&self) -> &DialCounts {
        &self.counts
    }

    async fn dial(self, protocol: String, address: String) -> std::io::Result<BoxedIo> {
        let count = self.counts.asked.fetch_add(1, Ordering::Relaxed) + 1;
        debug!(%protocol, %address, count, "dialling for the hub");
        let refuse = |kind, text: String| {
            self.counts.refused.fetch_add(1, Ordering::Relaxed);
            warn!(%protocol, %address, reason = %text, "refused to dial for the hub");
            Err(std::io::Error::new(kind, text))
        };
        if protocol != "tcp" {
            return refuse(
                std::io::ErrorKind::Unsupported,
                format!("dial {protocol}: protocol not supported"),
            );
        }
        let Some((host, Some(port))) = dial_policy::split(&address) else {
            return refuse(
                std::io::ErrorKind::InvalidInput,
                format!("dial tcp {address}: missing port in address"),
            );
        };
        if !self.policy.allows(host, port) {
            let text = format!("dial tcp {address}: not allowed by the agent");
            return refuse(std::io::ErrorKind::PermissionDenied, text);
        }
        match self.dialer.tcp(host, port).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(error) => {
                self.counts.failed.fetch_add(1, Ordering::Relaxed);
                let text = format!("dial tcp {address}: {}", Chain(&error));
                debug!(%address, error = %Chain(&error), "a dial for the hub failed");
                Err(std::io::Error::other(text))
            }
        }
    }
}

impl Acceptor for ClusterDialer {
    fn accept(&self, protocol: &str, address: &str) -> Accept {
        Accept::Dial(Box::pin(
            self.clone().dial(protocol.to_owned(), address.to_owned()),
        ))
    }
}

/// Which session, with what it needs.
#[derive(Clone, Debug)]
pub enum Kind {
    /// The main one: the hub reaches the cluster through it.
    Main {
        /// What the hub is told.
        identity: Identity,
        /// Who dials.
        dialer: ClusterDialer,
        /// Whether the first path is `/v3/connect` already.
        connected_before: bool,
    },
    /// The second one: answered in this process.
    Steve(Steve),
}

impl Kind {
    fn name(&self) -> &'static str {
        match self {
            Self::Main { .. } => "main",
            Self::Steve(_) => "steve",
        }
    }

    fn path(&self, connected: bool) -> &'static str {
        match self {
            Self::Main {
                connected_before, ..
            } if !connected && !connected_before => "/v3/connect/register",
            Self::Main { .. } | Self::Steve(_) => "/v3/connect",
        }
    }
}

/// Reads the credentials of the moment.
pub type ReadCredentials = Arc<dyn Fn() -> Result<Credentials, ConfigError> + Send + Sync>;

/// Keeps one session open.
pub struct Tunnel {
    kind: Kind,
    credentials: ReadCredentials,
    tls: Arc<ClientConfig>,
    dialer: Dialer,
    connected: watch::Sender<bool>,
    ever: AtomicBool,
}

impl std::fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tunnel")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// Why [`Tunnel::run`] returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// Shutdown was asked for.
    Shutdown,
    /// So many attempts failed in a row that the start checks should look again.
    Failing,
}

/// After this many failures in a row the start checks run again, to say in plain words what is wrong.
const FAILURES_BEFORE_CHECKS: u32 = 6;

impl Tunnel {
    /// A tunnel that is not connected yet.
    #[must_use]
    pub fn new(
        kind: Kind,
        credentials: ReadCredentials,
        tls: Arc<ClientConfig>,
        dialer: Dialer,
    ) -> Self {
        Self {
            kind,
            credentials,
            tls,
            dialer,
            connected: watch::Sender::new(false),
            ever: AtomicBool::new(false),
        }
    }

    /// Whether a session came about at least once.
    #[must_use]
    pub fn was_connected(&self) -> bool {
        self.ever.load(Ordering::Relaxed)
    }

    /// Follows whether the session is up.
    #[must_use]
    pub fn connected(&self) -> watch::Receiver<bool> {
        self.connected.subscribe()
    }

    /// Connects and reconnects until shutdown, or until the failures call for another look at the start checks.
    pub async fn run(&self, chance: impl Fn() -> f64, shutdown: &CancellationToken) -> Stopped {
        let name = self.kind.name();
        let mut backoff = Backoff::default();
        loop {
            let attempt = tokio::select! {
                () = shutdown.cancelled() => return Stopped::Shutdown,
                attempt = self.open(self.was_connected()) => attempt,
            };
            let ended = match attempt {
                Ok((session, driver)) => {
                    info!(tunnel = name, "connected to the hub");
                    self.ever.store(true, Ordering::Relaxed);
                    self.connected.send_replace(true);
                    let since = Instant::now();
                    let reason = self.hold(&session, driver, shutdown).await;
                    self.connected.send_replace(false);
                    let held = since.elapsed();
                    backoff.held(held);
                    info!(tunnel = name, seconds = held.as_secs(), %reason, "the session with the hub ended");
                    Ended::Broken
                }
                Err(error) => {
                    let refused = error.is_refusal();
                    warn!(tunnel = name, error = %Chain(&error), refused, "no session with the hub");
                    if refused {
                        Ended::Refused
                    } else if error.is_unreached() {
                        Ended::Unreached
                    } else {
                        Ended::Broken
                    }
                }
            };
            if shutdown.is_cancelled() {
                return Stopped::Shutdown;
            }
            if backoff.failures() >= FAILURES_BEFORE_CHECKS {
                return Stopped::Failing;
            }
            let wait = backoff.next(ended, chance());
            debug!(
                tunnel = name,
                milliseconds = wait.as_millis(),
                "waiting before the next attempt"
            );
            tokio::select! {
                () = shutdown.cancelled() => return Stopped::Shutdown,
                () = sleep(wait) => {}
            }
        }
    }

    async fn open(
        &self,
        connected: bool,
    ) -> Result<
        (
            Session,
            std::pin::Pin<Box<dyn Future<Output = drover_tunnel::Closed> + Send>>,
        ),
        TunnelError,
    > {
        let credentials = (self.credentials)()?;
        let headers = match &self.kind {
            Kind::Main { identity, .. } => main_headers(&credentials, identity)?,
            Kind::Steve(_) => steve_headers(&credentials)?,
        };
        let server = &credentials.server;
        let url = Uri::builder()
            .scheme("wss")
            .authority(server.authority())
            .path_and_query(self.kind.path(connected))
            .build()
            .map_err(TunnelError::Header)?;
        let connection = self
            .dialer
            .tls(&server.host, server.port, &self.tls)
            .await?;
        let socket = connect(
            ClientRequest {
                url,
                headers,
                deadline: HANDSHAKE,
            },
            connection.stream,
        )
        .await?;
        let mut options = Options::agent();
        options.timers.silence = SILENCE;
        Ok(match &self.kind {
            Kind::Main { dialer, .. } => {
                let (session, driver) =
                    Session::serve(socket, Role::Client, dialer.clone(), options);
                (session, Box::pin(driver))
            }
            Kind::Steve(steve) => {
                let (session, driver) =
                    Session::serve(socket, Role::Client, steve.clone(), options);
                (session, Box::pin(driver))
            }
        })
    }

    /// Drives a session to its end. A shutdown lets open streams finish for a while; the hub moves to another replica
    /// when the session ends.
    async fn hold(
        &self,
        session: &Session,
        mut driver: std::pin::Pin<Box<dyn Future<Output = drover_tunnel::Closed> + Send>>,
        shutdown: &CancellationToken,
    ) -> String {
        tokio::select! {
            closed = &mut driver => return Chain(&closed).to_string(),
            () = shutdown.cancelled() => {}
        }
        let drained = async {
            while session.stats().streams > 0 {
                sleep(DRAIN_POLL).await;
            }
        };
        tokio::select! {
            closed = &mut driver => return Chain(&closed).to_string(),
            result = timeout(DRAIN, drained) => {
                info!(tunnel = self.kind.name(), complete = result.is_ok(), "drained for shutdown");
            }
        }
        session.close("the agent stops");
        match timeout(Duration::from_secs(1), driver).await {
            Ok(closed) => Chain(&closed).to_string(),
            Err(_) => "the agent stops".to_owned(),
        }
    }
}
