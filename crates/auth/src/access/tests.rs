use std::collections::BTreeSet;
use std::sync::Arc;

use drover_types::management::{
    ClusterRoleTemplateBinding, GROUP, GlobalRole, GlobalRoleBinding, PolicyRule, Project,
    ProjectRoleTemplateBinding, RoleTemplate,
};
use proptest::prelude::*;
use proptest::sample::select;

use super::index::{Compiler, Index};
use super::{Attributes, ClustersVisible, feed};
use crate::identity::TokenRef;
use crate::{Identity, bootstrap};

/// All objects access follows from.
#[derive(Clone, Debug, Default)]
pub(super) struct World {
    global_roles: Vec<GlobalRole>,
    global_bindings: Vec<GlobalRoleBinding>,
    templates: Vec<RoleTemplate>,
    cluster_bindings: Vec<ClusterRoleTemplateBinding>,
    project_bindings: Vec<ProjectRoleTemplateBinding>,
    projects: Vec<Project>,
    clusters: Vec<&'static str>,
}

fn name(object: &impl kube::ResourceExt) -> String {
    object.name_any()
}

impl World {
    pub(super) fn built_in() -> Self {
        Self {
            global_roles: bootstrap::global_roles().collect(),
            templates: bootstrap::role_templates().collect(),
            clusters: vec!["local", "c-1", "c-2"],
            projects: vec![
                project("c-1", "p-1"),
                project("c-1", "p-2"),
                project("c-2", "p-3"),
            ],
            ..Self::default()
        }
    }

    /// Tells `compiler` of everything, or takes everything back.
    fn tell(&self, compiler: &mut Compiler, is_there: bool) {
        for role in &self.global_roles {
            let facts = is_there.then(|| Arc::new(feed::global_role(role.clone())));
            compiler.global_role(&name(role), facts.as_ref());
        }
        for template in &self.templates {
            let facts = is_there.then(|| Arc::new(feed::template(template.clone())));
            compiler.template(&name(template), facts.as_ref());
        }
        let bindings = (self.global_bindings.iter().map(feed::global_binding))
            .chain(self.cluster_bindings.iter().map(feed::cluster_binding))
            .chain(self.project_bindings.iter().map(feed::project_binding));
        for binding in bindings.map(Arc::new) {
            let (before, after) = if is_there {
                (None, Some(&binding))
            } else {
                (Some(&binding), None)
            };
            compiler.binding(before, after);
        }
        for facts in self.projects.iter().map(feed::project) {
            let (before, after) = if is_there {
                (None, Some(&facts))
            } else {
                (Some(&facts), None)
            };
            compiler.project(before, after);
        }
        for cluster in &self.clusters {
            compiler.cluster(cluster, is_there);
        }
    }

    pub(super) fn index(&self) -> Index {
        let mut compiler = Compiler::default();
        self.tell(&mut compiler, true);
        compiler.compile().unwrap_or_default()
    }

    pub(super) fn global(mut self, role: &str, user: &str) -> Self {
        let mut binding = GlobalRoleBinding::named(&format!("grb-{}", self.global_bindings.len()));
        role.clone_into(&mut binding.global_role_name);
        user.clone_into(&mut binding.user_name);
        self.global_bindings.push(binding);
        self
    }

    pub(super) fn cluster(mut self, cluster: &str, role: &str, user: &str) -> Self {
        let mut binding =
            ClusterRoleTemplateBinding::named(&format!("crtb-{}", self.cluster_bindings.len()));
        binding.metadata.namespace = Some(cluster.to_owned());
        cluster.clone_into(&mut binding.cluster_name);
        role.clone_into(&mut binding.role_template_name);
        user.clone_into(&mut binding.user_name);
        self.cluster_bindings.push(binding);
        self
    }

    pub(super) fn project(mut self, cluster: &str, project: &str, role: &str, user: &str) -> Self {
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

fn project(cluster: &str, name: &str) -> Project {
    let mut project = Project::named(name);
    project.metadata.namespace = Some(cluster.to_owned());
    project
}

fn asked<'a>(
    verb: &'a str,
    resource: &'a str,
    namespace: &'a str,
    name: &'a str,
) -> Attributes<'a> {
    let some = |text: &'a str| Some(text).filter(|text| !text.is_empty());
    Attributes {
        verb,
        group: GROUP,
        resource,
        namespace: some(namespace),
        name: some(name),
    }
}

