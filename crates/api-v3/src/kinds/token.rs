//! Tokens: made by and shown to their owner only.
//!
//! Keys are handled by `drover_auth`; here a key is seen once, in the answer to
//! the request that made it.

use drover_auth::logins::NewToken;
use drover_auth::web::{ApiError, Response, cookie};
use http::StatusCode;
use http::header::SET_COOKIE;
use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};

use super::{Outcome, object_of, text, text_at, unknown_action};
use crate::call::{Call, Item, not_found, split_id};
use crate::mapping::{self, Reveal};
use crate::resource::present_one;
use crate::schema::Type;

/// Name of the user a token belongs to.
pub(super) fn owner(object: &Value) -> &str {
    text_at(object, "/userId")
}

/// The caller's own tokens.
pub(crate) async fn list(call: &Call<'_>) -> Result<Vec<Value>, ApiError> {
    let caller = call.caller()?.user.as_str();
    let mut tokens = call.store().list(object_of(call, "token")?, None).await?;
    tokens.retain(|token| owner(token) == caller);
    Ok(tokens)
}

/// One of the caller's own tokens; another's is as good as absent.
pub(crate) async fn get(call: &Call<'_>, kind: &Type, id: &str) -> Result<Value, ApiError> {
    let caller = call.caller()?.user.as_str();
    let object = object_of(call, "token")?;
    let (_, name) = split_id(kind, object, id)?;
    let found = call
        .store()
        .find(object, None, name)
        .await?
        .filter(|token| owner(token) == caller);
    found.ok_or_else(|| not_found(object, id))
}

/// Makes an API key for the caller. Only description, ttl and cluster count.
pub(crate) async fn create(
    call: &Call<'_>,
    kind: &Type,
    fields: &Map<String, Value>,
) -> Result<Item, ApiError> {
    let caller = call.caller()?;
    let cluster = text(fields, "clusterId");
    if !cluster.is_empty() {
        super::cluster::referred(call, &super::cluster::namespace(fields)?).await?;
    }
    let scoped_to = caller
        .token
        .as_ref()
        .and_then(|token| token.cluster.clone());
    if let Some(only) = scoped_to.filter(|only| only != cluster) {
        return Err(ApiError::forbidden(format!(
            "a token for the cluster {only} makes tokens for that cluster only"
        )));
    }
    let wanted = NewToken {
        description: text(fields, "description").to_owned(),
        ttl: fields.get("ttl").and_then(Value::as_i64).unwrap_or(0),
        cluster: Some(cluster.to_owned()).filter(|cluster| !cluster.is_empty()),
    };
    let issued = call
        .shared
        .credentials
        .create_token(caller, &wanted)
        .await?;
    let stored = call
        .store()
        .get(object_of(call, "token")?, None, &issued.name)
        .await?;
    let mut item = present_one(call, kind, stored, Reveal::No).await?;
    item.insert("token".to_owned(), json!(issued.bearer.expose_secret()));
    Ok(item)
}

/// Ends one of the caller's tokens, but not the session that asks.
pub(crate) async fn delete(call: &Call<'_>, kind: &Type, id: &str) -> Result<(), ApiError> {
    let token = get(call, kind, id).await?;
    let name = mapping::name(&token);
    if is_current(call, name) && !is_derived(&token) {
        return Err(ApiError::new(
            StatusCode::BAD_REQUEST,
            "InvalidState",
            "the token of the current session cannot be removed; log out instead",
        ));
    }
    call.shared.credentials.delete_token(name).await
}

/// Fills in what depends on the moment and on who asks.
pub(super) fn amend(call: &Call<'_>, object: &Value, item: &mut Item) {
    // The key's hash is nobody's business.
    item.remove("token");
    item.insert(
        "current".to_owned(),
        json!(is_current(call, mapping::name(object))),
    );
    let ttl = object.get("ttl").and_then(Value::as_i64).unwrap_or(0);
    let created = text_at(object, "/metadata/creationTimestamp")
        .parse::<jiff::Timestamp>()
        .ok();
    let ends = created.filter(|_| ttl > 0).and_then(|created| {
        created
            .checked_add(jiff::SignedDuration::from_millis(ttl))
            .ok()
    });
    item.insert(
        "expired".to_owned(),
        json!(ends.is_some_and(|ends| ends <= call.now)),
    );
    item.insert(
        "expiresAt".to_owned(),
        json!(
            ends.map(|ends| ends.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
                .unwrap_or_default()
        ),
    );
    if let Some(principal) = object
        .get("userPrincipal")
        .filter(|principal| principal.is_object())
    {
        // The peer shows a principal here where its schema says a reference; the identifier is what can be used.
        item.insert(
            "userPrincipal".to_owned(),
            json!(text_at(principal, "/metadata/name")),
        );
    }
}

fn is_current(call: &Call<'_>, name: &str) -> bool {
    call.identity
        .and_then(|identity| identity.token.as_ref())
        .is_some_and(|token| token.name == name)
}

fn is_derived(token: &Value) -> bool {
    token
        .get("isDerived")
        .and_then(Value::as_bool)
        .unwrap_or(false)
}

/// A token for a kubeconfig of the caller, as sent by clients; good for `cluster` only if one is named.
pub(super) async fn for_kubeconfig(
    call: &Call<'_>,
    cluster: Option<&str>,
) -> Result<String, ApiError> {
    let caller = call.caller()?;
    // A token that reaches one cluster only makes none that reaches more.
    let scope = caller
        .token
        .as_ref()
        .and_then(|token| token.cluster.as_deref())
        .or(cluster);
    let issued = call
        .shared
        .credentials
        .kubeconfig_token(caller, scope)
        .await?;
    Ok(issued.bearer.expose_secret().to_owned())
}

pub(super) async fn act_on_collection(call: &Call<'_>, action: &str) -> Result<Outcome, ApiError> {
    match action {
        "logout" => {
            call.shared.credentials.logout(call.caller()?).await?;
            let mut response = Response::new(drover_auth::web::empty());
            for name in [cookie::SESSION, cookie::CSRF] {
                if let Some(forget) = cookie::forget(name) {
                    response.headers_mut().append(SET_COOKIE, forget);
                }
            }
            Ok(Outcome::Response(Box::new(response)))
        }
        "logoutAll" => Err(ApiError::new(
            StatusCode::NOT_FOUND,
            "ActionNotAvailable",
            "the provider of this session knows no logout of its own",
        )),
        other => Err(unknown_action(other)),
    }
}
