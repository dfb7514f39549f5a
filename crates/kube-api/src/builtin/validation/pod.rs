//! The specification of a pod, in pods and in templates of pods (kubernetes `pkg/apis/core/validation`, v1.36).
//!
//! Owns what stands beside containers and volumes. Not looked at: what only kubelets of Windows, device claims and user
//! namespaces need.

use std::collections::BTreeSet;

use drover_structural::{FieldError, names};

use super::place::{Place, label_selector, labels, one_of, perhaps_one_of, problems};
use super::{container, volumes};

pub(super) const MOST_SECONDS: i64 = i32::MAX as i64;

/// What is wrong with the specification at `spec`.
pub(super) fn check(spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    let volumes = volumes::check(&spec.child("volumes"), errors);
    container::regular(&spec.child("containers"), &volumes, errors);
    let names = spec.child("containers");
    let names = names
        .items()
        .into_iter()
        .map(|item| item.child("name").text());
    container::initial(
        &spec.child("initContainers"),
        names.collect(),
        &volumes,
        errors,
    );
    let lists = ["containers", "initContainers"].map(|list| spec.child(list).items());
    let others = lists.iter().flatten().map(|item| item.child("name").text());
    container::ephemeral(
        &spec.child("ephemeralContainers"),
        &others.collect(),
        &volumes,
        errors,
    );
    one_of(
        &spec.child("restartPolicy"),
        &["Always", "OnFailure", "Never"],
        errors,
    );
    one_of(
        &spec.child("dnsPolicy"),
        &["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"],
        errors,
    );
    labels(&spec.child("nodeSelector"), errors);
    spread(&spec.child("topologySpreadConstraints"), errors);
    node_affinity(&spec.child("affinity").child("nodeAffinity"), errors);
    for member in ["serviceAccountName", "nodeName", "priorityClassName"] {
        let name = spec.child(member);
        if !name.is_empty() {
            problems(&name, names::dns_1123_subdomain(name.text()), errors);
        }
    }
    for member in ["hostname", "subdomain"] {
        let name = spec.child(member);
        if !name.is_empty() {
            problems(&name, names::dns_1123_label(name.text()), errors);
        }
    }
    let deadline = spec.child("activeDeadlineSeconds");
    if deadline
        .number()
        .is_some_and(|seconds| !(1..=MOST_SECONDS).contains(&seconds))
    {
        errors.push(deadline.invalid("must be between 1 and 2147483647, inclusive"));
    }
    tolerations(&spec.child("tolerations"), errors);
    for alias in spec.child("hostAliases").items() {
        super::service::address(&alias.child("ip"), errors);
        for name in alias.child("hostnames").items() {
            problems(&name, names::dns_1123_subdomain(name.text()), errors);
        }
    }
    let class = spec.child("runtimeClassName");
    if class.is_set() {
        problems(&class, names::dns_1123_subdomain(class.text()), errors);
    }
    perhaps_one_of(
        &spec.child("preemptionPolicy"),
        &["Never", "PreemptLowerPriority"],
        errors,
    );
    host_network(spec, errors);
    let gates = spec.child("schedulingGates").items();
    let mut seen = BTreeSet::new();
    for gate in &gates {
        let name = gate.child("name");
        problems(&name, names::qualified_name(name.text()), errors);
        if !seen.insert(name.text()) {
            errors.push(FieldError::duplicate(gate.path(), name.text()));
        }
    }
}

/// The template of pods at `template`.
pub(super) fn template(template: &Place<'_>, errors: &mut Vec<FieldError>) {
    let metadata = template.child("metadata");
    // The real server leaves `metadata` out of these paths.
    let called = template.child("labels").path().to_owned();
    labels(&metadata.child("labels").called(called), errors);
    check(&template.child("spec"), errors);
    let ephemeral = template.child("spec").child("ephemeralContainers");
    if !ephemeral.is_empty() {
        errors.push(ephemeral.forbidden("ephemeral containers not allowed in pod template"));
    }
}

/// Ports of containers on the host's network are ports of the host.
fn host_network(spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    if !spec.child("hostNetwork").is_true() {
        return;
    }
    for list in ["containers", "initContainers"] {
        for container in spec.child(list).items() {
            for port in container.child("ports").items() {
                let (inside, host) = (port.child("containerPort"), port.child("hostPort"));
                if host.number() != inside.number() {
                    errors.push(FieldError::invalid(
                        host.path(),
                        host.number().unwrap_or(0),
                        "must match `containerPort` when `hostNetwork` is true",
                    ));
                }
            }
        }
    }
}

fn spread(constraints: &Place<'_>, errors: &mut Vec<FieldError>) {
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

fn node_affinity(affinity: &Place<'_>, errors: &mut Vec<FieldError>) {
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
}

/// Tolerations of taints.
pub(super) fn tolerations(tolerations: &Place<'_>, errors: &mut Vec<FieldError>) {
    for toleration in tolerations.items() {
        let part = |name: &str| toleration.child(name);
        let (key, operator, value) = (part("key"), part("operator"), part("value"));
        if !key.is_empty() {
            problems(&key, names::qualified_name(key.text()), errors);
        } else if operator.text() != "Exists" {
            errors.push(FieldError::invalid(
                operator.path(),
                operator.text(),
                "operator must be Exists when `key` is empty, which means \"match all values and all keys\"",
            ));
        }
        let effect = part("effect");
        if part("tolerationSeconds").is_set() && effect.text() != "NoExecute" {
            errors.push(FieldError::invalid(
                effect.path(),
                effect.text(),
                "effect must be 'NoExecute' when `tolerationSeconds` is set",
            ));
        }
        match operator.text() {
            "" | "Equal" => {
                let found = names::label_value(value.text());
                if !found.is_empty() {
                    errors.push(FieldError::invalid(
                        operator.path(),
                        value.text(),
                        found.join(";"),
                    ));
                }
            }
            "Exists" if !value.is_empty() => errors.push(FieldError::invalid(
                operator.path(),
                value.text(),
                "value must be empty when `operator` is 'Exists'",
            )),
            "Exists" => {}
            _ => errors.push(operator.unsupported(&["Equal", "Exists"])),
        }
        if !effect.is_empty() {
            taint_effect(&effect, errors);
        }
    }
}

fn taint_effect(effect: &Place<'_>, errors: &mut Vec<FieldError>) {
    one_of(
        effect,
        &["NoSchedule", "PreferNoSchedule", "NoExecute"],
        errors,
    );
}

/// Taints of a node, which the real server names as if they stood in its metadata.
pub(super) fn taints(node: &serde_json::Value, errors: &mut Vec<FieldError>) {
    let taints = Place::of(node, "spec").child("taints");
    let mut seen = BTreeSet::new();
    for taint in taints.called("metadata.taints".to_owned()).items() {
        let key = taint.child("key");
        let found = names::qualified_name(key.text()).into_iter();
        errors.extend(found.map(|problem| FieldError::invalid(key.path(), key.text(), problem)));
        let value = taint.child("value");
        let found = names::label_value(value.text());
        if !found.is_empty() {
            errors.push(value.invalid(found.join(";")));
        }
        let effect = taint.child("effect");
        taint_effect(&effect, errors);
        if !seen.insert((key.text(), effect.text())) {
            let mut error = taint.duplicate();
            "taints must be unique by key and effect pair".clone_into(&mut error.detail);
            errors.push(error);
        }
    }
}
