//! Tokens of kubectl shells: good for minutes, and for as long as the shell is open.
//!
//! A shell's token is the record of it too: what is left of a shell whose hub died is found by its token, which ends by
//! itself because nobody prolongs it.

use drover_types::condition::timestamp;
use drover_types::management::Token;
use jiff::SignedDuration;
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::json;

use super::{Draft, IssuedToken, LoginError, Logins, Owner, scope};
use crate::token::{self, KIND_LABEL, Record, SHELL};
use crate::{Identity, UserId};

/// What names of these tokens begin with; the pod of the shell has the same name (reference api-v1, 1.3).
const GENERATED: &str = "dashboard-shell-";

/// A shell, as its token tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShellToken {
    /// Of the token.
    pub name: String,
    /// Whose shell it is.
    pub user: UserId,
    /// Where it runs.
    pub cluster: String,
    /// Whether the token is good: somebody keeps the shell open.
    pub is_live: bool,
}

impl Logins {
    /// Makes a token for a shell of `owner` in `cluster`, good there only and for `lifetime`.
    ///
    /// # Errors
    /// [`LoginError::Store`].
    pub async fn shell_token(
        &self,
        owner: &Identity,
        cluster: &str,
        lifetime: SignedDuration,
    ) -> Result<IssuedToken, LoginError> {
        self.issue(Draft {
            owner: Owner::of(owner),
            prefix: GENERATED.to_owned(),
            kind: SHELL,
            description: "kubectl shell",
            ttl: token::api_key_ttl(&self.0.settings, millis(lifetime)),
            cluster: scope(owner, Some(cluster)),
            derived: true,
        })
        .await
    }

    /// Lets a shell's token be good for `lifetime` from now on. `false`: it was deleted or disabled, or ended, and the
    /// shell with it.
    ///
    /// # Errors
    /// [`LoginError::Store`].
    pub async fn prolong_shell_token(
        &self,
        name: &str,
        lifetime: SignedDuration,
    ) -> Result<bool, LoginError> {
        let tokens: Api<Token> = Api::all(self.0.client.clone());
        let now = self.0.clock.now();
        let found = tokens
            .get_opt(name)
            .await
            .map_err(LoginError::at("read the token"))?;
        let Some(found) = found.filter(|found| Record::of(found.clone()).is_live(now, None)) else {
            return Ok(false);
        };
        let created = found.metadata.creation_timestamp.as_ref();
        let age = created.map_or(SignedDuration::ZERO, |at| now.duration_since(at.0));
        let ttl = token::api_key_ttl(&self.0.settings, millis(age.saturating_add(lifetime)));
        let expires =
            created.and_then(|at| at.0.checked_add(SignedDuration::from_millis(ttl)).ok());
        let change = json!({"ttl": ttl, "expiresAt": expires.map(timestamp)});
        change_if_there(&tokens, name, change, "prolong the token").await
    }

    /// Makes a shell's token useless at once, and keeps it as the record of what is to be cleaned up.
    ///
    /// # Errors
    /// [`LoginError::Store`].
    pub async fn disable_shell_token(&self, name: &str) -> Result<(), LoginError> {
        let tokens: Api<Token> = Api::all(self.0.client.clone());
        change_if_there(
            &tokens,
            name,
            json!({"enabled": false}),
            "disable the token",
        )
        .await
        .map(drop)
    }

    /// All shells that a token tells of.
    ///
    /// # Errors
    /// [`LoginError::Store`].
    pub async fn shell_tokens(&self) -> Result<Vec<ShellToken>, LoginError> {
        let tokens: Api<Token> = Api::all(self.0.client.clone());
        let shells = ListParams::default().labels(&format!("{KIND_LABEL}={SHELL}"));
        let listed = tokens
            .list(&shells)
            .await
            .map_err(LoginError::at("list the shells' tokens"))?;
        let now = self.0.clock.now();
        let of = |token: Token| {
            let record = Record::of(token);
            ShellToken {
                is_live: record.is_live(now, None),
                name: record.name,
                user: record.user,
                cluster: record.cluster.unwrap_or_default(),
            }
        };
        Ok(listed.items.into_iter().map(of).collect())
    }
}

/// Changes a token. `false`: there is none.
async fn change_if_there(
    tokens: &Api<Token>,
    name: &str,
    change: serde_json::Value,
    step: &'static str,
) -> Result<bool, LoginError> {
    match tokens
        .patch(name, &PatchParams::default(), &Patch::Merge(change))
        .await
    {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(false),
        Err(error) => Err(LoginError::at(step)(error)),
    }
}

fn millis(lifetime: SignedDuration) -> i64 {
    i64::try_from(lifetime.as_millis()).unwrap_or(i64::MAX)
}
