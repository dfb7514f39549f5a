//! What has to go from a cluster that is let go, and in which order.

use std::collections::BTreeMap;

use drover_types::names::{
    AGENT_DEPLOYMENT, AGENT_SERVICE_ACCOUNT, CREATOR_LABEL, CREATOR_NORMAN, SYSTEM_NAMESPACE,
};
use drover_types::review::KEPT_SECRET;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration,
};
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::core::v1::{Namespace, Secret, Service, ServiceAccount};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use k8s_openapi::api::scheduling::v1::PriorityClass;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::json;

use super::leftovers::{HUB_SERVICE, Leftovers};
use crate::downstream_access::{MEMBER_ROLE, OWNER_BINDING};
use crate::downstream_roles::{self, Wanted};
use crate::manifest::{
    ADMIN_BINDING, ADMIN_ROLE, AUTH_DAEMON_SET, CREDENTIALS_PREFIX, DISRUPTION_BUDGET,
    KUBELET_BINDING, KUBELET_ROLE, PRIORITY_CLASS, PULL_SECRET_LABEL,
};
use crate::namespaces::project_of;
use crate::plan::{Action, Reference, Site};
use crate::projects::leave;
/// The changes that remove what is ours, in an order that keeps the agent able to carry them out.
#[must_use]
pub fn removal(id: &str, found: &Leftovers) -> Vec<Action> {
    // Policies of the network first: they choose by the labels that namespaces lose.
    let mut actions: Vec<Action> = found
        .of_projects
        .iter()
        .map(|object| Action::delete(Site::Cluster, object.clone()))
        .collect();
    let in_projects = |namespace: &&ObjectMeta| project_of(namespace, id).is_some();
    actions.extend(found.namespaces.iter().filter(in_projects).map(leave));
    actions.extend(downstream_roles::reconcile(&found.access, &Wanted::default()).actions);
    let system = found.namespace(SYSTEM_NAMESPACE);
    let whole = found.system_is_ours();
    if found
        .in_system
        .iter()
        .any(|(kind, name)| kind == "Service" && name == HUB_SERVICE)
    {
        // The agent stands beside a hub of its own; that hub owns the rest.
        tracing::warn!(
            cluster = id,
            "the cluster is a hub itself, only the agent is removed"
        );
    }
    if whole && system.is_some() {
        // Their service goes with the namespace; they would refuse everything from then on.
        actions.extend(
            found
                .webhooks
                .iter()
                .filter(|(_, _, namespace)| namespace == SYSTEM_NAMESPACE)
                .map(|(kind, name, _)| {
                    Action::delete(
                        Site::Cluster,
                        match kind.as_str() {
                            "ValidatingWebhookConfiguration" => {
                                Reference::new::<ValidatingWebhookConfiguration>(None, name)
                            }
                            _ => Reference::new::<MutatingWebhookConfiguration>(None, name),
                        },
                    )
                }),
        );
    }
    if found.priority_class {
        actions.push(Action::delete(
            Site::Cluster,
            Reference::new::<PriorityClass>(None, PRIORITY_CLASS),
        ));
    }
    let binding = |name: &str| {
        found
            .bindings
            .iter()
            .find(|binding| binding.metadata.name.as_deref() == Some(name))
    };
    let role = |name: &str| {
        found
            .roles
            .iter()
            .find(|role| role.metadata.name.as_deref() == Some(name))
    };
    for name in [OWNER_BINDING, MEMBER_ROLE, KUBELET_BINDING] {
        if binding(name)
            .is_some_and(|binding| is_labelled(&binding.metadata) || is_kubelet_binding(binding))
        {
            actions.push(Action::delete(
                Site::Cluster,
                Reference::new::<ClusterRoleBinding>(None, name),
            ));
        }
    }
    for name in [MEMBER_ROLE, KUBELET_ROLE] {
        if role(name).is_some_and(|role| is_labelled(&role.metadata) || is_kubelet_role(role)) {
            actions.push(Action::delete(
                Site::Cluster,
                Reference::new::<ClusterRole>(None, name),
            ));
        }
    }
    let admin_role = role(ADMIN_ROLE).filter(|role| is_labelled(&role.metadata));
    let admin_binding = binding(ADMIN_BINDING).filter(|binding| is_labelled(&binding.metadata));
    match system {
        Some(system) if whole => {
            // Without these two the agent can do nothing more, so the cluster's own garbage collection removes them
            // once the namespace is gone.
            for target in [
                admin_role.map(|_| Reference::new::<ClusterRole>(None, ADMIN_ROLE)),
                admin_binding.map(|_| Reference::new::<ClusterRoleBinding>(None, ADMIN_BINDING)),
            ] {
                let owned = own("v1", "Namespace", system);
                actions.extend(target.map(|target| Action::patch(Site::Cluster, target, owned)));
            }
            if system.deletion_timestamp.is_none() {
                actions.push(Action::delete(
                    Site::Cluster,
                    Reference::new::<Namespace>(None, SYSTEM_NAMESPACE),
                ));
            }
        }
        _ => {
            actions.extend(parts(found));
            if let (Some(_), Some(binding)) = (admin_role, admin_binding) {
                let owned = own(
                    "rbac.authorization.k8s.io/v1",
                    "ClusterRoleBinding",
                    &binding.metadata,
                );
                actions.push(Action::patch(
                    Site::Cluster,
                    Reference::new::<ClusterRole>(None, ADMIN_ROLE),
                    owned,
                ));
            }
            if admin_binding.is_some() {
                actions.push(Action::delete(
                    Site::Cluster,
                    Reference::new::<ClusterRoleBinding>(None, ADMIN_BINDING),
                ));
            }
        }
    }
    actions
}

