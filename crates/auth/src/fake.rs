//! A tiny store behind a `kube::Client`, for this crate's own tests.
//!
//! Knows objects by path, resource versions, watches from a version, merge
//! patches, uid preconditions and label equality: what this crate asks for.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use jiff::Timestamp;
use kube::Client;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::watch;
use tower::service_fn;

use crate::Clock;
use crate::web::{self, Body};

#[derive(Clone)]
pub(crate) struct Store {
    state: Arc<Mutex<State>>,
    version: watch::Sender<u64>,
    clock: Option<Clock>,
}

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Value>,
    /// Collection, event.
    history: Vec<(String, Value)>,
    /// Watches show nothing past this version, if set.
    held_at: Option<usize>,
    requests: Vec<String>,
    fail: bool,
}

impl Store {
    pub(crate) fn new() -> Self {
        Self {
            state: Arc::default(),
            version: watch::Sender::new(0),
            clock: None,
        }
    }

    pub(crate) fn with_clock(clock: Clock) -> Self {
        Self {
            clock: Some(clock),
            ..Self::new()
        }
    }

    pub(crate) fn client(&self) -> Client {
        let store = self.clone();
        let service = service_fn(move |request: Request<kube::client::Body>| {
            let store = store.clone();
            async move { Ok::<_, Infallible>(store.serve(request).await) }
        });
        Client::new(service, "default")
    }

    /// Watches show nothing new until [`Store::release_watches`].
    pub(crate) fn hold_watches(&self) {
        let mut state = self.state.lock();
        state.held_at = Some(state.history.len());
    }

    pub(crate) fn release_watches(&self) {
        self.state.lock().held_at = None;
        self.version.send_modify(|version| *version += 1);
    }

    pub(crate) fn fail(&self, fail: bool) {
        self.state.lock().fail = fail;
    }

