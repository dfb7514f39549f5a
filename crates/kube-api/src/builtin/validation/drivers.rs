//! What drivers of storage say of themselves: CSIDriver, CSINode, CSIStorageCapacity, VolumeAttachment and the classes
//! (kubernetes `pkg/apis/storage/validation`, v1.36).

use std::collections::BTreeSet;

use drover_structural::quantity::Quantity;
use drover_structural::{FieldError, names};
use serde_json::Value;

use super::container::read;
use super::immutable;
use super::place::{Place, label_selector, not_negative, perhaps_one_of, problems, required};

const LONGEST_DRIVER: usize = 63;
const LONGEST_NODE_ID: usize = 256;
const SHORTEST_TOKEN: i64 = 600;
const LONGEST_TOKEN: i64 = 1 << 32;

/// The name of a driver.
pub(super) fn driver_name(name: &Place<'_>, errors: &mut Vec<FieldError>) {
    if name.is_empty() {
        errors.push(name.missing(""));
        return;
    }
    if name.text().len() > LONGEST_DRIVER {
        errors.push(FieldError::too_long(name.path(), LONGEST_DRIVER));
    }
    let lower = name.text().to_lowercase();
    problems(name, names::dns_1123_subdomain(&lower), errors);
}

fn provisioner(name: &Place<'_>, errors: &mut Vec<FieldError>) {
    if name.is_empty() {
        errors.push(name.missing(""));
        return;
    }
    let lower = name.text().to_lowercase();
    let found = names::qualified_name(&lower).into_iter();
    errors.extend(found.map(|problem| FieldError::invalid(name.path(), &*lower, problem)));
}

fn parameters(place: &Place<'_>, may_be_empty: bool, errors: &mut Vec<FieldError>) {
    if place.members().iter().any(|(key, _)| key.is_empty()) {
        errors.push(FieldError::invalid(
            place.path(),
            "",
            "field can not be empty.",
        ));
    }
    if !may_be_empty && place.is_empty() {
        errors.push(place.missing("must contain at least one key/value pair"));
    }
}

/// What is wrong with a StorageClass.
pub(super) fn storage_class(object: &Value, errors: &mut Vec<FieldError>) {
    provisioner(&Place::of(object, "provisioner"), errors);
    parameters(&Place::of(object, "parameters"), true, errors);
    let policy = Place::of(object, "reclaimPolicy");
    if !policy.is_empty() {
        perhaps_one_of(&policy, &["Delete", "Retain"], errors);
    }
    let mode = Place::of(object, "volumeBindingMode");
    if mode.is_set() {
        perhaps_one_of(&mode, &["Immediate", "WaitForFirstConsumer"], errors);
    } else {
        errors.push(mode.missing(""));
    }
    for term in Place::of(object, "allowedTopologies").items() {
        topology_term(&term, errors);
    }
}

fn topology_term(term: &Place<'_>, errors: &mut Vec<FieldError>) {
    let mut keys = BTreeSet::new();
    for expression in term.child("matchLabelExpressions").items() {
        let (key, values) = (expression.child("key"), expression.child("values"));
        if values.is_empty() {
            errors.push(values.missing(""));
        }
        let mut seen = BTreeSet::new();
        for value in values.items() {
            if !seen.insert(value.text()) {
                errors.push(value.duplicate());
            }
        }
        let found = names::qualified_name(key.text()).into_iter();
        errors.extend(found.map(|problem| FieldError::invalid(key.path(), key.text(), problem)));
        if !keys.insert(key.text()) {
            errors.push(FieldError::duplicate(key.path(), key.text()));
        }
    }
}

/// What may not change in a StorageClass.
pub(super) fn storage_class_update(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    for member in [
        "/parameters",
        "/provisioner",
        "/reclaimPolicy",
        "/volumeBindingMode",
    ] {
        immutable(new, old, member, errors);
    }
}

/// What is wrong with a VolumeAttributesClass.
pub(super) fn attributes_class(object: &Value, errors: &mut Vec<FieldError>) {
    provisioner(&Place::of(object, "driverName"), errors);
    parameters(&Place::of(object, "parameters"), false, errors);
}

/// What may not change in a VolumeAttributesClass.
pub(super) fn attributes_class_update(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    for member in ["driverName", "parameters"] {
        if new.get(member) != old.get(member) {
            let detail = format!("updates to {member} are forbidden.");
            errors.push(FieldError::forbidden(member, detail));
        }
    }
}

