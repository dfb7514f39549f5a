//! Reduces roles, bindings, clusters and projects to what the index needs, and
//! feeds their changes to it.

use std::sync::Arc;

use drover_types::management::{
    Cluster, ClusterRoleTemplateBinding, GlobalRole, GlobalRoleBinding, PolicyRule, Project,
    ProjectRoleTemplateBinding, RoleTemplate,
};
use k8s_openapi::api::rbac::v1::ClusterRole;
use kube::{Client, ResourceExt};
use sha2::{Digest, Sha256};

use super::compiler::Compiler;
use super::facts::{
    Binding, ClusterRoleFacts, GlobalRoleFacts, ProjectFacts, Scope, Subject, TemplateFacts,
};
use super::{Access, rules};
use crate::mirror::{Mirror, Observer};

pub(super) struct Sources {
    global_roles: Mirror<GlobalRoleFacts>,
    global_bindings: Mirror<Binding>,
    templates: Mirror<TemplateFacts>,
    cluster_roles: Mirror<ClusterRoleFacts>,
    cluster_bindings: Mirror<Binding>,
    project_bindings: Mirror<Binding>,
    projects: Mirror<ProjectFacts>,
    clusters: Mirror<()>,
}

/// Takes a change: key, before, after.
type Apply<V> = fn(&mut Compiler, &str, Option<&Arc<V>>, Option<&Arc<V>>);

/// Passes changes of one kind on to the compiler.
struct Feed<V> {
    access: Access,
    apply: Apply<V>,
}

impl<V: Send + Sync> Observer<V> for Feed<V> {
    fn changed(&mut self, key: &str, before: Option<&Arc<V>>, after: Option<&Arc<V>>) {
        (self.apply)(&mut self.access.0.compiler.lock(), key, before, after);
    }

    fn settled(&mut self) {
        self.access.publish();
    }
}

impl Sources {
    pub(super) fn new() -> Self {
        Self {
            global_roles: Mirror::new(),
            global_bindings: Mirror::new(),
            templates: Mirror::new(),
            cluster_roles: Mirror::new(),
            cluster_bindings: Mirror::new(),
            project_bindings: Mirror::new(),
            projects: Mirror::new(),
            clusters: Mirror::new(),
        }
    }

    pub(super) async fn ready(&self) {
        self.global_roles.ready().await;
        self.global_bindings.ready().await;
        self.templates.ready().await;
        self.cluster_roles.ready().await;
        self.cluster_bindings.ready().await;
        self.project_bindings.ready().await;
        self.projects.ready().await;
        self.clusters.ready().await;
    }

    pub(super) async fn follow(&self, client: Client, access: &Access) {
        fn feed<V>(access: &Access, apply: Apply<V>) -> Feed<V> {
            Feed {
                access: access.clone(),
                apply,
            }
        }
        let binding = |access| {
            feed::<Binding>(access, |compiler, _, before, after| {
                compiler.binding(before, after)
            })
        };
        let client = || client.clone();
        tokio::join!(
            self.global_roles.follow::<GlobalRole>(
                client(),
                global_role,
                feed(access, |compiler, key, _, after| compiler
                    .global_role(key, after)),
            ),
            self.global_bindings.follow::<GlobalRoleBinding>(
                client(),
                |b| global_binding(&b),
                binding(access)
            ),
            self.templates.follow::<RoleTemplate>(
                client(),
                template,
                feed(access, |compiler, key, _, after| compiler
                    .template(key, after)),
            ),
            self.cluster_roles.follow::<ClusterRole>(
                client(),
                cluster_role,
                feed(access, |compiler, key, _, after| compiler
                    .cluster_role(key, after)),
            ),
            self.cluster_bindings.follow::<ClusterRoleTemplateBinding>(
                client(),
                |b| cluster_binding(&b),
                binding(access)
            ),
            self.project_bindings.follow::<ProjectRoleTemplateBinding>(
                client(),
                |b| project_binding(&b),
                binding(access)
            ),
            self.projects.follow::<Project>(
                client(),
                |p| project(&p),
                feed(access, |compiler, _, before, after| {
                    compiler.project(before.map(Arc::as_ref), after.map(Arc::as_ref));
                }),
            ),
            self.clusters.follow::<Cluster>(
                client(),
                |_| (),
                feed(access, |compiler, key, _, after| compiler
                    .cluster(key, after.is_some())),
            ),
        );
    }
}

/// The one subject of a binding. One that names a user and a group, or nobody, is for nobody.
fn subject(
    user: &str,
    user_principal: &str,
    group_principal: &str,
    group: &str,
) -> Option<Subject> {
    let user = match (user, user_principal) {
        ("", "") => None,
        ("", principal) => Some(Subject::Principal(principal.to_owned())),
        (user, _) => Some(Subject::User(user.to_owned())),
    };
    let group = match (group_principal, group) {
        ("", "") => None,
        ("", name) | (name, _) => Some(Subject::Group(name.to_owned())),
    };
    match (user, group) {
        (Some(one), None) | (None, Some(one)) => Some(one),
        (Some(_), Some(_)) | (None, None) => None,
    }
}

