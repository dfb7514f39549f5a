//! `/api`, `/apis`, `/apis/{g}`, `/apis/{g}/{v}`, `/api/v1`: what is served, plain and aggregated.
//!
//! Owns the discovery documents. They are made from the registry at each request, so they are never behind it.
//!
//! Shapes: k8s.io/api `apidiscovery/v2` and k8s.io/apimachinery `meta/v1`, v0.36; orders as a kube-apiserver 1.36.3
//! answers.

use std::sync::Arc;

use base64::Engine as _;
use bytes::Bytes;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY};
use http::{HeaderMap, Response, StatusCode};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256, Sha512};

use crate::builtin;
use crate::registry::{Resource, Subresource, Table, api_version};
use crate::rest::Api;

/// The media type of an aggregated answer, exactly as clients compare it.
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// The order in which a custom resource's verbs are listed.
const CUSTOM_VERBS: [&str; 8] = [
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "create",
    "update",
    "watch",
];

/// Answers GET on a discovery path; `None` if there is no such document.
pub(crate) fn handle(
    api: &Arc<Api>,
    path: &[&str],
    headers: &HeaderMap,
) -> Option<Response<Bytes>> {
    let table = api.registry.table();
    match path {
        ["api"] if wants_aggregated(headers) => Some(aggregated(&table, headers, true)),
        ["apis"] if wants_aggregated(headers) => Some(aggregated(&table, headers, false)),
        ["api"] => Some(plain(&json!({
            "kind": "APIVersions",
            "versions": ["v1"],
            "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address(headers)}],
        }))),
        ["apis"] => {
            let groups = named_groups(&table)
                .iter()
                .map(|name| group(&table, name))
                .collect::<Vec<_>>();
            Some(plain(
                &json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}),
            ))
        }
        ["apis", name] => {
            if !named_groups(&table).iter().any(|held| held == name) {
                return None;
            }
            let mut answer = json!({"kind": "APIGroup", "apiVersion": "v1"});
            merge(&mut answer, group(&table, name));
            Some(plain(&answer))
        }
        ["api", version] => resources(&table, "", version),
        ["apis", group, version] if !group.is_empty() => resources(&table, group, version),
        _ => None,
    }
}

/// Under which address the client reached this server, which knows no other of its own.
fn address(headers: &HeaderMap) -> &str {
    let host = headers.get(http::header::HOST);
    host.and_then(|host| host.to_str().ok()).unwrap_or_default()
}

fn merge(target: &mut Value, more: Value) {
    if let (Some(target), Value::Object(more)) = (target.as_object_mut(), more) {
        target.extend(more);
    }
}

/// Whether the first media type that is understood is the aggregated one.
fn wants_aggregated(headers: &HeaderMap) -> bool {
    let accepted = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    for range in accepted {
        let mut parts = range.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default();
        let parameters = parts.collect::<Vec<_>>();
        let has = |parameter: &str| parameters.contains(&parameter);
        if media == "application/json" && has("as=APIGroupDiscoveryList") {
            if has("g=apidiscovery.k8s.io") && has("v=v2") {
                return true;
            }
        } else if matches!(media, "application/json" | "application/*" | "*/*") {
            return false;
        }
    }
    false
}

fn plain(body: &Value) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body.to_string()));
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        http::HeaderValue::from_static("application/json"),
    );
    headers.insert(
        CACHE_CONTROL,
        http::HeaderValue::from_static("no-cache, private"),
    );
    response
}

/// The groups with a name, built-in ones in their fixed order, others by name.
pub(crate) fn named_groups(table: &Table) -> Vec<String> {
    let known = builtin::group_order();
    let mut groups = known
        .iter()
        .filter(|name| !name.is_empty())
        .cloned()
        .collect::<Vec<_>>();
    groups.dedup();
    let custom = table.groups().map(|(name, _)| name.to_string());
    let custom = custom
        .filter(|name| !name.is_empty() && !known.contains(name))
        .collect::<Vec<_>>();
    groups.extend(custom);
    groups
}

/// The versions of a group, the preferred one first.
pub(crate) fn versions(table: &Table, group: &str) -> Vec<String> {
    let found = table.groups().find(|(name, _)| &***name == group);
    found
        .map(|(_, group)| group.versions.iter().map(ToString::to_string).collect())
        .unwrap_or_default()
}

