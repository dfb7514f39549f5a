//! What a caller may do to the objects of one cluster.
//!
//! Pure. In a cluster the answer is that of its own RBAC, as rules it named
//! under the caller's identity; on the hub the index of role bindings counts
//! beside them. Every list, link, method and event is decided here.
//!
//! Invariant: what neither gives is not shown; a missing answer is a refusal.

use std::collections::{BTreeMap, BTreeSet};

use drover_auth::{Access, Attributes, Identity};
use drover_types::management::GROUP;
use serde_json::Value;

use crate::kind::Kind;

/// One rule, as a `SelfSubjectRulesReview` names it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rule {
    verbs: Vec<String>,
    groups: Vec<String>,
    resources: Vec<String>,
    /// Empty: all.
    names: Vec<String>,
}

fn holds(list: &[String], wanted: &str) -> bool {
    list.iter().any(|entry| entry == "*" || entry == wanted)
}

impl Rule {
    /// To read some objects of one kind.
    pub(crate) fn to_read(group: &str, resource: &str, names: &[&str]) -> Self {
        Self {
            verbs: ["get", "list"].map(str::to_owned).to_vec(),
            groups: vec![group.to_owned()],
            resources: vec![resource.to_owned()],
            names: names.iter().map(|&name| name.to_owned()).collect(),
        }
    }

    fn about(&self, verb: &str, group: &str, resource: &str) -> bool {
        holds(&self.verbs, verb) && holds(&self.groups, group) && holds(&self.resources, resource)
    }

    fn covers(&self, asked: &Attributes<'_>) -> bool {
        self.about(asked.verb, asked.group, asked.resource)
            && (self.names.is_empty()
                || asked
                    .name
                    .is_some_and(|name| self.names.iter().any(|allowed| allowed == name)))
    }
}

/// The rules of a review's answer.
pub(crate) fn rules_of(review: &Value) -> Vec<Rule> {
    let list = |rule: &Value, name: &str| {
        let values = rule.get(name).and_then(Value::as_array);
        values
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect()
    };
    review
        .pointer("/status/resourceRules")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(|rule| Rule {
            verbs: list(rule, "verbs"),
            groups: list(rule, "apiGroups"),
            resources: list(rule, "resources"),
            names: list(rule, "resourceNames"),
        })
        .collect()
}

/// What a cluster's RBAC gives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rules {
    /// In the whole cluster.
    pub(crate) everywhere: Vec<Rule>,
    /// In single namespaces, those of the whole cluster included.
    pub(crate) namespaces: BTreeMap<String, Vec<Rule>>,
}

impl Rules {
    pub(crate) fn allow_everything(&self) -> bool {
        self.everywhere
            .iter()
            .any(|rule| rule.names.is_empty() && rule.about("*", "*", "*"))
    }

    fn allow(&self, asked: &Attributes<'_>) -> bool {
        let local = asked
            .namespace
            .and_then(|namespace| self.namespaces.get(namespace));
        self.everywhere
            .iter()
            .chain(local.into_iter().flatten())
            .any(|rule| rule.covers(asked))
    }

    /// The rules that may speak of a kind: those of namespaces only if it lives in one.
    fn of<'a>(&'a self, kind: &'a Kind) -> impl Iterator<Item = (Option<&'a str>, &'a Rule)> {
        let everywhere = self.everywhere.iter().map(|rule| (None, rule));
        let local =
            self.namespaces
                .iter()
                .filter(|_| kind.namespaced)
                .flat_map(|(namespace, rules)| {
                    rules.iter().map(|rule| (Some(namespace.as_str()), rule))
                });
        everywhere.chain(local)
    }
}

/// What the index of role bindings gives on the hub.
#[derive(Clone, Debug)]
pub(crate) struct Indexed {
    pub(crate) access: Access,
    pub(crate) identity: Identity,
}

impl Indexed {
    fn allows(&self, asked: &Attributes<'_>) -> bool {
        self.access.is_allowed(&self.identity, asked)
    }

    fn allows_somewhere(&self, asked: &Attributes<'_>) -> bool {
        self.access.is_allowed_somewhere(&self.identity, asked)
    }
}

