//! Nodes: what the machine reports, in the peer's words, and whether it takes new pods.
//!
//! A node is changed in its cluster with the caller's rights there; what a drain
//! evicts goes by the hub's, since roles on nodes say nothing of evictions.

mod drain;

use drover_auth::web::ApiError;
use http::StatusCode;
use serde_json::{Map, Value, json};

use self::drain::Options;
use super::{Outcome, text_at, unknown_action};
use crate::call::{Call, Item};
use crate::mapping;
use crate::registry::Registry;
use crate::schema::Type;

/// Fills in the fields worked out from what the machine reports.
pub(super) fn amend(_registry: &Registry, object: &Value, item: &mut Item) {
    if let Some(cluster) = mapping::namespace(object) {
        item.insert("clusterId".to_owned(), json!(cluster));
    }
    let reported = object.pointer("/status/internalNodeStatus");
    for (kind, field) in [
        ("Hostname", "hostname"),
        ("InternalIP", "ipAddress"),
        ("ExternalIP", "externalIpAddress"),
    ] {
        if let Some(address) = reported.and_then(|status| address(status, kind)) {
            item.insert(field.to_owned(), json!(address));
        }
    }
    let conditions: Vec<Value> = [
        object.pointer("/status/conditions"),
        reported.and_then(|status| status.get("conditions")),
    ]
    .into_iter()
    .flatten()
    .filter_map(Value::as_array)
    .flatten()
    .map(dated)
    .collect();
    if !conditions.is_empty() {
        item.insert("conditions".to_owned(), Value::Array(conditions));
    }
    if let Some(status) = reported {
        item.insert("info".to_owned(), info(status));
    }
}

/// Labels and annotations shown are the machine's; those of the management object are nobody's business.
pub(super) fn before_update(fields: &mut Map<String, Value>) {
    fields.remove("labels");
    fields.remove("annotations");
}

fn is_cordoned(object: &Value) -> bool {
    object.pointer("/spec/internalNodeSpec/unschedulable") == Some(&json!(true))
}

/// To those who may change the node: of cordon and uncordon the one that changes something. Machines that were not made
/// here are not scaled down, and a drain is over when it is answered, so that there is none to stop.
pub(super) fn offers_action(call: &Call<'_>, kind: &Type, object: &Value, action: &str) -> bool {
    let fits = match action {
        "cordon" => !is_cordoned(object),
        "uncordon" => is_cordoned(object),
        "drain" => true,
        _ => false,
    };
    let (name, namespace) = (mapping::name(object), mapping::namespace(object));
    fits && !text_at(object, "/status/nodeName").is_empty()
        && kind
            .object
            .is_some_and(|kind| call.may("update", kind, namespace, Some(name)))
}

/// Runs an action; the hub's copy of the node follows when the cluster tells it.
pub(super) async fn act(
    call: &Call<'_>,
    object: &Value,
    action: &str,
    input: &Map<String, Value>,
) -> Result<Outcome, ApiError> {
    let node = text_at(object, "/status/nodeName");
    let cluster = mapping::namespace(object).unwrap_or_default();
    let client = call.shared.hooks.cluster(cluster).await?;
    match action {
        "cordon" => drain::set_schedulable(&client, node, false).await?,
        "uncordon" => drain::set_schedulable(&client, node, true).await?,
        "drain" => {
            let options = Options::read(input)?;
            let drained = drain::plan(&client, node, &options).await?;
            drain::set_schedulable(&client, node, false).await?;
            drained.evict().await?;
        }
        other => return Err(unknown_action(other)),
    }
    tracing::info!(user = %call.user(), %cluster, %node, action, "a node was taken out of or into use");
    Ok(Outcome::Done(StatusCode::OK))
}

fn address<'a>(status: &'a Value, kind: &str) -> Option<&'a str> {
    status
        .get("addresses")?
        .as_array()?
        .iter()
        .find(|address| address.get("type").and_then(Value::as_str) == Some(kind))?
        .get("address")?
        .as_str()
}

