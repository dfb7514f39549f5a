//! `scale`: an object seen as `autoscaling/v1` Scale.

use std::sync::Arc;

use drover_structural::field_set::FieldSet;
use drover_structural::managed_fields::{self, scale as owned};
use http::StatusCode;
use serde_json::{Value, json};

use super::notes::Notes;
use super::object::meta;
use super::options::WriteOptions;
use super::patch::{self, PatchKind};
use super::write::{Mutated, Target, Tracking, check_name, update};
use super::{Api, Context, read as stored, structure, write};
use crate::builtin;
use crate::registry::{Plain, Resource, ScalePaths};
use crate::status::{FieldError, StatusError};

fn at<'a>(object: &'a Value, path: &str) -> &'a Value {
    let mut value = object;
    for part in path.split('.').filter(|part| !part.is_empty()) {
        value = &value[part];
    }
    value
}

/// Sets a value at a dotted path, making the maps on the way. `None` if something on the way is no map.
fn set(object: &mut Value, path: &str, new: Value) -> Option<()> {
    let mut value = object;
    for part in path.split('.').filter(|part| !part.is_empty()) {
        if value.is_null() {
            *value = json!({});
        }
        value = value.as_object_mut()?.entry(part).or_insert(Value::Null);
    }
    *value = new;
    Some(())
}

/// The Scale of an object.
pub(crate) fn of(object: &Value, paths: &ScalePaths) -> Value {
    let mut metadata = json!({});
    for field in [
        "name",
        "namespace",
        "uid",
        "resourceVersion",
        "creationTimestamp",
    ] {
        let text = meta(object, field);
        if !text.is_empty() {
            metadata[field] = text.into();
        }
    }
    let mut spec = json!({});
    if let Some(replicas) = at(object, &paths.spec_replicas)
        .as_i64()
        .filter(|n| *n != 0)
    {
        spec["replicas"] = replicas.into();
    }
    let mut status = json!({"replicas": at(object, &paths.status_replicas).as_i64().unwrap_or(0)});
    if let Some(path) = &paths.label_selector {
        match at(object, path) {
            Value::String(text) => status["selector"] = text.as_str().into(),
            selector @ Value::Object(_) => status["selector"] = selector_text(selector).into(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => {}
        }
    }
    json!({
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": metadata,
        "spec": spec,
        "status": status,
    })
}

/// A LabelSelector, or a plain map of labels, as a selector text.
fn selector_text(selector: &Value) -> String {
    let mut parts = Vec::new();
    let labels =
        if selector.get("matchLabels").is_some() || selector.get("matchExpressions").is_some() {
            &selector["matchLabels"]
        } else {
            selector
        };
    if let Some(labels) = labels.as_object() {
        for (key, value) in labels {
            parts.push(format!("{key}={}", value.as_str().unwrap_or_default()));
        }
    }
    if let Some(expressions) = selector["matchExpressions"].as_array() {
        for expression in expressions {
            let key = expression["key"].as_str().unwrap_or_default();
            let values: Vec<&str> = expression["values"]
                .as_array()
                .map(|values| values.iter().filter_map(Value::as_str).collect())
                .unwrap_or_default();
            let values = values.join(",");
            match expression["operator"].as_str() {
                Some("In") => parts.push(format!("{key} in ({values})")),
                Some("NotIn") => parts.push(format!("{key} notin ({values})")),
                Some("Exists") => parts.push(key.to_owned()),
                Some("DoesNotExist") => parts.push(format!("!{key}")),
                Some(_) | None => {}
            }
        }
    }
    parts.sort();
    parts.join(",")
}

/// What an object that can be scaled says wrongly where its Scale is read from (apiextensions-apiserver
/// `registry/customresource/validator.go`).
pub(crate) fn problems(object: &Value, paths: &ScalePaths, status_only: bool) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let counts = [&paths.spec_replicas, &paths.status_replicas];
    for path in counts.into_iter().skip(usize::from(status_only)) {
        let (value, why) = match reached(object, path) {
            Err(why) => (0, why),
            Ok(None) => continue,
            Ok(Some(value)) => match value.as_i64() {
                Some(count @ ..0) => (count, "should be a non-negative integer".to_owned()),
                Some(count) if count > i64::from(i32::MAX) => {
                    let why = format!("should be less than or equal to {}", i32::MAX);
                    (count, why)
                }
                Some(_) => continue,
                None => (0, accessor_error(path, value, "int64")),
            },
        };
        errors.push(FieldError::invalid(path, value, why));
    }
    if let Some(path) = &paths.label_selector {
        match reached(object, path) {
            Ok(Some(value)) if !value.is_string() => {
                errors.push(FieldError::invalid(
                    path,
                    "",
                    accessor_error(path, value, "string"),
                ));
            }
            Ok(_) => {}
            Err(why) => errors.push(FieldError::invalid(path, "", why)),
        }
    }
    errors
}

