//! `ext.cattle.io.selfuser`: who the caller is. Clients make one and read its status; nothing is kept.

use drover_auth::web::{self, Response};
use http::request::Parts;
use http::{Method, StatusCode};
use serde_json::json;

use crate::call::{Answer, Call, Refused, no_method};
use crate::object;

const TYPE: &str = "ext.cattle.io.selfuser";

/// Answers requests for it (recorded/http/12, `POST /v1/ext.cattle.io.selfuser`).
///
/// # Errors
/// 404 inside a cluster, 403 for any method but POST, 422 for a body that is no object.
pub(crate) async fn answer(
    call: &Call,
    method: &Method,
    parts: &Parts,
    sent: web::Body,
) -> Answer<Response> {
    if !call.is_hub() {
        return Err(Refused::NoType);
    }
    if *method != Method::POST {
        return Err(no_method(method.as_str(), TYPE).into());
    }
    let bytes = web::read(&parts.headers, sent, web::MAX_BODY).await?;
    drover_api::encode::read_fields(&parts.headers, &bytes)?;
    let mut object = drover_auth::ext::self_user(&call.identity);
    object["metadata"]["generateName"] = json!("e-");
    let item = object::unnamed(call, TYPE, "/apis/ext.cattle.io/v1/selfusers", object);
    Ok(call.writer.answer(StatusCode::CREATED, &item))
}
