//! Why a login, a token or a password was refused, and how that is answered.

use http::StatusCode;

use crate::UserId;
use crate::clock::NoEntropy;
use crate::password::PasswordError;
use crate::web::{self, ApiError};

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
    pub(super) fn at(step: &'static str) -> impl FnOnce(kube::Error) -> Self {
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
