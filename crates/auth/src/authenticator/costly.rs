//! Tokens whose keys an old peer keeps as scrypt: a tenth of a second and 32 MiB to check one.
//!
//! They are checked one at a time on a blocking thread, so that whoever sends wrong keys holds up nobody but such
//! tokens. One that was right is kept anew in our form, and costs nothing from then on.

use std::sync::Arc;

use drover_types::management::Token;
use kube::Api;
use kube::ResourceExt as _;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tokio::sync::Semaphore;

use super::{AuthError, Authenticator};
use crate::Entropy;
use crate::ext;
use crate::token::{self, Record, StoredKey};

/// Whose turn it is, and what new hashes are made with.
pub(super) struct Costly {
    turn: Arc<Semaphore>,
    entropy: Entropy,
}

impl Costly {
    pub(super) fn new(entropy: Entropy) -> Self {
        Self {
            turn: Arc::new(Semaphore::new(1)),
            entropy,
        }
    }
}

impl Authenticator {
    /// Whether `key` is the token's.
    pub(super) async fn has_key(&self, record: &Record, key: &str) -> Result<bool, AuthError> {
        let StoredKey::Scrypt(_) = &record.key else {
            return Ok(record.key.verifies(key));
        };
        let Ok(turn) = Arc::clone(&self.0.costly.turn).acquire_owned().await else {
            return Ok(false);
        };
        // Meanwhile another request with the same key may have had its turn.
        let Some(record) = self.token(&record.name).await? else {
            return Ok(false);
        };
        let StoredKey::Scrypt(stored) = record.key.clone() else {
            return Ok(record.key.verifies(key));
        };
        let given = key.to_owned();
        let checked = tokio::task::spawn_blocking(move || {
            let is_right = stored.verifies(&given);
            (is_right, turn)
        });
        // Without a runtime to work on, nothing is let in.
        let Ok((is_right, turn)) = checked.await else {
            return Ok(false);
        };
        // The other API's tokens are younger than this form.
        if is_right && !record.name.starts_with(ext::PREFIX) {
            self.keep_anew(&record, key).await;
        }
        drop(turn);
        Ok(is_right)
    }

    /// Keeps the key in our form; a request does not fail over it, the next one tries again.
    pub(super) async fn keep_anew(&self, record: &Record, key: &str) {
        let Ok(hash) = token::hash(&key.into(), &self.0.costly.entropy) else {
            return;
        };
        let tokens: Api<Token> = Api::all(self.0.client.clone());
        let kept = match tokens.get(&record.name).await {
            Ok(token) if Record::of(token.clone()).key != record.key => return,
            Ok(token) => {
                let version = token.resource_version();
                let change = json!({ "metadata": { "resourceVersion": version }, "token": hash });
                let (params, change) = (PatchParams::default(), Patch::Merge(&change));
                tokens.patch(&record.name, &params, &change).await.map(drop)
            }
            Err(error) => Err(error),
        };
        match kept {
            Ok(()) => tracing::info!(token = %record.name, "token is kept in the present form"),
            Err(error) => {
                tracing::warn!(token = %record.name, %error, "token could not be kept in the present form");
            }
        }
    }
}
