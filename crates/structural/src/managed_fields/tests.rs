use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::testing::json_without_null;

fn schema() -> Schema {
    Schema::from_crd(&json!({"type": "object", "properties": {
        "spec": {"type": "object", "properties": {
            "replicas": {"type": "integer"},
            "name": {"type": "string"},
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
            "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            "atomic": {"type": "object", "x-kubernetes-map-type": "atomic", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}},
            "set": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
            "list": {"type": "array", "items": {"type": "string"}},
            "ports": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["port", "protocol"],
                "items": {"type": "object", "required": ["port"], "properties": {
                    "port": {"type": "integer"}, "protocol": {"type": "string", "default": "TCP"}, "name": {"type": "string"}}}}
        }},
        "status": {"type": "object", "properties": {"phase": {"type": "string"}}}
    }}))
    .unwrap()
}

fn request<'a>(schema: &'a Schema, manager: &'a str, second: i64) -> Request<'a> {
    Request {
        schema,
        api_version: "example.com/v1",
        subresource: "",
        manager,
        reset: None,
        blank: None,
        now: Timestamp::from_second(1_700_000_000 + second).unwrap(),
        versions: None,
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "cases read better without references"
)]
fn object(spec: Value) -> Value {
    json!({"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "x", "namespace": "d"}, "spec": spec})
}

fn owned(object: &Value, manager: &str) -> Value {
    object["metadata"]["managedFields"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|entry| entry["manager"] == manager)
        .map_or(Value::Null, |entry| entry["fieldsV1"].clone())
}

fn created(spec: Value, schema: &Schema) -> Value {
    let mut new = object(spec);
    update(None, &mut new, &request(schema, "creator", 0));
    new["metadata"]["uid"] = json!("u1");
    new
}

#[test]
fn creating_owns_all_but_identity() {
    let schema = schema();
    let new = created(
        json!({"replicas": 1, "labels": {"a": "b"}, "ports": [{"port": 80}]}),
        &schema,
    );
    assert_eq!(
        new["metadata"]["managedFields"],
        json!([{"manager": "creator", "operation": "Update", "apiVersion": "example.com/v1", "time": "2023-11-14T22:13:20Z",
            "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {".": {}, "f:replicas": {}, "f:labels": {".": {}, "f:a": {}},
                "f:ports": {".": {}, "k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}}}}}}])
    );
}

#[test]
fn updating_takes_ownership_of_what_changes_only() {
    let schema = schema();
    let live = created(json!({"replicas": 1, "name": "a"}), &schema);
    let mut new = live.clone();
    new["spec"]["replicas"] = json!(2);
    update(Some(&live), &mut new, &request(&schema, "other", 5));
    assert_eq!(
        owned(&new, "creator"),
        json!({"f:spec": {".": {}, "f:name": {}}})
    );
    assert_eq!(owned(&new, "other"), json!({"f:spec": {"f:replicas": {}}}));

    let mut again = new.clone();
    update(Some(&new), &mut again, &request(&schema, "other", 9));
    assert_eq!(again, new, "an update that changes nothing changes nothing");

    let mut without = new.clone();
    without["spec"].as_object_mut().unwrap().remove("replicas");
    update(Some(&new), &mut without, &request(&schema, "third", 9));
    assert_eq!(
        owned(&without, "other"),
        Value::Null,
        "an entry without fields goes"
    );
}

#[test]
fn applying_twice_is_idempotent_and_unsetting_removes() {
    let schema = schema();
    let config = object(
        json!({"replicas": 1, "labels": {"a": "1"}, "set": ["x"], "ports": [{"port": 80, "name": "http"}]}),
    );
    let first = apply(None, &config, &request(&schema, "me", 0), false).unwrap();
    assert!(first.changed);
    assert_eq!(
        owned(&first.object, "me"),
        json!({"f:spec": {"f:replicas": {}, "f:labels": {"f:a": {}}, "f:set": {"v:\"x\"": {}},
            "f:ports": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:name": {}, "f:port": {}}}}})
    );
    let second = apply(
        Some(&first.object),
        &config,
        &request(&schema, "me", 7),
        false,
    )
    .unwrap();
    assert!(!second.changed);
    assert_eq!(second.object, first.object);

    let less = object(json!({"labels": {"b": "2"}, "set": ["y"]}));
    let third = apply(
        Some(&first.object),
        &less,
        &request(&schema, "me", 9),
        false,
    )
    .unwrap();
    assert_eq!(
        third.object["spec"],
        json!({"labels": {"b": "2"}, "set": ["y"]})
    );
}

#[test]
fn unset_fields_that_others_own_stay() {
    let schema = schema();
    let config = object(json!({"replicas": 1, "name": "n"}));
    let first = apply(None, &config, &request(&schema, "one", 0), false)
        .unwrap()
        .object;
    let both = apply(Some(&first), &config, &request(&schema, "two", 0), false).unwrap();
    assert!(both.changed, "a new owner is a change");
    let less = apply(
        Some(&both.object),
        &object(json!({"name": "n"})),
        &request(&schema, "one", 1),
        false,
    )
    .unwrap();
    assert_eq!(less.object["spec"], json!({"replicas": 1, "name": "n"}));
    assert_eq!(
        owned(&less.object, "one"),
        json!({"f:spec": {"f:name": {}}})
    );
}

#[test]
fn conflicts_name_managers_and_fields() {
    let schema = schema();
    let live = created(json!({"replicas": 1, "name": "a", "set": ["x"]}), &schema);
    let one = object(json!({"replicas": 2}));
    let error = apply(Some(&live), &one, &request(&schema, "me", 1), false).unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"Apply failed with 1 conflict: conflict with "creator" using example.com/v1: .spec.replicas"#
    );
    let two = object(json!({"replicas": 2, "name": "b"}));
    let error = apply(Some(&live), &two, &request(&schema, "me", 1), false).unwrap_err();
    assert_eq!(
        error.to_string(),
        "Apply failed with 2 conflicts: conflicts with \"creator\" using example.com/v1:\n- .spec.name\n- .spec.replicas"
    );
    let forced = apply(Some(&live), &two, &request(&schema, "me", 1), true).unwrap();
    assert_eq!(
        forced.object["spec"],
        json!({"replicas": 2, "name": "b", "set": ["x"]})
    );
    assert_eq!(
        owned(&forced.object, "creator"),
        json!({"f:spec": {".": {}, "f:set": {".": {}, "v:\"x\"": {}}}})
    );
}

#[test]
fn objects_without_owners_get_one_at_the_first_apply() {
    let schema = schema();
    let mut live = object(json!({"replicas": 1, "name": "a"}));
    live["metadata"]["uid"] = json!("u");
    let mut updated = live.clone();
    updated["spec"]["replicas"] = json!(3);
    update(Some(&live), &mut updated, &request(&schema, "x", 1));
    assert!(managed_of(&updated).is_none());
    let applied = apply(
        Some(&live),
        &object(json!({"name": "a"})),
        &request(&schema, "me", 1),
        false,
    )
    .unwrap();
    assert_eq!(
        owned(&applied.object, "before-first-apply"),
        json!({"f:spec": {".": {}, "f:name": {}, "f:replicas": {}}})
    );
}

#[test]
fn the_wrong_type_is_named() {
    let schema = schema();
    let check = |spec: Value, expected: &str| {
        let error = apply(None, &object(spec), &request(&schema, "me", 1), false).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "failed to create typed patch object (d/x; example.com/v1, Kind=Thing): {expected}"
            )
        );
    };
    check(
        json!({"nope": 1}),
        ".spec.nope: field not declared in schema",
    );
    check(
        json!({"name": 1}),
        ".spec.name: expected string, got &value.valueUnstructured{Value:1}",
    );
    check(
        json!({"replicas": "a"}),
        ".spec.replicas: expected numeric (int or float), got string",
    );
    check(
        json!({"set": ["a", "a"]}),
        ".spec.set: duplicate entries for key [=\"a\"]",
    );
    check(
        json!({"labels": []}),
        ".spec.labels: expected map, got &{[]}",
    );
}

#[test]
fn the_status_is_owned_through_its_subresource() {
    let schema = schema();
    let live = created(json!({"replicas": 1}), &schema);
    let reset = FieldSet::of_fields(&[&["spec"], &["metadata"]]);
    let mut new = live.clone();
    new["status"] = json!({"phase": "ok"});
    let mut who = request(&schema, "controller", 3);
    who.subresource = "status";
    who.reset = Some(&reset);
    update(Some(&live), &mut new, &who);
    assert_eq!(
        owned(&new, "controller"),
        json!({"f:status": {".": {}, "f:phase": {}}})
    );
    let last = new["metadata"]["managedFields"]
        .as_array()
        .unwrap()
        .last()
        .unwrap();
    assert_eq!(last["subresource"], "status");
}

#[test]
fn too_many_updaters_are_merged() {
    let schema = schema();
    let mut live = created(json!({"labels": {}}), &schema);
    for n in 0..15 {
        let mut new = live.clone();
        new["spec"]["labels"][format!("l{n}")] = json!("v");
        let manager = format!("m{n}");
        update(Some(&live), &mut new, &request(&schema, &manager, n + 1));
        live = new;
    }
    let entries = live["metadata"]["managedFields"].as_array().unwrap();
    assert_eq!(entries.len(), 10);
    assert_eq!(entries[0]["manager"], "ancient-changes");
    assert_eq!(entries.last().unwrap()["manager"], "m14");
}

fn spec() -> impl Strategy<Value = Value> {
    let name = prop::option::of("[a-b]");
    let labels = prop::option::of(prop::collection::btree_map("[a-c]", "[a-b]", 0..3));
    let set = prop::option::of(prop::collection::btree_set("[a-d]", 0..4));
    let ports = prop::option::of(prop::collection::btree_map(
        80u16..83,
        prop::option::of("[a-b]"),
        0..3,
    ));
    let atomic = prop::option::of(prop::collection::btree_map("[a-b]", "[a-b]", 0..3));
    (
        name,
        labels,
        set,
        ports,
        atomic,
        prop::option::of(json_without_null()),
    )
        .prop_map(|(name, labels, set, ports, atomic, free)| {
            let mut spec = Map::new();
            let mut put = |key: &str, value: Option<Value>| {
                if let Some(value) = value {
                    spec.insert(key.to_owned(), value);
                }
            };
            put("name", name.map(Value::from));
            put("labels", labels.map(|labels| json!(labels)));
            put("set", set.map(|set| json!(set)));
            put("atomic", atomic.map(|atomic| json!(atomic)));
            put("free", free.filter(Value::is_object));
            put(
                "ports",
                ports.map(|ports| {
                    ports
                        .into_iter()
                        .map(|(port, name)| match name {
                            Some(name) => json!({"port": port, "name": name}),
                            None => json!({"port": port}),
                        })
                        .collect()
                }),
            );
            Value::Object(spec)
        })
}

proptest! {
    #[test]
    fn apply_is_idempotent(live in spec(), config in spec(), force in Just(true)) {
        let schema = schema();
        let live = created(live, &schema);
        let first = apply(Some(&live), &object(config.clone()), &request(&schema, "me", 1), force).unwrap().object;
        let second = apply(Some(&first), &object(config), &request(&schema, "me", 2), force).unwrap();
        prop_assert_eq!(&second.object, &first);
        prop_assert!(!second.changed);
    }

    #[test]
    fn after_a_forced_apply_the_object_says_what_the_configuration_says(live in spec(), config in spec()) {
        let schema = schema();
        let live = created(live, &schema);
        let config = object(config);
        let applied = apply(Some(&live), &config, &request(&schema, "me", 1), true).unwrap().object;
        let again = typed::merge(&applied, &config, &schema).unwrap();
        prop_assert_eq!(again, applied);
    }

    #[test]
    fn nobody_owns_what_is_not_there(live in spec(), a in spec(), b in spec()) {
        let schema = schema();
        let mut object_now = created(live, &schema);
        for (n, config) in [&a, &b, &a].into_iter().enumerate() {
            let manager = ["one", "two", "one"][n];
            object_now = apply(Some(&object_now), &object(config.clone()), &request(&schema, manager, 1), true).unwrap().object;
        }
        let mut bare = object_now.clone();
        let managed = take(&mut bare).unwrap();
        let present = typed::named_fields(&typed::field_set(&bare, &schema), &schema);
        for entry in Entries::parse(&managed).unwrap().0 {
            // Lists and maps emptied by their owner leave only their name.
            for path in entry.fields.difference(&present).paths() {
                let pointer: String = path.0.iter().map(|element| match element {
                    crate::field_set::PathElement::Field(name) => format!("/{name}"),
                    other => format!("/{other}"),
                }).collect();
                prop_assert!(bare.pointer(&pointer).is_some(), "{path}");
            }
        }
    }

    #[test]
    fn creating_owns_every_leaf(spec in spec()) {
        let schema = schema();
        let new = created(spec, &schema);
        let mut bare = new.clone();
        let managed = take(&mut bare);
        let leaves = typed::field_set(&bare, &schema).difference(&FieldSet::of_fields(UNOWNED));
        let owned = managed.map(|managed| Entries::parse(&managed).unwrap().0[0].fields.clone()).unwrap_or_default();
        let uid = FieldSet::of_fields(&[&["metadata", "uid"]]);
        prop_assert!(leaves.difference(&uid).difference(&owned).is_empty());
    }
}
