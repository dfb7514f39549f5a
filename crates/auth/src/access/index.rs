//! The index itself: plain data, compiled from roles and bindings, asked by
//! pure functions.
//!
//! Who holds what is found by subject, then by cluster; so a decision costs what
//! the caller's bindings for that place cost, not what there is in all. A change
//! of a binding touches one subject; a change of a role is seen through its name.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;

use drover_types::management::{GROUP, PolicyRule};
use drover_types::names;

use super::rules::{self, covers};
use super::{Attributes, ClustersVisible, Grant};
use crate::Identity;

/// Whom a binding is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Subject {
    /// A user by name.
    User(String),
    /// A user by principal.
    Principal(String),
    /// A group.
    Group(String),
}

/// What a binding is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Scope {
    Global,
    Cluster(String),
    Project { cluster: String, project: String },
}

/// A binding, reduced.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Binding {
    /// `Kind namespace/name`.
    pub(super) name: String,
    /// `None` for bindings that name nobody, or more than one.
    pub(super) subject: Option<Subject>,
    pub(super) role: String,
    pub(super) scope: Scope,
}

/// A global role, reduced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct GlobalRoleFacts {
    pub(super) rules: Vec<PolicyRule>,
    pub(super) namespaced: BTreeMap<String, Vec<PolicyRule>>,
    pub(super) inherited: Vec<String>,
    pub(super) is_admin: bool,
}

/// A role template, reduced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct TemplateFacts {
    /// `cluster` or `project`.
    pub(super) context: String,
    /// A ClusterRole of this name in each cluster has the rules that count there.
    pub(super) external: bool,
    pub(super) rules: Vec<PolicyRule>,
    pub(super) inherits: Vec<String>,
}

/// A project's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ProjectFacts {
    pub(super) cluster: String,
    pub(super) project: String,
    pub(super) namespaces: Vec<String>,
}

/// A role template with all it inherits.
#[derive(Debug, Default)]
pub(super) struct Template {
    /// `cluster` or `project`.
    pub(super) context: String,
    /// Each rule with the roles that lead to it.
    pub(super) rules: Vec<(Arc<[String]>, PolicyRule)>,
    /// The roles that lead to one whose rules lie in clusters, each.
    pub(super) external: Vec<Arc<[String]>>,
    owns_cluster: Option<Arc<[String]>>,
    owns_project: Option<Arc<[String]>>,
}

/// Inheritance deeper than this is cut off (the peer refuses it at 500).
pub const MAX_DEPTH: usize = 100;

impl Template {
    fn flatten(name: &str, all: &HashMap<String, Arc<TemplateFacts>>) -> Self {
        let mut flat = Self {
            context: all
                .get(name)
                .map(|facts| facts.context.clone())
                .unwrap_or_default(),
            ..Self::default()
        };
        let mut seen = BTreeSet::from([name.to_owned()]);
        let mut open = vec![vec![name.to_owned()]];
        while let Some(chain) = open.pop() {
            let Some(facts) = chain.last().and_then(|last| all.get(last)) else {
                continue;
            };
            for child in facts.inherits.iter().rev() {
                if chain.len() < MAX_DEPTH && seen.insert(child.clone()) {
                    open.push(chain.iter().chain([child]).cloned().collect());
                }
            }
            let chain: Arc<[String]> = chain.into();
            if facts.external {
                flat.external.push(chain.clone());
            }
            for rule in &facts.rules {
                if flat.owns_cluster.is_none() && rules::owns(rule, "clusters") {
                    flat.owns_cluster = Some(chain.clone());
                }
                if flat.owns_project.is_none() && rules::owns(rule, "projects") {
                    flat.owns_project = Some(chain.clone());
                }
                flat.rules.push((chain.clone(), rule.clone()));
            }
        }
        flat
    }

    /// Whether some rule without object names covers what is asked.
    pub(super) fn covers(&self, asked: &Attributes<'_>) -> bool {
        self.rule(asked).is_some()
    }

    /// The first rule without object names that covers what is asked.
    fn rule(&self, asked: &Attributes<'_>) -> Option<(&Arc<[String]>, &PolicyRule)> {
        let (chain, rule) = self
            .rules
            .iter()
            .find(|(_, rule)| rule.resource_names.is_empty() && covers(rule, asked))?;
        Some((chain, rule))
    }
}