fn check(
    index: &Index,
    user: &str,
    verb: &str,
    resource: &str,
    namespace: &str,
    name: &str,
) -> bool {
    index
        .decide(&Identity::of(user), &asked(verb, resource, namespace, name))
        .is_some()
}

#[test]
fn nobody_may_anything_in_an_empty_index() {
    let index = Index::default();
    assert!(!check(&index, "u-1", "get", "clusters", "", "c-1"));
    assert!(
        check(&index, "u-1", "get", "users", "", "u-1"),
        "except see themselves"
    );
    assert!(!check(&index, "u-1", "get", "users", "", "u-2"));
    assert_eq!(index.cluster_groups(&Identity::of("u-1"), "c-1"), None);
    assert_eq!(
        index.clusters_visible(&Identity::of("u-1")),
        ClustersVisible::These(vec![])
    );
}

#[test]
fn an_admin_may_everything_and_owns_every_cluster() {
    let index = World::built_in().global("admin", "u-1").index();
    assert!(check(&index, "u-1", "delete", "clusters", "", "c-9"));
    assert!(check(&index, "u-1", "list", "tokens", "", ""));
    assert_eq!(
        index.cluster_groups(&Identity::of("u-1"), "local").unwrap(),
        ["drover:cluster-owner"]
    );
    assert_eq!(
        index.clusters_visible(&Identity::of("u-1")),
        ClustersVisible::All
    );
    assert!(!check(&index, "u-2", "list", "tokens", "", ""));
}

#[test]
fn a_standard_user_creates_clusters_but_sees_none() {
    let index = World::built_in().global("user", "u-1").index();
    assert!(check(&index, "u-1", "create", "clusters", "", ""));
    assert!(check(&index, "u-1", "get", "settings", "", "server-url"));
    assert!(!check(
        &index,
        "u-1",
        "update",
        "settings",
        "",
        "server-url"
    ));
    assert!(!check(
        &index,
        "u-1",
        "create",
        "globalrolebindings",
        "",
        ""
    ));
    assert!(!check(&index, "u-1", "get", "clusters", "", "c-1"));
    let secrets = Attributes {
        group: "",
        ..asked("create", "secrets", "cattle-global-data", "")
    };
    assert!(index.decide(&Identity::of("u-1"), &secrets).is_some());
    let elsewhere = Attributes {
        namespace: Some("cattle-system"),
        ..secrets
    };
    assert!(index.decide(&Identity::of("u-1"), &elsewhere).is_none());
}

#[test]
fn members_see_their_cluster_and_owners_run_it() {
    let index = World::built_in()
        .cluster("c-1", "cluster-member", "u-1")
        .cluster("c-1", "cluster-owner", "u-2")
        .index();
    assert!(check(&index, "u-1", "get", "clusters", "", "c-1"));
    assert!(
        !check(&index, "u-1", "list", "clusters", "", ""),
        "lists are made of what may be got"
    );
    assert!(!check(&index, "u-1", "get", "clusters", "", "c-2"));
    assert!(!check(&index, "u-1", "delete", "clusters", "", "c-1"));
    assert!(check(&index, "u-2", "delete", "clusters", "", "c-1"));
    assert!(!check(&index, "u-2", "delete", "clusters", "", "c-2"));
    assert!(check(&index, "u-1", "list", "nodes", "c-1", ""));
    assert!(check(&index, "u-1", "create", "projects", "c-1", ""));
    assert!(!check(
        &index,
        "u-1",
        "list",
        "clusterregistrationtokens",
        "c-1",
        ""
    ));
    assert!(check(
        &index,
        "u-2",
        "list",
        "clusterregistrationtokens",
        "c-1",
        ""
    ));
    assert!(check(
        &index,
        "u-2",
        "create",
        "projectroletemplatebindings",
        "c-1-p-1",
        ""
    ));
    assert!(check(
        &index,
        "u-2",
        "create",
        "projectroletemplatebindings",
        "p-1",
        ""
    ));
    assert!(!check(
        &index,
        "u-2",
        "create",
        "projectroletemplatebindings",
        "c-2-p-3",
        ""
    ));
    assert!(
        !check(&index, "u-2", "get", "settings", "", "server-url"),
        "rules of a cluster stay in the cluster"
    );
    let secret = Attributes {
        group: "",
        ..asked("get", "secrets", "c-1", "crt-token-x")
    };
    assert!(
        index.decide(&Identity::of("u-2"), &secret).is_none(),
        "secrets of the cluster's namespace are the hub's"
    );
    assert_eq!(
        index.cluster_groups(&Identity::of("u-1"), "c-1").unwrap(),
        ["drover:cluster-member"]
    );
    assert_eq!(
        index.cluster_groups(&Identity::of("u-2"), "c-1").unwrap(),
        ["drover:cluster-owner"]
    );
    assert_eq!(index.cluster_groups(&Identity::of("u-2"), "c-2"), None);
    assert_eq!(
        index.clusters_visible(&Identity::of("u-1")),
        ClustersVisible::These(vec!["c-1".to_owned()])
    );
}

