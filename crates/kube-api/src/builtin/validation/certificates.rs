//! Requests for certificates: what they ask for, who approved them, what was issued
//! (kubernetes `pkg/apis/certificates/validation`, v1.36).
//!
//! A request is read as far as its outer form; signatures are checked by whoever signs.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use drover_structural::{FieldError, names};
use serde_json::{Value, json};

use super::place::Place;

const USAGES: [&str; 23] = [
    "any",
    "cert sign",
    "client auth",
    "code signing",
    "content commitment",
    "crl sign",
    "data encipherment",
    "decipher only",
    "digital signature",
    "email protection",
    "encipher only",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "key agreement",
    "key encipherment",
    "microsoft sgc",
    "netscape sgc",
    "ocsp signing",
    "s/mime",
    "server auth",
    "signing",
    "timestamping",
];
const SHORTEST: i64 = 600;
const LEGACY: &str = "kubernetes.io/legacy-unknown";
const DECISIONS: [&str; 2] = ["Approved", "Denied"];

/// Which part of a request a write may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::builtin) enum Part {
    Whole,
    Approval,
    Status,
}

/// What is wrong with a CertificateSigningRequest; `old` is the one before.
pub(in crate::builtin) fn request(
    object: &Value,
    old: Option<&Value>,
    errors: &mut Vec<FieldError>,
) {
    let spec = Place::of(object, "spec");
    let request = spec.child("request");
    if let Some(problem) = request_problem(request.text()) {
        errors.push(request.invalid(problem));
    }
    usages(&spec.child("usages"), errors);
    signer(&spec.child("signerName"), old, errors);
    let seconds = spec.child("expirationSeconds");
    if seconds.number().is_some_and(|seconds| seconds < SHORTEST) {
        errors
            .push(seconds.invalid("may not specify a duration less than 600 seconds (10 minutes)"));
    }
    let status = Place::of(object, "status");
    conditions(&status.child("conditions"), old, errors);
    let certificate = status.child("certificate");
    let unchanged = old.is_some_and(|old| {
        old.pointer("/status/certificate") == object.pointer("/status/certificate")
    });
    if !unchanged && let Some(problem) = certificate_problem(certificate.text()) {
        errors.push(FieldError::invalid(
            certificate.path(),
            "<certificate data>",
            problem,
        ));
    }
}

fn usages(place: &Place<'_>, errors: &mut Vec<FieldError>) {
    if place.is_empty() {
        errors.push(place.missing(""));
    }
    let mut seen = Vec::new();
    for usage in place.items() {
        if !USAGES.contains(&usage.text()) {
            errors.push(usage.unsupported(&USAGES));
        }
    }
    for usage in place.items() {
        if seen.contains(&usage.text()) {
            errors.push(usage.duplicate());
        }
        seen.push(usage.text());
    }
}

/// The name of a signer: a domain and a path of one part (kubernetes `ValidateSignerName`).
fn signer(name: &Place<'_>, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let text = name.text();
    let part = |part: &str, detail: String| FieldError::invalid(name.path(), part, detail);
    let wrong = |detail: String| part(text, detail);
    if text == LEGACY {
        let held = old.and_then(|old| old.pointer("/spec/signerName")?.as_str());
        if held != Some(LEGACY) {
            let detail = "the legacy signerName is not allowed via this API version";
            errors.push(wrong(detail.to_owned()));
        }
        return;
    }
    if text.is_empty() {
        errors.push(name.missing(""));
        return;
    }
    let segments: Vec<&str> = text.split('/').collect();
    let [domain, path] = segments.as_slice() else {
        let detail =
            "must be a fully qualified domain and path of the form 'example.com/signer-name'";
        errors.push(wrong(detail.to_owned()));
        return;
    };
    let labels: Vec<&str> = domain.split('.').collect();
    // What is wrong with further parts is not told.
    let first_wrong = |labels: &[&str], check: fn(&str) -> Vec<String>| {
        labels.iter().find_map(|label| {
            let found = check(label);
            (!found.is_empty()).then(|| {
                let detail = |found| format!("validating label {label:?}: {found}");
                found.into_iter().map(detail).collect::<Vec<_>>()
            })
        })
    };
    for detail in first_wrong(&labels, names::dns_1123_label).unwrap_or_default() {
        errors.push(part(domain, detail));
    }
    if labels.len() < 2 {
        errors.push(part(
            domain,
            "should be a domain with at least two segments separated by dots".to_owned(),
        ));
    }
    let labels: Vec<&str> = path.split('.').collect();
    for detail in first_wrong(&labels, names::dns_1123_subdomain).unwrap_or_default() {
        errors.push(part(path, detail));
    }
}

