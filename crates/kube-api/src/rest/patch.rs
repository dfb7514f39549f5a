//! patch: JSON patch, merge patch, strategic merge patch, server-side apply.

use std::sync::Arc;

use drover_structural::Schema;
use drover_structural::go::type_name;
use drover_structural::json_patch::{self, JsonPatchError};
use drover_structural::strategic_patch::{self, StrategicPatchError};
use http::StatusCode;
use serde_json::Value;

use super::notes::Notes;
use super::object::{meta, metadata_mut};
use super::options::{FieldValidation, WriteOptions};
use super::write::{Mutated, Target, Tracking, Written, check_name, create_with, update};
use super::{Api, Context, structure};
use crate::status::{FieldError, StatusError};
use crate::store::Key;

/// How often an apply starts again because the object came or went in between.
const APPLY_TRIES: usize = 16;

/// The kinds of patch, by media type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PatchKind {
    Json,
    Merge,
    Strategic,
    Apply,
}

impl PatchKind {
    pub(crate) fn parse(media_type: &str) -> Option<Self> {
        match media_type {
            "application/json-patch+json" => Some(Self::Json),
            "application/merge-patch+json" => Some(Self::Merge),
            "application/strategic-merge-patch+json" => Some(Self::Strategic),
            "application/apply-patch+yaml" | "application/apply-patch+cbor" => Some(Self::Apply),
            _ => None,
        }
    }

    /// The media types a resource takes, as the error of an unknown one lists them.
    pub(crate) fn accepted(custom: bool) -> &'static [&'static str] {
        if custom {
            &[
                "application/json-patch+json",
                "application/merge-patch+json",
                "application/apply-patch+yaml",
            ]
        } else {
            &[
                "application/json-patch+json",
                "application/merge-patch+json",
                "application/strategic-merge-patch+json",
                "application/apply-patch+yaml",
            ]
        }
    }
}

/// Applies a patch to an object, or makes the object if it is an apply and there is none.
pub(crate) async fn patch(
    api: &Arc<Api>,
    cx: &Context,
    target: &Target,
    kind: PatchKind,
    body: Value,
    notes: &Notes,
    options: &WriteOptions,
) -> Result<Written, StatusError> {
    check_options(kind, options)?;
    if kind == PatchKind::Apply {
        return apply(api, cx, target, body, notes, options).await;
    }
    let schema = target.resource.schema.clone();
    let mut mutate = |old: &Value| {
        Ok(Mutated {
            object: apply_plain(kind, old, &body, schema.as_deref())?,
            notes: notes.clone(),
            tracking: Tracking::Patch,
        })
    };
    update(api, cx, target, options, &mut mutate).await
}

/// Whether the options fit the kind of patch.
pub(crate) fn check_options(kind: PatchKind, options: &WriteOptions) -> Result<(), StatusError> {
    let error = match kind {
        PatchKind::Apply if options.field_manager.is_none() => {
            FieldError::required("fieldManager", "is required for apply patch")
        }
        PatchKind::Json | PatchKind::Merge | PatchKind::Strategic if options.force.is_some() => {
            FieldError::forbidden("force", "may not be specified for non-apply patch")
        }
        _ => return Ok(()),
    };
    Err(StatusError::invalid(
        "meta.k8s.io",
        "PatchOptions",
        "",
        &[error],
    ))
}

/// The result of a patch that is no apply. Without a schema, a strategic patch merges maps and replaces lists.
pub(crate) fn apply_plain(
    kind: PatchKind,
    old: &Value,
    patch: &Value,
    schema: Option<&Schema>,
) -> Result<Value, StatusError> {
    let mut object = old.clone();
    match kind {
        PatchKind::Json => json_patch::apply(&mut object, patch).map_err(|error| match error {
            JsonPatchError::Malformed(_) => StatusError::bad_request(error.to_string()),
            JsonPatchError::TooLarge(_) => {
                StatusError::request_too_large(format!("Request entity too large: {error}"))
            }
            JsonPatchError::Refused(_) | JsonPatchError::TestFailed(_) => {
                // The real server does not say what was wrong.
                let mut refused = StatusError::new(
                    StatusCode::UNPROCESSABLE_ENTITY,
                    "Invalid",
                    "the server rejected our request due to an error in our request",
                );
                refused.details = Some(Box::default());
                refused
            }
        })?,
        PatchKind::Merge | PatchKind::Apply => {
            if patch.is_null() {
                return Err(StatusError::bad_request("Invalid JSON Patch"));
            }
            check_object(patch)?;
            drover_structural::merge_patch::apply(&mut object, patch);
        }
        // Nothing changes nothing.
        PatchKind::Strategic if patch.is_null() => {}
        PatchKind::Strategic => {
            if !patch.is_object() {
                return Err(StatusError::bad_request(not_a_map(patch)));
            }
            let any;
            let schema = match schema {
                Some(schema) => schema,
                None => {
                    any = Schema::any();
                    &any
                }
            };
            strategic_patch::apply(&mut object, patch, schema).map_err(|error| match error {
                StrategicPatchError::Malformed(message) => StatusError::bad_request(message),
                StrategicPatchError::ListOfLists => StatusError::new(
                    StatusCode::UNPROCESSABLE_ENTITY,
                    "Invalid",
                    error.to_string(),
                ),
                StrategicPatchError::Refused(message) => {
                    StatusError::new(StatusCode::INTERNAL_SERVER_ERROR, "", message)
                }
            })?;
        }
    }
    Ok(object)
}

