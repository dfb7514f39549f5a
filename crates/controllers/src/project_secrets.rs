//! Secrets of projects, copied into the namespaces of their clusters.
//!
//! Owns the copies: one in each namespace of the project, kept like the original on the hub. Labels and annotations are
//! the peer's (reference rbac-and-projects 5).
//!
//! Invariants: a Secret that is not a copy is never written or deleted; contents are never logged.

use std::collections::BTreeMap;

use drover_types::management::Project;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};

use crate::clusters::annotation;
use crate::downstream::Reach;
use crate::namespaces::{self, project_of};
use crate::plan::{Action, Plan, Reference, Site};
use crate::projects::backing;
use crate::runtime::{Controller, LookError};

/// Label of copies; its value is the project.
pub const LABEL: &str = "management.cattle.io/project-scoped-secret";
/// Annotation of copies.
pub(crate) const COPY: &str = "management.cattle.io/project-scoped-secret-copy";
/// Annotation of originals: namespaces that get no copy, divided by commas; with an asterisk, a regular expression.
const IGNORED: &str = "management.cattle.io/project-scoped-secret-ignore-namespaces";
/// Largest regular expression, in bytes when it is compiled.
const LARGEST: usize = 1 << 16;
/// Hides copies in `/v3`.
const HIDDEN: &str = "secret.user.cattle.io/secret";

/// What a reconciliation reads of a cluster.
#[derive(Default)]
pub struct Observed {
    /// Secrets on the hub, with their projects.
    pub originals: Vec<(String, Secret)>,
    /// All namespaces of the cluster.
    pub namespaces: Vec<ObjectMeta>,
    /// Secrets in the cluster with our label.
    pub copies: Vec<Secret>,
}

impl std::fmt::Debug for Observed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Observed")
            .field("originals", &self.originals.len())
            .field("copies", &self.copies.len())
            .finish_non_exhaustive()
    }
}

/// Decides about all copies in a cluster.
#[must_use]
pub fn reconcile(observed: &Observed, cluster: &str) -> Plan {
    let mut wanted: BTreeMap<(String, String), Secret> = BTreeMap::new();
    for namespace in &observed.namespaces {
        let (Some(project), Some(place), None) = (
            project_of(namespace, cluster),
            &namespace.name,
            &namespace.deletion_timestamp,
        ) else {
            continue;
        };
        for (_, original) in observed.originals.iter().filter(|(of, _)| of == project) {
            if ignores(original, place) {
                continue;
            }
            let copy = copy(original, project, place);
            let name = copy.metadata.name.clone().unwrap_or_default();
            wanted.insert((place.clone(), name), copy);
        }
    }
    let mut plan = Plan::default();
    let ours = observed
        .copies
        .iter()
        .filter(|copy| annotation(&copy.metadata, COPY) == Some("true"));
    for found in ours {
        let key = (
            found.metadata.namespace.clone().unwrap_or_default(),
            found.metadata.name.clone().unwrap_or_default(),
        );
        match wanted.remove(&key) {
            Some(wanted) if is_same(found, &wanted) => {}
            // Neither can be changed; the deletion brings another look, which makes it anew.
            Some(wanted) if found.type_ != wanted.type_ || found.immutable == Some(true) => {
                plan.actions.push(delete(&key));
            }
            Some(wanted) => {
                let mut changed = found.clone();
                changed.data = wanted.data;
                changed.immutable = wanted.immutable;
                changed.metadata.labels = wanted.metadata.labels;
                changed.metadata.annotations = wanted.metadata.annotations;
                plan.actions.push(Action::replace(Site::Cluster, &changed));
            }
            None => plan.actions.push(delete(&key)),
        }
    }
    // Where somebody has a Secret of that name, it stays.
    plan.actions.extend(
        wanted
            .values()
            .map(|copy| Action::create(Site::Cluster, copy)),
    );
    plan
}

