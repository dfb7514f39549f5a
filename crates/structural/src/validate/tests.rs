use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::testing::json_without_null;
use crate::{default, prune};

#[expect(
    clippy::needless_pass_by_value,
    reason = "cases read better without references"
)]
fn spec(schema: Value) -> Schema {
    Schema::from_crd(&json!({"type": "object", "properties": {"spec": schema}})).unwrap()
}

fn texts(errors: &[FieldError]) -> Vec<String> {
    errors.iter().map(ToString::to_string).collect()
}

#[test]
fn errors_read_as_the_servers() {
    for (schema, value, expected) in [
        (
            json!({"type": "integer"}),
            json!("a"),
            &[r#"spec: Invalid value: "string": spec in body must be of type integer: "string""#][..],
        ),
        (
            json!({"type": "string"}),
            json!(null),
            &[r#"spec: Invalid value: "null": spec in body must be of type string: "null""#],
        ),
        (
            json!({"type": "string", "nullable": true}),
            json!(null),
            &[],
        ),
        (json!({"type": "integer"}), json!(1.0), &[]),
        (
            json!({"x-kubernetes-int-or-string": true}),
            json!(true),
            &[
                r#"spec: Invalid value: "boolean": spec in body must be of type integer,string: "boolean""#,
            ],
        ),
        (
            json!({"type": "object", "required": ["a"], "properties": {"a": {"type": "string"}}}),
            json!({}),
            &["spec.a: Required value"],
        ),
        (
            json!({"type": "string", "enum": ["a", "b"]}),
            json!("c"),
            &[r#"spec: Unsupported value: "c": supported values: "a", "b""#],
        ),
        (
            json!({"type": "string", "maxLength": 2}),
            json!("äää"),
            &["spec: Too long: may not be more than 2 bytes"],
        ),
        (
            json!({"type": "string", "minLength": 2}),
            json!("a"),
            &[r#"spec: Invalid value: "a": spec in body should be at least 2 chars long"#],
        ),
        (
            json!({"type": "string", "pattern": "^a+$"}),
            json!("b"),
            &[r#"spec: Invalid value: "b": spec in body should match '^a+$'"#],
        ),
        (
            json!({"type": "integer", "minimum": 2, "maximum": 5}),
            json!(6),
            &["spec: Invalid value: 6: spec in body should be less than or equal to 5"],
        ),
        (
            json!({"type": "number", "minimum": 2.5, "exclusiveMinimum": true}),
            json!(2.5),
            &["spec: Invalid value: 2.5: spec in body should be greater than 2.5"],
        ),
        (
            json!({"type": "integer", "multipleOf": 3}),
            json!(4),
            &["spec: Invalid value: 4: spec in body should be a multiple of 3"],
        ),
        (
            json!({"type": "array", "maxItems": 1, "items": {"type": "integer"}}),
            json!([1, "a"]),
            &[
                "spec: Too many: 2: must have at most 1 item",
                r#"spec[1]: Invalid value: "string": spec[1] in body must be of type integer: "string""#,
            ],
        ),
        (
            json!({"type": "array", "minItems": 1, "items": {"type": "integer"}}),
            json!([]),
            &["spec: Invalid value: 0: spec in body should have at least 1 items"],
        ),
        (
            json!({"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "integer"}}),
            json!([1, 2, 1, 1]),
            &["spec[2]: Duplicate value: 1"],
        ),
        (
            json!({"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"],
                "items": {"type": "object", "properties": {"k": {"type": "string"}}}}),
            json!([{"k": "a"}, {"k": "a"}]),
            &[r#"spec[1]: Duplicate value: {"k":"a"}"#],
        ),
        (
            json!({"type": "integer", "oneOf": [{"minimum": 5}, {"maximum": 7}]}),
            json!(6),
            &[
                r#"<nil>: Invalid value: "": "spec" must validate one and only one schema (oneOf). Found 2 valid alternatives"#,
            ],
        ),
        (
            json!({"type": "integer", "anyOf": [{"minimum": 5}, {"maximum": 3}]}),
            json!(4),
            &[
                r#"<nil>: Invalid value: "": "spec" must validate at least one schema (anyOf)"#,
                "spec: Invalid value: 4: spec in body should be greater than or equal to 5",
            ],
        ),
        (
            json!({"type": "integer", "not": {"enum": [4]}}),
            json!(4),
            &[r#"<nil>: Invalid value: "": "spec" must not validate the schema (not)"#],
        ),
        (
            json!({"type": "string", "format": "date-time"}),
            json!("x"),
            &[r#"spec: Invalid value: "x": spec in body must be of type date-time: "x""#],
        ),
        (
            json!({"type": "integer", "format": "int32"}),
            json!(4_294_967_296_i64),
            &[
                r#"<nil>: Invalid value: "": Checked value must be of type integer with format int32 in spec"#,
            ],
        ),
    ] {
        let errors = create(&json!({"spec": value}), &spec(schema.clone()));
        assert_eq!(texts(&errors), expected, "{schema}");
    }
}

#[test]
fn unchanged_values_are_not_held_against_the_writer() {
    let schema = spec(json!({"type": "object", "properties": {
        "a": {"type": "string", "maxLength": 1},
        "list": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"],
            "items": {"type": "object", "properties": {"k": {"type": "string"}, "v": {"type": "integer", "minimum": 5}}}},
        "set": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}}
    }}));
    let old = json!({"spec": {"a": "long", "list": [{"k": "x", "v": 1}], "set": ["a", "a"]}});
    assert_eq!(create(&old, &schema).len(), 3);
    assert!(update(&old, &old, &schema).is_empty());
    let new = json!({"spec": {"a": "longer", "list": [{"k": "y", "v": 1}, {"k": "x", "v": 1}], "set": ["a", "a", "b"]}});
    assert_eq!(
        texts(&update(&new, &old, &schema)),
        [
            "spec.a: Too long: may not be more than 1 byte",
            "spec.list[0].v: Invalid value: 1: spec.list[0].v in body should be greater than or equal to 5",
        ]
    );
}

proptest! {
    #[test]
    fn pruning_and_defaulting_reach_a_fixpoint(value in json_without_null()) {
        let schema = spec(json!({"type": "object", "default": {}, "properties": {
            "a": {"type": "object", "properties": {"b": {"type": "integer", "default": 1}}},
            "b": {"type": "array", "items": {"type": "object", "properties": {"c": {"type": "string", "default": "x"}}}},
            "c": {"type": "object", "additionalProperties": {"type": "object", "properties": {"a": {"type": "boolean", "default": true}}}},
            "d": {"type": "string", "default": "d"}
        }}));
        let mut once = json!({"spec": value});
        prune::prune(&mut once, &schema);
        default::default(&mut once, &schema);
        let mut twice = once.clone();
        prune::prune(&mut twice, &schema);
        default::drop_nulls(&mut twice, &schema);
        default::default(&mut twice, &schema);
        prop_assert_eq!(&once, &twice);
        prop_assert!(prune::unknown_fields(&once, &schema).is_empty());
        prop_assert!(update(&once, &once, &schema).is_empty());
    }
}
