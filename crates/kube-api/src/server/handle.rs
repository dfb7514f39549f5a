//! One HTTP request: identity, authorisation, the verb, the answer.
//!
//! The order is fixed: path limits, identity, authorisation, then the body. Nothing of a body is read for a client that
//! may not do what it asks.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::USER_AGENT;
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use serde_json::{Value, json};

use super::decode::{self, Decoded, RequestBody};
use super::lists;
use super::negotiate::{self, Accept};
use super::respond;
use super::route::{self, ResourcePath, Route};
use super::turns::{Refused, Turn, Turns};
use super::{Body, Inner};
use crate::identity::{self, Identity};
use crate::registry::{Call, Resource, Subresource};
use crate::rest::delete::{self, delete_collection};
use crate::rest::notes::Notes;
use crate::rest::options::{DeleteOptions, ListOptions, Query, WriteOptions};
use crate::rest::patch::{self, PatchKind};
use crate::rest::read::{self, Filter};
use crate::rest::write::{self, Target, Written};
use crate::rest::{Api, Attributes, Context, render, scale};
use crate::status::StatusError;
use crate::{discovery, openapi, protobuf, rbac, watch};

/// Longest query taken, in bytes.
const MAX_QUERY: usize = 64 * 1024;

/// Lists of more bytes than this are made while they are read.
const STREAM_FROM: usize = 256 * 1024;

/// Longest set of headers taken, in bytes.
const MAX_HEADERS: usize = 1024 * 1024;

/// Answers one request.
pub(super) async fn handle<B: RequestBody>(
    inner: &Inner,
    asserted: Option<Arc<Identity>>,
    request: Request<B>,
) -> Response<Body> {
    let (mut parts, body) = request.into_parts();
    let head = parts.method == Method::HEAD;
    if head {
        parts.method = Method::GET;
    }
    let asserted = asserted
        .map(|identity| (*identity).clone())
        .or_else(|| parts.extensions.remove::<Identity>());
    let mut response = match answer(inner, asserted, &parts, head, body).await {
        Ok(response) => response,
        Err(error) => respond::error(&error),
    };
    if head {
        *response.body_mut() = Body::empty();
        return response;
    }
    compress(&parts.headers, response).await
}

async fn compress(headers: &HeaderMap, response: Response<Body>) -> Response<Body> {
    if !negotiate::accepts_gzip(headers) || response.body().full_len() < respond::GZIP_FROM {
        return response;
    }
    if response
        .headers()
        .contains_key(http::header::CONTENT_ENCODING)
    {
        return response;
    }
    let (parts, body) = response.into_parts();
    let Some(bytes) = body.into_full() else {
        return respond::error(&StatusError::internal(
            "a body of known length was a stream",
        ));
    };
    let mut response = Response::from_parts(parts, Body::empty());
    match respond::gzip(bytes.clone()).await {
        Ok(packed) => {
            *response.body_mut() = Body::full(packed);
            respond::mark_gzip(&mut response);
        }
        Err(_) => *response.body_mut() = Body::full(bytes),
    }
    response
}

async fn answer<B: RequestBody>(
    inner: &Inner,
    asserted: Option<Identity>,
    parts: &Parts,
    head: bool,
    body: B,
) -> Result<Response<Body>, StatusError> {
    let api = &inner.api;
    if parts
        .uri
        .query()
        .is_some_and(|query| query.len() > MAX_QUERY)
    {
        return Err(StatusError::new(
            StatusCode::URI_TOO_LONG,
            "RequestURITooLong",
            "the query is too long",
        ));
    }
    let size: usize = parts
        .headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum();
    if size > MAX_HEADERS {
        return Err(StatusError::new(
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "RequestHeaderFieldsTooLarge",
            "the headers are too large",
        ));
    }
    let identity = identity::authenticate(api, &parts.headers, asserted)?;
    match route::parse(parts.uri.path()) {
        Route::Bad(why) => Err(StatusError::bad_request(why)),
        Route::Other(segments) => other(api, &identity, parts, &segments),
        Route::Resource(path) => {
            let timeout = api.limits.request_timeout;
            let request = ResourceRequest {
                inner,
                parts,
                path: &path,
                query: Query::parse(parts.uri.query().unwrap_or_default()),
                identity,
                head,
                warnings: Arc::default(),
            };
            let warnings = Arc::clone(&request.warnings);
            let result = resource(request, body, timeout).await;
            result.or_else(|error| {
                let warnings = warnings.lock();
                if warnings.is_empty() {
                    return Err(error);
                }
                let mut response = respond::error(&error);
                respond::warn(&mut response, &warnings);
                Ok(response)
            })
        }
    }
}

