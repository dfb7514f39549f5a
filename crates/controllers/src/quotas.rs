//! Quotas of projects in the namespaces of their clusters.
//!
//! Owns, in each namespace of a project with a quota, a ResourceQuota with what the namespace has of it; in each
//! namespace with defaults for containers, a LimitRange; and what of a project's quota is used. Names, labels and
//! annotations are the peer's (reference rbac-and-projects 6).
//!
//! Invariants: namespaces take from the quota in the order in which they were made, so that a late one never takes from
//! an early one; objects without our label are left alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use drover_types::management::{Cluster, Project};
use drover_types::names::{LOCAL_CLUSTER, PROJECT_ANNOTATION};
use drover_types::quota::{Amounts, Excess, admit};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    LimitRange, LimitRangeItem, LimitRangeSpec, Namespace, ResourceQuota, ResourceQuotaSpec,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::ListParams;
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::clusters::annotation;
use crate::downstream::Downstream;
use crate::facts::Board;
use crate::plan::{Action, Plan, Reference, Site, Sites};
use crate::runtime::{Controller, LookError};

/// Label of the objects made here.
pub const LABEL: &str = "resourcequota.management.cattle.io/default-resource-quota";
/// Annotation with what a namespace has of its project's quota.
pub(crate) const QUOTA_ANNOTATION: &str = "field.cattle.io/resourceQuota";
const LIMITS_ANNOTATION: &str = "field.cattle.io/containerDefaultResourceLimit";
/// Annotation with the conditions of a namespace.
pub(crate) const STATUS_ANNOTATION: &str = "cattle.io/status";
const VALIDATED: &str = "ResourceQuotaValidated";
/// Name of both objects; the peer makes one up.
const NAME: &str = "default-quota";

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
        let project = annotation(namespace, PROJECT_ANNOTATION)
            .and_then(|id| id.split_once(':'))
            .filter(|(of, _)| *of == cluster)
            .map(|(_, project)| project);
        of_project
            .entry(project.unwrap_or_default())
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

/// What each namespace is to have.
#[derive(Default)]
struct Wanted {
    quotas: BTreeMap<String, BTreeMap<String, Quantity>>,
    limits: BTreeMap<String, LimitRangeItem>,
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
            note(namespace, asked, excess, now, plan);
        } else if annotation(namespace, QUOTA_ANNOTATION).is_some() && limit.is_empty() {
            let patch = json!({"metadata": {"annotations": {QUOTA_ANNOTATION: null}}});
            plan.actions.push(patch_namespace(&place, patch));
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
    asked: &Amounts,
    excess: &[Excess],
    now: Timestamp,
    plan: &mut Plan,
) {
    let place = namespace.name.as_deref().unwrap_or_default();
    let mut annotations = serde_json::Map::new();
    let quota = json!({"limit": asked.limit()});
    if from_annotation(namespace, QUOTA_ANNOTATION).as_ref() != Some(&quota) {
        annotations.insert(QUOTA_ANNOTATION.to_owned(), json!(quota.to_string()));
    }
    let message = excess
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ");
    let status = if excess.is_empty() { "True" } else { "False" };
    let mut all = from_annotation(namespace, STATUS_ANNOTATION).unwrap_or_else(|| json!({}));
    let conditions = all
        .get("Conditions")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let is_validated = |condition: &Value| condition["Type"] == VALIDATED;
    let known = conditions.iter().find(|condition| is_validated(condition));
    let same = known.is_some_and(|known| known["Status"] == status && known["Message"] == message);
    if !same {
        let mut conditions: Vec<Value> = conditions
            .iter()
            .filter(|condition| !is_validated(condition))
            .cloned()
            .collect();
        conditions.push(json!({
            "Type": VALIDATED, "Status": status, "Message": message,
            "LastUpdateTime": drover_types::condition::timestamp(now),
        }));
        all["Conditions"] = Value::Array(conditions);
        annotations.insert(STATUS_ANNOTATION.to_owned(), json!(all.to_string()));
    }
    if !annotations.is_empty() {
        let patch = json!({"metadata": {"annotations": annotations}});
        plan.actions.push(patch_namespace(place, patch));
    }
}

