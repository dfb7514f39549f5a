//! The form of rules in CEL.

use serde_json::Value;

use super::{field_path, given, list_of, text_of};
use crate::error::FieldError;
use crate::path::Path;

const REASONS: [&str; 4] = [
    "FieldValueDuplicate",
    "FieldValueForbidden",
    "FieldValueInvalid",
    "FieldValueRequired",
];

/// The form of rules; their expressions are compiled elsewhere.
pub(super) fn rules(schema: &Value, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let place = path.child("x-kubernetes-validations");
    for (index, rule) in list_of(schema, "x-kubernetes-validations")
        .iter()
        .enumerate()
    {
        let place = place.index(index);
        let (text, message) = (text_of(rule, "rule").trim(), text_of(rule, "message"));
        let breaks = |text: &str| text.contains(['\n', '\r']);
        if text.is_empty() {
            errors.push(FieldError::required(
                place.child("rule"),
                "rule is not specified",
            ));
        } else if !message.is_empty() && message.trim().is_empty() {
            errors.push(FieldError::invalid(
                place.child("message"),
                message,
                "must be non-empty if specified",
            ));
        } else if breaks(message.trim()) {
            errors.push(FieldError::invalid(
                place.child("message"),
                message,
                "must not contain line breaks",
            ));
        } else if breaks(text) && message.trim().is_empty() {
            errors.push(FieldError::required(
                place.child("message"),
                "message must be specified if rule contains line breaks",
            ));
        }
        let expression = text_of(rule, "messageExpression");
        if !expression.is_empty() && expression.trim().is_empty() {
            errors.push(FieldError::required(
                place.child("messageExpression"),
                "messageExpression must be non-empty if specified",
            ));
        }
        if let Some(reason) = given(rule, "reason").and_then(Value::as_str)
            && !REASONS.contains(&reason)
        {
            errors.push(FieldError::not_supported(
                place.child("reason"),
                reason,
                REASONS,
            ));
        }
        let field = text_of(rule, "fieldPath");
        if !field.is_empty() && field.trim().is_empty() {
            errors.push(FieldError::invalid(
                place.child("fieldPath"),
                field,
                "must be non-empty if specified",
            ));
        }
        if breaks(field) {
            errors.push(FieldError::invalid(
                place.child("fieldPath"),
                field,
                "must not contain line breaks",
            ));
        }
        if !field.is_empty() && field_path(field, schema, true).is_err() {
            errors.push(FieldError::invalid(
                place.child("fieldPath"),
                field,
                "must be a valid path",
            ));
        }
    }
}
