//! `/openapi/v2`, `/openapi/v3` and `/openapi/v3/...`: the published schemas.
//!
//! Owns the documents: built-in schemas as recorded (without descriptions), those of custom resources as published for
//! clients, and the operations, which follow from the registry. A document is made when it is asked for and kept
//! nowhere: clients ask once and compare hashes.
//!
//! Protobuf is offered of version 2, which is what clients ask for who know no other form; who asks for it of version 3 and
//! for nothing else gets 406.

mod paths;
mod protobuf;
mod schemas;

use std::sync::Arc;

use bytes::Bytes;
use http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_TYPE, ETAG, EXPIRES, IF_NONE_MATCH, LOCATION, VARY,
};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha512};

use crate::discovery;
use crate::registry::{Resource, Table};
use crate::rest::Api;

/// The revision of this module's output; part of every hash.
const FORMAT: &str = "1";

/// Answers GET on an OpenAPI path; `None` if there is no such document.
pub(crate) fn handle(
    api: &Arc<Api>,
    path: &[&str],
    query: Option<&str>,
    headers: &HeaderMap,
) -> Option<Response<Bytes>> {
    let table = api.registry.table();
    match path {
        ["openapi", "v3"] => Some(root(&table)),
        ["openapi", "v2"] => Some(second(&table, api, headers)),
        ["openapi", "v3", "api", version] => third(&table, api, "", version, query, headers),
        ["openapi", "v3", "apis", group, version] => {
            third(&table, api, group, version, query, headers)
        }
        _ => None,
    }
}

/// The hash of one group version's document, without making it.
fn hash<'r>(resources: impl Iterator<Item = &'r Arc<Resource>>) -> String {
    let mut hash = Sha512::new();
    hash.update(FORMAT);
    hash.update(env!("CARGO_PKG_VERSION"));
    for resource in resources {
        for text in [
            &*resource.group,
            &*resource.version,
            &*resource.plural,
            &*resource.kind,
        ] {
            hash.update(text);
            hash.update([0]);
        }
        hash.update(resource.schema_mark.to_be_bytes());
        for part in resource.subresources.keys() {
            hash.update(part);
        }
        hash.update(resource.selectable_fields.join(","));
    }
    hex::encode_upper(hash.finalize())
}

fn root(table: &Table) -> Response<Bytes> {
    let mut paths = Map::new();
    let groups = std::iter::once(String::new()).chain(discovery::named_groups(table));
    for group in groups {
        for version in discovery::versions(table, &group) {
            let key = if group.is_empty() {
                format!("api/{version}")
            } else {
                format!("apis/{group}/{version}")
            };
            let hash = hash(table.version(&group, &version));
            paths.insert(
                key.clone(),
                json!({"serverRelativeURL": format!("/openapi/v3/{key}?hash={hash}")}),
            );
        }
    }
    json_response(&json!({"paths": paths}).to_string())
}

fn json_response(body: &str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::copy_from_slice(body.as_bytes()));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    response
}

/// Names of the message form; the first, which is no media type by its letters, is what clients ask for, the second what is
/// answered (k8s.io/kube-openapi v0.36 `handler/handler.go`).
const PROTOBUF: [&str; 2] = [
    "application/com.github.proto-openapi.spec.v2@v1.0+protobuf",
    "application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
];

/// The media ranges a client accepts, without their parameters.
fn accepted(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = headers.get_all(ACCEPT).iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|range| range.split(';').next().map(str::trim))
}

/// Whether a client wants the message form: it asks for no JSON before it.
fn wants_protobuf(headers: &HeaderMap) -> bool {
    accepted(headers)
        .find(|range| PROTOBUF.contains(range) || is_json(range))
        .is_some_and(|first| PROTOBUF.contains(&first))
}

fn is_json(range: &str) -> bool {
    matches!(range, "application/json" | "application/*" | "*/*")
}

/// Whether JSON is among what a client accepts.
fn accepts_json(headers: &HeaderMap) -> bool {
    let mut ranges = accepted(headers).peekable();
    ranges.peek().is_none() || ranges.any(is_json)
}

fn not_acceptable() -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::NOT_ACCEPTABLE;
    response
}

fn third(
    table: &Table,
    api: &Api,
    group: &str,
    version: &str,
    query: Option<&str>,
    headers: &HeaderMap,
) -> Option<Response<Bytes>> {
    let resources = table.version(group, version).collect::<Vec<_>>();
    if resources.is_empty() {
        return None;
    }
    if !accepts_json(headers) {
        return Some(not_acceptable());
    }
    let hash = hash(resources.iter().copied());
    let asked = query.and_then(|query| {
        form_urlencoded::parse(query.as_bytes())
            .find(|(name, _)| name == "hash")
            .map(|(_, value)| value.into_owned())
    });
    let tag = HeaderValue::from_str(&format!("\"{hash}\"")).ok()?;
    if asked.as_ref().is_some_and(|asked| *asked != hash) {
        let location = if group.is_empty() {
            format!("api/{version}")
        } else {
            format!("apis/{group}/{version}")
        };
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = StatusCode::MOVED_PERMANENTLY;
        response.headers_mut().insert(ETAG, tag);
        response.headers_mut().insert(
            LOCATION,
            format!("/openapi/v3/{location}?hash={hash}").parse().ok()?,
        );
        return Some(response);
    }
    let mut response = if headers.get(IF_NONE_MATCH) == Some(&tag) {
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        json_response(&document(api, &resources, group, version).to_string())
    };
    let answer = response.headers_mut();
    answer.insert(ETAG, tag);
    answer.insert(VARY, HeaderValue::from_static("Accept"));
    if asked.is_some() {
        answer.insert(CACHE_CONTROL, HeaderValue::from_static("public, immutable"));
        answer.insert(
            EXPIRES,
            HeaderValue::from_static("Thu, 31 Dec 2099 23:59:59 GMT"),
        );
    }
    Some(response)
}

