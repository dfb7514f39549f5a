//! Admission policies and their bindings (kubernetes `pkg/apis/admissionregistration/validation`, v1.36).

mod mutating;

use std::collections::BTreeSet;

use drover_structural::cel::{self, PolicyChecker, Returns, Variables};
use drover_structural::{FieldError, names};
use serde_json::Value;

pub(super) use self::mutating::{binding as mutating_binding, policy as mutating_policy};
use super::place::{Place, label_selector, one_of, perhaps_one_of, problems, required};
use crate::rest::object::meta;

const OPERATIONS: [&str; 5] = ["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];
const MAX_ANNOTATIONS: usize = 20;
const MAX_VALUE: usize = 5 * 1024;
const MAX_CONDITIONS: usize = 64;

/// What is wrong with a validating policy.
pub(super) fn policy(object: &Value, errors: &mut Vec<FieldError>) {
    let spec = Place::of(object, "spec");
    let common = common(&spec, errors);
    let variables = common.variables(&spec, errors);
    let named = (!variables.is_empty()).then_some(&variables);
    let checker = PolicyChecker::new(common.params, true, named);
    let validations = spec.child("validations");
    let annotations = spec.child("auditAnnotations");
    if validations.is_empty() && annotations.is_empty() {
        let detail = "validations or auditAnnotations must contain at least one item";
        errors.push(validations.missing(detail));
        errors.push(annotations.missing(detail));
        return;
    }
    let messages = PolicyChecker::new(common.params, false, named);
    for place in validations.items() {
        validation(&place, &checker, &messages, errors);
    }
    audit(object, &annotations, &checker, errors);
}

/// What both kinds of policies have.
struct Common {
    /// Whether expressions may name parameters.
    params: bool,
}

/// What is wrong with that which both kinds of policies have, up to their conditions.
fn common(spec: &Place<'_>, errors: &mut Vec<FieldError>) -> Common {
    one_of(&spec.child("failurePolicy"), &["Fail", "Ignore"], errors);
    let kind = spec.child("paramKind");
    let params = kind.is_set();
    if params {
        param_kind(&kind, errors);
    }
    let constraints = spec.child("matchConstraints");
    if constraints.is_set() {
        match_resources(&constraints, errors);
        required(&constraints.child("resourceRules"), errors);
    } else {
        errors.push(constraints.missing(""));
    }
    Common { params }
}

impl Common {
    /// What is wrong with conditions and variables; the variables.
    fn variables(&self, spec: &Place<'_>, errors: &mut Vec<FieldError>) -> Variables {
        conditions(&spec.child("matchConditions"), self.params, errors);
        let mut known = Variables::default();
        for place in spec.child("variables").items() {
            let checker = PolicyChecker::new(self.params, true, Some(&known));
            variable(&place, &checker, errors);
            let expression = place.child("expression");
            known.define(place.child("name").text(), expression.text(), &checker);
        }
        known
    }
}

/// What is wrong with a binding of a validating policy.
pub(super) fn binding(object: &Value, errors: &mut Vec<FieldError>) {
    let spec = Place::of(object, "spec");
    common_of_binding(&spec, errors);
    actions(&spec.child("validationActions"), errors);
}

/// What is wrong with that which bindings of both kinds of policies have.
fn common_of_binding(spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    let name = spec.child("policyName");
    if name.is_empty() {
        errors.push(name.missing(""));
    } else {
        problems(&name, names::dns_1123_subdomain(name.text()), errors);
    }
    param_ref(&spec.child("paramRef"), errors);
    let matches = spec.child("matchResources");
    if matches.is_set() {
        match_resources(&matches, errors);
    }
}

fn actions(place: &Place<'_>, errors: &mut Vec<FieldError>) {
    let mut seen = BTreeSet::new();
    for action in place.items() {
        if !matches!(action.text(), "Deny" | "Warn" | "Audit") {
            errors.push(action.unsupported(&["Audit", "Deny", "Warn"]));
        }
        if !seen.insert(action.text()) {
            errors.push(action.duplicate());
        }
    }
    if seen.contains("Deny") && seen.contains("Warn") {
        errors.push(place.invalid("must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)"));
    }
    if seen.is_empty() {
        errors.push(place.missing("at least one validation action is required"));
    }
}

fn param_ref(place: &Place<'_>, errors: &mut Vec<FieldError>) {
    if !place.is_set() {
        return;
    }
    let (name, selector) = (place.child("name"), place.child("selector"));
    let both = !name.is_empty() && selector.is_set();
    if !name.is_empty() {
        problems(&name, names::path_segment(name.text()), errors);
    }
    if both {
        errors.push(name.forbidden("name and selector are mutually exclusive"));
    }
    if selector.is_set() {
        label_selector(&selector, errors);
    }
    if both {
        errors.push(selector.forbidden("name and selector are mutually exclusive"));
    }
    if name.is_empty() && !selector.is_set() {
        errors.push(place.missing("one of name or selector must be specified"));
    }
    one_of(
        &place.child("parameterNotFoundAction"),
        &["Deny", "Allow"],
        errors,
    );
}

fn param_kind(place: &Place<'_>, errors: &mut Vec<FieldError>) {
    let version = place.child("apiVersion");
    let parts: Vec<&str> = version.text().split('/').collect();
    match parts.as_slice() {
        [""] => errors.push(version.missing("")),
        ["", ""] => errors.push(version.invalid("version must be specified")),
        [_] | [_, _] => {
            let (group, number) = version
                .text()
                .split_once('/')
                .unwrap_or(("", version.text()));
            if !group.is_empty() {
                joined(
                    &version,
                    group,
                    &names::dns_1123_subdomain(group),
                    "",
                    errors,
                );
            }
            if number.is_empty() {
                errors.push(version.invalid("version must be specified"));
            } else {
                joined(&version, number, &names::dns_1035_label(number), "", errors);
            }
        }
        _ => {
            let detail = format!("unexpected GroupVersion string: {}", version.text());
            errors.push(version.invalid(detail));
        }
    }
    let kind = place.child("kind");
    if kind.is_empty() {
        errors.push(kind.missing(""));
    } else {
        let found = names::dns_1035_label(&kind.text().to_lowercase());
        let before = "may have mixed case, but should otherwise match: ";
        joined(&kind, kind.text(), &found, before, errors);
    }
}

/// All problems of a name as one.
fn joined(
    place: &Place<'_>,
    value: &str,
    found: &[String],
    before: &str,
    errors: &mut Vec<FieldError>,
) {
    if !found.is_empty() {
        let detail = format!("{before}{}", found.join(","));
        errors.push(FieldError::invalid(place.path(), value, detail));
    }
}

fn match_resources(place: &Place<'_>, errors: &mut Vec<FieldError>) {
    one_of(
        &place.child("matchPolicy"),
        &["Equivalent", "Exact"],
        errors,
    );
    for selector in ["namespaceSelector", "objectSelector"] {
        label_selector(&place.child(selector), errors);
    }
    for member in ["resourceRules", "excludeResourceRules"] {
        for rule in place.child(member).items() {
            named_rule(&rule, errors);
        }
    }
}

fn named_rule(place: &Place<'_>, errors: &mut Vec<FieldError>) {
    let mut seen = BTreeSet::new();
    for name in place.child("resourceNames").items() {
        problems(&name, names::path_segment(name.text()), errors);
        if !seen.insert(name.text()) {
            errors.push(name.duplicate());
        }
    }
    operations_rule(place, errors);
}

/// Which operations on which resources.
pub(super) fn operations_rule(place: &Place<'_>, errors: &mut Vec<FieldError>) {
    let operations = place.child("operations");
    alone(&operations, "operations", errors);
    for operation in operations.items() {
        if !OPERATIONS.contains(&operation.text()) {
            errors.push(operation.unsupported(&OPERATIONS));
        }
    }
    alone(&place.child("apiGroups"), "API groups", errors);
    let versions = place.child("apiVersions");
    alone(&versions, "API versions", errors);
    for version in versions.items() {
        required(&version, errors);
    }
    resources(&place.child("resources"), errors);
    perhaps_one_of(
        &place.child("scope"),
        &["*", "Cluster", "Namespaced"],
        errors,
    );
}

/// Something must be listed, and the star by itself.
fn alone(place: &Place<'_>, what: &str, errors: &mut Vec<FieldError>) {
    let items = place.items();
    required(place, errors);
    if items.len() > 1 && items.iter().any(|item| item.text() == "*") {
        errors.push(place.invalid(format!("if '*' is present, must not specify other {what}")));
    }
}

fn resources(place: &Place<'_>, errors: &mut Vec<FieldError>) {
    required(place, errors);
    let (mut all_parts, mut of_all) = (BTreeSet::new(), BTreeSet::new());
    let (mut double, mut single, mut whole) = (false, false, false);
    let items = place.items();
    for item in &items {
        let text = item.text();
        double |= text == "*/*";
        single |= text == "*";
        if text.is_empty() {
            errors.push(item.missing(""));
            continue;
        }
        let Some((plural, part)) = text.split_once('/') else {
            whole = text != "*";
            continue;
        };
        for (taken, pattern) in [
            (all_parts.contains(plural), format!("{plural}/*")),
            (of_all.contains(part), format!("*/{part}")),
        ] {
            if taken {
                errors.push(item.invalid(format!(
                    "if '{pattern}' is present, must not specify {text}"
                )));
            }
        }
        if part == "*" {
            all_parts.insert(plural);
        }
        if plural == "*" {
            of_all.insert(part);
        }
    }
    if items.len() > 1 && double {
        errors.push(place.invalid("if '*/*' is present, must not specify other resources"));
    }
    if single && whole {
        errors.push(
            place.invalid(
                "if '*' is present, must not specify other resources without subresources",
            ),
        );
    }
}

pub(super) fn conditions(place: &Place<'_>, params: bool, errors: &mut Vec<FieldError>) {
    let items = place.items();
    if items.len() > MAX_CONDITIONS {
        errors.push(FieldError::too_many(
            place.path(),
            items.len(),
            MAX_CONDITIONS,
        ));
    }
    let checker = PolicyChecker::new(params, true, None);
    let mut seen = BTreeSet::new();
    for item in &items {
        let (expression, name) = (item.child("expression"), item.child("name"));
        let text = expression.text().trim();
        if text.is_empty() {
            errors.push(expression.missing(""));
        } else if let Some(problem) = checker.problem(text, Returns::Bool) {
            errors.push(FieldError::invalid(expression.path(), text, problem));
        }
        if name.is_empty() {
            errors.push(name.missing(""));
            continue;
        }
        problems(&name, names::qualified_name(name.text()), errors);
        if !seen.insert(name.text()) {
            errors.push(name.duplicate());
        }
    }
}

fn is_identifier(name: &str) -> bool {
    let letter = |c: char| c.is_ascii_alphabetic() || c == '_';
    name.starts_with(letter)
        && name.chars().all(|c| letter(c) || c.is_ascii_digit())
        && !cel::is_reserved(name)
        && !matches!(name, "true" | "false" | "null" | "in")
}

fn variable(place: &Place<'_>, checker: &PolicyChecker, errors: &mut Vec<FieldError>) {
    let (name, expression) = (place.child("name"), place.child("expression"));
    if name.text().trim().is_empty() {
        errors.push(name.missing("name is not specified"));
    } else if !is_identifier(name.text()) {
        errors.push(name.invalid("must be a valid CEL identifier"));
    }
    checked(
        &expression,
        checker,
        Returns::Anything,
        "expression is not specified",
        errors,
    );
}

/// An expression that has to be there.
fn checked(
    place: &Place<'_>,
    checker: &PolicyChecker,
    returns: Returns,
    missing: &str,
    errors: &mut Vec<FieldError>,
) {
    if place.text().trim().is_empty() {
        errors.push(place.missing(missing));
    } else if let Some(problem) = checker.problem(place.text(), returns) {
        errors.push(place.invalid(problem));
    }
}

fn validation(
    place: &Place<'_>,
    checker: &PolicyChecker,
    messages: &PolicyChecker,
    errors: &mut Vec<FieldError>,
) {
    let expression = place.child("expression");
    checked(
        &expression,
        checker,
        Returns::Bool,
        "expression is not specified",
        errors,
    );
    let said = place.child("messageExpression");
    if !said.is_empty() {
        if said.text().trim().is_empty() {
            errors.push(said.invalid("must be non-empty if specified"));
        } else if let Some(problem) = messages.problem(said.text(), Returns::Text) {
            errors.push(said.invalid(problem));
        }
    }
    let message = place.child("message");
    if !message.is_empty() {
        if message.text().trim().is_empty() {
            errors.push(message.invalid("must be non-empty if specified"));
        } else if message.text().trim().contains(['\n', '\r']) {
            errors.push(message.invalid("must not contain line breaks"));
        }
    }
    perhaps_one_of(
        &place.child("reason"),
        &["Forbidden", "Invalid", "RequestEntityTooLarge"],
        errors,
    );
}

fn audit(object: &Value, place: &Place<'_>, checker: &PolicyChecker, errors: &mut Vec<FieldError>) {
    let items = place.items();
    if items.len() > MAX_ANNOTATIONS {
        errors.push(place.invalid(format!(
            "must not have more than {MAX_ANNOTATIONS} auditAnnotations"
        )));
    }
    let name = meta(object, "name");
    let mut seen = BTreeSet::new();
    for item in items {
        let key = item.child("key");
        if name.is_empty() {
            errors.push(key.invalid("requires metadata.name be non-empty"));
        } else {
            let whole = format!("{name}/{}", key.text());
            let found = names::qualified_name(&whole).into_iter();
            errors.extend(
                found.map(|problem| FieldError::invalid(key.path(), whole.as_str(), problem)),
            );
        }
        let value = item.child("valueExpression");
        if value.text().trim().len() > MAX_VALUE {
            errors.push(value.missing(format!("must not exceed {MAX_VALUE} bytes in length")));
        } else {
            checked(
                &value,
                checker,
                Returns::TextOrNull,
                "valueExpression is not specified",
                errors,
            );
        }
        if !seen.insert(key.text()) {
            errors.push(key.duplicate());
        }
    }
}
