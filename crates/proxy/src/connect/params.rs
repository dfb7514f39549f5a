//! What an agent says about its cluster when it connects.

use secrecy::SecretString;
use serde::Deserialize;
use thiserror::Error;

/// Why it cannot be used; the texts are the peer's (reference tunnel-and-import 2.2), save for decoders' own.
#[derive(Debug, Error)]
pub(super) enum ParamsError {
    #[error("{0}")]
    Base64(base64::DecodeError),
    #[error("malformed parameters at line {line} column {column}")]
    Json { line: usize, column: usize },
    #[error("missing node or cluster registration info")]
    Missing,
    #[error("invalid input, {0} empty")]
    Empty(&'static str),
    /// Nodes registered themselves in releases that are long gone.
    #[error("registration of nodes is not supported")]
    Node,
}

/// What an agent says about its cluster.
#[derive(Debug, Clone)]
pub(super) struct Params {
    /// `host:port` of the API server as the agent reaches it, IPv6 in brackets.
    pub(super) address: String,
    /// Token of the agent's service account.
    pub(super) token: SecretString,
    /// CA of the API server: base64 of PEM.
    pub(super) ca_cert: String,
}

#[derive(Deserialize)]
struct Wire {
    #[serde(default)]
    node: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    cluster: Option<WireCluster>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireCluster {
    #[serde(default)]
    address: String,
    #[serde(default)]
    token: String,
    #[serde(default)]
    ca_cert: String,
}

impl Params {
    pub(super) fn parse(json: &[u8]) -> Result<Self, ParamsError> {
        let wire: Wire = serde_json::from_slice(json).map_err(|error| ParamsError::Json {
            line: error.line(),
            column: error.column(),
        })?;
        let cluster = match (wire.cluster, wire.node) {
            (Some(cluster), _) => cluster,
            (None, Some(_)) => return Err(ParamsError::Node),
            (None, None) => return Err(ParamsError::Missing),
        };
        let filled = |value: String, name| {
            if value.trim().is_empty() {
                Err(ParamsError::Empty(name))
            } else {
                Ok(value)
            }
        };
        Ok(Self {
            address: bracketed(filled(cluster.address, "address")?.trim()),
            token: filled(cluster.token, "token")?.trim().to_owned().into(),
            ca_cert: filled(cluster.ca_cert, "caCert")?.trim().to_owned(),
        })
    }
}

/// An IPv6 address without brackets gets them; its port is what follows the last colon.
fn bracketed(address: &str) -> String {
    match address.rsplit_once(':') {
        Some((host, port)) if host.contains(':') && !host.starts_with('[') => {
            format!("[{host}]:{port}")
        }
        _ => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipv6_addresses_get_brackets() {
        let check = |address, expected| assert_eq!(bracketed(address), expected);
        check("10.43.0.1:443", "10.43.0.1:443");
        check("fd00::1:443", "[fd00::1]:443");
        check("[fd00::1]:443", "[fd00::1]:443");
        check("kubernetes.default:443", "kubernetes.default:443");
    }

    #[test]
    fn what_is_missing_is_named_as_the_peer_does() {
        let check = |json: &str, expected: &str| {
            assert_eq!(
                Params::parse(json.as_bytes()).unwrap_err().to_string(),
                expected
            )
        };
        check("{}", "missing node or cluster registration info");
        check(r#"{"cluster":{}}"#, "invalid input, address empty");
        check(
            r#"{"cluster":{"address":"a:1"}}"#,
            "invalid input, token empty",
        );
        check(
            r#"{"cluster":{"address":"a:1","token":"t"}}"#,
            "invalid input, caCert empty",
        );
        check(
            r#"{"node":{"hostname":"a"}}"#,
            "registration of nodes is not supported",
        );
        check("", "malformed parameters at line 1 column 0");
        assert!(
            Params::parse(
                br#"{"node":null,"cluster":{"address":"a:1","token":" t\n","caCert":"Y2E="}}"#
            )
            .is_ok()
        );
    }
}
