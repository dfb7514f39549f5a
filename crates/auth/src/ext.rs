//! Tokens of `ext.cattle.io`: kept as Secrets, as the peer keeps them (reference section 4.8).
//!
//! Pure. The Secret `cattle-tokens/<name>` has a text per key; the client sends `ext/<name>:<key>`. What is stored of
//! the key is a hash, and no [`ExtToken`] shows it.

use std::collections::BTreeMap;

use drover_types::condition::timestamp;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use serde_json::{Value, json};

use crate::token::{KIND_LABEL, Record, SESSION, StoredKey};
use crate::{Identity, UserId};

/// Namespace of these Secrets.
pub const NAMESPACE: &str = "cattle-tokens";
/// What precedes the name where credentials are named.
pub const PREFIX: &str = "ext/";
/// Label that says what a Secret or ConfigMap of [`NAMESPACE`] holds.
pub const HOLDS_LABEL: &str = "cattle.io/kind";
/// Value of [`HOLDS_LABEL`] for tokens.
pub const TOKEN: &str = "token";
/// Label with the owner.
pub const OWNER_LABEL: &str = "cattle.io/user-id";

const CLUSTER: &str = "cluster";
const DESCRIPTION: &str = "description";
const ENABLED: &str = "enabled";
const HASH: &str = "hash";
const KIND: &str = "kind";
pub(crate) const LAST_SEEN: &str = "last-activity-seen";
const LAST_UPDATE: &str = "last-update-time";
pub(crate) const LAST_USED: &str = "last-used-at";
const OWNERS: &str = "managed-fields";
const PRINCIPAL: &str = "principal";
const TTL: &str = "ttl";
const UID: &str = "kube-uid";
const USER: &str = "user-id";

/// A token without its key.
#[derive(Clone, Debug, PartialEq)]
pub struct ExtToken {
    /// Name of the Secret, without [`PREFIX`].
    pub name: String,
    /// The token's own unique id, not the Secret's.
    pub uid: String,
    /// Of the Secret.
    pub resource_version: String,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// Labels, but for what the Secret holds.
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
    /// Whose it is.
    pub user: UserId,
    /// Who the owner is to the provider that let it in, as JSON.
    pub principal: Value,
    /// Empty for API keys, `kubeconfig`, `session`.
    pub kind: String,
    /// Free text.
    pub description: String,
    /// Milliseconds from its making; negative for ever.
    pub ttl: i64,
    /// Whether it may be used.
    pub enabled: bool,
    /// The only cluster it is good for, if it is scoped.
    pub cluster: Option<String>,
    /// Who owns which field, as `metadata.managedFields` says it; null where that is not known.
    pub owners: Value,
    /// When it was last changed.
    pub last_update: String,
    /// When it was last used.
    pub last_used: Option<Timestamp>,
    /// When its owner was last seen.
    pub last_seen: Option<Timestamp>,
}

/// The labels of the Secrets of one user's tokens, or of everybody's; of those that also fit `selected`, where it is given.
#[must_use]
pub fn selector(owner: Option<&UserId>, selected: Option<&str>) -> String {
    let mut labels = format!("{HOLDS_LABEL}={TOKEN}");
    if let Some(owner) = owner {
        labels.push_str(&format!(",{OWNER_LABEL}={owner}"));
    }
    if let Some(selected) = selected {
        labels.push(',');
        labels.push_str(selected);
    }
    labels
}

/// Who somebody is, as `selfusers` says it to those who make one; nothing is kept.
#[must_use]
pub fn self_user(identity: &Identity) -> Value {
    json!({
        "apiVersion": "ext.cattle.io/v1", "kind": "SelfUser", "metadata": {},
        "status": {"userID": identity.user.as_str()},
    })
}

