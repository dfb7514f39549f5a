//! What may change in a pod, in which way, and what its status may say.

use drover_structural::{FieldError, names};

use super::place::{Place, required};
use super::pod::{MOST_SECONDS, tolerations};

/// What may not change in a pod that runs.
pub(super) fn update(
    new: &serde_json::Value,
    old: &serde_json::Value,
    errors: &mut Vec<FieldError>,
) {
    let (spec, held) = (Place::of(new, "spec"), Place::of(old, "spec"));
    for list in ["containers", "initContainers"] {
        let (new, old) = (spec.child(list), held.child(list));
        if new.items().len() != old.items().len() {
            errors.push(new.forbidden("pod updates may not add or remove containers"));
            return;
        }
        for container in new.items() {
            let image = container.child("image");
            required(&image, errors);
            if image.text().trim() != image.text() {
                errors.push(image.invalid("must not have leading or trailing whitespace"));
            }
        }
    }
    let deadline = spec.child("activeDeadlineSeconds");
    let before = held.child("activeDeadlineSeconds").number();
    match (deadline.number(), before) {
        (Some(now), _) if !(0..=MOST_SECONDS).contains(&now) => {
            errors.push(deadline.invalid("must be between 0 and 2147483647, inclusive"));
            return;
        }
        (Some(now), Some(before)) if before < now => {
            errors.push(deadline.invalid("must be less than or equal to previous value"));
            return;
        }
        (None, Some(_)) => {
            errors.push(deadline.invalid("must not update from a positive integer to nil value"));
        }
        _ => {}
    }
    added_tolerations(
        &spec.child("tolerations"),
        &held.child("tolerations"),
        errors,
    );
    let left = |place: &Place<'_>| -> Vec<String> {
        let gates = place.child("schedulingGates").items();
        let names = gates
            .iter()
            .map(|gate| gate.child("name").text().to_owned());
        names.collect()
    };
    let before = left(&held);
    let gates = spec.child("schedulingGates");
    for (index, gate) in left(&spec).into_iter().enumerate() {
        if !before.contains(&gate) {
            errors.push(FieldError::forbidden(
                format!("{}[{index}].name", gates.path()),
                "only deletion is allowed, but found new scheduling gate '".to_owned()
                    + &gate
                    + "'",
            ));
        }
    }
    unchanged(&spec, &held, errors);
}

/// Containers that look into a pod stay as they were made.
pub(super) fn ephemeral_update(
    new: &serde_json::Value,
    old: &serde_json::Value,
    errors: &mut Vec<FieldError>,
) {
    let [now, before] = [new, old].map(|pod| Place::of(pod, "spec").child("ephemeralContainers"));
    for held in before.items() {
        let name = held.child("name").text();
        let found = now
            .items()
            .into_iter()
            .find(|item| item.child("name").text() == name);
        let what = match found {
            None => "removed",
            Some(found) if found.value() != held.value() => "changed",
            Some(_) => continue,
        };
        errors.push(now.forbidden(format!(
            "existing ephemeral containers {name:?} may not be {what}\n"
        )));
    }
}

/// Only what containers may use is changed, and not into another class of service.
pub(super) fn resize_update(
    new: &serde_json::Value,
    old: &serde_json::Value,
    same_class: bool,
    errors: &mut Vec<FieldError>,
) {
    let spec = Place::of(new, "spec");
    if !same_class {
        let class = Place::of(new, "status").child("qosClass");
        errors.push(FieldError::invalid(
            spec.path(),
            class.text(),
            "Pod QOS Class may not change as a result of resizing",
        ));
    }
    let before = Place::of(old, "spec");
    let count = errors.len();
    for list in ["containers", "initContainers"] {
        same_containers(&spec.child(list), &before.child(list), list, errors);
    }
    if errors.len() > count {
        return;
    }
    for (list, of_any) in [("initContainers", false), ("containers", true)] {
        let (now, held) = (spec.child(list).items(), before.child(list).items());
        for (now, held) in now.iter().zip(&held) {
            if of_any || now.child("restartPolicy").text() == "Always" {
                kept_resources(&now.child("resources"), &held.child("resources"), errors);
            }
        }
    }
    for list in ["containers", "initContainers"] {
        let (now, held) = (spec.child(list).items(), before.child(list).items());
        for (now, held) in now.iter().zip(&held) {
            if without_resizable(now) == without_resizable(held) {
                continue;
            }
            errors.push(if list == "containers" {
                spec.forbidden("only cpu and memory resources are mutable")
            } else {
                now.forbidden(
                    "only cpu and memory resources for init or sidecar containers are mutable",
                )
            });
        }
    }
}