/// What one caller may do in one cluster.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rights {
    pub(crate) rules: Rules,
    /// On the hub only.
    pub(crate) indexed: Option<Indexed>,
    /// What clusters were provisioned from, by namespace and name, as far as the index shows the clusters: their ids.
    pub(crate) provisioned: BTreeMap<(String, String), String>,
}

/// Kinds everybody may ask for, and is shown what it may see of (reference section 1.2).
fn is_for_everybody(kind: &Kind) -> bool {
    matches!(
        (kind.group.as_str(), kind.resource.as_str()),
        (GROUP, "clusters" | "projects") | ("", "namespaces")
    )
}

/// Kinds of the hub that hold other people's secrets; they are reached through `/v3` only.
pub(crate) fn is_withheld(kind: &Kind) -> bool {
    kind.group == GROUP
        && matches!(
            kind.resource.as_str(),
            "preferences" | "templates" | "templateversions" | "templatecontents" | "tokens"
        )
}

fn asked<'a>(
    verb: &'a str,
    kind: &'a Kind,
    namespace: Option<&'a str>,
    name: Option<&'a str>,
) -> Attributes<'a> {
    Attributes {
        verb,
        group: &kind.group,
        resource: &kind.resource,
        namespace,
        name,
    }
}

/// The same of a cluster.
fn on_cluster<'a>(verb: &'a str, id: &'a str) -> Attributes<'a> {
    Attributes {
        verb,
        group: GROUP,
        resource: "clusters",
        namespace: None,
        name: Some(id),
    }
}

impl Rights {
    /// Rights to read some objects of one kind, and to nothing else.
    pub(crate) fn to_read(group: &str, resource: &str, names: &[&str]) -> Self {
        Self {
            rules: Rules {
                everywhere: vec![Rule::to_read(group, resource, names)],
                ..Rules::default()
            },
            ..Self::default()
        }
    }

    pub(crate) fn may(
        &self,
        verb: &str,
        kind: &Kind,
        namespace: Option<&str>,
        name: Option<&str>,
    ) -> bool {
        self.may_by_rbac(verb, kind, namespace, name)
            || self
                .indexed
                .as_ref()
                .is_some_and(|indexed| indexed.allows(&asked(verb, kind, namespace, name)))
    }

    /// Whether who takes the write allows it: the cluster's own RBAC, or the index for what the hub answers itself and for
    /// what it keeps of clusters and projects.
    pub(crate) fn may_itself(
        &self,
        verb: &str,
        kind: &Kind,
        namespace: Option<&str>,
        name: Option<&str>,
    ) -> bool {
        self.may_by_rbac(verb, kind, namespace, name)
            || (kind.is_personal() && self.may(verb, kind, namespace, name))
            || (kind.is_governed() && self.may_by_index(verb, kind, namespace, name))
    }

    /// Whether the cluster's own RBAC allows it.
    pub(crate) fn may_by_rbac(
        &self,
        verb: &str,
        kind: &Kind,
        namespace: Option<&str>,
        name: Option<&str>,
    ) -> bool {
        self.rules.allow(&asked(verb, kind, namespace, name))
    }

    fn may_by_index(
        &self,
        verb: &str,
        kind: &Kind,
        namespace: Option<&str>,
        name: Option<&str>,
    ) -> bool {
        let Some(indexed) = &self.indexed else {
            return false;
        };
        let of = || {
            let id = self
                .provisioned
                .get(&(namespace?.to_owned(), name?.to_owned()));
            id.filter(|_| kind.is_provisioning())
        };
        indexed.allows(&asked(verb, kind, namespace, name))
            || of().is_some_and(|id| indexed.allows(&on_cluster(verb, id)))
    }

    /// Whether objects of the kind are read over `/v1`, and some may be.
    pub(crate) fn may_read(&self, kind: &Kind) -> bool {
        !is_withheld(kind)
            && ["get", "list"]
                .iter()
                .any(|verb| kind.has(verb) && self.may_somewhere(verb, kind))
    }

