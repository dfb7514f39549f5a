//! A certificate that somebody gave as files, and gives anew before it ends.
//!
//! Programs that renew certificates write the new one over the old. Chain and key are two files, so that for a moment
//! they may not fit each other: what cannot be used is looked at again, and the certificate in use stays.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::{CertificateError, certified};

/// The files and what they held when they were last used.
#[derive(Debug)]
pub(super) struct Given {
    chain: PathBuf,
    key: PathBuf,
    /// The texts as last looked at, so that the log tells of each once.
    seen: Mutex<[Vec<u8>; 2]>,
}

impl Given {
    /// Reads the files for the first time.
    pub(super) fn open(chain: &Path, key: &Path) -> Result<(Self, CertifiedKey), CertificateError> {
        let texts = [text(chain)?, text(key)?];
        let certified = parse(&texts)?;
        let given = Self {
            chain: chain.to_owned(),
            key: key.to_owned(),
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
            Ok(certified) => {
                current.store(Arc::new(certified));
                tracing::info!(chain = %self.chain.display(), "took the new certificate");
            }
            Err(error) => {
                tracing::warn!(%error, "the new certificate cannot be used; the one in use stays");
            }
        }
        *seen = texts;
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

    use super::*;

    fn write(folder: &Path, name: &str) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let (chain_file, key_file) = (folder.join("tls.crt"), folder.join("tls.key"));
        std::fs::write(&chain_file, params.self_signed(&key).unwrap().pem()).unwrap();
        std::fs::write(&key_file, key.serialize_pem()).unwrap();
        (chain_file, key_file)
    }

    #[test]
    fn a_new_certificate_is_taken_and_a_broken_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let (chain, key) = write(folder.path(), "one.example");
        let (given, first) = Given::open(&chain, &key).unwrap();
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
            let error = Given::open(chain, key).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        check(&key, &key, "the certificate file");
        check(&chain, &chain, "the key file");
        check(&folder.path().join("none"), &key, "none");
        std::fs::write(&key, KeyPair::generate().unwrap().serialize_pem()).unwrap();
        check(&chain, &key, "it does not fit the certificate");
    }
}
