//! Signing in and out, tokens and passwords.

use std::net::IpAddr;

use http::StatusCode;
use jiff::Timestamp;
use secrecy::SecretString;

use crate::web::{self, ApiError};
use crate::{Identity, UserId};

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
    /// Milliseconds; 0 takes the default, negative never expires, both within `auth-token-max-ttl-minutes`.
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
}

/// Why a login, a token or a password was refused.
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
    #[error("the store refused to {step}")]
    Store {
        /// What was being done.
        step: &'static str,
        /// The store's answer.
        #[source]
        source: kube::Error,
    },
}

impl LoginError {
    /// The answer to the caller.
    #[must_use]
    pub fn into_response(self) -> web::Response {
        match self {
            Self::Failed => ApiError::unauthorized("authentication failed").into_response(),
            Self::Disabled(_) => {
                ApiError::permission_denied("the user is disabled").into_response()
            }
            Self::TooManyAttempts { seconds } => {
                let mut response = ApiError::new(
                    StatusCode::TOO_MANY_REQUESTS,
                    "TooManyRequests",
                    format!("too many login attempts, try again in {seconds} s"),
                )
                .into_response();
                response
                    .headers_mut()
                    .insert(http::header::RETRY_AFTER, seconds.into());
                response
            }
            Self::Store { source, .. } => ApiError::from(source).into_response(),
        }
    }
}

/// Makes and ends sessions, tokens and passwords. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Logins {
    client: Option<()>,
}

impl Logins {
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
        let _ = (credentials, purpose, description, self.client);
        Err(LoginError::Failed)
    }

    /// Makes an API key owned by `owner`, marked as derived from its token.
    ///
    /// # Errors
    /// [`LoginError::Store`].
    pub async fn create_token(
        &self,
        owner: &Identity,
        token: &NewToken,
    ) -> Result<IssuedToken, LoginError> {
        let _ = (owner, token, self.client);
        Err(LoginError::Failed)
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
        let _ = (owner, cluster, self.client);
        Err(LoginError::Failed)
    }

    /// Deletes the token the caller uses.
    ///
    /// # Errors
    /// [`LoginError::Store`].
    pub async fn logout(&self, identity: &Identity) -> Result<(), LoginError> {
        let _ = (identity, self.client);
        Err(LoginError::Failed)
    }
}
