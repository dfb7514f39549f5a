//! A role template with all it inherits, as Kubernetes takes its rules.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use drover_auth::access::{MAX_DEPTH, PROMOTED, PROMOTED_CLUSTER};
use drover_types::management::{self, RoleTemplate};
use k8s_openapi::api::rbac::v1::PolicyRule;

/// Groups whose objects lie on the hub; rights to them are decided by the index, not by the hub's own RBAC.
const HUB_GROUPS: [&str; 6] = [
    management::GROUP,
    "provisioning.cattle.io",
    "rke.cattle.io",
    "rke-machine-config.cattle.io",
    "rke-machine.cattle.io",
    "cluster.x-k8s.io",
];

/// A template with all it inherits.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flat {
    /// What it is given in: `project`, `cluster`, or nothing.
    context: String,
    pub(super) rules: Vec<PolicyRule>,
    /// ClusterRoles of the cluster's own that it stands for.
    pub(super) external: BTreeSet<String>,
}

/// All templates, each looked through once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flats(BTreeMap<String, Flat>);

impl Flats {
    pub(crate) fn of(templates: &[RoleTemplate]) -> Self {
        let all: HashMap<&str, &RoleTemplate> = templates
            .iter()
            .filter_map(|template| Some((template.metadata.name.as_deref()?, template)))
            .collect();
        Self(
            all.iter()
                .map(|(&name, template)| (name.to_owned(), Flat::of(name, template, &all)))
                .collect(),
        )
    }

    pub(super) fn get(&self, name: &str) -> Option<&Flat> {
        self.0.get(name)
    }

    /// The templates that give a verb on a resource of a group.
    pub(crate) fn giving<'a>(
        &'a self,
        (verb, group, resource): (&'a str, &'a str, &'a str),
    ) -> impl Iterator<Item = (&'a str, &'a Flat)> {
        let gives = move |flat: &Flat| flat.gives(verb, group, resource);
        let all = self.0.iter().map(|(name, flat)| (name.as_str(), flat));
        all.filter(move |(_, flat)| gives(flat))
    }
}

impl Flat {
    fn of(name: &str, template: &RoleTemplate, all: &HashMap<&str, &RoleTemplate>) -> Self {
        let mut flat = Self {
            context: template.context.clone(),
            ..Self::default()
        };
        let mut seen = BTreeSet::from([name]);
        let mut open = vec![(name, 0)];
        while let Some((name, depth)) = open.pop() {
            let Some(template) = all.get(name) else {
                continue;
            };
            for inherited in template.role_template_names.iter().rev() {
                if depth < MAX_DEPTH && seen.insert(inherited) {
                    open.push((inherited, depth + 1));
                }
            }
            if template.external {
                flat.external.insert(name.to_owned());
                continue;
            }
            for rule in &template.rules {
                flat.rules.extend(downstream_rule(rule, false));
            }
        }
        flat.rules.dedup();
        flat
    }

    /// What it comes to in a cluster; on the hub itself less.
    pub(super) fn within(&self, local: bool) -> Self {
        let mut flat = self.clone();
        if local {
            flat.rules = flat.rules.into_iter().filter_map(on_hub).collect();
            flat.rules.dedup();
        }
        flat
    }

    /// Whether it is given in projects.
    pub(crate) fn is_of_projects(&self) -> bool {
        self.context == "project"
    }

    pub(super) fn makes_namespaces(&self) -> bool {
        self.gives("create", "", "namespaces")
    }

    fn gives(&self, verb: &str, group: &str, resource: &str) -> bool {
        self.rules.iter().any(|rule| {
            covers(rule.api_groups.as_deref(), group)
                && covers(rule.resources.as_deref(), resource)
                && covers(Some(&rule.verbs), verb)
        })
    }

    /// The rules of a project's role that hold outside of namespaces too.
    pub(super) fn promoted(&self) -> Vec<PolicyRule> {
        let mut promoted = Vec::new();
        for rule in &self.rules {
            let mut promote = |group: &str, resources: &[&str], names: Option<Vec<String>>| {
                let resources: Vec<String> = resources
                    .iter()
                    .filter(|name| covers(rule.resources.as_deref(), name))
                    .map(|&name| name.to_owned())
                    .collect();
                if !resources.is_empty() && covers(rule.api_groups.as_deref(), group) {
                    promoted.push(PolicyRule {
                        api_groups: Some(vec![group.to_owned()]),
                        resources: Some(resources),
                        resource_names: names,
                        non_resource_urls: None,
                        verbs: rule.verbs.clone(),
                    });
                }
            };
            for (group, resources) in PROMOTED {
                promote(group, resources, rule.resource_names.clone());
            }
            let names = rule.resource_names.as_deref().unwrap_or_default();
            if names.is_empty() || names.iter().any(|name| name == PROMOTED_CLUSTER) {
                let own = vec![PROMOTED_CLUSTER.to_owned()];
                promote(management::GROUP, &["clusters"], Some(own));
            }
        }
        promoted.dedup();
        promoted
    }
}

fn covers(list: Option<&[String]>, wanted: &str) -> bool {
    list.unwrap_or_default()
        .iter()
        .any(|entry| entry == "*" || entry == wanted)
}

/// A template's rule as Kubernetes takes it. On the hub itself rules for its own objects are left to the index:
/// there they would reach the objects of every cluster.
pub(crate) fn downstream_rule(rule: &management::PolicyRule, local: bool) -> Option<PolicyRule> {
    if rule.api_groups.is_empty() && rule.non_resource_urls.is_empty() {
        return None;
    }
    let some = |names: &[String]| (!names.is_empty()).then(|| names.to_vec());
    let rule = PolicyRule {
        api_groups: some(&rule.api_groups),
        resources: some(&rule.resources),
        resource_names: some(&rule.resource_names),
        non_resource_urls: some(&rule.non_resource_urls),
        verbs: rule.verbs.clone(),
    };
    if local { on_hub(rule) } else { Some(rule) }
}

/// What is left of a rule without the hub's own objects.
fn on_hub(mut rule: PolicyRule) -> Option<PolicyRule> {
    let own = |group: &String| HUB_GROUPS.contains(&group.as_str());
    let mut groups = rule.api_groups.take().unwrap_or_default();
    groups.retain(|group| !own(group));
    rule.api_groups = (!groups.is_empty()).then_some(groups);
    (rule.api_groups.is_some() || rule.non_resource_urls.is_some()).then_some(rule)
}
