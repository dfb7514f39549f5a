//! Sockets, TLS and HTTP connections; what a request means is `edge`'s.
//!
//! Limits come before anything is parsed: number of connections, time for
//! the handshake and for the header, size of the header, streams per
//! connection.

mod busy;
mod heads;
mod seats;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use drover_auth::web::{self, Connection, Response};
use drover_tunnel::{Gathered, ReadAhead};
use http::header::EXPECT;
use http::{Request, StatusCode, Version};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_rustls::LazyConfigAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use self::busy::Busy;
use self::heads::Heads;
use self::seats::{Seat, Seated, Seats};
use crate::certificates::Certificates;
use crate::lingering::Lingering;

/// Connections at once. 500 clusters hold two tunnels each; the rest is for people and scripts.
pub(crate) const MAX_CONNECTIONS: usize = 20_000;
/// Time for a TLS handshake.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
/// Time for a request's header, and how long a connection may idle: clients keep some to use again.
const HEADER_LIMIT: Duration = Duration::from_secs(90);
/// Time for the rest of a header that was begun before the server stops.
const LAST_HEADER_LIMIT: Duration = Duration::from_secs(2);
/// Largest header: agents send tokens and CAs in it (reference tunnel-and-import, 2.2).
const HEADER_BYTES: u32 = 128 * 1024;
/// Requests at once on one HTTP/2 connection: clients keep a watch per kind open.
const STREAMS: u32 = 2_000;
/// Bytes in flight per HTTP/2 stream and connection; large lists run at the speed of the connection.
const WINDOWS: (u32, u32) = (1 << 20, 4 << 20);
/// How often the log tells of connections that were not taken.
const TELL_EVERY: Duration = Duration::from_secs(10);
/// The protocol in which many streams share a connection (RFC 9113, 3.2).
const HTTP2: &[u8] = b"h2";
/// First byte of every TLS connection (RFC 8446, 5.1: a handshake record).
const TLS_HANDSHAKE: u8 = 22;

/// Whose a request was: put into the extensions of its answer.
#[derive(Clone, Debug)]
pub(crate) struct Owner(pub(crate) String);

/// Answers requests; shared by all connections.
pub(crate) trait Handler: Send + Sync + 'static {
    /// Answers one request; its extensions hold the [`Connection`], the answer's the [`Owner`] if there is one.
    fn handle(self: Arc<Self>, request: web::Request) -> impl Future<Output = Response> + Send;
}

/// What all listeners share.
pub(crate) struct Listeners<H> {
    handler: Arc<H>,
    seats: Seats,
    heads: Heads,
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

impl<H> std::fmt::Debug for Listeners<H> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Listeners").finish_non_exhaustive()
    }
}

impl<H> Clone for Listeners<H> {
    fn clone(&self) -> Self {
        Self {
            handler: Arc::clone(&self.handler),
            seats: self.seats.clone(),
            heads: self.heads.clone(),
            tasks: self.tasks.clone(),
            shutdown: self.shutdown.clone(),
        }
    }
}

/// Binds a port. The wildcard address takes IPv4 and IPv6 where both are there.
///
/// # Errors
///
/// When the port is taken or not allowed.
pub(crate) async fn bind(address: IpAddr, port: u16) -> io::Result<TcpListener> {
    match TcpListener::bind((address, port)).await {
        Err(error)
            if address.is_ipv6()
                && address.is_unspecified()
                && error.kind() != io::ErrorKind::AddrInUse =>
        {
            // A machine without IPv6.
            TcpListener::bind((std::net::Ipv4Addr::UNSPECIFIED, port)).await
        }
        answer => answer,
    }
}

impl<H: Handler> Listeners<H> {
    /// At most `connections` at once; they run as tasks of `tasks` and finish what they hold after `shutdown`.
    pub(crate) fn new(
        handler: Arc<H>,
        connections: usize,
        tasks: TaskTracker,
        shutdown: CancellationToken,
    ) -> Self {
        Self {
            handler,
            seats: Seats::new(connections),
            heads: Heads::default(),
            tasks,
            shutdown,
        }
    }

