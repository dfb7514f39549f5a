//! Ingresses and network policies (kubernetes `pkg/apis/networking/validation`, v1.36).

use std::net::IpAddr;

use drover_structural::{FieldError, names};
use serde_json::Value;

use super::place::{Place, label_selector, problems};

/// What is wrong with an Ingress.
pub(super) fn ingress(object: &Value, is_new: bool, errors: &mut Vec<FieldError>) {
    let spec = Place::of(object, "spec");
    let (rules, fallback) = (spec.child("rules"), spec.child("defaultBackend"));
    if rules.is_empty() && !fallback.is_set() {
        errors.push(FieldError::invalid(
            spec.path(),
            Value::Array(Vec::new()),
            "either `defaultBackend` or `rules` must be specified",
        ));
    }
    if fallback.is_set() {
        backend(&fallback, errors);
    }
    for rule in rules.items() {
        let name = rule.child("host");
        if !name.is_empty() {
            if name.text().parse::<IpAddr>().is_ok() {
                errors.push(name.invalid("must be a DNS name, not an IP address"));
            }
            host(&name, errors);
        }
        let http = rule.child("http");
        if http.is_set() {
            paths(&http.child("paths"), errors);
        }
    }
    for tls in spec.child("tls").items() {
        for name in tls.child("hosts").items() {
            host(&name, errors);
        }
        let secret = tls.child("secretName");
        if !secret.is_empty() {
            problems(&secret, names::dns_1123_subdomain(secret.text()), errors);
        }
    }
    let class = spec.child("ingressClassName");
    if class.is_set() {
        problems(&class, names::dns_1123_subdomain(class.text()), errors);
    }
    let annotation = object
        .pointer("/metadata/annotations/kubernetes.io~1ingress.class")
        .and_then(Value::as_str);
    if let Some(annotation) = annotation
        && is_new
        && class.is_set()
        && annotation != class.text()
    {
        errors.push(FieldError::invalid(
            "annotations.kubernetes.io/ingress.class",
            annotation,
            "must match `ingressClassName` when both are specified",
        ));
    }
}

/// A name of a host, whose first part may be `*`.
fn host(host: &Place<'_>, errors: &mut Vec<FieldError>) {
    let found = match host.text().strip_prefix("*.") {
        Some(rest) if names::dns_1123_subdomain(rest).is_empty() => Vec::new(),
        _ if host.text().contains('*') => vec![
            "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com', regex used for validation is '\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')".to_owned(),
        ],
        _ => names::dns_1123_subdomain(host.text()),
    };
    problems(host, found, errors);
}

fn paths(paths: &Place<'_>, errors: &mut Vec<FieldError>) {
    if paths.is_empty() {
        errors.push(paths.missing(""));
    }
    for entry in paths.items() {
        let kind = entry.child("pathType");
        if !kind.is_set() {
            errors.push(kind.missing("pathType must be specified"));
            continue;
        }
        let path = entry.child("path");
        let text = path.text();
        let wrong = |detail: String| FieldError::invalid(path.path(), text, detail);
        match kind.text() {
            "Exact" | "Prefix" => {
                if !text.starts_with('/') {
                    errors.push(wrong("must be an absolute path".to_owned()));
                }
                for part in ["//", "/./", "/../", "%2f", "%2F"] {
                    if text.contains(part) {
                        errors.push(wrong(format!("must not contain '{part}'")));
                    }
                }
                for end in ["/..", "/."] {
                    if text.ends_with(end) {
                        errors.push(wrong(format!("cannot end with '{end}'")));
                    }
                }
            }
            "ImplementationSpecific" => {
                if !text.is_empty() && !text.starts_with('/') {
                    errors.push(wrong("must be an absolute path".to_owned()));
                }
            }
            _ => errors.push(kind.unsupported(&["Exact", "ImplementationSpecific", "Prefix"])),
        }
        backend(&entry.child("backend"), errors);
    }
}