/// Our objects in a `cattle-system` that is not ours alone; the agent last.
fn parts(found: &Leftovers) -> Vec<Action> {
    let in_system =
        |kind: &str, name: &str| found.in_system.iter().any(|(k, n)| k == kind && n == name);
    let delete = |target| Action::delete(Site::Cluster, target);
    let mut actions = Vec::new();
    for secret in &found.secrets {
        let Some(name) = secret.name.as_deref() else {
            continue;
        };
        let is_pull_secret = secret
            .labels
            .as_ref()
            .is_some_and(|labels| labels.contains_key(PULL_SECRET_LABEL));
        let is_ours = name == "stv-aggregation" || name == KEPT_SECRET;
        if name.starts_with(CREDENTIALS_PREFIX) || is_ours || is_pull_secret {
            actions.push(delete(Reference::new::<Secret>(
                Some(SYSTEM_NAMESPACE),
                name,
            )));
        }
    }
    if in_system("DaemonSet", AUTH_DAEMON_SET) {
        actions.push(delete(Reference::new::<DaemonSet>(
            Some(SYSTEM_NAMESPACE),
            AUTH_DAEMON_SET,
        )));
    }
    if in_system("Service", AGENT_DEPLOYMENT) {
        actions.push(delete(Reference::new::<Service>(
            Some(SYSTEM_NAMESPACE),
            AGENT_DEPLOYMENT,
        )));
    }
    if in_system("Deployment", AGENT_DEPLOYMENT) {
        actions.push(delete(Reference::new::<PodDisruptionBudget>(
            Some(SYSTEM_NAMESPACE),
            DISRUPTION_BUDGET,
        )));
        actions.push(delete(Reference::new::<Deployment>(
            Some(SYSTEM_NAMESPACE),
            AGENT_DEPLOYMENT,
        )));
        actions.push(delete(Reference::new::<ServiceAccount>(
            Some(SYSTEM_NAMESPACE),
            AGENT_SERVICE_ACCOUNT,
        )));
    }
    actions
}

fn own(api_version: &str, kind: &str, owner: &ObjectMeta) -> serde_json::Value {
    let reference = BTreeMap::from([
        ("apiVersion", api_version),
        ("kind", kind),
        ("name", owner.name.as_deref().unwrap_or_default()),
        ("uid", owner.uid.as_deref().unwrap_or_default()),
    ]);
    json!({ "metadata": { "ownerReferences": [reference] } })
}

fn is_labelled(meta: &ObjectMeta) -> bool {
    meta.labels
        .as_ref()
        .and_then(|labels| labels.get(CREATOR_LABEL))
        .is_some_and(|value| value == CREATOR_NORMAN)
}

/// Whether a role is the one of the manifest, to the letter.
fn is_kubelet_role(role: &ClusterRole) -> bool {
    role.metadata.name.as_deref() == Some(KUBELET_ROLE)
        && role.rules == crate::manifest::kubelet_role().rules
}

fn is_kubelet_binding(binding: &ClusterRoleBinding) -> bool {
    let ours = crate::manifest::kubelet_binding();
    binding.metadata.name.as_deref() == Some(KUBELET_BINDING)
        && binding.role_ref == ours.role_ref
        && binding.subjects == ours.subjects
}
