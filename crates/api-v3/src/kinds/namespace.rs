//! Namespaces: which project they are in, and what lies in their annotations.
//!
//! Pure but for the look at the project. The namespace itself is read and
//! written in its cluster, with the caller's own rights (`downstream`).
//!
//! Invariants: nobody puts a namespace into a project whose namespaces it does not manage, or says how strictly its pods
//! are judged without the right to `updatepsa`.

use std::collections::BTreeMap;

use drover_auth::web::ApiError;
use drover_types::names::{
    CREATOR_ANNOTATION, DESCRIPTION_ANNOTATION, POD_SECURITY_PREFIX, PROJECT_ANNOTATION,
};
use serde_json::{Map, Value, json};

use super::{cluster, giving, object_of, text, text_at};
use crate::call::{Call, Item, not_found};

/// Annotation with a namespace's quota, as JSON.
const QUOTA: &str = "field.cattle.io/resourceQuota";
/// Annotation with the defaults of its containers, as JSON.
const LIMITS: &str = "field.cattle.io/containerDefaultResourceLimit";
/// Annotation with the conditions of a namespace, as JSON; controllers write it later.
const STATUS: &str = "cattle.io/status";
/// Fields that lie in annotations as JSON.
const AS_JSON: [(&str, &str); 2] = [
    ("resourceQuota", QUOTA),
    ("containerDefaultResourceLimit", LIMITS),
];

fn annotation<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object.pointer("/metadata/annotations")?.get(key)?.as_str()
}

/// The project of a namespace, as `cluster:project`.
pub(crate) fn project<'a>(object: &'a Value, cluster: &str) -> Option<&'a str> {
    annotation(object, PROJECT_ANNOTATION).filter(|project| {
        project
            .split_once(':')
            .is_some_and(|(of, name)| of == cluster && !name.is_empty())
    })
}

/// The quota that a namespace says it has.
pub(crate) fn quota(object: &Value) -> Option<Value> {
    serde_json::from_str(annotation(object, QUOTA)?).ok()
}

/// Fills in what lies in annotations, and takes it out of those shown.
pub(crate) fn amend(object: &Value, cluster: &str, item: &mut Item) {
    item.insert("projectId".to_owned(), json!(project(object, cluster)));
    if let Some(creator) = annotation(object, CREATOR_ANNOTATION) {
        item.insert("creatorId".to_owned(), json!(creator));
    }
    if let Some(description) = annotation(object, DESCRIPTION_ANNOTATION) {
        item.insert("description".to_owned(), json!(description));
    }
    for (field, key) in AS_JSON {
        let value =
            annotation(object, key).and_then(|text| serde_json::from_str::<Value>(text).ok());
        if let Some(value) = value.filter(Value::is_object) {
            item.insert(field.to_owned(), value);
        }
    }
    if let Some(shown) = item.get_mut("annotations").and_then(Value::as_object_mut) {
        for key in [
            CREATOR_ANNOTATION,
            DESCRIPTION_ANNOTATION,
            PROJECT_ANNOTATION,
            QUOTA,
            LIMITS,
        ] {
            shown.remove(key);
        }
    }
}

/// Writes the fields that lie in annotations.
pub(crate) fn store(object: &mut Value, fields: &Map<String, Value>) {
    if let Some(description) = fields.get("description") {
        annotate(object, DESCRIPTION_ANNOTATION, description.as_str());
    }
    for (field, key) in AS_JSON {
        if let Some(value) = fields.get(field) {
            let given = value.as_object().is_some_and(|value| !value.is_empty());
            let text = value.to_string();
            annotate(object, key, given.then_some(text.as_str()));
        }
    }
}

/// Says what a new namespace waits for (recorded/http/05-projects.txt).
pub(crate) fn begin(object: &mut Value, has_quota: bool) {
    let condition =
        |kind: &str, message: &str| json!({"type": kind, "status": "Unknown", "message": message});
    let mut conditions = vec![condition(
        "InitialRolesPopulated",
        "Populating initial roles",
    )];
    if has_quota {
        conditions.push(condition(
            "ResourceQuotaValidated",
            "Validating resource quota",
        ));
    }
    let text = json!({ "conditions": conditions }).to_string();
    annotate(object, STATUS, Some(&text));
}

/// Puts the namespace into a project, or into none.
pub(crate) fn assign(object: &mut Value, project: Option<&Value>) {
    match project {
        Some(project) => {
            let name = text_at(project, "/metadata/name").to_owned();
            let id = format!("{}:{name}", text_at(project, "/metadata/namespace"));
            annotate(object, PROJECT_ANNOTATION, Some(&id));
            object["metadata"]["labels"][PROJECT_ANNOTATION] = json!(name);
        }
        None => {
            annotate(object, PROJECT_ANNOTATION, None);
            let labels = object.pointer_mut("/metadata/labels");
            if let Some(labels) = labels.and_then(Value::as_object_mut) {
                labels.remove(PROJECT_ANNOTATION);
            }
        }
    }
}

fn annotate(object: &mut Value, key: &str, value: Option<&str>) {
    match value.filter(|value| !value.is_empty()) {
        Some(value) => object["metadata"]["annotations"][key] = json!(value),
        None => {
            let annotations = object.pointer_mut("/metadata/annotations");
            if let Some(annotations) = annotations.and_then(Value::as_object_mut) {
                annotations.remove(key);
            }
        }
    }
}

