//! Disruption budgets, autoscalers, quotas and limits.

use std::collections::BTreeSet;

use drover_structural::{FieldError, names};
use serde_json::Value;

use super::container::quantity;
use super::place::{Place, label_selector, not_negative, perhaps_one_of, problems, share};

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

/// What is wrong with the status of a HorizontalPodAutoscaler.
pub(super) fn autoscaler_status(object: &Value, errors: &mut Vec<FieldError>) {
    counts(object, &["currentReplicas", "desiredReplicas"], errors);
}

fn counts(object: &Value, members: &[&str], errors: &mut Vec<FieldError>) {
    for member in members {
        not_negative(&Place::of(object, "status").child(member), errors);
    }
}

/// What is wrong with a HorizontalPodAutoscaler (kubernetes `pkg/apis/autoscaling/validation`, v1.36).
pub(super) fn autoscaler(object: &Value, errors: &mut Vec<FieldError>) {
    let spec = Place::of(object, "spec");
    let (least, most) = (spec.child("minReplicas"), spec.child("maxReplicas"));
    if least.number().is_some_and(|number| number < 1) {
        errors.push(least.invalid("must be greater than or equal to 1"));
    }
    match most.number().unwrap_or(0) {
        0 => errors.push(most.missing("must be set and greater than 0")),
        number if number < 0 => {
            errors.push(most.invalid("must be greater than or equal to 1"));
        }
        _ => {}
    }
    if let Some(least) = least.number()
        && most.number().unwrap_or(0) < least
    {
        errors.push(FieldError::invalid(
            most.path(),
            most.number().unwrap_or(0),
            "must be greater than or equal to `minReplicas`",
        ));
    }
    let target = spec.child("scaleTargetRef");
    for member in ["kind", "name"] {
        let member = target.child(member);
        if member.is_empty() {
            errors.push(member.missing(""));
        } else {
            problems(&member, names::path_segment(member.text()), errors);
        }
    }
    for metric in spec.child("metrics").items() {
        self::metric(&metric, errors);
    }
    for direction in ["scaleUp", "scaleDown"] {
        let rules = spec.child("behavior").child(direction);
        if rules.is_set() {
            scaling(&rules, errors);
        }
    }
}

/// The kinds of metrics, and the member that describes each.
const METRICS: [(&str, &str); 5] = [
    ("ContainerResource", "containerResource"),
    ("External", "external"),
    ("Object", "object"),
    ("Pods", "pods"),
    ("Resource", "resource"),
];

fn metric(metric: &Place<'_>, errors: &mut Vec<FieldError>) {
    let kind = metric.child("type");
    let known = METRICS.iter().find(|(name, _)| *name == kind.text());
    let Some((_, member)) = known else {
        if kind.is_empty() {
            errors.push(kind.missing("must specify a metric source type"));
        }
        errors.push(kind.unsupported(&METRICS.map(|(name, _)| name)));
        return;
    };
    let source = metric.child(member);
    if !source.is_set() {
        errors.push(source.missing("must populate information for the given metric source"));
    }
    for (_, other) in METRICS.iter().filter(|(_, other)| other != member) {
        let other = metric.child(other);
        if other.is_set() {
            errors.push(other.forbidden("must populate the given metric source only"));
        }
    }
    if *member == "resource" && source.is_set() {
        let name = source.child("name");
        if name.is_empty() {
            errors.push(name.missing("must specify a resource name"));
        }
    }
}

fn scaling(rules: &Place<'_>, errors: &mut Vec<FieldError>) {
    let window = rules.child("stabilizationWindowSeconds");
    not_negative(&window, errors);
    if window.number().is_some_and(|seconds| seconds > 3600) {
        errors.push(window.invalid("must be less than or equal to 3600"));
    }
    perhaps_one_of(
        &rules.child("selectPolicy"),
        &["Disabled", "Max", "Min"],
        errors,
    );
    let policies = rules.child("policies");
    if policies.is_empty() {
        errors.push(policies.missing("must specify at least one Policy"));
    }
    for policy in policies.items() {
        let kind = policy.child("type");
        if !matches!(kind.text(), "Pods" | "Percent") {
            errors.push(kind.unsupported(&["Percent", "Pods"]));
        }
        for (member, most) in [("value", i64::MAX), ("periodSeconds", 1800)] {
            let member = policy.child(member);
            let number = member.number().unwrap_or(0);
            if number <= 0 {
                let detail = "must be greater than zero";
                errors.push(FieldError::invalid(member.path(), number, detail));
            } else if number > most {
                errors.push(member.invalid(format!("must be less than or equal to {most}")));
            }
        }
    }
}

/// What a quota of pods of one sort can count.
const OF_PODS: [&str; 7] = [
    "pods",
    "cpu",
    "memory",
    "requests.cpu",
    "requests.memory",
    "limits.cpu",
    "limits.memory",
];

/// Scopes fit what is counted (kubernetes `pkg/apis/core/helper`, v1.36).
fn scopes(spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    let counts = |allowed: &[&str]| {
        let hard = spec.child("hard").members();
        // Names of other kinds, and of what others made up, fit any.
        hard.iter()
            .all(|(name, _)| name.contains('/') || allowed.contains(name))
    };
    let scopes = spec.child("scopes");
    let fits = scopes.items().iter().all(|scope| match scope.text() {
        "BestEffort" => counts(&["pods"]),
        "Terminating"
        | "NotTerminating"
        | "NotBestEffort"
        | "PriorityClass"
        | "CrossNamespacePodAffinity" => counts(&OF_PODS),
        _ => true,
    });
    if !fits {
        errors.push(scopes.invalid("unsupported scope applied to resource"));
    }
}

/// What is wrong with a ResourceQuota.
pub(super) fn quota(object: &Value, errors: &mut Vec<FieldError>) {
    let hard = Place::of(object, "spec").child("hard");
    for (name, amount) in hard.members() {
        let found = names::qualified_name(name).into_iter();
        errors.extend(found.map(|problem| FieldError::invalid(amount.path(), name, problem)));
        quantity(name, &amount, errors);
    }
    scopes(&Place::of(object, "spec"), errors);
}

/// What is wrong with a LimitRange.
pub(super) fn limits(object: &Value, errors: &mut Vec<FieldError>) {
    let mut kinds = BTreeSet::new();
    for limit in Place::of(object, "spec").child("limits").items() {
        let kind = limit.child("type");
        let standard = matches!(kind.text(), "Pod" | "Container" | "PersistentVolumeClaim");
        let found = names::qualified_name(kind.text());
        if !found.is_empty() {
            problems(&kind, found, errors);
        } else if !standard && !kind.text().contains('/') {
            errors.push(kind.invalid("must be a standard limit type or fully qualified"));
        }
        if !kinds.insert(kind.text()) {
            errors.push(kind.duplicate());
        }
        if kind.text() == "Pod" {
            for member in ["default", "defaultRequest"] {
                let member = limit.child(member);
                if !member.is_empty() {
                    errors.push(member.forbidden("may not be specified when `type` is 'Pod'"));
                }
            }
        }
    }
}
