//! Tokens of `ext.cattle.io`, made, changed and ended.

use std::collections::BTreeMap;

use drover_types::condition::timestamp;
use drover_types::management::Token;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::{LoginError, Logins, scope};
use crate::ext::{self, ExtToken, NAMESPACE, PREFIX};
use crate::token::{self, Record};
use crate::{Identity, UserId, namespaces};

/// What names of these tokens begin with.
const GENERATED: &str = "token-";

/// A token to make.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewExtToken {
    /// Empty for an API key, `kubeconfig`.
    pub kind: String,
    /// Free text.
    pub description: String,
    /// Milliseconds; 0 takes the default, negative asks for one without end; both within `auth-token-max-ttl-minutes`.
    pub ttl: i64,
    /// Makes it good for this cluster only.
    pub cluster: Option<String>,
    /// Whether it may be used.
    pub enabled: bool,
    /// Labels of its own.
    pub labels: BTreeMap<String, String>,
    /// Annotations of its own.
    pub annotations: BTreeMap<String, String>,
    /// See [`ExtToken::owners`].
    pub owners: Value,
}

/// What is known of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Whose it is.
    pub user: UserId,
    /// Made by a login, not by another token.
    pub is_session: bool,
    /// Enabled, not expired, not idle for too long.
    pub is_live: bool,
    /// Unique id of its token.
    pub uid: String,
    /// Of its token.
    pub resource_version: String,
    /// When it began.
    pub created: Option<Timestamp>,
    /// When its owner was last seen.
    pub seen: Option<Timestamp>,
    /// How long it may be idle; `None` if that is not limited.
    pub idle: Option<SignedDuration>,
}

impl Logins {
    fn ext_secrets(&self) -> Api<Secret> {
        Api::namespaced(self.0.client.clone(), NAMESPACE)
    }

    /// Makes a token of `ext.cattle.io` for `owner`, and gives its key, which nobody learns later. A token made with a
    /// cluster's token is that cluster's too, whatever was asked.
    ///
    /// # Errors
    /// [`LoginError::Store`].
    pub async fn create_ext_token(
        &self,
        owner: &Identity,
        new: NewExtToken,
    ) -> Result<(ExtToken, SecretString), LoginError> {
        let key = token::key(&self.0.entropy)?;
        let now = self.0.clock.now();
        let ttl = match token::api_key_ttl(&self.0.settings, new.ttl) {
            0 => -1,
            ttl => ttl,
        };
        let mut made = ExtToken {
            name: String::new(),
            uid: self.unique_id()?,
            resource_version: String::new(),
            created: None,
            labels: new.labels,
            annotations: new.annotations,
            owners: new.owners,
            user: owner.user.clone(),
            principal: ExtToken::local_principal(&owner.user, &owner.username, &owner.display_name),
            kind: new.kind,
            description: new.description,
            ttl,
            enabled: new.enabled,
            cluster: scope(owner, new.cluster.as_deref()).map(str::to_owned),
            last_update: timestamp(now),
            last_used: None,
            last_seen: None,
        };
        self.ensure_ext_namespace().await?;
        let hash = token::hash(&key, &self.0.entropy)?;
        let mut secret = Secret::default();
        secret.metadata.generate_name = Some(GENERATED.to_owned());
        ext::write(&made, Some(hash), &mut secret);
        let stored = self
            .create_named(&self.ext_secrets(), GENERATED, secret, "store the token")
            .await?;
        made.name = stored.name_any();
        made.created = stored.metadata.creation_timestamp.as_ref().map(|at| at.0);
        made.resource_version = stored.resource_version().unwrap_or_default();
        made.labels = ext::of_secret(&stored)
            .unwrap_or_else(|| made.clone())
            .labels;
        Ok((made, key))
    }

    /// A unique id for what is kept inside another object.
    ///
    /// # Errors
    /// [`LoginError::Store`] where there is no randomness.
    pub fn unique_id(&self) -> Result<String, LoginError> {
        Ok(self.0.entropy.uuid()?)
    }

    /// Makes the namespace of these tokens if it is not there.
    ///
    /// # Errors
    /// [`LoginError::Store`].
    pub async fn ensure_ext_namespace(&self) -> Result<(), LoginError> {
        namespaces::ensure(&self.0.client, NAMESPACE)
            .await
            .map_err(LoginError::at("make the namespace of tokens"))
    }

