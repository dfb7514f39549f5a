//! Links and actions of objects.

use drover_api::applied::stopped;
use drover_auth::web::{self, ApiError, Response};
use drover_types::management::GROUP;
use http::StatusCode;
use http::request::Parts;
use serde_json::{Map, Value, json};

use crate::call::{Answer, Call, Refused};
use crate::kind::{Kind, id_of};
use crate::object::{self, Named};
use crate::rights::Rights;
use crate::{list, log, passwords, schemas, shell, subscribe};

pub(crate) fn unknown(action: &str) -> ApiError {
    ApiError::invalid_action(format!("there is no action {action}"))
}

/// Follows a link of an object.
pub(crate) async fn link(
    call: &Call,
    parts: &mut Parts,
    kind: &Kind,
    rights: &Rights,
    named: Named<'_>,
    link: &str,
) -> Answer<Response> {
    let is_cluster = kind.group == GROUP && kind.resource == "clusters" && call.is_hub();
    match link {
        "schemas" if is_cluster => schemas::list(&call.inside(named.name)).await,
        "subscribe" if is_cluster => subscribe::open(&call.inside(named.name), parts).await,
        "log" if is_cluster => log::open(call, parts, named.name).await,
        "shell" if is_cluster => shell::open(call, parts, named.name).await,
        "projects" if is_cluster => {
            let (projects, _) = call.kind("management.cattle.io.projects").await?;
            list::answer(call, &projects, rights, Some(named.name)).await
        }
        _ => Err(Refused::NoType),
    }
}

/// Carries out an action.
pub(crate) async fn act(
    call: &Call,
    kind: &Kind,
    named: Named<'_>,
    action: &str,
    parts: &Parts,
    sent: web::Body,
) -> Answer<Response> {
    let is_cluster = kind.group == GROUP && kind.resource == "clusters";
    if !is_cluster || action != "apply" {
        return Err(unknown(action).into());
    }
    // Of the hub's clusters the others; inside a cluster the one it is.
    let cluster = if call.is_hub() {
        named.name
    } else {
        &call.cluster
    };
    let bytes = web::read(&parts.headers, sent, web::MAX_BODY).await?;
    let input = drover_api::encode::read_fields(&parts.headers, &bytes)?;
    apply(&call.inside(cluster), &input).await
}

/// Applies the documents of `yaml` as the caller, and shows what they became.
async fn apply(call: &Call, input: &Map<String, Value>) -> Answer<Response> {
    // A caller who may not enter learns no more than that.
    call.rights().await?;
    let yaml = input
        .get("yaml")
        .and_then(Value::as_str)
        .filter(|yaml| !yaml.trim().is_empty())
        .ok_or_else(|| {
            ApiError::invalid("MissingRequired", "yaml is required").with_field("yaml")
        })?;
    let namespace = input
        .get("defaultNamespace")
        .and_then(Value::as_str)
        .filter(|namespace| !namespace.is_empty())
        .unwrap_or("default");
    let documents = documents(yaml)?;
    let n_documents = documents.len();
    let (mut shown, mut applied) = (Vec::with_capacity(n_documents), Vec::new());
    for (at, document) in documents.into_iter().enumerate() {
        match apply_one(call, document, namespace).await {
            Ok((name, object)) => {
                applied.push(name);
                shown.push(object);
            }
            Err(Refused::Error(error)) => {
                return Err(stopped(error, at, n_documents, &applied).into());
            }
            Err(refused @ (Refused::NoType | Refused::NoEntry)) => return Err(refused),
        }
    }
    let own = call.urls.explorer("/management.cattle.io.clusters/local");
    let collection = json!({
        "type": "collection", "resourceType": "management.cattle.io.cluster", "actions": {},
        "links": {"self": own}, "data": shown,
    });
    Ok(call.writer.answer(StatusCode::OK, &collection))
}

