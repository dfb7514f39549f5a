//! JSON patch (RFC 6902), with the API server's limit.

mod go_path;

use json_patch::{
    AddOperation, CopyOperation, PatchError, PatchOperation, ReplaceOperation, TestOperation,
};
use serde_json::Value;

use crate::go::type_name;

/// More operations than this are refused (k8s.io/apiserver `endpoints/handlers/patch.go`).
const MAX_OPERATIONS: usize = 10_000;

/// Most that the copies of one patch may add up to, in bytes of JSON (k8s.io/apiserver `pkg/server/config.go`,
/// `JSONPatchMaxCopyBytes`): a few of them would fill any memory, as each can double the object.
const MAX_COPIED: usize = 3 << 20;

const KINDS: [&str; 6] = ["add", "copy", "move", "remove", "replace", "test"];

/// Why a patch was not applied.
#[derive(Debug, thiserror::Error)]
pub enum JsonPatchError {
    /// Not a list of operations: 400.
    #[error("error decoding patch: json: cannot unmarshal {0}")]
    Malformed(String),
    /// Too many operations: 413.
    #[error("The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {0}")]
    TooLarge(usize),
    /// An operation is none, or does not fit the object: 422. A real server hides the text.
    #[error("{0}")]
    Refused(String),
    /// As `Refused`, for a test that failed.
    #[error("{0}")]
    TestFailed(String),
}

/// Applies `patch` to `target` in place. On error `target` is as it was.
///
/// # Errors
///
/// See [`JsonPatchError`].
pub fn apply(target: &mut Value, patch: &Value) -> Result<(), JsonPatchError> {
    let operations = match patch {
        Value::Array(operations) => operations,
        // No operations at all.
        Value::Null => return Ok(()),
        other => {
            let what = format!(
                "{} into Go value of type []handlers.jsonPatchOp",
                type_name(other)
            );
            return Err(JsonPatchError::Malformed(what));
        }
    };
    operations.iter().try_for_each(check_form)?;
    if operations.len() > MAX_OPERATIONS {
        return Err(JsonPatchError::TooLarge(operations.len()));
    }
    let unknown = operations
        .iter()
        .filter_map(|operation| operation["op"].as_str())
        .find(|kind| !KINDS.contains(kind));
    if let Some(kind) = unknown {
        return Err(JsonPatchError::Refused(format!("Unexpected kind: {kind}")));
    }
    let before = target.clone();
    let mut copied = 0;
    for operation in operations {
        let operation = go_path::rewritten(target, operation);
        let applied = serde_json::from_value(operation)
            .map_err(|error| JsonPatchError::Refused(error.to_string()))
            .and_then(|operation| step(target, operation, &mut copied));
        if let Err(refused) = applied {
            *target = before;
            return Err(refused);
        }
    }
    Ok(())
}

/// How many bytes of JSON an operation copies.
fn copies(target: &Value, operation: &PatchOperation) -> usize {
    let PatchOperation::Copy(CopyOperation { from, .. }) = operation else {
        return 0;
    };
    let mut size = Size(0);
    match from.resolve(target) {
        // A size that cannot be told is too large.
        Ok(value) => serde_json::to_writer(&mut size, value).map_or(usize::MAX, |()| size.0),
        // Refused when it is applied.
        Err(_) => 0,
    }
}

/// Counts what is written.
struct Size(usize);

