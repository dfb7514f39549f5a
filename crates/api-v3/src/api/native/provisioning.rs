//! Clusters as `provisioning.cattle.io` has them: whoever may write a cluster may write what it was made from.
//!
//! Everybody who may create clusters creates them in the common workspace; the server reads registry credentials in a
//! cluster's workspace.

use drover_api::keeper::{Change, Written};
use drover_auth::Attributes;
use drover_auth::web::ApiError;
use drover_types::management::GROUP as MANAGEMENT;
use drover_types::names::{CREATOR_ANNOTATION, LOCAL_CLUSTER};
use drover_types::provisioning::{GROUP, VERSION};
use http::Method;
use serde_json::{Map, Value, json};

use super::{Asked, JSON, as_dry, deletion, encoded, fields, metadata_text, read_at, warned};
use crate::crossed::until_settled;
use crate::kinds::cluster;
use crate::mapping::merge_metadata;
use crate::schema::{Layout, Object};
use crate::store::Store;

const OBJECT: Object = Object {
    kind: "Cluster",
    resource: "clusters",
    namespaced: true,
    layout: Layout::Spec,
};

fn not_found(name: &str) -> ApiError {
    ApiError::not_found(format!("clusters.{GROUP} \"{name}\" not found"))
}

/// Does what is asked, if the caller may.
pub(super) async fn write(asked: &Asked<'_>, change: Change) -> Result<Written, ApiError> {
    let store = Store::of(asked.store().client().clone(), "provisioning.cattle.io/v1");
    let at = (asked.place.namespace, Some(asked.place.name));
    match change {
        Change::Create(sent) => create(asked, &store, sent).await,
        Change::Replace(sent) => {
            let current = current(asked, &store, &["update"]).await?;
            replace(asked, &store, current, sent).await
        }
        Change::Patch { media_type, patch } => {
            let query = as_dry(asked.query);
            until_settled(|| async {
                let current = current(asked, &store, &["update", "patch"]).await?;
                let would = store
                    .write(Method::PATCH, OBJECT, at, &query, (&media_type, &patch))
                    .await?;
                let (would, warnings) = read_at(would, &current)?;
                let written = replace(asked, &store, current, would).await?;
                Ok(warned(written, warnings))
            })
            .await
        }
        Change::Delete(options) => {
            let current = current(asked, &store, &["delete"]).await?;
            if of(&current) == LOCAL_CLUSTER {
                return Err(ApiError::method_not_allowed(
                    "the local cluster cannot be removed",
                ));
            }
            let options = deletion(options)?;
            let written = store
                .write(Method::DELETE, OBJECT, at, asked.query, (JSON, &options))
                .await?;
            note(asked, asked.place.name, "deleted");
            Ok(written)
        }
    }
}

/// Id of the management cluster, empty as long as there is none.
fn of(object: &Value) -> &str {
    let id = object.pointer("/status/clusterName");
    id.and_then(Value::as_str).unwrap_or_default()
}

/// The object as it is, for who may do one of `verbs` to it, or to its cluster.
async fn current(asked: &Asked<'_>, store: &Store, verbs: &[&str]) -> Result<Value, ApiError> {
    let name = asked.place.name;
    let found = store.find(OBJECT, asked.place.namespace, name).await?;
    let id = found.as_ref().map(of).unwrap_or_default();
    let on_cluster = |verb| Attributes {
        verb,
        group: MANAGEMENT,
        resource: OBJECT.resource,
        namespace: None,
        name: Some(id),
    };
    let itself = |verb| Attributes {
        verb,
        group: GROUP,
        resource: OBJECT.resource,
        namespace: asked.place.namespace,
        name: Some(name),
    };
    let may = verbs.iter().any(|verb| {
        allows(asked, &itself(*verb)) || (!id.is_empty() && allows(asked, &on_cluster(*verb)))
    });
    if !may {
        // Also where nothing is there: nobody learns of names.
        return Err(itself(verbs[0]).forbidden(asked.call.caller()?));
    }
    found.ok_or_else(|| not_found(name))
}

