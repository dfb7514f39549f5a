//! Whatever is sent or stored, nothing breaks and nothing undeclared gets through.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::mapping::{self, Merge, Reveal};
use crate::query::Query;
use crate::registry::Registry;
use crate::schema::{FieldType, Type};
use crate::summary::{Fresh, summarize};
use crate::target::locate;
use crate::validate::{self, Operation};

/// Values such as clients and stores may hold, with names of real fields now and then.
fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|float| json!(float)),
        "[a-z0-9:/.{}-]{0,12}".prop_map(Value::from),
        Just(json!("2026-11-20T21:21:58Z")),
    ];
    let key = prop_oneof![
        4 => prop::sample::select(vec![
            "name", "labels", "annotations", "metadata", "spec", "status", "conditions", "type", "displayName", "rules",
            "clusterId", "resourceQuota", "limit", "ttl", "internalNodeStatus", "capacity", "cpu", "localClusterAuthEndpoint",
            "aksConfig", "namespacedRules", "finalizers", "deletionTimestamp", "enabled", "value", "principalIds",
        ]).prop_map(str::to_owned),
        1 => "[a-zA-Z./]{0,8}",
    ];
    leaf.prop_recursive(5, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(key.clone(), inner, 0..6)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

fn object() -> impl Strategy<Value = Map<String, Value>> {
    anything().prop_map(|value| match value {
        Value::Object(fields) => fields,
        other => json!({"name": other.clone(), "metadata": other.clone(), "spec": other})
            .as_object()
            .cloned()
            .unwrap_or_default(),
    })
}

/// A value that fits a field's type.
fn fitting(registry: &Registry, kind: &FieldType, depth: usize) -> Value {
    match kind {
        FieldType::Boolean => json!(true),
        FieldType::Int => json!(7),
        FieldType::Float => json!(1.5),
        FieldType::Date => json!("2026-11-20T21:21:58Z"),
        FieldType::Array(inner) => json!([fitting(registry, inner, depth + 1)]),
        FieldType::Map(inner) => json!({"key": fitting(registry, inner, depth + 1)}),
        FieldType::Part(id) => match registry.get(id).filter(|_| depth < 6) {
            Some(part) => sample(registry, part, depth + 1),
            None => json!({}),
        },
        FieldType::Json => json!({"any": [1]}),
        _ => json!("text"),
    }
}

fn sample(registry: &Registry, kind: &Type, depth: usize) -> Value {
    let writable = kind.fields.iter().filter(|field| {
        field.create
            && (field.required || !field.path.is_empty())
            && field.kind != FieldType::Password
    });
    let fields = writable.map(|field| {
        let value = match field.options.first() {
            Some(option) => json!(option),
            None => fitting(registry, &field.kind, depth),
        };
        (field.name.to_owned(), value)
    });
    Value::Object(fields.collect())
}

/// Takes away the marks that answers add to nested values.
fn without_marks(value: &Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(
            fields
                .iter()
                .filter(|(key, value)| {
                    let marked = value
                        .as_str()
                        .is_some_and(|text| text.starts_with("/v3/") && text.contains("/schemas/"));
                    !key.ends_with("TS") && (*key != "type" || !marked)
                })
                .map(|(key, value)| (key.clone(), without_marks(value)))
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.iter().map(without_marks).collect()),
        other => other.clone(),
    }
}

#[test]
fn what_is_written_is_read_back() {
    let registry = Registry::new();
    // Nodes are not written here; their cluster is where they lie.
    for kind in crate::declare::all()
        .iter()
        .filter(|kind| kind.object.is_some() && kind.id != "node")
    {
        let sent = sample(&registry, kind, 0);
        let fields = validate::fields(
            &registry,
            kind,
            sent.as_object().unwrap(),
            Operation::Create,
        )
        .unwrap_or_else(|error| panic!("{}: {error} {:?}", kind.id, error.field_name));
        let mut object = json!({});
        mapping::apply(&registry, kind, &mut object, &fields, Merge::Keep);
        let shown = mapping::to_resource(&registry, kind, &object, Reveal::Once);
        for (name, value) in &fields {
            let field = kind.field(name).unwrap();
            if field.kind == FieldType::Password || field.path.is_empty() {
                continue;
            }
            let read = shown.get(name).map(without_marks);
            let complete = contains(&read.clone().unwrap_or_default(), value);
            assert!(complete, "{} {name}: wrote {value}, read {read:?}", kind.id);
        }
    }
}

/// Whether `outer` holds all of `inner`; defaults may have been added.
fn contains(outer: &Value, inner: &Value) -> bool {
    match (outer, inner) {
        (Value::Object(outer), Value::Object(inner)) => inner
            .iter()
            // Claims inside of workloads lie where these lie, and say so nowhere.
            .filter(|(key, _)| *key != "namespaceId")
            .all(|(key, value)| outer.get(key).is_some_and(|found| contains(found, value))),
        (Value::Array(outer), Value::Array(inner)) => {
            outer.len() == inner.len()
                && outer
                    .iter()
                    .zip(inner)
                    .all(|(one, other)| contains(one, other))
        }
        (one, other) => one == other,
    }
}

proptest! {
    #[test]
    fn any_body_is_taken_or_refused(sent in object(), update in any::<bool>()) {
        let registry = Registry::new();
        let operation = if update { Operation::Update } else { Operation::Create };
        for kind in crate::declare::all().iter().filter(|kind| kind.object.is_some()) {
            if let Ok(fields) = validate::fields(&registry, kind, &sent, operation) {
                for name in fields.keys() {
                    let field = kind.field(name).unwrap();
                    prop_assert!(if update { field.update } else { field.create }, "{} {}", kind.id, name);
                }
                let mut stored = json!({"metadata": {"name": "x", "labels": {"cattle.io/creator": "norman"}}});
                mapping::apply(&registry, kind, &mut stored, &fields, Merge::Clear);
                if kind.id != "node" {
                    prop_assert_eq!(&stored["metadata"]["labels"]["cattle.io/creator"], "norman");
                }
            }
        }
    }

    #[test]
    fn any_object_is_shown_by_its_declared_fields_only(object in object()) {
        let registry = Registry::new();
        let object = Value::Object(object);
        let _ = summarize(&object, jiff::Timestamp::UNIX_EPOCH, Fresh::Initializing);
        for kind in crate::declare::all().iter().filter(|kind| kind.object.is_some()) {
            for name in mapping::to_resource(&registry, kind, &object, Reveal::No).keys() {
                let known = matches!(name.as_str(), "id" | "type" | "baseType")
                    || kind.field(name).is_some()
                    || name.strip_suffix("TS").is_some_and(|date| kind.field(date).is_some());
                prop_assert!(known, "{} {}", kind.id, name);
            }
        }
    }

    #[test]
    fn any_path_and_query_mean_something_or_nothing(path in "(/|v3|clusters|cluster|c-1|%2[fF]|schemas|[a-z%.:]{0,4}){0,8}", query in ".{0,40}") {
        let registry = Registry::new();
        let _ = locate(&registry, &path);
        let query = Query::parse(Some(&query));
        prop_assert!(query.limit() <= 10_000);
    }
}
