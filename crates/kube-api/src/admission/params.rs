//! The objects by which a binding sets parameters (apiserver `plugin/policy/generic/policy_dispatcher.go`, v0.36).

use serde_json::Value;

use super::policy::{Binding, Policy};
use super::request::Write;
use crate::rbac::selects;
use crate::rest::Api;
use crate::rest::write::value_of;
use crate::store::{Key, Range};

/// The parameters to ask a policy with, one after another; null if it takes none.
pub(super) fn of(
    api: &Api,
    policy: &Policy,
    binding: &Binding,
    write: &Write<'_>,
) -> Result<Vec<Value>, String> {
    let (kind, reference) = (&policy.param_kind, &binding.param_ref);
    if kind.is_null() || reference.is_null() {
        return Ok(vec![Value::Null]);
    }
    let text = |value: &Value, member: &str| value[member].as_str().unwrap_or_default().to_owned();
    let (api_version, name) = (text(kind, "apiVersion"), text(kind, "kind"));
    let (group, version) = api_version
        .rsplit_once('/')
        .unwrap_or(("", api_version.as_str()));
    let table = api.registry.table();
    let resource = table
        .by_kind(group, version, &name)
        .ok_or_else(|| format!("paramKind kind `{api_version}, Kind={name}` not known"))?;
    let stated = text(reference, "namespace");
    let namespace = match (resource.namespaced, stated.is_empty()) {
        (false, false) => {
            return Err(
                "paramRef.namespace must not be provided for a cluster-scoped `paramKind`"
                    .to_owned(),
            );
        }
        (false, true) => String::new(),
        (true, false) => stated,
        (true, true) if write.namespace.is_empty() => {
            return Err("cannot use namespaced paramRef in policy binding that matches cluster-scoped resources".to_owned());
        }
        (true, true) => write.namespace.to_owned(),
    };
    let named = text(reference, "name");
    let found: Vec<Value> = if named.is_empty() {
        let range = Range {
            namespace: resource.namespaced.then_some(namespace.as_str()),
            ..Range::default()
        };
        let page = api.store.list(&resource.storage, &range);
        let items = page.map(|page| page.items).unwrap_or_default();
        items
            .iter()
            .map(|(_, item)| value_of(resource, item))
            .filter(|object| selects(&reference["selector"], &object["metadata"]["labels"]))
            .collect()
    } else {
        let stored = api
            .store
            .get(&resource.storage, &Key::new(&namespace, &named));
        stored
            .iter()
            .map(|stored| value_of(resource, stored))
            .collect()
    };
    if found.is_empty() && reference["parameterNotFoundAction"] == "Deny" {
        return Err(
            "no params found for policy binding with `Deny` parameterNotFoundAction".to_owned(),
        );
    }
    Ok(found)
}
