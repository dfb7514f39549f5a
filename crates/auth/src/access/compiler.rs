//! Takes changes of roles, bindings, clusters and projects, and compiles what they touch.
//!
//! Invariant: what is compiled does not depend on the order of changes; it is what a fresh start would make of
//! what is there.

use std::collections::HashMap;
use std::sync::Arc;

use super::facts::{Binding, ClusterRoleFacts, GlobalRoleFacts, ProjectFacts, TemplateFacts};
use super::index::Index;
use super::template::Template;

/// Holds the index as it will be.
#[derive(Debug, Default)]
pub(super) struct Compiler {
    index: Index,
    templates: HashMap<String, Arc<TemplateFacts>>,
    /// Those of the hub that allow something there.
    cluster_roles: HashMap<String, Arc<ClusterRoleFacts>>,
    templates_changed: bool,
    changed: bool,
}

impl Compiler {
    pub(super) fn binding(&mut self, before: Option<&Arc<Binding>>, after: Option<&Arc<Binding>>) {
        self.changed = true;
        let subjects = &mut self.index.subjects;
        if let Some(before) = before
            && let Some(subject) = &before.subject
        {
            subjects.change(subject, |holdings| holdings.remove(before));
        }
        if let Some(after) = after
            && let Some(subject) = &after.subject
        {
            subjects.change(subject, |holdings| holdings.add(after));
        }
    }

    pub(super) fn global_role(&mut self, name: &str, role: Option<&Arc<GlobalRoleFacts>>) {
        self.changed = true;
        let roles = Arc::make_mut(&mut self.index.global_roles);
        match role {
            Some(role) => drop(roles.insert(name.to_owned(), role.clone())),
            None => drop(roles.remove(name)),
        }
    }

    pub(super) fn template(&mut self, name: &str, template: Option<&Arc<TemplateFacts>>) {
        self.changed = true;
        self.templates_changed = true;
        match template {
            Some(template) => drop(self.templates.insert(name.to_owned(), template.clone())),
            None => drop(self.templates.remove(name)),
        }
    }

    pub(super) fn cluster_role(&mut self, name: &str, role: Option<&Arc<ClusterRoleFacts>>) {
        let role = role.filter(|role| !role.rules.is_empty());
        let before = match role {
            Some(role) => self.cluster_roles.insert(name.to_owned(), role.clone()),
            None => self.cluster_roles.remove(name),
        };
        // Most are no template's.
        let changed = before.as_ref() != role;
        if changed && self.templates.get(name).is_some_and(|facts| facts.external) {
            self.changed = true;
            self.templates_changed = true;
        }
    }

    pub(super) fn cluster(&mut self, name: &str, is_there: bool) {
        self.changed = true;
        let clusters = Arc::make_mut(&mut self.index.clusters);
        if is_there {
            clusters.insert(name.to_owned());
        } else {
            clusters.remove(name);
        }
    }

    pub(super) fn project(&mut self, before: Option<&ProjectFacts>, after: Option<&ProjectFacts>) {
        self.changed = true;
        for (facts, is_there) in [(before, false), (after, true)] {
            let Some(facts) = facts else { continue };
            for (namespace, short) in [(&facts.backing, false), (&facts.project, true)] {
                self.index.projects.change(namespace, |claims| {
                    let project = (facts.cluster.clone(), facts.project.clone());
                    if is_there {
                        claims.of(short).insert(project);
                    } else {
                        claims.of(short).remove(&project);
                    }
                    !claims.is_empty()
                });
            }
        }
    }

    /// The index with all changes; `None` if there were none.
    pub(super) fn compile(&mut self) -> Option<Index> {
        if !std::mem::take(&mut self.changed) {
            return None;
        }
        if std::mem::take(&mut self.templates_changed) {
            // Inheritance reaches anywhere; there are some hundreds of templates at most.
            let flat = self.templates.keys().map(|name| {
                (
                    name.clone(),
                    Arc::new(Template::flatten(
                        name,
                        &self.templates,
                        &self.cluster_roles,
                    )),
                )
            });
            self.index.templates = Arc::new(flat.collect());
        }
        Some(self.index.clone())
    }
}
