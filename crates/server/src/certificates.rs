//! The serving certificate: our own authority and what it signs, or files somebody gave.
//!
//! Owns the authority and the serving certificate (Secrets `tls-rancher` and
//! `serving-cert` in `cattle-system`, so that all replicas serve the same
//! chain), their renewal, and the names in the certificate. A name that
//! clients ask for and that is not in it yet is added, as Rancher's
//! dynamiclistener does; `names` says what gives way to it.
//!
//! Invariant: private keys leave this module only as a Secret of the store
//! and inside rustls.

mod fitness;
mod given;
mod names;
mod own;
mod secrets;
mod x509;

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use drover_auth::Clock;
use drover_types::names::SYSTEM_NAMESPACE;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use parking_lot::Mutex;
use rcgen::{Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::sync::{Notify, watch};

use self::fitness::Expectation;
use self::given::Given;
use self::names::{Asker, Names};
use self::own::annotation_names;
use self::secrets::{authority, pair};
use self::x509::{acceptable, not_after, signed_by, until};

/// Secret with the authority.
const AUTHORITY_SECRET: &str = "tls-rancher";
/// Secret with the serving certificate.
const SERVING_SECRET: &str = "serving-cert";
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
/// Clocks differ: certificates are valid from a month before they were made. An hour is usual, and keeps out every node whose
/// clock is days behind the hub's, without a way to tell anybody; with the year after that, it stays below the 398 days that
/// browsers take.
const BACKDATE: Duration = Duration::from_hours(24 * 30);

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CertificateError {
    /// A certificate or key could not be made.
    #[error("cannot make a certificate")]
    Make(#[from] rcgen::Error),
    /// Nobody will accept it.
    #[error("no client will accept the certificate: {0}")]
    Unfit(String),
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
    trusted: watch::Sender<String>,
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
    authority: ArcSwap<Authority>,
    key: KeyPair,
    state: Mutex<State>,
    changed: Notify,
    client: Client,
    clock: Clock,
}

/// Who signs.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
}

impl Authority {
    fn read(pem: &str, key: KeyPair) -> Result<Self, CertificateError> {
        let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|error| {
            CertificateError::Invalid {
                what: format!("Secret {AUTHORITY_SECRET}"),
                reason: error.to_string(),
            }
        })?;
        Ok(Self {
            issuer: Issuer::from_ca_cert_pem(pem, key)?,
            certificate,
        })
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct State {
    names: Names,
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
    /// `trusted` is the authority that clients should trust, if it is a private one, and `host` the name they ask for.
    ///
    /// # Errors
    ///
    /// When the chain or the key cannot be read or is not valid, or `trusted` did not sign it.
    pub(crate) fn given(
        chain: &Path,
        key: &Path,
        trusted: &str,
        host: Option<String>,
        clock: Clock,
    ) -> Result<Self, CertificateError> {
        let expected = Expectation {
            trusted: trusted.to_owned(),
            host,
        };
        let (given, certified) = Given::open(chain, key, expected, clock)?;
        Ok(Self(Arc::new(Inner {
            current: ArcSwap::from_pointee(certified),
            trusted: watch::Sender::new(trusted.trim().to_owned()),
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
        let authority = Authority::read(&authority_pem, authority_key)?;
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
                let names = annotation_names(stored.as_ref(), now);
                (key, State { names, pem, ends })
            }
            None => (KeyPair::generate()?, State::default()),
        };
        let mut is_new = false;
        for name in names.iter().filter_map(|name| acceptable(name)) {
            is_new |= state.names.fix(name);
        }
        let own = Own {
            authority: ArcSwap::from_pointee(authority),
            key,
            changed: Notify::new(),
            client,
            clock,
            state: Mutex::new(State::default()),
        };
        // A certificate of another authority (one of the two Secrets was deleted) would be refused by clients.
        let ours =
            !state.pem.is_empty() && signed_by(&state.pem, &own.authority.load().certificate);
        let fresh = state
            .ends
            .is_some_and(|ends| until(own.clock.now(), ends) > RENEW_BEFORE);
        let keep = ours && fresh && !is_new;
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
            trusted: watch::Sender::new(authority_pem.trim().to_owned()),
            source: Source::Own(Box::new(own)),
        }));
        Ok(certificates)
    }

    /// PEM of what clients should trust, for the setting `cacerts`, as it is now and will be; empty for a public
    /// authority.
    #[must_use]
    pub(crate) fn trusted(&self) -> watch::Receiver<String> {
        self.0.trusted.subscribe()
    }

    /// The certificate that is served now, without its chain.
    pub(crate) fn leaf(&self) -> Option<CertificateDer<'static>> {
        self.0.current.load().cert.first().cloned()
    }

    /// Makes sure that the certificate is good for `name` (a DNS name or an address), which a client at `by` asks for.
    pub(crate) fn add(&self, name: &str, by: Option<IpAddr>) {
        let (Some(own), Some(name)) = (self.0.own(), acceptable(name)) else {
            return;
        };
        let mut state = own.state.lock();
        let mut next = state.clone();
        if !next.names.ask(&name, by.map(Asker::of), own.clock.now()) {
            state.names = next.names;
            return;
        }
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
            self.add(&address.to_canonical().to_string(), None);
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
            if let Err(error) = self.follow_authority(own).await {
                // Its certificate is good for months yet, and looked at again soon.
                tracing::warn!(error = %error, "cannot look after the authority's certificate");
            }
            self.renew(own);
            if let Err(error) = own.save().await {
                // The certificate in use stays good; the next change or look saves it.
                tracing::warn!(error = %error, "cannot save the serving certificate");
            }
        }
    }

    /// Takes the authority's certificate anew: as another replica renewed it, or renewed now, long before its end. The key
    /// and the name stay, so that what it signed stays valid, and those who trust the old certificate accept the new
    /// leaves.
    async fn follow_authority(&self, own: &Own) -> Result<(), CertificateError> {
        let secrets: Api<Secret> = Api::namespaced(own.client.clone(), SYSTEM_NAMESPACE);
        let (pem, key) = authority(&secrets, own.clock.now()).await?;
        let pem = pem.trim();
        if *self.0.trusted.borrow() == pem {
            return Ok(());
        }
        let next = Authority::read(pem, key)?;
        let mut state = own.state.lock();
        own.authority.store(Arc::new(next));
        let mut signed = state.clone();
        let certified = own.sign(&mut signed)?;
        *state = signed;
        self.0.current.store(Arc::new(certified));
        drop(state);
        self.0.trusted.send_replace(pem.to_owned());
        tracing::info!("took the renewed certificate of the authority");
        Ok(())
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
        next.names.age(own.clock.now());
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
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.current.load_full())
    }
}

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

#[cfg(test)]
mod tests;
