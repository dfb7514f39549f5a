//! What Services lead to, as annotations say it: pods of workloads, other names.
//!
//! Pure. The annotations and the label of pods are the peer's (rancher/rancher `managementagent`), so that its agent
//! finds what it would make itself.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// Annotation with the workloads whose pods a Service leads to, as a list in JSON.
pub const WORKLOADS: &str = "field.cattle.io/targetWorkloadIds";
/// Annotation with other names that a name stands for, as a list in JSON.
pub const RECORDS: &str = "field.cattle.io/targetDnsRecordIds";
/// Annotation of a Service whose pods are found by its own labels, whatever the others say.
pub const NO_LABELS: &str = "workload.cattle.io/targetWorkloadIdNoop";

/// What labels of pods begin with by which a Service finds the pods of several workloads.
pub const POD_LABEL_PREFIX: &str = "workloadID_";
/// The value of such labels.
pub const POD_LABEL_VALUE: &str = "true";
/// How long the name of a label may be.
const LONGEST_LABEL: usize = 63;

/// The list in an annotation; empty if it is none.
#[must_use]
pub fn listed(annotations: Option<&BTreeMap<String, String>>, name: &str) -> Vec<String> {
    let text = annotations.and_then(|annotations| annotations.get(name));
    text.and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default()
}

/// The label of pods by which a Service finds those of several workloads; `None` if its name is too long for one.
#[must_use]
pub fn pod_label(service: &str) -> Option<String> {
    let label = format!("{POD_LABEL_PREFIX}{service}");
    (!service.is_empty() && label.len() <= LONGEST_LABEL).then_some(label)
}

/// Kind and API version of workloads, by their word in identifiers.
#[must_use]
pub fn workload_of_word(word: &str) -> Option<(&'static str, &'static str)> {
    Some(match word {
        "deployment" => ("Deployment", "apps/v1"),
        "daemonset" => ("DaemonSet", "apps/v1"),
        "statefulset" => ("StatefulSet", "apps/v1"),
        "replicaset" => ("ReplicaSet", "apps/v1"),
        "replicationcontroller" => ("ReplicationController", "v1"),
        "job" => ("Job", "batch/v1"),
        "cronjob" => ("CronJob", "batch/v1"),
        _ => return None,
    })
}

/// Word, namespace and name in the identifier of a workload.
#[must_use]
pub fn workload_id(id: &str) -> Option<(&str, &str, &str)> {
    let mut parts = id.split(':');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(word), Some(namespace), Some(name), None)
            if workload_of_word(word).is_some() && !namespace.is_empty() && !name.is_empty() =>
        {
            Some((word, namespace, name))
        }
        _ => None,
    }
}

/// Namespace and name in the identifier of a name in DNS.
#[must_use]
pub fn record_id(id: &str) -> Option<(&str, &str)> {
    let (namespace, name) = id.trim().split_once(':')?;
    (!namespace.is_empty() && !name.is_empty() && !name.contains(':')).then_some((namespace, name))
}

/// The labels by which a workload finds its pods.
#[must_use]
pub fn selector(workload: &Value) -> Option<&Map<String, Value>> {
    let selector = workload
        .pointer("/spec/selector")
        .or_else(|| workload.pointer("/spec/jobTemplate/spec/selector"))?;
    // Replication controllers have nothing but labels.
    let labels = selector.get("matchLabels").unwrap_or(selector).as_object();
    labels.filter(|labels| !labels.is_empty() && labels.values().all(Value::is_string))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn identifiers_are_read_whole() {
        assert_eq!(
            workload_id("deployment:a:b"),
            Some(("deployment", "a", "b"))
        );
        for id in [
            "",
            "a:b",
            "pod:a:b",
            "deployment:a:",
            "deployment::b",
            "deployment:a:b:c",
        ] {
            assert_eq!(workload_id(id), None, "{id}");
        }
        assert_eq!(record_id("a:b"), Some(("a", "b")));
        for id in ["", "a", ":b", "a:", "a:b:c"] {
            assert_eq!(record_id(id), None, "{id}");
        }
    }

    #[test]
    fn names_are_labels_as_long_as_they_fit() {
        assert_eq!(pod_label("web").as_deref(), Some("workloadID_web"));
        assert!(pod_label(&"x".repeat(52)).is_some());
        assert!(pod_label(&"x".repeat(53)).is_none());
        assert!(pod_label("").is_none());
    }

    #[test]
    fn workloads_find_pods_by_their_labels() {
        let labels = |workload: Value| selector(&workload).cloned().map(Value::Object);
        let found = Some(json!({ "a": "b" }));
        assert_eq!(
            labels(json!({"spec": {"selector": {"matchLabels": {"a": "b"}}}})),
            found
        );
        assert_eq!(labels(json!({"spec": {"selector": {"a": "b"}}})), found);
        assert_eq!(
            labels(json!({"spec": {"selector": {"matchLabels": {}}}})),
            None
        );
        assert_eq!(
            labels(json!({"spec": {"selector": {"matchExpressions": []}}})),
            None
        );
        assert_eq!(labels(json!({"spec": {}})), None);
    }

    #[test]
    fn what_is_no_list_is_empty() {
        let annotations = |text: &str| BTreeMap::from([(WORKLOADS.to_owned(), text.to_owned())]);
        assert_eq!(listed(Some(&annotations("[\"a\"]")), WORKLOADS), ["a"]);
        for text in ["", "a", "{}", "[1]"] {
            assert!(listed(Some(&annotations(text)), WORKLOADS).is_empty());
        }
        assert!(listed(None, WORKLOADS).is_empty());
    }
}
