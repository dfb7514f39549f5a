//! Whom a TLS connection trusts.
//!
//! Owns the four answers in use (the machine's roots, those and a given CA, only a given CA, one pinned certificate)
//! and the deliberate fifth, nobody at all, which start checks need to fetch the CA they then verify by its checksum.
//!
//! Invariant: except for [`Trust::Unchecked`], a completed handshake proves that the peer holds the key of a
//! certificate this value accepts. Signatures of the handshake are verified in every case.

use std::{fmt, sync::Arc};

use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
};
use sha2::{Digest, Sha256};

/// Trust that cannot be established at all.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The given text holds no certificate.
    #[error("no certificate found in {origin}")]
    NoCertificate {
        /// Where the text came from.
        origin: String,
    },
    /// The given text holds something that is not a certificate.
    #[error("{origin} is not a valid PEM certificate")]
    Pem {
        /// Where the text came from.
        origin: String,
        /// What is wrong with it.
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    /// A certificate in the given text cannot serve as a root.
    #[error("a certificate of {origin} cannot be used as a certificate authority")]
    Root {
        /// Where the text came from.
        origin: String,
        /// What is wrong with it.
        #[source]
        source: rustls::Error,
    },
    /// The machine has no root certificates.
    #[error(
        "this machine has no root certificates (looked where OpenSSL looks; SSL_CERT_FILE and SSL_CERT_DIR apply)"
    )]
    NoSystemRoots,
    /// The TLS library refuses the configuration.
    #[error("the TLS configuration is refused")]
    Configuration(#[source] rustls::Error),
}

/// SHA-256 of a certificate's DER form.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// The fingerprint of a certificate.
    #[must_use]
    pub fn of(certificate: &CertificateDer<'_>) -> Self {
        Self(Sha256::digest(certificate).into())
    }

    /// Reads 64 hexadecimal digits, colons allowed.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits: String = text.trim().chars().filter(|c| *c != ':').collect();
        let mut bytes = [0; 32];
        hex::decode_to_slice(digits, &mut bytes).ok()?;
        Some(Self(bytes))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(":")?;
            }
            write!(f, "{byte:02X}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Whom to trust.
#[derive(Clone, Debug)]
pub enum Trust {
    /// The machine's root certificates.
    System,
    /// The machine's root certificates and these.
    SystemAnd(Vec<CertificateDer<'static>>),
    /// These certificates only.
    Only(Vec<CertificateDer<'static>>),
    /// Exactly the leaf certificate with this fingerprint, whatever its name and dates.
    Pinned(Fingerprint),
    /// Anyone. Only for fetching what is verified by other means.
    Unchecked,
}

impl Trust {
    /// The TLS configuration of this trust. Costly for [`Trust::System`], so keep the result.
    pub fn client_config(&self) -> Result<Arc<ClientConfig>, TrustError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(TrustError::Configuration)?;
        let config = match self {
            Self::System => builder
                .with_root_certificates(system_roots()?)
                .with_no_client_auth(),
            Self::SystemAnd(extra) => {
                // A machine without roots of its own is fine as long as a CA was given.
                let mut roots = match system_roots() {
                    Ok(roots) => roots,
                    Err(TrustError::NoSystemRoots) if !extra.is_empty() => RootCertStore::empty(),
                    Err(error) => return Err(error),
                };
                add_roots(&mut roots, extra)?;
                builder.with_root_certificates(roots).with_no_client_auth()
            }
            Self::Only(certificates) => {
                let mut roots = RootCertStore::empty();
                add_roots(&mut roots, certificates)?;
                builder.with_root_certificates(roots).with_no_client_auth()
            }
            Self::Pinned(fingerprint) => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Leaf {
                    expected: Some(*fingerprint),
                    provider,
                }))
                .with_no_client_auth(),
            Self::Unchecked => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Leaf {
                    expected: None,
                    provider,
                }))
                .with_no_client_auth(),
        };
        Ok(Arc::new(config))
    }
}

fn system_roots() -> Result<RootCertStore, TrustError> {
    let mut roots = RootCertStore::empty();
    // Single unreadable files are normal on real machines; only having nothing at all is an error.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        Err(TrustError::NoSystemRoots)
    } else {
        Ok(roots)
    }
}

fn add_roots(
    roots: &mut RootCertStore,
    certificates: &[CertificateDer<'static>],
) -> Result<(), TrustError> {
    for certificate in certificates {
        roots
            .add(certificate.clone())
            .map_err(|source| TrustError::Root {
                origin: "the given CA".to_owned(),
                source,
            })?;
    }
    Ok(())
}

/// Reads the certificates of a PEM text; `origin` names it in errors.
pub fn certificates(pem: &[u8], origin: &str) -> Result<Vec<CertificateDer<'static>>, TrustError> {
    let found = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|source| TrustError::Pem {
            origin: origin.to_owned(),
            source,
        })?;
    if found.is_empty() {
        Err(TrustError::NoCertificate {
            origin: origin.to_owned(),
        })
    } else {
        Ok(found)
    }
}

/// Accepts one leaf, or any.
#[derive(Debug)]
struct Leaf {
    expected: Option<Fingerprint>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Leaf {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match self.expected {
            Some(expected) if expected != Fingerprint::of(end_entity) => {
                Err(rustls::CertificateError::ApplicationVerificationFailure.into())
            }
            Some(_) | None => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
