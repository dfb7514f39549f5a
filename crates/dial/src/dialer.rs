//! From a host name to a stream: resolve, connect (through a proxy where the rules say so), TLS.
//!
//! Each step can be taken alone, so that start checks can report on each. Every step has the dialer's timeout.

use std::{fmt, io, net::SocketAddr, sync::Arc, time::Duration};

use rustls::{
    CertificateError, ClientConfig,
    pki_types::{CertificateDer, InvalidDnsNameError, ServerName},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

use crate::{
    proxy::{Proxy, Rules, Scheme, authority},
    trust::{Trust, TrustError},
};

/// A byte stream, encrypted or not.
pub trait Io: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

impl fmt::Debug for dyn Io {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Io")
    }
}

/// The step of a dial that took too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DialStep {
    /// Asking for the host's addresses.
    Resolve,
    /// Opening the TCP connection.
    Connect,
    /// Asking the proxy for a tunnel.
    Proxy,
    /// The TLS handshake.
    Tls,
}

impl fmt::Display for DialStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolve => "resolving the name",
            Self::Connect => "connecting",
            Self::Proxy => "the proxy's answer",
            Self::Tls => "the TLS handshake",
        })
    }
}

/// Why a dial failed. The variant names the step.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The name could not be resolved.
    #[error("cannot resolve {host}")]
    Resolve {
        /// The name asked for.
        host: String,
        /// The resolver's answer.
        #[source]
        source: io::Error,
    },
    /// The name exists but has no address.
    #[error("{host} has no address")]
    NoAddress {
        /// The name asked for.
        host: String,
    },
    /// None of the addresses accepted a connection.
    #[error("cannot connect to {host} at {address}")]
    Connect {
        /// The name asked for.
        host: String,
        /// The last address tried.
        address: SocketAddr,
        /// The last failure.
        #[source]
        source: io::Error,
    },
    /// A step took longer than the dialer waits.
    #[error("{step} took longer than {} s at {target}", .after.as_secs_f32())]
    Timeout {
        /// The step.
        step: DialStep,
        /// Host and port the step was for.
        target: String,
        /// How long it was waited for.
        after: Duration,
    },
    /// The proxy answered, but not with a tunnel.
    #[error("the proxy {proxy} refused a tunnel to {target} with status {status}")]
    ProxyRefused {
        /// The proxy, without credentials.
        proxy: String,
        /// Host and port asked for.
        target: String,
        /// Its HTTP status.
        status: u16,
    },
    /// The proxy closed the connection or did not speak HTTP.
    #[error("the proxy {proxy} gave no HTTP answer")]
    ProxyAnswer {
        /// The proxy, without credentials.
        proxy: String,
        /// What came instead.
        #[source]
        source: io::Error,
    },
    /// The name cannot stand in a certificate.
    #[error("{host} is not a name that TLS can check")]
    ServerName {
        /// The name.
        host: String,
        /// What is wrong with it.
        #[source]
        source: InvalidDnsNameError,
    },
    /// The TLS handshake failed.
    #[error("no TLS connection to {target}")]
    Tls {
        /// Host and port.
        target: String,
        /// The failure; see [`DialError::certificate_error`].
        #[source]
        source: io::Error,
    },
    /// The trust for TLS cannot be set up.
    #[error("cannot set up TLS")]
    Trust(#[from] TrustError),
}

impl DialError {
    /// Whether the host, or the proxy before it, was not even connected to.
    #[must_use]
    pub const fn is_unreached(&self) -> bool {
        match self {
            Self::Resolve { .. } | Self::NoAddress { .. } | Self::Connect { .. } => true,
            Self::Timeout { step, .. } => matches!(step, DialStep::Resolve | DialStep::Connect),
            Self::ProxyRefused { .. }
            | Self::ProxyAnswer { .. }
            | Self::ServerName { .. }
            | Self::Tls { .. }
            | Self::Trust(_) => false,
        }
    }

    /// The verdict on the peer's certificate, if that is what failed.
    #[must_use]
    pub fn certificate_error(&self) -> Option<&CertificateError> {
        let Self::Tls { source, .. } = self else {
            return None;
        };
        match source.get_ref()?.downcast_ref::<rustls::Error>()? {
            rustls::Error::InvalidCertificate(error) => Some(error),
            _ => None,
        }
    }
}

/// An open stream and what was learned on the way.
#[derive(Debug)]
pub struct Connection {
    /// The stream, after TLS if it was asked for.
    pub stream: Box<dyn Io>,
    /// The certificates the peer showed, leaf first; empty without TLS.
    pub certificates: Vec<CertificateDer<'static>>,
}

/// Opens streams under one set of proxy rules.
#[derive(Clone, Debug)]
pub struct Dialer {
    rules: Arc<Rules>,
    step_timeout: Duration,
    connect_timeout: Duration,
}

impl Dialer {
    /// A dialer that allows each step `step_timeout`.
    #[must_use]
    pub fn new(rules: Rules, step_timeout: Duration) -> Self {
        Self {
            rules: Arc::new(rules),
            step_timeout,
            connect_timeout: step_timeout,
        }
    }

    /// The same, but each address of the host gets no more than this to accept the TCP connection.
    #[must_use]
    pub fn connecting_within(self, connect_timeout: Duration) -> Self {
        Self {
            connect_timeout,
            ..self
        }
    }

    /// The proxy that connections to this place use.
    #[must_use]
    pub fn proxy_for(&self, scheme: Scheme, host: &str, port: u16) -> Option<&Proxy> {
        self.rules.proxy_for(scheme, host, port)
    }