#[test]
fn project_members_see_the_cluster_and_their_project_only() {
    let index = World::built_in()
        .project("c-1", "p-1", "project-member", "u-1")
        .index();
    assert!(check(&index, "u-1", "get", "clusters", "", "c-1"));
    assert!(check(&index, "u-1", "get", "projects", "c-1", "p-1"));
    assert!(!check(&index, "u-1", "get", "projects", "c-1", "p-2"));
    assert!(!check(&index, "u-1", "update", "projects", "c-1", "p-1"));
    assert!(check(
        &index,
        "u-1",
        "list",
        "projectroletemplatebindings",
        "c-1-p-1",
        ""
    ));
    assert!(!check(
        &index,
        "u-1",
        "create",
        "projectroletemplatebindings",
        "c-1-p-1",
        ""
    ));
    assert!(!check(
        &index,
        "u-1",
        "list",
        "projectroletemplatebindings",
        "c-1-p-2",
        ""
    ));
    assert!(!check(&index, "u-1", "list", "nodes", "c-1", ""));
    assert_eq!(
        index.cluster_groups(&Identity::of("u-1"), "c-1").unwrap(),
        ["drover:project:p-1:project-member"]
    );

    let index = World::built_in()
        .project("c-1", "p-1", "project-owner", "u-1")
        .index();
    assert!(check(&index, "u-1", "update", "projects", "c-1", "p-1"));
    assert!(check(
        &index,
        "u-1",
        "create",
        "projectroletemplatebindings",
        "c-1-p-1",
        ""
    ));
    assert!(!check(&index, "u-1", "update", "clusters", "", "c-1"));
}

#[test]
fn roles_inherited_globally_reach_every_cluster_but_the_local_one() {
    let mut world = World::built_in();
    let mut role = GlobalRole::named("fleet-reader");
    role.inherited_cluster_roles = vec!["cluster-member".to_owned()];
    world.global_roles.push(role);
    let index = world.global("fleet-reader", "u-1").index();
    let groups = |cluster| index.cluster_groups(&Identity::of("u-1"), cluster);
    assert_eq!(groups("c-1").unwrap(), ["drover:cluster-member"]);
    assert_eq!(groups("local"), None);
    assert_eq!(groups("c-unknown"), None);
    let both = ["c-1", "c-2"].map(str::to_owned).to_vec();
    assert_eq!(
        index.clusters_visible(&Identity::of("u-1")),
        ClustersVisible::These(both)
    );
    let member = asked("get", "clusters", "", "c-1");
    let grant = index.decide(&Identity::of("u-1"), &member).unwrap().grant();
    assert_eq!(
        grant.to_string(),
        "GlobalRoleBinding grb-0 -> fleet-reader -> cluster-member: membership"
    );
}

