//! Does a rule of a role cover a request? As Kubernetes' RBAC decides it
//! (k8s.io/kubernetes `pkg/apis/rbac/v1/evaluation_helpers.go`).

use std::fmt::Write;

use drover_types::management::{GROUP, PolicyRule};
use drover_types::names::LOCAL_CLUSTER;

use super::Attributes;

fn holds(list: &[String], wanted: &str) -> bool {
    list.iter().any(|entry| entry == "*" || entry == wanted)
}

/// Whether `rule` allows what is asked, wherever the rule applies.
pub(super) fn covers(rule: &PolicyRule, asked: &Attributes<'_>) -> bool {
    holds(&rule.verbs, asked.verb)
        && holds(&rule.api_groups, asked.group)
        && covers_resource(&rule.resources, asked.resource)
        && (rule.resource_names.is_empty()
            || asked
                .name
                .is_some_and(|name| rule.resource_names.iter().any(|allowed| allowed == name)))
}

fn covers_resource(resources: &[String], asked: &str) -> bool {
    holds(resources, asked)
        || asked.split_once('/').is_some_and(|(_, sub)| {
            resources.iter().any(|resource| {
                resource
                    .strip_prefix("*/")
                    .is_some_and(|allowed| allowed == sub)
            })
        })
}

/// Resources of a cluster's namespace on the hub that roles bound to the cluster speak of (reference
/// rbac-and-projects.md section 2.4).
const OF_CLUSTERS: [(&str, &[&str]); 2] = [
    (
        GROUP,
        &[
            "clusterregistrationtokens",
            "clusterroletemplatebindings",
            "clusterscans",
            "etcdbackups",
            "nodepools",
            "nodes",
            "projects",
        ],
    ),
    ("rke.cattle.io", &["etcdsnapshots"]),
];

/// The same for a project's namespace.
const OF_PROJECTS: [(&str, &[&str]); 2] = [
    (GROUP, &["projectroletemplatebindings"]),
    ("", &["secrets"]),
];

/// What has no namespace and that roles of projects speak of all the same (reference section 2.6): groups with their
/// resources.
pub const PROMOTED: [(&str, &[&str]); 5] = [
    ("", &["nodes", "persistentvolumes"]),
    ("storage.k8s.io", &["storageclasses"]),
    ("apiregistration.k8s.io", &["apiservices"]),
    ("ui.cattle.io", &["navlinks"]),
    ("catalog.cattle.io", &["clusterrepos"]),
];

fn listed(kinds: &[(&str, &[&str])], group: &str, resource: &str) -> bool {
    kinds
        .iter()
        .any(|(of, resources)| *of == group && resources.contains(&resource))
}

/// Whether the request is about something roles bound to a cluster may speak of.
pub(super) fn is_of_clusters(group: &str, resource: &str) -> bool {
    listed(&OF_CLUSTERS, group, resource)
}

/// Whether the request is about something roles bound to a cluster or project may speak of.
pub(super) fn is_of_projects(group: &str, resource: &str) -> bool {
    listed(&OF_PROJECTS, group, resource)
}

/// Whether a rule says anything of what roles bound to a cluster or project speak of on the hub.
pub(super) fn speaks_of_hub(rule: &PolicyRule) -> bool {
    rule.resource_names.is_empty()
        && OF_CLUSTERS
            .iter()
            .chain(&OF_PROJECTS)
            .any(|(group, resources)| {
                holds(&rule.api_groups, group)
                    && resources.iter().any(|named| holds(&rule.resources, named))
            })
}

/// The one cluster object that roles of projects speak of inside a cluster, whatever others their rules name (reference
/// section 2.6): the cluster's own.
pub const PROMOTED_CLUSTER: &str = LOCAL_CLUSTER;

/// Whether roles of projects reach this outside of namespaces; on the hub itself its own objects are left to the index.
pub(super) fn is_promoted(asked: &Attributes<'_>, local: bool) -> bool {
    let own =
        (asked.group, asked.resource, asked.name) == (GROUP, "clusters", Some(PROMOTED_CLUSTER));
    listed(&PROMOTED, asked.group, asked.resource) || (own && !local)
}

/// Whether a rule makes an owner: the verb `own` on literally these resources.
pub(super) fn owns(rule: &PolicyRule, resource: &str) -> bool {
    rule.verbs.iter().any(|verb| verb == "own")
        && rule.resources.iter().any(|named| named == resource)
        && rule.resource_names.is_empty()
        && holds(&rule.api_groups, GROUP)
}

/// Whether rules allow everything everywhere, as those of `admin` do.
pub(super) fn allow_everything(rules: &[PolicyRule]) -> bool {
    let all = |list: &[String]| list.iter().any(|entry| entry == "*");
    rules.iter().any(|rule| {
        all(&rule.verbs)
            && all(&rule.api_groups)
            && all(&rule.resources)
            && rule.resource_names.is_empty()
    }) && rules
        .iter()
        .any(|rule| all(&rule.verbs) && all(&rule.non_resource_urls))
}

/// A rule in one line: `get,list on management.cattle.io/settings`.
pub(super) fn describe(rule: &PolicyRule) -> String {
    let mut text = format!("{} on ", rule.verbs.join(","));
    let groups = rule.api_groups.join(",");
    if !groups.is_empty() {
        text.push_str(&groups);
        text.push('/');
    }
    text.push_str(&rule.resources.join(","));
    text.push_str(&rule.non_resource_urls.join(","));
    if !rule.resource_names.is_empty() {
        // Writing to a String cannot fail.
        let _ = write!(text, " named {}", rule.resource_names.join(","));
    }
    text
}
