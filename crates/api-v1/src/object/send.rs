//! Writes on their way: to the cluster as the caller, or to who keeps what the index of roles decides about.

use drover_api::keeper::{Change, Place, Written};
use drover_auth::web::ApiError;
use http::Method;
use serde_json::Value;

use super::Named;
use crate::call::Call;
use crate::kind::Kind;
use crate::kubernetes::{self, Ask, JSON};
use crate::rights::Rights;

/// Whose the changes are that people make without saying whose.
const MANAGER: &str = "drover";
/// Parameters of the cluster that pass through.
const PASSED: [&str; 6] = [
    "dryRun",
    "fieldManager",
    "fieldValidation",
    "force",
    "propagationPolicy",
    "gracePeriodSeconds",
];

/// The parameters of the request to the cluster; changes are the server's own where nobody else is named (recorded/http/06,
/// `managedFields`).
fn passed(call: &Call, names_manager: bool) -> String {
    let given = PASSED
        .iter()
        .flat_map(|key| call.pairs.all(key).map(move |value| (*key, value)));
    let manager = names_manager && call.pairs.get("fieldManager").is_none();
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(given)
        .extend_pairs(manager.then_some(("fieldManager", MANAGER)))
        .finish()
}

/// Does what is asked as the caller, or by the index of roles where that alone allows it.
pub(super) async fn send(
    call: &Call,
    kind: &Kind,
    rights: &Rights,
    named: Named<'_>,
    change: Change,
) -> Result<Written, ApiError> {
    let verb = match &change {
        Change::Create(_) => "create",
        Change::Replace(_) => "update",
        Change::Patch { .. } => "patch",
        Change::Delete(_) => "delete",
    };
    let name = Some(named.name).filter(|name| !name.is_empty());
    let names_manager = match &change {
        Change::Create(_) | Change::Replace(_) => true,
        // Who applies has to say who they are.
        Change::Patch { media_type, .. } => !media_type.contains("apply-patch"),
        Change::Delete(_) => false,
    };
    let query = passed(call, names_manager);
    let by_index = call.is_hub()
        && kind.is_governed()
        && !rights.may_by_rbac(verb, kind, named.namespace, name);
    if by_index {
        let place = Place {
            group: &kind.group,
            resource: &kind.resource,
            namespace: named.namespace.filter(|_| kind.namespaced),
            name: named.name,
        };
        let keeper = &call.shared.keeper;
        return keeper.write(&call.identity, place, &query, change).await;
    }
    let mut url = kind.path(named.namespace, name);
    if !query.is_empty() {
        url = format!("{url}?{query}");
    }
    let encoded = |object| {
        serde_json::to_vec(&Value::Object(object))
            .map_err(|_| ApiError::invalid_body("the object could not be encoded"))
    };
    let (method, media_type, body) = match change {
        Change::Create(object) => (Method::POST, JSON.to_owned(), Some(encoded(object)?)),
        Change::Replace(object) => (Method::PUT, JSON.to_owned(), Some(encoded(object)?)),
        Change::Patch { media_type, patch } => (Method::PATCH, media_type, Some(patch)),
        Change::Delete(options) => {
            let options = Some(options).filter(|options| !options.is_empty());
            (Method::DELETE, JSON.to_owned(), options)
        }
    };
    let request = Ask {
        method,
        url: &url,
        accept: JSON,
        body: body.map(|body| (media_type.as_str(), body)),
    };
    kubernetes::written(&call.as_caller(), request).await
}