#[test]
fn decisions_name_the_chain_that_allows() {
    let mut world = World::built_in();
    let mut role = RoleTemplate::named("mine");
    role.role_template_names = vec!["nodes-manage".to_owned(), "mine".to_owned()];
    world.templates.push(role);
    let index = world.cluster("c-1", "mine", "u-1").index();
    let grant = index
        .decide(
            &Identity::of("u-1"),
            &asked("delete", "nodes", "c-1", "m-1"),
        )
        .unwrap()
        .grant();
    assert_eq!(grant.binding, "ClusterRoleTemplateBinding c-1/crtb-0");
    assert_eq!(grant.roles, ["mine", "nodes-manage"]);
    assert_eq!(grant.rule, "* on management.cattle.io/nodes,nodepools");
}

#[test]
fn bindings_count_for_the_namespace_they_are_in_and_for_one_subject() {
    let mut world = World::built_in()
        .cluster("c-1", "cluster-owner", "u-1")
        .project("c-1", "p-1", "project-owner", "u-2");
    "c-2".clone_into(&mut world.cluster_bindings[0].cluster_name);
    "c-2:p-3".clone_into(&mut world.project_bindings[0].project_name);
    let mut both = world.cluster_bindings[0].clone();
    "c-1".clone_into(&mut both.cluster_name);
    both.metadata.name = Some("crtb-both".to_owned());
    "github_org://1".clone_into(&mut both.group_principal_name);
    world.cluster_bindings.push(both);
    let index = world.index();
    let mut member = Identity::of("u-3");
    member.groups.insert("github_org://1".to_owned());
    for cluster in ["c-1", "c-2"] {
        for identity in [&Identity::of("u-1"), &Identity::of("u-2"), &member] {
            assert_eq!(index.cluster_groups(identity, cluster), None);
        }
    }
}

#[test]
fn groups_and_principals_are_subjects_too() {
    let mut world = World::built_in()
        .cluster("c-1", "cluster-member", "")
        .cluster("c-2", "cluster-member", "");
    "github_org://1".clone_into(&mut world.cluster_bindings[0].group_principal_name);
    "github_user://7".clone_into(&mut world.cluster_bindings[1].user_principal_name);
    let index = world.index();
    let mut identity = Identity::of("u-1");
    assert_eq!(
        index.clusters_visible(&identity),
        ClustersVisible::These(vec![])
    );
    identity.groups.insert("github_org://1".to_owned());
    identity.principals.push("github_user://7".to_owned());
    let both = ["c-1", "c-2"].map(str::to_owned).to_vec();
    assert_eq!(
        index.clusters_visible(&identity),
        ClustersVisible::These(both)
    );
}

#[test]
fn a_clusters_token_reaches_no_other_cluster() {
    let index = World::built_in().global("admin", "u-1").index();
    let mut identity = Identity::of("u-1");
    identity.token = Some(TokenRef {
        name: "t".to_owned(),
        cluster: Some("c-1".to_owned()),
        kind: String::new(),
        derived: true,
    });
    assert!(index.cluster_groups(&identity, "c-1").is_some());
    assert_eq!(index.cluster_groups(&identity, "c-2"), None);
    assert_eq!(
        index.clusters_visible(&identity),
        ClustersVisible::These(vec!["c-1".to_owned()])
    );
}

// A second evaluation, as plainly as it can be said: go through all bindings, ask each what it gives.

fn plain_rule(rule: &PolicyRule, asked: &Attributes<'_>) -> bool {
    let any = |list: &[String], wanted: &str| {
        list.contains(&"*".to_owned()) || list.contains(&wanted.to_owned())
    };
    let named = rule.resource_names.is_empty()
        || asked
            .name
            .is_some_and(|n| rule.resource_names.contains(&n.to_owned()));
    any(&rule.verbs, asked.verb)
        && any(&rule.api_groups, asked.group)
        && any(&rule.resources, asked.resource)
        && named
}

impl World {
    fn is_subject(
        identity: &Identity,
        user: &str,
        user_principal: &str,
        group_principal: &str,
        group: &str,
    ) -> bool {
        let for_user = !user.is_empty() || !user_principal.is_empty();
        let for_group = !group_principal.is_empty() || !group.is_empty();
        if for_user == for_group {
            return false;
        }
        if for_user {
            return if user.is_empty() {
                identity
                    .principals
                    .iter()
                    .any(|principal| principal == user_principal)
            } else {
                identity.user.as_str() == user
            };
        }
        identity.groups.contains(if group_principal.is_empty() {
            group
        } else {
            group_principal
        })
    }

