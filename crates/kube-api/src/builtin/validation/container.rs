//! Containers of a pod: names, images, ports, resources; what stands in them.

mod environment;
mod mounts;
mod probes;

use std::collections::{BTreeMap, BTreeSet};

use drover_structural::quantity::Quantity;
use drover_structural::{FieldError, names};
use serde_json::Value;

use super::place::{Place, one_of, perhaps_one_of, problems, required};
use super::security;

const RESTARTS: [&str; 3] = ["Always", "Never", "OnFailure"];

/// What containers need to know of their pod.
pub(super) struct Around<'o> {
    /// The volumes by name, and whether each can be a device.
    pub(super) volumes: BTreeMap<&'o str, bool>,
    /// Seconds to end.
    pub(super) grace: i64,
    /// Whether users are those of the host.
    pub(super) host_users: bool,
    /// The names of the claims of devices.
    pub(super) claims: BTreeSet<&'o str>,
}

/// The containers that run together.
pub(super) fn regular(containers: &Place<'_>, around: &Around<'_>, errors: &mut Vec<FieldError>) {
    if containers.items().is_empty() {
        errors.push(containers.missing(""));
        return;
    }
    let mut names = BTreeSet::new();
    for container in containers.items() {
        common(&container, around, errors);
        let name = container.child("name");
        if !names.insert(name.text()) {
            errors.push(FieldError::duplicate(name.path(), name.text()));
        }
        probes::check(&container, around.grace, errors);
        perhaps_one_of(&container.child("restartPolicy"), &RESTARTS, errors);
    }
    host_ports(&containers.items(), errors);
}

/// The containers that run before, one after the other; `names` are taken already.
pub(super) fn initial<'o>(
    containers: &Place<'o>,
    mut names: BTreeSet<&'o str>,
    around: &Around<'_>,
    errors: &mut Vec<FieldError>,
) {
    for container in containers.items() {
        common(&container, around, errors);
        let name = container.child("name");
        if !name.is_empty() && !names.insert(name.text()) {
            errors.push(name.duplicate());
        }
        host_ports(std::slice::from_ref(&container), errors);
        perhaps_one_of(&container.child("restartPolicy"), &RESTARTS, errors);
        if container.child("restartPolicy").text() == "Always" {
            probes::check(&container, around.grace, errors);
            continue;
        }
        for member in [
            "lifecycle",
            "livenessProbe",
            "readinessProbe",
            "startupProbe",
        ] {
            let member = container.child(member);
            if member.is_set() {
                errors.push(
                    member.forbidden(
                        "may not be set for init containers without restartPolicy=Always",
                    ),
                );
            }
        }
    }
}

/// What a container that only looks into a pod cannot have.
const NOT_EPHEMERAL: [&str; 8] = [
    "ports",
    "resources",
    "resizePolicy",
    "restartPolicy",
    "livenessProbe",
    "readinessProbe",
    "startupProbe",
    "lifecycle",
];

/// The containers that look into a pod that has the containers `others`.
pub(super) fn ephemeral(
    containers: &Place<'_>,
    others: &BTreeSet<&str>,
    around: &Around<'_>,
    errors: &mut Vec<FieldError>,
) {
    let detail = "cannot be set for an Ephemeral Container";
    let mut names = others.clone();
    for container in containers.items() {
        common(&container, around, errors);
        let name = container.child("name");
        if !names.insert(name.text()) {
            errors.push(FieldError::duplicate(name.path(), name.text()));
        }
        let target = container.child("targetContainerName");
        if !target.is_empty() && !others.contains(target.text()) {
            errors.push(FieldError::not_found(target.path(), target.text()));
        }
        for member in NOT_EPHEMERAL {
            let member = container.child(member);
            if !member.is_empty() {
                errors.push(member.forbidden(detail));
            }
        }
        for mount in container.child("volumeMounts").items() {
            for member in ["subPath", "subPathExpr"] {
                let member = mount.child(member);
                if !member.is_empty() {
                    errors.push(member.forbidden(detail));
                }
            }
        }
    }
}

