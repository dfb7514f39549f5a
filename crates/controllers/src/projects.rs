//! Projects: their namespaces in the hub, their creators, and the namespaces
//! of the cluster that Default and System take in.
//!
//! Owns each project's backing namespace, its creator's binding and its
//! conditions (reference rbac 5, `recorded/http/05-projects.txt`).
//!
//! Invariants: a namespace that is in a project stays there; a backing
//! namespace goes only with its project, and only if the hub made it.

use std::sync::Arc;

use drover_auth::Clock;
use drover_types::condition::{self, Status};
use drover_types::management::{Project, ProjectRoleTemplateBinding};
use drover_types::names::{LOCAL_CLUSTER, PROJECT_ANNOTATION};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::ListParams;
use kube::{Api, Client};
use serde_json::json;

use crate::clusters::{
    CREATOR_BINDINGS, DEFAULT_PROJECT_LABEL, SYSTEM_NAMESPACE_ANNOTATION, SYSTEM_PROJECT_LABEL,
    annotation, is_labelled, is_marked,
};
use crate::creator::{self, Creator};
use crate::downstream::Downstream;
use crate::facts::Board;
use crate::plan::{Action, Plan, Reference, Site, Sites};
use crate::quotas::{QUOTA_ANNOTATION, STATUS_ANNOTATION};
use crate::runtime::{Controller, LookError};
use crate::settings::Settings;

/// Keeps a project until its backing namespace is gone.
pub const FINALIZER: &str = "controller.cattle.io/mgmt-project-rbac-remove";
/// Names of namespaces are at most this long.
const LONGEST_NAME: usize = 63;

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

/// The namespace for a project's own objects: `<cluster>-<project>`.
#[must_use]
pub fn backing_name(cluster: &str, project: &str) -> String {
    let name = format!("{cluster}-{}", project.to_lowercase());
    if name.len() <= LONGEST_NAME {
        return name;
    }
    // Long names are cut and told apart by a hash.
    let cut = name
        .char_indices()
        .map(|(at, _)| at)
        .take_while(|at| *at <= LONGEST_NAME - 7)
        .last()
        .unwrap_or_default();
    format!(
        "{}-{}",
        &name[..cut],
        &crate::random::short_hash(&name)[..6]
    )
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
    let backing = match project.status.backing_namespace.as_str() {
        "" => backing_name(cluster, name),
        given => given.to_owned(),
    };
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

/// Takes a namespace out of its project.
pub(crate) fn leave(namespace: &ObjectMeta) -> Action {
    // With the project goes what the namespace had of its quota.
    let patch = json!({ "metadata": {
        "annotations": { PROJECT_ANNOTATION: null, QUOTA_ANNOTATION: null, STATUS_ANNOTATION: null },
        "labels": { PROJECT_ANNOTATION: null },
    } });
    Action::patch(
        Site::Cluster,
        Reference::new::<Namespace>(None, namespace.name.as_deref().unwrap_or_default()),
        patch,
    )
}

/// Default takes `default`, System takes the system's namespaces, unless they are in a project already.
fn assign(
    observed: &Observed<'_>,
    cluster: &str,
    name: &str,
    plan: &mut Plan,
) -> Option<&'static str> {
    let namespaces = observed.namespaces?;
    let is_default = is_labelled(observed.project, DEFAULT_PROJECT_LABEL);
    let is_system = is_labelled(observed.project, SYSTEM_PROJECT_LABEL);
    if !is_default && !is_system {
        return None;
    }
    for namespace in namespaces {
        let Some(found) = namespace.name.as_deref() else {
            continue;
        };
        let ours = (is_default && found == "default")
            || (is_system
                && observed
                    .system_namespaces
                    .iter()
                    .any(|system| system == found));
        if ours
            && annotation(namespace, PROJECT_ANNOTATION).is_none()
            && namespace.deletion_timestamp.is_none()
        {
            let patch = json!({ "metadata": {
                "annotations": { PROJECT_ANNOTATION: format!("{cluster}:{name}") },
                "labels": { PROJECT_ANNOTATION: name },
            } });
            plan.actions.push(Action::patch(
                Site::Cluster,
                Reference::new::<Namespace>(None, found),
                patch,
            ));
        }
    }
    Some(if is_default {
        "DefaultNamespacesAssigned"
    } else {
        "SystemNamespacesAssigned"
    })
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
    pub(crate) client: Client,
    pub(crate) downstream: Arc<dyn Downstream>,
    pub(crate) board: Arc<Board>,
    pub(crate) clock: Clock,
}