/// The defaults that a project gives to its namespaces, where they give none themselves.
pub(crate) fn inherit(fields: &mut Map<String, Value>, project: &Value) {
    for (field, from) in [
        ("resourceQuota", "/spec/namespaceDefaultResourceQuota"),
        (
            "containerDefaultResourceLimit",
            "/spec/containerDefaultResourceLimit",
        ),
    ] {
        let sent = fields.get(field).is_some_and(|value| !value.is_null());
        let given = project
            .pointer(from)
            .filter(|value| value.as_object().is_some_and(|value| !value.is_empty()));
        if let Some(given) = given.filter(|_| !sent) {
            fields.insert(field.to_owned(), given.clone());
        }
    }
}

/// A project of this cluster that the caller may put namespaces into; `None` for none.
pub(crate) async fn target(
    call: &Call<'_>,
    cluster: &str,
    fields: &Map<String, Value>,
) -> Result<Option<Value>, ApiError> {
    let id = text(fields, "projectId");
    if id.is_empty() {
        return Ok(None);
    }
    let (of, name) = cluster::split_project(call, id)?;
    let object = object_of(call, "project")?;
    if of != cluster {
        return Err(ApiError::invalid(
            "InvalidReference",
            format!("the project {id} is not of the cluster {cluster}"),
        )
        .with_field("projectId"));
    }
    if !giving::manages_namespaces(call, cluster, &name).await? {
        return Err(ApiError::forbidden(format!(
            "{} does not manage the namespaces of the project {id}",
            call.user()
        )));
    }
    let found = call.store().find(object, Some(cluster), &name).await?;
    found.map(Some).ok_or_else(|| not_found(object, id))
}

/// Whether the caller may change the labels of pod security from those of `before` to those of `after`, if they differ.
///
/// # Errors
/// 403 without the right to do so in the namespace's project, or in all where it is in none.
pub(crate) fn check_pod_security(
    call: &Call<'_>,
    cluster: &str,
    before: &Value,
    after: &Value,
) -> Result<(), ApiError> {
    if pod_security(before) == pod_security(after) {
        return Ok(());
    }
    let project = project(after, cluster).and_then(|id| id.split_once(':'));
    let name = project.map(|(_, name)| name);
    let projects = object_of(call, "project")?;
    if call.may("updatepsa", projects, Some(cluster), name) {
        return Ok(());
    }
    let place = name.map_or_else(
        || format!("projects of {cluster}"),
        |name| format!("the project {cluster}:{name}"),
    );
    Err(ApiError::forbidden(format!(
        "{} may not set labels of pod security (updatepsa) in {place}",
        call.user()
    )))
}

fn pod_security(object: &Value) -> BTreeMap<&str, &Value> {
    let labels = object
        .pointer("/metadata/labels")
        .and_then(Value::as_object);
    labels
        .into_iter()
        .flatten()
        .filter(|(key, _)| key.starts_with(POD_SECURITY_PREFIX))
        .map(|(key, value)| (key.as_str(), value))
        .collect()
}

/// Whether the caller owns the cluster or the project, or holds a role in the project.
pub(crate) fn has_part(call: &Call<'_>, cluster: &str, project: &str) -> Result<bool, ApiError> {
    let role = drover_types::names::project_group(project, "");
    let groups = call
        .identity
        .and_then(|identity| call.shared.rights.cluster_groups(identity, cluster));
    Ok(call.may_everything()
        || call.may("own", object_of(call, "cluster")?, None, Some(cluster))
        || groups.is_some_and(|groups| groups.iter().any(|group| group.starts_with(&role))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_in_annotations_is_shown_as_fields_and_written_back() {
        let mut object = json!({"metadata": {"name": "n", "annotations": {"own": "kept"}}});
        let project = json!({"metadata": {"name": "p-1", "namespace": "c-1"}});
        assign(&mut object, Some(&project));
        let fields = json!({"description": "d", "resourceQuota": {"limit": {"pods": "2"}}});
        store(&mut object, fields.as_object().unwrap());
        assert_eq!(
            object["metadata"]["annotations"],
            json!({
                "own": "kept",
                "field.cattle.io/projectId": "c-1:p-1",
                "field.cattle.io/description": "d",
                "field.cattle.io/resourceQuota": "{\"limit\":{\"pods\":\"2\"}}",
            })
        );
        assert_eq!(
            object["metadata"]["labels"]["field.cattle.io/projectId"],
            "p-1"
        );
        let mut item = Map::new();
        item.insert(
            "annotations".to_owned(),
            object["metadata"]["annotations"].clone(),
        );
        amend(&object, "c-1", &mut item);
        assert_eq!(item["projectId"], "c-1:p-1");
        assert_eq!(item["resourceQuota"], json!({"limit": {"pods": "2"}}));
        assert_eq!(item["annotations"], json!({"own": "kept"}));
        // Another cluster's project is none here.
        amend(&object, "c-2", &mut item);
        assert_eq!(item["projectId"], Value::Null);
        assign(&mut object, None);
        assert_eq!(project_of(&object), None);
        assert_eq!(object["metadata"]["labels"], json!({}));
    }

    fn project_of(object: &Value) -> Option<&str> {
        super::project(object, "c-1")
    }

    #[test]
    fn a_namespace_inherits_what_it_does_not_say() {
        let project = json!({"spec": {
            "namespaceDefaultResourceQuota": {"limit": {"pods": "4"}},
            "containerDefaultResourceLimit": {"limitsCpu": "100m"},
        }});
        let mut fields = Map::new();
        fields.insert("resourceQuota".to_owned(), json!({"limit": {"pods": "1"}}));
        inherit(&mut fields, &project);
        assert_eq!(fields["resourceQuota"]["limit"]["pods"], "1");
        assert_eq!(fields["containerDefaultResourceLimit"]["limitsCpu"], "100m");
    }
}
