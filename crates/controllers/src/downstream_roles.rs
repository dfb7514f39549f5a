//! What roles given in a cluster and its projects come to there.
//!
//! Owns the ClusterRoles of the role templates in use and the bindings of the
//! virtual groups to them (design, section 3): one binding per ClusterRole for
//! the whole cluster, and one per ClusterRole in each namespace of a project,
//! which says what its people may do to the namespace itself as well.
//! They grow with roles and namespaces, never with users. Owners and members of
//! the cluster are looked after in `downstream_access`.
//!
//! Invariants: what somebody edits is put back; what nobody uses is removed;
//! only objects with our label are ever removed.

mod flat;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use drover_types::management::RoleTemplate;
use drover_types::names::{self, CREATOR_LABEL, CREATOR_NORMAN, LOCAL_CLUSTER};
use k8s_openapi::api::rbac::v1::{
    ClusterRole, ClusterRoleBinding, PolicyRule, RoleBinding, RoleRef, Subject,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt as _};

use crate::namespaces::project_of;
use crate::plan::{Action, Plan, Reference, Site};
use flat::Flat;
pub(crate) use flat::{Flats, downstream_rule};

/// Label of the objects kept here, so that they are found again.
pub const ACCESS_LABEL: &str = "drover.cattle.io/access";
/// Objects kept here begin like this.
const PREFIX: &str = "drover-";
/// The role of those who make namespaces.
const CREATE_NAMESPACES: &str = "drover-namespaces-create";
const RBAC: &str = "rbac.authorization.k8s.io";
/// What a cluster's bindings say.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// All role templates.
    pub templates: Vec<RoleTemplate>,
    /// Roles bound in the whole cluster, by bindings or through global roles.
    pub cluster: BTreeSet<String>,
    /// Roles bound in projects: project and role.
    pub projects: BTreeSet<(String, String)>,
    /// Namespaces of the cluster with the project each is in.
    pub namespaces: Vec<(String, String)>,
}

/// What has to be in the cluster.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wanted {
    roles: BTreeMap<String, Vec<PolicyRule>>,
    /// ClusterRole to groups, for the whole cluster.
    cluster: BTreeMap<String, BTreeSet<String>>,
    /// Namespace and ClusterRole to groups.
    namespaced: BTreeMap<(String, String), BTreeSet<String>>,
}

impl Wanted {
    /// Works out what has to be in the cluster `id`.
    #[must_use]
    pub fn of(id: &str, given: &Given) -> Self {
        Self::with(id, given, &Flats::of(&given.templates))
    }

    /// The same, where the templates were looked through before.
    pub(crate) fn with(id: &str, given: &Given, flats: &Flats) -> Self {
        let mut wanted = Self::default();
        let local = id == LOCAL_CLUSTER;
        for name in &given.cluster {
            let group = names::cluster_group(name);
            if group == names::OWNER_GROUP || group == names::MEMBER_GROUP {
                continue;
            }
            if let Some(flat) = flats.get(name) {
                for role in wanted.roles_of(role_name(name), &flat.within(local)) {
                    wanted
                        .cluster
                        .entry(role)
                        .or_default()
                        .insert(group.clone());
                }
            }
        }
        let mut in_project: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (namespace, project) in &given.namespaces {
            in_project.entry(project).or_default().push(namespace);
        }
        for (project, name) in &given.projects {
            let Some(flat) = flats.get(name) else {
                continue;
            };
            let group = names::project_group(project, name);
            // What it says of namespaces must hold in namespaces alone.
            let own = if given.cluster.contains(name) {
                format!("{PREFIX}project-{name}")
            } else {
                role_name(name)
            };
            wanted.of_project(
                name,
                own,
                flat.within(local),
                &group,
                in_project.get(project.as_str()).map_or(&[], Vec::as_slice),
            );
        }
        wanted
    }