/// What one subject holds.
#[derive(Clone, Debug, Default)]
struct Holdings {
    global: BTreeSet<Arc<Binding>>,
    /// Cluster bindings by cluster.
    clusters: BTreeMap<String, BTreeSet<Arc<Binding>>>,
    /// Project bindings by cluster.
    projects: BTreeMap<String, BTreeSet<Arc<Binding>>>,
}

impl Holdings {
    fn set(&mut self, scope: &Scope) -> &mut BTreeSet<Arc<Binding>> {
        match scope {
            Scope::Global => &mut self.global,
            Scope::Cluster(cluster) => self.clusters.entry(cluster.clone()).or_default(),
            Scope::Project { cluster, .. } => self.projects.entry(cluster.clone()).or_default(),
        }
    }

    fn is_empty(&self) -> bool {
        self.global.is_empty() && self.clusters.is_empty() && self.projects.is_empty()
    }
}

const SHARDS: usize = 64;

type Shard = Arc<HashMap<Subject, Arc<Holdings>>>;

/// Subjects in shards, so that publishing a change copies a sixty-fourth of the map.
#[derive(Clone, Debug)]
struct Subjects {
    hasher: std::hash::RandomState,
    shards: Vec<Shard>,
}

impl Default for Subjects {
    fn default() -> Self {
        Self {
            hasher: std::hash::RandomState::new(),
            shards: vec![Shard::default(); SHARDS],
        }
    }
}

impl Subjects {
    fn shard<K: Hash>(&self, subject: &K) -> usize {
        usize::try_from(self.hasher.hash_one(subject) % SHARDS as u64).unwrap_or_default()
    }

    fn all(&self) -> impl Iterator<Item = &Subject> {
        self.shards.iter().flat_map(|shard| shard.keys())
    }

    fn get(&self, subject: &Subject) -> Option<&Holdings> {
        self.shards[self.shard(subject)]
            .get(subject)
            .map(Arc::as_ref)
    }

    fn change(&mut self, subject: &Subject, change: impl FnOnce(&mut Holdings)) {
        let shard = self.shard(subject);
        let shard = Arc::make_mut(&mut self.shards[shard]);
        let holdings = Arc::make_mut(shard.entry(subject.clone()).or_default());
        change(holdings);
        if holdings.is_empty() {
            shard.remove(subject);
        }
    }
}

/// A namespace of the hub that belongs to a cluster or project.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Cluster(String),
    Project { cluster: String, project: String },
}

/// The compiled index.
#[derive(Debug, Default)]
pub(super) struct Index {
    subjects: Subjects,
    global_roles: Arc<HashMap<String, Arc<GlobalRoleFacts>>>,
    templates: Arc<HashMap<String, Arc<Template>>>,
    clusters: Arc<BTreeSet<String>>,
    /// Project namespaces.
    projects: Arc<HashMap<String, (String, String)>>,
}

/// Why something is allowed.
#[derive(Debug)]
pub(super) enum Reason {
    /// Everybody may see their own user.
    Oneself,
    Rule {
        binding: Arc<Binding>,
        roles: Vec<String>,
        rule: PolicyRule,
    },
    Membership {
        binding: Arc<Binding>,
        roles: Vec<String>,
        owner: bool,
    },
}

impl Reason {
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
                roles,
                rule: rules::describe(&rule),
            },
            Self::Membership {
                binding,
                roles,
                owner,
            } => Grant {
                binding: binding.name.clone(),
                roles,
                rule: if owner {
                    "ownership".to_owned()
                } else {
                    "membership".to_owned()
                },
            },
        }
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

/// A binding that gives a role in a cluster, by itself or through a global role.
pub(super) struct InCluster<'a> {
    pub(super) binding: &'a Arc<Binding>,
    /// What stands before the template in the chain: the global role it is inherited by.
    through: Option<&'a str>,
    pub(super) template: &'a str,
}

