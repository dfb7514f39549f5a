//! What we made in a cluster, and how to tell it from what others made.
//!
//! Owns the recognition. Names alone are not enough where others may use
//! them: roles must carry our label or be exactly what the manifest has, and
//! `cattle-system` goes as a whole only if nothing in it is somebody else's.

use std::collections::BTreeMap;

use drover_types::names::{
    AGENT_DEPLOYMENT, AGENT_SERVICE_ACCOUNT, CREATOR_LABEL, CREATOR_NORMAN, PROJECT_ANNOTATION,
    SYSTEM_NAMESPACE,
};
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration,
};
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{
    LimitRange, Namespace, ResourceQuota, Secret, Service, ServiceAccount,
};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use k8s_openapi::api::scheduling::v1::PriorityClass;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{ListParams, PartialObjectMeta};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::clusters::annotation;
use crate::downstream_access::{MEMBER_ROLE, OWNER_BINDING};
use crate::downstream_roles::{self, Ours, Wanted};
use crate::manifest::{
    ADMIN_BINDING, ADMIN_ROLE, AUTH_DAEMON_SET, CREDENTIALS_PREFIX, DISRUPTION_BUDGET,
    KUBELET_BINDING, KUBELET_ROLE, PRIORITY_CLASS, PULL_SECRET_LABEL,
};
use crate::plan::{Action, Reference, Site};
use crate::project_secrets;
use crate::projects::leave;

/// Webhook configurations of Rancher's agent (reference 4.3).
const WEBHOOKS: &str = "rancher.cattle.io";
/// Objects in `cattle-system` that Rancher's agent makes beside itself (reference 4.1).
const RANCHER_PARTS: [&str; 3] = [
    "rancher-webhook",
    "system-upgrade-controller",
    "stv-aggregation",
];
/// The service that marks a cluster as somebody's own hub (reference 4.3).
const HUB_SERVICE: &str = "rancher";

/// What was found in a cluster, as far as it may be ours.
#[derive(Clone, Debug, Default)]
pub struct Leftovers {
    /// All namespaces' metadata.
    pub namespaces: Vec<ObjectMeta>,
    /// Workloads and services in `cattle-system`: kind and name.
    pub in_system: Vec<(String, String)>,
    /// Secrets in `cattle-system`.
    pub secrets: Vec<ObjectMeta>,
    /// ClusterRoles of our names.
    pub roles: Vec<ClusterRole>,
    /// ClusterRoleBindings of our names.
    pub bindings: Vec<ClusterRoleBinding>,
    /// Webhook configurations of Rancher's agent: kind, name, namespace of the service.
    pub webhooks: Vec<(String, String, String)>,
    /// Whether our PriorityClass is there.
    pub priority_class: bool,
    /// What roles given in the cluster came to.
    pub access: Ours,
    /// ResourceQuotas and LimitRanges of projects, and copies of their Secrets.
    pub of_projects: Vec<Reference>,
}

impl Leftovers {
    /// Reads a cluster.
    ///
    /// # Errors
    /// When anything cannot be read: what was not read is not known to be gone.
    pub async fn read(client: &Client) -> Result<Self, kube::Error> {
        let all = ListParams::default();
        let namespaces = Api::<PartialObjectMeta<Namespace>>::all(client.clone())
            .list(&all)
            .await?;
        let mut in_system = Vec::new();
        list_names::<Deployment>(client, &mut in_system).await?;
        list_names::<DaemonSet>(client, &mut in_system).await?;
        list_names::<StatefulSet>(client, &mut in_system).await?;
        list_names::<Job>(client, &mut in_system).await?;
        list_names::<CronJob>(client, &mut in_system).await?;
        list_names::<Service>(client, &mut in_system).await?;
        let secrets =
            Api::<PartialObjectMeta<Secret>>::namespaced(client.clone(), SYSTEM_NAMESPACE)
                .list(&all)
                .await?;
        let mut leftovers = Self {
            namespaces: namespaces
                .items
                .into_iter()
                .map(|namespace| namespace.metadata)
                .collect(),
            in_system,
            secrets: secrets
                .items
                .into_iter()
                .map(|secret| secret.metadata)
                .collect(),
            priority_class: Api::<PriorityClass>::all(client.clone())
                .get_opt(PRIORITY_CLASS)
                .await?
                .is_some(),
            access: Ours::read(client).await?,
            ..Self::default()
        };
        let limited = format!("{}=true", crate::quotas::LABEL);
        let found = &mut leftovers.of_projects;
        labelled::<ResourceQuota>(client, &limited, None, found).await?;
        labelled::<LimitRange>(client, &limited, None, found).await?;
        labelled::<Secret>(
            client,
            project_secrets::LABEL,
            Some(project_secrets::COPY),
            found,
        )
        .await?;
        for name in [KUBELET_ROLE, ADMIN_ROLE, MEMBER_ROLE] {
            leftovers.roles.extend(
                Api::<ClusterRole>::all(client.clone())
                    .get_opt(name)
                    .await?,
            );
        }
        for name in [KUBELET_BINDING, ADMIN_BINDING, MEMBER_ROLE, OWNER_BINDING] {
            leftovers.bindings.extend(
                Api::<ClusterRoleBinding>::all(client.clone())
                    .get_opt(name)
                    .await?,
            );
        }
        if let Some(found) = Api::<ValidatingWebhookConfiguration>::all(client.clone())
            .get_opt(WEBHOOKS)
            .await?
        {
            let services = found
                .webhooks
                .into_iter()
                .flatten()
                .filter_map(|webhook| webhook.client_config.service);
            leftovers.webhook(
                "ValidatingWebhookConfiguration",
                services.map(|service| service.namespace),
            );
        }
        if let Some(found) = Api::<MutatingWebhookConfiguration>::all(client.clone())
            .get_opt(WEBHOOKS)
            .await?
        {
            let services = found
                .webhooks
                .into_iter()
                .flatten()
                .filter_map(|webhook| webhook.client_config.service);
            leftovers.webhook(
                "MutatingWebhookConfiguration",
                services.map(|service| service.namespace),
            );
        }
        Ok(leftovers)
    }

