//! MutatingAdmissionPolicies and their bindings.

use drover_structural::FieldError;
use drover_structural::cel::{PolicyChecker, Returns};
use serde_json::Value;

use super::{Place, common, common_of_binding, one_of};

/// What can be changed on its way in.
const OPERATIONS: [&str; 4] = ["*", "CONNECT", "CREATE", "UPDATE"];

/// What is wrong with a policy.
pub(in super::super) fn policy(object: &Value, errors: &mut Vec<FieldError>) {
    let spec = Place::of(object, "spec");
    let common = common(&spec, errors);
    operations(&spec.child("matchConstraints"), errors);
    let variables = common.variables(&spec, errors);
    let checker = PolicyChecker::new(common.params, true, Some(&variables)).making_patches();
    let mutations = spec.child("mutations");
    if mutations.is_empty() {
        errors.push(mutations.missing("mutations must contain at least one item"));
    }
    for place in mutations.items() {
        mutation(&place, &checker, errors);
    }
    one_of(
        &spec.child("reinvocationPolicy"),
        &["IfNeeded", "Never"],
        errors,
    );
}

/// What is wrong with a binding.
pub(in super::super) fn binding(object: &Value, errors: &mut Vec<FieldError>) {
    let spec = Place::of(object, "spec");
    common_of_binding(&spec, errors);
    operations(&spec.child("matchResources"), errors);
}

/// The real server does not say in which rule.
fn operations(matches: &Place<'_>, errors: &mut Vec<FieldError>) {
    let rules = matches.child("resourceRules");
    for rule in rules.items() {
        for operation in rule.child("operations").items() {
            if !OPERATIONS.contains(&operation.text()) {
                let path = format!("{}.operations", rules.path());
                errors.push(operation.called(path).unsupported(&OPERATIONS));
            }
        }
    }
}

fn mutation(place: &Place<'_>, checker: &PolicyChecker, errors: &mut Vec<FieldError>) {
    let kind = place.child("patchType");
    let ways = [
        ("JSONPatch", "jsonPatch", Returns::Patches),
        ("ApplyConfiguration", "applyConfiguration", Returns::Object),
    ];
    let Some((name, own, returns)) = ways.iter().find(|(name, ..)| *name == kind.text()) else {
        one_of(&kind, &["ApplyConfiguration", "JSONPatch"], errors);
        return;
    };
    let patch = place.child(own);
    if patch.is_set() {
        expression(&patch.child("expression"), checker, *returns, errors);
    } else {
        errors.push(patch.missing(format!("must be specified when patchType is {name}")));
    }
    for (_, other, _) in ways.iter().filter(|(_, other, _)| other != own) {
        let other = place.child(other);
        if other.is_set() {
            let shown = other.path().rsplit('.').next().unwrap_or_default();
            errors.push(FieldError::invalid(
                other.path(),
                format!("{{{shown}}}"),
                format!("must not be specified when patchType is {name}"),
            ));
        }
    }
}

fn expression(
    place: &Place<'_>,
    checker: &PolicyChecker,
    returns: Returns,
    errors: &mut Vec<FieldError>,
) {
    let text = place.text().trim();
    if text.is_empty() {
        errors.push(place.missing(""));
    } else if let Some(problem) = checker.problem(text, returns) {
        errors.push(FieldError::invalid(place.path(), text, problem));
    }
}
