//! Services: their addresses and node ports.
//!
//! Addresses come from one range, as a real control plane with `--service-cluster-ip-range` has it. What is taken is what
//! the stored services hold; the choice is random and checked again when the service is validated.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use serde_json::{Map, Value, json};

use crate::rest::Api;
use crate::rest::object::{self, strings};
use crate::status::FieldError;
use crate::store::Range;

/// The first address of the range and how many bits it leaves.
const RANGE: (Ipv4Addr, u32) = (Ipv4Addr::new(10, 96, 0, 0), 16);
const NODE_PORTS: std::ops::RangeInclusive<i64> = 30_000..=32_767;

/// The address of the service `kubernetes`, the first of the range.
pub(super) const API_ADDRESS: &str = "10.96.0.1";

struct Taken {
    addresses: BTreeSet<String>,
    ports: BTreeSet<i64>,
}

/// What other services hold.
fn taken(api: &Api, except: &str) -> Taken {
    let mut taken = Taken {
        addresses: BTreeSet::from([API_ADDRESS.to_owned()]),
        ports: BTreeSet::new(),
    };
    let Ok(page) = api.store.list("/services", &Range::default()) else {
        return taken;
    };
    for (_, stored) in page.items {
        let service = stored.value();
        if !except.is_empty() && object::meta(&service, "uid") == except {
            continue;
        }
        let spec = &service["spec"];
        taken.addresses.extend(strings(spec, "clusterIPs"));
        let ports = spec["ports"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|port| port["nodePort"].as_i64());
        taken.ports.extend(ports.filter(|port| *port > 0));
        taken.ports.extend(
            spec["healthCheckNodePort"]
                .as_i64()
                .filter(|port| *port > 0),
        );
    }
    taken
}

fn text<'s>(spec: &'s Map<String, Value>, member: &str) -> &'s str {
    spec.get(member).and_then(Value::as_str).unwrap_or_default()
}

/// Gives a service what its type needs and it does not have.
pub(super) fn allocate(api: &Api, service: &mut Value, old: Option<&Value>) {
    let uid = old
        .map(|old| object::meta(old, "uid").to_owned())
        .unwrap_or_default();
    let Some(spec) = service.get_mut("spec").and_then(Value::as_object_mut) else {
        return;
    };
    let kind = text(spec, "type").to_owned();
    if kind == "ExternalName" {
        for member in [
            "clusterIP",
            "clusterIPs",
            "ipFamilies",
            "ipFamilyPolicy",
            "internalTrafficPolicy",
        ] {
            spec.remove(member);
        }
        return;
    }
    if let Some(old) = old
        .and_then(|old| old.get("spec"))
        .and_then(Value::as_object)
    {
        // Older clients know one address only, and mean the list by it (`NormalizeClusterIPs`).
        let listed = spec.get("clusterIPs");
        let address = text(spec, "clusterIP").to_owned();
        if !address.is_empty()
            && address != text(old, "clusterIP")
            && (listed.is_none() || listed == old.get("clusterIPs"))
        {
            spec.insert("clusterIPs".to_owned(), json!([address]));
        }
        // A client that leaves the addresses out means the same ones, and families follow from them.
        for member in ["clusterIP", "clusterIPs", "ipFamilyPolicy"] {
            if let (None, Some(held)) = (spec.get(member), old.get(member)) {
                spec.insert(member.to_owned(), held.clone());
            }
        }
        keep_ports(spec, old);
    }
    if let Some(old) = old
        .and_then(|old| old.get("spec"))
        .and_then(Value::as_object)
    {
        drop_what_the_old_type_needed(spec, old);
    }
    let mut held: Option<Taken> = None;
    if text(spec, "clusterIP").is_empty() {
        let address = match spec
            .get("clusterIPs")
            .and_then(|addresses| addresses[0].as_str())
        {
            Some(address) => address.to_owned(),
            None => {
                let taken = held.get_or_insert_with(|| taken(api, &uid));
                free_address(&taken.addresses)
            }
        };
        spec.insert("clusterIP".to_owned(), json!(address));
    }
    let address = text(spec, "clusterIP").to_owned();
    spec.entry("clusterIPs").or_insert_with(|| json!([address]));
    let selects = spec
        .get("selector")
        .and_then(Value::as_object)
        .is_some_and(|selector| !selector.is_empty());
    if address == "None" && !selects {
        spec.entry("ipFamilyPolicy")
            .or_insert_with(|| json!("RequireDualStack"));
        let families = match text(spec, "ipFamilyPolicy") {
            "SingleStack" => json!(["IPv4"]),
            _ => json!(["IPv4", "IPv6"]),
        };
        spec.entry("ipFamilies").or_insert(families);
    } else {
        spec.entry("ipFamilyPolicy")
            .or_insert_with(|| json!("SingleStack"));
        // Who requires both is refused, which families there are or not.
        if text(spec, "ipFamilyPolicy") != "RequireDualStack" {
            spec.entry("ipFamilies").or_insert_with(|| json!(["IPv4"]));
        }
    }
    let wants_ports = kind == "NodePort"
        || (kind == "LoadBalancer"
            && spec.get("allocateLoadBalancerNodePorts") != Some(&Value::Bool(false)));
    for port in spec
        .get_mut("ports")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        let Some(port) = port.as_object_mut() else {
            continue;
        };
        let has = port
            .get("nodePort")
            .and_then(Value::as_i64)
            .is_some_and(|port| port > 0);
        if wants_ports && !has {
            let taken = held.get_or_insert_with(|| taken(api, &uid));
            let number = free_port(&taken.ports);
            taken.ports.insert(number);
            port.insert("nodePort".to_owned(), json!(number));
        }
    }
    if kind == "LoadBalancer"
        && text(spec, "externalTrafficPolicy") == "Local"
        && !spec.contains_key("healthCheckNodePort")
    {
        let taken = held.get_or_insert_with(|| taken(api, &uid));
        spec.insert(
            "healthCheckNodePort".to_owned(),
            json!(free_port(&taken.ports)),
        );
    }
}

