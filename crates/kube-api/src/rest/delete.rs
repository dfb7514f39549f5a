//! delete and deletecollection: grace, finalizers, propagation.

use std::sync::Arc;

use serde_json::Value;

use super::object::{self, finalizers, meta, metadata_mut};
use super::options::{DeleteOptions, ListOptions, Propagation};
use super::read::{self, Listed};
use super::write::{Target, draft_of, value_of, write_error};
use super::{Api, Context};
use crate::admission;
use crate::clock::seconds;
use crate::registry::{Resource, Write};
use crate::status::{self, StatusError};
use crate::store::{Change, ChangeAction, Key, WriteError};

/// The finalizers by which the collector holds an object (apimachinery `pkg/apis/meta/v1`).
pub(crate) const ORPHAN: &str = "orphan";
pub(crate) const FOREGROUND: &str = "foregroundDeletion";

const RETRIES: usize = 64;

/// What a delete left.
#[derive(Debug)]
pub(crate) enum Deleted {
    /// The object is still there, marked.
    Marked(Value),
    /// It is gone; this was its last state.
    Gone(Value),
}

impl Deleted {
    /// The answer of a single delete.
    pub(crate) fn answer(self, resource: &Resource) -> Value {
        match self {
            Self::Marked(object) => object,
            Self::Gone(object) if resource.strategy.returns_deleted_object() => object,
            Self::Gone(object) => status::success(
                &resource.group,
                &resource.plural,
                meta(&object, "name"),
                meta(&object, "uid"),
            ),
        }
    }
}

/// Deletes one object, or marks it.
pub(crate) async fn delete(
    api: &Arc<Api>,
    cx: &Context,
    target: &Target,
    options: &DeleteOptions,
) -> Result<Deleted, StatusError> {
    let resource = &target.resource;
    let key = Key::new(&target.namespace, &target.name);
    for _ in 0..RETRIES {
        let current = api
            .store
            .get(&resource.storage, &key)
            .ok_or_else(|| target.not_found())?;
        let old = value_of(resource, &current);
        check_preconditions(resource, &target.name, &old, options)?;
        warn_of_orphans(cx, resource, options);
        let mut new = old.clone();
        resource.strategy.before_delete(api, cx, &mut new)?;
        resource.strategy.admit(
            api,
            cx,
            &Write {
                resource,
                old: Some(&old),
                new: None,
            },
        )?;
        let write = admission::Write {
            operation: admission::Operation::Delete,
            resource,
            subresource: "",
            namespace: &target.namespace,
            name: &target.name,
            old: Some(&old),
            new: None,
            form: None,
            dry_run: cx.dry_run || options.dry_run,
        };
        admission::check(api, cx, &write)?;
        let gone = mark(cx, resource, &mut new, options);
        if cx.dry_run || options.dry_run {
            return Ok(if gone {
                Deleted::Gone(new)
            } else {
                Deleted::Marked(new)
            });
        }
        let draft = draft_of(resource, &new)?;
        if !gone && draft.same(current.bytes(), current.revision) {
            return Ok(Deleted::Marked(old));
        }
        let change = Change {
            table: Arc::clone(&resource.storage),
            key: key.clone(),
            action: ChangeAction::following(current.revision, draft, gone),
        };
        match api.store.write(change).await {
            Ok(stored) => {
                let object = value_of(resource, &stored);
                let write = Write {
                    resource,
                    old: Some(&old),
                    new: (!gone).then_some(&object),
                };
                resource.strategy.after_write(api, &write);
                if let (true, Some(rest)) = (gone, resource.strategy.settle(api, &write)) {
                    rest.await;
                }
                return Ok(if gone {
                    Deleted::Gone(object)
                } else {
                    Deleted::Marked(object)
                });
            }
            Err(WriteError::Conflict) => {}
            Err(error) => return Err(write_error(error, resource, &target.name)),
        }
    }
    Err(StatusError::modified(
        &resource.group,
        &resource.plural,
        &target.name,
    ))
}

/// Says that pods of a deleted job stay (kubernetes `pkg/registry/batch/job/storage`).
fn warn_of_orphans(cx: &Context, resource: &Resource, options: &DeleteOptions) {
    if &*resource.storage == "batch/jobs" && options.propagation.is_none() {
        cx.warn("child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress this warning");
    }
}

/// Whether an object is the one that a deletion means.
pub(crate) fn check_preconditions(
    resource: &Resource,
    name: &str,
    object: &Value,
    options: &DeleteOptions,
) -> Result<(), StatusError> {
    let conflict = |why: String| StatusError::conflict(&resource.group, &resource.kind, name, &why);
    if marks_itself(resource) {
        for (what, field, wanted) in [
            ("UID", "uid", &options.uid),
            ("ResourceVersion", "resourceVersion", &options.revision),
        ] {
            let held = meta(object, field);
            if let Some(wanted) = wanted.as_ref().filter(|wanted| *wanted != held) {
                return Err(StatusError::conflict(
                    &resource.group,
                    &resource.plural,
                    name,
                    &format!(
                        "Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {held}"
                    ),
                ));
            }
        }
    }
    if let Some(uid) = &options.uid
        && uid != meta(object, "uid")
    {
        return Err(conflict(format!(
            "the UID in the precondition ({uid}) does not match the UID in record ({}). The object might have been deleted and then recreated",
            meta(object, "uid")
        )));
    }
    if let Some(revision) = &options.revision
        && revision != meta(object, "resourceVersion")
    {
        return Err(conflict(format!(
            "the ResourceVersion in the precondition ({revision}) does not match the ResourceVersion in record ({}). The object might have been modified",
            meta(object, "resourceVersion")
        )));
    }
    Ok(())
}

