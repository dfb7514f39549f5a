//! Values in JSON by paths such as `spec/replicas`.

use serde_json::Value;

use crate::mapping;

/// The value at a path.
pub(crate) fn at<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('/')
        .try_fold(value, |value, step| value.get(step))
}

/// Sets the value at a path, making objects on the way; null removes.
pub(crate) fn put(into: &mut Value, path: &str, value: Value) {
    let steps: Vec<_> = path.split('/').map(|step| step.to_owned().into()).collect();
    mapping::place(into, &steps, value);
}

/// Copies what is there, and does nothing else.
pub(crate) fn copy(from: &Value, source: &str, into: &mut Value, target: &str) {
    if let Some(value) = at(from, source).filter(|value| !value.is_null()) {
        put(into, target, value.clone());
    }
}