    /// The tokens of one user, or all; those whose labels fit `selected`, where it is given. And the version of that list.
    ///
    /// # Errors
    /// [`LoginError::Store`], also for a selector that is none.
    pub async fn ext_tokens(
        &self,
        owner: Option<&UserId>,
        selected: Option<&str>,
    ) -> Result<(Vec<ExtToken>, String), LoginError> {
        let labels = ext::selector(owner, selected);
        let listed = self
            .ext_secrets()
            .list(&ListParams::default().labels(&labels))
            .await
            .map_err(LoginError::at("list the tokens"))?;
        let version = listed.metadata.resource_version.unwrap_or_default();
        let tokens = listed.items.iter().filter_map(ext::of_secret).collect();
        Ok((tokens, version))
    }

    /// A token by its name.
    ///
    /// # Errors
    /// [`LoginError::Store`].
    pub async fn ext_token(&self, name: &str) -> Result<Option<ExtToken>, LoginError> {
        let found = self
            .ext_secrets()
            .get_opt(name)
            .await
            .map_err(LoginError::at("read the token"))?;
        Ok(found.as_ref().and_then(ext::of_secret))
    }

    /// Writes a changed token; its `resource_version` must be that of the last read.
    ///
    /// # Errors
    /// [`LoginError::Store`], also when somebody else changed it first.
    pub async fn replace_ext_token(&self, changed: &ExtToken) -> Result<ExtToken, LoginError> {
        let secrets = self.ext_secrets();
        let mut secret = secrets
            .get(&changed.name)
            .await
            .map_err(LoginError::at("read the token"))?;
        let mut changed = changed.clone();
        changed.last_update = timestamp(self.0.clock.now());
        ext::write(&changed, None, &mut secret);
        secret.metadata.resource_version =
            Some(changed.resource_version.clone()).filter(|version| !version.is_empty());
        let stored = secrets
            .replace(&changed.name, &PostParams::default(), &secret)
            .await
            .map_err(LoginError::at("store the token"))?;
        Ok(ext::of_secret(&stored).unwrap_or(changed))
    }

    /// Deletes a token of `ext.cattle.io`; `name` without its prefix. See [`Logins::delete_token`].
    pub(super) async fn delete_ext_token(&self, name: &str) -> Result<(), LoginError> {
        let secrets = self.ext_secrets();
        let found = secrets
            .get_opt(name)
            .await
            .map_err(LoginError::at("read the token"))?;
        let Some(secret) = found.filter(|found| ext::of_secret(found).is_some()) else {
            let token = format!("{PREFIX}{name}");
            self.0.authenticator.forget_gone(&token);
            return Ok(());
        };
        self.delete_stored(&secrets, &secret, &format!("{PREFIX}{name}"))
            .await
    }

    /// A session, or another token that was made by a login; `None` if there is none of that name.
    ///
    /// # Errors
    /// [`LoginError::Store`].
    pub async fn session(&self, name: &str) -> Result<Option<Session>, LoginError> {
        let tokens: Api<Token> = Api::all(self.0.client.clone());
        let found = tokens
            .get_opt(name)
            .await
            .map_err(LoginError::at("read the session"))?;
        let idle = token::idle_limit(&self.0.settings);
        Ok(found.map(|found| {
            let (resource_version, created) = (
                found.resource_version().unwrap_or_default(),
                found.metadata.creation_timestamp.as_ref().map(|at| at.0),
            );
            let record = Record::of(found);
            Session {
                is_session: !record.derived,
                is_live: record.is_live(self.0.clock.now(), idle),
                uid: record.uid,
                user: record.user,
                seen: record.last_seen,
                resource_version,
                created,
                idle,
            }
        }))
    }

    /// Notes when the owner of a session was last seen.
    ///
    /// # Errors
    /// [`LoginError::Store`].
    pub async fn note_seen(&self, session: &str, seen: Timestamp) -> Result<(), LoginError> {
        let tokens: Api<Token> = Api::all(self.0.client.clone());
        let change = Patch::Merge(json!({ "activityLastSeenAt": timestamp(seen) }));
        tokens
            .patch(session, &PatchParams::default(), &change)
            .await
            .map(drop)
            .map_err(LoginError::at("note that somebody was seen"))
    }

    /// What a client sends to use a token of `ext.cattle.io`.
    #[must_use]
    pub fn ext_bearer(name: &str, key: &SecretString) -> SecretString {
        format!("{PREFIX}{name}:{}", key.expose_secret()).into()
    }
}
