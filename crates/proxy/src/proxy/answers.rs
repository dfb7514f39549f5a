//! The proxy's own answers: statuses and bodies for requests that do not reach a cluster.
//!
//! Forms: recorded/http/03-clusters.txt (503, 404) and 04-users-and-roles.txt (403); reference tunnel-and-import 6.2, 6.3.

use std::error::Error;
use std::time::Duration;

use drover_auth::web::{self, ApiError, Response};
use http::StatusCode;

use crate::chain::Chain;
use crate::clusters::Unreachable;

fn plain(status: StatusCode, code: &'static str, message: &str) -> Response {
    api_error(&ApiError::new(status, code, message))
}

/// A refusal of the gate.
pub(super) fn api_error(error: &ApiError) -> Response {
    web::text(error.status, error.structure().to_string())
}

/// A refusal on the way to an agent's own API: 401 without a body.
pub(super) fn steve_refused() -> Response {
    let mut response = Response::new(web::empty());
    *response.status_mut() = StatusCode::UNAUTHORIZED;
    response
}

/// The agent serves no API of its own.
pub(super) fn no_steve() -> Response {
    ApiError::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "ClusterUnavailable",
        "the cluster's agent serves no API of its own",
    )
    .into_response()
}

/// A refusal by the proxy's own rules: 403 in a plain sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Forbidden(pub(super) &'static str);

impl From<Forbidden> for Box<Response> {
    fn from(Forbidden(text): Forbidden) -> Self {
        Self::new(web::text(StatusCode::FORBIDDEN, text))
    }
}

pub(super) fn unreachable(error: &Unreachable) -> Response {
    let message = error.to_string();
    match error {
        Unreachable::Unknown(_) => plain(StatusCode::NOT_FOUND, "NotFound", &message),
        Unreachable::NotProvisioned | Unreachable::Disconnected | Unreachable::Store(_) => plain(
            StatusCode::SERVICE_UNAVAILABLE,
            "ClusterUnavailable",
            &message,
        ),
        Unreachable::Malformed { .. } => web::text(StatusCode::INTERNAL_SERVER_ERROR, message),
    }
}

/// The cluster gave no answer: 500 in plain text, 502 for upgrades.
pub(super) fn transport_failed(error: &(dyn Error + 'static), upgrade: bool) -> Response {
    let status = if upgrade {
        StatusCode::BAD_GATEWAY
    } else {
        StatusCode::INTERNAL_SERVER_ERROR
    };
    web::text(status, Chain(error).to_string())
}

pub(super) fn too_late(deadline: Duration) -> Response {
    web::text(
        StatusCode::GATEWAY_TIMEOUT,
        format!(
            "the cluster did not answer within {} seconds",
            deadline.as_secs()
        ),
    )
}

pub(super) fn bad_request(error: &dyn Error) -> Response {
    web::text(StatusCode::BAD_REQUEST, error.to_string())
}
