//! How to reach each cluster.
//!
//! Owns the watch-fed facts about clusters, the links to them (TLS, credential, warm connections) and the full-rights
//! clients of controllers. Sessions come from `drover_tunnel`'s registry; who may use a link is `proxy`'s business.
//!
//! Invariants: a link is used only while the facts it was made from hold; a deleted cluster's sessions are closed.

mod bounded;
mod connector;
mod link;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use drover_tunnel::{Change, Sessions};
use drover_types::management::Cluster;
use drover_types::names::{GLOBAL_DATA_NAMESPACE, LOCAL_CLUSTER, STEVE_PREFIX, is_object_name};
use futures::StreamExt;
use k8s_openapi::api::core::v1::Secret;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, ResourceExt};
use parking_lot::Mutex;
use thiserror::Error;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;
use tokio::time::error::Elapsed;
use tokio_util::task::TaskTracker;

use bounded::Ledger;
pub use bounded::{Allowance, Bounded};
pub(crate) use connector::Steve;
pub(crate) use link::Link;

use crate::chain::Chain;

/// The key of a service account's token in its Secret.
pub(crate) const CREDENTIAL_KEY: &str = "credential";

/// How long a request waits for the agent to come back after its last session ended. An agent that is replaced by
/// its Deployment is away for a moment; a client should not see that.
const RETURN: Duration = Duration::from_secs(5);

/// Why a cluster cannot be reached.
#[derive(Debug, Error)]
pub enum Unreachable {
    /// There is no such cluster.
    #[error("clusters.management.cattle.io \"{0}\" not found")]
    Unknown(String),
    /// No agent has registered it yet. The peer's text.
    #[error("cluster not provisioned")]
    NotProvisioned,
    /// No agent is connected. The peer's text.
    #[error("cluster agent disconnected")]
    Disconnected,
    /// What is known about the cluster is not usable.
    #[error("the cluster's {what} is not usable: {reason}")]
    Malformed {
        /// Which part.
        what: &'static str,
        /// Why.
        reason: String,
    },
    /// The store did not answer.
    #[error("the store did not answer")]
    Store(#[source] Box<kube::Error>),
}

impl From<kube::Error> for Unreachable {
    fn from(error: kube::Error) -> Self {
        Self::Store(Box::new(error))
    }
}

/// What a link is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) api_endpoint: String,
    pub(crate) ca_cert: String,
    pub(crate) secret: String,
}

impl Target {
    fn of(cluster: &Cluster) -> Self {
        Self {
            api_endpoint: cluster.status.api_endpoint.clone(),
            ca_cert: cluster.status.ca_cert.clone(),
            secret: cluster.status.service_account_token_secret.clone(),
        }
    }

    const fn provisioned(&self) -> bool {
        !self.api_endpoint.is_empty() && !self.secret.is_empty()
    }
}

/// Knows how to reach each cluster; clones are the same.
#[derive(Debug, Clone)]
pub struct Clusters {
    inner: Arc<Inner>,
}

struct Inner {
    local: kube::Client,
    store: kube::Client,
    sessions: Sessions,
    state: Mutex<State>,
    steve: Steve,
    tasks: TaskTracker,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Clusters").finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct State {
    /// Facts by cluster; empty until the watch has listed them all.
    targets: Option<HashMap<String, Arc<Target>>>,
    links: HashMap<String, Arc<Link>>,
    /// What the hub holds of the answers of each cluster.
    allowances: HashMap<String, Allowance>,
    /// What it holds of all of them.
    ledger: Ledger,
    /// When the last session of a cluster ended, for those that have none.
    departures: HashMap<String, Instant>,
    /// When this process began to follow clusters; before that, all of them may have been connected to another.
    started: Option<Instant>,
}

impl State {
    fn set(&mut self, name: &str, target: Target) {
        if self
            .links
            .get(name)
            .is_some_and(|link| *link.target() != target)
        {
            self.links.remove(name);
        }
        if let Some(targets) = &mut self.targets {
            targets.insert(name.to_owned(), Arc::new(target));
        }
    }
}

