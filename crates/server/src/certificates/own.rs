//! What our own authority signs, and how it is kept.

use drover_types::names::SYSTEM_NAMESPACE;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::PostParams;
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyUsagePurpose};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::names::Names;
use super::secrets::secret;
use super::x509::{acceptable, not_after, san, validity};
use super::{CertificateError, Own, SERVING_LIFE, SERVING_SECRET, State, certified, store};

impl Own {
    /// Signs a certificate for the names of `state` and notes it there.
    pub(super) fn sign(&self, state: &mut State) -> Result<CertifiedKey, CertificateError> {
        let now = self.clock.now();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "drover");
        params.subject_alt_names = state.names.iter().filter_map(san).collect();
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        validity(&mut params, now, SERVING_LIFE);
        state.pem = params
            .signed_by(&self.key, &self.authority.load().issuer)?
            .pem();
        state.ends = Some(not_after(&state.pem, SERVING_SECRET)?);
        self.certified(&state.pem)
    }

    pub(super) fn certified(&self, pem: &str) -> Result<CertifiedKey, CertificateError> {
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
        certified(vec![leaf, self.authority.load().certificate.clone()], &key)
    }

    pub(super) async fn save(&self) -> Result<(), CertificateError> {
        let state = self.state.lock().clone();
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), SYSTEM_NAMESPACE);
        let mut secret = secret(SERVING_SECRET, &state.pem, &self.key);
        let names: Vec<&str> = state.names.iter().collect();
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

/// The names that a stored certificate was made for.
pub(super) fn annotation_names(secret: Option<&Secret>, now: Timestamp) -> Names {
    let stored = secret
        .and_then(|secret| secret.metadata.annotations.as_ref())
        .and_then(|annotations| annotations.get(NAMES_ANNOTATION));
    let mut names = Names::default();
    for name in stored.iter().flat_map(|names| names.split(',')) {
        if let Some(name) = acceptable(name) {
            names.ask(&name, None, now);
        }
    }
    names
}