    fn rules_of(&self, template: &str) -> Vec<&PolicyRule> {
        let mut reached = BTreeSet::from([template]);
        loop {
            let before = reached.len();
            for role in &self.templates {
                if reached.contains(role.metadata.name.as_deref().unwrap()) {
                    reached.extend(role.role_template_names.iter().map(String::as_str));
                }
            }
            if reached.len() == before {
                break;
            }
        }
        let roles = self
            .templates
            .iter()
            .filter(|role| reached.contains(role.metadata.name.as_deref().unwrap()));
        roles
            .flat_map(|role| {
                if role.external {
                    &role.external_rules
                } else {
                    &role.rules
                }
            })
            .collect()
    }

    fn exists(&self, template: &str) -> bool {
        self.templates
            .iter()
            .any(|role| role.metadata.name.as_deref() == Some(template))
    }

    fn in_cluster(&self, identity: &Identity) -> Vec<(String, String)> {
        let mut held = Vec::new();
        for b in &self.cluster_bindings {
            let subject = Self::is_subject(
                identity,
                &b.user_name,
                &b.user_principal_name,
                &b.group_principal_name,
                &b.group_name,
            );
            if subject && b.metadata.namespace.as_deref() == Some(b.cluster_name.as_str()) {
                held.push((b.cluster_name.clone(), b.role_template_name.clone()));
            }
        }
        for role in self.global_of(identity) {
            for cluster in self.clusters.iter().filter(|cluster| **cluster != "local") {
                held.extend(
                    role.inherited_cluster_roles
                        .iter()
                        .map(|t| ((*cluster).to_owned(), t.clone())),
                );
            }
        }
        held.retain(|(_, template)| self.exists(template));
        held
    }

    fn global_of(&self, identity: &Identity) -> Vec<&GlobalRole> {
        let mut roles = Vec::new();
        for b in &self.global_bindings {
            if Self::is_subject(
                identity,
                &b.user_name,
                &b.user_principal_name,
                &b.group_principal_name,
                "",
            ) {
                roles.extend(
                    self.global_roles
                        .iter()
                        .filter(|role| name(*role) == b.global_role_name),
                );
            }
        }
        roles
    }

    fn in_projects(&self, identity: &Identity) -> Vec<(String, String, String)> {
        let mut held = Vec::new();
        for b in &self.project_bindings {
            let subject = Self::is_subject(
                identity,
                &b.user_name,
                &b.user_principal_name,
                &b.group_principal_name,
                &b.group_name,
            );
            let (cluster, project) = b.project_name.split_once(':').unwrap();
            let namespace = b.metadata.namespace.clone().unwrap();
            if subject && (namespace == project || namespace == format!("{cluster}-{project}")) {
                held.push((
                    cluster.to_owned(),
                    project.to_owned(),
                    b.role_template_name.clone(),
                ));
            }
        }
        held.retain(|(_, _, template)| self.exists(template));
        held
    }

    fn owns(&self, template: &str, what: &str) -> bool {
        self.rules_of(template).into_iter().any(|rule| {
            rule.verbs.contains(&"own".to_owned())
                && rule.resources.contains(&what.to_owned())
                && rule.resource_names.is_empty()
                && (rule.api_groups.contains(&GROUP.to_owned())
                    || rule.api_groups.contains(&"*".to_owned()))
        })
    }

    fn says(&self, template: &str, asked: &Attributes<'_>) -> bool {
        self.rules_of(template)
            .into_iter()
            .any(|rule| rule.resource_names.is_empty() && plain_rule(rule, asked))
    }

