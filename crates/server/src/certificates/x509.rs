//! What stands in certificates, and what may.

use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, KeyUsagePurpose, SanType,
    SerialNumber,
};
use rustls::pki_types::CertificateDer;

use super::{AUTHORITY_LIFE, BACKDATE, CertificateError};

pub(super) fn self_signed(
    key: &KeyPair,
    name: &str,
    now: Timestamp,
) -> Result<String, CertificateError> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params
        .distinguished_name
        .push(DnType::OrganizationName, "drover");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::CrlSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    validity(&mut params, now, AUTHORITY_LIFE);
    Ok(params.self_signed(key)?.pem())
}

/// The common name in a certificate; empty when it has none.
pub(super) fn common_name(pem: &str) -> String {
    let Ok((_, block)) = x509_parser::pem::parse_x509_pem(pem.as_bytes()) else {
        return String::new();
    };
    let Ok(certificate) = block.parse_x509() else {
        return String::new();
    };
    let name = certificate
        .subject()
        .iter_common_name()
        .next()
        .and_then(|name| name.as_str().ok());
    name.unwrap_or_default().to_owned()
}

pub(super) fn validity(params: &mut CertificateParams, now: Timestamp, life: Duration) {
    params.not_before = date(now - BACKDATE);
    params.not_after = date(now + life);
    // Unique per moment; browsers refuse two certificates of one authority with one serial number.
    params.serial_number = Some(SerialNumber::from(
        now.as_nanosecond().unsigned_abs().to_be_bytes()[4..].to_vec(),
    ));
}

fn date(at: Timestamp) -> time::OffsetDateTime {
    time::OffsetDateTime::from_unix_timestamp(at.as_second())
        .unwrap_or(time::OffsetDateTime::UNIX_EPOCH)
}

pub(super) fn not_after(pem: &str, what: &str) -> Result<Timestamp, CertificateError> {
    let invalid = |reason: String| CertificateError::Invalid {
        what: format!("Secret {what}"),
        reason,
    };
    let (_, block) = x509_parser::pem::parse_x509_pem(pem.as_bytes())
        .map_err(|error| invalid(error.to_string()))?;
    let certificate = block
        .parse_x509()
        .map_err(|error| invalid(error.to_string()))?;
    Timestamp::from_second(certificate.validity().not_after.timestamp())
        .map_err(|error| invalid(error.to_string()))
}

pub(super) fn signed_by(leaf: &str, authority: &CertificateDer<'_>) -> bool {
    let Ok((_, block)) = x509_parser::pem::parse_x509_pem(leaf.as_bytes()) else {
        return false;
    };
    let (Ok(leaf), Ok((_, authority))) = (
        block.parse_x509(),
        x509_parser::parse_x509_certificate(authority),
    ) else {
        return false;
    };
    leaf.verify_signature(Some(authority.public_key())).is_ok()
}

/// Time left; zero when over.
pub(super) fn until(now: Timestamp, end: Timestamp) -> Duration {
    Duration::try_from(end.duration_since(now)).unwrap_or_default()
}

/// A DNS name in lower case or an address, if it may be in a certificate.
pub(super) fn acceptable(name: &str) -> Option<String> {
    let name = name
        .trim()
        .trim_start_matches('[')
        .trim_end_matches([']', '.'])
        .to_ascii_lowercase();
    if let Ok(address) = name.parse::<IpAddr>() {
        return (!address.is_unspecified()).then(|| address.to_canonical().to_string());
    }
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    (name.len() <= 253 && name.split('.').all(label)).then_some(name)
}

pub(super) fn san(name: &str) -> Option<SanType> {
    match name.parse::<IpAddr>() {
        Ok(address) => Some(SanType::IpAddress(address)),
        Err(_) => name.to_owned().try_into().ok().map(SanType::DnsName),
    }
}
