//! Projects: their namespaces in the hub, their creators, and the namespaces
//! of the cluster that Default and System take in.
//!
//! Owns each project's backing namespace, its creator's binding and its
//! conditions (reference rbac 5, `recorded/http/05-projects.txt`).
//!
//! Invariants: a namespace that is in a project stays there; a backing
//! namespace goes only with its project, and only if the hub made it.

mod assignment;
#[cfg(test)]
mod tests;

use drover_auth::Clock;
use drover_auth::access::backing_namespace as backing_name;
use drover_types::condition::{self, Status};
use drover_types::management::{Project, ProjectRoleTemplateBinding};
use drover_types::names::PROJECT_ANNOTATION;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use kube::api::ListParams;
use serde_json::json;

use crate::clusters::{
    CREATOR_BINDINGS, DEFAULT_PROJECT_LABEL, SYSTEM_NAMESPACE_ANNOTATION, SYSTEM_PROJECT_LABEL,
    annotation, is_labelled, is_marked,
};
use crate::creator::{self, Creator};
use crate::downstream::Reach;
use crate::namespaces;
use crate::plan::{Action, Plan, Reference, Site};
use crate::runtime::{Controller, LookError};
use crate::settings;
use assignment::assign;
pub(crate) use assignment::leave;

/// Keeps a project until its backing namespace is gone.
pub const FINALIZER: &str = "controller.cattle.io/mgmt-project-rbac-remove";

/// What a reconciliation reads.
#[derive(Debug)]
pub struct Observed<'a> {
    /// The project.
    pub project: &'a Project,
    /// Its backing namespace.
    pub backing: Option<&'a Namespace>,
    /// Role templates its creator gets.
    pub creator_roles: &'a [String],
    /// All namespaces of the cluster, if they could be read.
    pub namespaces: Option<&'a [ObjectMeta]>,
    /// Names of namespaces that System takes in.
    pub system_namespaces: &'a [String],
}

/// The namespace for a project's own objects.
pub(crate) fn backing(project: &Project) -> String {
    match project.status.backing_namespace.as_str() {
        "" => backing_name(
            project.metadata.namespace.as_deref().unwrap_or_default(),
            project.metadata.name.as_deref().unwrap_or_default(),
        ),
        given => given.to_owned(),
    }
}

/// Decides about one project.
#[must_use]
pub fn reconcile(observed: &Observed<'_>, now: Timestamp) -> Plan {
    let project = observed.project;
    let mut plan = Plan::default();
    let (Some(name), Some(cluster)) = (
        project.metadata.name.as_deref(),
        project.metadata.namespace.as_deref(),
    ) else {
        return plan;
    };
    let backing = backing(project);
    if project.metadata.deletion_timestamp.is_some() {
        remove(observed, &backing, &mut plan);
        return plan;
    }
    let mut finalizers = project.metadata.finalizers.clone().unwrap_or_default();
    if !finalizers.iter().any(|found| found == FINALIZER) {
        // First of all, so that what is made below is not left behind by a deletion meanwhile.
        finalizers.push(FINALIZER.to_owned());
        let version = &project.metadata.resource_version;
        plan.actions.push(Action::patch(
            Site::Hub,
            Reference::new::<Project>(Some(cluster), name),
            json!({ "metadata": { "resourceVersion": version, "finalizers": finalizers } }),
        ));
        plan.requeue(now);
        return plan;
    }
    match observed.backing {
        None => plan
            .actions
            .push(Action::create(Site::Hub, &backing_namespace(&backing))),
        Some(namespace) if !is_marked(namespace) => {
            let patch =
                json!({ "metadata": { "annotations": { SYSTEM_NAMESPACE_ANNOTATION: "true" } } });
            plan.actions.push(Action::patch(
                Site::Hub,
                Reference::new::<Namespace>(None, &backing),
                patch,
            ));
        }
        Some(_) => {}
    }
    let bindings = creator_bindings(project, cluster, name, &backing, observed.creator_roles);
    if !condition::is_true(&project.status.conditions, "CreatorMadeOwner") {
        plan.actions.extend(
            bindings
                .iter()
                .map(|binding| Action::create(Site::Hub, binding)),
        );
    }
    let assigned = assign(observed, cluster, name, &mut plan);

    let mut changed = project.clone();
    changed.status.backing_namespace.clone_from(&backing);
    let annotations = changed.metadata.annotations.get_or_insert_default();
    if !annotations.contains_key(CREATOR_BINDINGS) {
        let created: Vec<_> = bindings
            .iter()
            .map(|binding| binding.role_template_name.as_str())
            .collect();
        annotations.insert(
            CREATOR_BINDINGS.to_owned(),
            json!({ "created": created, "required": observed.creator_roles }).to_string(),
        );
    }
    let conditions = &mut changed.status.conditions;
    let kinds = [
        "BackingNamespaceCreated",
        "CreatorMadeOwner",
        "InitialRolesPopulated",
    ];
    for kind in kinds.into_iter().chain(assigned) {
        condition::set(conditions, kind, Status::True, "", "", now);
    }
    if changed != *project {
        // After the actions: conditions say what was made.
        plan.status = Some(Action::replace(Site::Hub, &changed));
    }
    plan
}

