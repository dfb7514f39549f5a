//! Schema definitions: the fields of a kind, from the cluster's own OpenAPI document.

use std::collections::BTreeMap;

use drover_auth::web::{ApiError, Response};
use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::call::{Answer, Call};
use crate::kind::Kind;
use crate::kubernetes::{JSON, get_whole};

const REFERENCE: &str = "#/components/schemas/";
/// Nested objects deeper than this are not named (they are still objects).
const MAX_DEPTH: usize = 24;

/// Answers `/v1/schemaDefinitions/<id>`.
pub(crate) async fn answer(call: &Call, id: &str) -> Answer<Response> {
    let (kind, _) = call.kind(id).await?;
    let path = if kind.group.is_empty() {
        format!("/openapi/v3/api/{}", kind.version)
    } else {
        format!("/openapi/v3/apis/{}/{}", kind.group, kind.version)
    };
    let document = get_whole(&*call.shared.reach, &call.cluster, &path, JSON).await?;
    let found = define(&kind, &document)
        .ok_or_else(|| ApiError::not_found(format!("no definition of {} is known", kind.id)))?;
    let mut body = found;
    body["type"] = json!("schemaDefinition");
    body["id"] = json!(kind.id);
    body["links"] = json!({"self": call.urls.explorer(&format!("/schemaDefinitions/{}", kind.id))});
    Ok(call.writer.answer(StatusCode::OK, &body))
}

/// The definition of a kind and of all it refers to.
fn define(kind: &Kind, document: &Value) -> Option<Value> {
    let schemas = document.pointer("/components/schemas")?.as_object()?;
    let is_kind = |schema: &Value| {
        let kinds = schema
            .get("x-kubernetes-group-version-kind")
            .and_then(Value::as_array);
        kinds.into_iter().flatten().any(|of| {
            let text = |name: &str| of.get(name).and_then(Value::as_str).unwrap_or_default();
            text("group") == kind.group
                && text("version") == kind.version
                && text("kind") == kind.kind
        })
    };
    let (name, _) = schemas.iter().find(|(_, schema)| is_kind(schema))?;
    let mut definer = Definer {
        schemas,
        found: BTreeMap::new(),
    };
    definer.named(name);
    Some(json!({"definitionType": name, "definitions": definer.found}))
}

struct Definer<'a> {
    schemas: &'a Map<String, Value>,
    found: BTreeMap<String, Value>,
}

impl Definer<'_> {
    /// Defines a schema of the document, and what it refers to.
    fn named(&mut self, name: &str) {
        let mut open = vec![name.to_owned()];
        while let Some(name) = open.pop() {
            if self.found.contains_key(&name) {
                continue;
            }
            let Some(schema) = self.schemas.get(&name) else {
                continue;
            };
            self.object(&name, schema, 0, &mut open);
        }
    }

    /// Defines an object under a name.
    fn object(&mut self, name: &str, schema: &Value, depth: usize, open: &mut Vec<String>) {
        // Its place is taken first, for what refers to itself.
        self.found.insert(name.to_owned(), Value::Null);
        let required: Vec<&str> = schema
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let mut fields = Map::new();
        let properties = schema.get("properties").and_then(Value::as_object);
        for (field, property) in properties.into_iter().flatten() {
            let (kind, subtype) = self.kind(&format!("{name}.{field}"), property, depth, open);
            let mut shown = json!({"type": kind});
            if let Some(subtype) = subtype {
                shown["subtype"] = json!(subtype);
            }
            if let Some(text) = property.get("description") {
                shown["description"] = text.clone();
            }
            if required.contains(&field.as_str()) {
                shown["required"] = json!(true);
            }
            // The peer leaves them out; who edits is shown them.
            let values = property
                .get("enum")
                .or_else(|| property.pointer("/items/enum"));
            if let Some(values) = values {
                shown["enum"] = values.clone();
            }
            fields.insert(field.clone(), shown);
        }
        let mut shown = json!({"type": name, "resourceFields": fields});
        if let Some(text) = schema.get("description") {
            shown["description"] = text.clone();
        }
        self.found.insert(name.to_owned(), shown);
    }

    /// Type and subtype of a property.
    fn kind(
        &mut self,
        name: &str,
        schema: &Value,
        depth: usize,
        open: &mut Vec<String>,
    ) -> (String, Option<String>) {
        if let Some(referred) = reference(schema) {
            // Times, quantities and the like are plain values.
            let plain = self
                .schemas
                .get(referred)
                .filter(|schema| schema.get("properties").is_none())
                .and_then(|schema| schema.get("type"))
                .and_then(Value::as_str)
                .filter(|kind| *kind != "object");
            if let Some(plain) = plain {
                return (scalar(plain).to_owned(), None);
            }
            open.push(referred.to_owned());
            return (referred.to_owned(), None);
        }
        let inner = |definer: &mut Self, part: &Value, open: &mut Vec<String>| {
            let (kind, _) = definer.kind(name, part, depth + 1, open);
            kind
        };
        match schema.get("type").and_then(Value::as_str) {
            Some("array") => {
                let items = schema.get("items").cloned().unwrap_or_default();
                let inner = inner(self, &items, open);
                ("array".to_owned(), Some(inner))
            }
            Some("object") if schema.get("properties").is_some() && depth < MAX_DEPTH => {
                self.object(name, schema, depth + 1, open);
                (name.to_owned(), None)
            }
            Some("object") => {
                let values = schema
                    .get("additionalProperties")
                    .filter(|values| values.is_object());
                let inner = values.map_or_else(
                    || "string".to_owned(),
                    |values| {
                        let values = values.clone();
                        inner(self, &values, open)
                    },
                );
                ("map".to_owned(), Some(inner))
            }
            Some(other) => (scalar(other).to_owned(), None),
            None => ("string".to_owned(), None),
        }
    }
}