fn dated(condition: &Value) -> Value {
    let mut condition = condition.clone();
    if let Value::Object(fields) = &mut condition {
        for name in ["lastHeartbeatTime", "lastTransitionTime"] {
            let stamp = fields
                .get(name)
                .and_then(Value::as_str)
                .and_then(|text| text.parse::<jiff::Timestamp>().ok());
            if let Some(stamp) = stamp {
                fields.insert(format!("{name}TS"), json!(stamp.as_millisecond()));
            }
        }
    }
    condition
}

fn info(status: &Value) -> Value {
    let reported = |name: &str| text_at(status, &format!("/nodeInfo/{name}")).to_owned();
    json!({
        "cpu": {"count": quantity(text_at(status, "/capacity/cpu")).map_or(0, |cpus| cpus / 1000)},
        "kubernetes": {"kubeProxyVersion": reported("kubeProxyVersion"), "kubeletVersion": reported("kubeletVersion")},
        "memory": {"memTotalKiB": quantity(text_at(status, "/capacity/memory")).map_or(0, |bytes| bytes / 1000 / 1024)},
        "os": {
            "dockerVersion": reported("containerRuntimeVersion"),
            "kernelVersion": reported("kernelVersion"),
            "operatingSystem": reported("osImage"),
        },
    })
}

/// A Kubernetes quantity in thousandths; `None` if it is not one.
fn quantity(text: &str) -> Option<i64> {
    let split = text
        .find(|letter: char| !letter.is_ascii_digit() && letter != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let factor: i64 = match unit {
        "m" => 1,
        "" => 1000,
        "k" => 1000 * 1000,
        "M" => 1000 * 1_000_000,
        "G" => 1000 * 1_000_000_000,
        "T" => 1000 * 1_000_000_000_000,
        "Ki" => 1000 << 10,
        "Mi" => 1000 << 20,
        "Gi" => 1000 << 30,
        "Ti" => 1000 << 40,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let whole: i64 = whole.parse().ok()?;
    let thousandths: i64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    whole
        .checked_mul(factor)?
        .checked_add(thousandths.checked_mul(factor)? / 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_exactly() {
        for (text, expected) in [
            ("32", Some(32_000)),
            ("7900m", Some(7900)),
            ("1.5", Some(1500)),
            ("256Gi", Some((256_i64 << 30) * 1000)),
            ("16384056Ki", Some(16_384_056 * 1024 * 1000)),
            ("", None),
            ("x", None),
            ("9223372036854775807Ti", None),
        ] {
            assert_eq!(quantity(text), expected, "{text}");
        }
    }

    #[test]
    fn a_recorded_node_looks_as_recorded() {
        let object = json!({
            "metadata": {"name": "machine-2cxqf", "namespace": "local"},
            "status": {
                "nodeName": "node-2",
                "conditions": [{"type": "Registered", "status": "True"}],
                "internalNodeStatus": {
                    "capacity": {"cpu": "32", "memory": "256Gi", "pods": "110"},
                    "addresses": [{"type": "InternalIP", "address": "10.0.0.2"}],
                    "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-11-20T21:08:06Z"}],
                    "nodeInfo": {"kubeletVersion": "kwok-0.8.0", "kubeProxyVersion": "kwok-0.8.0",
                        "containerRuntimeVersion": "kwok-0.8.0", "kernelVersion": "kwok-0.8.0", "osImage": ""},
                },
            },
        });
        let mut item = Map::new();
        amend(&Registry::new(), &object, &mut item);
        assert_eq!(
            Value::Object(item),
            json!({
                "clusterId": "local",
                "ipAddress": "10.0.0.2",
                "conditions": [
                    {"type": "Registered", "status": "True"},
                    {"type": "Ready", "status": "True", "lastTransitionTime": "2026-11-20T21:08:06Z", "lastTransitionTimeTS": 1_795_208_886_000_i64},
                ],
                "info": {
                    "cpu": {"count": 32},
                    "kubernetes": {"kubeProxyVersion": "kwok-0.8.0", "kubeletVersion": "kwok-0.8.0"},
                    "memory": {"memTotalKiB": 268_435_456},
                    "os": {"dockerVersion": "kwok-0.8.0", "kernelVersion": "kwok-0.8.0", "operatingSystem": ""},
                },
            })
        );
    }
}
