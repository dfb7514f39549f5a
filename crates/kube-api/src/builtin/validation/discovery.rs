//! Where services lead: EndpointSlices and Endpoints (kubernetes `pkg/apis/{discovery,core}/validation`, v1.36).

use std::net::IpAddr;

use drover_structural::{FieldError, names};
use serde_json::Value;

use super::place::{Place, labels, one_of, problems, required};
use super::service;

const PROTOCOLS: [&str; 3] = ["SCTP", "TCP", "UDP"];
const MAX_ENDPOINTS: usize = 1000;
const MAX_ADDRESSES: usize = 100;
const MAX_PORTS: usize = 20_000;
const MAX_HINTS: usize = 8;

/// What is wrong with an EndpointSlice.
pub(super) fn slice(object: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let kind = Place::of(object, "addressType");
    one_of(&kind, &["FQDN", "IPv4", "IPv6"], errors);
    let ports = Place::of(object, "ports");
    let n_ports = ports.items().len();
    if n_ports > MAX_PORTS {
        errors.push(FieldError::too_many(ports.path(), n_ports, MAX_PORTS));
    } else {
        slice_ports(&ports, errors);
    }
    // What was good enough once stays so.
    if old.is_none_or(|old| old.get("endpoints") != object.get("endpoints")) {
        endpoints(&Place::of(object, "endpoints"), kind.text(), errors);
    }
}

fn slice_ports(ports: &Place<'_>, errors: &mut Vec<FieldError>) {
    let mut seen = Vec::new();
    for port in ports.items() {
        let name = port.child("name");
        if !name.is_empty() {
            problems(&name, names::dns_1123_label(name.text()), errors);
        }
        if seen.contains(&name.text()) {
            errors.push(FieldError::duplicate(name.path(), name.text()));
        } else {
            seen.push(name.text());
        }
        one_of(&port.child("protocol"), &PROTOCOLS, errors);
        let protocol = port.child("appProtocol");
        if protocol.is_set() {
            problems(&protocol, names::qualified_name(protocol.text()), errors);
        }
    }
}

fn endpoints(endpoints: &Place<'_>, kind: &str, errors: &mut Vec<FieldError>) {
    let n_endpoints = endpoints.items().len();
    if n_endpoints > MAX_ENDPOINTS {
        errors.push(FieldError::too_many(
            endpoints.path(),
            n_endpoints,
            MAX_ENDPOINTS,
        ));
        return;
    }
    for endpoint in endpoints.items() {
        let addresses = endpoint.child("addresses");
        let n_addresses = addresses.items().len();
        if n_addresses == 0 {
            errors.push(addresses.missing("must contain at least 1 address"));
        } else if n_addresses > MAX_ADDRESSES {
            errors.push(FieldError::too_many(
                addresses.path(),
                n_addresses,
                MAX_ADDRESSES,
            ));
        }
        for address in addresses.items() {
            match kind {
                "IPv4" | "IPv6" => numeric(&addresses, &address, kind, errors),
                "FQDN" => domain(&address, errors),
                _ => {}
            }
        }
        node_name(&endpoint.child("nodeName"), errors);
        labels(&endpoint.child("deprecatedTopology"), errors);
        let host = endpoint.child("hostname");
        if host.is_set() {
            problems(&host, names::dns_1123_label(host.text()), errors);
        }
        for (hints, is_node) in [("forZones", false), ("forNodes", true)] {
            self::hints(&endpoint.child("hints").child(hints), is_node, errors);
        }
    }
}

/// An address of a family; `all` is the list it is in.
fn numeric(all: &Place<'_>, address: &Place<'_>, family: &str, errors: &mut Vec<FieldError>) {
    let Ok(parsed) = address.text().parse::<IpAddr>() else {
        errors
            .push(address.invalid("must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"));
        return;
    };
    let is_fitting = match family {
        "IPv4" => parsed.is_ipv4(),
        _ => parsed.is_ipv6(),
    };
    if !is_fitting {
        let detail = format!("must be an {family} address");
        errors.push(FieldError::invalid(all.path(), address.text(), detail));
    }
    not_special(address, parsed, errors);
}