impl Clusters {
    /// Reaches clusters through `sessions`, and the local one through `local`; `client` holds their objects.
    ///
    /// Works at once; with [`Clusters::run`] running it also works without asking the store each time.
    #[must_use]
    pub fn new(local: kube::Client, sessions: Sessions, client: kube::Client) -> Self {
        let tasks = TaskTracker::new();
        let steve = Steve::new(sessions.clone(), tasks.clone());
        let inner = Inner {
            local,
            store: client,
            sessions,
            state: Mutex::default(),
            steve,
            tasks,
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Keeps the facts current until it is dropped; to be spawned once.
    pub async fn run(&self) {
        let clusters: Api<Cluster> = Api::all(self.inner.store.clone());
        let mut events = watcher(clusters, watcher::Config::default())
            .default_backoff()
            .boxed();
        let mut listed: HashMap<String, Arc<Target>> = HashMap::new();
        let mut changes = self.inner.sessions.changes();
        self.inner.state.lock().started = Some(Instant::now());
        loop {
            let event = tokio::select! {
                change = changes.recv() => {
                    self.note(change);
                    continue;
                }
                event = events.next() => event,
            };
            let Some(event) = event else { return };
            match event {
                Ok(watcher::Event::Init) => listed.clear(),
                Ok(watcher::Event::InitApply(cluster)) => {
                    listed.insert(cluster.name_any(), Arc::new(Target::of(&cluster)));
                }
                Ok(watcher::Event::InitDone) => self.replace(std::mem::take(&mut listed)),
                Ok(watcher::Event::Apply(cluster)) => {
                    self.inner
                        .state
                        .lock()
                        .set(&cluster.name_any(), Target::of(&cluster));
                }
                Ok(watcher::Event::Delete(cluster)) => self.remove(&cluster.name_any()),
                Err(error) => {
                    tracing::warn!(error = %Chain(&error), "watch of clusters broke, it will be retried")
                }
            }
        }
    }

    /// Remembers departures; what a lagging receiver missed only shortens somebody's wait.
    fn note(&self, change: Result<Change, RecvError>) {
        let Ok(Change { key, connected }) = change else {
            return;
        };
        let mut state = self.inner.state.lock();
        state.departures.retain(|_, left| left.elapsed() < RETURN);
        if connected {
            state.departures.remove(&key);
        } else {
            state.departures.insert(key, Instant::now());
        }
    }

    /// Waits for a session of a cluster that lost its last one a moment ago.
    async fn wait_for_return(&self, cluster: &str) -> Result<(), Unreachable> {
        let mut changes = self.inner.sessions.changes();
        let left = {
            let state = self.inner.state.lock();
            state.departures.get(cluster).copied().or(state.started)
        };
        let returned = async {
            while !self.inner.sessions.connected(cluster) {
                if matches!(changes.recv().await, Err(RecvError::Closed)) {
                    return;
                }
            }
        };
        if let Some(left) = left {
            // A passed deadline is the answer below.
            let _: Result<(), Elapsed> = tokio::time::timeout_at(left + RETURN, returned).await;
        }
        if self.inner.sessions.connected(cluster) {
            Ok(())
        } else {
            Err(Unreachable::Disconnected)
        }
    }

    #[cfg(test)]
    pub(crate) fn departed(&self, cluster: &str) -> bool {
        self.inner.state.lock().departures.contains_key(cluster)
    }

    fn replace(&self, listed: HashMap<String, Arc<Target>>) {
        let gone: Vec<String> = {
            let mut state = self.inner.state.lock();
            state.links.retain(|name, link| {
                listed
                    .get(name)
                    .is_some_and(|target| **target == *link.target())
            });
            let before = state.targets.take().unwrap_or_default();
            let gone = before
                .into_keys()
                .filter(|name| !listed.contains_key(name))
                .collect();
            state.targets = Some(listed);
            gone
        };
        for name in gone {
            self.remove(&name);
        }
    }

    fn remove(&self, name: &str) {
        {
            let mut state = self.inner.state.lock();
            state.links.remove(name);
            state.allowances.remove(name);
            if let Some(targets) = &mut state.targets {
                targets.remove(name);
            }
        }
        for key in [name.to_owned(), format!("{STEVE_PREFIX}{name}")] {
            for session in self.inner.sessions.all(&key) {
                session.close("the cluster was deleted");
            }
        }
    }

    /// Closes the sessions of a cluster that is not there any more.
    pub(crate) async fn end_if_gone(&self, cluster: &str) {
        let clusters: Api<Cluster> = Api::all(self.inner.store.clone());
        match clusters.get_opt(cluster).await {
            Ok(Some(_)) => {}
            Ok(None) => self.remove(cluster),
            Err(error) => {
                tracing::warn!(%cluster, error = %Chain(&error), "cannot tell whether a connected cluster is still there")
            }
        }
    }

    /// A client with full rights in the cluster, for copies. That of the local cluster gives up what falls silent: who uses
    /// it asks for bookmarks.
    ///
    /// # Errors
    /// When the cluster is unknown, has never been connected or is not connected now.
    pub async fn client(&self, cluster: &str) -> Result<kube::Client, Unreachable> {
        if cluster == LOCAL_CLUSTER {
            return Ok(self.inner.store.clone());
        }
        Ok(self.link(cluster).await?.client())
    }

    /// The same, for controllers: its requests share one connection where the cluster's API server speaks HTTP/2, which
    /// is a tenth of what their dozen watches take one by one. Whoever uses it reads its answers as they come, and keeps
    /// few of them open: API servers allow a hundred at once (kube-apiserver `--http2-max-streams-per-connection`), and
    /// more would wait for each other.
    ///
    /// # Errors
    /// As [`Clusters::client`].
    pub async fn sharing_client(&self, cluster: &str) -> Result<kube::Client, Unreachable> {
        if cluster == LOCAL_CLUSTER {
            return Ok(self.inner.store.clone());
        }
        Ok(self.link(cluster).await?.sharing())
    }

    /// How much of the cluster's answers the hub itself may hold: for clients that keep whole answers in memory.
    #[must_use]
    pub fn allowance(&self, cluster: &str) -> Allowance {
        let mut state = self.inner.state.lock();
        let known = state
            .targets
            .as_ref()
            .is_some_and(|targets| targets.contains_key(cluster));
        if !known {
            // Nobody's yet; names that somebody makes up are not remembered.
            return Allowance::new(&state.ledger);
        }
        let State {
            allowances, ledger, ..
        } = &mut *state;
        allowances
            .entry(cluster.to_owned())
            .or_insert_with(|| Allowance::new(ledger))
            .clone()
    }

    /// Whether the cluster has a live session; the local one always counts as connected.
    #[must_use]
    pub fn connected(&self, cluster: &str) -> bool {
        cluster == LOCAL_CLUSTER || self.inner.sessions.connected(cluster)
    }

    /// The sessions all this goes through.
    #[must_use]
    pub fn sessions(&self) -> &Sessions {
        &self.inner.sessions
    }

    /// Whether there is such a cluster.
    pub(crate) async fn check_exists(&self, cluster: &str) -> Result<(), Unreachable> {
        self.target(cluster).await.map(|_| ())
    }

    pub(crate) fn local(&self) -> &kube::Client {
        &self.inner.local
    }

    pub(crate) fn steve(&self) -> &Steve {
        &self.inner.steve
    }

    /// The link to a connected cluster.
    pub(crate) async fn link(&self, cluster: &str) -> Result<Arc<Link>, Unreachable> {
        let target = self.target(cluster).await?;
        if !target.provisioned() {
            return Err(Unreachable::NotProvisioned);
        }
        if !self.inner.sessions.connected(cluster) {
            self.wait_for_return(cluster).await?;
        }
        let session = self.inner.sessions.get(cluster);
        if let Some(link) = self.inner.state.lock().links.get(cluster)
            && *link.target() == *target
            && link.is_over(session.as_ref())
        {
            return Ok(Arc::clone(link));
        }
        let credential = self.credential(&target.secret).await?;
        let link = Link::new(
            cluster,
            target,
            session,
            &credential,
            &link::Ways {
                sessions: self.inner.sessions.clone(),
                tasks: self.inner.tasks.clone(),
                allowance: self.allowance(cluster),
            },
        )?;
        let link = Arc::new(link);
        self.inner
            .state
            .lock()
            .links
            .insert(cluster.to_owned(), Arc::clone(&link));
        Ok(link)
    }

    /// Forgets the link, so that the next request reads the credential anew.
    pub(crate) fn forget(&self, cluster: &str) {
        self.inner.state.lock().links.remove(cluster);
    }

    /// The cluster did not accept the link's credential: reads it anew, at most once for that link.
    pub(crate) fn refused(&self, link: &Link) {
        if link.take_refusal() {
            self.forget(link.cluster());
        }
    }

    /// What was written a moment ago by ourselves, ahead of the watch.
    pub(crate) fn learn(&self, cluster: &Cluster) {
        self.inner
            .state
            .lock()
            .set(&cluster.name_any(), Target::of(cluster));
    }

    async fn target(&self, cluster: &str) -> Result<Arc<Target>, Unreachable> {
        // It becomes part of a path below, where some letters would lead elsewhere.
        if !is_object_name(cluster) {
            return Err(Unreachable::Unknown(cluster.to_owned()));
        }
        let known = self
            .inner
            .state
            .lock()
            .targets
            .as_ref()
            .and_then(|targets| targets.get(cluster).cloned());
        if let Some(target) = known
            && target.provisioned()
        {
            return Ok(target);
        }
        // Not known, or not registered yet: the watch may be behind.
        let clusters: Api<Cluster> = Api::all(self.inner.store.clone());
        match clusters.get_opt(cluster).await? {
            None => Err(Unreachable::Unknown(cluster.to_owned())),
            Some(object) => Ok(Arc::new(Target::of(&object))),
        }
    }

    async fn credential(&self, secret: &str) -> Result<String, Unreachable> {
        let secrets: Api<Secret> = Api::namespaced(self.inner.store.clone(), GLOBAL_DATA_NAMESPACE);
        let missing = |reason: &str| Unreachable::Malformed {
            what: "credential",
            reason: reason.to_owned(),
        };
        let secret = secrets
            .get_opt(secret)
            .await?
            .ok_or_else(|| missing("its Secret is missing"))?;
        let value = secret
            .data
            .and_then(|mut data| data.remove(CREDENTIAL_KEY))
            .ok_or_else(|| missing("its Secret is empty"))?;
        String::from_utf8(value.0).map_err(|_| missing("its Secret holds no text"))
    }
}