/// Two containers cannot have the same port of the host.
fn host_ports(containers: &[Place<'_>], errors: &mut Vec<FieldError>) {
    let mut taken = BTreeSet::new();
    for container in containers {
        for port in container.child("ports").items() {
            let host = port.child("hostPort");
            let Some(number) = host.number().filter(|number| *number != 0) else {
                continue;
            };
            let key = format!(
                "{}/{}/{number}",
                port.child("protocol").text(),
                port.child("hostIP").text()
            );
            if !taken.insert(key.clone()) {
                errors.push(FieldError::duplicate(host.path(), key));
            }
        }
    }
}

fn common(container: &Place<'_>, around: &Around<'_>, errors: &mut Vec<FieldError>) {
    let part = |name: &str| container.child(name);
    let name = part("name");
    required(&name, errors);
    if !name.is_empty() {
        problems(&name, names::dns_1123_label(name.text()), errors);
    }
    let image = part("image");
    required(&image, errors);
    if image.text().trim() != image.text() {
        errors.push(image.invalid("must not have leading or trailing whitespace"));
    }
    one_of(
        &part("terminationMessagePolicy"),
        &["File", "FallbackToLogsOnError"],
        errors,
    );
    ports(&part("ports"), errors);
    environment::check(&part("env"), errors);
    environment::sources(&part("envFrom"), errors);
    mounts::check(container, around, errors);
    one_of(
        &part("imagePullPolicy"),
        &["Always", "IfNotPresent", "Never"],
        errors,
    );
    resources(&part("resources"), resource_name, &around.claims, errors);
    resizes(&part("resizePolicy"), errors);
    security::container(&part("securityContext"), around.host_users, errors);
}

/// Whether a container starts anew when it gets more or less; the real server does not tell of which resource.
fn resizes(policies: &Place<'_>, errors: &mut Vec<FieldError>) {
    let mut seen = BTreeSet::new();
    for policy in policies.items() {
        let called = |member: &str| policy.child(member).called(policies.path().to_owned());
        let name = called("resourceName");
        if name.is_empty() {
            errors.push(name.missing(""));
        } else if !matches!(name.text(), "cpu" | "memory") {
            errors.push(name.unsupported(&["cpu", "memory"]));
        }
        if !seen.insert(name.text()) {
            errors.push(FieldError::duplicate(policy.path(), name.text()));
        }
        let restart = called("restartPolicy");
        one_of(&restart, &["NotRequired", "RestartContainer"], errors);
    }
}

fn ports(ports: &Place<'_>, errors: &mut Vec<FieldError>) {
    let mut names = BTreeSet::new();
    for port in ports.items() {
        let name = port.child("name");
        if !name.is_empty() {
            let found = names::port_name(name.text());
            if !found.is_empty() {
                problems(&name, found, errors);
            } else if !names.insert(name.text()) {
                errors.push(name.duplicate());
            }
        }
        let inside = port.child("containerPort");
        match inside.number().unwrap_or(0) {
            0 => errors.push(inside.missing("")),
            number => problems(&inside, names::port_number(number), errors),
        }
        let host = port.child("hostPort");
        if let Some(number) = host.number().filter(|number| *number != 0) {
            problems(&host, names::port_number(number), errors);
        }
        one_of(&port.child("protocol"), &["SCTP", "TCP", "UDP"], errors);
    }
}

/// Requests and limits: names, amounts, and that no request is above its limit.
pub(super) fn resources(
    resources: &Place<'_>,
    check_name: fn(&str, &Place<'_>, &mut Vec<FieldError>),
    claims: &BTreeSet<&str>,
    errors: &mut Vec<FieldError>,
) {
    let (limits, requests) = (resources.child("limits"), resources.child("requests"));
    let named = |prefix: fn(&str) -> bool| {
        let lists = [limits.members(), requests.members()];
        lists.iter().flatten().any(|(name, _)| prefix(name))
    };
    if named(|name| name.starts_with("hugepages-"))
        && !named(|name| matches!(name, "cpu" | "memory"))
    {
        errors.push(resources.forbidden("HugePages require cpu or memory"));
    }
    for (name, amount) in limits.members() {
        check_name(name, &amount, errors);
        quantity(name, &amount, errors);
        pages(name, &amount, errors);
    }
    for (name, amount) in requests.members() {
        check_name(name, &amount, errors);
        quantity(name, &amount, errors);
        pages(name, &amount, errors);
        let limit = limits.child(name);
        let overcommits = !name.contains('/') && !name.starts_with("hugepages-");
        let (wanted, most) = (read(amount.value()), read(limit.value()));
        let detail = match (wanted, most) {
            (Some(wanted), Some(most)) if !overcommits && wanted != most => {
                format!("must be equal to {name} limit of {most}")
            }
            (Some(wanted), Some(most)) if wanted > most => {
                format!("must be less than or equal to {name} limit of {most}")
            }
            (Some(_), None) if !overcommits => {
                errors.push(limits.missing("Limit must be set for non overcommitable resources"));
                continue;
            }
            _ => continue,
        };
        let shown = wanted.map(|wanted| wanted.to_string()).unwrap_or_default();
        errors.push(FieldError::invalid(requests.path(), shown, detail));
    }
    claimed(&resources.child("claims"), claims, errors);
}

/// Claims of devices that are used are among the pod's.
fn claimed(used: &Place<'_>, claims: &BTreeSet<&str>, errors: &mut Vec<FieldError>) {
    // Under a claim's name: the requests in it that are used, nothing for all of them.
    let mut seen: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for place in used.items() {
        let name = place.child("name").text();
        let request = place.child("request");
        if name.is_empty() {
            errors.push(place.missing(""));
            continue;
        }
        let before = seen.entry(name).or_default();
        let all = before.contains("");
        if !all && !request.is_empty() {
            problems(&request, names::dns_1123_label(request.text()), errors);
        }
        if all || (request.is_empty() && !before.is_empty()) {
            errors.push(FieldError::duplicate(place.path(), name));
        } else if before.contains(request.text()) {
            let twice = format!("{name}/{}", request.text());
            errors.push(FieldError::duplicate(place.path(), twice));
        }
        before.insert(request.text());
        if !claims.contains(name) {
            let mut error = FieldError::not_found(place.path(), name);
            let known: Vec<&str> = claims.iter().copied().collect();
            error.detail = if known.is_empty() {
                "must be one of the names in pod.spec.resourceClaims which is empty".to_owned()
            } else {
                let known = known.join(", ");
                format!("must be one of the names in pod.spec.resourceClaims: {known}")
            };
            errors.push(error);
        }
    }
}

/// Large pages come whole.
fn pages(name: &str, amount: &Place<'_>, errors: &mut Vec<FieldError>) {
    let size = name
        .strip_prefix("hugepages-")
        .and_then(|size| size.parse::<Quantity>().ok())
        .map_or(0, Quantity::value);
    if let (1.., Some(value)) = (size, read(amount.value()))
        && value.value() % size != 0
    {
        let detail = format!("{value} is not positive integer multiple of {name}");
        errors.push(FieldError::invalid(
            amount.path(),
            value.to_string(),
            detail,
        ));
    }
}

/// A quantity, which may be written as a number.
pub(in crate::builtin) fn read(value: &Value) -> Option<Quantity> {
    match value {
        Value::String(text) => text.parse().ok(),
        Value::Number(number) => number.to_string().parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The name of a resource that containers have.
pub(super) fn resource_name(name: &str, amount: &Place<'_>, errors: &mut Vec<FieldError>) {
    super::quotas::resource_name(name, amount, errors);
    let standard =
        matches!(name, "cpu" | "memory" | "ephemeral-storage") || name.starts_with("hugepages-");
    if !name.contains('/') && !standard {
        errors.push(FieldError::invalid(
            amount.path(),
            name,
            "must be a standard resource for containers",
        ));
    }
}

/// An amount of a resource: not negative, whole where the resource is counted.
pub(super) fn quantity(name: &str, amount: &Place<'_>, errors: &mut Vec<FieldError>) {
    let Some(value) = read(amount.value()) else {
        return;
    };
    if value < Quantity::from_int(0) {
        errors.push(FieldError::invalid(
            amount.path(),
            value.to_string(),
            "must be greater than or equal to 0",
        ));
    }
    // What others count is whole, what the product counts in its own name and what quotas call by another need not be.
    let of_others =
        name.contains('/') && !name.contains("kubernetes.io/") && !name.starts_with("requests.");
    let counted = of_others
        || matches!(
            name,
            "pods"
                | "services"
                | "replicationcontrollers"
                | "resourcequotas"
                | "secrets"
                | "configmaps"
                | "persistentvolumeclaims"
                | "services.nodeports"
                | "services.loadbalancers"
        );
    if counted && value.millis() % 1000 != 0 {
        errors.push(FieldError::invalid(
            amount.path(),
            value.to_string(),
            "must be an integer",
        ));
    }
}