impl std::io::Write for Size {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Applies one operation. `copied` counts what copies made.
fn step(
    target: &mut Value,
    operation: PatchOperation,
    copied: &mut usize,
) -> Result<(), JsonPatchError> {
    let Some(operation) = lenient(target, operation) else {
        return Ok(());
    };
    *copied = copied.saturating_add(copies(target, &operation));
    if *copied > MAX_COPIED {
        return Err(JsonPatchError::Refused(format!(
            "the copies of the patch add up to more than {MAX_COPIED} bytes"
        )));
    }
    json_patch::patch(target, std::slice::from_ref(&operation))
        .map_err(|error| explained(target, &operation, &error))
}

/// Refuses what is no operation at all.
fn check_form(operation: &Value) -> Result<(), JsonPatchError> {
    let members = match operation {
        Value::Object(members) => members,
        Value::Null => return Ok(()),
        other => {
            let what = format!(
                "{} into Go value of type handlers.jsonPatchOp",
                type_name(other)
            );
            return Err(JsonPatchError::Malformed(what));
        }
    };
    let wrong = ["op", "from", "path"].into_iter().find_map(|name| {
        let value = members.get(name)?;
        (!value.is_string() && !value.is_null()).then(|| (name, type_name(value)))
    });
    wrong.map_or(Ok(()), |(name, kind)| {
        Err(JsonPatchError::Malformed(format!(
            "{kind} into Go struct field jsonPatchOp.{name} of type string"
        )))
    })
}

/// Why an operation was refused, in the words of the library of real servers where those are seen by anybody.
fn explained(target: &Value, operation: &PatchOperation, error: &PatchError) -> JsonPatchError {
    let path = operation.path();
    let parent = path
        .split_back()
        .and_then(|(parent, _)| parent.resolve(target).ok());
    let no_parent = |name: &str| {
        format!("{name} operation does not apply: doc is missing path: \"{path}\": missing value")
    };
    JsonPatchError::Refused(match (operation, parent) {
        (PatchOperation::Test(_), Some(_)) => {
            return JsonPatchError::TestFailed(format!("testing path {path} failed: test failed"));
        }
        (PatchOperation::Add(_), None) => no_parent("add"),
        (PatchOperation::Remove(_), None) => no_parent("remove"),
        (PatchOperation::Replace(_), None) => {
            format!("replace operation does not apply: doc is missing path: {path}: missing value")
        }
        (PatchOperation::Remove(_), Some(Value::Object(_))) => {
            let key = path.last().map(|key| key.decoded().into_owned());
            format!(
                "error in remove for path: '{path}': Unable to remove nonexistent key: {}: missing value",
                key.unwrap_or_default()
            )
        }
        _ => error.to_string(),
    })
}

/// What the library of real servers (github.com/evanphx/json-patch v4) makes of a member that an object does not have:
/// to replace it is to add it, to copy it is to add a null, and it is equal to a null. `None` changes nothing.
fn lenient(target: &Value, operation: PatchOperation) -> Option<PatchOperation> {
    let missing = |path: &json_patch::jsonptr::PointerBuf| {
        let parent = path
            .split_back()
            .and_then(|(parent, _)| parent.resolve(target).ok());
        parent.is_some_and(Value::is_object) && path.resolve(target).is_err()
    };
    Some(match operation {
        PatchOperation::Copy(CopyOperation { from, path }) if missing(&from) => {
            PatchOperation::Add(AddOperation {
                path,
                value: Value::Null,
            })
        }
        PatchOperation::Test(TestOperation { path, value })
            if value.is_null() && missing(&path) =>
        {
            return None;
        }
        PatchOperation::Replace(ReplaceOperation { path, value }) if missing(&path) => {
            PatchOperation::Add(AddOperation { path, value })
        }
        other => other,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::testing::json_without_null;

    #[test]
    fn refused_patches_change_nothing() {
        let mut target = json!({"a": 1});
        let patch = json!([{"op": "add", "path": "/b", "value": 2}, {"op": "test", "path": "/a", "value": 2}]);
        assert!(matches!(
            apply(&mut target, &patch),
            Err(JsonPatchError::TestFailed(_))
        ));
        assert_eq!(target, json!({"a": 1}));
        let unknown = json!([{"op": "jump"}]);
        assert!(matches!(
            apply(&mut target, &unknown),
            Err(JsonPatchError::Refused(_))
        ));
        assert!(matches!(
            apply(&mut target, &json!({})),
            Err(JsonPatchError::Malformed(_))
        ));
        let many = Value::from(vec![
            json!({"op": "test", "path": "/a", "value": 1});
            MAX_OPERATIONS + 1
        ]);
        assert!(matches!(
            apply(&mut target, &many),
            Err(JsonPatchError::TooLarge(10_001))
        ));
    }

    #[test]
    fn copies_do_not_grow_without_end() {
        let mut target = json!({"a": {"text": "x".repeat(1000)}});
        let before = target.clone();
        let doubling: Vec<Value> = (0..40)
            .map(|n| json!({"op": "copy", "from": "/a", "path": format!("/a/{n}")}))
            .collect();
        assert!(matches!(
            apply(&mut target, &json!(doubling)),
            Err(JsonPatchError::Refused(_))
        ));
        assert_eq!(target, before);
        apply(&mut target, &json!(doubling[..10])).unwrap();
    }

    #[test]
    fn members_that_are_missing_are_null() {
        let mut target = json!({"a": {}, "l": []});
        let patch = json!([
            {"op": "copy", "from": "/a/b", "path": "/c"},
            {"op": "test", "path": "/a/b", "value": null},
            {"op": "replace", "path": "/a/d", "value": 1},
        ]);
        apply(&mut target, &patch).unwrap();
        assert_eq!(target, json!({"a": {"d": 1}, "c": null, "l": []}));
        apply(&mut target, &json!(null)).unwrap();
        for refused in [
            json!({"op": "copy", "from": "/x/y", "path": "/c"}),
            json!({"op": "copy", "from": "/l/0", "path": "/c"}),
            json!({"op": "move", "from": "/a/b", "path": "/c"}),
            json!({"op": "test", "path": "/a/b", "value": 1}),
        ] {
            apply(&mut target, &json!([refused])).unwrap_err();
        }
    }

    proptest! {
        #[test]
        fn a_difference_leads_from_one_to_the_other(a in json_without_null(), b in json_without_null()) {
            let patch = serde_json::to_value(json_patch::diff(&a, &b)).unwrap();
            let mut actual = a;
            apply(&mut actual, &patch).unwrap();
            prop_assert_eq!(actual, b);
        }
    }
}
