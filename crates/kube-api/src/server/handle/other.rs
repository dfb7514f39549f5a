//! Answers that are not about a resource: discovery, schemas, versions.

use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, Method, Response, StatusCode};
use serde_json::{Value, json};

use super::authorize;
use crate::identity::{Identity, metadata};
use crate::rest::{Api, Attributes};
use crate::server::negotiate::{self, Accept};
use crate::server::{Body, respond};
use crate::status::StatusError;
use crate::{discovery, openapi};

pub(super) fn not_found() -> Response<Body> {
    respond::text(StatusCode::NOT_FOUND, "404 page not found\n")
}

/// What is asked of health by name: this server answers, writes its log, and has its store.
const CHECKS: [&str; 3] = ["ping", "log", "etcd"];

/// Whether all is well, with every check by name where somebody wants to read that (apiserver `healthz`).
fn health(which: &str, query: Option<&str>) -> String {
    let verbose = query
        .unwrap_or_default()
        .split('&')
        .any(|pair| pair.split('=').next() == Some("verbose"));
    if !verbose {
        return "ok".to_owned();
    }
    let mut text: String = CHECKS
        .iter()
        .map(|check| format!("[+]{check} ok\n"))
        .collect();
    text.push_str(&format!("{which} check passed\n"));
    text
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
    head: bool,
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
    // Others answer any method alike.
    let only_get = matches!(
        path.as_slice(),
        ["version" | "api"] | ["api", _] | ["apis", _, _]
    ) || path == metadata::CONFIGURATION
        || path == metadata::KEYS;
    if only_get && (head || parts.method != Method::GET) {
        return Err(StatusError::method_not_allowed());
    }
    let ends_with_slash = parts.uri.path().ends_with('/');
    let found = match path.as_slice() {
        [which @ ("healthz" | "livez" | "readyz")] if !ends_with_slash => {
            Some(respond::text(StatusCode::OK, health(which, parts.uri.query())))
        }
        ["healthz" | "livez" | "readyz", check] if !ends_with_slash && CHECKS.contains(check) => {
            Some(respond::text(StatusCode::OK, "ok"))
        }
        ["version"] => {
            let accept = negotiate::document(&parts.headers, &["application/json"])?;
            let body = version(api).to_string().into_bytes();
            Some(respond::json(StatusCode::OK, body, accept))
        }
        [] | ["index.html"] => Some(respond::json(
            StatusCode::OK,
            json!({"paths": ["/api", "/api/v1", "/apis", "/healthz", "/livez", "/openapi/v2", "/openapi/v3", "/readyz", "/version"]})
                .to_string()
                .into_bytes(),
            Accept::json(),
        )),
        path if path == metadata::CONFIGURATION => {
            let document = metadata::configuration().to_string();
            Some(respond::public(document, "application/json"))
        }
        path if path == metadata::KEYS => {
            let keys = metadata::keys(api).map_err(StatusError::internal)?.to_string();
            Some(respond::public(keys, "application/jwk-set+json"))
        }
        ["api" | "apis", ..] => {
            let found = discovery::handle(api, &path, &parts.headers);
            found.map(|found| in_form(found, &path, &parts.headers)).transpose()?
        }
        ["openapi", ..] => {
            openapi::handle(api, &path, parts.uri.query(), &parts.headers).map(whole)
        }
        _ => None,
    };
    match (found, path.as_slice()) {
        (Some(found), _) => Ok(found),
        (None, ["api", ..]) => no_resource(api, ""),
        (None, ["apis", group, _, ..]) => no_resource(api, group),
        (None, _) => Ok(not_found()),
    }
}

/// A discovery document in the form that the client reads; the aggregated one has but one.
fn in_form(
    found: Response<Bytes>,
    path: &[&str],
    headers: &HeaderMap,
) -> Result<Response<Body>, StatusError> {
    let plain = found
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|media| media == "application/json");
    if !plain || found.status() != StatusCode::OK {
        return Ok(whole(found));
    }
    // The list of groups has no router of its own before it.
    let routed = if path == ["apis"] {
        &[][..]
    } else {
        negotiate::BODY_TYPES
    };
    let accept = negotiate::document(headers, routed)?;
    if accept.is_plain() {
        return Ok(whole(found));
    }
    Ok(respond::json(
        StatusCode::OK,
        found.into_body().to_vec(),
        accept,
    ))
}

pub(super) fn whole(response: Response<Bytes>) -> Response<Body> {
    response.map(Body::full)
}

pub(super) fn version(api: &Api) -> Value {
    let git = &api.version.git_version;
    let numbers = git.trim_start_matches('v');
    let mut parts = numbers.split(['.', '+', '-']);
    let (major, minor) = (
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
    );
    // What one minor version before understands is kept up (recorded/http/01, `version`).
    let before = minor.parse::<u32>().map(|minor| minor.saturating_sub(1));
    json!({
        "major": major,
        "minor": minor,
        "emulationMajor": major,
        "emulationMinor": minor,
        "minCompatibilityMajor": major,
        "minCompatibilityMinor": before.map_or_else(|_| String::new(), |minor| minor.to_string()),
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