fn not_found() -> Response<Body> {
    respond::text(StatusCode::NOT_FOUND, "404 page not found\n")
}

/// A path below a group that names nothing: groups that are built in have a router of their own, which says so as a
/// `Status`.
fn no_resource(api: &Api, group: &str) -> Result<Response<Body>, StatusError> {
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

fn authorize(
    api: &Api,
    identity: &Identity,
    attributes: &Attributes<'_>,
) -> Result<(), StatusError> {
    match api.authorizer.authorize(api, identity, attributes) {
        crate::rest::Decision::Allow(_) => Ok(()),
        crate::rest::Decision::NoOpinion(reason) => {
            Err(rbac::forbidden(identity, attributes, &reason))
        }
    }
}

/// Health, version, discovery, OpenAPI.
fn other(
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

fn whole(response: Response<Bytes>) -> Response<Body> {
    response.map(Body::full)
}

fn version(api: &Api) -> Value {
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

struct ResourceRequest<'a> {
    inner: &'a Inner,
    parts: &'a Parts,
    path: &'a ResourcePath,
    query: Query,
    identity: Identity,
    /// HEAD, which no resource answers.
    head: bool,
    /// Sent even if the request fails.
    warnings: Arc<parking_lot::Mutex<Vec<String>>>,
}

impl ResourceRequest<'_> {
    /// The verb of the request, `None` if the method means nothing on such a path.
    fn verb(&self) -> Option<&'static str> {
        let collection = self.path.name.is_empty();
        let watch = self.path.watch || (collection && self.query.flag("watch").unwrap_or(false));
        match (&self.parts.method, collection) {
            (&Method::GET, _) if watch => Some("watch"),
            _ if self.path.watch => None,
            (&Method::GET, true) => Some("list"),
            (&Method::GET, false) => Some("get"),
            (&Method::POST, _) => Some("create"),
            (&Method::PUT, false) => Some("update"),
            (&Method::PATCH, false) => Some("patch"),
            (&Method::DELETE, true) => Some("deletecollection"),
            (&Method::DELETE, false) => Some("delete"),
            _ => None,
        }
    }

    fn context(&self, options: &WriteOptions) -> Context {
        let agent = self
            .parts
            .headers
            .get(USER_AGENT)
            .and_then(|agent| agent.to_str().ok())
            .unwrap_or_default();
        let manager = options
            .field_manager
            .clone()
            .unwrap_or_else(|| drover_structural::managed_fields::manager_of(agent).to_owned());
        Context {
            identity: self.identity.clone(),
            manager,
            now: self.inner.api.clock.now(),
            dry_run: options.dry_run,
            own: false,
            warnings: Arc::clone(&self.warnings),
        }
    }

    /// Whether the client asks for another shape than the object, as a table.
    fn wants_shape(&self) -> bool {
        let accept = self.parts.headers.get(http::header::ACCEPT);
        accept
            .and_then(|accept| accept.to_str().ok())
            .is_some_and(|accept| accept.contains("as="))
    }

    fn accept(&self) -> Result<Accept, StatusError> {
        negotiate::accept(
            &self.parts.headers,
            self.parts.uri.query(),
            self.query.get("includeObject").unwrap_or_default(),
            true,
        )
    }
}

