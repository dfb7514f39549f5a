//! What roles come to, worked out from their rules by an evaluation of its own.
//!
//! On plain JSON and by the words of the reference alone: it shares no code with the index that decides in the product,
//! nor with the controllers that put roles into clusters, so that both can be compared with it.

use std::collections::BTreeMap;

use drover_types::management::{GlobalRole, RoleTemplate};
use k8s_openapi::api::rbac::v1::ClusterRole;
use kube::ResourceExt as _;
use serde::Serialize;
use serde_json::{Value, json};

const MANAGEMENT: &str = "management.cattle.io";

/// What roles of projects reach outside of namespaces (reference rbac-and-projects 2.6).
const REACHES_OUT: [(&str, &str); 7] = [
    ("ui.cattle.io", "navlinks"),
    ("", "nodes"),
    ("", "persistentvolumes"),
    ("storage.k8s.io", "storageclasses"),
    ("apiregistration.k8s.io", "apiservices"),
    ("catalog.cattle.io", "clusterrepos"),
    (MANAGEMENT, "clusters"),
];

/// What roles in a cluster say of that lies in the cluster's namespace on the hub (2.4).
const OF_CLUSTERS: [(&str, &str); 8] = [
    (MANAGEMENT, "clusterscans"),
    (MANAGEMENT, "clusterregistrationtokens"),
    (MANAGEMENT, "clusterroletemplatebindings"),
    (MANAGEMENT, "etcdbackups"),
    (MANAGEMENT, "nodes"),
    (MANAGEMENT, "nodepools"),
    (MANAGEMENT, "projects"),
    ("rke.cattle.io", "etcdsnapshots"),
];

/// What any role says of that lies in a project's namespace on the hub (2.4).
const OF_PROJECTS: [(&str, &str); 2] =
    [(MANAGEMENT, "projectroletemplatebindings"), ("", "secrets")];

/// What owners do to the cluster or project itself (2.2).
const OWNER: [&str; 8] = [
    "get",
    "list",
    "watch",
    "create",
    "update",
    "patch",
    "delete",
    "deletecollection",
];

/// A request, as rules speak of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Asked {
    /// The verb.
    pub verb: &'static str,
    /// Group of the API, empty for the core.
    pub group: String,
    /// The plural, with its subresource.
    pub resource: String,
    /// The namespace, if it is in one.
    pub namespace: Option<String>,
    /// The object's name, if one is named.
    pub name: Option<String>,
}

impl Asked {
    /// Whether it is about this one object, by its name.
    fn is(&self, resource: &str, name: &str) -> bool {
        self.group == MANAGEMENT && self.resource == resource && self.name.as_deref() == Some(name)
    }

    fn is_of(&self, kinds: &[(&str, &str)]) -> bool {
        kinds.contains(&(&self.group, &self.resource))
    }
}

/// Where a role is bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// On the hub.
    Hub,
    /// In a cluster.
    Cluster,
    /// In a project of it.
    Project,
}

/// The one place on the hub where roles of clusters and projects are bound.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The cluster.
    pub cluster: &'a str,
    /// Its project.
    pub project: &'a str,
    /// The project's namespace on the hub.
    pub backing: &'a str,
    /// The namespaces of other projects of the cluster on the hub.
    pub others: &'a [&'a str],
}

/// A role with all it inherits.
#[derive(Clone, Debug)]
pub struct Role {
    /// Its name.
    pub name: String,
    /// Where it is bound.
    pub bound: Bound,
    /// Its rules and those of all it inherits.
    rules: Vec<Value>,
    /// Those that ClusterRoles have which it, or one it inherits, stands for.
    external: Vec<Value>,
    /// Rules in single namespaces of the hub.
    namespaced: BTreeMap<String, Vec<Value>>,
}

fn rules(object: &Value, field: &str) -> Vec<Value> {
    object[field].as_array().cloned().unwrap_or_default()
}

fn plain<K: Serialize>(object: &K) -> Value {
    serde_json::to_value(object).unwrap_or_default()
}

