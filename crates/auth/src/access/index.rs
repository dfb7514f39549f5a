//! The index itself: plain data, compiled from roles and bindings.
//!
//! Who holds what is found by subject, then by cluster; so a decision costs what
//! the caller's bindings for that place cost, not what there is in all. A change
//! of a binding touches one subject; a change of a role is seen through its name.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use drover_types::names;

use super::facts::{Binding, GlobalRoleFacts, Scope, Subject};
use super::shards::Shards;
use super::template::Template;
use crate::Identity;

/// What one subject holds.
#[derive(Clone, Debug, Default)]
pub(super) struct Holdings {
    global: BTreeSet<Arc<Binding>>,
    /// Cluster bindings by cluster.
    clusters: BTreeMap<String, BTreeSet<Arc<Binding>>>,
    /// Project bindings by cluster.
    projects: BTreeMap<String, BTreeSet<Arc<Binding>>>,
}

impl Holdings {
    pub(super) fn add(&mut self, binding: &Arc<Binding>) {
        let held = match &binding.scope {
            Scope::Global => &mut self.global,
            Scope::Cluster(cluster) => self.clusters.entry(cluster.clone()).or_default(),
            Scope::Project { cluster, .. } => self.projects.entry(cluster.clone()).or_default(),
        };
        held.insert(binding.clone());
    }

    pub(super) fn remove(&mut self, binding: &Arc<Binding>) {
        let (places, cluster) = match &binding.scope {
            Scope::Global => {
                self.global.remove(binding);
                return;
            }
            Scope::Cluster(cluster) => (&mut self.clusters, cluster),
            Scope::Project { cluster, .. } => (&mut self.projects, cluster),
        };
        if let Some(held) = places.get_mut(cluster) {
            held.remove(binding);
            if held.is_empty() {
                places.remove(cluster);
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.global.is_empty() && self.clusters.is_empty() && self.projects.is_empty()
    }
}

/// Who holds what, by what a binding may name.
#[derive(Clone, Debug, Default)]
pub(super) struct Subjects {
    users: Shards<Holdings>,
    principals: Shards<Holdings>,
    groups: Shards<Holdings>,
}

impl Subjects {
    pub(super) fn change(&mut self, subject: &Subject, change: impl FnOnce(&mut Holdings)) {
        let (of, name) = match subject {
            Subject::User(name) => (&mut self.users, name),
            Subject::Principal(name) => (&mut self.principals, name),
            Subject::Group(name) => (&mut self.groups, name),
        };
        of.change(name, |holdings| {
            change(holdings);
            !holdings.is_empty()
        });
    }

    fn all(&self) -> impl Iterator<Item = Subject> {
        let subjects = |of: fn(String) -> Subject| move |name: &str| of(name.to_owned());
        (self.users.names().map(subjects(Subject::User)))
            .chain(self.principals.names().map(subjects(Subject::Principal)))
            .chain(self.groups.names().map(subjects(Subject::Group)))
    }

    fn held_by<'a>(&'a self, identity: &'a Identity) -> impl Iterator<Item = &'a Holdings> {
        let user = self.users.get(identity.user.as_str());
        let principals = identity.principals.iter();
        let groups = identity.groups.iter();
        (user.into_iter())
            .chain(principals.filter_map(|name| self.principals.get(name)))
            .chain(groups.filter_map(|name| self.groups.get(name)))
    }
}

/// The projects that say a namespace of the hub is theirs: cluster and project.
///
/// A namespace is named after the cluster and its project, or in old layouts after the project alone. Should two
/// projects have the same name, neither has the namespace of that name: it cannot be told whose it is.
#[derive(Clone, Debug, Default)]
pub(super) struct Claims {
    /// By cluster and project.
    whole: BTreeSet<(String, String)>,
    /// By the project alone.
    short: BTreeSet<(String, String)>,
}

impl Claims {
    /// The claims by whole names, or else by short ones.
    pub(super) fn of(&mut self, short: bool) -> &mut BTreeSet<(String, String)> {
        if short {
            &mut self.short
        } else {
            &mut self.whole
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.whole.is_empty() && self.short.is_empty()
    }

    fn holder(&self) -> Option<(&str, &str)> {
        let claims = if self.whole.is_empty() {
            &self.short
        } else {
            &self.whole
        };
        let (cluster, project) = claims.first().filter(|_| claims.len() == 1)?;
        Some((cluster, project))
    }
}

/// A namespace of the hub that belongs to a cluster or project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place<'a> {
    Cluster(&'a str),
    Project { cluster: &'a str, project: &'a str },
}

/// The compiled index. A copy shares what does not change afterwards.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    pub(super) subjects: Subjects,
    pub(super) global_roles: Arc<HashMap<String, Arc<GlobalRoleFacts>>>,
    pub(super) templates: Arc<HashMap<String, Arc<Template>>>,
    pub(super) clusters: Arc<BTreeSet<String>>,
    /// Project namespaces.
    pub(super) projects: Shards<Claims>,
}

/// A binding that gives a role in a cluster, by itself or through a global role.
#[derive(Clone, Copy, Debug)]
pub(super) struct InCluster<'a> {
    pub(super) binding: &'a Binding,
    /// The global role that the template is inherited by.
    pub(super) through: Option<&'a str>,
    pub(super) name: &'a String,
    pub(super) template: &'a Template,
}

/// A binding that gives a role in a project.
#[derive(Clone, Copy, Debug)]
pub(super) struct InProject<'a> {
    pub(super) binding: &'a Binding,
    pub(super) project: &'a str,
    pub(super) template: &'a Template,
}

