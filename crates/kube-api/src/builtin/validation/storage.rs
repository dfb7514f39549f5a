//! Volumes and claims to them.

use drover_structural::quantity::Quantity;
use drover_structural::{FieldError, names};
use serde_json::Value;

use super::container::read;
use super::place::{Place, label_selector, perhaps_one_of, problems, required};
use super::volumes::HOST_PATHS;

const MODES: [&str; 4] = [
    "ReadOnlyMany",
    "ReadWriteMany",
    "ReadWriteOnce",
    "ReadWriteOncePod",
];

/// The members of a volume beside what it is.
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

/// What a path on a node may be.
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
    claim_spec(&Place::of(object, "spec"), errors);
}

/// What is wrong with what is claimed.
pub(super) fn claim_spec(spec: &Place<'_>, errors: &mut Vec<FieldError>) {
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
    sources(spec, errors);
    let attributes = spec.child("volumeAttributesClassName");
    if !attributes.is_empty() {
        problems(
            &attributes,
            names::dns_1123_subdomain(attributes.text()),
            errors,
        );
    }
}

/// Where the first content of a claim comes from.
fn sources(spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    let [first, second] = ["dataSource", "dataSourceRef"].map(|member| spec.child(member));
    for source in [&first, &second]
        .into_iter()
        .filter(|source| source.is_set())
    {
        for member in ["name", "kind"] {
            required(&source.child(member), errors);
        }
        let (group, kind) = (source.child("apiGroup"), source.child("kind"));
        if group.is_empty() && kind.text() != "PersistentVolumeClaim" {
            errors.push(FieldError::invalid(
                source.path(),
                kind.text(),
                "must be 'PersistentVolumeClaim' when referencing the default apiGroup",
            ));
        }
        if !group.is_empty() {
            problems(&group, names::dns_1123_subdomain(group.text()), errors);
        }
        let namespace = source.child("namespace");
        if !namespace.is_empty() {
            problems(&namespace, names::dns_1123_label(namespace.text()), errors);
        }
    }
    if !first.is_set() || !second.is_set() {
        return;
    }
    let same = |member: &str| first.child(member).value() == second.child(member).value();
    let detail = if !second.child("namespace").is_empty() {
        "may not be specified when dataSourceRef.namespace is specified"
    } else if !["apiGroup", "kind", "name"].into_iter().all(same) {
        "must match dataSourceRef"
    } else {
        return;
    };
    // The real server shows a structure of which nothing can be shown.
    errors.push(FieldError::invalid(
        spec.path(),
        serde_json::json!({}),
        detail,
    ));
}

/// What is wrong with a PersistentVolume.
pub(super) fn volume(object: &Value, errors: &mut Vec<FieldError>) {
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
        never_negative(amount, errors);
        positive(amount, errors);
    }
    source(&spec, errors);
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

/// What is wrong with the place of a volume, of the kinds that are not given up.
fn source(spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    let host = spec.child("hostPath");
    if host.is_set() {
        let path = host.child("path");
        required(&path, errors);
        no_way_up(&path, errors);
        let kind = host.child("type");
        if kind.is_set() && !HOST_PATHS.contains(&kind.text()) {
            errors.push(kind.unsupported(&HOST_PATHS));
        }
    }
    let nfs = spec.child("nfs");
    if nfs.is_set() {
        let path = nfs.child("path");
        required(&nfs.child("server"), errors);
        required(&path, errors);
        if !path.is_empty() && !path.text().starts_with('/') {
            errors.push(path.invalid("must be an absolute path"));
        }
    }
    let local = spec.child("local");
    if local.is_set() {
        let path = local.child("path");
        required(&path, errors);
        no_way_up(&path, errors);
        let affinity = spec.child("nodeAffinity");
        if !affinity.is_set() {
            errors.push(affinity.missing("Local volume requires node affinity"));
        }
    }
    let csi = spec.child("csi");
    if csi.is_set() {
        let driver = csi.child("driver");
        required(&driver, errors);
        if !driver.is_empty() {
            problems(&driver, names::dns_1123_subdomain(driver.text()), errors);
        }
        required(&csi.child("volumeHandle"), errors);
    }
    let class = spec.child("volumeAttributesClassName");
    if !class.is_empty() && !csi.is_set() {
        errors.push(csi.missing("has to be specified when using volumeAttributesClassName"));
    }
    let terms = spec.child("nodeAffinity").child("required");
    if terms.is_set() && terms.child("nodeSelectorTerms").is_empty() {
        let detail = "must have at least one node selector term";
        errors.push(terms.child("nodeSelectorTerms").missing(detail));
    }
}

