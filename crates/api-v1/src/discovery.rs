//! Which kinds a cluster serves.
//!
//! Owns the reading of discovery, aggregated where a cluster offers it and
//! group by group where not. Pure apart from the requests.

use std::collections::BTreeSet;

use drover_auth::web::ApiError;
use futures::StreamExt;
use serde_json::Value;

use crate::kind::Kind;
use crate::kubernetes::{JSON, get_whole};
use crate::reach::Reach;

const AGGREGATED: &str =
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";
/// Groups asked for at once.
const AT_ONCE: usize = 8;

/// Asks a cluster for its kinds, in order of ids.
///
/// # Errors
/// When the cluster does not answer. A group that does not answer (a broken aggregated API) is left out.
pub(crate) async fn kinds(reach: &dyn Reach, cluster: &str) -> Result<Vec<Kind>, ApiError> {
    let (core, groups) = futures::try_join!(
        get_whole(reach, cluster, "/api", AGGREGATED),
        get_whole(reach, cluster, "/apis", AGGREGATED)
    )?;
    let mut found = Vec::new();
    if is_aggregated(&core) && is_aggregated(&groups) {
        found.extend(aggregated(&core));
        found.extend(aggregated(&groups));
    } else {
        let paths = versions(&core, &groups);
        let lists = futures::stream::iter(paths.into_iter().map(|(group, version)| async move {
            let path = if group.is_empty() {
                format!("/api/{version}")
            } else {
                format!("/apis/{group}/{version}")
            };
            match get_whole(reach, cluster, &path, JSON).await {
                Ok(list) => of_list(&group, &version, &list),
                Err(error) => {
                    tracing::debug!(%path, %error, "a group of a cluster is left out");
                    Vec::new()
                }
            }
        }))
        .buffered(AT_ONCE)
        .collect::<Vec<_>>()
        .await;
        found.extend(lists.into_iter().flatten());
    }
    Ok(preferred(found))
}

fn is_aggregated(answer: &Value) -> bool {
    answer.get("kind").and_then(Value::as_str) == Some("APIGroupDiscoveryList")
}

fn text<'a>(value: &'a Value, path: &str) -> &'a str {
    value
        .pointer(path)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn items<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    value
        .get(name)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

fn strings(value: &Value, name: &str) -> Vec<String> {
    items(value, name)
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

/// Kinds of an `APIGroupDiscoveryList`, versions in the server's order of preference.
fn aggregated(list: &Value) -> Vec<Kind> {
    let mut found = Vec::new();
    for group in items(list, "items") {
        let name = text(group, "/metadata/name");
        for version in items(group, "versions") {
            for resource in items(version, "resources") {
                let kind = text(resource, "/responseKind/kind");
                let (resource_name, version_name) =
                    (text(resource, "/resource"), text(version, "/version"));
                if kind.is_empty() || resource_name.is_empty() {
                    continue;
                }
                let mut made = Kind::new(name, version_name, kind, resource_name);
                made.namespaced = text(resource, "/scope") == "Namespaced";
                made.verbs = strings(resource, "verbs");
                found.push(made);
            }
        }
    }
    found
}

/// Groups with their versions, the preferred one first.
fn versions(core: &Value, groups: &Value) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = strings(core, "versions")
        .into_iter()
        .map(|version| (String::new(), version))
        .collect();
    for group in items(groups, "groups") {
        let name = text(group, "/name").to_owned();
        let preferred = text(group, "/preferredVersion/version").to_owned();
        let rest = items(group, "versions")
            .map(|version| text(version, "/version").to_owned())
            .filter(|version| *version != preferred);
        let all: Vec<String> = std::iter::once(preferred.clone()).chain(rest).collect();
        found.extend(all.into_iter().map(|version| (name.clone(), version)));
    }
    found
}

/// Kinds of an `APIResourceList`; subresources are none.
fn of_list(group: &str, version: &str, list: &Value) -> Vec<Kind> {
    items(list, "resources")
        .filter(|resource| !text(resource, "/name").contains('/'))
        .map(|resource| {
            let mut kind = Kind::new(
                group,
                version,
                text(resource, "/kind"),
                text(resource, "/name"),
            );
            kind.namespaced = resource.get("namespaced").and_then(Value::as_bool) == Some(true);
            kind.verbs = strings(resource, "verbs");
            kind
        })
        .collect()
}

/// One per group and kind: the first, which is the preferred version's.
fn preferred(found: Vec<Kind>) -> Vec<Kind> {
    let mut seen = BTreeSet::new();
    let mut kinds: Vec<Kind> = found
        .into_iter()
        .filter(|kind| !kind.verbs.is_empty() && seen.insert(kind.id.clone()))
        .collect();
    kinds.sort_by(|one, other| one.id.cmp(&other.id));
    kinds
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(kinds: &[Kind]) -> Vec<String> {
        kinds
            .iter()
            .map(|kind| format!("{} {} {}", kind.id, kind.api_version(), kind.namespaced))
            .collect()
    }

    #[test]
    fn the_preferred_version_of_each_kind_counts_in_both_forms() {
        let list = json!({"kind": "APIGroupDiscoveryList", "items": [{
            "metadata": {"name": "autoscaling"},
            "versions": [
                {"version": "v2", "resources": [
                    {"resource": "horizontalpodautoscalers", "responseKind": {"kind": "HorizontalPodAutoscaler"},
                     "scope": "Namespaced", "verbs": ["list"], "subresources": [{"subresource": "status"}]},
                ]},
                {"version": "v1", "resources": [
                    {"resource": "horizontalpodautoscalers", "responseKind": {"kind": "HorizontalPodAutoscaler"},
                     "scope": "Namespaced", "verbs": ["list"]},
                    {"resource": "olds", "responseKind": {"kind": "Old"}, "scope": "Cluster", "verbs": ["get"]},
                ]},
            ],
        }]});
        let expected = [
            "autoscaling.horizontalpodautoscaler autoscaling/v2 true",
            "autoscaling.old autoscaling/v1 false",
        ];
        assert_eq!(shown(&preferred(aggregated(&list))), expected);
        let groups = json!({"groups": [{"name": "autoscaling", "preferredVersion": {"version": "v2"},
            "versions": [{"version": "v1"}, {"version": "v2"}]}]});
        assert_eq!(
            versions(&json!({"versions": ["v1"]}), &groups),
            [("", "v1"), ("autoscaling", "v2"), ("autoscaling", "v1")]
                .map(|(group, version)| (group.to_owned(), version.to_owned()))
        );
        let plain = json!({"resources": [
            {"name": "pods", "kind": "Pod", "namespaced": true, "verbs": ["list"]},
            {"name": "pods/log", "kind": "Pod", "namespaced": true, "verbs": ["get"]},
        ]});
        assert_eq!(shown(&of_list("", "v1", &plain)), ["pod v1 true"]);
    }
}
