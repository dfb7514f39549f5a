//! The workspace of a cluster: a namespace of the hub, out of which the server reads what the cluster is given.
//!
//! Registry credentials among it, which stand in the import manifest. So who makes a cluster may not name any namespace.

use drover_auth::web::ApiError;
use serde_json::{Map, Value};

use crate::call::Call;
use crate::kinds::{text, text_at};

const FIELD: &str = "fleetWorkspaceName";
/// The one of all clusters for which nothing else is said.
const COMMON: &str = "fleet-default";

/// Checks `fleetWorkspaceName` of a cluster that is to be written; `current` is the cluster as it is.
///
/// # Errors
/// 422 for what is no name, 403 for a namespace that the caller may not give clusters to.
pub(super) fn check(
    call: &Call<'_>,
    fields: &Map<String, Value>,
    current: Option<&Value>,
) -> Result<(), ApiError> {
    let wanted = text(fields, FIELD);
    let has = current.map_or("", |current| text_at(current, "/spec/fleetWorkspaceName"));
    judge(wanted, has, || call.may_everything())
}

/// Checks the workspace that a new cluster is to be in.
///
/// # Errors
/// As [`check`].
pub(super) fn check_new(call: &Call<'_>, wanted: &str) -> Result<(), ApiError> {
    judge(wanted, "", || call.may_everything())
}

fn judge(wanted: &str, has: &str, may_any: impl FnOnce() -> bool) -> Result<(), ApiError> {
    if wanted.is_empty() || wanted == has {
        return Ok(());
    }
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let fits = wanted.len() <= 63
        && wanted.bytes().all(|byte| letter(byte) || byte == b'-')
        && wanted.starts_with(|first: char| first != '-')
        && !wanted.ends_with('-');
    if !fits {
        let message = "it must be the name of a namespace: lower-case letters, digits and dashes";
        return Err(ApiError::invalid("InvalidFormat", message).with_field(FIELD));
    }
    if wanted != COMMON && !may_any() {
        let message = format!("only administrators may put clusters into the workspace {wanted}");
        return Err(ApiError::forbidden(message).with_field(FIELD));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_administrators_name_any_namespace() {
        let check = |wanted: &str, has: &str, administrator: bool, expected: Option<u16>| {
            let refused = judge(wanted, has, || administrator).err();
            let status = refused.as_ref().map(|error| error.status.as_u16());
            assert_eq!(status, expected, "{wanted} from {has}");
            assert!(refused.is_none_or(|error| error.field_name.as_deref() == Some(FIELD)));
        };
        check("", "", false, None);
        check("fleet-default", "", false, None);
        check("p-abcde", "p-abcde", false, None);
        check("p-abcde", "", false, Some(403));
        check("cattle-system", "fleet-default", false, Some(403));
        check("cattle-system", "fleet-default", true, None);
        for name in ["../x", "a?b", "A", "-a", "a-", "a.b", &"a".repeat(64)] {
            check(name, "", true, Some(422));
        }
    }
}
