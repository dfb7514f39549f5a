//! create: what every kind shares, in one fixed order.

use std::sync::Arc;

use http::StatusCode;
use serde_json::Value;

use super::admit::{admit, admitted, ask_admission};
use super::body::{check_body, check_namespace};
use super::{
    Outcome, Target, Tracking, Written, encode, keep_managed, qualifies_finalizers,
    warn_of_finalizers, write_error,
};
use crate::admission::quota;
use crate::clock::seconds;
use crate::namespaces;
use crate::registry::Write;
use crate::rest::notes::Notes;
use crate::rest::object::{self, meta, metadata_mut};
use crate::rest::options::WriteOptions;
use crate::rest::read::show;
use crate::rest::{Api, Context, structure};
use crate::status::StatusError;
use crate::store::{Change, ChangeAction, Key, WriteError};

/// How often a taken generated name is replaced (apiserver `RetryGenerateName`).
const NAME_TRIES: usize = 8;

/// Makes an object. `notes` are on its body.
pub(crate) async fn create(
    api: &Arc<Api>,
    cx: &Context,
    target: &Target,
    body: Value,
    notes: &Notes,
    options: &WriteOptions,
) -> Result<Written, StatusError> {
    create_with(api, cx, target, body, notes, options, Tracking::Update).await
}

pub(crate) async fn create_with(
    api: &Arc<Api>,
    cx: &Context,
    target: &Target,
    mut body: Value,
    notes: &Notes,
    options: &WriteOptions,
    tracking: Tracking,
) -> Result<Written, StatusError> {
    let resource = &target.resource;
    check_body(api, cx, target, &mut body, notes, options)?;
    check_namespace(target, &mut body)?;
    structure::check_fields(
        resource,
        cx,
        &mut body,
        notes,
        options.field_validation,
        &tracking,
    )?;
    if !meta(&body, "resourceVersion").is_empty() {
        return Err(StatusError::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "",
            "resourceVersion should not be set on objects to be created",
        ));
    }
    if resource.terminating {
        return Err(StatusError::forbidden(
            &resource.group,
            &resource.plural,
            meta(&body, "name"),
            "create not allowed while custom resource definition is terminating",
        ));
    }
    namespaces::admit_create(api, resource, &target.namespace, &body)?;
    let base = meta(&body, "generateName").to_owned();
    let generated = meta(&body, "name").is_empty() && !base.is_empty();
    let derived = target.strategy.derived_labels(&body);
    begin_create(api, cx, target, options, &mut body, &tracking)?;
    if derived.is_some() && derived.as_ref() == body["metadata"].get("labels") {
        metadata_mut(&mut body).remove("labels");
    }
    let mut tries = 0;
    loop {
        let mut object = body.clone();
        if generated {
            metadata_mut(&mut object)
                .insert("name".to_owned(), object::generate_name(&base).into());
        }
        prepare_create(api, cx, target, options, &mut object)?;
        let name = meta(&object, "name").to_owned();
        let key = Key::new(&target.namespace, &name);
        let draft = encode(resource, &object)?;
        let taken = api.store.get(&resource.storage, &key).is_some();
        let write = admitted(cx, target, options, None, &name);
        let room = quota::take(api, cx, &write.of(&object)).await?;
        if cx.dry_run || options.dry_run {
            if taken {
                return Err(write_error(WriteError::Exists, resource, &name));
            }
            return Ok(Written {
                shown: Outcome::Imagined(object),
                created: true,
            });
        }
        let change = Change {
            table: Arc::clone(&resource.storage),
            key,
            action: ChangeAction::Create(draft),
        };
        match api.store.write(change).await {
            Ok(stored) => {
                room.keep();
                let write = Write {
                    resource,
                    old: None,
                    new: Some(&object),
                };
                target.strategy.after_write(api, &write);
                if let Some(rest) = target.strategy.settle(api, &write) {
                    rest.await;
                }
                return Ok(Written {
                    shown: Outcome::Durable(show(resource, stored)),
                    created: true,
                });
            }
            Err(WriteError::Exists) if generated && tries + 1 < NAME_TRIES => tries += 1,
            Err(error) => return Err(write_error(error, resource, &name)),
        }
    }
}

/// What comes before a new object has a name: its owners, and what admission makes of it. What is added after its
/// owners are known belongs to no manager, as in the real server (apiserver `handlers/create.go`).
fn begin_create(
    api: &Arc<Api>,
    cx: &Context,
    target: &Target,
    options: &WriteOptions,
    object: &mut Value,
    tracking: &Tracking,
) -> Result<(), StatusError> {
    let resource = &*target.resource;
    let metadata = metadata_mut(object);
    for field in [
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "selfLink",
        "resourceVersion",
    ] {
        metadata.remove(field);
    }
    object::drop_empty(metadata);
    structure::default(resource, object);
    match tracking {
        Tracking::Update | Tracking::Patch => {
            structure::track_update(resource, cx, &target.subresource, object, None);
        }
        Tracking::Done => {}
    }
    let managed = object["metadata"].get("managedFields").cloned();
    admit(api, cx, target, options, None, object)?;
    keep_managed(object, managed);
    Ok(())
}

fn prepare_create(
    api: &Arc<Api>,
    cx: &Context,
    target: &Target,
    options: &WriteOptions,
    object: &mut Value,
) -> Result<(), StatusError> {
    let resource = &*target.resource;
    let strategy = &*target.strategy;
    let has_generation = strategy.has_generation(resource);
    let metadata = metadata_mut(object);
    metadata.insert("uid".to_owned(), uuid::Uuid::new_v4().to_string().into());
    metadata.insert("creationTimestamp".to_owned(), seconds(cx.now).into());
    if has_generation {
        metadata.insert("generation".to_owned(), 1.into());
    }
    let managed = object["metadata"].get("managedFields").cloned();
    strategy.prepare_for_create(api, resource, cx, object);
    structure::default(resource, object);
    keep_managed(object, managed);
    let name = meta(object, "name").to_owned();
    let obstacles = strategy.obstacles(api, object, None);
    if !obstacles.is_empty() {
        return Err(target.invalid(&name, &obstacles));
    }
    let mut errors = object::validate_metadata(object, resource.namespaced, strategy.name_rule());
    if qualifies_finalizers(resource) {
        errors.extend(object::unqualified_finalizers(object));
    }
    errors.extend(strategy.validate_create(api, cx, object));
    errors.extend(structure::validate(
        resource,
        cx,
        &target.subresource,
        object,
        None,
    ));
    if !errors.is_empty() {
        return Err(target.invalid(&name, &errors));
    }
    for warning in strategy.warnings(object, None) {
        cx.warn(warning);
    }
    warn_of_finalizers(resource, cx, object, None);
    strategy.admit(
        api,
        cx,
        &Write {
            resource,
            old: None,
            new: Some(object),
        },
    )?;
    ask_admission(api, cx, target, options, None, object)
}
