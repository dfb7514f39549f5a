use proptest::prelude::*;
use serde_json::json;

use super::check::Wanted;
use super::*;
use crate::Schema;

/// A checker for what [`run`] evaluates.
fn checker() -> Checker {
    let schema = json!({"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "string"},
        "list": {"type": "array", "items": {"type": "integer"}}, "map": {"type": "object", "additionalProperties": {"type": "string"}}}});
    let schema = Schema::from_crd(&schema).unwrap();
    Checker::new(&Declared::of(schema.view(), true).unwrap(), false)
}

fn run(source: &str) -> Result<String, String> {
    let object = json!({"a": 1, "b": "text", "list": [1, 2, 3], "map": {"x": "1", "y": "2"}, "a-b": true, "if": 1});
    let program = Program::parse(source, &["self"]).map_err(|error| error.to_string())?;
    let scope = Scope::new(vec![("self", Value::of(&object, None))]);
    program
        .evaluate(&scope, &mut Budget::new(100_000))
        .map(|value| value.to_string())
        .map_err(|error| error.to_string())
}

#[test]
fn expressions_have_their_values() {
    for (source, expected) in [
        ("1 + 2 * 3 == 7 && !(2 > 3)", "true"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("7 % 4 - 10 / 3", "0"),
        ("1.5 + 2.5", "4"),
        ("0x10 == 16 && 3u == 3", "true"),
        ("'a' + \"b\" + r'\\n' == 'ab\\\\n'", "true"),
        ("self.a == 1 && self.b == 'text'", "true"),
        ("self.a__dash__b && self.__if__ == 1", "true"),
        ("has(self.a) && !has(self.zz)", "true"),
        ("self.?zz.orValue('none')", "none"),
        ("self.?b.optMap(x, x + '!').orValue('')", "text!"),
        ("self.map[?'x'].hasValue()", "true"),
        ("[1, ?optional.none(), 2].size()", "2"),
        (
            "self.list.all(x, x > 0) && self.list.exists(x, x == 2) && self.list.exists_one(x, x == 3)",
            "true",
        ),
        ("self.list.map(x, x * 2).filter(x, x > 2)", "[4, 6]"),
        ("self.list.map(x, x > 1, x * 2)", "[4, 6]"),
        ("self.map.all(k, self.map[k].matches('^[0-9]$'))", "true"),
        ("self.map.transformList(k, v, k + v)", "[x1, y2]"),
        ("self.list.exists(x, x / 0 == 1 || x == 2)", "true"),
        ("1 / 0 == 1 || true", "true"),
        ("false && 1 / 0 == 1", "false"),
        ("2 in self.list && 'x' in self.map", "true"),
        ("self.list[0] < self.list[1] ? 'yes' : 'no'", "yes"),
        (
            "'hello'.substring(1, 3) + 'a,b'.split(',').join('-')",
            "ela-b",
        ),
        (
            "'%s is %d and %.2f'.format(['x', 3, 1.5])",
            "x is 3 and 1.50",
        ),
        ("'Hello'.lowerAscii().indexOf('l')", "2"),
        (
            "[1, 2, 3].sum() == 6 && [3, 1].min() == 1 && [1, 2].isSorted()",
            "true",
        ),
        (
            "sets.contains([1, 2, 3], [2]) && sets.intersects([1], [1, 2])",
            "true",
        ),
        ("quantity('1Gi').isGreaterThan(quantity('1G'))", "true"),
        ("quantity('100m').add(quantity('900m')).asInteger()", "1"),
        (
            "ip('10.0.0.1').family() == 4 && cidr('10.0.0.0/8').containsIP('10.1.2.3')",
            "true",
        ),
        ("url('https://u@h:8443/p?q=1&q=2').getHostname()", "h"),
        ("url('https://h:8443/p?q=1&q=2').getQuery()['q']", "[1, 2]"),
        ("timestamp('2020-01-02T03:04:05Z').getFullYear()", "2020"),
        ("duration('1h30m') > duration('80m')", "true"),
        (
            "timestamp('2020-01-02T00:00:00Z') + duration('24h')",
            "2020-01-03T00:00:00Z",
        ),
        ("'abc123'.find('[0-9]+')", "123"),
        ("format.dns1123Label().validate('A').hasValue()", "true"),
        ("type(1) == int && type('') == string", "true"),
        ("int('12') + int(3.9) == 15 && string(1) == '1'", "true"),
        ("{'a': 1}.a + {'b': 2}['b']", "3"),
        ("[1, 2] + [3] == [1, 2, 3]", "true"),
        ("size('äö') == 2 // comment", "true"),
        ("dyn(1) == 1.0", "true"),
    ] {
        assert_eq!(run(source).as_deref(), Ok(expected), "{source}");
    }
}

#[test]
fn failures_say_what_is_wrong() {
    for (source, expected) in [
        ("self.zz", "no such key: zz"),
        ("self.list[9]", "index out of bounds: 9"),
        ("1 / 0", "division by zero"),
        ("9223372036854775807 + 1", "integer overflow"),
        ("1 + 'a'", "no such overload"),
        ("!1", "no such overload"),
        ("'a' < 1", "no such overload"),
        ("nope", "undeclared reference to 'nope'"),
        ("nope(1)", "undeclared reference to 'nope'"),
        ("1 +", "Syntax error: mismatched input '<EOF>'"),
        ("has(self)", "invalid argument to has() macro"),
        ("'x", "unterminated string"),
        ("self.list.all(1, true)", "argument must be a simple name"),
    ] {
        let error = run(source).unwrap_err();
        assert!(error.contains(expected), "{source}: {error}");
    }
}

#[test]
fn evaluation_is_bounded() {
    let nested = "[1,2,3,4,5,6,7,8,9,0]";
    let source = format!(
        "{nested}.all(a, {nested}.all(b, {nested}.all(c, {nested}.all(d, {nested}.all(e, a >= 0)))))"
    );
    assert_eq!(
        run(&source),
        Err("operation cancelled: actual cost limit exceeded".to_owned())
    );
    let grow = "self.list.map(x, 'aaaaaaaaaa').join().replace('a', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa').replace('a', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa').replace('a', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa').replace('a', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa').size()";
    assert!(run(grow).is_err());
}

/// Runs hostile expressions on half the stack of a runtime's thread.
#[test]
fn no_expression_needs_much_stack() {
    let wrapped = |open: &str, close: &str, levels: usize| {
        format!("{}1{}", open.repeat(levels), close.repeat(levels))
    };
    let mut sources = vec![
        "(".repeat(5000),
        "[".repeat(5000),
        "{1:".repeat(5000),
        "-".repeat(5000),
        "1 ? 1 : ".repeat(5000),
        format!("{}1", "!".repeat(5000)),
        vec!["1"; 5000].join(" + "),
        format!("self{}", ".a".repeat(5000)),
        format!("self{}", "[0]".repeat(5000)),
    ];
    let chain = " + 1".repeat(150);
    for levels in [10, 40, 47, 48, 100] {
        sources.push(wrapped("(", ")", levels));
        sources.push(wrapped("(", &format!("{chain})"), levels));
        sources.push(wrapped("1 + 1 * [", "][0]", levels));
        sources.push(wrapped(
            "true || true && 1 == 1 + 1 * -size([{1: ",
            "}])",
            levels,
        ));
        sources.push(wrapped("[1].map(x, ", ")", levels));
        sources.push(wrapped("[1].all(x, x > 0 && ", " == 1)", levels));
        sources.push(wrapped("optional.of(1).optMap(x, ", ")", levels));
        sources.push(wrapped("true ? false ? 1 : 2 : ", "", levels));
        sources.push(wrapped("'a'.replace(string(", "), 'b')", levels));
    }
    sources.push(format!("1{}", " + 1".repeat(150)));
    let small = std::thread::Builder::new().stack_size(1024 * 1024);
    let outcomes = small
        .spawn(move || {
            let checker = checker();
            let outcomes = sources.iter().map(|source| {
                // Neither does telling its type and cost.
                let _ = checker.check(source, Wanted::Bool);
                run(source)
            });
            outcomes.filter(Result::is_ok).count()
        })
        .unwrap()
        .join()
        .unwrap();
    // Some of them are no worse than what people write.
    assert!(outcomes > 10, "{outcomes}");
}

#[test]
fn long_chains_of_conditions_are_expressions() {
    let any = (0..2000)
        .map(|n| format!("self.a == {n}"))
        .collect::<Vec<_>>()
        .join(" || ");
    assert_eq!(run(&any).as_deref(), Ok("true"));
    let all = vec!["self.a == 1"; 2000].join(" && ");
    assert_eq!(run(&all).as_deref(), Ok("true"));
    assert_eq!(
        run(&format!("{all} && self.a == 2")).as_deref(),
        Ok("false")
    );
}

proptest! {
    #[test]
    fn any_text_is_parsed_or_refused(source in "[a-z0-9 .,?:()\\[\\]{}'\"!&|<>=+*/%-]{0,40}") {
        let _ = run(&source);
        let _ = checker().check(&source, Wanted::Bool);
    }
}

#[test]
fn what_is_packed_is_a_value() {
    let any = |name: &str, bytes: &str| {
        run(&format!(
            "google.protobuf.Any{{type_url: 'type.googleapis.com/google.protobuf.{name}', value: b'{bytes}'}}"
        ))
    };
    for (name, bytes, expected) in [
        ("Int64Value", "\\x08\\x05", "5"),
        (
            "Int32Value",
            "\\x08\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\x01",
            "-1",
        ),
        ("BoolValue", "", "false"),
        ("StringValue", "\\x0a\\x02hi", "hi"),
        (
            "DoubleValue",
            "\\x09\\x00\\x00\\x00\\x00\\x00\\x00\\xf8\\x3f",
            "1.5",
        ),
        ("FloatValue", "\\x0d\\x00\\x00\\xc0\\x3f", "1.5"),
        ("Timestamp", "\\x08\\x01", "1970-01-01T00:00:01Z"),
        (
            "ListValue",
            "\\x0a\\x02\\x20\\x01\\x0a\\x03\\x1a\\x01a",
            "[true, a]",
        ),
        (
            "Struct",
            "\\x0a\\x08\\x0a\\x01k\\x12\\x03\\x1a\\x01v",
            "{k: v}",
        ),
        // A field of another kind is none.
        ("Int64Value", "\\x0a\\x01a", "0"),
    ] {
        assert_eq!(any(name, bytes).as_deref(), Ok(expected), "{name}");
    }
    assert_eq!(
        run(
            "google.protobuf.Any{type_url: 'x/google.protobuf.Any', value: b'\\x0a\\x1a/google.protobuf.BoolValue\\x12\\x02\\x08\\x01'}"
        ),
        Ok("true".to_owned())
    );
    for (name, bytes) in [
        ("Int64Value", "\\x08"),
        ("Nothing", ""),
        ("StringValue", "\\x0a\\x05a"),
    ] {
        assert!(any(name, bytes).unwrap_err().contains("UnmarshalNew"));
    }
}
