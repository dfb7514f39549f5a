//! Namespaces of clusters: which project each is in, and its conditions.
//!
//! Conditions of namespaces lie in an annotation, for their status belongs to Kubernetes (reference rbac-and-projects 5,
//! recorded/http/05-projects.txt). Several controllers write some of them each, so every write names the version that
//! was read.

use drover_types::condition::timestamp;
use drover_types::names::{PROJECT_ANNOTATION, is_label_value};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Client;
use kube::api::ListParams;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::clusters::annotation;
use crate::plan::{Action, Reference, Site};
use crate::runtime::metadata_of;

/// Annotation with the conditions of a namespace.
pub(crate) const STATUS_ANNOTATION: &str = "cattle.io/status";
/// Those with rights in the project have them in the namespace too.
const POPULATED: &str = "InitialRolesPopulated";

/// The metadata of all namespaces of a cluster.
pub(crate) async fn all(client: &Client) -> Result<Vec<ObjectMeta>, kube::Error> {
    let listed = metadata_of::<Namespace>(client)
        .list(&ListParams::default())
        .await?;
    Ok(listed
        .items
        .into_iter()
        .map(|object| object.metadata)
        .collect())
}

/// The project of this cluster that a namespace is in.
pub(crate) fn project_of<'a>(namespace: &'a ObjectMeta, cluster: &str) -> Option<&'a str> {
    let (of, project) = annotation(namespace, PROJECT_ANNOTATION)?.split_once(':')?;
    (of == cluster).then_some(project)
}

/// Writes annotations of a namespace as it was read; null takes one away.
pub(crate) fn annotate(namespace: &ObjectMeta, annotations: &Map<String, Value>) -> Action {
    let name = namespace.name.as_deref().unwrap_or_default();
    let version = &namespace.resource_version;
    Action::patch(
        Site::Cluster,
        Reference::new::<Namespace>(None, name),
        json!({ "metadata": { "resourceVersion": version, "annotations": annotations } }),
    )
}

/// Gives a namespace the label that goes with its annotation, by whomever that was written: network policies and lists
/// choose by the label, rights follow from the annotation.
pub(crate) fn labelled(namespace: &ObjectMeta, cluster: &str) -> Option<Action> {
    let wanted = project_of(namespace, cluster)
        .filter(|project| !project.is_empty() && is_label_value(project));
    let label = namespace
        .labels
        .as_ref()
        .and_then(|labels| labels.get(PROJECT_ANNOTATION))
        .filter(|label| !label.is_empty());
    if label.map(String::as_str) == wanted || namespace.deletion_timestamp.is_some() {
        return None;
    }
    Some(Action::patch(
        Site::Cluster,
        Reference::new::<Namespace>(None, namespace.name.as_deref().unwrap_or_default()),
        json!({ "metadata": {
            "resourceVersion": namespace.resource_version, "labels": { PROJECT_ANNOTATION: wanted },
        } }),
    ))
}

/// Says of a namespace that waits for it that its project's people have their rights there. What gives them stands
/// before it in the plan.
pub(crate) fn populated(namespace: &ObjectMeta, now: Timestamp) -> Option<Action> {
    let mut conditions = Conditions::of(namespace)?;
    let changed = conditions.set(POPULATED, true, "", now);
    let annotations = [(STATUS_ANNOTATION.to_owned(), json!(conditions.text()))];
    (changed && namespace.deletion_timestamp.is_none())
        .then(|| annotate(namespace, &annotations.into_iter().collect()))
}

/// The conditions of a namespace.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Conditions {
    // Written with capitals by controllers and without by the management API; the peer does the same.
    #[serde(rename = "Conditions", alias = "conditions", default)]
    all: Vec<Condition>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Condition {
    #[serde(rename = "Type", alias = "type")]
    kind: String,
    #[serde(alias = "status", default)]
    status: String,
    #[serde(alias = "message", default)]
    message: String,
    #[serde(alias = "lastUpdateTime", default)]
    last_update_time: String,
}

