//! Services: type, ports, addresses, and what may not change (kubernetes `pkg/apis/core/validation`, v1.36).
//!
//! Whether an address or node port is free is the business of [`super::super::services`].

use std::collections::BTreeSet;
use std::net::IpAddr;

use drover_structural::{FieldError, names};
use serde_json::{Value, json};

use super::discovery;
use super::place::{Place, labels, one_of, perhaps_one_of, port, problems, required};

const TYPES: [&str; 4] = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
/// Whom traffic prefers, in the order of the real server's message.
const NEAR: [&str; 3] = ["PreferClose", "PreferSameZone", "PreferSameNode"];
const POLICIES: [&str; 2] = ["Cluster", "Local"];

/// What is wrong with a service.
pub(super) fn check(object: &Value, errors: &mut Vec<FieldError>) {
    let spec = Place::of(object, "spec");
    let kind = spec.child("type");
    let headless = spec.child("clusterIP").text() == "None";
    let ports = spec.child("ports");
    if ports.is_empty() && !headless && kind.text() != "ExternalName" {
        errors.push(ports.missing(""));
    }
    let addresses = spec.child("clusterIPs");
    match kind.text() {
        "LoadBalancer" | "NodePort" if headless => errors.push(FieldError::invalid(
            format!("{}[0]", addresses.path()),
            "None",
            format!("may not be set to 'None' for {} services", kind.text()),
        )),
        "ExternalName" => {
            for member in ["clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
                let member = spec.child(member);
                if !member.is_empty() {
                    errors.push(member.forbidden("may not be set for ExternalName services"));
                }
            }
            let name = spec.child("externalName");
            let plain = name.text().strip_suffix('.').unwrap_or(name.text());
            if plain.is_empty() {
                errors.push(name.missing(""));
            } else {
                let found = names::dns_1123_subdomain(plain).into_iter();
                errors
                    .extend(found.map(|problem| FieldError::invalid(name.path(), plain, problem)));
            }
        }
        _ => {}
    }
    let ports = ports.items();
    let mut names = BTreeSet::new();
    for port in &ports {
        service_port(port, ports.len() > 1, &mut names, errors);
    }
    labels(&spec.child("selector"), errors);
    affinity(&spec, errors);
    for address in spec.child("externalIPs").items() {
        self::address(&address, errors);
        outside(&address, errors);
    }
    one_of(&kind, &TYPES, errors);
    repeated_ports(kind.text(), &ports, errors);
    traffic(&spec, errors);
}

fn service_port<'o>(
    place: &Place<'o>,
    named: bool,
    names: &mut BTreeSet<&'o str>,
    errors: &mut Vec<FieldError>,
) {
    let name = place.child("name");
    if named {
        required(&name, errors);
    }
    if !name.is_empty() {
        problems(&name, names::dns_1123_label(name.text()), errors);
        if !names.insert(name.text()) {
            errors.push(name.duplicate());
        }
    }
    port_number(&place.child("port"), errors);
    one_of(&place.child("protocol"), &["SCTP", "TCP", "UDP"], errors);
    port(&place.child("targetPort"), errors);
    let protocol = place.child("appProtocol");
    if protocol.is_set() {
        problems(&protocol, names::qualified_name(protocol.text()), errors);
    }
}

fn port_number(place: &Place<'_>, errors: &mut Vec<FieldError>) {
    let number = place.number().unwrap_or(0);
    let found = names::port_number(number).into_iter();
    errors.extend(found.map(|problem| FieldError::invalid(place.path(), number, problem)));
}

fn affinity(spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    let affinity = spec.child("sessionAffinity");
    one_of(&affinity, &["ClientIP", "None"], errors);
    let config = spec.child("sessionAffinityConfig");
    match affinity.text() {
        "None" if config.is_set() => {
            errors.push(config.forbidden("must not be set when session affinity is None"));
        }
        "ClientIP" => {
            let seconds = config.child("clientIP").child("timeoutSeconds");
            if !seconds
                .number()
                .is_some_and(|seconds| (1..=86_400).contains(&seconds))
            {
                errors.push(seconds.invalid("must be greater than 0 and less than 86400"));
            }
        }
        _ => {}
    }
}

