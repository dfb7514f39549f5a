//! Nodes and what their pods ask for, followed by watches.
//!
//! Owns the two watches and how often their state is published: nodes within
//! a second, pods every ten (reference 5: sums at least 10 s apart).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Node;
use kube::api::Api;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Client, ResourceExt as _};
use tokio::time::Instant;

use super::{CROWD, Observers, SOON};
use crate::facts::Inventory;
use crate::nodes::{Exposed, Load, Pod, exposed, is_new, of_pod, pod_resource, summarize, trimmed};
use crate::plan::chain;

/// Changes within this time are published together.
const SETTLE: Duration = Duration::from_millis(200);
/// Between publications for nodes' sake.
const NODES: Duration = Duration::from_secs(1);
/// Between publications for pods' sake.
const PODS: Duration = Duration::from_secs(10);

/// A pod on a node.
#[derive(Clone, PartialEq)]
struct Placed {
    node: String,
    load: Load,
    exposed: Option<Exposed>,
}

impl Placed {
    fn of(pod: &Pod) -> Option<Self> {
        let (node, load) = of_pod(pod)?;
        let exposed = exposed(pod);
        Some(Self {
            node,
            load,
            exposed,
        })
    }
}

/// What the watches have told so far.
#[derive(Default)]
struct Seen {
    nodes: Option<BTreeMap<String, Node>>,
    /// Pods by uid.
    pods: Option<HashMap<String, Placed>>,
    /// Lists in progress.
    new_nodes: BTreeMap<String, Node>,
    new_pods: HashMap<String, Placed>,
}

impl Seen {
    /// Answers whether more than a heartbeat changed.
    fn node(&mut self, event: watcher::Event<Node>) -> bool {
        match event {
            watcher::Event::Init => self.new_nodes.clear(),
            watcher::Event::InitApply(node) => {
                let node = trimmed(node);
                self.new_nodes.insert(node.name_any(), node);
            }
            watcher::Event::InitDone => {
                self.nodes = Some(std::mem::take(&mut self.new_nodes));
                return true;
            }
            watcher::Event::Apply(node) => {
                let node = trimmed(node);
                let Some(nodes) = &mut self.nodes else {
                    return false;
                };
                let before = nodes.insert(node.name_any(), node.clone());
                return before.map(quiet) != Some(quiet(node));
            }
            watcher::Event::Delete(node) => {
                return self
                    .nodes
                    .as_mut()
                    .is_some_and(|nodes| nodes.remove(&node.name_any()).is_some());
            }
        }
        false
    }

    fn pod(&mut self, event: watcher::Event<Pod>) -> bool {
        let key = |pod: &Pod| pod.metadata.uid.clone().unwrap_or_default();
        match event {
            watcher::Event::Init => self.new_pods.clear(),
            watcher::Event::InitApply(pod) => {
                if let Some(placed) = Placed::of(&pod) {
                    self.new_pods.insert(key(&pod), placed);
                }
            }
            watcher::Event::InitDone => {
                self.pods = Some(std::mem::take(&mut self.new_pods));
                return true;
            }
            watcher::Event::Apply(pod) => {
                let Some(pods) = &mut self.pods else {
                    return false;
                };
                return match Placed::of(&pod) {
                    Some(placed) => pods.insert(key(&pod), placed.clone()) != Some(placed),
                    None => pods.remove(&key(&pod)).is_some(),
                };
            }
            watcher::Event::Delete(pod) => {
                return self
                    .pods
                    .as_mut()
                    .is_some_and(|pods| pods.remove(&key(&pod)).is_some());
            }
        }
        false
    }

    /// All nodes, if all were read; without pods as long as those were not.
    fn inventory(&self) -> Option<Inventory> {
        let nodes = self.nodes.clone()?;
        let mut loads: BTreeMap<String, Load> = BTreeMap::new();
        for pod in self.pods.iter().flat_map(HashMap::values) {
            let sum = loads.entry(pod.node.clone()).or_default();
            *sum = sum.plus(pod.load);
        }
        let exposed = self.pods.as_ref().map(|pods| {
            let mut exposed: Vec<_> = pods
                .values()
                .filter_map(|pod| pod.exposed.clone())
                .collect();
            exposed.sort_unstable();
            exposed
        });
        Some(Inventory {
            nodes,
            loads,
            exposed,
        })
    }
}

/// A node without the times of its heartbeats and its version.
fn quiet(mut node: Node) -> Node {
    node.metadata.resource_version = None;
    let conditions = node
        .status
        .as_mut()
        .and_then(|status| status.conditions.as_mut());
    for condition in conditions.into_iter().flatten() {
        condition.last_heartbeat_time = None;
    }
    node
}

