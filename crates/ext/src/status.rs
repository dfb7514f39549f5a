//! Refusals in the words of a Kubernetes API server.

use drover_auth::web::{self, ApiError, Response};
use drover_structural::managed_fields::{ApplyError, Conflict};
use http::StatusCode;
use serde_json::{Value, json};

/// The `Status` that says what went wrong.
pub(crate) fn response(error: &ApiError) -> Response {
    let reason = match (error.status, error.code.as_ref()) {
        (StatusCode::UNPROCESSABLE_ENTITY, _) => "Invalid",
        (StatusCode::INTERNAL_SERVER_ERROR, _) => "InternalError",
        (StatusCode::SERVICE_UNAVAILABLE, _) => "ServiceUnavailable",
        (_, code) => code,
    };
    web::json(
        error.status,
        &json!({
            "apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure", "message": error.message,
            "reason": reason, "code": error.status.as_u16(),
        }),
    )
}

/// 409 for what would change fields of others, naming each.
pub(crate) fn conflicts(conflicts: Vec<Conflict>) -> Response {
    let causes: Vec<Value> = conflicts
        .iter()
        .map(|conflict| {
            json!({
                "reason": "FieldManagerConflict", "message": format!("conflict with {}", conflict.manager),
                "field": conflict.path.to_string(),
            })
        })
        .collect();
    web::json(
        StatusCode::CONFLICT,
        &json!({
            "apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure", "reason": "Conflict",
            "message": ApplyError::Conflict(conflicts).to_string(), "details": {"causes": causes}, "code": 409,
        }),
    )
}

/// 404 for a path that leads to nothing.
pub(crate) fn no_resource() -> ApiError {
    ApiError::not_found("the server could not find the requested resource")
}

/// 405 for what a kind cannot do.
pub(crate) fn no_method() -> ApiError {
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "MethodNotAllowed",
        "the server does not allow this method on the requested resource",
    )
}