/// What is wrong with the addresses and families of a service.
pub(super) fn addresses(new: &Value) -> Vec<FieldError> {
    let spec = Place::of(new, "spec");
    let mut errors = Vec::new();
    if !is_name(&spec) {
        families(&spec, &mut errors);
    }
    errors
}

fn families(spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    let (address, addresses) = (spec.child("clusterIP"), spec.child("clusterIPs"));
    let first = addresses.items();
    match (address.is_empty(), first.first()) {
        (false, None) => errors.push(addresses.missing("")),
        (false, Some(first)) if first.text() != address.text() => {
            errors.push(addresses.invalid("first value must match `clusterIP`"));
        }
        (true, Some(_)) => {
            errors.push(addresses.invalid("must be empty when `clusterIP` is not specified"));
        }
        _ => {}
    }
    let mut seen = BTreeSet::new();
    for family in spec.child("ipFamilies").items() {
        if !matches!(family.text(), "IPv4" | "IPv6") {
            errors.push(family.unsupported(&["IPv4", "IPv6"]));
        }
        if !seen.insert(family.text()) {
            errors.push(family.duplicate());
        }
    }
    perhaps_one_of(
        &spec.child("ipFamilyPolicy"),
        &["PreferDualStack", "RequireDualStack", "SingleStack"],
        errors,
    );
    let before = errors.len();
    for (index, address) in first.iter().enumerate() {
        if index == 0 && address.text() == "None" {
            if first.len() > 1 {
                errors.push(addresses.invalid("'None' must be the first and only value"));
            }
            continue;
        }
        self::address(address, errors);
    }
    let unreadable = errors.len() > before;
    if first.len() > 2 {
        errors.push(addresses.invalid("may only hold up to 2 values"));
    }
    if !unreadable {
        of_their_families(spec, &first, errors);
    }
}

/// Two addresses are of two families, and each of that which stands at its place in the list of families.
fn of_their_families(spec: &Place<'_>, addresses: &[Place<'_>], errors: &mut Vec<FieldError>) {
    let is_new = |address: &Place<'_>| {
        address
            .text()
            .parse()
            .map(|parsed: IpAddr| parsed.is_ipv6())
    };
    let n_new = addresses
        .iter()
        .filter(|address| is_new(address) == Ok(true))
        .count();
    if addresses.len() > 1 && (n_new == 0 || n_new == addresses.len()) {
        let all = spec.child("clusterIPs");
        errors.push(all.invalid("may specify no more than one IP for each IP family"));
    }
    let families = spec.child("ipFamilies").items();
    for (index, (address, family)) in addresses.iter().zip(families).enumerate() {
        let wanted = match (family.text(), is_new(address)) {
            ("IPv4", Ok(true)) => "IPv4",
            ("IPv6", Ok(false)) => "IPv6",
            _ => continue,
        };
        errors.push(address.invalid(format!(
            "expected an {wanted} value as indicated by `ipFamilies[{index}]`"
        )));
    }
}

/// An address of either family.
pub(super) fn address(address: &Place<'_>, errors: &mut Vec<FieldError>) {
    let problem = address_problem(address.text());
    errors.extend(
        problem.map(|problem| FieldError::invalid(address.path(), address.text(), problem)),
    );
}

/// Why a text is no address (apimachinery `pkg/util/validation/ip.go`, v0.36).
pub(super) fn address_problem(text: &str) -> Option<&'static str> {
    match text.parse() {
        Ok(IpAddr::V6(address)) if address.to_ipv4_mapped().is_some() => {
            Some("must not be an IPv4-mapped IPv6 address")
        }
        Ok(_) => None,
        Err(_) if without_zeros(text).parse::<std::net::Ipv4Addr>().is_ok() => {
            Some("must not have leading 0s")
        }
        Err(_) => Some("must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"),
    }
}

