//! Turns the credentials of a request into an [`Identity`].
//!
//! Tokens, users and group memberships are read from watch-fed mirrors. A token
//! the watch has not shown yet is asked for directly, so that it works the
//! moment its creation was acknowledged; such an answer serves one request and
//! is never kept, so that nothing outlives its deletion.
//!
//! One SHA3 block per request (about a microsecond) needs no cache of verified keys. A key that an old peer keeps as
//! scrypt is kept anew once it was given ([`costly`]).

mod costly;
mod credentials;
mod feeder;
mod lifetime;
mod watchers;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use drover_types::management::{Token, User};
use http::StatusCode;
use http::request::Parts;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, broadcast, mpsc};

use crate::ext;
use crate::freshness::Freshness;
use crate::identity::{GROUP_AUTHENTICATED, GROUP_CATTLE_AUTHENTICATED, TokenRef};
use crate::mirror::Mirror;
use crate::people::Person;
use crate::settings::Settings;
use crate::token::{self, Record};
use crate::web::{self, ApiError};
use crate::{Clock, Entropy, Identity, UserId};

use costly::Costly;
pub(crate) use credentials::routed_cluster;
pub(crate) use feeder::Feeder;

/// How many direct questions to the store may be under way at once; the rest wait their turn.
const LOOKUPS: usize = 32;
/// Revocations kept for slow listeners; one that lags behind further asks anew.
const REVOCATIONS: usize = 1024;
/// Notes "token used" waiting to be written; more are dropped, the next use makes the next note.
const USES: usize = 256;
/// How long the watch may take to show a change of a user before somebody is told.
const WATCH_LAG: Duration = Duration::from_secs(2);
/// A token's last use is written at most this often.
const USE_INTERVAL: SignedDuration = SignedDuration::from_secs(60);

/// Something that makes running requests of an identity end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revocation {
    /// The token was deleted or disabled.
    Token(String),
    /// The user was deleted, disabled, or is a member of fewer groups; its requests must be authenticated anew.
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
    /// What is known of tokens and people is older than [`LONGEST_SILENCE`](crate::LONGEST_SILENCE), which is nothing to
    /// let anybody in by.
    #[error("the store has not been heard of for {} seconds", .0.as_secs())]
    Silent(Duration),
}

impl AuthError {
    /// The answer to the caller: the 401 form, or 503 when the store is away.
    #[must_use]
    pub fn into_response(self) -> web::Response {
        match self {
            Self::Refused => web::unauthorized(),
            Self::Store(error) => ApiError::from(error).into_response(),
            Self::Silent(silence) => ApiError::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "ServerError",
                format!(
                    "this server has not heard from its Kubernetes API for {} seconds and cannot tell which tokens and rights still hold; try again later, or another replica",
                    silence.as_secs()
                ),
            )
            .into_response(),
        }
    }
}

/// Checks credentials against watch-fed tokens, users and settings. Cheap to clone.
#[derive(Clone)]
pub struct Authenticator(Arc<Inner>);

struct Inner {
    client: Client,
    clock: Clock,
    settings: Settings,
    freshness: Freshness,
    tokens: Mirror<Record>,
    /// Tokens of `ext.cattle.io`, by the keys of their Secrets.
    ext_tokens: Mirror<Record>,
    people: Mirror<Person>,
    memberships: Mirror<BTreeSet<String>>,
    lookups: Semaphore,
    costly: Costly,
    revocations: broadcast::Sender<Revocation>,
    uses: mpsc::Sender<(String, Timestamp)>,
    used: Mutex<HashMap<String, Timestamp>>,
}

impl fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticator")
            .field("tokens", &self.0.tokens)
            .finish_non_exhaustive()
    }
}

impl Authenticator {
    pub(crate) fn new(
        client: Client,
        clock: Clock,
        entropy: Entropy,
        settings: Settings,
        freshness: Freshness,
    ) -> (Self, Feeder) {
        let (uses, written) = mpsc::channel(USES);
        let authenticator = Self(Arc::new(Inner {
            client,
            clock,
            settings,
            freshness,
            tokens: Mirror::new(),
            ext_tokens: Mirror::new(),
            people: Mirror::new(),
            memberships: Mirror::new(),
            lookups: Semaphore::new(LOOKUPS),
            costly: Costly::new(entropy),
            revocations: broadcast::Sender::new(REVOCATIONS),
            uses,
            used: Mutex::new(HashMap::new()),
        }));
        (
            authenticator.clone(),
            Feeder {
                authenticator,
                uses: written,
            },
        )
    }

    /// Completes once tokens, users and memberships have been read for the first time. Before that, credentials are
    /// looked up one by one, and group memberships are not known.
    pub async fn ready(&self) {
        self.0.tokens.ready().await;
        self.0.ext_tokens.ready().await;
        self.0.people.ready().await;
        self.0.memberships.ready().await;
    }

    /// The identity behind `Authorization: Bearer name:key`, `Basic name:key` or the cookie `R_SESS`.
    /// `None`: the request carries no credentials.
    ///
    /// # Errors
    /// [`AuthError::Refused`] for credentials that do not hold (also a cluster-scoped token on a path that is not
    /// that cluster's), [`AuthError::Store`] when the store cannot be asked, [`AuthError::Silent`] when it has not been heard
    /// of for long.
    pub async fn authenticate(&self, parts: &Parts) -> Result<Option<Identity>, AuthError> {
        let Some((name, key)) = credentials::find(&parts.headers)? else {
            return Ok(None);
        };
        if let Some(silence) = self.0.freshness.too_silent() {
            return Err(AuthError::Silent(silence));
        }
        let identity = self.verify(name.as_ref(), key.as_ref()).await?;
        if !identity.may_reach(routed_cluster(parts.uri.path())) {
            tracing::debug!(token = %name, "token is not good for this path");
            return Err(AuthError::Refused);
        }
        Ok(Some(identity))
    }

