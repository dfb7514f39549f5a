//! The agent's workload: Deployment and disruption budget.

use std::collections::BTreeMap;

use drover_types::names::{AGENT_DEPLOYMENT, AGENT_REGISTRY_VARIABLE, AGENT_SERVICE_ACCOUNT};
use k8s_openapi::api::apps::v1::{
    Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment,
};
use k8s_openapi::api::core::v1::{
    Affinity, Container, EnvVar, LocalObjectReference, NodeAffinity, NodeSelector,
    NodeSelectorRequirement, NodeSelectorTerm, PodAffinityTerm, PodAntiAffinity, PodSpec,
    PodTemplateSpec, PreferredSchedulingTerm, SecretVolumeSource, Toleration, Volume, VolumeMount,
    WeightedPodAffinityTerm,
};
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{
    LabelSelector, LabelSelectorRequirement, ObjectMeta,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{DISRUPTION_BUDGET, Inputs, PRIORITY_CLASS, app_label, in_system, strings};

/// Labels of control plane nodes, the old one and the new one.
pub(super) const CONTROL_PLANE_LABELS: [&str; 2] = [
    "node-role.kubernetes.io/controlplane",
    "node-role.kubernetes.io/control-plane",
];

pub(super) fn deployment(inputs: &Inputs, credentials: &str) -> Deployment {
    let annotations = BTreeMap::from([(
        "management.cattle.io/scale-available".to_owned(),
        "2".to_owned(),
    )]);
    Deployment {
        metadata: ObjectMeta {
            annotations: Some(annotations),
            ..in_system(AGENT_DEPLOYMENT)
        },
        spec: DeploymentSpec {
            selector: LabelSelector {
                match_labels: Some(app_label()),
                ..LabelSelector::default()
            },
            strategy: Some(DeploymentStrategy {
                type_: Some("RollingUpdate".to_owned()),
                rolling_update: Some(RollingUpdateDeployment {
                    max_unavailable: Some(IntOrString::Int(0)),
                    max_surge: Some(IntOrString::Int(1)),
                }),
            }),
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta {
                    labels: Some(app_label()),
                    ..ObjectMeta::default()
                }),
                spec: Some(pod(inputs, credentials)),
            },
            ..DeploymentSpec::default()
        },
        ..Deployment::default()
    }
}

fn pod(inputs: &Inputs, credentials: &str) -> PodSpec {
    let customization = &inputs.customization;
    let affinity = customization
        .override_affinity
        .clone()
        .or_else(|| inputs.default_affinity.clone());
    let priority = customization
        .scheduling_customization
        .as_ref()
        .and_then(|scheduling| scheduling.priority_class.as_ref());
    PodSpec {
        affinity: Some(affinity.unwrap_or_else(default_affinity)),
        service_account_name: Some(AGENT_SERVICE_ACCOUNT.to_owned()),
        tolerations: Some(tolerations(inputs)),
        priority_class_name: priority
            .filter(|_| inputs.priority_class_exists)
            .map(|_| PRIORITY_CLASS.to_owned()),
        image_pull_secrets: pull_secrets(inputs),
        containers: vec![Container {
            name: "cluster-register".to_owned(),
            image: Some(inputs.image(&inputs.agent_image)),
            image_pull_policy: Some("IfNotPresent".to_owned()),
            env: Some(environment(inputs, credentials)),
            resources: customization.override_resource_requirements.clone(),
            volume_mounts: Some(vec![credentials_mount()]),
            ..Container::default()
        }],
        volumes: Some(vec![credentials_volume(credentials)]),
        ..PodSpec::default()
    }
}

pub(super) fn credentials_mount() -> VolumeMount {
    VolumeMount {
        name: "cattle-credentials".to_owned(),
        mount_path: "/cattle-credentials".to_owned(),
        read_only: Some(true),
        ..VolumeMount::default()
    }
}

pub(super) fn credentials_volume(credentials: &str) -> Volume {
    Volume {
        name: "cattle-credentials".to_owned(),
        secret: Some(SecretVolumeSource {
            secret_name: Some(credentials.to_owned()),
            default_mode: Some(320),
            ..SecretVolumeSource::default()
        }),
        ..Volume::default()
    }
}

pub(super) fn pull_secrets(inputs: &Inputs) -> Option<Vec<LocalObjectReference>> {
    let names: Vec<_> = inputs
        .pull_secrets
        .iter()
        .map(|secret| LocalObjectReference {
            name: secret.name.clone(),
        })
        .collect();
    (!names.is_empty()).then_some(names)
}

