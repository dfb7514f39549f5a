//! What a pod may use as a whole (kubernetes `pkg/apis/core/validation`, v1.36).

use std::collections::BTreeSet;

use drover_structural::FieldError;
use drover_structural::quantity::Quantity;

use super::super::container::{self, read};
use super::super::place::Place;
use super::super::quotas;
use crate::admission::limits::of_containers;

const HUGE: &str = "hugepages-";

/// What is wrong with `resources` beside the containers.
pub(super) fn resources(spec: &Place<'_>, claims: &BTreeSet<&str>, errors: &mut Vec<FieldError>) {
    let resources = spec.child("resources");
    if !resources.is_set() {
        return;
    }
    if spec.child("os").child("name").text() == "windows" {
        errors.push(resources.forbidden("may not be set for a windows pod"));
        return;
    }
    let used = resources.child("claims");
    if used.is_set() {
        errors.push(used.forbidden("claims may not be set for Resources at pod-level"));
    }
    container::resources(&resources, name, claims, errors);
    consistent(spec, &resources, errors);
}

fn name(name: &str, amount: &Place<'_>, errors: &mut Vec<FieldError>) {
    let before = errors.len();
    quotas::resource_name(name, amount, errors);
    if errors.len() == before && !matches!(name, "cpu" | "memory") && !name.starts_with(HUGE) {
        errors.push(FieldError::not_supported(
            amount.path(),
            name,
            ["cpu", HUGE, "memory"],
        ));
    }
}

/// The pod has enough for its containers, and none of them may use more than all.
fn consistent(spec: &Place<'_>, resources: &Place<'_>, errors: &mut Vec<FieldError>) {
    let Some(members) = spec.value().as_object() else {
        return;
    };
    let sums = ["requests", "limits"].map(|member| of_containers(members, member));
    let limits = resources.child("limits");
    for (name, amount) in resources.child("requests").members() {
        short(&amount, sums[0].get(name), "requests", errors);
    }
    for (name, amount) in limits.members() {
        if name.starts_with(HUGE) {
            short(&amount, sums[1].get(name), "limits", errors);
        }
    }
    for (index, container) in spec.child("containers").items().iter().enumerate() {
        for (name, amount) in container.child("resources").child("limits").members() {
            let (Some(own), Some(most)) = (read(amount.value()), read(limits.child(name).value()))
            else {
                continue;
            };
            if own > most {
                // The real server builds this path in this order.
                let path = format!("{}.containers[{index}][{name}].limits", resources.path());
                let detail = format!("must be less than or equal to pod limits of {most}");
                errors.push(FieldError::invalid(path, own.to_string(), detail));
            }
        }
    }
}

fn short(stated: &Place<'_>, sum: Option<&Quantity>, of: &str, errors: &mut Vec<FieldError>) {
    if let (Some(own), Some(sum)) = (read(stated.value()), sum)
        && *sum > own
    {
        let detail = format!("must be greater than or equal to aggregate container {of} of {sum}");
        errors.push(FieldError::invalid(stated.path(), own.to_string(), detail));
    }
}