async fn resource<B: RequestBody>(
    request: ResourceRequest<'_>,
    body: B,
    timeout: Duration,
) -> Result<Response<Body>, StatusError> {
    let api = &request.inner.api;
    let path = request.path;
    let Some(verb) = request.verb() else {
        return Err(StatusError::method_not_allowed());
    };
    // The name a list or watch is narrowed to counts as the name that is asked for.
    let narrowed = match verb {
        "list" | "watch" | "deletecollection" if path.name.is_empty() => request
            .query
            .get("fieldSelector")
            .and_then(|text| crate::rest::selector::FieldSelector::parse(text).ok())
            .and_then(|fields| fields.exactly("metadata.name").map(str::to_owned))
            .unwrap_or_default(),
        _ => path.name.clone(),
    };
    authorize(
        api,
        &request.identity,
        &Attributes {
            verb,
            group: &path.group,
            version: &path.version,
            resource: &path.plural,
            subresource: &path.subresource,
            namespace: &path.namespace,
            name: &narrowed,
            path: "",
        },
    )?;
    let Some(resource) = api.registry.get(&path.group, &path.version, &path.plural) else {
        return no_resource(api, &path.group);
    };
    if request.head {
        return Err(StatusError::method_not_allowed());
    }
    let in_namespace = !path.namespace.is_empty() && &*path.plural != "namespaces";
    if in_namespace && !resource.namespaced {
        return no_resource(api, &path.group);
    }
    if resource.namespaced && !in_namespace && !matches!(verb, "list" | "watch") {
        return if path.name.is_empty() {
            Err(StatusError::method_not_allowed())
        } else {
            no_resource(api, &path.group)
        };
    }
    let answered = in_turn(&request, &resource, verb, in_namespace, timeout, body).await;
    let served = !path.subresource.is_empty() || resource.supports(verb);
    let Some(deprecation) = resource.deprecation.as_ref().filter(|_| served) else {
        return answered;
    };
    let mut response = answered.unwrap_or_else(|error| respond::error(&error));
    respond::warn(&mut response, std::slice::from_ref(deprecation));
    Ok(response)
}

/// Does what is allowed, when it is the identity's turn and as long as a request may take.
async fn in_turn<B: RequestBody>(
    request: &ResourceRequest<'_>,
    resource: &Arc<Resource>,
    verb: &'static str,
    in_namespace: bool,
    timeout: Duration,
    body: B,
) -> Result<Response<Body>, StatusError> {
    if verb == "watch" {
        return start_watch(request, resource, in_namespace).await;
    }
    let work = async {
        // Reads of one object wait for nothing, lists have places of their own.
        let _turn = match verb {
            "get" | "list" => None,
            _ => Some(take_turn(&request.inner.writes, request).await?),
        };
        run(request, resource, verb, in_namespace, body).await
    };
    match tokio::time::timeout(timeout, work).await {
        Ok(result) => result,
        Err(_) => Err(StatusError::timeout(
            "the server was unable to return a response in the time allotted, but may still be processing the request",
        )),
    }
}

async fn take_turn(turns: &Arc<Turns>, request: &ResourceRequest<'_>) -> Result<Turn, StatusError> {
    turns.take(&request.identity.user).await.map_err(|Refused| {
        StatusError::too_many_requests(
            "too many requests of this user are waiting, please try again later",
            1,
        )
    })
}

