//! `counts`: how many objects of each type a caller sees.
//!
//! Kinds that are copied are counted with their states and namespaces. Of the
//! others a list of one object tells how many there are; no copy is made for a
//! number.

use std::collections::BTreeMap;

use drover_auth::web::{ApiError, Response};
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use http::StatusCode;
use kube::Client;
use serde_json::{Map, Value, json};

use crate::cache::Entry;
use crate::call::{Answer, Call};
use crate::format::text;
use crate::kind::Kind;
use crate::kubernetes::{METADATA, get};
use crate::list::visible;
use crate::rights::{Extent, Rights};

/// Kinds counted at once.
const AT_ONCE: usize = 8;
/// Objects per request where each has to be looked at.
const PAGE: usize = 1000;

/// A count with what states it is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Tally {
    count: usize,
    states: BTreeMap<String, usize>,
    errors: usize,
    transitioning: usize,
}

impl Tally {
    fn add(&mut self, entry: &Entry) {
        self.count += 1;
        let state = &entry.state;
        if state.error {
            self.errors += 1;
        }
        if state.transitioning {
            self.transitioning += 1;
        }
        // The usual state is not named.
        if *state.name != *"active" {
            *self.states.entry(state.name.to_string()).or_default() += 1;
        }
    }

    fn document(&self) -> Value {
        let mut document = Map::new();
        let mut number = |name: &str, value: usize| {
            if value > 0 {
                document.insert(name.to_owned(), json!(value));
            }
        };
        number("count", self.count);
        number("errors", self.errors);
        number("transitioning", self.transitioning);
        if !self.states.is_empty() {
            document.insert("states".to_owned(), json!(self.states));
        }
        Value::Object(document)
    }
}

/// The counts of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Counted {
    all: Tally,
    namespaces: BTreeMap<String, Tally>,
}

impl Counted {
    fn add(&mut self, entry: &Entry) {
        self.all.add(entry);
        if let Some(namespace) = entry.namespace() {
            self.namespaces
                .entry(namespace.to_owned())
                .or_default()
                .add(entry);
        }
    }

    fn add_plain(&mut self, namespace: &str) {
        self.all.count += 1;
        if !namespace.is_empty() {
            self.namespaces
                .entry(namespace.to_owned())
                .or_default()
                .count += 1;
        }
    }

    fn document(&self) -> Value {
        let mut document = json!({"summary": self.all.document()});
        if !self.namespaces.is_empty() {
            let namespaces: Map<String, Value> = self
                .namespaces
                .iter()
                .map(|(name, tally)| (name.clone(), tally.document()))
                .collect();
            document["namespaces"] = Value::Object(namespaces);
        }
        document
    }
}

/// Answers `/v1/counts`.
pub(crate) async fn answer(call: &Call) -> Answer<Response> {
    let item = item(call, &of(call).await?);
    let collection = json!({
        "type": "collection", "resourceType": "count", "actions": {},
        "links": {"self": call.urls.explorer("/counts")}, "data": [item],
    });
    Ok(call.writer.answer(StatusCode::OK, &collection))
}

/// The one resource of type `count`.
pub(crate) fn item(call: &Call, counts: &Map<String, Value>) -> Value {
    let own = call.urls.explorer("/counts/count");
    json!({"id": "count", "type": "count", "links": {"self": own}, "counts": counts})
}

/// The counts of all types the caller sees.
pub(crate) async fn of(call: &Call) -> Answer<Map<String, Value>> {
    let rights = call.rights().await?;
    let kinds = call.shared.catalogs.kinds(&call.cluster).await?;
    let client = call.whole().await?;
    // Boxed before the first wait, so that the future of a whole watch stays nameable.
    let counting: Vec<BoxFuture<'_, _>> = kinds
        .iter()
        .filter(|kind| rights.may_read(kind) && !kind.is_personal() && kind.has("list"))
        .map(|kind| {
            let (client, rights) = (&client, &rights);
            async move { (kind.id.clone(), count(call, client, rights, kind).await) }.boxed()
        })
        .collect();
    let counted: Vec<_> = futures::stream::iter(counting)
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    Ok(counted
        .into_iter()
        .filter_map(|(id, counted)| match counted {
            Ok(counted) => Some((id, counted.document())),
            Err(error) => {
                tracing::debug!(kind = %id, %error, "a kind is not counted");
                None
            }
        })
        .collect())
}

