//! Decisions: what an identity may do to the objects of the hub, and the virtual groups it holds in clusters.
//!
//! Pure; a decision makes nothing but its answer.

use std::collections::BTreeSet;
use std::slice;

use drover_types::management::{GROUP, PolicyRule};
use drover_types::names;

use super::facts::Binding;
use super::index::{InCluster, InProject, Index, Place};
use super::rules::{self, covers};
use super::{Attributes, ClustersVisible, Grant};
use crate::Identity;

/// Why something is allowed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reason<'a> {
    /// Everybody may see their own user.
    Oneself,
    Rule {
        binding: &'a Binding,
        roles: Roles<'a>,
        rule: &'a PolicyRule,
    },
    Membership {
        binding: &'a Binding,
        roles: Roles<'a>,
        owner: bool,
    },
}

/// The roles that lead from a binding to a right.
#[derive(Clone, Copy, Debug)]
pub(super) struct Roles<'a> {
    /// The global role that the first of `chain` is inherited by.
    through: Option<&'a str>,
    chain: &'a [String],
}

impl<'a> Roles<'a> {
    /// Those of a chain that begins with what is bound.
    fn of(chain: &'a [String]) -> Self {
        Self {
            through: None,
            chain,
        }
    }

    /// The role that is bound, alone.
    fn one(role: &'a String) -> Self {
        Self::of(slice::from_ref(role))
    }

    pub(super) fn names(self) -> Vec<String> {
        let through = self.through.map(str::to_owned);
        through
            .into_iter()
            .chain(self.chain.iter().cloned())
            .collect()
    }
}

impl Reason<'_> {
    pub(super) fn grant(self) -> Grant {
        match self {
            Self::Oneself => Grant {
                binding: "every user".to_owned(),
                roles: Vec::new(),
                rule: "get on oneself".to_owned(),
            },
            Self::Rule {
                binding,
                roles,
                rule,
            } => Grant {
                binding: binding.name.clone(),
                roles: roles.names(),
                rule: rules::describe(rule),
            },
            Self::Membership {
                binding,
                roles,
                owner,
            } => Grant {
                binding: binding.name.clone(),
                roles: roles.names(),
                rule: if owner {
                    "ownership".to_owned()
                } else {
                    "membership".to_owned()
                },
            },
        }
    }
}

impl<'a> InCluster<'a> {
    /// The roles of a chain that begins with what is bound here.
    pub(super) fn roles(self, chain: &'a [String]) -> Roles<'a> {
        Roles {
            through: self.through,
            chain,
        }
    }

    /// The role that is bound here, alone.
    pub(super) fn role(self) -> Roles<'a> {
        self.roles(slice::from_ref(self.name))
    }

    fn rule(self, asked: &Attributes<'_>) -> Option<Reason<'a>> {
        let (chain, rule) = self.template.rule(asked)?;
        Some(Reason::Rule {
            binding: self.binding,
            roles: self.roles(chain),
            rule,
        })
    }
}

impl<'a> InProject<'a> {
    /// The role that is bound here, alone.
    pub(super) fn role(self) -> Roles<'a> {
        Roles::one(&self.binding.role)
    }

