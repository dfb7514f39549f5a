//! What is refused in a definition.
//!
//! Owns names, versions, conversion and stored versions; what a version says is in the part. Whether a schema is
//! structural is told by `drover_structural`.
//!
//! Errors come in the order and under the paths of the real server, which looks at definitions in an older form: what
//! all versions say alike stands there once, beside them (`spec.validation` and others).
//!
//! Source: apiextensions-apiserver `pkg/apis/apiextensions/validation/validation.go`, v0.36.

mod version;

pub(super) use version::unknown_formats;

use drover_structural::FieldError;
use serde_json::{Value, json};

use crate::registry::NameRule;
use crate::rest::object::{meta, name_problems};

fn text<'o>(object: &'o Value, member: &str) -> &'o str {
    object[member].as_str().unwrap_or_default()
}

fn list<'o>(object: &'o Value, member: &str) -> &'o [Value] {
    object[member].as_array().map_or(&[], Vec::as_slice)
}

/// What is wrong with a new definition.
pub(super) fn create(definition: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    whole(definition, None, &mut errors);
    errors
}

/// What is wrong with a changed definition.
pub(super) fn update(new: &Value, old: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    whole(new, Some(old), &mut errors);
    let established = super::names::condition(old, "Established") == Some("True");
    for (pointer, field, always) in [
        ("/spec/scope", "spec.scope", false),
        ("/spec/names/kind", "spec.names.kind", false),
        ("/spec/group", "spec.group", true),
        ("/spec/names/plural", "spec.names.plural", true),
    ] {
        if (always || established) && new.pointer(pointer) != old.pointer(pointer) {
            let value = new.pointer(pointer).cloned().unwrap_or(Value::Null);
            errors.push(FieldError::invalid(field, value, "field is immutable"));
        }
    }
    errors
}

/// What is wrong with a changed status: stored versions are checked with the next change of the definition.
pub(super) fn status(new: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    names(
        &new["status"]["acceptedNames"],
        "status.acceptedNames",
        &mut errors,
    );
    errors
}

/// Versions in which objects are stored must stay.
fn stored_versions(definition: &Value) -> Vec<FieldError> {
    let versions = list(&definition["spec"], "versions");
    let stored = list(&definition["status"], "storedVersions");
    if stored.is_empty() {
        return vec![FieldError::invalid(
            "status.storedVersions",
            Value::Null,
            "must have at least one stored version",
        )];
    }
    let mut errors = Vec::new();
    let storage = versions
        .iter()
        .filter(|version| version["storage"] == true)
        .map(|version| text(version, "name"));
    for storage in storage.filter(|storage| !stored.iter().any(|name| name == storage)) {
        errors.push(FieldError::invalid(
            "status.storedVersions",
            json!(stored),
            format!("must have the storage version {storage}"),
        ));
    }
    for (index, name) in stored.iter().filter_map(Value::as_str).enumerate() {
        if !versions.iter().any(|version| version["name"] == name) {
            errors.push(FieldError::invalid(
                format!("status.storedVersions[{index}]"),
                name,
                format!(
                    "missing from spec.versions; {name} was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in {name} and removes {name} from status.storedVersions"
                ),
            ));
        }
    }
    errors
}

fn whole(definition: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let spec = &definition["spec"];
    let group = text(spec, "group");
    // What may not change is not held against the name too.
    if old.is_none()
        && meta(definition, "name") != format!("{}.{group}", text(&spec["names"], "plural"))
    {
        let detail = "must be spec.names.plural+\".\"+spec.group";
        errors.push(FieldError::invalid(
            "metadata.name",
            meta(definition, "name"),
            detail,
        ));
    }
    group_name(group, errors);
    enumerated(
        "spec.scope",
        text(spec, "scope"),
        ["Cluster", "Namespaced"],
        errors,
    );
    let preserves = spec["preserveUnknownFields"] == true;
    version::all(spec, old.map_or(&Value::Null, |old| &old["spec"]), errors);
    required_names(&spec["names"], errors);
    names(&spec["names"], "spec.names", errors);
    version::shared(spec, old.map_or(&Value::Null, |old| &old["spec"]), errors);
    conversion(&spec["conversion"], preserves, errors);
    names(
        &definition["status"]["acceptedNames"],
        "status.acceptedNames",
        errors,
    );
    errors.extend(stored_versions(definition));
    approval(definition, old, group, errors);
    if preserves && old.is_none_or(|old| old["spec"]["preserveUnknownFields"] != true) {
        let detail = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead";
        errors.push(FieldError::invalid(
            "spec.preserveUnknownFields",
            true,
            detail,
        ));
    }
}

