//! Words of Go that answers of API servers hold.

use serde_json::Value;

/// A text in quotes, as Go's `%q` writes it.
#[must_use]
pub fn quoted(text: &str) -> String {
    crate::error::quote(text)
}

/// What Go's JSON decoder calls a value.
#[must_use]
pub fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
