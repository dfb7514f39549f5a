//! Single objects: read, created, changed, removed; by the cluster itself, as the caller.
//!
//! What the hub keeps of clusters and projects is written by the index of roles too, with the checks of `/v3`
//! (`drover_api::keeper`).
//!
//! Invariant: no write has other rights than the caller's own.

mod send;

use drover_api::keeper::{Change, Written};
use drover_auth::web::{self, ApiError, Response};
use drover_types::names::CREATOR_ANNOTATION;
use drover_types::provisioning::GROUP as PROVISIONING;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::request::Parts;
use kube::Client;
use serde_json::{Map, Value, json};

use crate::cache::{Entry, read_table};
use crate::call::{Answer, Call, no_method};
use crate::format::{self, is_blocked, stripped};
use crate::kind::Kind;
use crate::kubernetes::{TABLE, get_warned, no_json};
use crate::neighbours;
use crate::passwords;
use crate::permissions::Permissions;
use crate::rights::{Rights, is_withheld};
use crate::warnings::warned;
pub(crate) use send::apply;
use send::send;

const MERGE: &str = "application/merge-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";

/// An object that a request names.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Named<'a> {
    pub(crate) namespace: Option<&'a str>,
    pub(crate) name: &'a str,
}

/// The method a request asks of a kind.
fn check(rights: &Rights, kind: &Kind, method: &str, verb: &str) -> Result<(), ApiError> {
    let given = kind.has(verb) && rights.may_somewhere(verb, kind);
    if !given || is_blocked(kind, method) {
        return Err(no_method(method, &kind.id));
    }
    Ok(())
}

/// One object with its cells, and what the API server warns of.
async fn read(
    client: &Client,
    call: &Call,
    kind: &Kind,
    named: Named<'_>,
) -> Result<(Entry, Vec<HeaderValue>), ApiError> {
    let url = format!(
        "{}?includeObject=Object",
        kind.path(named.namespace, Some(named.name))
    );
    let (table, warnings) = get_warned(client, &url, TABLE).await?;
    let rows = read_table(kind, &table, &[], call.now()).map_err(no_json)?;
    let entry = rows.entries.into_iter().next();
    let entry = entry.ok_or_else(|| ApiError::server_error("the cluster answered no object"))?;
    Ok((entry, warnings))
}

/// Answers an object, by its id.
pub(crate) async fn by_id(
    call: &Call,
    kind: &Kind,
    rights: &Rights,
    named: Named<'_>,
) -> Answer<Response> {
    if is_withheld(kind) || !kind.has("get") {
        return Err(no_method("GET", &kind.id).into());
    }
    let permissions = Permissions::asked(call).await?;
    let client = call
        .reader(rights, kind, named.namespace, named.name)
        .await?;
    let (entry, warnings) = read(&client, call, kind, named).await?;
    let _copies = neighbours::fetch(call, rights, kind).await;
    let projection = crate::query::project::Projection::parse(&call.pairs);
    let mut shown = projection.apply(call.shown(rights, kind, &entry));
    permissions.add(call, rights, &entry, &mut shown);
    Ok(warned(call.writer.answer(StatusCode::OK, &shown), warnings))
}

/// An object that was just written; cells come with a read, if the caller may.
pub(crate) async fn written(
    call: &Call,
    kind: &Kind,
    rights: &Rights,
    object: Value,
) -> Map<String, Value> {
    note(call, kind, &object);
    let name = format::name(&object).to_owned();
    let namespace = format::namespace(&object).map(str::to_owned);
    let named = Named {
        namespace: namespace.as_deref(),
        name: &name,
    };
    // What is personal shows its secrets in this answer only.
    let dry = call.pairs.get("dryRun").is_some() || kind.is_personal();
    let found = match call.reader(rights, kind, named.namespace, &name).await {
        Ok(client) if !dry => read(&client, call, kind, named).await.ok(),
        Ok(_) | Err(_) => None,
    };
    let entry = found
        .map(|(entry, _)| entry)
        .or_else(|| Entry::new(kind, &object, Vec::new(), call.now()));
    match entry {
        Some(entry) => call.shown(rights, kind, &entry),
        None => unnamed(call, &kind.id, &kind.path(None, None), object),
    }
}