fn group_name(group: &str, errors: &mut Vec<FieldError>) {
    let problems = name_problems(NameRule::Subdomain, group);
    errors.push(if group.is_empty() {
        FieldError::required("spec.group", "")
    } else if !problems.is_empty() {
        FieldError::invalid("spec.group", group, problems.join(","))
    } else if !group.contains('.') {
        let detail = "should be a domain with at least one dot";
        FieldError::invalid("spec.group", group, detail)
    } else {
        return;
    });
}

/// A required text that is one of `accepted`.
fn enumerated<const N: usize>(
    field: &str,
    value: &str,
    accepted: [&str; N],
    errors: &mut Vec<FieldError>,
) {
    if value.is_empty() {
        errors.push(FieldError::required(field, ""));
    } else if !accepted.contains(&value) {
        errors.push(FieldError::not_supported(field, value, accepted));
    }
}

fn conversion(conversion: &Value, preserves: bool, errors: &mut Vec<FieldError>) {
    const FIELD: &str = "spec.conversion.strategy";
    let strategy = text(conversion, "strategy");
    if preserves && strategy != "None" {
        let detail = "must be None if spec.preserveUnknownFields is true";
        errors.push(FieldError::invalid(FIELD, strategy, detail));
    }
    enumerated(FIELD, strategy, ["None", "Webhook"], errors);
    if strategy == "Webhook" {
        errors.push(FieldError::forbidden(
            FIELD,
            "conversion webhooks are not supported by this server",
        ));
        return;
    }
    let webhook = &conversion["webhook"];
    if webhook["clientConfig"].is_object() {
        errors.push(FieldError::forbidden(
            "spec.conversion.webhookClientConfig",
            "should not be set when strategy is not set to Webhook",
        ));
    }
    if !list(webhook, "conversionReviewVersions").is_empty() {
        errors.push(FieldError::forbidden(
            "spec.conversion.conversionReviewVersions",
            "should not be set when strategy is not set to Webhook",
        ));
    }
}

const APPROVED: &str = "api-approved.kubernetes.io";