fn allows(asked: &Asked<'_>, attributes: &Attributes<'_>) -> bool {
    asked.call.identity.is_some_and(|identity| {
        let decided = asked.call.shared.rights.allows(identity, attributes);
        decided.is_allowed()
    })
}

async fn create(
    asked: &Asked<'_>,
    store: &Store,
    sent: Map<String, Value>,
) -> Result<Written, ApiError> {
    let namespace = asked.place.namespace;
    let attributes = Attributes {
        verb: "create",
        group: GROUP,
        resource: OBJECT.resource,
        namespace,
        name: None,
    };
    if !allows(asked, &attributes) {
        return Err(attributes.forbidden(asked.call.caller()?));
    }
    let sent = Value::Object(sent);
    fields::check_kind(&sent, OBJECT.kind)?;
    let mut body = json!({
        "apiVersion": format!("{GROUP}/{VERSION}"), "kind": OBJECT.kind,
        "metadata": {"namespace": namespace},
    });
    for name in ["name", "generateName"] {
        if let Some(given) = sent.pointer(&format!("/metadata/{name}")) {
            body["metadata"][name] = given.clone();
        }
    }
    say(asked, &mut body, &sent, namespace.unwrap_or_default())?;
    body["metadata"]["annotations"][CREATOR_ANNOTATION] = json!(asked.call.user());
    fields::check_kept(&sent, &body)?;
    let at = (namespace, None);
    let written = store
        .write(
            Method::POST,
            OBJECT,
            at,
            asked.query,
            (JSON, &encoded(&body)?),
        )
        .await?;
    note(asked, metadata_text(&written.object, "name"), "created");
    Ok(written)
}

async fn replace(
    asked: &Asked<'_>,
    store: &Store,
    current: Value,
    sent: Map<String, Value>,
) -> Result<Written, ApiError> {
    let sent = Value::Object(sent);
    fields::check_kind(&sent, OBJECT.kind)?;
    let namespace = asked.place.namespace;
    let mut body = current;
    if metadata_text(&sent, "resourceVersion") != metadata_text(&body, "resourceVersion") {
        return Err(ApiError::conflict(format!(
            "Operation cannot be fulfilled on clusters.{GROUP} \"{}\": the object has been modified; please apply your changes to the latest version and try again",
            asked.place.name
        )));
    }
    say(asked, &mut body, &sent, namespace.unwrap_or_default())?;
    fields::check_same(&sent, &body)?;
    let at = (namespace, Some(asked.place.name));
    let written = store
        .write(
            Method::PUT,
            OBJECT,
            at,
            asked.query,
            (JSON, &encoded(&body)?),
        )
        .await?;
    note(asked, asked.place.name, "updated");
    Ok(written)
}

/// Puts into an object what people may say of a cluster.
fn say(
    asked: &Asked<'_>,
    object: &mut Value,
    sent: &Value,
    workspace: &str,
) -> Result<(), ApiError> {
    let spec = sent.get("spec").cloned().unwrap_or_else(|| json!({}));
    let Value::Object(spec) = spec else {
        return Err(ApiError::invalid_body("spec is not an object").with_field("spec"));
    };
    let of_local = of(object) == LOCAL_CLUSTER;
    let is_new = object.pointer("/metadata/uid").is_none();
    let workspace = Some(workspace).filter(|_| is_new);
    cluster::check_specification(asked.call, &spec, workspace, of_local)?;
    object["spec"] = Value::Object(spec);
    for name in ["labels", "annotations"] {
        let at = format!("/metadata/{name}");
        let has = object.pointer(&at).and_then(Value::as_object).cloned();
        let wanted = sent.pointer(&at).and_then(Value::as_object);
        let merged = merge_metadata(&has.unwrap_or_default(), wanted);
        object["metadata"][name] = Value::Object(merged);
    }
    Ok(())
}

/// Says what was done by whom.
fn note(asked: &Asked<'_>, name: &str, what: &'static str) {
    if !asked.is_dry() {
        tracing::info!(user = %asked.call.user(), resource = OBJECT.resource, id = %name, what, "an object was changed through the API");
    }
}