fn conditions(place: &Place<'_>, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let empty = json!({});
    let before = Place::of(old.unwrap_or(&empty), "status").child("conditions");
    let mut decided = Vec::new();
    let mut seen = Vec::new();
    for condition in place.items() {
        let (kind, status) = (condition.child("type"), condition.child("status"));
        if kind.is_empty()
            && before
                .items()
                .iter()
                .all(|held| !held.child("type").is_empty())
        {
            errors.push(kind.missing(""));
        }
        let allowed: &[&str] = match kind.text() {
            "Approved" | "Denied" | "Failed" => &["True"],
            _ => &["False", "True", "Unknown"],
        };
        super::place::one_of(&status, allowed, errors);
        if DECISIONS.contains(&kind.text()) {
            if decided.iter().any(|other| *other != kind.text()) {
                errors.push(FieldError::invalid(
                    place.path(),
                    kind.text(),
                    "Approved and Denied conditions are mutually exclusive",
                ));
            }
            decided.push(kind.text());
        }
        if seen.contains(&kind.text()) {
            errors.push(FieldError::duplicate(kind.path(), kind.text()));
        }
        seen.push(kind.text());
    }
}

/// What an update of a part of a request may not do.
pub(in crate::builtin) fn update(
    new: &Value,
    old: &Value,
    part: Part,
    errors: &mut Vec<FieldError>,
) {
    request(new, Some(old), errors);
    let of_kind = |object: &Value, kind: &str| {
        let held = object
            .pointer("/status/conditions")
            .and_then(Value::as_array);
        let held = held.into_iter().flatten();
        held.filter(|condition| condition["type"] == kind)
            .cloned()
            .collect::<Vec<_>>()
    };
    let path = "status.conditions";
    for kind in ["Approved", "Denied", "Failed"] {
        if of_kind(new, kind).len() < of_kind(old, kind).len() {
            let detail = format!("updates may not remove a condition of type {kind:?}");
            errors.push(FieldError::forbidden(path, detail));
        }
    }
    if part != Part::Approval {
        for kind in DECISIONS {
            let (now, before) = (of_kind(new, kind), of_kind(old, kind));
            let does = match now.len().cmp(&before.len()) {
                std::cmp::Ordering::Greater => "add",
                std::cmp::Ordering::Equal if now != before => "modify",
                _ => continue,
            };
            let detail = format!("updates may not {does} a condition of type {kind:?}");
            errors.push(FieldError::forbidden(path, detail));
        }
    }
    let issued = |object: &Value| {
        let text = object
            .pointer("/status/certificate")
            .and_then(Value::as_str);
        text.unwrap_or_default().to_owned()
    };
    if issued(new) != issued(old) {
        let path = "status.certificate";
        if part != Part::Status {
            let detail = "updates may not set certificate content";
            errors.push(FieldError::forbidden(path, detail));
        } else if !issued(old).is_empty() {
            let detail = "updates may not modify existing certificate content";
            errors.push(FieldError::forbidden(path, detail));
        }
    }
}

/// The blocks of a PEM text in base64, each with its type.
fn blocks(encoded: &str) -> Vec<(String, Vec<u8>)> {
    let text = STANDARD.decode(encoded).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    let mut found = Vec::new();
    let mut rest = text.as_str();
    while let Some((_, after)) = rest.split_once("-----BEGIN ") {
        rest = after;
        let Some((kind, after)) = after.split_once("-----") else {
            break;
        };
        let Some((body, after)) = after.split_once(&format!("-----END {kind}-----")) else {
            continue;
        };
        let body: String = body.split_whitespace().collect();
        if let Ok(bytes) = STANDARD.decode(body) {
            found.push((kind.to_owned(), bytes));
            rest = after;
        }
    }
    found
}

