//! Autoscalers: the workload they scale, and metrics in the peer's flat words.

use drover_auth::web::ApiError;
use drover_types::targets;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::workload_id;
use crate::call::Item;
use crate::mapping;
use crate::paths::{at, copy, put};

/// What people call it; the object's own name is made up.
const NAME: &str = "field.cattle.io/displayName";
/// How long a new one may find no metrics before that is an error.
const FIRST: SignedDuration = SignedDuration::from_secs(60);

/// What a kind of metric says in fields of its own, beside `target`.
fn own(kind: &str) -> Option<(&'static str, &'static [(&'static str, &'static str)])> {
    const METRIC: &[(&str, &str)] = &[("name", "metric/name"), ("selector", "metric/selector")];
    const OBJECT: &[(&str, &str)] = &[
        ("name", "metric/name"),
        ("selector", "metric/selector"),
        ("describedObject", "describedObject"),
    ];
    match kind {
        "Resource" => Some(("resource", &[("name", "name")])),
        "Pods" => Some(("pods", METRIC)),
        "External" => Some(("external", METRIC)),
        "Object" => Some(("object", OBJECT)),
        _ => None,
    }
}

pub(super) fn view(view: &mut Value) {
    let name = view["metadata"]["annotations"][NAME].as_str();
    let name = name.unwrap_or_else(|| mapping::name(view)).to_owned();
    view["spec"]["displayName"] = json!(name);
    let target = at(view, "spec/scaleTargetRef").cloned().unwrap_or_default();
    put(view, "spec/scaleTargetRef", Value::Null);
    if let (Some(kind), Some(name)) = (target["kind"].as_str(), target["name"].as_str()) {
        let namespace = mapping::namespace(view).unwrap_or_default();
        let id = format!("{}:{namespace}:{name}", kind.to_ascii_lowercase());
        view["spec"]["workloadId"] = json!(id);
    }
    let current = at(view, "status/currentMetrics")
        .cloned()
        .unwrap_or_default();
    let metrics = view
        .pointer_mut("/spec/metrics")
        .and_then(Value::as_array_mut);
    for (index, metric) in metrics.into_iter().flatten().enumerate() {
        let kind = metric["type"].as_str().unwrap_or_default().to_owned();
        let Some((part, fields)) = own(&kind) else {
            continue;
        };
        let mut shown = json!({ "type": kind });
        for (field, place) in fields.iter().chain(&[("target", "target")]) {
            copy(&metric[part], place, &mut shown, field);
        }
        let now = current
            .get(index)
            .filter(|now| now["type"] == kind.as_str());
        if let Some(now) = now {
            copy(&now[part], "current", &mut shown, "current");
        }
        *metric = shown;
    }
}

pub(super) fn store(mut view: Value) -> Result<Value, ApiError> {
    let name = at(&view, "spec/displayName").cloned().unwrap_or_default();
    put(&mut view, "spec/displayName", Value::Null);
    // Whoever made it elsewhere has given it no other name than its own.
    if name != mapping::name(&view) {
        let annotations = &mut view["metadata"]["annotations"];
        if let Some(all) = annotations.as_object_mut() {
            all.remove(NAME);
        }
        if name.as_str().is_some_and(|name| !name.is_empty()) {
            annotations[NAME] = name;
        }
    }
    let id = at(&view, "spec/workloadId")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    put(&mut view, "spec/workloadId", Value::Null);
    view["spec"]["scaleTargetRef"] = target(&id, mapping::namespace(&view))?;
    let metrics = view
        .pointer_mut("/spec/metrics")
        .and_then(Value::as_array_mut);
    for metric in metrics.into_iter().flatten() {
        put(metric, "current", Value::Null);
        let kind = metric["type"].as_str().unwrap_or_default().to_owned();
        let Some((part, fields)) = own(&kind) else {
            continue;
        };
        let mut kept = json!({ "type": kind });
        for (field, place) in fields.iter().chain(&[("target", "target")]) {
            copy(metric, field, &mut kept, &format!("{part}/{place}"));
        }
        *metric = kept;
    }
    Ok(view)
}

