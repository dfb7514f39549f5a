//! The policies, each by its name.
//!
//! Kubernetes writes what is not said into policies, so all is said that it would: then what is found can be compared.

use std::collections::BTreeMap;
use std::net::IpAddr;

use drover_types::names::{CREATOR_LABEL, CREATOR_NORMAN, PROJECT_ANNOTATION};
use k8s_openapi::api::core::v1::{Node, Service};
use k8s_openapi::api::networking::v1::{
    IPBlock, NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer,
    NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt as _;

use crate::clusters::annotation;
use crate::nodes::Exposed;

/// In namespaces of projects.
pub(super) const DEFAULT: &str = "np-default";
/// In namespaces of the System project.
const ALLOW_ALL: &str = "np-default-allow-all";
/// Lets nodes in.
pub(super) const NODES: &str = "hn-nodes";
/// Before the name of a service with node ports.
const SERVICE_PREFIX: &str = "np-";
/// Before the name of a pod with ports of its node.
pub(super) const POD_PREFIX: &str = "hp-";
/// Longest name of an object.
const LONGEST: usize = 253;

/// Addresses of nodes towards their pods, as Calico gives them: tunnels over IP or over VXLAN.
const TUNNELS: [&str; 2] = [
    "projectcalico.org/IPv4IPIPTunnelAddr",
    "projectcalico.org/IPv4VXLANTunnelAddr",
];

/// Whether a policy is one of those made here.
pub(super) fn is_ours(policy: &NetworkPolicy) -> bool {
    is_our_name(&policy.name_any())
        && policy
            .labels()
            .get(CREATOR_LABEL)
            .is_some_and(|creator| creator == CREATOR_NORMAN)
}

/// Whether policies made here are called so.
pub(crate) fn is_our_name(name: &str) -> bool {
    name == NODES || name.starts_with(SERVICE_PREFIX) || name.starts_with(POD_PREFIX)
}

fn policy(
    namespace: &str,
    name: &str,
    project: Option<&str>,
    spec: NetworkPolicySpec,
) -> NetworkPolicy {
    let mut labels = BTreeMap::from([(CREATOR_LABEL.to_owned(), CREATOR_NORMAN.to_owned())]);
    labels.extend(project.map(|project| (PROJECT_ANNOTATION.to_owned(), project.to_owned())));
    NetworkPolicy {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some(namespace.to_owned()),
            labels: Some(labels),
            ..ObjectMeta::default()
        },
        spec: Some(spec),
    }
}

/// What some pods hear.
fn ingress(
    pods: Option<BTreeMap<String, String>>,
    rule: NetworkPolicyIngressRule,
) -> NetworkPolicySpec {
    NetworkPolicySpec {
        pod_selector: Some(LabelSelector {
            match_labels: pods,
            ..LabelSelector::default()
        }),
        ingress: Some(vec![rule]),
        policy_types: Some(vec!["Ingress".to_owned()]),
        ..NetworkPolicySpec::default()
    }
}

/// Pods hear from their own project and from the system's.
pub(super) fn between_projects(
    namespace: &str,
    project: &str,
    system: Option<&str>,
) -> NetworkPolicy {
    let from = [Some(project), system]
        .into_iter()
        .flatten()
        .map(|project| {
            let of = BTreeMap::from([(PROJECT_ANNOTATION.to_owned(), project.to_owned())]);
            NetworkPolicyPeer {
                namespace_selector: Some(LabelSelector {
                    match_labels: Some(of),
                    ..LabelSelector::default()
                }),
                ..NetworkPolicyPeer::default()
            }
        });
    let rule = NetworkPolicyIngressRule {
        from: Some(from.collect()),
        ports: None,
    };
    policy(namespace, DEFAULT, Some(project), ingress(None, rule))
}

/// Everything, both ways: the same as no policy, but there is one.
pub(super) fn allow_all(namespace: &str, project: &str) -> NetworkPolicy {
    let mut spec = ingress(None, NetworkPolicyIngressRule::default());
    spec.egress = Some(vec![NetworkPolicyEgressRule::default()]);
    spec.policy_types = Some(["Ingress", "Egress"].map(str::to_owned).to_vec());
    policy(namespace, ALLOW_ALL, Some(project), spec)
}

/// Pods hear from nodes, which ask whether they are well and pass on what came to node ports.
pub(super) fn from_nodes(
    nodes: &BTreeMap<String, Node>,
    namespace: &ObjectMeta,
) -> Option<NetworkPolicy> {
    let mut blocks: Vec<String> = nodes.values().flat_map(addresses).collect();
    blocks.sort_unstable();
    blocks.dedup();
    // A rule without anybody in it would let everybody in.
    if blocks.is_empty() {
        return None;
    }
    let from = blocks.into_iter().map(|cidr| NetworkPolicyPeer {
        ip_block: Some(IPBlock { cidr, except: None }),
        ..NetworkPolicyPeer::default()
    });
    let rule = NetworkPolicyIngressRule {
        from: Some(from.collect()),
        ports: None,
    };
    let name = namespace.name.as_deref()?;
    let mut policy = policy(name, NODES, None, ingress(None, rule));
    policy.metadata.owner_references = owned_by("Namespace", name, namespace.uid.as_deref());
    Some(policy)
}

