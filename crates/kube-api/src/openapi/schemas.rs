//! The schemas of OpenAPI documents: recorded ones, those of custom resources, and what they refer to.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::gvk;
use crate::builtin;
use crate::registry::{Resource, Subresource};

const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1";
const COMPONENTS: &str = "#/components/schemas/";

/// All recorded schemas, unparsed.
pub(super) struct Schemas {
    recorded: HashMap<String, Box<RawValue>>,
}

/// The component of a resource's kind.
pub(super) fn component(resource: &Resource) -> String {
    if !resource.custom
        && let Some(name) =
            builtin::component_name(&resource.group, &resource.version, &resource.kind)
    {
        return name;
    }
    let mut parts = resource.group.split('.').collect::<Vec<_>>();
    parts.reverse();
    format!("{}.{}.{}", parts.join("."), resource.version, resource.kind)
}

/// The components that the operations of a resource refer to.
pub(super) fn roots(resource: &Resource) -> Vec<String> {
    let own = component(resource);
    let mut roots = vec![
        format!("{META}.DeleteOptions"),
        format!("{META}.Status"),
        format!("{META}.Patch"),
    ];
    if resource.supports("list") {
        roots.push(list_component(resource));
    }
    if resource.supports("watch") && !resource.custom {
        roots.push(format!("{META}.WatchEvent"));
    }
    if !resource.custom {
        roots.push(format!("{META}.APIResourceList"));
    }
    for part in resource.subresources.values() {
        match part {
            Subresource::Part(_) | Subresource::Put(_) => {}
            Subresource::Scale(_) => roots.push("io.k8s.api.autoscaling.v1.Scale".to_owned()),
            Subresource::Action(action) => {
                let gvk = action.gvk();
                roots.extend(builtin::component_name(&gvk.group, &gvk.version, &gvk.kind));
            }
        }
    }
    roots.push(own);
    roots
}

/// The component of a resource's list.
pub(super) fn list_component(resource: &Resource) -> String {
    let own = component(resource);
    let (package, _) = own.rsplit_once('.').unwrap_or(("", &own));
    format!("{package}.{}", resource.list_kind)
}

impl Schemas {
    pub(super) fn new() -> Self {
        // The recording is checked by the tests of `builtin`; without it documents lack schemas.
        let recorded = serde_json::from_slice(&builtin::schema_bytes()).unwrap_or_else(|error| {
            tracing::error!(%error, "recorded schemas cannot be read");
            HashMap::new()
        });
        Self { recorded }
    }

    /// `wanted` and everything they refer to, with references that begin with `prefix`.
    pub(super) fn closure(
        &self,
        wanted: &[String],
        resources: &[&Arc<Resource>],
        prefix: &str,
    ) -> Map<String, Value> {
        let mut custom = HashMap::new();
        for resource in resources.iter().filter(|resource| resource.custom) {
            custom.insert(component(resource), object(resource));
            custom.insert(list_component(resource), list(resource));
        }
        let mut found: Map<String, Value> = Map::new();
        let mut open = wanted.iter().cloned().collect::<BTreeSet<_>>();
        while let Some(name) = open.pop_first() {
            if found.contains_key(&name) {
                continue;
            }
            let text = match (custom.get(&name), self.recorded.get(&name)) {
                (Some(schema), _) => schema.to_string(),
                (None, Some(raw)) => raw.get().to_owned(),
                (None, None) => continue,
            };
            for reference in text.split(COMPONENTS).skip(1) {
                if let Some((name, _)) = reference.split_once('"')
                    && !found.contains_key(name)
                {
                    open.insert(name.to_owned());
                }
            }
            let text = if prefix == COMPONENTS {
                text
            } else {
                text.replace(COMPONENTS, prefix)
            };
            found.insert(name, serde_json::from_str(&text).unwrap_or_default());
        }
        found.sort_keys();
        found
    }
}

/// The schema of a custom resource as clients see it: with apiVersion, kind and metadata.
fn object(resource: &Resource) -> Value {
    let mut schema = resource
        .openapi
        .as_deref()
        .cloned()
        .unwrap_or_else(|| json!({"type": "object"}));
    spell_out(&mut schema);
    let selectable = selectable(resource);
    if let Some(members) = schema.as_object_mut() {
        let properties = members.entry("properties").or_insert_with(|| json!({}));
        if let Some(properties) = properties.as_object_mut() {
            type_and_metadata(properties);
        }
        members.insert(
            "x-kubernetes-group-version-kind".to_owned(),
            json!([gvk(resource)]),
        );
        if let Some(selectable) = selectable {
            members.insert("x-kubernetes-selectable-fields".to_owned(), selectable);
        }
    }
    schema
}

