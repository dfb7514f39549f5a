//! Registration tokens: commands are stored with a placeholder, the token itself in a Secret.
//!
//! Invariant: a token whose Secret cannot be read shows no command at all.

use drover_auth::web::ApiError;
use drover_types::names::REGISTRATION_SECRET_PREFIX;
use futures::StreamExt;
use serde_json::{Map, Value, json};

use super::{cluster, text, text_at};
use crate::call::Call;
use crate::mapping;

/// What stands for the token in stored commands.
const PLACEHOLDER: &str = "{token}";
/// The fields that hold the token.
const COMMANDS: &[&str] = &[
    "command",
    "insecureCommand",
    "insecureNodeCommand",
    "insecureWindowsNodeCommand",
    "manifestUrl",
    "nodeCommand",
    "windowsNodeCommand",
];
/// Secrets read at the same time.
const PARALLEL: usize = 16;

pub(super) async fn complete(call: &Call<'_>, objects: &mut Vec<Value>) -> Result<(), ApiError> {
    let completed =
        futures::stream::iter(objects.drain(..).map(|object| complete_one(call, object)))
            .buffered(PARALLEL)
            .collect::<Vec<_>>()
            .await;
    for object in completed {
        objects.push(object?);
    }
    Ok(())
}

async fn complete_one(call: &Call<'_>, mut object: Value) -> Result<Value, ApiError> {
    let stored = text_at(&object, "/status/tokenSecretName");
    let secret = if stored.is_empty() {
        format!("{REGISTRATION_SECRET_PREFIX}{}", mapping::name(&object))
    } else {
        stored.to_owned()
    };
    let token = match mapping::namespace(&object) {
        Some(namespace) => call.store().secret(namespace, &secret, "token").await?,
        None => None,
    };
    fill(&mut object, token.as_deref());
    Ok(object)
}

fn fill(object: &mut Value, token: Option<&str>) {
    let Some(status) = object.get_mut("status").and_then(Value::as_object_mut) else {
        return;
    };
    for name in COMMANDS {
        let filled = match (status.get(*name).and_then(Value::as_str), token) {
            (Some(stored), Some(token)) => stored.replace(PLACEHOLDER, token),
            (Some(_), None) => String::new(),
            (None, _) => continue,
        };
        status.insert((*name).to_owned(), json!(filled));
    }
    if let Some(token) = token {
        status.insert("token".to_owned(), json!(token));
    }
}

pub(super) async fn before_create(
    call: &Call<'_>,
    fields: &Map<String, Value>,
) -> Result<(), ApiError> {
    for limit in ["ttl", "gracePeriod"] {
        if fields
            .get(limit)
            .and_then(Value::as_i64)
            .is_some_and(|minutes| minutes < 0)
        {
            return Err(
                ApiError::invalid("MinLimitExceeded", "it may not be negative").with_field(limit),
            );
        }
    }
    cluster::referred(call, text(fields, "clusterId"))
        .await
        .map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_hold_the_token_or_nothing() {
        let stored = json!({"status": {"command": "kubectl apply -f https://s/v3/import/{token}_c-1.yaml", "expiresAt": "x"}});
        let mut shown = stored.clone();
        fill(&mut shown, Some("abc"));
        assert_eq!(
            shown["status"],
            json!({"command": "kubectl apply -f https://s/v3/import/abc_c-1.yaml", "expiresAt": "x", "token": "abc"})
        );
        let mut blank = stored;
        fill(&mut blank, None);
        assert_eq!(blank["status"], json!({"command": "", "expiresAt": "x"}));
    }
}