fn backend(backend: &Place<'_>, errors: &mut Vec<FieldError>) {
    let (resource, service) = (backend.child("resource"), backend.child("service"));
    let wrong = |detail: &str| FieldError::invalid(backend.path(), "", detail);
    match (resource.is_set(), service.is_set()) {
        (true, true) => errors.push(wrong("cannot set both resource and service backends")),
        (false, false) => errors.push(wrong("resource or service backend is required")),
        (true, false) => {
            for member in ["kind", "name"] {
                super::place::required(&resource.child(member), errors);
            }
        }
        (false, true) => {
            let name = service.child("name");
            if name.is_empty() {
                errors.push(name.missing(""));
            } else {
                problems(&name, names::dns_1123_label(name.text()), errors);
            }
            let port = service.child("port");
            let (named, numbered) = (port.child("name"), port.child("number"));
            let number = numbered.number().unwrap_or(0);
            match (named.is_empty(), number) {
                (false, 0) => problems(&named, names::port_name(named.text()), errors),
                (false, _) => errors.push(wrong("cannot set both port name & port number")),
                (true, 0) => errors.push(backend.missing("port name or number is required")),
                (true, number) => problems(&numbered, names::port_number(number), errors),
            }
        }
    }
}

/// What is wrong with an IngressClass.
pub(super) fn class(spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    let controller = spec.child("controller");
    domain_path(&controller, errors);
    let parameters = spec.child("parameters");
    if !parameters.is_set() {
        return;
    }
    let group = parameters.child("apiGroup");
    if group.is_set() {
        problems(&group, names::dns_1123_subdomain(group.text()), errors);
    }
    for member in ["kind", "name"] {
        let member = parameters.child(member);
        if member.is_empty() {
            errors.push(member.missing(""));
        } else {
            problems(&member, names::path_segment(member.text()), errors);
        }
    }
    let (scope, namespace) = (parameters.child("scope"), parameters.child("namespace"));
    match scope.text() {
        "Namespace" if namespace.is_empty() => {
            errors.push(namespace.missing("`parameters.scope` is set to 'Namespace'"))
        }
        "Namespace" => {
            problems(&namespace, names::dns_1123_label(namespace.text()), errors);
        }
        "Cluster" if namespace.is_set() => {
            errors.push(namespace.forbidden("`parameters.scope` is set to 'Cluster'"))
        }
        "Cluster" => {}
        _ => errors.push(scope.unsupported(&["Cluster", "Namespace"])),
    }
}

/// A domain, and a path in it (apimachinery `IsDomainPrefixedPath`).
fn domain_path(place: &Place<'_>, errors: &mut Vec<FieldError>) {
    let text = place.text();
    if text.is_empty() {
        errors.push(place.missing(""));
        return;
    }
    let Some((domain, path)) = text
        .split_once('/')
        .filter(|(domain, path)| !domain.is_empty() && !path.is_empty())
    else {
        errors.push(place.invalid("must be a domain-prefixed path (such as \"acme.io/foo\")"));
        return;
    };
    for found in names::dns_1123_subdomain(domain) {
        errors.push(FieldError::invalid(place.path(), domain, found));
    }
    let is_path = path
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:".contains(&byte));
    if !is_path {
        errors.push(FieldError::invalid(place.path(), path, "Invalid path"));
    }
}

/// What is wrong with a NetworkPolicy.
pub(super) fn policy(object: &Value, errors: &mut Vec<FieldError>) {
    let spec = Place::of(object, "spec");
    label_selector(&spec.child("podSelector"), errors);
    for (rules, peers) in [("ingress", "from"), ("egress", "to")] {
        for rule in spec.child(rules).items() {
            for port in rule.child("ports").items() {
                policy_port(&port, errors);
            }
            for peer in rule.child(peers).items() {
                policy_peer(&peer, errors);
            }
        }
    }
    let types = spec.child("policyTypes");
    if types.items().len() > 2 {
        errors.push(types.invalid("may not specify more than two policyTypes"));
        return;
    }
    for kind in types.items() {
        if !matches!(kind.text(), "Ingress" | "Egress") {
            errors.push(kind.unsupported(&["Ingress", "Egress"]));
        }
    }
}

