//! Containers of a pod: names, images, ports, environment, mounts, resources, probes.

use std::collections::BTreeSet;

use drover_structural::quantity::Quantity;
use drover_structural::{FieldError, names};
use serde_json::Value;

use super::place::{Place, not_negative, one_of, perhaps_one_of, port, problems, required};
use super::volumes::no_steps_back;

/// The containers that run together.
pub(super) fn regular(
    containers: &Place<'_>,
    volumes: &BTreeSet<&str>,
    errors: &mut Vec<FieldError>,
) {
    if containers.items().is_empty() {
        errors.push(containers.missing(""));
        return;
    }
    let mut names = BTreeSet::new();
    for container in containers.items() {
        common(&container, volumes, errors);
        let name = container.child("name");
        if !names.insert(name.text()) {
            errors.push(FieldError::duplicate(name.path(), name.text()));
        }
        probes(&container, errors);
        perhaps_one_of(
            &container.child("restartPolicy"),
            &["Always", "Never", "OnFailure"],
            errors,
        );
    }
    host_ports(&containers.items(), errors);
}

/// The containers that run before, one after the other; `names` are taken already.
pub(super) fn initial<'o>(
    containers: &Place<'o>,
    mut names: BTreeSet<&'o str>,
    volumes: &BTreeSet<&str>,
    errors: &mut Vec<FieldError>,
) {
    for container in containers.items() {
        common(&container, volumes, errors);
        let name = container.child("name");
        if !name.is_empty() && !names.insert(name.text()) {
            errors.push(name.duplicate());
        }
        host_ports(std::slice::from_ref(&container), errors);
        if container.child("restartPolicy").text() == "Always" {
            probes(&container, errors);
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
    volumes: &BTreeSet<&str>,
    errors: &mut Vec<FieldError>,
) {
    let detail = "cannot be set for an Ephemeral Container";
    let mut names = others.clone();
    for container in containers.items() {
        common(&container, volumes, errors);
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

fn common(container: &Place<'_>, volumes: &BTreeSet<&str>, errors: &mut Vec<FieldError>) {
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
    environment(&part("env"), errors);
    sources(&part("envFrom"), errors);
    mounts(&part("volumeMounts"), volumes, errors);
    one_of(
        &part("imagePullPolicy"),
        &["Always", "IfNotPresent", "Never"],
        errors,
    );
    resources(&part("resources"), errors);
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

fn environment(variables: &Place<'_>, errors: &mut Vec<FieldError>) {
    for variable in variables.items() {
        let name = variable.child("name");
        if name.is_empty() {
            errors.push(name.missing(""));
        } else {
            variable_name(&name, errors);
        }
        let from = variable.child("valueFrom");
        if from.is_set() {
            value_source(&from, !variable.child("value").is_empty(), errors);
        }
    }
}

fn variable_name(name: &Place<'_>, errors: &mut Vec<FieldError>) {
    let printable = |character: char| matches!(character, ' '..='~') && character != '=';
    if !name.text().chars().all(printable) {
        errors.push(name.invalid("a valid environment variable name must consist only of printable ASCII characters other than '='"));
    }
}

fn value_source(from: &Place<'_>, has_value: bool, errors: &mut Vec<FieldError>) {
    let mut n_sources = 0;
    for source in [
        "fieldRef",
        "resourceFieldRef",
        "configMapKeyRef",
        "secretKeyRef",
        "fileKeyRef",
    ] {
        let place = from.child(source);
        if !place.is_set() {
            continue;
        }
        n_sources += 1;
        match source {
            "configMapKeyRef" | "secretKeyRef" => {
                let name = place.child("name");
                let found = names::dns_1123_subdomain(name.text()).into_iter();
                errors.extend(
                    found.map(|problem| FieldError::invalid(name.path(), name.text(), problem)),
                );
                let key = place.child("key");
                if key.is_empty() {
                    errors.push(key.missing(""));
                } else {
                    problems(&key, names::config_key(key.text()), errors);
                }
            }
            "fieldRef" => required(&place.child("fieldPath"), errors),
            "resourceFieldRef" => required(&place.child("resource"), errors),
            _ => {}
        }
    }
    let detail = match n_sources {
        0 => {
            "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
        }
        _ if has_value => "may not be specified when `value` is not empty",
        1 => return,
        _ => "may not have more than one field specified at a time",
    };
    errors.push(FieldError::invalid(from.path(), "", detail));
}

fn sources(sources: &Place<'_>, errors: &mut Vec<FieldError>) {
    for source in sources.items() {
        let prefix = source.child("prefix");
        if !prefix.is_empty() {
            variable_name(&prefix, errors);
        }
        let mut n_sources = 0;
        for kind in ["configMapRef", "secretRef"] {
            let reference = source.child(kind);
            if !reference.is_set() {
                continue;
            }
            n_sources += 1;
            let name = reference.child("name");
            if name.is_empty() {
                errors.push(name.missing(""));
            } else {
                problems(&name, names::dns_1123_subdomain(name.text()), errors);
            }
        }
        let detail = match n_sources {
            0 => "must specify one of: `configMapRef` or `secretRef`",
            1 => continue,
            _ => "may not have more than one field specified at a time",
        };
        errors.push(FieldError::invalid(sources.path(), "", detail));
    }
}

fn mounts(mounts: &Place<'_>, volumes: &BTreeSet<&str>, errors: &mut Vec<FieldError>) {
    let mut taken = BTreeSet::new();
    for mount in mounts.items() {
        let name = mount.child("name");
        required(&name, errors);
        if !volumes.contains(name.text()) {
            errors.push(FieldError::not_found(name.path(), name.text()));
        }
        let path = mount.child("mountPath");
        required(&path, errors);
        if !taken.insert(path.text()) {
            errors.push(FieldError::invalid(
                path.path(),
                path.text(),
                "must be unique",
            ));
        }
        for member in ["subPath", "subPathExpr"] {
            // The real server leaves the place in the list out of these paths.
            let called = mounts.child(member).path().to_owned();
            let inner = mount.child(member).called(called);
            if inner.text().starts_with('/') {
                errors.push(inner.invalid("must be a relative path"));
            }
            no_steps_back(&inner, errors);
        }
        if !mount.child("subPath").is_empty() && !mount.child("subPathExpr").is_empty() {
            errors.push(
                mount
                    .child("subPathExpr")
                    .invalid("subPathExpr and subPath are mutually exclusive"),
            );
        }
    }
}

/// Requests and limits: names, amounts, and that no request is above its limit.
pub(super) fn resources(resources: &Place<'_>, errors: &mut Vec<FieldError>) {
    let limits = resources.child("limits");
    for (name, amount) in limits.members() {
        resource_name(name, &amount, errors);
        quantity(name, &amount, errors);
    }
    let requests = resources.child("requests");
    for (name, amount) in requests.members() {
        resource_name(name, &amount, errors);
        quantity(name, &amount, errors);
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

fn probes(container: &Place<'_>, errors: &mut Vec<FieldError>) {
    for kind in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let probe = container.child(kind);
        if !probe.is_set() {
            continue;
        }
        handler(&probe, errors);
        for member in [
            "initialDelaySeconds",
            "timeoutSeconds",
            "periodSeconds",
            "successThreshold",
            "failureThreshold",
        ] {
            not_negative(&probe.child(member), errors);
        }
        let grace = probe.child("terminationGracePeriodSeconds");
        if grace.number().is_some_and(|seconds| seconds <= 0) {
            errors.push(grace.invalid("must be greater than 0"));
        }
        let threshold = probe.child("successThreshold");
        if kind == "readinessProbe" {
            if grace.is_set() {
                errors.push(grace.invalid("must not be set for readinessProbes"));
            }
        } else if threshold.number() != Some(1) {
            errors.push(threshold.invalid("must be 1"));
        }
    }
    let lifecycle = container.child("lifecycle");
    for hook in ["postStart", "preStop"] {
        let hook = lifecycle.child(hook);
        if hook.is_set() {
            handler(&hook, errors);
        }
    }
}

/// One way to ask a container something.
fn handler(holder: &Place<'_>, errors: &mut Vec<FieldError>) {
    let mut n_handlers = 0;
    for kind in ["exec", "httpGet", "tcpSocket", "grpc", "sleep"] {
        let handler = holder.child(kind);
        if !handler.is_set() {
            continue;
        }
        n_handlers += 1;
        if n_handlers > 1 {
            errors.push(handler.forbidden("may not specify more than 1 handler type"));
            continue;
        }
        match kind {
            "exec" => required(&handler.child("command"), errors),
            "httpGet" => {
                required(&handler.child("path"), errors);
                port(&handler.child("port"), errors);
                one_of(&handler.child("scheme"), &["HTTP", "HTTPS"], errors);
            }
            "tcpSocket" => port(&handler.child("port"), errors),
            _ => {}
        }
    }
    if n_handlers == 0 {
        errors.push(holder.missing("must specify a handler type"));
    }
}
