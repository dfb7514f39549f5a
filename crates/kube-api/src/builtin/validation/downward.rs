//! What containers are told of their own pod: fields and amounts of resources, in variables and in files
//! (kubernetes `pkg/apis/core/{validation,pods}`, v1.36).

use drover_structural::{FieldError, names};

use super::container::read;
use super::place::{Place, required};

/// Fields of pods that can be told at all.
const FIELDS: [&str; 14] = [
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.serviceAccountName",
    "spec.schedulerName",
    "status.phase",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];
/// Those that variables can hold.
pub(super) const OF_VARIABLES: [&str; 9] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];
/// Those that files can hold.
pub(super) const OF_FILES: [&str; 5] = [
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
];
const AMOUNTS: [&str; 6] = [
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];
const SIZES: &str = "1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei";

/// A path with a key of a map after it: `metadata.labels['key']`.
fn subscripted(path: &str) -> Option<(&str, &str)> {
    let (map, key) = path.strip_suffix("']")?.split_once("['")?;
    (!map.is_empty()).then_some((map, key))
}

/// A field of the pod; `allowed` are those that can be told here.
pub(super) fn field(reference: &Place<'_>, allowed: &[&str], errors: &mut Vec<FieldError>) {
    let (version, path) = (reference.child("apiVersion"), reference.child("fieldPath"));
    if version.is_empty() || path.is_empty() {
        let missing = if version.is_empty() { &version } else { &path };
        errors.push(missing.missing(""));
        return;
    }
    let text = path.text();
    let key = subscripted(text);
    let unconverted = match key {
        _ if version.text() != "v1" => Some(format!("unsupported pod version: {}", version.text())),
        Some(("metadata.labels" | "metadata.annotations", _)) => None,
        Some(_) => Some(format!("field label does not support subscript: {text}")),
        None if FIELDS.contains(&text) || text == "spec.host" => None,
        None => Some(format!("field label not supported: {text}")),
    };
    if let Some(problem) = unconverted {
        errors.push(path.invalid(format!("error converting fieldPath: {problem}")));
        return;
    }
    match key {
        Some((map, key)) => {
            let key = if map == "metadata.annotations" {
                key.to_lowercase()
            } else {
                key.to_owned()
            };
            let found = names::qualified_name(&key).into_iter();
            errors.extend(
                found.map(|problem| FieldError::invalid(reference.path(), key.clone(), problem)),
            );
        }
        None => {
            let meant = if text == "spec.host" {
                "spec.nodeName"
            } else {
                text
            };
            if !allowed.contains(&meant) {
                errors.push(FieldError::not_supported(path.path(), meant, allowed));
            }
        }
    }
}

/// An amount of a resource; in files it is said of which container.
pub(super) fn amount(reference: &Place<'_>, in_file: bool, errors: &mut Vec<FieldError>) {
    let resource = reference.child("resource");
    let name = resource.text();
    let of_pages = name.starts_with("requests.hugepages-") || name.starts_with("limits.hugepages-");
    if in_file && reference.child("containerName").is_empty() {
        required(&reference.child("containerName"), errors);
    } else if resource.is_empty() {
        required(&resource, errors);
    } else if !AMOUNTS.contains(&name) && !of_pages {
        errors.push(resource.unsupported(&AMOUNTS));
    }
    let divisor = reference.child("divisor");
    let Some(amount) = read(divisor.value()).filter(|amount| !amount.is_zero()) else {
        return;
    };
    let amount = amount.to_string();
    let detail = match name {
        "limits.cpu" | "requests.cpu" if !matches!(&*amount, "1" | "1m") => {
            "only divisor's values 1m and 1 are supported with the cpu resource".to_owned()
        }
        _ if SIZES.split(", ").any(|size| size == amount) => return,
        "limits.memory" | "requests.memory" => {
            format!("only divisor's values {SIZES} are supported with the memory resource")
        }
        "limits.ephemeral-storage" | "requests.ephemeral-storage" => format!(
            "only divisor's values {SIZES} are supported with the local ephemeral storage resource"
        ),
        _ if of_pages => {
            format!("only divisor's values {SIZES} are supported with the hugepages resource")
        }
        _ => return,
    };
    errors.push(FieldError::invalid(divisor.path(), name, detail));
}
