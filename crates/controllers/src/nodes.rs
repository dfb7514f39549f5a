//! The hub's Node objects: what the nodes of managed clusters are and carry.
//!
//! Owns Node objects in the clusters' namespaces, made from what observers
//! read (`recorded/http/03-clusters.txt`, `GET /v3/nodes`).
//!
//! Invariants: a Node goes only when all nodes of its cluster were read and it
//! was not among them; a heartbeat alone writes nothing.

mod load;
mod summary;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use drover_types::condition::{Condition, Status};
use drover_types::management::{Cluster, Node};
use jiff::Timestamp;
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::api::ListParams;
use kube::{Api, Client};
use serde_json::{Map, Value, json};

pub use load::{Exposed, Load};
pub(crate) use load::{Pod, exposed, is_new, of_pod, pod_resource};
pub use summary::Summary;
pub(crate) use summary::summarize;

use crate::facts::{Board, Inventory};
use crate::plan::{Action, Plan, Reference, Site, Sites};
use crate::runtime::{Controller, LookError};

/// Label with the node's name in its cluster.
const NODE_NAME_LABEL: &str = "management.cattle.io/nodename";
/// Prefix of Node objects' names.
const PREFIX: &str = "machine-";
/// Annotations that Rancher's agent writes about pods; the figures are in the status already.
const POD_ANNOTATIONS: &str = "management.cattle.io/pod-";

/// What a node does for its cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Roles {
    pub(crate) control_plane: bool,
    pub(crate) etcd: bool,
    pub(crate) worker: bool,
}

/// Roles by label; a node without any is a worker (reference 5).
pub(crate) fn roles(node: &core::Node) -> Roles {
    let labels = node.metadata.labels.as_ref();
    let has = |role: &str| {
        labels.is_some_and(|labels| labels.contains_key(&format!("node-role.kubernetes.io/{role}")))
    };
    let control_plane = has("controlplane") || has("control-plane");
    let etcd = has("etcd");
    Roles {
        control_plane,
        etcd,
        worker: has("worker") || !(control_plane || etcd),
    }
}

/// Decides about the Node objects of one cluster.
///
/// `inventory` is `None` when not all nodes were read in this session; then nothing changes.
#[must_use]
pub fn reconcile(cluster: &Cluster, inventory: Option<&Inventory>, known: &[Node]) -> Plan {
    let mut plan = Plan::default();
    let Some(inventory) = inventory else {
        return plan;
    };
    let Some(id) = cluster.metadata.name.as_deref() else {
        return plan;
    };
    if cluster.metadata.deletion_timestamp.is_some() {
        return plan;
    }
    let mut taken: BTreeSet<&str> = known
        .iter()
        .filter_map(|node| node.metadata.name.as_deref())
        .collect();
    let mut by_node: BTreeMap<&str, &Node> = BTreeMap::new();
    for node in known {
        let surplus = !inventory.nodes.contains_key(&node.status.node_name)
            || by_node.insert(&node.status.node_name, node).is_some();
        // A Node that names no node of the cluster yet is somebody's request for one.
        if surplus && !node.status.node_name.is_empty() {
            plan.actions.push(delete(id, node));
        }
    }
    let mut names = Vec::new();
    for (name, seen) in &inventory.nodes {
        let load = inventory.loads.get(name);
        match by_node.get(name.as_str()) {
            Some(node) => plan.actions.extend(update(node, seen, load)),
            None => {
                let free = (0..).map(|n| {
                    format!(
                        "{PREFIX}{}",
                        crate::random::suffix(&format!("{id}/{name}/{n}"))
                    )
                });
                let free = free
                    .into_iter()
                    .find(|free| !taken.contains(free.as_str()) && !names.contains(free))
                    .unwrap_or_default();
                plan.actions.push(Action::create(
                    Site::Hub,
                    &make(cluster, id, &free, name, seen, load),
                ));
                names.push(free);
            }
        }
    }
    taken.clear();
    plan
}

fn delete(id: &str, node: &Node) -> Action {
    let target =
        Reference::new::<Node>(Some(id), node.metadata.name.as_deref().unwrap_or_default());
    Action::Delete {
        site: Site::Hub,
        target,
        uid: node.metadata.uid.clone(),
    }
}

fn make(
    cluster: &Cluster,
    id: &str,
    object: &str,
    name: &str,
    seen: &core::Node,
    load: Option<&Load>,
) -> Node {
    let mut node = Node::named(object);
    node.metadata = ObjectMeta {
        name: Some(object.to_owned()),
        namespace: Some(id.to_owned()),
        labels: Some([(NODE_NAME_LABEL.to_owned(), name.to_owned())].into()),
        owner_references: cluster.metadata.uid.as_ref().map(|uid| {
            vec![OwnerReference {
                api_version: cluster.api_version.clone(),
                kind: cluster.kind.clone(),
                name: id.to_owned(),
                uid: uid.clone(),
                ..OwnerReference::default()
            }]
        }),
        ..ObjectMeta::default()
    };
    name.clone_into(&mut node.spec.requested_hostname);
    fill(&mut node, seen, load);
    node
}

