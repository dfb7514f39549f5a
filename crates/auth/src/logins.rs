//! Signing in and out, tokens and passwords.
//!
//! Owns every write of tokens and passwords. A token's key exists in
//! [`IssuedToken`] only.
//!
//! Invariant: an unknown user, a user without a password and a wrong password
//! take the same work and get the same answer.

mod ext;
mod shell;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use drover_types::condition::timestamp;
use drover_types::management::{Setting, Token, User, UserAttribute};
use drover_types::names;
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions};
use kube::{Api, Client, Resource, ResourceExt};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::authenticator::{AuthError, Authenticator};
use crate::clock::NoEntropy;
use crate::limiter::Limiter;
use crate::password::{self, Hashed, Hasher, PasswordError};
use crate::people::Person;
use crate::settings::Settings;
use crate::token::{self, HASHED_ANNOTATION, KIND_LABEL, KUBECONFIG, SESSION, USER_LABEL};
use crate::web::{self, ApiError};
use crate::{Clock, Entropy, Identity, UserId};

pub use ext::{NewExtToken, Session};
pub use shell::ShellToken;

/// Label of a user with the second of its last login.
const LAST_LOGIN_LABEL: &str = "cattle.io/last-login";
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

/// Why a login or a token was refused.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// Unknown user or wrong password.
    #[error("authentication failed")]
    Failed,
    /// Right password, but the user is disabled.
    #[error("the user {0} is disabled")]
    Disabled(UserId),
    /// Too many attempts for this user or from this address.
    #[error("too many login attempts, try again in {seconds} s")]
    TooManyAttempts {
        /// Whole seconds until the next attempt is heard.
        seconds: u64,
    },
    /// The store did not take or give an object.
    #[error("could not {step}")]
    Store {
        /// What was being done.
        step: &'static str,
        /// The store's answer.
        #[source]
        source: kube::Error,
    },
}

impl LoginError {
    fn at(step: &'static str) -> impl FnOnce(kube::Error) -> Self {
        move |source| Self::Store { step, source }
    }

