//! Removal of objects whose owners are gone, and the two finalizers by which deletion waits for dependents.
//!
//! Owns an index from owner to dependents over all tables, built at start and kept by following the store. Everything it
//! decides it decides again from the store at the moment it acts, with the uid as precondition, so a stale index costs a
//! look and never an object. An owner of a kind this server does not serve is unknown, not gone: its dependents stay.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::registry::Resource;
use crate::rest::delete::{self, FOREGROUND, ORPHAN, delete as delete_object};
use crate::rest::object::{finalizers, is_deleting, meta, metadata_mut, set_finalizers};
use crate::rest::options::Propagation;
use crate::rest::read::show;
use crate::rest::write::{Target, amend};
use crate::rest::{Api, Context};
use crate::status::StatusError;
use crate::store::{EventKind, Key, Range, Stored};

/// Events read from one table at once.
const BATCH: usize = 512;

/// How long until a failed action is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// An object's place in the store.
type Place = (Arc<str>, Key);

#[derive(Debug, Default)]
struct Index {
    /// Up to which revision each table was read.
    read: HashMap<Arc<str>, u64>,
    dependents: HashMap<Box<str>, BTreeSet<Place>>,
    owners: HashMap<Place, Vec<Box<str>>>,
    /// What to look at.
    queue: VecDeque<Place>,
    queued: BTreeSet<Place>,
}

impl Index {
    fn enqueue(&mut self, place: Place) {
        if self.queued.insert(place.clone()) {
            self.queue.push_back(place);
        }
    }

    fn enqueue_dependents(&mut self, uid: &str) {
        let dependents: Vec<Place> = self
            .dependents
            .get(uid)
            .map(|places| places.iter().cloned().collect())
            .unwrap_or_default();
        for place in dependents {
            self.enqueue(place);
        }
    }

    fn forget(&mut self, place: &Place) {
        for uid in self.owners.remove(place).unwrap_or_default() {
            if let Some(places) = self.dependents.get_mut(&uid) {
                places.remove(place);
                if places.is_empty() {
                    self.dependents.remove(&uid);
                }
            }
        }
    }

    /// Takes note of one version of an object. Most have neither owners nor a deletion mark; those are not parsed.
    fn see(&mut self, place: Place, stored: &Stored) {
        let Ok(text) = std::str::from_utf8(stored.bytes()) else {
            return;
        };
        let owned = text.contains("\"ownerReferences\"");
        let known = self.owners.contains_key(&place);
        if !owned && !known && !text.contains("\"deletionTimestamp\"") {
            return;
        }
        let object = stored.value();
        let uids: Vec<Box<str>> = owner_references(&object)
            .iter()
            .filter_map(|owner| owner["uid"].as_str())
            .map(Into::into)
            .collect();
        let held = finalizers(&object);
        if is_deleting(&object) && held.iter().any(|held| matches!(*held, FOREGROUND | ORPHAN)) {
            self.enqueue(place.clone());
            self.enqueue_dependents(meta(&object, "uid"));
        }
        if self.owners.get(&place) != Some(&uids) {
            self.forget(&place);
            if !uids.is_empty() {
                for uid in &uids {
                    self.dependents
                        .entry(uid.clone())
                        .or_default()
                        .insert(place.clone());
                }
                self.owners.insert(place.clone(), uids);
                self.enqueue(place);
            }
        }
    }
}

fn owner_references(object: &Value) -> &[Value] {
    object["metadata"]["ownerReferences"]
        .as_array()
        .map_or(&[], Vec::as_slice)
}

/// Collects until told to stop.
pub(crate) async fn run(api: Arc<Api>, stop: CancellationToken) {
    let mut index = Index::default();
    let mut changes = api.store.subscribe();
    let mut registry = api.registry.subscribe();
    loop {
        changes.mark_unchanged();
        read_changes(&api, &mut index);
        let mut failed = Vec::new();
        while let Some(place) = index.queue.pop_front() {
            if stop.is_cancelled() {
                return;
            }
            index.queued.remove(&place);
            match attend(&api, &mut index, &place).await {
                Ok(()) => {}
                Err(error) if error.is_not_found() => {}
                Err(error) => {
                    tracing::debug!(object = %place.1.as_str(), table = %place.0, %error, "collecting an object failed");
                    failed.push(place);
                }
            }
        }
        let again = !failed.is_empty();
        for place in failed {
            index.enqueue(place);
        }
        tokio::select! {
            () = stop.cancelled() => return,
            changed = changes.changed() => if changed.is_err() { return },
            // A kind that comes may be the owner of something that was left alone.
            changed = registry.changed() => {
                if changed.is_err() {
                    return;
                }
                let places: Vec<Place> = index.owners.keys().cloned().collect();
                for place in places {
                    index.enqueue(place);
                }
            }
            () = tokio::time::sleep(AGAIN), if again => {}
        }
    }
}