/// A resize neither adds, removes, renames nor orders containers.
fn same_containers(now: &Place<'_>, held: &Place<'_>, list: &str, errors: &mut Vec<FieldError>) {
    let (containers, before) = (now.items(), held.items());
    if containers.len() != before.len() {
        errors.push(now.forbidden(format!("{list} may not be added or removed on resize")));
        return;
    }
    for (container, before) in containers.iter().zip(&before) {
        let name = container.child("name");
        if name.text() != before.child("name").text() {
            errors
                .push(name.forbidden(format!("{list} may not be renamed or reordered on resize")));
        }
    }
}

/// What was asked for or bounded stays so.
fn kept_resources(now: &Place<'_>, held: &Place<'_>, errors: &mut Vec<FieldError>) {
    for member in ["requests", "limits"] {
        let place = now.child(member);
        let removed = held
            .child(member)
            .members()
            .iter()
            .any(|(name, _)| !place.child(name).is_set());
        if removed {
            errors.push(place.forbidden(format!("resource {member} cannot be removed")));
        }
    }
}

/// A container without its processors and memory.
fn without_resizable(container: &Place<'_>) -> serde_json::Value {
    let mut rest = container.value().clone();
    let resources = rest.get_mut("resources");
    if let Some(resources) = resources.and_then(serde_json::Value::as_object_mut) {
        for member in ["limits", "requests"] {
            let amounts = resources.get_mut(member);
            if let Some(amounts) = amounts.and_then(serde_json::Value::as_object_mut) {
                amounts.retain(|name, _| !matches!(name.as_str(), "cpu" | "memory"));
                if amounts.is_empty() {
                    resources.remove(member);
                }
            }
        }
    }
    rest
}

fn added_tolerations(new: &Place<'_>, old: &Place<'_>, errors: &mut Vec<FieldError>) {
    let fixed = |place: &Place<'_>| {
        let mut value = place.value().clone();
        if let Some(members) = value.as_object_mut() {
            members.remove("tolerationSeconds");
        }
        value
    };
    let now: Vec<_> = new.items().iter().map(fixed).collect();
    if old.items().iter().any(|held| !now.contains(&fixed(held))) {
        errors.push(
            new.forbidden("existing toleration can not be modified except its tolerationSeconds"),
        );
        return;
    }
    tolerations(new, errors);
}

/// All that may change is made equal; the rest must be.
fn unchanged(spec: &Place<'_>, held: &Place<'_>, errors: &mut Vec<FieldError>) {
    let mut rest = spec.value().clone();
    let Some(members) = rest.as_object_mut() else {
        return;
    };
    for list in ["containers", "initContainers"] {
        let images = held.child(list).items();
        let containers = members.get_mut(list).and_then(|list| list.as_array_mut());
        for (container, before) in containers.into_iter().flatten().zip(images) {
            if let Some(container) = container.as_object_mut() {
                container.insert("image".to_owned(), before.child("image").value().clone());
            }
        }
    }
    for member in [
        "activeDeadlineSeconds",
        "tolerations",
        "schedulingGates",
        "ephemeralContainers",
    ] {
        let before = held.child(member);
        if before.is_set() {
            members.insert(member.to_owned(), before.value().clone());
        } else {
            members.remove(member);
        }
    }
    let grace = "terminationGracePeriodSeconds";
    let before = held.child(grace);
    if before.number().is_some_and(|seconds| seconds < 0)
        && members.get(grace).and_then(serde_json::Value::as_i64) == Some(1)
    {
        members.insert(grace.to_owned(), before.value().clone());
    }
    if rest != *held.value() {
        errors.push(spec.forbidden(
            "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
        ));
    }
}