    /// Serves HTTPS until shutdown.
    pub(crate) async fn https(self, listener: TcpListener, certificates: Certificates) {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider supports the default TLS versions")
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(certificates.clone()));
        let mut config = config;
        config.alpn_protocols = vec![HTTP2.to_vec(), b"http/1.1".to_vec()];
        let config = Arc::new(config);
        let listeners = self.clone();
        self.accept(listener, move |stream, remote, seat| {
            let (listeners, config, certificates) =
                (listeners.clone(), Arc::clone(&config), certificates.clone());
            async move {
                listeners
                    .secure(stream, remote, seat, config, certificates)
                    .await
            }
        })
        .await;
    }

    /// Serves plain HTTP until shutdown.
    pub(crate) async fn http(self, listener: TcpListener) {
        let listeners = self.clone();
        self.accept(listener, move |stream, remote, seat| {
            let listeners = listeners.clone();
            async move {
                listeners
                    .serve(stream, Connection { remote, tls: false }, seat)
                    .await
            }
        })
        .await;
    }

    async fn accept<F, Fut>(&self, listener: TcpListener, serve: F)
    where
        F: Fn(TcpStream, SocketAddr, Arc<Seat>) -> Fut,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let (mut refusals, mut displaced) = (Refusals::default(), Refusals::default());
        loop {
            let accepted = tokio::select! {
                () = self.shutdown.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            let (stream, remote) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, most likely; connections in progress go on and free some.
                    if let Some(n) = refusals.tell() {
                        tracing::warn!(%error, n, "cannot accept connections");
                    }
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            // A socket for both families writes IPv4 as IPv6 does; nobody reads it so.
            let remote = SocketAddr::new(remote.ip().to_canonical(), remote.port());
            let Some(taken) = self.seats.take(remote.ip()) else {
                if let Some(n) = refusals.tell() {
                    tracing::warn!(%remote, n, "too many connections; refused some");
                }
                continue;
            };
            if taken.displaced
                && let Some(n) = displaced.tell()
            {
                tracing::warn!(%remote, n, "too many connections; some that showed no credentials were closed for others");
            }
            let seat = Arc::new(taken.seat);
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%remote, %error, "the connection is gone");
                continue;
            }
            let connection = serve(stream, remote, Arc::clone(&seat));
            let span = tracing::debug_span!("connection", %remote);
            self.tasks.spawn(
                async move {
                    tokio::select! {
                        () = connection => {}
                        () = seat.displaced() => tracing::debug!("the connection gave way to another"),
                    }
                }
                .instrument(span),
            );
        }
    }

    async fn secure(
        self,
        mut stream: TcpStream,
        remote: SocketAddr,
        seat: Arc<Seat>,
        config: Arc<rustls::ServerConfig>,
        certificates: Certificates,
    ) {
        if let Ok(local) = stream.local_addr() {
            certificates.add_address(local.ip());
        }
        let handshake = async {
            let mut first = [0];
            if stream.peek(&mut first).await? == 1 && first[0] != TLS_HANDSHAKE {
                stream.write_all(PLAIN_ON_TLS).await?;
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "plain HTTP on the HTTPS port",
                ));
            }
            let acceptor = rustls::server::Acceptor::default();
            let start = LazyConfigAcceptor::new(acceptor, ReadAhead::new(stream)).await?;
            if let Some(name) = start.client_hello().server_name() {
                certificates.add(name, Some(remote.ip()));
            }
            start.into_stream(config).await
        };
        let handshake = tokio::time::timeout(HANDSHAKE_LIMIT, handshake);
        let secured = tokio::select! {
            secured = handshake => secured,
            // Nothing was asked yet.
            () = self.shutdown.cancelled() => return,
        };
        match secured {
            Ok(Ok(stream)) => {
                let is_shared = stream.get_ref().1.alpn_protocol() == Some(HTTP2);
                self.serve(
                    Gathered::new(stream, is_shared),
                    Connection { remote, tls: true },
                    seat,
                )
                .await;
            }
            Ok(Err(error)) => tracing::debug!(%error, "the TLS handshake failed"),
            Err(_) => tracing::debug!("the TLS handshake took too long"),
        }
    }

    async fn serve<S>(self, stream: S, connection: Connection, seat: Arc<Seat>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (handler, tasks) = (self.handler, self.tasks);
        let busy = Busy::new();
        let (counted, heads) = (busy.clone(), self.heads.of_connection());
        let stream = Seated::new(stream, Arc::clone(&seat));
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(connection);
            let head = heads.add(&request);
            let request = with_body(request, &tasks);
            let (handler, running) = (Arc::clone(&handler), counted.begin());
            let seat = Arc::clone(&seat);
            async move {
                let Some(_head) = head else {
                    drop(request);
                    return Ok(running.with(too_large_together()));
                };
                let answer = handler.handle(request).await;
                if let Some(Owner(owner)) = answer.extensions().get() {
                    seat.belongs_to(owner);
                }
                Ok::<_, std::convert::Infallible>(running.with(answer))
            }
        });
        let mut builder = Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_LIMIT)
            .max_buf_size(HEADER_BYTES as usize)
            .preserve_header_case(false);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_header_list_size(HEADER_BYTES)
            .max_concurrent_streams(STREAMS)
            .initial_stream_window_size(WINDOWS.0)
            .initial_connection_window_size(WINDOWS.1)
            .keep_alive_interval(Duration::from_secs(30))
            .keep_alive_timeout(Duration::from_secs(20));
        let mut serving =
            std::pin::pin!(builder.serve_connection_with_upgrades(TokioIo::new(stream), service));
        let ended = tokio::select! {
            ended = serving.as_mut() => ended,
            () = self.shutdown.cancelled() => {
                serving.as_mut().graceful_shutdown();
                tokio::select! {
                    ended = serving.as_mut() => ended,
                    // Half a header is no request: nobody waits for its answer yet, and whoever never sends the rest
                    // must not hold the stop.
                    () = busy.idle(LAST_HEADER_LIMIT) => Ok(()),
                }
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "the connection ended with an error");
        }
    }
}

