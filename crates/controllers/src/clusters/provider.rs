//! Who runs a cluster, told from its version and its nodes.
//!
//! Owns the rules of reference 5 (rancher/kubernetes-provider-detector
//! 33286ed), tried in one fixed order, the most telling first.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Node;

use crate::facts::{Facts, Health};

/// The provider, once the cluster is ready and its nodes were read; `None` while that is not known or matches nothing.
pub(crate) fn of(facts: &Facts) -> Option<&'static str> {
    if facts.health != Health::Good {
        return None;
    }
    let inventory = facts.inventory.as_ref()?;
    detect(version(facts)?, &inventory.nodes)
}

/// The cluster's `gitVersion`.
pub(crate) fn version(facts: &Facts) -> Option<&str> {
    facts.version.as_ref()?.get("gitVersion")?.as_str()
}

/// The driver of an imported cluster of this version, if it tells one.
pub(crate) fn driver(version: &str) -> Option<&'static str> {
    [
        ("+rke2", "rke2"),
        ("+k3s", "k3s"),
        ("+k3os", "k3os"),
        ("+rancherd", "rancherd"),
    ]
    .into_iter()
    .find(|(mark, _)| version.contains(mark))
    .map(|(_, driver)| driver)
}

fn detect(version: &str, nodes: &BTreeMap<String, Node>) -> Option<&'static str> {
    let labelled = |label: &str| {
        nodes.values().any(|node| {
            node.metadata
                .labels
                .iter()
                .flatten()
                .any(|(name, _)| name == label)
        })
    };
    let annotated = |name: &str| {
        nodes.values().any(|node| {
            node.metadata
                .annotations
                .iter()
                .flatten()
                .any(|(found, _)| found == name)
        })
    };
    let image = |image: &str| {
        nodes.values().any(|node| {
            let info = node
                .status
                .as_ref()
                .and_then(|status| status.node_info.as_ref());
            info.is_some_and(|info| info.os_image.contains(image))
        })
    };
    let windows = nodes.values().any(|node| {
        node.metadata
            .labels
            .iter()
            .flatten()
            .any(|(name, os)| name == "kubernetes.io/os" && os == "windows")
    });
    if labelled("harvesterhci.io/managed") {
        Some("harvester")
    } else if version.contains("+k3s") {
        Some("k3s")
    } else if version.contains("+rke2") {
        Some("rke2")
    } else if version.contains("-eks-") {
        Some("eks")
    } else if version.contains("-gke.") {
        Some("gke")
    } else if labelled("kubernetes.azure.com/cluster") {
        Some("aks")
    } else if nodes.len() == 1 && image("Docker Desktop") {
        Some("docker")
    } else if labelled("minikube.k8s.io/name") || image("minikube") {
        Some("minikube")
    } else if annotated("rke.cattle.io/external-ip") || annotated("rke.cattle.io/internal-ip") {
        Some(if windows { "rke.windows" } else { "rke" })
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(version: &str, node: serde_json::Value, expected: Option<&str>) {
        let node: Node = serde_json::from_value(node).unwrap();
        assert_eq!(
            detect(version, &BTreeMap::from([("n".to_owned(), node)])),
            expected,
            "{version}"
        );
    }

    #[test]
    fn providers_are_told_by_version_labels_annotations_and_images() {
        let plain = json!({ "metadata": {} });
        let labelled = |label: &str| json!({ "metadata": { "labels": { label: "true" } } });
        check("v1.36.3", plain.clone(), None);
        check("v1.36.3+k3s1", plain.clone(), Some("k3s"));
        check("v1.36.3+rke2r1", plain.clone(), Some("rke2"));
        check(
            "v1.36.3+rke2r1",
            labelled("harvesterhci.io/managed"),
            Some("harvester"),
        );
        check("v1.36.3-eks-1", plain.clone(), Some("eks"));
        check("v1.36.3-gke.12", plain, Some("gke"));
        check(
            "v1.36.3",
            labelled("kubernetes.azure.com/cluster"),
            Some("aks"),
        );
        check(
            "v1.36.3",
            labelled("minikube.k8s.io/name"),
            Some("minikube"),
        );
        check(
            "v1.36.3",
            json!({ "metadata": { "annotations": { "rke.cattle.io/internal-ip": "1" } } }),
            Some("rke"),
        );
    }

    #[test]
    fn drivers_are_told_by_version() {
        assert_eq!(driver("v1.36.3+k3s1"), Some("k3s"));
        assert_eq!(driver("v1.36.3"), None);
    }
}
