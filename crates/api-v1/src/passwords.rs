//! Passwords that are written as Secrets of the hub, as the peer's dashboard does for new users: only their hashes are kept.
//!
//! Invariant: no answer and no stored object holds a password. Secrets that say that they hold a hash already are left as
//! they are (rancher's webhook, `pkg/resources/core/v1/secret`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use drover_auth::UserId;
use drover_auth::password::ANNOTATION;
use drover_auth::web::ApiError;
use drover_types::management::GROUP;
use drover_types::names::PASSWORDS_NAMESPACE;
use http::StatusCode;
use secrecy::SecretString;
use serde_json::{Map, Value, json};

use crate::call::{Answer, Call};
use crate::kind::Kind;
use crate::kubernetes::{JSON, get};
use crate::object::annotations;
use crate::rights::Rights;

/// Puts the hash in place of a password that is about to be written by `verb`.
///
/// # Errors
/// 400 where there is no such user or the password breaks a rule.
pub(crate) async fn hash(
    call: &Call,
    rights: &Rights,
    kind: &Kind,
    verb: &str,
    object: &mut Map<String, Value>,
) -> Answer<()> {
    let metadata = |field: &str| object.get("metadata").and_then(|all| all.get(field));
    let text = |field: &str| metadata(field).and_then(Value::as_str).unwrap_or_default();
    let is_hash = metadata("annotations").is_some_and(|all| all.get(ANNOTATION).is_some());
    let is_password = call.is_hub()
        && kind.group.is_empty()
        && kind.resource == "secrets"
        && text("namespace") == PASSWORDS_NAMESPACE;
    let name = text("name").to_owned();
    // Who may not write it is told so by the store.
    if !is_password
        || is_hash
        || !rights.may_itself(verb, kind, Some(PASSWORDS_NAMESPACE), Some(&name))
    {
        return Ok(());
    }
    let wrong = |message: String| ApiError::new(StatusCode::BAD_REQUEST, "BadRequest", message);
    let refused = |message: String| wrong(message).with_field("data.password");
    if name.is_empty() {
        // A made-up name is nobody's.
        let message = "the Secret of a password is named after its user".to_owned();
        return Err(wrong(message).with_field("metadata.name").into());
    }
    let password =
        password(object).ok_or_else(|| refused("a password is required, in base64".to_owned()))?;
    let users = Kind::new(GROUP, "v3", "User", "users");
    let path = users.path(None, Some(&name));
    let user = match get(&call.whole().await?, &path, JSON).await {
        Err(error) if error.status == StatusCode::NOT_FOUND => {
            return Err(refused(format!("there is no user {name}")).into());
        }
        other => other?,
    };
    let username = user.get("username").and_then(Value::as_str);
    let secret = call
        .shared
        .logins
        .password_secret(&UserId::new(&name), username.unwrap_or_default(), &password)
        .await
        .map_err(|error| match ApiError::from(error) {
            broken if broken.status.is_client_error() => refused(broken.message),
            other => other,
        })?;
    object.remove("stringData");
    object.insert("data".to_owned(), json!(secret.data));
    let annotations = annotations(object)?;
    for (key, value) in secret.metadata.annotations.into_iter().flatten() {
        annotations.insert(key, json!(value));
    }
    Ok(())
}

/// The password as it is sent: as text, or as base64 of it.
fn password(sent: &Map<String, Value>) -> Option<SecretString> {
    let within = |field: &str| sent.get(field)?.get("password")?.as_str();
    if let Some(text) = within("stringData") {
        return Some(text.into());
    }
    let bytes = STANDARD.decode(within("data")?).ok()?;
    Some(String::from_utf8(bytes).ok()?.into())
}
