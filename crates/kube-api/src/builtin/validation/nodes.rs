//! Nodes, namespaces and addresses of services: what may not change, and what status may say
//! (kubernetes `pkg/apis/{core,networking}/validation`, v1.36).

use std::net::IpAddr;

use drover_structural::{FieldError, names};
use serde_json::{Value, json};

use super::networking::cidr;
use super::place::{Place, problems, required};

/// What is wrong with a new node.
pub(super) fn ranges(object: &Value, errors: &mut Vec<FieldError>) {
    let ranges = Place::of(object, "spec").child("podCIDRs");
    let parsed: Vec<_> = ranges
        .items()
        .iter()
        .map(|range| cidr(range, errors))
        .collect();
    if parsed.len() < 2 {
        return;
    }
    let n_of = |is_v4: bool| {
        let of_family = parsed.iter().flatten();
        of_family
            .filter(|(address, _)| address.is_ipv4() == is_v4)
            .count()
    };
    if parsed.len() > 2 || n_of(true) != 1 || n_of(false) != 1 {
        errors.push(ranges.invalid("may specify no more than one CIDR for each IP family"));
    }
}

/// What may not change in a node.
pub(super) fn node_update(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    let (spec, before) = (Place::of(new, "spec"), Place::of(old, "spec"));
    addresses(new, errors);
    for (member, named) in [("podCIDRs", "podCIDR"), ("providerID", "providerID")] {
        let (now, held) = (spec.child(member), before.child(member));
        if !held.is_empty() && now.value() != held.value() {
            let detail = format!("node updates may not change {named} except from \"\" to valid");
            errors.push(now.forbidden(detail));
        }
    }
    super::pod::taints(new, errors);
    let id = spec.child("externalID");
    if id.text() != before.child("externalID").text() {
        errors.push(id.forbidden("may not be updated"));
    }
}

/// Addresses in the status of a node are there once.
pub(super) fn addresses(node: &Value, errors: &mut Vec<FieldError>) {
    let mut seen = Vec::new();
    for address in Place::of(node, "status").child("addresses").items() {
        let one = (
            address.child("type").text(),
            address.child("address").text(),
        );
        if seen.contains(&one) {
            let shown = json!({"Type": one.0, "Address": one.1});
            errors.push(FieldError::duplicate(address.path(), shown));
        }
        seen.push(one);
    }
}

/// What is wrong with the status of a namespace.
pub(crate) fn namespace_status(object: &Value, errors: &mut Vec<FieldError>) {
    let phase = Place::of(object, "status").child("phase");
    let (wanted, is) = if object["metadata"]["deletionTimestamp"].is_null() {
        ("Active", "")
    } else {
        ("Terminating", "not ")
    };
    if phase.text() != wanted {
        let detail = format!("may only be '{wanted}' if `deletionTimestamp` is {is}empty");
        errors.push(FieldError::invalid("status.Phase", phase.text(), detail));
    }
}

/// Whose finalizers are looked at: only a call to let go of some is told which is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finalizers {
    OfNew,
    OfFinalize,
}

/// What is wrong with the finalizers of a namespace.
pub(crate) fn namespace_finalizers(object: &Value, part: Finalizers, errors: &mut Vec<FieldError>) {
    let all = Place::of(object, "spec").child("finalizers");
    for finalizer in all.items() {
        let finalizer = match part {
            Finalizers::OfNew => finalizer.called(all.path().to_owned()),
            Finalizers::OfFinalize => finalizer,
        };
        let found = names::qualified_name(finalizer.text());
        let standard = ["kubernetes", "orphan", "foregroundDeletion"];
        if !finalizer.text().contains('/') && !standard.contains(&finalizer.text()) {
            errors
                .push(finalizer.invalid(
                    "name is neither a standard finalizer name nor is it fully qualified",
                ));
        }
        problems(&finalizer, found, errors);
    }
}

/// Why a name is none of an IPAddress.
fn address_problem(name: &str) -> Option<String> {
    let canonical = name
        .parse::<IpAddr>()
        .ok()
        .map(|address| address.to_string());
    super::service::address_problem(name)
        .map(str::to_owned)
        .or_else(|| {
            let canonical = canonical.filter(|canonical| canonical != name)?;
            Some(format!("must be in canonical form ({canonical:?})"))
        })
}

/// What is wrong with an IPAddress.
pub(super) fn address(object: &Value, errors: &mut Vec<FieldError>) {
    let name = Place::of(object, "metadata").child("name");
    errors.extend(address_problem(name.text()).map(|problem| name.invalid(problem)));
    let parent = Place::of(object, "spec").child("parentRef");
    if !parent.is_set() {
        errors.push(parent.missing(""));
        return;
    }
    let group = parent.child("group");
    if !group.is_empty() {
        problems(&group, names::dns_1123_subdomain(group.text()), errors);
    }
    for member in ["resource", "name"] {
        let member = parent.child(member);
        required(&member, errors);
        if !member.is_empty() {
            problems(&member, names::path_segment(member.text()), errors);
        }
    }
}

/// What is wrong with a ServiceCIDR.
pub(super) fn service_ranges(object: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let ranges = Place::of(object, "spec").child("cidrs");
    if let Some(old) = old {
        let before = Place::of(old, "spec").child("cidrs");
        for (now, held) in ranges.items().iter().zip(before.items()) {
            if now.value() != held.value() {
                errors.push(now.invalid(super::IMMUTABLE));
            }
        }
        if ranges.items().len() < before.items().len() {
            errors.push(ranges.invalid(super::IMMUTABLE));
        }
        return;
    }
    if ranges.is_empty() {
        errors.push(ranges.missing("at least one CIDR required"));
        return;
    }
    let parsed: Vec<_> = ranges
        .items()
        .iter()
        .filter_map(|range| {
            let parsed = cidr(range, errors)?;
            canonical(range, parsed, errors);
            Some(parsed)
        })
        .collect();
    if let [(first, _), (second, _)] = parsed.as_slice()
        && first.is_ipv4() == second.is_ipv4()
    {
        errors.push(ranges.invalid("may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"));
    }
}

/// A range is written by its first address.
fn canonical(range: &Place<'_>, (address, bits): (IpAddr, u32), errors: &mut Vec<FieldError>) {
    let first = match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
            IpAddr::from(std::net::Ipv4Addr::from_bits(address.to_bits() & mask))
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
            IpAddr::from(std::net::Ipv6Addr::from_bits(address.to_bits() & mask))
        }
    };
    if first != address {
        errors.push(range.invalid("must not have bits set beyond the prefix length"));
    }
}