/// The value at a path, or why it cannot be reached.
fn reached<'o>(object: &'o Value, path: &str) -> Result<Option<&'o Value>, String> {
    let mut value = object;
    let mut way = String::new();
    for part in path.split('.').filter(|part| !part.is_empty()) {
        way.push('.');
        way.push_str(part);
        if value.is_null() {
            return Ok(None);
        }
        let Some(members) = value.as_object() else {
            return Err(accessor_error(&way, value, "map[string]interface{}"));
        };
        match members.get(part) {
            None => return Ok(None),
            Some(next) => value = next,
        }
    }
    Ok(Some(value))
}

fn accessor_error(path: &str, value: &Value, wanted: &str) -> String {
    let (shown, kind) = match value {
        Value::Null => ("<nil>".to_owned(), "<nil>"),
        Value::Bool(flag) => (flag.to_string(), "bool"),
        Value::Number(number) if number.is_f64() => (number.to_string(), "float64"),
        Value::Number(number) => (number.to_string(), "int64"),
        Value::String(text) => (text.clone(), "string"),
        Value::Array(_) => (value.to_string(), "[]interface {}"),
        Value::Object(_) => (value.to_string(), "map[string]interface {}"),
    };
    format!("{path} accessor error: {shown} is of the type {kind}, expected {wanted}")
}

/// The Scale of a stored object.
pub(crate) fn get(api: &Api, target: &Target, paths: &ScalePaths) -> Result<Value, StatusError> {
    let shown = stored::get(api, &target.resource, &target.namespace, &target.name)?;
    let object = shown.value();
    if target.resource.custom && at(&object, &paths.spec_replicas).is_null() {
        return Err(StatusError::internal(format!(
            "the spec replicas field {:?} does not exist",
            paths.spec_replicas
        )));
    }
    Ok(of(&object, paths))
}

/// How a client wants the Scale.
#[derive(Debug)]
pub(crate) enum Edit {
    Replace(Value),
    Patch(PatchKind, Value),
}

fn refused(target: &Target, error: FieldError) -> StatusError {
    StatusError::invalid("autoscaling", "Scale", &target.name, &[error])
}

/// Changes the replicas of an object through its Scale.
pub(crate) async fn change(
    api: &Arc<Api>,
    cx: &Context,
    target: &Target,
    paths: &ScalePaths,
    options: &WriteOptions,
    edit: &Edit,
) -> Result<Value, StatusError> {
    if let Edit::Patch(kind, config) = edit {
        patch::check_options(*kind, options)?;
        if *kind == PatchKind::Apply {
            patch::check_config(config, owned::API_VERSION, "Scale")?;
        }
    }
    let mut mutate = |old: &Value| changed(api, cx, target, paths, options, edit, old);
    let written = update(api, cx, target, options, &mut mutate).await?;
    Ok(of(&written.into_value(), paths))
}

/// The object that `old` is to become.
fn changed(
    api: &Arc<Api>,
    cx: &Context,
    target: &Target,
    paths: &ScalePaths,
    options: &WriteOptions,
    edit: &Edit,
    old: &Value,
) -> Result<Mutated, StatusError> {
    let version = target.resource.api_version();
    let path: Vec<&str> = paths
        .spec_replicas
        .split('.')
        .filter(|part| !part.is_empty())
        .collect();
    let unreadable =
        |why: String| StatusError::internal(format!("failed to decode managed fields: {why}"));
    let mut present = of(old, paths);
    let owners = old["metadata"].get("managedFields");
    if let Some(owners) = owned::of_parent(owners, &version, &path).map_err(unreadable)? {
        present["metadata"]["managedFields"] = owners;
    }
    let wanted = wanted(cx, target, options, edit, &present)?;
    let form = kind(target);
    let wanted = write::admit_scale(api, cx, target, options, &form, [&present, &wanted])?;
    let replicas = checked(target, paths, &wanted)?;
    let mut object = old.clone();
    set(&mut object, &paths.spec_replicas, replicas.into())
        .ok_or_else(|| StatusError::internal("the path of the replicas leads through a value"))?;
    for field in ["resourceVersion", "uid"] {
        let text = meta(&wanted, field);
        if !text.is_empty() {
            object["metadata"][field] = text.into();
        }
    }
    let now = wanted["metadata"].get("managedFields");
    match owned::to_parent(owners, now, &version, &path).map_err(unreadable)? {
        Some(owners) => object["metadata"]["managedFields"] = owners,
        None => managed_fields::strip(&mut object),
    }
    Ok(Mutated {
        object,
        notes: Notes::default(),
        tracking: Tracking::Done,
    })
}

