//! What collections and actions answer, whatever they are of.

use drover_auth::web::{self, ApiError, Response};
use http::StatusCode;
use http::request;

use super::read;
use crate::call::{Call, Item};
use crate::collection::{Collection, Extent};
use crate::encode::Writer;
use crate::kinds::{self, Outcome};
use crate::resource::collection_actions;
use crate::schema::Type;

pub(crate) fn list_answer(
    call: &Call<'_>,
    writer: &Writer,
    kind: &Type,
    extent: Extent,
    items: Vec<Item>,
) -> Response {
    let actions = collection_actions(call, kind);
    let collection = Collection::of(kind, &call.urls, &call.query, actions, extent, items);
    writer.answer(StatusCode::OK, &collection)
}

pub(super) async fn act_on_collection(
    call: &Call<'_>,
    writer: &Writer,
    kind: &Type,
    action: &str,
    parts: &request::Parts,
    body: web::Body,
) -> Result<Response, ApiError> {
    if !kind
        .collection_actions
        .iter()
        .any(|known| known.name == action)
    {
        return Err(kinds::unknown_action(action));
    }
    let input = read(parts, body).await?;
    let outcome = kinds::act_on_collection(call, kind, action, input).await?;
    Ok(outcome_answer(call, writer, kind, outcome))
}

pub(super) fn outcome_answer(
    call: &Call<'_>,
    writer: &Writer,
    kind: &Type,
    outcome: Outcome,
) -> Response {
    match outcome {
        Outcome::Document(status, document) => writer.answer(status, &document),
        Outcome::Resource(item) => writer.answer(StatusCode::OK, &item),
        Outcome::List(items) => list_answer(call, writer, kind, Extent::Silent, items),
        Outcome::Done(status) => writer.empty(status),
        Outcome::Response(response) => *response,
    }
}
