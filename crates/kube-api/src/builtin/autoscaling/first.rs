//! Metrics, conditions and behaviour as annotations of the first version tell of them: in Go's order of members, metrics
//! in the form of that version (kubernetes `pkg/apis/autoscaling/v1/conversion.go`, v1.36).

use serde_json::{Map, Value, json};

/// The kinds of metrics, in the order of their members, each with what it is called by.
const KINDS: [&str; 5] = [
    "object",
    "pods",
    "resource",
    "containerResource",
    "external",
];

/// Whether what is wanted is told of, or what is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    Wanted,
    Current,
}

impl Told {
    /// The member of the stored form that holds amounts, and what names of the first version begin with.
    const fn member(self) -> &'static str {
        match self {
            Self::Wanted => "target",
            Self::Current => "current",
        }
    }
}

/// An object of JSON with its members in this order; those without a value are left out.
fn object(members: &[(&str, Option<String>)]) -> String {
    let told: Vec<String> = members
        .iter()
        .filter_map(|(name, value)| Some(format!("\"{name}\":{}", value.as_ref()?)))
        .collect();
    format!("{{{}}}", told.join(","))
}

fn list<'v>(value: &'v Value, told: impl Fn(&'v Value) -> String) -> String {
    let items: Vec<String> = value.as_array().into_iter().flatten().map(told).collect();
    format!("[{}]", items.join(","))
}

/// A member as it is, if it is there.
fn as_it_is(value: &Value, member: &str) -> Option<String> {
    value
        .get(member)
        .filter(|member| !member.is_null())
        .map(Value::to_string)
}

fn or_nothing(value: &Value, member: &str) -> Option<String> {
    as_it_is(value, member).or_else(|| Some("\"0\"".to_owned()))
}

fn or_empty(value: &Value, member: &str) -> Option<String> {
    as_it_is(value, member).or_else(|| Some("\"\"".to_owned()))
}

/// Metrics in the form of the first version.
pub(super) fn metrics(stored: &[&Value], told: Told) -> String {
    let items: Vec<String> = stored.iter().map(|stored| metric(stored, told)).collect();
    format!("[{}]", items.join(","))
}

fn metric(stored: &Value, told: Told) -> String {
    let mut members = vec![("type", or_empty(stored, "type"))];
    for kind in KINDS {
        let source = stored.get(kind).filter(|source| source.is_object());
        members.push((kind, source.map(|source| of_kind(kind, source, told))));
    }
    object(&members)
}

fn of_kind(kind: &str, source: &Value, told: Told) -> String {
    let amounts = &source[told.member()];
    let named = &source["metric"];
    let selector = as_it_is(named, "selector");
    let utilization = as_it_is(amounts, "averageUtilization");
    let average = as_it_is(amounts, "averageValue");
    let wanted = told == Told::Wanted;
    // What is always says how much.
    let average_of_resource = if wanted {
        average.clone()
    } else {
        or_nothing(amounts, "averageValue")
    };
    let [a_utilization, a_average, a_value] = match told {
        Told::Wanted => [
            "targetAverageUtilization",
            "targetAverageValue",
            "targetValue",
        ],
        Told::Current => [
            "currentAverageUtilization",
            "currentAverageValue",
            "currentValue",
        ],
    };
    match kind {
        "object" => {
            let target = &source["describedObject"];
            let target = object(&[
                ("kind", or_empty(target, "kind")),
                ("name", or_empty(target, "name")),
                ("apiVersion", as_it_is(target, "apiVersion")),
            ]);
            object(&[
                ("target", Some(target)),
                ("metricName", or_empty(named, "name")),
                (a_value, or_nothing(amounts, "value")),
                ("selector", selector),
                ("averageValue", average),
            ])
        }
        "pods" => object(&[
            ("metricName", or_empty(named, "name")),
            (a_average, or_nothing(amounts, "averageValue")),
            ("selector", selector),
        ]),
        "resource" => object(&[
            ("name", or_empty(source, "name")),
            (a_utilization, utilization),
            (a_average, average_of_resource),
        ]),
        "containerResource" => object(&[
            ("name", or_empty(source, "name")),
            (a_utilization, utilization),
            (a_average, average_of_resource),
            ("container", or_empty(source, "container")),
        ]),
        _ => object(&[
            ("metricName", or_empty(named, "name")),
            ("metricSelector", selector),
            (
                a_value,
                if wanted {
                    as_it_is(amounts, "value")
                } else {
                    or_nothing(amounts, "value")
                },
            ),
            (a_average, average),
        ]),
    }
}

/// Metrics of the first version in their stored form.
pub(super) fn stored_metrics(text: &str, told: Told) -> Option<Vec<Value>> {
    let metrics: Vec<Value> = serde_json::from_str(text).ok()?;
    Some(metrics.iter().map(|metric| stored(metric, told)).collect())
}