/// Says in a custom resource's schema what its extensions mean: the type and metadata of embedded objects, and numbers
/// that may be texts (apiextensions-apiserver `controller/openapi/builder`).
fn spell_out(schema: &mut Value) {
    let Some(members) = schema.as_object_mut() else {
        return;
    };
    for part in ["items", "additionalProperties"] {
        if let Some(inner) = members.get_mut(part) {
            spell_out(inner);
        }
    }
    if let Some(Value::Object(properties)) = members.get_mut("properties") {
        properties.values_mut().for_each(spell_out);
    }
    let flag =
        |members: &Map<String, Value>, name: &str| members.get(name) == Some(&Value::Bool(true));
    if flag(members, "x-kubernetes-int-or-string") {
        members
            .entry("anyOf")
            .or_insert_with(|| json!([{"type": "integer"}, {"type": "string"}]));
    }
    if !flag(members, "x-kubernetes-embedded-resource") {
        return;
    }
    let properties = members.entry("properties").or_insert_with(|| json!({}));
    if let Some(properties) = properties.as_object_mut() {
        type_and_metadata(properties);
    }
    let required = members.entry("required").or_insert_with(|| json!([]));
    if let Some(required) = required.as_array_mut() {
        for name in ["kind", "apiVersion"] {
            if !required.iter().any(|held| held == name) {
                required.push(json!(name));
            }
        }
    }
}

fn type_and_metadata(properties: &mut Map<String, Value>) {
    properties.insert("apiVersion".to_owned(), json!({"type": "string"}));
    properties.insert("kind".to_owned(), json!({"type": "string"}));
    let metadata = json!({"allOf": [{"$ref": format!("{COMPONENTS}{META}.ObjectMeta")}]});
    properties.insert("metadata".to_owned(), metadata);
    properties.sort_keys();
}

fn selectable(resource: &Resource) -> Option<Value> {
    if resource.selectable_fields.is_empty() {
        return None;
    }
    Some(
        resource
            .selectable_fields
            .iter()
            .map(|path| json!({"fieldPath": path}))
            .collect(),
    )
}

fn list(resource: &Resource) -> Value {
    json!({
        "type": "object",
        "required": ["items"],
        "properties": {
            "apiVersion": {"type": "string"},
            "items": {"type": "array", "items": {"$ref": format!("{COMPONENTS}{}", component(resource))}},
            "kind": {"type": "string"},
            "metadata": {"allOf": [{"$ref": format!("{COMPONENTS}{META}.ListMeta")}]},
        },
        "x-kubernetes-group-version-kind": [
            {"group": resource.group, "version": resource.version, "kind": resource.list_kind},
        ],
    })
}

/// Schemas of the third version of OpenAPI in the words of the second: references stand alone, and what it cannot say
/// is left out (k8s.io/kube-openapi `schemaconv` and apiextensions-apiserver `controller/openapi/v2`, v0.36).
pub(super) fn second_form(definitions: Map<String, Value>) -> Map<String, Value> {
    definitions
        .into_iter()
        .map(|(name, schema)| (name, second(schema)))
        .collect()
}

fn second(schema: Value) -> Value {
    let Value::Object(mut members) = schema else {
        return schema;
    };
    if let Some(Value::Array(all)) = members.get("allOf")
        && let [only] = &all[..]
        && let Some(reference) = only.get("$ref")
    {
        let mut alone = Map::new();
        alone.insert("$ref".to_owned(), reference.clone());
        // Extensions beside a reference are kept by clients of the second version.
        alone.extend(
            members
                .iter()
                .filter(|(name, _)| name.starts_with("x-"))
                .map(|(name, value)| (name.clone(), value.clone())),
        );
        return Value::Object(alone);
    }
    for word in [
        "allOf",
        "anyOf",
        "oneOf",
        "not",
        "nullable",
        "default",
        "x-kubernetes-validations",
    ] {
        members.remove(word);
    }
    let mut out = Map::new();
    for (name, value) in members {
        let value = match (name.as_str(), value) {
            ("properties", Value::Object(properties)) => Value::Object(second_form(properties)),
            ("items" | "additionalProperties", value @ Value::Object(_)) => second(value),
            (_, value) => value,
        };
        out.insert(name, value);
    }
    Value::Object(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_stand_alone_in_the_second_form() {
        let schema = json!({"properties": {"a": {"default": {}, "allOf": [{"$ref": "#/definitions/x"}]}, "b": {"nullable": true, "type": "string"}}});
        assert_eq!(
            second(schema),
            json!({"properties": {"a": {"$ref": "#/definitions/x"}, "b": {"type": "string"}}})
        );
    }
}
