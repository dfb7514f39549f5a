//! Projects of a cluster kept from each other on its network, where the cluster asks for it.
//!
//! Owns the NetworkPolicies of the peer's names (reference rbac-and-projects 7): in each namespace of a project pods hear
//! from those of the same project, of the System project and of the nodes; what is offered to the outside by node ports
//! and host ports stays open. The cluster's own network has to enforce such policies.
//!
//! Invariants: only policies with our label and one of our names are changed or removed; while the nodes are not known,
//! what is said of them stays as it is.

mod policies;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashSet};

use drover_types::management::{Cluster, Project};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};
use serde_json::json;

use crate::clusters::{SYSTEM_PROJECT_LABEL, annotation, is_labelled};
use crate::downstream::Reach;
use crate::namespaces::{self, project_of};
use crate::nodes::Exposed;
use crate::plan::{Action, Plan, Reference, Site};
use crate::runtime::{Controller, LookError};
pub(crate) use policies::is_our_name;
use policies::{NODES, allow_all, between_projects, from_nodes, is_ours, to_pod, to_service};

/// Annotation of a Cluster that says the same as its wish; others read it.
const ANNOTATION: &str = "networking.management.cattle.io/enable-network-policy";

/// What a reconciliation reads of a cluster.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// Projects of the cluster.
    pub projects: Vec<Project>,
    /// All namespaces.
    pub namespaces: Vec<ObjectMeta>,
    /// All services.
    pub services: Vec<Service>,
    /// Nodes by name; `None` while they are not known.
    pub nodes: Option<BTreeMap<String, Node>>,
    /// Pods with ports of their nodes; `None` while they are not known.
    pub exposed: Option<Vec<Exposed>>,
    /// All policies, whoever made them.
    pub policies: Vec<NetworkPolicy>,
}

/// Policies by namespace and name.
type Policies = BTreeMap<(String, String), NetworkPolicy>;

/// Decides about all policies of a cluster.
#[must_use]
pub fn reconcile(observed: &Observed, cluster: &str, isolated: bool) -> Plan {
    let mut plan = Plan::default();
    let mut wanted = if isolated {
        wanted(observed, cluster)
    } else {
        Policies::new()
    };
    for found in observed.policies.iter().filter(|found| is_ours(found)) {
        let (namespace, name) = (found.namespace().unwrap_or_default(), found.name_any());
        match wanted.remove(&(namespace.clone(), name.clone())) {
            Some(wanted) if is_same(found, &wanted) => {}
            Some(wanted) => {
                let mut changed = found.clone();
                changed.spec = wanted.spec;
                changed
                    .labels_mut()
                    .extend(wanted.metadata.labels.unwrap_or_default());
                changed.metadata.owner_references = wanted.metadata.owner_references;
                plan.actions.push(Action::replace(Site::Cluster, &changed));
            }
            None if isolated && observed.does_not_know(&name) => {}
            None => plan.actions.push(Action::Delete {
                site: Site::Cluster,
                target: Reference::new::<NetworkPolicy>(Some(&namespace), &name),
                uid: found.metadata.uid.clone(),
            }),
        }
    }
    // What opens comes before what closes, so that nothing that is offered is shut meanwhile.
    let (closing, opening): (Vec<_>, Vec<_>) = wanted
        .into_values()
        .partition(|policy| policy.name_any() == policies::DEFAULT);
    let made = opening.iter().chain(&closing);
    plan.actions
        .extend(made.map(|policy| Action::create(Site::Cluster, policy)));
    plan
}

impl Observed {
    /// Whether a policy follows from what is not known.
    fn does_not_know(&self, policy: &str) -> bool {
        (policy == NODES && self.nodes.is_none())
            || (policy.starts_with(policies::POD_PREFIX) && self.exposed.is_none())
    }
}

fn is_same(found: &NetworkPolicy, wanted: &NetworkPolicy) -> bool {
    found.spec == wanted.spec
        && wanted
            .labels()
            .iter()
            .all(|(key, value)| found.labels().get(key) == Some(value))
        && found.metadata.owner_references == wanted.metadata.owner_references
}