async fn count(
    call: &Call,
    client: &Client,
    rights: &Rights,
    kind: &Kind,
) -> Result<Counted, ApiError> {
    let extent = rights.extent(kind);
    let mut counted = Counted::default();
    if let Some(held) = call.shared.caches.peek(&call.cluster, kind) {
        held.read(|contents| {
            for entry in visible(&contents.entries, &extent) {
                counted.add(entry);
            }
        });
        return Ok(counted);
    }
    if matches!(extent, Extent::All) {
        let url = format!("{}?limit=1", kind.path(None, None));
        let list = get(client, &url, METADATA).await?;
        let shown = list
            .get("items")
            .and_then(Value::as_array)
            .map_or(0, Vec::len);
        let more = list
            .pointer("/metadata/remainingItemCount")
            .and_then(Value::as_u64);
        let is_whole = text(&list, "/metadata/continue").is_empty();
        if let Some(more) = more.or(is_whole.then_some(0)) {
            counted.all.count = shown + usize::try_from(more).unwrap_or(usize::MAX - shown);
            return Ok(counted);
        }
    }
    let mut token = String::new();
    loop {
        let mut url = format!("{}?limit={PAGE}", kind.path(None, None));
        if !token.is_empty() {
            url.push_str("&continue=");
            url.extend(form_urlencoded::byte_serialize(token.as_bytes()));
        }
        let list = get(client, &url, METADATA).await?;
        let items = list.get("items").and_then(Value::as_array);
        for item in items.into_iter().flatten() {
            let namespace = crate::format::namespace(item);
            if extent.contains(namespace, crate::format::name(item)) {
                counted.add_plain(namespace.unwrap_or_default());
            }
        }
        text(&list, "/metadata/continue").clone_into(&mut token);
        if token.is_empty() {
            return Ok(counted);
        }
    }
}

/// The counts that differ, for a change.
pub(crate) fn changed(
    before: &Map<String, Value>,
    after: &Map<String, Value>,
) -> Map<String, Value> {
    let mut changed: Map<String, Value> = after
        .iter()
        .filter(|(id, count)| before.get(*id) != Some(count))
        .map(|(id, count)| (id.clone(), count.clone()))
        .collect();
    for id in before.keys().filter(|id| !after.contains_key(*id)) {
        changed.insert(id.clone(), json!({"summary": {}}));
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_changed_counts_are_told() {
        let of = |value: Value| match value {
            Value::Object(map) => map,
            _ => Map::new(),
        };
        let before = of(
            json!({"pod": {"summary": {"count": 1}}, "node": {"summary": {"count": 2}}, "gone": {"summary": {"count": 1}}}),
        );
        let after =
            of(json!({"pod": {"summary": {"count": 2}}, "node": {"summary": {"count": 2}}}));
        assert_eq!(
            Value::Object(changed(&before, &after)),
            json!({"pod": {"summary": {"count": 2}}, "gone": {"summary": {}}})
        );
    }

    #[test]
    fn states_and_namespaces_are_counted_as_recorded() {
        let kind = Kind {
            namespaced: true,
            ..Kind::new("", "v1", "Pod", "pods")
        };
        let mut counted = Counted::default();
        assert_eq!(counted.document(), json!({"summary": {}}));
        for (name, conditions) in [
            ("a", json!([])),
            ("b", json!([{"type": "Stalled", "status": "True"}])),
        ] {
            let object = json!({"metadata": {"name": name, "namespace": "n"}, "status": {"conditions": conditions}});
            counted
                .add(&Entry::new(&kind, &object, Vec::new(), jiff::Timestamp::UNIX_EPOCH).unwrap());
        }
        let expected = json!({"count": 2, "errors": 1, "states": {"error": 1}});
        assert_eq!(
            counted.document(),
            json!({"summary": expected, "namespaces": {"n": expected}})
        );
    }
}
