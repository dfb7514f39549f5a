//! What the virtual groups may do in a cluster.
//!
//! Owns, in every managed cluster and the local one, the roles of owners and
//! members and their bindings to the groups that the proxy impersonates
//! (design, section 3). They grow with roles, never with users.
//!
//! Invariant: what somebody edits is put back; nothing else is touched.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use drover_auth::Clock;
use drover_types::management::{
    ClusterRoleTemplateBinding, GlobalRole, ProjectRoleTemplateBinding, RoleTemplate,
};
use drover_types::names::{
    CREATOR_LABEL, CREATOR_NORMAN, LOCAL_CLUSTER, MEMBER_GROUP, OWNER_GROUP,
};
use jiff::Timestamp;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{ListParams, PostParams};
use kube::{Api, Client};

use crate::downstream::Reach;
use crate::downstream_roles::reconcile as reconcile_roles;
use crate::downstream_roles::{
    Flats, Given, Ours, Wanted, downstream_rule, in_projects, reference, subject,
};
use crate::facts::{Access, Session};
use crate::plan::{Action, Plan, Reference, Site, chain};
use crate::runtime::{Controller, LookError, Trigger};
use crate::{namespace_guard, namespaces};

/// Binds owners to Kubernetes' own `cluster-admin`.
pub(crate) const OWNER_BINDING: &str = "drover-cluster-owner";
/// The role of members, and its binding.
pub(crate) const MEMBER_ROLE: &str = "drover-cluster-member";

/// What is there.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// The members' role.
    pub member_role: Option<ClusterRole>,
    /// The members' binding.
    pub member_binding: Option<ClusterRoleBinding>,
    /// The owners' binding.
    pub owner_binding: Option<ClusterRoleBinding>,
}

/// Decides about one cluster's roles; `rules` are those of members.
#[must_use]
pub fn reconcile(observed: &Observed, rules: &[PolicyRule]) -> Plan {
    let mut plan = Plan::default();
    let role = ClusterRole {
        metadata: meta(MEMBER_ROLE),
        rules: Some(rules.to_vec()),
        ..ClusterRole::default()
    };
    let same_role = observed
        .member_role
        .as_ref()
        .is_some_and(|found| is_ours(&found.metadata) && found.rules == role.rules);
    if !same_role {
        plan.actions.push(Action::apply(Site::Cluster, &role));
    }
    let wanted = [
        (
            binding(OWNER_BINDING, "cluster-admin", OWNER_GROUP),
            &observed.owner_binding,
        ),
        (
            binding(MEMBER_ROLE, MEMBER_ROLE, MEMBER_GROUP),
            &observed.member_binding,
        ),
    ];
    for (wanted, found) in wanted {
        if let Some(found) = found {
            if is_ours(&found.metadata)
                && found.role_ref == wanted.role_ref
                && found.subjects == wanted.subjects
            {
                continue;
            }
            if found.role_ref != wanted.role_ref {
                // A binding's role cannot be changed.
                let name = wanted.metadata.name.as_deref().unwrap_or_default();
                plan.actions.push(Action::delete(
                    Site::Cluster,
                    Reference::new::<ClusterRoleBinding>(None, name),
                ));
            }
        }
        plan.actions.push(Action::apply(Site::Cluster, &wanted));
    }
    plan
}

fn meta(name: &str) -> ObjectMeta {
    let labels = BTreeMap::from([(CREATOR_LABEL.to_owned(), CREATOR_NORMAN.to_owned())]);
    ObjectMeta {
        name: Some(name.to_owned()),
        labels: Some(labels),
        ..ObjectMeta::default()
    }
}

fn is_ours(meta: &ObjectMeta) -> bool {
    meta.labels
        .as_ref()
        .and_then(|labels| labels.get(CREATOR_LABEL))
        .is_some_and(|value| value == CREATOR_NORMAN)
}

fn binding(name: &str, role: &str, group: &str) -> ClusterRoleBinding {
    ClusterRoleBinding {
        metadata: meta(name),
        role_ref: reference(role),
        subjects: Some(vec![subject(group)]),
    }
}

