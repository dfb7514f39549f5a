//! The Services of a workload: what its ports say of them, and a name for its pods in any case.
//!
//! Names, ports and annotations are the peer's (rancher/rancher `managementagent/workload`), so that its agent finds
//! what it would make itself and makes no other.

use drover_types::targets::selector;
use serde_json::{Value, json};

use super::places::template;
use super::{PORTS, at};
use crate::kinds::form::service::default_port;
use crate::mapping;
use crate::schema::Workload;

/// A Service that a workload should have.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Wanted {
    /// Its name.
    pub(crate) name: String,
    /// Type, ports, and no address where no port is known.
    pub(crate) spec: Value,
    /// Whether somebody said so, or it is there for all.
    pub(crate) asked: bool,
}

/// The Services that a workload should have; what is made by another or ends by itself has none.
pub(crate) fn wanted(workload: Workload, object: &Value) -> Vec<Wanted> {
    let ends = matches!(
        workload,
        Workload::Any | Workload::Pod | Workload::Job | Workload::CronJob
    );
    let owners = object.pointer("/metadata/ownerReferences");
    let mut owners = owners.and_then(Value::as_array).into_iter().flatten();
    let made = owners.any(|owner| owner["controller"] == true);
    if ends || made || selector(object).is_none() {
        return Vec::new();
    }
    let name = mapping::name(object);
    let empty = json!({});
    let pod = object.pointer(template(workload)).unwrap_or(&empty);
    let mut wanted = of_ports(pod, name);
    if wanted.iter().all(|one| one.spec["type"] != "ClusterIP")
        && wanted.iter().all(|one| one.name != name)
    {
        wanted.push(for_all(pod, name));
    }
    wanted
}

fn of_ports(pod: &Value, workload: &str) -> Vec<Wanted> {
    let lists: Vec<Vec<Value>> = at(pod, "metadata/annotations")
        .and_then(|all| all.get(PORTS))
        .and_then(Value::as_str)
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    let mut wanted: Vec<Wanted> = Vec::new();
    for port in lists.iter().flatten() {
        let text = |name: &str| port[name].as_str().unwrap_or_default();
        let kind = text("kind");
        if !["ClusterIP", "NodePort", "LoadBalancer"].contains(&kind) {
            continue;
        }
        let source = port["sourcePort"].as_i64().unwrap_or_default();
        let inner = port["containerPort"].as_i64().unwrap_or_default();
        let outer = if kind == "NodePort" || source == 0 {
            inner
        } else {
            source
        };
        let protocol = match text("protocol") {
            "" => "TCP",
            protocol => protocol,
        };
        let mut entry = json!({
            "name": text("name"), "port": outer, "targetPort": inner, "protocol": protocol,
        });
        if kind == "NodePort" && source != 0 {
            entry["nodePort"] = json!(source);
        }
        let name = match text("dnsName") {
            "" => workload,
            name => name,
        };
        let known = wanted
            .iter_mut()
            .find(|one| one.name == name && one.spec["type"] == kind);
        match known.and_then(|one| one.spec["ports"].as_array_mut()) {
            Some(ports) => ports.push(entry),
            None => wanted.push(Wanted {
                name: name.to_owned(),
                spec: json!({"type": kind, "ports": [entry]}),
                asked: true,
            }),
        }
    }
    wanted
}

fn for_all(pod: &Value, workload: &str) -> Wanted {
    let containers = at(pod, "spec/containers").and_then(Value::as_array);
    let mut ports = Vec::new();
    for container in containers.into_iter().flatten() {
        let of = container["name"].as_str().unwrap_or_default();
        for port in container["ports"].as_array().into_iter().flatten() {
            let number = &port["containerPort"];
            let first = port["name"]
                .as_str()
                .map_or_else(|| number.to_string(), str::to_owned);
            let protocol = port["protocol"].as_str().unwrap_or("TCP");
            ports.push(json!({
                "name": format!("{first}-{of}"), "port": number, "targetPort": number, "protocol": protocol,
            }));
        }
    }
    let spec = if ports.is_empty() {
        json!({"type": "ClusterIP", "clusterIP": "None", "ports": [default_port()]})
    } else {
        json!({"type": "ClusterIP", "ports": ports})
    };
    Wanted {
        name: workload.to_owned(),
        spec,
        asked: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment(ports: &Value, containers: &Value) -> Value {
        json!({
            "metadata": {"name": "web", "namespace": "a"},
            "spec": {
                "selector": {"matchLabels": {"x": "y"}},
                "template": {
                    "metadata": {"annotations": {PORTS: ports.to_string()}}, "spec": {"containers": containers},
                },
            },
        })
    }

    #[test]
    fn ports_say_which_services_there_are() {
        let ports = json!([[
            {"name": "http", "containerPort": 80, "kind": "ClusterIP", "protocol": "TCP", "dnsName": "web"},
            {"name": "np", "containerPort": 80, "kind": "NodePort", "sourcePort": 30080, "dnsName": "web-nodeport"},
            {"name": "np2", "containerPort": 81, "kind": "NodePort", "dnsName": "web-nodeport"},
            {"name": "lb", "containerPort": 80, "kind": "LoadBalancer", "sourcePort": 8080, "dnsName": "web-lb"},
            {"name": "host", "containerPort": 82, "kind": "HostPort"},
            {"name": "none", "containerPort": 83},
        ]]);
        let found = wanted(Workload::Deployment, &deployment(&ports, &json!([])));
        let shown: Vec<(&str, &Value)> = found
            .iter()
            .map(|one| (one.name.as_str(), &one.spec))
            .collect();
        let port = |name: &str, outer: i64, inner: i64| json!({"name": name, "port": outer, "targetPort": inner, "protocol": "TCP"});
        let mut node = port("np", 80, 80);
        node["nodePort"] = json!(30080);
        assert_eq!(
            shown,
            [
                (
                    "web",
                    &json!({"type": "ClusterIP", "ports": [port("http", 80, 80)]})
                ),
                (
                    "web-nodeport",
                    &json!({"type": "NodePort", "ports": [node, port("np2", 81, 81)]})
                ),
                (
                    "web-lb",
                    &json!({"type": "LoadBalancer", "ports": [port("lb", 8080, 80)]})
                ),
            ]
        );
        assert!(found.iter().all(|one| one.asked));
    }

    #[test]
    fn pods_have_a_name_whatever_the_ports_say() {
        let named = json!([{"name": "c", "ports": [{"containerPort": 80}, {"name": "m", "containerPort": 9, "protocol": "UDP"}]}]);
        let found = wanted(Workload::StatefulSet, &deployment(&json!([]), &named));
        assert_eq!(found.len(), 1);
        assert_eq!(
            found[0].spec,
            json!({"type": "ClusterIP", "ports": [
                {"name": "80-c", "port": 80, "targetPort": 80, "protocol": "TCP"},
                {"name": "m-c", "port": 9, "targetPort": 9, "protocol": "UDP"},
            ]})
        );
        assert!(!found[0].asked);
        let found = wanted(
            Workload::Deployment,
            &deployment(&json!([]), &json!([{"name": "c"}])),
        );
        assert_eq!(found[0].spec["clusterIP"], "None");
    }

    #[test]
    fn what_ends_or_is_made_by_another_has_none() {
        let object = deployment(&json!([]), &json!([]));
        assert_eq!(wanted(Workload::Job, &object), []);
        let mut owned = object;
        owned["metadata"]["ownerReferences"] = json!([{"kind": "Deployment", "controller": true}]);
        assert_eq!(wanted(Workload::ReplicaSet, &owned), []);
    }
}
