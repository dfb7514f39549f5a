//! Quotas of projects in the namespaces of their clusters.
//!
//! Owns, in each namespace of a project with a quota, a ResourceQuota with what the namespace has of it; in each
//! namespace with defaults for containers, a LimitRange; and what of a project's quota is used. Names, labels and
//! annotations are the peer's (reference rbac-and-projects 6).
//!
//! Invariants: namespaces take from the quota in the order in which they were made, so that a late one never takes from
//! an early one; objects without our label are left alone.

mod objects;

use std::collections::BTreeMap;

use drover_types::management::Project;
use drover_types::quota::{Amounts, Excess, admit};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{LimitRange, ResourceQuota};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use kube::api::ListParams;
use serde_json::{Map, Value, json};

use crate::clusters::annotation;
use crate::downstream::Reach;
use crate::namespaces::{self, Conditions, STATUS_ANNOTATION, annotate, project_of};
use crate::plan::{Action, Plan, Reference, Site};
use crate::runtime::{Controller, LookError};
use objects::{Wanted, containers};

/// Label of the objects made here.
pub const LABEL: &str = "resourcequota.management.cattle.io/default-resource-quota";
/// Annotation with what a namespace has of its project's quota.
pub(crate) const QUOTA_ANNOTATION: &str = "field.cattle.io/resourceQuota";
const LIMITS_ANNOTATION: &str = "field.cattle.io/containerDefaultResourceLimit";
/// Whether what the namespace asks for fits.
const VALIDATED: &str = "ResourceQuotaValidated";
/// The namespace was looked at.
const INITIALIZED: &str = "ResourceQuotaInit";

/// What a reconciliation reads of a cluster.
#[derive(Debug, Default)]
pub struct Observed {
    /// Projects of the cluster.
    pub projects: Vec<Project>,
    /// All namespaces.
    pub namespaces: Vec<ObjectMeta>,
    /// ResourceQuotas with our label.
    pub quotas: Vec<ResourceQuota>,
    /// LimitRanges with our label.
    pub limits: Vec<LimitRange>,
}

fn spec<'a>(project: &'a Project, field: &str) -> Option<&'a Value> {
    project
        .spec
        .other
        .get(field)
        .filter(|value| !value.is_null())
}

/// An amount that cannot be read limits nothing; the management API refuses such, kubectl may write them.
fn read(project: &str, quota: Option<&Value>) -> Amounts {
    Amounts::read(quota).unwrap_or_else(|error| {
        tracing::warn!(%project, %error, "a quota cannot be read and limits nothing");
        Amounts::default()
    })
}

fn from_annotation(namespace: &ObjectMeta, key: &str) -> Option<Value> {
    serde_json::from_str(annotation(namespace, key)?).ok()
}

/// Decides about all projects of a cluster.
#[must_use]
pub fn reconcile(observed: &Observed, cluster: &str, now: Timestamp) -> Plan {
    let mut plan = Plan::default();
    let mut of_project: BTreeMap<&str, Vec<&ObjectMeta>> = BTreeMap::new();
    for namespace in &observed.namespaces {
        of_project
            .entry(project_of(namespace, cluster).unwrap_or_default())
            .or_default()
            .push(namespace);
    }
    let mut wanted = Wanted::default();
    for project in &observed.projects {
        let Some(name) = project.metadata.name.as_deref() else {
            continue;
        };
        let mut namespaces = of_project.remove(name).unwrap_or_default();
        namespaces.retain(|namespace| namespace.deletion_timestamp.is_none());
        namespaces.sort_by_key(|namespace| {
            (
                namespace.creation_timestamp.clone().map(|at| at.0),
                &namespace.name,
            )
        });
        decide(project, name, &namespaces, now, &mut wanted, &mut plan);
    }
    // Namespaces outside of any project have none of ours.
    wanted.write(observed, &mut plan);
    plan
}