/// Reads a Secret; `None` if it holds no token that can be understood.
#[must_use]
pub fn of_secret(secret: &Secret) -> Option<ExtToken> {
    if secret.labels().get(HOLDS_LABEL).map(String::as_str) != Some(TOKEN) {
        return None;
    }
    let text = |key: &str| text(secret, key);
    let time = |key: &str| text(key).parse().ok();
    let mut labels = secret.labels().clone();
    labels.remove(HOLDS_LABEL);
    Some(ExtToken {
        name: secret.name_any(),
        uid: text(UID).to_owned(),
        resource_version: secret.resource_version().unwrap_or_default(),
        created: secret.metadata.creation_timestamp.as_ref().map(|at| at.0),
        labels,
        annotations: secret.annotations().clone(),
        user: UserId::new(Some(text(USER)).filter(|user| !user.is_empty())?),
        principal: serde_json::from_str(text(PRINCIPAL)).ok()?,
        kind: text(KIND).to_owned(),
        description: text(DESCRIPTION).to_owned(),
        ttl: text(TTL).parse().ok()?,
        enabled: text(ENABLED).parse().ok()?,
        cluster: Some(text(CLUSTER).to_owned()).filter(|cluster| !cluster.is_empty()),
        owners: serde_json::from_str(text(OWNERS)).unwrap_or_default(),
        last_update: text(LAST_UPDATE).to_owned(),
        last_used: time(LAST_USED),
        last_seen: time(LAST_SEEN),
    })
}

fn text<'a>(secret: &'a Secret, key: &str) -> &'a str {
    secret
        .data
        .as_ref()
        .and_then(|data| data.get(key))
        .and_then(|bytes| std::str::from_utf8(&bytes.0).ok())
        .unwrap_or_default()
}

/// Writes what a token says into a Secret. The hash there stays unless one is given.
pub(crate) fn write(token: &ExtToken, hash: Option<String>, secret: &mut Secret) {
    let mut labels = token.labels.clone();
    labels.insert(HOLDS_LABEL.to_owned(), TOKEN.to_owned());
    labels.insert(OWNER_LABEL.to_owned(), token.user.to_string());
    labels.insert(KIND_LABEL.to_owned(), token.kind.clone());
    secret.metadata.labels = Some(labels);
    secret.metadata.annotations =
        Some(token.annotations.clone()).filter(|annotations| !annotations.is_empty());
    let time = |at: Option<Timestamp>| at.map(timestamp).unwrap_or_default();
    let values = [
        (UID, token.uid.clone()),
        (USER, token.user.to_string()),
        (PRINCIPAL, token.principal.to_string()),
        (KIND, token.kind.clone()),
        (DESCRIPTION, token.description.clone()),
        (TTL, token.ttl.to_string()),
        (ENABLED, token.enabled.to_string()),
        (CLUSTER, token.cluster.clone().unwrap_or_default()),
        (OWNERS, token.owners.to_string()),
        (LAST_UPDATE, token.last_update.clone()),
        (LAST_USED, time(token.last_used)),
        (LAST_SEEN, time(token.last_seen)),
    ];
    let data = secret.data.get_or_insert_default();
    for (key, value) in values {
        data.insert(key.to_owned(), ByteString(value.into_bytes()));
    }
    if let Some(hash) = hash {
        data.insert(HASH.to_owned(), ByteString(hash.into_bytes()));
    }
}

impl ExtToken {
    /// When it ends; `None` never.
    #[must_use]
    pub fn expires(&self) -> Option<Timestamp> {
        if self.ttl < 0 {
            return None;
        }
        let created = self.created.unwrap_or(Timestamp::MIN);
        let ends = created.checked_add(SignedDuration::from_millis(self.ttl));
        Some(ends.unwrap_or(Timestamp::MAX))
    }

    /// The principal of a local user, as the peer writes it.
    pub(crate) fn local_principal(user: &UserId, username: &str, display_name: &str) -> Value {
        json!({
            "name": user.local_principal(), "displayName": display_name, "loginName": username,
            "me": true, "principalType": "user", "provider": "local",
        })
    }
}

