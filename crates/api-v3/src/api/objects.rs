//! Types whose objects lie on the hub: lists, objects and actions. What is written stands in `write`.

use drover_auth::web::{self, ApiError, Response};
use http::request;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::answers::{act_on_collection, list_answer, outcome_answer};
use super::write::{create, delete, update};
use super::{method_not_allowed, read};
use crate::call::{Call, not_found, split_id};
use crate::collection::Extent;
use crate::encode::Writer;
use crate::kinds;
use crate::mapping::{self, Reveal};
use crate::registry::Registry;
use crate::resource::{present, present_one};
use crate::schema::{Base, Behaviour, Object, Type};
use crate::target::{Context, is_within};

/// What is asked for: objects of a type on the hub, perhaps those of one cluster or project.
pub(super) struct Asked<'a> {
    pub(super) call: &'a Call<'a>,
    pub(super) writer: &'a Writer,
    pub(super) method: &'a Method,
    pub(super) kind: &'a Type,
    pub(super) object: Object,
    pub(super) context: Option<&'a Context>,
}

/// Answers a request for all of them.
pub(super) async fn collection(
    asked: &Asked<'_>,
    parts: &request::Parts,
    body: web::Body,
) -> Result<Response, ApiError> {
    let Asked {
        call,
        writer,
        method,
        kind,
        object,
        context,
    } = *asked;
    match *method {
        Method::GET if kind.behaviour == Behaviour::Token => {
            let mut tokens = kinds::token::list(call).await?;
            tokens.sort_by(|one, other| mapping::name(one).cmp(mapping::name(other)));
            let items = present(call, kind, tokens, Reveal::No).await?;
            Ok(list_answer(call, writer, kind, Extent::Limit, items))
        }
        Method::GET => {
            let visible = list(call, kind, object, context).await?;
            let mut items = present(call, kind, visible, Reveal::No).await?;
            if let Some(context) = context {
                let field = Registry::reference_to(kind, context.type_id());
                items.retain(|item| {
                    field.is_some_and(|field| item.get(field.name) == Some(&json!(context.id)))
                });
            }
            Ok(list_answer(call, writer, kind, Extent::Paged, items))
        }
        Method::POST => match call.query.get("action") {
            Some(action) => act_on_collection(call, writer, kind, action, parts, body).await,
            None if !kind.collection_methods.contains(&"POST") => Err(method_not_allowed(method)),
            None => {
                let mut sent = read(parts, body).await?;
                if let (Some(context), Some(field)) = (
                    context,
                    context.and_then(|context| Registry::reference_to(kind, context.type_id())),
                ) {
                    sent.insert(field.name.to_owned(), json!(context.id));
                }
                let item = create(call, kind, object, sent).await?;
                Ok(writer.answer(StatusCode::CREATED, &item))
            }
        },
        _ => Err(method_not_allowed(method)),
    }
}

/// The objects the caller may see.
async fn list(
    call: &Call<'_>,
    kind: &Type,
    object: Object,
    context: Option<&Context>,
) -> Result<Vec<Value>, ApiError> {
    let namespace = match kind.behaviour {
        Behaviour::Preference => Some(call.caller()?.user.as_str().to_owned()),
        Behaviour::RegistrationToken
        | Behaviour::Node
        | Behaviour::Project
        | Behaviour::ClusterBinding => {
            // What hangs on a cluster lies in its namespace.
            let asked = context
                .filter(|context| context.base == Base::Cluster)
                .map(|context| context.id.as_str());
            let asked = asked.or_else(|| call.query.get("clusterId"));
            asked
                .filter(|id| {
                    id.len() <= 253
                        && id
                            .bytes()
                            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
                })
                .map(str::to_owned)
        }
        _ => None,
    };
    let mut objects = call.store().list(object, namespace.as_deref()).await?;
    let all = call.may("list", object, None, None);
    objects.retain(|value| {
        !kinds::is_hidden(kind, value) && (all || call.may_see(kind, object, value))
    });
    Ok(objects)
}

/// Answers a request for one of them.
pub(super) async fn resource(
    asked: &Asked<'_>,
    id: &str,
    parts: &request::Parts,
    body: web::Body,
) -> Result<Response, ApiError> {
    let Asked {
        call,
        writer,
        method,
        kind,
        object,
        context,
    } = *asked;
    if let Some(action) = call.query.get("action").filter(|_| *method == Method::POST) {
        if !kind.actions.iter().any(|known| known.name == action) {
            return Err(kinds::unknown_action(action));
        }
        let current = get(call, kind, object, id).await?;
        let input = read(parts, body).await?;
        let outcome = kinds::act(call, kind, current, action, input).await?;
        return Ok(outcome_answer(call, writer, kind, outcome));
    }
    if !kind.resource_methods.contains(&method.as_str()) {
        return Err(method_not_allowed(method));
    }
    match *method {
        Method::GET => {
            let found = get(call, kind, object, id).await?;
            let item = present_one(call, kind, found, Reveal::No).await?;
            if is_within(kind, context, &item) {
                Ok(writer.answer(StatusCode::OK, &item))
            } else {
                // Recorded: what lies elsewhere is shown as nothing.
                Ok(writer.answer(StatusCode::OK, &Value::Null))
            }
        }
        Method::PUT => {
            if kind.behaviour == Behaviour::Token {
                return Err(ApiError::not_found("no store found"));
            }
            let sent = read(parts, body).await?;
            let item = update(call, kind, object, context, id, &sent).await?;
            Ok(writer.answer(StatusCode::OK, &item))
        }
        Method::DELETE => delete(call, writer, kind, object, context, id).await,
        _ => Err(method_not_allowed(method)),
    }
}

/// Namespace and name behind an identifier; preferences lie in the caller's namespace.
pub(super) fn locate_object<'b>(
    call: &Call<'b>,
    kind: &Type,
    object: Object,
    id: &'b str,
) -> Result<(Option<&'b str>, &'b str), ApiError> {
    let (namespace, name) = split_id(kind, object, id)?;
    if kind.behaviour == Behaviour::Preference {
        return Ok((Some(call.user()), name));
    }
    Ok((namespace, name))
}

/// Reads one object the caller may see: 404 for impossible identifiers, then 403, then 404 for absent objects.
async fn get(call: &Call<'_>, kind: &Type, object: Object, id: &str) -> Result<Value, ApiError> {
    if kind.behaviour == Behaviour::Token {
        return kinds::token::get(call, kind, id).await;
    }
    let (namespace, name) = locate_object(call, kind, object, id)?;
    let public = kind.behaviour == Behaviour::Setting && kinds::is_public_setting(name);
    let own = match kind.behaviour {
        Behaviour::User => name == call.user(),
        Behaviour::Preference => true,
        _ => false,
    };
    if !public && !own && !call.may("list", object, namespace, None) {
        call.require("get", object, namespace, Some(name))?;
    }
    let found = call.store().find(object, namespace, name).await?;
    found
        .filter(|found| !kinds::is_hidden(kind, found))
        .ok_or_else(|| not_found(object, id))
}
