//! Roles: what may be said in them, and what built-in ones keep.
//!
//! Invariant: nobody writes a role that allows more than the writer may do.

use drover_auth::web::ApiError;
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::{object_of, text, text_at};
use crate::call::Call;
use crate::mapping;

/// Deepest chain of templates that inherit from each other.
const MAX_DEPTH: usize = 50;

pub(super) fn is_builtin(object: &Value) -> bool {
    object
        .get("builtin")
        .and_then(Value::as_bool)
        .unwrap_or(false)
}

/// What remains changeable on a built-in role.
fn keep_only(fields: &mut Map<String, Value>, names: &[&str]) {
    fields.retain(|name, _| names.contains(&name.as_str()));
}

pub(super) fn before_create_global(
    call: &Call<'_>,
    fields: &Map<String, Value>,
) -> Result<(), ApiError> {
    check_rules(fields)?;
    no_elevation_global(call, fields)
}

pub(super) fn before_update_global(
    call: &Call<'_>,
    current: &Value,
    fields: &mut Map<String, Value>,
) -> Result<(), ApiError> {
    if is_builtin(current) {
        keep_only(fields, &["newUserDefault"]);
        return Ok(());
    }
    check_rules(fields)?;
    no_elevation_global(call, &after(current, fields))
}

/// The role as it will be: whoever changes a part of it has to hold all of it.
fn after(current: &Value, fields: &Map<String, Value>) -> Map<String, Value> {
    let mut role = current.as_object().cloned().unwrap_or_default();
    if let Some(inherited) = role.remove("roleTemplateNames") {
        role.insert("roleTemplateIds".to_owned(), inherited);
    }
    role.extend(
        fields
            .iter()
            .map(|(field, value)| (field.clone(), value.clone())),
    );
    role
}

pub(super) async fn before_create_template(
    call: &Call<'_>,
    fields: &Map<String, Value>,
) -> Result<(), ApiError> {
    check_template(call, fields, None).await
}

pub(super) async fn before_update_template(
    call: &Call<'_>,
    current: &Value,
    fields: &mut Map<String, Value>,
) -> Result<(), ApiError> {
    if is_builtin(current) {
        keep_only(
            fields,
            &["locked", "clusterCreatorDefault", "projectCreatorDefault"],
        );
        return Ok(());
    }
    if fields
        .get("context")
        .and_then(Value::as_str)
        .is_some_and(|context| context != text_at(current, "/context"))
    {
        return Err(
            ApiError::invalid("InvalidFormat", "a role keeps its context").with_field("context"),
        );
    }
    check_template(call, &after(current, fields), Some(mapping::name(current))).await
}

async fn check_template(
    call: &Call<'_>,
    fields: &Map<String, Value>,
    own: Option<&str>,
) -> Result<(), ApiError> {
    // A role without one is for others to inherit: no binding takes it (reference rbac-and-projects, section 8).
    let context = text(fields, "context");
    if context != "cluster" && fields.get("clusterCreatorDefault") == Some(&json!(true)) {
        return Err(ApiError::invalid(
            "InvalidOption",
            "only roles of clusters are given to creators of clusters",
        )
        .with_field("clusterCreatorDefault"));
    }
    if context != "project" && fields.get("projectCreatorDefault") == Some(&json!(true)) {
        return Err(ApiError::invalid(
            "InvalidOption",
            "only roles of projects are given to creators of projects",
        )
        .with_field("projectCreatorDefault"));
    }
    check_rules(fields)?;
    let mut held =
        call.holds(fields.get("rules"), None) && call.holds(fields.get("externalRules"), None);
    for inherited in check_inheritance(call, fields, own).await? {
        held = held && holds_template(call, &inherited);
    }
    // What a role from outside allows is not known here.
    held = held && (fields.get("external") != Some(&json!(true)) || call.may_everything());
    if held { Ok(()) } else { Err(elevation()) }
}

fn holds_template(call: &Call<'_>, template: &Value) -> bool {
    let external = template.get("external") == Some(&json!(true));
    call.holds(template.get("rules"), None)
        && call.holds(template.get("externalRules"), None)
        && (!external || call.may_everything())
}

/// Whether the caller may do all that a global role, as stored or as sent, allows.
pub(super) fn holds_global(call: &Call<'_>, role: &Map<String, Value>) -> bool {
    let by_namespace = |name: &str| {
        role.get(name)
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
    };
    let beyond = [
        "inheritedClusterRoles",
        "inheritedNamespacedRules",
        "inheritedFleetWorkspacePermissions",
    ]
    .iter()
    .any(|name| {
        role.get(*name)
            .is_some_and(|value| !value.is_null() && *value != json!([]) && *value != json!({}))
    });
    call.may_everything()
        || (!beyond
            && call.holds(role.get("rules"), None)
            && by_namespace("namespacedRules")
                .all(|(namespace, rules)| call.holds(Some(rules), Some(namespace))))
}

