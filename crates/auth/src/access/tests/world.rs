//! Worlds of roles and bindings, made in a line.

use std::collections::BTreeMap;
use std::sync::Arc;

use drover_types::management::{
    ClusterRoleTemplateBinding, GlobalRole, GlobalRoleBinding, PolicyRule, Project,
    ProjectRoleTemplateBinding, RoleTemplate,
};
use k8s_openapi::api::rbac::v1::ClusterRole;
use serde_json::json;

use super::super::compiler::Compiler;
use super::super::facts::{
    Binding, ClusterRoleFacts, GlobalRoleFacts, ProjectFacts, TemplateFacts,
};
use super::super::feed;
use super::super::index::Index;
use crate::bootstrap;

/// All objects access follows from.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct World {
    pub(super) global_roles: Vec<GlobalRole>,
    pub(super) global_bindings: Vec<GlobalRoleBinding>,
    pub(super) templates: Vec<RoleTemplate>,
    /// Names and rules of ClusterRoles of the hub.
    pub(super) cluster_roles: Vec<(&'static str, Vec<PolicyRule>)>,
    pub(super) cluster_bindings: Vec<ClusterRoleTemplateBinding>,
    pub(super) project_bindings: Vec<ProjectRoleTemplateBinding>,
    pub(super) projects: Vec<Project>,
    pub(super) clusters: Vec<&'static str>,
}

pub(super) fn name(object: &impl kube::ResourceExt) -> String {
    object.name_any()
}

fn rule(verbs: &[&str], groups: &[&str], resources: &[&str]) -> PolicyRule {
    let all = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    PolicyRule {
        api_groups: all(groups),
        resources: all(resources),
        verbs: all(verbs),
        ..PolicyRule::default()
    }
}

/// What Kubernetes' own `admin` and `edit` say of what counts on the hub.
fn secrets() -> PolicyRule {
    rule(
        &["get", "list", "watch", "create", "update", "delete"],
        &[""],
        &["secrets"],
    )
}

impl World {
    pub(in super::super) fn built_in() -> Self {
        Self {
            global_roles: bootstrap::global_roles().collect(),
            templates: bootstrap::role_templates().collect(),
            cluster_roles: vec![
                ("cluster-admin", vec![rule(&["*"], &["*"], &["*"])]),
                ("admin", vec![secrets()]),
                ("edit", vec![secrets()]),
                ("view", vec![rule(&["get"], &[""], &["configmaps"])]),
            ],
            clusters: vec!["local", "c-1", "c-2"],
            projects: vec![
                project("c-1", "p-1"),
                project("c-1", "p-2"),
                project("c-2", "p-3"),
            ],
            ..Self::default()
        }
    }

    /// Everything the index takes, by kind and name.
    pub(super) fn facts(&self) -> BTreeMap<(&'static str, String), Fact> {
        let mut facts = BTreeMap::new();
        for role in &self.global_roles {
            let fact = Fact::GlobalRole(Arc::new(feed::global_role(role.clone())));
            facts.insert(("global role", name(role)), fact);
        }
        for template in &self.templates {
            let fact = Fact::Template(Arc::new(feed::template(template.clone())));
            facts.insert(("template", name(template)), fact);
        }
        for (name, rules) in &self.cluster_roles {
            let role = json!({"metadata": {"name": name}, "rules": rules});
            let role: ClusterRole = serde_json::from_value(role).unwrap();
            let fact = Fact::ClusterRole(Arc::new(feed::cluster_role(role)));
            facts.insert(("cluster role", (*name).to_owned()), fact);
        }
        let bindings = (self.global_bindings.iter().map(feed::global_binding))
            .chain(self.cluster_bindings.iter().map(feed::cluster_binding))
            .chain(self.project_bindings.iter().map(feed::project_binding));
        for binding in bindings {
            facts.insert(
                ("binding", binding.name.clone()),
                Fact::Binding(Arc::new(binding)),
            );
        }
        for project in self.projects.iter().map(feed::project) {
            let name = format!("{}/{}", project.cluster, project.project);
            facts.insert(("project", name), Fact::Project(project));
        }
        for cluster in &self.clusters {
            facts.insert(("cluster", (*cluster).to_owned()), Fact::Cluster);
        }
        facts
    }

