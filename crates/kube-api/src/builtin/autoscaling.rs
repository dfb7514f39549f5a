//! HorizontalPodAutoscalers in their first version.
//!
//! The second version is stored. What the first cannot say travels in annotations, as kubernetes
//! `pkg/apis/autoscaling/v1/conversion.go` (v1.36) has it.

mod first;

use serde_json::{Map, Value, json};

use self::first::Told;
use crate::registry::Convert;

/// What annotations of the first version are called by.
const METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";
const BEHAVIOR: &str = "autoscaling.alpha.kubernetes.io/behavior";
const CURRENT: &str = "autoscaling.alpha.kubernetes.io/current-metrics";
const CONDITIONS: &str = "autoscaling.alpha.kubernetes.io/conditions";

/// The share of a processor that pods get to use if nothing else is said.
const USUAL_SHARE: i64 = 80;

fn share_of_cpu(share: Value) -> Value {
    let mut metric = json!({
        "type": "Resource",
        "resource": {"name": "cpu", "target": {"type": "Utilization"}},
    });
    metric["resource"]["target"]["averageUtilization"] = share;
    metric
}

/// `autoscaling/v1`.
#[derive(Debug, Clone, Copy)]
pub(super) struct FirstVersion;

fn part<'o>(object: &'o mut Value, name: &str) -> Option<&'o mut Map<String, Value>> {
    object.get_mut(name).and_then(Value::as_object_mut)
}

fn cpu(metric: &Value) -> bool {
    metric["type"] == "Resource" && metric["resource"]["name"] == "cpu"
}

/// Whether the first version has a field for a metric.
fn has_field(metric: &Value) -> bool {
    let share = metric.pointer("/resource/target/averageUtilization");
    cpu(metric) && share.is_some_and(Value::is_number)
}

/// Takes the annotations of the first version off an object.
fn take_annotations(object: &mut Value) -> [Option<String>; 4] {
    let Some(metadata) = part(object, "metadata") else {
        return [const { None }; 4];
    };
    let held = metadata
        .get_mut("annotations")
        .and_then(Value::as_object_mut);
    let Some(held) = held else {
        return [const { None }; 4];
    };
    let taken = [METRICS, BEHAVIOR, CURRENT, CONDITIONS].map(|name| match held.remove(name) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    });
    if held.is_empty() {
        metadata.remove("annotations");
    }
    taken
}

impl Convert for FirstVersion {
    fn to_storage(&self, object: &mut Value) {
        let [metrics, behavior, current, conditions] = take_annotations(object);
        if let Some(spec) = part(object, "spec") {
            let others = metrics.and_then(|text| first::stored_metrics(&text, Told::Wanted));
            let mut metrics = others.unwrap_or_default();
            let share = spec.remove("targetCPUUtilizationPercentage");
            metrics.extend(share.map(share_of_cpu));
            if metrics.is_empty() {
                metrics.push(share_of_cpu(json!(USUAL_SHARE)));
            }
            spec.insert("metrics".to_owned(), metrics.into());
            if let Some(behavior) = behavior.and_then(|text| first::stored_behavior(&text)) {
                spec.insert("behavior".to_owned(), behavior);
            }
        }
        let current = current.and_then(|text| first::stored_metrics(&text, Told::Current));
        let conditions = conditions.and_then(|text| serde_json::from_str::<Value>(&text).ok());
        if (current.is_some() || conditions.is_some()) && !object["status"].is_object() {
            object["status"] = json!({});
        }
        let Some(status) = part(object, "status") else {
            return;
        };
        if status.get("currentReplicas") == Some(&json!(0)) {
            status.remove("currentReplicas");
        }
        let percentage = status.remove("currentCPUUtilizationPercentage");
        let only = percentage.map(|current| {
            let metric = json!({
                "type": "Resource",
                "resource": {"name": "cpu", "current": {"averageUtilization": current, "averageValue": "0"}},
            });
            vec![metric]
        });
        if let Some(current) = current.or(only) {
            status.insert("currentMetrics".to_owned(), current.into());
        }
        if let Some(conditions) = conditions.filter(Value::is_array) {
            status.insert("conditions".to_owned(), conditions);
        }
    }

    fn of_storage(&self, object: &mut Value) {
        // The stored form has none of its own.
        take_annotations(object);
        let mut annotations = Map::new();
        let mut tell = |name: &str, text: String| annotations.insert(name.to_owned(), text.into());
        if let Some(spec) = part(object, "spec") {
            let metrics = spec.remove("metrics").unwrap_or_default();
            let metrics = metrics.as_array().map_or(&[][..], Vec::as_slice);
            let (own, others): (Vec<&Value>, Vec<&Value>) =
                metrics.iter().partition(|metric| has_field(metric));
            if let Some(own) = own.first() {
                let target = own["resource"]["target"]["averageUtilization"].clone();
                spec.insert("targetCPUUtilizationPercentage".to_owned(), target);
            }
            if !others.is_empty() {
                tell(METRICS, first::metrics(&others, Told::Wanted));
            }
            if let Some(behavior) = spec.remove("behavior").filter(Value::is_object) {
                tell(BEHAVIOR, first::behavior(&behavior));
            }
        }
        if let Some(status) = part(object, "status") {
            let metrics = status.remove("currentMetrics").unwrap_or_default();
            let metrics: Vec<&Value> = metrics.as_array().into_iter().flatten().collect();
            let share = metrics
                .iter()
                .filter(|metric| cpu(metric))
                .find_map(|metric| {
                    metric
                        .pointer("/resource/current/averageUtilization")
                        .cloned()
                });
            if let Some(share) = share {
                status.insert("currentCPUUtilizationPercentage".to_owned(), share);
            }
            if !metrics.is_empty() {
                tell(CURRENT, first::metrics(&metrics, Told::Current));
            }
            let conditions = status.remove("conditions").unwrap_or_default();
            if conditions.as_array().is_some_and(|list| !list.is_empty()) {
                tell(CONDITIONS, first::conditions(&conditions));
            }
            // The first version always says how many there are.
            for member in ["currentReplicas", "desiredReplicas"] {
                status.entry(member).or_insert_with(|| json!(0));
            }
        }
        if annotations.is_empty() {
            return;
        }
        if let Some(metadata) = part(object, "metadata")
            && let Some(held) = metadata
                .entry("annotations")
                .or_insert_with(|| json!({}))
                .as_object_mut()
        {
            held.extend(annotations);
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
                    {"type": "Resource", "resource": {"name": "memory", "target": {"type": "AverageValue", "averageValue": "1Gi"}}},
                    {"type": "External", "external": {"metric": {"name": "m", "selector": {}}, "target": {"type": "Value", "value": "3"}}},
                    {"type": "Object", "object": {"metric": {"name": "m"}, "describedObject": {"kind": "A", "name": "a"}, "target": {"type": "Value", "value": "3"}}},
                    {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}},
                ],
                "behavior": {"scaleUp": {"selectPolicy": "Max"}},
            },
            "status": {"currentReplicas": 1, "desiredReplicas": 1},
        });
        let mut object = stored.clone();
        FirstVersion.of_storage(&mut object);
        assert_eq!(object["spec"]["targetCPUUtilizationPercentage"], 70);
        assert!(object["spec"].get("metrics").is_none());
        let text = object["metadata"]["annotations"][METRICS].as_str().unwrap();
        assert!(
            text.starts_with(
                r#"[{"type":"Resource","resource":{"name":"memory","targetAverageValue":"1Gi"}}"#
            ),
            "{text}"
        );
        FirstVersion.to_storage(&mut object);
        assert_eq!(object, stored);
    }
}
