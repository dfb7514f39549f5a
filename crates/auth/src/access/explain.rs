//! Why somebody may do something, and who may.
//!
//! Owns the same decisions as the index, on the hub and inside clusters, with
//! their reasons. Inside a cluster the virtual groups of a caller decide
//! (design, section 3); what the ClusterRoles they are bound to allow follows
//! from the role templates, and for external ones from the ClusterRoles that
//! the caller of this part read in the cluster. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use drover_types::management::{GROUP, PolicyRule};
use drover_types::names::{LOCAL_CLUSTER, MEMBER_GROUP, OWNER_GROUP, cluster_group};

use super::decide::Reason;
use super::facts::Subject;
use super::index::Index;
use super::rules::{self, covers};
use super::template::Template;
use super::{Attributes, Grant};
use crate::Identity;

/// What somebody wants to know.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The cluster the request goes into; `None` for the management objects.
    pub cluster: Option<&'a str>,
    /// The request.
    pub asked: Attributes<'a>,
    /// The project the request's namespace is in, inside a cluster.
    pub project: Option<&'a str>,
    /// Rules of the cluster's own ClusterRoles that external role templates stand for, by name.
    pub external: &'a BTreeMap<String, Vec<PolicyRule>>,
}

/// An answer with its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// What allows it; `None`: it is refused.
    pub grant: Option<Grant>,
    /// The virtual groups held in the cluster; `None` on the hub, or if the cluster may not be seen at all.
    pub groups: Option<Vec<String>>,
    /// Roles a binding to which would allow it, if nothing does: `globalRole NAME`, `roleTemplate NAME`.
    pub missing: Vec<String>,
}

/// Whom a right was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HolderKind {
    /// A user by name.
    User,
    /// A user by principal.
    Principal,
    /// A group.
    Group,
}

/// Somebody who may, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// What `name` is the name of.
    pub kind: HolderKind,
    /// The user, principal or group.
    pub name: String,
    /// What allows it.
    pub grant: Grant,
}

pub(super) fn explain(index: &Index, identity: &Identity, question: &Question<'_>) -> Explanation {
    let grant = grant(index, identity, question);
    let missing = match &grant {
        Some(_) => Vec::new(),
        None => missing(index, question),
    };
    Explanation {
        groups: question
            .cluster
            .and_then(|cluster| index.cluster_groups(identity, cluster)),
        grant,
        missing,
    }
}

pub(super) fn who_can(index: &Index, question: &Question<'_>) -> Vec<Holder> {
    let mut holders: Vec<Holder> = index
        .subjects()
        .filter_map(|subject| {
            let (kind, name, identity) = alone(&subject);
            let grant = grant(index, &identity, question)?;
            Some(Holder { kind, name, grant })
        })
        .collect();
    holders.sort_by(|one, other| (one.kind, &one.name).cmp(&(other.kind, &other.name)));
    holders
}

/// An identity that is nothing but this subject.
fn alone(subject: &Subject) -> (HolderKind, String, Identity) {
    let mut nobody = Identity::of("");
    nobody.principals.clear();
    nobody.groups.clear();
    match subject {
        Subject::User(name) => (HolderKind::User, name.clone(), Identity::of(name.as_str())),
        Subject::Principal(name) => {
            nobody.principals = vec![name.clone()];
            (HolderKind::Principal, name.clone(), nobody)
        }
        Subject::Group(name) => {
            nobody.groups = BTreeSet::from([name.clone()]);
            (HolderKind::Group, name.clone(), nobody)
        }
    }
}

fn grant(index: &Index, identity: &Identity, question: &Question<'_>) -> Option<Grant> {
    match question.cluster {
        None => index.decide(identity, &question.asked).map(Reason::grant),
        Some(cluster) => in_cluster(index, identity, cluster, question),
    }
}

/// The first reason inside a cluster.
fn in_cluster(
    index: &Index,
    identity: &Identity,
    cluster: &str,
    question: &Question<'_>,
) -> Option<Grant> {
    // Who may not see the cluster does not get into it.
    index.cluster_groups(identity, cluster)?;
    let everything = |binding: String, roles: Vec<String>| Grant {
        binding,
        roles,
        rule: format!("{OWNER_GROUP} may do everything in the cluster"),
    };
    if let Some((binding, _)) = index.global(identity).find(|(_, role)| role.is_admin) {
        return Some(everything(binding.name.clone(), vec![binding.role.clone()]));
    }
    let local = cluster == LOCAL_CLUSTER;
    let by_cluster = index.in_cluster(identity, cluster).find_map(|held| {
        let group = cluster_group(held.name);
        if group == OWNER_GROUP {
            return Some(everything(held.binding.name.clone(), held.role().names()));
        }
        // Members have the template's own rules only (controllers, `downstream_access`).
        let whole = group != MEMBER_GROUP;
        let (chain, rule) = rule(held.template, question, local, whole)?;
        Some(Grant {
            binding: held.binding.name.clone(),
            roles: held.roles(&chain).names(),
            rule,
        })
    });
    by_cluster.or_else(|| {
        index.in_projects(identity, cluster).find_map(|held| {
            let (chain, rule) = in_project(held.template, question, local, held.project)?;
            Some(Grant {
                binding: held.binding.name.clone(),
                roles: chain.unwrap_or_else(|| held.role().names()),
                rule,
            })
        })
    })
}