    fn allows(&self, identity: &Identity, asked: &Attributes<'_>) -> bool {
        const OWNER: [&str; 9] = [
            "get",
            "list",
            "watch",
            "create",
            "update",
            "patch",
            "delete",
            "deletecollection",
            "own",
        ];
        let ours = asked.group == GROUP;
        if ours
            && asked.resource == "users"
            && asked.verb == "get"
            && asked.name == Some(identity.user.as_str())
        {
            return true;
        }
        for role in self.global_of(identity) {
            let namespaced = asked
                .namespace
                .and_then(|namespace| role.namespaced_rules.get(namespace));
            if role
                .rules
                .iter()
                .chain(namespaced.into_iter().flatten())
                .any(|rule| plain_rule(rule, asked))
            {
                return true;
            }
        }
        let of_cluster = ours
            && [
                "clusterscans",
                "clusterregistrationtokens",
                "clusterroletemplatebindings",
                "etcdbackups",
                "nodes",
                "nodepools",
                "projects",
            ]
            .contains(&asked.resource)
            || asked.group == "rke.cattle.io" && asked.resource == "etcdsnapshots";
        let of_project = ours && asked.resource == "projectroletemplatebindings"
            || asked.group.is_empty() && asked.resource == "secrets";
        for (cluster, template) in self.in_cluster(identity) {
            let itself = ours
                && asked.resource == "clusters"
                && asked.namespace.is_none()
                && asked.name == Some(&cluster);
            if itself
                && (asked.verb == "get"
                    || self.owns(&template, "clusters") && OWNER.contains(&asked.verb))
            {
                return true;
            }
            let here = asked.namespace == Some(cluster.as_str())
                && self.clusters.contains(&cluster.as_str());
            let in_project = self.projects.iter().any(|project| {
                let short = name(project);
                let of = project.metadata.namespace.as_deref() == Some(cluster.as_str());
                of && asked
                    .namespace
                    .is_some_and(|ns| ns == short || ns == format!("{cluster}-{short}"))
            });
            if (here && of_cluster || in_project && of_project) && self.says(&template, asked) {
                return true;
            }
        }
        for (cluster, project, template) in self.in_projects(identity) {
            let itself = ours
                && asked.resource == "clusters"
                && asked.namespace.is_none()
                && asked.name == Some(&cluster);
            if itself && asked.verb == "get" {
                return true;
            }
            let here = asked.namespace == Some(cluster.as_str())
                && self.clusters.contains(&cluster.as_str());
            if here && ours && asked.resource == "projects" && asked.name == Some(&project) {
                let owner = self.owns(&template, "projects");
                if asked.verb == "get"
                    || owner && OWNER.contains(&asked.verb)
                    || !OWNER.contains(&asked.verb) && self.says(&template, asked)
                {
                    return true;
                }
            }
            let there = self.projects.iter().any(|p| {
                name(p) == project && p.metadata.namespace.as_deref() == Some(cluster.as_str())
            });
            let in_project = asked
                .namespace
                .is_some_and(|ns| ns == project || ns == format!("{cluster}-{project}"));
            if there && in_project && of_project && self.says(&template, asked) {
                return true;
            }
        }
        false
    }
}

const VERBS: [&str; 6] = ["get", "list", "create", "delete", "own", "updatepsa"];
const RESOURCES: [(&str, &str); 8] = [
    (GROUP, "clusters"),
    (GROUP, "projects"),
    (GROUP, "nodes"),
    (GROUP, "projectroletemplatebindings"),
    (GROUP, "settings"),
    (GROUP, "users"),
    ("", "secrets"),
    ("rke.cattle.io", "etcdsnapshots"),
];
const NAMESPACES: [Option<&str>; 7] = [
    None,
    Some("c-1"),
    Some("c-2"),
    Some("local"),
    Some("c-1-p-1"),
    Some("p-3"),
    Some("elsewhere"),
];
const NAMES: [Option<&str>; 5] = [None, Some("c-1"), Some("p-1"), Some("local"), Some("u-1")];
const USERS: [&str; 3] = ["u-1", "u-2", ""];
const TEMPLATES: [&str; 4] = ["t-0", "t-1", "t-2", "t-missing"];

