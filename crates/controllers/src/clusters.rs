//! The life of a Cluster object.
//!
//! Owns everything the hub keeps for a cluster: its namespace, its Default
//! and System projects, its creator's binding, its registration token, and
//! the status of the Cluster, whose conditions are written here and nowhere
//! else. What other parts learn reaches the status through [`Facts`];
//! how the agent connects (driver, endpoint, credentials) is written by the
//! tunnel's side.
//!
//! Invariant: a condition that says an object was made is set only after the
//! making was acknowledged, and what was made once is not made again, because
//! people may delete it.

mod completion;
pub(crate) mod provider;
pub(crate) mod status;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use drover_auth::Clock;
use drover_types::condition;
use drover_types::management::{Cluster, ClusterRoleTemplateBinding, Project};
use drover_types::names::{CREATOR_ANNOTATION, LOCAL_CLUSTER};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::ListParams;
use kube::{Api, Client};
use parking_lot::Mutex;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use self::completion::{object_patch, spec_defaults};
use crate::agent_deploy;
use crate::creator::{self, Creator};
use crate::facts::{Board, Facts};
use crate::plan::{Action, Plan, Reference, Site, Sites};
use crate::registration::{DEFAULT_TOKEN, registration_token};
use crate::runtime::{Controller, LookError, Trigger};

pub use drover_types::names::AGENT_FINALIZER;
/// Keeps a Cluster until its objects in the hub are gone.
pub const HUB_FINALIZER: &str = "controller.cattle.io/mgmt-cluster-rbac-remove";
/// Marks namespaces that the hub made for itself.
pub const SYSTEM_NAMESPACE_ANNOTATION: &str = "management.cattle.io/system-namespace";
/// What the creator was and is to be given, as JSON.
pub(crate) const CREATOR_BINDINGS: &str = "authz.management.cattle.io/creator-role-bindings";
/// Creators that want no rights of their own say so with this.
pub(crate) const NO_CREATOR_RBAC: &str = "field.cattle.io/no-creator-rbac";
/// The creator's name at an identity provider.
pub(crate) const CREATOR_PRINCIPAL: &str = "field.cattle.io/creator-principal-name";
/// Label of a cluster's Default project.
pub const DEFAULT_PROJECT_LABEL: &str = "authz.management.cattle.io/default-project";
/// Label of a cluster's System project.
pub const SYSTEM_PROJECT_LABEL: &str = "authz.management.cattle.io/system-project";
const INITIAL_SYNC: &str = "authz.management.cattle.io/initial-sync";
const CREATOR_OWNER: &str = "authz.management.cattle.io/creator-owner-binding";
const PROVIDER_LABEL: &str = "provider.cattle.io";

/// What a reconciliation reads.
#[derive(Debug)]
pub struct Observed<'a> {
    /// The Cluster.
    pub cluster: &'a Cluster,
    /// Its namespace.
    pub namespace: Option<&'a Namespace>,
    /// Its projects, if it may lack some.
    pub projects: &'a [Project],
    /// Role templates its creator gets.
    pub creator_roles: &'a [String],
    /// Its finished creator bindings.
    pub bindings: &'a [ClusterRoleTemplateBinding],
    /// Whether its registration token is there.
    pub has_token: bool,
    /// What is known of it.
    pub facts: &'a Facts,
}

