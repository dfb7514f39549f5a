//! Whether clients will accept a certificate that somebody gave.
//!
//! A chain and a key that fit each other can be served, and may still be refused by every agent: signed by another
//! authority than the one that they are told to trust, over, not begun, or for another name.

use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError as Refusal, Error, RootCertStore};
use thiserror::Error;

/// Why clients refuse a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum Unfit {
    #[error("there is no certificate in --tls-ca-file")]
    NoAuthority,
    #[error(
        "no certificate in --tls-ca-file signed the one in --tls-cert-file, directly or by one in between that is in that file"
    )]
    OtherAuthority,
    #[error("it ended at {0}")]
    Over(Timestamp),
    #[error("it begins at {0} only")]
    NotYet(Timestamp),
    #[error("it is not for {0}, the name in --server-url")]
    OtherName(String),
    #[error("{0}")]
    Other(String),
}

impl Unfit {
    /// Whether time or another name for the server cannot mend it.
    pub(super) const fn is_definite(&self) -> bool {
        matches!(self, Self::NoAuthority | Self::OtherAuthority)
    }
}

/// What those who see the certificate know.
#[derive(Clone, Debug)]
pub(super) struct Expectation {
    /// PEM of the authorities that they trust; empty where they trust public ones.
    pub(super) trusted: String,
    /// The host they ask for, if it is known.
    pub(super) host: Option<String>,
}

impl Expectation {
    /// What they will find wrong first with `chain`, the server's own certificate before those that signed it.
    pub(super) fn refuses(
        &self,
        chain: &[CertificateDer<'_>],
        now: Timestamp,
    ) -> Result<(), Unfit> {
        let other = |error: &Error| Unfit::Other(error.to_string());
        let Some((leaf, between)) = chain.split_first() else {
            return Err(Unfit::Other("no certificate".to_owned()));
        };
        let parsed = ParsedCertificate::try_from(leaf).map_err(|error| other(&error))?;
        if !self.trusted.trim().is_empty() {
            self.leads_to_authority(leaf, &parsed, between, now)?;
        }
        in_time(leaf, now)?;
        let Some(host) = &self.host else {
            return Ok(());
        };
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let name = match bare.parse::<IpAddr>() {
            Ok(address) => ServerName::from(address),
            Err(_) => {
                ServerName::try_from(bare.to_owned()).map_err(|_| Unfit::OtherName(host.clone()))?
            }
        };
        verify_server_name(&parsed, &name).map_err(|_| Unfit::OtherName(host.clone()))
    }

    fn leads_to_authority(
        &self,
        leaf: &CertificateDer<'_>,
        parsed: &ParsedCertificate<'_>,
        between: &[CertificateDer<'_>],
        now: Timestamp,
    ) -> Result<(), Unfit> {
        let trusted: Vec<CertificateDer<'static>> =
            CertificateDer::pem_slice_iter(self.trusted.as_bytes())
                .collect::<Result<_, _>>()
                .unwrap_or_default();
        let mut roots = RootCertStore::empty();
        let (n_taken, _) = roots.add_parsable_certificates(trusted.iter().cloned());
        if n_taken == 0 {
            return Err(Unfit::NoAuthority);
        }
        // One that signed itself is trusted as it is.
        if trusted.iter().any(|authority| authority == leaf) {
            return Ok(());
        }
        let provider = rustls::crypto::ring::default_provider();
        let seconds = u64::try_from(now.as_second()).unwrap_or_default();
        let verified = verify_server_cert_signed_by_trust_anchor(
            parsed,
            &roots,
            between,
            UnixTime::since_unix_epoch(Duration::from_secs(seconds)),
            provider.signature_verification_algorithms.all,
        );
        match verified {
            Ok(()) => Ok(()),
            Err(Error::InvalidCertificate(Refusal::UnknownIssuer | Refusal::BadSignature)) => {
                Err(Unfit::OtherAuthority)
            }
            Err(error) => {
                in_time(leaf, now)?;
                Err(Unfit::Other(error.to_string()))
            }
        }
    }
}

fn in_time(leaf: &CertificateDer<'_>, now: Timestamp) -> Result<(), Unfit> {
    let (_, leaf) = x509_parser::parse_x509_certificate(leaf)
        .map_err(|error| Unfit::Other(error.to_string()))?;
    let validity = leaf.validity();
    let at = |time: x509_parser::time::ASN1Time| {
        Timestamp::from_second(time.timestamp()).map_err(|error| Unfit::Other(error.to_string()))
    };
    let (begins, ends) = (at(validity.not_before)?, at(validity.not_after)?);
    if now > ends {
        return Err(Unfit::Over(ends));
    }
    if now < begins {
        return Err(Unfit::NotYet(begins));
    }
    Ok(())
}

#[cfg(test)]
pub(super) mod tests {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

    use super::*;

    /// PEM of an authority, and of a chain of two that it signed for `host`, valid in the year 2030.
    pub(in super::super) fn signed(host: &str) -> (String, String, KeyPair) {
        let authority_key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, "authority");
        let authority = params.self_signed(&authority_key).unwrap();
        let issuer = Issuer::new(params, authority_key);
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2030, 1, 1);
        params.not_after = rcgen::date_time_ymd(2031, 1, 1);
        let leaf = params.signed_by(&key, &issuer).unwrap();
        (authority.pem(), leaf.pem(), key)
    }

    #[test]
    fn what_clients_refuse_is_told_by_its_cause() {
        let (authority, leaf, _) = signed("hub.example");
        let (stranger, _, _) = signed("hub.example");
        let chain = [CertificateDer::from_pem_slice(leaf.as_bytes()).unwrap()];
        let check = |trusted: &str, host: Option<&str>, now: &str, expected: Result<(), Unfit>| {
            let expectation = Expectation {
                trusted: trusted.to_owned(),
                host: host.map(str::to_owned),
            };
            let found = expectation.refuses(&chain, now.parse().unwrap());
            assert_eq!(found, expected, "{host:?} {now}");
        };
        let (hub, then) = (Some("hub.example"), "2030-06-01T00:00:00Z");
        check(&authority, hub, then, Ok(()));
        check("", hub, then, Ok(()));
        check("", None, then, Ok(()));
        check(&leaf, hub, then, Ok(()));
        check(&format!("{stranger}{authority}"), hub, then, Ok(()));
        check("no certificate", hub, then, Err(Unfit::NoAuthority));
        check(&stranger, hub, then, Err(Unfit::OtherAuthority));
        let over = "2031-01-01T00:00:00Z".parse().unwrap();
        for trusted in [authority.as_str(), ""] {
            check(trusted, hub, "2031-01-02T00:00:00Z", Err(Unfit::Over(over)));
        }
        let begins = "2030-01-01T00:00:00Z".parse().unwrap();
        check(
            &authority,
            hub,
            "2029-12-31T00:00:00Z",
            Err(Unfit::NotYet(begins)),
        );
        let other = |host: &str| Err(Unfit::OtherName(host.to_owned()));
        check(
            &authority,
            Some("other.example"),
            then,
            other("other.example"),
        );
        check(&authority, Some("10.0.0.1"), then, other("10.0.0.1"));
        check("", Some("[fd00::1]"), then, other("[fd00::1]"));
    }
}