fn reference(schema: &Value) -> Option<&str> {
    let direct = schema.get("$ref").and_then(Value::as_str);
    let wrapped = || schema.pointer("/allOf/0/$ref").and_then(Value::as_str);
    direct.or_else(wrapped)?.strip_prefix(REFERENCE)
}

fn scalar(kind: &str) -> &str {
    match kind {
        "integer" => "int",
        "number" => "float",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_have_the_recorded_form() {
        let document = json!({"components": {"schemas": {
            "io.k8s.api.core.v1.Namespace": {
                "type": "object", "description": "d",
                "x-kubernetes-group-version-kind": [{"group": "", "kind": "Namespace", "version": "v1"}],
                "required": ["spec"],
                "properties": {
                    "spec": {"allOf": [{"$ref": "#/components/schemas/S"}], "description": "s"},
                    "self": {"$ref": "#/components/schemas/io.k8s.api.core.v1.Namespace"},
                    "inline": {"type": "object", "properties": {"n": {"type": "integer"}}},
                    "mode": {"type": "string", "enum": ["Fast", "Slow"]},
                    "modes": {"type": "array", "items": {"type": "string", "enum": ["Fast"]}},
                },
            },
            "S": {"type": "object", "properties": {
                "finalizers": {"type": "array", "items": {"type": "string", "default": ""}},
                "at": {"allOf": [{"$ref": "#/components/schemas/Time"}]},
                "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            }},
            "Time": {"type": "string", "format": "date-time"},
        }}});
        let kind = Kind::new("", "v1", "Namespace", "namespaces");
        let defined = define(&kind, &document).unwrap();
        let name = "io.k8s.api.core.v1.Namespace";
        assert_eq!(defined["definitionType"], name);
        let fields = &defined["definitions"][name]["resourceFields"];
        assert_eq!(
            fields["spec"],
            json!({"type": "S", "description": "s", "required": true})
        );
        assert_eq!(fields["self"]["type"], name);
        let inline = format!("{name}.inline");
        assert_eq!(fields["inline"]["type"], inline.as_str());
        assert_eq!(
            defined["definitions"][&inline]["resourceFields"]["n"]["type"],
            "int"
        );
        assert_eq!(
            fields["mode"],
            json!({"type": "string", "enum": ["Fast", "Slow"]})
        );
        assert_eq!(
            fields["modes"],
            json!({"type": "array", "subtype": "string", "enum": ["Fast"]})
        );
        let fields = &defined["definitions"]["S"]["resourceFields"];
        assert_eq!(
            fields["finalizers"],
            json!({"type": "array", "subtype": "string"})
        );
        assert_eq!(fields["at"], json!({"type": "string"}));
        assert_eq!(
            fields["labels"],
            json!({"type": "map", "subtype": "string"})
        );
        assert!(define(&Kind::new("", "v1", "Pod", "pods"), &document).is_none());
    }
}
