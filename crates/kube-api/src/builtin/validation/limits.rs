//! LimitRanges (kubernetes `pkg/apis/core/validation`, v1.36).

use std::collections::{BTreeMap, BTreeSet};

use drover_structural::quantity::Quantity;
use drover_structural::{FieldError, names};
use serde_json::Value;

use super::container::{read, resource_name as container_resource};
use super::place::{Place, problems};
use super::quotas::resource_name;

const KINDS: [&str; 3] = ["Pod", "Container", "PersistentVolumeClaim"];
const MEMBERS: [&str; 5] = [
    "max",
    "min",
    "default",
    "defaultRequest",
    "maxLimitRequestRatio",
];

/// What is wrong with a LimitRange.
pub(super) fn check(object: &Value, errors: &mut Vec<FieldError>) {
    let mut kinds = BTreeSet::new();
    for limit in Place::of(object, "spec").child("limits").items() {
        let kind = limit.child("type");
        let found = names::qualified_name(kind.text());
        if !found.is_empty() {
            problems(&kind, found, errors);
        } else if !KINDS.contains(&kind.text()) && !kind.text().contains('/') {
            errors.push(kind.invalid("must be a standard limit type or fully qualified"));
        }
        if !kinds.insert(kind.text()) {
            errors.push(kind.duplicate());
        }
        one(&limit, errors);
    }
}

/// One limit: its names, and how its bounds lie to each other.
fn one(limit: &Place<'_>, errors: &mut Vec<FieldError>) {
    let kind = limit.child("type").text();
    let mut amounts: BTreeMap<&str, BTreeMap<&str, Place<'_>>> = BTreeMap::new();
    for member in MEMBERS {
        let place = limit.child(member);
        if kind == "Pod" && matches!(member, "default" | "defaultRequest") {
            if !place.is_empty() {
                errors.push(place.forbidden("may not be specified when `type` is 'Pod'"));
            }
            continue;
        }
        for (name, amount) in place.members() {
            if matches!(kind, "Pod" | "Container") {
                container_resource(name, &amount, errors);
            } else {
                resource_name(name, &amount, errors);
            }
            amounts.entry(name).or_default().insert(member, amount);
        }
    }
    let bounds = |member: &str| limit.child(member).child("storage").is_set();
    if kind == "PersistentVolumeClaim" && !bounds("min") && !bounds("max") {
        errors.push(limit.child("limits").missing(
            "either minimum or maximum storage value is required, but neither was provided",
        ));
    }
    for (name, amounts) in &amounts {
        bounded(limit, name, amounts, errors);
    }
}

/// What of two bounds must not be greater than the other, what they are called, and of which the error tells.
const ORDERED: [(&str, &str, &str, &str, &str, &str); 6] = [
    ("min", "max", "min value", "max value", "min", "min"),
    (
        "min",
        "defaultRequest",
        "min value",
        "default request value",
        "defaultRequest",
        "defaultRequest",
    ),
    (
        "defaultRequest",
        "max",
        "default request value",
        "max value",
        "defaultRequest",
        "defaultRequest",
    ),
    (
        "defaultRequest",
        "default",
        "default request value",
        "default limit value",
        "defaultRequest",
        "defaultRequest",
    ),
    (
        "min",
        "default",
        "min value",
        "default value",
        "default",
        "min",
    ),
    (
        "default",
        "max",
        "default value",
        "max value",
        "default",
        "max",
    ),
];

fn bounded(
    limit: &Place<'_>,
    name: &str,
    amounts: &BTreeMap<&str, Place<'_>>,
    errors: &mut Vec<FieldError>,
) {
    let of = |member: &str| amounts.get(member).and_then(|amount| read(amount.value()));
    let mut refuse = |member: &str, shown: Quantity, detail: String| {
        let path = format!("{}[{name}]", limit.child(member).path());
        errors.push(FieldError::invalid(path, shown.to_string(), detail));
    };
    for (less, more, called, other, at, shown) in ORDERED {
        if let (Some(low), Some(high), Some(shown)) = (of(less), of(more), of(shown))
            && low > high
        {
            refuse(
                at,
                shown,
                format!("{called} {low} is greater than {other} {high}"),
            );
        }
    }
    let ratio = of("maxLimitRequestRatio");
    if let Some(ratio) = ratio
        && ratio < Quantity::from_int(1)
    {
        let detail = format!("ratio {ratio} is less than 1");
        refuse("maxLimitRequestRatio", ratio, detail);
    }
    if let (Some(ratio), Some(low), Some(high)) = (ratio, of("min"), of("max")) {
        // Where thousandths can be counted, they are.
        const MOST: i64 = i64::MAX / 1000;
        let fine = [ratio, low, high]
            .iter()
            .all(|amount| amount.value() < MOST);
        let (wanted, low, high) = if fine {
            (ratio.millis() as f64 / 1000.0, low.millis(), high.millis())
        } else {
            (ratio.value() as f64, low.value(), high.value())
        };
        let most = high as f64 / low as f64;
        if wanted > most {
            let detail = format!("ratio {ratio} is greater than max/min = {most:.6}");
            refuse("maxLimitRequestRatio", ratio, detail);
        }
    }
    let overcommits =
        !name.starts_with("hugepages-") && (!name.contains('/') || name.contains("kubernetes.io/"));
    if let (false, Some(all), Some(asked)) = (overcommits, of("default"), of("defaultRequest"))
        && all != asked
    {
        let detail =
            format!("default value {all} must equal to defaultRequest value {asked} in {name}");
        refuse("defaultRequest", asked, detail);
    }
}