/// An address of four numbers, each without zeros before it.
fn without_zeros(text: &str) -> String {
    let numbers = text.split('.').map(|number| {
        let short = number.trim_start_matches('0');
        if short.is_empty() && !number.is_empty() {
            "0"
        } else {
            short
        }
    });
    numbers.collect::<Vec<_>>().join(".")
}

/// An address by which others reach a service is none of this host's or link's.
fn outside(address: &Place<'_>, errors: &mut Vec<FieldError>) {
    if let Ok(parsed) = address.text().parse() {
        discovery::not_special(address, parsed, errors);
    }
}

/// No two ports may mean the same, and only some types have node ports.
fn repeated_ports(kind: &str, ports: &[Place<'_>], errors: &mut Vec<FieldError>) {
    let number = |port: &Place<'_>, member: &str| port.child(member).number().unwrap_or(0);
    let mut nodes = BTreeSet::new();
    let mut seen = BTreeSet::new();
    for port in ports {
        let node = port.child("nodePort");
        let protocol = port.child("protocol").text();
        let wanted = number(port, "nodePort");
        if kind == "ClusterIP" && wanted != 0 {
            errors.push(node.forbidden("may not be used when `type` is 'ClusterIP'"));
        }
        if wanted != 0 && !nodes.insert((protocol, wanted)) {
            errors.push(node.duplicate());
        }
        if !seen.insert((protocol, number(port, "port"))) {
            errors.push(FieldError::duplicate(
                port.path(),
                // The real server shows its own structure with all else left empty.
                json!({
                    "Name": "", "Protocol": protocol, "AppProtocol": null,
                    "Port": number(port, "port"), "TargetPort": 0, "NodePort": 0,
                }),
            ));
        }
    }
}

/// Whether anything from outside the cluster reaches a service.
fn is_external(spec: &Place<'_>) -> bool {
    match spec.child("type").text() {
        "LoadBalancer" | "NodePort" => true,
        "ClusterIP" => !spec.child("externalIPs").is_empty(),
        _ => false,
    }
}

fn traffic(spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    let policy = spec.child("externalTrafficPolicy");
    if is_external(spec) {
        one_of(&policy, &POLICIES, errors);
    } else if !policy.is_empty() {
        errors.push(policy.invalid("may only be set for externally-accessible services"));
    }
    let kind = spec.child("type").text();
    let checks_health = kind == "LoadBalancer" && policy.text() == "Local";
    let health = spec.child("healthCheckNodePort");
    let number = health.number().unwrap_or(0);
    if !checks_health && number != 0 {
        errors.push(health.invalid(
            "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'",
        ));
    } else if checks_health && number == 0 {
        errors.push(health.missing(""));
    }
    let internal = spec.child("internalTrafficPolicy");
    if internal.is_set() || matches!(kind, "ClusterIP" | "NodePort" | "LoadBalancer") {
        one_of(&internal, &POLICIES, errors);
    }
    for (member, what) in [
        (
            "loadBalancerClass",
            "may only be used when `type` is 'LoadBalancer'",
        ),
        (
            "allocateLoadBalancerNodePorts",
            "may only be used when `type` is 'LoadBalancer'",
        ),
    ] {
        let member = spec.child(member);
        if member.is_set() && kind != "LoadBalancer" {
            errors.push(member.forbidden(what));
        }
    }
    let class = spec.child("loadBalancerClass");
    if !class.is_empty() && kind == "LoadBalancer" {
        problems(&class, names::qualified_name(class.text()), errors);
    }
    source_ranges(spec, kind, errors);
    let near = spec.child("trafficDistribution");
    if near.is_set() && !NEAR.contains(&near.text()) {
        errors.push(FieldError::not_supported(near.path(), near.text(), NEAR));
    }
}

/// Who may reach a balancer of load is said only where there is one.
fn source_ranges(spec: &Place<'_>, kind: &str, errors: &mut Vec<FieldError>) {
    let ranges = spec.child("loadBalancerSourceRanges");
    if !ranges.is_empty() && kind != "LoadBalancer" {
        errors.push(FieldError::forbidden(
            "spec.LoadBalancerSourceRanges",
            "may only be used when `type` is 'LoadBalancer'",
        ));
    }
    if kind == "LoadBalancer" {
        for (index, range) in ranges.items().iter().enumerate() {
            let called = format!("spec.LoadBalancerSourceRanges[{index}]");
            super::networking::cidr(&range.called(called), errors);
        }
    }
}

/// What may not change: an address that was given.
pub(super) fn update(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    let (spec, held) = (Place::of(new, "spec"), Place::of(old, "spec"));
    let is = |place: &Place<'_>, member: &str, text: &str| place.child(member).text() == text;
    balancer_update(&spec, &held, errors);
    if is_name(&spec) || is_name(&held) {
        return;
    }
    if is(&spec, "clusterIP", "None") && is(&held, "clusterIP", "None") {
        return;
    }
    let addresses = spec.child("clusterIPs");
    let (now, before) = (addresses.items(), held.child("clusterIPs").items());
    let changed = |index: usize| {
        let (Some(now), Some(before)) = (now.get(index), before.get(index)) else {
            return false;
        };
        now.text() != before.text()
    };
    let compared = if now.len() == before.len() {
        now.len()
    } else {
        1
    };
    for index in (0..compared).filter(|index| changed(*index)) {
        errors.push(FieldError::invalid(
            format!("{}[{index}]", addresses.path()),
            addresses.value().clone(),
            "may not change once set",
        ));
    }
    if now.is_empty() && !before.is_empty() {
        errors.push(FieldError::invalid(
            format!("{}[0]", addresses.path()),
            Value::Null,
            "primary clusterIP can not be unset",
        ));
    }
}

/// A balancer keeps its class and the port by which it asks for health.
fn balancer_update(spec: &Place<'_>, held: &Place<'_>, errors: &mut Vec<FieldError>) {
    let balances = |place: &Place<'_>| place.child("type").text() == "LoadBalancer";
    if !balances(spec) || !balances(held) {
        return;
    }
    let checks = |place: &Place<'_>| place.child("externalTrafficPolicy").text() == "Local";
    let (now, before) = (
        spec.child("healthCheckNodePort"),
        held.child("healthCheckNodePort"),
    );
    if checks(spec) && checks(held) && now.value() != before.value() {
        errors.push(now.forbidden("field is immutable"));
    }
    let (now, before) = (
        spec.child("loadBalancerClass"),
        held.child("loadBalancerClass"),
    );
    if now.value() != before.value() {
        errors.push(now.invalid("may not change once set"));
    }
}

/// Whether a service is another name of something elsewhere.
fn is_name(spec: &Place<'_>) -> bool {
    spec.child("type").text() == "ExternalName"
}

/// What is wrong with the status of a service.
pub(super) fn status(object: &Value, errors: &mut Vec<FieldError>) {
    let status = Place::of(object, "status");
    let ingress = status.child("loadBalancer").child("ingress");
    let balanced = Place::of(object, "spec").child("type").text() == "LoadBalancer";
    if !balanced && !ingress.is_empty() {
        errors.push(ingress.forbidden("may only be used when `spec.type` is 'LoadBalancer'"));
        return;
    }
    ingresses(&ingress, errors);
    for entry in ingress.items() {
        let (address, mode) = (entry.child("ip"), entry.child("ipMode"));
        match (address.is_empty(), mode.is_set()) {
            (false, false) => errors.push(mode.missing("must be specified when `ip` is set")),
            (true, true) => {
                errors.push(mode.forbidden("may not be specified when `ip` is not set"))
            }
            _ => perhaps_one_of(&mode, &["Proxy", "VIP"], errors),
        }
    }
}

/// Addresses and names by which a balancer is reached.
pub(super) fn ingresses(ingresses: &Place<'_>, errors: &mut Vec<FieldError>) {
    for entry in ingresses.items() {
        let address = entry.child("ip");
        if !address.is_empty() {
            self::address(&address, errors);
        }
        let host = entry.child("hostname");
        if !host.is_empty() {
            problems(&host, names::dns_1123_subdomain(host.text()), errors);
            if host.text().parse::<IpAddr>().is_ok() {
                errors.push(host.invalid("must be a DNS name, not an IP address"));
            }
        }
    }
}
