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
        Form::Table(_) | Form::Metadata => reshape(resource, shown.value().into_owned(), form, now)
            .to_string()
            .into_bytes(),
    }
}

/// One object as a value in the client's form; a Status has one form only.
pub(crate) fn reshape(resource: &Resource, object: Value, form: Form, now: Timestamp) -> Value {
    match form {
        _ if object["kind"] == "Status" && object["apiVersion"] == "v1" => object,
        Form::Object => object,
        Form::Metadata => table::partial_metadata(object),
        Form::Table(include) => {
            let revision = object["metadata"]["resourceVersion"].clone();
            let columns =
                table::special_columns(&object).unwrap_or_else(|| table::columns(resource));
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

/// A list as its bytes, made a piece at a time.
#[derive(Debug)]
pub(crate) struct ListBytes {
    resource: Arc<Resource>,
    form: Form,
    now: Timestamp,
    head: Option<Vec<u8>>,
    items: std::vec::IntoIter<Shown>,
    first: bool,
    /// How each stored item begins; items of built-in lists carry neither apiVersion nor kind, as Go's typed lists.
    type_meta: Vec<u8>,
    end: &'static [u8],
    finished: bool,
}

impl ListBytes {
    /// About so many bytes per piece: enough for a good write, few enough that others get their turn between two.
    const PIECE: usize = 64 * 1024;

    pub(crate) fn new(
        resource: &Arc<Resource>,
        listed: Listed,
        form: Form,
        now: Timestamp,
    ) -> Self {
        let mut metadata = json!({"resourceVersion": listed.revision.to_string()});
        match &listed.continue_token {
            Some(token) => metadata["continue"] = json!(token),
            // Untyped lists always say whether there is more.
            None if resource.custom && form == Form::Object => metadata["continue"] = json!(""),
            None => {}
        }
        if let Some(remaining) = listed.remaining {
            metadata["remainingItemCount"] = json!(remaining);
        }
        let mut closed = false;
        let (kind, api_version) = match form {
            Form::Object => (&*resource.list_kind, resource.api_version()),
            Form::Metadata => ("PartialObjectMetadataList", "meta.k8s.io/v1".to_owned()),
            Form::Table(_) => ("Table", "meta.k8s.io/v1".to_owned()),
        };
        let mut head = format!(
            "{{\"kind\":{},\"apiVersion\":{},\"metadata\":{metadata},",
            json!(kind),
            json!(api_version)
        );
        match form {
            Form::Object | Form::Metadata => head.push_str("\"items\":["),
            Form::Table(_) => {
                head.push_str(&format!(
                    "\"columnDefinitions\":{},\"rows\":",
                    json!(table::columns(resource))
                ));
                // What prints nothing of its own begins its rows with the first.
                let nothing = listed.items.is_empty() && !table::has_printer(resource);
                head.push_str(if nothing { "null" } else { "[" });
                closed = nothing;
            }
        }
        let type_meta = format!(
            "{{\"apiVersion\":{},\"kind\":{},",
            json!(resource.api_version()),
            json!(&*resource.kind)
        );
        Self {
            resource: Arc::clone(resource),
            form,
            now,
            head: Some(head.into_bytes()),
            items: listed.items.into_iter(),
            first: true,
            type_meta: type_meta.into_bytes(),
            end: if closed { b"}" } else { b"]}" },
            finished: false,
        }
    }

    /// About the bytes that are left, of objects as they are stored.
    pub(crate) fn size(&self) -> usize {
        self.items
            .as_slice()
            .iter()
            .map(|item| item.stored().bytes().len() + 1)
            .sum()
    }

    /// All of it at once.
    pub(crate) fn whole(mut self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.size() + 512);
        self.write(&mut out, usize::MAX);
        out
    }

    fn write(&mut self, out: &mut Vec<u8>, enough: usize) {
        if let Some(head) = self.head.take() {
            out.extend_from_slice(&head);
        }
        while out.len() < enough {
            let Some(item) = self.items.next() else {
                out.extend_from_slice(self.end);
                self.finished = true;
                return;
            };
            if !std::mem::take(&mut self.first) {
                out.push(b',');
            }
            self.item(out, item);
        }
    }

    fn item(&self, out: &mut Vec<u8>, item: Shown) {
        let value = match (self.form, item) {
            (Form::Object, Shown::Stored(stored)) => {
                match stored.bytes().strip_prefix(self.type_meta.as_slice()) {
                    Some(rest) if !self.resource.custom => {
                        out.push(b'{');
                        out.extend_from_slice(rest);
                    }
                    Some(_) | None => out.extend_from_slice(stored.bytes()),
                }
                return;
            }
            (Form::Object, Shown::Value(_, mut value)) => {
                if let (false, Some(map)) = (self.resource.custom, value.as_object_mut()) {
                    map.remove("apiVersion");
                    map.remove("kind");
                }
                value
            }
            (Form::Metadata, item) => table::partial_metadata(item.into_value()),
            (Form::Table(include), item) => {
                table::row(&self.resource, item.into_value(), include, self.now)
            }
        };
        out.extend_from_slice(value.to_string().as_bytes());
    }
}

impl Iterator for ListBytes {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        if self.finished {
            return None;
        }
        let mut out = Vec::with_capacity(Self::PIECE + Self::PIECE / 4);
        self.write(&mut out, Self::PIECE);
        Some(out)
    }
}

/// The bytes of a list.
pub(crate) fn list(
    resource: &Arc<Resource>,
    listed: Listed,
    form: Form,
    now: Timestamp,
) -> Vec<u8> {
    ListBytes::new(resource, listed, form, now).whole()
}