    /// `own` is the ClusterRole with the template's rules.
    fn of_project(
        &mut self,
        name: &str,
        own: String,
        mut flat: Flat,
        group: &str,
        namespaces: &[&str],
    ) {
        let promoted = flat.promoted();
        if !promoted.is_empty() {
            let role = format!("{PREFIX}promoted-{name}");
            self.roles.insert(role.clone(), promoted);
            self.give_in_cluster(&role, group);
        }
        let makes_namespaces = flat.makes_namespaces();
        if makes_namespaces {
            self.roles.insert(
                CREATE_NAMESPACES.to_owned(),
                vec![on_namespaces(&["create"])],
            );
            self.give_in_cluster(CREATE_NAMESPACES, group);
        }
        if namespaces.is_empty() {
            return;
        }
        // Who makes a project's namespaces manages them, others see them.
        let verbs: &[&str] = if makes_namespaces { &["*"] } else { &["get"] };
        flat.rules.push(on_namespaces(verbs));
        let roles = self.roles_of(own, &flat);
        for namespace in namespaces {
            for role in &roles {
                self.namespaced
                    .entry(((*namespace).to_owned(), role.clone()))
                    .or_default()
                    .insert(group.to_owned());
            }
        }
    }

    fn give_in_cluster(&mut self, role: &str, group: &str) {
        self.cluster
            .entry(role.to_owned())
            .or_default()
            .insert(group.to_owned());
    }

    /// The ClusterRoles a template stands for; `own`, with its rules, is noted as wanted.
    fn roles_of(&mut self, own: String, flat: &Flat) -> Vec<String> {
        let mut roles: Vec<String> = flat.external.iter().cloned().collect();
        if !flat.rules.is_empty() {
            self.roles.insert(own.clone(), flat.rules.clone());
            roles.push(own);
        }
        roles
    }
}

/// The ClusterRole with a template's rules.
fn role_name(template: &str) -> String {
    format!("{PREFIX}role-{template}")
}

fn on_namespaces(verbs: &[&str]) -> PolicyRule {
    PolicyRule {
        api_groups: Some(vec![String::new()]),
        resources: Some(vec!["namespaces".to_owned()]),
        verbs: verbs.iter().map(|&verb| verb.to_owned()).collect(),
        ..PolicyRule::default()
    }
}

/// What is in the cluster, by our label.
#[derive(Clone, Debug, Default)]
pub struct Ours {
    /// Roles.
    pub roles: Vec<ClusterRole>,
    /// Bindings in the whole cluster.
    pub cluster: Vec<ClusterRoleBinding>,
    /// Bindings in namespaces.
    pub namespaced: Vec<RoleBinding>,
}

impl Ours {
    /// Reads what is there.
    pub(crate) async fn read(client: &Client) -> Result<Self, kube::Error> {
        let ours = ListParams::default().labels(&format!("{ACCESS_LABEL}=true"));
        Ok(Self {
            roles: Api::all(client.clone()).list(&ours).await?.items,
            cluster: Api::all(client.clone()).list(&ours).await?.items,
            namespaced: Api::all(client.clone()).list(&ours).await?.items,
        })
    }
}

/// The namespaces of a cluster that are in its projects and not going away.
pub(crate) fn in_projects(namespaces: &[ObjectMeta], cluster: &str) -> Vec<(String, String)> {
    let staying = namespaces
        .iter()
        .filter(|namespace| namespace.deletion_timestamp.is_none());
    staying
        .filter_map(|namespace| {
            let project = project_of(namespace, cluster)?;
            Some((namespace.name.clone()?, project.to_owned()))
        })
        .collect()
}

