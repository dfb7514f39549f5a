//! What tables show of services and of what leads to them.

use serde_json::{Value, json};

use super::super::{Column, Row};
use super::{AGE, NAME, first_few, labels, or_none, text, wide};

pub(super) const SERVICE: &[Column] = &[
    NAME,
    text("Type"),
    text("Cluster-IP"),
    text("External-IP"),
    text("Port(s)"),
    AGE,
    wide("Selector"),
];

pub(super) fn service(row: &Row<'_>) -> Vec<Value> {
    let external_ips = row.strings("/spec/externalIPs");
    let external = match row.string("/spec/type").unwrap_or_default() {
        "ClusterIP" | "NodePort" => or_none(external_ips.join(",")),
        "LoadBalancer" => {
            let balancers = load_balancers(row);
            let all = balancers
                .into_iter()
                .chain(external_ips)
                .collect::<Vec<_>>()
                .join(",");
            if all.is_empty() {
                "<pending>".to_owned()
            } else {
                all
            }
        }
        "ExternalName" => row.text_or("/spec/externalName", ""),
        _ => "<unknown>".to_owned(),
    };
    let ports = row
        .items("/spec/ports")
        .map(|port| {
            let protocol = port["protocol"].as_str().unwrap_or_default();
            match port["nodePort"].as_i64().filter(|port| *port > 0) {
                Some(node_port) => format!("{}:{node_port}/{protocol}", port["port"]),
                None => format!("{}/{protocol}", port["port"]),
            }
        })
        .collect::<Vec<_>>()
        .join(",");
    let cluster_ip = row
        .items("/spec/clusterIPs")
        .next()
        .map_or_else(|| json!("<none>"), Clone::clone);
    vec![
        row.name(),
        row.text("/spec/type"),
        cluster_ip,
        json!(external),
        json!(or_none(ports)),
        row.age(),
        json!(labels(row.at("/spec/selector"))),
    ]
}

/// The addresses of a load balancer, each once, sorted.
fn load_balancers(row: &Row<'_>) -> Vec<String> {
    let mut addresses = row
        .items("/status/loadBalancer/ingress")
        .filter_map(|ingress| {
            let non_empty = |field: &str| ingress[field].as_str().filter(|text| !text.is_empty());
            non_empty("ip")
                .or_else(|| non_empty("hostname"))
                .map(str::to_owned)
        })
        .collect::<Vec<_>>();
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

pub(super) fn endpoints(row: &Row<'_>) -> String {
    const SHOWN: usize = 3;
    let mut all = Vec::new();
    for subset in row.items("/subsets") {
        let addresses = || subset["addresses"].as_array().into_iter().flatten();
        let ports = subset["ports"].as_array().filter(|ports| !ports.is_empty());
        match ports {
            None => all.extend(
                addresses().map(|address| address["ip"].as_str().unwrap_or_default().to_owned()),
            ),
            Some(ports) => {
                for port in ports {
                    all.extend(addresses().map(|address| {
                        let ip = address["ip"].as_str().unwrap_or_default();
                        if ip.contains(':') {
                            format!("[{ip}]:{}", port["port"])
                        } else {
                            format!("{ip}:{}", port["port"])
                        }
                    }));
                }
            }
        }
    }
    if row.items("/subsets").next().is_none() {
        "<none>".to_owned()
    } else {
        first_few(&all, SHOWN)
    }
}

pub(super) fn endpoint_slice(row: &Row<'_>) -> Vec<Value> {
    const SHOWN: usize = 3;
    let unset = |text: String| {
        if text.is_empty() {
            "<unset>".to_owned()
        } else {
            text
        }
    };
    let ports = row
        .items("/ports")
        .map(|port| match (&port["port"], &port["name"]) {
            (Value::Number(number), _) => number.to_string(),
            (_, Value::String(name)) => name.clone(),
            _ => "*".to_owned(),
        })
        .collect::<Vec<_>>();
    let addresses = row
        .items("/endpoints")
        .flat_map(|endpoint| endpoint["addresses"].as_array().into_iter().flatten())
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect::<Vec<_>>();
    vec![
        row.name(),
        row.text("/addressType"),
        json!(unset(first_few(&ports, SHOWN))),
        json!(unset(first_few(&addresses, SHOWN))),
        row.age(),
    ]
}

pub(super) fn ingress(row: &Row<'_>) -> Vec<Value> {
    const SHOWN: usize = 3;
    let mut hosts = Vec::new();
    let mut more = false;
    for rule in row.items("/spec/rules") {
        more |= hosts.len() == SHOWN;
        if !more && let Some(host) = rule["host"].as_str().filter(|host| !host.is_empty()) {
            hosts.push(host.to_owned());
        }
    }
    let shown = match (hosts.is_empty(), more) {
        (true, _) => "*".to_owned(),
        (false, false) => hosts.join(","),
        (false, true) => format!(
            "{} + {} more...",
            hosts.join(","),
            row.items("/spec/rules").count() - SHOWN
        ),
    };
    vec![
        row.name(),
        json!(row.text_or("/spec/ingressClassName", "<none>")),
        json!(shown),
        json!(load_balancers(row).join(",")),
        json!(if row.items("/spec/tls").next().is_some() {
            "80, 443"
        } else {
            "80"
        }),
        row.age(),
    ]
}
