//! Passwords: their rules, setting and changing them, and where they are kept.

use drover_types::management::{Setting, User};
use drover_types::names;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::Logins;
use crate::password::{self, Hashed, Kept, PasswordError};
use crate::{Identity, UserId};

impl Logins {
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
        let secret = self.password_secret(user, username, password).await?;
        store_password(&self.0.client, user, &secret).await?;
        self.first_login_done().await;
        Ok(())
    }

    /// The Secret that keeps a user's password, for somebody who may store it.
    ///
    /// # Errors
    /// A broken rule, or what keeps the password from being hashed.
    pub async fn password_secret(
        &self,
        user: &UserId,
        username: &str,
        password: &SecretString,
    ) -> Result<Secret, PasswordError> {
        self.check_password(username, password)?;
        Ok(self.0.hasher.hash(password).await?.into_secret(user))
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
        let kept = secret.as_ref().and_then(Kept::of_secret);
        if secret.is_some() && kept.is_none() {
            return Err(PasswordError::UnknownForm(identity.user.clone()));
        }
        let checked = self.0.hasher.verify(current, kept.as_ref()).await?;
        if !checked.is_right() {
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

    /// Keeps a password that was just given in our form. One that was set meanwhile stays, and no login fails over it:
    /// the next one tries again.
    pub(super) async fn renew_password(&self, old: Option<&Secret>, renewed: Hashed) {
        let Some(ObjectMeta {
            name: Some(name),
            resource_version,
            ..
        }) = old.map(|old| &old.metadata)
        else {
            return;
        };
        let user = UserId::new(name.clone());
        let secret = renewed.into_secret(&user);
        let change = json!({
            "metadata": { "resourceVersion": resource_version, "annotations": secret.metadata.annotations },
            "data": secret.data,
        });
        let secrets: Api<Secret> =
            Api::namespaced(self.0.client.clone(), names::PASSWORDS_NAMESPACE);
        let params = PatchParams::default();
        match secrets.patch(name, &params, &Patch::Merge(&change)).await {
            Ok(_) => tracing::info!(%user, "password is kept in the present form"),
            Err(error) => {
                tracing::warn!(%user, %error, "password could not be kept in the present form");
            }
        }
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
