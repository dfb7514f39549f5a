//! The body of a write: what it must be to be read as its kind.

use std::sync::Arc;

use drover_structural::Schema;
use drover_structural::go::type_name;
use serde_json::{Value, json};

use super::{Target, Tracking};
use crate::builtin;
use crate::registry::Resource;
use crate::rest::notes::Notes;
use crate::rest::object::{meta, metadata_mut};
use crate::rest::options::WriteOptions;
use crate::rest::{Api, Context, structure};
use crate::status::{FieldError, StatusError};

/// Checks apiVersion and kind of a body; built-in kinds may leave them out.
pub(crate) fn check_type(resource: &Resource, body: &mut Value) -> Result<(), StatusError> {
    let Some(map) = body.as_object_mut() else {
        return Err(StatusError::bad_request(
            "the body of the request is not an object",
        ));
    };
    let expected = resource.api_version();
    let text = |field: &str| map.get(field).and_then(Value::as_str).unwrap_or_default();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    if resource.custom && kind.is_empty() {
        let text = Value::Object(map.clone()).to_string();
        return Err(StatusError::bad_request(format!(
            "the object provided is unrecognized (must be of type {}): Object 'Kind' is missing in '{text}' ({})",
            resource.kind,
            crate::server::summary(text.as_bytes())
        )));
    }
    if resource.custom {
        if api_version != expected {
            return Err(StatusError::bad_request(format!(
                "the API version in the data ({api_version}) does not match the expected API version ({expected})"
            )));
        }
        if kind != &*resource.kind {
            let error = FieldError::invalid("kind", kind, format!("must be {}", resource.kind));
            let name = map
                .get("metadata")
                .and_then(|metadata| metadata["name"].as_str())
                .unwrap_or_default();
            return Err(StatusError::invalid(&resource.group, kind, name, &[error]));
        }
    } else {
        let kind = if kind.is_empty() {
            &*resource.kind
        } else {
            kind
        };
        let named = if api_version.is_empty() {
            expected.as_str()
        } else {
            api_version
        };
        if named != expected || kind != &*resource.kind {
            let (group, version) = named.rsplit_once('/').unwrap_or(("", named));
            let why = if group == &*resource.group
                && kind == &*resource.kind
                && builtin::is_kind(group, version, kind)
            {
                return Err(StatusError::bad_request(format!(
                    "the API version in the data ({named}) does not match the expected API version ({expected})"
                )));
            } else if builtin::is_kind(group, version, kind) {
                let package = resource
                    .group
                    .split('.')
                    .next()
                    .filter(|name| !name.is_empty())
                    .unwrap_or("core");
                format!(
                    "converting ({version}.{kind}) to ({package}.{}): unknown conversion",
                    resource.kind
                )
            } else {
                format!(
                    "no kind {kind:?} is registered for version {named:?} in scheme \"pkg/runtime/scheme.go:111\""
                )
            };
            return Err(StatusError::undecodable(
                kind,
                version,
                &resource.kind,
                &why,
            ));
        }
    }
    map.insert("apiVersion".to_owned(), expected.into());
    map.insert("kind".to_owned(), (&*resource.kind).into());
    match map.get("metadata") {
        None | Some(Value::Null) => {
            map.insert("metadata".to_owned(), json!({}));
        }
        Some(Value::Object(_)) => {}
        Some(other) => {
            let why = format!(
                "json: cannot unmarshal {} into Go struct field {}.metadata of type v1.ObjectMeta",
                type_name(other),
                resource.kind
            );
            return Err(StatusError::undecodable(
                &resource.kind,
                &resource.version,
                &resource.kind,
                &why,
            ));
        }
    }
    Ok(())
}

/// Checks the body of a call of the kind `of`.
pub(crate) fn check_call(
    of: &Resource,
    cx: &Context,
    namespace: &str,
    body: &mut Value,
    notes: &Notes,
    options: &WriteOptions,
) -> Result<(), StatusError> {
    check_type(of, body)?;
    let validation = options.field_validation;
    structure::check_fields(of, cx, body, notes, validation, &Tracking::Update)?;
    let stated = meta(body, "namespace");
    if of.namespaced && !stated.is_empty() && stated != namespace {
        return Err(other_namespace());
    }
    Ok(())
}

fn other_namespace() -> StatusError {
    StatusError::bad_request(
        "the namespace of the provided object does not match the namespace sent on the request",
    )
}

/// Checks the type of a sent body. One in another version of the kind is read under the schema of that version before
/// it is refused.
pub(super) fn check_body(
    api: &Api,
    cx: &Context,
    target: &Target,
    body: &mut Value,
    notes: &Notes,
    options: &WriteOptions,
) -> Result<(), StatusError> {
    let resource = &target.resource;
    let refused = match check_type(resource, body) {
        Err(refused) if resource.custom => refused,
        result => return result,
    };
    let named = body["apiVersion"].as_str().unwrap_or_default();
    let version = named
        .split_once('/')
        .filter(|(group, _)| *group == &*resource.group);
    if let Some((group, version)) = version
        && body["kind"] == *resource.kind
    {
        let known = api.registry.get(group, version, &resource.plural);
        let other = known.unwrap_or_else(|| {
            // A version that is not there has a schema without any fields.
            let mut other = (**resource).clone();
            other.schema = Schema::from_crd(&json!({"type": "object"}))
                .ok()
                .map(Arc::new);
            Arc::new(other)
        });
        let validation = options.field_validation;
        structure::check_fields(&other, cx, body, notes, validation, &Tracking::Update)?;
    }
    Err(refused)
}

/// Fits the namespace of a body to the namespace of the request.
pub(super) fn check_namespace(target: &Target, body: &mut Value) -> Result<(), StatusError> {
    let namespace = meta(body, "namespace").to_owned();
    if !target.resource.namespaced {
        // The real server clears it: manifests in the field name a namespace for what has none.
        metadata_mut(body).remove("namespace");
        return Ok(());
    }
    if namespace.is_empty() {
        metadata_mut(body).insert("namespace".to_owned(), target.namespace.as_str().into());
    } else if namespace != target.namespace {
        return Err(other_namespace());
    }
    Ok(())
}

/// The object has to be the one that the path names.
pub(crate) fn check_name(target: &Target, name: &str) -> Result<(), StatusError> {
    if name.is_empty() {
        return Err(nameless(target));
    }
    if name == target.name {
        return Ok(());
    }
    Err(StatusError::bad_request(format!(
        "the name of the object ({name}) does not match the name on the URL ({})",
        target.name
    )))
}

pub(super) fn nameless(target: &Target) -> StatusError {
    StatusError::bad_request(format!(
        "the name of the object ({} based on URL) was undeterminable: name must be provided",
        target.name
    ))
}

/// Why a body cannot be read as its kind, without the words that say so.
pub(crate) fn cannot_be(error: &StatusError) -> &str {
    let why = error
        .message
        .rsplit_once("cannot be handled as a ")
        .and_then(|(_, rest)| rest.split_once(": "));
    why.map_or(error.message.as_str(), |(_, why)| why)
}

/// A patch whose result cannot be read as the object (apiserver `handlers/patch.go`).
pub(crate) fn unpatchable(patched: &Value, error: &StatusError) -> StatusError {
    let why = cannot_be(error);
    StatusError::invalid(
        "",
        "",
        "",
        &[FieldError::invalid("patch", patched.to_string(), why)],
    )
}
