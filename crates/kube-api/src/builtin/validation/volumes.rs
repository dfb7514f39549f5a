//! Volumes of a pod: that each has a name and one source, and what the common sources need.

mod sources;

use std::collections::BTreeMap;

use drover_structural::quantity::Quantity;
use drover_structural::{FieldError, names};

use super::place::{Place, labels, perhaps_one_of, problems, required};

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

/// Checks the volumes and gives the names of those that are right, which alone may be mounted, and whether each can be
/// a device.
pub(super) fn check<'o>(
    volumes: &Place<'o>,
    errors: &mut Vec<FieldError>,
) -> BTreeMap<&'o str, bool> {
    let mut known = BTreeMap::new();
    for volume in volumes.items() {
        let mut found = Vec::new();
        source(&volume, &mut found);
        let name = volume.child("name");
        if name.is_empty() {
            found.push(name.missing(""));
        } else {
            problems(&name, names::dns_1123_label(name.text()), &mut found);
        }
        if known.contains_key(name.text()) {
            found.push(name.duplicate());
        }
        if found.is_empty() {
            let claimed = ["persistentVolumeClaim", "ephemeral"]
                .iter()
                .any(|source| volume.child(source).is_set());
            known.insert(name.text(), claimed);
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
    for member in NEEDED
        .iter()
        .filter(|(source, _)| *source == first)
        .flat_map(|(_, members)| members.iter())
    {
        required(&source.child(member), errors);
    }
    match first {
        "emptyDir" => {
            let limit = source.child("sizeLimit");
            let read = super::container::read(limit.value());
            if read.is_some_and(|limit| limit < Quantity::from_int(0)) {
                errors.push(limit.forbidden("SizeLimit field must be a valid resource quantity"));
            }
        }
        "hostPath" => {
            let path = source.child("path");
            required(&path, errors);
            no_steps_back(&path, errors);
            perhaps_one_of(&source.child("type"), &HOST_PATHS, errors);
        }
        "secret" => {
            required(&source.child("secretName"), errors);
            files(&source, errors);
        }
        "configMap" => {
            required(&source.child("name"), errors);
            files(&source, errors);
        }
        "nfs" => {
            let path = source.child("path");
            if !path.text().starts_with('/') {
                errors.push(FieldError::invalid(
                    path.path(),
                    path.text(),
                    "must be an absolute path",
                ));
            }
        }
        "csi" => csi(&source, errors),
        "projected" => sources::projected(&source, errors),
        "downwardAPI" => {
            mode(&source.child("defaultMode"), errors);
            for file in source.child("items").items() {
                sources::told(&file, &source, errors);
            }
        }
        "ephemeral" => ephemeral(&source, errors),
        "iscsi" | "fc" | "azureDisk" => disk(first, &source, errors),
        "gcePersistentDisk" => {
            let called = volume.child("persistentDisk").child("pdName");
            required(
                &source.child("pdName").called(called.path().to_owned()),
                errors,
            );
        }
        _ => {}
    }
}

/// What else sources need, in their order.
const NEEDED: [(&str, &[&str]); 17] = [
    ("gitRepo", &["repository"]),
    ("awsElasticBlockStore", &["volumeID"]),
    ("nfs", &["server", "path"]),
    ("iscsi", &["targetPortal", "iqn"]),
    ("glusterfs", &["endpoints", "path"]),
    ("persistentVolumeClaim", &["claimName"]),
    ("rbd", &["monitors", "image"]),
    ("cinder", &["volumeID"]),
    ("cephfs", &["monitors"]),
    ("flexVolume", &["driver"]),
    ("azureFile", &["secretName", "shareName"]),
    ("vsphereVolume", &["volumePath"]),
    ("photonPersistentDisk", &["pdID"]),
    ("portworxVolume", &["volumeID"]),
    ("azureDisk", &["diskName", "diskURI"]),
    ("image", &["reference"]),
    ("csi", &["driver"]),
];

/// What a folder of the host may be.
pub(super) const HOST_PATHS: [&str; 8] = [
    "",
    "BlockDevice",
    "CharDevice",
    "Directory",
    "DirectoryOrCreate",
    "File",
    "FileOrCreate",
    "Socket",
];

fn csi(source: &Place<'_>, errors: &mut Vec<FieldError>) {
    let driver = source.child("driver");
    if !driver.is_empty() {
        let found = names::dns_1123_subdomain(&driver.text().to_lowercase()).into_iter();
        errors.extend(found.map(|problem| driver.invalid(problem)));
    }
    let secret = source.child("nodePublishSecretRef");
    if secret.is_set() {
        required(&secret.child("name"), errors);
    }
}

/// A volume that comes and goes with its pod is claimed by a template.
fn ephemeral(source: &Place<'_>, errors: &mut Vec<FieldError>) {
    let template = source.child("volumeClaimTemplate");
    if !template.is_set() {
        errors.push(template.missing(""));
        return;
    }
    let metadata = template.child("metadata");
    labels(&metadata.child("labels"), errors);
    for member in metadata.value().as_object().into_iter().flatten() {
        if !matches!(
            member.0.as_str(),
            "labels" | "annotations" | "creationTimestamp"
        ) {
            errors.push(metadata.child(member.0).forbidden("cannot be set"));
        }
    }
    super::storage::claim_spec(&template.child("spec"), errors);
}

/// Disks of old.
fn disk(kind: &str, source: &Place<'_>, errors: &mut Vec<FieldError>) {
    let lun = source.child("lun");
    let outside = lun.number().is_some_and(|lun| !(0..=255).contains(&lun));
    let range = "must be between 0 and 255, inclusive";
    match kind {
        "iscsi" => {
            let name = source.child("iqn");
            let known = ["iqn", "eui", "naa"];
            if !name.is_empty() && !known.iter().any(|start| name.text().starts_with(start)) {
                errors.push(name.invalid("must be valid format starting with iqn, eui, or naa"));
            }
            if outside {
                errors.push(lun.invalid(range));
            }
            let signs = ["chapAuthDiscovery", "chapAuthSession"];
            let secret = source.child("secretRef");
            if signs.iter().any(|sign| source.child(sign).is_true()) && !secret.is_set() {
                errors.push(secret.missing(""));
            }
        }
        "fc" => {
            let (targets, ids) = (source.child("targetWWNs"), source.child("wwids"));
            match (targets.is_empty(), ids.is_empty()) {
                (true, true) => errors
                    .push(targets.missing("must specify either targetWWNs or wwids, but not both")),
                (false, false) => errors.push(
                    targets.invalid("targetWWNs and wwids can not be specified simultaneously"),
                ),
                _ => {}
            }
            if !targets.is_empty() && !lun.is_set() {
                errors.push(lun.missing("lun is required if targetWWNs is specified"));
            } else if !targets.is_empty() && outside {
                errors.push(lun.invalid(range));
            }
        }
        _ => {
            perhaps_one_of(
                &source.child("cachingMode"),
                &["None", "ReadOnly", "ReadWrite"],
                errors,
            );
            let (kind, uri) = (source.child("kind"), source.child("diskURI"));
            perhaps_one_of(&kind, &["Dedicated", "Managed", "Shared"], errors);
            let (start, form) = if kind.text() == "Managed" {
                (
                    "/subscriptions/",
                    "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}",
                )
            } else {
                (
                    "https://",
                    "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd",
                )
            };
            if kind.is_set() && !uri.text().starts_with(start) {
                errors.push(FieldError::not_supported(uri.path(), uri.text(), [form]));
            }
        }
    }
}

/// `defaultMode` and `items` of what becomes files.
fn files(source: &Place<'_>, errors: &mut Vec<FieldError>) {
    mode(&source.child("defaultMode"), errors);
    for item in source.child("items").items() {
        required(&item.child("key"), errors);
        let path = item.child("path");
        required(&path, errors);
        local(&path, errors);
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

/// A path in a folder that its owner may move by a name with two dots before it.
fn local(path: &Place<'_>, errors: &mut Vec<FieldError>) {
    descending(path, errors);
    if path.text().starts_with("..") && !path.text().starts_with("../") {
        errors.push(path.invalid("must not start with '..'"));
    }
}

/// A path in a folder.
pub(super) fn descending(path: &Place<'_>, errors: &mut Vec<FieldError>) {
    if path.text().starts_with('/') {
        errors.push(path.invalid("must be a relative path"));
    }
    no_steps_back(path, errors);
}

/// A path must stay where it begins.
pub(super) fn no_steps_back(path: &Place<'_>, errors: &mut Vec<FieldError>) {
    if path.text().split('/').any(|part| part == "..") {
        errors.push(path.invalid("must not contain '..'"));
    }
}
