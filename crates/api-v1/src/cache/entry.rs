//! One object of a copy: its bytes, and what lists ask about it, read once.

use std::borrow::Cow;

use drover_types::lean;
use jiff::Timestamp;
use serde_json::Value;

use crate::cells::Cell;
use crate::fields::{Field, Kept, keep};
use crate::format;
use crate::kind::{Kind, object_id};
use crate::query::filter::Seen;
use crate::relate::applier;

/// What an entry needs beside its bytes, with its place in the orders that are kept, about.
const OVERHEAD: usize = 416;

/// What each dependence needs, here and in the index of the copy, about.
const DEPENDENCE: usize = 100;
/// What most objects' states say.
const USUAL: [&str; 4] = [
    "",
    "Resource is current",
    "Resource is always ready",
    "Resource is Ready",
];

fn interned(message: String) -> Cow<'static, str> {
    match USUAL.iter().find(|usual| **usual == message) {
        Some(usual) => Cow::Borrowed(usual),
        None => Cow::Owned(message),
    }
}

/// The key under which what an object applied is found.
pub(crate) fn applied_key(kind: &str, id: &str) -> String {
    format!("{kind} {id}")
}

fn depends_on(object: &Value) -> Box<[Box<str>]> {
    let owners = object
        .pointer("/metadata/ownerReferences")
        .and_then(Value::as_array);
    owners
        .into_iter()
        .flatten()
        .map(|owner| format::text(owner, "/uid"))
        .filter(|uid| !uid.is_empty())
        .map(Into::into)
        .chain(applier(object).map(|(kind, id)| applied_key(&kind, &id).into()))
        .collect()
}

/// Namespace and name.
pub(crate) type Key = (Option<Box<str>>, Box<str>);

/// One object.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: Key,
    pub(crate) id: Box<str>,
    pub(crate) uid: Box<str>,
    /// Its resourceVersion; 0 if that is no number.
    pub(crate) revision: u64,
    pub(crate) cells: Box<[Cell]>,
    /// As the object says it; in one form, so that its texts are in order of time.
    created: Box<str>,
    pub(crate) state: State,
    /// What the state says in words.
    pub(crate) message: Cow<'static, str>,
    /// Whose dependent it is: uids of owners, and who applied it.
    depends_on: Box<[Box<str>]>,
    labels: Box<[(Box<str>, Box<str>)]>,
    own: Box<[Kept]>,
    object: Box<[u8]>,
}

/// The state as it was when the object came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) name: Box<str>,
    pub(crate) error: bool,
    pub(crate) transitioning: bool,
}

impl Entry {
    /// Takes an object; `None` if it has no name.
    pub(crate) fn new(
        kind: &Kind,
        object: &Value,
        cells: Vec<Cell>,
        now: Timestamp,
    ) -> Option<Self> {
        Self::of_text(kind, object, &object.to_string(), cells, now)
    }

    /// Takes an object as it was written, and what was read of it; `None` if it has no name.
    pub(super) fn of_text(
        kind: &Kind,
        object: &Value,
        text: &str,
        cells: Vec<Cell>,
        now: Timestamp,
    ) -> Option<Self> {
        let name = format::name(object);
        if name.is_empty() {
            return None;
        }
        let namespace = format::namespace(object);
        let summary = format::state(object, now);
        let labels = object
            .pointer("/metadata/labels")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .map(|(key, value)| {
                let value = value.as_str().unwrap_or_default();
                (key.as_str().into(), value.into())
            })
            .collect();
        Some(Self {
            key: (namespace.map(Into::into), name.into()),
            id: object_id(namespace, name).into(),
            uid: format::text(object, "/metadata/uid").into(),
            revision: format::text(object, "/metadata/resourceVersion")
                .parse()
                .unwrap_or_default(),
            cells: cells.into(),
            created: format::text(object, "/metadata/creationTimestamp").into(),
            state: State {
                name: summary.state.clone().into(),
                error: summary.error,
                transitioning: summary.transitioning,
            },
            message: interned(summary.message()),
            depends_on: depends_on(object),
            labels,
            own: keep(kind, object),
            object: text.as_bytes().into(),
        })
    }