impl InCluster<'_> {
    pub(super) fn roles(&self, chain: &[String]) -> Vec<String> {
        self.through
            .into_iter()
            .map(str::to_owned)
            .chain(chain.iter().cloned())
            .collect()
    }
}

impl Index {
    fn holdings<'a>(&'a self, identity: &'a Identity) -> impl Iterator<Item = &'a Holdings> {
        let user = std::iter::once(Subject::User(identity.user.as_str().to_owned()));
        let principals = identity.principals.iter().cloned().map(Subject::Principal);
        let groups = identity.groups.iter().cloned().map(Subject::Group);
        user.chain(principals)
            .chain(groups)
            .filter_map(|subject| self.subjects.get(&subject))
    }

    pub(super) fn global<'a>(
        &'a self,
        identity: &'a Identity,
    ) -> impl Iterator<Item = (&'a Arc<Binding>, &'a Arc<GlobalRoleFacts>)> {
        self.holdings(identity)
            .flat_map(|holdings| &holdings.global)
            .filter_map(|binding| Some((binding, self.global_roles.get(&binding.role)?)))
    }

    pub(super) fn in_cluster<'a>(
        &'a self,
        identity: &'a Identity,
        cluster: &'a str,
    ) -> impl Iterator<Item = InCluster<'a>> {
        let bound = self
            .holdings(identity)
            .filter_map(move |holdings| holdings.clusters.get(cluster))
            .flatten()
            .map(|binding| InCluster {
                binding,
                through: None,
                template: &binding.role,
            });
        // Roles inherited by global roles reach every cluster that exists, save our own.
        let reached = cluster != names::LOCAL_CLUSTER && self.clusters.contains(cluster);
        let inherited =
            self.global(identity)
                .filter(move |_| reached)
                .flat_map(|(binding, role)| {
                    let through = Some(binding.role.as_str());
                    role.inherited.iter().map(move |template| InCluster {
                        binding,
                        through,
                        template,
                    })
                });
        bound
            .chain(inherited)
            .filter(|held| self.templates.contains_key(held.template))
    }

    pub(super) fn in_projects<'a>(
        &'a self,
        identity: &'a Identity,
        cluster: &'a str,
    ) -> impl Iterator<Item = (&'a Arc<Binding>, &'a str, &'a Template)> {
        self.holdings(identity)
            .filter_map(move |holdings| holdings.projects.get(cluster))
            .flatten()
            .filter_map(|binding| match &binding.scope {
                Scope::Project { project, .. } => Some((
                    binding,
                    project.as_str(),
                    self.templates.get(&binding.role)?.as_ref(),
                )),
                Scope::Global | Scope::Cluster(_) => None,
            })
    }

    pub(super) fn template(&self, name: &str) -> Option<&Template> {
        self.templates.get(name).map(Arc::as_ref)
    }

    /// Everybody some binding is for.
    pub(super) fn subjects(&self) -> impl Iterator<Item = &Subject> {
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

    fn place(&self, namespace: &str) -> Option<Place> {
        if self.clusters.contains(namespace) {
            return Some(Place::Cluster(namespace.to_owned()));
        }
        let (cluster, project) = self.projects.get(namespace)?.clone();
        Some(Place::Project { cluster, project })
    }

    /// The first reason why `identity` may do this, if there is one.
    pub(super) fn decide(&self, identity: &Identity, asked: &Attributes<'_>) -> Option<Reason> {
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
                Place::Cluster(cluster) => self.of_cluster(identity, asked, &cluster),
                Place::Project { cluster, project } => {
                    self.of_project(identity, asked, &cluster, &project)
                }
            },
        }
    }

    fn by_global_role(&self, identity: &Identity, asked: &Attributes<'_>) -> Option<Reason> {
        self.global(identity).find_map(|(binding, role)| {
            let namespaced = asked
                .namespace
                .and_then(|namespace| role.namespaced.get(namespace));
            let mut rules = role.rules.iter().chain(namespaced.into_iter().flatten());
            let rule = rules.find(|rule| covers(rule, asked))?.clone();
            Some(Reason::Rule {
                binding: binding.clone(),
                roles: vec![binding.role.clone()],
                rule,
            })
        })
    }

    /// On the cluster object itself: members of the cluster or of a project in it see it, owners do anything.
    fn on_cluster(&self, identity: &Identity, asked: &Attributes<'_>) -> Option<Reason> {
        let cluster = asked.name?;
        let by_cluster = self.in_cluster(identity, cluster).find_map(|held| {
            let owner = self.template(held.template)?.owns_cluster.as_deref();
            let roles = match owner {
                Some(chain) => held.roles(chain),
                None => held.roles(&[held.template.to_owned()]),
            };
            let owner = owner.is_some();
            membership_covers(asked.verb, owner).then(|| Reason::Membership {
                binding: held.binding.clone(),
                roles,
                owner,
            })
        });
        by_cluster.or_else(|| {
            let (binding, _, _) = self
                .in_projects(identity, cluster)
                .find(|_| membership_covers(asked.verb, false))?;
            let roles = vec![binding.role.clone()];
            Some(Reason::Membership {
                binding: binding.clone(),
                roles,
                owner: false,
            })
        })
    }

    /// In a cluster's namespace: what roles in the cluster say of it, and projects for their members.
    fn of_cluster(
        &self,
        identity: &Identity,
        asked: &Attributes<'_>,
        cluster: &str,
    ) -> Option<Reason> {
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
            .filter(|(_, project, _)| *project == name)
            .find_map(|(binding, _, template)| {
                let owner = template.owns_project.is_some();
                if membership_covers(asked.verb, owner) {
                    let chain = template.owns_project.as_deref().map(<[String]>::to_vec);
                    let roles = chain.unwrap_or_else(|| vec![binding.role.clone()]);
                    return Some(Reason::Membership {
                        binding: binding.clone(),
                        roles,
                        owner,
                    });
                }
                // Verbs of ours (`updatepsa`, `manage-namespaces`) that a role gives on its own project.
                let ours = !OWNER_VERBS.contains(&asked.verb);
                let (chain, rule) = template.rule(asked).filter(|_| ours)?;
                Some(Reason::Rule {
                    binding: binding.clone(),
                    roles: chain.to_vec(),
                    rule: rule.clone(),
                })
            })
    }

    /// In a project's namespace: what roles in its cluster and in the project say of it.
    fn of_project(
        &self,
        identity: &Identity,
        asked: &Attributes<'_>,
        cluster: &str,
        project: &str,
    ) -> Option<Reason> {
        if !rules::is_of_projects(asked.group, asked.resource) {
            return None;
        }
        self.by_template(identity, asked, cluster).or_else(|| {
            self.in_projects(identity, cluster)
                .filter(|(_, of, _)| *of == project)
                .find_map(|(binding, _, template)| {
                    let (chain, rule) = template.rule(asked)?;
                    Some(Reason::Rule {
                        binding: binding.clone(),
                        roles: chain.to_vec(),
                        rule: rule.clone(),
                    })
                })
        })
    }

    fn by_template(
        &self,
        identity: &Identity,
        asked: &Attributes<'_>,
        cluster: &str,
    ) -> Option<Reason> {
        self.in_cluster(identity, cluster).find_map(|held| {
            let (chain, rule) = self.template(held.template)?.rule(asked)?;
            Some(Reason::Rule {
                binding: held.binding.clone(),
                roles: held.roles(chain),
                rule: rule.clone(),
            })
        })
    }

    /// The virtual groups held in a cluster; `None` if it may not be seen.
    pub(super) fn cluster_groups(&self, identity: &Identity, cluster: &str) -> Option<Vec<String>> {
        if !identity.may_reach(Some(cluster)) {
            return None;
        }
        let see = Attributes {
            verb: "get",
            group: GROUP,
            resource: "clusters",
            namespace: None,
            name: Some(cluster),
        };
        self.decide(identity, &see)?;
        let mut groups = BTreeSet::new();
        if self.global(identity).any(|(_, role)| role.is_admin) {
            groups.insert(names::OWNER_GROUP.to_owned());
        }
        groups.extend(
            self.in_cluster(identity, cluster)
                .map(|held| names::cluster_group(held.template)),
        );
        groups.extend(
            self.in_projects(identity, cluster)
                .map(|(binding, project, _)| names::project_group(project, &binding.role)),
        );
        Some(groups.into_iter().collect())
    }

    pub(super) fn clusters_visible(&self, identity: &Identity) -> ClustersVisible {
        let see = |name| Attributes {
            verb: "get",
            group: GROUP,
            resource: "clusters",
            namespace: None,
            name,
        };
        let scoped = identity
            .token
            .as_ref()
            .and_then(|token| token.cluster.as_deref());
        if scoped.is_none() && self.by_global_role(identity, &see(None)).is_some() {
            return ClustersVisible::All;
        }
        let mut visible: BTreeSet<&str> = self
            .holdings(identity)
            .flat_map(|holdings| holdings.clusters.keys().chain(holdings.projects.keys()))
            .map(String::as_str)
            .collect();
        visible.extend(self.clusters.iter().map(String::as_str));
        visible.retain(|cluster| {
            scoped.is_none_or(|only| only == *cluster)
                && self.decide(identity, &see(Some(cluster))).is_some()
        });
        ClustersVisible::These(visible.into_iter().map(str::to_owned).collect())
    }
}

