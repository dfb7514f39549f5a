//! What the group holds, as Kubernetes clients look for it.
//!
//! Owns the documents of the group, and its place among the groups of the cluster it looks like a part of: the list at
//! `/apis`, in its plain and its aggregated form, and that of schemas at `/openapi/v3`.

use std::convert::Infallible;

use drover_auth::web::{self, Request, Response};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG};
use http::{Method, StatusCode};
use kube::Client;
use serde_json::{Value, json};

use crate::{GROUP, VERSION};

/// Largest list of groups that is read to be added to.
const MOST: usize = 16 << 20;

/// A kind of the group.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    pub(crate) plural: &'static str,
    singular: &'static str,
    kind: &'static str,
    pub(crate) verbs: &'static [&'static str],
}

const KEPT: &[&str] = &[
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
];
const MADE: &[&str] = &["create"];

const KINDS: [Kind; 6] = [
    Kind {
        plural: "groupmembershiprefreshrequests",
        singular: "groupmembershiprefreshrequest",
        kind: "GroupMembershipRefreshRequest",
        verbs: MADE,
    },
    Kind {
        plural: "kubeconfigs",
        singular: "kubeconfig",
        kind: "Kubeconfig",
        verbs: KEPT,
    },
    Kind {
        plural: "passwordchangerequests",
        singular: "passwordchangerequest",
        kind: "PasswordChangeRequest",
        verbs: MADE,
    },
    Kind {
        plural: "selfusers",
        singular: "selfuser",
        kind: "SelfUser",
        verbs: MADE,
    },
    Kind {
        plural: "tokens",
        singular: "token",
        kind: "Token",
        verbs: KEPT,
    },
    Kind {
        plural: "useractivities",
        singular: "useractivity",
        kind: "UserActivity",
        verbs: &["get", "patch", "update"],
    },
];

/// What may be done with all of a kind, in a form that tells which kind that is: by it `kubectl explain` finds a kind's
/// schema (kubectl v0.36, pkg/explain/v2/templates/plaintext.tmpl).
pub(crate) fn paths() -> Value {
    let paths = KINDS.map(|kind| {
        let operation = |action: &str| {
            json!({
                "x-kubernetes-action": action, "responses": {"200": {"description": "OK"}},
                "x-kubernetes-group-version-kind": {"group": GROUP, "version": VERSION, "kind": kind.kind},
            })
        };
        let mut operations = serde_json::Map::new();
        for (verb, method, action) in [("create", "post", "post"), ("list", "get", "list")] {
            if kind.verbs.contains(&verb) {
                operations.insert(method.to_owned(), operation(action));
            }
        }
        let path = format!("/apis/{GROUP}/{VERSION}/{}", kind.plural);
        if operations.is_empty() {
            (format!("{path}/{{name}}"), json!({"get": operation("get")}))
        } else {
            (path, Value::Object(operations))
        }
    });
    Value::Object(paths.into_iter().collect())
}

/// A kind by its plural.
pub(crate) fn kind(plural: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.plural == plural)
}

fn version() -> Value {
    json!({"groupVersion": format!("{GROUP}/{VERSION}"), "version": VERSION})
}

/// The document of the group.
pub(crate) fn group() -> Value {
    json!({
        "apiVersion": "v1", "kind": "APIGroup", "name": GROUP, "versions": [version()], "preferredVersion": version(),
    })
}

/// The document of its version.
pub(crate) fn resources() -> Value {
    let resources = KINDS.map(|kind| {
        json!({
            "group": GROUP, "version": VERSION, "kind": kind.kind, "name": kind.plural, "namespaced": false,
            "singularName": kind.singular, "verbs": kind.verbs,
        })
    });
    json!({
        "apiVersion": "v1", "kind": "APIResourceList", "groupVersion": format!("{GROUP}/{VERSION}"),
        "resources": resources,
    })
}

fn aggregated() -> Value {
    let resources = KINDS.map(|kind| {
        json!({
            "resource": kind.plural, "singularResource": kind.singular, "scope": "Cluster", "verbs": kind.verbs,
            "responseKind": {"group": GROUP, "version": VERSION, "kind": kind.kind},
        })
    });
    json!({
        "metadata": {"name": GROUP, "creationTimestamp": null},
        "versions": [{"version": VERSION, "resources": resources, "freshness": "Current"}],
    })
}

