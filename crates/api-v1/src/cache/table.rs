//! Objects as a cluster answers them: rows of a Table, with the cells of its columns.

use std::borrow::Cow;
use std::fmt;

use drover_types::lean;
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{Deserializer as _, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::Entry;
use crate::cells::{Column, cells};
use crate::format;
use crate::kind::Kind;

/// A Table, or a list of all its pages, read.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    /// Those of the Table, or those that were known before where it names none.
    pub(crate) columns: Vec<Column>,
    pub(crate) entries: Vec<Entry>,
    pub(crate) revision: u64,
}

impl Rows {
    /// Adds those of the page after these.
    pub(super) fn append(&mut self, mut page: Self) {
        if !page.columns.is_empty() {
            self.columns = page.columns;
        }
        self.entries.append(&mut page.entries);
        self.revision = self.revision.max(page.revision);
    }

    /// Bytes of all entries.
    pub(super) fn size(&self) -> usize {
        self.entries.iter().map(Entry::size).sum()
    }
}

/// A Table, or the list or object of a server that knows no Tables for its kind.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'t> {
    #[serde(borrow, default)]
    kind: Cow<'t, str>,
    #[serde(default)]
    metadata: Metadata,
    #[serde(default)]
    column_definitions: Option<Vec<Value>>,
    #[serde(borrow, default)]
    rows: Option<Vec<Row<'t>>>,
    #[serde(borrow, default)]
    items: Option<Vec<&'t RawValue>>,
}

/// What a list says of itself.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Metadata {
    resource_version: String,
    #[serde(rename = "continue")]
    place: String,
}

impl Metadata {
    /// That of a list whose items were taken out.
    ///
    /// # Errors
    /// If it is no such list.
    pub(super) fn of_list(text: &[u8]) -> serde_json::Result<Self> {
        #[derive(Deserialize)]
        struct List {
            #[serde(default)]
            metadata: Metadata,
            #[serde(default, rename = "items")]
            _items: Option<[(); 0]>,
        }

        let list: List = serde_json::from_slice(text)?;
        Ok(list.metadata)
    }

    /// 0 if it is no number.
    pub(super) fn revision(&self) -> u64 {
        self.resource_version.parse().unwrap_or_default()
    }

    /// Where the list goes on; empty at its end.
    pub(super) fn place(&self) -> &str {
        &self.place
    }
}

#[derive(Deserialize)]
struct Row<'t> {
    #[serde(default)]
    cells: Vec<Value>,
    #[serde(borrow)]
    object: Option<&'t RawValue>,
}

/// Where a list goes on; empty at its end. What follows the metadata is not looked at: it is megabytes, and the next page
/// is asked for before they are read.
///
/// # Errors
/// If it is no answer.
pub(super) fn place(text: &str) -> serde_json::Result<String> {
    struct Head<'m>(&'m mut Option<Metadata>);

    impl<'de> Visitor<'de> for Head<'_> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
            while let Some(key) = map.next_key::<Cow<'de, str>>()? {
                if key == "metadata" {
                    *self.0 = Some(map.next_value()?);
                    // The rest stays unread, which the caller takes for what it is.
                    return Ok(());
                }
                map.next_value::<IgnoredAny>()?;
            }
            Ok(())
        }
    }

    let mut metadata = None;
    let read = serde_json::Deserializer::from_str(text).deserialize_map(Head(&mut metadata));
    match (metadata, read) {
        (Some(Metadata { place, .. }), _) => Ok(place),
        (None, read) => read.map(|()| String::new()),
    }
}

/// Reads an answer; in a watch only the first Table need name its columns, which are then `known`.
///
/// # Errors
/// If it is no answer.
pub(crate) fn read(
    kind: &Kind,
    text: &str,
    known: &[Column],
    now: Timestamp,
) -> serde_json::Result<Rows> {
    let answer: Answer<'_> = serde_json::from_str(text)?;
    let revision = answer.metadata.revision();
    if answer.kind != "Table" {
        let entries = match answer.items {
            Some(items) => items
                .into_iter()
                .map(|item| self::item(kind, item.get(), (&[], Vec::new()), now))
                .filter_map(Result::transpose)
                .collect::<Result<_, _>>()?,
            None => item(kind, text, (&[], Vec::new()), now)?
                .into_iter()
                .collect(),
        };
        return Ok(Rows {
            columns: Vec::new(),
            entries,
            revision,
        });
    }
    let columns = columns(answer.column_definitions, known);
    let mut entries = Vec::new();
    for row in answer.rows.into_iter().flatten() {
        let Some(text) = row.object else { continue };
        let object = lean::read(text.get().as_bytes())?;
        let cells = cells(&columns, row.cells, format::created(&object), now);
        entries.extend(Entry::of_text(kind, &object, text.get(), cells, now));
    }
    Ok(Rows {
        columns,
        entries,
        revision,
    })
}

/// A Table without objects: the cells of a list that comes by itself.
#[derive(Debug)]
pub(super) struct Cells {
    pub(super) columns: Vec<Column>,
    /// Those of each object, in the list's order.
    pub(super) rows: std::vec::IntoIter<Vec<Value>>,
    /// Of which revision of the list.
    pub(super) revision: u64,
}