/// Puts the Node if more than heartbeats changed.
fn update(node: &Node, seen: &core::Node, load: Option<&Load>) -> Option<Action> {
    let mut changed = node.clone();
    fill(&mut changed, seen, load);
    if without_heartbeats(node) == without_heartbeats(&changed) {
        return None;
    }
    Some(Action::replace(Site::Hub, &changed))
}

fn without_heartbeats(node: &Node) -> Node {
    let mut node = node.clone();
    let conditions = node
        .status
        .other
        .get_mut("internalNodeStatus")
        .and_then(|status| status.get_mut("conditions"));
    for condition in conditions
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        if let Some(condition) = condition.as_object_mut() {
            condition.remove("lastHeartbeatTime");
        }
    }
    node
}

fn fill(node: &mut Node, seen: &core::Node, load: Option<&Load>) {
    let name = seen.metadata.name.clone().unwrap_or_default();
    let roles = roles(seen);
    node.spec.control_plane = roles.control_plane;
    node.spec.etcd = roles.etcd;
    node.spec.worker = roles.worker;
    put(&mut node.spec.other, "internalNodeSpec", seen.spec.as_ref());
    put(
        &mut node.status.other,
        "internalNodeStatus",
        seen.status.as_ref(),
    );
    put(
        &mut node.status.other,
        "nodeLabels",
        seen.metadata.labels.as_ref(),
    );
    let annotations: Map<String, Value> = seen
        .metadata
        .annotations
        .iter()
        .flatten()
        .filter(|(name, _)| !name.starts_with(POD_ANNOTATIONS))
        .map(|(name, value)| (name.clone(), json!(value)))
        .collect();
    put(
        &mut node.status.other,
        "nodeAnnotations",
        Some(&annotations).filter(|annotations| !annotations.is_empty()),
    );
    node.status.node_name = name;
    node.status.conditions = conditions(seen);
    let load = load.copied().unwrap_or_default();
    node.status.requested = load.requested();
    node.status.limits = load.limits();
}

fn put<T: serde::Serialize>(map: &mut Map<String, Value>, name: &str, value: Option<&T>) {
    match value.and_then(|value| serde_json::to_value(value).ok()) {
        Some(value) => map.insert(name.to_owned(), value),
        None => map.remove(name),
    };
}

/// The node's own conditions as the hub words them: readiness, with its time as Go prints times, and registration.
fn conditions(seen: &core::Node) -> Vec<Condition> {
    let mut conditions = Vec::new();
    let all = seen
        .status
        .iter()
        .flat_map(|status| status.conditions.iter().flatten());
    if let Some(ready) = all.into_iter().find(|condition| condition.type_ == "Ready") {
        let time = ready
            .last_transition_time
            .as_ref()
            .map(|time| time.0.strftime("%Y-%m-%d %H:%M:%S +0000 UTC").to_string());
        conditions.push(Condition {
            kind: "Ready".to_owned(),
            status: ready.status.clone(),
            last_transition_time: time.unwrap_or_default(),
            reason: ready.reason.clone().unwrap_or_default(),
            message: ready.message.clone().unwrap_or_default(),
            ..Condition::default()
        });
    }
    conditions.push(Condition {
        kind: "Registered".to_owned(),
        status: Status::True.as_str().to_owned(),
        message: "registered with kubernetes".to_owned(),
        ..Condition::default()
    });
    conditions
}

/// A node without what nobody asks the hub for: images, volumes, field ownership.
pub(crate) fn trimmed(mut node: core::Node) -> core::Node {
    node.metadata.managed_fields = None;
    if let Some(status) = &mut node.status {
        status.images = None;
        status.volumes_attached = None;
        status.volumes_in_use = None;
    }
    node
}

/// Looks after Node objects; keys are cluster ids.
pub(crate) struct Nodes {
    pub(crate) client: Client,
    pub(crate) board: Arc<Board>,
}

impl Controller for Nodes {
    const NAME: &'static str = "nodes";

    async fn look(&self, id: &str) -> Result<Option<Timestamp>, LookError> {
        let facts = self.board.get(id);
        let Some(inventory) = facts.inventory else {
            return Ok(None);
        };
        let Some(cluster) = Api::<Cluster>::all(self.client.clone()).get_opt(id).await? else {
            return Ok(None);
        };
        let known = Api::<Node>::namespaced(self.client.clone(), id)
            .list(&ListParams::default())
            .await?;
        let plan = reconcile(&cluster, Some(&inventory), &known.items);
        Sites::hub(&self.client).execute(&plan).await?;
        Ok(plan.requeue_at)
    }
}
