//! Volumes in containers: as folders and as devices.

use std::collections::{BTreeMap, BTreeSet};

use drover_structural::FieldError;

use super::Around;
use crate::builtin::validation::place::{Place, perhaps_one_of, required};
use crate::builtin::validation::volumes::descending;

/// Checks both.
pub(super) fn check(container: &Place<'_>, around: &Around<'_>, errors: &mut Vec<FieldError>) {
    let (mounted, devices) = (
        container.child("volumeMounts"),
        container.child("volumeDevices"),
    );
    let places = |list: &Place<'_>, path: &str| {
        let items = list.items();
        items
            .iter()
            .map(|item| {
                let texts = [item.child("name").text(), item.child(path).text()];
                texts.map(str::to_owned).into()
            })
            .collect::<BTreeMap<String, String>>()
    };
    let as_folders = places(&mounted, "mountPath");
    let as_devices = places(&devices, "devicePath");
    let privileged = container
        .child("securityContext")
        .child("privileged")
        .is_true();
    mounts(&mounted, &as_devices, privileged, around, errors);
    self::devices(&devices, &as_folders, around, errors);
}

fn mounts(
    mounts: &Place<'_>,
    devices: &BTreeMap<String, String>,
    privileged: bool,
    around: &Around<'_>,
    errors: &mut Vec<FieldError>,
) {
    let mut taken = BTreeSet::new();
    for mount in mounts.items() {
        let name = mount.child("name");
        required(&name, errors);
        if !around.volumes.contains_key(name.text()) {
            errors.push(FieldError::not_found(name.path(), name.text()));
        }
        let path = mount.child("mountPath");
        required(&path, errors);
        let wrong = |place: &Place<'_>, detail: &str| {
            FieldError::invalid(place.path(), place.text(), detail)
        };
        if !taken.insert(path.text()) {
            errors.push(wrong(&path, "must be unique"));
        }
        if devices.contains_key(name.text()) {
            errors.push(wrong(&name, "must not already exist in volumeDevices"));
        }
        if devices.values().any(|device| device == path.text()) {
            let detail = "must not already exist as a path in volumeDevices";
            errors.push(wrong(&path, detail));
        }
        // The real server leaves the place in the list out of the paths of what follows.
        let of_all = |member: &str| {
            mount
                .child(member)
                .called(mounts.child(member).path().to_owned())
        };
        let (inner, expression) = (of_all("subPath"), of_all("subPathExpr"));
        descending(&inner, errors);
        if !inner.is_empty() && !expression.is_empty() {
            let detail = "subPathExpr and subPath are mutually exclusive";
            errors.push(mount.child("subPathExpr").invalid(detail));
        }
        descending(&expression, errors);
        let spread = of_all("mountPropagation");
        perhaps_one_of(
            &spread,
            &["Bidirectional", "HostToContainer", "None"],
            errors,
        );
        if spread.text() == "Bidirectional" && !privileged {
            let detail =
                "Bidirectional mount propagation is available only to privileged containers";
            errors.push(spread.forbidden(detail));
        }
        read_only(&mount, &of_all("recursiveReadOnly"), errors);
    }
}

/// What lies in a folder may be read-only with it.
fn read_only(mount: &Place<'_>, recursive: &Place<'_>, errors: &mut Vec<FieldError>) {
    match recursive.text() {
        "Enabled" | "IfPossible" => {
            if !mount.child("readOnly").is_true() {
                errors.push(recursive.forbidden("may only be specified when readOnly is true"));
            }
            if !matches!(mount.child("mountPropagation").text(), "" | "None") {
                let detail = "may only be specified when mountPropagation is None or not specified";
                errors.push(recursive.forbidden(detail));
            }
        }
        _ => perhaps_one_of(recursive, &["Disabled", "Enabled", "IfPossible"], errors),
    }
}

fn devices(
    devices: &Place<'_>,
    folders: &BTreeMap<String, String>,
    around: &Around<'_>,
    errors: &mut Vec<FieldError>,
) {
    let (mut names, mut paths) = (BTreeSet::new(), BTreeSet::new());
    for device in devices.items() {
        let (name, path) = (device.child("name"), device.child("devicePath"));
        let wrong = |place: &Place<'_>, detail: &str| {
            FieldError::invalid(place.path(), place.text(), detail)
        };
        required(&name, errors);
        if names.contains(name.text()) {
            errors.push(wrong(&name, "must be unique"));
        }
        match around.volumes.get(name.text()) {
            Some(true) => {}
            Some(false) => errors.push(wrong(
                &name,
                "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode",
            )),
            None => errors.push(FieldError::not_found(name.path(), name.text())),
        }
        required(&path, errors);
        if paths.contains(path.text()) {
            errors.push(wrong(&path, "must be unique"));
        }
        if path.text().split('/').any(|part| part == "..") {
            errors.push(wrong(&path, "can not contain backsteps ('..')"));
        } else {
            paths.insert(path.text());
        }
        if folders.contains_key(name.text()) {
            errors.push(wrong(&name, "must not already exist in volumeMounts"));
        }
        if folders.values().any(|folder| folder == path.text()) {
            let detail = "must not already exist as a path in volumeMounts";
            errors.push(wrong(&path, detail));
        }
        if !name.is_empty() {
            names.insert(name.text());
        }
    }
}