fn stored(metric: &Value, told: Told) -> Value {
    let mut out = json!({"type": metric["type"]});
    for kind in KINDS {
        if let Some(source) = metric.get(kind).filter(|source| source.is_object()) {
            out[kind] = stored_of_kind(kind, source, told);
        }
    }
    out
}

fn is_zero(amount: &Value) -> bool {
    matches!(amount.as_str(), None | Some("0" | ""))
}

fn stored_of_kind(kind: &str, source: &Value, told: Told) -> Value {
    let begin = told.member();
    let amount = |name: &str| source.get(format!("{begin}{name}")).cloned();
    let (mut value, mut average) = (amount("Value"), amount("AverageValue"));
    let utilization = amount("AverageUtilization");
    if kind == "object" {
        average = source.get("averageValue").cloned();
        let no_value = value.as_ref().is_none_or(is_zero);
        if told == Told::Wanted && average.is_some() && no_value {
            value = None;
        }
    }
    let by = match kind {
        "object" if average.is_none() => "Value",
        "external" if value.is_some() => "Value",
        "resource" | "containerResource" if utilization.is_some() => "Utilization",
        _ => "AverageValue",
    };
    let mut amounts = Map::new();
    if told == Told::Wanted {
        amounts.insert("type".to_owned(), by.into());
    }
    for (name, amount) in [
        ("value", value),
        ("averageValue", average),
        ("averageUtilization", utilization),
    ] {
        if let Some(amount) = amount {
            amounts.insert(name.to_owned(), amount);
        }
    }
    let mut out = json!({ begin: amounts });
    match kind {
        "resource" | "containerResource" => {
            for member in ["name", "container"] {
                if let Some(held) = source.get(member) {
                    out[member] = held.clone();
                }
            }
        }
        _ => {
            out["metric"] = json!({"name": source["metricName"]});
            let selector = source
                .get("selector")
                .or_else(|| source.get("metricSelector"));
            if let Some(selector) = selector {
                out["metric"]["selector"] = selector.clone();
            }
            if kind == "object" {
                out["describedObject"] = source["target"].clone();
            }
        }
    }
    out
}

/// Conditions, in the order of their members.
pub(super) fn conditions(stored: &Value) -> String {
    list(stored, |condition| {
        let time = condition.get("lastTransitionTime").unwrap_or(&Value::Null);
        object(&[
            ("type", or_empty(condition, "type")),
            ("status", or_empty(condition, "status")),
            ("lastTransitionTime", Some(time.to_string())),
            ("reason", as_it_is(condition, "reason")),
            ("message", as_it_is(condition, "message")),
        ])
    })
}

/// How fast to scale, by the names of the fields in Go.
pub(super) fn behavior(stored: &Value) -> String {
    let or_null = |value: &Value, member: &str| {
        Some(as_it_is(value, member).unwrap_or_else(|| "null".to_owned()))
    };
    let policy = |policy: &Value| {
        object(&[
            ("Type", or_empty(policy, "type")),
            ("Value", or_null(policy, "value")),
            ("PeriodSeconds", or_null(policy, "periodSeconds")),
        ])
    };
    let rules = |member: &str| {
        let rules = &stored[member];
        if rules.is_null() {
            return Some("null".to_owned());
        }
        let policies = rules.get("policies").filter(|policies| policies.is_array());
        Some(object(&[
            (
                "StabilizationWindowSeconds",
                or_null(rules, "stabilizationWindowSeconds"),
            ),
            ("SelectPolicy", or_null(rules, "selectPolicy")),
            (
                "Policies",
                Some(policies.map_or("null".to_owned(), |policies| list(policies, policy))),
            ),
            ("Tolerance", or_null(rules, "tolerance")),
        ]))
    };
    object(&[
        ("ScaleUp", rules("scaleUp")),
        ("ScaleDown", rules("scaleDown")),
    ])
}

/// How fast to scale, in its stored form: members begin with small letters, and what is null is not there.
pub(super) fn stored_behavior(text: &str) -> Option<Value> {
    let behavior = small(serde_json::from_str(text).ok()?);
    behavior
        .as_object()
        .is_some_and(|members| !members.is_empty())
        .then_some(behavior)
}

fn small(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(small).collect(),
        Value::Object(members) => {
            let members = members.into_iter().filter(|(_, value)| !value.is_null());
            let members = members.map(|(name, value)| {
                let mut letters = name.chars();
                let first = letters.next().map(|first| first.to_ascii_lowercase());
                let name: String = first.into_iter().chain(letters).collect();
                (name, small(value))
            });
            Value::Object(members.collect())
        }
        other => other,
    }
}