fn no_elevation_global(call: &Call<'_>, fields: &Map<String, Value>) -> Result<(), ApiError> {
    if holds_global(call, fields) {
        Ok(())
    } else {
        Err(elevation())
    }
}

fn elevation() -> ApiError {
    ApiError::forbidden("a role may not allow what its writer may not do")
}

/// Rules name verbs, and either resources or URLs.
fn check_rules(fields: &Map<String, Value>) -> Result<(), ApiError> {
    for field in ["rules", "externalRules"] {
        for rule in fields
            .get(field)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let filled = |name: &str| {
                rule.get(name)
                    .and_then(Value::as_array)
                    .is_some_and(|list| !list.is_empty())
            };
            let complaint = if !filled("verbs") {
                "a rule must have verbs"
            } else if filled("nonResourceURLs") && filled("resources") {
                "a rule is either for resources or for URLs"
            } else if !filled("nonResourceURLs") && (!filled("resources") || !filled("apiGroups")) {
                "a rule must have apiGroups and resources, or nonResourceURLs"
            } else {
                continue;
            };
            return Err(ApiError::invalid("InvalidFormat", complaint).with_field(field));
        }
    }
    Ok(())
}

/// What a template inherits from exists and does not lead back to it.
async fn check_inheritance(
    call: &Call<'_>,
    fields: &Map<String, Value>,
    own: Option<&str>,
) -> Result<Vec<Value>, ApiError> {
    let object = object_of(call, "roleTemplate")?;
    let parents = |value: Option<&Value>| -> Vec<String> {
        value
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect()
    };
    let mut open = parents(fields.get("roleTemplateIds"));
    let wrong = |message: String| {
        ApiError::invalid("InvalidReference", message).with_field("roleTemplateIds")
    };
    let (mut seen, mut inherited) = (Vec::new(), Vec::new());
    while let Some(name) = open.pop() {
        if own == Some(name.as_str()) {
            return Err(wrong("a role cannot inherit from itself".to_owned()));
        }
        if seen.contains(&name) {
            continue;
        }
        if seen.len() >= MAX_DEPTH {
            return Err(wrong(format!(
                "a role inherits from at most {MAX_DEPTH} others"
            )));
        }
        let kind = call.registry().get("roleTemplate");
        let known = kind.is_some_and(|kind| crate::call::split_id(kind, object, &name).is_ok());
        let found = if known {
            call.store().find(object, None, &name).await?
        } else {
            None
        };
        let found = found.ok_or_else(|| wrong(format!("there is no role {name}")))?;
        open.extend(parents(found.get("roleTemplateNames")));
        seen.push(name);
        inherited.push(found);
    }
    Ok(inherited)
}

/// A role in use or built in stays. `reference` is the field of bindings that names roles.
pub(super) async fn before_delete(
    call: &Call<'_>,
    current: &Value,
    reference: &str,
) -> Result<(), ApiError> {
    if is_builtin(current) {
        // Its webhook answers so.
        return Err(ApiError::new(
            StatusCode::BAD_REQUEST,
            "BadRequest",
            "built-in roles cannot be removed",
        ));
    }
    let name = mapping::name(current);
    let (users, of) = if reference == "globalRoleName" {
        (&["globalRoleBinding"][..], "global role")
    } else {
        (
            &[
                "clusterRoleTemplateBinding",
                "projectRoleTemplateBinding",
                "roleTemplate",
            ][..],
            "role",
        )
    };
    for user in users {
        let used = call
            .store()
            .list(object_of(call, user)?, None)
            .await?
            .iter()
            .any(|object| {
                let inherits = object
                    .get("roleTemplateNames")
                    .and_then(Value::as_array)
                    .is_some_and(|names| names.iter().any(|other| other == name));
                object.get(reference).and_then(Value::as_str) == Some(name)
                    || (*user == "roleTemplate" && inherits)
            });
        if used {
            return Err(ApiError::conflict(format!(
                "the {of} {name} is used by a {user}"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_for_resources_or_for_urls() {
        let check = |rule: Value| {
            let fields = json!({"rules": [rule]});
            check_rules(fields.as_object().unwrap()).is_ok()
        };
        assert!(check(
            json!({"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]})
        ));
        assert!(check(
            json!({"verbs": ["get"], "nonResourceURLs": ["/metrics"]})
        ));
        assert!(!check(json!({"apiGroups": [""], "resources": ["pods"]})));
        assert!(!check(json!({"verbs": ["get"], "resources": ["pods"]})));
        assert!(!check(
            json!({"verbs": ["get"], "apiGroups": [""], "resources": ["pods"], "nonResourceURLs": ["/x"]})
        ));
    }
}
