//! Tokens and passwords as `drover_auth` keeps them, with its refusals in the words of this API.

use drover_auth::logins::{Handover, NewToken};
use drover_auth::web::ApiError;
use drover_auth::{Identity, IssuedToken, Logins, UserId};
use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;
use secrecy::SecretString;

use crate::call::Credentials;

impl Credentials for Logins {
    fn create_token<'a>(
        &'a self,
        owner: &'a Identity,
        token: &'a NewToken,
    ) -> BoxFuture<'a, Result<IssuedToken, ApiError>> {
        async move {
            Self::create_token(self, owner, token)
                .await
                .map_err(ApiError::from)
        }
        .boxed()
    }

    fn kubeconfig_token<'a>(
        &'a self,
        owner: &'a Identity,
        cluster: Option<&'a str>,
    ) -> BoxFuture<'a, Result<IssuedToken, ApiError>> {
        async move {
            Self::kubeconfig_token(self, owner, cluster)
                .await
                .map_err(ApiError::from)
        }
        .boxed()
    }

    fn hand_over<'a>(
        &'a self,
        owner: &'a Identity,
        handover: &'a Handover,
    ) -> BoxFuture<'a, Result<Option<Timestamp>, ApiError>> {
        async move {
            Self::hand_over(self, owner, handover)
                .await
                .map_err(ApiError::from)
        }
        .boxed()
    }

    fn logout<'a>(&'a self, identity: &'a Identity) -> BoxFuture<'a, Result<(), ApiError>> {
        async move { Self::logout(self, identity).await.map_err(ApiError::from) }.boxed()
    }

    fn shut_out<'a>(&'a self, user: &'a UserId) -> BoxFuture<'a, ()> {
        Self::shut_out(self, user).boxed()
    }

    fn delete_token<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), ApiError>> {
        async move { Self::delete_token(self, name).await.map_err(ApiError::from) }.boxed()
    }

    fn check_password(&self, username: &str, password: &SecretString) -> Result<(), ApiError> {
        Self::check_password(self, username, password).map_err(ApiError::from)
    }

    fn set_password<'a>(
        &'a self,
        user: &'a UserId,
        username: &'a str,
        password: &'a SecretString,
    ) -> BoxFuture<'a, Result<(), ApiError>> {
        async move {
            Self::set_password(self, user, username, password)
                .await
                .map_err(ApiError::from)
        }
        .boxed()
    }

    fn change_password<'a>(
        &'a self,
        identity: &'a Identity,
        current: &'a SecretString,
        new: &'a SecretString,
    ) -> BoxFuture<'a, Result<(), ApiError>> {
        async move {
            Self::change_password(self, identity, current, new)
                .await
                .map_err(ApiError::from)
        }
        .boxed()
    }
}