    pub(crate) fn dump(&self) -> BTreeMap<String, Value> {
        self.state.lock().objects.clone()
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().requests)
    }

    async fn serve(&self, request: Request<kube::client::Body>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
        let path = parts.uri.path().to_owned();
        let query: BTreeMap<String, String> = parts
            .uri
            .query()
            .unwrap_or_default()
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(key, value)| {
                (
                    key.to_owned(),
                    value
                        .replace("%3D", "=")
                        .replace("%2F", "/")
                        .replace("%2C", ","),
                )
            })
            .collect();
        self.state
            .lock()
            .requests
            .push(format!("{} {path}", parts.method));
        if self.state.lock().fail {
            return status(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable");
        }
        if query.get("watch").is_some_and(|watch| watch == "true") {
            return self.watch(&path, &query);
        }
        // `/apis/g/v/plural[/name]`, `/apis/g/v/namespaces/ns/plural[/name]`, `/api/v1/...`
        let n_root = if path.starts_with("/apis/") { 4 } else { 3 };
        let n_rest = path.split('/').count() - n_root;
        let is_object = matches!(n_rest, 2 | 4) && !(n_rest == 2 && path.ends_with("/namespaces"));
        match (parts.method, is_object) {
            (Method::GET, true) => match self.state.lock().objects.get(&path) {
                Some(object) => web::json(StatusCode::OK, object),
                None => status(StatusCode::NOT_FOUND, "NotFound"),
            },
            (Method::GET, false) => self.list(&path, &query),
            (Method::POST, _) => self.create(&path, body),
            (Method::PUT | Method::PATCH, true) => self.change(&path, &body),
            (Method::DELETE, true) => self.delete(&path, &body),
            other => panic!("the fake does not know {other:?} {path}"),
        }
    }

    fn list(&self, path: &str, query: &BTreeMap<String, String>) -> Response<Body> {
        let state = self.state.lock();
        let items: Vec<&Value> = state
            .objects
            .iter()
            .filter(|(key, _)| within(key, path))
            .map(|(_, object)| object)
            .filter(|object| selected(object, query.get("labelSelector")))
            .collect();
        let version = state.history.len().to_string();
        web::json(
            StatusCode::OK,
            &json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": version}, "items": items}),
        )
    }

    fn create(&self, path: &str, mut object: Value) -> Response<Body> {
        let mut state = self.state.lock();
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        let key = format!("{path}/{name}");
        if state.objects.contains_key(&key) {
            return status(StatusCode::CONFLICT, "AlreadyExists");
        }
        let segments: Vec<&str> = path.split('/').collect();
        if let Some(place) = segments.iter().position(|segment| *segment == "namespaces")
            && let Some(namespace) = segments.get(place + 1)
        {
            object["metadata"]["namespace"] = json!(namespace);
        }
        let version = state.history.len() + 1;
        object["metadata"]["uid"] = json!(format!("uid-{version}"));
        object["metadata"]["resourceVersion"] = json!(version.to_string());
        let now = self.clock.as_ref().map_or_else(Timestamp::now, Clock::now);
        object["metadata"]["creationTimestamp"] =
            json!(now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
        state
            .history
            .push((key.clone(), json!({"type": "ADDED", "object": object})));
        state.objects.insert(key, object.clone());
        drop(state);
        self.version.send_modify(|version| *version += 1);
        web::json(StatusCode::CREATED, &object)
    }

    fn change(&self, path: &str, change: &Value) -> Response<Body> {
        let mut state = self.state.lock();
        let version = state.history.len() + 1;
        let Some(object) = state.objects.get_mut(path) else {
            return status(StatusCode::NOT_FOUND, "NotFound");
        };
        let before = object.clone();
        let read_at = &change["metadata"]["resourceVersion"];
        if !read_at.is_null() && *read_at != before["metadata"]["resourceVersion"] {
            return status(StatusCode::CONFLICT, "Conflict");
        }
        merge(object, change);
        object["metadata"]["resourceVersion"] = before["metadata"]["resourceVersion"].clone();
        if *object == before {
            return web::json(StatusCode::OK, &before);
        }
        object["metadata"]["resourceVersion"] = json!(version.to_string());
        let object = object.clone();
        state.history.push((
            path.to_owned(),
            json!({"type": "MODIFIED", "object": object}),
        ));
        drop(state);
        self.version.send_modify(|version| *version += 1);
        web::json(StatusCode::OK, &object)
    }

    fn delete(&self, path: &str, options: &Value) -> Response<Body> {
        let mut state = self.state.lock();
        let Some(object) = state.objects.get(path).cloned() else {
            return status(StatusCode::NOT_FOUND, "NotFound");
        };
        if options["preconditions"]["uid"]
            .as_str()
            .is_some_and(|uid| object["metadata"]["uid"] != uid)
        {
            return status(StatusCode::CONFLICT, "Conflict");
        }
        state.objects.remove(path);
        state.history.push((
            path.to_owned(),
            json!({"type": "DELETED", "object": object}),
        ));
        drop(state);
        self.version.send_modify(|version| *version += 1);
        web::json(StatusCode::OK, &object)
    }

    fn watch(&self, path: &str, query: &BTreeMap<String, String>) -> Response<Body> {
        let from = query
            .get("resourceVersion")
            .and_then(|version| version.parse().ok())
            .unwrap_or(0_usize);
        let (store, path) = (self.clone(), path.to_owned());
        let lines = futures::stream::unfold(
            (from, self.version.subscribe()),
            move |(at, mut changed)| {
                let (store, path) = (store.clone(), path.clone());
                async move {
                    loop {
                        let shown = {
                            let state = store.state.lock();
                            let end = state.held_at.unwrap_or(usize::MAX).min(state.history.len());
                            let events = state.history.get(at..end).unwrap_or_default();
                            let lines: String = events
                                .iter()
                                .filter(|(key, _)| within(key, &path))
                                .map(|(_, event)| format!("{event}\n"))
                                .collect();
                            (end > at).then_some((lines, end))
                        };
                        match shown {
                            Some((lines, end)) => return Some((lines, (end, changed))),
                            None => changed.changed().await.ok()?,
                        }
                    }
                }
            },
        );
        let frames =
            lines.map(|lines| Ok::<_, Infallible>(http_body::Frame::data(Bytes::from(lines))));
        Response::new(web::boxed(StreamBody::new(frames)))
    }
}

/// Whether an object's path belongs to a collection's path, or to the same collection in any namespace.
fn within(key: &str, collection: &str) -> bool {
    let Some((of, _)) = key.rsplit_once('/') else {
        return false;
    };
    if of == collection {
        return true;
    }
    let Some((root, plural)) = collection.rsplit_once('/') else {
        return false;
    };
    of.strip_prefix(root)
        .and_then(|rest| rest.strip_prefix("/namespaces/"))
        .and_then(|rest| rest.split_once('/'))
        .is_some_and(|(_, of_plural)| of_plural == plural)
}

fn selected(object: &Value, selector: Option<&String>) -> bool {
    selector.is_none_or(|selector| {
        selector
            .split(',')
            .filter(|part| !part.is_empty())
            .all(|part| {
                let (label, value) = part.split_once('=').unwrap();
                object["metadata"]["labels"][label] == value
            })
    })
}

fn merge(object: &mut Value, change: &Value) {
    let (Value::Object(fields), Value::Object(changes)) = (&mut *object, change) else {
        *object = change.clone();
        return;
    };
    for (name, value) in changes {
        if value.is_null() {
            fields.remove(name);
        } else {
            merge(fields.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}

fn status(code: StatusCode, reason: &str) -> Response<Body> {
    web::json(
        code,
        &json!({
            "apiVersion": "v1", "kind": "Status", "status": "Failure",
            "reason": reason, "code": code.as_u16(), "message": reason,
        }),
    )
}
