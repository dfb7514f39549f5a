//! Somebody signed in confirms that a command line may have a token of theirs.
//!
//! The token is made, encrypted and laid ready by `drover_auth`; nothing of it is in the answer.

use drover_auth::logins::Handover;
use drover_auth::web::ApiError;
use serde_json::{Map, Value, json};

use super::text;
use crate::call::{Call, Item};
use crate::schema::Type;

/// Confirms one request.
pub(crate) async fn confirm(
    call: &Call<'_>,
    kind: &Type,
    fields: &Map<String, Value>,
) -> Result<Item, ApiError> {
    let caller = call.caller()?;
    let (request, key, response) = (
        text(fields, "requestId"),
        text(fields, "publicKey"),
        text(fields, "responseType"),
    );
    let handover = Handover::new(request, key, response)
        .map_err(|bad| ApiError::invalid("InvalidFormat", bad.problem).with_field(bad.field))?;
    let expires = call.shared.credentials.hand_over(caller, &handover).await?;
    let expires = expires.map(drover_types::condition::timestamp);
    let mut item = Map::new();
    item.insert("type".to_owned(), json!(kind.id));
    item.insert("baseType".to_owned(), json!(kind.id));
    item.insert("requestId".to_owned(), json!(request));
    item.insert("expiresAt".to_owned(), json!(expires.unwrap_or_default()));
    item.insert("links".to_owned(), json!({}));
    Ok(item)
}
