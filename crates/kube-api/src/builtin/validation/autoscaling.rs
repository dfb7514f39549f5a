//! HorizontalPodAutoscalers (kubernetes `pkg/apis/autoscaling/validation`, v1.36).

use drover_structural::quantity::Quantity;
use drover_structural::{FieldError, names};
use serde_json::Value;

use super::container;
use super::place::{Place, not_negative, perhaps_one_of, problems};

/// The longest time that rules look back, in seconds.
const LONGEST_WINDOW: i64 = 3600;
/// The longest period of a policy, in seconds.
const LONGEST_PERIOD: i64 = 1800;

/// What is asked of the version that a reference names.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ApiVersion {
    /// With a group.
    Grouped,
    /// Of the core group or another.
    Any,
    /// Nothing, since it was there before.
    Unchecked,
}

/// What is wrong with a HorizontalPodAutoscaler; `old` is the one before.
pub(super) fn autoscaler(object: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let spec = Place::of(object, "spec");
    let (least, most) = (spec.child("minReplicas"), spec.child("maxReplicas"));
    let before = old.map(|old| Place::of(old, "spec"));
    let had_none = before
        .as_ref()
        .is_some_and(|spec| spec.child("minReplicas").number() == Some(0));
    let lowest = i64::from(!had_none);
    if least.number().is_some_and(|number| number < lowest) {
        errors.push(least.invalid(format!("must be greater than or equal to {lowest}")));
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
    let held = before.as_ref().map(|spec| spec.child("scaleTargetRef"));
    let same = |member: &str| {
        held.as_ref()
            .is_some_and(|held| held.child(member).text() == target.child(member).text())
    };
    let version = if same("apiVersion") && same("kind") {
        ApiVersion::Unchecked
    } else if target.child("kind").text() == "ReplicationController" {
        ApiVersion::Any
    } else {
        ApiVersion::Grouped
    };
    reference(&target, version, errors);
    metrics(&spec, before.as_ref(), errors);
    for direction in ["scaleUp", "scaleDown"] {
        let rules = spec.child("behavior").child(direction);
        if rules.is_set() {
            scaling(&rules, errors);
        }
    }
}

/// What is wrong with the status of a HorizontalPodAutoscaler.
pub(super) fn status(object: &Value, errors: &mut Vec<FieldError>) {
    for member in ["currentReplicas", "desiredReplicas"] {
        not_negative(&Place::of(object, "status").child(member), errors);
    }
}

/// An object by kind and name, in any version.
fn reference(target: &Place<'_>, version: ApiVersion, errors: &mut Vec<FieldError>) {
    for member in ["kind", "name"] {
        let member = target.child(member);
        if member.is_empty() {
            errors.push(member.missing(""));
        } else {
            problems(&member, names::path_segment(member.text()), errors);
        }
    }
    let place = target.child("apiVersion");
    if let Some(problem) = version_problem(place.text(), version) {
        errors.push(FieldError::invalid(place.path(), place.text(), problem));
    }
}

fn version_problem(text: &str, version: ApiVersion) -> Option<String> {
    if version == ApiVersion::Unchecked {
        return None;
    }
    match text.matches('/').count() {
        0 | 1 if version == ApiVersion::Any => None,
        // A slash alone counts as nothing.
        1 if !text.starts_with('/') => None,
        0 | 1 => Some("apiVersion must specify API group".to_owned()),
        _ => Some(format!("unexpected GroupVersion string: {text}")),
    }
}

fn metrics(spec: &Place<'_>, before: Option<&Place<'_>>, errors: &mut Vec<FieldError>) {
    fn described<'o>(metric: &Place<'o>) -> Option<&'o str> {
        let object = metric.child("object");
        (metric.child("type").text() == "Object" && object.is_set())
            .then(|| object.child("describedObject").child("apiVersion").text())
    }
    let were_wrong = before.is_some_and(|spec| {
        let versions = spec.child("metrics").items();
        versions
            .iter()
            .filter_map(described)
            .any(|version| version_problem(version, ApiVersion::Any).is_some())
    });
    let version = if were_wrong {
        ApiVersion::Unchecked
    } else {
        ApiVersion::Any
    };
    let place = spec.child("metrics");
    let items = place.items();
    for metric in &items {
        self::metric(metric, version, errors);
    }
    let scales_from_none = items
        .iter()
        .any(|metric| matches!(metric.child("type").text(), "Object" | "External"));
    if spec.child("minReplicas").number() == Some(0) && !scales_from_none {
        errors.push(place.forbidden(
            "must specify at least one Object or External metric to support scaling to zero replicas",
        ));
    }
}

/// The kinds of metrics, and the member that describes each, in the order in which the real server looks at them.
const METRICS: [(&str, &str); 5] = [
    ("Object", "object"),
    ("External", "external"),
    ("Pods", "pods"),
    ("Resource", "resource"),
    ("ContainerResource", "containerResource"),
];
/// Their names in the order of messages.
const KINDS: [&str; 5] = [
    "ContainerResource",
    "External",
    "Object",
    "Pods",
    "Resource",
];