    pub(crate) fn namespace(&self) -> Option<&str> {
        self.key.0.as_deref()
    }

    pub(crate) fn name(&self) -> &str {
        &self.key.1
    }

    /// The object, read anew.
    pub(crate) fn object(&self) -> Value {
        // It was read before.
        serde_json::from_slice(&self.object).unwrap_or_default()
    }

    /// The object without who manages its fields.
    pub(crate) fn lean(&self) -> Value {
        lean::read(&self.object).unwrap_or_default()
    }

    pub(crate) fn size(&self) -> usize {
        let dependence = self.depends_on.len() * DEPENDENCE;
        self.object.len() + OVERHEAD + dependence + self.message.len()
    }

    /// Keys under which it is found as a dependent.
    pub(crate) fn depends_on(&self) -> impl Iterator<Item = &str> {
        self.depends_on.iter().map(|key| &**key)
    }

    pub(crate) fn label(&self, key: &str) -> Option<&str> {
        self.labels()
            .find_map(|(known, value)| (known == key).then_some(value))
    }

    pub(crate) fn labels(&self) -> impl Iterator<Item = (&str, &str)> {
        self.labels.iter().map(|(key, value)| (&**key, &**value))
    }

    /// Values of the kind's own fields.
    pub(crate) fn own(&self) -> &[Kept] {
        &self.own
    }

    /// The same, knowing values of own fields, by their places, that do not stand in the object.
    pub(crate) fn knowing(&self, values: [(usize, Kept); 2]) -> Self {
        let mut known = self.clone();
        for (at, value) in values {
            if let Some(kept) = known.own.get_mut(at) {
                *kept = value;
            }
        }
        known
    }

    /// The value of a field.
    pub(crate) fn seen(&self, field: &Field) -> Seen<'_> {
        match field {
            Field::Id => Seen::Text(Cow::Borrowed(&self.id)),
            Field::Name => Seen::Text(Cow::Borrowed(self.name())),
            Field::Namespace => self
                .namespace()
                .map_or(Seen::Missing, |text| Seen::Text(Cow::Borrowed(text))),
            Field::Created if self.created.is_empty() => Seen::Missing,
            Field::Created => Seen::Text(Cow::Borrowed(&self.created)),
            Field::State => Seen::Text(Cow::Borrowed(&self.state.name)),
            Field::Message => Seen::Text(Cow::Borrowed(&self.message)),
            Field::Error => Seen::Text(Cow::Owned(self.state.error.to_string())),
            Field::Transitioning => Seen::Text(Cow::Owned(self.state.transitioning.to_string())),
            Field::CellPart(at, part) => self
                .cells
                .get(*at)
                .and_then(|cell| cell.part(*part))
                .map_or(Seen::Missing, Seen::Number),
            Field::Cell(at) => self.cells.get(*at).map_or(Seen::Missing, seen_cell),
            Field::Label(key) => self
                .label(key)
                .map_or(Seen::Missing, |text| Seen::Text(Cow::Borrowed(text))),
            Field::Own(at) => match self.own.get(*at) {
                None | Some(Kept::Missing) => Seen::Missing,
                Some(Kept::Text(text)) => Seen::Text(Cow::Borrowed(text)),
                Some(Kept::Number(number)) => Seen::Number(*number),
                Some(Kept::Many(values)) => Seen::Many(values),
            },
        }
    }
}

fn seen_cell(cell: &Cell) -> Seen<'_> {
    match cell {
        Cell::Value(Value::Null) => Seen::Missing,
        Cell::Value(Value::String(text)) => Seen::Text(Cow::Borrowed(text)),
        Cell::Value(Value::Number(number)) => number.as_f64().map_or(Seen::Missing, Seen::Number),
        Cell::Value(other) => Seen::Text(Cow::Owned(other.to_string())),
        #[expect(
            clippy::cast_precision_loss,
            reason = "milliseconds since 1970 are far below 2^53"
        )]
        Cell::Since(at) => Seen::Number(at.as_millisecond() as f64),
    }
}
