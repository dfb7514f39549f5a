//! Projects: quotas and who owns a new one.

use drover_auth::web::ApiError;
use serde_json::{Map, Value, json};

use super::{Draft, cluster, object_of, quota, text, text_at};
use crate::call::Call;
use crate::mapping;

/// The role bindings the creator is to get, for the controller that makes them.
const CREATOR_BINDINGS: &str = "authz.management.cattle.io/creator-role-bindings";
/// Marks the project that holds the cluster's own namespaces.
const SYSTEM_PROJECT: &str = "authz.management.cattle.io/system-project";

pub(super) async fn before_create(
    call: &Call<'_>,
    fields: &Map<String, Value>,
    draft: &mut Draft,
) -> Result<(), ApiError> {
    check_quotas(
        fields.get("resourceQuota"),
        fields.get("namespaceDefaultResourceQuota"),
    )?;
    quota::check_amounts(
        fields.get("resourceQuota"),
        fields.get("namespaceDefaultResourceQuota"),
        None,
    )?;
    quota::check_containers(fields)?;
    cluster::referred(call, text(fields, "clusterId")).await?;
    let templates = call
        .store()
        .list(object_of(call, "roleTemplate")?, None)
        .await?;
    let mut required: Vec<&str> = templates
        .iter()
        .filter(|template| {
            template
                .get("projectCreatorDefault")
                .and_then(Value::as_bool)
                .unwrap_or(false)
                && !template
                    .get("locked")
                    .and_then(Value::as_bool)
                    .unwrap_or(false)
        })
        .map(mapping::name)
        .collect();
    required.sort_unstable();
    draft.annotations.insert(
        CREATOR_BINDINGS.to_owned(),
        json!(json!({"required": required}).to_string()),
    );
    Ok(())
}

pub(super) async fn before_update(
    call: &Call<'_>,
    current: &Value,
    fields: &mut Map<String, Value>,
) -> Result<(), ApiError> {
    if fields
        .get("clusterId")
        .is_some_and(|cluster| cluster != text_at(current, "/spec/clusterName"))
    {
        return Err(
            ApiError::invalid("InvalidFormat", "a project cannot move to another cluster")
                .with_field("clusterId"),
        );
    }
    if let Some(quota) = fields
        .get_mut("resourceQuota")
        .and_then(Value::as_object_mut)
    {
        // What is used is counted, not told.
        quota.remove("usedLimit");
    }
    let after = |name: &str| {
        fields
            .get(name)
            .or_else(|| current.get("spec").and_then(|spec| spec.get(name)))
    };
    let (limit, default) = (
        after("resourceQuota"),
        after("namespaceDefaultResourceQuota"),
    );
    check_quotas(limit, default)?;
    let used = current.pointer("/spec/resourceQuota/usedLimit");
    quota::check_amounts(limit, default, used)?;
    quota::check_containers(fields)?;
    let sent = |name: &str| fields.get(name).is_some_and(|quota| !quota.is_null());
    if sent("resourceQuota") || sent("namespaceDefaultResourceQuota") {
        quota::check_namespaces(call, current, limit, default).await?;
    }
    Ok(())
}

pub(super) fn before_delete(current: &Value) -> Result<(), ApiError> {
    let system = current
        .pointer("/metadata/labels")
        .and_then(|labels| labels.get(SYSTEM_PROJECT));
    if system.is_some_and(|value| value == "true") {
        return Err(ApiError::method_not_allowed(
            "System Project cannot be deleted",
        ));
    }
    Ok(())
}

/// A project's quota and the default of its namespaces come together and limit the same things.
fn check_quotas(project: Option<&Value>, namespaces: Option<&Value>) -> Result<(), ApiError> {
    let limits = |quota: Option<&Value>| -> Vec<String> {
        let limit = quota
            .and_then(|quota| quota.get("limit"))
            .and_then(Value::as_object);
        limit
            .into_iter()
            .flatten()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, _)| name.clone())
            .collect()
    };
    let (project, namespaces) = (limits(project), limits(namespaces));
    let missing = |field: &str| Err(ApiError::invalid("MissingRequired", "").with_field(field));
    if !project.is_empty() && namespaces.is_empty() {
        return missing("namespaceDefaultResourceQuota");
    }
    if project.is_empty() && !namespaces.is_empty() {
        return missing("resourceQuota");
    }
    let unlike = |message: String| {
        Err(ApiError::invalid("MissingRequired", message)
            .with_field("namespaceDefaultResourceQuota"))
    };
    if let Some(lost) = project.iter().find(|name| !namespaces.contains(name)) {
        return unlike(format!("the project limits {lost} too"));
    }
    if let Some(lost) = namespaces.iter().find(|name| !project.contains(name)) {
        return unlike(format!("the project does not limit {lost}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas_come_in_pairs() {
        let limit = |names: &[&str]| json!({"limit": names.iter().map(|name| ((*name).to_owned(), json!("1"))).collect::<Map<_, _>>()});
        let check = |project: &[&str], namespaces: &[&str]| {
            check_quotas(Some(&limit(project)), Some(&limit(namespaces)))
                .map_err(|error| error.field_name.unwrap())
        };
        assert_eq!(check(&["pods"], &["pods"]), Ok(()));
        assert_eq!(
            check(&["pods"], &[]),
            Err("namespaceDefaultResourceQuota".to_owned())
        );
        assert_eq!(check(&[], &["pods"]), Err("resourceQuota".to_owned()));
        assert_eq!(
            check(&["pods", "secrets"], &["pods"]),
            Err("namespaceDefaultResourceQuota".to_owned())
        );
        assert_eq!(
            check(&["pods"], &["pods", "secrets"]),
            Err("namespaceDefaultResourceQuota".to_owned())
        );
        assert_eq!(check_quotas(None, None), Ok(()));
    }
}
