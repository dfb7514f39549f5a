//! When pods of a job count as failed, when the job has succeeded, and when pods are replaced.

use std::collections::BTreeSet;

use drover_structural::{FieldError, names};

use super::indexes;
use crate::builtin::validation::place::{Place, not_negative, problems};

const ACTIONS: [&str; 4] = ["Count", "FailIndex", "FailJob", "Ignore"];
const OPERATORS: [&str; 2] = ["In", "NotIn"];
const STATES: [&str; 3] = ["False", "True", "Unknown"];
/// The most rules of either policy, and the most conditions in a rule.
const MOST_RULES: usize = 20;
/// The most exit codes in a rule.
const MOST_CODES: usize = 255;
/// The longest list of indexes in a rule, in bytes.
const LONGEST_INDEXES: usize = 64 * 1024;

/// Whether each pod of a job has its own index.
pub(super) fn is_indexed(spec: &Place<'_>) -> bool {
    spec.child("completionMode").text() == "Indexed"
}

/// A word out of a few, named in a list if it is missing.
fn word(place: &Place<'_>, allowed: &[&str], errors: &mut Vec<FieldError>) {
    if place.is_empty() {
        let quoted = allowed.iter().map(|word| format!("{word:?}"));
        let list = quoted.collect::<Vec<_>>().join(" ");
        errors.push(place.missing(format!("valid values: [{list}]")));
    } else if !allowed.contains(&place.text()) {
        errors.push(place.unsupported(allowed));
    }
}

/// What is wrong with `podFailurePolicy`.
pub(super) fn failure(spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    let rules = spec.child("podFailurePolicy").child("rules");
    let count = rules.items().len();
    if count > MOST_RULES {
        errors.push(FieldError::too_many(rules.path(), count, MOST_RULES));
    }
    let pod = spec.child("template").child("spec");
    let containers = ["containers", "initContainers"].map(|member| pod.child(member).items());
    let named = containers
        .iter()
        .flatten()
        .map(|container| container.child("name").text())
        .collect::<BTreeSet<_>>();
    for rule in rules.items() {
        let action = rule.child("action");
        word(&action, &ACTIONS, errors);
        if action.text() == "FailIndex" && !spec.child("backoffLimitPerIndex").is_set() {
            errors.push(action.invalid("requires the backoffLimitPerIndex to be set"));
        }
        let (codes, conditions) = (rule.child("onExitCodes"), rule.child("onPodConditions"));
        if codes.is_set() {
            exit_codes(&codes, &named, errors);
        }
        pod_conditions(&conditions, errors);
        match (codes.is_set(), !conditions.is_empty()) {
            (true, true) => errors.push(rule.invalid_unshown(
                "specifying both OnExitCodes and OnPodConditions is not supported",
            )),
            (false, false) => {
                errors.push(rule.invalid_unshown(
                    "specifying one of OnExitCodes and OnPodConditions is required",
                ))
            }
            _ => {}
        }
    }
}

fn exit_codes(codes: &Place<'_>, containers: &BTreeSet<&str>, errors: &mut Vec<FieldError>) {
    let operator = codes.child("operator");
    word(&operator, &OPERATORS, errors);
    let container = codes.child("containerName");
    if container.is_set() && !containers.contains(container.text()) {
        errors
            .push(container.invalid(
                "must be one of the container or initContainer names in the pod template",
            ));
    }
    let values = codes.child("values");
    let items = values.items();
    if items.is_empty() {
        let none = serde_json::json!([]);
        let detail = "at least one value is required";
        errors.push(FieldError::invalid(values.path(), none, detail));
    } else if items.len() > MOST_CODES {
        let count = items.len();
        errors.push(FieldError::too_many(values.path(), count, MOST_CODES));
    }
    let mut seen = BTreeSet::new();
    for value in &items {
        if operator.text() == "In" && value.number() == Some(0) {
            errors.push(value.invalid("must not be 0 for the In operator"));
        }
        if !seen.insert(value.number()) {
            errors.push(value.duplicate());
        }
    }
    if !items.is_sorted_by_key(Place::number) {
        errors.push(values.invalid("must be ordered"));
    }
}

fn pod_conditions(conditions: &Place<'_>, errors: &mut Vec<FieldError>) {
    let count = conditions.items().len();
    if count > MOST_RULES {
        errors.push(FieldError::too_many(conditions.path(), count, MOST_RULES));
    }
    for pattern in conditions.items() {
        let kind = pattern.child("type");
        problems(&kind, names::qualified_name(kind.text()), errors);
        word(&pattern.child("status"), &STATES, errors);
    }
}

/// What is wrong with `successPolicy`.
pub(super) fn success(spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    let policy = spec.child("successPolicy");
    if !policy.is_set() {
        return;
    }
    if !is_indexed(spec) {
        errors.push(policy.invalid("requires indexed completion mode"));
        return;
    }
    let rules = policy.child("rules");
    let count = rules.items().len();
    if count == 0 {
        errors.push(
            rules.missing(
                "at least one rules must be specified when the successPolicy is specified",
            ),
        );
    }
    if count > MOST_RULES {
        errors.push(FieldError::too_many(rules.path(), count, MOST_RULES));
    }
    let completions = spec.child("completions").number().unwrap_or(0);
    for rule in rules.items() {
        success_rule(&rule, completions, errors);
    }
}

fn success_rule(rule: &Place<'_>, completions: i64, errors: &mut Vec<FieldError>) {
    let (count, named) = (rule.child("succeededCount"), rule.child("succeededIndexes"));
    if !count.is_set() && !named.is_set() {
        errors.push(
            rule.missing("at least one of succeededCount or succeededIndexes must be specified"),
        );
    }
    let mut total = 0;
    if named.is_set() {
        if named.text().len() > LONGEST_INDEXES {
            errors.push(FieldError::too_long(named.path(), LONGEST_INDEXES));
        }
        match indexes::count(named.text(), completions) {
            Ok(indexes) => total = indexes,
            Err(problem) => {
                errors.push(named.invalid(format!("error parsing succeededIndexes: {problem}")));
            }
        }
    }
    not_negative(&count, errors);
    let Some(number) = count.number() else {
        return;
    };
    if number > completions {
        errors.push(count.invalid(format!(
            "must be less than or equal to {completions} (the number of specified completions)"
        )));
    }
    if named.is_set() && number > total {
        errors.push(count.invalid(format!(
            "must be less than or equal to {total} (the number of indexes in the specified succeededIndexes field)"
        )));
    }
}

/// What is wrong with `podReplacementPolicy`.
pub(super) fn replacement(spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    let policy = spec.child("podReplacementPolicy");
    let allowed: &[&str] = if spec.child("podFailurePolicy").is_set() {
        &["Failed"]
    } else {
        &["Failed", "TerminatingOrFailed"]
    };
    if policy.is_set() && !allowed.contains(&policy.text()) {
        errors.push(policy.unsupported(allowed));
    }
}
