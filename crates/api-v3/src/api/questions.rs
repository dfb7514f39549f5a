//! Types that no Kubernetes kind stands behind: principals, questions about rights, and command lines that ask for tokens.

use drover_auth::web::{self, ApiError, Response};
use http::request;
use http::{Method, StatusCode};

use super::answers::{act_on_collection, list_answer};
use super::{method_not_allowed, read};
use crate::call::Call;
use crate::collection::Extent;
use crate::encode::Writer;
use crate::kinds;
use crate::schema::{Behaviour, Type};
use crate::validate::{self, Operation};

/// Answers a request for one.
pub(super) async fn answer(
    call: &Call<'_>,
    writer: &Writer,
    method: &Method,
    kind: &Type,
    id: Option<&str>,
    parts: &request::Parts,
    body: web::Body,
) -> Result<Response, ApiError> {
    if kind.behaviour == Behaviour::AccessReview {
        return match (method, id, call.query.get("action")) {
            (&Method::POST, None, None) => {
                let sent = read(parts, body).await?;
                let fields = validate::fields(call.registry(), kind, &sent, Operation::Create)?;
                let item = kinds::review::explain(call, kind, &fields).await?;
                Ok(writer.answer(StatusCode::CREATED, &item))
            }
            (&Method::POST, None, Some(action)) => {
                act_on_collection(call, writer, kind, action, parts, body).await
            }
            _ => Err(method_not_allowed(method)),
        };
    }
    if kind.behaviour == Behaviour::CliLogin {
        return match (method, id, call.query.get("action")) {
            (&Method::POST, None, None) => {
                let sent = read(parts, body).await?;
                let fields = validate::fields(call.registry(), kind, &sent, Operation::Create)?;
                let item = kinds::cli_login::confirm(call, kind, &fields).await?;
                Ok(writer.answer(StatusCode::CREATED, &item))
            }
            (_, _, Some(action)) => Err(kinds::unknown_action(action)),
            _ => Err(method_not_allowed(method)),
        };
    }
    if kind.behaviour != Behaviour::Principal {
        return Err(ApiError::not_found("no store found"));
    }
    match (method, id, call.query.get("action")) {
        (&Method::GET, None, None) => {
            let items = kinds::principal::list(call, kind).await?;
            Ok(list_answer(call, writer, kind, Extent::Limit, items))
        }
        (&Method::GET, Some(id), None) => {
            let item = kinds::principal::get(call, kind, id).await?;
            Ok(writer.answer(StatusCode::OK, &item))
        }
        (&Method::POST, None, Some(action)) => {
            act_on_collection(call, writer, kind, action, parts, body).await
        }
        (_, _, Some(action)) => Err(kinds::unknown_action(action)),
        _ => Err(method_not_allowed(method)),
    }
}