async fn start_watch(
    request: &ResourceRequest<'_>,
    resource: &Arc<Resource>,
    in_namespace: bool,
) -> Result<Response<Body>, StatusError> {
    if !resource.supports("watch") {
        return Err(StatusError::method_not_allowed());
    }
    let inner = request.inner;
    let accept = request.accept()?;
    if accept.format != negotiate::Format::Json {
        return Err(StatusError::not_acceptable(negotiate::TYPES));
    }
    let mut options = ListOptions::parse(&request.query, true)?;
    if !request.path.name.is_empty() {
        let wanted = options.fields.exactly("metadata.name");
        if wanted.is_some_and(|wanted| wanted != request.path.name) {
            return Err(StatusError::bad_request(
                "fieldSelector metadata.name doesn't match requested name",
            ));
        }
        options.fields = crate::rest::selector::FieldSelector::parse(&format!(
            "metadata.name={}",
            request.path.name
        ))
        .map_err(|error| StatusError::bad_request(error.to_string()))?;
    }
    let filter = Filter {
        resource: Arc::clone(resource),
        namespace: in_namespace.then(|| request.path.namespace.clone()),
        options: Arc::new(options),
    };
    let place = inner.watches.take(&request.identity.user).ok_or_else(|| {
        StatusError::too_many_requests("too many watches are open for this user", 5)
    })?;
    let stop = inner.stop.child_token();
    let held = if watch::begins_with_state(&filter.options) {
        let within = inner.api.limits.request_timeout;
        let turn = tokio::time::timeout(within, take_turn(&inner.lists, request))
            .await
            .map_err(|_| {
                StatusError::timeout("the watch could not begin in the time allotted")
            })??;
        Some(lists::hold(turn, tokio::time::Instant::now() + within))
    } else {
        None
    };
    let lines = watch::start(&inner.api, filter, accept.form, stop, held).await?;
    // The place is free again when the stream is dropped.
    let lines = futures::StreamExt::map(lines, move |line| {
        let _held = &place;
        line
    });
    Ok(respond::stream(Body::stream(lines)))
}

/// Everything but watches.
async fn run<B: RequestBody>(
    request: &ResourceRequest<'_>,
    resource: &Arc<Resource>,
    verb: &'static str,
    in_namespace: bool,
    body: B,
) -> Result<Response<Body>, StatusError> {
    let api = &request.inner.api;
    let path = request.path;
    let query = &request.query;
    let accept = request.accept().map_err(|error| {
        // Built-in kinds are refused by the router, custom ones by the handler.
        if error.code == StatusCode::NOT_ACCEPTABLE && !resource.custom && !request.wants_shape() {
            StatusError::no_representation()
        } else {
            error
        }
    })?;
    let namespace = if in_namespace {
        path.namespace.as_str()
    } else {
        ""
    };
    if !path.subresource.is_empty() {
        return subresource(request, resource, verb, namespace, accept, body).await;
    }
    // What only answers calls has no objects by name.
    if resource.action.is_some() && !path.name.is_empty() {
        return no_resource(api, &path.group);
    }
    if !resource.supports(verb) || (verb == "create" && !path.name.is_empty()) {
        return Err(StatusError::method_not_allowed());
    }
    let now = api.clock.now();
    let target = Target::object(resource, namespace, &path.name);
    match verb {
        "get" => {
            if let Some(text) = query.get("resourceVersion")
                && let Some(revision) = crate::rest::options::parse_revision(text)?
            {
                read::reach(api, revision).await?;
            }
            let shown = read::get(api, resource, namespace, &path.name)?;
            let bytes = render::object(resource, &shown, accept.form, now);
            Ok(respond::json(StatusCode::OK, bytes, accept))
        }
        "list" => {
            let options = Arc::new(ListOptions::parse(query, false)?);
            let namespace = in_namespace.then_some(namespace);
            let turn = take_turn(&request.inner.lists, request).await?;
            let listed = read::list(api, resource, namespace, &options).await?;
            let pieces = render::ListBytes::new(resource, listed, accept.form, now);
            if accept.is_plain() && pieces.size() > STREAM_FROM {
                let gzip = negotiate::accepts_gzip(&request.parts.headers);
                let stream = lists::stream(pieces, gzip, turn, api.limits.request_timeout);
                let mut response = respond::stream(Body::fallible(stream));
                if gzip {
                    respond::mark_gzip(&mut response);
                }
                return Ok(response);
            }
            Ok(respond::json(StatusCode::OK, pieces.whole(), accept))
        }
        "create" => {
            let options = WriteOptions::parse(query, "CreateOptions")?;
            let cx = request.context(&options);
            let decoded = object_body(request, &resource.kind, body).await?;
            if let Some(action) = &resource.action {
                let mut body = decoded.value;
                let notes = &decoded.notes;
                write::check_call(resource, &cx, namespace, &mut body, notes, &options)?;
                let call = Call {
                    resource: Arc::clone(resource),
                    namespace: namespace.to_owned(),
                    name: String::new(),
                    body,
                };
                let reply = action.call(api, &cx, call).await?;
                return Ok(value_response(
                    &cx,
                    resource,
                    reply.code,
                    reply.object,
                    accept,
                ));
            }
            let written =
                write::create(api, &cx, &target, decoded.value, &decoded.notes, &options).await?;
            Ok(written_response(&cx, resource, written, accept))
        }
        "update" => {
            let options = WriteOptions::parse(query, "UpdateOptions")?;
            let cx = request.context(&options);
            let decoded = object_body(request, &resource.kind, body).await?;
            let written =
                write::replace(api, &cx, &target, decoded.value, &decoded.notes, &options).await?;
            Ok(written_response(&cx, resource, written, accept))
        }
        "patch" => patch(request, &target, accept, body).await,
        "delete" => {
            let options = delete_options(request, body).await?;
            let cx = request.context(&WriteOptions {
                dry_run: options.dry_run,
                ..WriteOptions::default()
            });
            let deleted = delete::delete(api, &cx, &target, &options).await?;
            let answer = deleted.answer(resource);
            Ok(value_response(
                &cx,
                resource,
                StatusCode::OK,
                answer,
                accept,
            ))
        }
        "deletecollection" => {
            let selection = Arc::new(ListOptions::parse(query, false)?);
            let options = delete_options(request, body).await?;
            let cx = request.context(&WriteOptions {
                dry_run: options.dry_run,
                ..WriteOptions::default()
            });
            let namespace = in_namespace.then_some(namespace);
            let deleted =
                delete_collection(api, &cx, resource, namespace, &selection, &options).await?;
            let bytes = render::list(resource, deleted, accept.form, now);
            let mut response = respond::json(StatusCode::OK, bytes, accept);
            respond::warn(&mut response, &cx.warnings.lock());
            Ok(response)
        }
        _ => Err(StatusError::method_not_allowed()),
    }
}