/// `v1.36.3` as `1.36`.
fn title_version(git_version: &str) -> String {
    let mut parts = git_version.trim_start_matches('v').split('.');
    format!(
        "{}.{}",
        parts.next().unwrap_or("1"),
        parts.next().unwrap_or("0")
    )
}

fn document(api: &Api, resources: &[&Arc<Resource>], group: &str, version: &str) -> Value {
    let all = schemas::Schemas::new();
    let mut paths = Map::new();
    let mut wanted = Vec::new();
    for resource in resources {
        wanted.extend(schemas::roots(resource));
        for (path, operations) in paths::of(resource, paths::Form::Third) {
            paths.insert(path, operations);
        }
    }
    paths.insert(
        paths::group_path(group, version),
        paths::resource_list(group, version),
    );
    let components = all.closure(&wanted, resources, "#/components/schemas/");
    json!({
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": title_version(&api.version.git_version)},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"BearerToken": {
                "type": "apiKey", "description": "Bearer Token authentication", "name": "authorization", "in": "header",
            }},
        },
    })
}

fn second(table: &Table, api: &Api, headers: &HeaderMap) -> Response<Bytes> {
    let as_message = wants_protobuf(headers);
    if !as_message && !accepts_json(headers) {
        return not_acceptable();
    }
    let resources = table.all().collect::<Vec<_>>();
    let form = if as_message { "-message" } else { "" };
    let tag = format!("\"{}{form}\"", hash(resources.iter().copied()));
    let unchanged = headers
        .get(IF_NONE_MATCH)
        .is_some_and(|held| held.as_bytes() == tag.as_bytes());
    let mut response = if unchanged {
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        let all = schemas::Schemas::new();
        let mut paths = Map::new();
        let mut wanted = Vec::new();
        for resource in &resources {
            wanted.extend(schemas::roots(resource));
            for (path, operations) in paths::of(resource, paths::Form::Second) {
                paths.insert(path, operations);
            }
        }
        let definitions = all.closure(&wanted, &resources, "#/definitions/");
        let document = json!({
            "swagger": "2.0",
            "info": {"title": "Kubernetes", "version": title_version(&api.version.git_version)},
            "paths": paths,
            "definitions": schemas::second_form(definitions),
            "securityDefinitions": {"BearerToken": {
                "type": "apiKey", "description": "Bearer Token authentication", "name": "authorization", "in": "header",
            }},
            "security": [{"BearerToken": []}],
        });
        if as_message {
            let mut response = Response::new(Bytes::from(protobuf::document(&document)));
            let media_type = HeaderValue::from_static(PROTOBUF[1]);
            response.headers_mut().insert(CONTENT_TYPE, media_type);
            let cache = HeaderValue::from_static("no-cache, private");
            response.headers_mut().insert(CACHE_CONTROL, cache);
            response
        } else {
            json_response(&document.to_string())
        }
    };
    if let Ok(tag) = tag.parse() {
        response.headers_mut().insert(ETAG, tag);
    }
    response
        .headers_mut()
        .insert(VARY, HeaderValue::from_static("Accept"));
    response
}

/// The tag of a group version's operations, as `apps_v1`.
fn tag(group: &str, version: &str) -> String {
    let group = if group.is_empty() { "core" } else { group };
    let group = group.trim_end_matches(".k8s.io");
    let mut words = group.split(['.', '-']);
    let mut tag = words.next().unwrap_or_default().to_owned();
    for word in words {
        tag.push_str(&capital(word));
    }
    format!("{tag}_{version}")
}

fn capital(word: &str) -> String {
    let mut characters = word.chars();
    characters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(characters).collect()
    })
}

/// The key of a group version in `x-kubernetes-group-version-kind`.
fn gvk(resource: &Resource) -> Value {
    json!({"group": resource.group, "version": resource.version, "kind": resource.kind})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builtin;
    use crate::registry::Registry;

    #[test]
    fn tags_are_those_of_the_real_server() {
        assert_eq!(tag("", "v1"), "core_v1");
        assert_eq!(tag("apps", "v1"), "apps_v1");
        assert_eq!(
            tag("rbac.authorization.k8s.io", "v1"),
            "rbacAuthorization_v1"
        );
        assert_eq!(tag("g.io", "v1"), "gIo_v1");
    }

    #[test]
    fn every_reference_of_every_document_resolves() {
        let registry = Registry::default();
        builtin::install(&registry);
        let table = registry.table();
        let all = schemas::Schemas::new();
        for (group, versions) in table.groups() {
            for version in &versions.versions {
                let resources = table.version(group, version).collect::<Vec<_>>();
                let wanted = resources
                    .iter()
                    .flat_map(|resource| schemas::roots(resource))
                    .collect::<Vec<_>>();
                let components = all.closure(&wanted, &resources, "#/components/schemas/");
                for name in &wanted {
                    assert!(components.contains_key(name), "{name}");
                }
                let text = Value::Object(components.clone()).to_string();
                for reference in text.split("#/components/schemas/").skip(1) {
                    let name = reference.split('"').next().unwrap();
                    assert!(components.contains_key(name), "{name}");
                }
            }
        }
    }
}