fn target(id: &str, namespace: Option<&str>) -> Result<Value, ApiError> {
    let (word, place, name) = workload_id(id, "workloadId")?;
    let (kind, version) = targets::workload_of_word(word)
        .filter(|_| Some(place) == namespace)
        .ok_or_else(|| {
            ApiError::invalid(
                "InvalidReference",
                format!(
                    "{id} is not in the namespace {}",
                    namespace.unwrap_or_default()
                ),
            )
            .with_field("workloadId")
        })?;
    Ok(json!({"apiVersion": version, "kind": kind, "name": name}))
}

pub(super) fn amend(object: &Value, now: Timestamp, item: &mut Item) {
    let conditions = at(object, "status/conditions").and_then(Value::as_array);
    let none = conditions.is_none_or(Vec::is_empty);
    let created = object["metadata"]["creationTimestamp"]
        .as_str()
        .and_then(|text| text.parse::<Timestamp>().ok());
    let young = created.is_some_and(|created| now.duration_since(created) < FIRST);
    let finds_nothing = || {
        conditions.into_iter().flatten().any(|condition| {
            condition["type"] == "ScalingActive"
                && condition["status"] == "False"
                && condition["reason"] == "FailedGetResourceMetric"
        })
    };
    if none || (young && finds_nothing()) {
        item.insert("state".to_owned(), json!("initializing"));
        item.insert("transitioning".to_owned(), json!("yes"));
        item.insert("transitioningMessage".to_owned(), json!(""));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_of_every_kind_are_read_back() {
        let target = json!({"type": "AverageValue", "averageValue": "10"});
        let sent = json!({
            "metadata": {"namespace": "works-a", "annotations": {}},
            "spec": {
                "displayName": "hpa", "workloadId": "deployment:works-a:web", "maxReplicas": 3,
                "metrics": [
                    {"type": "Resource", "name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}},
                    {"type": "Pods", "name": "requests", "selector": {"matchLabels": {"a": "b"}}, "target": target},
                    {"type": "External", "name": "queue", "target": target},
                    {
                        "type": "Object", "name": "hits", "target": target,
                        "describedObject": {"kind": "Ingress", "name": "ing"},
                    },
                ],
            },
        });
        let kept = store(sent.clone()).unwrap();
        assert_eq!(
            kept["spec"]["scaleTargetRef"],
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"})
        );
        assert_eq!(
            kept["spec"]["metrics"][0],
            json!({"type": "Resource", "resource": {
                "name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70},
            }})
        );
        assert_eq!(
            kept["spec"]["metrics"][1]["pods"]["metric"],
            json!({"name": "requests", "selector": {"matchLabels": {"a": "b"}}})
        );
        let mut shown = kept.clone();
        shown["status"] = json!({"currentMetrics": [
            {"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 12}}},
            {"type": "External", "external": {"current": {"value": "1"}}},
        ]});
        view(&mut shown);
        assert_eq!(
            shown["spec"]["metrics"][0]["current"],
            json!({"averageUtilization": 12})
        );
        assert_eq!(
            shown["spec"]["metrics"][1].get("current"),
            None,
            "of another kind"
        );
        put(&mut shown, "status", Value::Null);
        assert_eq!(store(shown).unwrap(), kept);
    }

    #[test]
    fn it_is_called_by_its_own_name_where_nobody_named_it() {
        let object = json!({
            "metadata": {"name": "plain", "namespace": "works-a"},
            "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "db"}},
        });
        let mut shown = object.clone();
        view(&mut shown);
        assert_eq!(shown["spec"]["displayName"], "plain");
        assert_eq!(shown["spec"]["workloadId"], "statefulset:works-a:db");
        assert_eq!(store(shown).unwrap(), object);
    }

    #[test]
    fn it_scales_workloads_of_its_own_namespace_only() {
        for id in [
            "deployment:other:web",
            "pod:works-a:web",
            "web",
            "deployment::web",
        ] {
            let sent = json!({"metadata": {"namespace": "works-a"}, "spec": {"workloadId": id}});
            let error = store(sent).unwrap_err();
            assert_eq!(
                (error.code.as_ref(), error.field_name.as_deref()),
                ("InvalidReference", Some("workloadId"))
            );
        }
    }
}