fn remove(observed: &Observed<'_>, backing: &str, plan: &mut Plan) {
    let project = observed.project;
    let finalizers = project.metadata.finalizers.clone().unwrap_or_default();
    if !finalizers.iter().any(|found| found == FINALIZER) {
        return;
    }
    let (Some(name), Some(cluster)) = (
        project.metadata.name.as_deref(),
        project.metadata.namespace.as_deref(),
    ) else {
        return;
    };
    if observed.backing.is_some_and(|namespace| {
        is_marked(namespace) && namespace.metadata.deletion_timestamp.is_none()
    }) {
        plan.actions.push(Action::delete(
            Site::Hub,
            Reference::new::<Namespace>(None, backing),
        ));
    }
    let id = format!("{cluster}:{name}");
    for namespace in observed.namespaces.into_iter().flatten() {
        if annotation(namespace, PROJECT_ANNOTATION) == Some(&id) {
            plan.actions.push(leave(namespace));
        }
    }
    let left: Vec<_> = finalizers
        .into_iter()
        .filter(|found| found != FINALIZER)
        .collect();
    let patch = json!({ "metadata": { "resourceVersion": project.metadata.resource_version, "finalizers": left } });
    plan.actions.push(Action::patch(
        Site::Hub,
        Reference::new::<Project>(Some(cluster), name),
        patch,
    ));
}

fn backing_namespace(name: &str) -> Namespace {
    Namespace {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            annotations: Some([(SYSTEM_NAMESPACE_ANNOTATION.to_owned(), "true".to_owned())].into()),
            ..ObjectMeta::default()
        },
        ..Namespace::default()
    }
}

fn creator_bindings(
    project: &Project,
    cluster: &str,
    name: &str,
    backing: &str,
    roles: &[String],
) -> Vec<ProjectRoleTemplateBinding> {
    let Some(creator) = Creator::of(&project.metadata) else {
        return Vec::new();
    };
    let binding = |role: &String| {
        let mut binding = ProjectRoleTemplateBinding::named(&format!("creator-{role}"));
        binding.metadata.namespace = Some(backing.to_owned());
        binding.project_name = format!("{cluster}:{name}");
        role.clone_into(&mut binding.role_template_name);
        binding.user_name.clone_from(&creator.user);
        binding.user_principal_name.clone_from(&creator.principal);
        binding
    };
    roles.iter().map(binding).collect()
}

/// Looks after the projects of a cluster; keys are cluster ids.
///
/// All projects of a cluster have one key, because a look at one that read it before its deletion would make again what
/// another look has just removed.
pub(crate) struct Projects {
    pub(crate) settings: settings::Shared,
    pub(crate) reach: Reach,
    pub(crate) clock: Clock,
}

impl Controller for Projects {
    const NAME: &'static str = "projects";

    async fn look(&self, id: &str) -> Result<Option<Timestamp>, LookError> {
        let api = Api::<Project>::namespaced(self.reach.hub.clone(), id);
        let projects = api.list(&ListParams::default()).await?.items;
        if projects.is_empty() {
            return Ok(None);
        }
        let special = |project: &Project| {
            is_labelled(project, DEFAULT_PROJECT_LABEL)
                || is_labelled(project, SYSTEM_PROJECT_LABEL)
                || project.metadata.deletion_timestamp.is_some()
        };
        let cluster = if projects.iter().any(special) {
            self.reach.usable(id).await?
        } else {
            None
        };
        let namespaces = match &cluster {
            Some(client) => Some(namespaces::all(client).await?),
            None => None,
        };
        let creator_roles = creator::roles(&self.reach.hub, "project-owner", |template| {
            template.project_creator_default
        })
        .await?;
        let system_namespaces = self.settings.read().await?.list("system-namespaces");
        let sites = self.reach.sites(cluster);
        let (mut again, mut failed) = (None, None);
        for project in &projects {
            let backing = Api::<Namespace>::all(self.reach.hub.clone())
                .get_opt(&backing(project))
                .await?;
            let observed = Observed {
                project,
                backing: backing.as_ref(),
                creator_roles: &creator_roles,
                namespaces: namespaces.as_deref(),
                system_namespaces: &system_namespaces,
            };
            let plan = reconcile(&observed, self.clock.now());
            match sites.execute(&plan).await {
                Ok(()) => again = again.into_iter().chain(plan.requeue_at).min(),
                // The other projects have nothing to do with it.
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        match failed {
            Some(error) => Err(error.into()),
            None => Ok(again),
        }
    }
}
