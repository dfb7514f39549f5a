//! update: what every kind shares, in one fixed order.
//!
//! An update reads, lets its author change the object, and writes to the version it read; when somebody else was
//! faster, it starts again, unless the author named the version they meant.

use std::sync::Arc;

use http::StatusCode;
use serde_json::{Value, json};

use super::admit::{admit, admitted, ask_admission};
use super::body::{check_body, check_name, check_namespace, check_type, nameless, unpatchable};
use super::{
    Outcome, Target, Tracking, Written, create, encode, keep_managed, qualifies_finalizers,
    warn_of_finalizers, write_error,
};
use crate::admission::quota;
use crate::registry::{Strategy, Subresource, Write};
use crate::rest::notes::Notes;
use crate::rest::object::{self, meta, metadata_mut};
use crate::rest::options::WriteOptions;
use crate::rest::read::show;
use crate::rest::{Api, Context, structure};
use crate::status::{FieldError, StatusError};
use crate::store::{Change, ChangeAction, WriteError};

/// How often a write without a stated version starts again before it gives up; each time means that another writer
/// succeeded, so this is never reached by accident.
const RETRIES: usize = 64;

/// How an author changes an object: from what is there, in the request's version, to what they want.
pub(crate) type Mutate<'a> = dyn FnMut(&Value) -> Result<Mutated, StatusError> + Send + 'a;

/// What an author wants.
#[derive(Debug)]
pub(crate) struct Mutated {
    pub(crate) object: Value,
    pub(crate) notes: Notes,
    pub(crate) tracking: Tracking,
}

/// Changes an existing object through `mutate`, which may run several times.
pub(crate) async fn update(
    api: &Arc<Api>,
    cx: &Context,
    target: &Target,
    options: &WriteOptions,
    mutate: &mut Mutate<'_>,
) -> Result<Written, StatusError> {
    let resource = &target.resource;
    let key = target.key();
    for _ in 0..RETRIES {
        let current = api
            .store
            .get(&resource.storage, &key)
            .ok_or_else(|| target.not_found())?;
        let shown = show(resource, Arc::clone(&current));
        let old = shown.value().into_owned();
        let Mutated {
            object: mut new,
            notes,
            tracking,
        } = mutate(&old)?;
        prepare_update(api, cx, target, options, &mut new, &old, &notes, &tracking)?;
        let draft = encode(resource, &new)?;
        let room = {
            let write = admitted(cx, target, options, Some(&old), &target.name);
            quota::take(api, cx, &write.of(&new)).await?
        };
        let write = Write {
            resource,
            old: Some(&old),
            new: Some(&new),
        };
        let finished = object::is_deleting(&new) && may_go(&*resource.strategy, &new);
        if !finished && draft.same(current.bytes(), current.revision) {
            return Ok(Written {
                shown: Outcome::Durable(shown),
                created: false,
            });
        }
        if cx.dry_run || options.dry_run {
            drop(draft);
            return Ok(Written {
                shown: imagined(new, current.revision),
                created: false,
            });
        }
        let change = Change {
            table: Arc::clone(&resource.storage),
            key: key.clone(),
            action: ChangeAction::following(current.revision, draft, finished),
        };
        match api.store.write(change).await {
            Ok(stored) => {
                room.keep();
                target.strategy.after_write(api, &write);
                let left = Write {
                    new: (!finished).then_some(&new),
                    ..write
                };
                if let Some(rest) = target.strategy.settle(api, &left) {
                    rest.await;
                }
                let shown = if finished {
                    // It was never stored so: the real server answers what it would have written.
                    imagined(new, current.revision)
                } else {
                    Outcome::Durable(show(resource, stored))
                };
                return Ok(Written {
                    shown,
                    created: false,
                });
            }
            // The next round finds the stated version, if there is one, outdated.
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

/// An object as it would be, at the revision of what is stored.
fn imagined(mut object: Value, revision: u64) -> Outcome {
    metadata_mut(&mut object).insert("resourceVersion".to_owned(), revision.to_string().into());
    Outcome::Imagined(object)
}

/// Whether nothing holds an object that is being deleted.
pub(crate) fn may_go(strategy: &dyn Strategy, object: &Value) -> bool {
    let grace = object["metadata"]["deletionGracePeriodSeconds"]
        .as_i64()
        .unwrap_or(0);
    grace == 0 && object::finalizers(object).is_empty() && !strategy.holds_deletion(object)
}

/// Everything between the author's wish and the store.
#[expect(
    clippy::too_many_arguments,
    reason = "the inputs of one update, each its own thing"
)]
fn prepare_update(
    api: &Arc<Api>,
    cx: &Context,
    target: &Target,
    options: &WriteOptions,
    new: &mut Value,
    old: &Value,
    notes: &Notes,
    tracking: &Tracking,
) -> Result<(), StatusError> {
    let resource = &*target.resource;
    let strategy = &*target.strategy;
    if let Err(error) = check_type(resource, new) {
        return Err(if matches!(tracking, Tracking::Patch) && !resource.custom {
            unpatchable(new, &error)
        } else {
            error
        });
    }
    let checked =
        structure::check_fields(resource, cx, new, notes, options.field_validation, tracking);
    checked.map_err(|error| {
        if matches!(tracking, Tracking::Patch) {
            unpatchable(new, &error)
        } else {
            error
        }
    })?;
    check_namespace(target, new)?;
    let name = meta(new, "name").to_owned();
    if name.is_empty() {
        if !target.subresource.is_empty() {
            metadata_mut(new).insert("name".to_owned(), target.name.as_str().into());
        } else {
            return Err(nameless(target));
        }
    } else {
        check_name(target, &name)?;
    }
    let uid = meta(new, "uid");
    // A patched object came from the stored one, so that another identity in it is a change; a replacement names the
    // object it means.
    let is_patched = match tracking {
        Tracking::Patch => true,
        Tracking::Update => false,
        Tracking::Done => !matches!(
            resource.subresources.get(&target.subresource),
            Some(Subresource::Scale(_))
        ),
    };
    if !is_patched && !uid.is_empty() && uid != meta(old, "uid") {
        return Err(StatusError::conflict(
            &resource.group,
            &resource.plural,
            &target.name,
            &format!(
                "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
                meta(old, "uid")
            ),
        ));
    }
    let revision = meta(new, "resourceVersion");
    let stated = !revision.is_empty() && revision != "0";
    if stated && revision != meta(old, "resourceVersion") {
        if revision.parse::<u64>().is_err() {
            return Err(StatusError::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "",
                format!("strconv.ParseUint: parsing {revision:?}: invalid syntax"),
            ));
        }
        return Err(StatusError::modified(
            &resource.group,
            &resource.plural,
            &target.name,
        ));
    }
    if !stated && !strategy.allow_unconditional_update(resource) {
        let error = FieldError::invalid(
            "metadata.resourceVersion",
            json!(0),
            "must be specified for an update",
        );
        return Err(StatusError::invalid(
            &resource.group,
            &resource.plural,
            &target.name,
            &[error],
        ));
    }
    object::inherit(new, old);
    structure::default(resource, new);
    match tracking {
        Tracking::Update | Tracking::Patch => {
            structure::track_update(resource, cx, &target.subresource, new, Some(old));
        }
        Tracking::Done => {}
    }
    let managed = new["metadata"].get("managedFields").cloned();
    admit(api, cx, target, options, Some(old), new)?;
    strategy.prepare_for_update(api, resource, cx, new, old);
    object::inherit(new, old);
    structure::default(resource, new);
    keep_managed(new, managed);
    if strategy.bumps_generation(resource, new, old) {
        let generation = old["metadata"]["generation"].as_i64().unwrap_or(0) + 1;
        metadata_mut(new).insert("generation".to_owned(), generation.into());
    }
    let obstacles = strategy.obstacles(api, new, Some(old));
    if !obstacles.is_empty() {
        return Err(target.invalid(&target.name, &obstacles));
    }
    // The real server checks these for all kinds and then for each, and tells of both.
    let mut errors = object::validate_metadata_update(new, old);
    errors.extend(object::validate_metadata_update(new, old));
    if qualifies_finalizers(resource) {
        errors.extend(object::malformed_finalizers(new));
        errors.extend(object::unqualified_finalizers(new));
    }
    for _ in 0..strategy.checks_as_new() {
        let rule = strategy.name_rule();
        errors.extend(object::validate_metadata(new, resource.namespaced, rule));
    }
    errors.extend(strategy.validate_update(api, cx, new, old));
    errors.extend(structure::validate(
        resource,
        cx,
        &target.subresource,
        new,
        Some(old),
    ));
    if !errors.is_empty() {
        return Err(target.invalid(&target.name, &errors));
    }
    for warning in strategy.warnings(new, Some(old)) {
        cx.warn(warning);
    }
    if target.subresource.is_empty() {
        warn_of_finalizers(resource, cx, new, Some(old));
    }
    strategy.admit(
        api,
        cx,
        &Write {
            resource,
            old: Some(old),
            new: Some(new),
        },
    )?;
    ask_admission(api, cx, target, options, Some(old), new)
}

