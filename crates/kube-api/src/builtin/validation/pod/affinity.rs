//! Where pods want to be: near which nodes and pods, and how spread.

use drover_structural::{FieldError, names};

use crate::builtin::validation::place::{Place, label_selector, problems};

/// What is wrong with `affinity`.
pub(super) fn check(affinity: &Place<'_>, errors: &mut Vec<FieldError>) {
    of_nodes(&affinity.child("nodeAffinity"), errors);
    for member in ["podAffinity", "podAntiAffinity"] {
        of_pods(&affinity.child(member), errors);
    }
}

/// How pods are spread.
pub(super) fn spread(constraints: &Place<'_>, errors: &mut Vec<FieldError>) {
    let constraints = constraints.items();
    for (index, constraint) in constraints.iter().enumerate() {
        let skew = constraint.child("maxSkew");
        if skew.number().unwrap_or(0) <= 0 {
            errors.push(FieldError::invalid(
                skew.path(),
                skew.number().unwrap_or(0),
                "must be greater than 0",
            ));
        }
        let key = constraint.child("topologyKey");
        if key.is_empty() {
            errors.push(key.missing("can not be empty"));
        } else {
            problems(&key, names::qualified_name(key.text()), errors);
        }
        let policy = constraint.child("whenUnsatisfiable");
        if !matches!(policy.text(), "DoNotSchedule" | "ScheduleAnyway") {
            errors.push(policy.unsupported(&["DoNotSchedule", "ScheduleAnyway"]));
        }
        let pair = |place: &Place<'_>| {
            (
                place.child("topologyKey").text().to_owned(),
                place.child("whenUnsatisfiable").text().to_owned(),
            )
        };
        if constraints[index + 1..]
            .iter()
            .any(|other| pair(other) == pair(constraint))
        {
            let (key, policy) = pair(constraint);
            errors.push(FieldError::duplicate(
                constraint.child("{topologyKey, whenUnsatisfiable}").path(),
                format!("{{{key}, {policy}}}"),
            ));
        }
        label_selector(&constraint.child("labelSelector"), errors);
    }
}

fn of_nodes(affinity: &Place<'_>, errors: &mut Vec<FieldError>) {
    let needed = affinity.child("requiredDuringSchedulingIgnoredDuringExecution");
    if needed.is_set() {
        let terms = needed.child("nodeSelectorTerms");
        if terms.is_empty() {
            errors.push(terms.missing("must have at least one node selector term"));
        }
        for term in terms.items() {
            node_term(&term, errors);
        }
    }
    for preferred in affinity
        .child("preferredDuringSchedulingIgnoredDuringExecution")
        .items()
    {
        let weight = preferred.child("weight");
        if !(1..=100).contains(&weight.number().unwrap_or(0)) {
            errors.push(weight.invalid("must be in the range 1-100"));
        }
        node_term(&preferred.child("preference"), errors);
    }
}

fn node_term(term: &Place<'_>, errors: &mut Vec<FieldError>) {
    for expression in term.child("matchExpressions").items() {
        let (operator, values) = (expression.child("operator"), expression.child("values"));
        let n_values = values.items().len();
        match operator.text() {
            "In" | "NotIn" if n_values == 0 => {
                errors.push(values.missing("must be specified when `operator` is 'In' or 'NotIn'"))
            }
            "Exists" | "DoesNotExist" if n_values > 0 => {
                errors.push(values.forbidden(
                    "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
                ))
            }
            "Gt" | "Lt" if n_values != 1 => errors.push(
                values.missing("must be specified single value when `operator` is 'Lt' or 'Gt'"),
            ),
            "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt" => {}
            other => errors.push(FieldError::invalid(
                operator.path(),
                other,
                "not a valid selector operator",
            )),
        }
        let key = expression.child("key");
        let found = names::qualified_name(key.text()).into_iter();
        errors.extend(found.map(|problem| FieldError::invalid(key.path(), key.text(), problem)));
    }
    for expression in term.child("matchFields").items() {
        field_of_nodes(&expression, errors);
    }
}

/// Of nodes, only the name can be asked for as a field.
fn field_of_nodes(expression: &Place<'_>, errors: &mut Vec<FieldError>) {
    let (operator, values) = (expression.child("operator"), expression.child("values"));
    let items = values.items();
    match operator.text() {
        "In" | "NotIn" if items.len() == 1 => {}
        "In" | "NotIn" => errors.push(values.missing(
            "must be only one value when `operator` is 'In' or 'NotIn' for node field selector",
        )),
        other => errors.push(FieldError::invalid(
            operator.path(),
            other,
            "not a valid selector operator",
        )),
    }
    let key = expression.child("key");
    if key.text() == "metadata.name" {
        for value in items {
            problems(&value, names::dns_1123_subdomain(value.text()), errors);
        }
    } else {
        let detail = "not a valid field selector key";
        errors.push(FieldError::invalid(key.path(), key.text(), detail));
    }
}

/// Which other pods a pod likes to be near, or far from.
fn of_pods(affinity: &Place<'_>, errors: &mut Vec<FieldError>) {
    let needed = affinity.child("requiredDuringSchedulingIgnoredDuringExecution");
    for term in needed.items() {
        pod_term(&term, errors);
    }
    let preferred = affinity.child("preferredDuringSchedulingIgnoredDuringExecution");
    for preferred in preferred.items() {
        let weight = preferred.child("weight");
        if !(1..=100).contains(&weight.number().unwrap_or(0)) {
            errors.push(weight.invalid("must be in the range 1-100"));
        }
        pod_term(&preferred.child("podAffinityTerm"), errors);
    }
}

fn pod_term(term: &Place<'_>, errors: &mut Vec<FieldError>) {
    let selector = term.child("labelSelector");
    label_selector(&selector, errors);
    label_selector(&term.child("namespaceSelector"), errors);
    // Which namespace is not told.
    let called = term.child("namespace");
    for namespace in term.child("namespaces").items() {
        let found = names::dns_1123_label(namespace.text()).into_iter();
        errors.extend(
            found.map(|problem| FieldError::invalid(called.path(), namespace.text(), problem)),
        );
    }
    let [same, other] = ["matchLabelKeys", "mismatchLabelKeys"].map(|member| term.child(member));
    for keys in [&same, &other] {
        if !keys.is_empty() && !selector.is_set() {
            errors.push(keys.forbidden("must not be specified when labelSelector is not set"));
            continue;
        }
        for key in keys.items() {
            problems(&key, names::qualified_name(key.text()), errors);
        }
    }
    let others = other.items();
    for key in same.items() {
        if others.iter().any(|other| other.text() == key.text()) {
            errors.push(key.invalid("exists in both matchLabelKeys and mismatchLabelKeys"));
        }
    }
    let key = term.child("topologyKey");
    if key.is_empty() {
        errors.push(key.missing("can not be empty"));
    }
    let found = names::qualified_name(key.text()).into_iter();
    errors.extend(found.map(|problem| FieldError::invalid(key.path(), key.text(), problem)));
}