impl Projects {
    async fn cluster(&self, id: &str) -> Result<Option<Client>, LookError> {
        let facts = self.board.get(id);
        if !facts.is_usable() {
            return Ok(None);
        }
        Ok(Some(if id == LOCAL_CLUSTER {
            self.client.clone()
        } else {
            self.downstream.client(id).await?
        }))
    }
}

impl Controller for Projects {
    const NAME: &'static str = "projects";

    async fn look(&self, id: &str) -> Result<Option<Timestamp>, LookError> {
        let api = Api::<Project>::namespaced(self.client.clone(), id);
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
            self.cluster(id).await?
        } else {
            None
        };
        let namespaces: Option<Vec<ObjectMeta>> = match &cluster {
            Some(client) => {
                let list = Api::<Namespace>::all(client.clone())
                    .list(&ListParams::default())
                    .await?;
                Some(
                    list.items
                        .into_iter()
                        .map(|namespace| namespace.metadata)
                        .collect(),
                )
            }
            None => None,
        };
        let creator_roles = creator::roles(&self.client, "project-owner", |template| {
            template.project_creator_default
        })
        .await?;
        let system_namespaces = Settings::read(&self.client)
            .await?
            .list("system-namespaces");
        let sites = Sites {
            hub: self.client.clone(),
            cluster,
        };
        let (mut again, mut failed) = (None, None);
        for project in &projects {
            let backing = match project.status.backing_namespace.as_str() {
                "" => backing_name(id, project.metadata.name.as_deref().unwrap_or_default()),
                given => given.to_owned(),
            };
            let backing = Api::<Namespace>::all(self.client.clone())
                .get_opt(&backing)
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

#[cfg(test)]
mod tests {
    use drover_types::names::CREATOR_ANNOTATION;

    use super::*;

    fn project(label: Option<&str>) -> Project {
        let mut project = Project::named("p-dsjq7");
        project.metadata.namespace = Some("c-96nwv".to_owned());
        project.metadata.annotations =
            Some([(CREATOR_ANNOTATION.to_owned(), "user-p8sfq".to_owned())].into());
        project.metadata.labels = label.map(|label| [(label.to_owned(), "true".to_owned())].into());
        project.metadata.finalizers = Some(vec![FINALIZER.to_owned()]);
        project
    }

    fn meta(name: &str, project: Option<&str>) -> ObjectMeta {
        let annotations =
            project.map(|project| [(PROJECT_ANNOTATION.to_owned(), project.to_owned())].into());
        ObjectMeta {
            name: Some(name.to_owned()),
            annotations,
            ..ObjectMeta::default()
        }
    }

    fn plan(
        project: &Project,
        backing: Option<&Namespace>,
        namespaces: Option<&[ObjectMeta]>,
    ) -> Plan {
        let observed = Observed {
            project,
            backing,
            creator_roles: &["project-owner".to_owned()],
            namespaces,
            system_namespaces: &["kube-system".to_owned()],
        };
        reconcile(&observed, Timestamp::UNIX_EPOCH)
    }

    fn targets(plan: &Plan) -> Vec<String> {
        plan.actions
            .iter()
            .map(|action| action.target().to_string())
            .collect()
    }

    fn after(plan: &Plan) -> Project {
        let Some(Action::Replace { object, .. }) = &plan.status else {
            panic!("no status")
        };
        serde_json::from_value(object.clone()).unwrap()
    }

    #[test]
    fn nothing_is_made_before_the_finalizer_holds_it() {
        let mut new = project(Some(DEFAULT_PROJECT_LABEL));
        new.metadata.finalizers = None;
        let first = plan(&new, None, Some(&[meta("default", None)]));
        assert_eq!(targets(&first), ["Project c-96nwv/p-dsjq7"]);
        assert!(first.status.is_none() && first.requeue_at.is_some());
    }

    #[test]
    fn a_new_project_gets_what_was_recorded_and_then_rests() {
        let first = plan(
            &project(Some(DEFAULT_PROJECT_LABEL)),
            None,
            Some(&[meta("default", None)]),
        );
        let expected = [
            "Namespace c-96nwv-p-dsjq7",
            "ProjectRoleTemplateBinding c-96nwv-p-dsjq7/creator-project-owner",
            "Namespace default",
        ];
        assert_eq!(targets(&first), expected);
        let made = after(&first);
        let kinds: Vec<_> = made
            .status
            .conditions
            .iter()
            .map(|condition| condition.kind.as_str())
            .collect();
        assert_eq!(
            kinds,
            [
                "BackingNamespaceCreated",
                "CreatorMadeOwner",
                "InitialRolesPopulated",
                "DefaultNamespacesAssigned"
            ]
        );
        let bindings = made.metadata.annotations.as_ref().unwrap()[CREATOR_BINDINGS].as_str();
        assert_eq!(
            bindings,
            r#"{"created":["project-owner"],"required":["project-owner"]}"#
        );
        let backing = backing_namespace("c-96nwv-p-dsjq7");
        assert!(
            plan(
                &made,
                Some(&backing),
                Some(&[meta("default", Some("c-96nwv:p-dsjq7"))])
            )
            .is_empty()
        );
        assert!(plan(&made, Some(&backing), None).is_empty());
    }

    #[test]
    fn namespaces_that_are_in_a_project_stay_there() {
        let namespaces = [
            meta("kube-system", Some("c-96nwv:p-other")),
            meta("mine", None),
        ];
        let plan = plan(
            &project(Some(SYSTEM_PROJECT_LABEL)),
            Some(&backing_namespace("c-96nwv-p-dsjq7")),
            Some(&namespaces),
        );
        assert_eq!(
            targets(&plan),
            ["ProjectRoleTemplateBinding c-96nwv-p-dsjq7/creator-project-owner"]
        );
    }

    #[test]
    fn a_deleted_project_lets_its_namespaces_go_and_leaves_foreign_ones() {
        let mut project = project(None);
        project.metadata.deletion_timestamp =
            Some(serde_json::from_value(json!("2026-11-20T21:21:51Z")).unwrap());
        project.metadata.finalizers = Some(vec![FINALIZER.to_owned(), "other".to_owned()]);
        let namespaces = [
            meta("shop", Some("c-96nwv:p-dsjq7")),
            meta("other", Some("c-96nwv:p-x")),
        ];
        let mut backing = backing_namespace("c-96nwv-p-dsjq7");
        let plan_for =
            |backing: &Namespace| targets(&plan(&project, Some(backing), Some(&namespaces)));
        assert_eq!(
            plan_for(&backing),
            [
                "Namespace c-96nwv-p-dsjq7",
                "Namespace shop",
                "Project c-96nwv/p-dsjq7"
            ]
        );
        backing.metadata.annotations = None;
        assert_eq!(
            plan_for(&backing),
            ["Namespace shop", "Project c-96nwv/p-dsjq7"]
        );
    }

    #[test]
    fn long_names_are_cut() {
        let name = backing_name(&"c".repeat(60), "p-x");
        assert!(name.len() <= LONGEST_NAME);
        assert_eq!(backing_name("c-abcde", "P-x"), "c-abcde-p-x");
    }
}