async fn subresource<B: RequestBody>(
    request: &ResourceRequest<'_>,
    resource: &Arc<Resource>,
    verb: &'static str,
    namespace: &str,
    accept: Accept,
    body: B,
) -> Result<Response<Body>, StatusError> {
    let api = &request.inner.api;
    let path = request.path;
    let Some(sub) = resource.subresources.get(&path.subresource) else {
        return no_resource(api, &path.group);
    };
    if !sub.verbs().contains(&verb) {
        return Err(StatusError::method_not_allowed());
    }
    let mut target = Target::object(resource, namespace, &path.name);
    target.subresource.clone_from(&path.subresource);
    match sub {
        Subresource::Part(strategy) | Subresource::Put(strategy) => {
            target.strategy = Arc::clone(strategy);
            match verb {
                "get" => {
                    let shown = read::get(api, resource, namespace, &path.name)?;
                    let bytes = render::object(resource, &shown, accept.form, api.clock.now());
                    Ok(respond::json(StatusCode::OK, bytes, accept))
                }
                "update" => {
                    let options = WriteOptions::parse(&request.query, "UpdateOptions")?;
                    let cx = request.context(&options);
                    let decoded = object_body(request, &resource.kind, body).await?;
                    let written =
                        write::replace(api, &cx, &target, decoded.value, &decoded.notes, &options)
                            .await?;
                    Ok(written_response(&cx, resource, written, accept))
                }
                _ => patch(request, &target, accept, body).await,
            }
        }
        Subresource::Scale(paths) => match verb {
            "get" => {
                let scale = scale::get(api, &target, paths)?;
                let cx = request.context(&WriteOptions::default());
                Ok(value_response(&cx, resource, StatusCode::OK, scale, accept))
            }
            "update" => {
                let options = WriteOptions::parse(&request.query, "UpdateOptions")?;
                let cx = request.context(&options);
                let wanted = object_body(request, "Scale", body).await?.value;
                let edit = scale::Edit::Replace(wanted);
                let scale = scale::change(api, &cx, &target, paths, &options, &edit).await?;
                Ok(value_response(&cx, resource, StatusCode::OK, scale, accept))
            }
            _ => {
                let options = WriteOptions::parse(&request.query, "PatchOptions")?;
                let cx = request.context(&options);
                let (kind, decoded) = patch_body(request, false, body).await?;
                let edit = scale::Edit::Patch(kind, decoded.value);
                let scale = scale::change(api, &cx, &target, paths, &options, &edit).await?;
                Ok(value_response(&cx, resource, StatusCode::OK, scale, accept))
            }
        },
        Subresource::Action(action) => {
            let options = WriteOptions::parse(&request.query, "CreateOptions")?;
            let cx = request.context(&options);
            let body = match (verb, action.body()) {
                ("get", _) => Value::Null,
                (_, None) => object_body(request, &resource.kind, body).await?.value,
                (_, Some(kind)) => {
                    let Decoded { mut value, notes } =
                        object_body(request, &kind.kind, body).await?;
                    write::check_call(kind, &cx, namespace, &mut value, &notes, &options)?;
                    value
                }
            };
            let call = Call {
                resource: Arc::clone(resource),
                namespace: namespace.to_owned(),
                name: path.name.clone(),
                body,
            };
            let reply = action.call(api, &cx, call).await?;
            Ok(value_response(
                &cx,
                resource,
                reply.code,
                reply.object,
                accept,
            ))
        }
    }
}

