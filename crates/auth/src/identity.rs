//! Who a request comes from.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Every identity holds this group, as in Kubernetes.
pub const GROUP_AUTHENTICATED: &str = "system:authenticated";
/// Every identity that signed in with a token of ours holds this group too (rancher/rancher `pkg/auth/requests`).
pub const GROUP_CATTLE_AUTHENTICATED: &str = "system:cattle:authenticated";

/// Name of a `User` object, such as `user-p8sfq` or `u-rwptq`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId(String);

impl UserId {
    /// Takes the name of a `User` object.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The name of the `User` object.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `local://<name>`, the principal every local user has.
    #[must_use]
    pub fn local_principal(&self) -> String {
        format!("local://{}", self.0)
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for UserId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// The token a request was authenticated with; the key is not part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRef {
    /// Name of the `Token` object.
    pub name: String,
    /// The only cluster the token is good for, if it is scoped.
    pub cluster: Option<String>,
    /// Label `authn.management.cattle.io/kind`: `session`, `kubeconfig`, or empty for API keys.
    pub kind: String,
    /// Made from another token (API keys and kubeconfig tokens), not by a login.
    pub derived: bool,
}

/// An authenticated caller: the user, what it is a member of, and the token it used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The user.
    pub user: UserId,
    /// Login name (`User.username`), empty for users of other providers.
    pub username: String,
    /// Name to show.
    pub display_name: String,
    /// The user's own principals (`local://user-p8sfq`, `github_user://1`).
    pub principals: Vec<String>,
    /// Group principals of the user, and the groups every authenticated user holds.
    pub groups: BTreeSet<String>,
    /// The token used; none for identities the server makes for itself.
    pub token: Option<TokenRef>,
    /// What travels as `Impersonate-Extra-*` (`principalid`, `username`, `requesttokenid`).
    pub extras: BTreeMap<String, Vec<String>>,
}

impl Identity {
    /// An identity of `user` with nothing but what every signed-in user has.
    #[must_use]
    pub fn of(user: impl Into<String>) -> Self {
        let user = UserId::new(user);
        Self {
            username: String::new(),
            display_name: String::new(),
            principals: vec![user.local_principal()],
            groups: [GROUP_AUTHENTICATED, GROUP_CATTLE_AUTHENTICATED]
                .map(String::from)
                .into(),
            token: None,
            extras: BTreeMap::new(),
            user,
        }
    }

    /// Whether the token (if any) may be used for `cluster`; `None` stands for requests routed to no cluster.
    #[must_use]
    pub fn may_reach(&self, cluster: Option<&str>) -> bool {
        match self
            .token
            .as_ref()
            .and_then(|token| token.cluster.as_deref())
        {
            None => true,
            Some(only) => cluster == Some(only),
        }
    }
}
