//! Pods, nodes and jobs: what creating them adds, graceful deletion; in the parts, binding and eviction.

mod actions;
mod eviction;
mod parts;
mod priority;

use serde_json::{Map, Value, json};

use crate::registry::keep;
use crate::rest::{Api, object};
pub(super) use actions::{action, subresource};
pub(super) use parts::{Part, PodPart};

/// A new pod is pending, of a class that follows from what it asks for.
pub(super) fn prepare_pod(pod: &mut Value, now: jiff::Timestamp) {
    let class = quality(pod);
    let Some(members) = pod.as_object_mut() else {
        return;
    };
    let mut status = json!({"phase": "Pending", "qosClass": class});
    let gated = members["spec"]["schedulingGates"]
        .as_array()
        .is_some_and(|gates| !gates.is_empty());
    if gated {
        status["conditions"] = json!([{
            "type": "PodScheduled", "status": "False", "reason": "SchedulingGated",
            "message": "Scheduling is blocked due to non-empty scheduling gates",
            "lastProbeTime": null, "lastTransitionTime": crate::clock::seconds(now),
        }]);
    }
    members.insert("status".to_owned(), status);
    let Some(spec) = members.get_mut("spec").and_then(Value::as_object_mut) else {
        return;
    };
    if let Some(account) = spec.get("serviceAccountName").cloned() {
        spec.insert("serviceAccount".to_owned(), account);
    } else if let Some(account) = spec.get("serviceAccount").cloned() {
        spec.insert("serviceAccountName".to_owned(), account);
    }
}

/// What admission adds to a pod: its priority, and that it tolerates a node's absence for five minutes unless it says
/// otherwise (kubernetes `plugin/pkg/admission/{defaulttolerationseconds,priority}`); why it is forbidden, if it is.
pub(super) fn complete(api: &Api, pod: &mut Value, old: Option<&Value>) -> Result<(), String> {
    match old {
        None => priority::set(api, pod)?,
        Some(old) if pod["spec"].is_object() => {
            for member in ["priority", "preemptionPolicy"] {
                if let (None, Some(held)) = (pod["spec"].get(member), old["spec"].get(member)) {
                    pod["spec"][member] = held.clone();
                }
            }
        }
        Some(_) => {}
    }
    if let Some(spec) = pod.get_mut("spec").and_then(Value::as_object_mut) {
        tolerate_absence(spec);
    }
    Ok(())
}

fn tolerate_absence(spec: &mut Map<String, Value>) {
    let Some(tolerations) = spec
        .entry("tolerations")
        .or_insert_with(|| json!([]))
        .as_array_mut()
    else {
        return;
    };
    for taint in [
        "node.kubernetes.io/not-ready",
        "node.kubernetes.io/unreachable",
    ] {
        let tolerated = tolerations.iter().any(|toleration| {
            let key = toleration["key"].as_str().unwrap_or_default();
            let effect = toleration["effect"].as_str().unwrap_or_default();
            (key == taint || key.is_empty()) && (effect == "NoExecute" || effect.is_empty())
        });
        if !tolerated {
            tolerations.push(json!({
                "key": taint, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300,
            }));
        }
    }
}

/// The list of addresses goes with the one address that older clients know (kubernetes `pkg/apis/core/v1/conversion.go`).
pub(super) fn complete_addresses(pod: &mut Value) {
    let Some(status) = pod.get_mut("status").and_then(Value::as_object_mut) else {
        return;
    };
    let one = status.get("podIP").cloned();
    let listed = status
        .get("podIPs")
        .and_then(|list| list.get(0)?.get("ip"))
        .cloned();
    match (one, listed) {
        (Some(one), listed) if listed.as_ref() != Some(&one) => {
            status.insert("podIPs".to_owned(), json!([{"ip": one}]));
        }
        (None, Some(listed)) => {
            status.insert("podIP".to_owned(), listed);
        }
        _ => {}
    }
}