/// Adds the group to a list of groups, or of their schemas; says whether it was one.
fn add(list: &mut Value) -> bool {
    if let Some(paths) = list.get_mut("paths").and_then(Value::as_object_mut) {
        paths
            .entry(format!("apis/{GROUP}/{VERSION}"))
            .or_insert_with(|| json!({"serverRelativeURL": crate::schema::PATH}));
        return true;
    }
    let (entries, entry) = match list["kind"].as_str() {
        Some("APIGroupList") => ("groups", group()),
        Some("APIGroupDiscoveryList") => ("items", aggregated()),
        _ => return false,
    };
    let Some(entries) = list.get_mut(entries).and_then(Value::as_array_mut) else {
        return false;
    };
    let known = entries
        .iter()
        .any(|known| known["name"] == GROUP || known["metadata"]["name"] == GROUP);
    if !known {
        let mut entry = entry;
        if let Some(entry) = entry.as_object_mut() {
            entry.remove("apiVersion");
            entry.remove("kind");
        }
        entries.push(entry);
    }
    true
}

/// Whether the answer to a request is a list of groups that lacks this one.
#[must_use]
pub fn is_list(method: &Method, path: &str) -> bool {
    method == Method::GET && matches!(path.trim_end_matches('/'), "/apis" | "/openapi/v3")
}

/// Prepares a request for a list of groups: one that is unchanged, or packed, could not be added to.
pub fn prepare(request: &mut Request) {
    for name in [http::header::IF_NONE_MATCH, http::header::ACCEPT_ENCODING] {
        request.headers_mut().remove(name);
    }
}

/// Adds the group to the answer, if that is a list of groups in JSON.
pub async fn complete(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let is_json = parts
        .headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .is_some_and(|kind| kind.starts_with("application/json"));
    if parts.status != StatusCode::OK || !is_json {
        return Response::from_parts(parts, body);
    }
    let bytes = match web::read(&parts.headers, body, MOST).await {
        Ok(bytes) => bytes,
        Err(error) => return crate::status::response(&error),
    };
    let completed = serde_json::from_slice::<Value>(&bytes)
        .ok()
        .and_then(|mut list| add(&mut list).then_some(list))
        .and_then(|list| web::to_json(&list).ok());
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.remove(ETAG);
    Response::from_parts(parts, web::full(completed.unwrap_or(bytes)))
}

/// A client of the local cluster whose lists of groups hold this one too.
#[must_use]
pub fn completed(client: Client) -> Client {
    let service = tower::service_fn(move |request: http::Request<kube::client::Body>| {
        let client = client.clone();
        async move {
            if request.method() == Method::GET && crate::schema::is_document(request.uri().path()) {
                let document = crate::schema::document();
                return Ok::<_, Infallible>(web::json(StatusCode::OK, &document));
            }
            let listed = is_list(request.method(), request.uri().path());
            let answer = match client.send(request).await {
                Ok(answer) => answer.map(web::boxed),
                Err(error) => crate::status::response(&error.into()),
            };
            Ok(if listed {
                complete(answer).await
            } else {
                answer
            })
        }
    });
    Client::new(service, "default")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_is_added_to_each_form_once() {
        let mut plain = json!({"kind": "APIGroupList", "groups": [{"name": "apps"}]});
        let mut whole = json!({"kind": "APIGroupDiscoveryList", "items": []});
        for _ in 0..2 {
            assert!(add(&mut plain) && add(&mut whole));
        }
        assert_eq!(plain["groups"][1]["preferredVersion"]["version"], "v1");
        assert_eq!(plain["groups"].as_array().map(Vec::len), Some(2));
        assert_eq!(whole["items"].as_array().map(Vec::len), Some(1));
        let resources = &whole["items"][0]["versions"][0]["resources"];
        assert_eq!(resources[4]["responseKind"]["kind"], "Token");
        let mut schemas =
            json!({"paths": {"api/v1": {"serverRelativeURL": "/openapi/v3/api/v1?hash=5"}}});
        assert!(add(&mut schemas));
        assert_eq!(
            schemas["paths"]["apis/ext.cattle.io/v1"]["serverRelativeURL"],
            crate::schema::PATH
        );
        assert!(!add(&mut json!({"kind": "Status"})));
        assert!(is_list(&Method::GET, "/apis/") && !is_list(&Method::GET, "/apis/apps"));
        assert!(is_list(&Method::GET, "/openapi/v3") && !is_list(&Method::GET, "/openapi/v2"));
    }
}
