//! Who is behind a name and a password, and the note that they signed in.

use std::sync::Arc;

use drover_types::condition::timestamp;
use drover_types::management::{User, UserAttribute};
use drover_types::names;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use secrecy::SecretString;
use serde_json::json;

use super::{LAST_LOGIN_LABEL, LoginError, Logins};
use crate::UserId;
use crate::password::{Checked, Kept};
use crate::people::Person;

impl Logins {
    /// The user with this name and password.
    pub(super) async fn authenticate(
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
        let kept = secret.as_ref().and_then(Kept::of_secret);
        if secret.is_some() && kept.is_none() {
            tracing::warn!(user = %person.id, "the password is stored in a form that cannot be checked, set it anew");
        }
        match self.0.hasher.verify(password, kept.as_ref()).await {
            Ok(Checked::Right) => {}
            Ok(Checked::Outdated(renewed)) => self.renew_password(secret.as_ref(), renewed).await,
            Ok(Checked::Wrong) | Err(_) => return Err(LoginError::Failed),
        }
        Ok(person)
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
    pub(super) async fn note_login(&self, user: &UserId, now: Timestamp) {
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
}
