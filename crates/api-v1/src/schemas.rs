//! Schemas: which types there are for a caller, and what it may do with them.

use std::sync::Arc;

use drover_auth::web::Response;
use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::call::{Answer, Call, Refused};
use crate::cells::Column;
use crate::format::is_blocked;
use crate::kind::Kind;
use crate::rights::Rights;

/// Types of the API itself: id, plural, methods of collections, methods of resources (recorded/v1-schemas.json).
const OWN: [(&str, &str, &[&str], &[&str]); 5] = [
    ("count", "counts", &["GET"], &["GET"]),
    ("schema", "schemas", &["GET"], &["GET"]),
    ("schemaDefinition", "schemaDefinitions", &[], &["GET"]),
    ("subscribe", "subscribe", &["GET"], &[]),
    (
        "userpreference",
        "userpreferences",
        &["GET"],
        &["GET", "PUT", "DELETE"],
    ),
];

/// Verb and the methods it gives on the collection or the resource.
fn methods(rights: &Rights, kind: &Kind) -> (Vec<String>, Vec<String>) {
    let may = |verb: &str| kind.has(verb) && rights.may_somewhere(verb, kind);
    let named = |method: &str| {
        if is_blocked(kind, method) {
            format!("blocked-{method}")
        } else {
            method.to_owned()
        }
    };
    let (mut collection, mut resource) = (Vec::new(), Vec::new());
    if may("get") || may("list") {
        collection.push(named("GET"));
        resource.push(named("GET"));
    }
    if may("delete") {
        resource.push(named("DELETE"));
    }
    if may("update") {
        resource.push(named("PUT"));
        resource.push(named("PATCH"));
    } else if may("patch") {
        resource.push(named("PATCH"));
    }
    if may("create") {
        collection.push(named("POST"));
    }
    (collection, resource)
}

/// The schema of a kind; `None` if the caller may do nothing with it.
pub(crate) fn document(
    call: &Call,
    rights: &Rights,
    kind: &Kind,
    columns: &[Column],
) -> Option<Map<String, Value>> {
    let (collection, resource) = methods(rights, kind);
    if collection.is_empty() && resource.is_empty() {
        return None;
    }
    let columns: Vec<Value> = columns
        .iter()
        .enumerate()
        .map(|(at, column)| column.document(at))
        .collect();
    let mut links = json!({"self": call.urls.explorer(&format!("/schemas/{}", kind.id))});
    if collection
        .iter()
        .any(|method| method == "GET" || method == "POST")
    {
        links["collection"] = json!(call.urls.collection(kind));
    }
    let document = json!({
        "id": kind.id, "type": "schema", "pluralName": kind.plural(), "links": links,
        "collectionMethods": collection, "resourceMethods": resource,
        // Present and null: the fields are found in the schema definition.
        "resourceFields": null,
        "attributes": {
            "group": kind.group, "version": kind.version, "kind": kind.kind, "resource": kind.resource,
            "namespaced": kind.namespaced, "verbs": kind.verbs, "columns": columns,
        },
    });
    match document {
        Value::Object(fields) => Some(fields),
        _ => None,
    }
}

fn own_document(
    call: &Call,
    (id, plural, collection, resource): (&str, &str, &[&str], &[&str]),
) -> Map<String, Value> {
    let mut links = json!({"self": call.urls.explorer(&format!("/schemas/{id}"))});
    if !collection.is_empty() {
        links["collection"] = json!(call.urls.explorer(&format!("/{plural}")));
    }
    let document = json!({
        "id": id, "type": "schema", "pluralName": plural, "links": links,
        "collectionMethods": collection, "resourceMethods": resource,
        // No `attributes`: the peer's dashboard takes these for what a kind of Kubernetes has, a group first of all.
        "resourceFields": {},
    });
    match document {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// All schemas of the caller.
pub(crate) async fn all(call: &Call, rights: &Rights) -> Answer<Vec<Map<String, Value>>> {
    let shared = &call.shared;
    let kinds = shared.catalogs.kinds(&call.cluster).await?;
    let usable: Vec<&Kind> = kinds
        .iter()
        .filter(|kind| {
            let (collection, resource) = methods(rights, kind);
            !(collection.is_empty() && resource.is_empty())
        })
        .collect();
    let columns: Vec<Arc<[Column]>> = shared
        .catalogs
        .all_columns(&shared.caches, &call.cluster, &usable)
        .await?;
    let mut documents: Vec<Map<String, Value>> = usable
        .iter()
        .zip(&columns)
        .filter_map(|(kind, columns)| document(call, rights, kind, columns))
        .collect();
    documents.extend(OWN.into_iter().map(|own| own_document(call, own)));
    documents.sort_by(|one, other| {
        let id = |schema: &Map<String, Value>| {
            schema
                .get("id")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        id(one).cmp(&id(other))
    });
    Ok(documents)
}

/// Answers `/v1/schemas`.
pub(crate) async fn list(call: &Call) -> Answer<Response> {
    let rights = call.rights().await?;
    let documents = all(call, &rights).await?;
    let collection = json!({
        "type": "collection", "resourceType": "schema", "actions": {},
        "links": {"self": call.urls.explorer("/schemas")}, "count": documents.len(), "data": documents,
    });
    Ok(call.writer.answer(StatusCode::OK, &collection))
}

/// Answers `/v1/schemas/<id>`.
pub(crate) async fn one(call: &Call, id: &str) -> Answer<Response> {
    let own = OWN.into_iter().find(|(own, plural, _, _)| {
        own.eq_ignore_ascii_case(id) || plural.eq_ignore_ascii_case(id)
    });
    if let Some(own) = own {
        call.rights().await?;
        return Ok(call.writer.answer(StatusCode::OK, &own_document(call, own)));
    }
    let (kind, rights) = call.kind(id).await?;
    let shared = &call.shared;
    let columns = shared
        .catalogs
        .columns(&shared.caches, &call.cluster, &kind)
        .await?;
    let document = document(call, &rights, &kind, &columns).ok_or(Refused::NoType)?;
    Ok(call.writer.answer(StatusCode::OK, &document))
}

/// Answers `/v1`: where each type is.
pub(crate) async fn root(call: &Call) -> Answer<Response> {
    let rights = call.rights().await?;
    let kinds = call.shared.catalogs.kinds(&call.cluster).await?;
    let mut links = Map::new();
    links.insert("self".to_owned(), json!(call.urls.explorer("")));
    let own = OWN
        .iter()
        .filter(|(_, _, collection, _)| !collection.is_empty())
        .map(|(_, plural, _, _)| (*plural).to_owned());
    let usable = kinds
        .iter()
        .filter(|kind| !methods(&rights, kind).0.is_empty())
        .map(Kind::plural);
    for plural in own.chain(usable) {
        let url = call.urls.explorer(&format!("/{plural}"));
        links.insert(plural, json!(url));
    }
    let root = json!({
        "id": "v1", "type": "apiRoot", "links": links,
        "apiVersion": {"group": "steve.cattle.io", "path": "/v1", "version": "v1"},
    });
    let collection = json!({
        "type": "collection", "resourceType": "apiRoot", "actions": {},
        "links": {"self": call.urls.explorer("")}, "data": [root],
    });
    Ok(call.writer.answer(StatusCode::OK, &collection))
}
