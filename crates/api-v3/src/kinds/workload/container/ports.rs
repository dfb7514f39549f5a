//! Ports of a container, with what Kubernetes has no place for: as what they are to be reached, and by which name.

use drover_auth::web::ApiError;
use serde_json::{Value, json};

use crate::paths::{copy, put};

/// Ports with what is known of them beyond Kubernetes: as what they are to be reached, by which name.
pub(super) fn ports_shown(ports: &[Value], known: Option<&Value>) -> Value {
    let known: Vec<&Value> = known
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .collect();
    let shown = ports.iter().map(|port| {
        let mut shown = port.clone();
        if let Some(host) = port.get("hostIP") {
            put(&mut shown, "hostIp", host.clone());
        }
        let same = |other: &&&Value| {
            other["containerPort"] == port["containerPort"]
                && other["protocol"].as_str().unwrap_or("TCP")
                    == port["protocol"].as_str().unwrap_or("TCP")
                && (other["name"] == port["name"] || port.get("name").is_none())
        };
        if let Some(other) = known.iter().find(same) {
            for name in ["kind", "dnsName", "sourcePort"] {
                copy(other, name, &mut shown, name);
            }
        }
        shown
    });
    Value::Array(shown.collect())
}

/// Writes a container's ports; gives them with what Kubernetes cannot keep, named as the peer names them.
pub(super) fn ports_stored(
    view: &Value,
    container: &mut Value,
    workload: &str,
) -> Result<Vec<Value>, ApiError> {
    let (mut kept, mut known) = (Vec::new(), Vec::new());
    // A name that nobody gave is not given now: it would make new pods.
    let nameless: Vec<Value> = container["ports"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|port| port.get("name").is_none())
        .cloned()
        .collect();
    for port in view["ports"].as_array().into_iter().flatten() {
        let Some(number) = port["containerPort"]
            .as_i64()
            .filter(|number| (1..=65_535).contains(number))
        else {
            return Err(
                ApiError::invalid("InvalidOption", "it is no number of a port")
                    .with_field("containerPort"),
            );
        };
        let text = |name: &str| port[name].as_str().unwrap_or_default();
        let protocol = match text("protocol") {
            "" => "TCP",
            protocol => protocol,
        };
        let kind = text("kind");
        let source = port["sourcePort"].as_i64().unwrap_or_default();
        let lower = protocol.to_ascii_lowercase();
        let name = match text("name") {
            "" => {
                let place = ["HostPort", "NodePort", "ClusterIP", "LoadBalancer"];
                let place = place
                    .iter()
                    .position(|known| *known == kind)
                    .unwrap_or_default();
                format!("{number}{lower}{source}{place}")
            }
            name => name.to_owned(),
        };
        if kept.iter().any(|other: &Value| other["name"] == name) {
            let message = format!("the port {number} is there twice");
            return Err(ApiError::invalid("InvalidOption", message).with_field("ports"));
        }
        let mut stored = json!({"containerPort": number, "name": name, "protocol": protocol});
        let was = |old: &&Value| old["containerPort"] == number && old["protocol"] == protocol;
        if text("name").is_empty() && nameless.iter().any(|old| was(&old)) {
            put(&mut stored, "name", Value::Null);
        }
        let host = match (kind, port["hostPort"].as_i64().unwrap_or_default()) {
            ("HostPort", 0) => source,
            (_, host) => host,
        };
        if host != 0 {
            stored["hostPort"] = json!(host);
        }
        copy(port, "hostIp", &mut stored, "hostIP");
        let mut told = json!({
            "containerPort": number, "name": name, "protocol": protocol, "hostPort": host,
            "kind": kind, "sourcePort": source, "type": "/v3/project/schemas/containerPort",
        });
        if !kind.is_empty() {
            let dns = match text("dnsName") {
                "" if kind == "ClusterIP" => workload.to_owned(),
                "" => format!("{workload}-{}", kind.to_ascii_lowercase()),
                dns => dns.to_owned(),
            };
            told["dnsName"] = json!(dns);
        }
        kept.push(stored);
        known.push(told);
    }
    let kept = if kept.is_empty() {
        Value::Null
    } else {
        json!(kept)
    };
    put(container, "ports", kept);
    Ok(known)
}
