//! Turns the credentials of a request into an [`Identity`].

use http::request::Parts;
use tokio::sync::broadcast;

use crate::web::{self, ApiError};
use crate::{Identity, UserId};

/// Something that makes running requests of an identity end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revocation {
    /// The token was deleted, disabled or has expired.
    Token(String),
    /// The user was deleted or disabled; all its tokens are void.
    User(UserId),
}

/// Why credentials were refused.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// Wrong, unknown, expired, disabled or not good for the cluster asked for; callers learn no more.
    #[error("the credentials are not valid")]
    Refused,
    /// The store could not be asked; nothing is known about the credentials.
    #[error("the token could not be looked up")]
    Store(#[source] kube::Error),
}

impl AuthError {
    /// The answer to the caller: the 401 form, or 503 when the store is away.
    #[must_use]
    pub fn into_response(self) -> web::Response {
        match self {
            Self::Refused => web::unauthorized(),
            Self::Store(error) => ApiError::from(error).into_response(),
        }
    }
}

/// Checks credentials against watch-fed tokens, users and settings. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Authenticator {
    revocations: broadcast::Sender<Revocation>,
}

impl Authenticator {
    /// The identity behind `Authorization: Bearer name:key`, `Basic name:key` or the cookie `R_SESS`.
    /// `None`: the request carries no credentials.
    ///
    /// # Errors
    /// [`AuthError::Refused`] for credentials that do not hold (also a cluster-scoped token on a path that is not
    /// that cluster's), [`AuthError::Store`] when the store cannot be asked.
    pub async fn authenticate(&self, parts: &Parts) -> Result<Option<Identity>, AuthError> {
        let _ = parts;
        Err(AuthError::Refused)
    }

    /// Every revocation from now on. A receiver that lags must treat all it serves as revoked.
    #[must_use]
    pub fn revocations(&self) -> broadcast::Receiver<Revocation> {
        self.revocations.subscribe()
    }

    /// Completes when `identity` is no longer valid: token deleted, disabled or expired, user deleted or disabled.
    /// Streams (watches, exec, tunnels of a user) run beside this and end with it.
    pub async fn revoked(&self, identity: &Identity) {
        let mut revocations = self.revocations();
        while let Ok(revocation) = revocations.recv().await {
            let hit = match &revocation {
                Revocation::Token(name) => identity
                    .token
                    .as_ref()
                    .is_some_and(|token| token.name == *name),
                Revocation::User(user) => identity.user == *user,
            };
            if hit {
                return;
            }
        }
    }
}