impl Cells {
    /// Reads them; `None` if this is no Table.
    ///
    /// # Errors
    /// If it is no answer.
    pub(super) fn read(text: &str) -> serde_json::Result<Option<Self>> {
        let answer: Answer<'_> = serde_json::from_str(text)?;
        let Some(rows) = answer.rows.filter(|_| answer.kind == "Table") else {
            return Ok(None);
        };
        let rows: Vec<_> = rows.into_iter().map(|row| row.cells).collect();
        Ok(Some(Self {
            columns: columns(answer.column_definitions, &[]),
            rows: rows.into_iter(),
            revision: answer.metadata.revision(),
        }))
    }
}

/// Reads an object of a list, which says what it is only once; `None` if it has no name.
///
/// # Errors
/// If it is no object.
pub(super) fn item(
    kind: &Kind,
    text: &str,
    (columns, row): (&[Column], Vec<Value>),
    now: Timestamp,
) -> serde_json::Result<Option<Entry>> {
    let (object, text) = whole(kind, text)?;
    let cells = cells(columns, row, format::created(&object), now);
    Ok(Entry::of_text(kind, &object, &text, cells, now))
}

fn columns(definitions: Option<Vec<Value>>, known: &[Column]) -> Vec<Column> {
    match definitions {
        Some(definitions) if !definitions.is_empty() => {
            definitions.iter().map(Column::read).collect()
        }
        _ => known.to_vec(),
    }
}

/// An object without its managed fields, and its whole text with what it is.
fn whole<'t>(kind: &Kind, text: &'t str) -> serde_json::Result<(Value, Cow<'t, str>)> {
    let mut object = lean::read(text.as_bytes())?;
    let told = ["apiVersion", "kind"].map(|name| object.get(name).is_some_and(Value::is_string));
    if told == [true, true] {
        return Ok((object, Cow::Borrowed(text)));
    }
    let (version, name) = (Value::from(kind.api_version()), Value::from(&*kind.kind));
    // Written before the rest, which is copied and not written anew.
    let rest = text.trim_start().trim_start_matches('{').trim_start();
    let comma = if rest.starts_with('}') { "" } else { "," };
    let text = format!("{{\"apiVersion\":{version},\"kind\":{name}{comma}{rest}");
    if let Value::Object(fields) = &mut object {
        fields.insert("apiVersion".to_owned(), version);
        fields.insert("kind".to_owned(), name);
    }
    Ok((object, Cow::Owned(text)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn kind() -> Kind {
        Kind::new("", "v1", "ConfigMap", "configmaps")
    }

    fn read(answer: &Value, known: &[Column]) -> Rows {
        super::read(&kind(), &answer.to_string(), known, Timestamp::UNIX_EPOCH).unwrap()
    }

    #[test]
    fn tables_lists_and_objects_are_read() {
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "resourceVersion": "3",
            "managedFields": [{"manager": "m"}]}});
        let table = json!({"kind": "Table", "metadata": {"resourceVersion": "9", "continue": "here"},
            "columnDefinitions": [{"name": "Name", "type": "string"}],
            "rows": [{"cells": ["a"], "object": object}, {"cells": ["b"], "object": {"metadata": {}}}]});
        let rows = read(&table, &[]);
        assert_eq!((rows.revision, rows.columns.len()), (9, 1));
        let [entry] = rows.entries.as_slice() else {
            unreachable!("{rows:?}")
        };
        assert_eq!(
            (entry.name(), entry.revision, entry.cells.len()),
            ("a", 3, 1)
        );
        assert_eq!(entry.object(), object, "nothing of an object is lost");
        assert_eq!(place(&table.to_string()).unwrap(), "here");
        for (text, expected) in [
            (
                r#"{"kind": "List", "items": [{"metadata": {"continue": "no"}}], "metadata": {"continue": "yes"}}"#,
                "yes",
            ),
            (r#"{"metadata": {"resourceVersion": "1"}, "items": []}"#, ""),
            (r#"{"items": []}"#, ""),
        ] {
            assert_eq!(place(text).unwrap(), expected, "{text}");
        }
        for text in ["", "[]", "{\"metadata\": 5}", "{\"items\": ["] {
            assert!(place(text).is_err(), "{text}");
        }

        let later = json!({"kind": "Table", "columnDefinitions": null, "rows": [{"cells": ["a"], "object": object}]});
        assert_eq!(read(&later, &rows.columns).columns, rows.columns);

        let list = json!({"kind": "ConfigMapList", "items": [{"metadata": {"name": "b"}}]});
        let whole = read(&list, &[]).entries[0].object();
        assert_eq!(
            whole,
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "b"}})
        );
        assert_eq!(read(&object, &[]).entries[0].name(), "a");
        assert!(super::read(&kind(), "{\"rows\":", &[], Timestamp::UNIX_EPOCH).is_err());
        assert!(
            read(&json!({"kind": "Table", "rows": null}), &[])
                .entries
                .is_empty()
        );
    }
}
