//! Ownership after a write.

use serde_json::Value;

use super::entries::{Entries, Entry, Operation, is_reset};
use super::{
    ApplyError, Conflict, Request, UNOWNED, differs, managed_of, owner_text, put, take, typed_error,
};
use crate::field_set::FieldSet;
use crate::typed::{self, Comparison, TypedError};

/// Writes `metadata.managedFields` of `new`, which replaces `live` (`None` or null: it is created) by anything but an
/// apply. Ownership that `new` carries itself counts, except through a subresource; if it carries none, that of `live`
/// stays.
///
/// An object without any owner stays without, so that objects from before ownership was tracked do not begin to have it
/// by an update. If the schema and the objects do not fit, ownership is dropped rather than the write refused.
///
/// If nothing but times of entries would change, the times of `live` are kept, so that the object is equal.
pub fn update(live: Option<&Value>, new: &mut Value, request: &Request<'_>) {
    let live = live.filter(|live| !live.is_null());
    let before = live.and_then(managed_of);
    let given = take(new);
    if let (Some(live), Some(before)) = (live, before)
        && given
            .as_ref()
            .is_none_or(|given| given == before || !request.subresource.is_empty())
        && !differs(live, new)
        && !repeats_a_manager(before)
    {
        put(new, Some(before.clone()));
        return;
    }
    let parse = |managed: Option<&Value>| managed.and_then(|managed| Entries::parse(managed).ok());
    let mut entries = match &given {
        Some(given) if request.subresource.is_empty() => {
            if is_reset(given) {
                Entries::default()
            } else {
                parse(Some(given))
                    .filter(|entries| !entries.is_empty())
                    .or_else(|| parse(before))
                    .unwrap_or_default()
            }
        }
        _ => parse(before).unwrap_or_default(),
    };
    let is_create = live.is_none_or(|live| {
        live.get("metadata")
            .and_then(|metadata| metadata.get("uid"))
            .and_then(Value::as_str)
            .unwrap_or_default()
            .is_empty()
    });
    if entries.is_empty() && !is_create {
        return;
    }
    let empty;
    let live_object = match live {
        Some(live) => live,
        None => {
            empty = request.blank_like(new);
            &empty
        }
    };
    if record(live_object, new, &mut entries, request).is_err() {
        return;
    }
    let mut managed = entries.to_value();
    if let (Some(live), Some(before)) = (live, before)
        && managed
            .as_ref()
            .is_some_and(|managed| equal_but_for_times(managed, before))
        && !differs(live, new)
    {
        managed = Some(before.clone());
    }
    put(new, managed);
}

/// Whether two entries are of the same manager, as a Scale leaves them: the next write joins them.
fn repeats_a_manager(managed: &Value) -> bool {
    let entries = managed.as_array().map_or(0, Vec::len);
    Entries::parse(managed).is_ok_and(|parsed| parsed.0.len() < entries)
}

fn equal_but_for_times(a: &Value, b: &Value) -> bool {
    let (Some(a), Some(b)) = (a.as_array(), b.as_array()) else {
        return false;
    };
    let without_time = |entry: &Value| {
        let mut entry = entry.clone();
        if let Some(entry) = entry.as_object_mut() {
            entry.remove("time");
        }
        entry
    };
    a.len() == b.len()
        && a.iter()
            .zip(b)
            .all(|(a, b)| a == b || without_time(a) == without_time(b))
}

/// Records that `request.manager` turned `live` into `new`.
pub(super) fn record(
    live: &Value,
    new: &Value,
    entries: &mut Entries,
    request: &Request<'_>,
) -> Result<(), TypedError> {
    forget_unknown(entries, request);
    reconcile(entries, request);
    let schema = request.schema;
    let comparison = without_managed(typed::compare(live, new, schema)?);
    let reset = request.reset.cloned().unwrap_or_default();
    let comparison = comparison.without(&reset);
    // Even the manager's own entry gives up what changed, and gets it back with what else is new.
    release_by_version(live, new, entries, &comparison, request);
    entries.drop_empty();
    let own = comparison
        .modified
        .union(&comparison.added)
        .difference(&FieldSet::of_fields(UNOWNED));
    if !own.is_empty() {
        let previous = entries
            .of(request, Operation::Update)
            .map(|place| entries.0[place].fields.clone())
            .unwrap_or_default();
        entries.set(request, Operation::Update, own.union(&previous));
        entries.touch(request, Operation::Update);
    }
    entries.cap();
    Ok(())
}

fn without_managed(comparison: Comparison) -> Comparison {
    // Ownership is no part of what is owned.
    comparison.without(&FieldSet::of_fields(&[&["metadata", "managedFields"]]))
}

/// Takes changed and removed fields from everybody: of versions that are not alike, what changed there.
fn release_by_version(
    live: &Value,
    new: &Value,
    entries: &mut Entries,
    own: &Comparison,
    request: &Request<'_>,
) {
    let reset = request.reset.cloned().unwrap_or_default();
    let mut known: Vec<(String, Comparison)> = Vec::new();
    for entry in &mut entries.0 {
        let version = &entry.api_version;
        let other = request
            .versions
            .filter(|_| version != request.api_version)
            .and_then(|versions| {
                if let Some((_, comparison)) = known.iter().find(|(held, _)| held == version) {
                    return Some(comparison.clone());
                }
                let schema = versions.schema(version)?;
                let [live, new] = [live, new].map(|object| versions.convert(object, version));
                let comparison = typed::compare(&live?, &new?, schema).ok()?;
                let comparison = without_managed(comparison).without(&reset);
                known.push((version.clone(), comparison.clone()));
                Some(comparison)
            });
        entry.release(other.as_ref().unwrap_or(own));
    }
}

