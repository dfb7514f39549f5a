//! Objects as YAML documents.
//!
//! Owns the text form of the import manifest. Strings are quoted unless they
//! can be nothing but strings, because kubectl reads YAML 1.1, where `on`,
//! `no`, `1_000` and `1:20` are not strings.
//!
//! Invariant: any YAML reader gives back exactly the value that went in; no
//! input can end its scalar or start a document.

use std::fmt::Write as _;

use serde_json::Value;

/// Writes each value as a document of its own.
#[must_use]
pub fn documents(values: &[Value]) -> String {
    let mut out = String::new();
    for value in values {
        out.push_str("---\n");
        if is_scalar(value) {
            scalar(&mut out, value);
            out.push('\n');
        } else {
            block(&mut out, value, 0);
        }
    }
    out
}

fn is_scalar(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

fn block(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Object(map) => {
            for (index, (key, value)) in map.iter().enumerate() {
                if index > 0 || !out.ends_with("- ") {
                    pad(out, indent);
                }
                string(out, key);
                out.push(':');
                entry(out, value, indent);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                if index > 0 || !out.ends_with("- ") {
                    pad(out, indent);
                }
                if is_scalar(value) {
                    out.push_str("- ");
                    scalar(out, value);
                    out.push('\n');
                } else {
                    out.push_str("- ");
                    block(out, value, indent + 2);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            scalar(out, value);
            out.push('\n');
        }
    }
}

fn entry(out: &mut String, value: &Value, indent: usize) {
    if is_scalar(value) {
        out.push(' ');
        scalar(out, value);
        out.push('\n');
        return;
    }
    out.push('\n');
    // Lists stand at the key's own column, as kubectl prints them.
    let deeper = if value.is_array() { indent } else { indent + 2 };
    block(out, value, deeper);
}

fn pad(out: &mut String, indent: usize) {
    out.extend(std::iter::repeat_n(' ', indent));
}

fn scalar(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Number(number) => {
            // Writing into a String cannot fail.
            let _ = write!(out, "{number}");
        }
        Value::String(text) => string(out, text),
        Value::Array(_) => out.push_str("[]"),
        Value::Object(_) => out.push_str("{}"),
    }
}

fn string(out: &mut String, text: &str) {
    if is_plain(text) {
        out.push_str(text);
        return;
    }
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            ' '..='~' => out.push(character),
            // Everything else by number: byte order marks, line separators
            // and the like mean something to some readers.
            other if u32::from(other) <= 0xffff => {
                let _ = write!(out, "\\u{:04x}", u32::from(other));
            }
            other => {
                let _ = write!(out, "\\U{:08x}", u32::from(other));
            }
        }
    }
    out.push('"');
}

/// Whether a string needs no quotes: it starts with a letter, holds only
/// letters, digits and `. _ - /`, and is no word of YAML 1.1.
fn is_plain(text: &str) -> bool {
    const WORDS: [&str; 10] = [
        "y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan",
    ];
    let mut characters = text.chars();
    let Some(first) = characters.next() else {
        return false;
    };
    first.is_ascii_alphabetic()
        && characters.all(|character| {
            character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | '-' | '/')
        })
        && !WORDS.contains(&text.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn words_and_numbers_of_yaml_are_quoted() {
        let value = json!({ "a": ["on", "1:20", "0x1f", "~", "", "-", "plain-text", "a: b", "#x"], "n": {}, "l": [], "b": true });
        let text = documents(&[value]);
        assert_eq!(
            text,
            "---\na:\n- \"on\"\n- \"1:20\"\n- \"0x1f\"\n- \"~\"\n- \"\"\n- \"-\"\n- plain-text\n- \"a: b\"\n- \"#x\"\nb: true\nl: []\n\"n\": {}\n"
        );
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            "[a-z~:#\\-0-9_.\n\" ]{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map("[a-zA-Z0-9:\\- ]{0,6}", inner, 0..5)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(value in value()) {
            let text = documents(std::slice::from_ref(&value));
            let read: Value = serde_saphyr::from_str(&text).map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
            prop_assert_eq!(read, value, "{}", text);
        }
    }
}
