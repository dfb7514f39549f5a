//! A certificate that somebody gave as files, and gives anew before it ends.
//!
//! Programs that renew certificates write the new one over the old. Chain and key are two files, so that for a moment
//! they may not fit each other: what cannot be used is looked at again, and the certificate in use stays.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use drover_auth::Clock;
use parking_lot::Mutex;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::fitness::Expectation;
use super::{CertificateError, certified};

/// The files and what they held when they were last used.
#[derive(Debug)]
pub(super) struct Given {
    chain: PathBuf,
    key: PathBuf,
    expected: Expectation,
    clock: Clock,
    /// The texts as last looked at, so that the log tells of each once.
    seen: Mutex<[Vec<u8>; 2]>,
}

impl Given {
    /// Reads the files for the first time. What clients refuse for now is served all the same, so that people get in to
    /// mend it; the log tells.
    pub(super) fn open(
        chain: &Path,
        key: &Path,
        expected: Expectation,
        clock: Clock,
    ) -> Result<(Self, CertifiedKey), CertificateError> {
        let texts = [text(chain)?, text(key)?];
        let certified = parse(&texts)?;
        match expected.refuses(&certified.cert, clock.now()) {
            Ok(()) => {}
            Err(unfit) if unfit.is_definite() => {
                return Err(CertificateError::Unfit(unfit.to_string()));
            }
            Err(unfit) => {
                tracing::error!(%unfit, chain = %chain.display(), "agents and browsers will not accept the certificate");
            }
        }
        let given = Self {
            chain: chain.to_owned(),
            key: key.to_owned(),
            expected,
            clock,
            seen: Mutex::new(texts),
        };
        Ok((given, certified))
    }

    /// Takes what the files hold now, if that is something else and can be used.
    pub(super) fn renew(&self, current: &ArcSwap<CertifiedKey>) {
        let texts = text(&self.chain).and_then(|chain| Ok([chain, text(&self.key)?]));
        let texts = match texts {
            Ok(texts) => texts,
            Err(error) => {
                tracing::warn!(%error, "the certificate's files cannot be read; the one in use stays");
                return;
            }
        };
        let mut seen = self.seen.lock();
        if *seen == texts {
            return;
        }
        match parse(&texts) {
            Ok(certified) => self.take(certified, current),
            Err(error) => {
                tracing::warn!(%error, "the new certificate cannot be used; the one in use stays");
            }
        }
        *seen = texts;
    }

    /// A certificate that clients accept does not give way to one that they refuse.
    fn take(&self, certified: CertifiedKey, current: &ArcSwap<CertifiedKey>) {
        let now = self.clock.now();
        let chain = self.chain.display();
        let refused = self.expected.refuses(&certified.cert, now);
        let is_good = self.expected.refuses(&current.load().cert, now).is_ok();
        match refused {
            Err(unfit) if is_good => {
                tracing::error!(%unfit, %chain, "clients will not accept the new certificate; the one in use stays");
                return;
            }
            Err(unfit) => {
                tracing::error!(%unfit, %chain, "took the new certificate, which clients will not accept either");
            }
            Ok(()) => tracing::info!(%chain, "took the new certificate"),
        }
        current.store(Arc::new(certified));
    }
}

fn text(path: &Path) -> Result<Vec<u8>, CertificateError> {
    std::fs::read(path).map_err(|error| CertificateError::Invalid {
        what: path.display().to_string(),
        reason: error.to_string(),
    })
}

