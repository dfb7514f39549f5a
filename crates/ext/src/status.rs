//! Refusals in the words of a Kubernetes API server.

use drover_auth::web::{self, ApiError, Response};
use http::StatusCode;
use serde_json::json;

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
