//! Which writes a policy or a binding is about (apiserver `plugin/policy/matching`, `plugin/webhook/predicates`, v0.36).

use std::sync::Arc;

use serde_json::Value;

use super::request::Write;
use crate::rbac::selects;
use crate::registry::Resource;
use crate::rest::Api;
use crate::store::Key;

/// As what a policy sees the resource of a write.
#[derive(Debug)]
pub(super) struct Found {
    /// Another version of the resource, if the policy names that one.
    pub(super) other: Option<Arc<Resource>>,
}

/// Whether the `matchConstraints` of a policy, or the `matchResources` of a binding, are about a write; null is about
/// every one.
pub(super) fn matched(
    api: &Api,
    criteria: &Value,
    write: &Write<'_>,
) -> Result<Option<Found>, String> {
    if criteria.is_null() {
        return Ok(Some(Found { other: None }));
    }
    let in_namespace = in_selected_namespace(api, &criteria["namespaceSelector"], write);
    if in_namespace == Ok(false) || !object_selected(&criteria["objectSelector"], write) {
        return Ok(None);
    }
    let policy = criteria["matchPolicy"].as_str().unwrap_or_default();
    if by_rules(api, &criteria["excludeResourceRules"], policy, write).is_some() {
        return Ok(None);
    }
    let rules = &criteria["resourceRules"];
    let found = if rules.as_array().is_none_or(Vec::is_empty) {
        Some(Found { other: None })
    } else {
        by_rules(api, rules, policy, write)
    };
    if found.is_some() {
        in_namespace?;
    }
    Ok(found)
}

fn is_empty(selector: &Value) -> bool {
    selector.as_object().is_none_or(|selector| {
        selector.values().all(|part| {
            part.as_object().is_some_and(serde_json::Map::is_empty)
                || part.as_array().is_some_and(Vec::is_empty)
                || part.is_null()
        })
    })
}

fn in_selected_namespace(api: &Api, selector: &Value, write: &Write<'_>) -> Result<bool, String> {
    let is_namespace = write.is_namespace();
    if is_empty(selector) || (write.namespace.is_empty() && !is_namespace) {
        return Ok(true);
    }
    let own = is_namespace && write.subresource.is_empty();
    if let (true, Some(new)) = (own, write.new) {
        return Ok(selects(selector, &new["metadata"]["labels"]));
    }
    let name = if is_namespace {
        write.name
    } else {
        write.namespace
    };
    let namespace = api
        .store
        .get("/namespaces", &Key::new("", name))
        .ok_or_else(|| format!("namespaces {name:?} not found"))?;
    Ok(selects(selector, &namespace.value()["metadata"]["labels"]))
}

/// One of the two states is enough.
fn object_selected(selector: &Value, write: &Write<'_>) -> bool {
    is_empty(selector)
        || [write.new, write.old]
            .into_iter()
            .flatten()
            .any(|object| selects(selector, &object["metadata"]["labels"]))
}

fn by_rules(api: &Api, rules: &Value, policy: &str, write: &Write<'_>) -> Option<Found> {
    let rules = rules.as_array()?;
    let named = |rule: &Value| {
        let names = rule["resourceNames"].as_array();
        names.is_none_or(|names| {
            names.is_empty() || names.iter().any(|name| name.as_str() == Some(write.name))
        })
    };
    let fits = |version: &str| {
        rules
            .iter()
            .any(|rule| rule_fits(rule, version, write) && named(rule))
    };
    if fits(&write.resource.version) {
        return Some(Found { other: None });
    }
    if policy != "Equivalent" {
        return None;
    }
    let table = api.registry.table();
    let other = table.all().find(|other| {
        other.storage == write.resource.storage
            && other.group == write.resource.group
            && other.version != write.resource.version
            && fits(&other.version)
    })?;
    Some(Found {
        other: Some(Arc::clone(other)),
    })
}

fn lists(rule: &Value, member: &str, wanted: &str) -> bool {
    rule[member]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .any(|item| item == "*" || item == wanted)
}

fn rule_fits(rule: &Value, version: &str, write: &Write<'_>) -> bool {
    let cluster = write.namespace.is_empty() || write.is_namespace();
    let scope = match rule["scope"].as_str() {
        None | Some("*") => true,
        Some("Namespaced") => !cluster,
        Some("Cluster") => cluster,
        Some(_) => false,
    };
    let resource = || {
        rule["resources"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .any(|named| {
                let (plural, part) = named.split_once('/').unwrap_or((named, ""));
                (plural == "*" || plural == &*write.resource.plural)
                    && (part == "*" || part == write.subresource)
            })
    };
    scope
        && lists(rule, "operations", write.operation.name())
        && lists(rule, "apiGroups", &write.resource.group)
        && lists(rule, "apiVersions", version)
        && resource()
}
