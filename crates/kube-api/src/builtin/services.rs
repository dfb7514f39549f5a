//! Services: their addresses and node ports.
//!
//! Addresses come from one range, as a real control plane with `--service-cluster-ip-range` has it. What is taken is what
//! the stored services hold; the choice is random and checked again when the service is validated.

pub(super) mod addresses;
mod families;
mod ports;

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use serde_json::{Map, Value, json};

use crate::rest::Api;
use crate::rest::object::{self, strings};
use crate::status::FieldError;
use crate::store::Range;

/// The first address of the range and how many bits it leaves.
const RANGE: (Ipv4Addr, u32) = (Ipv4Addr::new(10, 96, 0, 0), 16);

/// How the range is called as an object.
pub(super) const RANGE_NAME: &str = "kubernetes";

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
    taken.addresses.extend(addresses::reserved(api));
    taken
}

fn text<'s>(spec: &'s Map<String, Value>, member: &str) -> &'s str {
    spec.get(member).and_then(Value::as_str).unwrap_or_default()
}

/// Gives a service what its type needs and it does not have. What cannot be given is left as it was said;
/// [`obstacles`] tells of it.
pub(super) fn allocate(api: &Api, service: &mut Value, old: Option<&Value>) {
    let uid = old
        .map(|old| object::meta(old, "uid").to_owned())
        .unwrap_or_default();
    let before = old
        .and_then(|old| old.get("spec"))
        .and_then(Value::as_object);
    let Some(spec) = service.get_mut("spec").and_then(Value::as_object_mut) else {
        return;
    };
    if let Some(old) = before {
        keep_given(spec, old);
        drop_what_the_old_type_needed(spec, old);
    }
    if text(spec, "type") != "LoadBalancer"
        && let Some(status) = service.get_mut("status").and_then(Value::as_object_mut)
        && status.contains_key("loadBalancer")
    {
        status.insert("loadBalancer".to_owned(), json!({}));
    }
    let Some(spec) = service.get_mut("spec").and_then(Value::as_object_mut) else {
        return;
    };
    let address = text(spec, "clusterIP").to_owned();
    if !address.is_empty() && !lists(spec, "clusterIPs") {
        spec.insert("clusterIPs".to_owned(), json!([address]));
    }
    let mut held: Option<Taken> = None;
    if needs_address(spec) {
        give_addresses(spec, before, || taken(api, &uid).addresses);
    } else {
        spec.remove("internalTrafficPolicy");
    }
    ports::give(spec, before, || {
        held.get_or_insert_with(|| taken(api, &uid)).ports.clone()
    });
}

/// Whether a service has an address, or says that it wants none.
fn needs_address(spec: &Map<String, Value>) -> bool {
    text(spec, "type") != "ExternalName"
}

/// Addresses and families.
fn give_addresses(
    spec: &mut Map<String, Value>,
    old: Option<&Map<String, Value>>,
    taken: impl FnOnce() -> BTreeSet<String>,
) {
    families::give(spec, old);
    // One of a family that the range does not have is refused.
    let can_have = families::is_ours(spec);
    if can_have && text(spec, "clusterIP").is_empty() && !lists(spec, "clusterIPs") {
        let address = free_address(&taken());
        spec.insert("clusterIP".to_owned(), json!(address));
        spec.insert("clusterIPs".to_owned(), json!([address]));
    }
}

/// Whether a list is there and not empty.
fn lists(spec: &Map<String, Value>, member: &str) -> bool {
    let list = spec.get(member).and_then(Value::as_array);
    list.is_some_and(|list| !list.is_empty())
}

