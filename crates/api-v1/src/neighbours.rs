//! What the copies know of the objects that an object is tied to: what it owns and applies, and in which state all
//! related objects are.
//!
//! Only copies that are there are looked at, as the peer looks at its own; for single objects those of the kinds that
//! controllers make are made first (`fetch`), for lists where clients rely on it (`fetch_for_lists`).
//!
//! Invariant: nobody learns of an object that they may not see, unless a visible object names it itself.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::cache::{Entry, Held, Key, Slot, applied_key};
use crate::call::Call;
use crate::format::text;
use crate::kind::Kind;
use crate::rights::{Extent, Rights, is_withheld};

/// Related objects that are named; an object that owns more is looked at by its lists.
const MOST: usize = 500;
/// How long a reader of one object waits for copies of what it may own.
const PATIENCE: Duration = Duration::from_millis(500);

/// What objects of a kind usually own or apply.
fn dependents(kind: &Kind) -> &'static [&'static str] {
    match kind.id.as_str() {
        "apps.deployment" => &["apps.replicaset"],
        "apps.replicaset" | "replicationcontroller" | "batch.job" => &["pod"],
        "apps.statefulset" | "apps.daemonset" => &["pod", "apps.controllerrevision"],
        "batch.cronjob" => &["batch.job"],
        "service" => &["discovery.k8s.io.endpointslice"],
        "management.cattle.io.cluster" => &["provisioning.cattle.io.cluster"],
        _ => &[],
    }
}

/// Whether lists and changes of this kind tell of dependents too, whoever looked at those before. The peer's dashboard
/// takes the provisioning cluster of each cluster from there, and shows no cluster at all where one has none
/// (rancher/dashboard v2.15.0, shell/models/management.cattle.io.cluster.js, `provClusterId`).
fn is_told_in_lists(kind: &Kind) -> bool {
    kind.id == "management.cattle.io.cluster"
}

/// Makes the copies that lists of this kind need beside it; they stay as long as they are held.
pub(crate) async fn fetch_for_lists(call: &Call, rights: &Rights, kind: &Kind) -> Vec<Held> {
    if is_told_in_lists(kind) {
        fetch(call, rights, kind).await
    } else {
        Vec::new()
    }
}

/// Makes the copies that tell what an object of this kind owns; they stay as long as they are held. What does not come
/// in time, or is refused, is not told.
pub(crate) async fn fetch(call: &Call, rights: &Rights, kind: &Kind) -> Vec<Held> {
    let mut copies = Vec::new();
    for id in dependents(kind) {
        let fetched = async {
            match call.shared.catalogs.find(&call.cluster, id).await? {
                Some(kind) if kind.is_watchable() && rights.may_somewhere("list", &kind) => {
                    call.shared.caches.get(&call.cluster, &kind).await
                }
                _ => Ok(None),
            }
        };
        match tokio::time::timeout(PATIENCE, fetched).await {
            Ok(Ok(held)) => copies.extend(held),
            Ok(Err(error)) => {
                tracing::debug!(cluster = %call.cluster, kind = id, %error, "related objects are not known");
            }
            Err(_) => {
                tracing::debug!(cluster = %call.cluster, kind = id, "related objects are not known yet");
            }
        }
    }
    copies
}

/// One copy, and what the caller sees of it.
struct Neighbour {
    slot: Arc<Slot>,
    extent: OnceLock<Extent>,
}

impl Neighbour {
    fn sees(&self, rights: &Rights, key: &Key) -> bool {
        self.extent
            .get_or_init(|| rights.extent(&self.slot.kind))
            .contains(key.0.as_deref(), &key.1)
    }
}

/// The copies of a cluster.
pub(crate) struct Neighbours(Vec<Neighbour>);

impl Neighbours {
    /// Those that are there now.
    pub(crate) fn of(call: &Call) -> Self {
        let slots = call.shared.caches.live(&call.cluster);
        Self(
            slots
                .into_iter()
                .filter(|slot| !is_withheld(&slot.kind))
                .map(|slot| Neighbour {
                    slot,
                    extent: OnceLock::new(),
                })
                .collect(),
        )
    }

    /// Adds what is known to `metadata.relationships` of an object that is shown.
    pub(crate) fn complete(
        &self,
        rights: &Rights,
        kind: &Kind,
        entry: &Entry,
        shown: &mut Map<String, Value>,
    ) {
        let Some(metadata) = shown.get_mut("metadata").and_then(Value::as_object_mut) else {
            return;
        };
        let mut found = match metadata.remove("relationships") {
            Some(Value::Array(found)) => found,
            _ => Vec::new(),
        };
        for relation in &mut found {
            self.add_state(rights, relation);
        }
        self.add_dependents(rights, kind, entry, &mut found);
        let relationships = if found.is_empty() {
            Value::Null
        } else {
            Value::Array(found)
        };
        metadata.insert("relationships".to_owned(), relationships);
    }

    /// The state of an object that a relation names.
    fn add_state(&self, rights: &Rights, relation: &mut Value) {
        let (of, at) = if relation.get("toId").is_some() {
            ("/toType", "toId")
        } else {
            ("/fromType", "fromId")
        };
        let Some(neighbour) = self
            .0
            .iter()
            .find(|one| one.slot.kind.id == text(relation, of))
        else {
            return;
        };
        let id = text(relation, &format!("/{at}")).to_owned();
        let (namespace, name) = match id.split_once('/') {
            Some((namespace, name)) => (Some(namespace), name),
            None => (None, id.as_str()),
        };
        // A reference to an owner does not say whether it lies in a namespace.
        let namespace = namespace.filter(|_| neighbour.slot.kind.namespaced);
        let key: Key = (namespace.map(Into::into), name.into());
        if namespace.is_none() {
            relation[at] = json!(name);
        }
        let found = neighbour
            .slot
            .read(|contents| contents.entries.get(&key).cloned());
        if let Some(found) = found.filter(|found| neighbour.sees(rights, &found.key)) {
            describe(&found, relation);
        }
    }

    /// What names this object as its owner, or was applied by it.
    fn add_dependents(&self, rights: &Rights, kind: &Kind, entry: &Entry, found: &mut Vec<Value>) {
        let applied = applied_key(&kind.id, &entry.id);
        for neighbour in &self.0 {
            for (rel, of) in [("owner", &*entry.uid), ("applies", applied.as_str())] {
                let room = MOST.saturating_sub(found.len());
                let dependents = neighbour
                    .slot
                    .read(|contents| contents.dependents(of, room));
                for dependent in dependents {
                    if !neighbour.sees(rights, &dependent.key) {
                        continue;
                    }
                    let mut relation = json!({
                        "rel": rel, "toType": neighbour.slot.kind.id, "toId": &*dependent.id,
                    });
                    describe(&dependent, &mut relation);
                    found.push(relation);
                }
            }
        }
    }
}

/// State and message, as recorded (recorded/http/06, clusters): what is not so is left out.
fn describe(entry: &Entry, relation: &mut Value) {
    relation["state"] = json!(&*entry.state.name);
    if !entry.message.is_empty() {
        relation["message"] = json!(entry.message);
    }
    if entry.state.error {
        relation["error"] = json!(true);
    }
    if entry.state.transitioning {
        relation["transitioning"] = json!(true);
    }
}