/// The rules of members: those of the role template, or the built-in ones as long as there is none.
#[must_use]
pub fn member_rules(template: Option<&RoleTemplate>, local: bool) -> Vec<PolicyRule> {
    if let Some(template) = template {
        let rules = template.rules.iter();
        return rules
            .filter_map(|rule| downstream_rule(rule, local))
            .collect();
    }
    let read = |group: &str, resources: &[&str]| PolicyRule {
        api_groups: Some(vec![group.to_owned()]),
        resources: Some(resources.iter().map(|&name| name.to_owned()).collect()),
        verbs: ["get", "list", "watch"].map(str::to_owned).to_vec(),
        ..PolicyRule::default()
    };
    vec![
        read("", &["nodes"]),
        read("", &["persistentvolumes"]),
        read("storage.k8s.io", &["storageclasses"]),
        read("apiregistration.k8s.io", &["apiservices"]),
        read("metrics.k8s.io", &["nodemetrics", "nodes"]),
    ]
}

/// Looks after roles in clusters; keys are cluster ids.
pub(crate) struct DownstreamAccess {
    pub(crate) reach: Reach,
    pub(crate) clusters: Trigger,
    pub(crate) clock: Clock,
}

/// How soon to ask again whether roles that were written are in force, at the least.
const SOON: Duration = Duration::from_millis(50);

/// When to look again at roles that a cluster does not decide by yet: the longer it takes, the later.
fn again(access: &Access, now: Timestamp) -> Option<Timestamp> {
    match access {
        Access::Written { since } => {
            let waited = Duration::try_from(now.duration_since(*since)).unwrap_or_default();
            Some(now + waited.max(SOON))
        }
        Access::Unknown | Access::Given | Access::Failed(_) => None,
    }
}

/// Whether the cluster decides by the owners' binding. Its authorizer learns of bindings after they were acknowledged.
async fn in_force(client: &Client) -> Result<bool, kube::Error> {
    let all = || Some("*".to_owned());
    let review = SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            groups: Some(vec![OWNER_GROUP.to_owned()]),
            resource_attributes: Some(ResourceAttributes {
                group: all(),
                resource: all(),
                verb: all(),
                ..ResourceAttributes::default()
            }),
            ..SubjectAccessReviewSpec::default()
        },
        ..SubjectAccessReview::default()
    };
    let answer = Api::<SubjectAccessReview>::all(client.clone())
        .create(&PostParams::default(), &review)
        .await?;
    Ok(answer.status.is_some_and(|status| status.allowed))
}

impl DownstreamAccess {
    /// What the hub's bindings give in a cluster; its namespaces are not read here.
    async fn given(&self, id: &str) -> Result<Given, LookError> {
        let all = ListParams::default();
        let hub = || self.reach.hub.clone();
        let templates = Api::<RoleTemplate>::all(hub()).list(&all).await?.items;
        let bound = Api::<ClusterRoleTemplateBinding>::namespaced(hub(), id);
        let mut cluster: BTreeSet<String> = bound
            .list(&all)
            .await?
            .items
            .into_iter()
            .map(|binding| binding.role_template_name)
            .collect();
        if id != LOCAL_CLUSTER {
            let global = Api::<GlobalRole>::all(hub()).list(&all).await?;
            cluster.extend(
                global
                    .items
                    .into_iter()
                    .flat_map(|role| role.inherited_cluster_roles),
            );
        }
        let bound = Api::<ProjectRoleTemplateBinding>::all(hub())
            .list(&all)
            .await?;
        let projects = bound.items.into_iter().filter_map(|binding| {
            let (of, project) = binding.project_name.split_once(':')?;
            (of == id).then(|| (project.to_owned(), binding.role_template_name))
        });
        Ok(Given {
            templates,
            cluster,
            projects: projects.collect(),
            namespaces: Vec::new(),
        })
    }