/// Decides what to change: what is wanted and missing or edited is applied, what is ours and not wanted is removed.
#[must_use]
pub fn reconcile(found: &Ours, wanted: &Wanted) -> Plan {
    let mut plan = Plan::default();
    // Rights that are no longer given go first.
    for binding in &found.namespaced {
        let (namespace, name) = (binding.namespace().unwrap_or_default(), binding.name_any());
        let role = &binding.role_ref.name;
        let given = wanted
            .namespaced
            .contains_key(&(namespace.clone(), role.clone()));
        if !given || binding_name(role) != name {
            plan.actions.push(Action::delete(
                Site::Cluster,
                Reference::new::<RoleBinding>(Some(&namespace), &name),
            ));
        }
    }
    for binding in &found.cluster {
        let (name, role) = (binding.name_any(), &binding.role_ref.name);
        if !wanted.cluster.contains_key(role) || binding_name(role) != name {
            plan.actions.push(Action::delete(
                Site::Cluster,
                Reference::new::<ClusterRoleBinding>(None, &name),
            ));
        }
    }
    let roles: HashMap<String, &ClusterRole> = found
        .roles
        .iter()
        .map(|role| (role.name_any(), role))
        .collect();
    for (name, rules) in &wanted.roles {
        let same = roles
            .get(name)
            .is_some_and(|role| role.rules.as_ref() == Some(rules));
        if !same {
            plan.actions.push(Action::apply(
                Site::Cluster,
                &ClusterRole {
                    metadata: meta(name, None),
                    rules: Some(rules.clone()),
                    ..ClusterRole::default()
                },
            ));
        }
    }
    let bound: HashMap<String, &ClusterRoleBinding> = found
        .cluster
        .iter()
        .map(|binding| (binding.name_any(), binding))
        .collect();
    for (role, groups) in &wanted.cluster {
        let name = binding_name(role);
        let binding = ClusterRoleBinding {
            metadata: meta(&name, None),
            role_ref: reference(role),
            subjects: Some(subjects(groups)),
        };
        let same = bound.get(&name).is_some_and(|found| {
            found.subjects == binding.subjects && found.role_ref == binding.role_ref
        });
        if !same {
            plan.actions.push(Action::apply(Site::Cluster, &binding));
        }
    }
    let bound: HashMap<(String, String), &RoleBinding> = found
        .namespaced
        .iter()
        .map(|binding| {
            let place = (binding.namespace().unwrap_or_default(), binding.name_any());
            (place, binding)
        })
        .collect();
    for ((namespace, role), groups) in &wanted.namespaced {
        let name = binding_name(role);
        let binding = RoleBinding {
            metadata: meta(&name, Some(namespace)),
            role_ref: reference(role),
            subjects: Some(subjects(groups)),
        };
        let same = bound.get(&(namespace.clone(), name)).is_some_and(|found| {
            found.subjects == binding.subjects && found.role_ref == binding.role_ref
        });
        if !same {
            plan.actions.push(Action::apply(Site::Cluster, &binding));
        }
    }
    for role in &found.roles {
        let name = role.name_any();
        if !wanted.roles.contains_key(&name) {
            plan.actions.push(Action::delete(
                Site::Cluster,
                Reference::new::<ClusterRole>(None, &name),
            ));
        }
    }
    plan
}

/// Bindings are named like their role, so that a binding never has to change it.
fn binding_name(role: &str) -> String {
    if role.starts_with(PREFIX) {
        role.to_owned()
    } else {
        format!("{PREFIX}to-{role}")
    }
}

fn meta(name: &str, namespace: Option<&str>) -> ObjectMeta {
    let labels = [(CREATOR_LABEL, CREATOR_NORMAN), (ACCESS_LABEL, "true")]
        .map(|(key, value)| (key.to_owned(), value.to_owned()));
    ObjectMeta {
        name: Some(name.to_owned()),
        namespace: namespace.map(str::to_owned),
        labels: Some(labels.into()),
        ..ObjectMeta::default()
    }
}

pub(crate) fn reference(role: &str) -> RoleRef {
    RoleRef {
        api_group: Some(RBAC.to_owned()),
        kind: "ClusterRole".to_owned(),
        name: role.to_owned(),
    }
}

fn subjects(groups: &BTreeSet<String>) -> Vec<Subject> {
    groups.iter().map(|group| subject(group)).collect()
}

pub(crate) fn subject(group: &str) -> Subject {
    Subject {
        api_group: Some(RBAC.to_owned()),
        kind: "Group".to_owned(),
        name: group.to_owned(),
        namespace: None,
    }
}