    fn webhook(&mut self, kind: &str, mut namespaces: impl Iterator<Item = String>) {
        let namespace = namespaces.next().unwrap_or_default();
        self.webhooks
            .push((kind.to_owned(), WEBHOOKS.to_owned(), namespace));
    }

    fn namespace(&self, name: &str) -> Option<&ObjectMeta> {
        self.namespaces
            .iter()
            .find(|namespace| namespace.name.as_deref() == Some(name))
    }

    /// Whether `cattle-system` holds nothing but our agent and its parts.
    fn system_is_ours(&self) -> bool {
        self.in_system.iter().all(|(kind, name)| {
            name == AGENT_DEPLOYMENT
                || (kind == "DaemonSet" && name == AUTH_DAEMON_SET)
                || RANCHER_PARTS.contains(&name.as_str())
                || name.starts_with("cattle-cleanup-")
        })
    }
}

/// Objects with a label of ours and, if one is named, an annotation that is `true`.
async fn labelled<K>(
    client: &Client,
    label: &str,
    mark: Option<&str>,
    into: &mut Vec<Reference>,
) -> Result<(), kube::Error>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
{
    let ours = ListParams::default().labels(label);
    let found = Api::<PartialObjectMeta<K>>::all(client.clone())
        .list(&ours)
        .await?;
    let found = found.items.into_iter().filter(|object| {
        mark.is_none_or(|mark| annotation(&object.metadata, mark) == Some("true"))
    });
    into.extend(found.map(|object| {
        Reference::new::<K>(
            object.metadata.namespace.as_deref(),
            object.metadata.name.as_deref().unwrap_or_default(),
        )
    }));
    Ok(())
}

async fn list_names<K>(client: &Client, into: &mut Vec<(String, String)>) -> Result<(), kube::Error>
where
    K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
        + Clone
        + DeserializeOwned
        + std::fmt::Debug,
{
    let api = Api::<PartialObjectMeta<K>>::namespaced(client.clone(), SYSTEM_NAMESPACE);
    let found = api.list(&ListParams::default()).await?;
    into.extend(
        found
            .items
            .into_iter()
            .filter_map(|object| Some((K::kind(&()).into_owned(), object.metadata.name?))),
    );
    Ok(())
}

/// The changes that remove what is ours, in an order that keeps the agent able to carry them out.
#[must_use]
pub fn removal(id: &str, found: &Leftovers) -> Vec<Action> {
    let mut actions: Vec<Action> = found
        .namespaces
        .iter()
        .filter(|namespace| is_in_project_of(namespace, id))
        .map(leave)
        .collect();
    actions.extend(
        found
            .of_projects
            .iter()
            .map(|object| Action::delete(Site::Cluster, object.clone())),
    );
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
        if name.starts_with(CREDENTIALS_PREFIX) || name == "stv-aggregation" || is_pull_secret {
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

fn is_in_project_of(namespace: &ObjectMeta, id: &str) -> bool {
    let project =
        annotation(namespace, PROJECT_ANNOTATION).and_then(|project| project.split_once(':'));
    project.is_some_and(|(cluster, _)| cluster == id)
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