/// What a role bound in `project` says.
fn in_project(
    template: &Template,
    question: &Question<'_>,
    local: bool,
    project: &str,
) -> Option<(Option<Vec<String>>, String)> {
    let Question { asked, .. } = question;
    let makes_namespaces = makes_namespaces(template);
    if question.project == Some(project) && asked.namespace.is_some() {
        if let Some((chain, rule)) = rule(template, question, local, true) {
            return Some((Some(chain), rule));
        }
        if (asked.group, asked.resource) == ("", "namespaces") {
            if makes_namespaces {
                return Some((None, "managing the project's namespaces".to_owned()));
            }
            if asked.verb == "get" {
                return Some((None, "seeing the project's namespaces".to_owned()));
            }
        }
    }
    if makes_namespaces && (asked.group, asked.resource, asked.verb) == ("", "namespaces", "create")
    {
        return Some((None, "making namespaces".to_owned()));
    }
    if rules::is_promoted(asked, local) {
        let (chain, rule) = template
            .rules
            .iter()
            .find(|(chain, rule)| !is_external(template, chain) && covers(rule, asked))?;
        return Some((Some(chain.to_vec()), rules::describe(rule)));
    }
    None
}

fn makes_namespaces(template: &Template) -> bool {
    let create = Attributes {
        verb: "create",
        group: "",
        resource: "namespaces",
        namespace: None,
        name: None,
    };
    template.rules.iter().any(|(chain, rule)| {
        !is_external(template, chain) && rule.resource_names.is_empty() && covers(rule, &create)
    })
}

fn is_external(template: &Template, chain: &Arc<[String]>) -> bool {
    template
        .external
        .iter()
        .any(|external| external.last() == chain.last())
}

/// The rule of a template, or of a ClusterRole it stands for, that covers the request inside a cluster.
fn rule(
    template: &Template,
    question: &Question<'_>,
    local: bool,
    inherited: bool,
) -> Option<(Vec<String>, String)> {
    let asked = &question.asked;
    // On the hub itself, rules for its own objects are left to the index.
    let hubs = local && asked.group == GROUP;
    let own = template
        .rules
        .iter()
        .filter(|(chain, _)| {
            !hubs && (inherited || chain.len() == 1) && !is_external(template, chain)
        })
        .find(|(_, rule)| covers(rule, asked));
    if let Some((chain, rule)) = own {
        return Some((chain.to_vec(), rules::describe(rule)));
    }
    template
        .external
        .iter()
        .filter(|_| inherited)
        .find_map(|chain| {
            let rules = question.external.get(chain.last()?)?;
            let rule = rules.iter().find(|rule| covers(rule, asked))?;
            Some((chain.to_vec(), rules::describe(rule)))
        })
}

/// The roles a binding to which would allow what is asked.
fn missing(index: &Index, question: &Question<'_>) -> Vec<String> {
    let asked = &question.asked;
    let local = question.cluster == Some(LOCAL_CLUSTER);
    let mut missing: Vec<String> = index
        .global_roles()
        .filter(|(_, role)| {
            role.is_admin
                || (question.cluster.is_none() && role.rules.iter().any(|rule| covers(rule, asked)))
        })
        .map(|(name, _)| format!("globalRole {name}"))
        .collect();
    let templates = index.templates().filter(|(name, template)| {
        match (question.cluster, template.context.as_str()) {
            (None, "cluster") => {
                asked.namespace.is_some()
                    && (rules::is_of_clusters(asked.group, asked.resource)
                        || rules::is_of_projects(asked.group, asked.resource))
                    && template.covers(asked)
            }
            (None, "project") => {
                asked.namespace.is_some()
                    && rules::is_of_projects(asked.group, asked.resource)
                    && template.covers(asked)
            }
            (Some(_), "cluster") => {
                let group = cluster_group(name);
                group == OWNER_GROUP
                    || rule(template, question, local, group != MEMBER_GROUP).is_some()
            }
            (Some(_), "project") => question
                .project
                .is_some_and(|project| in_project(template, question, local, project).is_some()),
            _ => false,
        }
    });
    missing.extend(templates.map(|(name, _)| format!("roleTemplate {name}")));
    missing.sort();
    missing
}

#[cfg(test)]
mod tests;