fn patch_namespace(name: &str, patch: Value) -> Action {
    Action::patch(
        Site::Cluster,
        Reference::new::<Namespace>(None, name),
        patch,
    )
}

/// The defaults of a namespace's containers: its own, where it says something, else its project's.
fn containers(project: &Project, namespace: &ObjectMeta) -> Option<LimitRangeItem> {
    let own = from_annotation(namespace, LIMITS_ANNOTATION);
    let of_project = spec(project, "containerDefaultResourceLimit");
    let amount = |field: &str| {
        [own.as_ref(), of_project]
            .into_iter()
            .flatten()
            .filter_map(|limits| limits.get(field)?.as_str())
            .find(|text| drover_types::quantity::Quantity::parse(text).is_some())
            .map(|text| Quantity(text.to_owned()))
    };
    let amounts = |fields: [(&str, &str); 2]| {
        let found: BTreeMap<String, Quantity> = fields
            .into_iter()
            .filter_map(|(key, field)| Some((key.to_owned(), amount(field)?)))
            .collect();
        (!found.is_empty()).then_some(found)
    };
    let item = LimitRangeItem {
        type_: "Container".to_owned(),
        default: amounts([("cpu", "limitsCpu"), ("memory", "limitsMemory")]),
        default_request: amounts([("cpu", "requestsCpu"), ("memory", "requestsMemory")]),
        ..LimitRangeItem::default()
    };
    (item.default.is_some() || item.default_request.is_some()).then_some(item)
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

impl Wanted {
    /// Compares with what is there.
    fn write(mut self, observed: &Observed, plan: &mut Plan) {
        for quota in &observed.quotas {
            let place = quota.metadata.namespace.clone().unwrap_or_default();
            let hard = quota.spec.as_ref().and_then(|spec| spec.hard.as_ref());
            match self.quotas.remove(&place) {
                Some(wanted) if hard.is_some_and(|hard| same(hard, &wanted)) => {}
                Some(wanted) => plan.actions.push(Action::patch(
                    Site::Cluster,
                    reference::<ResourceQuota>(&quota.metadata),
                    json!({"spec": {"hard": replaced(hard, &wanted)}}),
                )),
                // A second one of ours, or one of a namespace without a quota.
                None => plan.actions.push(Action::delete(
                    Site::Cluster,
                    reference::<ResourceQuota>(&quota.metadata),
                )),
            }
        }
        for (place, hard) in self.quotas {
            let quota = ResourceQuota {
                metadata: meta(&place),
                spec: Some(ResourceQuotaSpec {
                    hard: Some(hard),
                    ..ResourceQuotaSpec::default()
                }),
                ..ResourceQuota::default()
            };
            plan.actions.push(Action::create(Site::Cluster, &quota));
        }
        for range in &observed.limits {
            let place = range.metadata.namespace.clone().unwrap_or_default();
            let items = range.spec.as_ref().map(|spec| spec.limits.as_slice());
            match self.limits.remove(&place) {
                Some(wanted) if items.is_some_and(|items| is_item(items, &wanted)) => {}
                Some(wanted) => plan.actions.push(Action::patch(
                    Site::Cluster,
                    reference::<LimitRange>(&range.metadata),
                    json!({"spec": {"limits": [wanted]}}),
                )),
                None => plan.actions.push(Action::delete(
                    Site::Cluster,
                    reference::<LimitRange>(&range.metadata),
                )),
            }
        }
        for (place, item) in self.limits {
            let range = LimitRange {
                metadata: meta(&place),
                spec: Some(LimitRangeSpec { limits: vec![item] }),
            };
            plan.actions.push(Action::create(Site::Cluster, &range));
        }
    }
}

/// Amounts are compared as amounts: an API server may write them in another form.
fn same(one: &BTreeMap<String, Quantity>, other: &BTreeMap<String, Quantity>) -> bool {
    let canonical = |amounts: &BTreeMap<String, Quantity>| -> Vec<(String, Option<String>)> {
        amounts
            .iter()
            .map(|(key, amount)| {
                let amount = drover_types::quantity::Quantity::parse(&amount.0);
                (key.clone(), amount.map(|amount| amount.to_string()))
            })
            .collect()
    };
    canonical(one) == canonical(other)
}

/// The limits we set are as wanted; what Kubernetes added to them by itself does not count.
fn is_item(items: &[LimitRangeItem], wanted: &LimitRangeItem) -> bool {
    let empty = BTreeMap::new();
    let covers = |found: &Option<BTreeMap<String, Quantity>>,
                  wanted: &Option<BTreeMap<String, Quantity>>| {
        let found = found.as_ref().unwrap_or(&empty);
        let wanted = wanted.as_ref().unwrap_or(&empty);
        let of_wanted: BTreeMap<String, Quantity> = found
            .iter()
            .filter(|(key, _)| wanted.contains_key(*key))
            .map(|(key, amount)| (key.clone(), amount.clone()))
            .collect();
        same(&of_wanted, wanted)
    };
    match items {
        [item] => {
            item.type_ == wanted.type_
                && covers(&item.default, &wanted.default)
                && covers(&item.default_request, &wanted.default_request)
        }
        _ => false,
    }
}

/// A merge patch that leaves exactly `wanted`.
fn replaced(
    before: Option<&BTreeMap<String, Quantity>>,
    wanted: &BTreeMap<String, Quantity>,
) -> Value {
    let mut patch = serde_json::Map::new();
    for key in before.into_iter().flatten().map(|(key, _)| key) {
        patch.insert(key.clone(), Value::Null);
    }
    for (key, amount) in wanted {
        patch.insert(key.clone(), json!(amount.0));
    }
    Value::Object(patch)
}

fn reference<K: kube::Resource<DynamicType = ()>>(meta: &ObjectMeta) -> Reference {
    Reference::new::<K>(
        meta.namespace.as_deref(),
        meta.name.as_deref().unwrap_or_default(),
    )
}

fn meta(namespace: &str) -> ObjectMeta {
    ObjectMeta {
        name: Some(NAME.to_owned()),
        namespace: Some(namespace.to_owned()),
        labels: Some([(LABEL.to_owned(), "true".to_owned())].into()),
        ..ObjectMeta::default()
    }
}

/// Looks after quotas; keys are cluster ids.
pub(crate) struct Quotas {
    pub(crate) client: Client,
    pub(crate) downstream: Arc<dyn Downstream>,
    pub(crate) board: Arc<Board>,
    pub(crate) clock: drover_auth::Clock,
}

impl Controller for Quotas {
    const NAME: &'static str = "quotas";

    async fn look(&self, id: &str) -> Result<Option<Timestamp>, LookError> {
        let facts = self.board.get(id);
        if !facts.is_usable() {
            return Ok(None);
        }
        let cluster = Api::<Cluster>::all(self.client.clone()).get_opt(id).await?;
        if cluster.is_none_or(|cluster| cluster.metadata.deletion_timestamp.is_some()) {
            return Ok(None);
        }
        let all = ListParams::default();
        let projects = Api::<Project>::namespaced(self.client.clone(), id);
        let client = if id == LOCAL_CLUSTER {
            self.client.clone()
        } else {
            self.downstream.client(id).await?
        };
        let ours = ListParams::default().labels(&format!("{LABEL}=true"));
        let namespaces = Api::<Namespace>::all(client.clone()).list(&all).await?;
        let observed = Observed {
            projects: projects.list(&all).await?.items,
            namespaces: namespaces
                .items
                .into_iter()
                .map(|namespace| namespace.metadata)
                .collect(),
            quotas: Api::<ResourceQuota>::all(client.clone())
                .list(&ours)
                .await?
                .items,
            limits: Api::<LimitRange>::all(client.clone())
                .list(&ours)
                .await?
                .items,
        };
        Sites {
            hub: self.client.clone(),
            cluster: Some(client),
        }
        .execute(&reconcile(&observed, id, self.clock.now()))
        .await?;
        Ok(None)
    }
}

#[cfg(test)]
mod tests;