fn has(rule: &Value, list: &str, wanted: &str) -> bool {
    let entries = rule[list].as_array().into_iter().flatten();
    entries.clone().any(|entry| entry == "*" || entry == wanted)
        // `*/scale` is the subresource of everything.
        || list == "resources"
            && wanted.split_once('/').is_some_and(|(_, part)| {
                entries.into_iter().any(|entry| *entry == format!("*/{part}"))
            })
}

fn is_unnamed(rule: &Value) -> bool {
    rule["resourceNames"].as_array().is_none_or(Vec::is_empty)
}

fn says(rule: &Value, asked: &Asked) -> bool {
    let named = || {
        let names = rule["resourceNames"].as_array().into_iter().flatten();
        asked
            .name
            .as_ref()
            .is_some_and(|name| names.into_iter().any(|entry| *entry == json!(name)))
    };
    has(rule, "verbs", asked.verb)
        && has(rule, "apiGroups", &asked.group)
        && has(rule, "resources", &asked.resource)
        && (is_unnamed(rule) || named())
}

impl Role {
    /// Every role template, with the rules that the ClusterRoles have which some of them stand for.
    #[must_use]
    pub fn of_templates(templates: &[RoleTemplate], cluster_roles: &[ClusterRole]) -> Vec<Self> {
        let templates: BTreeMap<String, Value> = templates
            .iter()
            .map(|template| (template.name_any(), plain(template)))
            .collect();
        let of_cluster: BTreeMap<String, Value> = cluster_roles
            .iter()
            .map(|role| (role.name_any(), plain(role)))
            .collect();
        let all = templates.iter();
        all.map(|(name, template)| Self::of_template(name, template, &templates, &of_cluster))
            .collect()
    }

    fn of_template(
        name: &str,
        template: &Value,
        templates: &BTreeMap<String, Value>,
        of_cluster: &BTreeMap<String, Value>,
    ) -> Self {
        let mut role = Self {
            name: name.to_owned(),
            bound: if template["context"] == "project" {
                Bound::Project
            } else {
                Bound::Cluster
            },
            rules: Vec::new(),
            external: Vec::new(),
            namespaced: BTreeMap::new(),
        };
        let mut reached = vec![name.to_owned()];
        let mut at = 0;
        while let Some(name) = reached.get(at).cloned() {
            at += 1;
            let Some(template) = templates.get(&name) else {
                continue;
            };
            if template["external"] == true {
                let found = of_cluster.get(&name).map(|found| rules(found, "rules"));
                role.external.extend(found.into_iter().flatten());
            } else {
                role.rules.extend(rules(template, "rules"));
            }
            let children = rules(template, "roleTemplateNames");
            for child in children.iter().filter_map(Value::as_str) {
                if !reached.iter().any(|known| known == child) {
                    reached.push(child.to_owned());
                }
            }
        }
        role
    }

    /// Every global role.
    #[must_use]
    pub fn of_global(roles: &[GlobalRole]) -> Vec<Self> {
        let role = |role: &GlobalRole| {
            let object = plain(role);
            let namespaced = object["namespacedRules"].as_object().into_iter().flatten();
            Self {
                name: role.name_any(),
                bound: Bound::Hub,
                rules: rules(&object, "rules"),
                external: Vec::new(),
                namespaced: namespaced
                    .map(|(namespace, rules)| {
                        (
                            namespace.clone(),
                            rules.as_array().cloned().unwrap_or_default(),
                        )
                    })
                    .collect(),
            }
        };
        roles.iter().map(role).collect()
    }

    /// No role at all.
    #[must_use]
    pub fn none() -> Self {
        Self {
            name: "nothing".to_owned(),
            bound: Bound::Hub,
            rules: Vec::new(),
            external: Vec::new(),
            namespaced: BTreeMap::new(),
        }
    }

    /// A user that holds this role and no other.
    #[must_use]
    pub fn user(&self) -> String {
        match self.bound {
            Bound::Hub => format!("g-{}", self.name),
            Bound::Cluster | Bound::Project => format!("u-{}", self.name),
        }
    }

    /// Its own rules and those of roles it inherits, without those that lie in clusters.
    pub fn own_rules(&self) -> impl Iterator<Item = &Value> {
        self.rules.iter()
    }

    /// All its rules.
    pub fn all_rules(&self) -> impl Iterator<Item = &Value> {
        self.rules.iter().chain(&self.external)
    }

