//! What schemas and managed fields do to an object on its way in and out.
//!
//! Owns the order in which the functions of `drover_structural` are applied.

use std::sync::Arc;

use drover_structural::Schema;
use drover_structural::field_set::FieldSet;
use drover_structural::managed_fields::{self, ApplyError};
use drover_structural::typed;
use http::StatusCode;
use serde_json::Value;

use super::notes::{Notes, Problem};
use super::options::FieldValidation;
use super::write::Tracking;
use super::{Context, embedded, object, scale};
use crate::builtin;
use crate::registry::{Resource, Subresource};
use crate::status::{FieldError, StatusError};

/// Problems of fields that decoding tells of (sigs.k8s.io/json `kubernetes_patch.go`).
const MAX_PROBLEMS: usize = 100;

/// Unknown fields under `fieldValidation`, before anything else touches the object; then pruning for custom resources.
pub(crate) fn check_fields(
    resource: &Resource,
    cx: &Context,
    value: &mut Value,
    notes: &Notes,
    validation: FieldValidation,
    tracking: &Tracking,
) -> Result<(), StatusError> {
    let mut found: Vec<Problem> = object::unknown_metadata(value)
        .map(|name| Problem::Unknown(format!("metadata.{name}")))
        .collect();
    if let Some(schema) = &resource.schema {
        if resource.custom {
            // What is applied is not decoded as other bodies are: its nulls stay.
            if !matches!(tracking, Tracking::Done) {
                drover_structural::default::drop_nulls(value, schema);
            }
            let unknown = drover_structural::prune::prune_recording(value, schema);
            found.extend(unknown.into_iter().map(Problem::Unknown));
            let metadata = object::metadata_mut(value);
            object::drop_unknown_metadata(metadata);
            object::fill_nulls(metadata);
            let unknown = embedded::coerce(value, schema.view()).map_err(|error| {
                StatusError::undecodable(
                    &resource.kind,
                    &resource.version,
                    &resource.kind,
                    &error.to_string(),
                )
            })?;
            found.extend(unknown.into_iter().map(Problem::Unknown));
        } else if validation != FieldValidation::Ignore {
            let unknown = drover_structural::prune::unknown_fields(value, schema);
            found.extend(unknown.into_iter().map(Problem::Unknown));
        }
    }
    if let (false, Some(schema)) = (resource.custom, &resource.schema)
        && let Some(why) = builtin::decode_problem(schema, value, &resource.kind)
    {
        return Err(StatusError::undecodable(
            &resource.kind,
            &resource.version,
            &resource.kind,
            &why,
        ));
    }
    if resource.custom
        && let Some(why) = builtin::metadata_problem(&value["metadata"])
    {
        return Err(StatusError::undecodable(
            &resource.kind,
            &resource.version,
            &resource.kind,
            &why,
        ));
    }
    found.extend(notes.duplicates.iter().cloned().map(Problem::Duplicate));
    // Custom resources are decoded whole before their fields are looked at.
    if !resource.custom {
        notes.sort(&mut found);
        found.truncate(MAX_PROBLEMS);
    }
    if found.is_empty() {
        return Ok(());
    }
    match validation {
        FieldValidation::Ignore => Ok(()),
        FieldValidation::Warn => {
            for problem in found {
                cx.warn(problem.to_string());
            }
            Ok(())
        }
        FieldValidation::Strict => Err(StatusError::undecodable(
            &resource.kind,
            &resource.version,
            &resource.kind,
            &format!("strict decoding error: {}", joined(&found)),
        )),
    }
}

fn joined(problems: &[Problem]) -> String {
    let texts = problems.iter().map(Problem::to_string);
    texts.collect::<Vec<_>>().join(", ")
}

/// Refuses what an applied configuration says about fields that the schema does not declare: nobody could own them
/// (apimachinery `managedfields/internal/structuredmerge.go`).
pub(crate) fn check_declared(resource: &Resource, config: &Value) -> Result<(), StatusError> {
    let Some(schema) = &resource.schema else {
        return Ok(());
    };
    let unknown = drover_structural::prune::unknown_fields(config, schema);
    let mut errors = unknown
        .iter()
        .map(|path| format!(".{path}: field not declared in schema"))
        .collect::<Vec<_>>();
    let problem = match errors.len() {
        0 => return Ok(()),
        1 => errors.remove(0),
        _ => format!("errors:\n  {}", errors.join("\n  ")),
    };
    Err(untyped(resource, config, &problem))
}

