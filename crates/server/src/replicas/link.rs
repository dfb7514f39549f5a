//! The session this replica opens to another one.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use drover_tunnel::{ClientRequest, Closed, Options, Role, Session, Sessions};
use http::{HeaderMap, HeaderValue, Uri};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::Other;
use crate::certificates::Certificates;

/// Time for each step: the connection, TLS, the handshake of the tunnel.
const STEP: Duration = Duration::from_secs(10);
/// Before the next attempt.
const RETRY: Duration = Duration::from_secs(1);
/// A replica that is silent so long is gone, or the way to it is; it answers a ping every 5 s.
const SILENCE: Duration = Duration::from_secs(12);

/// Opens sessions to other replicas; clones are the same.
#[derive(Clone)]
pub(super) struct Links {
    tls: TlsConnector,
    headers: HeaderMap,
    sessions: Sessions,
}

impl Links {
    /// # Errors
    ///
    /// When what is trusted is no certificate, or identity or token cannot stand in a header.
    pub(super) fn new(
        identity: &str,
        token: &SecretString,
        sessions: Sessions,
        certificates: Certificates,
    ) -> Result<Self> {
        let mut headers = HeaderMap::new();
        headers.insert("x-api-tunnel-id", HeaderValue::from_str(identity)?);
        let mut token = HeaderValue::from_str(token.expose_secret())?;
        token.set_sensitive(true);
        headers.insert("x-api-tunnel-token", token);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = SameHub::new(certificates, Arc::clone(&provider))?;
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            tls: TlsConnector::from(Arc::new(config)),
            headers,
            sessions,
        })
    }

    /// Keeps a session open to a replica until it is dropped.
    pub(super) async fn keep(self, other: Other) {
        let replica = &other.identity;
        loop {
            match self.open(&other.address).await {
                Ok((session, driver)) => {
                    tracing::info!(replica, "connected to another replica");
                    let registration = self.sessions.add_neighbour(session);
                    let closed = driver.await;
                    drop(registration);
                    tracing::info!(replica, reason = %closed, "the session with another replica ended");
                }
                Err(error) => {
                    tracing::warn!(
                        replica,
                        address = other.address,
                        error = format!("{error:#}"),
                        "cannot connect to another replica"
                    );
                }
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    async fn open(
        &self,
        address: &str,
    ) -> Result<(Session, impl Future<Output = Closed> + Send + use<>)> {
        let url: Uri = format!("wss://{address}/v3/connect").parse()?;
        let host = url.host().unwrap_or_default();
        let name = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(name.to_owned()).context("the address")?;
        let stream = timeout(STEP, TcpStream::connect(address))
            .await
            .context("connecting took too long")?
            .context("connect")?;
        stream.set_nodelay(true)?;
        let stream = timeout(STEP, self.tls.connect(name, stream))
            .await
            .context("TLS took too long")?
            .context("TLS")?;
        let request = ClientRequest {
            url,
            headers: self.headers.clone(),
            deadline: STEP,
        };
        let socket = drover_tunnel::connect(request, stream).await?;
        let mut options = Options::agent();
        options.timers.silence = SILENCE;
        Ok(Session::serve(
            socket,
            Role::Client,
            self.sessions.forwarder(),
            options,
        ))
    }
}

/// Trusts replicas of this hub: what its authority signed for the address, or the very certificate that we serve, which
/// may not name the addresses of replicas when somebody gave it.
#[derive(Debug)]
struct SameHub {
    certificates: Certificates,
    authority: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl SameHub {
    fn new(certificates: Certificates, provider: Arc<CryptoProvider>) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        let trusted = certificates.trusted().borrow().clone();
        for certificate in CertificateDer::pem_slice_iter(trusted.as_bytes()) {
            roots.add(certificate.context("the trusted authority")?)?;
        }
        let authority = if roots.is_empty() {
            None
        } else {
            Some(
                WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                    .build()?,
            )
        };
        Ok(Self {
            certificates,
            authority,
            provider,
        })
    }
}

impl ServerCertVerifier for SameHub {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.certificates.leaf().as_ref() == Some(certificate) {
            return Ok(ServerCertVerified::assertion());
        }
        match &self.authority {
            Some(authority) => authority.verify_server_cert(certificate, chain, name, ocsp, now),
            None => Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(
            message,
            certificate,
            signed,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            certificate,
            signed,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
