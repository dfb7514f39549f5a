//! Connections through the tunnel for an HTTP client: with TLS to an API server, plain to an agent's own API.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use drover_auth::web::{Body, BoxError};
use drover_tunnel::{BoxedIo, DialError, ReadAhead, Session, Sessions, Stream};
use drover_types::names::STEVE_PREFIX;
use http::Uri;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::pki_types::ServerName;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::broadcast::error::RecvError;
use tokio_rustls::TlsConnector;
use tokio_util::task::TaskTracker;

use super::RETURN;

/// What a connection that requests share may be silent for before it is tested, and for how long the test is waited for.
const SILENT: Duration = Duration::from_secs(30);
const TEST: Duration = Duration::from_secs(20);

/// How long one session may take to give a connection before the next is tried.
const CONNECT_DEADLINE: Duration = Duration::from_secs(10);
/// Idle connections are closed before the API server does (kube-apiserver: 90 s).
const IDLE: Duration = Duration::from_secs(60);
/// Idle connections kept per cluster; each is a TLS session in a stream of the tunnel.
const IDLE_CONNECTIONS: usize = 32;

/// The names of the protocols in TLS (RFC 7301).
pub(super) const H1: &[u8] = b"http/1.1";
pub(super) const H2: &[u8] = b"h2";

/// Where the peer's agent serves its own API, as the hub dials it; agents ignore the address.
const STEVE_ADDRESS: &str = "127.0.0.1:6080";

/// Why no connection came about.
#[derive(Debug, Error)]
pub(crate) enum ConnectError {
    #[error("tunnel")]
    Dial(#[from] DialError),
    #[error("TLS with the cluster's API server")]
    Tls(#[source] io::Error),
    #[error("no connection within {0:?}")]
    Deadline(Duration),
    #[error("cluster agent disconnected")]
    Disconnected,
}

/// TLS towards one API server.
#[derive(Clone)]
pub(super) struct Tls {
    pub(super) connector: TlsConnector,
    pub(super) name: ServerName<'static>,
}

/// Opens connections for one client key and address.
#[derive(Clone)]
pub(super) struct Connector {
    sessions: Sessions,
    route: Route,
}

#[derive(Clone)]
enum Route {
    Cluster {
        key: Arc<str>,
        address: Arc<str>,
        tls: Tls,
    },
    /// The key is the request's authority.
    Steve,
}

impl Connector {
    pub(super) fn cluster(sessions: Sessions, key: &str, address: &str, tls: Tls) -> Self {
        Self {
            sessions,
            route: Route::Cluster {
                key: key.into(),
                address: address.into(),
                tls,
            },
        }
    }

    /// A connection over a session that is there, or over the one that replaces it when it ends meanwhile: nothing was
    /// sent yet, so that any request may wait.
    async fn connect(self, destination: Uri) -> Result<Wire, ConnectError> {
        let (key, address, tls) = match &self.route {
            Route::Cluster { key, address, tls } => (key.as_ref(), address.as_ref(), Some(tls)),
            Route::Steve => (destination.host().unwrap_or_default(), STEVE_ADDRESS, None),
        };
        let own = self.sessions.all(key);
        match self.over(&own, key, address, tls).await {
            Err(_) if own.iter().all(Session::is_closed) && self.replaced(key).await => {
                self.over(&self.sessions.all(key), key, address, tls).await
            }
            outcome => outcome,
        }
    }

    async fn over(
        &self,
        own: &[Session],
        key: &str,
        address: &str,
        tls: Option<&Tls>,
    ) -> Result<Wire, ConnectError> {
        let mut failure = ConnectError::Disconnected;
        // Newest first: after a lost network the newest session is the one that is alive.
        for session in own.iter().rev() {
            match one(session, address, tls).await {
                Ok(wire) => return Ok(wire),
                Err(error) => failure = error,
            }
        }
        if own.is_empty() {
            return secure(self.sessions.dial(key, "tcp", address)?, tls).await;
        }
        Err(failure)
    }

    /// Waits a moment for a session that is alive.
    async fn replaced(&self, key: &str) -> bool {
        let mut changes = self.sessions.changes();
        let alive = || self.sessions.get(key).is_some();
        let returned = async {
            while !alive() {
                if matches!(changes.recv().await, Err(RecvError::Closed)) {
                    return;
                }
            }
        };
        tokio::time::timeout(RETURN, returned).await.is_ok() && alive()
    }
}

async fn one(session: &Session, address: &str, tls: Option<&Tls>) -> Result<Wire, ConnectError> {
    secure(session.dial("tcp", address).await?, tls).await
}

async fn secure(stream: Stream, tls: Option<&Tls>) -> Result<Wire, ConnectError> {
    let Some(tls) = tls else {
        return Ok(Wire::new(stream, false));
    };
    let handshake = tls
        .connector
        .connect(tls.name.clone(), ReadAhead::new(stream));
    match tokio::time::timeout(CONNECT_DEADLINE, handshake).await {
        Ok(Ok(secured)) => {
            let is_h2 = secured.get_ref().1.alpn_protocol() == Some(H2);
            Ok(Wire::new(secured, is_h2))
        }
        Ok(Err(error)) => Err(ConnectError::Tls(error)),
        Err(_) => Err(ConnectError::Deadline(CONNECT_DEADLINE)),
    }
}

impl tower::Service<Uri> for Connector {
    type Response = Wire;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Wire, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, destination: Uri) -> Self::Future {
        Box::pin(self.clone().connect(destination))
    }
}

/// A connection as the HTTP client takes it.
pub(super) struct Wire {
    io: TokioIo<BoxedIo>,
    /// Whether both sides agreed on HTTP/2.
    is_h2: bool,
}

impl Wire {
    fn new<S>(stream: S, is_h2: bool) -> Self
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        Self {
            io: TokioIo::new(Box::new(stream)),
            is_h2,
        }
    }
}