/// Refuses an applied configuration of a built-in kind whose values are of other types than declared. Custom ones are
/// read by their schemas before.
pub(crate) fn check_types(resource: &Resource, config: &Value) -> Result<(), StatusError> {
    let Some(schema) = resource.schema.as_ref().filter(|_| !resource.custom) else {
        return Ok(());
    };
    typed::check(config, schema, false)
        .map_err(|problem| untyped(resource, config, &problem.to_string()))
}

fn untyped(resource: &Resource, config: &Value, problem: &str) -> StatusError {
    StatusError::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "",
        format!(
            "failed to create typed patch object ({}/{}; {}/{}, Kind={}): {problem}",
            object::meta(config, "namespace"),
            object::meta(config, "name"),
            resource.group,
            resource.version,
            resource.kind
        ),
    )
}

/// Defaults of the kind and of its schema.
pub(crate) fn default(resource: &Resource, object: &mut Value) {
    resource.strategy.default(object);
    if let (true, Some(schema)) = (resource.custom, &resource.schema) {
        drover_structural::default::default(object, schema);
    }
}

/// A stored object as today's schemas would have stored it, and as this version shows it: fields of the version in which
/// it is stored come and go by that version's schema, and then only go by this one's.
pub(crate) fn complete_on_read(resource: &Resource, object: &mut Value) {
    let (true, Some(schema)) = (resource.custom, &resource.schema) else {
        return;
    };
    let version = object["apiVersion"].as_str().unwrap_or_default();
    let stored = resource.schemas.as_ref().and_then(|all| all.get(version));
    let stored = stored.unwrap_or(schema);
    drover_structural::prune::prune(object, stored);
    drover_structural::default::default(object, stored);
    if !Arc::ptr_eq(stored, schema) {
        drover_structural::prune::prune(object, schema);
    }
}

/// A field of `object` that managers of `live` in another version cannot know.
fn unknown_to_managers(resource: &Resource, live: &Value, object: &Value) -> Option<String> {
    let schemas = resource.schemas.as_ref()?;
    let own = resource.api_version();
    let managers = live["metadata"]["managedFields"].as_array()?;
    let versions = managers
        .iter()
        .filter_map(|entry| entry["apiVersion"].as_str());
    let others = versions.filter(|version| *version != own);
    others
        .filter_map(|version| schemas.get(version))
        .find_map(|schema| {
            let unknown = drover_structural::prune::unknown_fields(object, schema);
            unknown.into_iter().next()
        })
}

/// What the schema of a custom resource and its rules refuse. On update, what did not change is not held against the
/// writer. Built-in kinds are checked by their strategies.
pub(crate) fn validate(
    resource: &Resource,
    cx: &Context,
    subresource: &str,
    object: &Value,
    old: Option<&Value>,
) -> Vec<FieldError> {
    let (true, Some(schema)) = (resource.custom, &resource.schema) else {
        return Vec::new();
    };
    let mut errors = match old {
        None => drover_structural::validate::create(object, schema),
        Some(old) if subresource == "status" => {
            drover_structural::validate::update_status(object, old, schema)
        }
        Some(old) => drover_structural::validate::update(object, old, schema),
    };
    // What was stored under another schema may embed what nobody checked; the status has no part in this.
    if subresource != "status" {
        errors.extend(embedded::problems(&mut object.clone(), schema.view()));
    }
    if let Some(Subresource::Scale(paths)) = resource.subresources.get("scale") {
        errors.extend(scale::problems(object, paths, subresource == "status"));
    }
    let broken = resource.rules.check(object, old, schema, &errors);
    for error in broken.unchanged {
        cx.warn(error.to_string());
    }
    errors.extend(broken.errors);
    errors
}

/// The schema for ownership: of an unknown kind, every field by itself.
pub(crate) fn schema(resource: &Resource) -> Arc<Schema> {
    resource
        .schema
        .clone()
        .unwrap_or_else(|| Arc::new(Schema::any()))
}

