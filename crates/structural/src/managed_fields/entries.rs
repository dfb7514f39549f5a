//! The entries of `metadata.managedFields`, parsed.

use std::cmp::Ordering;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{ANCIENT_CHANGES, MAX_UPDATE_ENTRIES, Request};
use crate::field_set::FieldSet;

/// How a manager came by its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Operation {
    Apply,
    Update,
}

impl Operation {
    const fn name(self) -> &'static str {
        match self {
            Self::Apply => "Apply",
            Self::Update => "Update",
        }
    }
}

/// One entry: a manager and its fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) manager: String,
    pub(super) operation: Operation,
    pub(super) api_version: String,
    pub(super) subresource: String,
    pub(super) time: Option<Timestamp>,
    pub(super) fields: FieldSet,
}

impl Entry {
    /// Whether both are the same manager: appliers are one whatever the version they use.
    fn is(
        &self,
        manager: &str,
        operation: Operation,
        api_version: &str,
        subresource: &str,
    ) -> bool {
        self.manager == manager
            && self.operation == operation
            && self.subresource == subresource
            && (operation == Operation::Apply || self.api_version == api_version)
    }

    /// Orders managers as the server orders the keys it makes of them.
    pub(super) fn identifier(&self) -> String {
        // The members of the real server's keys, in the order in which Go writes them.
        let member = |name: &str, value: &str| {
            if value.is_empty() {
                String::new()
            } else {
                format!(",{name:?}:{}", Value::from(value))
            }
        };
        let version = if self.operation == Operation::Apply {
            ""
        } else {
            &self.api_version
        };
        let members = [
            member("manager", &self.manager),
            member("operation", self.operation.name()),
            member("apiVersion", version),
            member("subresource", &self.subresource),
        ];
        format!("{}}}", members.concat())
    }

    fn to_value(&self) -> Value {
        let mut entry = Map::new();
        if !self.manager.is_empty() {
            entry.insert("manager".to_owned(), Value::from(self.manager.as_str()));
        }
        entry.insert("operation".to_owned(), Value::from(self.operation.name()));
        entry.insert(
            "apiVersion".to_owned(),
            Value::from(self.api_version.as_str()),
        );
        if let Some(time) = self.time {
            entry.insert("time".to_owned(), Value::from(time_text(time)));
        }
        entry.insert("fieldsType".to_owned(), Value::from("FieldsV1"));
        entry.insert("fieldsV1".to_owned(), self.fields.to_value());
        if !self.subresource.is_empty() {
            entry.insert(
                "subresource".to_owned(),
                Value::from(self.subresource.as_str()),
            );
        }
        Value::Object(entry)
    }
}

