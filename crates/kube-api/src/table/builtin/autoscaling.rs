//! What tables show of autoscalers.

use serde_json::{Value, json};

use super::super::{Column, Row};
use super::{AGE, NAME, or_none, text};

pub(super) const AUTOSCALER: &[Column] = &[
    NAME,
    text("Reference"),
    text("Targets"),
    text("MinPods"),
    text("MaxPods"),
    text("Replicas"),
    AGE,
];

pub(super) fn autoscaler(row: &Row<'_>) -> Vec<Value> {
    const SHOWN: usize = 2;
    let target = format!(
        "{}/{}",
        row.text_or("/spec/scaleTargetRef/kind", ""),
        row.text_or("/spec/scaleTargetRef/name", "")
    );
    let minimum = row
        .integer("/spec/minReplicas")
        .map_or_else(|| "<unset>".to_owned(), |minimum| minimum.to_string());
    let metrics = metrics(row);
    let metrics = if metrics.len() > SHOWN {
        format!(
            "{} + {} more...",
            metrics[..SHOWN].join(", "),
            metrics.len() - SHOWN
        )
    } else {
        or_none(metrics.join(", "))
    };
    vec![
        row.name(),
        json!(target),
        json!(metrics),
        json!(minimum),
        row.number("/spec/maxReplicas"),
        row.number("/status/currentReplicas"),
        row.age(),
    ]
}

fn metrics(row: &Row<'_>) -> Vec<String> {
    if row.at("/spec/targetCPUUtilizationPercentage").is_some()
        || row.object["apiVersion"] == "autoscaling/v1"
    {
        let percent = |path: &str, none: &str| {
            row.integer(path)
                .map_or_else(|| none.to_owned(), |value| format!("{value}%"))
        };
        return match row.at("/spec/targetCPUUtilizationPercentage") {
            None => Vec::new(),
            Some(_) => vec![format!(
                "cpu: {}/{}",
                percent("/status/currentCPUUtilizationPercentage", "<unknown>"),
                percent("/spec/targetCPUUtilizationPercentage", "<auto>")
            )],
        };
    }
    let statuses = row.items("/status/currentMetrics").collect::<Vec<_>>();
    row.items("/spec/metrics")
        .enumerate()
        .map(|(index, metric)| one_metric(metric, statuses.get(index).copied()))
        .collect()
}

fn one_metric(metric: &Value, status: Option<&Value>) -> String {
    let (field, named) = match metric["type"].as_str().unwrap_or_default() {
        "External" => ("external", false),
        "Pods" => ("pods", false),
        "Object" => ("object", false),
        "Resource" => ("resource", true),
        "ContainerResource" => ("containerResource", true),
        _ => return "<unknown type>".to_owned(),
    };
    let source = &metric[field];
    let target = &source["target"];
    let current = status.map(|status| &status[field]["current"]);
    let current_text = |name: &str| {
        current
            .and_then(|current| current[name].as_str())
            .unwrap_or("<unknown>")
            .to_owned()
    };
    let prefix = if named {
        format!("{}: ", source["name"].as_str().unwrap_or_default())
    } else {
        String::new()
    };
    let average = target["averageValue"].as_str();
    match (average, named, field) {
        (Some(average), true, _) | (Some(average), _, "pods") => {
            format!("{prefix}{}/{average}", current_text("averageValue"))
        }
        (Some(average), ..) => format!("{}/{average} (avg)", current_text("averageValue")),
        (None, true, _) => {
            let now = current.and_then(|current| current["averageUtilization"].as_i64());
            let now = now.map_or_else(|| "<unknown>".to_owned(), |now| format!("{now}%"));
            let wanted = target["averageUtilization"]
                .as_i64()
                .map_or_else(|| "<auto>".to_owned(), |wanted| format!("{wanted}%"));
            format!("{prefix}{now}/{wanted}")
        }
        (None, false, _) => format!(
            "{}/{}",
            current_text("value"),
            target["value"].as_str().unwrap_or("0")
        ),
    }
}
