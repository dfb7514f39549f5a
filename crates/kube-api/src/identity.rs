//! Who asks: service-account tokens, impersonation, and what an embedding server asserts.
//!
//! Owns the identity of a request: the one asserted by the embedding server, else that of a service-account token, else
//! anonymous; then, if that identity may, the one it impersonates. Whether an identity may do something is `rbac`'s.
//!
//! Invariant: a request with a credential that is not good is refused, never treated as anonymous.

mod impersonation;
mod jwt;
pub(crate) mod metadata;
mod requests;
mod tokens;

use std::collections::BTreeMap;

use http::HeaderMap;
use http::header::AUTHORIZATION;

pub(crate) use requests::TokenRequests;
pub(crate) use tokens::{TokenSecrets, ensure_signing_key, review};

use crate::rest::Api;
use crate::status::StatusError;

/// A user as the API sees one (`authentication.k8s.io` UserInfo).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// The name, as `system:serviceaccount:ns:name`.
    pub user: String,
    /// The groups, in order.
    pub groups: Vec<String>,
    /// May be empty.
    pub uid: String,
    /// Further facts by key.
    pub extra: BTreeMap<String, Vec<String>>,
}

impl Identity {
    /// A member of `system:masters`, which may do everything.
    #[must_use]
    pub fn admin() -> Self {
        Self {
            user: "system:admin".to_owned(),
            groups: vec![
                "system:masters".to_owned(),
                "system:authenticated".to_owned(),
            ],
            ..Self::default()
        }
    }

    /// A request without credentials.
    #[must_use]
    pub fn anonymous() -> Self {
        Self {
            user: "system:anonymous".to_owned(),
            groups: vec!["system:unauthenticated".to_owned()],
            ..Self::default()
        }
    }
}

/// The group of everybody with a credential.
pub(crate) const AUTHENTICATED: &str = "system:authenticated";
const UNAUTHENTICATED: &str = "system:unauthenticated";
const ANONYMOUS: &str = "system:anonymous";

/// Who sends this request.
///
/// # Errors
///
/// 401 for a token that is not good, 403 for an impersonation that is not allowed.
pub(crate) fn authenticate(
    api: &Api,
    headers: &HeaderMap,
    asserted: Option<Identity>,
) -> Result<Identity, StatusError> {
    let identity = match (asserted, bearer(headers)) {
        (Some(asserted), _) => asserted,
        (None, Some(token)) => tokens::authenticate(api, token, &[]).map_err(|problem| {
            tracing::debug!(%problem, "token refused");
            StatusError::unauthorized()
        })?,
        (None, None) => Identity::anonymous(),
    };
    impersonation::apply(api, headers, identity)
}

/// The token of an `Authorization: Bearer` header.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty()).then_some(token.trim())
}

/// The name of a service account as a user.
pub(crate) fn service_account_user(namespace: &str, name: &str) -> String {
    format!("system:serviceaccount:{namespace}:{name}")
}

/// Namespace and name, if a user is a service account.
pub(crate) fn service_account_of(user: &str) -> Option<(&str, &str)> {
    user.strip_prefix("system:serviceaccount:")?
        .split_once(':')
        .filter(|(namespace, name)| !namespace.is_empty() && !name.is_empty())
}

/// The groups of a service account.
pub(crate) fn service_account_groups(namespace: &str) -> Vec<String> {
    vec![
        "system:serviceaccounts".to_owned(),
        format!("system:serviceaccounts:{namespace}"),
        AUTHENTICATED.to_owned(),
    ]
}