fn group(table: &Table, name: &str) -> Value {
    let versions = versions(table, name)
        .iter()
        .map(|version| json!({"groupVersion": format!("{name}/{version}"), "version": version}))
        .collect::<Vec<_>>();
    let preferred = versions.first().cloned().unwrap_or(Value::Null);
    json!({"name": name, "versions": versions, "preferredVersion": preferred})
}

fn verbs(resource: &Resource) -> Vec<&'static str> {
    if resource.custom {
        CUSTOM_VERBS.to_vec()
    } else {
        resource.verbs.clone()
    }
}

/// The subresources in their order: built-in ones by name, those of custom resources as declared.
fn subresources(resource: &Resource) -> Vec<(&str, &Subresource)> {
    let mut parts = resource
        .subresources
        .iter()
        .map(|(name, part)| (name.as_str(), part))
        .collect::<Vec<_>>();
    if resource.custom {
        parts.reverse();
    }
    parts
}

/// Group, version and kind of a subresource, the former two only where they differ from the resource's.
fn subresource_kind(resource: &Resource, part: &Subresource) -> (String, String, String) {
    let other = match part {
        Subresource::Part(_) | Subresource::Put(_) => {
            return (String::new(), String::new(), resource.kind.to_string());
        }
        Subresource::Scale(_) => (
            "autoscaling".to_owned(),
            "v1".to_owned(),
            "Scale".to_owned(),
        ),
        Subresource::Action(action) => {
            let gvk = action.gvk();
            (
                gvk.group.to_string(),
                gvk.version.to_string(),
                gvk.kind.to_string(),
            )
        }
    };
    if other.0 == *resource.group && other.1 == *resource.version {
        return (String::new(), String::new(), other.2);
    }
    other
}

/// The hash by which clients see that the stored version of a kind changed (apiserver `discovery/storageversionhash.go`).
fn storage_hash(resource: &Resource) -> String {
    let stored = &*resource.storage_api_version;
    let (group, version) = stored.split_once('/').unwrap_or(("", stored));
    let digest = Sha256::digest(format!("{group}/{version}/{}", resource.kind).as_bytes());
    base64::engine::general_purpose::STANDARD.encode(&digest[..8])
}

fn resources(table: &Table, group: &str, version: &str) -> Option<Response<Bytes>> {
    let mut entries = Vec::new();
    for resource in table.version(group, version) {
        let mut entry = Map::new();
        entry.insert("name".to_owned(), json!(resource.plural));
        entry.insert("singularName".to_owned(), json!(resource.singular));
        entry.insert("namespaced".to_owned(), json!(resource.namespaced));
        entry.insert("kind".to_owned(), json!(resource.kind));
        entry.insert("verbs".to_owned(), json!(verbs(resource)));
        if !resource.short_names.is_empty() {
            entry.insert("shortNames".to_owned(), json!(resource.short_names));
        }
        if !resource.categories.is_empty() {
            entry.insert("categories".to_owned(), json!(resource.categories));
        }
        if resource.supports("watch") {
            entry.insert(
                "storageVersionHash".to_owned(),
                json!(storage_hash(resource)),
            );
        }
        entries.push(Value::Object(entry));
        for (name, part) in subresources(resource) {
            let (group, version, kind) = subresource_kind(resource, part);
            let mut entry = Map::new();
            entry.insert(
                "name".to_owned(),
                json!(format!("{}/{name}", resource.plural)),
            );
            entry.insert("singularName".to_owned(), json!(""));
            entry.insert("namespaced".to_owned(), json!(resource.namespaced));
            if !version.is_empty() {
                entry.insert("group".to_owned(), json!(group));
                entry.insert("version".to_owned(), json!(version));
            }
            entry.insert("kind".to_owned(), json!(kind));
            entry.insert("verbs".to_owned(), json!(part.verbs()));
            entries.push(Value::Object(entry));
        }
    }
    if entries.is_empty() {
        return None;
    }
    let mut list = json!({
        "kind": "APIResourceList",
        "groupVersion": api_version(group, version),
        "resources": entries,
    });
    if !group.is_empty() {
        list["apiVersion"] = json!("v1");
    }
    Some(plain(&list))
}

