//! A small client over TLS and HTTP/1.1, the same towards both servers, so that its own cost is in both figures.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http::Method;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// Where a server is, and how it is spoken to.
#[derive(Clone)]
pub(crate) struct Peer {
    pub(crate) address: (Ipv4Addr, u16),
    pub(crate) token: String,
    pub(crate) tls: Arc<rustls::ClientConfig>,
}

impl Peer {
    /// A server whose certificate `authority` (PEM) signed.
    pub(crate) fn new(address: (Ipv4Addr, u16), token: &str, authority: &str) -> Result<Self> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(authority.as_bytes())?)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            address,
            token: token.to_owned(),
            tls: Arc::new(tls),
        })
    }

    /// TLS over a connected stream.
    pub(crate) async fn secure<S>(
        &self,
        tls: &Arc<rustls::ClientConfig>,
        stream: S,
    ) -> Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let connector = tokio_rustls::TlsConnector::from(Arc::clone(tls));
        Ok(connector
            .connect(ServerName::try_from("localhost")?, stream)
            .await?)
    }

    pub(crate) async fn connect(&self) -> Result<Connection> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let stream = self.secure(&self.tls, stream).await?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection of the benchmark ended with an error");
            }
        });
        Ok(Connection {
            sender,
            peer: self.clone(),
        })
    }

    pub(crate) async fn connect_all(&self, n: usize) -> Result<Vec<Connection>> {
        let mut connections = Vec::with_capacity(n);
        for _ in 0..n {
            connections.push(self.connect().await?);
        }
        Ok(connections)
    }
}

/// An open connection: one request at a time.
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    peer: Peer,
}

impl Connection {
    /// Sends a request and returns the body of its answer as it comes.
    pub(crate) async fn open(
        &mut self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Incoming> {
        let (host, port) = self.peer.address;
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("host", format!("{host}:{port}"))
            .header("authorization", format!("Bearer {}", self.peer.token))
            .header("accept", "application/json")
            .header("content-type", "application/json")
            .body(Full::new(body))?;
        let response = self.sender.send_request(request).await?;
        let (parts, body) = response.into_parts();
        if !parts.status.is_success() {
            let text = body.collect().await?.to_bytes();
            anyhow::bail!(
                "{path}: {} {}",
                parts.status,
                String::from_utf8_lossy(&text)
            );
        }
        Ok(body)
    }

    /// Sends a request and reads the whole answer; its length.
    pub(crate) async fn call(&mut self, method: Method, path: &str, body: Bytes) -> Result<usize> {
        let mut body = self.open(method, path, body).await?;
        let mut length = 0;
        while let Some(frame) = body.frame().await {
            length += frame?.data_ref().map_or(0, Bytes::len);
        }
        self.sender.ready().await?;
        Ok(length)
    }
}

/// Calls per second over `connections`, each told its next path and body by `next`.
pub(crate) async fn rate<F>(
    connections: &mut Vec<Connection>,
    time: Duration,
    method: Method,
    next: F,
) -> Result<f64>
where
    F: Fn(usize, usize) -> (String, Bytes) + Send + Sync + 'static,
{
    ensure!(!connections.is_empty(), "no connections");
    let next = Arc::new(next);
    let start = Instant::now();
    let mut callers = Vec::new();
    for (caller, mut connection) in connections.drain(..).enumerate() {
        let (next, method) = (Arc::clone(&next), method.clone());
        callers.push(tokio::spawn(async move {
            let mut n = 0_usize;
            while start.elapsed() < time {
                let (path, body) = next(caller, n);
                connection.call(method.clone(), &path, body).await?;
                n += 1;
            }
            anyhow::Ok((n, connection))
        }));
    }
    let mut total = 0;
    for caller in callers {
        let (n, connection) = caller.await.context("a caller ended with a panic")??;
        total += n;
        connections.push(connection);
    }
    Ok(total as f64 / start.elapsed().as_secs_f64())
}

/// The median time of `n` calls.
pub(crate) async fn median(connection: &mut Connection, path: &str, n: usize) -> Result<Duration> {
    let mut times = Vec::with_capacity(n);
    connection.call(Method::GET, path, Bytes::new()).await?;
    for _ in 0..n {
        let start = Instant::now();
        connection.call(Method::GET, path, Bytes::new()).await?;
        times.push(start.elapsed());
    }
    times.sort();
    Ok(times[n / 2])
}
