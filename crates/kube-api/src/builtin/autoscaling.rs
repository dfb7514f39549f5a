//! HorizontalPodAutoscalers in their first version.
//!
//! The second version is stored. What the first cannot say travels in annotations, as kubernetes
//! `pkg/apis/autoscaling/v1/conversion.go` (v1.36) has it.

use serde_json::{Map, Value, json};

use crate::registry::Convert;

/// Annotation, then where its JSON belongs in the stored form.
const ANNOTATIONS: [(&str, &str, &str); 4] = [
    ("autoscaling.alpha.kubernetes.io/metrics", "spec", "metrics"),
    (
        "autoscaling.alpha.kubernetes.io/behavior",
        "spec",
        "behavior",
    ),
    (
        "autoscaling.alpha.kubernetes.io/current-metrics",
        "status",
        "currentMetrics",
    ),
    (
        "autoscaling.alpha.kubernetes.io/conditions",
        "status",
        "conditions",
    ),
];

/// `autoscaling/v1`.
#[derive(Debug, Clone, Copy)]
pub(super) struct FirstVersion;

fn part<'o>(object: &'o mut Value, name: &str) -> Option<&'o mut Map<String, Value>> {
    object.get_mut(name).and_then(Value::as_object_mut)
}

fn cpu(metric: &Value) -> bool {
    metric["type"] == "Resource" && metric["resource"]["name"] == "cpu"
}

impl Convert for FirstVersion {
    fn to_storage(&self, object: &mut Value) {
        for (annotation, parent, member) in ANNOTATIONS {
            let Some(annotations) = object
                .pointer_mut("/metadata/annotations")
                .and_then(Value::as_object_mut)
            else {
                break;
            };
            let Some(Value::String(text)) = annotations.remove(annotation) else {
                continue;
            };
            if let (Ok(value), Some(parent)) = (serde_json::from_str(&text), part(object, parent)) {
                parent.insert(member.to_owned(), value);
            }
        }
        if let Some(metadata) = part(object, "metadata")
            && metadata
                .get("annotations")
                .and_then(Value::as_object)
                .is_some_and(Map::is_empty)
        {
            metadata.remove("annotations");
        }
        if let Some(spec) = part(object, "spec")
            && let Some(target) = spec.remove("targetCPUUtilizationPercentage")
        {
            let metric = json!({
                "type": "Resource",
                "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": target}},
            });
            match spec.entry("metrics").or_insert_with(|| json!([])) {
                Value::Array(metrics) => metrics.insert(0, metric),
                other => *other = json!([metric]),
            }
        }
        if let Some(status) = part(object, "status")
            && status.get("currentReplicas") == Some(&json!(0))
        {
            status.remove("currentReplicas");
        }
        if let Some(status) = part(object, "status")
            && let Some(current) = status.remove("currentCPUUtilizationPercentage")
        {
            let metric = json!({
                "type": "Resource",
                "resource": {"name": "cpu", "current": {"averageUtilization": current, "averageValue": "0"}},
            });
            match status.entry("currentMetrics").or_insert_with(|| json!([])) {
                Value::Array(metrics) => metrics.insert(0, metric),
                other => *other = json!([metric]),
            }
        }
    }

    fn of_storage(&self, object: &mut Value) {
        let mut target = None;
        if let Some(metrics) = object
            .pointer_mut("/spec/metrics")
            .and_then(Value::as_array_mut)
        {
            let found = metrics.iter().position(|metric| {
                cpu(metric)
                    && metric
                        .pointer("/resource/target/averageUtilization")
                        .is_some_and(Value::is_number)
            });
            target = found.map(|index| {
                metrics.remove(index)["resource"]["target"]["averageUtilization"].take()
            });
        }
        let mut current = None;
        if let Some(metrics) = object
            .pointer_mut("/status/currentMetrics")
            .and_then(Value::as_array_mut)
        {
            current = metrics
                .iter()
                .find(|metric| cpu(metric))
                .and_then(|metric| metric.pointer("/resource/current/averageUtilization"))
                .cloned();
        }
        for (parent, member, value) in [
            ("spec", "targetCPUUtilizationPercentage", target),
            ("status", "currentCPUUtilizationPercentage", current),
        ] {
            if let (Some(parent), Some(value)) = (part(object, parent), value) {
                parent.insert(member.to_owned(), value);
            }
        }
        // The first version always says how many there are.
        if let Some(status) = part(object, "status") {
            for member in ["currentReplicas", "desiredReplicas"] {
                status.entry(member).or_insert_with(|| json!(0));
            }
        }
        for (annotation, parent, member) in ANNOTATIONS {
            let Some(value) = part(object, parent).and_then(|parent| parent.remove(member)) else {
                continue;
            };
            let empty = value.is_null() || value.as_array().is_some_and(Vec::is_empty);
            if empty {
                continue;
            }
            let Some(metadata) = part(object, "metadata") else {
                return;
            };
            if let Some(annotations) = metadata
                .entry("annotations")
                .or_insert_with(|| json!({}))
                .as_object_mut()
            {
                annotations.insert(annotation.to_owned(), json!(value.to_string()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_version_keeps_what_it_cannot_say() {
        let stored = json!({
            "metadata": {"name": "h"},
            "spec": {
                "maxReplicas": 3,
                "metrics": [
                    {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}},
                    {"type": "Resource", "resource": {"name": "memory", "target": {"type": "AverageValue", "averageValue": "1Gi"}}},
                ],
                "behavior": {"scaleUp": {"selectPolicy": "Max"}},
            },
            "status": {"currentReplicas": 1, "desiredReplicas": 1},
        });
        let mut object = stored.clone();
        FirstVersion.of_storage(&mut object);
        assert_eq!(object["spec"]["targetCPUUtilizationPercentage"], 70);
        assert!(object["spec"].get("metrics").is_none());
        FirstVersion.to_storage(&mut object);
        assert_eq!(object, stored);
    }
}
