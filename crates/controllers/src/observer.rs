//! What is seen through live sessions.
//!
//! Owns one observer per connected cluster: it asks for health and version,
//! follows nodes and pods, and notices when somebody touches our roles. What
//! it learns goes to the [`Board`]; triggers tell controllers to look.
//!
//! Invariants: an observer lives exactly as long as its cluster's session; an
//! absent cluster costs nothing; an inventory is published only when all
//! nodes were read.

mod inventory;
mod probe;

use std::collections::{BTreeSet, HashMap};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use drover_auth::Clock;
use drover_types::names::{CREATOR_LABEL, CREATOR_NORMAN, LOCAL_CLUSTER};
use k8s_openapi::api::core::v1::{
    Endpoints, LimitRange, Namespace, ResourceQuota, Secret, Service,
};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, RoleBinding};
use kube::Client;
use kube::runtime::watcher;
use parking_lot::Mutex;
use tokio::sync::{Notify, broadcast};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::downstream::Downstream;
use crate::facts::{Board, Deployed, Health, Session};
use crate::runtime::{Trigger, watch_metadata};

/// How often sessions are compared with observers, should a notice have been lost.
const COMPARE: Duration = Duration::from_secs(10);
/// Changes of quotas, or of a cluster's network, within this time are looked at together.
const CROWD: Duration = Duration::from_secs(2);
/// Changes of what Services lead to within this time are looked at together; traffic waits for it.
const SOON: Duration = Duration::from_millis(200);
/// The pause before a cluster that could not be reached is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// Whom to tell what was seen.
#[derive(Clone, Debug)]
pub(crate) struct Listeners {
    /// The Cluster's status may change.
    pub(crate) clusters: Trigger,
    /// Nodes may have changed.
    pub(crate) nodes: Trigger,
    /// The agent's manifest may be due.
    pub(crate) agent: Trigger,
    /// Roles may need repair.
    pub(crate) access: Trigger,
    /// Projects may have namespaces to take.
    pub(crate) projects: Trigger,
    pub(crate) quotas: Trigger,
    pub(crate) secrets: Trigger,
    pub(crate) isolation: Trigger,
    pub(crate) targets: Trigger,
}

/// The clusters there are, as the watch of Cluster objects says.
#[derive(Debug, Default)]
pub(crate) struct Known {
    ids: Mutex<BTreeSet<String>>,
    changed: Notify,
}

impl Known {
    /// Adds or removes a cluster.
    pub(crate) fn set(&self, id: &str, is_there: bool) {
        let mut ids = self.ids.lock();
        let changed = if is_there {
            ids.insert(id.to_owned())
        } else {
            ids.remove(id)
        };
        if changed {
            self.changed.notify_one();
        }
    }

    pub(crate) fn all(&self) -> Vec<String> {
        self.ids.lock().iter().cloned().collect()
    }

    fn has(&self, id: &str) -> bool {
        self.ids.lock().contains(id)
    }
}

/// All observers.
pub(crate) struct Observers {
    pub(crate) downstream: Arc<dyn Downstream>,
    pub(crate) local: Client,
    pub(crate) board: Arc<Board>,
    pub(crate) known: Arc<Known>,
    pub(crate) listeners: Listeners,
    pub(crate) clock: Clock,
}

struct Running {
    cancel: CancellationToken,
    poke: Arc<Notify>,
}

