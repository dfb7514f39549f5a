//! Which cluster a registration token belongs to.
//!
//! Owns an index over the Secrets `crt-token-*`, fed by a watch; a token it does not know is looked up in the store, not
//! more often than every few seconds, so that strangers cannot make the store work. Keys are hashes: what a comparison
//! takes tells nothing, and no token stays in memory.

use std::collections::HashMap;
use std::time::Duration;

use drover_types::names::REGISTRATION_SECRET_PREFIX;
use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::api::ListParams;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, ResourceExt};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use thiserror::Error;
use tokio::time::Instant;

use crate::chain::Chain;

/// How often the store is asked about tokens nobody knows.
const LOOKUP_EVERY: Duration = Duration::from_secs(2);
/// Secrets per page of a look-up.
const PAGE: u32 = 500;

#[derive(Debug, Error)]
pub(crate) enum LookupError {
    #[error("registration tokens cannot be read")]
    Store(#[source] Box<kube::Error>),
}

type Hash = [u8; 32];

fn hash(token: &[u8]) -> Hash {
    Sha256::digest(token).into()
}

/// The tokens of one Secret.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Registration {
    cluster: String,
    token: Option<Hash>,
    previous: Option<Hash>,
    /// Until when `previous` holds.
    previous_until: Option<Timestamp>,
}

impl Registration {
    /// `None` for Secrets that hold no registration token.
    fn of(secret: &Secret) -> Option<Self> {
        if !secret.name_any().starts_with(REGISTRATION_SECRET_PREFIX) {
            return None;
        }
        let data = secret.data.as_ref()?;
        let value = |key: &str| {
            data.get(key)
                .map(|value| value.0.trim_ascii())
                .filter(|value| !value.is_empty())
        };
        let time = |key: &str| str::from_utf8(value(key)?).ok()?.parse().ok();
        Some(Self {
            cluster: secret.namespace()?,
            token: value("token").map(hash),
            previous: value("previousToken").map(hash),
            previous_until: time("gracePeriodExpiresAt"),
        })
    }

    fn accepts(&self, token: &Hash, now: Timestamp) -> bool {
        self.token.as_ref() == Some(token)
            || (self.previous.as_ref() == Some(token)
                && self.previous_until.is_none_or(|until| now < until))
    }
}

/// Name of a Secret: namespace and name.
type Key = (String, String);

fn key(secret: &Secret) -> Key {
    (secret.namespace().unwrap_or_default(), secret.name_any())
}

#[derive(Debug, Default)]
struct Index {
    secrets: HashMap<Key, Registration>,
    /// From a token's hash to its Secret.
    tokens: HashMap<Hash, Key>,
}

impl Index {
    fn set(&mut self, secret: &Secret) {
        let key = key(secret);
        self.remove(&key);
        if let Some(registration) = Registration::of(secret) {
            for token in [registration.token, registration.previous]
                .into_iter()
                .flatten()
            {
                self.tokens.insert(token, key.clone());
            }
            self.secrets.insert(key, registration);
        }
    }

    fn remove(&mut self, key: &Key) {
        if self.secrets.remove(key).is_some() {
            self.tokens.retain(|_, owner| owner != key);
        }
    }

    fn cluster(&self, token: &Hash, now: Timestamp) -> Option<String> {
        let registration = self.secrets.get(self.tokens.get(token)?)?;
        registration
            .accepts(token, now)
            .then(|| registration.cluster.clone())
    }
}

/// The registration tokens.
pub(super) struct Registrations {
    secrets: Api<Secret>,
    index: Mutex<Index>,
    /// When the store was last asked; held while it is.
    asked: tokio::sync::Mutex<Option<Instant>>,
}

impl std::fmt::Debug for Registrations {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Registrations")
            .finish_non_exhaustive()
    }
}

impl Registrations {
    pub(super) fn new(client: kube::Client) -> Self {
        Self {
            secrets: Api::all(client),
            index: Mutex::default(),
            asked: tokio::sync::Mutex::new(None),
        }
    }

