//! What each person prefers, kept in the namespace of its user.

use drover_auth::web::ApiError;

use crate::call::Call;

pub(super) async fn before_create(call: &Call<'_>) -> Result<(), ApiError> {
    call.store()
        .ensure_namespace(call.caller()?.user.as_str())
        .await
}
