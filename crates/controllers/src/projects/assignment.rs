//! Which namespaces of a cluster its projects take in and let go.

use drover_types::names::PROJECT_ANNOTATION;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::json;

use super::Observed;
use crate::clusters::{DEFAULT_PROJECT_LABEL, SYSTEM_PROJECT_LABEL, annotation, is_labelled};
use crate::namespaces::STATUS_ANNOTATION;
use crate::plan::{Action, Plan, Reference, Site};
use crate::quotas::QUOTA_ANNOTATION;

/// Takes a namespace out of its project.
pub(crate) fn leave(namespace: &ObjectMeta) -> Action {
    // With the project goes what the namespace had of its quota.
    let patch = json!({ "metadata": {
        "annotations": { PROJECT_ANNOTATION: null, QUOTA_ANNOTATION: null, STATUS_ANNOTATION: null },
        "labels": { PROJECT_ANNOTATION: null },
    } });
    Action::patch(
        Site::Cluster,
        Reference::new::<Namespace>(None, namespace.name.as_deref().unwrap_or_default()),
        patch,
    )
}

/// Default takes `default`, System takes the system's namespaces, unless they are in a project already.
pub(super) fn assign(
    observed: &Observed<'_>,
    cluster: &str,
    name: &str,
    plan: &mut Plan,
) -> Option<&'static str> {
    let namespaces = observed.namespaces?;
    let is_default = is_labelled(observed.project, DEFAULT_PROJECT_LABEL);
    let is_system = is_labelled(observed.project, SYSTEM_PROJECT_LABEL);
    if !is_default && !is_system {
        return None;
    }
    for namespace in namespaces {
        let Some(found) = namespace.name.as_deref() else {
            continue;
        };
        let ours = (is_default && found == "default")
            || (is_system
                && observed
                    .system_namespaces
                    .iter()
                    .any(|system| system == found));
        if ours
            && annotation(namespace, PROJECT_ANNOTATION).is_none()
            && namespace.deletion_timestamp.is_none()
        {
            let patch = json!({ "metadata": {
                "annotations": { PROJECT_ANNOTATION: format!("{cluster}:{name}") },
                "labels": { PROJECT_ANNOTATION: name },
            } });
            plan.actions.push(Action::patch(
                Site::Cluster,
                Reference::new::<Namespace>(None, found),
                patch,
            ));
        }
    }
    Some(if is_default {
        "DefaultNamespacesAssigned"
    } else {
        "SystemNamespacesAssigned"
    })
}
