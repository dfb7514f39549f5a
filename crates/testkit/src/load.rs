//! A load client: one HTTP/1.1 connection per caller, the same towards a
//! server directly and through Drover, so that only the way differs.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// Where requests go.
#[derive(Clone, Debug)]
pub struct Target {
    /// Address and port of a TLS server.
    pub address: (Ipv4Addr, u16),
    /// Bearer token.
    pub token: String,
    /// Path and query.
    pub path: String,
}

/// An open connection.
#[derive(Debug)]
pub struct Connection {
    sender: SendRequest<Empty<Bytes>>,
    target: Target,
}

impl Connection {
    /// Opens a connection; any certificate will do.
    ///
    /// # Errors
    ///
    /// When TCP or TLS fails.
    pub async fn open(target: &Target) -> Result<Self> {
        let stream = connect(target.address).await?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "the load connection ended with an error");
            }
        });
        Ok(Self {
            sender,
            target: target.clone(),
        })
    }

    /// Sends one GET and reads the whole answer; its length in bytes.
    ///
    /// # Errors
    ///
    /// When the answer is not 200.
    pub async fn get(&mut self) -> Result<usize> {
        let request = http::Request::get(&self.target.path)
            .header(
                "host",
                format!("{}:{}", self.target.address.0, self.target.address.1),
            )
            .header("authorization", format!("Bearer {}", self.target.token))
            .header("accept", "application/json")
            .body(Empty::new())?;
        let response = self.sender.send_request(request).await?;
        ensure!(
            response.status() == 200,
            "{} {}",
            self.target.path,
            response.status()
        );
        let mut body = response.into_body();
        let mut length = 0;
        while let Some(frame) = body.frame().await {
            if let Some(data) = frame?.data_ref() {
                length += data.len();
            }
        }
        self.sender.ready().await?;
        Ok(length)
    }
}

/// TLS to a server; any certificate will do.
///
/// # Errors
///
/// When TCP or TLS fails.
pub async fn connect(address: (Ipv4Addr, u16)) -> Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate))
        .with_no_client_auth();
    Ok(tokio_rustls::TlsConnector::from(Arc::new(config))
        .connect(ServerName::try_from("localhost")?, stream)
        .await?)
}

/// Times of single requests over one connection, sorted.
///
/// # Errors
///
/// When a request fails.
pub async fn latencies(target: &Target, n_requests: usize) -> Result<Vec<Duration>> {
    let mut connection = Connection::open(target).await?;
    let mut times = Vec::new();
    while times.len() < n_requests {
        turn(&mut connection, &mut times, Duration::ZERO).await?;
    }
    times.sort();
    Ok(times)
}

/// How many requests of one target follow each other before it is the other's turn.
const TURN: usize = 25;

/// Times of single requests over one connection to each of two targets, in turns so that what else the machine does
/// meets both; sorted. Requests are `pause` apart: a machine whose cores have gone to sleep meanwhile answers later.
///
/// # Errors
///
/// When a request fails.
pub async fn latencies_in_turns(
    targets: [&Target; 2],
    n_requests: usize,
    pause: Duration,
) -> Result<[Vec<Duration>; 2]> {
    let [mut first, mut second] = [
        Connection::open(targets[0]).await?,
        Connection::open(targets[1]).await?,
    ];
    let mut times = [Vec::new(), Vec::new()];
    while times[1].len() < n_requests {
        turn(&mut first, &mut times[0], pause).await?;
        turn(&mut second, &mut times[1], pause).await?;
    }
    for times in &mut times {
        times.sort();
    }
    Ok(times)
}

/// The first requests after the other's turn warm up and do not count.
async fn turn(
    connection: &mut Connection,
    times: &mut Vec<Duration>,
    pause: Duration,
) -> Result<()> {
    for number in 0..TURN + TURN / 5 {
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        let start = Instant::now();
        connection.get().await?;
        if number >= TURN / 5 {
            times.push(start.elapsed());
        }
    }
    Ok(())
}

/// Requests per second over several connections.
///
/// # Errors
///
/// When a request fails.
pub async fn rate(target: &Target, n_connections: usize, time: Duration) -> Result<f64> {
    let mut connections = Vec::new();
    for _ in 0..n_connections {
        let mut connection = Connection::open(target).await?;
        connection.get().await?;
        connections.push(connection);
    }
    let start = Instant::now();
    let mut callers = Vec::new();
    for mut connection in connections {
        callers.push(tokio::spawn(async move {
            let mut n_requests = 0_u32;
            while start.elapsed() < time {
                connection.get().await?;
                n_requests += 1;
            }
            anyhow::Ok(n_requests)
        }));
    }
    let mut total = 0;
    for caller in callers {
        total += caller.await.context("a caller ended with a panic")??;
    }
    Ok(f64::from(total) / start.elapsed().as_secs_f64())
}

#[derive(Debug)]
struct AnyCertificate;

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::ring::default_provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}