/// The addresses under which pods see a node, as blocks of one address each. Where Calico says its own, the range of the
/// node's pods says nothing: its first address may be a pod's.
fn addresses(node: &Node) -> Vec<String> {
    let tunnels: Vec<String> = TUNNELS
        .iter()
        .filter_map(|key| annotation(&node.metadata, key))
        .filter_map(single)
        .collect();
    if !tunnels.is_empty() {
        return tunnels;
    }
    let Some(spec) = &node.spec else {
        return Vec::new();
    };
    let ranges = spec.pod_cidrs.iter().flatten().chain(&spec.pod_cidr);
    ranges
        .filter_map(|range| single(range.split_once('/')?.0))
        .collect()
}

/// A block of one address.
fn single(address: &str) -> Option<String> {
    match address.trim().parse().ok()? {
        IpAddr::V4(address) => Some(format!("{address}/32")),
        IpAddr::V6(address) => Some(format!("{address}/128")),
    }
}

/// Everybody reaches the pods of a service with node ports, at those ports.
pub(super) fn to_service(service: &Service) -> Option<NetworkPolicy> {
    let spec = service.spec.as_ref()?;
    // One without a selector leads to no pods of the namespace; a policy without one would open them all.
    let selector = spec.selector.clone().filter(|labels| !labels.is_empty())?;
    let open = spec
        .ports
        .iter()
        .flatten()
        .filter(|port| port.node_port.is_some_and(|port| port != 0));
    let ports = open.map(|port| NetworkPolicyPort {
        port: Some(
            port.target_port
                .clone()
                .unwrap_or(IntOrString::Int(port.port)),
        ),
        protocol: Some(port.protocol.clone().unwrap_or_else(|| "TCP".to_owned())),
        end_port: None,
    });
    let (namespace, name) = (service.namespace()?, service.name_any());
    // A service called `default` would take the place of the policy that closes.
    let called = match name.as_str() {
        "default" | "default-allow-all" => format!("{SERVICE_PREFIX}-{name}"),
        _ => format!("{SERVICE_PREFIX}{name}"),
    };
    let owner = owned_by("Service", &name, service.metadata.uid.as_deref());
    opened(&namespace, &called, selector, ports.collect(), owner)
}

/// Everybody reaches a pod at the ports that it has of its node. The pod is chosen by its own labels, so that it need not
/// be changed; those of the same labels offer the same.
pub(super) fn to_pod(pod: &Exposed) -> Option<NetworkPolicy> {
    if pod.labels.is_empty() {
        return None;
    }
    let ports = pod.ports.iter().map(|(port, protocol)| NetworkPolicyPort {
        port: Some(IntOrString::Int(*port)),
        protocol: Some(protocol.clone()),
        end_port: None,
    });
    let name = format!("{POD_PREFIX}{}", pod.name);
    let owner = owned_by("Pod", &pod.name, Some(&pod.uid));
    opened(
        &pod.namespace,
        &name,
        pod.labels.clone(),
        ports.collect(),
        owner,
    )
}

fn opened(
    namespace: &str,
    name: &str,
    pods: BTreeMap<String, String>,
    mut ports: Vec<NetworkPolicyPort>,
    owner: Option<Vec<OwnerReference>>,
) -> Option<NetworkPolicy> {
    if ports.is_empty() || name.len() > LONGEST {
        return None;
    }
    let key = |port: &NetworkPolicyPort| {
        let number = match &port.port {
            Some(IntOrString::Int(number)) => number.to_string(),
            Some(IntOrString::String(name)) => name.clone(),
            None => String::new(),
        };
        (number, port.protocol.clone())
    };
    ports.sort_by_key(key);
    ports.dedup();
    let rule = NetworkPolicyIngressRule {
        from: None,
        ports: Some(ports),
    };
    let mut policy = policy(namespace, name, None, ingress(Some(pods), rule));
    policy.metadata.owner_references = owner;
    Some(policy)
}

/// With the object goes the policy.
fn owned_by(kind: &str, name: &str, uid: Option<&str>) -> Option<Vec<OwnerReference>> {
    Some(vec![OwnerReference {
        api_version: "v1".to_owned(),
        kind: kind.to_owned(),
        name: name.to_owned(),
        uid: uid?.to_owned(),
        ..OwnerReference::default()
    }])
}
