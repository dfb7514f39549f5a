//! The cluster's own endpoint for the hub's tokens: what may be asked for.

use drover_auth::web::ApiError;
use http::uri::Authority;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Map, Value};

use crate::kinds::text_at;

/// The peer's names of the fields in refusals (rancher/rancher `pkg/api/norman/customization/cluster/validator.go`).
const ENABLED: &str = "LocalClusterAuthEndpoint.Enabled";
const FQDN: &str = "LocalClusterAuthEndpoint.FQDN";
const CA_CERTS: &str = "LocalClusterAuthEndpoint.CACerts";

/// Checks `localClusterAuthEndpoint` of a cluster that is to be written. While it is not enabled, the rest is not looked
/// at, as with the peer.
///
/// # Errors
/// 422 naming the field.
pub(super) fn check(fields: &Map<String, Value>, is_local: bool) -> Result<(), ApiError> {
    let endpoint = fields
        .get("localClusterAuthEndpoint")
        .unwrap_or(&Value::Null);
    if endpoint["enabled"] != true {
        return Ok(());
    }
    if is_local {
        let message = "the cluster that the server runs on is reached through the server only";
        return Err(ApiError::invalid("InvalidState", message).with_field(ENABLED));
    }
    let (fqdn, ca) = (text_at(endpoint, "/fqdn"), text_at(endpoint, "/caCerts"));
    if fqdn.is_empty() {
        if ca.is_empty() {
            return Ok(());
        }
        let message = "caCerts vouches for a fqdn, and there is none";
        return Err(ApiError::invalid("MissingRequired", message).with_field(FQDN));
    }
    if !is_host(fqdn) {
        let message =
            "it has to be a host, perhaps with a port, such as one.example or one.example:6443";
        return Err(ApiError::invalid("InvalidFormat", message).with_field(FQDN));
    }
    if !ca.is_empty() && !is_certificates(ca) {
        let message = "it has to be one or more certificates in PEM form";
        return Err(ApiError::invalid("InvalidFormat", message).with_field(CA_CERTS));
    }
    Ok(())
}

/// A host as it stands in a URL between scheme and path.
fn is_host(text: &str) -> bool {
    let Ok(authority) = text.parse::<Authority>() else {
        return false;
    };
    let has_port = authority.as_str().len() > authority.host().len();
    !authority.host().is_empty()
        && !text.contains('@')
        && (!has_port || authority.port_u16().is_some_and(|port| port > 0))
}

fn is_certificates(pem: &str) -> bool {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    all.is_ok_and(|all| {
        !all.is_empty()
            && all
                .iter()
                .all(|one| x509_parser::parse_x509_certificate(one).is_ok())
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(endpoint: Value, is_local: bool) -> Result<(), (String, Option<String>)> {
        let fields = Map::from_iter([("localClusterAuthEndpoint".to_owned(), endpoint)]);
        super::check(&fields, is_local).map_err(|error| (error.code.into_owned(), error.field_name))
    }

    #[test]
    fn a_bad_endpoint_is_refused_by_its_field() {
        let pem = rcgen::generate_simple_self_signed(["one.example".to_owned()])
            .unwrap()
            .cert
            .pem();
        for good in [
            json!(null),
            json!({"enabled": false, "fqdn": "://", "caCerts": "x"}),
            json!({"enabled": true}),
            json!({"enabled": true, "fqdn": "one.example"}),
            json!({"enabled": true, "fqdn": "192.0.2.1:6443"}),
            json!({"enabled": true, "fqdn": "[fd00::1]:6443", "caCerts": format!("{pem}{pem}")}),
        ] {
            assert_eq!(check(good.clone(), false), Ok(()), "{good}");
        }
        let refused = |code: &str, field: &str| Err((code.to_owned(), Some(field.to_owned())));
        assert_eq!(
            check(json!({"enabled": true}), true),
            refused("InvalidState", ENABLED)
        );
        assert_eq!(
            check(json!({"enabled": true, "caCerts": pem}), false),
            refused("MissingRequired", FQDN)
        );
        for fqdn in [
            "https://one.example",
            "one.example/path",
            "u@one.example",
            "one.example:",
            "one.example:0",
            "one.example:65536",
            "one example",
            ":6443",
        ] {
            assert_eq!(
                check(json!({"enabled": true, "fqdn": fqdn}), false),
                refused("InvalidFormat", FQDN),
                "{fqdn}"
            );
        }
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for ca in ["pem", broken] {
            assert_eq!(
                check(
                    json!({"enabled": true, "fqdn": "one.example", "caCerts": ca}),
                    false
                ),
                refused("InvalidFormat", CA_CERTS),
                "{ca}"
            );
        }
    }
}