/// Puts the marks of a deletion on `object`; `true` if nothing holds it any more.
fn mark(cx: &Context, resource: &Resource, object: &mut Value, options: &DeleteOptions) -> bool {
    let mut held: Vec<String> = finalizers(object).into_iter().map(str::to_owned).collect();
    // Only a stated policy changes the collector's finalizers; the default keeps what an earlier delete asked for.
    let collected = |finalizer: &String| finalizer == ORPHAN || finalizer == FOREGROUND;
    let usual = resource.strategy.orphans_dependents() && !held.iter().any(collected);
    if let Some(policy) = options.propagation.or(usual.then_some(Propagation::Orphan)) {
        held.retain(|finalizer| finalizer != ORPHAN && finalizer != FOREGROUND);
        match policy {
            Propagation::Orphan => held.push(ORPHAN.to_owned()),
            Propagation::Foreground => held.push(FOREGROUND.to_owned()),
            Propagation::Background => {}
        }
        let held: Vec<&str> = held.iter().map(String::as_str).collect();
        object::set_finalizers(object, &held);
    }
    let grace = resource
        .strategy
        .grace_period(object, options.grace_seconds)
        .unwrap_or(0)
        .max(0);
    let marked = object::is_deleting(object);
    let before = object["metadata"]["deletionGracePeriodSeconds"].as_i64();
    // A later delete may shorten the grace, never lengthen it.
    let grace = match before {
        Some(before) if marked => before.min(grace),
        _ => grace,
    };
    let holds = !finalizers(object).is_empty() || resource.strategy.holds_deletion(object);
    if grace == 0 && !holds {
        // What goes gracefully shows when it went.
        if marked || resource.strategy.grace_period(object, None).is_some() {
            let metadata = metadata_mut(object);
            metadata.insert("deletionTimestamp".to_owned(), seconds(cx.now).into());
            metadata.insert("deletionGracePeriodSeconds".to_owned(), 0.into());
            if !marked {
                raise_generation(metadata);
            }
        }
        return true;
    }
    let shows_grace = !marks_itself(resource);
    if !marked || (shows_grace && before != Some(grace)) {
        let at = cx
            .now
            .checked_add(jiff::SignedDuration::from_secs(grace))
            .unwrap_or(cx.now);
        let has_generation = resource.strategy.has_generation(resource);
        let metadata = metadata_mut(object);
        metadata.insert("deletionTimestamp".to_owned(), seconds(at).into());
        if shows_grace {
            metadata.insert("deletionGracePeriodSeconds".to_owned(), grace.into());
        }
        // The mark is a change of what is wanted (apiserver `pkg/registry/rest/delete.go`).
        if has_generation && !marked && !marks_itself(resource) {
            raise_generation(metadata);
        }
    }
    false
}

/// Namespaces and definitions have a deletion of their own in the real server, which shows no grace (kubernetes
/// `pkg/registry/core/namespace/storage`, apiextensions-apiserver `pkg/registry/customresourcedefinition/etcd.go`).
fn marks_itself(resource: &Resource) -> bool {
    matches!(&*resource.storage, "/namespaces" | crate::crd::TABLE)
}

fn raise_generation(metadata: &mut serde_json::Map<String, Value>) {
    let generation = metadata.get("generation").and_then(Value::as_i64);
    if let Some(generation @ 1..) = generation {
        metadata.insert("generation".to_owned(), (generation + 1).into());
    }
}

/// Deletes everything a selector matches, one by one, and answers what it deleted of what was listed.
pub(crate) async fn delete_collection(
    api: &Arc<Api>,
    cx: &Context,
    resource: &Arc<Resource>,
    namespace: Option<&str>,
    selection: &Arc<ListOptions>,
    options: &DeleteOptions,
) -> Result<Listed, StatusError> {
    warn_of_orphans(cx, resource, options);
    let mut listed = read::list(api, resource, namespace, selection).await?;
    let mut deleted = Vec::new();
    for item in std::mem::take(&mut listed.items) {
        let value = item.value();
        let target = Target::object(resource, meta(&value, "namespace"), meta(&value, "name"));
        drop(value);
        match delete(api, cx, &target, options).await {
            Ok(_) => deleted.push(item),
            // Somebody else deleted it: that is what was wanted.
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
    }
    listed.items = deleted;
    Ok(listed)
}

/// `DeleteOptions` for deletions the server makes on its own, bound to one object.
pub(crate) fn of_uid(uid: &str, propagation: Option<Propagation>) -> DeleteOptions {
    DeleteOptions {
        propagation,
        uid: Some(uid.to_owned()),
        ..DeleteOptions::default()
    }
}