/// The Scale that the client wants, with its owners.
fn wanted(
    cx: &Context,
    target: &Target,
    options: &WriteOptions,
    edit: &Edit,
    present: &Value,
) -> Result<Value, StatusError> {
    let schema = builtin::scale_schema();
    let told = FieldSet::of_fields(&[&["status"]]);
    let request = managed_fields::Request {
        schema: &schema,
        api_version: owned::API_VERSION,
        subresource: "scale",
        manager: &cx.manager,
        // How many there are is told, not asked for.
        reset: Some(&told),
        blank: None,
        versions: None,
        now: cx.now,
    };
    let mut wanted = match edit {
        Edit::Patch(PatchKind::Apply, config) => {
            let force = options.force.unwrap_or(false);
            return managed_fields::apply(Some(present), config, &request, force)
                .map(|applied| applied.object)
                .map_err(|error| structure::apply_error(&error));
        }
        Edit::Patch(kind, body) => patch::apply_plain(*kind, present, body, Some(&schema))?,
        Edit::Replace(body) => body.clone(),
    };
    read(cx, target, options, edit, &mut wanted)?;
    let name = meta(&wanted, "name");
    if !name.is_empty() {
        check_name(target, name)?;
    }
    if let Some(members) = wanted.as_object_mut() {
        // As Go reads it: both parts are structures.
        for part in ["metadata", "spec"] {
            if !members.get(part).is_some_and(Value::is_object) {
                members.insert(part.to_owned(), json!({}));
            }
        }
        for part in ["apiVersion", "kind", "status"] {
            members.insert(part.to_owned(), present[part].clone());
        }
        let zero = members["spec"]["replicas"].as_i64() == Some(0);
        if let (true, Some(spec)) = (zero, members.get_mut("spec").and_then(Value::as_object_mut)) {
            spec.remove("replicas");
        }
    }
    managed_fields::update(Some(present), &mut wanted, &request);
    Ok(wanted)
}

/// The kind of Scales, as if it were a resource of its own.
pub(crate) fn kind(target: &Target) -> Resource {
    let (plural, namespaced) = ("scales", target.resource.namespaced);
    let strategy = Arc::new(Plain);
    let mut kind = Resource::new("autoscaling", "v1", plural, "Scale", namespaced, strategy);
    kind.schema = Some(Arc::new(builtin::scale_schema()));
    kind
}

/// Reads what the client wants as a Scale.
fn read(
    cx: &Context,
    target: &Target,
    options: &WriteOptions,
    edit: &Edit,
    wanted: &mut Value,
) -> Result<(), StatusError> {
    let scale = kind(target);
    let before = wanted.clone();
    let notes = Notes::default();
    let read = write::check_call(&scale, cx, &target.namespace, wanted, &notes, options);
    read.map_err(|error| match edit {
        Edit::Patch(..) if error.code == StatusCode::BAD_REQUEST => {
            write::unpatchable(&before, &error)
        }
        Edit::Patch(..) | Edit::Replace(_) => error,
    })
}

/// The replicas of a wanted Scale.
fn checked(target: &Target, paths: &ScalePaths, wanted: &Value) -> Result<i64, StatusError> {
    let replicas = match &wanted["spec"]["replicas"] {
        Value::Null => 0,
        value => value.as_i64().ok_or_else(|| {
            let detail = "must be an integer";
            refused(
                target,
                FieldError::invalid("spec.replicas", value.clone(), detail),
            )
        })?,
    };
    if replicas == i64::from(i32::MIN) {
        return Err(StatusError::bad_request(format!(
            "the spec replicas field {:?} cannot be empty",
            paths.spec_replicas
        )));
    }
    let resource = &target.resource;
    match replicas {
        0.. => Ok(replicas),
        _ if resource.custom => Err(StatusError::invalid(
            &resource.group,
            &resource.kind,
            &target.name,
            &[FieldError::invalid(
                &paths.spec_replicas,
                replicas,
                "should be a non-negative integer",
            )],
        )),
        _ => Err(refused(
            target,
            FieldError::invalid(
                "spec.replicas",
                replicas,
                "must be greater than or equal to 0",
            ),
        )),
    }
}