fn parse([chain, key]: &[Vec<u8>; 2]) -> Result<CertifiedKey, CertificateError> {
    let invalid = |what: &str, reason: String| CertificateError::Invalid {
        what: what.to_owned(),
        reason,
    };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(chain)
        .collect::<Result<_, _>>()
        .map_err(|error| invalid("the certificate file", error.to_string()))?;
    if chain.is_empty() {
        let reason = "no certificate in it".to_owned();
        return Err(invalid("the certificate file", reason));
    }
    let key = PrivateKeyDer::from_pem_slice(key)
        .map_err(|error| invalid("the key file", error.to_string()))?;
    let certified = certified(chain, &key)?;
    certified.keys_match().map_err(|error| {
        let reason = format!("it does not fit the certificate ({error})");
        invalid("the key file", reason)
    })?;
    Ok(certified)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::super::fitness::tests::signed;
    use super::*;

    fn write(folder: &Path, name: &str) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let (chain_file, key_file) = (folder.join("tls.crt"), folder.join("tls.key"));
        std::fs::write(&chain_file, params.self_signed(&key).unwrap().pem()).unwrap();
        std::fs::write(&key_file, key.serialize_pem()).unwrap();
        (chain_file, key_file)
    }

    /// For whoever trusts `trusted` and asks for `hub.example` in June 2030.
    fn open(
        chain: &Path,
        key: &Path,
        trusted: &str,
    ) -> Result<(Given, CertifiedKey), CertificateError> {
        let expected = Expectation {
            trusted: trusted.to_owned(),
            host: (!trusted.is_empty()).then(|| "hub.example".to_owned()),
        };
        let clock = Clock::manual("2030-06-01T00:00:00Z".parse().unwrap());
        Given::open(chain, key, expected, clock)
    }

    #[test]
    fn a_certificate_that_clients_accept_does_not_give_way_to_one_that_they_refuse() {
        let folder = tempfile::tempdir().unwrap();
        let (chain, key) = (folder.path().join("tls.crt"), folder.path().join("tls.key"));
        let put = |(_, leaf, pair): &(String, String, KeyPair)| {
            std::fs::write(&chain, leaf).unwrap();
            std::fs::write(&key, pair.serialize_pem()).unwrap();
        };
        let (good, stranger) = (signed("hub.example"), signed("hub.example"));
        put(&good);
        let error = open(&chain, &key, &stranger.0).unwrap_err().to_string();
        assert!(error.contains("--tls-ca-file signed"), "{error}");
        let (given, first) = open(&chain, &key, &good.0).unwrap();
        let current = ArcSwap::from_pointee(first);
        let leaf = || current.load().cert[0].clone();
        let one = leaf();
        put(&stranger);
        given.renew(&current);
        assert_eq!(leaf(), one);
        // Whoever starts with one that is for another name gets in, and is free to change it.
        let other = signed("other.example");
        put(&other);
        let (given, second) = open(&chain, &key, &other.0).unwrap();
        let two = second.cert[0].clone();
        let current = ArcSwap::from_pointee(second);
        put(&stranger);
        given.renew(&current);
        assert_ne!(current.load().cert[0], two);
    }

    #[test]
    fn a_new_certificate_is_taken_and_a_broken_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let (chain, key) = write(folder.path(), "one.example");
        let (given, first) = open(&chain, &key, "").unwrap();
        let current = ArcSwap::from_pointee(first);
        let leaf = || current.load().cert[0].clone();
        let one = leaf();
        given.renew(&current);
        assert_eq!(leaf(), one);

        let old_key = std::fs::read(&key).unwrap();
        write(folder.path(), "two.example");
        let new_key = std::fs::read(&key).unwrap();
        std::fs::write(&key, old_key).unwrap();
        given.renew(&current);
        assert_eq!(leaf(), one, "chain and key do not fit");
        std::fs::write(&key, new_key).unwrap();
        given.renew(&current);
        let two = leaf();
        assert_ne!(two, one);

        std::fs::remove_file(&chain).unwrap();
        given.renew(&current);
        std::fs::write(&chain, "no certificate").unwrap();
        given.renew(&current);
        assert_eq!(leaf(), two);
    }

    #[test]
    fn what_is_wrong_with_the_files_is_told_by_which() {
        let folder = tempfile::tempdir().unwrap();
        let (chain, key) = write(folder.path(), "one.example");
        let check = |chain: &Path, key: &Path, expected: &str| {
            let error = open(chain, key, "").unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        check(&key, &key, "the certificate file");
        check(&chain, &chain, "the key file");
        check(&folder.path().join("none"), &key, "none");
        std::fs::write(&key, KeyPair::generate().unwrap().serialize_pem()).unwrap();
        check(&chain, &key, "it does not fit the certificate");
    }
}