    /// The index of a fresh start.
    pub(in super::super) fn index(&self) -> Index {
        let mut compiler = Compiler::default();
        for ((_, name), fact) in self.facts() {
            Fact::tell(&mut compiler, &name, None, Some(&fact));
        }
        compiler.compile().unwrap_or_default()
    }

    pub(in super::super) fn global(mut self, role: &str, user: &str) -> Self {
        let mut binding = GlobalRoleBinding::named(&format!("grb-{}", self.global_bindings.len()));
        role.clone_into(&mut binding.global_role_name);
        user.clone_into(&mut binding.user_name);
        self.global_bindings.push(binding);
        self
    }

    pub(in super::super) fn cluster(mut self, cluster: &str, role: &str, user: &str) -> Self {
        let mut binding =
            ClusterRoleTemplateBinding::named(&format!("crtb-{}", self.cluster_bindings.len()));
        binding.metadata.namespace = Some(cluster.to_owned());
        cluster.clone_into(&mut binding.cluster_name);
        role.clone_into(&mut binding.role_template_name);
        user.clone_into(&mut binding.user_name);
        self.cluster_bindings.push(binding);
        self
    }

    pub(in super::super) fn project(
        mut self,
        cluster: &str,
        project: &str,
        role: &str,
        user: &str,
    ) -> Self {
        let mut binding =
            ProjectRoleTemplateBinding::named(&format!("prtb-{}", self.project_bindings.len()));
        binding.metadata.namespace = Some(format!("{cluster}-{project}"));
        binding.project_name = format!("{cluster}:{project}");
        role.clone_into(&mut binding.role_template_name);
        user.clone_into(&mut binding.user_name);
        self.project_bindings.push(binding);
        self
    }
}

pub(super) fn project(cluster: &str, name: &str) -> Project {
    let mut project = Project::named(name);
    project.metadata.namespace = Some(cluster.to_owned());
    project
}

/// One object, reduced.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Fact {
    GlobalRole(Arc<GlobalRoleFacts>),
    Template(Arc<TemplateFacts>),
    ClusterRole(Arc<ClusterRoleFacts>),
    Binding(Arc<Binding>),
    Project(ProjectFacts),
    Cluster,
}

impl Fact {
    /// Tells `compiler` what became of one object, as a watch would.
    pub(super) fn tell(
        compiler: &mut Compiler,
        name: &str,
        before: Option<&Self>,
        after: Option<&Self>,
    ) {
        match before.or(after) {
            None => {}
            Some(Self::GlobalRole(_)) => {
                compiler.global_role(name, after.and_then(Self::global_role))
            }
            Some(Self::Template(_)) => compiler.template(name, after.and_then(Self::template)),
            Some(Self::ClusterRole(_)) => {
                compiler.cluster_role(name, after.and_then(Self::cluster_role));
            }
            Some(Self::Binding(_)) => {
                compiler.binding(
                    before.and_then(Self::binding),
                    after.and_then(Self::binding),
                );
            }
            Some(Self::Project(_)) => {
                compiler.project(
                    before.and_then(Self::project),
                    after.and_then(Self::project),
                );
            }
            Some(Self::Cluster) => compiler.cluster(name, after.is_some()),
        }
    }

    fn global_role(&self) -> Option<&Arc<GlobalRoleFacts>> {
        if let Self::GlobalRole(facts) = self {
            Some(facts)
        } else {
            None
        }
    }

    fn template(&self) -> Option<&Arc<TemplateFacts>> {
        if let Self::Template(facts) = self {
            Some(facts)
        } else {
            None
        }
    }

    fn cluster_role(&self) -> Option<&Arc<ClusterRoleFacts>> {
        if let Self::ClusterRole(facts) = self {
            Some(facts)
        } else {
            None
        }
    }

    fn binding(&self) -> Option<&Arc<Binding>> {
        if let Self::Binding(facts) = self {
            Some(facts)
        } else {
            None
        }
    }

    fn project(&self) -> Option<&ProjectFacts> {
        if let Self::Project(facts) = self {
            Some(facts)
        } else {
            None
        }
    }
}
