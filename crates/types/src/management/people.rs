//! Users and the tokens they act with.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::condition::Condition;
use crate::kind::kind;
use crate::null::or_default;

kind! {
    /// A person or a machine that may log in; its password is in a Secret.
    User, "users", ClusterResourceScope {
        /// The name people see.
        #[serde(default, deserialize_with = "or_default")]
        #[serde(skip_serializing_if = "String::is_empty")]
        display_name: String,
        /// Free text.
        #[serde(default, deserialize_with = "or_default")]
        #[serde(skip_serializing_if = "String::is_empty")]
        description: String,
        /// The name for local logins.
        #[serde(default, deserialize_with = "or_default")]
        #[serde(skip_serializing_if = "String::is_empty")]
        username: String,
        /// Whether the next thing to do is to choose a password.
        #[serde(default, deserialize_with = "or_default")]
        must_change_password: bool,
        /// Who the user is at each provider, `local://u-xxxxx` among them.
        #[serde(default, deserialize_with = "or_default")]
        #[serde(skip_serializing_if = "Vec::is_empty")]
        principal_ids: Vec<String>,
        /// Absent means enabled.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        enabled: Option<bool>,
        /// What was seen.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<UserStatus>,
    }
}

impl User {
    /// Whether the user may log in and act; one that is being deleted may not, though it is still there.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.enabled.unwrap_or(true) && self.metadata.deletion_timestamp.is_none()
    }
}

/// What was seen of a user.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserStatus {
    /// What holds and what does not.
    #[serde(default, deserialize_with = "or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

kind! {
    /// Groups and extras that providers gave for a user; named as the user.
    UserAttribute, "userattributes", ClusterResourceScope {
        /// Group principals by provider: `{"<provider>": {"items": [...]}}`.
        #[serde(default, deserialize_with = "or_default")]
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        group_principals: BTreeMap<String, Value>,
        /// Extras by provider.
        #[serde(default, deserialize_with = "or_default")]
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        extra_by_provider: BTreeMap<String, Value>,
        /// When the user last logged in, RFC 3339.
        #[serde(default, deserialize_with = "or_default")]
        #[serde(skip_serializing_if = "String::is_empty")]
        last_login: String,
        /// How long after that the user is disabled, in place of what the setting says; `0s` for never.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        disable_after: Option<String>,
        /// How long after that the user is deleted, in place of what the setting says; `0s` for never.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        delete_after: Option<String>,
    }
}

kind! {
    /// A token on its way to a command line, encrypted to it; named by the command line's request.
    SamlToken, "samltokens", NamespaceResourceScope {
        /// The token, encrypted.
        #[serde(default, deserialize_with = "or_default")]
        token: String,
        /// When the token expires, RFC 3339; empty means never.
        #[serde(default, deserialize_with = "or_default")]
        expires_at: String,
    }
}

kind! {
    /// A token: what a session, a kubeconfig or a script acts with.
    ///
    /// `token` is the hash of the key, never the key.
    Token, "tokens", ClusterResourceScope {
        /// Id of the user.
        #[serde(default, deserialize_with = "or_default")]
        #[serde(rename = "userId")]
        user_id: String,
        /// Who logged in, as the provider named them.
        #[serde(default, skip_serializing_if = "Value::is_null")]
        user_principal: Value,
        /// The provider that vouched for the user.
        #[serde(default, deserialize_with = "or_default")]
        auth_provider: String,
        /// Milliseconds from creation to expiry; 0 means never.
        #[serde(default, deserialize_with = "or_default")]
        #[serde(rename = "ttl")]
        ttl_millis: i64,
        /// When it expires, RFC 3339; empty means never.
        #[serde(default, deserialize_with = "or_default")]
        expires_at: String,
        /// Hash of the key (`$3:1:<salt>:<hash>`).
        #[serde(default, deserialize_with = "or_default")]
        token: String,
        /// Free text.
        #[serde(default, deserialize_with = "or_default")]
        description: String,
        /// Whether it was made from another token.
        #[serde(default, deserialize_with = "or_default")]
        is_derived: bool,
        /// Absent means enabled.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        enabled: Option<bool>,
        /// The only cluster it is good for, if limited.
        #[serde(default, deserialize_with = "or_default")]
        #[serde(skip_serializing_if = "String::is_empty")]
        cluster_name: String,
        /// When it was last used, RFC 3339, to the minute.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        last_used_at: Option<String>,
        /// When the person behind the session was last active, RFC 3339.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        activity_last_seen_at: Option<String>,
    }
}
