//! Answers that are not about a resource: discovery, schemas, versions.

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Response, StatusCode};
use serde_json::{Value, json};

use super::authorize;
use crate::identity::Identity;
use crate::rest::{Api, Attributes};
use crate::server::negotiate::Accept;
use crate::server::{Body, respond};
use crate::status::StatusError;
use crate::{discovery, openapi};

pub(super) fn not_found() -> Response<Body> {
    respond::text(StatusCode::NOT_FOUND, "404 page not found\n")
}

/// A path below a group that names nothing: groups that are built in have a router of their own, which says so as a
/// `Status`.
pub(super) fn no_resource(api: &Api, group: &str) -> Result<Response<Body>, StatusError> {
    let built_in = api
        .registry
        .table()
        .all()
        .any(|resource| *resource.group == *group && !resource.custom);
    if built_in {
        Err(StatusError::no_such_resource())
    } else {
        Ok(not_found())
    }
}

/// Health, version, discovery, OpenAPI.
pub(super) fn other(
    api: &Arc<Api>,
    identity: &Identity,
    parts: &Parts,
    segments: &[String],
) -> Result<Response<Body>, StatusError> {
    let verb = parts.method.as_str().to_ascii_lowercase();
    authorize(
        api,
        identity,
        &Attributes {
            verb: &verb,
            path: parts.uri.path(),
            ..Attributes::default()
        },
    )?;
    let path: Vec<&str> = segments.iter().map(String::as_str).collect();
    let read_only = parts.method == Method::GET;
    let found = match path.as_slice() {
        ["healthz" | "livez" | "readyz", ..] => Some(respond::text(StatusCode::OK, "ok")),
        ["version"] => Some(respond::json(
            StatusCode::OK,
            version(api).to_string().into_bytes(),
            Accept::json(),
        )),
        [] => Some(respond::json(
            StatusCode::OK,
            json!({"paths": ["/api", "/api/v1", "/apis", "/healthz", "/livez", "/openapi/v2", "/openapi/v3", "/readyz", "/version"]})
                .to_string()
                .into_bytes(),
            Accept::json(),
        )),
        ["api" | "apis", ..] if read_only => {
            discovery::handle(api, &path, &parts.headers).map(whole)
        }
        ["openapi", ..] if read_only => {
            openapi::handle(api, &path, parts.uri.query(), &parts.headers).map(whole)
        }
        _ => None,
    };
    let Some(found) = found else {
        return Ok(not_found());
    };
    if read_only {
        Ok(found)
    } else {
        Err(StatusError::method_not_allowed())
    }
}

pub(super) fn whole(response: Response<Bytes>) -> Response<Body> {
    response.map(Body::full)
}

pub(super) fn version(api: &Api) -> Value {
    let git = &api.version.git_version;
    let numbers = git.trim_start_matches('v');
    let mut parts = numbers.split(['.', '+', '-']);
    json!({
        "major": parts.next().unwrap_or_default(),
        "minor": parts.next().unwrap_or_default(),
        "emulationMajor": numbers.split('.').next().unwrap_or_default(),
        "emulationMinor": numbers.split('.').nth(1).unwrap_or_default(),
        "gitVersion": git,
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "rustc",
        "platform": format!("{}/{}", std::env::consts::OS, match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        }),
    })
}
