//! What the verbs do to resources and their parts.

use std::sync::Arc;

use http::{Response, StatusCode};
use serde_json::Value;

use super::bodies::{delete_options, object_body, patch_body};
use super::other::no_resource;
use super::{ResourceRequest, STREAM_FROM, take_turn};
use crate::registry::{Action, Call, Resource, Subresource};
use crate::rest::delete::{self, delete_collection};
use crate::rest::options::{ListOptions, WriteOptions};
use crate::rest::patch;
use crate::rest::read::{self, Filter};
use crate::rest::write::{self, Target, Written};
use crate::rest::{Context, render, scale};
use crate::server::decode::{Decoded, RequestBody};
use crate::server::negotiate::{self, Accept};
use crate::server::{Body, lists, respond};
use crate::status::StatusError;
use crate::watch;

pub(super) async fn start_watch(
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
pub(super) async fn run<B: RequestBody>(
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
        if error.code == StatusCode::NOT_ACCEPTABLE && !resource.custom && !request.is_routed() {
            StatusError::no_representation(negotiate::BODY_TYPES)
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
                    upgrades: false,
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

pub(super) async fn subresource<B: RequestBody>(
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
    if !path.rest.trim_matches('/').is_empty() && !sub.leads_on() {
        return no_resource(api, &path.group);
    }
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
            let mut options = WriteOptions::default();
            let body = match action.asked(&request.query, &path.rest) {
                Some(asked) => asked?,
                None => {
                    options = WriteOptions::parse(&request.query, "CreateOptions")?;
                    called_with(request, &**action, namespace, &options, body).await?
                }
            };
            let cx = request.context(&options);
            let call = Call {
                resource: Arc::clone(resource),
                namespace: namespace.to_owned(),
                name: path.name.clone(),
                body,
                upgrades: request.parts.headers.contains_key(http::header::UPGRADE),
            };
            let reply = action.call(api, &cx, call).await?;
            if reply.code == StatusCode::NO_CONTENT {
                return Ok(respond::nothing());
            }
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

/// The body that an action is called with, checked as its kind.
async fn called_with<B: RequestBody>(
    request: &ResourceRequest<'_>,
    action: &dyn Action,
    namespace: &str,
    options: &WriteOptions,
    body: B,
) -> Result<Value, StatusError> {
    let Some(kind) = action.body() else {
        let own = action.gvk().kind;
        return Ok(object_body(request, &own, body).await?.value);
    };
    let cx = request.context(options);
    let Decoded { mut value, notes } = object_body(request, &kind.kind, body).await?;
    if value["apiVersion"]
        .as_str()
        .is_some_and(|version| action.is_older(version))
    {
        value["apiVersion"] = kind.api_version().into();
    }
    write::check_call(kind, &cx, namespace, &mut value, &notes, options)?;
    Ok(value)
}

pub(super) async fn patch<B: RequestBody>(
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

pub(super) fn written_response(
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

pub(super) fn value_response(
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
