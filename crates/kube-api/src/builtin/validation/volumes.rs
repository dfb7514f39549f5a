//! Volumes of a pod: that each has a name and one source, and what the common sources need.

use std::collections::BTreeSet;

use drover_structural::{FieldError, names};

use super::place::{Place, problems, required};

const MODE: &str = "must be a number between 0 and 0777 (octal), both inclusive";

/// What a volume may be made of, in the order in which the real server looks: the first counts.
const SOURCES: [&str; 30] = [
    "emptyDir",
    "hostPath",
    "gitRepo",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "secret",
    "nfs",
    "iscsi",
    "glusterfs",
    "flocker",
    "persistentVolumeClaim",
    "rbd",
    "cinder",
    "cephfs",
    "quobyte",
    "downwardAPI",
    "fc",
    "flexVolume",
    "configMap",
    "azureFile",
    "vsphereVolume",
    "photonPersistentDisk",
    "portworxVolume",
    "azureDisk",
    "storageos",
    "projected",
    "scaleIO",
    "csi",
    "ephemeral",
    "image",
];

/// Checks the volumes and gives the names of those that are right, which alone may be mounted.
pub(super) fn check<'o>(volumes: &Place<'o>, errors: &mut Vec<FieldError>) -> BTreeSet<&'o str> {
    let mut known = BTreeSet::new();
    for volume in volumes.items() {
        let mut found = Vec::new();
        source(&volume, &mut found);
        let name = volume.child("name");
        if name.is_empty() {
            found.push(name.missing(""));
        } else {
            problems(&name, names::dns_1123_label(name.text()), &mut found);
        }
        if known.contains(name.text()) {
            found.push(name.duplicate());
        }
        if found.is_empty() {
            known.insert(name.text());
        } else {
            errors.append(&mut found);
        }
    }
    known
}

fn source(volume: &Place<'_>, errors: &mut Vec<FieldError>) {
    let members = volume.value().as_object();
    let given =
        |name: &str| members.is_some_and(|all| all.get(name).is_some_and(|value| !value.is_null()));
    let mut sources = SOURCES.into_iter().filter(|name| given(name));
    let Some(first) = sources.next() else {
        errors.push(volume.missing("must specify a volume type"));
        return;
    };
    for other in sources {
        let detail = "may not specify more than 1 volume type";
        errors.push(volume.child(other).forbidden(detail));
    }
    let source = volume.child(first);
    match first {
        "hostPath" => {
            let path = source.child("path");
            required(&path, errors);
            no_steps_back(&path, errors);
        }
        "secret" => {
            required(&source.child("secretName"), errors);
            files(&source, errors);
        }
        "configMap" => {
            required(&source.child("name"), errors);
            files(&source, errors);
        }
        "persistentVolumeClaim" => required(&source.child("claimName"), errors),
        "nfs" => {
            required(&source.child("server"), errors);
            let path = source.child("path");
            required(&path, errors);
            if !path.text().starts_with('/') {
                errors.push(FieldError::invalid(
                    path.path(),
                    path.text(),
                    "must be an absolute path",
                ));
            }
        }
        "csi" => required(&source.child("driver"), errors),
        "projected" => mode(&source.child("defaultMode"), errors),
        _ => {}
    }
}

/// `defaultMode` and `items` of what becomes files.
fn files(source: &Place<'_>, errors: &mut Vec<FieldError>) {
    mode(&source.child("defaultMode"), errors);
    for item in source.child("items").items() {
        required(&item.child("key"), errors);
        let path = item.child("path");
        required(&path, errors);
        if path.text().starts_with('/') {
            errors.push(path.invalid("must be a relative path"));
        }
        no_steps_back(&path, errors);
        if path.text().starts_with("..") && !path.text().starts_with("../") {
            errors.push(path.invalid("must not start with '..'"));
        }
        mode(&item.child("mode"), errors);
    }
}

fn mode(mode: &Place<'_>, errors: &mut Vec<FieldError>) {
    if mode
        .number()
        .is_some_and(|mode| !(0..=0o777).contains(&mode))
    {
        errors.push(mode.invalid(MODE));
    }
}

/// A path must stay where it begins.
pub(super) fn no_steps_back(path: &Place<'_>, errors: &mut Vec<FieldError>) {
    if path.text().split('/').any(|part| part == "..") {
        errors.push(path.invalid("must not contain '..'"));
    }
}