impl Observers {
    /// Keeps observers in step with sessions until shutdown.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let this = Arc::new(self);
        let mut changes = this.downstream.changes();
        let mut tasks: JoinSet<()> = JoinSet::new();
        let mut running: HashMap<String, Running> = HashMap::new();
        let mut compare = tokio::time::interval(COMPARE);
        loop {
            let ids = tokio::select! {
                () = shutdown.cancelled() => break,
                change = changes.recv() => match change {
                    Ok(id) => vec![id],
                    Err(broadcast::error::RecvError::Lagged(_)) => this.known.all(),
                    Err(broadcast::error::RecvError::Closed) => {
                        changes = this.downstream.changes();
                        tokio::time::sleep(RETRY).await;
                        continue;
                    }
                },
                () = this.known.changed.notified() => this.with_running(&running),
                _ = compare.tick() => this.with_running(&running),
                Some(_) = tasks.join_next() => continue,
            };
            for id in ids {
                this.compare(&id, &mut running, &mut tasks, &shutdown);
            }
        }
        for running in running.values() {
            running.cancel.cancel();
        }
        tasks.shutdown().await;
    }

    fn with_running(&self, running: &HashMap<String, Running>) -> Vec<String> {
        let mut ids = self.known.all();
        ids.extend(running.keys().filter(|id| !self.known.has(id)).cloned());
        ids
    }

    fn compare(
        self: &Arc<Self>,
        id: &str,
        running: &mut HashMap<String, Running>,
        tasks: &mut JoinSet<()>,
        shutdown: &CancellationToken,
    ) {
        let live = self.known.has(id) && (id == LOCAL_CLUSTER || self.downstream.connected(id));
        match (live, running.get(id)) {
            (true, Some(running)) => {
                // A session came back before its end was noticed, or a second one began.
                running.poke.notify_one();
            }
            (true, None) => {
                tracing::info!(cluster = id, "a session began");
                self.board.update(id, |facts| facts.session = Session::Live);
                let (cancel, poke) = (shutdown.child_token(), Arc::new(Notify::new()));
                tasks.spawn(Arc::clone(self).observe(
                    id.to_owned(),
                    cancel.clone(),
                    Arc::clone(&poke),
                ));
                running.insert(id.to_owned(), Running { cancel, poke });
                self.tell_all(id);
            }
            (false, Some(_)) => {
                tracing::info!(cluster = id, "the last session ended");
                if let Some(running) = running.remove(id) {
                    running.cancel.cancel();
                }
                let now = self.clock.now();
                self.board.update(id, |facts| {
                    facts.session = Session::Lost { since: now };
                    facts.health = Health::Unknown;
                    facts.version = None;
                    facts.inventory = None;
                    facts.summary = None;
                    facts.deployed = Deployed::Unknown;
                    facts.tls_strict = None;
                });
                self.tell_all(id);
            }
            (false, None) => {}
        }
    }

    fn tell_all(&self, id: &str) {
        self.listeners.clusters.now(id);
        self.listeners.agent.now(id);
        self.listeners.access.now(id);
        self.listeners.projects.now(id);
        self.listeners.quotas.now(id);
        self.listeners.secrets.now(id);
        self.listeners.isolation.now(id);
        self.listeners.targets.now(id);
    }

    async fn client(&self, id: &str) -> Result<Client, crate::downstream::Unreachable> {
        if id == LOCAL_CLUSTER {
            Ok(self.local.clone())
        } else {
            self.downstream.client(id).await
        }
    }

    /// Observes one cluster until its session ends.
    async fn observe(self: Arc<Self>, id: String, cancel: CancellationToken, poke: Arc<Notify>) {
        let watching = async {
            let mut n_failures = 0;
            loop {
                match self.client(&id).await {
                    Ok(client) => self.watch(&id, &client, &poke, &mut n_failures).await,
                    Err(error) => {
                        tracing::debug!(cluster = id, %error, "no client yet");
                        n_failures += 1;
                        self.failed(&id, n_failures, &error.to_string());
                    }
                }
                tokio::time::sleep(RETRY).await;
            }
        };
        tokio::select! {
            () = cancel.cancelled() => {}
            () = watching => {}
        }
    }

    /// Watches with one client until the cluster cannot be reached through it.
    async fn watch(&self, id: &str, client: &Client, poke: &Notify, n_failures: &mut u32) {
        // Nothing else is worth trying before the API answers.
        if !self.probe(id, client, 0, n_failures).await {
            return;
        }
        tokio::select! {
            () = self.keep_probing(id, client, poke, n_failures) => {}
            () = self.follow_inventory(id, client) => {}
            () = self.follow_ours(id, client) => {}
            () = self.follow_namespaces(id, client) => {}
            () = self.follow_network(id, client) => {}
            () = self.follow_names(id, client) => {}
        }
    }

    /// Asks for repair when what we made changes.
    async fn follow_ours(&self, id: &str, client: &Client) {
        let ours = format!("{CREATOR_LABEL}={CREATOR_NORMAN}");
        let quotas = format!("{}=true", crate::quotas::LABEL);
        let copies = crate::project_secrets::LABEL;
        let listeners = &self.listeners;
        let roles = || listeners.access.clone();
        // Kubernetes counts what is used in quotas, so that they change with every pod.
        let limits = || (listeners.quotas.clone(), CROWD);
        tokio::join!(
            follow::<ClusterRole>(id, client, &ours, (roles(), Duration::ZERO)),
            follow::<ClusterRoleBinding>(id, client, &ours, (roles(), Duration::ZERO)),
            follow::<RoleBinding>(id, client, &ours, (roles(), Duration::ZERO)),
            follow::<Secret>(
                id,
                client,
                copies,
                (listeners.secrets.clone(), Duration::ZERO)
            ),
            follow::<Service>(id, client, &ours, (listeners.targets.clone(), SOON)),
            follow::<ResourceQuota>(id, client, &quotas, limits()),
            follow::<LimitRange>(id, client, &quotas, limits()),
        );
    }

    /// Tells of services and policies of the network, as long as the cluster's projects are kept from each other.
    async fn follow_network(&self, id: &str, client: &Client) {
        let mut isolated = self.board.isolated();
        let told = || (self.listeners.isolation.clone(), CROWD);
        // The sender lives as long as the board.
        while isolated.wait_for(|all| all.contains(id)).await.is_ok() {
            tokio::select! {
                () = follow::<Service>(id, client, "", told()) => {}
                () = follow::<NetworkPolicy>(id, client, "", told()) => {}
                _ = isolated.wait_for(|all| !all.contains(id)) => {}
            }
        }
        std::future::pending().await
    }

    /// Tells of addresses, as long as names of the cluster stand for other names.
    async fn follow_names(&self, id: &str, client: &Client) {
        let mut named = self.board.named();
        // The sender lives as long as the board.
        while named.wait_for(|all| all.contains(id)).await.is_ok() {
            tokio::select! {
                () = follow::<Endpoints>(id, client, "", (self.listeners.targets.clone(), SOON)) => {}
                _ = named.wait_for(|all| !all.contains(id)) => {}
            }
        }
        std::future::pending().await
    }

    /// Has rights and quotas follow namespaces from project to project.
    fn follow_namespaces(&self, id: &str, client: &Client) -> impl Future<Output = ()> + Send {
        let (access, quotas, secrets, isolation) = (
            self.listeners.access.clone(),
            self.listeners.quotas.clone(),
            self.listeners.secrets.clone(),
            self.listeners.isolation.clone(),
        );
        let id = id.to_owned();
        watch_metadata::<Namespace>(
            client,
            watcher::Config::default(),
            move |_, _| {
                access.now(&id);
                quotas.now(&id);
                secrets.now(&id);
                isolation.within(&id, CROWD);
            },
            CancellationToken::new(),
        )
    }
}

/// Tells of changes to objects with some labels, or to all, within a time.
async fn follow<K>(id: &str, client: &Client, labels: &str, (told, within): (Trigger, Duration))
where
    K: kube::Resource<DynamicType = ()>,
{
    let mut config = watcher::Config::default();
    if !labels.is_empty() {
        config = config.labels(labels);
    }
    let id = id.to_owned();
    let tell = move |_: &_, _| told.within(&id, within);
    watch_metadata::<K>(client, config, tell, CancellationToken::new()).await;
}
