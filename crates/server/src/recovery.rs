//! `drover reset-password`: back in for an operator who holds the store but no password.
//!
//! It works on the store itself, so that whoever may do this already holds everything. An embedded store must not be
//! in use by a server meanwhile.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use drover_auth::{Auth, Clock, Entropy, UserId};
use drover_types::management::User;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt as _};
use secrecy::{ExposeSecret as _, SecretString};

use crate::backend::Backend;
use crate::config::StoreArgs;

/// Letters and digits that are not mistaken for each other.
const ALPHABET: &[u8] = b"abcdefghjkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
/// Length of a new password, over a hundred bits.
const N_CHARACTERS: usize = 20;

/// Give a user a new password.
#[derive(Args, Clone, Debug)]
pub struct ResetPasswordArgs {
    /// Name the user logs in with.
    #[arg(default_value = "admin")]
    pub username: String,
    /// Where the server keeps its state.
    #[command(flatten)]
    pub store: StoreArgs,
}

/// Sets a generated password. Answers what to tell the operator.
///
/// # Errors
///
/// When the store cannot be opened, or there is no such user; nothing is changed then.
pub async fn reset_password(
    args: &ResetPasswordArgs,
    environment: BTreeMap<String, String>,
) -> Result<String> {
    let embedded = args.store.kubeconfig.is_none() && !args.store.in_cluster;
    let database = args.store.data_dir.join(crate::copies::DATABASE);
    if embedded && !database.exists() {
        bail!(
            "there is no {}; name the folder of the server's data with --data-dir",
            database.display()
        );
    }
    let backend = Backend::open(&args.store).await?;
    let outcome = set(&backend.client, &args.username, environment).await;
    backend.shutdown().await;
    let password = outcome?;
    Ok(format!(
        "{}: the new password is {}",
        args.username,
        password.expose_secret()
    ))
}

async fn set(
    client: &Client,
    username: &str,
    environment: BTreeMap<String, String>,
) -> Result<SecretString> {
    let users: Api<User> = Api::all(client.clone());
    let users = users
        .list(&ListParams::default())
        .await
        .context("list the users")?;
    let Some(user) = users
        .items
        .into_iter()
        .find(|user| user.username == username)
    else {
        bail!("there is no user who logs in as \"{username}\"");
    };
    let entropy = Entropy::system();
    let password = SecretString::from(
        entropy
            .text(ALPHABET, N_CHARACTERS)
            .context("make a password")?,
    );
    let config = drover_auth::Config {
        client: client.clone(),
        clock: Clock::system(),
        entropy: Entropy::system(),
        environment,
    };
    let (auth, _driver, _bootstrap) = Auth::new(config);
    let id = UserId::new(user.name_any());
    auth.logins
        .set_password(&id, username, &password)
        .await
        .context("store the password")?;
    Ok(password)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::tests::memory;

    #[tokio::test]
    async fn a_user_gets_a_new_password_and_a_stranger_none() {
        let client = memory().await;
        crate::install::kinds(&client).await.unwrap();
        let mut user = User::named("user-abcde");
        "ada".clone_into(&mut user.username);
        let users: Api<User> = Api::all(client.clone());
        users
            .create(&kube::api::PostParams::default(), &user)
            .await
            .unwrap();
        let hash = async || {
            let secrets: Api<k8s_openapi::api::core::v1::Secret> =
                Api::namespaced(client.clone(), drover_types::names::PASSWORDS_NAMESPACE);
            secrets
                .get_opt("user-abcde")
                .await
                .unwrap()
                .and_then(|secret| secret.data)
        };
        assert!(hash().await.is_none());
        let first = set(&client, "ada", BTreeMap::new()).await.unwrap();
        let stored = hash().await.unwrap();
        let second = set(&client, "ada", BTreeMap::new()).await.unwrap();
        assert_ne!(first.expose_secret(), second.expose_secret());
        assert_ne!(hash().await.unwrap(), stored);
        let error = set(&client, "bob", BTreeMap::new()).await.unwrap_err();
        assert!(error.to_string().contains("bob"), "{error}");
    }
}
