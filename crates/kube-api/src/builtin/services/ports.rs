//! Ports that nodes open for services (kubernetes `pkg/registry/core/service/storage/alloc.go`).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::{checks_health, number, text};
use crate::status::FieldError;

const NODE_PORTS: std::ops::RangeInclusive<i64> = 30_000..=32_767;

/// Whether services of this type have such ports.
pub(super) fn needed(spec: &Map<String, Value>) -> bool {
    matches!(text(spec, "type"), "NodePort" | "LoadBalancer")
}

/// Whether they get them without asking.
fn given(spec: &Map<String, Value>) -> bool {
    needed(spec)
        && !(text(spec, "type") == "LoadBalancer"
            && spec.get("allocateLoadBalancerNodePorts") == Some(&Value::Bool(false)))
}

fn ports(spec: &Map<String, Value>) -> impl Iterator<Item = &Map<String, Value>> {
    let ports = spec.get("ports").and_then(Value::as_array);
    ports.into_iter().flatten().filter_map(Value::as_object)
}

fn ports_mut(spec: &mut Map<String, Value>) -> impl Iterator<Item = &mut Map<String, Value>> {
    let ports = spec.get_mut("ports").and_then(Value::as_array_mut);
    ports.into_iter().flatten().filter_map(Value::as_object_mut)
}

/// Those that a service names.
pub(super) fn numbers(spec: &Map<String, Value>) -> BTreeSet<i64> {
    ports(spec)
        .map(|port| number(port, "nodePort"))
        .filter(|node| *node > 0)
        .collect()
}

/// A client that leaves them out means those that ports of the same names had, unless it names them elsewhere.
pub(super) fn keep(spec: &mut Map<String, Value>, old: &Map<String, Value>) {
    let held = ports(old)
        .map(|port| (text(port, "name").to_owned(), number(port, "nodePort")))
        .collect::<BTreeMap<_, _>>();
    let used = numbers(spec);
    for port in ports_mut(spec).filter(|port| number(port, "nodePort") == 0) {
        let before = held.get(text(port, "name")).copied().unwrap_or(0);
        if before > 0 && !used.contains(&before) {
            port.insert("nodePort".to_owned(), json!(before));
        }
    }
}

/// Gives each port of a service one on the nodes if its type has them, and a balancer one to ask for health.
pub(super) fn give(
    spec: &mut Map<String, Value>,
    old: Option<&Map<String, Value>>,
    taken: impl FnOnce() -> BTreeSet<i64>,
) {
    let lacks = given(spec) && ports(spec).any(|port| number(port, "nodePort") == 0);
    let lacks_health = checks_health(spec) && number(spec, "healthCheckNodePort") == 0;
    if !lacks && !lacks_health {
        return;
    }
    let mut taken = taken();
    taken.extend(numbers(spec));
    if lacks {
        // One number with several protocols is one port of the node, when a service is new.
        let mut shared = BTreeMap::new();
        if old.is_none() {
            for port in ports(spec).filter(|port| number(port, "nodePort") > 0) {
                shared
                    .entry(number(port, "port"))
                    .or_insert(number(port, "nodePort"));
            }
        }
        for port in ports_mut(spec).filter(|port| number(port, "nodePort") == 0) {
            let inside = number(port, "port");
            let node = match shared.get(&inside) {
                Some(node) => *node,
                None => free(&taken),
            };
            taken.insert(node);
            if old.is_none() {
                shared.insert(inside, node);
            }
            port.insert("nodePort".to_owned(), json!(node));
        }
    }
    if lacks_health {
        spec.insert("healthCheckNodePort".to_owned(), json!(free(&taken)));
    }
}

fn free(taken: &BTreeSet<i64>) -> i64 {
    let random = (0..64).map(|_| rand::random_range(NODE_PORTS));
    random
        .chain(NODE_PORTS)
        .find(|port| !taken.contains(port))
        .unwrap_or(0)
}

/// The first port that cannot be had; `taken` is what other services hold.
pub(super) fn problem(
    spec: &Map<String, Value>,
    old: Option<&Map<String, Value>>,
    taken: &BTreeSet<i64>,
) -> Option<FieldError> {
    let held = old.map(numbers).unwrap_or_default();
    let mut own = BTreeSet::new();
    let mut shared = BTreeMap::new();
    for (index, port) in ports(spec).enumerate() {
        let node = number(port, "nodePort");
        let known = match old {
            Some(_) => held.contains(&node) || own.contains(&node),
            None => shared.get(&number(port, "port")) == Some(&node),
        };
        if node == 0 || known {
            continue;
        }
        let detail = if !NODE_PORTS.contains(&node) {
            "provided port is not in the valid range. The range of valid ports is 30000-32767"
        } else if taken.contains(&node) || own.contains(&node) {
            "provided port is already allocated"
        } else {
            own.insert(node);
            shared.entry(number(port, "port")).or_insert(node);
            continue;
        };
        let field = format!("spec.ports[{index}].nodePort");
        return Some(FieldError::invalid(field, node, detail));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(value: &Value) -> Map<String, Value> {
        value.as_object().expect("a spec").clone()
    }

    #[test]
    fn one_number_in_two_protocols_is_one_port_of_the_node() {
        let mut dns = spec(&json!({"type": "NodePort", "ports": [
            {"name": "a", "port": 53, "protocol": "TCP"}, {"name": "b", "port": 53, "protocol": "UDP"}, {"name": "c", "port": 54},
        ]}));
        give(&mut dns, None, BTreeSet::new);
        let ports = &dns["ports"];
        assert_eq!(ports[0]["nodePort"], ports[1]["nodePort"]);
        assert_ne!(ports[0]["nodePort"], ports[2]["nodePort"]);
        assert!(problem(&dns, None, &BTreeSet::new()).is_none());
    }

    #[test]
    fn ports_are_kept_by_name() {
        let old = spec(
            &json!({"type": "NodePort", "ports": [{"name": "a", "port": 80, "nodePort": 30001}, {"name": "b", "port": 81, "nodePort": 30002}]}),
        );
        let mut new = spec(
            &json!({"type": "NodePort", "ports": [{"name": "b", "port": 90}, {"name": "c", "port": 91, "nodePort": 30001}, {"name": "a", "port": 80}]}),
        );
        keep(&mut new, &old);
        let given = ports(&new)
            .map(|port| number(port, "nodePort"))
            .collect::<Vec<_>>();
        assert_eq!(given, [30002, 30001, 0]);
    }
}