/// Whether a Secret says that it is not to be copied to a namespace.
fn ignores(original: &Secret, namespace: &str) -> bool {
    let ignored = annotation(&original.metadata, IGNORED).unwrap_or_default();
    ignored.split(',').map(str::trim).any(|entry| {
        let matches = || {
            let expression = regex::RegexBuilder::new(entry).size_limit(LARGEST).build();
            // What is no expression is a name that no namespace can have.
            expression.is_ok_and(|expression| expression.is_match(namespace))
        };
        entry == namespace || (entry.contains('*') && matches())
    })
}

fn delete((namespace, name): &(String, String)) -> Action {
    Action::delete(
        Site::Cluster,
        Reference::new::<Secret>(Some(namespace), name),
    )
}

fn copy(original: &Secret, project: &str, namespace: &str) -> Secret {
    let mut labels = original.metadata.labels.clone().unwrap_or_default();
    labels.insert(LABEL.to_owned(), project.to_owned());
    let mut annotations = original.metadata.annotations.clone().unwrap_or_default();
    for mark in [COPY, HIDDEN] {
        annotations.insert(mark.to_owned(), "true".to_owned());
    }
    Secret {
        metadata: ObjectMeta {
            name: original.metadata.name.clone(),
            namespace: Some(namespace.to_owned()),
            labels: Some(labels),
            annotations: Some(annotations),
            ..ObjectMeta::default()
        },
        data: original.data.clone(),
        immutable: original.immutable,
        type_: original.type_.clone(),
        ..Secret::default()
    }
}

fn is_same(found: &Secret, wanted: &Secret) -> bool {
    let data = |secret: &Secret| secret.data.clone().unwrap_or_default();
    data(found) == data(wanted)
        && found.type_ == wanted.type_
        && found.immutable.unwrap_or_default() == wanted.immutable.unwrap_or_default()
        && found.metadata.labels == wanted.metadata.labels
        && found.metadata.annotations == wanted.metadata.annotations
}

/// Looks after copies; keys are cluster ids.
pub(crate) struct ProjectSecrets {
    pub(crate) reach: Reach,
}

impl ProjectSecrets {
    /// The Secrets of a cluster's projects, with their projects.
    async fn originals(&self, id: &str) -> Result<Vec<(String, Secret)>, LookError> {
        let all = ListParams::default();
        let projects = Api::<Project>::namespaced(self.reach.hub.clone(), id);
        let mut originals = Vec::new();
        for project in projects.list(&all).await?.items {
            if project.metadata.deletion_timestamp.is_some() {
                continue;
            }
            let secrets = Api::<Secret>::namespaced(self.reach.hub.clone(), &backing(&project));
            let secrets = secrets.list(&all).await?.items.into_iter();
            originals.extend(
                secrets
                    .filter(|secret| secret.metadata.deletion_timestamp.is_none())
                    .map(|secret| (project.name_any(), secret)),
            );
        }
        Ok(originals)
    }
}

impl Controller for ProjectSecrets {
    const NAME: &'static str = "project-secrets";

