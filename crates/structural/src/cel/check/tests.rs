use serde_json::json;

use super::*;
use crate::Schema;

fn checker(optional_old: bool) -> Checker {
    let schema = Schema::from_crd(&json!({"type": "object", "properties": {
        "text": {"type": "string", "maxLength": 10}, "any": {"type": "string"},
        "int": {"type": "integer"}, "number": {"type": "number"}, "flag": {"type": "boolean"},
        "either": {"x-kubernetes-int-or-string": true},
        "since": {"type": "string", "format": "date-time"}, "for": {"type": "string", "format": "duration"},
        "a-b": {"type": "string"}, "namespace": {"type": "string"},
        "list": {"type": "array", "maxItems": 5, "items": {"type": "integer"}},
        "texts": {"type": "array", "items": {"type": "string"}},
        "map": {"type": "object", "additionalProperties": {"type": "object", "properties": {"x": {"type": "string"}}}},
        "inner": {"type": "object", "properties": {"b": {"type": "boolean"}}},
        "other": {"type": "object", "properties": {"b": {"type": "boolean"}}},
        "rest": {"x-kubernetes-preserve-unknown-fields": true},
        "open": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
    }}))
    .unwrap();
    Checker::new(&Declared::of(schema.view(), true).unwrap(), optional_old)
}

fn problem(source: &str) -> String {
    match checker(false).check(source, Wanted::Bool) {
        Ok(_) => String::new(),
        Err(wrong) => wrong.of_rule(),
    }
}

#[test]
fn typed_rules_pass() {
    for source in [
        "self.text == 'a' && self.int > 1 && self.int < 2.5 && !self.flag",
        "self.either == 1 || self.either == 'x' || type(self.either) == int",
        "self.since > timestamp('2020-01-01T00:00:00Z') && self.__for__ < duration('1h')",
        "self.a__dash__b == self.__namespace__ && self.namespace == ''",
        "self.list.all(x, x > 0) && self.texts.exists(t, t.startsWith('a'))",
        "self.map.all(k, self.map[k].x == k) && self.map.exists(k, v, v.x == k)",
        "self.metadata.name == oldSelf.metadata.name && self.kind != ''",
        "has(self.inner.b) && self.?inner.b.orValue(true)",
        "self.list.map(x, string(x)).join('-') == ''",
        "[1, 2].sortBy(x, -x)[0] == 1 && {'a': 1}.transformMapEntry(k, v, {v: k}) == {1: 'a'}",
        "self.texts.first().hasValue() && optional.of(1).optMap(x, x + 1).value() == 2",
        "'%s %d'.format([self.text, self.int]) != ''",
        "sets.contains(self.list, [1]) && self.list.sum() == 1 && [].size() == 0",
        "type(self.since) == google.protobuf.Timestamp && .self.flag",
        "format.dns1123Label().validate(self.text) == optional.none()",
        "quantity(self.text).isLessThan(quantity('1')) && semver('1.0.0').major() == 1",
    ] {
        assert_eq!(problem(source), "", "{source}");
    }
}

#[test]
fn mistyped_rules_are_refused_with_their_place() {
    for (source, expected) in [
        (
            "self.nope",
            "ERROR: <input>:1:5: undefined field 'nope'\n | self.nope\n | ....^",
        ),
        (
            "self.rest",
            "ERROR: <input>:1:5: undefined field 'rest'\n | self.rest\n | ....^",
        ),
        (
            "self.open.x",
            "ERROR: <input>:1:10: undefined field 'x'\n | self.open.x\n | .........^",
        ),
        (
            "nope",
            "ERROR: <input>:1:1: undeclared reference to 'nope' (in container '')\n | nope\n | ^",
        ),
        (
            "nope(1)",
            "ERROR: <input>:1:5: undeclared reference to 'nope' (in container '')\n | nope(1)\n | ....^",
        ),
        (
            "self.int + 'a' == 'b'",
            "ERROR: <input>:1:10: found no matching overload for '_+_' applied to '(int, string)'\n | self.int + 'a' == 'b'\n | .........^",
        ),
        (
            "self.int.startsWith('a')",
            "ERROR: <input>:1:20: found no matching overload for 'startsWith' applied to 'int.(string)'\n | self.int.startsWith('a')\n | ...................^",
        ),
        (
            "self.inner == self.other",
            "ERROR: <input>:1:12: found no matching overload for '_==_' applied to '(selfType0.inner, selfType0.other)'\n | self.inner == self.other\n | ...........^",
        ),
        (
            "self.flag &&\n\tself.text",
            "ERROR: <input>:2:6: expected type 'bool' but found 'string'\n |  self.text\n | .....^",
        ),
        (
            "self.list.all(x, x) && self.int.exists(x, true)",
            "ERROR: <input>:1:18: expected type 'bool' but found 'int'\n | self.list.all(x, x) && self.int.exists(x, true)\n | .................^\nERROR: <input>:1:28: expression of type 'int' cannot be range of a comprehension (must be list, map, or dynamic)\n | self.list.all(x, x) && self.int.exists(x, true)\n | ...........................^",
        ),
        (
            "'ä' == 1",
            "ERROR: <input>:1:5: found no matching overload for '_==_' applied to '(string, int)'\n | 'ä' == 1\n | .．..^",
        ),
        (
            "[1, 'a'].size() == 2",
            "ERROR: <input>:1:5: expected type 'int' but found 'string'\n | [1, 'a'].size() == 2\n | ....^",
        ),
        (
            "duration('x') == self.__for__",
            "ERROR: <input>:1:10: invalid duration argument\n | duration('x') == self.__for__\n | .........^",
        ),
        (
            "'%d'.format(['a']) == ''",
            "ERROR: <input>:1:14: error during formatting: decimal clause can only be used on integers, was given string\n | '%d'.format(['a']) == ''\n | .............^",
        ),
    ] {
        let expected = format!("compilation failed: {expected}");
        assert_eq!(problem(source), expected, "{source}");
    }
    assert_eq!(
        problem("self.int"),
        "cel expression must evaluate to a bool"
    );
    assert_eq!(
        problem("self.either"),
        "cel expression must evaluate to a bool"
    );
    assert!(problem("int('x') == 1").starts_with("program instantiation failed: "));
}

#[test]
fn old_values_may_be_optional() {
    assert!(
        checker(true)
            .check(
                "oldSelf.hasValue() && oldSelf.int.value() == 1",
                Wanted::Bool
            )
            .is_ok_and(|checked| checked.uses_old)
    );
    assert!(
        checker(true)
            .check("oldSelf.int == 1", Wanted::Bool)
            .is_err()
    );
    assert!(
        checker(false)
            .check("oldSelf.hasValue()", Wanted::Bool)
            .is_err()
    );
}

#[test]
fn costs_are_estimated() {
    for (source, expected) in [
        ("true", 0),
        ("self.flag", 2),
        // Two members of two steps; the size of a declared number is not known to cost anything.
        ("self.int == 1", 2),
        ("self.text == self.any", 4 + 4),
        ("self.list.all(x, x > 0)", 2 + 1 + 5 * (2 + 1 + 2)),
        ("self.any.matches('^a+$')", 2 + 314_573),
        ("[1, 2].size() == 2", 10 + 1 + 1),
    ] {
        let checked = checker(false).check(source, Wanted::Bool).unwrap();
        assert_eq!(checked.max_cost, expected, "{source}");
    }
}

#[test]
fn expressions_that_grow_are_refused() {
    let source = format!("optional.of(1){}.hasValue()", ".optMap(x, x)".repeat(40));
    let problem = problem(&source);
    assert!(problem.contains("expression is too large"), "{problem}");
}