    pub(super) async fn run(&self) {
        let mut events = watcher(self.secrets.clone(), watcher::Config::default())
            .default_backoff()
            .boxed();
        let mut listed = Index::default();
        while let Some(event) = events.next().await {
            match event {
                Ok(watcher::Event::Init) => listed = Index::default(),
                Ok(watcher::Event::InitApply(secret)) => listed.set(&secret),
                Ok(watcher::Event::InitDone) => *self.index.lock() = std::mem::take(&mut listed),
                Ok(watcher::Event::Apply(secret)) => self.index.lock().set(&secret),
                Ok(watcher::Event::Delete(secret)) => self.index.lock().remove(&key(&secret)),
                Err(error) => {
                    tracing::warn!(error = %Chain(&error), "watch of registration tokens broke, it will be retried")
                }
            }
        }
    }

    /// The cluster that the token registers, if any.
    pub(super) async fn lookup(&self, token: &str) -> Result<Option<String>, LookupError> {
        let token = hash(token.as_bytes());
        let known = |index: &Mutex<Index>| index.lock().cluster(&token, Timestamp::now());
        if let Some(cluster) = known(&self.index) {
            return Ok(Some(cluster));
        }
        let mut asked = self.asked.lock().await;
        if let Some(cluster) = known(&self.index) {
            return Ok(Some(cluster));
        }
        if asked.is_some_and(|at| at.elapsed() < LOOKUP_EVERY) {
            return Ok(None);
        }
        let mut page = ListParams::default().limit(PAGE);
        loop {
            let secrets = self
                .secrets
                .list(&page)
                .await
                .map_err(|error| LookupError::Store(Box::new(error)))?;
            for secret in &secrets.items {
                self.index.lock().set(secret);
            }
            match secrets.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => page = page.continue_token(&token),
                None => break,
            }
        }
        *asked = Some(Instant::now());
        Ok(known(&self.index))
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::ByteString;

    use super::*;

    fn secret(name: &str, data: &[(&str, &str)]) -> Secret {
        let mut secret = Secret::default();
        secret.metadata.name = Some(name.to_owned());
        secret.metadata.namespace = Some("c-abcde".to_owned());
        secret.data = Some(
            data.iter()
                .map(|(key, value)| ((*key).to_owned(), ByteString(value.as_bytes().to_vec())))
                .collect(),
        );
        secret
    }

    #[test]
    fn both_tokens_hold_until_the_grace_time_ends() {
        let mut index = Index::default();
        let rotated = [
            ("token", "new"),
            ("previousToken", "old"),
            ("gracePeriodExpiresAt", "2026-11-25T10:00:00Z"),
        ];
        index.set(&secret("crt-token-default-token", &rotated));
        let at =
            |time: &str, token: &str| index.cluster(&hash(token.as_bytes()), time.parse().unwrap());
        let cluster = Some("c-abcde".to_owned());
        assert_eq!(at("2026-11-25T09:59:59Z", "new"), cluster);
        assert_eq!(at("2026-11-25T09:59:59Z", "old"), cluster);
        assert_eq!(at("2026-11-25T10:00:00Z", "new"), cluster);
        assert_eq!(at("2026-11-25T10:00:00Z", "old"), None);
        assert_eq!(at("2026-11-25T10:00:00Z", ""), None);
    }

    #[test]
    fn a_changed_or_deleted_secret_takes_its_tokens_with_it() {
        let mut index = Index::default();
        let now = Timestamp::UNIX_EPOCH;
        let known =
            |index: &Index, token: &str| index.cluster(&hash(token.as_bytes()), now).is_some();
        index.set(&secret("crt-token-a", &[("token", "one")]));
        index.set(&secret("other", &[("token", "foreign")]));
        assert!(known(&index, "one") && !known(&index, "foreign"));
        index.set(&secret("crt-token-a", &[("token", "two")]));
        assert!(!known(&index, "one") && known(&index, "two"));
        index.remove(&("c-abcde".to_owned(), "crt-token-a".to_owned()));
        assert!(!known(&index, "two"));
        assert!(index.tokens.is_empty());
    }
}