    async fn look(&self, id: &str) -> Result<Option<Timestamp>, LookError> {
        let Some(client) = self.reach.ours(id).await? else {
            return Ok(None);
        };
        let labelled = ListParams::default().labels(LABEL);
        let copies = Api::<Secret>::all(client.clone());
        let observed = Observed {
            originals: self.originals(id).await?,
            namespaces: namespaces::all(&client).await?,
            copies: copies.list(&labelled).await?.items,
        };
        let plan = reconcile(&observed, id);
        self.reach.sites(Some(client)).execute(&plan).await?;
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use drover_types::names::PROJECT_ANNOTATION;
    use serde_json::{Value, json};

    use super::*;

    fn secret(value: Value) -> Secret {
        serde_json::from_value(value).unwrap()
    }

    fn original(data: &str) -> (String, Secret) {
        let secret = secret(json!({
            "metadata": {"name": "s", "namespace": "c-1-p-1", "labels": {"cattle.io/creator": "norman"}},
            "type": "Opaque", "data": {"k": data},
        }));
        ("p-1".to_owned(), secret)
    }

    fn namespace(name: &str, project: &str) -> ObjectMeta {
        serde_json::from_value(json!({"name": name, "annotations": {PROJECT_ANNOTATION: project}}))
            .unwrap()
    }

    fn shown(plan: &Plan) -> Vec<String> {
        plan.actions
            .iter()
            .map(|action| {
                let verb = match action {
                    Action::Create { .. } => "create",
                    Action::Replace { .. } => "replace",
                    Action::Delete { .. } => "delete",
                    Action::Apply { .. } | Action::Patch { .. } => "other",
                };
                format!("{verb} {}", action.target())
            })
            .collect()
    }

    #[test]
    fn a_namespace_that_the_original_names_has_no_copy() {
        let (_, mut secret) = original("dg==");
        let mut ignored = |text: &str, namespace: &str| {
            secret.metadata.annotations = Some([(IGNORED.to_owned(), text.to_owned())].into());
            ignores(&secret, namespace)
        };
        for (text, namespace, expected) in [
            ("", "one", false),
            ("two, one", "one", true),
            ("on", "one", false),
            ("two,o.*e", "one", true),
            ("^t.*", "one", false),
            ("*", "one", false),
            ("(a*){1000}{1000}", "a", false),
        ] {
            assert_eq!(ignored(text, namespace), expected, "{text} {namespace}");
        }
        let mut observed = Observed {
            originals: vec![original("dg==")],
            namespaces: vec![namespace("one", "c-1:p-1")],
            copies: vec![copy(&original("dg==").1, "p-1", "one")],
        };
        let annotations = [(IGNORED.to_owned(), "one".to_owned())].into();
        observed.originals[0].1.metadata.annotations = Some(annotations);
        assert_eq!(shown(&reconcile(&observed, "c-1")), ["delete Secret one/s"]);
    }

    #[test]
    fn each_namespace_of_the_project_has_a_copy_like_the_original() {
        let mut observed = Observed {
            originals: vec![original("dg==")],
            namespaces: vec![
                namespace("one", "c-1:p-1"),
                namespace("two", "c-1:p-2"),
                namespace("three", "c-2:p-1"),
            ],
            copies: Vec::new(),
        };
        let plan = reconcile(&observed, "c-1");
        assert_eq!(shown(&plan), ["create Secret one/s"]);
        observed.copies = vec![copy(&observed.originals[0].1, "p-1", "one")];
        assert!(reconcile(&observed, "c-1").is_empty());

        // The original changes; somebody changes the copy; both are put right.
        observed.originals = vec![original("dw==")];
        assert_eq!(
            shown(&reconcile(&observed, "c-1")),
            ["replace Secret one/s"]
        );
        observed.originals = vec![original("dg==")];
        observed.copies[0].data = None;
        assert_eq!(
            shown(&reconcile(&observed, "c-1")),
            ["replace Secret one/s"]
        );
        observed.copies[0].type_ = Some("other".to_owned());
        assert_eq!(shown(&reconcile(&observed, "c-1")), ["delete Secret one/s"]);

        // The namespace leaves the project; the original goes.
        observed.namespaces[0] = namespace("one", "c-1:p-2");
        assert_eq!(shown(&reconcile(&observed, "c-1")), ["delete Secret one/s"]);
        observed.namespaces[0] = namespace("one", "c-1:p-1");
        observed.originals.clear();
        assert_eq!(shown(&reconcile(&observed, "c-1")), ["delete Secret one/s"]);

        // What only looks like a copy is somebody's.
        observed.copies[0].metadata.annotations = None;
        assert!(reconcile(&observed, "c-1").is_empty());
    }
}
