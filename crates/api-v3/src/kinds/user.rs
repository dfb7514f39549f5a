//! Users: login names, passwords, and what people may do to themselves.
//!
//! Invariants: a password is never stored in, or shown from, a `User`; it goes
//! to the part that keeps it hashed and nowhere else. Nobody but administrators
//! says who a user is elsewhere: bindings count for such principals too.

use drover_auth::web::ApiError;
use drover_auth::{Identity, UserId};
use http::StatusCode;
use secrecy::SecretString;
use serde_json::{Map, Value, json};

use super::{Draft, Outcome, bindings, object_of, roles, text, text_at, unknown_action};
use crate::call::{Call, Item};
use crate::mapping::{self, Reveal};
use crate::resource::present_one;
use crate::schema::Type;

/// The letters of made-up names, those of Kubernetes.
const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

pub(crate) fn is_system(object: &Value) -> bool {
    principals(object).any(|principal| principal.starts_with("system://"))
}

pub(super) fn amend(call: &Call<'_>, item: &mut Item) {
    let me = item.get("id").and_then(Value::as_str) == Some(call.user());
    item.insert("me".to_owned(), json!(me));
    // Recorded: always there, also where nothing was said or has happened.
    for (field, absent) in [("description", json!("")), ("conditions", Value::Null)] {
        let shown = item.entry(field).or_insert(Value::Null);
        if shown.is_null() {
            *shown = absent;
        }
    }
}

/// A user that may sign in no longer is out before the caller hears of it.
pub(super) async fn after_update(call: &Call<'_>, updated: &Value) {
    if updated.get("enabled") == Some(&json!(false)) {
        shut_out(call, updated).await;
    }
}

pub(super) async fn shut_out(call: &Call<'_>, user: &Value) {
    let user = UserId::new(mapping::name(user));
    call.shared.credentials.shut_out(&user).await;
}

fn may_update(call: &Call<'_>, kind: &Type, object: &Value) -> bool {
    kind.object
        .is_some_and(|kind| call.may("update", kind, None, Some(mapping::name(object))))
}

pub(super) fn offers_action(call: &Call<'_>, kind: &Type, object: &Value, action: &str) -> bool {
    match action {
        // Not of oneself: whoever found an open session would keep it. One's own is changed by who knows it.
        "setpassword" | "refreshauthprovideraccess" => may_update(call, kind, object),
        _ => false,
    }
}

pub(super) fn offers_collection_action(call: &Call<'_>, action: &str) -> bool {
    match action {
        "changepassword" => call.identity.is_some(),
        "refreshauthprovideraccess" => {
            object_of(call, "user").is_ok_and(|object| call.may("update", object, None, None))
        }
        _ => false,
    }
}

/// Whoever sets a password can sign in with it: administrators are changed by administrators only, others by those who
/// may `manage-users` or hold all that was given to them (reference rbac-and-projects 8).
async fn no_takeover(call: &Call<'_>, target: &Value) -> Result<(), ApiError> {
    let name = mapping::name(target);
    if name == call.user() || call.may_everything() {
        return Ok(());
    }
    let mut identity = Identity::of(name);
    identity
        .principals
        .extend(principals(target).map(str::to_owned));
    if call.is_administrator(&identity) {
        return Err(ApiError::forbidden(format!(
            "{name} is an administrator, who only administrators may change"
        )));
    }
    let users = object_of(call, "user")?;
    if call.may("manage-users", users, None, Some(name)) || holds_all_of(call, target).await? {
        Ok(())
    } else {
        Err(ApiError::forbidden(format!(
            "{name} may do more than {}, who may not manage users",
            call.user()
        )))
    }
}