    /// Whether there is any object of the kind, or any namespace, where it may do this.
    pub(crate) fn may_somewhere(&self, verb: &str, kind: &Kind) -> bool {
        let reads = matches!(verb, "get" | "list" | "watch");
        if reads && is_for_everybody(kind) {
            return true;
        }
        let by_rules = self
            .rules
            .of(kind)
            .any(|(_, rule)| rule.about(verb, &kind.group, &kind.resource));
        by_rules
            || ((reads || kind.is_personal() || kind.is_governed())
                && self.indexed.as_ref().is_some_and(|indexed| {
                    let made_from = || {
                        let mut ids = self.provisioned.values();
                        ids.any(|id| indexed.allows(&on_cluster(verb, id)))
                    };
                    indexed.allows_somewhere(&asked(verb, kind, None, None))
                        || (kind.is_provisioning() && verb != "create" && made_from())
                }))
    }

    /// Which objects of a kind it sees.
    pub(crate) fn extent(&self, kind: &Kind) -> Extent {
        if self.may("list", kind, None, None) {
            return Extent::All;
        }
        let mut part = Part {
            indexed: self.indexed.clone(),
            group: kind.group.clone(),
            resource: kind.resource.clone(),
            ..Part::default()
        };
        for (namespace, rule) in self.rules.of(kind) {
            let sees = |verb| rule.about(verb, &kind.group, &kind.resource);
            match (namespace, rule.names.is_empty()) {
                (Some(namespace), true) if sees("list") => {
                    part.namespaces.insert(namespace.to_owned());
                }
                (namespace, false) if sees("list") || sees("get") => {
                    let namespace = namespace.map(str::to_owned);
                    part.names.extend(
                        rule.names
                            .iter()
                            .map(|name| (namespace.clone(), name.clone())),
                    );
                }
                _ => {}
            }
        }
        // A role in a namespace shows the namespace itself.
        if kind.group.is_empty() && kind.resource == "namespaces" {
            let own = Kind::new("", "v1", "Namespace", "namespaces");
            let seen = self.rules.namespaces.keys().filter(|name| {
                self.rules.allow(&Attributes {
                    verb: "get",
                    group: "",
                    resource: &own.resource,
                    namespace: Some(name),
                    name: Some(name),
                })
            });
            part.names.extend(seen.map(|name| (None, name.clone())));
        }
        Extent::Part(Box::new(part))
    }
}

/// Which objects of one kind somebody sees.
#[derive(Clone, Debug)]
pub(crate) enum Extent {
    All,
    Part(Box<Part>),
}

/// Objects of one kind, by namespace, by name, and by the index.
#[derive(Clone, Debug, Default)]
pub(crate) struct Part {
    namespaces: BTreeSet<String>,
    /// Without a namespace: under this name everywhere.
    names: BTreeSet<(Option<String>, String)>,
    indexed: Option<Indexed>,
    group: String,
    resource: String,
}

impl Extent {
    pub(crate) fn contains(&self, namespace: Option<&str>, name: &str) -> bool {
        let Self::Part(part) = self else { return true };
        if namespace.is_some_and(|namespace| part.namespaces.contains(namespace)) {
            return true;
        }
        if !part.names.is_empty() {
            let named = |namespace: Option<&str>| {
                part.names
                    .contains(&(namespace.map(str::to_owned), name.to_owned()))
            };
            if named(None) || (namespace.is_some() && named(namespace)) {
                return true;
            }
        }
        part.indexed.as_ref().is_some_and(|indexed| {
            let asked = |verb, name| Attributes {
                verb,
                group: &part.group,
                resource: &part.resource,
                namespace,
                name,
            };
            indexed.allows(&asked("get", Some(name))) || indexed.allows(&asked("list", None))
        })
    }

    /// Whether two extents are the same for certain.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        // What the index says of single objects cannot be compared.
        let indexed = |extent: &Self| matches!(extent, Self::Part(part) if part.indexed.is_some());
        !indexed(self) && !indexed(other) && self.has_same_rules(other)
    }

    /// Whether two extents are the same as long as the index is.
    pub(crate) fn has_same_rules(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::All, Self::All) => true,
            (Self::Part(one), Self::Part(other)) => {
                one.namespaces == other.namespaces && one.names == other.names
            }
            (Self::All, Self::Part(_)) | (Self::Part(_), Self::All) => false,
        }
    }
}

#[cfg(test)]
mod tests;
