//! The import manifest: what a cluster is given so that its agent joins.
//!
//! Owns the objects, their order and their names (reference 3.3,
//! `recorded/import-manifest.txt`). Where the inputs come from belongs to
//! [`inputs`], the text form to [`yaml`].
//!
//! Invariants: built from typed objects only, so no input can add an object
//! or a field; the same inputs give the same bytes.

mod agent;
mod authenticator;
pub mod inputs;
#[cfg(test)]
mod tests;
pub mod yaml;

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::core::v1::{
    Namespace, Secret, Service, ServiceAccount, ServicePort, ServiceSpec,
};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, RoleRef, Subject};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde::Serialize;
use serde_json::Value;

use drover_types::names::{
    AGENT_DEPLOYMENT, AGENT_SERVICE_ACCOUNT, CREATOR_LABEL, CREATOR_NORMAN, SYSTEM_NAMESPACE,
};

pub use inputs::{Customization, Inputs, InputsError, PullSecret};

use crate::random::short_hash;

/// ClusterRole with all rights, for the agent.
pub(crate) const ADMIN_ROLE: &str = "cattle-admin";
/// Binds [`ADMIN_ROLE`] to the agent.
pub(crate) const ADMIN_BINDING: &str = "cattle-admin-binding";
/// ClusterRole for the API server's own calls of kubelets.
pub(crate) const KUBELET_ROLE: &str = "proxy-clusterrole-kubeapiserver";
/// Binds [`KUBELET_ROLE`].
pub(crate) const KUBELET_BINDING: &str = "proxy-role-binding-kubernetes-master";
/// DaemonSet for tokens at the cluster's own API server.
pub(crate) const AUTH_DAEMON_SET: &str = drover_types::review::DAEMON_SET;
/// Prefix of the Secret with the agent's credentials.
pub(crate) const CREDENTIALS_PREFIX: &str = "cattle-credentials-";
/// Label of the Secrets with registry credentials.
pub(crate) const PULL_SECRET_LABEL: &str = "management.cattle.io/cattle-cluster-agent-pull-secret";
/// PodDisruptionBudget of the agent.
pub(crate) const DISRUPTION_BUDGET: &str = "cattle-cluster-agent-pod-disruption-budget";
/// PriorityClass of the agent.
pub(crate) const PRIORITY_CLASS: &str = "cattle-cluster-agent-priority-class";

/// One object of the manifest.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Object {
    /// A role.
    ClusterRole(ClusterRole),
    /// A binding of a role.
    ClusterRoleBinding(ClusterRoleBinding),
    /// A namespace.
    Namespace(Namespace),
    /// A service account.
    ServiceAccount(ServiceAccount),
    /// Credentials.
    Secret(Secret),
    /// How many agents may be evicted at once.
    PodDisruptionBudget(PodDisruptionBudget),
    /// The agent.
    Deployment(Box<Deployment>),
    /// Token checks for the cluster's own API server.
    DaemonSet(Box<DaemonSet>),
    /// The agent's own service.
    Service(Box<Service>),
}

/// The Secret's name for these credentials: `cattle-credentials-` and ten
/// digits of SHA-256 over `<url>.<token>.<namespace>` (reference 3.3).
#[must_use]
pub fn credentials_name(url: &str, token: &str, namespace: &str) -> String {
    format!(
        "{CREDENTIALS_PREFIX}{}",
        short_hash(&format!("{url}.{token}.{namespace}"))
    )
}

/// The manifest's objects, in order.
#[must_use]
pub fn objects(inputs: &Inputs) -> Vec<Object> {
    let credentials = credentials_name(&inputs.server_url, inputs.token(), &inputs.namespace);
    let mut objects = vec![
        Object::ClusterRole(kubelet_role()),
        Object::ClusterRoleBinding(kubelet_binding()),
        Object::Namespace(Namespace {
            metadata: named(SYSTEM_NAMESPACE),
            ..Namespace::default()
        }),
        Object::ServiceAccount(ServiceAccount {
            metadata: in_system(AGENT_SERVICE_ACCOUNT),
            ..ServiceAccount::default()
        }),
        Object::ClusterRoleBinding(admin_binding()),
        Object::Secret(credentials_secret(inputs, &credentials)),
    ];
    objects.extend(
        inputs
            .pull_secrets
            .iter()
            .map(|secret| Object::Secret(pull_secret(secret))),
    );
    objects.push(Object::ClusterRole(admin_role()));
    objects.extend(agent::disruption_budget(inputs).map(Object::PodDisruptionBudget));
    objects.push(Object::Deployment(Box::new(agent::deployment(
        inputs,
        &credentials,
    ))));
    objects.extend(
        authenticator::daemon_set(inputs, &credentials)
            .map(|daemon_set| Object::DaemonSet(Box::new(daemon_set))),
    );
    objects.push(Object::Service(Box::new(service())));
    objects
}

/// The objects as JSON values, in order.
///
/// # Errors
/// When an object cannot be serialised.
pub fn values(inputs: &Inputs) -> Result<Vec<Value>, serde_json::Error> {
    objects(inputs).iter().map(serde_json::to_value).collect()
}