/// Takes changes and compiles what they touch.
#[derive(Debug, Default)]
pub(super) struct Compiler {
    subjects: Subjects,
    global_roles: Arc<HashMap<String, Arc<GlobalRoleFacts>>>,
    facts: HashMap<String, Arc<TemplateFacts>>,
    templates: Arc<HashMap<String, Arc<Template>>>,
    clusters: Arc<BTreeSet<String>>,
    projects: Arc<HashMap<String, (String, String)>>,
    templates_changed: bool,
    changed: bool,
}

impl Compiler {
    pub(super) fn binding(&mut self, before: Option<&Arc<Binding>>, after: Option<&Arc<Binding>>) {
        self.changed = true;
        if let Some(before) = before
            && let Some(subject) = &before.subject
        {
            self.subjects.change(subject, |holdings| {
                holdings.set(&before.scope).remove(before);
                holdings.clusters.retain(|_, bindings| !bindings.is_empty());
                holdings.projects.retain(|_, bindings| !bindings.is_empty());
            });
        }
        if let Some(after) = after
            && let Some(subject) = &after.subject
        {
            self.subjects.change(subject, |holdings| {
                holdings.set(&after.scope).insert(after.clone());
            });
        }
    }

    pub(super) fn global_role(&mut self, name: &str, role: Option<&Arc<GlobalRoleFacts>>) {
        self.changed = true;
        let roles = Arc::make_mut(&mut self.global_roles);
        match role {
            Some(role) => drop(roles.insert(name.to_owned(), role.clone())),
            None => drop(roles.remove(name)),
        }
    }

