//! What one version of a definition says: schema, subresources, columns, selectable fields.
//!
//! What all versions say alike is checked once, under the path of the older form.

use drover_structural::rules;
use drover_structural::{FieldError, Path, Schema};
use serde_json::{Map, Value, json};

use super::{list, text};
use crate::registry::NameRule;
use crate::rest::object::name_problems;

/// More paths than this cannot be selected by.
const MAX_SELECTABLE: usize = 8;

/// The parts of a version that may stand once for all.
const PARTS: [&str; 4] = [
    "schema",
    "subresources",
    "additionalPrinterColumns",
    "selectableFields",
];

fn given<'o>(version: &'o Value, part: &str) -> Option<&'o Value> {
    version.get(part).filter(|value| match value {
        Value::Null => false,
        Value::Array(items) => !items.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => true,
    })
}

/// A part that all versions have, and have alike.
fn common<'o>(spec: &'o Value, part: &str) -> Option<&'o Value> {
    let versions = list(spec, "versions");
    let first = given(versions.first()?, part)?;
    let alike = versions
        .iter()
        .all(|version| given(version, part) == Some(first));
    alike.then_some(first)
}

/// Whether there is a status of its own beside what a schema says.
fn has_status(version: &Value) -> bool {
    version["subresources"]["status"].is_object()
}

/// Checks `spec.versions`; `before` is the former `spec`.
pub(super) fn all(spec: &Value, before: &Value, errors: &mut Vec<FieldError>) {
    let versions = list(spec, "versions");
    let lifted = PARTS.map(|part| common(spec, part).is_some());
    if !lifted[0] {
        for (index, version) in versions.iter().enumerate() {
            if !version["schema"]["openAPIV3Schema"].is_object() {
                let field = format!("spec.versions[{index}].schema.openAPIV3Schema");
                errors.push(FieldError::required(field, ""));
            }
        }
    } else if !versions[0]["schema"]["openAPIV3Schema"].is_object() {
        errors.extend((0..versions.len()).map(|index| {
            FieldError::required(format!("spec.versions[{index}].schema.openAPIV3Schema"), "")
        }));
    }
    let mut unique = true;
    for (index, version) in versions.iter().enumerate() {
        let name = text(version, "name");
        let place = format!("spec.versions[{index}]");
        unique &= !versions[..index].iter().any(|other| other["name"] == name);
        let problems = name_problems(NameRule::Label1035, name);
        if !problems.is_empty() {
            errors.push(FieldError::invalid(
                format!("{place}.name"),
                name,
                problems.join(","),
            ));
        }
        deprecation(version, &format!("{place}.deprecationWarning"), errors);
        let own = PARTS.iter().zip(lifted).filter(|(_, lifted)| !lifted);
        for (part, _) in own {
            if let Some(value) = given(version, part) {
                let place = format!("{place}.{part}");
                self::part(
                    part,
                    value,
                    &place,
                    version,
                    has_status(version),
                    before,
                    errors,
                );
            }
        }
    }
    let versions_of = |detail: &str| {
        FieldError::invalid_printed("spec.versions", &printed(versions, lifted), detail)
    };
    if !unique {
        errors.push(versions_of("must contain unique version names"));
    }
    if versions
        .iter()
        .filter(|version| version["storage"] == true)
        .count()
        != 1
    {
        errors.push(versions_of(
            "must have exactly one version marked as storage version",
        ));
    }
}

/// Checks what all versions say alike; `before` is the former `spec`.
pub(super) fn shared(spec: &Value, before: &Value, errors: &mut Vec<FieldError>) {
    let status = list(spec, "versions").iter().any(has_status);
    for part in PARTS {
        if let Some(value) = common(spec, part) {
            let place = match part {
                "schema" => "validation",
                other => other,
            };
            let version = &list(spec, "versions")[0];
            self::part(
                part,
                value,
                &format!("spec.{place}"),
                version,
                status,
                before,
                errors,
            );
        }
    }
}

fn part(
    name: &str,
    value: &Value,
    place: &str,
    version: &Value,
    status: bool,
    before: &Value,
    errors: &mut Vec<FieldError>,
) {
    match name {
        "schema" => schema(
            &value["openAPIV3Schema"],
            &format!("{place}.openAPIV3Schema"),
            status,
            before,
            errors,
        ),
        "subresources" => scale(&value["scale"], &format!("{place}.scale"), errors),
        "additionalPrinterColumns" => {
            for (index, column) in value.as_array().into_iter().flatten().enumerate() {
                printer_column(column, &format!("{place}[{index}]"), errors);
            }
        }
        _ => selectable(value, &version["schema"]["openAPIV3Schema"], place, errors),
    }
}

