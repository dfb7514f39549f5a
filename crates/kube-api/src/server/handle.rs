//! One HTTP request: identity, authorisation, the verb, the answer.
//!
//! The order is fixed: path limits, identity, authorisation, then the body. Nothing of a body is read for a client that
//! may not do what it asks.

use std::sync::Arc;
use std::time::Duration;

use http::header::USER_AGENT;
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response, StatusCode};

use super::decode::RequestBody;
use super::negotiate::{self, Accept};
use super::route::{self, ResourcePath, Route};
use super::turns::{Refused, Turn, Turns};
use super::{Body, Inner, respond};
use crate::identity::{self, Identity};
use crate::rbac;
use crate::registry::{Action, Resource, Subresource};
use crate::rest::options::{Query, WriteOptions};
use crate::rest::{Api, Attributes, Context};
use crate::status::StatusError;

mod bodies;
mod other;
mod verbs;

use other::{no_resource, other};
use verbs::{run, start_watch};

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
        // As from apiserver `pkg/endpoints/filters/requestinfo.go`.
        Route::Unclear => {
            let path = parts.uri.path();
            Ok(respond::text(
                StatusCode::INTERNAL_SERVER_ERROR,
                format!(
                    "Internal Server Error: {path:?}: failed to create RequestInfo: unable to determine kind and namespace from url, {path}\n"
                ),
            ))
        }
        Route::Nothing(group) => no_resource(api, &group),
        Route::Other(segments) => other(api, &identity, parts, &segments, head),
        Route::Resource(path) => {
            let timeout = api.limits.request_timeout;
            let query = Query::parse(parts.uri.query().unwrap_or_default());
            let timeout = query.timeout()?.map_or(timeout, |asked| asked.min(timeout));
            let request = ResourceRequest {
                inner,
                parts,
                path: &path,
                query,
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

    /// Whether the router of built-in kinds lets the request through, whatever is made of what it asks for.
    fn is_routed(&self) -> bool {
        negotiate::is_routed(&self.parts.headers, negotiate::BODY_TYPES)
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
    let part = resource.subresources.get(&path.subresource);
    if request.head && !part.is_some_and(Subresource::leads_on) {
        return Err(StatusError::method_not_allowed());
    }
    let in_namespace = !path.namespace.is_empty() && &*path.plural != "namespaces";
    let is_inside_itself = !path.namespace.is_empty() && !in_namespace && path.name.is_empty();
    let is_part_of_watched = path.watch && !path.subresource.is_empty();
    if is_inside_itself || is_part_of_watched {
        return no_resource(api, &path.group);
    }
    if in_namespace && !resource.namespaced {
        return no_resource(api, &path.group);
    }
    if resource.namespaced && !in_namespace && !matches!(verb, "list" | "watch") {
        return if path.name.is_empty() && resource.action.is_none() {
            Err(StatusError::method_not_allowed())
        } else {
            no_resource(api, &path.group)
        };
    }
    let answered = in_turn(&request, &resource, verb, in_namespace, timeout, body).await;
    let served = if path.subresource.is_empty() {
        resource.supports(verb)
    } else {
        resource.subresources.contains_key(&*path.subresource)
    };
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
    let only_asks = |action: &Arc<dyn Action>| action.only_asks();
    let is_review =
        request.path.subresource.is_empty() && resource.action.as_ref().is_some_and(only_asks);
    let work = async {
        // Reads of one object wait for nothing, lists have places of their own. Whoever asks what they may do is about to
        // read, and must not wait for the disk behind their own writes.
        let _turn = match verb {
            "get" | "list" => None,
            _ if is_review => None,
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
