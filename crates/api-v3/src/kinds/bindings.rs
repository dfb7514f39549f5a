//! Bindings of roles to people: who, which role, where.
//!
//! Invariant: nobody gives a right it does not hold. A global role is given by
//! those who may do all it allows (or may `bind` it), roles of a cluster or project
//! by its owners and by those who hold there all that the role gives.

use drover_auth::UserId;
use drover_auth::web::ApiError;
use drover_types::names;
use serde_json::{Map, Value, json};

use super::giving::{self, Scope};
use super::principal::LOCAL;
use super::{Draft, cluster, object_of, roles, text, text_at};
use crate::call::{Call, not_found, split_id};
use crate::mapping;

/// The one subject of a binding: exactly one person or one group.
fn check_subject(
    fields: &Map<String, Value>,
    user: &[&str],
    group: &[&str],
) -> Result<(), ApiError> {
    let given = |names: &[&str]| names.iter().any(|name| !text(fields, name).is_empty());
    match (given(user), given(group)) {
        (true, false) | (false, true) => Ok(()),
        (false, false) => Err(ApiError::invalid_body(format!(
            "must contain field [{}] OR field [{}]",
            group[0], user[0]
        ))),
        (true, true) => Err(ApiError::invalid_body(format!(
            "must not contain both field [{}] and field [{}]",
            group[0], user[0]
        ))),
    }
}

/// A local user is known by name and by principal, whichever of them was sent: clients find members by either.
fn complete_subject(fields: &Map<String, Value>, draft: &mut Draft) {
    let (user, principal) = (text(fields, "userId"), text(fields, "userPrincipalId"));
    if principal.is_empty() && !user.is_empty() {
        let principal = UserId::new(user).local_principal();
        draft
            .object
            .insert("userPrincipalName".to_owned(), json!(principal));
    } else if user.is_empty()
        && let Some(user) = principal.strip_prefix(LOCAL)
    {
        draft.object.insert("userName".to_owned(), json!(user));
    }
}

/// Bindings to users of the system are nobody's business.
pub(super) fn is_of_system(object: &Value) -> bool {
    text_at(object, "/userPrincipalName").starts_with("system://")
}

async fn referred(call: &Call<'_>, kind: &str, id: &str) -> Result<Value, ApiError> {
    let object = object_of(call, kind)?;
    let declared = call
        .registry()
        .get(kind)
        .ok_or_else(|| not_found(object, id))?;
    let (namespace, name) = split_id(declared, object, id)?;
    call.store()
        .find(object, namespace, name)
        .await?
        .ok_or_else(|| not_found(object, id))
}

pub(super) async fn before_create_global(
    call: &Call<'_>,
    fields: &Map<String, Value>,
    draft: &mut Draft,
) -> Result<(), ApiError> {
    check_subject(
        fields,
        &["userId", "userPrincipalId"],
        &["groupPrincipalId"],
    )?;
    let name = text(fields, "globalRoleId");
    let role = referred(call, "globalRole", name).await?;
    let held = role
        .as_object()
        .is_some_and(|role| roles::holds_global(call, role));
    if !held && !call.may("bind", object_of(call, "globalRole")?, None, Some(name)) {
        return Err(ApiError::forbidden(format!(
            "the global role {name} allows more than its giver may do"
        )));
    }
    draft.object.insert(
        "metadata".to_owned(),
        json!({"ownerReferences": [{
            "apiVersion": drover_types::management::api_version(),
            "kind": "GlobalRole",
            "name": name,
            "uid": text_at(&role, "/metadata/uid"),
        }]}),
    );
    Ok(())
}

/// The subject of a role in a cluster or project.
fn of_somebody(fields: &Map<String, Value>, draft: &mut Draft) -> Result<(), ApiError> {
    complete_subject(fields, draft);
    check_subject(
        fields,
        &["userId", "userPrincipalId"],
        &["groupPrincipalId", "groupId"],
    )
}

pub(super) async fn before_create_cluster(
    call: &Call<'_>,
    fields: &Map<String, Value>,
    draft: &mut Draft,
) -> Result<(), ApiError> {
    of_somebody(fields, draft)?;
    let id = text(fields, "clusterId");
    cluster::referred(call, id).await?;
    check_role(call, fields, "cluster").await?;
    let role = text(fields, "roleTemplateId");
    if may_give_in_cluster(call, id, role).await? {
        Ok(())
    } else {
        Err(holds_less("cluster", id, role))
    }
}

