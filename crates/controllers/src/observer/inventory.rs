//! Nodes and what their pods ask for, followed by watches.
//!
//! Owns the two watches and how often their state is published: nodes within
//! a second, pods every ten (reference 5: sums at least 10 s apart).

mod kept;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Node;
use kube::api::Api;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Client, ResourceExt as _};
use tokio::time::Instant;

use self::kept::{Full, Kept, Size};
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

/// Bytes of the nodes of a cluster that are kept: Kubernetes is made for 5,000, of some four kilobytes each.
const MOST_NODES: usize = 128 << 20;
/// The same of pods, of which it is made for 150,000.
const MOST_PODS: usize = 96 << 20;

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

impl Size for Placed {
    fn size(&self) -> usize {
        let text = |text: &String| size_of::<String>() + text.len();
        let exposed = self.exposed.as_ref().map_or(0, |exposed| {
            let labels = exposed.labels.iter();
            let labels = labels
                .map(|(key, value)| text(key) + text(value))
                .sum::<usize>();
            let ports = exposed.ports.iter();
            let ports = ports.map(|(_, protocol)| 8 + text(protocol)).sum::<usize>();
            let names = [&exposed.namespace, &exposed.name, &exposed.uid];
            labels + ports + names.map(|name| name.len()).iter().sum::<usize>()
        });
        // With the key's own place.
        size_of::<(String, Self)>() + self.node.len() + exposed
    }
}

/// As long as its text, which is shorter than what it takes where there is little in it.
impl Size for Node {
    fn size(&self) -> usize {
        struct Length(usize);

        impl io::Write for Length {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0 += bytes.len();
                Ok(bytes.len())
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }

        let mut length = Length(size_of::<(String, Self)>());
        match serde_json::to_writer(&mut length, self) {
            Ok(()) => length.0,
            // What cannot be written cannot be kept on the hub either.
            Err(_) => usize::MAX / 2,
        }
    }
}

/// What the watches have told so far.
struct Seen {
    nodes: Option<Kept<Node>>,
    /// Pods by uid.
    pods: Option<Kept<Placed>>,
    /// Lists in progress.
    new_nodes: Kept<Node>,
    new_pods: Kept<Placed>,
}

impl Default for Seen {
    fn default() -> Self {
        Self {
            nodes: None,
            pods: None,
            new_nodes: Kept::new(MOST_NODES),
            new_pods: Kept::new(MOST_PODS),
        }
    }
}

/// Keeps what there is room for; what was before, or that there is none.
fn keep<V: Size>(kept: &mut Kept<V>, key: String, value: V) -> Result<Option<V>, Full> {
    let before = kept.insert(key, value);
    if before.is_err() && kept.is_first_refusal() {
        tracing::warn!("a cluster has more nodes or pods than are kept; some are not shown");
    }
    before
}

impl Seen {
    /// Answers whether more than a heartbeat changed.
    fn node(&mut self, event: watcher::Event<Node>) -> bool {
        match event {
            watcher::Event::Init => self.new_nodes = Kept::new(MOST_NODES),
            watcher::Event::InitApply(node) => {
                let node = trimmed(node);
                // Shown with the others, or not at all.
                let _: Result<_, Full> = keep(&mut self.new_nodes, node.name_any(), node);
            }
            watcher::Event::InitDone => {
                let listed = std::mem::replace(&mut self.new_nodes, Kept::new(MOST_NODES));
                self.nodes = Some(listed);
                return true;
            }
            watcher::Event::Apply(node) => {
                let node = trimmed(node);
                let Some(nodes) = &mut self.nodes else {
                    return false;
                };
                return match keep(nodes, node.name_any(), node.clone()) {
                    Ok(before) => before.map(quiet) != Some(quiet(node)),
                    Err(Full) => false,
                };
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
            watcher::Event::Init => self.new_pods = Kept::new(MOST_PODS),
            watcher::Event::InitApply(pod) => {
                if let Some(placed) = Placed::of(&pod) {
                    // Shown with the others, or not at all.
                    let _: Result<_, Full> = keep(&mut self.new_pods, key(&pod), placed);
                }
            }
            watcher::Event::InitDone => {
                let listed = std::mem::replace(&mut self.new_pods, Kept::new(MOST_PODS));
                self.pods = Some(listed);
                return true;
            }
            watcher::Event::Apply(pod) => {
                let Some(pods) = &mut self.pods else {
                    return false;
                };
                return match Placed::of(&pod) {
                    Some(placed) => match keep(pods, key(&pod), placed.clone()) {
                        Ok(before) => before != Some(placed),
                        Err(Full) => false,
                    },
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
        let owned = |(name, node): (&String, &Node)| (name.clone(), node.clone());
        let nodes = self.nodes.as_ref()?.iter().map(owned).collect();
        let mut loads: BTreeMap<String, Load> = BTreeMap::new();
        for (_, pod) in self.pods.iter().flat_map(Kept::iter) {
            let sum = loads.entry(pod.node.clone()).or_default();
            *sum = sum.plus(pod.load);
        }
        let exposed = self.pods.as_ref().map(|pods| {
            let mut exposed: Vec<_> = pods
                .iter()
                .filter_map(|(_, pod)| pod.exposed.clone())
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
    fn lists_that_go_on_for_ever_end_at_a_bound() {
        let mut seen = Seen::default();
        seen.node(watcher::Event::Init);
        let mut large = node("a", "2026-11-20T21:21:51Z");
        large.metadata.annotations = Some([("a".to_owned(), "x".repeat(1 << 20))].into());
        for n in 0..200 {
            large.metadata.name = Some(format!("n{n}"));
            seen.node(watcher::Event::InitApply(large.clone()));
        }
        seen.node(watcher::Event::InitDone);
        assert_eq!(seen.inventory().unwrap().nodes.len(), 127);
        large.metadata.name = Some("one-more".to_owned());
        assert!(!seen.node(watcher::Event::Apply(large)), "nothing changed");

        seen.pod(watcher::Event::InitDone);
        let long = "x".repeat(100_000);
        let kept = (0..2000).take_while(|n| {
            let pod = json!({"metadata": {"uid": n.to_string()}, "spec": {"nodeName": long}, "status": {"phase": "Running"}});
            seen.pod(watcher::Event::Apply(serde_json::from_value(pod).unwrap()))
        });
        let kept = kept.count();
        assert!((900..=MOST_PODS / 100_000).contains(&kept), "{kept}");
        // Beside what their names take.
        assert!(MOST_PODS / (size_of::<(String, Placed)>() + 64) > 200_000);
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