/// Versions as the real server shows them: its older form, without what stands once for all.
fn printed(versions: &[Value], lifted: [bool; 4]) -> String {
    if versions.is_empty() {
        return "null".to_owned();
    }
    let show = |version: &Value| {
        let own = |place: usize| {
            let part = given(version, PARTS[place]).filter(|_| !lifted[place]);
            part.cloned().unwrap_or(Value::Null)
        };
        format!(
            "{{\"Name\":{},\"Served\":{},\"Storage\":{},\"Deprecated\":{},\"DeprecationWarning\":{},\"Schema\":{},\"Subresources\":{},\"AdditionalPrinterColumns\":{},\"SelectableFields\":{}}}",
            json!(text(version, "name")),
            version["served"] == true,
            version["storage"] == true,
            version["deprecated"] == true,
            version["deprecationWarning"],
            own(0),
            own(1),
            own(2),
            own(3),
        )
    };
    let shown = versions.iter().map(show).collect::<Vec<_>>();
    format!("[{}]", shown.join(","))
}

/// The formats that schemas name and nobody knows, once for all versions if their schemas are alike.
pub(in crate::crd) fn unknown_formats(definition: &Value) -> Vec<String> {
    let spec = &definition["spec"];
    let mut found = Vec::new();
    let schemas = match common(spec, "schema") {
        Some(schema) => vec![schema],
        None => list(spec, "versions")
            .iter()
            .map(|version| &version["schema"])
            .collect(),
    };
    for schema in schemas {
        formats_of(&schema["openAPIV3Schema"], &mut found);
    }
    found
}

fn formats_of(schema: &Value, found: &mut Vec<String>) {
    let format = text(schema, "format");
    if !format.is_empty()
        && !drover_structural::validate::knows_format(text(schema, "type"), format)
    {
        found.push(format.to_owned());
    }
    for part in ["items", "not", "additionalProperties"] {
        if schema[part].is_object() {
            formats_of(&schema[part], found);
        }
    }
    for part in ["allOf", "anyOf", "oneOf"] {
        list(schema, part)
            .iter()
            .for_each(|branch| formats_of(branch, found));
    }
    for property in schema["properties"].as_object().into_iter().flatten() {
        formats_of(property.1, found);
    }
}

fn deprecation(version: &Value, field: &str, errors: &mut Vec<FieldError>) {
    let Some(warning) = version["deprecationWarning"].as_str() else {
        return;
    };
    let mut refuse = |detail: String| errors.push(FieldError::invalid(field, warning, detail));
    if version["deprecated"] != true {
        refuse("can only be set for deprecated versions".to_owned());
        return;
    }
    if warning.len() > 256 {
        refuse("must be <= 256 characters long".to_owned());
    }
    if warning.is_empty() {
        refuse("must not be an empty string".to_owned());
    }
    if let Some((index, _)) = warning.char_indices().find(|(_, c)| c.is_control()) {
        refuse(format!(
            "must only contain printable UTF-8 characters; non-printable character found at index {index}"
        ));
    }
}

fn schema(schema: &Value, field: &str, status: bool, before: &Value, errors: &mut Vec<FieldError>) {
    if !schema.is_object() {
        return;
    }
    // A schema that was let in stays usable, whatever is checked by now.
    let known = list(before, "versions")
        .iter()
        .any(|version| version.pointer("/schema/openAPIV3Schema") == Some(schema));
    if known {
        return;
    }
    if status {
        root(schema, field, errors);
    }
    let found = drover_structural::structural::check(schema, &Path::ROOT.child(field));
    if !found.is_empty() {
        errors.extend(found);
        return;
    }
    match Schema::from_crd(schema) {
        Ok(schema) => errors.extend(rules::problems(&schema, &Path::ROOT.child(field))),
        Err(error) => errors.push(FieldError::invalid(field, "", error.to_string())),
    }
}

/// The root of a schema whose `status` is checked by itself: nothing there may be lost by looking at that part alone.
fn root(schema: &Value, field: &str, errors: &mut Vec<FieldError>) {
    const ALLOWED: [(&str, &str); 22] = [
        ("Description", "description"),
        ("Type", "type"),
        ("Format", "format"),
        ("Title", "title"),
        ("Maximum", "maximum"),
        ("ExclusiveMaximum", "exclusiveMaximum"),
        ("Minimum", "minimum"),
        ("ExclusiveMinimum", "exclusiveMinimum"),
        ("MaxLength", "maxLength"),
        ("MinLength", "minLength"),
        ("Pattern", "pattern"),
        ("MaxItems", "maxItems"),
        ("MinItems", "minItems"),
        ("UniqueItems", "uniqueItems"),
        ("MultipleOf", "multipleOf"),
        ("Required", "required"),
        ("Items", "items"),
        ("Properties", "properties"),
        ("ExternalDocs", "externalDocs"),
        ("Example", "example"),
        (
            "XPreserveUnknownFields",
            "x-kubernetes-preserve-unknown-fields",
        ),
        ("XValidations", "x-kubernetes-validations"),
    ];
    let kind = text(schema, "type");
    if kind != "object" {
        errors.push(FieldError::invalid(
            format!("{field}.type"),
            kind,
            "only \"object\" is allowed as the type at the root of the schema if the status subresource is enabled",
        ));
        return;
    }
    let zero = |value: &Value| {
        value.is_null()
            || value == false
            || value.as_array().is_some_and(Vec::is_empty)
            || value.as_object().is_some_and(Map::is_empty)
    };
    let other = schema
        .as_object()
        .into_iter()
        .flatten()
        .any(|(name, value)| !zero(value) && !ALLOWED.iter().any(|(_, allowed)| allowed == name));
    if other {
        let names = ALLOWED.map(|(name, _)| name).join(" ");
        errors.push(FieldError::invalid(
            field,
            schema.clone(),
            format!(
                "only [{names}] fields are allowed at the root of the schema if the status subresource is enabled"
            ),
        ));
    }
}

