//! What we made in a cluster, and how to tell it from what others made.
//!
//! Owns the recognition. Names alone are not enough where others may use
//! them: roles must carry our label or be exactly what the manifest has, and
//! `cattle-system` goes as a whole only if nothing in it is somebody else's.

use drover_types::names::{AGENT_DEPLOYMENT, CREATOR_LABEL, CREATOR_NORMAN, SYSTEM_NAMESPACE};
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
    ValidatingWebhookConfiguration,
};
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{LimitRange, ResourceQuota, Secret, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use k8s_openapi::api::scheduling::v1::PriorityClass;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::ListParams;
use kube::{Api, Client, Resource};

use crate::clusters::annotation;
use crate::downstream_access::{MEMBER_ROLE, OWNER_BINDING};
use crate::downstream_roles::{ACCESS_LABEL, Ours};
use crate::isolation;
use crate::manifest::{
    ADMIN_BINDING, ADMIN_ROLE, AUTH_DAEMON_SET, KUBELET_BINDING, KUBELET_ROLE, PRIORITY_CLASS,
};
use crate::namespaces;
use crate::plan::Reference;
use crate::project_secrets;
use crate::runtime::{metadata_in, metadata_of};

/// Webhook configurations of Rancher's agent (reference 4.3).
const WEBHOOKS: &str = "rancher.cattle.io";
/// Objects in `cattle-system` that Rancher's agent makes beside itself (reference 4.1).
const RANCHER_PARTS: [&str; 3] = [
    "rancher-webhook",
    "system-upgrade-controller",
    "stv-aggregation",
];
/// The service that marks a cluster as somebody's own hub (reference 4.3).
pub(super) const HUB_SERVICE: &str = "rancher";

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
    /// ResourceQuotas, LimitRanges and NetworkPolicies of projects, copies of their Secrets, and the policy of their
    /// namespaces.
    pub of_projects: Vec<Reference>,
}

impl Leftovers {
    /// Reads a cluster.
    ///
    /// # Errors
    /// When anything cannot be read: what was not read is not known to be gone.
    pub async fn read(client: &Client) -> Result<Self, kube::Error> {
        let mut in_system = Vec::new();
        list_names::<Deployment>(client, &mut in_system).await?;
        list_names::<DaemonSet>(client, &mut in_system).await?;
        list_names::<StatefulSet>(client, &mut in_system).await?;
        list_names::<Job>(client, &mut in_system).await?;
        list_names::<CronJob>(client, &mut in_system).await?;
        list_names::<Service>(client, &mut in_system).await?;
        let secrets = metadata_in::<Secret>(client, SYSTEM_NAMESPACE)
            .list(&ListParams::default())
            .await?;
        let mut leftovers = Self {
            namespaces: namespaces::all(client).await?,
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
        let access = format!("{ACCESS_LABEL}=true");
        let found = &mut leftovers.of_projects;
        // The binding first: a policy alone refuses nothing.
        if_known(labelled::<ValidatingAdmissionPolicyBinding>(client, &access, None, found).await)?;
        if_known(labelled::<ValidatingAdmissionPolicy>(client, &access, None, found).await)?;
        labelled::<ResourceQuota>(client, &limited, None, found).await?;
        labelled::<LimitRange>(client, &limited, None, found).await?;
        labelled::<Secret>(
            client,
            project_secrets::LABEL,
            Some(project_secrets::COPY),
            found,
        )
        .await?;
        let norman = format!("{CREATOR_LABEL}={CREATOR_NORMAN}");
        let mut policies = Vec::new();
        labelled::<NetworkPolicy>(client, &norman, None, &mut policies).await?;
        policies.retain(|policy| isolation::is_our_name(policy.name()));
        found.append(&mut policies);
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

    pub(super) fn namespace(&self, name: &str) -> Option<&ObjectMeta> {
        self.namespaces
            .iter()
            .find(|namespace| namespace.name.as_deref() == Some(name))
    }

    /// Whether `cattle-system` holds nothing but our agent and its parts.
    pub(super) fn system_is_ours(&self) -> bool {
        self.in_system.iter().all(|(kind, name)| {
            name == AGENT_DEPLOYMENT
                || (kind == "DaemonSet" && name == AUTH_DAEMON_SET)
                || RANCHER_PARTS.contains(&name.as_str())
                || name.starts_with("cattle-cleanup-")
        })
    }
}

/// An old cluster has nothing of a kind that it does not know.
fn if_known(read: Result<(), kube::Error>) -> Result<(), kube::Error> {
    match read {
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        other => other,
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
    K: Resource<DynamicType = ()>,
{
    let ours = ListParams::default().labels(label);
    let found = metadata_of::<K>(client).list(&ours).await?;
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
    K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
{
    let found = metadata_in::<K>(client, SYSTEM_NAMESPACE)
        .list(&ListParams::default())
        .await?;
    into.extend(
        found
            .items
            .into_iter()
            .filter_map(|object| Some((K::kind(&()).into_owned(), object.metadata.name?))),
    );
    Ok(())
}