fn rule() -> impl Strategy<Value = PolicyRule> {
    let verbs = prop::collection::vec(
        select(vec!["*", "get", "list", "create", "own", "updatepsa"]),
        1..3,
    );
    let resources = prop::collection::vec(
        select(vec![
            "*",
            "clusters",
            "projects",
            "nodes",
            "secrets",
            "projectroletemplatebindings",
            "settings",
        ]),
        1..3,
    );
    let groups = select(vec!["*", GROUP, "", "rke.cattle.io"]);
    let names = prop::option::weighted(0.2, select(vec!["local", "c-1", "p-1"]));
    (verbs, resources, groups, names).prop_map(|(verbs, resources, group, name)| PolicyRule {
        api_groups: vec![group.to_owned()],
        resources: resources.into_iter().map(str::to_owned).collect(),
        verbs: verbs.into_iter().map(str::to_owned).collect(),
        resource_names: name.into_iter().map(str::to_owned).collect(),
        non_resource_urls: Vec::new(),
    })
}

fn rules() -> impl Strategy<Value = Vec<PolicyRule>> {
    prop::collection::vec(rule(), 0..3)
}

/// User, user principal, group principal: mostly one of them, sometimes none or two.
fn subject() -> impl Strategy<Value = (String, String, String)> {
    (
        select(&USERS[..]),
        select(vec!["", "", "x_user://1"]),
        select(vec!["", "", "x_group://1", "x_group://2"]),
    )
        .prop_map(|(user, principal, group)| {
            (user.to_owned(), principal.to_owned(), group.to_owned())
        })
}

fn world() -> impl Strategy<Value = World> {
    let inherits = prop::collection::vec(select(&TEMPLATES[..]), 0..2);
    let templates = prop::collection::vec((rules(), inherits, any::<bool>()), 3);
    let inherited = prop::collection::vec(select(&TEMPLATES[..]), 0..2);
    let global_roles = prop::collection::vec(
        (
            rules(),
            inherited,
            prop::option::of((select(&NAMESPACES[1..]), rules())),
        ),
        2,
    );
    let global = prop::collection::vec((subject(), 0..3_usize), 0..3);
    let cluster = prop::collection::vec(
        (
            subject(),
            select(&TEMPLATES[..]),
            select(vec!["c-1", "c-2", "local"]),
        ),
        0..4,
    );
    let place = select(vec![
        ("c-1", "p-1", "c-1-p-1"),
        ("c-2", "p-3", "p-3"),
        ("c-2", "p-3", "c-1-p-1"),
        ("c-9", "p-9", "p-9"),
    ]);
    let project_bindings = prop::collection::vec((subject(), select(&TEMPLATES[..]), place), 0..4);
    (templates, global_roles, global, cluster, project_bindings).prop_map(
        |(templates, roles, global, cluster, in_projects)| {
            let mut world = World {
                clusters: vec!["local", "c-1", "c-2"],
                projects: vec![project("c-1", "p-1"), project("c-2", "p-3")],
                ..World::default()
            };
            for (n, (rules, inherits, external)) in templates.into_iter().enumerate() {
                let mut role = RoleTemplate::named(&format!("t-{n}"));
                role.rules.clone_from(&rules);
                role.external = external && n == 2;
                role.external_rules = if n == 2 { rules } else { Vec::new() };
                role.role_template_names = inherits.into_iter().map(str::to_owned).collect();
                world.templates.push(role);
            }
            for (n, (rules, inherited, namespaced)) in roles.into_iter().enumerate() {
                let mut role = GlobalRole::named(&format!("g-{n}"));
                role.rules = rules;
                role.inherited_cluster_roles = inherited.into_iter().map(str::to_owned).collect();
                role.namespaced_rules = namespaced
                    .into_iter()
                    .map(|(namespace, rules)| (namespace.unwrap().to_owned(), rules))
                    .collect();
                world.global_roles.push(role);
            }
            for ((user, principal, group), role) in global {
                world = world.global(&format!("g-{role}"), &user);
                let binding = world.global_bindings.last_mut().unwrap();
                (binding.user_principal_name, binding.group_principal_name) = (principal, group);
            }
            for ((user, principal, group), template, cluster) in cluster {
                world = world.cluster(cluster, template, &user);
                let binding = world.cluster_bindings.last_mut().unwrap();
                (binding.user_principal_name, binding.group_name) = (principal, group);
            }
            for ((user, principal, group), template, (cluster, project, namespace)) in in_projects {
                world = world.project(cluster, project, template, &user);
                let binding = world.project_bindings.last_mut().unwrap();
                binding.metadata.namespace = Some(namespace.to_owned());
                (binding.user_principal_name, binding.group_principal_name) = (principal, group);
            }
            world
        },
    )
}

