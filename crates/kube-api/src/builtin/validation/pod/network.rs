//! How pods name themselves and others, and whose network they have.

use drover_structural::{FieldError, names};

use crate::builtin::validation::place::Place;
use crate::builtin::validation::service;

/// The most servers of names, and the longest lists of where names are searched.
const MOST_SERVERS: usize = 3;
const MOST_SEARCHES: usize = 32;
const LONGEST_SEARCHES: usize = 2048;

/// What is wrong with `dnsConfig`, which some policies need.
pub(super) fn dns(spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    let config = spec.child("dnsConfig");
    let servers = config.child("nameservers");
    if spec.child("dnsPolicy").text() == "None" {
        if !config.is_set() {
            errors.push(config.missing("must provide `dnsConfig` when `dnsPolicy` is None"));
            return;
        }
        if servers.is_empty() {
            let detail = "must provide at least one DNS nameserver when `dnsPolicy` is None";
            errors.push(servers.missing(detail));
            return;
        }
    }
    let items = servers.items();
    if items.len() > MOST_SERVERS {
        let detail = format!("must not have more than {MOST_SERVERS} nameservers");
        errors.push(servers.invalid(detail));
    }
    for server in items {
        service::address(&server, errors);
    }
    searches(&config.child("searches"), errors);
    for option in config.child("options").items() {
        if option.child("name").is_empty() {
            errors.push(option.missing("must not be empty"));
        }
    }
}

fn searches(searches: &Place<'_>, errors: &mut Vec<FieldError>) {
    let items = searches.items();
    if items.len() > MOST_SEARCHES {
        let detail = format!("must not have more than {MOST_SEARCHES} search paths");
        errors.push(searches.invalid(detail));
    }
    let length: usize = items.iter().map(|search| search.text().len() + 1).sum();
    if length > LONGEST_SEARCHES + 1 {
        let detail = format!(
            "must not have more than {LONGEST_SEARCHES} characters (including spaces) in the search list"
        );
        errors.push(searches.invalid(detail));
    }
    for search in items.iter().filter(|search| search.text() != ".") {
        let text = search.text().strip_suffix('.').unwrap_or(search.text());
        if !is_search(text) {
            let detail = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\\._?[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*')";
            errors.push(FieldError::invalid(search.path(), text, detail));
        }
    }
}

/// A domain whose labels may have low lines.
fn is_search(text: &str) -> bool {
    let is_label = |label: &str| {
        let bytes = label.strip_prefix('_').unwrap_or(label).as_bytes();
        let plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        bytes.first().is_some_and(plain)
            && bytes.last().is_some_and(plain)
            && bytes
                .iter()
                .all(|byte| plain(byte) || matches!(byte, b'-' | b'_'))
    };
    text.len() <= 253 && text.split('.').all(is_label)
}

/// Names that a pod knows without asking.
pub(super) fn aliases(aliases: &Place<'_>, errors: &mut Vec<FieldError>) {
    for alias in aliases.items() {
        service::address(&alias.child("ip"), errors);
        for name in alias.child("hostnames").items() {
            let found = names::dns_1123_subdomain(name.text()).into_iter();
            errors.extend(found.map(|problem| name.invalid(problem)));
        }
    }
}

/// Ports of containers on the host's network are ports of the host.
pub(super) fn host_of_pod(spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    host(spec, |host, inside| host == inside, errors);
}

/// Templates may leave the port of the host open: pods get it when they are made.
pub(super) fn host_of_template(spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    host(spec, |host, inside| host == 0 || host == inside, errors);
}

fn host(spec: &Place<'_>, fits: fn(i64, i64) -> bool, errors: &mut Vec<FieldError>) {
    if !spec.child("hostNetwork").is_true() {
        return;
    }
    for container in spec.child("containers").items() {
        for port in container.child("ports").items() {
            let host = port.child("hostPort");
            let [outside, inside] =
                [&host, &port.child("containerPort")].map(|port| port.number().unwrap_or(0));
            if !fits(outside, inside) {
                errors.push(FieldError::invalid(
                    host.path(),
                    outside,
                    "must match `containerPort` when `hostNetwork` is true",
                ));
            }
        }
    }
}