    /// The addresses of a name.
    pub async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, DialError> {
        let plain = host.trim_start_matches('[').trim_end_matches(']');
        let found = self
            .step(
                DialStep::Resolve,
                &authority(host, port),
                tokio::net::lookup_host((plain, port)),
            )
            .await?
            .map_err(|source| DialError::Resolve {
                host: host.to_owned(),
                source,
            })?;
        let addresses: Vec<_> = found.collect();
        if addresses.is_empty() {
            Err(DialError::NoAddress {
                host: host.to_owned(),
            })
        } else {
            Ok(addresses)
        }
    }

    /// A TCP connection to the first address that accepts.
    pub async fn tcp(&self, host: &str, port: u16) -> Result<TcpStream, DialError> {
        let addresses = self.resolve(host, port).await?;
        let mut failure = DialError::NoAddress {
            host: host.to_owned(),
        };
        for address in addresses {
            match self
                .step(
                    DialStep::Connect,
                    &address.to_string(),
                    TcpStream::connect(address),
                )
                .await
            {
                Ok(Ok(stream)) => {
                    // Without this a small frame waits for the acknowledgement of the one before it.
                    stream
                        .set_nodelay(true)
                        .map_err(|source| DialError::Connect {
                            host: host.to_owned(),
                            address,
                            source,
                        })?;
                    return Ok(stream);
                }
                Ok(Err(source)) => {
                    failure = DialError::Connect {
                        host: host.to_owned(),
                        address,
                        source,
                    }
                }
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// A plain stream to `host:port`, through the proxy if the rules name one.
    pub async fn stream(
        &self,
        scheme: Scheme,
        host: &str,
        port: u16,
    ) -> Result<Box<dyn Io>, DialError> {
        match self.proxy_for(scheme, host, port) {
            None => Ok(Box::new(self.tcp(host, port).await?)),
            Some(proxy) => self.through(proxy, host, port).await,
        }
    }

    /// A TLS stream to `host:port`, through the proxy if the rules name one.
    pub async fn tls(
        &self,
        host: &str,
        port: u16,
        config: &Arc<ClientConfig>,
    ) -> Result<Connection, DialError> {
        let stream = self.stream(Scheme::Https, host, port).await?;
        self.handshake(stream, host, port, config).await
    }

    async fn through(
        &self,
        proxy: &Proxy,
        host: &str,
        port: u16,
    ) -> Result<Box<dyn Io>, DialError> {
        let tcp = self.tcp(&proxy.host, proxy.port).await?;
        let mut stream: Box<dyn Io> = if proxy.tls {
            let config = Trust::System.client_config()?;
            self.handshake(Box::new(tcp), &proxy.host, proxy.port, &config)
                .await?
                .stream
        } else {
            Box::new(tcp)
        };
        let target = authority(host, port);
        let answer = self
            .step(
                DialStep::Proxy,
                &proxy.address(),
                ask_for_tunnel(&mut stream, proxy, &target),
            )
            .await?;
        match answer {
            Ok(status) if (200..300).contains(&status) => Ok(stream),
            Ok(status) => Err(DialError::ProxyRefused {
                proxy: proxy.address(),
                target,
                status,
            }),
            Err(source) => Err(DialError::ProxyAnswer {
                proxy: proxy.address(),
                source,
            }),
        }
    }

    async fn handshake(
        &self,
        stream: Box<dyn Io>,
        host: &str,
        port: u16,
        config: &Arc<ClientConfig>,
    ) -> Result<Connection, DialError> {
        let plain = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        let name = ServerName::try_from(plain).map_err(|source| DialError::ServerName {
            host: host.to_owned(),
            source,
        })?;
        let target = authority(host, port);
        let connect = TlsConnector::from(Arc::clone(config)).connect(name, stream);
        let tls = self
            .step(DialStep::Tls, &target, connect)
            .await?
            .map_err(|source| DialError::Tls { target, source })?;
        let certificates = tls
            .get_ref()
            .1
            .peer_certificates()
            .map(<[_]>::to_vec)
            .unwrap_or_default();
        let certificates = certificates
            .into_iter()
            .map(CertificateDer::into_owned)
            .collect();
        Ok(Connection {
            stream: Box::new(tls),
            certificates,
        })
    }

    async fn step<F: Future>(
        &self,
        step: DialStep,
        target: &str,
        work: F,
    ) -> Result<F::Output, DialError> {
        let after = match step {
            DialStep::Connect => self.connect_timeout,
            DialStep::Resolve | DialStep::Proxy | DialStep::Tls => self.step_timeout,
        };
        timeout(after, work).await.map_err(|_| DialError::Timeout {
            step,
            target: target.to_owned(),
            after,
        })
    }
}

/// The answer of a proxy is read byte by byte so that nothing after its head is swallowed; heads are short.
const LONGEST_PROXY_HEAD: usize = 8 * 1024;

async fn ask_for_tunnel(stream: &mut Box<dyn Io>, proxy: &Proxy, target: &str) -> io::Result<u16> {
    let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n");
    if let Some(value) = proxy.authorization() {
        request.push_str("Proxy-Authorization: ");
        request.push_str(value);
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= LONGEST_PROXY_HEAD {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the head of its answer is too long",
            ));
        }
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head);
    let mut words = head.split_ascii_whitespace();
    match (words.next(), words.next().map(str::parse)) {
        (Some(version), Some(Ok(status))) if version.starts_with("HTTP/1.") => Ok(status),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "its answer is not HTTP/1",
        )),
    }
}

#[cfg(test)]
mod tests;
