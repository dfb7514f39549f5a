//! Where a way leads: to a container on a node, to an address of a pod, to one behind a service.

use std::net::IpAddr;

use http::StatusCode;
use serde_json::Value;

use crate::rest::Api;
use crate::rest::object::meta;
use crate::status::StatusError;
use crate::store::Key;

/// The kinds of addresses of a node by which its kubelet is reached, the best first.
const KUBELET: [&str; 5] = [
    "Hostname",
    "InternalDNS",
    "InternalIP",
    "ExternalDNS",
    "ExternalIP",
];

/// What is stored, or that it is not found; the real server says so of what the way began with.
fn stored(
    api: &Api,
    plural: &str,
    [namespace, name]: [&str; 2],
    from: &str,
) -> Result<Value, StatusError> {
    let found = api
        .store
        .get(&format!("/{plural}"), &Key::new(namespace, name));
    let found = found.ok_or_else(|| StatusError::not_found("", from, name))?;
    Ok(found.value())
}

/// A pod.
pub(super) fn pod(api: &Api, namespace: &str, name: &str) -> Result<Value, StatusError> {
    stored(api, "pods", [namespace, name], "pods")
}

/// The node a pod is on; empty if none.
pub(super) fn node_of(pod: &Value) -> &str {
    pod["spec"]["nodeName"].as_str().unwrap_or_default()
}

fn list<'v>(value: &'v Value, member: &str) -> impl Iterator<Item = &'v Value> {
    value[member].as_array().into_iter().flatten()
}

fn text<'v>(value: &'v Value, member: &str) -> &'v str {
    value[member].as_str().unwrap_or_default()
}

/// Refuses options that name a container which the pod does not have, or none if it has several.
pub(super) fn check_container(pod: &Value, asked: &Value) -> Result<(), StatusError> {
    let name = meta(pod, "name");
    let names: Vec<&str> = ["initContainers", "containers", "ephemeralContainers"]
        .into_iter()
        .flat_map(|kind| list(&pod["spec"], kind))
        .map(|container| text(container, "name"))
        .collect();
    let wanted = text(asked, "container");
    if !wanted.is_empty() {
        if names.contains(&wanted) {
            return Ok(());
        }
        return Err(StatusError::bad_request(format!(
            "container {wanted} is not valid for pod {name}"
        )));
    }
    match list(&pod["spec"], "containers").count() {
        1 => Ok(()),
        0 => Err(StatusError::bad_request(format!(
            "a container name must be specified for pod {name}"
        ))),
        _ => Err(StatusError::bad_request(format!(
            "a container name must be specified for pod {name}, choose one of: [{}]",
            names.join(" ")
        ))),
    }
}

/// Finds the address of a node's kubelet, on the way from what is called `from`.
pub(super) fn kubelet(api: &Api, node: &str, from: &str) -> Result<String, StatusError> {
    let node = stored(api, "nodes", ["", node], from)?;
    let of_kind = |kind: &&str| {
        list(&node["status"], "addresses").find(|address| text(address, "type") == *kind)
    };
    if let Some(address) = KUBELET.iter().find_map(of_kind) {
        return Ok(text(address, "address").to_owned());
    }
    let known: Vec<String> = list(&node["status"], "addresses")
        .map(|address| format!("{{{} {}}}", text(address, "type"), text(address, "address")))
        .collect();
    Err(StatusError::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "",
        format!(
            "no preferred addresses found; known addresses: [{}]",
            known.join(" ")
        ),
    ))
}

/// `name`, `name:port` or `scheme:name:port`: the name and the port.
fn split<'n>(what: &str, id: &'n str) -> Result<(&'n str, &'n str), StatusError> {
    let parts: Vec<&str> = id.split(':').collect();
    let (scheme, name, port) = match parts.as_slice() {
        [name] => ("", *name, ""),
        [name, port] => ("", *name, *port),
        [scheme, name, port] => (*scheme, *name, *port),
        _ => ("none", "", ""),
    };
    if name.is_empty() || !matches!(scheme, "" | "http" | "https") {
        return Err(StatusError::bad_request(format!(
            "invalid {what} request {id:?}"
        )));
    }
    Ok((name, port))
}

/// Whether an address is one of a single machine somewhere else (Go `net.IP.IsGlobalUnicast`).
fn is_global(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            !(address.is_unspecified()
                || address.is_loopback()
                || address.is_multicast()
                || address.is_broadcast()
                || address.is_link_local())
        }
        IpAddr::V6(address) => {
            !(address.is_unspecified()
                || address.is_loopback()
                || address.is_multicast()
                || address.is_unicast_link_local())
        }
    }
}

fn not_allowed() -> StatusError {
    StatusError::bad_request("address not allowed")
}

/// A node that is proxied to. Its name is not looked up: nobody is there.
pub(super) fn proxied_node(api: &Api, id: &str) -> Result<(), StatusError> {
    let (name, _) = split("node", id)?;
    let address = kubelet(api, name, "nodes")?;
    match address.parse() {
        Ok(address) if !is_global(address) => Err(not_allowed()),
        _ => Ok(()),
    }
}

/// A pod that is proxied to.
pub(super) fn proxied_pod(api: &Api, namespace: &str, id: &str) -> Result<(), StatusError> {
    let (name, _) = split("pod", id)?;
    let pod = pod(api, namespace, name)?;
    let first = list(&pod["status"], "podIPs").next();
    let address = first.map_or_else(|| text(&pod["status"], "podIP"), |first| text(first, "ip"));
    match address.parse() {
        Ok(address) if is_global(address) => Ok(()),
        _ => Err(not_allowed()),
    }
}

/// A service that is proxied to: one of its addresses is a pod's.
pub(super) fn service(api: &Api, namespace: &str, id: &str) -> Result<(), StatusError> {
    let (name, port) = split("service", id)?;
    let mut port = port.to_owned();
    if let Ok(number) = port.parse::<i64>() {
        let service = stored(api, "services", [namespace, name], "services")?;
        let declared = list(&service["spec"], "ports").find(|port| port["port"] == number);
        let declared = declared.ok_or_else(|| {
            StatusError::service_unavailable(format!(
                "no service port {number} found for service {name:?}"
            ))
        })?;
        text(declared, "name").clone_into(&mut port);
    }
    let endpoints = stored(api, "endpoints", [namespace, name], "services")?;
    let nobody = |of: &str| {
        StatusError::service_unavailable(format!("no endpoints available for service {of:?}"))
    };
    if list(&endpoints, "subsets").next().is_none() {
        return Err(nobody(name));
    }
    let reachable = |subset: &Value| {
        list(subset, "ports").any(|declared| text(declared, "name") == port)
            && list(subset, "addresses").any(|address| is_pod(api, namespace, address))
    };
    if list(&endpoints, "subsets").any(reachable) {
        Ok(())
    } else {
        Err(nobody(id))
    }
}

/// Whether an address is that of the pod it says it is.
fn is_pod(api: &Api, namespace: &str, address: &Value) -> bool {
    let target = &address["targetRef"];
    if text(target, "namespace") != namespace {
        return false;
    }
    let Ok(pod) = pod(api, namespace, text(target, "name")) else {
        return false;
    };
    list(&pod["status"], "podIPs").any(|held| held["ip"] == address["ip"])
}
