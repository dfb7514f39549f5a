//! The label of pods by which a Service finds those of several workloads.

use std::collections::{BTreeMap, BTreeSet};

use drover_types::targets::{POD_LABEL_PREFIX, POD_LABEL_VALUE, pod_label, workload_id};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt as _;
use serde_json::{Map, Value, json};

use super::{Observed, aimed_at, several};
use crate::plan::{Action, Plan, Reference, Site};

/// Labels of pods in one namespace.
#[derive(Default)]
struct Wanted<'a> {
    /// By label, what labels of their own those pods have.
    selectors: BTreeMap<String, Vec<&'a BTreeMap<String, String>>>,
    /// Of Services of one workload, whose label the peer's agent may have put there.
    others: BTreeSet<String>,
}

impl Wanted<'_> {
    /// What is to change of a pod's labels.
    fn change(&self, labels: &BTreeMap<String, String>) -> Map<String, Value> {
        let is_chosen = |selector: &&BTreeMap<String, String>| {
            let mut wanted = selector.iter();
            wanted.all(|(key, value)| labels.get(key) == Some(value))
        };
        let mut change = Map::new();
        for (label, selectors) in &self.selectors {
            let has = labels.contains_key(label);
            let is_wanted = selectors.iter().any(is_chosen);
            if is_wanted != has {
                let value = is_wanted.then_some(POD_LABEL_VALUE);
                change.insert(label.clone(), json!(value));
            }
        }
        for (label, value) in labels {
            let is_ours = label.starts_with(POD_LABEL_PREFIX) && value == POD_LABEL_VALUE;
            let is_known = self.selectors.contains_key(label) || self.others.contains(label);
            if is_ours && !is_known {
                change.insert(label.clone(), Value::Null);
            }
        }
        change
    }
}

/// Puts labels on pods, and takes them from those that are led to no more.
pub(super) fn label(observed: &Observed, plan: &mut Plan) {
    let mut wanted: BTreeMap<String, Wanted<'_>> = BTreeMap::new();
    for service in &observed.services {
        let namespace = service.namespace().unwrap_or_default();
        let Some(label) = pod_label(&service.name_any()) else {
            continue;
        };
        let workloads = several(service);
        let here = wanted.entry(namespace.clone()).or_default();
        if workloads.is_empty() {
            if !aimed_at(service).is_empty() {
                here.others.insert(label);
            }
            continue;
        }
        let is_here =
            |id: &&String| workload_id(id).is_some_and(|(_, place, _)| place == namespace);
        let selectors = workloads.iter().filter(is_here);
        let selectors = selectors.filter_map(|id| observed.workloads.get(id));
        here.selectors.insert(label, selectors.collect());
    }
    let nothing = Wanted::default();
    for pod in &observed.pods {
        let namespace = pod.namespace.as_deref().unwrap_or_default();
        let wanted = wanted.get(namespace).unwrap_or(&nothing);
        plan.actions.extend(relabel(pod, wanted));
    }
}

fn relabel(pod: &ObjectMeta, wanted: &Wanted<'_>) -> Option<Action> {
    let empty = BTreeMap::new();
    let change = wanted.change(pod.labels.as_ref().unwrap_or(&empty));
    if change.is_empty() || pod.deletion_timestamp.is_some() {
        return None;
    }
    let name = pod.name.as_deref().unwrap_or_default();
    let target = Reference::new::<Pod>(pod.namespace.as_deref(), name);
    // No other pod that took its name.
    let patch = json!({ "metadata": { "uid": pod.uid, "labels": change } });
    Some(Action::patch(Site::Cluster, target, patch))
}
