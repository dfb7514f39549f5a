//! Error bodies of the Norman-like APIs (reference section 1.7).

use std::borrow::Cow;
use std::fmt;

use http::StatusCode;
use serde::Serialize;
use serde_json::Value;

use super::{Response, json};

/// An error as the `/v3` API answers it: `{type, baseType, code, status, message[, fieldName]}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// HTTP status.
    pub status: StatusCode,
    /// `NotFound`, `MissingRequired`, ...: what programs look at.
    pub code: Cow<'static, str>,
    /// For people.
    pub message: String,
    /// The field that is wrong.
    pub field_name: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ErrorBody<'a> {
    base_type: &'static str,
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field_name: Option<&'a str>,
    message: &'a str,
    status: u16,
    #[serde(rename = "type")]
    kind: &'static str,
}

impl ApiError {
    /// An error of any status and code.
    pub fn new(
        status: StatusCode,
        code: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            status,
            code: code.into(),
            message: message.into(),
            field_name: None,
        }
    }

    /// The same error, naming the field that is wrong.
    #[must_use]
    pub fn with_field(mut self, field_name: impl Into<String>) -> Self {
        self.field_name = Some(field_name.into());
        self
    }

    /// 401 `Unauthorized` in Norman's form (wrong password; for missing credentials see [`unauthorized`]).
    pub fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Unauthorized", message)
    }

    /// 403 `PermissionDenied`, the edge's own refusal.
    pub fn permission_denied(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "PermissionDenied", message)
    }

    /// 403 `Forbidden`, the form of a Kubernetes refusal.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "Forbidden", message)
    }

    /// 404 `NotFound`.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotFound", message)
    }

    /// 405 `MethodNotAllow` (the peer's spelling).
    pub fn method_not_allowed(message: impl Into<String>) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllow", message)
    }

    /// 409 `Conflict`.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "Conflict", message)
    }

    /// 422 with one of the validation codes (`MissingRequired`, `InvalidOption`, ...).
    pub fn invalid(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, message)
    }

    /// 422 `InvalidBodyContent`.
    pub fn invalid_body(message: impl Into<String>) -> Self {
        Self::invalid("InvalidBodyContent", message)
    }

    /// 422 `InvalidAction`.
    pub fn invalid_action(message: impl Into<String>) -> Self {
        Self::invalid("InvalidAction", message)
    }

    /// 500 `ServerError`.
    pub fn server_error(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "ServerError", message)
    }

    /// The error as a structure of the peer's prints: what its layers before the APIs answer with (recorded/http/03, 04).
    #[must_use]
    pub fn structure(&self) -> Value {
        serde_json::json!({
            "Code": {"Code": self.code, "Status": self.status.as_u16()}, "Message": self.message, "Cause": null,
            "FieldName": self.field_name.as_deref().unwrap_or_default(),
        })
    }

    /// The answer with [`ApiError::structure`] as its body.
    #[must_use]
    pub fn into_structure(self) -> Response {
        json(self.status, &self.structure())
    }

    /// The answer with this error as its body.
    #[must_use]
    pub fn into_response(self) -> Response {
        json(
            self.status,
            &ErrorBody {
                base_type: "error",
                code: &self.code,
                field_name: self.field_name.as_deref(),
                message: &self.message,
                status: self.status.as_u16(),
                kind: "error",
            },
        )
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {}: {}",
            self.status.as_u16(),
            self.code,
            self.message
        )
    }
}

impl std::error::Error for ApiError {}

impl From<ApiError> for Response {
    fn from(error: ApiError) -> Self {
        error.into_response()
    }
}

/// A Kubernetes error passes with its status; its reason becomes the code (reference section 1.7).
impl From<kube::Error> for ApiError {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => {
                let code = if status.reason.is_empty() {
                    "ServerError".to_owned()
                } else {
                    status.reason.clone()
                };
                let http =
                    StatusCode::from_u16(status.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                let mut error = Self::new(http, code, status.message.clone());
                if http == StatusCode::UNPROCESSABLE_ENTITY {
                    // Where it knows the field, so shall the caller.
                    let causes = status.details.as_ref().map(|details| &details.causes);
                    let fields = causes.into_iter().flatten().map(|cause| &cause.field);
                    error.field_name = fields.clone().find(|field| !field.is_empty()).cloned();
                }
                error
            }
            other => {
                tracing::warn!(error = %other, "the store did not answer");
                Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "ServerError",
                    "the store did not answer",
                )
            }
        }
    }
}

/// The one answer to missing, wrong, expired and unknown credentials. Its status is a string (recorded/http/01).
#[must_use]
pub fn unauthorized() -> Response {
    json(
        StatusCode::UNAUTHORIZED,
        &serde_json::json!({
            "message": "Unauthorized 401: must authenticate",
            "status": "401",
            "type": "error",
        }),
    )
}