pub(super) fn global_role(role: GlobalRole) -> GlobalRoleFacts {
    GlobalRoleFacts {
        is_admin: (role.builtin && role.name_any() == "admin")
            || rules::allow_everything(&role.rules),
        rules: role.rules,
        namespaced: role.namespaced_rules,
        inherited: role.inherited_cluster_roles,
    }
}

pub(super) fn template(template: RoleTemplate) -> TemplateFacts {
    // An external role's rules live in clusters; what it is said to have counts here, else what the hub's ClusterRole has.
    let rules = if template.external {
        template.external_rules
    } else {
        template.rules
    };
    TemplateFacts {
        context: template.context,
        external: template.external,
        rules: rules.into_iter().map(Arc::new).collect(),
        inherits: template.role_template_names,
    }
}

/// Of a ClusterRole of the hub what may count there; most say nothing of it.
pub(super) fn cluster_role(role: ClusterRole) -> ClusterRoleFacts {
    let rules = role
        .rules
        .unwrap_or_default()
        .into_iter()
        .map(|rule| PolicyRule {
            api_groups: rule.api_groups.unwrap_or_default(),
            non_resource_urls: Vec::new(),
            resource_names: rule.resource_names.unwrap_or_default(),
            resources: rule.resources.unwrap_or_default(),
            verbs: rule.verbs,
        });
    ClusterRoleFacts {
        rules: rules.filter(rules::speaks_of_hub).map(Arc::new).collect(),
    }
}

pub(super) fn global_binding(binding: &GlobalRoleBinding) -> Binding {
    Binding {
        name: format!("GlobalRoleBinding {}", binding.name_any()),
        subject: subject(
            &binding.user_name,
            &binding.user_principal_name,
            &binding.group_principal_name,
            "",
        ),
        role: binding.global_role_name.clone(),
        scope: Scope::Global,
    }
}

pub(super) fn cluster_binding(binding: &ClusterRoleTemplateBinding) -> Binding {
    let namespace = binding.namespace().unwrap_or_default();
    // A binding counts for the cluster whose namespace it is in; who may write there may not write elsewhere.
    let fits = binding.cluster_name == namespace;
    Binding {
        name: format!(
            "ClusterRoleTemplateBinding {namespace}/{}",
            binding.name_any()
        ),
        subject: subject(
            &binding.user_name,
            &binding.user_principal_name,
            &binding.group_principal_name,
            &binding.group_name,
        )
        .filter(|_| fits),
        role: binding.role_template_name.clone(),
        scope: Scope::Cluster(namespace),
    }
}

pub(super) fn project_binding(binding: &ProjectRoleTemplateBinding) -> Binding {
    let namespace = binding.namespace().unwrap_or_default();
    let (cluster, project) = binding.project_name.split_once(':').unwrap_or_default();
    // As above; the namespace is the project's name, or cluster and project joined (reference section 5).
    let fits = !project.is_empty()
        && (namespace == project || namespace == backing_namespace(cluster, project));
    Binding {
        name: format!(
            "ProjectRoleTemplateBinding {namespace}/{}",
            binding.name_any()
        ),
        subject: subject(
            &binding.user_name,
            &binding.user_principal_name,
            &binding.group_principal_name,
            &binding.group_name,
        )
        .filter(|_| fits),
        role: binding.role_template_name.clone(),
        scope: Scope::Project {
            cluster: cluster.to_owned(),
            project: project.to_owned(),
        },
    }
}

/// `<cluster>-<project>` in lower case, the namespace for a new project's own objects; when that is no name any more (64 bytes
/// and longer), cut and ended with a digest (rancher/wrangler `pkg/name/name.go`).
#[must_use]
pub fn backing_namespace(cluster: &str, project: &str) -> String {
    const LONGEST: usize = 63;
    let joined = format!("{cluster}-{}", project.to_lowercase());
    if joined.len() <= LONGEST || !joined.is_ascii() {
        return joined;
    }
    let digest = hex::encode(Sha256::digest(joined.as_bytes()));
    let kept = LONGEST - 6;
    if joined.as_bytes()[kept - 1].is_ascii_alphanumeric() {
        format!("{}-{}", &joined[..kept], &digest[..5])
    } else {
        format!("{}-{}", &joined[..kept - 1], &digest[..6])
    }
}

pub(super) fn project(project: &Project) -> ProjectFacts {
    let (cluster, name) = (project.namespace().unwrap_or_default(), project.name_any());
    ProjectFacts {
        backing: backing_namespace(&cluster, &name),
        cluster,
        project: name,
    }
}