pub(super) fn environment(inputs: &Inputs, credentials: &str) -> Vec<EnvVar> {
    let mut variables = Vec::new();
    let mut add = |name: &str, value: &str| variables.push(variable(name, value));
    if let Some(features) = &inputs.features {
        let features: Vec<_> = features
            .iter()
            .map(|(name, on)| format!("{name}={on}"))
            .collect();
        add("CATTLE_FEATURES", &features.join(","));
    }
    add("CATTLE_SERVER", &inputs.server_url);
    add("CATTLE_CA_CHECKSUM", &inputs.ca_checksum);
    add("CATTLE_CLUSTER", "true");
    add("CATTLE_K8S_MANAGED", "true");
    add(AGENT_REGISTRY_VARIABLE, &inputs.registry);
    add("CATTLE_CREDENTIAL_NAME", credentials);
    add("CATTLE_SUC_APP_NAME_OVERRIDE", "");
    if !inputs.pull_secrets.is_empty() {
        let names: Vec<_> = inputs
            .pull_secrets
            .iter()
            .map(|secret| secret.name.as_str())
            .collect();
        add(
            "CATTLE_SYSTEM_DEFAULT_REGISTRY_PULL_SECRETS",
            &names.join(","),
        );
        add("CATTLE_AGENT_PULL_SECRETS", &names.join(","));
    }
    add("CATTLE_SERVER_VERSION", &inputs.server_version);
    add("CATTLE_INSTALL_UUID", &inputs.install_uuid);
    add("CATTLE_INGRESS_IP_DOMAIN", &inputs.ingress_ip_domain);
    variables.extend(inputs.agent_env_vars.iter().cloned());
    if !variables
        .iter()
        .any(|variable| variable.name == "STRICT_VERIFY")
    {
        variables.push(variable(
            "STRICT_VERIFY",
            if inputs.strict_verify {
                "true"
            } else {
                "false"
            },
        ));
    }
    variables
}

fn variable(name: &str, value: &str) -> EnvVar {
    EnvVar {
        name: name.to_owned(),
        value: Some(value.to_owned()),
        value_from: None,
    }
}

fn tolerations(inputs: &Inputs) -> Vec<Toleration> {
    let known = inputs
        .control_plane_taints
        .as_deref()
        .filter(|taints| !taints.is_empty());
    let mut tolerations: Vec<_> = match known {
        Some(taints) => taints
            .iter()
            .map(|taint| Toleration {
                key: Some(taint.key.clone()),
                operator: Some(
                    if taint.value.is_some() {
                        "Equal"
                    } else {
                        "Exists"
                    }
                    .to_owned(),
                ),
                value: taint.value.clone(),
                effect: Some(taint.effect.clone()),
                ..Toleration::default()
            })
            .collect(),
        None => vec![
            Toleration {
                key: Some(CONTROL_PLANE_LABELS[0].to_owned()),
                value: Some("true".to_owned()),
                effect: Some("NoSchedule".to_owned()),
                ..Toleration::default()
            },
            Toleration {
                key: Some(CONTROL_PLANE_LABELS[1].to_owned()),
                operator: Some("Exists".to_owned()),
                effect: Some("NoSchedule".to_owned()),
                ..Toleration::default()
            },
        ],
    };
    tolerations.extend(
        inputs
            .customization
            .append_tolerations
            .iter()
            .flatten()
            .cloned(),
    );
    tolerations
}

fn default_affinity() -> Affinity {
    let [old, new] = CONTROL_PLANE_LABELS;
    let prefer = |weight, key: &str| PreferredSchedulingTerm {
        weight,
        preference: term(key, "In", "true"),
    };
    Affinity {
        node_affinity: Some(NodeAffinity {
            preferred_during_scheduling_ignored_during_execution: Some(vec![
                prefer(100, old),
                prefer(100, new),
                prefer(1, "cattle.io/cluster-agent"),
            ]),
            required_during_scheduling_ignored_during_execution: Some(NodeSelector {
                node_selector_terms: vec![term("kubernetes.io/os", "NotIn", "windows")],
            }),
        }),
        pod_anti_affinity: Some(PodAntiAffinity {
            preferred_during_scheduling_ignored_during_execution: Some(vec![
                WeightedPodAffinityTerm {
                    weight: 100,
                    pod_affinity_term: PodAffinityTerm {
                        label_selector: Some(LabelSelector {
                            match_expressions: Some(vec![LabelSelectorRequirement {
                                key: "app".to_owned(),
                                operator: "In".to_owned(),
                                values: Some(strings([AGENT_DEPLOYMENT])),
                            }]),
                            ..LabelSelector::default()
                        }),
                        topology_key: "kubernetes.io/hostname".to_owned(),
                        ..PodAffinityTerm::default()
                    },
                },
            ]),
            ..PodAntiAffinity::default()
        }),
        ..Affinity::default()
    }
}

pub(super) fn term(key: &str, operator: &str, value: &str) -> NodeSelectorTerm {
    NodeSelectorTerm {
        match_expressions: Some(vec![NodeSelectorRequirement {
            key: key.to_owned(),
            operator: operator.to_owned(),
            values: Some(strings([value])),
        }]),
        ..NodeSelectorTerm::default()
    }
}

pub(super) fn disruption_budget(inputs: &Inputs) -> Option<PodDisruptionBudget> {
    let budget = inputs
        .customization
        .scheduling_customization
        .as_ref()?
        .pod_disruption_budget
        .as_ref()?;
    let quantity = |text: &Option<String>| match text.as_deref().map(str::trim) {
        None | Some("" | "0") => None,
        Some(text) => Some(
            text.parse()
                .map_or_else(|_| IntOrString::String(text.to_owned()), IntOrString::Int),
        ),
    };
    let min_available = quantity(&budget.min_available);
    // The API refuses both at once.
    let max_unavailable = quantity(&budget.max_unavailable).filter(|_| min_available.is_none());
    Some(PodDisruptionBudget {
        metadata: in_system(DISRUPTION_BUDGET),
        spec: Some(PodDisruptionBudgetSpec {
            min_available,
            max_unavailable,
            selector: Some(LabelSelector {
                match_labels: Some(app_label()),
                ..LabelSelector::default()
            }),
            ..PodDisruptionBudgetSpec::default()
        }),
        ..PodDisruptionBudget::default()
    })
}