/// What authentication needs of a Secret; one that cannot be understood lets nobody in.
pub(crate) fn record(secret: &Secret) -> Record {
    let uid = secret.uid().unwrap_or_default();
    let name = format!("{PREFIX}{}", secret.name_any());
    let Some(token) = of_secret(secret) else {
        return Record {
            name,
            uid,
            user: UserId::new(""),
            key: StoredKey::Unknown,
            enabled: false,
            expires: None,
            cluster: None,
            kind: String::new(),
            derived: true,
            last_used: None,
            last_seen: None,
        };
    };
    Record {
        name,
        uid,
        key: StoredKey::parse(text(secret, HASH), true),
        enabled: token.enabled,
        expires: token.expires(),
        derived: token.kind != SESSION,
        user: token.user,
        cluster: token.cluster,
        kind: token.kind,
        last_used: token.last_used,
        last_seen: token.last_seen,
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use secrecy::SecretString;

    use super::*;
    use crate::Entropy;
    use crate::token::hash;

    fn token() -> ExtToken {
        ExtToken {
            name: "token-abcde".to_owned(),
            uid: "u".to_owned(),
            resource_version: String::new(),
            created: Timestamp::from_second(1_000).ok(),
            labels: [("own".to_owned(), "x".to_owned())].into(),
            annotations: BTreeMap::new(),
            user: UserId::new("user-1"),
            principal: json!({"name": "local://user-1"}),
            kind: String::new(),
            description: "d".to_owned(),
            ttl: 10_000,
            enabled: true,
            cluster: Some("c-1".to_owned()),
            owners: json!([{"manager": "kubectl"}]),
            last_update: "2026-11-20T22:05:36Z".to_owned(),
            last_used: None,
            last_seen: None,
        }
    }

    fn secret(token: &ExtToken, key: &str) -> Secret {
        let mut secret = Secret::default();
        secret.metadata.name = Some(token.name.clone());
        secret.metadata.creation_timestamp = token.created.map(Time);
        let hash = hash(&SecretString::from(key), &Entropy::seeded(1)).unwrap();
        write(token, Some(hash), &mut secret);
        secret
    }

    #[test]
    fn what_is_written_is_read_back_and_lets_its_key_in() {
        let written = secret(&token(), "sesame");
        let mut read = of_secret(&written).unwrap();
        for label in [OWNER_LABEL, KIND_LABEL] {
            assert!(read.labels.remove(label).is_some(), "{label}");
        }
        assert_eq!(read, token());
        let record = record(&written);
        assert!(record.key.verifies("sesame") && !record.key.verifies("other"));
        assert_eq!(
            (record.name.as_str(), record.cluster.as_deref()),
            ("ext/token-abcde", Some("c-1"))
        );
        assert!(record.is_live(Timestamp::from_second(1_009).unwrap(), None));
        assert!(!record.is_live(Timestamp::from_second(1_010).unwrap(), None));
        assert!(record.derived);
    }

    #[test]
    fn only_negative_lifetimes_have_no_end() {
        let ends = |ttl| ExtToken { ttl, ..token() }.expires();
        assert_eq!(ends(-1), None);
        assert_eq!(ends(0), Timestamp::from_second(1_000).ok());
        assert_eq!(ends(i64::MAX), Some(Timestamp::MAX));
    }

    #[test]
    fn other_secrets_let_nobody_in() {
        let mut other = secret(&token(), "sesame");
        other.metadata.labels = None;
        assert_eq!(of_secret(&other), None);
        assert!(!record(&other).key.verifies("sesame"));
        let mut broken = secret(&token(), "sesame");
        let data = broken.data.as_mut().unwrap();
        data.insert(TTL.to_owned(), ByteString(b"soon".to_vec()));
        assert!(!record(&broken).is_live(Timestamp::UNIX_EPOCH, None));
    }
}