impl Index {
    pub(super) fn global<'a>(
        &'a self,
        identity: &'a Identity,
    ) -> impl Iterator<Item = (&'a Binding, &'a GlobalRoleFacts)> {
        self.subjects
            .held_by(identity)
            .flat_map(|holdings| &holdings.global)
            .filter_map(|binding| Some((&**binding, &**self.global_roles.get(&binding.role)?)))
    }

    pub(super) fn in_cluster<'a>(
        &'a self,
        identity: &'a Identity,
        cluster: &'a str,
    ) -> impl Iterator<Item = InCluster<'a>> {
        let bound = self
            .subjects
            .held_by(identity)
            .filter_map(move |holdings| holdings.clusters.get(cluster))
            .flatten()
            .map(|binding| (binding.as_ref(), None, &binding.role));
        // Roles inherited by global roles reach every cluster that exists, save our own.
        let reached = cluster != names::LOCAL_CLUSTER && self.clusters.contains(cluster);
        let inherited =
            self.global(identity)
                .filter(move |_| reached)
                .flat_map(|(binding, role)| {
                    let through = Some(binding.role.as_str());
                    let templates = role.inherited.iter();
                    templates.map(move |template| (binding, through, template))
                });
        bound
            .chain(inherited)
            .filter_map(|(binding, through, name)| {
                Some(InCluster {
                    binding,
                    through,
                    name,
                    template: self.templates.get(name)?,
                })
            })
    }

    pub(super) fn in_projects<'a>(
        &'a self,
        identity: &'a Identity,
        cluster: &'a str,
    ) -> impl Iterator<Item = InProject<'a>> {
        self.subjects
            .held_by(identity)
            .filter_map(move |holdings| holdings.projects.get(cluster))
            .flatten()
            .filter_map(|binding| match &binding.scope {
                Scope::Project { project, .. } => Some(InProject {
                    binding,
                    project,
                    template: self.templates.get(&binding.role)?,
                }),
                Scope::Global | Scope::Cluster(_) => None,
            })
    }

    /// Everybody some binding is for.
    pub(super) fn subjects(&self) -> impl Iterator<Item = Subject> {
        self.subjects.all()
    }

    /// All role templates with what they inherit.
    pub(super) fn templates(&self) -> impl Iterator<Item = (&str, &Template)> {
        self.templates
            .iter()
            .map(|(name, template)| (name.as_str(), template.as_ref()))
    }

    /// All global roles.
    pub(super) fn global_roles(&self) -> impl Iterator<Item = (&str, &GlobalRoleFacts)> {
        self.global_roles
            .iter()
            .map(|(name, role)| (name.as_str(), role.as_ref()))
    }

    pub(super) fn place<'a>(&'a self, namespace: &'a str) -> Option<Place<'a>> {
        if self.clusters.contains(namespace) {
            return Some(Place::Cluster(namespace));
        }
        let (cluster, project) = self.projects.get(namespace)?.holder()?;
        Some(Place::Project { cluster, project })
    }

    /// The clusters some binding of the identity is for.
    pub(super) fn bound_clusters<'a>(
        &'a self,
        identity: &'a Identity,
    ) -> impl Iterator<Item = &'a str> {
        self.subjects
            .held_by(identity)
            .flat_map(|holdings| holdings.clusters.keys().chain(holdings.projects.keys()))
            .map(String::as_str)
    }
}
