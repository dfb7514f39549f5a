//! What is refused in a definition.
//!
//! Owns names, versions, columns and paths; whether a schema is structural is told by `drover_structural`.
//!
//! Source: apiextensions-apiserver `pkg/apis/apiextensions/validation/validation.go`, v0.36.

use drover_structural::rules::Rules;
use drover_structural::{FieldError, Path, Schema};
use serde_json::{Value, json};

use crate::registry::NameRule;
use crate::rest::object::{meta, name_problems};
use crate::table::JsonPath;

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
    for (pointer, field) in [
        ("/spec/group", "spec.group"),
        ("/spec/scope", "spec.scope"),
        ("/spec/names/kind", "spec.names.kind"),
        ("/spec/names/plural", "spec.names.plural"),
    ] {
        if new.pointer(pointer) != old.pointer(pointer) {
            let value = new.pointer(pointer).cloned().unwrap_or(Value::Null);
            errors.push(FieldError::invalid(field, value, "field is immutable"));
        }
    }
    errors.extend(stored_versions(new));
    errors
}

/// Versions in which objects are stored must stay.
pub(super) fn stored_versions(definition: &Value) -> Vec<FieldError> {
    let versions = list(&definition["spec"], "versions");
    let stored = list(&definition["status"], "storedVersions");
    if stored.is_empty() {
        return vec![FieldError::invalid(
            "status.storedVersions",
            json!([]),
            "must have at least one stored version",
        )];
    }
    let mut errors = Vec::new();
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
    let storage = versions
        .iter()
        .find(|version| version["storage"] == true)
        .map(|version| text(version, "name"));
    if let Some(storage) = storage
        && !stored.iter().any(|name| name == storage)
    {
        errors.push(FieldError::invalid(
            "status.storedVersions",
            json!(stored),
            format!("must have the storage version {storage}"),
        ));
    }
    errors
}

fn whole(definition: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let spec = &definition["spec"];
    let group = text(spec, "group");
    let names = &spec["names"];
    let plural = text(names, "plural");
    if meta(definition, "name") != format!("{plural}.{group}") {
        let detail = "must be spec.names.plural+\".\"+spec.group";
        errors.push(FieldError::invalid(
            "metadata.name",
            meta(definition, "name"),
            detail,
        ));
    }
    if group.is_empty() {
        errors.push(FieldError::required("spec.group", ""));
    } else {
        let problems = name_problems(NameRule::Subdomain, group);
        if problems.is_empty() && !group.contains('.') {
            errors.push(FieldError::invalid(
                "spec.group",
                group,
                "should be a domain with at least one dot",
            ));
        }
        errors.extend(
            problems
                .into_iter()
                .map(|problem| FieldError::invalid("spec.group", group, problem)),
        );
    }
    approval(definition, group, errors);
    match text(spec, "scope") {
        "" => errors.push(FieldError::required("spec.scope", "")),
        "Cluster" | "Namespaced" => {}
        other => errors.push(FieldError::not_supported(
            "spec.scope",
            other,
            ["Cluster", "Namespaced"],
        )),
    }
    kind_names(names, errors);
    versions(
        spec,
        old.map_or(&[], |old| list(&old["spec"], "versions")),
        errors,
    );
    if spec["preserveUnknownFields"] == true {
        let detail = "must be false";
        errors.push(FieldError::invalid(
            "spec.preserveUnknownFields",
            true,
            detail,
        ));
    }
    match spec["conversion"]["strategy"].as_str() {
        Some("None") => {}
        Some("Webhook") => errors.push(FieldError::forbidden(
            "spec.conversion.strategy",
            "conversion webhooks are not supported by this server",
        )),
        other => errors.push(FieldError::not_supported(
            "spec.conversion.strategy",
            other.unwrap_or_default(),
            ["None", "Webhook"],
        )),
    }
}

/// Groups of the Kubernetes community need a note of their approval.
fn approval(definition: &Value, group: &str, errors: &mut Vec<FieldError>) {
    const ANNOTATION: &str = "api-approved.kubernetes.io";
    let protected = group.ends_with(".k8s.io")
        || group == "k8s.io"
        || group.ends_with(".kubernetes.io")
        || group == "kubernetes.io";
    let note = definition["metadata"]["annotations"][ANNOTATION]
        .as_str()
        .unwrap_or_default();
    if protected && note.is_empty() {
        errors.push(FieldError::required(
            format!("metadata.annotations[{ANNOTATION}]"),
            "protected groups must have approval annotation \"api-approved.kubernetes.io\", see https://github.com/kubernetes/enhancements/pull/1111",
        ));
    }
}

fn kind_names(names: &Value, errors: &mut Vec<FieldError>) {
    let mut check = |field: String, value: &str, lowercase: bool| {
        let tested = if lowercase {
            value.to_lowercase()
        } else {
            value.to_owned()
        };
        let problems = name_problems(NameRule::Label1035, &tested);
        errors.extend(
            problems
                .into_iter()
                .map(|problem| FieldError::invalid(&field, value, problem)),
        );
    };
    for (member, lowercase) in [
        ("plural", false),
        ("singular", false),
        ("kind", true),
        ("listKind", true),
    ] {
        let value = text(names, member);
        if !value.is_empty() {
            check(format!("spec.names.{member}"), value, lowercase);
        }
    }
    for member in ["shortNames", "categories"] {
        for (index, value) in list(names, member)
            .iter()
            .filter_map(Value::as_str)
            .enumerate()
        {
            check(format!("spec.names.{member}[{index}]"), value, false);
        }
    }
    for member in ["plural", "kind"] {
        if text(names, member).is_empty() {
            errors.push(FieldError::required(format!("spec.names.{member}"), ""));
        }
    }
    if !text(names, "kind").is_empty() && text(names, "kind") == text(names, "listKind") {
        let detail = "kind and listKind may not be the same";
        errors.push(FieldError::invalid(
            "spec.names.listKind",
            text(names, "listKind"),
            detail,
        ));
    }
}

