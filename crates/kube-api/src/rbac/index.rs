//! Roles and bindings, found by subject.
//!
//! Invariant: after [`Index::catch_up`], the index holds exactly what the store does.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde_json::Value;

use super::Rule;
use crate::Identity;
use crate::store::{EventKind, Range, Store};

/// The tables the index follows.
const TABLES: [&str; 4] = [
    "rbac.authorization.k8s.io/clusterroles",
    "rbac.authorization.k8s.io/roles",
    "rbac.authorization.k8s.io/clusterrolebindings",
    "rbac.authorization.k8s.io/rolebindings",
];

/// Events read at a time.
const BATCH: usize = 1000;

/// Who a binding names, as identities say it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Subject {
    User(String),
    Group(String),
}

/// `namespace/name`; cluster-wide ones have no namespace and come first.
type Id = String;

#[derive(Debug)]
struct Binding {
    namespace: String,
    name: String,
    role_kind: String,
    role_name: String,
    /// Each with its words in a reason.
    subjects: Vec<(Subject, String)>,
}

/// The rules that one binding gives to one identity.
pub(super) struct Grant<'i> {
    binding: &'i Binding,
    subject: &'i str,
    /// Or why there are none.
    pub(super) rules: Result<&'i [Rule], String>,
}

impl Grant<'_> {
    pub(super) fn describe(&self) -> String {
        let binding = self.binding;
        let (kind, name) = if binding.namespace.is_empty() {
            ("ClusterRoleBinding", binding.name.clone())
        } else {
            (
                "RoleBinding",
                format!("{}/{}", binding.name, binding.namespace),
            )
        };
        format!(
            "{kind} {name:?} of {} {:?} to {}",
            binding.role_kind, binding.role_name, self.subject
        )
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// Up to which revision each table was read; `None` = never.
    read: [Option<u64>; 4],
    /// Cluster roles without a namespace, roles with theirs.
    roles: HashMap<Id, Arc<[Rule]>>,
    bindings: BTreeMap<Id, Binding>,
    by_subject: HashMap<Subject, BTreeSet<Id>>,
}

impl Index {
    pub(super) fn is_current(&self, store: &Store) -> bool {
        TABLES
            .iter()
            .zip(&self.read)
            .all(|(table, read)| read.is_some_and(|read| read >= store.table_revision(table)))
    }

    pub(super) fn catch_up(&mut self, store: &Store) {
        for (position, table) in TABLES.iter().enumerate() {
            while self.read[position].is_none_or(|read| read < store.table_revision(table)) {
                let next =
                    self.read[position].and_then(|read| store.events(table, read, BATCH).ok());
                match next {
                    Some((events, complete)) => {
                        for event in &events {
                            if event.kind == EventKind::Deleted {
                                self.remove(position, event.key.as_str());
                            } else {
                                self.insert(position, event.key.as_str(), &event.object.value());
                            }
                        }
                        self.read[position] = Some(complete);
                    }
                    None => self.reload(position, store),
                }
            }
        }
    }

    /// Reads a whole table, for a start or after too many changes.
    fn reload(&mut self, position: usize, store: &Store) {
        let held = if position < 2 {
            self.roles
                .keys()
                .filter(|id| id.starts_with('/') == (position == 0))
                .cloned()
                .collect::<Vec<_>>()
        } else {
            self.bindings
                .keys()
                .filter(|id| id.starts_with('/') == (position == 2))
                .cloned()
                .collect()
        };
        for id in held {
            self.remove(position, &id);
        }
        if let Ok(page) = store.list(TABLES[position], &Range::default()) {
            for (key, stored) in &page.items {
                self.insert(position, key.as_str(), &stored.value());
            }
            self.read[position] = Some(page.revision);
        }
    }

    fn insert(&mut self, position: usize, id: &str, object: &Value) {
        if position < 2 {
            self.roles.insert(id.to_owned(), Rule::all(object).into());
            return;
        }
        self.remove(position, id);
        let (namespace, name) = id.split_once('/').unwrap_or(("", id));
        let text =
            |value: &Value, member: &str| value[member].as_str().unwrap_or_default().to_owned();
        let subjects = object["subjects"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|subject| {
                let name = text(subject, "name");
                let kind = text(subject, "kind");
                match &*kind {
                    "User" => Some((Subject::User(name.clone()), format!("User {name:?}"))),
                    "Group" => Some((Subject::Group(name.clone()), format!("Group {name:?}"))),
                    "ServiceAccount" => {
                        let home = Some(text(subject, "namespace")).filter(|home| !home.is_empty());
                        let home = home.unwrap_or_else(|| namespace.to_owned());
                        let user = format!("system:serviceaccount:{home}:{name}");
                        Some((
                            Subject::User(user),
                            format!("ServiceAccount {:?}", format!("{name}/{home}")),
                        ))
                    }
                    _ => None,
                }
            });
        let binding = Binding {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            role_kind: text(&object["roleRef"], "kind"),
            role_name: text(&object["roleRef"], "name"),
            subjects: subjects.collect(),
        };
        for (subject, _) in &binding.subjects {
            self.by_subject
                .entry(subject.clone())
                .or_default()
                .insert(id.to_owned());
        }
        self.bindings.insert(id.to_owned(), binding);
    }

    fn remove(&mut self, position: usize, id: &str) {
        if position < 2 {
            self.roles.remove(id);
            return;
        }
        let Some(binding) = self.bindings.remove(id) else {
            return;
        };
        for (subject, _) in binding.subjects {
            if let Some(ids) = self.by_subject.get_mut(&subject) {
                ids.remove(id);
                if ids.is_empty() {
                    self.by_subject.remove(&subject);
                }
            }
        }
    }

    /// What an identity is given in a namespace, cluster-wide grants first, in order of their names.
    pub(super) fn grants<'i>(
        &'i self,
        identity: &Identity,
        namespace: &str,
    ) -> impl Iterator<Item = Grant<'i>> {
        let subjects = std::iter::once(Subject::User(identity.user.clone()))
            .chain(identity.groups.iter().cloned().map(Subject::Group))
            .collect::<Vec<_>>();
        let prefix = format!("{namespace}/");
        let mut ids = BTreeSet::new();
        for subject in &subjects {
            if let Some(held) = self.by_subject.get(subject) {
                ids.extend(held.iter().filter(|id| {
                    id.starts_with('/') || (!namespace.is_empty() && id.starts_with(&prefix))
                }));
            }
        }
        ids.into_iter().filter_map(move |id| {
            let binding = self.bindings.get(id)?;
            let (_, subject) = binding
                .subjects
                .iter()
                .find(|(subject, _)| subjects.contains(subject))?;
            Some(Grant {
                binding,
                subject,
                rules: self.rules_of(binding),
            })
        })
    }

    fn rules_of(&self, binding: &Binding) -> Result<&[Rule], String> {
        self.role_rules(&binding.role_kind, &binding.role_name, &binding.namespace)
    }

    /// The rules of a referenced role.
    pub(super) fn role_rules(
        &self,
        kind: &str,
        name: &str,
        namespace: &str,
    ) -> Result<&[Rule], String> {
        let id = if kind == "ClusterRole" {
            format!("/{name}")
        } else {
            format!("{namespace}/{name}")
        };
        match self.roles.get(&id) {
            Some(rules) => Ok(rules),
            None => Err(format!(
                "{}.rbac.authorization.k8s.io {name:?} not found",
                kind.to_lowercase()
            )),
        }
    }
}