    /// Brings a cluster's roles to what they should be.
    async fn give(&self, id: &str, client: &Client) -> Result<Access, LookError> {
        let given = self.given(id).await?;
        let template = given
            .templates
            .iter()
            .find(|template| template.metadata.name.as_deref() == Some("cluster-member"));
        let roles = Api::<ClusterRole>::all(client.clone());
        let bindings = Api::<ClusterRoleBinding>::all(client.clone());
        let observed = Observed {
            member_role: roles.get_opt(MEMBER_ROLE).await?,
            member_binding: bindings.get_opt(MEMBER_ROLE).await?,
            owner_binding: bindings.get_opt(OWNER_BINDING).await?,
        };
        let mut plan = reconcile(&observed, &member_rules(template, id == LOCAL_CLUSTER));
        let all = namespaces::all(client).await?;
        let given = Given {
            namespaces: in_projects(&all, id),
            ..given
        };
        let ours = Ours::read(client).await?;
        let flats = Flats::of(&given.templates);
        let wanted = Wanted::with(id, &given, &flats);
        plan.actions.extend(reconcile_roles(&ours, &wanted).actions);
        let now = self.clock.now();
        plan.actions.extend(all.iter().filter_map(|namespace| {
            // One write at a time: the next look follows from it.
            namespaces::labelled(namespace, id).or_else(|| namespaces::populated(namespace, now))
        }));
        let sites = self.reach.sites(Some(client.clone()));
        sites.execute(&plan).await?;
        let guard = namespace_guard::Observed::read(client).await?;
        let plan = namespace_guard::reconcile(id, &flats, &guard);
        match sites.execute(&plan).await {
            Err(error) if error.is_unknown() => {
                tracing::debug!(
                    cluster = id,
                    "the cluster is too old for policies of admission"
                );
            }
            other => other?,
        }
        Ok(match self.reach.board.get(id).access {
            Access::Given => Access::Given,
            _ if in_force(client).await? => Access::Given,
            Access::Written { since } => Access::Written { since },
            Access::Unknown | Access::Failed(_) => Access::Written {
                since: self.clock.now(),
            },
        })
    }
}

impl Controller for DownstreamAccess {
    const NAME: &'static str = "downstream-access";

    async fn look(&self, id: &str) -> Result<Option<Timestamp>, LookError> {
        let Some(client) = self.reach.ours(id).await? else {
            return Ok(None);
        };
        let outcome = self.give(id, &client).await;
        let access = match &outcome {
            Ok(access) => access.clone(),
            Err(error) if error.is_refusal() => Access::Failed(format!(
                "Error while applying roles, it will be retried automatically: {}",
                chain(error)
            )),
            // It did not get through, which says nothing about the roles: it is tried again.
            Err(_) => return outcome.map(|_| None),
        };
        let next = again(&access, self.clock.now());
        // The session may have ended meanwhile; then nothing is known any more.
        let board = &self.reach.board;
        let still = board.get(id).session == Session::Live;
        if still && board.update(id, |facts| facts.access = access) {
            self.clusters.now(id);
        }
        outcome.map(|_| next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn act(observed: &mut Observed, plan: &Plan) {
        for action in &plan.actions {
            let (name, kind) = (action.target().name(), action.target().kind());
            let object = match action {
                Action::Apply { object, .. } => Some(object.clone()),
                Action::Delete { .. } => None,
                Action::Create { .. } | Action::Replace { .. } | Action::Patch { .. } => {
                    panic!("not expected: {action:?}")
                }
            };
            match (kind, name) {
                ("ClusterRole", _) => {
                    observed.member_role =
                        object.map(|object| serde_json::from_value(object).unwrap())
                }
                (_, OWNER_BINDING) => {
                    observed.owner_binding =
                        object.map(|object| serde_json::from_value(object).unwrap())
                }
                _ => {
                    observed.member_binding =
                        object.map(|object| serde_json::from_value(object).unwrap())
                }
            }
        }
    }

    #[test]
    fn what_is_missing_or_edited_is_put_back_and_then_left_alone() {
        let rules = member_rules(None, false);
        let mut observed = Observed::default();
        let plan = reconcile(&observed, &rules);
        act(&mut observed, &plan);
        assert!(reconcile(&observed, &rules).is_empty());
        let edits: [&dyn Fn(&mut Observed); 5] = [
            &|observed| observed.member_role.as_mut().unwrap().rules = None,
            &|observed| observed.member_binding.as_mut().unwrap().subjects = None,
            &|observed| {
                "view".clone_into(&mut observed.owner_binding.as_mut().unwrap().role_ref.name)
            },
            &|observed| observed.owner_binding.as_mut().unwrap().metadata.labels = None,
            &|observed| observed.member_binding = None,
        ];
        for edit in edits {
            let mut edited = observed.clone();
            edit(&mut edited);
            let plan = reconcile(&edited, &rules);
            assert!(!plan.is_empty());
            act(&mut edited, &plan);
            assert!(reconcile(&edited, &rules).is_empty());
        }
    }
}
