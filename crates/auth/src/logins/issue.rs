//! Tokens that are made: sessions, keys, and those of kubeconfigs.

use drover_types::condition::timestamp;
use drover_types::management::Token;
use jiff::{SignedDuration, Timestamp};
use kube::{Api, ResourceExt};
use secrecy::ExposeSecret;
use serde_json::json;

use super::{IssuedToken, LoginError, Logins, NewToken};
use crate::token::{self, HASHED_ANNOTATION, KIND_LABEL, KUBECONFIG, USER_LABEL};
use crate::{Identity, UserId};

/// Whom a new token is for.
pub(super) struct Owner<'a> {
    pub(super) user: &'a UserId,
    pub(super) username: &'a str,
    pub(super) display_name: &'a str,
    pub(super) provider: &'a str,
}

pub(super) struct Draft<'a> {
    pub(super) owner: Owner<'a>,
    /// Everything of the name but its random end.
    pub(super) prefix: String,
    pub(super) kind: &'a str,
    pub(super) description: &'a str,
    pub(super) ttl: i64,
    pub(super) cluster: Option<&'a str>,
    pub(super) derived: bool,
}

impl Logins {
    /// Makes an API key owned by `owner`, marked as derived from its token. A key made with a cluster's token is that
    /// cluster's too, whatever was asked.
    ///
    /// # Errors
    /// [`LoginError::Store`].
    pub async fn create_token(
        &self,
        owner: &Identity,
        token: &NewToken,
    ) -> Result<IssuedToken, LoginError> {
        self.issue(Draft {
            owner: Owner::of(owner),
            prefix: "token-".to_owned(),
            kind: "",
            description: &token.description,
            ttl: token::api_key_ttl(&self.0.settings, token.ttl),
            cluster: scope(owner, token.cluster.as_deref()),
            derived: true,
        })
        .await
    }

    /// Makes a token for a kubeconfig of `owner`, good for `cluster` only if one is named.
    ///
    /// # Errors
    /// [`LoginError::Store`].
    pub async fn kubeconfig_token(
        &self,
        owner: &Identity,
        cluster: Option<&str>,
    ) -> Result<IssuedToken, LoginError> {
        let cluster = scope(owner, cluster);
        self.issue(Draft {
            owner: Owner::of(owner),
            prefix: kubeconfig_prefix(&owner.user, cluster),
            kind: KUBECONFIG,
            description: "Kubeconfig token",
            ttl: token::kubeconfig_ttl(&self.0.settings),
            cluster,
            derived: true,
        })
        .await
    }

    pub(super) async fn issue(&self, draft: Draft<'_>) -> Result<IssuedToken, LoginError> {
        let Draft {
            owner,
            prefix,
            kind,
            description,
            ttl,
            cluster,
            derived,
        } = draft;
        let now = self.0.clock.now();
        let expires = (ttl > 0).then(|| {
            now.checked_add(SignedDuration::from_millis(ttl))
                .unwrap_or(Timestamp::MAX)
        });
        let key = token::key(&self.0.entropy)?;
        let mut object = Token::named("");
        let labels = object.labels_mut();
        labels.insert(USER_LABEL.to_owned(), owner.user.to_string());
        if !kind.is_empty() {
            labels.insert(KIND_LABEL.to_owned(), kind.to_owned());
        }
        object
            .annotations_mut()
            .insert(HASHED_ANNOTATION.to_owned(), "true".to_owned());
        owner.user.as_str().clone_into(&mut object.user_id);
        object.user_principal = json!({
            "metadata": {"name": owner.user.local_principal()},
            "displayName": owner.display_name,
            "loginName": owner.username,
            "me": true,
            "principalType": "user",
            "provider": owner.provider,
        });
        owner.provider.clone_into(&mut object.auth_provider);
        object.ttl_millis = ttl;
        object.expires_at = expires.map(timestamp).unwrap_or_default();
        object.token = token::hash(&key, &self.0.entropy)?;
        description.clone_into(&mut object.description);
        object.is_derived = derived;
        object.enabled = Some(true);
        cluster
            .unwrap_or_default()
            .clone_into(&mut object.cluster_name);

        let tokens: Api<Token> = Api::all(self.0.client.clone());
        let made = self
            .create_named(&tokens, &prefix, object, "store the token")
            .await?;
        let name = made.name_any();
        // What counts is the store's time of creation.
        let expires_at = token::expiry(&made);
        Ok(IssuedToken {
            bearer: format!("{name}:{}", key.expose_secret()).into(),
            name,
            expires_at,
            user: UserId::new(owner.user.as_str()),
        })
    }
}

impl<'a> Owner<'a> {
    pub(super) fn of(identity: &'a Identity) -> Self {
        Self {
            user: &identity.user,
            username: &identity.username,
            display_name: &identity.display_name,
            provider: "local",
        }
    }
}

/// A token for one cluster makes tokens for that cluster only.
pub(super) fn scope<'a>(owner: &'a Identity, wanted: Option<&'a str>) -> Option<&'a str> {
    owner
        .token
        .as_ref()
        .and_then(|token| token.cluster.as_deref())
        .or(wanted)
}

pub(super) fn kubeconfig_prefix(user: &UserId, cluster: Option<&str>) -> String {
    match cluster {
        Some(cluster) => format!("kubeconfig-{user}.{cluster}"),
        None => format!("kubeconfig-{user}"),
    }
}
