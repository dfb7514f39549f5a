//! Who asks: service-account tokens, impersonation, and what an embedding server asserts.
//!
//! Owns the identity of a request. Whether that identity may do something is `rbac`'s.
//!
//! The server calls (to be written here):
//! `pub(crate) fn authenticate(api: &Api, headers: &http::HeaderMap, asserted: Option<Identity>) -> Result<Identity, StatusError>`
//! asserted identity, else bearer token of a service account (bad one: 401), else `system:anonymous`; then `Impersonate-*`
//! headers if that identity may impersonate (403 else).

use std::collections::BTreeMap;

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
            groups: vec!["system:masters".to_owned(), "system:authenticated".to_owned()],
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
