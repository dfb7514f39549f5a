//! Volumes and claims to them.

use drover_structural::quantity::Quantity;
use drover_structural::{FieldError, names};
use serde_json::Value;

use super::container::read;
use super::place::{Place, label_selector, perhaps_one_of, problems, required};

const MODES: [&str; 4] = [
    "ReadOnlyMany",
    "ReadWriteMany",
    "ReadWriteOnce",
    "ReadWriteOncePod",
];

fn access_modes(modes: &Place<'_>, errors: &mut Vec<FieldError>) {
    let mut alone = false;
    let mut shared = false;
    for mode in modes.items() {
        if !MODES.contains(&mode.text()) {
            errors.push(FieldError::not_supported(modes.path(), mode.text(), MODES));
        } else if mode.text() == "ReadWriteOncePod" {
            alone = true;
        } else {
            shared = true;
        }
    }
    if alone && shared {
        errors.push(modes.forbidden("may not use ReadWriteOncePod with other access modes"));
    }
}

fn positive(amount: &Place<'_>, errors: &mut Vec<FieldError>) {
    if let Some(value) = read(amount.value())
        && value <= Quantity::from_int(0)
    {
        errors.push(FieldError::invalid(
            amount.path(),
            value.to_string(),
            "must be greater than zero",
        ));
    }
}

/// What is wrong with a PersistentVolumeClaim.
pub(super) fn claim(object: &Value, errors: &mut Vec<FieldError>) {
    let spec = Place::of(object, "spec");
    let modes = spec.child("accessModes");
    if modes.is_empty() {
        errors.push(modes.missing("at least 1 access mode is required"));
    }
    access_modes(&modes, errors);
    label_selector(&spec.child("selector"), errors);
    // The real server leaves `requests` out of this path.
    let called = format!("{}[storage]", spec.child("resources").path());
    let amount = spec.child("resources").child("requests").child("storage");
    let amount = amount.called(called);
    if amount.is_set() {
        positive(&amount, errors);
    } else {
        errors.push(amount.missing(""));
    }
    let class = spec.child("storageClassName");
    if !class.is_empty() {
        problems(&class, names::dns_1123_subdomain(class.text()), errors);
    }
    perhaps_one_of(&spec.child("volumeMode"), &["Block", "Filesystem"], errors);
}

/// What is wrong with a PersistentVolume.
pub(super) fn volume(object: &Value, errors: &mut Vec<FieldError>) {
    const BESIDE: [&str; 9] = [
        "accessModes",
        "capacity",
        "claimRef",
        "mountOptions",
        "nodeAffinity",
        "persistentVolumeReclaimPolicy",
        "storageClassName",
        "volumeMode",
        "volumeAttributesClassName",
    ];
    let spec = Place::of(object, "spec");
    let modes = spec.child("accessModes");
    required(&modes, errors);
    access_modes(&modes, errors);
    let capacity = spec.child("capacity");
    required(&capacity, errors);
    let amounts = capacity.members();
    if amounts.len() != 1 || amounts.iter().all(|(name, _)| *name != "storage") {
        errors.push(capacity.unsupported(&["storage"]));
    }
    for (_, amount) in &amounts {
        positive(amount, errors);
    }
    perhaps_one_of(
        &spec.child("persistentVolumeReclaimPolicy"),
        &["Delete", "Recycle", "Retain"],
        errors,
    );
    let members = spec.value().as_object();
    let sources: Vec<&str> = members
        .into_iter()
        .flatten()
        .filter(|(name, value)| !BESIDE.contains(&name.as_str()) && !value.is_null())
        .map(|(name, _)| name.as_str())
        .collect();
    if sources.is_empty() {
        errors.push(spec.missing("must specify a volume type"));
    }
    for other in sources.iter().skip(1) {
        errors.push(
            spec.child(other)
                .forbidden("may not specify more than 1 volume type"),
        );
    }
    let class = spec.child("storageClassName");
    if !class.is_empty() {
        problems(&class, names::dns_1123_subdomain(class.text()), errors);
    }
    perhaps_one_of(&spec.child("volumeMode"), &["Block", "Filesystem"], errors);
}

/// What may not change in a StorageClass.
pub(super) fn class_update(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    for member in ["provisioner", "parameters", "reclaimPolicy"] {
        if new.get(member) != old.get(member) {
            let detail = format!("updates to {member} are forbidden.");
            errors.push(FieldError::forbidden(member, detail));
        }
    }
}