    async fn verify(&self, name: &str, key: &str) -> Result<Identity, AuthError> {
        let now = self.0.clock.now();
        let record = self.token(name).await?.ok_or(AuthError::Refused)?;
        if !record.is_live(now, token::idle_limit(&self.0.settings))
            || !self.has_key(&record, key).await?
        {
            return Err(AuthError::Refused);
        }
        let person = self
            .person(&record.user)
            .await?
            .filter(|person| person.enabled)
            .ok_or(AuthError::Refused)?;
        self.note_use(&record, now);
        Ok(self.identity(&person, Some(&record)))
    }

    /// The identity of a user, with the groups it holds now.
    pub(crate) fn identity(&self, person: &Person, record: Option<&Record>) -> Identity {
        let mut groups = self
            .0
            .memberships
            .get(person.id.as_str())
            .map(|groups| (*groups).clone())
            .unwrap_or_default();
        groups.insert(GROUP_AUTHENTICATED.to_owned());
        groups.insert(GROUP_CATTLE_AUTHENTICATED.to_owned());
        let mut principals = person.principals.clone();
        let local = person.id.local_principal();
        if !principals.contains(&local) {
            principals.push(local);
        }
        let mut extras = BTreeMap::from([("principalid".to_owned(), principals.clone())]);
        if !person.username.is_empty() {
            extras.insert("username".to_owned(), vec![person.username.clone()]);
        }
        if let Some(record) = record {
            let name = record.name.strip_prefix(ext::PREFIX);
            let name = name.unwrap_or(&record.name).to_owned();
            extras.insert("requesttokenid".to_owned(), vec![name]);
        }
        Identity {
            user: person.id.clone(),
            username: person.username.clone(),
            display_name: person.display_name.clone(),
            principals,
            groups,
            token: record.map(|record| TokenRef {
                name: record.name.clone(),
                cluster: record.cluster.clone(),
                kind: record.kind.clone(),
                derived: record.derived,
            }),
            extras,
        }
    }

    async fn token(&self, name: &str) -> Result<Option<Arc<Record>>, AuthError> {
        if let Some(name) = name.strip_prefix(ext::PREFIX) {
            return self.ext_token(name).await;
        }
        if let Some(record) = self.0.tokens.get(name) {
            return Ok(Some(record));
        }
        let record = self.lookup::<Token>(name).await?.map(Record::of);
        Ok(record
            .filter(|record| !self.0.tokens.is_buried(&record.uid))
            .map(Arc::new))
    }

    async fn ext_token(&self, name: &str) -> Result<Option<Arc<Record>>, AuthError> {
        if let Some(record) = self.0.ext_tokens.get(&ext_key(name)) {
            return Ok(Some(record));
        }
        let secrets = Api::<Secret>::namespaced(self.0.client.clone(), ext::NAMESPACE);
        let record = self.lookup_in(&secrets, name).await?;
        let record = record.map(|secret| ext::record(&secret));
        Ok(record
            .filter(|record| !self.0.ext_tokens.is_buried(&record.uid))
            .map(Arc::new))
    }

    pub(crate) async fn person(&self, id: &UserId) -> Result<Option<Arc<Person>>, AuthError> {
        if let Some(person) = self.0.people.get(id.as_str()) {
            return Ok(Some(person));
        }
        let person = self.lookup::<User>(id.as_str()).await?.map(Person::of);
        Ok(person
            .filter(|person| !self.0.people.is_buried(&person.uid))
            .map(Arc::new))
    }

    /// A user by login name, as far as the watch has shown it.
    pub(crate) fn by_username(&self, username: &str) -> Option<Arc<Person>> {
        if username.is_empty() {
            return None;
        }
        self.0.people.find(|person| person.username == username)
    }

    async fn lookup<K>(&self, name: &str) -> Result<Option<K>, AuthError>
    where
        K: kube::Resource<DynamicType = (), Scope = k8s_openapi::ClusterResourceScope>
            + Clone
            + serde::de::DeserializeOwned
            + fmt::Debug,
    {
        self.lookup_in(&Api::all(self.0.client.clone()), name).await
    }

    async fn lookup_in<K>(&self, api: &Api<K>, name: &str) -> Result<Option<K>, AuthError>
    where
        K: kube::Resource<DynamicType = ()> + Clone + serde::de::DeserializeOwned + fmt::Debug,
    {
        let Ok(_permit) = self.0.lookups.acquire().await else {
            return Ok(None);
        };
        match api.get_opt(name).await {
            Ok(found) => Ok(found.filter(|found| found.meta().deletion_timestamp.is_none())),
            // What the store cannot say anything sensible about is not a credential.
            Err(kube::Error::SerdeError(error)) => {
                tracing::warn!(%name, %error, "object left out, it cannot be understood");
                Ok(None)
            }
            Err(error) => Err(AuthError::Store(error)),
        }
    }

    fn note_use(&self, record: &Record, now: Timestamp) {
        let recent = |used: Timestamp| now.duration_since(used) < USE_INTERVAL;
        if record.last_used.is_some_and(recent) {
            return;
        }
        let mut used = self.0.used.lock();
        if used.get(&record.name).copied().is_some_and(recent) {
            return;
        }
        if self.0.uses.try_send((record.name.clone(), now)).is_ok() {
            used.insert(record.name.clone(), now);
        }
    }
}

/// Where the mirror has a token of `ext.cattle.io`.
fn ext_key(name: &str) -> String {
    format!("{}/{name}", ext::NAMESPACE)
}

#[cfg(test)]
mod tests;