async fn patch<B: RequestBody>(
    request: &ResourceRequest<'_>,
    target: &Target,
    accept: Accept,
    body: B,
) -> Result<Response<Body>, StatusError> {
    let api = &request.inner.api;
    let options = WriteOptions::parse(&request.query, "PatchOptions")?;
    let cx = request.context(&options);
    let (kind, decoded) = patch_body(request, target.resource.custom, body).await?;
    let written = patch::patch(
        api,
        &cx,
        target,
        kind,
        decoded.value,
        &decoded.notes,
        &options,
    )
    .await?;
    Ok(written_response(&cx, &target.resource, written, accept))
}

async fn patch_body<B: RequestBody>(
    request: &ResourceRequest<'_>,
    custom: bool,
    body: B,
) -> Result<(PatchKind, Decoded), StatusError> {
    let accepted = PatchKind::accepted(custom);
    let kind = negotiate::content_type(&request.parts.headers)
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
async fn object_body<B: RequestBody>(
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
                    decode::type_name(other)
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
            "couldn't get version/kind; json parse error: json: cannot unmarshal {} into Go value of type struct {{ APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" }}",
            decode::type_name(other)
        ))),
    }
}

async fn delete_options<B: RequestBody>(
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
    DeleteOptions::parse(&request.query, Some(&decoded.value))
}

fn written_response(
    cx: &Context,
    resource: &Resource,
    written: Written,
    accept: Accept,
) -> Response<Body> {
    let code = if written.created {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    let bytes = match written.shown {
        write::Outcome::Durable(shown) => render::object(resource, &shown, accept.form, cx.now),
        write::Outcome::Imagined(value) => render::reshape(resource, value, accept.form, cx.now)
            .to_string()
            .into_bytes(),
    };
    let mut response = respond::json(code, bytes, accept);
    respond::warn(&mut response, &cx.warnings.lock());
    response
}

fn value_response(
    cx: &Context,
    resource: &Resource,
    code: StatusCode,
    value: Value,
    accept: Accept,
) -> Response<Body> {
    let bytes = render::reshape(resource, value, accept.form, cx.now)
        .to_string()
        .into_bytes();
    let mut response = respond::json(code, bytes, accept);
    respond::warn(&mut response, &cx.warnings.lock());
    response
}
