//! `scale`: an object seen as `autoscaling/v1` Scale.

use std::sync::Arc;

use serde_json::{Value, json};

use super::object::meta;
use super::options::WriteOptions;
use super::read;
use super::write::{Mutated, Target, Tracking, update};
use super::{Api, Context};
use crate::registry::ScalePaths;
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

/// The Scale of a stored object.
pub(crate) fn get(api: &Api, target: &Target, paths: &ScalePaths) -> Result<Value, StatusError> {
    let shown = read::get(api, &target.resource, &target.namespace, &target.name)?;
    Ok(of(&shown.value(), paths))
}

/// Changes the replicas through `edit`, which turns the present Scale into the wanted one.
pub(crate) async fn change(
    api: &Arc<Api>,
    cx: &Context,
    target: &Target,
    paths: &ScalePaths,
    options: &WriteOptions,
    mut edit: impl FnMut(&Value) -> Result<Value, StatusError> + Send,
) -> Result<Value, StatusError> {
    let mut mutate = |old: &Value| {
        let present = of(old, paths);
        let wanted = edit(&present)?;
        let refused = |error| StatusError::invalid("autoscaling", "Scale", &target.name, &[error]);
        let name = meta(&wanted, "name");
        if !name.is_empty() && name != target.name {
            return Err(StatusError::bad_request(format!(
                "the name of the object ({name}) does not match the name on the URL ({})",
                target.name
            )));
        }
        let replicas = match &wanted["spec"]["replicas"] {
            Value::Null => 0,
            value => value.as_i64().ok_or_else(|| {
                refused(FieldError::invalid(
                    "spec.replicas",
                    value.clone(),
                    "must be an integer",
                ))
            })?,
        };
        if replicas < 0 {
            return Err(refused(FieldError::invalid(
                "spec.replicas",
                replicas,
                "must be greater than or equal to 0",
            )));
        }
        let mut object = old.clone();
        set(&mut object, &paths.spec_replicas, replicas.into()).ok_or_else(|| {
            StatusError::internal("the path of the replicas leads through a value")
        })?;
        let revision = meta(&wanted, "resourceVersion");
        if !revision.is_empty() {
            object["metadata"]["resourceVersion"] = revision.into();
        }
        let uid = meta(&wanted, "uid");
        if !uid.is_empty() {
            object["metadata"]["uid"] = uid.into();
        }
        Ok(Mutated {
            object,
            duplicates: Vec::new(),
            tracking: Tracking::Update,
        })
    };
    let written = update(api, cx, target, options, &mut mutate).await?;
    Ok(of(&written.into_value(), paths))
}