fn versions(spec: &Value, before: &[Value], errors: &mut Vec<FieldError>) {
    let versions = list(spec, "versions");
    if versions.is_empty() {
        errors.push(FieldError::invalid(
            "spec.versions",
            json!([]),
            "must have exactly one version marked as storage version",
        ));
    }
    let mut storage = 0;
    for (index, version) in versions.iter().enumerate() {
        let field = |member: &str| format!("spec.versions[{index}].{member}");
        let name = text(version, "name");
        let problems = name_problems(NameRule::Label1035, name);
        errors.extend(
            problems
                .into_iter()
                .map(|problem| FieldError::invalid(field("name"), name, problem)),
        );
        if versions[..index]
            .iter()
            .any(|before| before["name"] == version["name"])
        {
            errors.push(FieldError::invalid(
                "spec.versions",
                json!(name),
                "must contain unique version names",
            ));
        }
        storage += usize::from(version["storage"] == true);
        match version
            .pointer("/schema/openAPIV3Schema")
            .filter(|schema| schema.is_object())
        {
            None => errors.push(FieldError::required(
                field("schema.openAPIV3Schema"),
                "schemas are required",
            )),
            // A schema that was let in stays usable, whatever is checked by now.
            Some(schema)
                if before
                    .iter()
                    .any(|version| version.pointer("/schema/openAPIV3Schema") == Some(schema)) => {}
            Some(schema) => self::schema(schema, &field("schema.openAPIV3Schema"), errors),
        }
        for (position, column) in list(version, "additionalPrinterColumns").iter().enumerate() {
            printer_column(
                column,
                &field(&format!("additionalPrinterColumns[{position}]")),
                errors,
            );
        }
        scale(version, &field("subresources.scale"), errors);
        for (position, selectable) in list(version, "selectableFields").iter().enumerate() {
            path(
                text(selectable, "jsonPath"),
                &field(&format!("selectableFields[{position}].jsonPath")),
                errors,
            );
        }
    }
    if !versions.is_empty() && storage != 1 {
        let names = versions
            .iter()
            .map(|version| text(version, "name"))
            .collect::<Vec<_>>();
        errors.push(FieldError::invalid(
            "spec.versions",
            json!(names),
            "must have exactly one version marked as storage version",
        ));
    }
}

fn schema(schema: &Value, field: &str, errors: &mut Vec<FieldError>) {
    let found = drover_structural::structural::check(schema, &Path::ROOT.child(field));
    if !found.is_empty() {
        errors.extend(found);
        return;
    }
    match Schema::from_crd(schema) {
        Ok(schema) => errors.extend(Rules::compile(&schema).problems(&Path::ROOT.child(field))),
        Err(error) => errors.push(FieldError::invalid(field, "", error.to_string())),
    }
}

fn printer_column(column: &Value, field: &str, errors: &mut Vec<FieldError>) {
    const TYPES: [&str; 5] = ["boolean", "date", "integer", "number", "string"];
    if text(column, "name").is_empty() {
        errors.push(FieldError::required(format!("{field}.name"), ""));
    }
    let kind = text(column, "type");
    if kind.is_empty() {
        errors.push(FieldError::required(
            format!("{field}.type"),
            "must be one of boolean,date,integer,number,string",
        ));
    } else if !TYPES.contains(&kind) {
        errors.push(FieldError::invalid(
            format!("{field}.type"),
            kind,
            "must be one of boolean,date,integer,number,string",
        ));
    }
    path(
        text(column, "jsonPath"),
        &format!("{field}.jsonPath"),
        errors,
    );
}

fn path(path: &str, field: &str, errors: &mut Vec<FieldError>) {
    if path.is_empty() {
        errors.push(FieldError::required(field, ""));
    } else if !path.starts_with('.') {
        errors.push(FieldError::invalid(
            field,
            path,
            "must be a simple json path starting with .",
        ));
    } else if let Err(error) = JsonPath::parse(path) {
        errors.push(FieldError::invalid(field, path, error.to_string()));
    }
}

fn scale(version: &Value, field: &str, errors: &mut Vec<FieldError>) {
    let Some(scale) = version
        .pointer("/subresources/scale")
        .filter(|scale| scale.is_object())
    else {
        return;
    };
    for (member, root, needed) in [
        ("specReplicasPath", ".spec", true),
        ("statusReplicasPath", ".status", true),
        ("labelSelectorPath", "", false),
    ] {
        let path = text(scale, member);
        let field = format!("{field}.{member}");
        if path.is_empty() {
            if needed {
                errors.push(FieldError::required(field, ""));
            }
            continue;
        }
        let plain = JsonPath::parse(path)
            .ok()
            .is_some_and(|path| path.members().is_some());
        if !plain {
            errors.push(FieldError::invalid(
                &field,
                path,
                "must be a simple json path starting with .",
            ));
        }
        let inside = if root.is_empty() {
            path.starts_with(".spec.") || path.starts_with(".status.")
        } else {
            path.starts_with(&format!("{root}."))
        };
        if !inside {
            let wanted = if root.is_empty() {
                "either .status or .spec"
            } else {
                root
            };
            errors.push(FieldError::invalid(
                &field,
                path,
                format!("should be a json path under {wanted}"),
            ));
        }
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
            ["status.storedVersions[0]", "status.storedVersions"]
        );
    }
}