fn aggregated(table: &Table, headers: &HeaderMap, core: bool) -> Response<Bytes> {
    let groups = if core {
        vec![String::new()]
    } else {
        named_groups(table)
    };
    let items = groups
        .iter()
        .map(|group| {
            let versions = versions(table, group)
                .iter()
                .map(|version| {
                    let resources = table
                        .version(group, version)
                        .map(|resource| entry(resource))
                        .collect::<Vec<_>>();
                    json!({"version": version, "resources": resources, "freshness": "Current"})
                })
                .collect::<Vec<_>>();
            let metadata = if group.is_empty() {
                json!({})
            } else {
                json!({"name": group})
            };
            json!({"metadata": metadata, "versions": versions})
        })
        .collect::<Vec<_>>();
    let body = json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": items,
    })
    .to_string();
    let tag = format!("\"{}\"", hex::encode_upper(Sha512::digest(body.as_bytes())));
    let mut response = if headers
        .get(IF_NONE_MATCH)
        .is_some_and(|held| held.as_bytes() == tag.as_bytes())
    {
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        Response::new(Bytes::from(body))
    };
    let answer = response.headers_mut();
    answer.insert(CONTENT_TYPE, http::HeaderValue::from_static(AGGREGATED));
    answer.insert(CACHE_CONTROL, http::HeaderValue::from_static("public"));
    answer.insert(VARY, http::HeaderValue::from_static("Accept"));
    if let Ok(tag) = tag.parse() {
        answer.insert(ETAG, tag);
    }
    response
}

fn entry(resource: &Resource) -> Value {
    // Built-in kinds leave group and version to the place they are listed at.
    let kind = |group: &str, version: &str, kind: &str| json!({"group": group, "version": version, "kind": kind});
    let own = if resource.custom {
        kind(&resource.group, &resource.version, &resource.kind)
    } else {
        kind("", "", &resource.kind)
    };
    let mut entry = Map::new();
    entry.insert("resource".to_owned(), json!(resource.plural));
    entry.insert("responseKind".to_owned(), own.clone());
    entry.insert(
        "scope".to_owned(),
        json!(if resource.namespaced {
            "Namespaced"
        } else {
            "Cluster"
        }),
    );
    entry.insert("singularResource".to_owned(), json!(resource.singular));
    entry.insert("verbs".to_owned(), json!(verbs(resource)));
    if !resource.short_names.is_empty() {
        entry.insert("shortNames".to_owned(), json!(resource.short_names));
    }
    if !resource.categories.is_empty() {
        entry.insert("categories".to_owned(), json!(resource.categories));
    }
    let parts = subresources(resource)
        .into_iter()
        .map(|(name, part)| {
            let (group, version, other) = subresource_kind(resource, part);
            let response = match part {
                Subresource::Part(_) | Subresource::Put(_) => own.clone(),
                Subresource::Scale(_) | Subresource::Action(_) => kind(&group, &version, &other),
            };
            json!({"subresource": name, "responseKind": response, "verbs": part.verbs()})
        })
        .collect::<Vec<_>>();
    if !parts.is_empty() {
        entry.insert("subresources".to_owned(), json!(parts));
    }
    Value::Object(entry)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::{Plain, Registry};

    #[test]
    fn the_storage_hash_is_the_real_one() {
        let pods = Resource::new("", "v1", "pods", "Pod", true, Arc::new(Plain));
        assert_eq!(storage_hash(&pods), "xPOwRZ+Yhw8=");
    }

    #[test]
    fn the_first_understood_media_type_decides() {
        let check = |accept: &str, expected: bool| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, accept.parse().unwrap());
            assert_eq!(wants_aggregated(&headers), expected, "{accept}");
        };
        check(AGGREGATED, true);
        check(&format!("{AGGREGATED},application/json"), true);
        check(
            "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json",
            false,
        );
        check("application/json", false);
        check(
            &format!("application/vnd.kubernetes.protobuf,{AGGREGATED}"),
            true,
        );
    }

    #[test]
    fn groups_come_in_the_order_of_the_real_server() {
        let registry = Registry::default();
        builtin::install(&registry);
        registry.update(|table| {
            table.insert(Resource::new(
                "a.io",
                "v1",
                "as",
                "A",
                true,
                Arc::new(Plain),
            ))
        });
        let groups = named_groups(&registry.table());
        assert_eq!(
            groups.first().map(String::as_str),
            Some("apiregistration.k8s.io")
        );
        assert_eq!(groups.last().map(String::as_str), Some("a.io"));
        assert!(resources(&registry.table(), "apps", "v1").is_some());
        assert!(resources(&registry.table(), "apps", "v2").is_none());
    }
}