/// Refuses addresses that lead nowhere else (kubernetes `ValidateNonSpecialIP`).
pub(super) fn not_special(address: &Place<'_>, parsed: IpAddr, errors: &mut Vec<FieldError>) {
    let (link_local, link_local_multicast) = match parsed {
        IpAddr::V4(address) => (
            address.is_link_local(),
            address.octets()[..3] == [224, 0, 0],
        ),
        IpAddr::V6(address) => (
            address.is_unicast_link_local(),
            address.octets()[0] == 0xff && address.octets()[1] & 0x0f == 2,
        ),
    };
    if parsed.is_unspecified() {
        errors.push(address.invalid(format!("may not be unspecified ({})", address.text())));
    }
    if parsed.is_loopback() {
        errors.push(address.invalid("may not be in the loopback range (127.0.0.0/8, ::1/128)"));
    }
    if link_local {
        errors.push(
            address.invalid("may not be in the link-local range (169.254.0.0/16, fe80::/10)"),
        );
    }
    if link_local_multicast {
        errors.push(
            address
                .invalid("may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"),
        );
    }
}

/// A name of at least two parts.
fn domain(name: &Place<'_>, errors: &mut Vec<FieldError>) {
    if name.is_empty() {
        errors.push(name.missing(""));
        return;
    }
    let text = name.text().strip_suffix('.').unwrap_or(name.text());
    let found = names::dns_1123_subdomain(text);
    if !found.is_empty() {
        errors.push(FieldError::invalid(name.path(), text, found.join(",")));
    } else if !text.contains('.') {
        let detail = "should be a domain with at least two segments separated by dots";
        errors.push(FieldError::invalid(name.path(), text, detail));
    } else {
        let labels = text.split('.');
        let wrong = labels.map(|label| (label, names::dns_1123_label(label)));
        let wrong = wrong.into_iter().find(|(_, found)| !found.is_empty());
        errors.extend(
            wrong.map(|(label, found)| FieldError::invalid(name.path(), label, found.join(","))),
        );
    }
}

fn node_name(name: &Place<'_>, errors: &mut Vec<FieldError>) {
    if name.is_set() {
        problems(name, names::dns_1123_subdomain(name.text()), errors);
    }
}

fn hints(hints: &Place<'_>, is_node: bool, errors: &mut Vec<FieldError>) {
    let n_hints = hints.items().len();
    if n_hints > MAX_HINTS {
        errors.push(FieldError::too_many(hints.path(), n_hints, MAX_HINTS));
        return;
    }
    let mut seen = Vec::new();
    for hint in hints.items() {
        let name = hint.child("name");
        if seen.contains(&name.text()) {
            errors.push(name.duplicate());
        } else {
            seen.push(name.text());
        }
        let found = if is_node {
            names::dns_1123_subdomain(name.text())
        } else {
            names::label_value(name.text())
        };
        problems(&name, found, errors);
    }
}

/// What is wrong with Endpoints.
pub(super) fn plain(object: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    if old.is_some_and(|old| old.get("subsets") == object.get("subsets")) {
        return;
    }
    for subset in Place::of(object, "subsets").items() {
        let (ready, waiting) = (subset.child("addresses"), subset.child("notReadyAddresses"));
        if ready.is_empty() && waiting.is_empty() {
            errors.push(subset.missing("must specify `addresses` or `notReadyAddresses`"));
        }
        for address in ready.items().into_iter().chain(waiting.items()) {
            plain_address(&address, errors);
        }
        let ports = subset.child("ports").items();
        for port in &ports {
            plain_port(port, ports.len() > 1, errors);
        }
    }
}

fn plain_address(address: &Place<'_>, errors: &mut Vec<FieldError>) {
    let ip = address.child("ip");
    let parsed = ip.text().parse::<IpAddr>();
    service::address(&ip, errors);
    let host = address.child("hostname");
    if !host.is_empty() {
        problems(&host, names::dns_1123_label(host.text()), errors);
    }
    node_name(&address.child("nodeName"), errors);
    match parsed {
        Ok(parsed) => not_special(&ip, parsed, errors),
        Err(_) => errors.push(FieldError::invalid(
            ip.path(),
            ip.text(),
            "must be a valid IP address",
        )),
    }
}

fn plain_port(port: &Place<'_>, named: bool, errors: &mut Vec<FieldError>) {
    let name = port.child("name");
    if named {
        required(&name, errors);
    }
    if !name.is_empty() {
        problems(&name, names::dns_1123_label(name.text()), errors);
    }
    let number = port.child("port");
    let found = names::port_number(number.number().unwrap_or(0)).into_iter();
    errors.extend(
        found.map(|problem| {
            FieldError::invalid(number.path(), number.number().unwrap_or(0), problem)
        }),
    );
    one_of(&port.child("protocol"), &PROTOCOLS, errors);
    let protocol = port.child("appProtocol");
    if protocol.is_set() {
        problems(&protocol, names::qualified_name(protocol.text()), errors);
    }
}