impl Conditions {
    /// Those of a namespace that has any. What cannot be read is as good as none.
    pub(crate) fn of(namespace: &ObjectMeta) -> Option<Self> {
        let text = annotation(namespace, STATUS_ANNOTATION)?;
        Some(serde_json::from_str(text).unwrap_or_default())
    }

    /// Sets one; says whether it was otherwise.
    pub(crate) fn set(&mut self, kind: &str, is_true: bool, message: &str, now: Timestamp) -> bool {
        let status = if is_true { "True" } else { "False" };
        let known = self.all.iter_mut().find(|known| known.kind == kind);
        if known
            .as_ref()
            .is_some_and(|known| known.status == status && known.message == message)
        {
            return false;
        }
        let condition = Condition {
            kind: kind.to_owned(),
            status: status.to_owned(),
            message: message.to_owned(),
            last_update_time: timestamp(now),
        };
        match known {
            Some(known) => *known = condition,
            None => self.all.push(condition),
        }
        true
    }

    /// As the annotation has it.
    pub(crate) fn text(&self) -> String {
        serde_json::to_string(self).expect("there is nothing but texts in it, so it serialises")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn namespace(status: Option<&str>) -> ObjectMeta {
        ObjectMeta {
            name: Some("shop".to_owned()),
            resource_version: Some("7".to_owned()),
            annotations: status
                .map(|status| [(STATUS_ANNOTATION.to_owned(), status.to_owned())].into()),
            ..ObjectMeta::default()
        }
    }

    #[test]
    fn the_label_follows_the_annotation() {
        let labelled = |annotation: Option<&str>, label: Option<&str>| {
            let text = |value: Option<&str>| {
                value.map(|value| [(PROJECT_ANNOTATION.to_owned(), value.to_owned())].into())
            };
            let namespace = ObjectMeta {
                annotations: text(annotation),
                labels: text(label),
                ..namespace(None)
            };
            let Action::Patch { patch, .. } = labelled(&namespace, "c-1")? else {
                panic!("no patch")
            };
            assert_eq!(patch["metadata"]["resourceVersion"], "7");
            Some(patch["metadata"]["labels"][PROJECT_ANNOTATION].clone())
        };
        assert_eq!(labelled(Some("c-1:p-1"), None), Some(json!("p-1")));
        assert_eq!(labelled(Some("c-1:p-1"), Some("p-2")), Some(json!("p-1")));
        assert_eq!(labelled(Some("c-1:p-1"), Some("p-1")), None);
        assert_eq!(labelled(None, None), None);
        assert_eq!(
            labelled(None, Some("")),
            None,
            "as the peer's agent leaves it"
        );
        // Out of the project, or of no project of this cluster: others' policies must not let it in.
        for annotation in [
            None,
            Some(""),
            Some("c-2:p-1"),
            Some("c-1:"),
            Some("c-1:no label"),
        ] {
            assert_eq!(
                labelled(annotation, Some("p-1")),
                Some(Value::Null),
                "{annotation:?}"
            );
        }
    }

    #[test]
    fn a_namespace_that_waits_for_roles_is_told_once_and_others_are_left_alone() {
        assert_eq!(populated(&namespace(None), Timestamp::UNIX_EPOCH), None);
        // As the management API makes it (recorded/http/05-projects.txt).
        let waiting = r#"{"conditions": [{"type": "InitialRolesPopulated", "status": "Unknown", "message": "Populating initial roles"}]}"#;
        let Some(Action::Patch { patch, .. }) =
            populated(&namespace(Some(waiting)), Timestamp::UNIX_EPOCH)
        else {
            panic!("no patch")
        };
        assert_eq!(patch["metadata"]["resourceVersion"], "7");
        let text = patch["metadata"]["annotations"][STATUS_ANNOTATION]
            .as_str()
            .unwrap();
        assert_eq!(
            text,
            r#"{"Conditions":[{"Type":"InitialRolesPopulated","Status":"True","Message":"","LastUpdateTime":"1970-01-01T00:00:00Z"}]}"#
        );
        assert_eq!(
            populated(&namespace(Some(text)), Timestamp::UNIX_EPOCH),
            None
        );
    }
}