impl Observers {
    /// Follows nodes and pods for as long as it is polled.
    pub(super) async fn follow_inventory(&self, id: &str, client: &Client) {
        let nodes = Api::<Node>::all(client.clone());
        let pods = Api::<Pod>::all_with(client.clone(), &pod_resource());
        let mut nodes =
            std::pin::pin!(watcher(nodes, watcher::Config::default()).default_backoff());
        let mut pods = std::pin::pin!(watcher(pods, watcher::Config::default()).default_backoff());
        let mut seen = Seen::default();
        let mut published: Option<Instant> = None;
        let mut due: Option<Instant> = None;
        loop {
            let spacing = tokio::select! {
                event = nodes.next() => match event {
                    Some(Ok(event)) => seen.node(event).then_some(NODES),
                    Some(Err(error)) => {
                        tracing::debug!(cluster = id, error = chain(&error), "nodes cannot be watched");
                        None
                    }
                    None => return,
                },
                event = pods.next() => match event {
                    Some(Ok(event)) => {
                        self.tell_of_pod(id, &event);
                        seen.pod(event).then_some(PODS)
                    }
                    Some(Err(error)) => {
                        tracing::debug!(cluster = id, error = chain(&error), "pods cannot be watched");
                        None
                    }
                    None => return,
                },
                () = until(due) => {
                    due = None;
                    if self.publish(id, &seen) {
                        published = Some(Instant::now());
                    }
                    None
                }
            };
            if let Some(spacing) = spacing {
                // The first reading of the pods belongs to the first publication.
                let earliest = Instant::now() + SETTLE;
                let at = published.map_or(earliest, |published| earliest.max(published + spacing));
                due = Some(due.map_or(at, |due| due.min(at)));
            }
        }
    }

    /// Pods that Services of several workloads lead to have to be labelled for it, before they run.
    fn tell_of_pod(&self, id: &str, event: &watcher::Event<Pod>) {
        if let watcher::Event::Apply(pod) | watcher::Event::InitApply(pod) = event
            && let Some(namespace) = &pod.metadata.namespace
            && is_new(pod)
            && self.board.is_aimed(id, namespace)
        {
            self.listeners.targets.within(id, SOON);
        }
    }

    fn publish(&self, id: &str, seen: &Seen) -> bool {
        let Some(inventory) = seen.inventory() else {
            return false;
        };
        let summary = summarize(&inventory);
        let before = self.board.get(id).inventory;
        let same_exposed = before
            .as_ref()
            .is_some_and(|before| before.exposed == inventory.exposed);
        let same_nodes = before.is_some_and(|before| before.nodes == inventory.nodes);
        let changed = self.board.update(id, |facts| {
            facts.summary = Some(summary);
            facts.inventory = Some(Arc::new(inventory));
        });
        if changed {
            self.listeners.nodes.now(id);
            self.listeners.clusters.now(id);
            // Pods come and go all day; where the agent runs follows from nodes.
            if !same_nodes {
                self.listeners.agent.now(id);
            }
            if !same_nodes || !same_exposed {
                self.listeners.isolation.within(id, CROWD);
            }
        }
        true
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn node(name: &str, heartbeat: &str) -> Node {
        serde_json::from_value(json!({
            "metadata": { "name": name, "resourceVersion": heartbeat },
            "status": { "conditions": [{ "type": "Ready", "status": "True", "lastHeartbeatTime": heartbeat }] },
        }))
        .unwrap()
    }

    #[test]
    fn an_inventory_is_there_only_after_a_complete_list() {
        let mut seen = Seen::default();
        seen.node(watcher::Event::Init);
        seen.node(watcher::Event::InitApply(node("a", "2026-11-20T21:21:51Z")));
        assert!(seen.inventory().is_none());
        assert!(seen.node(watcher::Event::InitDone));
        assert_eq!(seen.inventory().unwrap().nodes.len(), 1);
    }

    #[test]
    fn a_new_list_takes_the_place_of_the_old_one_at_its_end() {
        let mut seen = Seen::default();
        for name in ["a", "b"] {
            seen.node(watcher::Event::Init);
            seen.node(watcher::Event::InitApply(node(
                name,
                "2026-11-20T21:21:51Z",
            )));
            if name == "b" {
                assert!(seen.inventory().unwrap().nodes.contains_key("a"));
            }
            seen.node(watcher::Event::InitDone);
        }
        assert_eq!(
            seen.inventory()
                .unwrap()
                .nodes
                .into_keys()
                .collect::<Vec<_>>(),
            ["b"]
        );
    }

    #[test]
    fn a_heartbeat_is_no_change() {
        let mut seen = Seen::default();
        seen.node(watcher::Event::InitDone);
        assert!(seen.node(watcher::Event::Apply(node("a", "2026-11-20T21:21:51Z"))));
        assert!(!seen.node(watcher::Event::Apply(node("a", "2026-11-20T21:22:01Z"))));
        assert!(seen.node(watcher::Event::Delete(node("a", "2026-11-20T21:22:01Z"))));
    }
}
