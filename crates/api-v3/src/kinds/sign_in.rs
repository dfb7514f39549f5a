//! Ways to sign in: shown as the types that they name.

use drover_auth::web::ApiError;
use serde_json::{Value, json};

use super::text_at;
use crate::call::Item;
use crate::registry::Registry;
use crate::schema::{Behaviour, Type};

/// The type of which all ways to sign in are.
const ALL: &str = "authConfig";

/// The type that a way to sign in is shown as; one that is not known is shown with what all have.
pub(crate) fn shown_as<'a>(registry: &'a Registry, kind: &'a Type, object: &Value) -> &'a Type {
    registry
        .get(text_at(object, "/type"))
        .filter(|own| own.behaviour == Behaviour::AuthConfig)
        .unwrap_or(kind)
}

/// Whether a type is that of all ways to sign in, or of this one.
pub(crate) fn is_of(kind: &Type, object: &Value) -> bool {
    kind.id == ALL || kind.id == text_at(object, "/type")
}

pub(super) fn amend(item: &mut Item) {
    item.insert("baseType".to_owned(), json!(ALL));
}

/// None that there is can be changed.
pub(super) fn refuse() -> ApiError {
    ApiError::method_not_allowed("this way to sign in cannot be changed")
}