fn read_changes(api: &Api, index: &mut Index) {
    let mut tables: BTreeSet<Arc<str>> = api.store.tables().into_iter().collect();
    tables.extend(index.read.keys().cloned());
    for table in tables {
        loop {
            let Some(read) = index.read.get(&table).copied() else {
                scan(api, index, &table);
                break;
            };
            if api.store.table_revision(&table) <= read {
                break;
            }
            let Ok((events, complete)) = api.store.events(&table, read, BATCH) else {
                index.read.remove(&table);
                continue;
            };
            for event in events {
                let place = (Arc::clone(&table), event.key.clone());
                if event.kind == EventKind::Deleted {
                    let object = event.object.value();
                    index.forget(&place);
                    index.enqueue_dependents(meta(&object, "uid"));
                    // An owner that waits for its dependents looks again.
                    for owner in owner_references(&object) {
                        if let Some(place) = place_of_owner(api, owner, event.key.namespace()) {
                            index.enqueue(place);
                        }
                    }
                } else {
                    index.see(place, &event.object);
                }
            }
            index.read.insert(Arc::clone(&table), complete);
        }
    }
}

/// Reads a table whole: at start, and when its history has moved past.
fn scan(api: &Api, index: &mut Index, table: &Arc<str>) {
    let Ok(page) = api.store.list(table, &Range::default()) else {
        return;
    };
    let known: Vec<Place> = index
        .owners
        .keys()
        .filter(|place| place.0 == *table)
        .cloned()
        .collect();
    for place in known {
        index.forget(&place);
    }
    for (key, stored) in &page.items {
        index.see((Arc::clone(table), key.clone()), stored);
    }
    // Deletions may have been missed: every known owner is worth a look.
    let places: Vec<Place> = index.owners.keys().cloned().collect();
    for place in places {
        index.enqueue(place);
    }
    index.read.insert(Arc::clone(table), page.revision);
}

fn resource_of_owner(api: &Api, owner: &Value) -> Option<Arc<Resource>> {
    let api_version = owner["apiVersion"].as_str()?;
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let table = api.registry.table();
    table
        .by_kind(group, version, owner["kind"].as_str()?)
        .cloned()
}

fn place_of_owner(api: &Api, owner: &Value, namespace: &str) -> Option<Place> {
    let resource = resource_of_owner(api, owner)?;
    let namespace = if resource.namespaced { namespace } else { "" };
    Some((
        Arc::clone(&resource.storage),
        Key::new(namespace, owner["name"].as_str()?),
    ))
}

/// What stands behind an owner reference.
enum Owner {
    Solid,
    /// Being deleted and waiting for its dependents.
    Waiting,
    Gone,
    Unknown,
}

fn look_up(api: &Api, owner: &Value, dependent_namespace: &str) -> Owner {
    let Some(resource) = resource_of_owner(api, owner) else {
        return Owner::Unknown;
    };
    if resource.namespaced && dependent_namespace.is_empty() {
        return Owner::Unknown;
    }
    let namespace = if resource.namespaced {
        dependent_namespace
    } else {
        ""
    };
    let name = owner["name"].as_str().unwrap_or_default();
    let Some(stored) = api.store.get(&resource.storage, &Key::new(namespace, name)) else {
        return Owner::Gone;
    };
    let object = stored.value();
    if owner["uid"].as_str() != Some(meta(&object, "uid")) {
        return Owner::Gone;
    }
    if is_deleting(&object) && finalizers(&object).contains(&FOREGROUND) {
        Owner::Waiting
    } else {
        Owner::Solid
    }
}