    pub(super) fn template(&mut self, name: &str, template: Option<&Arc<TemplateFacts>>) {
        self.changed = true;
        self.templates_changed = true;
        match template {
            Some(template) => drop(self.facts.insert(name.to_owned(), template.clone())),
            None => drop(self.facts.remove(name)),
        }
    }

    pub(super) fn cluster(&mut self, name: &str, is_there: bool) {
        self.changed = true;
        let clusters = Arc::make_mut(&mut self.clusters);
        if is_there {
            clusters.insert(name.to_owned());
        } else {
            clusters.remove(name);
        }
    }

    pub(super) fn project(&mut self, before: Option<&ProjectFacts>, after: Option<&ProjectFacts>) {
        self.changed = true;
        let projects = Arc::make_mut(&mut self.projects);
        for namespace in before.into_iter().flat_map(|facts| &facts.namespaces) {
            projects.remove(namespace);
        }
        if let Some(facts) = after {
            for namespace in &facts.namespaces {
                projects.insert(
                    namespace.clone(),
                    (facts.cluster.clone(), facts.project.clone()),
                );
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
            let flat = self
                .facts
                .keys()
                .map(|name| (name.clone(), Arc::new(Template::flatten(name, &self.facts))));
            self.templates = Arc::new(flat.collect());
        }
        Some(Index {
            subjects: self.subjects.clone(),
            global_roles: self.global_roles.clone(),
            templates: self.templates.clone(),
            clusters: self.clusters.clone(),
            projects: self.projects.clone(),
        })
    }
}
