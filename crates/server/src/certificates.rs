//! The serving certificate: our own authority and what it signs, or files somebody gave.
//!
//! Owns the authority and the serving certificate (Secrets `tls-rancher` and
//! `serving-cert` in `cattle-system`, so that all replicas serve the same
//! chain), their renewal, and the names in the certificate. A name that
//! clients ask for and that is not in it yet is added, up to a limit, as
//! Rancher's dynamiclistener does; a hostile client can therefore fill the
//! list but never replace a name.
//!
//! Invariant: private keys leave this module only as a Secret of the store
//! and inside rustls.

mod given;
mod secrets;
mod x509;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use drover_auth::Clock;
use drover_types::names::SYSTEM_NAMESPACE;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::api::PostParams;
use kube::{Api, Client};
use parking_lot::Mutex;
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair, KeyUsagePurpose};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::sync::Notify;

use self::given::Given;
use self::secrets::{authority, pair, secret};
use self::x509::{acceptable, not_after, san, signed_by, until, validity};

/// Secret with the authority.
const AUTHORITY_SECRET: &str = "tls-rancher";
/// Secret with the serving certificate.
const SERVING_SECRET: &str = "serving-cert";
/// Names that clients may add; beyond it, a name is not added and the handshake gets the certificate as it is.
const MAX_NAMES: usize = 64;
/// How long an authority is valid.
const AUTHORITY_LIFE: Duration = Duration::from_hours(24 * 3650);
/// How long a serving certificate is valid.
const SERVING_LIFE: Duration = Duration::from_hours(24 * 365);
/// How long before its end a certificate is renewed.
const RENEW_BEFORE: Duration = Duration::from_hours(24 * 30);
/// How often the validity is looked at.
const LOOK: Duration = Duration::from_hours(6);
/// How often the files of a given certificate are looked at.
const LOOK_AT_FILES: Duration = Duration::from_mins(1);
/// Clocks differ: certificates are valid from a little before they were made.
const BACKDATE: Duration = Duration::from_hours(1);

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CertificateError {
    /// A certificate or key could not be made.
    #[error("cannot make a certificate")]
    Make(#[from] rcgen::Error),
    /// rustls does not take the key.
    #[error("the private key cannot be used for TLS")]
    Key(#[source] rustls::Error),
    /// A stored or given file is not what it should be.
    #[error("{what} is not valid: {reason}")]
    Invalid {
        /// Which one.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The store did not take or give a Secret.
    #[error("cannot keep the Secret {SYSTEM_NAMESPACE}/{name}")]
    Store {
        /// Name of the Secret.
        name: &'static str,
        /// The store's answer.
        #[source]
        source: Box<kube::Error>,
    },
}

/// The serving certificate and how it grows. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Certificates(Arc<Inner>);

struct Inner {
    current: ArcSwap<CertifiedKey>,
    /// PEM of the authorities that clients should trust; empty when a public one signed.
    trusted: String,
    source: Source,
}

/// Where the certificate comes from.
enum Source {
    Own(Box<Own>),
    Given(Given),
}

impl Inner {
    fn own(&self) -> Option<&Own> {
        match &self.source {
            Source::Own(own) => Some(own),
            Source::Given(_) => None,
        }
    }
}

/// What only our own authority has.
struct Own {
    issuer: Issuer<'static, KeyPair>,
    authority: CertificateDer<'static>,
    key: KeyPair,
    state: Mutex<State>,
    changed: Notify,
    client: Client,
    clock: Clock,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct State {
    names: BTreeSet<String>,
    pem: String,
    ends: Option<Timestamp>,
}

impl std::fmt::Debug for Certificates {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Certificates")
            .field("own", &self.0.own().is_some())
            .finish_non_exhaustive()
    }
}

impl Certificates {
    /// Serves a certificate somebody gave as files, PEM of the chain and of the key, and what they hold later.
    /// `trusted` is the authority that clients should trust, if it is a private one.
    ///
    /// # Errors
    ///
    /// When the chain or the key cannot be read or is not valid.
    pub(crate) fn given(chain: &Path, key: &Path, trusted: &str) -> Result<Self, CertificateError> {
        let (given, certified) = Given::open(chain, key)?;
        Ok(Self(Arc::new(Inner {
            current: ArcSwap::from_pointee(certified),
            trusted: trusted.trim().to_owned(),
            source: Source::Given(given),
        })))
    }

    /// Reads the authority and the certificate from the store, or makes them.
    /// `names` are in the certificate whatever clients ask for.
    ///
    /// # Errors
    ///
    /// When a Secret cannot be kept or holds something else.
    pub(crate) async fn own(
        client: Client,
        clock: Clock,
        names: &[String],
    ) -> Result<Self, CertificateError> {
        let secrets: Api<Secret> = Api::namespaced(client.clone(), SYSTEM_NAMESPACE);
        let now = clock.now();
        let (authority_pem, authority_key) = authority(&secrets, now).await?;
        let issuer = Issuer::from_ca_cert_pem(&authority_pem, authority_key)?;
        let authority_der =
            CertificateDer::from_pem_slice(authority_pem.as_bytes()).map_err(|error| {
                CertificateError::Invalid {
                    what: format!("Secret {AUTHORITY_SECRET}"),
                    reason: error.to_string(),
                }
            })?;
        let stored = secrets
            .get_opt(SERVING_SECRET)
            .await
            .map_err(store(SERVING_SECRET))?;
        let (key, mut state) = match stored
            .as_ref()
            .and_then(|secret| pair(secret, SERVING_SECRET).ok())
        {
            Some((pem, key)) => {
                let ends = not_after(&pem, SERVING_SECRET).ok();
                let names = annotation_names(stored.as_ref());
                (key, State { names, pem, ends })
            }
            None => (KeyPair::generate()?, State::default()),
        };
        let before = state.names.len();
        state
            .names
            .extend(names.iter().filter_map(|name| acceptable(name)));
        let own = Own {
            issuer,
            authority: authority_der,
            key,
            changed: Notify::new(),
            client,
            clock,
            state: Mutex::new(State::default()),
        };
        // A certificate of another authority (one of the two Secrets was deleted) would be refused by clients.
        let ours = !state.pem.is_empty() && signed_by(&state.pem, &own.authority);
        let fresh = state
            .ends
            .is_some_and(|ends| until(own.clock.now(), ends) > RENEW_BEFORE);
        let keep = ours && fresh && state.names.len() == before;
        let certified = if keep {
            own.certified(&state.pem)?
        } else {
            own.sign(&mut state)?
        };
        *own.state.lock() = state;
        if !keep {
            own.changed.notify_one();
        }
        let certificates = Self(Arc::new(Inner {
            current: ArcSwap::from_pointee(certified),
            trusted: authority_pem.trim().to_owned(),
            source: Source::Own(Box::new(own)),
        }));
        Ok(certificates)
    }

    /// PEM of what clients should trust, for the setting `cacerts`; empty for a public authority.
    #[must_use]
    pub(crate) fn trusted(&self) -> &str {
        &self.0.trusted
    }

    /// The certificate that is served now, without its chain.
    pub(crate) fn leaf(&self) -> Option<CertificateDer<'static>> {
        self.0.current.load().cert.first().cloned()
    }

    /// Makes sure that the certificate is good for `name` (a DNS name or an address).
    pub(crate) fn add(&self, name: &str) {
        let (Some(own), Some(name)) = (self.0.own(), acceptable(name)) else {
            return;
        };
        let mut state = own.state.lock();
        if state.names.contains(&name) || state.names.len() >= MAX_NAMES {
            return;
        }
        let mut next = state.clone();
        next.names.insert(name.clone());
        match own.sign(&mut next) {
            Ok(certified) => {
                *state = next;
                self.0.current.store(Arc::new(certified));
                own.changed.notify_one();
                tracing::info!(%name, "added a name to the serving certificate");
            }
            Err(error) => {
                tracing::warn!(%name, %error, "cannot add a name to the serving certificate")
            }
        }
    }

    /// Makes sure that the certificate is good for an address of this machine.
    pub(crate) fn add_address(&self, address: IpAddr) {
        if !address.is_unspecified() {
            self.add(&address.to_canonical().to_string());
        }
    }

    /// Renews the certificate before it ends and keeps the Secret up to date, until `shutdown`; takes a given one anew
    /// from its files.
    pub(crate) async fn keep(self, shutdown: tokio_util::sync::CancellationToken) {
        match &self.0.source {
            Source::Own(own) => self.keep_own(own, shutdown).await,
            Source::Given(given) => {
                while shutdown
                    .run_until_cancelled(tokio::time::sleep(LOOK_AT_FILES))
                    .await
                    .is_some()
                {
                    given.renew(&self.0.current);
                }
            }
        }
    }

    async fn keep_own(&self, own: &Own, shutdown: tokio_util::sync::CancellationToken) {
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = own.changed.notified() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
            self.renew(own);
            if let Err(error) = own.save().await {
                // The certificate in use stays good; the next change or look saves it.
                tracing::warn!(error = %error, "cannot save the serving certificate");
            }
        }
    }

    fn renew(&self, own: &Own) {
        let mut state = own.state.lock();
        if state
            .ends
            .is_some_and(|ends| until(own.clock.now(), ends) > RENEW_BEFORE)
        {
            return;
        }
        let mut next = state.clone();
        match own.sign(&mut next) {
            Ok(certified) => {
                *state = next;
                self.0.current.store(Arc::new(certified));
                tracing::info!("renewed the serving certificate");
            }
            Err(error) => tracing::error!(%error, "cannot renew the serving certificate"),
        }
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        if let Some(name) = hello.server_name() {
            self.add(name);
        }
        Some(self.0.current.load_full())
    }
}

impl Own {
    /// Signs a certificate for the names of `state` and notes it there.
    fn sign(&self, state: &mut State) -> Result<CertifiedKey, CertificateError> {
        let now = self.clock.now();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "drover");
        params.subject_alt_names = state.names.iter().filter_map(|name| san(name)).collect();
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        validity(&mut params, now, SERVING_LIFE);
        state.pem = params.signed_by(&self.key, &self.issuer)?.pem();
        state.ends = Some(not_after(&state.pem, SERVING_SECRET)?);
        self.certified(&state.pem)
    }

    fn certified(&self, pem: &str) -> Result<CertifiedKey, CertificateError> {
        let leaf = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|error| {
            CertificateError::Invalid {
                what: format!("Secret {SERVING_SECRET}"),
                reason: error.to_string(),
            }
        })?;
        let key = PrivateKeyDer::try_from(self.key.serialize_der()).map_err(|reason| {
            CertificateError::Invalid {
                what: format!("Secret {SERVING_SECRET}"),
                reason: reason.to_owned(),
            }
        })?;
        certified(vec![leaf, self.authority.clone()], &key)
    }

    async fn save(&self) -> Result<(), CertificateError> {
        let state = self.state.lock().clone();
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), SYSTEM_NAMESPACE);
        let mut secret = secret(SERVING_SECRET, &state.pem, &self.key);
        let names: Vec<&str> = state.names.iter().map(String::as_str).collect();
        secret.metadata.annotations = Some([(NAMES_ANNOTATION.to_owned(), names.join(","))].into());
        match secrets.create(&PostParams::default(), &secret).await {
            Ok(_) => return Ok(()),
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            Err(error) => return Err(store(SERVING_SECRET)(error)),
        }
        // Unconditional: the last replica to add a name wins, and the others add theirs again when asked for them.
        secrets
            .replace(SERVING_SECRET, &PostParams::default(), &secret)
            .await
            .map_err(store(SERVING_SECRET))?;
        Ok(())
    }
}

/// Annotation with the names in the serving certificate.
const NAMES_ANNOTATION: &str = "drover.io/certificate-names";

fn store(name: &'static str) -> impl Fn(kube::Error) -> CertificateError {
    move |error| CertificateError::Store {
        name,
        source: Box::new(error),
    }
}

fn certified(
    chain: Vec<CertificateDer<'static>>,
    key: &PrivateKeyDer<'static>,
) -> Result<CertifiedKey, CertificateError> {
    let key = rustls::crypto::ring::sign::any_supported_type(key).map_err(CertificateError::Key)?;
    Ok(CertifiedKey::new(chain, key))
}

fn annotation_names(secret: Option<&Secret>) -> BTreeSet<String> {
    secret
        .and_then(|secret| secret.metadata.annotations.as_ref())
        .and_then(|annotations| annotations.get(NAMES_ANNOTATION))
        .map(|names| {
            names
                .split(',')
                .filter_map(acceptable)
                .take(MAX_NAMES)
                .collect()
        })
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