impl Connection for Wire {
    fn connected(&self) -> Connected {
        let connected = Connected::new();
        if self.is_h2 {
            connected.negotiated_h2()
        } else {
            connected
        }
    }
}

impl hyper::rt::Read for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl hyper::rt::Write for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(context, buffers)
    }
}

/// Runs the HTTP client's connections as tasks that are counted.
#[derive(Clone)]
pub(super) struct Tasks(pub(super) TaskTracker);

impl<F> hyper::rt::Executor<F> for Tasks
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        self.0.spawn(future);
    }
}

pub(super) type HttpClient = Client<Connector, Body>;

/// A client whose connections speak what the connector's TLS agrees on.
pub(super) fn http_client(connector: Connector, tasks: TaskTracker) -> HttpClient {
    Client::builder(Tasks(tasks))
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(IDLE_CONNECTIONS)
        .http2_keep_alive_interval(SILENT)
        .http2_keep_alive_timeout(TEST)
        .build(connector)
}

/// The agents' own APIs: plain HTTP/1.1 in their second tunnel.
pub(crate) struct Steve {
    sessions: Sessions,
    http: HttpClient,
}

impl Steve {
    pub(super) fn new(sessions: Sessions, tasks: TaskTracker) -> Self {
        let connector = Connector {
            sessions: sessions.clone(),
            route: Route::Steve,
        };
        Self {
            sessions,
            http: http_client(connector, tasks),
        }
    }

    /// Whether the cluster's agent serves one now.
    pub(crate) fn connected(&self, cluster: &str) -> bool {
        self.sessions.connected(&format!("{STEVE_PREFIX}{cluster}"))
    }

    /// Sends a request whose URI holds path and query.
    pub(crate) async fn send(
        &self,
        cluster: &str,
        mut request: http::Request<Body>,
    ) -> Result<http::Response<hyper::body::Incoming>, BoxError> {
        let path = request
            .uri()
            .path_and_query()
            .map_or("/", http::uri::PathAndQuery::as_str);
        *request.uri_mut() = format!("http://{STEVE_PREFIX}{cluster}{path}").parse::<Uri>()?;
        *request.version_mut() = http::Version::HTTP_11;
        Ok(self.http.request(request).await?)
    }
}