pub(super) async fn before_create_project(
    call: &Call<'_>,
    fields: &Map<String, Value>,
    draft: &mut Draft,
) -> Result<(), ApiError> {
    of_somebody(fields, draft)?;
    let id = text(fields, "projectId");
    check_role(call, fields, "project").await?;
    let (cluster, project) = cluster::split_project(call, id)?;
    let role = text(fields, "roleTemplateId");
    if may_give_in_project(call, &cluster, &project, role).await? {
        Ok(())
    } else {
        Err(holds_less("project", id, role))
    }
}

/// Whether the caller may give a role in a cluster: owns it, or holds there all that the role gives.
pub(super) async fn may_give_in_cluster(
    call: &Call<'_>,
    cluster: &str,
    role: &str,
) -> Result<bool, ApiError> {
    let place = Scope {
        cluster,
        project: None,
    };
    Ok(owns_cluster(call, cluster)?
        || is_in(call, cluster, &names::cluster_group(role))
        || giving::holds_template(call, place, role).await?)
}

/// The same in a project.
pub(super) async fn may_give_in_project(
    call: &Call<'_>,
    cluster: &str,
    project: &str,
    role: &str,
) -> Result<bool, ApiError> {
    let place = Scope {
        cluster,
        project: Some(project),
    };
    let projects = object_of(call, "project")?;
    Ok(owns_cluster(call, cluster)?
        || call.may("own", projects, Some(cluster), Some(project))
        || is_in(call, cluster, &names::project_group(project, role))
        || giving::holds_template(call, place, role).await?)
}

fn owns_cluster(call: &Call<'_>, id: &str) -> Result<bool, ApiError> {
    Ok(call.may_everything() || call.may("own", object_of(call, "cluster")?, None, Some(id)))
}

/// Whether the caller holds this virtual group in a cluster.
fn is_in(call: &Call<'_>, cluster: &str, group: &str) -> bool {
    let groups = call
        .identity
        .and_then(|identity| call.shared.rights.cluster_groups(identity, cluster));
    groups.is_some_and(|groups| groups.iter().any(|held| held == group))
}

fn holds_less(what: &str, id: &str, role: &str) -> ApiError {
    ApiError::forbidden(format!(
        "the role {role} allows more in the {what} {id} than its giver may do there"
    ))
}

/// The role exists, may still be given, and fits the place.
async fn check_role(
    call: &Call<'_>,
    fields: &Map<String, Value>,
    context: &str,
) -> Result<(), ApiError> {
    let name = text(fields, "roleTemplateId");
    let role = referred(call, "roleTemplate", name).await?;
    if role.get("locked").and_then(Value::as_bool).unwrap_or(false) {
        return Err(ApiError::invalid(
            "InvalidState",
            format!("the role {name} is locked and cannot be given"),
        )
        .with_field("roleTemplateId"));
    }
    if text_at(&role, "/context") != context {
        return Err(ApiError::invalid(
            "InvalidReference",
            format!("the role {name} is not for a {context}"),
        )
        .with_field("roleTemplateId"));
    }
    Ok(())
}

/// The namespace of a project's bindings: the one its status names, else the one named like it.
pub(super) async fn project_namespace(
    call: &Call<'_>,
    fields: &Map<String, Value>,
) -> Result<String, ApiError> {
    let id = text(fields, "projectId");
    let (_, name) = cluster::split_project(call, id)?;
    let project = referred(call, "project", id).await?;
    let backing = text_at(&project, "/status/backingNamespace");
    debug_assert_eq!(mapping::name(&project), name);
    Ok(if backing.is_empty() {
        name
    } else {
        backing.to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binding_has_one_subject() {
        let check = |fields: Value| {
            check_subject(
                fields.as_object().unwrap(),
                &["userId", "userPrincipalId"],
                &["groupPrincipalId"],
            )
            .map_err(|error| error.message)
        };
        assert_eq!(check(json!({"userId": "u"})), Ok(()));
        assert_eq!(
            check(json!({"userPrincipalId": "local://u", "groupPrincipalId": ""})),
            Ok(())
        );
        // Recorded words.
        assert_eq!(
            check(json!({})),
            Err("must contain field [groupPrincipalId] OR field [userId]".to_owned())
        );
        assert!(check(json!({"userId": "u", "groupPrincipalId": "g"})).is_err());
    }
}