/// What a writer of a pod's status leaves out stays: the class, and which generation was seen
/// (kubernetes `pkg/registry/core/pod/strategy.go`).
pub(super) fn keep_observed(pod: &mut Value, old: &Value) {
    let Some(status) = pod.get_mut("status").and_then(Value::as_object_mut) else {
        return;
    };
    let before = &old["status"];
    for member in ["qosClass", "observedGeneration"] {
        if let (None, Some(held)) = (status.get(member), before.get(member)) {
            status.insert(member.to_owned(), held.clone());
        }
    }
    let conditions = status.get_mut("conditions").and_then(Value::as_array_mut);
    for condition in conditions.into_iter().flatten() {
        let held = before["conditions"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|held| held["type"] == condition["type"])
            .and_then(|held| held.get("observedGeneration"));
        if let (Some(condition), Some(held)) = (condition.as_object_mut(), held) {
            condition
                .entry("observedGeneration")
                .or_insert_with(|| held.clone());
        }
    }
}

/// The quality-of-service class (kubernetes `pkg/apis/core/v1/helper/qos`): what the pod says as a whole decides, else
/// what its containers say.
fn quality(pod: &Value) -> &'static str {
    let lists: &[&str] = if pod["spec"]["resources"].is_object() {
        &[]
    } else {
        &["/spec/containers", "/spec/initContainers"]
    };
    let whole = lists.is_empty().then(|| &pod["spec"]);
    let containers = || {
        let listed = lists
            .iter()
            .filter_map(|list| pod.pointer(list).and_then(Value::as_array));
        listed.flatten().chain(whole)
    };
    let amount = |container: &Value, kind: &str, resource: &str| {
        container["resources"][kind]
            .get(resource)
            .filter(|amount| **amount != json!("0") && **amount != json!(0))
            .cloned()
    };
    let any = containers().any(|container| {
        ["requests", "limits"].iter().any(|kind| {
            ["cpu", "memory"]
                .iter()
                .any(|resource| amount(container, kind, resource).is_some())
        })
    });
    let guaranteed = containers().all(|container| {
        ["cpu", "memory"].iter().all(|resource| {
            let limit = amount(container, "limits", resource);
            limit.is_some() && amount(container, "requests", resource) == limit
        })
    });
    match (any, guaranteed) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}

