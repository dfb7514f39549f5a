//! Changes that cross with somebody else's.

use drover_auth::web::ApiError;
use http::StatusCode;

/// How often something is read and changed before it is given up.
const ATTEMPTS: usize = 5;

/// The outcome of a change that is made anew, from what is there then, when somebody else wrote the same at the same time:
/// a controller, another person, or the peer's agent, which acts as soon as it sees what a change is for
/// (`pkg/controllers/managementagent`).
///
/// # Errors
/// Those of the change; a conflict after five attempts.
pub(crate) async fn until_settled<T, F>(change: impl Fn() -> F) -> Result<T, ApiError>
where
    F: Future<Output = Result<T, ApiError>>,
{
    let mut attempt = 0;
    loop {
        attempt += 1;
        match change().await {
            Err(error) if error.status == StatusCode::CONFLICT && attempt < ATTEMPTS => {
                tracing::debug!(attempt, "somebody else changed it first, trying again");
            }
            other => return other,
        }
    }
}
