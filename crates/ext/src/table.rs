//! Lists as tables, for kubectl (columns of recorded/v1-schemas.json).

use drover_types::duration;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::request::Include;

/// Name, priority, and what stands there.
type Column = (&'static str, i32, fn(&Value, Timestamp) -> Value);

const TOKENS: [Column; 6] = [
    ("Name", 0, |object, _| at(object, "/metadata/name")),
    ("User", 1, |object, _| at(object, "/spec/userID")),
    ("Kind", 0, |object, _| at(object, "/spec/kind")),
    ("TTL", 0, |object, _| {
        let ttl = object["spec"]["ttl"].as_i64().unwrap_or_default();
        json!(if ttl < 0 {
            "<never>".to_owned()
        } else {
            duration::short(ttl / 1_000)
        })
    }),
    ("Age", 0, age),
    ("Description", 1, |object, _| {
        at(object, "/spec/description")
    }),
];
const KUBECONFIGS: [Column; 8] = [
    ("Name", 0, |object, _| at(object, "/metadata/name")),
    ("TTL", 0, |object, _| {
        json!(duration::short(
            object["spec"]["ttl"].as_i64().unwrap_or_default()
        ))
    }),
    ("Tokens", 0, |object, _| {
        let tokens = object["status"]["tokens"].as_array().map_or(0, Vec::len);
        json!(tokens.to_string())
    }),
    ("Status", 0, |object, _| at(object, "/status/summary")),
    ("Age", 0, age),
    ("User", 1, |object, _| {
        at(object, "/metadata/labels/cattle.io~1user-id")
    }),
    ("Clusters", 1, |object, _| {
        let clusters = object["spec"]["clusters"].as_array();
        let names = clusters.into_iter().flatten().filter_map(Value::as_str);
        json!(names.collect::<Vec<_>>().join(","))
    }),
    ("Description", 1, |object, _| {
        at(object, "/spec/description")
    }),
];

fn at(object: &Value, pointer: &str) -> Value {
    object.pointer(pointer).cloned().unwrap_or(json!(""))
}

fn age(object: &Value, now: Timestamp) -> Value {
    let created = object["metadata"]["creationTimestamp"]
        .as_str()
        .and_then(|text| text.parse::<Timestamp>().ok());
    json!(created.map_or("<unknown>".to_owned(), |created| {
        duration::short(now.duration_since(created).as_secs())
    }))
}

fn definitions(columns: &[Column]) -> Vec<Value> {
    let definitions = columns.iter().map(|(name, priority, _)| {
        let format = if *name == "Name" { "name" } else { "" };
        json!({"name": name, "type": "string", "format": format, "description": "", "priority": priority})
    });
    definitions.collect()
}

/// The columns of a kind's tables, by its plural, as a Table defines them; none where there are no lists.
#[must_use]
pub fn columns(plural: &str) -> Vec<Value> {
    match plural {
        "tokens" => definitions(&TOKENS),
        "kubeconfigs" => definitions(&KUBECONFIGS),
        _ => Vec::new(),
    }
}

/// The objects as a table; `version` is that of a list.
pub(crate) fn table(
    kind: &str,
    objects: &[Value],
    include: Include,
    version: Option<&str>,
    now: Timestamp,
) -> Value {
    let columns = if kind == "Token" {
        &TOKENS[..]
    } else {
        &KUBECONFIGS[..]
    };
    let definitions = definitions(columns);
    let rows: Vec<Value> = objects
        .iter()
        .map(|object| {
            let cells: Vec<Value> = columns.iter().map(|(_, _, cell)| cell(object, now)).collect();
            let object = match include {
                Include::None => Value::Null,
                Include::Object => object.clone(),
                Include::Metadata => json!({
                    "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": object["metadata"],
                }),
            };
            json!({"cells": cells, "object": object})
        })
        .collect();
    let metadata = version.map_or(json!({}), |version| json!({ "resourceVersion": version }));
    json!({
        "apiVersion": "meta.k8s.io/v1", "kind": "Table", "metadata": metadata, "columnDefinitions": definitions,
        "rows": rows,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_a_cell_for_each_column_and_as_much_of_objects_as_is_asked_for() {
        let object = json!({
            "metadata": {"name": "token-a", "creationTimestamp": "1970-01-01T00:00:00Z"},
            "spec": {"userID": "u", "kind": "", "ttl": -1, "description": "d"},
        });
        let now = Timestamp::from_second(5).unwrap();
        let shown = table("Token", &[object], Include::Metadata, None, now);
        assert_eq!(
            shown["rows"][0]["cells"],
            json!(["token-a", "u", "", "<never>", "5s", "d"])
        );
        assert_eq!(shown["rows"][0]["object"]["metadata"]["name"], "token-a");
        assert_eq!(shown["rows"][0]["object"].get("spec"), None);
    }
}