    /// The answer to the caller.
    #[must_use]
    pub fn into_response(self) -> web::Response {
        let retry = match self {
            Self::TooManyAttempts { seconds } => Some(seconds),
            Self::Failed | Self::Disabled(_) | Self::Store { .. } => None,
        };
        let mut response = ApiError::from(self).into_response();
        if let Some(seconds) = retry {
            response
                .headers_mut()
                .insert(http::header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

impl From<NoEntropy> for LoginError {
    fn from(error: NoEntropy) -> Self {
        Self::Store {
            step: "draw a key",
            source: kube::Error::Service(Box::new(error)),
        }
    }
}

impl From<LoginError> for ApiError {
    fn from(error: LoginError) -> Self {
        match error {
            LoginError::Failed => Self::unauthorized("authentication failed"),
            LoginError::Disabled(_) => Self::permission_denied("the user is disabled"),
            LoginError::TooManyAttempts { .. } => Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "TooManyRequests",
                error.to_string(),
            ),
            LoginError::Store { source, .. } => source.into(),
        }
    }
}

impl From<PasswordError> for ApiError {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::Store { source, .. } => source.into(),
            PasswordError::Entropy(_) | PasswordError::Stopping => {
                Self::server_error(error.to_string())
            }
            PasswordError::TooShort(_)
            | PasswordError::TooLong
            | PasswordError::SameAsUsername
            | PasswordError::SameAsCurrent
            | PasswordError::Wrong
            | PasswordError::UnknownForm(_) => Self::invalid_body(error.to_string()),
        }
    }
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

/// Whom a new token is for.
struct Owner<'a> {
    user: &'a UserId,
    username: &'a str,
    display_name: &'a str,
    provider: &'a str,
}

struct Draft<'a> {
    owner: Owner<'a>,
    /// Everything of the name but its random end.
    prefix: String,
    kind: &'a str,
    description: &'a str,
    ttl: i64,
    cluster: Option<&'a str>,
    derived: bool,
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
        let settings = &self.0.settings;
        let draft = match purpose {
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
                prefix: kubeconfig_prefix(&person.id, cluster.as_deref()),
                owner,
                kind: KUBECONFIG,
                description,
                ttl: token::kubeconfig_ttl(settings),
                cluster: cluster.as_deref(),
                derived: false,
            },
        };
        let issued = self.issue(draft).await?;
        tracing::info!(user = %person.id, token = %issued.name, "logged in");
        self.note_login(&person.id, now).await;
        Ok(issued)
    }

    /// The user with this name and password.
    async fn authenticate(
        &self,
        username: &str,
        password: &SecretString,
    ) -> Result<Arc<Person>, LoginError> {
        let known = self.0.authenticator.by_username(username);
        let person = match known {
            Some(person) => person,
            None => {
                // Perhaps the watch has not shown a new user yet. The list runs beside a hash that proves nothing, so
                // that an unknown name takes as long as a wrong password.
                let (found, nothing) = tokio::join!(
                    self.find_user(username),
                    self.0.hasher.verify(password, None)
                );
                drop(nothing);
                found?.ok_or(LoginError::Failed)?
            }
        };
        let secrets: Api<Secret> =
            Api::namespaced(self.0.client.clone(), names::PASSWORDS_NAMESPACE);
        let secret = secrets
            .get_opt(person.id.as_str())
            .await
            .map_err(LoginError::at("read the password's hash"))?;
        let hashed = secret.as_ref().and_then(Hashed::of_secret);
        if secret.is_some() && hashed.is_none() {
            tracing::warn!(user = %person.id, "the password is stored in a form that cannot be checked, set it anew");
        }
        match self.0.hasher.verify(password, hashed.as_ref()).await {
            Ok(true) => Ok(person),
            Ok(false) | Err(_) => Err(LoginError::Failed),
        }
    }

    async fn find_user(&self, username: &str) -> Result<Option<Arc<Person>>, LoginError> {
        if username.is_empty() {
            return Ok(None);
        }
        let users: Api<User> = Api::all(self.0.client.clone());
        let listed = users
            .list(&ListParams::default())
            .await
            .map_err(LoginError::at("look for the user"))?;
        let found = listed
            .items
            .into_iter()
            .find(|user| user.username == username);
        Ok(found.map(|user| Arc::new(Person::of(user))))
    }

    /// Writes when somebody last logged in; a login does not fail over it.
    async fn note_login(&self, user: &UserId, now: Timestamp) {
        let users: Api<User> = Api::all(self.0.client.clone());
        let label =
            json!({"metadata": {"labels": {LAST_LOGIN_LABEL: now.as_second().to_string()}}});
        let attributes: Api<UserAttribute> = Api::all(self.0.client.clone());
        let last = json!({ "lastLogin": timestamp(now) });
        let params = PatchParams::default();
        let (label, last) = (Patch::Merge(label), Patch::Merge(last));
        let (labelled, noted) = tokio::join!(
            users.patch(user.as_str(), &params, &label),
            attributes.patch(user.as_str(), &params, &last)
        );
        let noted = match noted {
            Err(kube::Error::Api(status)) if status.is_not_found() => {
                let mut attribute = UserAttribute::named(user.as_str());
                attribute.last_login = timestamp(now);
                attributes.create(&PostParams::default(), &attribute).await
            }
            other => other,
        };
        for error in [labelled.err(), noted.err()].into_iter().flatten() {
            tracing::warn!(%user, %error, "last login could not be written");
        }
    }

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

    async fn issue(&self, draft: Draft<'_>) -> Result<IssuedToken, LoginError> {
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

    /// Checks a password against the rules for a user of that name, without storing anything.
    ///
    /// # Errors
    /// The rule that is broken.
    pub fn check_password(
        &self,
        username: &str,
        password: &SecretString,
    ) -> Result<(), PasswordError> {
        password::check_rules(&self.0.settings, username, password)
    }

    /// Sets a user's password, by somebody who may. Sessions go on.
    ///
    /// # Errors
    /// A broken rule, or [`PasswordError::Store`].
    pub async fn set_password(
        &self,
        user: &UserId,
        username: &str,
        password: &SecretString,
    ) -> Result<(), PasswordError> {
        self.check_password(username, password)?;
        let secret = self.0.hasher.hash(password).await?.into_secret(user);
        store_password(&self.0.client, user, &secret).await?;
        self.first_login_done().await;
        Ok(())
    }

    /// Changes the caller's own password and ends the request to change it.
    ///
    /// # Errors
    /// [`PasswordError::Wrong`] for a wrong current password, a broken rule, or [`PasswordError::Store`].
    pub async fn change_password(
        &self,
        identity: &Identity,
        current: &SecretString,
        new: &SecretString,
    ) -> Result<(), PasswordError> {
        let failed = |step| move |source| PasswordError::Store { step, source };
        let now = self.0.clock.now();
        let remote = None;
        self.0
            .limiter
            .attempt(&identity.username, remote, now)
            .map_err(|_| PasswordError::Wrong)?;
        let secrets: Api<Secret> =
            Api::namespaced(self.0.client.clone(), names::PASSWORDS_NAMESPACE);
        let secret = secrets
            .get_opt(identity.user.as_str())
            .await
            .map_err(failed("read the password's hash"))?;
        let hashed = secret.as_ref().and_then(Hashed::of_secret);
        if secret.is_some() && hashed.is_none() {
            return Err(PasswordError::UnknownForm(identity.user.clone()));
        }
        if !self.0.hasher.verify(current, hashed.as_ref()).await? {
            return Err(PasswordError::Wrong);
        }
        self.0.limiter.succeeded(&identity.username, remote, now);
        if current.expose_secret() == new.expose_secret() {
            return Err(PasswordError::SameAsCurrent);
        }
        self.set_password(&identity.user, &identity.username, new)
            .await?;
        self.password_was_changed(&identity.user).await
    }

    /// Ends the request to a user to change the password.
    ///
    /// # Errors
    /// [`PasswordError::Store`].
    pub async fn password_was_changed(&self, user: &UserId) -> Result<(), PasswordError> {
        let users: Api<User> = Api::all(self.0.client.clone());
        let done = Patch::Merge(json!({ "mustChangePassword": false }));
        let patched = users
            .patch(user.as_str(), &PatchParams::default(), &done)
            .await;
        patched.map(drop).map_err(|source| PasswordError::Store {
            step: "note that the password was changed",
            source,
        })
    }

    /// Any change of a password ends the first-login greeting (reference section 4.5); not worth failing over.
    async fn first_login_done(&self) {
        if self.0.settings.get("first-login") != "true"
            || self.0.settings.overrides().contains_key("first-login")
        {
            return;
        }
        let settings: Api<Setting> = Api::all(self.0.client.clone());
        let done = Patch::Merge(json!({"value": "false", "customized": true, "source": "db"}));
        match settings
            .patch("first-login", &PatchParams::default(), &done)
            .await
        {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.is_not_found() => {}
            Err(error) => tracing::warn!(%error, "the first login could not be marked as done"),
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

impl<'a> Owner<'a> {
    fn of(identity: &'a Identity) -> Self {
        Self {
            user: &identity.user,
            username: &identity.username,
            display_name: &identity.display_name,
            provider: "local",
        }
    }
}

/// A token for one cluster makes tokens for that cluster only.
fn scope<'a>(owner: &'a Identity, wanted: Option<&'a str>) -> Option<&'a str> {
    owner
        .token
        .as_ref()
        .and_then(|token| token.cluster.as_deref())
        .or(wanted)
}

fn kubeconfig_prefix(user: &UserId, cluster: Option<&str>) -> String {
    match cluster {
        Some(cluster) => format!("kubeconfig-{user}.{cluster}"),
        None => format!("kubeconfig-{user}"),
    }
}

/// Creates or replaces the Secret of a password.
pub(crate) async fn store_password(
    client: &Client,
    user: &UserId,
    secret: &Secret,
) -> Result<(), PasswordError> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), names::PASSWORDS_NAMESPACE);
    let failed = |source| PasswordError::Store {
        step: "store the password's hash",
        source,
    };
    match secrets.create(&PostParams::default(), secret).await {
        Err(kube::Error::Api(status)) if status.is_already_exists() => {
            let change = json!({"metadata": {"annotations": secret.metadata.annotations}, "data": secret.data});
            secrets
                .patch(
                    user.as_str(),
                    &PatchParams::default(),
                    &Patch::Merge(&change),
                )
                .await
                .map_err(failed)?;
        }
        other => drop(other.map_err(failed)?),
    }
    Ok(())
}

#[cfg(test)]
mod tests;