/// Decides about one cluster.
#[must_use]
pub fn reconcile(observed: &Observed<'_>, now: Timestamp) -> Plan {
    let cluster = observed.cluster;
    let mut plan = Plan::default();
    let Some(id) = cluster.metadata.name.as_deref() else {
        return plan;
    };
    if cluster.metadata.deletion_timestamp.is_some() {
        // From here on the clean-up looks after it.
        return plan;
    }
    let is_local = id == LOCAL_CLUSTER;
    let roles = creator_bindings(cluster, id, observed.creator_roles);
    if let Some(patch) = object_patch(observed, is_local, !roles.is_empty()) {
        // First of all, so that finalizers hold what is made below against a deletion meanwhile.
        plan.actions.push(Action::patch(
            Site::Hub,
            Reference::new::<Cluster>(None, id),
            patch,
        ));
        plan.requeue(now);
        return plan;
    }
    match observed.namespace {
        None => plan.actions.push(Action::create(Site::Hub, &namespace(id))),
        Some(namespace) if !is_marked(namespace) => {
            let patch =
                json!({ "metadata": { "annotations": { SYSTEM_NAMESPACE_ANNOTATION: "true" } } });
            plan.actions.push(Action::patch(
                Site::Hub,
                Reference::new::<Namespace>(None, id),
                patch,
            ));
        }
        Some(_) => {}
    }
    for kind in [ProjectKind::Default, ProjectKind::System] {
        let made = condition::is_true(&cluster.status.conditions, kind.condition());
        let found = observed
            .projects
            .iter()
            .any(|project| is_labelled(project, kind.label()));
        if !made && !found {
            plan.actions
                .push(Action::create(Site::Hub, &project(cluster, id, kind)));
        }
    }
    let missing = |binding: &&ClusterRoleTemplateBinding| {
        !observed
            .bindings
            .iter()
            .any(|found| found.metadata.name == binding.metadata.name)
    };
    if !condition::is_true(&cluster.status.conditions, "CreatorMadeOwner") {
        plan.actions.extend(
            roles
                .iter()
                .filter(missing)
                .map(|binding| Action::create(Site::Hub, binding)),
        );
    }
    if !observed.has_token && !is_local {
        plan.actions.push(Action::create(
            Site::Hub,
            &registration_token(id, DEFAULT_TOKEN),
        ));
    }
    let (status, again) = status::next(cluster, observed.facts, now);
    if let Some(at) = again {
        plan.requeue(at);
    }
    if !plan.actions.is_empty() {
        // The status says what was made, so it waits until that was acknowledged.
        plan.requeue(now);
        return plan;
    }
    if status != cluster.status {
        let mut cluster = cluster.clone();
        cluster.status = status;
        plan.status = Some(Action::replace_status(Site::Hub, &cluster));
    }
    plan
}

/// The Cluster that stands for the hub itself (`recorded/http/06-v1.txt`).
#[must_use]
pub fn local_cluster() -> Cluster {
    let mut cluster = Cluster::named(LOCAL_CLUSTER);
    cluster.spec.internal = true;
    LOCAL_CLUSTER.clone_into(&mut cluster.spec.display_name);
    cluster.spec.other = spec_defaults(true);
    cluster
}

fn namespace(id: &str) -> Namespace {
    Namespace {
        metadata: ObjectMeta {
            name: Some(id.to_owned()),
            annotations: Some([(SYSTEM_NAMESPACE_ANNOTATION.to_owned(), "true".to_owned())].into()),
            ..ObjectMeta::default()
        },
        ..Namespace::default()
    }
}

/// Whether the hub made a namespace for itself.
pub(crate) fn is_marked(namespace: &Namespace) -> bool {
    annotation(&namespace.metadata, SYSTEM_NAMESPACE_ANNOTATION) == Some("true")
}

pub(crate) fn annotation<'a>(meta: &'a ObjectMeta, name: &str) -> Option<&'a str> {
    meta.annotations.as_ref()?.get(name).map(String::as_str)
}

pub(crate) fn is_labelled(project: &Project, label: &str) -> bool {
    project
        .metadata
        .labels
        .as_ref()
        .and_then(|labels| labels.get(label))
        .is_some_and(|value| value == "true")
}

#[derive(Clone, Copy)]
enum ProjectKind {
    Default,
    System,
}

impl ProjectKind {
    fn name(self) -> &'static str {
        match self {
            Self::Default => "Default",
            Self::System => "System",
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Default => DEFAULT_PROJECT_LABEL,
            Self::System => SYSTEM_PROJECT_LABEL,
        }
    }

    fn condition(self) -> &'static str {
        match self {
            Self::Default => "DefaultProjectCreated",
            Self::System => "SystemProjectCreated",
        }
    }
}

/// Names follow from the cluster's uid, so that two makers make one project.
fn project(cluster: &Cluster, id: &str, kind: ProjectKind) -> Project {
    let uid = cluster.metadata.uid.as_deref().unwrap_or_default();
    let mut project = Project::named(&format!(
        "p-{}",
        crate::random::suffix(&format!("{uid}/{}", kind.name()))
    ));
    project.metadata.namespace = Some(id.to_owned());
    project.metadata.labels = Some([(kind.label().to_owned(), "true".to_owned())].into());
    let copied = [CREATOR_ANNOTATION, CREATOR_PRINCIPAL, NO_CREATOR_RBAC];
    let annotations = copied.into_iter().filter_map(|name| {
        Some((
            name.to_owned(),
            annotation(&cluster.metadata, name)?.to_owned(),
        ))
    });
    project.metadata.annotations = Some(annotations.collect());
    project.spec.display_name = kind.name().to_owned();
    project.spec.description = format!("{} project created for the cluster", kind.name());
    id.clone_into(&mut project.spec.cluster_name);
    project
}

