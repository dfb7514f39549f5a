//! ResourceQuotas (kubernetes `pkg/apis/core/{validation,helper}`, v1.36).

use std::collections::BTreeSet;

use drover_structural::{FieldError, names};
use serde_json::Value;

use super::container::quantity;
use super::place::Place;

/// What quotas count.
const COUNTED: [&str; 19] = [
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.storage",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "persistentvolumeclaims",
    "configmaps",
    "services.nodeports",
    "services.loadbalancers",
];

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

fn is_counted(name: &str) -> bool {
    COUNTED.contains(&name)
        || name.starts_with("hugepages-")
        || name.starts_with("requests.hugepages-")
}

/// The name of a resource of whatever kind.
pub(super) fn resource_name(name: &str, amount: &Place<'_>, errors: &mut Vec<FieldError>) {
    let found = names::qualified_name(name);
    let known = found.is_empty() && !name.contains('/') && !is_counted(name) && name != "storage";
    errors.extend(
        found
            .into_iter()
            .map(|problem| FieldError::invalid(amount.path(), name, problem)),
    );
    if known {
        let detail = "must be a standard resource type or fully qualified";
        errors.push(FieldError::invalid(amount.path(), name, detail));
    }
}

fn amounts(amounts: &Place<'_>, errors: &mut Vec<FieldError>) {
    for (name, amount) in amounts.members() {
        resource_name(name, &amount, errors);
        if !name.contains('/') && !is_counted(name) {
            let detail = "must be a standard resource for quota";
            errors.push(FieldError::invalid(amount.path(), name, detail));
        }
        quantity(name, &amount, errors);
    }
}

/// What is wrong with a ResourceQuota.
pub(super) fn check(object: &Value, errors: &mut Vec<FieldError>) {
    let spec = Place::of(object, "spec");
    amounts(&spec.child("hard"), errors);
    scopes(&spec, errors);
    selector(&spec, errors);
}

/// What is wrong with the status of a ResourceQuota.
pub(super) fn status(object: &Value, errors: &mut Vec<FieldError>) {
    for member in ["hard", "used"] {
        amounts(&Place::of(object, "status").child(member), errors);
    }
}

/// What may not change in a ResourceQuota.
pub(super) fn update(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    let scopes = |object: &Value| {
        let scopes = Place::of(object, "spec").child("scopes");
        let texts = scopes.items();
        texts
            .iter()
            .map(|scope| scope.text().to_owned())
            .collect::<BTreeSet<_>>()
    };
    if scopes(new) != scopes(old) {
        let place = Place::of(new, "spec").child("scopes");
        errors.push(place.invalid(super::IMMUTABLE));
    }
}

fn is_scope(scope: &str) -> bool {
    matches!(
        scope,
        "Terminating"
            | "NotTerminating"
            | "BestEffort"
            | "NotBestEffort"
            | "PriorityClass"
            | "VolumeAttributesClass"
            | "CrossNamespacePodAffinity"
    )
}

/// Whether a quota of a scope can count a resource.
fn fits(scope: &str, name: &str) -> bool {
    match scope {
        "BestEffort" => name == "pods",
        "Terminating"
        | "NotTerminating"
        | "NotBestEffort"
        | "PriorityClass"
        | "CrossNamespacePodAffinity" => OF_PODS.contains(&name),
        "VolumeAttributesClass" => matches!(name, "persistentvolumeclaims" | "requests.storage"),
        _ => true,
    }
}

/// How many of what a quota counts have nothing to do with a scope.
fn n_misfits(spec: &Place<'_>, scope: &str) -> usize {
    let hard = spec.child("hard").members();
    hard.iter()
        .filter(|(name, _)| is_counted(name) && !fits(scope, name))
        .count()
}

fn scopes(spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    let scopes = spec.child("scopes");
    let items = scopes.items();
    let all = items.iter().map(Place::text).collect::<BTreeSet<_>>();
    for scope in &items {
        if !is_scope(scope.text()) {
            errors.push(scopes.invalid("unsupported scope"));
        }
        for _ in 0..n_misfits(spec, scope.text()) {
            errors.push(scopes.invalid("unsupported scope applied to resource"));
        }
    }
    for pair in [
        ["BestEffort", "NotBestEffort"],
        ["Terminating", "NotTerminating"],
    ] {
        if pair.iter().all(|scope| all.contains(scope)) {
            errors.push(scopes.invalid("conflicting scopes"));
        }
    }
}

fn selector(spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    let selector = spec.child("scopeSelector");
    let expressions = selector.child("matchExpressions");
    let mut all = BTreeSet::new();
    for expression in expressions.items() {
        let scope = expression.child("scopeName").text();
        all.insert(scope);
        // The real server does not tell which of the expressions it means.
        let at = |member: &str| {
            let place = expression.child(member);
            let path = format!("{}.{member}", expressions.path());
            (place.text(), place.called(path))
        };
        let refuse = |errors: &mut Vec<FieldError>, member: &str, detail: &str| {
            let (text, place) = at(member);
            errors.push(FieldError::invalid(place.path(), text, detail));
        };
        if !is_scope(scope) {
            refuse(errors, "scopeName", "unsupported scope");
        }
        for _ in 0..n_misfits(spec, scope) {
            let shown = expressions.called(expressions.path().to_owned());
            errors.push(FieldError::invalid(
                shown.path(),
                selector.value().clone(),
                "unsupported scope applied to resource",
            ));
        }
        let (operator, values) = (at("operator").0, at("values").1);
        if !matches!(scope, "PriorityClass" | "VolumeAttributesClass")
            && is_scope(scope)
            && operator != "Exists"
        {
            refuse(
                errors,
                "operator",
                "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity",
            );
        }
        match operator {
            "In" | "NotIn" if values.is_empty() => errors.push(values.missing(
                "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector",
            )),
            "Exists" | "DoesNotExist" if !values.is_empty() => errors.push(values.invalid(
                "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector",
            )),
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            _ => refuse(errors, "operator", "not a valid selector operator"),
        }
    }
    for pair in [
        ["BestEffort", "NotBestEffort"],
        ["Terminating", "NotTerminating"],
    ] {
        if pair.iter().all(|scope| all.contains(scope)) {
            let shown = expressions.path().to_owned();
            errors.push(FieldError::invalid(
                shown,
                selector.value().clone(),
                "conflicting scopes",
            ));
        }
    }
}