    fn rule(self, asked: &Attributes<'_>) -> Option<Reason<'a>> {
        let (chain, rule) = self.template.rule(asked)?;
        Some(Reason::Rule {
            binding: self.binding,
            roles: Roles::of(chain),
            rule,
        })
    }
}

/// What owners of a cluster or project may do to the object itself.
const OWNER_VERBS: [&str; 9] = [
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

fn membership_covers(verb: &str, owner: bool) -> bool {
    verb == "get" || (owner && OWNER_VERBS.contains(&verb))
}

fn see_cluster(name: Option<&str>) -> Attributes<'_> {
    Attributes {
        verb: "get",
        group: GROUP,
        resource: "clusters",
        namespace: None,
        name,
    }
}

impl Index {
    /// The first reason why `identity` may do this, if there is one.
    pub(super) fn decide<'a>(
        &'a self,
        identity: &'a Identity,
        asked: &Attributes<'a>,
    ) -> Option<Reason<'a>> {
        if asked.group == GROUP
            && asked.resource == "users"
            && asked.verb == "get"
            && asked.name == Some(identity.user.as_str())
        {
            return Some(Reason::Oneself);
        }
        if let Some(reason) = self.by_global_role(identity, asked) {
            return Some(reason);
        }
        match asked.namespace {
            None if asked.group == GROUP && asked.resource == "clusters" => {
                self.on_cluster(identity, asked)
            }
            None => None,
            Some(namespace) => match self.place(namespace)? {
                Place::Cluster(cluster) => self.of_cluster(identity, asked, cluster),
                Place::Project { cluster, project } => {
                    self.of_project(identity, asked, cluster, project)
                }
            },
        }
    }

    fn by_global_role<'a>(
        &'a self,
        identity: &'a Identity,
        asked: &Attributes<'a>,
    ) -> Option<Reason<'a>> {
        self.global(identity).find_map(|(binding, role)| {
            let namespaced = asked
                .namespace
                .and_then(|namespace| role.namespaced.get(namespace));
            let mut rules = role.rules.iter().chain(namespaced.into_iter().flatten());
            Some(Reason::Rule {
                binding,
                roles: Roles::one(&binding.role),
                rule: rules.find(|rule| covers(rule, asked))?,
            })
        })
    }

    /// On the cluster object itself: members of the cluster or of a project in it see it, owners do anything.
    fn on_cluster<'a>(
        &'a self,
        identity: &'a Identity,
        asked: &Attributes<'a>,
    ) -> Option<Reason<'a>> {
        let cluster = asked.name?;
        let by_cluster = self.in_cluster(identity, cluster).find_map(|held| {
            let owner = held.template.owns_cluster.as_deref();
            membership_covers(asked.verb, owner.is_some()).then(|| Reason::Membership {
                binding: held.binding,
                roles: owner.map_or_else(|| held.role(), |chain| held.roles(chain)),
                owner: owner.is_some(),
            })
        });
        by_cluster.or_else(|| {
            let held = self
                .in_projects(identity, cluster)
                .find(|_| membership_covers(asked.verb, false))?;
            Some(Reason::Membership {
                binding: held.binding,
                roles: held.role(),
                owner: false,
            })
        })
    }

    /// In a cluster's namespace: what roles in the cluster say of it, and projects for their members.
    fn of_cluster<'a>(
        &'a self,
        identity: &'a Identity,
        asked: &Attributes<'a>,
        cluster: &'a str,
    ) -> Option<Reason<'a>> {
        if rules::is_of_clusters(asked.group, asked.resource)
            && let Some(reason) = self.by_template(identity, asked, cluster)
        {
            return Some(reason);
        }
        if asked.group != GROUP || asked.resource != "projects" {
            return None;
        }
        let name = asked.name?;
        self.in_projects(identity, cluster)
            .filter(|held| held.project == name)
            .find_map(|held| {
                let owner = held.template.owns_project.as_deref();
                if membership_covers(asked.verb, owner.is_some()) {
                    return Some(Reason::Membership {
                        binding: held.binding,
                        roles: owner.map_or_else(|| held.role(), Roles::of),
                        owner: owner.is_some(),
                    });
                }
                // Verbs of ours (`updatepsa`, `manage-namespaces`) that a role gives on its own project.
                let ours = !OWNER_VERBS.contains(&asked.verb);
                ours.then(|| held.rule(asked)).flatten()
            })
    }

    /// In a project's namespace: what roles in its cluster and in the project say of it.
    fn of_project<'a>(
        &'a self,
        identity: &'a Identity,
        asked: &Attributes<'a>,
        cluster: &'a str,
        project: &str,
    ) -> Option<Reason<'a>> {
        if !rules::is_of_projects(asked.group, asked.resource) {
            return None;
        }
        self.by_template(identity, asked, cluster).or_else(|| {
            self.in_projects(identity, cluster)
                .filter(|held| held.project == project)
                .find_map(|held| held.rule(asked))
        })
    }

    /// Whether there is any object, or any namespace, where `identity` may do this; `asked` names neither.
    pub(super) fn decide_somewhere(&self, identity: &Identity, asked: &Attributes<'_>) -> bool {
        let asked = &Attributes {
            namespace: None,
            name: None,
            ..*asked
        };
        if self.decide(identity, asked).is_some()
            || self.global(identity).any(|(_, role)| {
                let mut rules = role.namespaced.values().flatten();
                rules.any(|rule| covers(rule, asked))
            })
        {
            return true;
        }
        let of_clusters = rules::is_of_clusters(asked.group, asked.resource);
        let of_projects = rules::is_of_projects(asked.group, asked.resource);
        // What is yet to be made has no members.
        let is =
            |resource| (asked.group, asked.resource) == (GROUP, resource) && asked.verb != "create";
        let (on_cluster, on_project) = (is("clusters"), is("projects"));
        if !(of_clusters || of_projects || on_cluster || on_project) {
            return false;
        }
        // Others are reached by what global roles inherit alone.
        let inherits = self
            .global(identity)
            .any(|(_, role)| !role.inherited.is_empty());
        let others = self.clusters.iter().filter(|_| inherits);
        let mut all = self
            .bound_clusters(identity)
            .chain(others.map(String::as_str));
        all.any(|cluster| {
            self.in_cluster(identity, cluster).any(|held| {
                let owner = held.template.owns_cluster.is_some();
                (on_cluster && membership_covers(asked.verb, owner))
                    || ((of_clusters || of_projects) && held.rule(asked).is_some())
            }) || self.in_projects(identity, cluster).any(|held| {
                let owner = held.template.owns_project.is_some();
                (on_cluster && membership_covers(asked.verb, false))
                    || (on_project && membership_covers(asked.verb, owner))
                    || (of_projects && held.rule(asked).is_some())
            })
        })
    }

    fn by_template<'a>(
        &'a self,
        identity: &'a Identity,
        asked: &Attributes<'a>,
        cluster: &'a str,
    ) -> Option<Reason<'a>> {
        self.in_cluster(identity, cluster)
            .find_map(|held| held.rule(asked))
    }

    /// The virtual groups held in a cluster; `None` if it may not be seen.
    pub(super) fn cluster_groups(&self, identity: &Identity, cluster: &str) -> Option<Vec<String>> {
        if !identity.may_reach(Some(cluster)) {
            return None;
        }
        self.decide(identity, &see_cluster(Some(cluster)))?;
        let mut groups = BTreeSet::new();
        if self.global(identity).any(|(_, role)| role.is_admin) {
            groups.insert(names::OWNER_GROUP.to_owned());
        }
        groups.extend(
            self.in_cluster(identity, cluster)
                .map(|held| names::cluster_group(held.name)),
        );
        groups.extend(
            self.in_projects(identity, cluster)
                .map(|held| names::project_group(held.project, &held.binding.role)),
        );
        Some(groups.into_iter().collect())
    }

    pub(super) fn clusters_visible(&self, identity: &Identity) -> ClustersVisible {
        let scoped = identity
            .token
            .as_ref()
            .and_then(|token| token.cluster.as_deref());
        if scoped.is_none() && self.by_global_role(identity, &see_cluster(None)).is_some() {
            return ClustersVisible::All;
        }
        let mut visible: BTreeSet<&str> = self.bound_clusters(identity).collect();
        visible.extend(self.clusters.iter().map(String::as_str));
        visible.retain(|cluster| {
            scoped.is_none_or(|only| only == *cluster)
                && self.decide(identity, &see_cluster(Some(cluster))).is_some()
        });
        ClustersVisible::These(visible.into_iter().map(str::to_owned).collect())
    }
}
