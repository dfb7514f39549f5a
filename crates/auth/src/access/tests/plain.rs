//! A second evaluation, as plainly as it can be said: go through all bindings, ask each what it gives.

use std::collections::BTreeSet;

use drover_types::management::{GROUP, GlobalRole, PolicyRule};

use super::super::Attributes;
use super::world::{World, name};
use crate::Identity;

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

    fn reached(&self, template: &str) -> BTreeSet<String> {
        let mut reached = BTreeSet::from([template.to_owned()]);
        loop {
            let before = reached.len();
            for role in &self.templates {
                if reached.contains(&name(role)) {
                    reached.extend(role.role_template_names.iter().cloned());
                }
            }
            if reached.len() == before {
                return reached;
            }
        }
    }

    fn rules_of(&self, template: &str) -> Vec<&PolicyRule> {
        let reached = self.reached(template);
        let roles = self
            .templates
            .iter()
            .filter(|role| reached.contains(&name(*role)));
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

    pub(super) fn in_cluster(&self, identity: &Identity) -> Vec<(String, String)> {
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

    pub(super) fn in_projects(&self, identity: &Identity) -> Vec<(String, String, String)> {
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

    /// The rules of the hub's ClusterRoles that a template, or one it inherits, stands for without saying its own.
    fn rules_on_hub(&self, template: &str) -> Vec<&PolicyRule> {
        let reached = self.reached(template);
        let standing = self.templates.iter().filter(|role| {
            role.external && role.external_rules.is_empty() && reached.contains(&name(*role))
        });
        standing
            .flat_map(|role| {
                self.cluster_roles
                    .iter()
                    .filter(|(of, _)| *of == name(role))
            })
            .flat_map(|(_, rules)| rules)
            .collect()
    }

    fn says(&self, template: &str, asked: &Attributes<'_>) -> bool {
        self.rules_of(template)
            .into_iter()
            .chain(self.rules_on_hub(template))
            .any(|rule| rule.resource_names.is_empty() && plain_rule(rule, asked))
    }

    /// The one project whose namespace this is: by cluster and project, else by the project alone.
    fn project_of(&self, namespace: &str) -> Option<(String, String)> {
        if self.clusters.contains(&namespace) {
            return None;
        }
        let all = self.projects.iter().map(|project| {
            let cluster = project.metadata.namespace.clone().unwrap();
            (cluster, name(project))
        });
        let (whole, short): (Vec<_>, Vec<_>) = all
            .filter(|(cluster, project)| {
                namespace == project || namespace == format!("{cluster}-{project}")
            })
            .partition(|(_, project)| namespace != project);
        let mut found = if whole.is_empty() { short } else { whole };
        found.pop().filter(|_| found.is_empty())
    }

    pub(super) fn allows(&self, identity: &Identity, asked: &Attributes<'_>) -> bool {
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
            let in_project = asked
                .namespace
                .and_then(|namespace| self.project_of(namespace))
                .is_some_and(|(of, _)| of == cluster);
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
            let in_project = asked
                .namespace
                .and_then(|namespace| self.project_of(namespace))
                .is_some_and(|found| found == (cluster, project));
            if in_project && of_project && self.says(&template, asked) {
                return true;
            }
        }
        false
    }
}
