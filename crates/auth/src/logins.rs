//! Signing in and out, tokens and passwords.
//!
//! Owns every write of tokens and passwords. A token's key exists in
//! [`IssuedToken`] only.
//!
//! Invariant: an unknown user, a user without a password and a wrong password
//! take the same work and get the same answer.

mod check;
mod error;
mod ext;
mod handover;
mod issue;
mod passwords;
mod shell;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use drover_types::management::Token;
use jiff::Timestamp;
use kube::api::{DeleteParams, ListParams, PostParams, Preconditions};
use kube::{Api, Client, Resource, ResourceExt};
use secrecy::SecretString;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::authenticator::{AuthError, Authenticator};
use crate::limiter::Limiter;
use crate::password::Hasher;
use crate::settings::Settings;
use crate::token::{self, KIND_LABEL, KUBECONFIG, SESSION, USER_LABEL};
use crate::{Clock, Entropy, Identity, UserId};

pub use error::LoginError;
pub use ext::{NewExtToken, Session};
pub use handover::{BadHandover, HandedOver, Handover, LIFETIME as HANDOVER_LIFETIME};
pub(crate) use passwords::store_password;

use issue::{Draft, Owner, kubeconfig_prefix, scope};
pub use shell::ShellToken;

/// Label of a user with the second of its last login.
pub const LAST_LOGIN_LABEL: &str = "cattle.io/last-login";
/// How often another random name is tried when one is taken.
const NAME_ATTEMPTS: usize = 5;

/// User name and password as somebody typed them.
#[derive(Debug)]
pub struct Credentials {
    /// `User.username`.
    pub username: String,
    /// Not shown by `Debug`.
    pub password: SecretString,
    /// Where the attempt comes from, for the limit on attempts.
    pub remote: Option<IpAddr>,
}

/// What kind of token a login asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A session: TTL by setting `auth-user-session-ttl-minutes`.
    Session,
    /// A kubeconfig, perhaps for one cluster only: TTL by setting `kubeconfig-default-token-ttl-minutes`.
    Kubeconfig(Option<String>),
}

impl Purpose {
    /// What `responseType` of a login asks for; `None` for a kubeconfig of what cannot be a cluster.
    #[must_use]
    pub fn of_response_type(text: &str) -> Option<Self> {
        match text.strip_prefix("kubeconfig") {
            Some("") => Some(Self::Kubeconfig(None)),
            Some(rest) => rest
                .strip_prefix('_')
                .filter(|cluster| is_cluster_name(cluster))
                .map(|cluster| Self::Kubeconfig(Some(cluster.to_owned()))),
            None => Some(Self::Session),
        }
    }
}

fn is_cluster_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 63
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// An API key to make for somebody already signed in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewToken {
    /// Free text.
    pub description: String,
    /// Milliseconds; 0 takes the default, negative asks for one without end; both within `auth-token-max-ttl-minutes`.
    pub ttl: i64,
    /// Makes the token good for this cluster only.
    pub cluster: Option<String>,
}

/// A token just made. The only moment its key is known.
#[derive(Debug)]
pub struct IssuedToken {
    /// Name of the `Token` object.
    pub name: String,
    /// `name:key`, what the client sends.
    pub bearer: SecretString,
    /// When it ends; `None` never.
    pub expires_at: Option<Timestamp>,
    /// Whose it is.
    pub user: UserId,
}

/// Makes and ends sessions, tokens and passwords. Cheap to clone.
#[derive(Clone)]
pub struct Logins(Arc<Inner>);

struct Inner {
    client: Client,
    clock: Clock,
    entropy: Entropy,
    settings: Settings,
    authenticator: Authenticator,
    hasher: Hasher,
    limiter: Limiter,
}

impl fmt::Debug for Logins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Logins")
    }
}

impl Logins {
    pub(crate) fn new(
        client: Client,
        clock: Clock,
        entropy: Entropy,
        settings: Settings,
        authenticator: Authenticator,
        hasher: Hasher,
    ) -> Self {
        let limiter = Limiter::new();
        Self(Arc::new(Inner {
            client,
            clock,
            entropy,
            settings,
            authenticator,
            hasher,
            limiter,
        }))
    }

    /// Checks a local user's password and makes a token.
    ///
    /// # Errors
    /// See [`LoginError`]; unknown user and wrong password cannot be told apart, in time neither.
    pub async fn login(
        &self,
        credentials: &Credentials,
        purpose: &Purpose,
        description: &str,
    ) -> Result<IssuedToken, LoginError> {
        let Credentials {
            username,
            password,
            remote,
        } = credentials;
        let now = self.0.clock.now();
        self.0
            .limiter
            .attempt(username, *remote, now)
            .map_err(|seconds| LoginError::TooManyAttempts { seconds })?;
        let person = self.authenticate(username, password).await.inspect_err(|_| {
            tracing::info!(%username, remote = remote.map(tracing::field::display), "login failed");
        })?;
        self.0.limiter.succeeded(username, *remote, now);
        if !person.enabled {
            return Err(LoginError::Disabled(person.id.clone()));
        }
        let owner = Owner {
            user: &person.id,
            username: &person.username,
            display_name: &person.display_name,
            provider: "local",
        };
        let issued = self.issue(self.draft(owner, purpose, description)).await?;
        tracing::info!(user = %person.id, token = %issued.name, "logged in");
        self.note_login(&person.id, now).await;
        Ok(issued)
    }