/// What is wrong with the status of a pod.
pub(super) fn status(
    object: &serde_json::Value,
    old: &serde_json::Value,
    errors: &mut Vec<FieldError>,
) {
    const SYSTEM: [&str; 3] = ["PodScheduled", "Ready", "Initialized"];
    let status = Place::of(object, "status");
    for condition in status.child("conditions").items() {
        let kind = condition.child("type");
        let generation = condition.child("observedGeneration");
        if generation.number().is_some_and(|number| number < 0) {
            errors.push(generation.invalid("must be a non-negative integer"));
        }
        if SYSTEM.contains(&kind.text()) {
            continue;
        }
        let called = kind.called(format!("{}.Type", condition.path()));
        let found = names::qualified_name(kind.text()).into_iter();
        errors
            .extend(found.map(|problem| FieldError::invalid(called.path(), kind.text(), problem)));
    }
    let generation = status.child("observedGeneration");
    if generation.number().is_some_and(|number| number < 0) {
        errors.push(generation.invalid("must be a non-negative integer"));
    }
    fixed_status(object, old, errors);
    for list in ["podIPs", "hostIPs"] {
        let entries = status.child(list).items();
        let before = errors.len();
        for entry in &entries {
            let address = entry.child("ip").called(entry.path().to_owned());
            super::service::address(&address, errors);
        }
        let broken = errors.len() > before && entries.len() > 1;
        let is_wrong = |entry: &Place<'_>| {
            let text = entry.child("ip").text();
            text.parse::<std::net::IpAddr>().is_err()
        };
        if let (true, Some(index)) = (broken, entries.iter().position(is_wrong)) {
            let detail = format!(
                "failed to check for dual stack with error:invalid IP[{index}]: {}",
                entries[index].child("ip").text()
            );
            errors.push(FieldError::internal(status.child(list).path(), detail));
        }
        let v6 = entries
            .iter()
            .filter(|entry| entry.child("ip").text().contains(':'))
            .count();
        if broken || v6 > 1 || entries.len() - v6 > 1 {
            let shown = entries
                .iter()
                .map(|entry| serde_json::json!({"IP": entry.child("ip").text()}));
            errors.push(FieldError::invalid(
                status.child(list).path(),
                shown.collect::<serde_json::Value>(),
                "may specify no more than one IP for each IP family",
            ));
        }
    }
}

/// What a pod's status may not say of what its specification or the status itself tells otherwise.
fn fixed_status(object: &serde_json::Value, old: &serde_json::Value, errors: &mut Vec<FieldError>) {
    let status = Place::of(object, "status");
    let class = status.child("qosClass");
    let held = &old["status"]["qosClass"];
    if !held.is_null() && class.value() != held {
        errors.push(class.invalid("field is immutable"));
    }
    let node = status.child("nominatedNodeName");
    if !node.is_empty() {
        super::place::problems(&node, names::dns_1123_subdomain(node.text()), errors);
    }
    let claims = Place::of(object, "spec").child("resourceClaims").items();
    for entry in status.child("resourceClaimStatuses").items() {
        let name = entry.child("name");
        if claims
            .iter()
            .all(|claim| claim.child("name").text() != name.text())
        {
            errors.push(name.invalid("must match the name of an entry in `spec.resourceClaims`"));
        }
    }
    let own = status.child("hostIP");
    let first = status.child("hostIPs").items().into_iter().next();
    if let Some(address) = first.map(|first| first.child("ip"))
        && address.text() != own.text()
    {
        errors.push(address.invalid("must be equal to `hostIP`"));
    }
}
