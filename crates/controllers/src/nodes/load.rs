//! What pods ask for.
//!
//! Owns the reading of pods in a slim form and the arithmetic of requests and
//! limits, which is the scheduler's: containers together, or the largest init
//! container beside the sidecars started before it, plus overhead.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1 as core;
use kube::api::Object;
use kube::discovery::ApiResource;
use serde::{Deserialize, Serialize};

use drover_types::quantity::Quantity;

/// A pod, as far as it concerns nodes.
pub(crate) type Pod = Object<PodSpec, PodStatus>;

/// How the API calls pods.
pub(crate) fn pod_resource() -> ApiResource {
    ApiResource::erase::<core::Pod>(&())
}

/// The part of a pod's specification that is read.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct PodSpec {
    pub(crate) node_name: String,
    host_network: bool,
    containers: Vec<Container>,
    init_containers: Vec<Container>,
    overhead: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Container {
    resources: Resources,
    restart_policy: String,
    ports: Vec<Port>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Port {
    container_port: i32,
    host_port: i32,
    protocol: String,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Resources {
    requests: BTreeMap<String, String>,
    limits: BTreeMap<String, String>,
}

/// The part of a pod's status that is read.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct PodStatus {
    phase: String,
}

/// Whether a pod has not run yet.
pub(crate) fn is_new(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().map(|status| status.phase.as_str());
    matches!(phase.unwrap_or_default(), "" | "Pending")
}

/// A pod that is reached at ports of its node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Exposed {
    /// Where it is.
    pub namespace: String,
    /// What it is called.
    pub name: String,
    /// Of the pod.
    pub uid: String,
    /// Of the pod.
    pub labels: BTreeMap<String, String>,
    /// Its own ports that ports of the node lead to, with their protocols.
    pub ports: Vec<(i32, String)>,
}

/// The ports of its node that a pod has; `None` for one that has none, or that is on the node's network itself.
pub(crate) fn exposed(pod: &Pod) -> Option<Exposed> {
    let containers = pod.spec.containers.iter().chain(&pod.spec.init_containers);
    let ports: Vec<_> = containers
        .flat_map(|container| &container.ports)
        .filter(|port| port.host_port != 0)
        .map(|port| {
            let protocol = Some(port.protocol.as_str()).filter(|protocol| !protocol.is_empty());
            (port.container_port, protocol.unwrap_or("TCP").to_owned())
        })
        .collect();
    (!ports.is_empty() && !pod.spec.host_network).then(|| Exposed {
        namespace: pod.metadata.namespace.clone().unwrap_or_default(),
        name: pod.metadata.name.clone().unwrap_or_default(),
        uid: pod.metadata.uid.clone().unwrap_or_default(),
        labels: pod.metadata.labels.clone().unwrap_or_default(),
        ports,
    })
}

/// Sums over pods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    requests: Pair,
    limits: Pair,
    n_pods: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Pair {
    cpu: Quantity,
    memory: Quantity,
}

impl Pair {
    fn read(map: &BTreeMap<String, String>) -> Self {
        let amount = |name: &str| {
            map.get(name)
                .and_then(|text| Quantity::parse(text))
                .unwrap_or_default()
        };
        Self {
            cpu: amount("cpu"),
            memory: amount("memory"),
        }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            cpu: self.cpu.plus(other.cpu),
            memory: self.memory.plus(other.memory),
        }
    }

    fn max(self, other: Self) -> Self {
        Self {
            cpu: self.cpu.max(other.cpu),
            memory: self.memory.max(other.memory),
        }
    }

    fn map(self, pods: Option<u32>) -> BTreeMap<String, String> {
        let zero = Quantity::default();
        let amounts = [("cpu", self.cpu), ("memory", self.memory)];
        let amounts = amounts
            .into_iter()
            .filter(|(_, amount)| *amount != zero)
            .map(|(name, amount)| (name.to_owned(), amount.to_string()));
        amounts
            .chain(pods.map(|pods| ("pods".to_owned(), pods.to_string())))
            .collect()
    }
}

impl Load {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            requests: self.requests.plus(other.requests),
            limits: self.limits.plus(other.limits),
            n_pods: self.n_pods.saturating_add(other.n_pods),
        }
    }

    /// Requests, and the number of pods, as status fields hold them.
    #[must_use]
    pub fn requested(&self) -> BTreeMap<String, String> {
        self.requests.map(Some(self.n_pods))
    }

    /// Limits.
    #[must_use]
    pub fn limits(&self) -> BTreeMap<String, String> {
        self.limits.map(None)
    }
}

/// What a pod asks of its node; `None` when it is on none or has ended.
pub(crate) fn of_pod(pod: &Pod) -> Option<(String, Load)> {
    let phase = pod
        .status
        .as_ref()
        .map_or("", |status| status.phase.as_str());
    if pod.spec.node_name.is_empty() || matches!(phase, "Succeeded" | "Failed") {
        return None;
    }
    let total = |part: fn(&Resources) -> &BTreeMap<String, String>| {
        let amounts = |container: &Container| Pair::read(part(&container.resources));
        let mut sidecars = Pair::default();
        let mut starting = Pair::default();
        for container in &pod.spec.init_containers {
            if container.restart_policy == "Always" {
                sidecars = sidecars.plus(amounts(container));
                starting = starting.max(sidecars);
            } else {
                starting = starting.max(sidecars.plus(amounts(container)));
            }
        }
        let running = pod
            .spec
            .containers
            .iter()
            .map(amounts)
            .fold(sidecars, Pair::plus);
        let amount = running.max(starting);
        amount.plus(Pair::read(&pod.spec.overhead))
    };
    let requests = total(|resources| &resources.requests);
    let mut limits = total(|resources| &resources.limits);
    if pod
        .spec
        .containers
        .iter()
        .all(|container| container.resources.limits.is_empty())
    {
        // Overhead alone is no limit.
        limits = Pair::default();
    }
    Some((
        pod.spec.node_name.clone(),
        Load {
            requests,
            limits,
            n_pods: 1,
        },
    ))
}
