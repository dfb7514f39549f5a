//! Disruption budgets.

use drover_structural::FieldError;
use serde_json::Value;

use super::conditions;
use super::place::{Place, label_selector, not_negative, perhaps_one_of, share};

/// What is wrong with a PodDisruptionBudget (kubernetes `pkg/apis/policy/validation`, v1.36).
pub(super) fn budget(object: &Value, errors: &mut Vec<FieldError>) {
    let spec = Place::of(object, "spec");
    let bounds = [spec.child("minAvailable"), spec.child("maxUnavailable")];
    if bounds.iter().all(Place::is_set) {
        errors.push(spec.invalid("minAvailable and maxUnavailable cannot be both set"));
    }
    for bound in bounds.iter().filter(|bound| bound.is_set()) {
        share(bound, true, errors);
    }
    label_selector(&spec.child("selector"), errors);
    perhaps_one_of(
        &spec.child("unhealthyPodEvictionPolicy"),
        &["AlwaysAllow", "IfHealthyBudget"],
        errors,
    );
}

/// What is wrong with the status of a PodDisruptionBudget.
pub(super) fn budget_status(object: &Value, errors: &mut Vec<FieldError>) {
    conditions::check(&Place::of(object, "status").child("conditions"), errors);
    counts(
        object,
        &[
            "disruptionsAllowed",
            "currentHealthy",
            "desiredHealthy",
            "expectedPods",
        ],
        errors,
    );
}

fn counts(object: &Value, members: &[&str], errors: &mut Vec<FieldError>) {
    for member in members {
        not_negative(&Place::of(object, "status").child(member), errors);
    }
}
