//! What tables show of volumes and claims.

use serde_json::{Value, json};

use super::super::{Column, Row};
use super::{AGE, NAME, text, wide};

pub(super) const VOLUME: &[Column] = &[
    NAME,
    text("Capacity"),
    text("Access Modes"),
    text("Reclaim Policy"),
    text("Status"),
    text("Claim"),
    text("StorageClass"),
    text("VolumeAttributesClass"),
    text("Reason"),
    AGE,
    wide("VolumeMode"),
];

pub(super) fn volume(row: &Row<'_>) -> Vec<Value> {
    let claim = match row.at("/spec/claimRef") {
        Some(claim) => format!(
            "{}/{}",
            claim["namespace"].as_str().unwrap_or_default(),
            claim["name"].as_str().unwrap_or_default()
        ),
        None => String::new(),
    };
    vec![
        row.name(),
        json!(row.text_or("/spec/capacity/storage", "0")),
        json!(access_modes(row, "/spec/accessModes")),
        row.text("/spec/persistentVolumeReclaimPolicy"),
        phase(row),
        json!(claim),
        json!(storage_class(row)),
        json!(row.text_or("/spec/volumeAttributesClassName", "<unset>")),
        row.text("/status/reason"),
        row.age(),
        json!(row.text_or("/spec/volumeMode", "<unset>")),
    ]
}

pub(super) const CLAIM: &[Column] = &[
    NAME,
    text("Status"),
    text("Volume"),
    text("Capacity"),
    text("Access Modes"),
    text("StorageClass"),
    text("VolumeAttributesClass"),
    AGE,
    wide("VolumeMode"),
];

pub(super) fn claim(row: &Row<'_>) -> Vec<Value> {
    let bound = row.string("/spec/volumeName").is_some();
    vec![
        row.name(),
        phase(row),
        row.text("/spec/volumeName"),
        json!(if bound {
            row.text_or("/status/capacity/storage", "0")
        } else {
            String::new()
        }),
        json!(if bound {
            access_modes(row, "/status/accessModes")
        } else {
            String::new()
        }),
        json!(storage_class(row)),
        json!(row.text_or("/spec/volumeAttributesClassName", "<unset>")),
        row.age(),
        json!(row.text_or("/spec/volumeMode", "<unset>")),
    ]
}

fn phase(row: &Row<'_>) -> Value {
    if row.at("/metadata/deletionTimestamp").is_some() {
        json!("Terminating")
    } else {
        row.text("/status/phase")
    }
}

/// The class of a volume or claim; an annotation of old overrides the member.
fn storage_class(row: &Row<'_>) -> String {
    match row.at("/metadata/annotations/volume.beta.kubernetes.io~1storage-class") {
        Some(class) => class.as_str().unwrap_or_default().to_owned(),
        None => row.text_or("/spec/storageClassName", ""),
    }
}

fn access_modes(row: &Row<'_>, path: &str) -> String {
    let modes = row.strings(path);
    [
        ("ReadWriteOnce", "RWO"),
        ("ReadOnlyMany", "ROX"),
        ("ReadWriteMany", "RWX"),
        ("ReadWriteOncePod", "RWOP"),
    ]
    .into_iter()
    .filter(|(mode, _)| modes.iter().any(|held| held == mode))
    .map(|(_, short)| short)
    .collect::<Vec<_>>()
    .join(",")
}