/// Connections that were not taken, or not kept. Those who open many must not fill the log as well.
#[derive(Debug, Default)]
struct Refusals {
    untold: usize,
    told: Option<Instant>,
}

impl Refusals {
    /// Counts one; how many there were since the last time, if it is time to tell of them.
    fn tell(&mut self) -> Option<usize> {
        self.untold += 1;
        if self.told.is_some_and(|told| told.elapsed() < TELL_EVERY) {
            return None;
        }
        self.told = Some(Instant::now());
        Some(std::mem::take(&mut self.untold))
    }
}

/// Each head is as large as it may be, and all that wait for an answer are too large together.
fn too_large_together() -> Response {
    web::text(
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        "the headers of the requests that wait are too large together\n",
    )
}

/// HTTP/2 ends one stream without harm to the others, and who asked before sending has sent nothing.
fn with_body(request: Request<Incoming>, tasks: &TaskTracker) -> web::Request {
    let lingers = request.version() <= Version::HTTP_11 && !request.headers().contains_key(EXPECT);
    if lingers {
        request.map(|body| web::boxed(Lingering::new(body, tasks.clone())))
    } else {
        request.map(web::boxed)
    }
}

/// What Go's HTTP server answers there, so that people see the cause.
const PLAIN_ON_TLS: &[u8] = b"HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain\r\n\r\nThis port speaks HTTPS; use https:// in the URL.\n";

#[cfg(test)]
mod tests;
