//! Selectors within access reviews: what is wrong with them, and what is told of those that mean nothing here
//! (kubernetes `pkg/apis/authorization/validation`, `pkg/registry/authorization/util`, v1.36).
//!
//! Roles know no selectors, so that they change no decision.

use drover_structural::names;
use serde_json::Value;

use crate::rest::object::strings;
use crate::rest::selector::{FieldSelector, LabelSelector};
use crate::status::FieldError;

const FIELDS: &str = "fieldSelector";
const LABELS: &str = "labelSelector";

/// A selector says something, in one way, and each of its requirements fits its operator.
pub(super) fn problems(resource: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for name in [FIELDS, LABELS] {
        let Some(selector) = resource.get(name).filter(|value| value.is_object()) else {
            continue;
        };
        let field = format!("spec.resourceAttributes.{name}");
        let raw = selector["rawSelector"].as_str().unwrap_or_default();
        let requirements = requirements(selector);
        if !raw.is_empty() && !requirements.is_empty() {
            errors.push(FieldError::invalid(
                format!("{field}.rawSelector"),
                raw,
                "may not specified at the same time as requirements",
            ));
        }
        if raw.is_empty() && requirements.is_empty() {
            errors.push(FieldError::required(
                format!("{field}.requirements"),
                format!("when {field} is specified, requirements or rawSelector is required"),
            ));
        }
        for (index, requirement) in requirements.iter().enumerate() {
            let place = format!("{field}.requirements[{index}]");
            requirement_problems(name, &place, requirement, &mut errors);
        }
    }
    errors
}

fn requirements(selector: &Value) -> &[Value] {
    selector["requirements"]
        .as_array()
        .map_or(&[], Vec::as_slice)
}

fn text<'v>(requirement: &'v Value, member: &str) -> &'v str {
    requirement[member].as_str().unwrap_or_default()
}

fn requirement_problems(of: &str, place: &str, requirement: &Value, errors: &mut Vec<FieldError>) {
    let key = text(requirement, "key");
    if of == FIELDS && key.is_empty() {
        errors.push(FieldError::required(
            format!("{place}.key"),
            "must be specified",
        ));
    }
    let values = strings(requirement, "values");
    let field = format!("{place}.values");
    match text(requirement, "operator") {
        "In" | "NotIn" if values.is_empty() => errors.push(FieldError::required(
            field.clone(),
            "must be specified when `operator` is 'In' or 'NotIn'",
        )),
        "Exists" | "DoesNotExist" if !values.is_empty() => errors.push(FieldError::forbidden(
            field.clone(),
            "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
        )),
        // Newer clients may know more operators.
        _ => {}
    }
    if of == LABELS {
        for problem in names::qualified_name(key) {
            errors.push(FieldError::invalid(format!("{place}.key"), key, problem));
        }
        for (index, value) in values.iter().enumerate() {
            for problem in names::label_value(value) {
                let place = format!("{field}[{index}]");
                errors.push(FieldError::invalid(place, value.as_str(), problem));
            }
        }
    }
}

/// What is told of selectors that are ignored, wholly or in part.
pub(super) fn ignored(resource: &Value) -> String {
    let told = [FIELDS, LABELS].into_iter().filter_map(|name| {
        let selector = resource.get(name).filter(|value| value.is_object())?;
        let requirements = requirements(selector);
        let understood = requirements
            .iter()
            .filter(|requirement| is_understood(name, requirement))
            .count();
        let raw = selector["rawSelector"].as_str().unwrap_or_default();
        let unreadable = !raw.is_empty()
            && match name {
                FIELDS => FieldSelector::parse(raw).is_err(),
                _ => LabelSelector::parse(raw).is_err(),
            };
        if understood == requirements.len() && !unreadable {
            return None;
        }
        let partially = if understood > 0 { "partially " } else { "" };
        Some(format!(
            "spec.resourceAttributes.{name} {partially}ignored due to parse error"
        ))
    });
    told.collect::<Vec<_>>().join("; ")
}

/// Of fields there are only equality and its opposite.
fn is_understood(of: &str, requirement: &Value) -> bool {
    match (of, text(requirement, "operator")) {
        (FIELDS, "In" | "NotIn") => strings(requirement, "values").len() == 1,
        (LABELS, "In" | "NotIn" | "Exists" | "DoesNotExist") => true,
        _ => false,
    }
}
