use serde_json::json;

use super::*;

fn schema() -> Schema {
    Schema::from_crd(&json!({"type": "object",
        "x-kubernetes-validations": [{"rule": "self.metadata.name != 'bad'", "message": "bad name"}],
        "properties": {"spec": {"type": "object",
            "x-kubernetes-validations": [
                {"rule": "self.min <= self.max", "messageExpression": "'min %d is above max %d'.format([self.min, self.max])", "fieldPath": ".min"},
                {"rule": "!has(self.fixed) || self.fixed == 'x'", "reason": "FieldValueForbidden", "message": "only x"}
            ],
            "properties": {
                "min": {"type": "integer"}, "max": {"type": "integer"},
                "fixed": {"type": "string"},
                "name": {"type": "string", "x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "immutable"}]},
                "grow": {"type": "integer", "x-kubernetes-validations": [{"rule": "!oldSelf.hasValue() || self >= oldSelf.value()", "optionalOldSelf": true}]},
                "since": {"type": "string", "format": "date-time", "x-kubernetes-validations": [{"rule": "self > timestamp('2020-01-01T00:00:00Z')"}]},
                "list": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"],
                    "items": {"type": "object", "properties": {"k": {"type": "string"}, "v": {"type": "integer",
                        "x-kubernetes-validations": [{"rule": "self < 10"}, {"rule": "self >= oldSelf", "message": "shrinks"}]}}}}
            }}}
    }))
    .unwrap()
}

fn check(value: &Json, old: Option<&Json>) -> Vec<String> {
    let schema = schema();
    let rules = Rules::compile(&schema);
    assert_eq!(problems(&schema, &Path::field("s")), []);
    rules
        .check(value, old, &schema, &[])
        .errors
        .iter()
        .map(ToString::to_string)
        .collect()
}

fn object(spec: &Json) -> Json {
    json!({"metadata": {"name": "x"}, "spec": spec})
}

#[test]
fn rules_speak_as_the_servers() {
    assert!(
        check(
            &object(&json!({"min": 1, "max": 2, "since": "2021-01-01T00:00:00Z"})),
            None
        )
        .is_empty()
    );
    assert_eq!(
        check(
            &object(&json!({"min": 3, "max": 2, "fixed": "y", "list": [{"k": "a", "v": 11}]})),
            None
        ),
        [
            "spec.min: Invalid value: min 3 is above max 2",
            "spec: Forbidden: only x",
            "spec.list[0].v: Invalid value: 11: failed rule: self < 10",
        ]
    );
    assert_eq!(
        check(&json!({"metadata": {"name": "bad"}}), None),
        ["<nil>: Invalid value: bad name"]
    );
    assert_eq!(
        check(&object(&json!({"max": 2})), None),
        [
            r#"spec: Invalid value: "object": no such key: min evaluating rule: self.min <= self.max"#
        ]
    );
}

#[test]
fn transitions_and_unchanged_values_are_told_apart() {
    let old =
        object(&json!({"min": 3, "max": 2, "name": "a", "grow": 5, "list": [{"k": "a", "v": 11}]}));
    assert_eq!(
        check(&old, Some(&old)),
        Vec::<String>::new(),
        "unchanged values do not count"
    );
    let mut new = old.clone();
    new["spec"]["name"] = json!("b");
    new["spec"]["grow"] = json!(4);
    new["spec"]["min"] = json!(1);
    new["spec"]["list"] = json!([{"k": "b", "v": 1}, {"k": "a", "v": 9}]);
    assert_eq!(
        check(&new, Some(&old)),
        [
            "spec.grow: Invalid value: 4: failed rule: !oldSelf.hasValue() || self >= oldSelf.value()",
            "spec.list[1].v: Invalid value: 9: shrinks",
            r#"spec.name: Invalid value: "b": immutable"#,
        ]
    );
}

#[test]
fn rules_that_do_not_compile_are_told() {
    let schema = Schema::from_crd(&json!({"type": "object", "properties": {"a": {"type": "string",
        "x-kubernetes-validations": [{"rule": "self ="}, {"rule": "unknown(self)"}, {"rule": "true", "optionalOldSelf": true}]}}}))
    .unwrap();
    let problems = problems(&schema, &Path::field("s"));
    let fields: Vec<_> = problems.iter().map(|error| error.field.as_str()).collect();
    assert_eq!(
        fields,
        [
            "s.properties[a].x-kubernetes-validations[0].rule",
            "s.properties[a].x-kubernetes-validations[1].rule",
            "s.properties[a].x-kubernetes-validations[2].optionalOldSelf",
        ]
    );
}

#[test]
fn invalid_objects_are_not_ruled() {
    let schema = schema();
    let found = [FieldError::required("spec.x", "")];
    let errors = Rules::compile(&schema)
        .check(&object(&json!({})), None, &schema, &found)
        .errors;
    assert_eq!(errors.len(), 1);
    assert!(
        errors[0]
            .detail
            .starts_with("some validation rules were not checked")
    );
}

#[test]
fn expensive_rules_are_told() {
    let told = |schema: Json| -> Vec<String> {
        let schema = Schema::from_crd(&json!({"type": "object", "properties": {"a": schema}}));
        let problems = problems(&schema.unwrap(), &Path::field("s"));
        problems.iter().map(ToString::to_string).collect()
    };
    let advice = "(try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)";
    let rule = |rule: &str| json!([{"rule": rule}]);
    let place = "s.properties[a].items.x-kubernetes-validations[0].rule";
    assert_eq!(
        told(
            json!({"type": "array", "maxItems": 10, "items": {"type": "string", "x-kubernetes-validations": rule("self.contains('abc')")}})
        ),
        Vec::<String>::new()
    );
    assert_eq!(
        told(
            json!({"type": "array", "maxItems": 40, "items": {"type": "string", "x-kubernetes-validations": rule("self.contains('abc')")}})
        ),
        [format!(
            "{place}: Forbidden: estimated rule cost exceeds budget by factor of 1.258296x {advice}"
        )]
    );
    assert_eq!(
        told(
            json!({"type": "array", "items": {"type": "string", "x-kubernetes-validations": rule("self.contains('abc')")}})
        ),
        [
            format!(
                "{place}: Forbidden: estimated rule cost exceeds budget by factor of more than 100x {advice}"
            ),
            format!(
                "{place}: Forbidden: contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema"
            ),
            format!(
                "s: Forbidden: x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema exceeds budget by factor of more than 100x {advice}"
            ),
        ]
    );
}
