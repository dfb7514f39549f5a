//! The end of a cluster: what we made goes, in the cluster and in the hub.
//!
//! Owns the two finalizers of a Cluster. In the cluster (reference 4.3):
//! roles, the agent and its namespace, project annotations, and webhooks
//! whose service goes with the namespace. In the hub: the cluster's
//! namespace with all in it, and tokens that were good for this cluster only.
//!
//! Invariants: only objects that [`leftovers`] recognises as ours are
//! touched; a cluster that cannot be reached delays its deletion for a
//! bounded time only; the agent's own rights go last, with its namespace.

pub mod leftovers;
pub mod removal;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use drover_auth::Clock;
use drover_types::condition;
use drover_types::management::{Cluster, Project, Token};
use drover_types::names::{GLOBAL_DATA_NAMESPACE, LOCAL_CLUSTER};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::api::ListParams;
use kube::{Api, Client};
use serde_json::json;

use self::leftovers::Leftovers;
use crate::clusters::{AGENT_FINALIZER, HUB_FINALIZER, is_marked};
use crate::downstream::Downstream;
use crate::plan::{Action, Plan, Reference, Site, Sites, chain};
use crate::projects;
use crate::runtime::{Controller, LookError};

/// How long a cluster that was connected once is waited for.
const WAIT_FOR_SESSION: Duration = Duration::from_secs(10);
/// How long a connected cluster may refuse before its deletion goes on.
const WAIT_FOR_SUCCESS: Duration = Duration::from_secs(30);
/// How long after we began to lead a cluster is waited for in any case: its agent was connected to whoever ended, and
/// all agents come back at once.
const WAIT_FOR_RETURN: Duration = Duration::from_secs(30);
/// Between tries (reference 4.3).
const BETWEEN_TRIES: Duration = Duration::from_secs(3);

/// What is left in the cluster.
#[derive(Clone, Debug)]
pub enum InCluster {
    /// It cannot be reached now.
    Away,
    /// It was reached but could not be read or cleaned.
    Failed(String),
    /// It was read.
    Read(Box<Leftovers>),
}

/// What is left in the hub.
#[derive(Clone, Debug, Default)]
pub struct InHub {
    /// The cluster's namespace.
    pub namespace: Option<Namespace>,
    /// Backing namespaces of its projects.
    pub backing: Vec<Namespace>,
    /// Tokens.
    pub tokens: Vec<Token>,
}

/// What a reconciliation reads.
#[derive(Debug)]
pub struct Observed<'a> {
    /// The Cluster, being deleted.
    pub cluster: &'a Cluster,
    /// What is left in the cluster.
    pub in_cluster: &'a InCluster,
    /// What is left in the hub.
    pub in_hub: &'a InHub,
    /// Since when this process looks after clusters.
    pub since: Timestamp,
}

/// Decides about one cluster that is being deleted.
#[must_use]
pub fn reconcile(observed: &Observed<'_>, now: Timestamp) -> Plan {
    let mut plan = Plan::default();
    let cluster = observed.cluster;
    let (Some(id), Some(deleted_at)) = (
        cluster.metadata.name.as_deref(),
        &cluster.metadata.deletion_timestamp,
    ) else {
        return plan;
    };
    if id == LOCAL_CLUSTER {
        return plan;
    }
    if has(cluster, AGENT_FINALIZER) {
        let wait = |limit: Duration| {
            let until = (deleted_at.0 + limit).max(observed.since + WAIT_FOR_RETURN);
            (now < until).then(|| now + BETWEEN_TRIES)
        };
        let was_connected = condition::find(&cluster.status.conditions, "Connected").is_some()
            || !cluster.status.driver.is_empty();
        let again = match observed.in_cluster {
            InCluster::Read(leftovers) => {
                plan.actions = removal::removal(id, leftovers);
                None
            }
            InCluster::Away if was_connected => wait(WAIT_FOR_SESSION),
            // It never had anything of ours.
            InCluster::Away => None,
            InCluster::Failed(_) => wait(WAIT_FOR_SUCCESS),
        };
        match again {
            Some(at) => plan.requeue(at),
            None => plan.actions.push(release(cluster, id, AGENT_FINALIZER)),
        }
        return plan;
    }
    if has(cluster, HUB_FINALIZER) {
        let hub = observed.in_hub;
        let going = |namespace: &&Namespace| {
            is_marked(namespace) && namespace.metadata.deletion_timestamp.is_none()
        };
        let namespaces = hub.backing.iter().chain(&hub.namespace).filter(going);
        plan.actions.extend(namespaces.map(|namespace| {
            let name = namespace.metadata.name.as_deref().unwrap_or_default();
            Action::delete(Site::Hub, Reference::new::<Namespace>(None, name))
        }));
        let tokens = hub.tokens.iter().filter(|token| token.cluster_name == id);
        plan.actions.extend(tokens.map(|token| {
            Action::delete(
                Site::Hub,
                Reference::new::<Token>(None, token.metadata.name.as_deref().unwrap_or_default()),
            )
        }));
        let credential = cluster.status.service_account_token_secret.as_str();
        if !credential.is_empty() {
            plan.actions.push(Action::delete(
                Site::Hub,
                Reference::new::<Secret>(Some(GLOBAL_DATA_NAMESPACE), credential),
            ));
        }
        plan.actions.push(release(cluster, id, HUB_FINALIZER));
    }
    plan
}