    /// What somebody gets who signs in.
    fn draft<'a>(&self, owner: Owner<'a>, purpose: &'a Purpose, description: &'a str) -> Draft<'a> {
        let settings = &self.0.settings;
        match purpose {
            Purpose::Session => Draft {
                owner,
                prefix: "token-".to_owned(),
                kind: SESSION,
                description,
                ttl: token::session_ttl(settings),
                cluster: None,
                derived: false,
            },
            Purpose::Kubeconfig(cluster) => Draft {
                prefix: kubeconfig_prefix(owner.user, cluster.as_deref()),
                owner,
                kind: KUBECONFIG,
                description,
                ttl: token::kubeconfig_ttl(settings),
                cluster: cluster.as_deref(),
                derived: false,
            },
        }
    }

    /// Deletes the token the caller uses. An identity without a token has nothing to end.
    ///
    /// # Errors
    /// [`LoginError::Store`].
    pub async fn logout(&self, identity: &Identity) -> Result<(), LoginError> {
        match &identity.token {
            Some(token) => self.delete_token(&token.name).await,
            None => Ok(()),
        }
    }

    /// Deletes every session of the caller, this one too. API keys and kubeconfigs stay.
    ///
    /// # Errors
    /// [`LoginError::Store`]; those before it are deleted.
    pub async fn logout_everywhere(&self, identity: &Identity) -> Result<(), LoginError> {
        let tokens: Api<Token> = Api::all(self.0.client.clone());
        let own = ListParams::default().labels(&format!(
            "{USER_LABEL}={},{KIND_LABEL}={SESSION}",
            identity.user
        ));
        let sessions = tokens
            .list(&own)
            .await
            .map_err(LoginError::at("list the sessions"))?;
        for session in sessions {
            self.delete_token(&session.name_any()).await?;
        }
        self.logout(identity).await
    }

    /// Deletes a token; requests with it are refused from the moment this returns, running ones end. A token that is
    /// not there is as good as deleted.
    ///
    /// # Errors
    /// [`LoginError::Store`].
    pub async fn delete_token(&self, name: &str) -> Result<(), LoginError> {
        if let Some(name) = name.strip_prefix(crate::ext::PREFIX) {
            return self.delete_ext_token(name).await;
        }
        let tokens: Api<Token> = Api::all(self.0.client.clone());
        let Some(token) = tokens
            .get_opt(name)
            .await
            .map_err(LoginError::at("read the token"))?
        else {
            self.0.authenticator.forget_gone(name);
            return Ok(());
        };
        self.delete_stored(&tokens, &token, name).await
    }

    /// Deletes the object that a token is kept in, and no other that took its name meanwhile; from then on the token is
    /// refused.
    async fn delete_stored<K>(
        &self,
        api: &Api<K>,
        stored: &K,
        token: &str,
    ) -> Result<(), LoginError>
    where
        K: Resource + Clone + fmt::Debug + DeserializeOwned,
    {
        let uid = stored.uid().unwrap_or_default();
        let params = DeleteParams {
            preconditions: Some(Preconditions {
                uid: Some(uid.clone()),
                resource_version: None,
            }),
            ..DeleteParams::default()
        };
        match api.delete(&stored.name_any(), &params).await {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.is_not_found() => {}
            Err(error) => return Err(LoginError::at("delete the token")(error)),
        }
        self.0.authenticator.forget_token(token, &uid);
        Ok(())
    }

    /// Creates an object under `prefix` and a random end that no other has; `step` is what it is made for.
    ///
    /// # Errors
    /// [`LoginError::Store`].
    pub async fn create_named<K>(
        &self,
        api: &Api<K>,
        prefix: &str,
        mut object: K,
        step: &'static str,
    ) -> Result<K, LoginError>
    where
        K: Resource + Clone + fmt::Debug + Serialize + DeserializeOwned,
    {
        let mut left = NAME_ATTEMPTS;
        loop {
            object.meta_mut().name = Some(format!("{prefix}{}", token::suffix(&self.0.entropy)?));
            left -= 1;
            match api.create(&PostParams::default(), &object).await {
                Err(kube::Error::Api(status)) if status.is_already_exists() && left > 0 => {}
                other => return other.map_err(LoginError::at(step)),
            }
        }
    }

    /// Waits until a user that was just disabled or deleted is refused here. Other replicas learn it from their own
    /// watches. Nothing is written.
    pub async fn shut_out(&self, user: &UserId) {
        if !self.0.authenticator.shut_out(user).await {
            tracing::warn!(%user, "the watch is late to show that the user is out");
        }
    }

    /// The identity of a user with nothing but the user: for work the server does in its name.
    ///
    /// # Errors
    /// [`AuthError::Refused`] if there is no such enabled user, [`AuthError::Store`].
    pub async fn identity_of(&self, user: &UserId) -> Result<Identity, AuthError> {
        let person = self
            .0
            .authenticator
            .person(user)
            .await?
            .filter(|person| person.enabled);
        let person = person.ok_or(AuthError::Refused)?;
        Ok(self.0.authenticator.identity(&person, None))
    }
}

#[cfg(test)]
mod tests;
