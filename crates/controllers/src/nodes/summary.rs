//! Sums over a cluster's nodes.
//!
//! Owns which nodes count: for capacity those that take workloads, that is
//! schedulable ones without taints or with the worker role (reference 5).

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Node;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;

use super::{Load, roles};
use crate::facts::Inventory;
use drover_types::quantity::Quantity;

/// A cluster's nodes in figures, as the Cluster's status shows them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// All nodes.
    pub n_nodes: i64,
    /// Workers on Linux.
    pub n_linux_workers: i64,
    /// Workers on Windows.
    pub n_windows_workers: i64,
    /// The one architecture, or `mixed`.
    pub arch: String,
    /// Sums of `cpu`, `memory`, `pods`.
    pub capacity: BTreeMap<String, String>,
    /// The same, what pods may use.
    pub allocatable: BTreeMap<String, String>,
    /// What pods ask for.
    pub requested: BTreeMap<String, String>,
    /// What pods may take.
    pub limits: BTreeMap<String, String>,
    /// Names of nodes whose disks are full.
    pub disk_pressure: Vec<String>,
    /// Names of nodes whose memory is full.
    pub memory_pressure: Vec<String>,
}

/// Adds up all nodes.
pub(crate) fn summarize(inventory: &Inventory) -> Summary {
    let nodes: Vec<&Node> = inventory.nodes.values().collect();
    let counted: Vec<&Node> = nodes
        .iter()
        .copied()
        .filter(|node| takes_workloads(node))
        .collect();
    let workers = |os: &str| {
        let count = nodes
            .iter()
            .filter(|node| {
                roles(node).worker && label(node, "kubernetes.io/os").unwrap_or("linux") == os
            })
            .count();
        i64::try_from(count).unwrap_or(i64::MAX)
    };
    let mut arches: Vec<&str> = nodes.iter().filter_map(|node| arch(node)).collect();
    arches.sort_unstable();
    arches.dedup();
    let loads = counted
        .iter()
        .filter_map(|node| inventory.loads.get(node.metadata.name.as_deref()?));
    let load = loads.copied().fold(Load::default(), Load::plus);
    let status = |node: &&Node| node.status.clone().unwrap_or_default();
    let zero = |mut map: BTreeMap<String, String>| {
        for name in ["cpu", "memory", "pods"] {
            map.entry(name.to_owned()).or_insert_with(|| "0".to_owned());
        }
        map
    };
    Summary {
        n_nodes: i64::try_from(nodes.len()).unwrap_or(i64::MAX),
        n_linux_workers: workers("linux"),
        n_windows_workers: workers("windows"),
        arch: match arches.as_slice() {
            [] => String::new(),
            [one] => (*one).to_owned(),
            _ => "mixed".to_owned(),
        },
        capacity: zero(sums(
            counted
                .iter()
                .map(status)
                .filter_map(|status| status.capacity),
        )),
        allocatable: zero(sums(
            counted
                .iter()
                .map(status)
                .filter_map(|status| status.allocatable),
        )),
        requested: zero(load.requested()),
        limits: zero(load.limits()),
        disk_pressure: pressed(&nodes, "DiskPressure"),
        memory_pressure: pressed(&nodes, "MemoryPressure"),
    }
}

fn takes_workloads(node: &Node) -> bool {
    let spec = node.spec.clone().unwrap_or_default();
    let tainted = spec
        .taints
        .iter()
        .flatten()
        .any(|taint| matches!(taint.effect.as_str(), "NoSchedule" | "NoExecute"));
    !spec.unschedulable.unwrap_or_default() && (roles(node).worker || !tainted)
}

fn label<'a>(node: &'a Node, name: &str) -> Option<&'a str> {
    node.metadata.labels.as_ref()?.get(name).map(String::as_str)
}

fn arch(node: &Node) -> Option<&str> {
    let told = node
        .status
        .as_ref()?
        .node_info
        .as_ref()
        .map(|info| info.architecture.as_str());
    told.filter(|arch| !arch.is_empty())
        .or_else(|| label(node, "kubernetes.io/arch"))
}

fn sums(maps: impl Iterator<Item = BTreeMap<String, ApiQuantity>>) -> BTreeMap<String, String> {
    let mut sums: BTreeMap<&str, Quantity> = BTreeMap::new();
    for map in maps {
        for name in ["cpu", "memory", "pods"] {
            if let Some(amount) = map.get(name).and_then(|amount| Quantity::parse(&amount.0)) {
                let sum = sums.entry(name).or_default();
                *sum = sum.plus(amount);
            }
        }
    }
    sums.into_iter()
        .map(|(name, sum)| (name.to_owned(), sum.to_string()))
        .collect()
}

fn pressed(nodes: &[&Node], kind: &str) -> Vec<String> {
    let pressed = nodes.iter().filter(|node| {
        let conditions = node
            .status
            .iter()
            .flat_map(|status| status.conditions.iter().flatten());
        conditions
            .into_iter()
            .any(|condition| condition.type_ == kind && condition.status == "True")
    });
    pressed
        .filter_map(|node| node.metadata.name.clone())
        .collect()
}
