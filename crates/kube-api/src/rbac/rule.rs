//! One rule of a role: what it allows and what it covers.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::rest::Attributes;
use crate::rest::object::strings;

/// A `PolicyRule`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Rule {
    pub(crate) verbs: Vec<String>,
    pub(crate) groups: Vec<String>,
    pub(crate) resources: Vec<String>,
    pub(crate) names: Vec<String>,
    pub(crate) paths: Vec<String>,
}

fn has(list: &[String], wanted: &str) -> bool {
    list.iter().any(|item| item == "*" || item == wanted)
}

impl Rule {
    pub(crate) fn from_value(value: &Value) -> Self {
        Self {
            verbs: strings(value, "verbs"),
            groups: strings(value, "apiGroups"),
            resources: strings(value, "resources"),
            names: strings(value, "resourceNames"),
            paths: strings(value, "nonResourceURLs"),
        }
    }

    /// The rules of a role object.
    pub(crate) fn all(role: &Value) -> Vec<Self> {
        role["rules"]
            .as_array()
            .into_iter()
            .flatten()
            .map(Self::from_value)
            .collect()
    }

    pub(crate) fn to_value(&self) -> Value {
        let mut members = Map::new();
        members.insert("verbs".to_owned(), json!(self.verbs));
        for (name, list) in [
            ("apiGroups", &self.groups),
            ("resources", &self.resources),
            ("resourceNames", &self.names),
            ("nonResourceURLs", &self.paths),
        ] {
            if !list.is_empty() {
                members.insert(name.to_owned(), json!(list));
            }
        }
        Value::Object(members)
    }

    /// Whether the rule allows this request.
    pub(crate) fn allows(&self, attributes: &Attributes<'_>) -> bool {
        if !has(&self.verbs, attributes.verb) {
            return false;
        }
        if attributes.resource.is_empty() {
            return self
                .paths
                .iter()
                .any(|path| path_covers(path, attributes.path));
        }
        has(&self.groups, attributes.group)
            && self
                .resources
                .iter()
                .any(|held| resource_covers(held, attributes.resource, attributes.subresource))
            && (self.names.is_empty() || self.names.iter().any(|name| name == attributes.name))
    }

    /// The rule as rules of one verb, one group, one resource, one name each.
    pub(crate) fn atoms(&self) -> BTreeSet<Self> {
        let one = |text: &String| vec![text.clone()];
        let mut atoms = BTreeSet::new();
        for verb in &self.verbs {
            for path in &self.paths {
                atoms.insert(Self {
                    verbs: one(verb),
                    paths: one(path),
                    ..Self::default()
                });
            }
            for group in &self.groups {
                for resource in &self.resources {
                    let atom = Self {
                        verbs: one(verb),
                        groups: one(group),
                        resources: one(resource),
                        ..Self::default()
                    };
                    if self.names.is_empty() {
                        atoms.insert(atom);
                    } else {
                        atoms.extend(self.names.iter().map(|name| Self {
                            names: one(name),
                            ..atom.clone()
                        }));
                    }
                }
            }
        }
        atoms
    }

    /// Whether the rule allows all that the atom does.
    pub(crate) fn covers(&self, atom: &Self) -> bool {
        let all =
            |held: &[String], wanted: &[String]| wanted.iter().all(|wanted| has(held, wanted));
        if !all(&self.verbs, &atom.verbs) {
            return false;
        }
        if !atom.paths.is_empty() {
            return atom
                .paths
                .iter()
                .all(|wanted| self.paths.iter().any(|held| path_covers(held, wanted)));
        }
        all(&self.groups, &atom.groups)
            && atom.resources.iter().all(|wanted| {
                let (resource, subresource) = wanted.split_once('/').unwrap_or((wanted, ""));
                self.resources
                    .iter()
                    .any(|held| resource_covers(held, resource, subresource))
            })
            && (self.names.is_empty()
                || (!atom.names.is_empty()
                    && atom.names.iter().all(|name| self.names.contains(name))))
    }

    /// As the message of a refused escalation shows it.
    pub(crate) fn describe(&self) -> String {
        let list = |items: &[String]| {
            let quoted = items
                .iter()
                .map(|item| format!("{item:?}"))
                .collect::<Vec<_>>();
            format!("[{}]", quoted.join(" "))
        };
        let mut parts = Vec::new();
        for (name, items) in [
            ("APIGroups", &self.groups),
            ("Resources", &self.resources),
            ("ResourceNames", &self.names),
            ("NonResourceURLs", &self.paths),
            ("Verbs", &self.verbs),
        ] {
            if !items.is_empty() {
                parts.push(format!("{name}:{}", list(items)));
            }
        }
        format!("{{{}}}", parts.join(", "))
    }
}

fn path_covers(held: &str, wanted: &str) -> bool {
    held == "*"
        || held == wanted
        || held
            .strip_suffix('*')
            .is_some_and(|prefix| wanted.starts_with(prefix))
}

/// `held` is `*`, `pods`, `pods/log` or `*/scale`.
fn resource_covers(held: &str, resource: &str, subresource: &str) -> bool {
    if held == "*" {
        return true;
    }
    match held.split_once('/') {
        None => subresource.is_empty() && held == resource,
        Some((parent, part)) => {
            !subresource.is_empty() && part == subresource && (parent == "*" || parent == resource)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(value: &Value) -> Rule {
        Rule::from_value(value)
    }

    fn ask<'a>(
        verb: &'a str,
        group: &'a str,
        resource: &'a str,
        subresource: &'a str,
        name: &'a str,
    ) -> Attributes<'a> {
        Attributes {
            verb,
            group,
            resource,
            subresource,
            name,
            ..Attributes::default()
        }
    }

    #[test]
    fn rules_allow_what_they_name() {
        let pods =
            rule(&json!({"verbs": ["get"], "apiGroups": [""], "resources": ["pods", "*/scale"]}));
        assert!(pods.allows(&ask("get", "", "pods", "", "p")));
        assert!(!pods.allows(&ask("get", "", "pods", "log", "p")));
        assert!(pods.allows(&ask("get", "", "things", "scale", "p")));
        assert!(!pods.allows(&ask("get", "apps", "pods", "", "p")));
        assert!(!pods.allows(&ask("list", "", "pods", "", "")));
        let named = rule(
            &json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "resourceNames": ["a"]}),
        );
        assert!(named.allows(&ask("get", "", "pods", "log", "a")));
        assert!(!named.allows(&ask("list", "", "pods", "", "")));
        let paths = rule(&json!({"verbs": ["get"], "nonResourceURLs": ["/api/*", "/version"]}));
        let path = |path| Attributes {
            verb: "get",
            path,
            ..Attributes::default()
        };
        assert!(paths.allows(&path("/api/v1")));
        assert!(!paths.allows(&path("/apis")));
    }

    #[test]
    fn an_atom_is_covered_by_what_allows_all_of_it() {
        let held =
            rule(&json!({"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods"]}));
        let wanted = rule(
            &json!({"verbs": ["get"], "apiGroups": [""], "resources": ["pods"], "resourceNames": ["a"]}),
        );
        assert!(wanted.atoms().iter().all(|atom| held.covers(atom)));
        assert!(!held.atoms().iter().all(|atom| wanted.covers(atom)));
        let all = rule(&json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}));
        assert!(!all.atoms().iter().all(|atom| held.covers(atom)));
    }
}