fn check_object(patch: &Value) -> Result<(), StatusError> {
    if patch.is_object() {
        Ok(())
    } else {
        Err(StatusError::bad_request(format!(
            "error decoding patch: {}",
            not_a_map(patch)
        )))
    }
}

fn not_a_map(value: &Value) -> String {
    format!(
        "json: cannot unmarshal {} into Go value of type map[string]interface {{}}",
        type_name(value)
    )
}

/// Whether a configuration names what it is: `api_version` and `kind`.
pub(crate) fn check_config(
    config: &Value,
    api_version: &str,
    kind: &str,
) -> Result<(), StatusError> {
    if !config.is_object() && !config.is_null() {
        return Err(StatusError::bad_request(format!(
            "error decoding YAML: error unmarshaling JSON: while decoding JSON: {}",
            not_a_map(config)
        )));
    }
    let text = |field: &str| {
        config
            .get(field)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    if (text("apiVersion"), text("kind")) != (api_version, kind) {
        let (group, version) = text("apiVersion")
            .rsplit_once('/')
            .unwrap_or(("", text("apiVersion")));
        return Err(StatusError::bad_request(format!(
            "invalid object type: {group}/{version}, Kind={}",
            text("kind")
        )));
    }
    Ok(())
}

/// Server-side apply.
async fn apply(
    api: &Arc<Api>,
    cx: &Context,
    target: &Target,
    mut config: Value,
    notes: &Notes,
    options: &WriteOptions,
) -> Result<Written, StatusError> {
    let resource = &target.resource;
    let force = options.force.unwrap_or(false);
    check_config(&config, &resource.api_version(), &resource.kind)?;
    structure::check_declared(resource, &config)?;
    structure::check_types(resource, &config)?;
    // What is left to report is told once.
    structure::check_fields(
        resource,
        cx,
        &mut config,
        notes,
        options.field_validation,
        &Tracking::Done,
    )?;
    let quiet = WriteOptions {
        field_validation: FieldValidation::Ignore,
        ..options.clone()
    };
    for _ in 0..APPLY_TRIES {
        let key = Key::new(&target.namespace, &target.name);
        if api.store.get(&resource.storage, &key).is_some() {
            let mut mutate = |old: &Value| {
                Ok(Mutated {
                    object: structure::apply(
                        resource,
                        cx,
                        &target.subresource,
                        Some(old),
                        &config,
                        force,
                    )?,
                    notes: Notes::default(),
                    tracking: Tracking::Done,
                })
            };
            match update(api, cx, target, &quiet, &mut mutate).await {
                // It went in between: make it.
                Err(error) if error.is_not_found() && target.subresource.is_empty() => continue,
                result => return result,
            }
        }
        if !target.subresource.is_empty() {
            return Err(target.not_found());
        }
        let uid = meta(&config, "uid");
        if !uid.is_empty() {
            return Err(StatusError::conflict(
                &resource.group,
                &resource.plural,
                &target.name,
                &format!(
                    "uid mismatch: the provided object specified uid {uid}, and no existing object was found"
                ),
            ));
        }
        check_name(target, meta(&config, "name"))?;
        let mut object = structure::apply(resource, cx, "", None, &config, force)?;
        metadata_mut(&mut object).insert("name".to_owned(), target.name.as_str().into());
        metadata_mut(&mut object).remove("resourceVersion");
        match create_with(
            api,
            cx,
            target,
            object,
            &Notes::default(),
            &quiet,
            Tracking::Done,
        )
        .await
        {
            Err(error) if error.reason == "AlreadyExists" => {}
            result => return result,
        }
    }
    Err(StatusError::modified(
        &resource.group,
        &resource.plural,
        &target.name,
    ))
}