    fn makes_namespaces(&self) -> bool {
        self.rules.iter().any(|rule| {
            has(rule, "verbs", "create")
                && has(rule, "apiGroups", "")
                && has(rule, "resources", "namespaces")
        })
    }

    fn owns(&self, resource: &str) -> bool {
        let is = |rule: &Value, list: &str, wanted: &str| {
            rule[list]
                .as_array()
                .is_some_and(|entries| entries.iter().any(|entry| entry == wanted))
        };
        self.rules
            .iter()
            .any(|rule| is(rule, "verbs", "own") && is(rule, "resources", resource))
    }

    /// Whether somebody with this role alone may do it in the cluster; `project` says which namespaces are those of the
    /// project that roles of projects are bound in.
    #[must_use]
    pub fn allows_in_cluster(&self, asked: &Asked, project: &[&str]) -> bool {
        let mut rules = self.rules.iter();
        match self.bound {
            // Who may do everything on the hub may do so in every cluster; others do not get into any.
            Bound::Hub => return self.is_admin(),
            Bound::Cluster => return rules.chain(&self.external).any(|rule| says(rule, asked)),
            Bound::Project => {}
        }
        let kind = (asked.group.as_str(), asked.resource.as_str());
        let of_namespaces = kind == ("", "namespaces");
        let inside = asked.namespace.as_deref();
        if inside.is_some_and(|namespace| project.contains(&namespace))
            && (rules
                .clone()
                .chain(&self.external)
                .any(|rule| says(rule, asked))
                || of_namespaces && (asked.verb == "get" || self.makes_namespaces()))
        {
            return true;
        }
        if of_namespaces && asked.verb == "create" && self.makes_namespaces() {
            return true;
        }
        let own = kind.1 != "clusters" || asked.name.as_deref() == Some("local");
        REACHES_OUT.contains(&kind) && own && rules.any(|rule| says(rule, asked))
    }

    /// Whether it allows everything everywhere.
    #[must_use]
    pub fn is_admin(&self) -> bool {
        let all = |rule: &Value, list: &str| {
            rule[list]
                .as_array()
                .is_some_and(|entries| entries.contains(&json!("*")))
        };
        let any = |lists: &[&str]| {
            let mut rules = self.rules.iter();
            rules.any(|rule| lists.iter().all(|list| all(rule, list)))
        };
        self.bound == Bound::Hub
            && any(&["apiGroups", "resources", "verbs"])
            && any(&["nonResourceURLs", "verbs"])
    }

    /// Whether somebody with this role alone may do it to objects of the hub; `place` is where it is bound.
    #[must_use]
    pub fn allows_on_hub(&self, asked: &Asked, place: &Place<'_>) -> bool {
        if asked.verb == "get" && asked.is("users", &self.user()) {
            return true;
        }
        let namespace = asked.namespace.as_deref();
        // Rules with names of objects do not count for what lies on the hub (2.4).
        let says_of = |kinds: &[(&str, &str)]| {
            let mut rules = self.all_rules();
            asked.is_of(kinds) && rules.any(|rule| is_unnamed(rule) && says(rule, asked))
        };
        let itself = |owner: bool| asked.verb == "get" || owner && OWNER.contains(&asked.verb);
        let on_cluster = namespace.is_none() && asked.is("clusters", place.cluster);
        match self.bound {
            Bound::Hub => {
                let in_namespace = namespace.and_then(|namespace| self.namespaced.get(namespace));
                let mut rules = self.rules.iter().chain(in_namespace.into_iter().flatten());
                rules.any(|rule| says(rule, asked))
            }
            Bound::Cluster => {
                on_cluster && itself(self.owns("clusters"))
                    || namespace == Some(place.cluster) && says_of(&OF_CLUSTERS)
                    || namespace.is_some_and(|namespace| {
                        namespace == place.backing || place.others.contains(&namespace)
                    }) && says_of(&OF_PROJECTS)
            }
            Bound::Project => {
                on_cluster && itself(false)
                    || namespace == Some(place.cluster)
                        && asked.is("projects", place.project)
                        && itself(self.owns("projects"))
                    || namespace == Some(place.backing) && says_of(&OF_PROJECTS)
            }
        }
    }
}
