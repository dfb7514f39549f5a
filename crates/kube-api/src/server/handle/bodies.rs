//! What the bodies of requests hold.

use drover_structural::go::type_name;
use serde_json::{Value, json};

use super::ResourceRequest;
use crate::protobuf;
use crate::rest::notes::Notes;
use crate::rest::options::DeleteOptions;
use crate::rest::patch::PatchKind;
use crate::server::decode::{self, Decoded, RequestBody};
use crate::server::negotiate;
use crate::status::StatusError;

pub(super) async fn patch_body<B: RequestBody>(
    request: &ResourceRequest<'_>,
    custom: bool,
    body: B,
) -> Result<(PatchKind, Decoded), StatusError> {
    let accepted = PatchKind::accepted(custom);
    // Routes of built-in kinds go by the letters.
    let named = if custom {
        negotiate::content_type(&request.parts.headers)
    } else {
        negotiate::written_type(&request.parts.headers)
    };
    let kind = named
        .filter(|name| accepted.contains(&name.as_str()))
        .and_then(|name| PatchKind::parse(&name))
        .ok_or_else(|| {
            if custom {
                StatusError::unsupported_media_type(accepted)
            } else {
                StatusError::unroutable_media_type()
            }
        })?;
    let bytes = decode::read(body, request.inner.api.limits.body_bytes).await?;
    let decoded = match kind {
        PatchKind::Apply => decode::yaml(&bytes)
            .map_err(|why| StatusError::bad_request(format!("error decoding YAML: {why}")))?,
        PatchKind::Strategic => decode::json(&bytes).map_err(StatusError::bad_request)?,
        PatchKind::Json | PatchKind::Merge => decode::json(&bytes)
            .map_err(|why| StatusError::bad_request(format!("error decoding patch: {why}")))?,
    };
    Ok((kind, decoded))
}

/// Reads and decodes an object.
pub(super) async fn object_body<B: RequestBody>(
    request: &ResourceRequest<'_>,
    kind: &str,
    body: B,
) -> Result<Decoded, StatusError> {
    let media = negotiate::content_type(&request.parts.headers);
    let bytes = match media.as_deref() {
        None | Some("application/json" | "application/yaml" | protobuf::MEDIA_TYPE) => {
            decode::read(body, request.inner.api.limits.body_bytes).await?
        }
        Some(_) => return Err(StatusError::unsupported_media_type(negotiate::BODY_TYPES)),
    };
    let unrecognized = |why: String| {
        StatusError::bad_request(format!(
            "the object provided is unrecognized (must be of type {kind}): {why} ({})",
            decode::summary(&bytes)
        ))
    };
    let decoded = match media.as_deref() {
        Some(protobuf::MEDIA_TYPE) => decode::protobuf(&bytes)?,
        Some("application/yaml") => {
            decode::yaml(&bytes).map_err(|why| unrecognized(format!("yaml: {why}")))?
        }
        _ => decode::json(&bytes).map_err(|why| {
            unrecognized(format!(
                "couldn't get version/kind; json parse error: {why}"
            ))
        })?,
    };
    for field in ["apiVersion", "kind"] {
        match decoded.value.get(field) {
            None | Some(Value::Null | Value::String(_)) => {}
            Some(other) => {
                return Err(unrecognized(format!(
                    "couldn't get version/kind; json parse error: json: cannot unmarshal {} into Go struct field .{field} of type string",
                    type_name(other)
                )));
            }
        }
    }
    match &decoded.value {
        Value::Object(_) => Ok(decoded),
        // What a null leaves out is left out.
        Value::Null => Ok(Decoded {
            value: json!({}),
            notes: Notes::default(),
        }),
        other => Err(unrecognized(format!(
            "couldn't get version/kind; json parse error: {}",
            not_an_object(other)
        ))),
    }
}

/// Why no version and kind can be read from a value.
fn not_an_object(value: &Value) -> String {
    format!(
        "json: cannot unmarshal {} into Go value of type struct {{ APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" }}",
        type_name(value)
    )
}

pub(super) async fn delete_options<B: RequestBody>(
    request: &ResourceRequest<'_>,
    body: B,
) -> Result<DeleteOptions, StatusError> {
    let bytes = decode::read(body, request.inner.api.limits.body_bytes).await?;
    if bytes.is_empty() {
        return DeleteOptions::parse(&request.query, None);
    }
    let decoded = match negotiate::content_type(&request.parts.headers).as_deref() {
        None | Some("application/json") => decode::json(&bytes).map_err(|why| {
            StatusError::bad_request(format!(
                "couldn't get version/kind; json parse error: {why}"
            ))
        })?,
        Some("application/yaml") => {
            decode::yaml(&bytes).map_err(|why| StatusError::bad_request(format!("yaml: {why}")))?
        }
        Some(protobuf::MEDIA_TYPE) => decode::protobuf(&bytes)?,
        Some(_) => return Err(StatusError::unsupported_media_type(negotiate::BODY_TYPES)),
    };
    let value = &decoded.value;
    if !value.is_object() && !value.is_null() {
        return Err(StatusError::bad_request(format!(
            "couldn't get version/kind; json parse error: {}",
            not_an_object(value)
        )));
    }
    DeleteOptions::parse(&request.query, Some(value))
}