fn has(cluster: &Cluster, finalizer: &str) -> bool {
    cluster
        .metadata
        .finalizers
        .iter()
        .flatten()
        .any(|found| found == finalizer)
}

fn release(cluster: &Cluster, id: &str, finalizer: &str) -> Action {
    let left: Vec<_> = cluster
        .metadata
        .finalizers
        .iter()
        .flatten()
        .filter(|found| *found != finalizer)
        .collect();
    let patch = json!({ "metadata": { "resourceVersion": cluster.metadata.resource_version, "finalizers": left } });
    Action::patch(Site::Hub, Reference::new::<Cluster>(None, id), patch)
}

/// Looks after clusters that are being deleted; keys are cluster ids.
pub(crate) struct Cleanup {
    pub(crate) client: Client,
    pub(crate) downstream: Arc<dyn Downstream>,
    pub(crate) clock: Clock,
    /// Since when this process looks after clusters.
    pub(crate) since: Timestamp,
}

impl Cleanup {
    async fn read_cluster(&self, id: &str) -> (InCluster, Option<Client>) {
        if !self.downstream.connected(id) {
            return (InCluster::Away, None);
        }
        match self.downstream.client(id).await {
            Err(error) => (InCluster::Failed(error.to_string()), None),
            Ok(client) => match Leftovers::read(&client).await {
                Ok(leftovers) => (InCluster::Read(Box::new(leftovers)), Some(client)),
                Err(error) => (InCluster::Failed(chain(&error)), None),
            },
        }
    }

    async fn read_hub(&self, id: &str) -> Result<InHub, kube::Error> {
        let all = ListParams::default();
        let namespaces = Api::<Namespace>::all(self.client.clone());
        let all_projects = Api::<Project>::namespaced(self.client.clone(), id)
            .list(&all)
            .await?;
        let mut backing = Vec::new();
        for project in all_projects {
            let name = projects::backing(&project);
            backing.extend(namespaces.get_opt(&name).await?);
        }
        Ok(InHub {
            namespace: namespaces.get_opt(id).await?,
            backing,
            tokens: Api::<Token>::all(self.client.clone())
                .list(&all)
                .await?
                .items,
        })
    }
}

impl Controller for Cleanup {
    const NAME: &'static str = "cleanup";

    async fn look(&self, id: &str) -> Result<Option<Timestamp>, LookError> {
        let Some(cluster) = Api::<Cluster>::all(self.client.clone()).get_opt(id).await? else {
            return Ok(None);
        };
        if cluster.metadata.deletion_timestamp.is_none() || id == LOCAL_CLUSTER {
            return Ok(None);
        }
        let (in_cluster, client) = if has(&cluster, AGENT_FINALIZER) {
            self.read_cluster(id).await
        } else {
            (InCluster::Away, None)
        };
        let in_hub = if has(&cluster, AGENT_FINALIZER) {
            InHub::default()
        } else {
            self.read_hub(id).await?
        };
        let decide = |in_cluster: &InCluster| {
            reconcile(
                &Observed {
                    cluster: &cluster,
                    in_cluster,
                    in_hub: &in_hub,
                    since: self.since,
                },
                self.clock.now(),
            )
        };
        if let InCluster::Failed(reason) = &in_cluster {
            tracing::warn!(
                cluster = id,
                reason,
                "a cluster being deleted cannot be cleaned"
            );
        }
        let plan = decide(&in_cluster);
        let sites = Sites {
            hub: self.client.clone(),
            cluster: client,
        };
        match sites.execute(&plan).await {
            Ok(()) => Ok(plan.requeue_at),
            Err(error) if error.is_stale() || !matches!(in_cluster, InCluster::Read(_)) => {
                Err(error.into())
            }
            Err(error) => {
                // Refused by the cluster: bounded tries, then the deletion goes on.
                tracing::warn!(
                    cluster = id,
                    error = chain(&error),
                    "a cluster being deleted cannot be cleaned"
                );
                let plan = decide(&InCluster::Failed(chain(&error)));
                sites.execute(&plan).await?;
                Ok(plan.requeue_at)
            }
        }
    }
}