/// Decides about one object from what the store says now.
async fn attend(api: &Arc<Api>, index: &mut Index, place: &Place) -> Result<(), StatusError> {
    let table = api.registry.table();
    let Some(resource) = table
        .stored()
        .find(|resource| resource.storage == place.0)
        .cloned()
    else {
        return Ok(());
    };
    let Some(stored) = api.store.get(&place.0, &place.1) else {
        return Ok(());
    };
    let object = show(&resource, stored).into_value();
    let target = Target::object(&resource, place.1.namespace(), place.1.name());
    let uid = meta(&object, "uid").to_owned();
    let held = finalizers(&object);
    if is_deleting(&object) && held.contains(&ORPHAN) {
        return orphan(api, index, &target, &uid).await;
    }
    if is_deleting(&object) && held.contains(&FOREGROUND) {
        return wait_for_dependents(api, index, &target, &uid).await;
    }
    let mut solid = 0;
    let mut waiting = false;
    let mut gone: Vec<Box<str>> = Vec::new();
    for owner in owner_references(&object) {
        match look_up(api, owner, place.1.namespace()) {
            Owner::Solid | Owner::Unknown => solid += 1,
            Owner::Waiting => {
                waiting = true;
                gone.extend(owner["uid"].as_str().map(Into::into));
            }
            Owner::Gone => gone.extend(owner["uid"].as_str().map(Into::into)),
        }
    }
    if gone.is_empty() {
        return Ok(());
    }
    if solid > 0 {
        return drop_owners(api, &target, &gone).await;
    }
    if is_deleting(&object) {
        return Ok(());
    }
    let policy = if waiting && index.dependents.contains_key(uid.as_str()) {
        Some(Propagation::Foreground)
    } else if held.contains(&ORPHAN) {
        Some(Propagation::Orphan)
    } else if held.contains(&FOREGROUND) {
        Some(Propagation::Foreground)
    } else {
        Some(Propagation::Background)
    };
    let cx = Context::system(api.clock.now(), "generic-garbage-collector");
    delete_object(api, &cx, &target, &delete::of_uid(&uid, policy)).await?;
    Ok(())
}

async fn drop_owners(
    api: &Arc<Api>,
    target: &Target,
    uids: &[Box<str>],
) -> Result<(), StatusError> {
    amend(api, target, "generic-garbage-collector", |object| {
        let kept: Vec<Value> = owner_references(object)
            .iter()
            .filter(|owner| {
                !owner["uid"]
                    .as_str()
                    .is_some_and(|uid| uids.iter().any(|gone| &**gone == uid))
            })
            .cloned()
            .collect();
        let metadata = metadata_mut(object);
        if kept.is_empty() {
            metadata.remove("ownerReferences");
        } else {
            metadata.insert("ownerReferences".to_owned(), json!(kept));
        }
    })
    .await?;
    Ok(())
}

async fn drop_finalizer(
    api: &Arc<Api>,
    target: &Target,
    finalizer: &str,
) -> Result<(), StatusError> {
    amend(api, target, "generic-garbage-collector", |object| {
        let kept: Vec<String> = finalizers(object)
            .into_iter()
            .filter(|held| *held != finalizer)
            .map(str::to_owned)
            .collect();
        let kept: Vec<&str> = kept.iter().map(String::as_str).collect();
        set_finalizers(object, &kept);
    })
    .await?;
    Ok(())
}

async fn orphan(
    api: &Arc<Api>,
    index: &Index,
    target: &Target,
    uid: &str,
) -> Result<(), StatusError> {
    let dependents: Vec<Place> = index
        .dependents
        .get(uid)
        .map(|places| places.iter().cloned().collect())
        .unwrap_or_default();
    let table = api.registry.table();
    for (storage, key) in dependents {
        let Some(resource) = table.stored().find(|resource| resource.storage == storage) else {
            continue;
        };
        let dependent = Target::object(resource, key.namespace(), key.name());
        match drop_owners(api, &dependent, &[uid.into()]).await {
            Ok(()) => {}
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
    }
    drop_finalizer(api, target, ORPHAN).await
}

async fn wait_for_dependents(
    api: &Arc<Api>,
    index: &mut Index,
    target: &Target,
    uid: &str,
) -> Result<(), StatusError> {
    let dependents: Vec<Place> = index
        .dependents
        .get(uid)
        .map(|places| places.iter().cloned().collect())
        .unwrap_or_default();
    let mut blocked = false;
    for place in dependents {
        let Some(stored) = api.store.get(&place.0, &place.1) else {
            continue;
        };
        let object = stored.value();
        blocked |= owner_references(&object).iter().any(|owner| {
            owner["uid"].as_str() == Some(uid) && owner["blockOwnerDeletion"] == Value::Bool(true)
        });
        if !is_deleting(&object) {
            index.enqueue(place);
        }
    }
    if blocked {
        return Ok(());
    }
    drop_finalizer(api, target, FOREGROUND).await
}