fn policy_port(place: &Place<'_>, errors: &mut Vec<FieldError>) {
    let protocol = place.child("protocol");
    if protocol.is_set() && !matches!(protocol.text(), "TCP" | "UDP" | "SCTP") {
        errors.push(protocol.unsupported(&["TCP", "UDP", "SCTP"]));
    }
    let (port, end) = (place.child("port"), place.child("endPort"));
    match port.value() {
        Value::Null if end.is_set() => {
            errors.push(end.invalid("may not be specified when `port` is not specified"));
        }
        Value::Null => {}
        Value::String(name) => {
            if end.is_set() {
                errors.push(end.invalid("may not be specified when `port` is non-numeric"));
            }
            problems(&port, names::port_name(name), errors);
        }
        number => {
            let number = number.as_i64().unwrap_or(0);
            problems(&port, names::port_number(number), errors);
            if let Some(last) = end.number() {
                if last < number {
                    // The real server shows the port here, not the end.
                    errors.push(FieldError::invalid(
                        end.path(),
                        number,
                        "must be greater than or equal to `port`",
                    ));
                }
                problems(&end, names::port_number(last), errors);
            }
        }
    }
}

fn policy_peer(peer: &Place<'_>, errors: &mut Vec<FieldError>) {
    let mut n_peers = 0;
    for selector in ["podSelector", "namespaceSelector"] {
        let selector = peer.child(selector);
        if selector.is_set() {
            n_peers += 1;
            label_selector(&selector, errors);
        }
    }
    let block = peer.child("ipBlock");
    if block.is_set() {
        address_block(&block, errors);
        if n_peers > 0 {
            errors.push(peer.forbidden("may not specify both ipBlock and another peer"));
        }
    } else if n_peers == 0 {
        errors.push(peer.missing("must specify a peer"));
    }
}

fn address_block(block: &Place<'_>, errors: &mut Vec<FieldError>) {
    let range = block.child("cidr");
    if range.is_empty() {
        errors.push(range.missing(""));
        return;
    }
    let Some((first, bits)) = cidr(&range, errors) else {
        return;
    };
    for except in block.child("except").items() {
        let Some((address, inner)) = cidr(&except, errors) else {
            continue;
        };
        let contains = match (first, address) {
            (IpAddr::V4(first), IpAddr::V4(address)) => {
                let differ = u64::from(first.to_bits() ^ address.to_bits());
                differ >> (32 - bits.min(32)) == 0
            }
            (IpAddr::V6(first), IpAddr::V6(address)) => {
                let differ = first.to_bits() ^ address.to_bits();
                differ.checked_shr(128 - bits.min(128)).unwrap_or(0) == 0
            }
            _ => false,
        };
        if !contains || bits >= inner {
            errors.push(except.invalid("must be a strict subset of `cidr`"));
        }
    }
}

/// A range of addresses, with the number of its fixed bits.
pub(super) fn cidr(place: &Place<'_>, errors: &mut Vec<FieldError>) -> Option<(IpAddr, u32)> {
    let parsed = place.text().split_once('/').and_then(|(address, bits)| {
        let address: IpAddr = address.parse().ok()?;
        let bits: u32 = bits.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        (bits <= most).then_some((address, bits))
    });
    if parsed.is_none() {
        errors
            .push(place.invalid("must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"));
    }
    parsed
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn exceptions_lie_within_their_block() {
        let check = |range: &str, except: &str, expected: bool| {
            let object = json!({"block": {"cidr": range, "except": [except]}});
            let mut errors = Vec::new();
            address_block(&Place::of(&object, "block"), &mut errors);
            assert_eq!(errors.is_empty(), expected, "{range} {except}");
        };
        check("10.0.0.0/8", "10.1.0.0/16", true);
        check("10.0.0.0/8", "11.1.0.0/16", false);
        check("10.0.0.0/8", "10.0.0.0/8", false);
        check("0.0.0.0/0", "10.0.0.0/8", true);
        check("2001:db8::/32", "2001:db8:1::/48", true);
        check("2001:db8::/32", "10.0.0.0/8", false);
    }
}