/// A client that leaves out what it was given means the same (kubernetes `pkg/registry/core/service/storage`,
/// `patchAllocatedValues` and `normalizeClusterIPs`).
fn keep_given(spec: &mut Map<String, Value>, old: &Map<String, Value>) {
    let listed = spec.get("clusterIPs") == old.get("clusterIPs");
    if needs_address(old) && needs_address(spec) {
        if text(spec, "clusterIP").is_empty() {
            keep(spec, old, "clusterIP");
        }
        // Older clients know one address only, and mean the list by it.
        let changed = text(spec, "clusterIP") != text(old, "clusterIP");
        if changed && (listed || !lists(spec, "clusterIPs")) {
            let address = text(spec, "clusterIP").to_owned();
            spec.insert("clusterIPs".to_owned(), json!([address]));
        } else if !lists(spec, "clusterIPs") {
            keep(spec, old, "clusterIPs");
        }
        if !spec.contains_key("ipFamilyPolicy") {
            keep(spec, old, "ipFamilyPolicy");
        }
    } else if text(spec, "clusterIP").is_empty() && !text(old, "clusterIP").is_empty() && listed {
        spec.remove("clusterIPs");
    }
    if ports::needed(old) && ports::needed(spec) {
        ports::keep(spec, old);
    }
    if checks_health(old) && checks_health(spec) && number(spec, "healthCheckNodePort") == 0 {
        keep(spec, old, "healthCheckNodePort");
    }
}

fn keep(spec: &mut Map<String, Value>, old: &Map<String, Value>, member: &str) {
    if let Some(held) = old.get(member) {
        spec.insert(member.to_owned(), held.clone());
    }
}

fn number(spec: &Map<String, Value>, member: &str) -> i64 {
    spec.get(member).and_then(Value::as_i64).unwrap_or(0)
}

/// Whether each node tells whether it has what a balancer leads to.
fn checks_health(spec: &Map<String, Value>) -> bool {
    text(spec, "type") == "LoadBalancer" && text(spec, "externalTrafficPolicy") == "Local"
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
    if needs_address(old) && !needs_address(spec) {
        if same(spec, "clusterIP") && same(spec, "clusterIPs") {
            spec.remove("clusterIP");
            spec.remove("clusterIPs");
        }
        for member in ["ipFamilies", "ipFamilyPolicy"] {
            if same(spec, member) {
                spec.remove(member);
            }
        }
    }
    if ports::needed(old)
        && !ports::needed(spec)
        && ports::numbers(spec).is_subset(&ports::numbers(old))
    {
        let ports = spec.get_mut("ports").and_then(Value::as_array_mut);
        for port in ports.into_iter().flatten() {
            if let Some(port) = port.as_object_mut() {
                port.remove("nodePort");
            }
        }
    }
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

/// What keeps a service from getting its addresses and ports; what comes first is told alone, as the real server
/// stops there.
pub(super) fn obstacles(api: &Api, service: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let none = Map::new();
    let spec = service["spec"].as_object().unwrap_or(&none);
    let before = old.and_then(|old| old["spec"].as_object());
    let mut errors = Vec::new();
    if needs_address(spec) {
        errors = families::problems(spec, before);
    }
    if !errors.is_empty() {
        return errors;
    }
    let mut held = taken(api, object::meta(service, "uid"));
    let is_api = object::meta(service, "name") == "kubernetes"
        && object::meta(service, "namespace") == "default";
    if is_api {
        held.addresses.remove(API_ADDRESS);
    }
    let is_new = before.is_none_or(|old| !needs_address(old));
    if is_new && needs_address(spec) {
        errors.extend(address_problem(spec, &held.addresses));
    }
    if errors.is_empty() && ports::needed(spec) {
        errors.extend(ports::problem(spec, before, &held.ports));
    }
    errors
}

fn address_problem(spec: &Map<String, Value>, held: &BTreeSet<String>) -> Option<FieldError> {
    let addresses = spec.get("clusterIPs").cloned().unwrap_or_default();
    let address = addresses[0].as_str().filter(|address| *address != "None")?;
    let parsed = address.parse::<Ipv4Addr>().ok()?.to_bits();
    let (first, bits) = (RANGE.0.to_bits(), RANGE.1);
    let last = first + (1_u32 << bits) - 1;
    // Neither the range's own address nor the one for all of it is given.
    let problem = if !(first + 1..last).contains(&parsed) {
        "the provided network does not match the current range"
    } else if held.contains(address) {
        "provided IP is already allocated"
    } else {
        return None;
    };
    Some(FieldError::invalid(
        "spec.clusterIPs",
        addresses.clone(),
        format!("failed to allocate IP {address}: {problem}"),
    ))
}

/// The range of addresses, as it is written.
pub(super) fn range() -> String {
    format!("{}/{}", RANGE.0, u32::BITS - RANGE.1)
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