/// An object that is answered and not kept: it has no name, so that nothing but its kind can be linked to.
pub(crate) fn unnamed(call: &Call, id: &str, path: &str, object: Value) -> Map<String, Value> {
    let mut shown = match object {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    shown.insert("type".to_owned(), json!(id));
    let view = call.urls.native(path);
    shown.insert("links".to_owned(), json!({ "view": view }));
    let state = json!({
        "name": "active", "error": false, "transitioning": false, "message": "Resource is current",
    });
    let metadata = shown.entry("metadata").or_insert_with(|| json!({}));
    if let Some(metadata) = metadata.as_object_mut() {
        metadata.insert("relationships".to_owned(), Value::Null);
        metadata.insert("state".to_owned(), state);
    }
    shown
}

/// Tells the copy of the kind what it has to wait for.
pub(crate) fn note(call: &Call, kind: &Kind, object: &Value) {
    let revision = format::text(object, "/metadata/resourceVersion").parse();
    if call.pairs.get("dryRun").is_none()
        && let (Ok(revision), Some(held)) =
            (revision, call.shared.caches.written(&call.cluster, kind))
    {
        held.expect_revision(revision);
    }
}

async fn body(parts: &Parts, body: web::Body) -> Result<Map<String, Value>, ApiError> {
    let bytes = web::read(&parts.headers, body, web::MAX_BODY).await?;
    drover_api::encode::read_fields(&parts.headers, &bytes)
}

fn metadata(object: &mut Map<String, Value>) -> Result<&mut Map<String, Value>, ApiError> {
    object
        .entry("metadata")
        .or_insert_with(|| json!({}))
        .as_object_mut()
        .ok_or_else(|| ApiError::invalid_body("metadata is not an object").with_field("metadata"))
}

/// Version, kind, namespace and a name, where the body leaves them out.
fn completed(
    kind: &Kind,
    fields: Map<String, Value>,
    namespace: Option<&str>,
) -> Result<Map<String, Value>, ApiError> {
    let mut object = stripped(fields);
    object
        .entry("apiVersion")
        .or_insert_with(|| json!(kind.api_version()));
    object.entry("kind").or_insert_with(|| json!(kind.kind));
    let metadata = metadata(&mut object)?;
    let is_empty = |value: Option<&Value>| value.and_then(Value::as_str).is_none_or(str::is_empty);
    if kind.namespaced && is_empty(metadata.get("namespace")) {
        let namespace = namespace.ok_or_else(|| {
            ApiError::invalid("MissingRequired", "metadata.namespace is required")
                .with_field("metadata.namespace")
        })?;
        metadata.insert("namespace".to_owned(), json!(namespace));
    }
    if is_empty(metadata.get("name")) && is_empty(metadata.get("generateName")) {
        metadata.insert("generateName".to_owned(), json!(prefix(&kind.kind)));
    }
    Ok(object)
}

/// `GlobalRole` -> `gr-`.
fn prefix(kind: &str) -> String {
    let capitals: String = kind
        .chars()
        .filter(char::is_ascii_uppercase)
        .map(|letter| letter.to_ascii_lowercase())
        .collect();
    format!("{capitals}-")
}

/// The annotations of an object that is written, made if there are none.
///
/// # Errors
/// 422 where they are no object.
pub(crate) fn annotations(
    object: &mut Map<String, Value>,
) -> Result<&mut Map<String, Value>, ApiError> {
    let annotations = metadata(object)?
        .entry("annotations")
        .or_insert_with(|| json!({}));
    if annotations.is_null() {
        *annotations = json!({});
    }
    annotations.as_object_mut().ok_or_else(|| {
        ApiError::invalid_body("metadata.annotations is not an object")
            .with_field("metadata.annotations")
    })
}

fn set_creator(object: &mut Map<String, Value>, user: &str) -> Result<(), ApiError> {
    let annotations = annotations(object)?;
    annotations.insert(CREATOR_ANNOTATION.to_owned(), json!(user));
    annotations.remove("field.cattle.io/creator-principal-name");
    Ok(())
}

/// Answers a write with what it made of the object, and says what was done.
async fn done(
    call: &Call,
    kind: &Kind,
    rights: &Rights,
    made: Written,
    (status, what): (StatusCode, &'static str),
) -> Response {
    let shown = written(call, kind, rights, made.object).await;
    log(call, kind, shown.get("id"), what);
    warned(call.writer.answer(status, &shown), made.warnings)
}

/// Creates an object.
pub(crate) async fn create(
    call: &Call,
    kind: &Kind,
    rights: &Rights,
    namespace: Option<&str>,
    parts: &Parts,
    sent: web::Body,
) -> Answer<Response> {
    check(rights, kind, "POST", "create")?;
    let mut object = completed(kind, body(parts, sent).await?, namespace)?;
    if call.is_hub() && kind.group == PROVISIONING && kind.resource == "clusters" {
        // Whoever asks for a cluster owns it, and nobody else, whatever the object says.
        set_creator(&mut object, call.identity.user.as_str())?;
    }
    passwords::hash(call, rights, kind, "create", &mut object).await?;
    let within = object
        .get("metadata")
        .and_then(|metadata| metadata.get("namespace"))
        .and_then(Value::as_str)
        .map(str::to_owned);
    let at = Named {
        namespace: within.as_deref(),
        name: "",
    };
    let made = send(call, kind, rights, at, Change::Create(object)).await?;
    Ok(done(call, kind, rights, made, (StatusCode::CREATED, "created")).await)
}

/// Replaces an object.
pub(crate) async fn replace(
    call: &Call,
    kind: &Kind,
    rights: &Rights,
    named: Named<'_>,
    parts: &Parts,
    sent: web::Body,
) -> Answer<Response> {
    check(rights, kind, "PUT", "update")?;
    let mut object = completed(kind, body(parts, sent).await?, named.namespace)?;
    let metadata = metadata(&mut object)?;
    let revision = metadata.get("resourceVersion").and_then(Value::as_str);
    if revision.is_none_or(str::is_empty) {
        return Err(
            ApiError::invalid("MissingRequired", "metadata.resourceVersion is required")
                .with_field("metadata.resourceVersion")
                .into(),
        );
    }
    metadata.entry("name").or_insert_with(|| json!(named.name));
    passwords::hash(call, rights, kind, "update", &mut object).await?;
    let changed = send(call, kind, rights, named, Change::Replace(object)).await?;
    Ok(done(call, kind, rights, changed, (StatusCode::OK, "replaced")).await)
}

/// Changes parts of an object, in any way the cluster knows.
pub(crate) async fn patch(
    call: &Call,
    kind: &Kind,
    rights: &Rights,
    named: Named<'_>,
    parts: &Parts,
    sent: web::Body,
) -> Answer<Response> {
    check(rights, kind, "PATCH", "patch")?;
    let media_type = parts
        .headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .map(|value| value.split(';').next().unwrap_or_default().trim())
        .filter(|value| value.contains("patch"))
        .unwrap_or(STRATEGIC);
    let bytes = web::read(&parts.headers, sent, web::MAX_BODY).await?;
    // What answers carry beside the object is no part of it.
    let bytes = if matches!(media_type, MERGE | STRATEGIC) {
        let fields = serde_json::from_slice::<Map<String, Value>>(&bytes)
            .map_err(|_| ApiError::invalid_body("the patch is not a JSON object"))?;
        serde_json::to_vec(&stripped(fields))
            .map_err(|_| ApiError::invalid_body("the patch could not be encoded"))?
    } else {
        bytes.to_vec()
    };
    let change = Change::Patch {
        media_type: media_type.to_owned(),
        patch: bytes,
    };
    let changed = send(call, kind, rights, named, change).await?;
    Ok(done(call, kind, rights, changed, (StatusCode::OK, "patched")).await)
}

/// Removes an object: 204, or 200 with what is left of it while it goes.
pub(crate) async fn remove(
    call: &Call,
    kind: &Kind,
    rights: &Rights,
    named: Named<'_>,
    parts: &Parts,
    sent: web::Body,
) -> Answer<Response> {
    check(rights, kind, "DELETE", "delete")?;
    let bytes = web::read(&parts.headers, sent, web::MAX_BODY).await?;
    let change = Change::Delete(bytes.to_vec());
    let Written {
        object: answer,
        warnings,
    } = send(call, kind, rights, named, change).await?;
    log(call, kind, Some(&json!(named.name)), "deleted");
    let uid = [
        format::text(&answer, "/details/uid"),
        format::text(&answer, "/metadata/uid"),
    ]
    .into_iter()
    .find(|uid| !uid.is_empty())
    .unwrap_or_default();
    // The right to see it may have gone with it.
    let left = match call.reader(rights, kind, named.namespace, named.name).await {
        Ok(client) => read(&client, call, kind, named).await.ok(),
        Err(_) => None,
    };
    let left = left.map(|(left, _)| left).filter(|left| *left.uid == *uid);
    let response = match left {
        Some(left) => {
            note(call, kind, &left.object());
            let shown = call.shown(rights, kind, &left);
            call.writer.answer(StatusCode::OK, &shown)
        }
        None => {
            if let Some(held) = call.shared.caches.written(&call.cluster, kind) {
                let key = (named.namespace.map(Into::into), named.name.into());
                held.expect_gone(key, uid);
            }
            call.writer.empty(StatusCode::NO_CONTENT)
        }
    };
    Ok(warned(response, warnings))
}

/// Says what was done by whom.
fn log(call: &Call, kind: &Kind, id: Option<&Value>, what: &'static str) {
    let id = id.and_then(Value::as_str).unwrap_or_default();
    tracing::info!(
        user = %call.identity.user, cluster = %call.cluster, kind = %kind.id, %id, what,
        "an object was changed through the explorer"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_objects_get_version_namespace_and_a_name() {
        let mut kind = Kind::new("management.cattle.io", "v3", "GlobalRole", "globalroles");
        let made = completed(&kind, Map::new(), None).unwrap();
        assert_eq!(
            Value::Object(made),
            json!({"apiVersion": "management.cattle.io/v3", "kind": "GlobalRole", "metadata": {"generateName": "gr-"}})
        );
        kind.namespaced = true;
        let refused = completed(&kind, Map::new(), None).unwrap_err();
        assert_eq!(refused.status, 422);
        assert_eq!(refused.field_name.as_deref(), Some("metadata.namespace"));
        let made = completed(&kind, Map::new(), Some("ns")).unwrap();
        assert_eq!(made["metadata"]["namespace"], "ns");
        let Value::Object(wrong) = json!({"metadata": 5}) else {
            unreachable!()
        };
        assert_eq!(completed(&kind, wrong, None).unwrap_err().status, 422);
    }
}