/// The objects of a text of YAML documents; lists are taken apart.
fn documents(yaml: &str) -> Result<Vec<Map<String, Value>>, ApiError> {
    let wrong = |what: String| ApiError::invalid_body(format!("yaml: {what}")).with_field("yaml");
    let parsed: Vec<Value> =
        serde_saphyr::from_multiple(yaml).map_err(|error| wrong(error.to_string()))?;
    let mut found = Vec::new();
    for document in parsed {
        match document {
            Value::Null => {}
            Value::Object(mut object) => {
                let is_list = object
                    .get("kind")
                    .and_then(Value::as_str)
                    .is_some_and(|kind| kind.ends_with("List"));
                match object.remove("items") {
                    Some(Value::Array(items)) if is_list => {
                        for item in items {
                            match item {
                                Value::Object(item) => found.push(item),
                                _ => return Err(wrong("an item is not an object".to_owned())),
                            }
                        }
                    }
                    Some(items) => {
                        object.insert("items".to_owned(), items);
                        found.push(object);
                    }
                    None => found.push(object),
                }
            }
            _ => return Err(wrong("a document is not an object".to_owned())),
        }
    }
    Ok(found)
}

/// Applies one object; what it is called, and what it became.
async fn apply_one(
    call: &Call,
    mut document: Map<String, Value>,
    namespace: &str,
) -> Answer<(String, Map<String, Value>)> {
    let wrong = |what: &str| ApiError::invalid_body(format!("yaml: {what}")).with_field("yaml");
    let text = |name: &str| {
        document
            .get(name)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
    };
    let version = text("apiVersion").ok_or_else(|| wrong("an object has no apiVersion"))?;
    let name_of_kind = text("kind").ok_or_else(|| wrong("an object has no kind"))?;
    let id = id_of(&version, &name_of_kind);
    let known = call.shared.catalogs.find(&call.cluster, &id).await?;
    let mut kind = known.ok_or_else(|| wrong("the cluster does not know a kind"))?;
    // The version of the document, not the preferred one.
    version
        .rsplit('/')
        .next()
        .unwrap_or_default()
        .clone_into(&mut kind.version);
    if crate::format::is_blocked(&kind, "PATCH") && call.is_hub() {
        return Err(crate::call::no_method("PATCH", &kind.id).into());
    }
    let metadata = document
        .entry("metadata")
        .or_insert_with(|| json!({}))
        .as_object_mut()
        .ok_or_else(|| wrong("metadata is not an object"))?;
    let name = metadata
        .get("name")
        .and_then(Value::as_str)
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .ok_or_else(|| wrong("an object has no metadata.name"))?;
    let within = kind.namespaced.then(|| {
        metadata
            .entry("namespace")
            .or_insert_with(|| json!(namespace))
            .as_str()
            .unwrap_or(namespace)
            .to_owned()
    });
    let rights = call.rights().await?;
    passwords::hash(call, &rights, &kind, "patch", &mut document).await?;
    let named = Named {
        namespace: within.as_deref(),
        name: &name,
    };
    let applied = object::apply(call, &kind, &rights, named, document).await?;
    tracing::info!(user = %call.identity.user, cluster = %call.cluster, kind = %kind.id, %name, "an object was applied");
    // What was made may have given a right to see it.
    let rights = call.rights().await?;
    let object = object::written(call, &kind, &rights, applied.object).await;
    let place = within
        .map(|namespace| format!("{namespace}/"))
        .unwrap_or_default();
    Ok((format!("{} {place}{name}", kind.resource), object))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_objects_and_lists_of_them() {
        let found =
            documents("---\na: 1\n---\nkind: List\nitems: [{b: 2}, {c: 3}]\n---\n").unwrap();
        assert_eq!(found.len(), 3);
        for wrong in ["[1]", "kind: List\nitems: [1]", "a: [", "5"] {
            let refused = documents(wrong).unwrap_err();
            assert_eq!(
                (refused.status.as_u16(), refused.field_name.as_deref()),
                (422, Some("yaml")),
                "{wrong}"
            );
        }
    }
}
