//! Templates of pod security: which levels and versions there are, and what is built in.

use drover_auth::web::ApiError;
use http::StatusCode;
use serde_json::{Map, Value};

use crate::mapping;

const LEVELS: [&str; 3] = ["privileged", "baseline", "restricted"];
const BUILT_IN: [&str; 2] = ["rancher-privileged", "rancher-restricted"];

fn is_version(text: &str) -> bool {
    text == "latest"
        || text.strip_prefix("v1.").is_some_and(|minor| {
            !minor.is_empty() && minor.bytes().all(|byte| byte.is_ascii_digit())
        })
}

/// The levels and versions that a cluster's API server would refuse to start with.
///
/// # Errors
/// 422 naming the field.
pub(super) fn check(fields: &Map<String, Value>) -> Result<(), ApiError> {
    let defaults = fields
        .get("configuration")
        .and_then(|configuration| configuration.get("defaults"))
        .and_then(Value::as_object);
    for (name, value) in defaults.into_iter().flatten() {
        let text = value.as_str().unwrap_or_default();
        let fits = match name.strip_suffix("-version") {
            _ if text.is_empty() => true,
            Some(_) => is_version(text),
            None if ["enforce", "audit", "warn"].contains(&name.as_str()) => LEVELS.contains(&text),
            None => true,
        };
        if !fits {
            let message = format!("{text:?} is no {name}");
            return Err(ApiError::invalid("InvalidOption", message)
                .with_field(format!("configuration.defaults.{name}")));
        }
    }
    Ok(())
}

/// What is built in stays.
pub(super) fn before_delete(current: &Value) -> Result<(), ApiError> {
    if BUILT_IN.contains(&mapping::name(current)) {
        return Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "Forbidden",
            "built-in templates cannot be removed",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn levels_and_versions_are_those_that_there_are() {
        let check = |name: &str, value: &str| {
            let fields = json!({"configuration": {"defaults": {name: value}}});
            check(fields.as_object().unwrap()).map_err(|error| error.field_name.unwrap())
        };
        for (name, value) in [
            ("enforce", "baseline"),
            ("warn", ""),
            ("audit-version", "latest"),
            ("audit-version", "v1.36"),
        ] {
            assert_eq!(check(name, value), Ok(()), "{name} {value}");
        }
        for (name, value) in [
            ("enforce", "strict"),
            ("warn-version", "1.36"),
            ("warn-version", "v1."),
        ] {
            let field = format!("configuration.defaults.{name}");
            assert_eq!(check(name, value), Err(field), "{name} {value}");
        }
    }
}
