use serde_json::json;

use super::*;

#[test]
fn errors_are_where_the_server_sees_them() {
    for (schema, expected) in [
        (json!({"type": "object"}), &[][..]),
        (
            json!({}),
            &["s.type: Required value: must not be empty at the root"],
        ),
        (
            json!({"type": "array"}),
            &[
                "s.items: Required value: must be specified",
                r#"s.type: Invalid value: "array": must be object at the root"#,
            ],
        ),
        (
            json!({"type": "object", "properties": {"a": {"properties": {"b": {"type": "string"}}}}}),
            &[
                "s.properties[a].type: Required value: must not be empty for specified object fields",
            ],
        ),
        (
            json!({"type": "object", "properties": {"a": {"type": "array", "items": {}}}}),
            &[
                "s.properties[a].items.type: Required value: must not be empty for specified array items",
            ],
        ),
        (
            json!({"type": "object", "properties": {"a": {"type": "object"}}, "anyOf": [{"properties": {"b": {"type": "string"}}}]}),
            &[
                "s.anyOf[0].properties[b].type: Forbidden: must be empty to be structural",
                "s.properties[b]: Required value: because it is defined in s.anyOf[0].properties[b]",
            ],
        ),
        (
            json!({"type": "object", "properties": {"a": {"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]}}}),
            &[],
        ),
        (
            json!({"type": "object", "properties": {"metadata": {"type": "object", "properties": {"labels": {"type": "object"}}}}}),
            &[
                "s.properties[metadata]: Forbidden: must not specify anything other than name and generateName, but metadata is implicitly specified",
            ],
        ),
        (
            json!({"type": "object", "properties": {"a": {"type": "string", "default": 1}}}),
            &[
                r#"s.properties[a].default: Invalid value: "integer":  in body must be of type string: "integer""#,
            ],
        ),
        (
            json!({"type": "object", "properties": {"a": {"type": "object", "default": {"x": 1}, "properties": {"b": {"type": "string"}}}}}),
            &[r#"s.properties[a].default: Invalid value: {"x":1}: must not have unknown fields"#],
        ),
        (
            json!({"type": "object", "properties": {"a": {"type": "array", "x-kubernetes-list-type": "map", "items": {"type": "object"}}}}),
            &[
                "s.properties[a].x-kubernetes-list-map-keys: Required value: must not be empty if x-kubernetes-list-type is map",
            ],
        ),
        (
            json!({"type": "object", "properties": {"a": {"type": "string", "x-kubernetes-validations": [{"rule": ""}]}}}),
            &[
                "s.properties[a].x-kubernetes-validations[0].rule: Required value: rule is not specified",
            ],
        ),
        (
            json!({"type": "object", "properties": {"a": {"type": "string", "$ref": "x", "uniqueItems": true}}}),
            &[
                "s.properties[a].$ref: Forbidden: $ref is not supported",
                "s.properties[a].uniqueItems: Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes quadratic",
            ],
        ),
    ] {
        let errors: Vec<_> = check(&schema, &Path::field("s"))
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(errors, expected, "{schema}");
    }
}
