//! Certificates and their keys as Secrets of the hub.

use drover_types::names::SYSTEM_NAMESPACE;
use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{ObjectMeta, PostParams};
use rcgen::KeyPair;

use super::x509::{common_name, not_after, self_signed, until};
use super::{AUTHORITY_LIFE, AUTHORITY_SECRET, CertificateError, store};

/// The authority's certificate and key: stored, or made now. Of several replicas that start at once, the first wins.
pub(super) async fn authority(
    secrets: &Api<Secret>,
    now: Timestamp,
) -> Result<(String, KeyPair), CertificateError> {
    if let Some(stored) = secrets
        .get_opt(AUTHORITY_SECRET)
        .await
        .map_err(store(AUTHORITY_SECRET))?
    {
        let (pem, key) = pair(&stored, AUTHORITY_SECRET)?;
        let ends = not_after(&pem, AUTHORITY_SECRET)?;
        if until(now, ends) > AUTHORITY_LIFE / 20 {
            return Ok((pem, key));
        }
        // Under the same name and key, what it signed stays valid; agents learn the new checksum when they are deployed again.
        tracing::warn!(%ends, "the authority's certificate ends soon and is renewed");
        let renewed = self_signed(&key, &common_name(&pem), now)?;
        let mut next = secret(AUTHORITY_SECRET, &renewed, &key);
        next.metadata.resource_version = stored.metadata.resource_version;
        return match secrets
            .replace(AUTHORITY_SECRET, &PostParams::default(), &next)
            .await
        {
            Ok(_) => Ok((renewed, key)),
            Err(kube::Error::Api(status)) if status.code == 409 => reread(secrets).await,
            Err(error) => Err(store(AUTHORITY_SECRET)(error)),
        };
    }
    let key = KeyPair::generate()?;
    // The time in the name tells the authorities of successive installations apart in a trust store.
    let pem = self_signed(&key, &format!("drover-ca@{}", now.as_second()), now)?;
    match secrets
        .create(
            &PostParams::default(),
            &secret(AUTHORITY_SECRET, &pem, &key),
        )
        .await
    {
        Ok(_) => Ok((pem, key)),
        Err(kube::Error::Api(status)) if status.code == 409 => reread(secrets).await,
        Err(error) => Err(store(AUTHORITY_SECRET)(error)),
    }
}

async fn reread(secrets: &Api<Secret>) -> Result<(String, KeyPair), CertificateError> {
    let stored = secrets
        .get(AUTHORITY_SECRET)
        .await
        .map_err(store(AUTHORITY_SECRET))?;
    pair(&stored, AUTHORITY_SECRET)
}

pub(super) fn secret(name: &str, certificate: &str, key: &KeyPair) -> Secret {
    Secret {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            ..ObjectMeta::default()
        },
        type_: Some("kubernetes.io/tls".to_owned()),
        data: Some(
            [
                (
                    "tls.crt".to_owned(),
                    ByteString(certificate.as_bytes().to_vec()),
                ),
                (
                    "tls.key".to_owned(),
                    ByteString(key.serialize_pem().into_bytes()),
                ),
            ]
            .into(),
        ),
        ..Secret::default()
    }
}

/// The certificate and the key of a TLS Secret.
pub(super) fn pair(secret: &Secret, name: &str) -> Result<(String, KeyPair), CertificateError> {
    let invalid = |reason: String| CertificateError::Invalid {
        what: format!("the Secret {SYSTEM_NAMESPACE}/{name}"),
        reason,
    };
    let field = |key: &str| {
        let bytes = secret
            .data
            .as_ref()
            .and_then(|data| data.get(key))
            .ok_or_else(|| invalid(format!("no {key}")))?;
        String::from_utf8(bytes.0.clone()).map_err(|_| invalid(format!("{key} is not text")))
    };
    let certificate = field("tls.crt")?;
    let key = KeyPair::from_pem(&field("tls.key")?)
        .map_err(|error| invalid(format!("tls.key: {error}")))?;
    Ok((certificate, key))
}
