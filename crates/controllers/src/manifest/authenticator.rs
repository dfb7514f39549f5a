//! The optional DaemonSet for tokens at the cluster's own API server.
//!
//! Owns its two forms: ours (`drover-agent authenticate`), of clusters whose endpoint is enabled, and the peer's, of
//! which somebody names the image. Both run on the control plane's nodes, on the host's network, and tolerate everything
//! there (reference 6.4): the API server asks an address of its own machine.

use std::collections::BTreeMap;

use drover_types::names::AGENT_SERVICE_ACCOUNT;
use k8s_openapi::api::apps::v1::{DaemonSet, DaemonSetSpec};
use k8s_openapi::api::core::v1::{
    Affinity, Capabilities, Container, EnvVar, EnvVarSource, HTTPGetAction, HostPathVolumeSource,
    NodeAffinity, NodeSelector, NodeSelectorTerm, ObjectFieldSelector, PodSpec, PodTemplateSpec,
    Probe, SecurityContext, Toleration, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::agent::{
    CONTROL_PLANE_LABELS, credentials_mount, credentials_volume, environment, pull_secrets, term,
};
use super::{AUTH_DAEMON_SET, Inputs, in_system, strings};

/// Where API servers are told to ask (reference 6.4).
const PORT: i32 = 6440;

/// The DaemonSet, if the cluster is to have one.
pub(super) fn daemon_set(inputs: &Inputs, credentials: &str) -> Option<DaemonSet> {
    let pod = match (&inputs.endpoint_image, &inputs.auth_image) {
        (Some(image), _) => ours(inputs, image, credentials),
        (None, Some(image)) => peers(inputs, image),
        (None, None) => return None,
    };
    let labels = BTreeMap::from([("app".to_owned(), AUTH_DAEMON_SET.to_owned())]);
    Some(DaemonSet {
        metadata: in_system(AUTH_DAEMON_SET),
        spec: DaemonSetSpec {
            selector: LabelSelector {
                match_labels: Some(labels.clone()),
                ..LabelSelector::default()
            },
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta {
                    labels: Some(labels),
                    ..ObjectMeta::default()
                }),
                spec: Some(pod),
            },
            ..DaemonSetSpec::default()
        },
        ..DaemonSet::default()
    })
}

/// `label` picks the nodes of the control plane.
fn pod(
    inputs: &Inputs,
    label: fn(&str) -> NodeSelectorTerm,
    container: Container,
    volume: Volume,
) -> PodSpec {
    let tolerate = |effect: &str| Toleration {
        operator: Some("Exists".to_owned()),
        effect: Some(effect.to_owned()),
        ..Toleration::default()
    };
    PodSpec {
        affinity: Some(Affinity {
            node_affinity: Some(NodeAffinity {
                required_during_scheduling_ignored_during_execution: Some(NodeSelector {
                    node_selector_terms: CONTROL_PLANE_LABELS
                        .map(|name| on_linux(label(name)))
                        .to_vec(),
                }),
                ..NodeAffinity::default()
            }),
            ..Affinity::default()
        }),
        host_network: Some(true),
        service_account_name: Some(AGENT_SERVICE_ACCOUNT.to_owned()),
        tolerations: Some(vec![tolerate("NoExecute"), tolerate("NoSchedule")]),
        image_pull_secrets: pull_secrets(inputs),
        containers: vec![container],
        volumes: Some(vec![volume]),
        ..PodSpec::default()
    }
}

/// kubeadm labels its nodes with an empty value.
fn labelled(label: &str) -> NodeSelectorTerm {
    let mut term = term(label, "Exists", "");
    for expression in term.match_expressions.iter_mut().flatten() {
        expression.values = None;
    }
    term
}

fn labelled_true(label: &str) -> NodeSelectorTerm {
    term(label, "In", "true")
}

fn on_linux(labelled: NodeSelectorTerm) -> NodeSelectorTerm {
    NodeSelectorTerm {
        match_expressions: Some(
            [labelled, term("kubernetes.io/os", "NotIn", "windows")]
                .into_iter()
                .flat_map(|term| term.match_expressions.unwrap_or_default())
                .collect(),
        ),
        ..NodeSelectorTerm::default()
    }
}

fn ours(inputs: &Inputs, image: &str, credentials: &str) -> PodSpec {
    let mut variables = environment(inputs, credentials);
    variables.push(EnvVar {
        name: "DROVER_NODE_NAME".to_owned(),
        value: None,
        value_from: Some(EnvVarSource {
            field_ref: Some(ObjectFieldSelector {
                api_version: Some("v1".to_owned()),
                field_path: "spec.nodeName".to_owned(),
            }),
            ..EnvVarSource::default()
        }),
    });
    let container = Container {
        name: AUTH_DAEMON_SET.to_owned(),
        image: Some(inputs.image(image)),
        image_pull_policy: Some("IfNotPresent".to_owned()),
        // Named in full, so that another image fails instead of running what it usually runs on the host's network.
        command: Some(strings(["drover-agent", "authenticate"])),
        env: Some(variables),
        liveness_probe: Some(Probe {
            http_get: Some(HTTPGetAction {
                host: Some("127.0.0.1".to_owned()),
                path: Some("/healthcheck".to_owned()),
                port: IntOrString::Int(PORT),
                ..HTTPGetAction::default()
            }),
            initial_delay_seconds: Some(30),
            ..Probe::default()
        }),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            capabilities: Some(Capabilities {
                drop: Some(strings(["ALL"])),
                ..Capabilities::default()
            }),
            read_only_root_filesystem: Some(true),
            ..SecurityContext::default()
        }),
        volume_mounts: Some(vec![credentials_mount()]),
        ..Container::default()
    };
    PodSpec {
        // The hub's name is resolved as the agent resolves it.
        dns_policy: Some("ClusterFirstWithHostNet".to_owned()),
        ..pod(inputs, labelled, container, credentials_volume(credentials))
    }
}

fn peers(inputs: &Inputs, image: &str) -> PodSpec {
    let container = Container {
        name: AUTH_DAEMON_SET.to_owned(),
        image: Some(inputs.image(image)),
        image_pull_policy: Some("IfNotPresent".to_owned()),
        volume_mounts: Some(vec![VolumeMount {
            name: "k8s-ssl".to_owned(),
            mount_path: "/etc/kubernetes".to_owned(),
            ..VolumeMount::default()
        }]),
        ..Container::default()
    };
    let volume = Volume {
        name: "k8s-ssl".to_owned(),
        host_path: Some(HostPathVolumeSource {
            path: "/etc/kubernetes".to_owned(),
            type_: Some("DirectoryOrCreate".to_owned()),
        }),
        ..Volume::default()
    };
    pod(inputs, labelled_true, container, volume)
}