/// A time as objects carry it: UTC, whole seconds.
fn time_text(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// All entries of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Entries(pub(super) Vec<Entry>);

impl Entries {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Parses `metadata.managedFields`. A manager that occurs twice keeps its last entry.
    pub(super) fn parse(managed: &Value) -> Result<Self, String> {
        let list = match managed {
            Value::Null => return Ok(Self::default()),
            Value::Array(list) => list,
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
                return Err("managedFields must be a list".to_owned());
            }
        };
        let mut entries = Self::default();
        for (index, value) in list.iter().enumerate() {
            let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default();
            let operation = match text("operation") {
                "Apply" => Operation::Apply,
                "Update" => Operation::Update,
                _ => return Err("operation must be `Apply` or `Update`".to_owned()),
            };
            if text("apiVersion").is_empty() {
                return Err("apiVersion must not be empty".to_owned());
            }
            match text("fieldsType") {
                "FieldsV1" => {}
                "" => {
                    return Err(format!(
                        "missing fieldsType in managed fields entry {index}"
                    ));
                }
                other => {
                    return Err(format!(
                        "invalid fieldsType {other:?} in managed fields entry {index}"
                    ));
                }
            }
            let fields = match value.get("fieldsV1") {
                None | Some(Value::Null) => FieldSet::new(),
                Some(fields) => FieldSet::parse(fields)
                    .map_err(|error| format!("error decoding set: {error}"))?,
            };
            let entry = Entry {
                manager: text("manager").to_owned(),
                operation,
                api_version: text("apiVersion").to_owned(),
                subresource: text("subresource").to_owned(),
                time: text("time").parse().ok(),
                fields,
            };
            match entries.position(
                &entry.manager,
                operation,
                &entry.api_version,
                &entry.subresource,
            ) {
                Some(place) => entries.0[place] = entry,
                None => entries.0.push(entry),
            }
        }
        Ok(entries)
    }

    /// `metadata.managedFields`; `None` if nobody owns anything.
    pub(super) fn to_value(&self) -> Option<Value> {
        let mut sorted: Vec<&Entry> = self.0.iter().collect();
        sorted.sort_by(|a, b| wire_order(a, b));
        (!sorted.is_empty()).then(|| sorted.into_iter().map(Entry::to_value).collect())
    }

    fn position(
        &self,
        manager: &str,
        operation: Operation,
        api_version: &str,
        subresource: &str,
    ) -> Option<usize> {
        self.0
            .iter()
            .position(|entry| entry.is(manager, operation, api_version, subresource))
    }

    /// The place of the entry of whoever makes `request`.
    pub(super) fn of(&self, request: &Request<'_>, operation: Operation) -> Option<usize> {
        self.position(
            manager_name(request),
            operation,
            request.api_version,
            request.subresource,
        )
    }

    /// Sets the time of whoever makes `request`.
    pub(super) fn touch(&mut self, request: &Request<'_>, operation: Operation) {
        if let Some(place) = self.of(request, operation) {
            self.0[place].time = Some(request.now);
        }
    }

    /// Replaces the fields of whoever makes `request`; without fields the entry goes.
    pub(super) fn set(&mut self, request: &Request<'_>, operation: Operation, fields: FieldSet) {
        match self.of(request, operation) {
            Some(place) => {
                self.0[place].api_version = request.api_version.to_owned();
                self.0[place].fields = fields;
            }
            None => self.0.push(Entry {
                manager: manager_name(request).to_owned(),
                operation,
                api_version: request.api_version.to_owned(),
                subresource: request.subresource.to_owned(),
                time: None,
                fields,
            }),
        }
    }

    pub(super) fn drop_empty(&mut self) {
        self.0.retain(|entry| !entry.fields.is_empty());
    }

    /// Merges the oldest updaters of each version until there are few enough.
    pub(super) fn cap(&mut self) {
        let mut updaters: Vec<Entry> = Vec::new();
        let mut kept: Vec<Entry> = Vec::new();
        for entry in self.0.drain(..) {
            if entry.operation == Operation::Update {
                updaters.push(entry);
            } else {
                kept.push(entry);
            }
        }
        if updaters.len() > MAX_UPDATE_ENTRIES {
            updaters.sort_by(|a, b| {
                seconds(a.time)
                    .cmp(&seconds(b.time))
                    .then_with(|| a.identifier().cmp(&b.identifier()))
            });
            let mut count = updaters.len();
            let mut place = 0;
            while place < updaters.len() && count > MAX_UPDATE_ENTRIES {
                let first = updaters[..place]
                    .iter()
                    .position(|entry| entry.api_version == updaters[place].api_version);
                let Some(first) = first else {
                    place += 1;
                    continue;
                };
                let merged = updaters.remove(place);
                let bucket = &mut updaters[first];
                ANCIENT_CHANGES.clone_into(&mut bucket.manager);
                bucket.subresource.clear();
                bucket.fields = bucket.fields.union(&merged.fields);
                bucket.time = merged.time;
                count -= 1;
            }
        }
        kept.append(&mut updaters);
        self.0 = kept;
    }
}

fn manager_name<'a>(request: &Request<'a>) -> &'a str {
    if request.manager.is_empty() {
        "unknown"
    } else {
        request.manager
    }
}

fn seconds(time: Option<Timestamp>) -> i64 {
    time.map_or(0, Timestamp::as_second)
}

fn wire_order(a: &Entry, b: &Entry) -> Ordering {
    a.operation
        .cmp(&b.operation)
        .then_with(|| seconds(a.time).cmp(&seconds(b.time)))
        .then_with(|| a.manager.cmp(&b.manager))
        .then_with(|| a.api_version.cmp(&b.api_version))
        .then_with(|| a.subresource.cmp(&b.subresource))
}

/// Whether a client asks for all ownership to be forgotten: an empty list, or a list of one empty entry.
pub(super) fn is_reset(managed: &Value) -> bool {
    managed
        .as_array()
        .is_some_and(|list| list.is_empty() || (list.len() == 1 && list[0] == json!({})))
}
