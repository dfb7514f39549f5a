//! Writes on their way: to the cluster as the caller, or to who keeps what the index of roles decides about.

use drover_api::keeper::{Change, Place, Written};
use drover_auth::web::ApiError;
use http::{Method, StatusCode};
use serde_json::{Map, Value};

use super::Named;
use crate::call::Call;
use crate::kind::Kind;
use crate::kubernetes::{self, Ask, JSON};
use crate::rights::Rights;

/// Whose the changes are that people make without saying whose.
const MANAGER: &str = "drover";
/// Who writes what people apply through the action of that name.
const APPLIER: &str = "drover-explorer";
const APPLY: &str = "application/apply-patch+yaml";
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

/// Whether the index of roles decides, because the cluster's own RBAC does not allow it.
fn is_kept(call: &Call, kind: &Kind, rights: &Rights, verb: &str, named: Named<'_>) -> bool {
    let name = Some(named.name).filter(|name| !name.is_empty());
    call.is_hub() && kind.is_governed() && !rights.may_by_rbac(verb, kind, named.namespace, name)
}

/// Hands it to who keeps such objects.
async fn keep(
    call: &Call,
    kind: &Kind,
    named: Named<'_>,
    query: &str,
    change: Change,
) -> Result<Written, ApiError> {
    let place = Place {
        group: &kind.group,
        resource: &kind.resource,
        namespace: named.namespace.filter(|_| kind.namespaced),
        name: named.name,
    };
    let keeper = &call.shared.keeper;
    keeper.write(&call.identity, place, query, change).await
}

/// Applies an object: what is there is changed, what is not is made, by the rights that each of these takes.
pub(crate) async fn apply(
    call: &Call,
    kind: &Kind,
    rights: &Rights,
    named: Named<'_>,
    object: Map<String, Value>,
) -> Result<Written, ApiError> {
    let encoded = Value::Object(object.clone()).to_string().into_bytes();
    if is_kept(call, kind, rights, "patch", named) {
        let query = format!("fieldManager={APPLIER}&force=true");
        let patch = Change::Patch {
            media_type: APPLY.to_owned(),
            patch: encoded,
        };
        let may_create = rights.may_itself("create", kind, named.namespace, None);
        return match keep(call, kind, named, &query, patch).await {
            // Who may make such an object need not have a right to any that there are.
            Err(error)
                if may_create
                    && matches!(error.status, StatusCode::NOT_FOUND | StatusCode::FORBIDDEN) =>
            {
                let query = format!("fieldManager={APPLIER}");
                let at = Named { name: "", ..named };
                match keep(call, kind, at, &query, Change::Create(object)).await {
                    // It is there, and not the caller's to change.
                    Err(there) if there.status == StatusCode::CONFLICT => Err(error),
                    made => made,
                }
            }
            answered => answered,
        };
    }
    let name = Some(named.name);
    let url = kind.path(named.namespace, name);
    let request = Ask {
        method: Method::PATCH,
        url: &format!("{url}?fieldManager={APPLIER}&force=true"),
        accept: JSON,
        body: Some((APPLY, encoded)),
    };
    kubernetes::written(&call.as_caller(), request).await
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
    if is_kept(call, kind, rights, verb, named) {
        return keep(call, kind, named, &query, change).await;
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