/// Whether bytes are one sequence in DER.
fn is_sequence(bytes: &[u8]) -> bool {
    let (Some(0x30), Some(first)) = (bytes.first(), bytes.get(1)) else {
        return false;
    };
    let (length, head) = if *first < 0x80 {
        (usize::from(*first), 2)
    } else {
        let n_bytes = usize::from(first & 0x7f);
        let Some(length) = bytes.get(2..2 + n_bytes).filter(|_| n_bytes <= 4) else {
            return false;
        };
        let fold = |all: usize, byte: &u8| (all << 8) | usize::from(*byte);
        (length.iter().fold(0, fold), 2 + n_bytes)
    };
    bytes.len() == head + length
}

fn request_problem(encoded: &str) -> Option<String> {
    match blocks(encoded).first() {
        Some((kind, bytes)) if kind == "CERTIFICATE REQUEST" => {
            (!is_sequence(bytes)).then(|| "asn1: structure error: not a request".to_owned())
        }
        _ => Some("PEM block type must be CERTIFICATE REQUEST".to_owned()),
    }
}

fn certificate_problem(encoded: &str) -> Option<String> {
    if encoded.is_empty() {
        return None;
    }
    let blocks = blocks(encoded);
    let other = blocks.iter().find(|(kind, _)| kind != "CERTIFICATE");
    if let Some((kind, _)) = other {
        return Some(format!(
            "only CERTIFICATE PEM blocks are allowed, found {kind:?}"
        ));
    }
    if blocks.is_empty() {
        return Some("must contain at least one CERTIFICATE PEM block".to_owned());
    }
    let broken = blocks.iter().any(|(_, bytes)| !is_sequence(bytes));
    broken.then(|| "x509: malformed certificate".to_owned())
}

/// Fills in when conditions came (kubernetes `populateConditionTimestamps`).
pub(in crate::builtin) fn date_conditions(new: &mut Value, old: &Value, now: &str) {
    let before = old
        .pointer("/status/conditions")
        .cloned()
        .unwrap_or_default();
    let conditions = new
        .pointer_mut("/status/conditions")
        .and_then(Value::as_array_mut);
    for condition in conditions.into_iter().flatten() {
        if condition["lastUpdateTime"].is_null() {
            condition["lastUpdateTime"] = now.into();
        }
        if condition["lastTransitionTime"].is_null() {
            let held = before.as_array().into_iter().flatten().find(|held| {
                held["type"] == condition["type"]
                    && held["status"] == condition["status"]
                    && !held["lastTransitionTime"].is_null()
            });
            let since = held.map_or_else(|| now.into(), |held| held["lastTransitionTime"].clone());
            condition["lastTransitionTime"] = since;
        }
    }
}

/// Keeps what was decided as it was, where as much is decided as before.
pub(in crate::builtin) fn keep_decisions(new: &mut Value, old: &Value) {
    for kind in DECISIONS {
        let held: Vec<Value> = old
            .pointer("/status/conditions")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter(|condition| condition["type"] == kind)
            .cloned()
            .collect();
        let conditions = new
            .pointer_mut("/status/conditions")
            .and_then(Value::as_array_mut);
        let now: Vec<&mut Value> = conditions
            .into_iter()
            .flatten()
            .filter(|condition| condition["type"] == kind)
            .collect();
        if now.len() == held.len() {
            for (now, held) in now.into_iter().zip(held) {
                *now = held;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_requests_and_certificates_are_taken_for_such() {
        let pem = |kind: &str, body: &[u8]| {
            let body = STANDARD.encode(body);
            STANDARD.encode(format!(
                "-----BEGIN {kind}-----\n{body}\n-----END {kind}-----\n"
            ))
        };
        let sequence = [0x30, 2, 5, 0];
        assert_eq!(
            request_problem(&pem("CERTIFICATE REQUEST", &sequence)),
            None
        );
        assert!(request_problem(&pem("CERTIFICATE REQUEST", &sequence[..3])).is_some());
        assert!(request_problem(&pem("CERTIFICATE", &sequence)).is_some());
        assert_eq!(certificate_problem(&pem("CERTIFICATE", &sequence)), None);
        assert!(certificate_problem("eA==").is_some());
        let mut errors = Vec::new();
        let object = json!({"name": "example.com/a"});
        signer(&Place::of(&object, "name"), None, &mut errors);
        assert_eq!(errors, []);
    }
}