/// Whether anything from outside the cluster reaches a service.
fn is_external(spec: &Map<String, Value>) -> bool {
    let addresses = spec.get("externalIPs").and_then(Value::as_array);
    match text(spec, "type") {
        "LoadBalancer" | "NodePort" => true,
        "ClusterIP" => addresses.is_some_and(|addresses| !addresses.is_empty()),
        _ => false,
    }
}

/// A service of another type loses what only the old type needed, unless its author changed just that
/// (kubernetes `pkg/registry/core/service/strategy.go`, `dropTypeDependentFields`).
fn drop_what_the_old_type_needed(spec: &mut Map<String, Value>, old: &Map<String, Value>) {
    let same = |spec: &Map<String, Value>, member: &str| spec.get(member) == old.get(member);
    let has_ports =
        |spec: &Map<String, Value>| matches!(text(spec, "type"), "NodePort" | "LoadBalancer");
    let node_ports = |spec: &Map<String, Value>| {
        let ports = spec.get("ports").and_then(Value::as_array);
        let mut numbers: Vec<i64> = ports
            .into_iter()
            .flatten()
            .filter_map(|port| port["nodePort"].as_i64())
            .collect();
        numbers.sort_unstable();
        numbers
    };
    if has_ports(old)
        && !has_ports(spec)
        && node_ports(spec)
            .iter()
            .all(|number| node_ports(old).contains(number))
    {
        let ports = spec.get_mut("ports").and_then(Value::as_array_mut);
        for port in ports.into_iter().flatten() {
            if let Some(port) = port.as_object_mut() {
                port.remove("nodePort");
            }
        }
    }
    let checks_health = |spec: &Map<String, Value>| {
        text(spec, "type") == "LoadBalancer" && text(spec, "externalTrafficPolicy") == "Local"
    };
    if checks_health(old) && !checks_health(spec) && same(spec, "healthCheckNodePort") {
        spec.remove("healthCheckNodePort");
    }
    if text(old, "type") == "LoadBalancer" && text(spec, "type") != "LoadBalancer" {
        for member in ["allocateLoadBalancerNodePorts", "loadBalancerClass"] {
            if same(spec, member) {
                spec.remove(member);
            }
        }
    }
    if is_external(old) && !is_external(spec) && same(spec, "externalTrafficPolicy") {
        spec.remove("externalTrafficPolicy");
    }
}