/// The fields a write to this part never changes, which its manager therefore does not own
/// (apiserver `GetResetFields` of the strategies).
fn reset_fields(resource: &Resource, subresource: &str) -> Option<FieldSet> {
    match subresource {
        "" if &*resource.group == "certificates.k8s.io" => {
            Some(FieldSet::of_fields(&[&["spec"], &["status"]]))
        }
        "approval" => Some(FieldSet::of_fields(&[
            &["spec"],
            &["status", "certificate"],
        ])),
        "" if resource.has_status() => Some(FieldSet::of_fields(&[&["status"]])),
        "status" if resource.custom => {
            let mut paths: Vec<Vec<&str>> = vec![vec!["metadata"]];
            if let Some(schema) = &resource.schema {
                paths.extend(
                    schema
                        .view()
                        .properties()
                        .map(|(name, _)| name)
                        .filter(|name| {
                            !matches!(*name, "status" | "metadata" | "apiVersion" | "kind")
                        })
                        .map(|name| vec![name]),
                );
            }
            let paths: Vec<&[&str]> = paths.iter().map(Vec::as_slice).collect();
            Some(FieldSet::of_fields(&paths))
        }
        "status" => Some(FieldSet::of_fields(builtin::reset_by_status(
            &resource.group,
            &resource.kind,
        ))),
        _ => None,
    }
}

/// Records in `managedFields` what this write changed, under the request's manager.
pub(crate) fn track_update(
    resource: &Resource,
    cx: &Context,
    subresource: &str,
    new: &mut Value,
    old: Option<&Value>,
) {
    let schema = schema(resource);
    let reset = reset_fields(resource, subresource);
    let request = managed_fields::Request {
        schema: &schema,
        api_version: &resource.api_version(),
        subresource,
        manager: &cx.manager,
        reset: reset.as_ref(),
        blank: resource.blank.as_deref(),
        versions: resource.kin.as_deref().map(|kin| kin as _),
        now: cx.now,
    };
    // An empty list says nothing for a custom resource; for a built-in kind it asks to forget all owners
    // (apimachinery `managedfields/internal/managedfieldsupdater.go`, `unstructured.GetManagedFields`).
    if resource.custom
        && new["metadata"]["managedFields"]
            .as_array()
            .is_some_and(Vec::is_empty)
    {
        managed_fields::strip(new);
    }
    // As in the real server, owners that cannot be told are forgotten.
    if old.is_some_and(|old| unknown_to_managers(resource, old, new).is_some()) {
        managed_fields::strip(new);
        return;
    }
    managed_fields::update(old, new, &request);
}

/// Server-side apply of `config` to what is there: the object to store, with its `managedFields`.
pub(crate) fn apply(
    resource: &Resource,
    cx: &Context,
    subresource: &str,
    live: Option<&Value>,
    config: &Value,
    force: bool,
) -> Result<Value, StatusError> {
    let schema = schema(resource);
    let reset = reset_fields(resource, subresource);
    let request = managed_fields::Request {
        schema: &schema,
        api_version: &resource.api_version(),
        subresource,
        manager: &cx.manager,
        reset: reset.as_ref(),
        blank: resource.blank.as_deref(),
        versions: resource.kin.as_deref().map(|kin| kin as _),
        now: cx.now,
    };
    if let Some(path) = live.and_then(|live| unknown_to_managers(resource, live, config)) {
        return Err(StatusError::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "",
            format!("failed to convert new object: .{path}: field not declared in schema"),
        ));
    }
    managed_fields::apply(live, config, &request, force)
        .map(|applied| applied.object)
        .map_err(|error| apply_error(&error))
}

pub(crate) fn apply_error(error: &ApplyError) -> StatusError {
    match error {
        ApplyError::Conflict(conflicts) => {
            let mut status = StatusError::new(StatusCode::CONFLICT, "Conflict", error.to_string());
            for conflict in conflicts {
                status = status.cause(
                    "FieldManagerConflict",
                    format!("conflict with {}", conflict.manager),
                    conflict.path.to_string(),
                );
            }
            status
        }
        ApplyError::BadRequest(message) => StatusError::bad_request(message.clone()),
        ApplyError::Typed(_) | ApplyError::ManagedFields(_) => {
            StatusError::new(StatusCode::INTERNAL_SERVER_ERROR, "", error.to_string())
        }
    }
}
