//! An object on its way into the store: its JSON, with a gap where the revision goes.
//!
//! Stored JSON always begins `{"apiVersion":"…","kind":"…","metadata":{"resourceVersion":"…"`, so that the revision and
//! the version can be put in without parsing.

use serde_json::{Map, Value};

/// The bytes before and after the revision.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    head: Vec<u8>,
    tail: Vec<u8>,
    mark: u64,
}

/// A value that is no object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a Kubernetes object: apiVersion, kind or metadata is missing")]
pub(crate) struct NoObject;

impl Draft {
    /// Serialises an object. `mark` names the schema it was written under. Its resourceVersion is ignored.
    pub(crate) fn new(object: &Value, mark: u64) -> Result<Self, NoObject> {
        let map = object.as_object().ok_or(NoObject)?;
        let (
            Some(Value::String(api_version)),
            Some(Value::String(kind)),
            Some(Value::Object(metadata)),
        ) = (map.get("apiVersion"), map.get("kind"), map.get("metadata"))
        else {
            return Err(NoObject);
        };
        let mut head = Vec::with_capacity(96);
        head.extend_from_slice(b"{\"apiVersion\":");
        string(&mut head, api_version);
        head.extend_from_slice(b",\"kind\":");
        string(&mut head, kind);
        head.extend_from_slice(b",\"metadata\":{\"resourceVersion\":\"");
        let mut tail = Vec::with_capacity(1024);
        tail.push(b'"');
        members(&mut tail, metadata, &["resourceVersion"]);
        tail.push(b'}');
        members(&mut tail, map, &["apiVersion", "kind", "metadata"]);
        tail.push(b'}');
        Ok(Self { head, tail, mark })
    }

    /// About the size of the stored object.
    pub(crate) fn len(&self) -> usize {
        self.head.len() + self.tail.len() + 8
    }

    pub(crate) fn mark(&self) -> u64 {
        self.mark
    }

    /// The object at a revision.
    pub(crate) fn finish(&self, revision: u64) -> Box<[u8]> {
        let revision = revision.to_string();
        let mut bytes = Vec::with_capacity(self.head.len() + revision.len() + self.tail.len());
        bytes.extend_from_slice(&self.head);
        bytes.extend_from_slice(revision.as_bytes());
        bytes.extend_from_slice(&self.tail);
        bytes.into_boxed_slice()
    }

    /// Whether `bytes` are this object at `revision`.
    pub(crate) fn same(&self, bytes: &[u8], revision: u64) -> bool {
        bytes
            .strip_prefix(self.head.as_slice())
            .and_then(|rest| rest.strip_suffix(self.tail.as_slice()))
            .is_some_and(|middle| middle == revision.to_string().as_bytes())
    }
}

fn members(out: &mut Vec<u8>, map: &Map<String, Value>, without: &[&str]) {
    for (key, value) in map {
        if without.contains(&key.as_str()) {
            continue;
        }
        out.push(b',');
        string(out, key);
        out.push(b':');
        write(out, value);
    }
}

fn string(out: &mut Vec<u8>, text: &str) {
    write(out, &text);
}

fn write<T: serde::Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    // Neither a Vec as the sink nor string keys can fail.
    if let Err(error) = serde_json::to_writer(out, value) {
        unreachable!("JSON into memory: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_finished_draft_is_the_object_at_its_revision() {
        let object = json!({"spec": {"a": [1, "x"]}, "kind": "T", "apiVersion": "g/v1",
            "metadata": {"name": "n", "resourceVersion": "old", "labels": {"a": "b"}}});
        let draft = Draft::new(&object, 0).unwrap();
        let bytes = draft.finish(42);
        let mut expected = object;
        expected["metadata"]["resourceVersion"] = json!("42");
        assert_eq!(serde_json::from_slice::<Value>(&bytes).unwrap(), expected);
        assert!(draft.same(&bytes, 42));
        assert!(!draft.same(&bytes, 43));
        assert!(!draft.same(&bytes, 4));
        assert!(!draft.same(&bytes[..bytes.len() - 1], 42));
        assert_eq!(Draft::new(&json!({"kind": "T"}), 0).unwrap_err(), NoObject);
    }
}