/// A client that leaves node ports out means the same ones.
fn keep_ports(spec: &mut Map<String, Value>, old: &Map<String, Value>) {
    let same = |one: &Value, other: &Value| {
        one["port"] == other["port"] && one["protocol"] == other["protocol"]
    };
    let held = old
        .get("ports")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    for port in spec
        .get_mut("ports")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        let Some(before) = held.iter().find(|before| same(before, port)) else {
            continue;
        };
        if let (Some(number), Some(port)) = (before.get("nodePort"), port.as_object_mut()) {
            port.entry("nodePort").or_insert_with(|| number.clone());
        }
    }
}

fn free_address(taken: &BTreeSet<String>) -> String {
    let (first, bits) = RANGE;
    let last = (1_u32 << bits) - 1;
    let candidate = |offset: u32| Ipv4Addr::from_bits(first.to_bits() + offset).to_string();
    let random = (0..64).map(|_| rand::random_range(1..last));
    // A range that is nearly full is searched from its start.
    random
        .chain(1..last)
        .map(candidate)
        .find(|address| !taken.contains(address))
        .unwrap_or_default()
}

fn free_port(taken: &BTreeSet<i64>) -> i64 {
    let random = (0..64).map(|_| rand::random_range(NODE_PORTS));
    random
        .chain(NODE_PORTS)
        .find(|port| !taken.contains(port))
        .unwrap_or(0)
}

/// Checks the addresses and ports against what others hold.
pub(super) fn validate(api: &Api, service: &Value, errors: &mut Vec<FieldError>) {
    let spec = &service["spec"];
    let held = taken(api, object::meta(service, "uid"));
    let address = spec["clusterIP"].as_str().unwrap_or_default();
    let is_api = object::meta(service, "name") == "kubernetes"
        && object::meta(service, "namespace") == "default";
    if !address.is_empty() && address != "None" && !is_api {
        match address.parse::<Ipv4Addr>() {
            Err(_) => errors.push(FieldError::invalid(
                "spec.clusterIPs[0]",
                address,
                "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
            )),
            Ok(_) if held.addresses.contains(address) => errors.push(FieldError::invalid(
                "spec.clusterIPs",
                json!([address]),
                format!("failed to allocate IP {address}: provided IP is already allocated"),
            )),
            Ok(parsed) if parsed.to_bits() >> RANGE.1 != RANGE.0.to_bits() >> RANGE.1 => errors.push(FieldError::invalid(
                "spec.clusterIPs",
                json!([address]),
                format!(
                    "failed to allocate IP {address}: the provided network does not match the current range"
                ),
            )),
            Ok(_) => {}
        }
    }
    single_family(spec, errors);
    for (index, port) in spec["ports"].as_array().into_iter().flatten().enumerate() {
        let Some(number) = port["nodePort"].as_i64().filter(|number| *number > 0) else {
            continue;
        };
        let field = format!("spec.ports[{index}].nodePort");
        if held.ports.contains(&number) {
            errors.push(FieldError::invalid(
                field,
                number,
                "provided port is already allocated",
            ));
        } else if !NODE_PORTS.contains(&number) {
            let detail =
                "provided port is not in the valid range. The range of valid ports is 30000-32767";
            errors.push(FieldError::invalid(field, number, detail));
        }
    }
}

/// The range of addresses is of one family; only a headless service that selects nothing may speak of both.
fn single_family(spec: &Value, errors: &mut Vec<FieldError>) {
    let selects = spec["selector"]
        .as_object()
        .is_some_and(|selector| !selector.is_empty());
    if spec["type"] == "ExternalName" || (spec["clusterIP"] == "None" && !selects) {
        return;
    }
    for (index, family) in strings(spec, "ipFamilies").iter().enumerate() {
        if family == "IPv6" {
            errors.push(FieldError::invalid(
                format!("spec.ipFamilies[{index}]"),
                family.as_str(),
                "not configured on this cluster",
            ));
        }
    }
    if spec["ipFamilyPolicy"] == "RequireDualStack" {
        errors.push(FieldError::invalid(
            "spec.ipFamilyPolicy",
            "RequireDualStack",
            "this cluster is not configured for dual-stack services",
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_range_gives_its_last_free_address() {
        let all = (1..65_535_u32)
            .map(|offset| Ipv4Addr::from_bits(RANGE.0.to_bits() + offset).to_string());
        let mut taken = all.collect::<BTreeSet<_>>();
        taken.remove("10.96.200.7");
        assert_eq!(free_address(&taken), "10.96.200.7");
    }
}
