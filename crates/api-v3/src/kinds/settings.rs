//! Settings and features: where a value comes from, and what may change it.
//!
//! A setting given by the environment wins over a stored one, a stored
//! non-empty value over the default (reference section 5).

mod rules;

use drover_auth::web::ApiError;
use serde_json::{Map, Value, json};

use super::{object_of, text, text_at};
use crate::call::{Call, Item};
use crate::mapping;

/// Settings that follow from something else.
const READ_ONLY: &[&str] = &["cacerts"];
/// Settings shown to everybody, also without signing in.
const PUBLIC: &[&str] = &[
    "cacerts",
    "first-login",
    "ui-banners",
    "ui-brand",
    "ui-default-landing",
    "ui-issues",
    "ui-pl",
];

/// Whether anybody may read this setting.
pub(crate) fn is_public(name: &str) -> bool {
    PUBLIC.contains(&name)
}

struct Effective {
    value: String,
    source: &'static str,
}

fn effective(call: &Call<'_>, object: &Value) -> Effective {
    let stored = text_at(object, "/value");
    if let Some(value) = call.shared.setting_overrides.get(mapping::name(object)) {
        Effective {
            value: value.clone(),
            source: "env",
        }
    } else if text_at(object, "/source") == "env" && !stored.is_empty() {
        Effective {
            value: stored.to_owned(),
            source: "env",
        }
    } else if stored.is_empty() {
        Effective {
            value: text_at(object, "/default").to_owned(),
            source: "default",
        }
    } else {
        Effective {
            value: stored.to_owned(),
            source: "db",
        }
    }
}

/// The value of a setting that counts, empty if there is no such setting.
pub(super) async fn value(call: &Call<'_>, name: &str) -> Result<String, ApiError> {
    if let Some(value) = call.shared.setting_overrides.get(name) {
        return Ok(value.clone());
    }
    let found = call
        .store()
        .find(object_of(call, "setting")?, None, name)
        .await?;
    Ok(found
        .map(|object| effective(call, &object).value)
        .unwrap_or_default())
}

pub(super) fn amend_setting(call: &Call<'_>, object: &Value, item: &mut Item) {
    let effective = effective(call, object);
    item.insert("customized".to_owned(), json!(effective.source == "db"));
    item.insert("source".to_owned(), json!(effective.source));
    item.insert("value".to_owned(), json!(effective.value));
    item.insert("default".to_owned(), json!(text_at(object, "/default")));
}

pub(super) fn is_writable(call: &Call<'_>, object: &Value) -> bool {
    !READ_ONLY.contains(&mapping::name(object)) && effective(call, object).source != "env"
}

/// Whether the server itself reads this setting; others are kept for whoever made them.
pub(super) fn is_built_in(object: &Value) -> bool {
    drover_auth::settings::default_of(mapping::name(object)).is_some()
}

/// What somebody made may go again: the peer's Terraform provider removes the settings that it made (v15,
/// `resourceRancher2SettingDelete`).
pub(super) fn before_delete_setting(current: &Value) -> Result<(), ApiError> {
    if is_built_in(current) {
        return Err(ApiError::method_not_allowed(
            "built-in settings cannot be removed",
        ));
    }
    Ok(())
}

/// A setting that only the server sets is refused before it is found to be there (the peer's validator does it in this order).
pub(super) async fn before_create_setting(
    call: &Call<'_>,
    fields: &Map<String, Value>,
) -> Result<(), ApiError> {
    let name = text(fields, "name");
    if READ_ONLY.contains(&name) {
        return Err(read_only(name));
    }
    check_value(call, name, text(fields, "value")).await
}

async fn check_value(call: &Call<'_>, name: &str, given: &str) -> Result<(), ApiError> {
    let mut others = rules::Others::new();
    for other in rules::compared_with(name) {
        others.insert(other, value(call, other).await?);
    }
    rules::check(name, given, &others)
}

fn read_only(name: &str) -> ApiError {
    ApiError::method_not_allowed(format!("{name} is readOnly"))
}

pub(super) async fn before_update_setting(
    call: &Call<'_>,
    current: &Value,
    fields: &mut Map<String, Value>,
) -> Result<(), ApiError> {
    let name = mapping::name(current);
    if !is_writable(call, current) {
        return Err(read_only(name));
    }
    let Some(value) = fields.get("value").and_then(Value::as_str) else {
        return Ok(());
    };
    if name == "server-url" && !value.is_empty() {
        let trimmed = value.trim().trim_end_matches('/');
        let address = trimmed
            .strip_prefix("https://")
            .or_else(|| trimmed.strip_prefix("http://"))
            .unwrap_or_default();
        if address.is_empty()
            || address.contains(|letter: char| letter.is_whitespace() || "?#@".contains(letter))
        {
            return Err(ApiError::invalid(
                "InvalidFormat",
                "it must be a URL such as https://drover.example.com",
            )
            .with_field("value"));
        }
        let trimmed = trimmed.to_owned();
        fields.insert("value".to_owned(), json!(trimmed));
        return Ok(());
    }
    check_value(call, name, value).await
}

/// A feature has the value somebody gave it, else its default; a locked one cannot be given any.
pub(super) fn amend_feature(object: &Value, item: &mut Item) {
    let value = [
        object.pointer("/status/lockedValue"),
        object.pointer("/spec/value"),
        object.pointer("/status/default"),
    ]
    .into_iter()
    .flatten()
    .find_map(Value::as_bool)
    .unwrap_or(false);
    item.insert("value".to_owned(), json!(value));
}

pub(super) fn before_update_feature(
    current: &Value,
    fields: &mut Map<String, Value>,
) -> Result<(), ApiError> {
    let locked = current
        .pointer("/status/lockedValue")
        .and_then(Value::as_bool);
    let asked = fields.get("value").and_then(Value::as_bool);
    match (locked, asked) {
        (Some(locked), Some(asked)) if locked != asked => Err(ApiError::invalid(
            "InvalidState",
            format!(
                "the feature {} is locked to {locked}",
                mapping::name(current)
            ),
        )
        .with_field("value")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feature_is_what_it_is_locked_given_or_born_to_be() {
        let value = |object: Value| {
            let mut item = Map::new();
            amend_feature(&object, &mut item);
            item["value"] == true
        };
        assert!(value(
            json!({"status": {"default": true, "lockedValue": null}})
        ));
        assert!(!value(
            json!({"spec": {"value": false}, "status": {"default": true}})
        ));
        assert!(value(
            json!({"spec": {"value": false}, "status": {"lockedValue": true}})
        ));
        assert!(!value(json!({})));
    }
}