/// A node that does not say that it is ready is marked so.
pub(super) fn prepare_node(node: &mut Value) {
    let ready = node
        .pointer("/status/conditions")
        .and_then(Value::as_array)
        .is_some_and(|conditions| {
            conditions
                .iter()
                .any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
        });
    if ready {
        return;
    }
    let Some(members) = node.as_object_mut() else {
        return;
    };
    let spec = members.entry("spec").or_insert_with(|| json!({}));
    let Some(taints) = spec
        .as_object_mut()
        .map(|spec| spec.entry("taints").or_insert_with(|| json!([])))
    else {
        return;
    };
    if let Some(taints) = taints.as_array_mut()
        && !taints
            .iter()
            .any(|taint| taint["key"] == "node.kubernetes.io/not-ready")
    {
        taints.push(json!({"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}));
    }
}

/// The labels of a job's pods, if it has none of its own.
pub(super) fn derived_job_labels(job: &Value) -> Option<Value> {
    let held = |pointer: &str| {
        let labels = job.pointer(pointer)?.as_object()?;
        (!labels.is_empty()).then(|| Value::from(labels.clone()))
    };
    match held("/metadata/labels") {
        Some(_) => None,
        None => held("/spec/template/metadata/labels"),
    }
}

/// Gives a job the selector and labels by which its pods are its own; one that has no labels itself gets those of its
/// pods (kubernetes `pkg/registry/batch/job/strategy.go`, v1.36).
pub(super) fn prepare_job(job: &mut Value, unlabelled: bool) {
    if job.pointer("/spec/manualSelector") == Some(&Value::Bool(true)) {
        return;
    }
    let (uid, name) = (
        object::meta(job, "uid").to_owned(),
        object::meta(job, "name").to_owned(),
    );
    if let Some(spec) = job.get_mut("spec").and_then(Value::as_object_mut) {
        // A selector that somebody brought without saying so is refused later, with this in it.
        let selector = spec.entry("selector").or_insert_with(|| json!({}));
        if !selector.is_object() {
            *selector = json!({});
        }
        if !selector["matchLabels"].is_object() {
            selector["matchLabels"] = json!({});
        }
        let labels = selector["matchLabels"].as_object_mut();
        let [controller, ..] = JOB_LABELS;
        labels.map(|labels| labels.entry(controller).or_insert_with(|| json!(uid)));
        if let Some(template) = spec.get_mut("template") {
            let [of_uid, of_name, old_of_uid, old_of_name] = JOB_LABELS;
            label(
                object::metadata_mut(template),
                &[
                    (of_uid, &uid),
                    (of_name, &name),
                    (old_of_uid, &uid),
                    (old_of_name, &name),
                ],
            );
        }
    }
    if unlabelled && let Some(labels) = job.pointer("/spec/template/metadata/labels").cloned() {
        object::metadata_mut(job).insert("labels".to_owned(), labels);
    }
}

/// What the pods of a job are labelled by: its uid and its name, each under its name of today and of long ago.
pub(super) const JOB_LABELS: [&str; 4] = [
    "batch.kubernetes.io/controller-uid",
    "batch.kubernetes.io/job-name",
    "controller-uid",
    "job-name",
];

fn label(metadata: &mut serde_json::Map<String, Value>, labels: &[(&str, &String)]) {
    if let Some(held) = metadata
        .entry("labels")
        .or_insert_with(|| json!({}))
        .as_object_mut()
    {
        for (key, value) in labels {
            // One that says something else is refused later.
            held.entry(*key).or_insert_with(|| json!(value));
        }
    }
}

/// An update without the selector that the server made keeps it.
pub(super) fn keep_job_selector(new: &mut Value, old: &Value) {
    let (Some(new), Some(old)) = (new.get_mut("spec"), old.get("spec")) else {
        return;
    };
    if new.get("selector").is_none() {
        keep(new, old, "selector");
    }
}

/// Seconds a pod on a node has to end; none if it never ran or is done.
pub(super) fn grace_period(pod: &Value, asked: Option<i64>) -> Option<i64> {
    let text = |pointer: &str| {
        pod.pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    if text("/spec/nodeName").is_empty() || matches!(text("/status/phase"), "Succeeded" | "Failed")
    {
        return Some(0);
    }
    let own = pod
        .pointer("/spec/terminationGracePeriodSeconds")
        .and_then(Value::as_i64)
        .unwrap_or(30);
    Some(asked.unwrap_or(own))
}

/// The selectable fields of pods that are not plain text.
pub(super) fn field(pod: &Value, path: &str) -> Option<String> {
    match path {
        "spec.hostNetwork" => {
            Some((pod.pointer("/spec/hostNetwork") == Some(&Value::Bool(true))).to_string())
        }
        "status.podIPs" => {
            let addresses = pod
                .pointer("/status/podIPs")
                .and_then(Value::as_array)
                .into_iter()
                .flatten();
            Some(
                addresses
                    .filter_map(|address| address["ip"].as_str())
                    .collect::<Vec<_>>()
                    .join(","),
            )
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quality_follows_requests_and_limits() {
        let pod = |resources: Value| json!({"spec": {"containers": [{"name": "c", "resources": resources}]}});
        assert_eq!(quality(&pod(json!({}))), "BestEffort");
        assert_eq!(
            quality(&pod(json!({"requests": {"cpu": "1"}}))),
            "Burstable"
        );
        let same = json!({"cpu": "1", "memory": "1Gi"});
        assert_eq!(
            quality(&pod(json!({"requests": same, "limits": same}))),
            "Guaranteed"
        );
    }

    #[test]
    fn a_pod_that_never_ran_goes_at_once() {
        assert_eq!(grace_period(&json!({"spec": {}}), None), Some(0));
        assert_eq!(
            grace_period(&json!({"spec": {"nodeName": "n"}}), None),
            Some(30)
        );
        assert_eq!(
            grace_period(&json!({"spec": {"nodeName": "n"}}), Some(0)),
            Some(0)
        );
    }
}