/// Bindings that make the creator what creators are (reference rbac 5).
fn creator_bindings(
    cluster: &Cluster,
    id: &str,
    roles: &[String],
) -> Vec<ClusterRoleTemplateBinding> {
    let Some(creator) = Creator::of(&cluster.metadata) else {
        return Vec::new();
    };
    roles
        .iter()
        .map(|role| {
            let mut binding = ClusterRoleTemplateBinding::named(&format!("creator-{role}"));
            binding.metadata.namespace = Some(id.to_owned());
            binding.metadata.annotations =
                Some([(CREATOR_OWNER.to_owned(), "true".to_owned())].into());
            id.clone_into(&mut binding.cluster_name);
            role.clone_into(&mut binding.role_template_name);
            binding.user_name.clone_from(&creator.user);
            binding.user_principal_name.clone_from(&creator.principal);
            binding
        })
        .collect()
}

/// Looks after all Cluster objects; keys are cluster ids.
pub(crate) struct Clusters {
    pub(crate) client: Client,
    pub(crate) board: Arc<Board>,
    /// Told when something else is wished for a cluster's agent.
    pub(crate) agent: Trigger,
    pub(crate) wishes: Mutex<HashMap<String, Wishes>>,
    pub(crate) clock: Clock,
}

/// A hash of what people ask for at a Cluster, as far as its agent goes, and of what sort it is. The rest of the status
/// changes often and is no wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wishes([u8; 32]);

impl Wishes {
    fn of(cluster: &Cluster) -> Result<Self, kube::Error> {
        let forced = annotation(&cluster.metadata, agent_deploy::FORCE);
        let text = serde_json::to_vec(&(&cluster.spec, &cluster.status.driver, forced))
            .map_err(kube::Error::SerdeError)?;
        Ok(Self(Sha256::digest(text).into()))
    }
}

impl Controller for Clusters {
    const NAME: &'static str = "clusters";

    async fn look(&self, id: &str) -> Result<Option<Timestamp>, LookError> {
        let Some(cluster) = Api::<Cluster>::all(self.client.clone()).get_opt(id).await? else {
            if id == LOCAL_CLUSTER {
                let plan = Plan {
                    actions: vec![Action::create(Site::Hub, &local_cluster())],
                    ..Plan::default()
                };
                Sites::hub(&self.client).execute(&plan).await?;
                return Ok(None);
            }
            self.board.forget(id);
            self.wishes.lock().remove(id);
            return Ok(None);
        };
        let wishes = Wishes::of(&cluster)?;
        if self.wishes.lock().insert(id.to_owned(), wishes) != Some(wishes) {
            self.agent.now(id);
        }
        let namespace = Api::<Namespace>::all(self.client.clone())
            .get_opt(id)
            .await?;
        let conditions = &cluster.status.conditions;
        let made = |kind| condition::is_true(conditions, kind);
        let lacks_projects = !(made("DefaultProjectCreated") && made("SystemProjectCreated"));
        let all = ListParams::default();
        let projects = if lacks_projects && namespace.is_some() {
            Api::<Project>::namespaced(self.client.clone(), id)
                .list(&all)
                .await?
                .items
        } else {
            Vec::new()
        };
        let (creator_roles, bindings) = if made("CreatorMadeOwner")
            && annotation(&cluster.metadata, CREATOR_BINDINGS).is_some()
        {
            (Vec::new(), Vec::new())
        } else {
            let bindings = Api::<ClusterRoleTemplateBinding>::namespaced(self.client.clone(), id)
                .list(&all)
                .await?
                .items;
            (
                creator::roles(&self.client, "cluster-owner", |template| {
                    template.cluster_creator_default
                })
                .await?,
                bindings,
            )
        };
        let tokens = Api::<drover_types::management::ClusterRegistrationToken>::namespaced(
            self.client.clone(),
            id,
        );
        let has_token = id == LOCAL_CLUSTER || tokens.get_opt(DEFAULT_TOKEN).await?.is_some();
        let facts = self.board.get(id);
        let observed = Observed {
            cluster: &cluster,
            namespace: namespace.as_ref(),
            projects: &projects,
            creator_roles: &creator_roles,
            bindings: &bindings,
            has_token,
            facts: &facts,
        };
        let plan = reconcile(&observed, self.clock.now());
        Sites::hub(&self.client).execute(&plan).await?;
        Ok(plan.requeue_at)
    }
}