/// What is wrong with a CSIDriver.
pub(super) fn driver(object: &Value, errors: &mut Vec<FieldError>) {
    let spec = Place::of(object, "spec");
    perhaps_one_of(
        &spec.child("fsGroupPolicy"),
        &["File", "None", "ReadWriteOnceWithFSType"],
        errors,
    );
    let mut audiences = BTreeSet::new();
    for request in spec.child("tokenRequests").items() {
        let audience = request.child("audience");
        if !audiences.insert(audience.text()) {
            errors.push(FieldError::duplicate(audience.path(), audience.text()));
            continue;
        }
        let seconds = request.child("expirationSeconds");
        match seconds.number() {
            Some(number) if number < SHORTEST_TOKEN => {
                errors.push(seconds.invalid("may not specify a duration less than 10 minutes"));
            }
            Some(number) if number > LONGEST_TOKEN => {
                errors.push(seconds.invalid("may not specify a duration larger than 2^32 seconds"));
            }
            _ => {}
        }
    }
    let modes = spec.child("volumeLifecycleModes");
    for mode in modes.items() {
        if !matches!(mode.text(), "Persistent" | "Ephemeral") {
            let known = ["Persistent", "Ephemeral"];
            errors.push(FieldError::not_supported(modes.path(), mode.text(), known));
        }
    }
    let period = spec.child("nodeAllocatableUpdatePeriodSeconds");
    if period.number().is_some_and(|seconds| seconds < 10) {
        errors.push(period.invalid("must be greater than or equal to 10 seconds"));
    }
    let in_secrets = spec.child("serviceAccountTokenInSecrets");
    if in_secrets.is_set() && spec.child("tokenRequests").is_empty() {
        errors.push(
            in_secrets
                .invalid("serviceAccountTokenInSecrets is set but no tokenRequests are specified"),
        );
    }
}

/// What may not change in a CSIDriver.
pub(super) fn driver_update(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    // The real server misspells the first in its path.
    for (member, named) in [
        ("attachRequired", "attachedRequired"),
        ("volumeLifecycleModes", "volumeLifecycleModes"),
    ] {
        let at = |object: &Value| object["spec"][member].clone();
        if at(new) != at(old) {
            let path = format!("spec.{named}");
            errors.push(FieldError::invalid(path, at(new), super::IMMUTABLE));
        }
    }
}

/// What is wrong with a CSINode.
pub(super) fn node(object: &Value, errors: &mut Vec<FieldError>) {
    let mut seen = BTreeSet::new();
    for driver in Place::of(object, "spec").child("drivers").items() {
        let name = driver.child("name");
        driver_name(&name, errors);
        let id = driver.child("nodeID");
        required(&id, errors);
        if id.text().len() > LONGEST_NODE_ID {
            errors.push(id.invalid(format!("must be {LONGEST_NODE_ID} characters or less")));
        }
        not_negative(&driver.child("allocatable").child("count"), errors);
        if !seen.insert(name.text()) {
            errors.push(FieldError::duplicate(name.path(), name.text()));
        }
        let mut keys = BTreeSet::new();
        for key in driver.child("topologyKeys").items() {
            if key.is_empty() {
                errors.push(driver.missing(""));
            }
            if !keys.insert(key.text()) {
                errors.push(FieldError::duplicate(driver.path(), key.text()));
            }
            let found = names::qualified_name(key.text()).into_iter();
            errors.extend(
                found.map(|problem| FieldError::invalid(driver.path(), key.text(), problem)),
            );
        }
    }
}

/// What may not change in a CSINode.
pub(super) fn node_update(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    let known = |driver: &Value| {
        let mut driver = driver.clone();
        if let Some(members) = driver.as_object_mut() {
            members.remove("allocatable");
        }
        driver
    };
    let drivers = Place::of(new, "spec").child("drivers");
    for before in Place::of(old, "spec").child("drivers").items() {
        for now in drivers.items() {
            if now.child("name").text() == before.child("name").text()
                && known(now.value()) != known(before.value())
            {
                errors.push(FieldError::invalid(
                    drivers.path(),
                    known(now.value()),
                    super::IMMUTABLE,
                ));
            }
        }
    }
}

/// What is wrong with a VolumeAttachment.
pub(super) fn attachment(object: &Value, errors: &mut Vec<FieldError>) {
    let spec = Place::of(object, "spec");
    driver_name(&spec.child("attacher"), errors);
    let source = spec.child("source");
    let name = source.child("persistentVolumeName");
    let one = "must specify exactly one of inlineVolumeSpec and persistentVolumeName";
    match (source.child("inlineVolumeSpec").is_set(), name.is_set()) {
        (false, false) => errors.push(source.missing(one)),
        (true, true) => errors.push(source.forbidden(one)),
        (false, true) if name.is_empty() => {
            errors.push(name.missing("must specify non empty persistentVolumeName"));
        }
        _ => {}
    }
    let node = spec.child("nodeName");
    let found = names::dns_1123_subdomain(node.text()).into_iter();
    errors.extend(found.map(|problem| FieldError::invalid(node.path(), node.text(), problem)));
    if name.is_set() {
        problems(&name, names::dns_1123_subdomain(name.text()), errors);
    }
}

/// What is wrong with a CSIStorageCapacity.
pub(super) fn capacity(object: &Value, errors: &mut Vec<FieldError>) {
    label_selector(&Place::of(object, "nodeTopology"), errors);
    let class = Place::of(object, "storageClassName");
    let found = names::dns_1123_subdomain(class.text()).into_iter();
    errors.extend(found.map(|problem| FieldError::invalid(class.path(), class.text(), problem)));
    let amount = Place::of(object, "capacity");
    if let Some(value) = read(amount.value())
        && value < Quantity::from_int(0)
    {
        errors.push(FieldError::invalid(
            amount.path(),
            value.to_string(),
            "must be greater than or equal to 0",
        ));
    }
}