fn identities() -> Vec<Identity> {
    let mut member = Identity::of("u-3");
    member.groups.insert("x_group://1".to_owned());
    member.principals.push("x_user://1".to_owned());
    vec![Identity::of("u-1"), Identity::of("u-2"), member]
}

fn every_question() -> impl Iterator<Item = Attributes<'static>> {
    VERBS.into_iter().flat_map(|verb| {
        RESOURCES.into_iter().flat_map(move |(group, resource)| {
            NAMESPACES.into_iter().flat_map(move |namespace| {
                NAMES.into_iter().map(move |name| Attributes {
                    verb,
                    group,
                    resource,
                    namespace,
                    name,
                })
            })
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn the_index_gives_what_the_bindings_give_and_no_more(world in world()) {
        let index = world.index();
        for identity in identities() {
            for asked in every_question() {
                prop_assert_eq!(
                    index.decide(&identity, &asked).is_some(),
                    world.allows(&identity, &asked),
                    "{} {:?}", identity.user, asked
                );
            }
            for cluster in ["c-1", "c-2", "local", "c-9"] {
                let see = asked("get", "clusters", "", cluster);
                let groups = index.cluster_groups(&identity, cluster);
                prop_assert_eq!(groups.is_some(), world.allows(&identity, &see));
                let mut expected: BTreeSet<String> = world.in_cluster(&identity).into_iter()
                    .filter(|(of, _)| of == cluster)
                    .map(|(_, template)| drover_types::names::cluster_group(&template))
                    .collect();
                expected.extend(world.in_projects(&identity).into_iter()
                    .filter(|(of, _, _)| of == cluster)
                    .map(|(_, project, template)| drover_types::names::project_group(&project, &template)));
                if let Some(groups) = groups {
                    prop_assert_eq!(groups.into_iter().collect::<BTreeSet<_>>(), expected);
                }
            }
        }
    }

    #[test]
    fn changes_one_by_one_end_where_a_fresh_start_does(before in world(), after in world()) {
        let mut compiler = Compiler::default();
        before.tell(&mut compiler, true);
        let _ = compiler.compile();
        before.tell(&mut compiler, false);
        let _ = compiler.compile();
        after.tell(&mut compiler, true);
        let (changed, fresh) = (compiler.compile().unwrap(), after.index());
        for identity in identities() {
            for asked in every_question() {
                prop_assert_eq!(
                    changed.decide(&identity, &asked).map(super::index::Reason::grant),
                    fresh.decide(&identity, &asked).map(super::index::Reason::grant)
                );
            }
        }
    }
}

#[test]
fn an_index_of_many_people_and_projects_is_quick() {
    // 200 users x 100 projects x 20 clusters: every user in every tenth project.
    let mut world = World {
        templates: bootstrap::role_templates().collect(),
        ..World::default()
    };
    for user in 0..200 {
        for project in (user % 10..100).step_by(10) {
            let cluster = format!("c-{}", project % 20);
            world = world.project(
                &cluster,
                &format!("p-{project}"),
                "project-member",
                &format!("u-{user}"),
            );
        }
    }
    let mut compiler = Compiler::default();
    world.tell(&mut compiler, true);
    let index = compiler.compile().unwrap();
    let identity = Identity::of("u-7");
    let visible = ClustersVisible::These(vec!["c-17".to_owned(), "c-7".to_owned()]);
    assert_eq!(index.clusters_visible(&identity), visible);
    let one = Arc::new(feed::project_binding(&world.project_bindings[5]));
    compiler.binding(Some(&one), None);
    assert!(compiler.compile().is_some());
    assert!(
        compiler.compile().is_none(),
        "nothing changed, nothing compiled"
    );
}

mod matrix;
