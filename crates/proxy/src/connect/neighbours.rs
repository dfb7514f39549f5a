//! Which tunnels are those of the hub's other replicas.
//!
//! Facts: reference tunnel-and-import 1.8. Who shows what all replicas know is one of them; everybody else is judged as an
//! agent, whatever they call themselves.

use std::sync::OnceLock;

use http::HeaderMap;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use super::TOKEN_HEADER;

/// The name a replica gives itself.
const ID_HEADER: &str = "x-api-tunnel-id";

/// Recognises replicas; nobody until [`Neighbours::expect`] was called.
#[derive(Debug, Default)]
pub(super) struct Neighbours {
    /// Of the token, so that comparing takes a time that says nothing about the token.
    digest: OnceLock<[u8; 32]>,
}

impl Neighbours {
    /// Recognises whoever shows `token` from now on. The first call counts.
    pub(super) fn expect(&self, token: &SecretString) {
        self.digest
            .get_or_init(|| Sha256::digest(token.expose_secret()).into());
    }

    /// The name of the replica that sends these headers, if it is one.
    pub(super) fn recognise(&self, headers: &HeaderMap) -> Option<String> {
        let expected = self.digest.get()?;
        let id = headers.get(ID_HEADER)?.to_str().ok()?;
        let token = headers.get(TOKEN_HEADER)?;
        let given: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        (given == *expected && !id.is_empty()).then(|| id.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_shows_the_token_is_a_replica() {
        let neighbours = Neighbours::default();
        let headers = |id: Option<&str>, token: Option<&str>| {
            let mut headers = HeaderMap::new();
            for (name, value) in [(ID_HEADER, id), (TOKEN_HEADER, token)] {
                if let Some(value) = value {
                    headers.insert(name, value.parse().unwrap());
                }
            }
            headers
        };
        let good = headers(Some("a"), Some("secret"));
        assert_eq!(neighbours.recognise(&good), None, "nobody is expected yet");
        neighbours.expect(&"secret".to_owned().into());
        assert_eq!(neighbours.recognise(&good).as_deref(), Some("a"));
        for (id, token) in [
            (Some("a"), Some("other")),
            (Some("a"), Some("")),
            (Some("a"), None),
            (Some(""), Some("secret")),
            (None, Some("secret")),
        ] {
            assert_eq!(
                neighbours.recognise(&headers(id, token)),
                None,
                "{id:?} {token:?}"
            );
        }
    }
}