/// What a note of approval says: nothing, something wrong, or enough.
#[derive(PartialEq, Eq)]
enum Approval {
    Missing,
    Invalid(&'static str),
    Given,
}

fn approval_of(definition: &Value) -> Approval {
    let note = definition["metadata"]["annotations"][APPROVED].as_str();
    match note.unwrap_or_default() {
        "" => Approval::Missing,
        note if note.starts_with("unapproved") => Approval::Given,
        note => match note.split_once("://") {
            Some((_, rest)) if !rest.is_empty() && !rest.starts_with('/') => Approval::Given,
            _ => Approval::Invalid(
                "protected groups must have approval annotation \"api-approved.kubernetes.io\" with either a URL or a reason starting with \"unapproved\", see https://github.com/kubernetes/enhancements/pull/1111",
            ),
        },
    }
}

/// Groups of the Kubernetes community need a note of their approval.
fn approval(definition: &Value, old: Option<&Value>, group: &str, errors: &mut Vec<FieldError>) {
    let protected = group.ends_with(".k8s.io")
        || group == "k8s.io"
        || group.ends_with(".kubernetes.io")
        || group == "kubernetes.io";
    let state = approval_of(definition);
    if !protected || old.is_some_and(|old| approval_of(old) == state) {
        return;
    }
    let field = format!("metadata.annotations[{APPROVED}]");
    match state {
        Approval::Given => {}
        Approval::Missing => errors.push(FieldError::required(
            field,
            "protected groups must have approval annotation \"api-approved.kubernetes.io\", see https://github.com/kubernetes/enhancements/pull/1111",
        )),
        Approval::Invalid(why) => {
            let note = definition["metadata"]["annotations"][APPROVED].clone();
            errors.push(FieldError::invalid(field, note, why));
        }
    }
}

fn required_names(names: &Value, errors: &mut Vec<FieldError>) {
    for member in ["plural", "singular", "kind", "listKind"] {
        if text(names, member).is_empty() {
            errors.push(FieldError::required(format!("spec.names.{member}"), ""));
        }
    }
}

fn names(names: &Value, place: &str, errors: &mut Vec<FieldError>) {
    let mut check = |field: String, value: &str, mixed: bool| {
        let tested = if mixed {
            value.to_lowercase()
        } else {
            value.to_owned()
        };
        let problems = name_problems(NameRule::Label1035, &tested).join(",");
        if !problems.is_empty() {
            let detail = if mixed {
                format!("may have mixed case, but should otherwise match: {problems}")
            } else {
                problems
            };
            errors.push(FieldError::invalid(field, value, detail));
        }
    };
    for (member, mixed) in [
        ("plural", false),
        ("singular", false),
        ("kind", true),
        ("listKind", true),
    ] {
        let value = text(names, member);
        if !value.is_empty() {
            check(format!("{place}.{member}"), value, mixed);
        }
    }
    for member in ["shortNames", "categories"] {
        for (index, value) in list(names, member)
            .iter()
            .filter_map(Value::as_str)
            .enumerate()
        {
            check(format!("{place}.{member}[{index}]"), value, false);
        }
    }
    if !text(names, "kind").is_empty() && text(names, "kind") == text(names, "listKind") {
        let detail = "kind and listKind may not be the same";
        errors.push(FieldError::invalid(
            format!("{place}.listKind"),
            text(names, "listKind"),
            detail,
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition() -> Value {
        json!({
            "metadata": {"name": "things.g.io"},
            "spec": {
                "group": "g.io", "scope": "Namespaced",
                "names": {"plural": "things", "singular": "thing", "kind": "Thing", "listKind": "ThingList"},
                "conversion": {"strategy": "None"},
                "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}}}],
            },
            "status": {"storedVersions": ["v1"]},
        })
    }

    fn check(change: impl FnOnce(&mut Value), expected: &[&str]) {
        let mut object = definition();
        change(&mut object);
        let fields = create(&object)
            .into_iter()
            .map(|error| error.field)
            .collect::<Vec<_>>();
        assert_eq!(fields, expected);
    }

    #[test]
    fn definitions_are_checked() {
        check(|_| {}, &[]);
        check(
            |object| object["spec"]["versions"][0]["storage"] = json!(false),
            &["spec.versions"],
        );
        check(
            |object| object["spec"]["scope"] = json!("World"),
            &["spec.scope"],
        );
        check(
            |object| object["metadata"]["name"] = json!("x.g.io"),
            &["metadata.name"],
        );
        check(
            |object| object["spec"]["versions"][0]["schema"] = Value::Null,
            &["spec.versions[0].schema.openAPIV3Schema"],
        );
        check(
            |object| object["spec"]["conversion"]["strategy"] = json!("Webhook"),
            &["spec.conversion.strategy"],
        );
    }

    #[test]
    fn stored_versions_must_stay() {
        let mut new = definition();
        new["spec"]["versions"][0]["name"] = json!("v2");
        let fields = update(&new, &definition())
            .into_iter()
            .map(|error| error.field)
            .collect::<Vec<_>>();
        assert_eq!(
            fields,
            ["status.storedVersions", "status.storedVersions[0]"]
        );
    }
}