fn no_way_up(path: &Place<'_>, errors: &mut Vec<FieldError>) {
    if path.text().split('/').any(|part| part == "..") {
        errors.push(path.invalid("must not contain '..'"));
    }
}

/// What is wrong with the status of a PersistentVolumeClaim.
pub(super) fn claim_status(object: &Value, errors: &mut Vec<FieldError>) {
    for (_, amount) in Place::of(object, "status").child("capacity").members() {
        never_negative(&amount, errors);
    }
}

fn never_negative(amount: &Place<'_>, errors: &mut Vec<FieldError>) {
    if let Some(value) = read(amount.value())
        && value < Quantity::from_int(0)
    {
        // The real server shows the number behind a quantity here.
        let shown = value.to_string();
        let shown = shown
            .parse::<i64>()
            .map_or_else(|_| shown.into(), Value::from);
        let detail = "must be a valid resource quantity";
        errors.push(FieldError::invalid(amount.path(), shown, detail));
    }
}

/// What may not change in a PersistentVolume.
pub(super) fn volume_update(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    let source = |object: &Value| {
        let members = object["spec"].as_object().into_iter().flatten();
        members
            .filter(|(name, value)| !BESIDE.contains(&name.as_str()) && !value.is_null())
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect::<Vec<_>>()
    };
    if source(new) != source(old) {
        errors.push(FieldError::forbidden(
            "spec.persistentvolumesource",
            "spec.persistentvolumesource is immutable after creation",
        ));
    }
    mode_stays(new, old, errors);
    let class = |object: &Value| object["spec"]["volumeAttributesClassName"].is_null();
    if class(new) && !class(old) {
        errors.push(FieldError::forbidden(
            "spec.volumeAttributesClassName",
            "update from non-nil value to nil is forbidden",
        ));
    }
}

/// The real server leaves `spec` out of this path.
fn mode_stays(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    let mode = |object: &Value| object["spec"]["volumeMode"].clone();
    if mode(new) != mode(old) {
        errors.push(FieldError::invalid(
            "volumeMode",
            mode(new),
            super::IMMUTABLE,
        ));
    }
}

/// What may not change in a PersistentVolumeClaim.
pub(super) fn claim_update(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    let bound = new["status"]["phase"] == "Bound";
    let storage = |object: &Value| object["spec"]["resources"]["requests"]["storage"].clone();
    let mut wanted = new["spec"].clone();
    if bound {
        wanted["resources"]["requests"]["storage"] = storage(old);
        let class = old["spec"]["volumeAttributesClassName"].clone();
        if class.is_null() {
            if let Some(members) = wanted.as_object_mut() {
                members.remove("volumeAttributesClassName");
            }
        } else {
            wanted["volumeAttributesClassName"] = class;
        }
    }
    let mut held = old["spec"].clone();
    if held["volumeName"].as_str().is_none_or(str::is_empty)
        && let Some(name) = wanted.get("volumeName").cloned()
    {
        held["volumeName"] = name;
    }
    if wanted != held {
        errors.push(FieldError::forbidden(
            "spec",
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims",
        ));
    }
    let amount = |value: &Value| read(value).unwrap_or_else(|| Quantity::from_int(0));
    if amount(&storage(new)) < amount(&storage(old))
        && amount(&storage(new)) <= amount(&old["status"]["capacity"]["storage"])
    {
        errors.push(FieldError::forbidden(
            "spec.resources.requests.storage",
            "field can not be less than status.capacity",
        ));
    }
    mode_stays(new, old, errors);
}