fn printer_column(column: &Value, field: &str, errors: &mut Vec<FieldError>) {
    const TYPES: [&str; 5] = ["boolean", "date", "integer", "number", "string"];
    const FORMATS: [&str; 8] = [
        "byte",
        "date",
        "date-time",
        "double",
        "float",
        "int32",
        "int64",
        "password",
    ];
    if text(column, "name").is_empty() {
        errors.push(FieldError::required(format!("{field}.name"), ""));
    }
    let (kind, format) = (text(column, "type"), text(column, "format"));
    let types = format!("must be one of {}", TYPES.join(","));
    if kind.is_empty() {
        errors.push(FieldError::required(format!("{field}.type"), types));
    } else if !TYPES.contains(&kind) {
        errors.push(FieldError::invalid(format!("{field}.type"), kind, types));
    }
    if !format.is_empty() && !FORMATS.contains(&format) {
        let detail = format!("must be one of {}", FORMATS.join(","));
        errors.push(FieldError::invalid(
            format!("{field}.format"),
            format,
            detail,
        ));
    }
    let field = format!("{field}.JSONPath");
    match text(column, "jsonPath") {
        "" => errors.push(FieldError::required(field, "")),
        path => simple_path(path, &field, errors),
    }
}

/// Whether `path` begins as one does; `false` after an error.
fn simple_path(path: &str, field: &str, errors: &mut Vec<FieldError>) {
    if !path.starts_with('.') {
        let detail = "must be a simple json path starting with .";
        errors.push(FieldError::invalid(field, path, detail));
    }
}

fn scale(scale: &Value, field: &str, errors: &mut Vec<FieldError>) {
    if !scale.is_object() {
        return;
    }
    for (member, roots, needed) in [
        ("specReplicasPath", &[".spec"][..], true),
        ("statusReplicasPath", &[".status"], true),
        ("labelSelectorPath", &[".spec", ".status"], false),
    ] {
        let path = text(scale, member);
        let field = format!("{field}.{member}");
        let inside = roots.iter().any(|root| {
            path.strip_prefix(root)
                .is_some_and(|rest| rest.starts_with('.'))
        });
        if path.is_empty() {
            if needed {
                errors.push(FieldError::required(field, ""));
            }
        } else if !path.starts_with('.') {
            simple_path(path, &field, errors);
        } else if !inside {
            let wanted = match roots {
                [one] => (*one).to_owned(),
                several => format!("either {}", several.join(" or ")),
            };
            let detail = format!("should be a json path under {wanted}");
            errors.push(FieldError::invalid(field, path, detail));
        }
    }
}

fn selectable(fields: &Value, schema: &Value, place: &str, errors: &mut Vec<FieldError>) {
    if !schema.is_object() {
        let detail = "may only be set when `version.schema.openAPIV3Schema` is not included";
        errors.push(FieldError::invalid(place, "", detail));
        return;
    }
    let mut seen: Vec<String> = Vec::new();
    for (index, selected) in fields.as_array().into_iter().flatten().enumerate() {
        let field = format!("{place}[{index}].jsonPath");
        let path = text(selected, "jsonPath");
        if path.is_empty() {
            errors.push(FieldError::required(field, ""));
            continue;
        }
        let (names, kind) = match drover_structural::structural::field_path(path, schema, false) {
            Ok((names, found)) => (names, text(found, "type")),
            Err(why) => {
                let detail = format!("is an invalid path: {why}");
                errors.push(FieldError::invalid(field, path, detail));
                continue;
            }
        };
        if names.first().is_some_and(|name| name == "metadata") {
            let detail = "must not point to fields in metadata";
            errors.push(FieldError::invalid(&field, path, detail));
        }
        if !matches!(kind, "string" | "boolean" | "integer") {
            let detail = "must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.";
            errors.push(FieldError::invalid(&field, path, detail));
        }
        let name = names.join(".");
        if seen.contains(&name) {
            errors.push(FieldError::duplicate(field, path));
        } else {
            seen.push(name);
        }
    }
    if seen.len() > MAX_SELECTABLE {
        errors.push(FieldError::too_many(place, seen.len(), MAX_SELECTABLE));
    }
}