/// Replaces an object by PUT.
pub(crate) async fn replace(
    api: &Arc<Api>,
    cx: &Context,
    target: &Target,
    mut body: Value,
    notes: &Notes,
    options: &WriteOptions,
) -> Result<Written, StatusError> {
    let resource = &target.resource;
    check_body(api, cx, target, &mut body, notes, options)?;
    let name = meta(&body, "name");
    if name.is_empty() {
        return Err(nameless(target));
    }
    check_name(target, name)?;
    let missing = api.store.get(&resource.storage, &target.key()).is_none();
    if missing && target.subresource.is_empty() && target.strategy.allow_create_on_update() {
        let mut target = target.clone();
        target.name.clear();
        return create(api, cx, &target, body, notes, options).await;
    }
    let mut mutate = |_old: &Value| {
        Ok(Mutated {
            object: body.clone(),
            notes: notes.clone(),
            tracking: Tracking::Update,
        })
    };
    update(api, cx, target, options, &mut mutate).await
}

/// What the server itself changes in an object, with the checks of any other write but without a manager's name on it.
pub(crate) async fn amend(
    api: &Arc<Api>,
    target: &Target,
    manager: &str,
    mut change: impl FnMut(&mut Value) + Send,
) -> Result<Written, StatusError> {
    let cx = Context::system(api.clock.now(), manager);
    let mut mutate = |old: &Value| {
        let mut object = old.clone();
        change(&mut object);
        Ok(Mutated {
            object,
            notes: Notes::default(),
            tracking: Tracking::Update,
        })
    };
    update(api, &cx, target, &WriteOptions::default(), &mut mutate).await
}