/// The manifest as YAML documents.
///
/// # Errors
/// When an object cannot be serialised.
pub fn document(inputs: &Inputs) -> Result<String, serde_json::Error> {
    Ok(yaml::documents(&values(inputs)?))
}

fn named(name: &str) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        ..ObjectMeta::default()
    }
}

fn in_system(name: &str) -> ObjectMeta {
    ObjectMeta {
        namespace: Some(SYSTEM_NAMESPACE.to_owned()),
        ..named(name)
    }
}

fn strings<const N: usize>(values: [&str; N]) -> Vec<String> {
    values.map(str::to_owned).to_vec()
}

fn creator_label() -> BTreeMap<String, String> {
    BTreeMap::from([(CREATOR_LABEL.to_owned(), CREATOR_NORMAN.to_owned())])
}

fn app_label() -> BTreeMap<String, String> {
    BTreeMap::from([("app".to_owned(), AGENT_DEPLOYMENT.to_owned())])
}

fn role_ref(name: &str) -> RoleRef {
    RoleRef {
        api_group: Some("rbac.authorization.k8s.io".to_owned()),
        kind: "ClusterRole".to_owned(),
        name: name.to_owned(),
    }
}

pub(crate) fn kubelet_role() -> ClusterRole {
    ClusterRole {
        metadata: named(KUBELET_ROLE),
        rules: Some(vec![PolicyRule {
            api_groups: Some(strings([""])),
            resources: Some(strings([
                "nodes/metrics",
                "nodes/proxy",
                "nodes/stats",
                "nodes/log",
                "nodes/spec",
            ])),
            verbs: strings(["get", "list", "watch", "create"]),
            ..PolicyRule::default()
        }]),
        ..ClusterRole::default()
    }
}

pub(crate) fn kubelet_binding() -> ClusterRoleBinding {
    ClusterRoleBinding {
        metadata: named(KUBELET_BINDING),
        role_ref: role_ref(KUBELET_ROLE),
        subjects: Some(vec![Subject {
            api_group: Some("rbac.authorization.k8s.io".to_owned()),
            kind: "User".to_owned(),
            name: "kube-apiserver".to_owned(),
            namespace: None,
        }]),
    }
}

fn admin_binding() -> ClusterRoleBinding {
    ClusterRoleBinding {
        // The namespace has no meaning here; Rancher writes it, so we do.
        metadata: ObjectMeta {
            labels: Some(creator_label()),
            ..in_system(ADMIN_BINDING)
        },
        role_ref: role_ref(ADMIN_ROLE),
        subjects: Some(vec![Subject {
            api_group: None,
            kind: "ServiceAccount".to_owned(),
            name: AGENT_SERVICE_ACCOUNT.to_owned(),
            namespace: Some(SYSTEM_NAMESPACE.to_owned()),
        }]),
    }
}

fn admin_role() -> ClusterRole {
    ClusterRole {
        metadata: ObjectMeta {
            labels: Some(creator_label()),
            ..named(ADMIN_ROLE)
        },
        rules: Some(vec![
            PolicyRule {
                api_groups: Some(strings(["*"])),
                resources: Some(strings(["*"])),
                verbs: strings(["*"]),
                ..PolicyRule::default()
            },
            PolicyRule {
                non_resource_urls: Some(strings(["*"])),
                verbs: strings(["*"]),
                ..PolicyRule::default()
            },
        ]),
        ..ClusterRole::default()
    }
}

fn credentials_secret(inputs: &Inputs, name: &str) -> Secret {
    let bytes = |text: &str| ByteString(text.as_bytes().to_vec());
    Secret {
        metadata: in_system(name),
        type_: Some("Opaque".to_owned()),
        data: Some(BTreeMap::from([
            ("url".to_owned(), bytes(&inputs.server_url)),
            ("token".to_owned(), bytes(inputs.token())),
            ("namespace".to_owned(), bytes(&inputs.namespace)),
        ])),
        ..Secret::default()
    }
}

fn pull_secret(secret: &PullSecret) -> Secret {
    Secret {
        metadata: ObjectMeta {
            labels: Some(BTreeMap::from([(
                PULL_SECRET_LABEL.to_owned(),
                "true".to_owned(),
            )])),
            ..in_system(&secret.name)
        },
        type_: Some("kubernetes.io/dockerconfigjson".to_owned()),
        data: Some(BTreeMap::from([(
            ".dockerconfigjson".to_owned(),
            ByteString(secret.config().to_vec()),
        )])),
        ..Secret::default()
    }
}

fn service() -> Service {
    let port = |name: &str, port, target| ServicePort {
        name: Some(name.to_owned()),
        port,
        target_port: Some(IntOrString::Int(target)),
        protocol: Some("TCP".to_owned()),
        ..ServicePort::default()
    };
    Service {
        metadata: in_system(AGENT_DEPLOYMENT),
        spec: Some(ServiceSpec {
            ports: Some(vec![port("http", 80, 80), port("https-internal", 443, 444)]),
            selector: Some(app_label()),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}
