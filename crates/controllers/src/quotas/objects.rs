//! The ResourceQuotas and LimitRanges that namespaces are to have, compared with those that are there.

use std::collections::BTreeMap;

use drover_types::management::Project;
use k8s_openapi::api::core::v1::{
    LimitRange, LimitRangeItem, LimitRangeSpec, ResourceQuota, ResourceQuotaSpec,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Value, json};

use super::{LABEL, LIMITS_ANNOTATION, Observed, from_annotation, spec};
use crate::plan::{Action, Plan, Reference, Site};

/// Name of both objects; the peer makes one up.
const NAME: &str = "default-quota";

/// What each namespace is to have.
#[derive(Default)]
pub(super) struct Wanted {
    pub(super) quotas: BTreeMap<String, BTreeMap<String, Quantity>>,
    pub(super) limits: BTreeMap<String, LimitRangeItem>,
}

/// The defaults of a namespace's containers: its own, where it says something, else its project's.
pub(super) fn containers(project: &Project, namespace: &ObjectMeta) -> Option<LimitRangeItem> {
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

impl Wanted {
    /// Compares with what is there.
    pub(super) fn write(mut self, observed: &Observed, plan: &mut Plan) {
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

pub(super) fn meta(namespace: &str) -> ObjectMeta {
    ObjectMeta {
        name: Some(NAME.to_owned()),
        namespace: Some(namespace.to_owned()),
        labels: Some([(LABEL.to_owned(), "true".to_owned())].into()),
        ..ObjectMeta::default()
    }
}
