//! Continue tokens: where a list stopped, and at which revision it was taken.
//!
//! A token is base64url over `{"v":"meta.k8s.io/v1","rv":…,"start":…}`, as the real server's; `rv` -1 means "go on
//! without the snapshot". Tokens come back from clients, so nothing in them is trusted beyond choosing a place.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::status::StatusError;

/// A decoded token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Continue {
    v: String,
    rv: i64,
    /// The last key that was sent.
    start: String,
}

impl Continue {
    pub(crate) fn new(revision: u64, after: &str) -> Self {
        Self {
            v: "meta.k8s.io/v1".to_owned(),
            rv: revision.cast_signed(),
            start: after.to_owned(),
        }
    }

    /// A token that continues without a snapshot.
    pub(crate) fn inconsistent(after: &str) -> Self {
        Self {
            rv: -1,
            ..Self::new(0, after)
        }
    }

    /// The revision of the snapshot; `None` = any.
    pub(crate) fn revision(&self) -> Option<u64> {
        u64::try_from(self.rv).ok()
    }

    pub(crate) fn after(&self) -> &str {
        &self.start
    }

    pub(crate) fn encode(&self) -> String {
        let json = serde_json::json!({"v": self.v, "rv": self.rv, "start": self.start});
        URL_SAFE_NO_PAD.encode(json.to_string())
    }

    pub(crate) fn decode(token: &str) -> Result<Self, StatusError> {
        let invalid = |why: String| {
            StatusError::bad_request(format!(
                "invalid continue token: continue key is not valid: {why}"
            ))
        };
        let bytes = URL_SAFE_NO_PAD
            .decode(token.trim_end_matches('='))
            .map_err(|error| invalid(error.to_string()))?;
        let token: Self =
            serde_json::from_slice(&bytes).map_err(|error| invalid(error.to_string()))?;
        if token.v != "meta.k8s.io/v1" {
            return Err(invalid(format!(
                "server does not recognize this encoded version {}",
                token.v
            )));
        }
        if token.rv == 0 {
            return Err(invalid(
                "incorrect encoded start resourceVersion".to_owned(),
            ));
        }
        Ok(token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn tokens_come_back_as_they_went(revision in 1..i64::MAX.unsigned_abs(), key in "\\PC{0,40}") {
            let token = Continue::new(revision, &key);
            prop_assert_eq!(Continue::decode(&token.encode()).unwrap(), token);
        }

        #[test]
        fn no_token_makes_the_decoder_panic(text in "\\PC{0,80}") {
            let _ = Continue::decode(&text);
        }
    }
}
