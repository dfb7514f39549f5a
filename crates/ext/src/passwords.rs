//! `passwordchangerequests`: a new password for oneself, or for somebody else by those who may change users.

use drover_auth::password::PasswordError;
use drover_auth::web::{ApiError, Response};
use drover_auth::{Attributes, UserId};
use drover_types::condition::timestamp;
use drover_types::management::{GROUP as MANAGEMENT, User};
use drover_types::names::PASSWORDS_NAMESPACE;
use kube::Api;
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::request::text;
use crate::{Call, GROUP, bad_request, made};

impl Call<'_> {
    pub(crate) async fn change_password(&self, sent: Value) -> Result<Response, ApiError> {
        let user = text(&sent, "/spec/userID")?;
        let current = SecretString::from(text(&sent, "/spec/currentPassword")?);
        let new = SecretString::from(text(&sent, "/spec/newPassword")?);
        drop(sent);
        if user.is_empty() {
            return Err(bad_request("userID is required"));
        }
        let own = user == self.identity.user.as_str();
        let any = self.may_set_passwords();
        if !own && !any {
            return Err(ApiError::forbidden(format!(
                "passwordchangerequests.{GROUP} is forbidden: User \"{}\" may change its own password only",
                self.identity.user
            )));
        }
        // Rules that need no user come first (recorded/http/12).
        self.parts
            .logins
            .check_password("", &new)
            .map_err(refused)?;
        let users: Api<User> = Api::all(self.parts.client.0.clone());
        let found = users.get_opt(&user).await?;
        let username = found
            .ok_or_else(|| bad_request(format!("user {user} not found")))?
            .username;
        self.parts
            .logins
            .check_password(&username, &new)
            .map_err(refused)?;
        let mut answer = json!({
            "apiVersion": "ext.cattle.io/v1", "kind": "PasswordChangeRequest", "metadata": {}, "spec": {"userID": user},
        });
        if self.asked.dry {
            return Ok(made(&answer));
        }
        let logins = &self.parts.logins;
        if any {
            let id = UserId::new(user);
            logins
                .set_password(&id, &username, &new)
                .await
                .map_err(refused)?;
            logins.password_was_changed(&id).await.map_err(refused)?;
            tracing::info!(by = %self.identity.user, user = %id, "a password was set");
        } else {
            logins
                .change_password(self.identity, &current, &new)
                .await
                .map_err(refused)?;
            tracing::info!(user = %self.identity.user, "a password was changed");
        }
        let now = timestamp(self.parts.clock.now());
        answer["status"] = json!({
            "conditions": [{
                "type": "PasswordUpdated", "status": "True", "reason": "", "message": "", "lastTransitionTime": now,
            }],
            "summary": "Completed",
        });
        Ok(made(&answer))
    }

    /// Whether the caller may change users and the Secrets of their passwords.
    fn may_set_passwords(&self) -> bool {
        let may = |group, resource, namespace| {
            self.parts.access.is_allowed(
                self.identity,
                &Attributes {
                    verb: "update",
                    group,
                    resource,
                    namespace,
                    name: None,
                },
            )
        };
        may(MANAGEMENT, "users", None) && may("", "secrets", Some(PASSWORDS_NAMESPACE))
    }
}

fn refused(error: PasswordError) -> ApiError {
    match error {
        PasswordError::Store { .. } | PasswordError::Entropy(_) | PasswordError::Stopping => {
            error.into()
        }
        PasswordError::TooShort(_)
        | PasswordError::TooLong
        | PasswordError::SameAsUsername
        | PasswordError::SameAsCurrent
        | PasswordError::Wrong
        | PasswordError::UnknownForm(_) => bad_request(error.to_string()),
    }
}