/// Takes changed and removed fields from everybody but the entry at `except`.
fn release(entries: &mut Entries, comparison: &Comparison, except: Option<usize>) {
    for (place, entry) in entries.0.iter_mut().enumerate() {
        if Some(place) != except {
            entry.release(comparison);
        }
    }
}

impl Entry {
    /// Gives up what changed and what is gone.
    fn release(&mut self, comparison: &Comparison) {
        let changed = comparison.modified.union(&comparison.added);
        self.fields = self
            .fields
            .difference(&changed)
            .difference(&comparison.removed);
    }
}

/// What was owned through a version that cannot be told any more is owned by nobody (structured-merge-diff
/// `merge/update.go`, `IsMissingVersionError`).
fn forget_unknown(entries: &mut Entries, request: &Request<'_>) {
    if let Some(versions) = request.versions {
        entries.0.retain(|entry| {
            entry.api_version == request.api_version
                || versions.schema(&entry.api_version).is_some()
        });
    }
}

fn reconcile(entries: &mut Entries, request: &Request<'_>) {
    for entry in &mut entries.0 {
        let schema = request.schema_of(&entry.api_version);
        if let Some(fields) = typed::reconcile(&entry.fields, schema) {
            entry.fields = fields;
        }
    }
}

/// Merges `config` into `live` and gives its fields to `request.manager`. `None`: the object stays as it is.
pub(super) fn apply_config(
    live: &Value,
    config: &Value,
    entries: &mut Entries,
    request: &Request<'_>,
    force: bool,
) -> Result<Option<Value>, ApplyError> {
    let schema = request.schema;
    typed::check(config, schema, false).map_err(|error| typed_error("patch", config, &error))?;
    typed::check(live, schema, true).map_err(|error| typed_error("live", live, &error))?;
    forget_unknown(entries, request);
    reconcile(entries, request);
    let merged = typed::merge(live, config, schema)
        .map_err(|error| ApplyError::Typed(format!("failed to merge config: {error}")))?;
    let last = entries
        .of(request, Operation::Apply)
        .map(|place| entries.0[place].fields.clone());
    let reset = request.reset.cloned().unwrap_or_default();
    let own = typed::field_set(config, schema).recursive_difference(&reset);
    entries.set(request, Operation::Apply, own);
    let pruned = match last {
        Some(last) if !last.is_empty() => unset(&merged, entries, &last, request),
        _ => merged,
    };
    let comparison = typed::compare(live, &pruned, schema)
        .map_err(|error| ApplyError::Typed(format!("failed to compare objects: {error}")))?
        .without(&reset);
    let except = entries.of(request, Operation::Apply);
    if !force {
        let changed = comparison.modified.union(&comparison.added);
        let conflicts = conflicts(entries, &changed, except);
        if !conflicts.is_empty() {
            return Err(ApplyError::Conflict(conflicts));
        }
    }
    release(entries, &comparison, except);
    if let Some(place) = except {
        let stripped = entries.0[place]
            .fields
            .difference(&FieldSet::of_fields(UNOWNED));
        entries.0[place].fields = stripped;
    }
    entries.drop_empty();
    Ok((*live != pruned).then_some(pruned))
}

fn conflicts(entries: &Entries, changed: &FieldSet, except: Option<usize>) -> Vec<Conflict> {
    let mut conflicts = Vec::new();
    for (place, entry) in entries.0.iter().enumerate() {
        if Some(place) == except {
            continue;
        }
        let identifier = entry.identifier();
        for path in entry.fields.intersection(changed).paths() {
            conflicts.push(Conflict {
                manager: owner_text(
                    &entry.manager,
                    &entry.subresource,
                    entry.operation,
                    &entry.api_version,
                ),
                path,
                identifier: identifier.clone(),
            });
        }
    }
    // Fields keep their order within an owner.
    conflicts.sort_by(|a, b| a.identifier.cmp(&b.identifier));
    conflicts
}

/// Removes what the manager applied last time, does not apply now, and nobody else owns.
fn unset(merged: &Value, entries: &Entries, last: &FieldSet, request: &Request<'_>) -> Value {
    let schema = request.schema;
    let last = typed::named_fields(last, schema);
    let pruned = typed::remove(merged, &last, schema);
    let all = typed::named_fields(&typed::field_set(merged, schema), schema);
    let managed = entries
        .0
        .iter()
        .fold(FieldSet::new(), |all, entry| all.union(&entry.fields));
    let managed = typed::named_fields(&managed, schema);
    let left = typed::named_fields(&typed::field_set(&pruned, schema), schema);
    let pruned = typed::remove(merged, &all.difference(&left.union(&managed)), schema);
    let left = typed::named_fields(&typed::field_set(&pruned, schema), schema);
    typed::remove(merged, &all.difference(&left).intersection(&last), schema)
}