fn decide(
    project: &Project,
    name: &str,
    namespaces: &[&ObjectMeta],
    now: Timestamp,
    wanted: &mut Wanted,
    plan: &mut Plan,
) {
    let limit = read(name, spec(project, "resourceQuota"));
    let default = read(name, spec(project, "namespaceDefaultResourceQuota"));
    let limited = !limit.is_empty() && !default.is_empty();
    let asked: Vec<Amounts> = namespaces
        .iter()
        .map(|namespace| {
            let own = from_annotation(namespace, QUOTA_ANNOTATION);
            Amounts::of_namespace(&default, &read(name, own.as_ref()))
        })
        .collect();
    let admission = admit(&limit, &asked);
    for ((namespace, asked), excess) in namespaces.iter().zip(&asked).zip(&admission.excess) {
        let place = namespace.name.clone().unwrap_or_default();
        if limited {
            let hard = asked.without(excess).hard();
            let hard = hard
                .into_iter()
                .map(|(key, amount)| (key, Quantity(amount)));
            wanted.quotas.insert(place.clone(), hard.collect());
            note(namespace, Some(asked), excess, now, plan);
        } else if annotation(namespace, QUOTA_ANNOTATION).is_some() && limit.is_empty() {
            let none = [(QUOTA_ANNOTATION.to_owned(), Value::Null)];
            plan.actions
                .push(annotate(namespace, &none.into_iter().collect()));
        } else {
            note(namespace, None, &[], now, plan);
        }
        if let Some(item) = containers(project, namespace) {
            wanted.limits.insert(place, item);
        }
    }
    used(project, limited.then_some(&admission.used), plan);
}

/// Writes the quota a namespace has back to it, and whether it fits.
fn note(
    namespace: &ObjectMeta,
    quota: Option<&Amounts>,
    excess: &[Excess],
    now: Timestamp,
    plan: &mut Plan,
) {
    let mut annotations = Map::new();
    if let Some(quota) = quota {
        let quota = json!({"limit": quota.limit()});
        if from_annotation(namespace, QUOTA_ANNOTATION).as_ref() != Some(&quota) {
            annotations.insert(QUOTA_ANNOTATION.to_owned(), json!(quota.to_string()));
        }
    }
    let message = excess
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ");
    let known = Conditions::of(namespace);
    // A namespace without a quota is told so if somebody waits for it.
    if quota.is_some() || known.is_some() {
        let mut conditions = known.unwrap_or_default();
        let validated = conditions.set(VALIDATED, excess.is_empty(), &message, now);
        if conditions.set(INITIALIZED, true, "", now) || validated {
            annotations.insert(STATUS_ANNOTATION.to_owned(), json!(conditions.text()));
        }
    }
    if !annotations.is_empty() {
        plan.actions.push(annotate(namespace, &annotations));
    }
}

/// Tells the project what is used.
fn used(project: &Project, used: Option<&Amounts>, plan: &mut Plan) {
    let known = spec(project, "resourceQuota").and_then(|quota| quota.get("usedLimit"));
    let wanted = used.map(Amounts::limit);
    if known.filter(|known| !known.is_null()) == wanted.as_ref() {
        return;
    }
    let (Some(name), Some(namespace)) = (&project.metadata.name, &project.metadata.namespace)
    else {
        return;
    };
    // Null first: a merge would keep what is no longer limited.
    let patch = |used: Value| {
        Action::patch(
            Site::Hub,
            Reference::new::<Project>(Some(namespace), name),
            json!({"spec": {"resourceQuota": {"usedLimit": used}}}),
        )
    };
    if known.is_some_and(|known| !known.is_null()) {
        plan.actions.push(patch(Value::Null));
    }
    if let Some(wanted) = wanted {
        plan.actions.push(patch(wanted));
    }
}

/// Looks after quotas; keys are cluster ids.
pub(crate) struct Quotas {
    pub(crate) reach: Reach,
    pub(crate) clock: drover_auth::Clock,
}

impl Controller for Quotas {
    const NAME: &'static str = "quotas";

    async fn look(&self, id: &str) -> Result<Option<Timestamp>, LookError> {
        let Some(client) = self.reach.ours(id).await? else {
            return Ok(None);
        };
        let all = ListParams::default();
        let ours = ListParams::default().labels(&format!("{LABEL}=true"));
        let projects = Api::<Project>::namespaced(self.reach.hub.clone(), id);
        let quotas = Api::<ResourceQuota>::all(client.clone());
        let limits = Api::<LimitRange>::all(client.clone());
        let observed = Observed {
            projects: projects.list(&all).await?.items,
            namespaces: namespaces::all(&client).await?,
            quotas: quotas.list(&ours).await?.items,
            limits: limits.list(&ours).await?.items,
        };
        let plan = reconcile(&observed, id, self.clock.now());
        self.reach.sites(Some(client)).execute(&plan).await?;
        Ok(None)
    }
}

#[cfg(test)]
mod tests;
