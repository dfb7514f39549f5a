//! Objects and lists as the bytes of an answer: plain, as a Table, or metadata only.
//!
//! Owns the list envelopes. Rows and reduced objects are the table module's.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::read::{Listed, Shown};
use crate::registry::Resource;
use crate::table::{self, IncludeObject};

/// The shape the client asked for in `Accept`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Object,
    Table(IncludeObject),
    Metadata,
}

/// The bytes of one object.
pub(crate) fn object(resource: &Resource, shown: &Shown, form: Form, now: Timestamp) -> Vec<u8> {
    match form {
        Form::Object => shown.bytes().into_owned(),
        Form::Table(_) | Form::Metadata => {
            reshape(resource, shown.value().into_owned(), form, now)
                .to_string()
                .into_bytes()
        }
    }
}

/// One object as a value in the client's form.
pub(crate) fn reshape(resource: &Resource, object: Value, form: Form, now: Timestamp) -> Value {
    match form {
        Form::Object => object,
        Form::Metadata => table::partial_metadata(object),
        Form::Table(include) => {
            let revision = object["metadata"]["resourceVersion"].clone();
            let columns = table::special_columns(&object).unwrap_or_else(|| table::columns(resource));
            json!({
                "kind": "Table",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": {"resourceVersion": revision},
                "columnDefinitions": columns,
                "rows": [table::row(resource, object, include, now)],
            })
        }
    }
}

/// The bytes of a list.
pub(crate) fn list(resource: &Resource, listed: Listed, form: Form, now: Timestamp) -> Vec<u8> {
    let mut metadata = json!({"resourceVersion": listed.revision.to_string()});
    if let Some(token) = &listed.continue_token {
        metadata["continue"] = json!(token);
    }
    if let Some(remaining) = listed.remaining {
        metadata["remainingItemCount"] = json!(remaining);
    }
    match form {
        Form::Object => plain_list(resource, &listed.items, &metadata),
        Form::Metadata => {
            let items: Vec<Value> = listed
                .items
                .into_iter()
                .map(|item| table::partial_metadata(item.into_value()))
                .collect();
            json!({
                "kind": "PartialObjectMetadataList",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": metadata,
                "items": items,
            })
            .to_string()
            .into_bytes()
        }
        Form::Table(include) => {
            let rows: Vec<Value> = listed
                .items
                .into_iter()
                .map(|item| table::row(resource, item.into_value(), include, now))
                .collect();
            json!({
                "kind": "Table",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": metadata,
                "columnDefinitions": table::columns(resource),
                "rows": rows,
            })
            .to_string()
            .into_bytes()
        }
    }
}

/// Joins the items' bytes. Items of built-in lists carry neither apiVersion nor kind, as Go's typed lists.
fn plain_list(resource: &Resource, items: &[Shown], metadata: &Value) -> Vec<u8> {
    let total: usize = items.iter().map(|item| item.stored().bytes().len() + 1).sum();
    let mut out = Vec::with_capacity(total + 256);
    let head = format!(
        "{{\"kind\":{},\"apiVersion\":{},\"metadata\":{metadata},\"items\":[",
        json!(&*resource.list_kind),
        json!(resource.api_version()),
    );
    out.extend_from_slice(head.as_bytes());
    let type_meta = format!(
        "{{\"apiVersion\":{},\"kind\":{},",
        json!(resource.api_version()),
        json!(&*resource.kind),
    );
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        match item {
            Shown::Stored(stored) if resource.custom => out.extend_from_slice(stored.bytes()),
            Shown::Stored(stored) => match stored.bytes().strip_prefix(type_meta.as_bytes()) {
                Some(rest) => {
                    out.push(b'{');
                    out.extend_from_slice(rest);
                }
                None => out.extend_from_slice(stored.bytes()),
            },
            Shown::Value(_, value) => {
                let mut value = value.clone();
                if let (false, Some(map)) = (resource.custom, value.as_object_mut()) {
                    map.remove("apiVersion");
                    map.remove("kind");
                }
                out.extend_from_slice(value.to_string().as_bytes());
            }
        }
    }
    out.extend_from_slice(b"]}");
    out
}

/// A list of objects that are no longer stored.
pub(crate) fn list_of(resource: &Arc<Resource>, revision: u64, items: Vec<Shown>, form: Form, now: Timestamp) -> Vec<u8> {
    list(
        resource,
        Listed {
            revision,
            items,
            continue_token: None,
            remaining: None,
        },
        form,
        now,
    )
}
