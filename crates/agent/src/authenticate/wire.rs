//! The review of a token as an API server asks for it.
//!
//! Owns `TokenReview` of `authentication.k8s.io`, `v1` and `v1beta1`: both have the same fields, and an answer is given in
//! the version of the question (Kubernetes documentation, "Webhook token authentication").

use std::fmt;

use drover_types::review::ReviewedUser;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Value, json};

/// Longest name and longest key of a token, as at the hub.
const LONGEST: usize = 253;
/// What names of tokens of `ext.cattle.io` begin with.
const EXT: &str = "ext/";

/// A body that is no question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReviewError {
    /// Not JSON, or a field of another type.
    #[error("the body is not a TokenReview in JSON")]
    Form,
    /// Another kind, group or version.
    #[error("only TokenReview of authentication.k8s.io/v1 and v1beta1 is answered")]
    Kind,
    /// Nothing to review.
    #[error("spec.token is missing")]
    NoToken,
}

/// The versions that are spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// `authentication.k8s.io/v1`
    V1,
    /// `authentication.k8s.io/v1beta1`
    V1Beta1,
}

impl Version {
    fn name(self) -> &'static str {
        match self {
            Self::V1 => "authentication.k8s.io/v1",
            Self::V1Beta1 => "authentication.k8s.io/v1beta1",
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TokenReview {
    #[serde(default)]
    api_version: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    spec: Spec,
}

#[derive(Default, Deserialize)]
struct Spec {
    #[serde(default)]
    token: String,
}

/// A question. `Debug` does not show the token.
#[derive(Debug)]
pub struct Review {
    /// In which version to answer.
    pub version: Version,
    /// The token as it was shown to the API server.
    pub token: SecretString,
}

impl Review {
    /// Reads a body.
    ///
    /// # Errors
    /// What is wrong with it, without repeating any of it.
    pub fn parse(body: &[u8]) -> Result<Self, ReviewError> {
        let review: TokenReview = serde_json::from_slice(body).map_err(|_| ReviewError::Form)?;
        let version = [Version::V1, Version::V1Beta1]
            .into_iter()
            .find(|version| version.name() == review.api_version)
            .filter(|_| review.kind == "TokenReview")
            .ok_or(ReviewError::Kind)?;
        if review.spec.token.is_empty() {
            return Err(ReviewError::NoToken);
        }
        Ok(Self {
            version,
            token: SecretString::from(review.spec.token),
        })
    }
}

/// Whether a token can be one of the hub's (`[ext/]name:key`). Others, service accounts' for one, are nobody's business
/// outside the cluster.
#[must_use]
pub fn is_of_the_hub(token: &str) -> bool {
    let Some((name, key)) = token.split_once(':') else {
        return false;
    };
    let name = name.strip_prefix(EXT).unwrap_or(name);
    (1..=LONGEST).contains(&name.len())
        && (1..=LONGEST).contains(&key.len())
        && name.bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.')
        })
        && key.bytes().all(|byte| byte.is_ascii_graphic())
}

/// What an API server is told.
#[derive(Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The token is this user's.
    Is(ReviewedUser),
    /// The token lets nobody in.
    Nobody,
    /// It cannot be told, for this reason; the API server keeps no such answer.
    Unknown(&'static str),
}

impl fmt::Debug for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Is(user) => write!(f, "Is({})", user.username),
            Self::Nobody => f.write_str("Nobody"),
            Self::Unknown(reason) => write!(f, "Unknown({reason})"),
        }
    }
}

/// The answer to a question.
#[must_use]
pub fn answer(version: Version, verdict: &Verdict) -> Value {
    let status = match verdict {
        Verdict::Is(user) => json!({"authenticated": true, "user": user}),
        Verdict::Nobody => json!({"authenticated": false}),
        Verdict::Unknown(reason) => json!({"authenticated": false, "error": reason}),
    };
    json!({"apiVersion": version.name(), "kind": "TokenReview", "status": status})
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use secrecy::ExposeSecret;

    use super::*;

    fn check(body: &str, expected: Result<(Version, &str), ReviewError>) {
        let review = Review::parse(body.as_bytes());
        let found = review
            .as_ref()
            .map(|review| (review.version, review.token.expose_secret()));
        assert_eq!(found.map_err(|error| *error), expected, "{body}");
    }

    #[test]
    fn both_versions_are_read_and_nothing_else() {
        let of = |version: &str, kind: &str, spec: &str| {
            format!(r#"{{"apiVersion":"{version}","kind":"{kind}","spec":{spec}}}"#)
        };
        let spec = r#"{"token":"a:b","audiences":["https://kubernetes.default.svc"]}"#;
        let (v1, beta) = (Version::V1.name(), Version::V1Beta1.name());
        check(&of(v1, "TokenReview", spec), Ok((Version::V1, "a:b")));
        check(
            &of(beta, "TokenReview", spec),
            Ok((Version::V1Beta1, "a:b")),
        );
        check(&of(v1, "Pod", spec), Err(ReviewError::Kind));
        check(&of("v1", "TokenReview", spec), Err(ReviewError::Kind));
        check(&of(v1, "TokenReview", "{}"), Err(ReviewError::NoToken));
        check(
            &of(v1, "TokenReview", r#"{"token":7}"#),
            Err(ReviewError::Form),
        );
        check("", Err(ReviewError::Form));
        check("[]", Err(ReviewError::Kind));
        check("{}", Err(ReviewError::Kind));
    }

    #[test]
    fn answers_have_the_version_of_the_question() {
        let user = ReviewedUser {
            username: "u-1".to_owned(),
            groups: vec!["drover:cluster-member".to_owned()],
            extra: BTreeMap::from([("username".to_owned(), vec!["jane".to_owned()])]),
        };
        assert_eq!(
            answer(Version::V1Beta1, &Verdict::Is(user)),
            json!({
                "apiVersion": "authentication.k8s.io/v1beta1", "kind": "TokenReview",
                "status": {"authenticated": true, "user": {
                    "username": "u-1", "groups": ["drover:cluster-member"], "extra": {"username": ["jane"]},
                }},
            })
        );
        assert_eq!(
            answer(Version::V1, &Verdict::Unknown("why")),
            json!({
                "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview",
                "status": {"authenticated": false, "error": "why"},
            })
        );
    }

    #[test]
    fn only_what_looks_like_the_hubs_leaves_the_cluster() {
        for token in ["kubeconfig-u-1.c-2:key", "ext/token-abcde:key"] {
            assert!(is_of_the_hub(token), "{token}");
        }
        for token in [
            "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJ4In0.c2ln",
            "abcdef.0123456789abcdef",
            "Token:key",
            "a:",
            ":b",
            "ext/:b",
            "ext/ext/a:b",
            "a:b c",
            "",
        ] {
            assert!(!is_of_the_hub(token), "{token}");
        }
        assert!(!is_of_the_hub(&format!("{}:k", "x".repeat(254))));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(body: Vec<u8>) {
            let _ = Review::parse(&body);
        }
    }
}
