//! A role template with all it inherits.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use drover_types::management::PolicyRule;

use super::Attributes;
use super::facts::{ClusterRoleFacts, TemplateFacts};
use super::rules::{self, covers};

/// A role template with all it inherits.
#[derive(Debug, Default)]
pub(super) struct Template {
    /// `cluster` or `project`.
    pub(super) context: String,
    /// Each rule with the roles that lead to it.
    pub(super) rules: Vec<(Arc<[String]>, Arc<PolicyRule>)>,
    /// The roles that lead to one whose rules lie in clusters, each.
    pub(super) external: Vec<Arc<[String]>>,
    /// What the hub's own ClusterRoles of those names allow, which counts on the hub.
    pub(super) on_hub: Vec<(Arc<[String]>, Arc<PolicyRule>)>,
    pub(super) owns_cluster: Option<Arc<[String]>>,
    pub(super) owns_project: Option<Arc<[String]>>,
}

/// Inheritance deeper than this is cut off (the peer refuses it at 500).
pub const MAX_DEPTH: usize = 100;

impl Template {
    pub(super) fn flatten(
        name: &str,
        all: &HashMap<String, Arc<TemplateFacts>>,
        cluster_roles: &HashMap<String, Arc<ClusterRoleFacts>>,
    ) -> Self {
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
                // As the peer: rules that the template is said to have come before those of the ClusterRole.
                let hub = chain.last().and_then(|last| cluster_roles.get(last));
                let hub = hub.filter(|_| facts.rules.is_empty());
                let rules = hub.iter().flat_map(|role| &role.rules);
                flat.on_hub
                    .extend(rules.map(|rule| (chain.clone(), rule.clone())));
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

    /// Whether some rule without object names covers what is asked of the hub.
    pub(super) fn covers(&self, asked: &Attributes<'_>) -> bool {
        self.rule(asked).is_some()
    }

    /// The first rule without object names that covers what is asked of the hub.
    pub(super) fn rule(&self, asked: &Attributes<'_>) -> Option<(&Arc<[String]>, &PolicyRule)> {
        let (chain, rule) = self
            .rules
            .iter()
            .chain(&self.on_hub)
            .find(|(_, rule)| rule.resource_names.is_empty() && covers(rule, asked))?;
        Some((chain, rule))
    }
}