/// The policies of an isolated cluster.
fn wanted(observed: &Observed, cluster: &str) -> Policies {
    let named = |project: &Project| project.metadata.name.clone();
    let system = observed
        .projects
        .iter()
        .find(|project| is_labelled(project, SYSTEM_PROJECT_LABEL))
        .and_then(named);
    let projects: Vec<String> = observed.projects.iter().filter_map(named).collect();
    let mut wanted = Policies::new();
    let mut guarded: HashSet<&str> = HashSet::new();
    for namespace in &observed.namespaces {
        let (Some(name), Some(project), None) = (
            namespace.name.as_deref(),
            project_of(namespace, cluster),
            &namespace.deletion_timestamp,
        ) else {
            continue;
        };
        if !projects.iter().any(|known| known == project) {
            continue;
        }
        if Some(project) == system.as_deref() {
            if !has_others(observed, name) {
                put(&mut wanted, allow_all(name, project));
            }
            continue;
        }
        guarded.insert(name);
        put(
            &mut wanted,
            between_projects(name, project, system.as_deref()),
        );
    }
    for service in &observed.services {
        let is_guarded = guarded.contains(service.namespace().unwrap_or_default().as_str());
        wanted_of(&mut wanted, is_guarded, to_service(service));
    }
    for pod in observed.exposed.iter().flatten() {
        let is_guarded = guarded.contains(pod.namespace.as_str());
        wanted_of(&mut wanted, is_guarded, to_pod(pod));
    }
    if let Some(nodes) = &observed.nodes {
        for namespace in &observed.namespaces {
            let is_guarded = guarded.contains(namespace.name.as_deref().unwrap_or_default());
            wanted_of(&mut wanted, is_guarded, from_nodes(nodes, namespace));
        }
    }
    wanted
}

fn wanted_of(wanted: &mut Policies, is_guarded: bool, policy: Option<NetworkPolicy>) {
    if let Some(policy) = policy.filter(|_| is_guarded) {
        put(wanted, policy);
    }
}

fn put(wanted: &mut Policies, policy: NetworkPolicy) {
    let key = (policy.namespace().unwrap_or_default(), policy.name_any());
    wanted.entry(key).or_insert(policy);
}

/// Whether somebody else has policies in a namespace of the system; then they alone count.
fn has_others(observed: &Observed, namespace: &str) -> bool {
    observed
        .policies
        .iter()
        .any(|policy| policy.metadata.namespace.as_deref() == Some(namespace) && !is_ours(policy))
}

/// Looks after isolation; keys are cluster ids.
pub(crate) struct Isolation {
    pub(crate) reach: Reach,
}

impl Isolation {
    async fn observe(&self, id: &str, client: &kube::Client) -> Result<Observed, LookError> {
        let all = ListParams::default();
        let projects = Api::<Project>::namespaced(self.reach.hub.clone(), id);
        let inventory = self.reach.board.get(id).inventory;
        Ok(Observed {
            projects: projects.list(&all).await?.items,
            namespaces: namespaces::all(client).await?,
            services: Api::all(client.clone()).list(&all).await?.items,
            nodes: inventory.as_ref().map(|inventory| inventory.nodes.clone()),
            exposed: inventory.and_then(|inventory| inventory.exposed.clone()),
            policies: Api::all(client.clone()).list(&all).await?.items,
        })
    }
}

impl Controller for Isolation {
    const NAME: &'static str = "isolation";

    async fn look(&self, id: &str) -> Result<Option<Timestamp>, LookError> {
        let found = Api::<Cluster>::all(self.reach.hub.clone())
            .get_opt(id)
            .await?;
        let stays = |cluster: &Cluster| cluster.metadata.deletion_timestamp.is_none();
        let Some(cluster) = found.filter(stays) else {
            self.reach.board.isolate(id, false);
            return Ok(None);
        };
        let isolated = cluster.spec.isolates_projects();
        // Somebody has to tell of services and policies from before they are read.
        self.reach.board.isolate(id, isolated);
        let applied = cluster.status.isolates_projects();
        if !isolated && !applied {
            return Ok(None);
        }
        let Some(client) = self.reach.usable(id).await? else {
            return Ok(None);
        };
        let observed = self.observe(id, &client).await?;
        let mut plan = reconcile(&observed, id, isolated);
        note(&cluster, isolated, &mut plan);
        self.reach.sites(Some(client)).execute(&plan).await?;
        Ok(None)
    }
}

/// Says of the cluster what was done.
fn note(cluster: &Cluster, isolated: bool, plan: &mut Plan) {
    let target = || Reference::new::<Cluster>(None, &cluster.name_any());
    let text = isolated.to_string();
    if annotation(&cluster.metadata, ANNOTATION) != Some(&text) {
        let patch = json!({ "metadata": { "annotations": { ANNOTATION: text } } });
        plan.actions.push(Action::patch(Site::Hub, target(), patch));
    }
    if cluster.status.isolates_projects() != isolated {
        plan.status = Some(Action::Patch {
            site: Site::Hub,
            target: target(),
            subresource: Some("status"),
            patch: json!({ "status": { "appliedEnableNetworkPolicy": isolated } }),
        });
    }
}