fn metric(metric: &Place<'_>, version: ApiVersion, errors: &mut Vec<FieldError>) {
    let kind = metric.child("type");
    if kind.is_empty() {
        errors.push(kind.missing("must specify a metric source type"));
    }
    let wanted = METRICS.iter().find(|(name, _)| *name == kind.text());
    if wanted.is_none() {
        // It is told of twice.
        errors.push(kind.unsupported(&KINDS));
        errors.push(kind.unsupported(&KINDS));
    }
    let sources = METRICS.map(|(_, member)| (member, metric.child(member)));
    let present = sources
        .iter()
        .filter(|(_, source)| source.is_set())
        .collect::<Vec<_>>();
    if let Some((member, source)) = present.first() {
        self::source(member, source, version, errors);
    }
    if let Some((_, member)) = wanted {
        let place = metric.child(member);
        if !place.is_set() {
            errors.push(place.missing("must populate information for the given metric source"));
        }
    }
    if present.len() != 1 {
        let others = present
            .iter()
            .filter(|(member, _)| wanted.is_none_or(|(_, wanted)| wanted != member));
        errors.extend(
            others
                .map(|(_, source)| source.forbidden("must populate the given metric source only")),
        );
    }
}

/// What describes a metric of each kind.
fn source(member: &str, source: &Place<'_>, version: ApiVersion, errors: &mut Vec<FieldError>) {
    let wanted = source.child("target");
    let has = |member: &str| wanted.child(member).is_set();
    let missing = |errors: &mut Vec<FieldError>, member: &str, detail: &str| {
        errors.push(wanted.child(member).missing(detail));
    };
    if member == "object" {
        reference(&source.child("describedObject"), version, errors);
    }
    if matches!(member, "resource" | "containerResource") {
        resource(source, member == "containerResource", errors);
        target(&wanted, errors);
        if !has("averageUtilization") && !has("averageValue") {
            let detail = "must set either a target raw value or a target utilization";
            missing(errors, "averageUtilization", detail);
        }
        if has("averageUtilization") && has("averageValue") {
            let detail = "may not set both a target raw value and a target utilization";
            errors.push(wanted.child("averageValue").forbidden(detail));
        }
        return;
    }
    let name = source.child("metric").child("name");
    if name.is_empty() {
        errors.push(name.missing("must specify a metric name"));
    } else {
        problems(&name, names::path_segment(name.text()), errors);
    }
    target(&wanted, errors);
    match member {
        "pods" => {
            if !has("averageValue") {
                let detail = "must specify a positive target averageValue";
                missing(errors, "averageValue", detail);
            }
        }
        "external" => {
            if !has("value") && !has("averageValue") {
                let detail = "must set either a target value for metric or a per-pod target";
                missing(errors, "averageValue", detail);
            }
            if has("value") && has("averageValue") {
                let detail = "may not set both a target value for metric and a per-pod target";
                errors.push(wanted.child("value").forbidden(detail));
            }
        }
        _ => {
            if !has("value") && !has("averageValue") {
                let detail = "must set either a target value or averageValue";
                missing(errors, "averageValue", detail);
            }
        }
    }
}

fn resource(source: &Place<'_>, of_container: bool, errors: &mut Vec<FieldError>) {
    let name = source.child("name");
    if name.is_empty() {
        errors.push(name.missing("must specify a resource name"));
    } else if of_container {
        container::resource_name(name.text(), &name, errors);
    }
    if of_container {
        let container = source.child("container");
        if container.is_empty() {
            errors.push(container.missing("must specify a container"));
        } else {
            problems(&container, names::dns_1123_label(container.text()), errors);
        }
    }
}

fn target(target: &Place<'_>, errors: &mut Vec<FieldError>) {
    let kind = target.child("type");
    if kind.is_empty() {
        errors.push(kind.missing("must specify a metric target type"));
    }
    if !matches!(kind.text(), "Utilization" | "Value" | "AverageValue") {
        errors.push(FieldError::invalid(
            kind.path(),
            kind.text(),
            "must be either Utilization, Value, or AverageValue",
        ));
    }
    for member in ["value", "averageValue"] {
        let amount = target.child(member);
        let read = container::read(amount.value());
        if read.is_some_and(|amount| amount <= Quantity::from_int(0)) {
            errors.push(amount.invalid("must be positive"));
        }
    }
    let share = target.child("averageUtilization");
    if share.number().is_some_and(|share| share < 1) {
        errors.push(share.invalid("must be greater than 0"));
    }
}

fn scaling(rules: &Place<'_>, errors: &mut Vec<FieldError>) {
    let window = rules.child("stabilizationWindowSeconds");
    if window.number().is_some_and(|seconds| seconds < 0) {
        errors.push(window.invalid("must be greater than or equal to zero"));
    }
    if window
        .number()
        .is_some_and(|seconds| seconds > LONGEST_WINDOW)
    {
        errors.push(window.invalid(format!("must be less than or equal to {LONGEST_WINDOW}")));
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
            errors.push(FieldError::not_supported(
                kind.path(),
                kind.text(),
                ["Percent", "Pods"],
            ));
        }
        for (member, most) in [("value", i64::MAX), ("periodSeconds", LONGEST_PERIOD)] {
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
    let tolerance = rules.child("tolerance");
    container::quantity("tolerance", &tolerance, errors);
}
