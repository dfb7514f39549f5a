//! Making, changing and removing objects on the hub.

use drover_auth::web::{ApiError, Response};
use drover_types::names::{CREATOR_ANNOTATION, CREATOR_LABEL, CREATOR_NORMAN};
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::objects::locate_object;
use crate::call::{Call, Item, not_found};
use crate::crossed::until_settled;
use crate::encode::Writer;
use crate::kinds::{self, Draft};
use crate::mapping::{self, Merge, Reveal};
use crate::resource::{may_change, present_one};
use crate::schema::{Behaviour, Object, Type};
use crate::target::{Context, is_within};
use crate::validate::{self, Operation};

pub(super) async fn create(
    call: &Call<'_>,
    kind: &Type,
    object: Object,
    mut sent: Map<String, Value>,
) -> Result<Item, ApiError> {
    match kind.behaviour {
        Behaviour::Feature => {
            return Err(ApiError::method_not_allowed("features cannot be created"));
        }
        Behaviour::Token => {
            let fields = validate::fields(call.registry(), kind, &sent, Operation::Create)?;
            return kinds::token::create(call, kind, &fields).await;
        }
        _ => {}
    }
    let fields = validate::fields(call.registry(), kind, &sent, Operation::Create)?;
    let (namespace, body) = drafted(call, kind, object, fields).await?;
    if let Some(namespace) = &namespace {
        call.store().ensure_namespace(namespace).await?;
    }
    let created = call
        .store()
        .create(object, namespace.as_deref(), body)
        .await?;
    sent.retain(|name, _| kind.field(name).is_some_and(|field| field.path.is_empty()));
    let created = kinds::after_create(call, kind, &sent, created).await?;
    note(call, object, &mapping::id(kind, &created), "created");
    present_one(call, kind, created, Reveal::Once).await
}

/// The object that valid fields make, checked and completed, and its namespace.
///
/// # Errors
/// 403 without the right to create it; what the type refuses.
pub(super) async fn drafted(
    call: &Call<'_>,
    kind: &Type,
    object: Object,
    mut fields: Map<String, Value>,
) -> Result<(Option<String>, Value), ApiError> {
    let mut draft = Draft {
        namespace: kinds::place(call, kind, &fields).await?,
        ..Draft::default()
    };
    let own = kind.behaviour == Behaviour::Preference;
    if !own {
        call.require("create", object, draft.namespace.as_deref(), None)?;
    }
    kinds::before_create(call, kind, &mut fields, &mut draft).await?;

    let mut body = Value::Object(std::mem::take(&mut draft.object));
    mapping::apply(call.registry(), kind, &mut body, &fields, Merge::Keep);
    let metadata = &mut body["metadata"];
    if let Some(name) = &draft.name {
        metadata["name"] = json!(name);
    } else if metadata
        .get("name")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .is_empty()
    {
        metadata["generateName"] = json!(kind.name_prefix());
    }
    if let Some(namespace) = &draft.namespace {
        metadata["namespace"] = json!(namespace);
    }
    metadata["labels"][CREATOR_LABEL] = json!(CREATOR_NORMAN);
    metadata["annotations"][CREATOR_ANNOTATION] = json!(call.user());
    for (key, value) in std::mem::take(&mut draft.annotations) {
        metadata["annotations"][&key] = value;
    }
    Ok((draft.namespace, body))
}

pub(super) async fn update(
    call: &Call<'_>,
    kind: &Type,
    object: Object,
    context: Option<&Context>,
    id: &str,
    sent: &Map<String, Value>,
) -> Result<Item, ApiError> {
    let (namespace, name) = locate_object(call, kind, object, id)?;
    let own = kind.behaviour == Behaviour::Preference;
    if !own {
        call.require("update", object, namespace, Some(name))?;
    }
    let fields = validate::fields(call.registry(), kind, sent, Operation::Update)?;
    let merge = if call.query.is_set("_replace") {
        Merge::Clear
    } else {
        Merge::Keep
    };
    let updated = until_settled(|| async {
        let mut current = call
            .store()
            .find(object, namespace, name)
            .await?
            .ok_or_else(|| not_found(object, id))?;
        if kinds::is_hidden(kind, &current) {
            return Err(not_found(object, id));
        }
        if context.is_some() {
            let shown = present_one(call, kind, current.clone(), Reveal::No).await?;
            if !is_within(kind, context, &shown) {
                return Err(not_found(object, id));
            }
        }
        let mut fields = fields.clone();
        kinds::before_update(call, kind, &current, &mut fields).await?;
        mapping::apply(call.registry(), kind, &mut current, &fields, merge);
        call.store().replace(object, &current).await
    })
    .await?;
    note(call, object, id, "updated");
    kinds::after_update(call, kind, &updated).await;
    present_one(call, kind, updated, Reveal::No).await
}

pub(super) async fn delete(
    call: &Call<'_>,
    writer: &Writer,
    kind: &Type,
    object: Object,
    context: Option<&Context>,
    id: &str,
) -> Result<Response, ApiError> {
    if kind.behaviour == Behaviour::Token {
        kinds::token::delete(call, kind, id).await?;
        return Ok(writer.empty(StatusCode::NO_CONTENT));
    }
    let (namespace, name) = locate_object(call, kind, object, id)?;
    let own = kind.behaviour == Behaviour::Preference;
    if !own {
        call.require("delete", object, namespace, Some(name))?;
    }
    let current = call.store().find(object, namespace, name).await?;
    let current = current
        .filter(|found| !kinds::is_hidden(kind, found))
        .ok_or_else(|| not_found(object, id))?;
    if context.is_some() {
        let shown = present_one(call, kind, current.clone(), Reveal::No).await?;
        if !is_within(kind, context, &shown) {
            return Err(not_found(object, id));
        }
    }
    kinds::before_delete(call, kind, &current).await?;
    debug_assert!(own || may_change(call, kind, object, &current, "delete"));
    call.store().delete(object, namespace, name).await?;
    note(call, object, id, "deleted");
    kinds::after_delete(call, kind, &current).await;
    // An object with finalizers lingers, and is shown going.
    match call.store().find(object, namespace, name).await? {
        Some(left) if left.pointer("/metadata/uid") == current.pointer("/metadata/uid") => {
            let item = present_one(call, kind, left, Reveal::No).await?;
            Ok(writer.answer(StatusCode::OK, &item))
        }
        _ => Ok(writer.empty(StatusCode::NO_CONTENT)),
    }
}

/// Says what was done by whom.
pub(super) fn note(call: &Call<'_>, object: Object, id: &str, what: &'static str) {
    tracing::info!(user = %call.user(), resource = object.resource, %id, what, "an object was changed through the API");
}