/// Whether the caller may give all that was given to a user.
async fn holds_all_of(call: &Call<'_>, user: &Value) -> Result<bool, ApiError> {
    let is_theirs = |binding: &Value| {
        text_at(binding, "/userName") == mapping::name(user)
            || principals(user).any(|own| own == text_at(binding, "/userPrincipalName"))
    };
    let of = async |kind: &str| -> Result<Vec<Value>, ApiError> {
        let mut bindings = call.store().list(object_of(call, kind)?, None).await?;
        bindings.retain(is_theirs);
        Ok(bindings)
    };
    for binding in of("globalRoleBinding").await? {
        let role = text_at(&binding, "/globalRoleName");
        let role = call
            .store()
            .find(object_of(call, "globalRole")?, None, role)
            .await?;
        // One that is gone gives nothing.
        let role = role.as_ref().and_then(Value::as_object);
        if role.is_some_and(|role| !roles::holds_global(call, role)) {
            return Ok(false);
        }
    }
    for binding in of("clusterRoleTemplateBinding").await? {
        let role = text_at(&binding, "/roleTemplateName");
        let cluster = text_at(&binding, "/clusterName");
        if !bindings::may_give_in_cluster(call, cluster, role).await? {
            return Ok(false);
        }
    }
    for binding in of("projectRoleTemplateBinding").await? {
        let role = text_at(&binding, "/roleTemplateName");
        let (cluster, project) = text_at(&binding, "/projectName")
            .split_once(':')
            .unwrap_or_default();
        if !bindings::may_give_in_project(call, cluster, project, role).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Who a user is, here and at other providers.
fn principals(user: &Value) -> impl Iterator<Item = &str> {
    let principals = user.get("principalIds").and_then(Value::as_array);
    principals.into_iter().flatten().filter_map(Value::as_str)
}

/// What is local or the system's own cannot be claimed at all.
fn is_foreign(principal: &str) -> bool {
    !principal.starts_with("local://") && !principal.starts_with("system://")
}

/// Whoever is somebody elsewhere holds what is given to that somebody.
fn no_claim(call: &Call<'_>, sent: &[Value], held: &Value) -> Result<(), ApiError> {
    let sent = sent.iter().filter_map(Value::as_str);
    let claims = sent
        .filter(|principal| is_foreign(principal))
        .any(|principal| !principals(held).any(|held| held == principal));
    if claims && !call.may_everything() {
        return Err(ApiError::forbidden(
            "only administrators say who a user is at another provider",
        )
        .with_field("principalIds"));
    }
    Ok(())
}

pub(super) async fn before_create(
    call: &Call<'_>,
    kind: &Type,
    fields: &mut Map<String, Value>,
    draft: &mut Draft,
) -> Result<(), ApiError> {
    let username = text(fields, "username").trim().to_owned();
    let has_principals = fields
        .get("principalIds")
        .and_then(Value::as_array)
        .is_some_and(|list| !list.is_empty());
    if username.is_empty() && (!has_principals || fields.contains_key("password")) {
        return Err(ApiError::invalid("MissingRequired", "").with_field("username"));
    }
    check_username(call, kind, &username, None).await?;
    if let Some(password) = fields.get("password").and_then(Value::as_str) {
        call.shared
            .credentials
            .check_password(&username, &SecretString::from(password))?;
    }
    let suffix = call
        .shared
        .entropy
        .text(ALPHABET, 5)
        .map_err(|error| ApiError::server_error(error.to_string()))?;
    let name = format!("{}{suffix}", kind.name_prefix());
    let mut principals = vec![json!(UserId::new(name.clone()).local_principal())];
    if let Some(sent) = fields.get("principalIds").and_then(Value::as_array) {
        no_claim(call, sent, &Value::Null)?;
        let foreign = sent
            .iter()
            .filter(|principal| principal.as_str().is_some_and(is_foreign));
        principals.extend(foreign.cloned());
    }
    fields.insert("principalIds".to_owned(), Value::Array(principals));
    fields.insert("username".to_owned(), json!(username));
    draft.name = Some(name);
    Ok(())
}

async fn check_username(
    call: &Call<'_>,
    kind: &Type,
    username: &str,
    own: Option<&str>,
) -> Result<(), ApiError> {
    let Some(object) = kind.object.filter(|_| !username.is_empty()) else {
        return Ok(());
    };
    let taken = call.store().list(object, None).await?.iter().any(|other| {
        own != Some(mapping::name(other))
            && text_at(other, "/username").eq_ignore_ascii_case(username)
    });
    if taken {
        Err(ApiError::invalid("NotUnique", "this login name is taken").with_field("username"))
    } else {
        Ok(())
    }
}

/// Makes sure that the login name is its alone, then keeps the password. A user for whom either fails is taken away.
pub(super) async fn after_create(
    call: &Call<'_>,
    kind: &Type,
    sent: &Map<String, Value>,
    object: Value,
) -> Result<Value, ApiError> {
    match finish(call, kind, sent, &object).await {
        Ok(()) => Ok(object),
        Err(error) => {
            super::take_back(call, kind, &object).await;
            Err(error)
        }
    }
}

async fn finish(
    call: &Call<'_>,
    kind: &Type,
    sent: &Map<String, Value>,
    object: &Value,
) -> Result<(), ApiError> {
    let (id, username) = (
        UserId::new(mapping::name(object)),
        text_at(object, "/username"),
    );
    check_username(call, kind, username, Some(id.as_str())).await?;
    match sent.get("password").and_then(Value::as_str) {
        Some(password) => {
            call.shared
                .credentials
                .set_password(&id, username, &SecretString::from(password))
                .await
        }
        None => Ok(()),
    }
}

pub(super) async fn before_update(
    call: &Call<'_>,
    current: &Value,
    fields: &mut Map<String, Value>,
) -> Result<(), ApiError> {
    let name = mapping::name(current);
    no_takeover(call, current).await?;
    let own = name == call.user();
    if own && fields.get("enabled") == Some(&json!(false)) {
        return Err(ApiError::invalid_action("you cannot disable yourself"));
    }
    if let Some(username) = fields.get("username").and_then(Value::as_str) {
        if username.is_empty() && !text_at(current, "/username").is_empty() {
            return Err(ApiError::invalid("MissingRequired", "").with_field("username"));
        }
        let kind = call
            .registry()
            .get("user")
            .ok_or_else(|| ApiError::server_error("users are not declared"))?;
        check_username(call, kind, username, Some(name)).await?;
    }
    if let Some(Value::Array(sent)) = fields.get_mut("principalIds") {
        let local = json!(UserId::new(name).local_principal());
        no_claim(call, sent, current)?;
        sent.retain(|principal| *principal == local || principal.as_str().is_some_and(is_foreign));
        if !sent.contains(&local) {
            sent.insert(0, local);
        }
    }
    Ok(())
}

pub(super) async fn before_delete(call: &Call<'_>, current: &Value) -> Result<(), ApiError> {
    if mapping::name(current) == call.user() {
        return Err(ApiError::invalid_action("you cannot remove yourself"));
    }
    no_takeover(call, current).await
}

pub(super) async fn act(
    call: &Call<'_>,
    kind: &Type,
    object: Value,
    action: &str,
    input: &Map<String, Value>,
) -> Result<Outcome, ApiError> {
    match action {
        "setpassword" => {
            no_takeover(call, &object).await?;
            let id = UserId::new(mapping::name(&object));
            let password = text(input, "newPassword");
            if password.is_empty() {
                return Err(ApiError::invalid("MissingRequired", "").with_field("newPassword"));
            }
            let password = SecretString::from(password);
            call.shared
                .credentials
                .set_password(&id, text_at(&object, "/username"), &password)
                .await?;
            let updated = password_is_chosen(call, &id).await?;
            present_one(call, kind, updated, Reveal::No)
                .await
                .map(Outcome::Resource)
        }
        // Only local users are known, who have no provider to ask.
        "refreshauthprovideraccess" => Ok(Outcome::Done(StatusCode::OK)),
        other => Err(unknown_action(other)),
    }
}

pub(super) async fn act_on_collection(
    call: &Call<'_>,
    action: &str,
    input: &Map<String, Value>,
) -> Result<Outcome, ApiError> {
    match action {
        "changepassword" => {
            let caller = call.caller()?;
            let (current, new) = (text(input, "currentPassword"), text(input, "newPassword"));
            for (field, value) in [("currentPassword", current), ("newPassword", new)] {
                if value.is_empty() {
                    return Err(ApiError::invalid("MissingRequired", "").with_field(field));
                }
            }
            let (current, new) = (SecretString::from(current), SecretString::from(new));
            call.shared
                .credentials
                .change_password(caller, &current, &new)
                .await?;
            Ok(Outcome::Response(Box::new(
                drover_auth::web::Response::new(drover_auth::web::empty()),
            )))
        }
        "refreshauthprovideraccess" => {
            call.require("update", object_of(call, "user")?, None, None)?;
            Ok(Outcome::Done(StatusCode::OK))
        }
        other => Err(unknown_action(other)),
    }
}

/// Whoever sets a password has chosen it: nobody has to change it any more.
async fn password_is_chosen(call: &Call<'_>, user: &UserId) -> Result<Value, ApiError> {
    let object = object_of(call, "user")?;
    let mut current = call.store().get(object, None, user.as_str()).await?;
    if current.get("mustChangePassword") == Some(&json!(true)) {
        current["mustChangePassword"] = json!(false);
        current = call.store().replace(object, &current).await?;
    }
    Ok(current)
}
