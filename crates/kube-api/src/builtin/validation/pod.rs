//! The specification of a pod, in pods and in templates of pods (kubernetes `pkg/apis/core/validation`, v1.36).
//!
//! Owns what stands beside containers and volumes. Not looked at: what only kubelets of Windows, device claims and user
//! namespaces need.

mod affinity;
mod network;
mod whole;

use std::collections::BTreeSet;

use drover_structural::{FieldError, names};

use super::container::Around;
use super::place::{Place, labels, one_of, perhaps_one_of, problems, required};
use super::{container, security, volumes};

/// Seconds that a pod has to end if it does not say.
const USUAL_GRACE: i64 = 30;

pub(super) const MOST_SECONDS: i64 = i32::MAX as i64;

/// What is wrong with the specification of a pod at `spec`.
pub(super) fn check(spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    network::host_of_pod(spec, errors);
    specification(spec, errors);
}

/// What is wrong with the specification at `spec`, of a pod or a template.
fn specification(spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    let around = Around {
        volumes: volumes::check(&spec.child("volumes"), errors),
        grace: spec
            .child("terminationGracePeriodSeconds")
            .number()
            .unwrap_or(USUAL_GRACE),
        host_users: security::has_host_users(spec),
        claims: spec
            .child("resourceClaims")
            .items()
            .iter()
            .map(|claim| claim.child("name").text())
            .collect(),
    };
    container::regular(&spec.child("containers"), &around, errors);
    let names = spec.child("containers");
    let names = names
        .items()
        .into_iter()
        .map(|item| item.child("name").text());
    container::initial(
        &spec.child("initContainers"),
        names.collect(),
        &around,
        errors,
    );
    let lists = ["containers", "initContainers"].map(|list| spec.child(list).items());
    let others = lists.iter().flatten().map(|item| item.child("name").text());
    container::ephemeral(
        &spec.child("ephemeralContainers"),
        &others.collect(),
        &around,
        errors,
    );
    whole::resources(spec, &around.claims, errors);
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
    affinity::spread(&spec.child("topologySpreadConstraints"), errors);
    affinity::check(&spec.child("affinity"), errors);
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
    network::aliases(&spec.child("hostAliases"), errors);
    network::dns(spec, errors);
    let class = spec.child("runtimeClassName");
    if class.is_set() {
        problems(&class, names::dns_1123_subdomain(class.text()), errors);
    }
    perhaps_one_of(
        &spec.child("preemptionPolicy"),
        &["Never", "PreemptLowerPriority"],
        errors,
    );
    security::pod(spec, errors);
    rest(spec, errors);
    let gates = spec.child("schedulingGates").items();
    let mut seen = BTreeSet::new();
    for gate in &gates {
        let name = gate.child("name");
        let found = names::qualified_name(name.text()).into_iter();
        errors.extend(found.map(|problem| FieldError::invalid(gate.path(), name.text(), problem)));
        if !seen.insert(name.text()) {
            errors.push(FieldError::duplicate(gate.path(), name.text()));
        }
    }
}

/// What few pods say.
fn rest(spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    for gate in spec.child("readinessGates").items() {
        let kind = gate.child("conditionType");
        let found = names::qualified_name(kind.text()).into_iter();
        errors.extend(found.map(|problem| FieldError::invalid(kind.path(), kind.text(), problem)));
    }
    let system = spec.child("os");
    if system.is_set() {
        let name = system.child("name");
        if name.is_empty() {
            errors.push(name.missing(""));
        } else if !matches!(name.text(), "linux" | "windows") {
            errors.push(FieldError::not_supported(
                system.path(),
                name.text(),
                ["linux", "windows"],
            ));
        }
    }
    let overhead = spec.child("overhead");
    for (name, amount) in overhead.members() {
        let amount = amount.called(format!("{}.limits[{name}]", overhead.path()));
        container::resource_name(name, &amount, errors);
        container::quantity(name, &amount, errors);
    }
    claims(&spec.child("resourceClaims"), errors);
}

/// Claims of devices.
fn claims(claims: &Place<'_>, errors: &mut Vec<FieldError>) {
    let mut seen = BTreeSet::new();
    for claim in claims.items() {
        let name = claim.child("name");
        required(&name, errors);
        if !name.is_empty() {
            if seen.insert(name.text()) {
                problems(&name, names::dns_1123_label(name.text()), errors);
            } else {
                errors.push(name.duplicate());
            }
        }
        let sources = ["resourceClaimName", "resourceClaimTemplateName"];
        let [one, template] = sources.map(|member| claim.child(member));
        match (one.is_set(), template.is_set()) {
            (true, true) => errors.push(claim.invalid(
                "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified",
            )),
            (false, false) => errors.push(claim.invalid(
                "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`",
            )),
            _ => {}
        }
        for source in [one, template].iter().filter(|source| source.is_set()) {
            problems(source, names::dns_1123_subdomain(source.text()), errors);
        }
    }
}

/// The template of pods at `template`.
pub(super) fn template(template: &Place<'_>, errors: &mut Vec<FieldError>) {
    let metadata = template.child("metadata");
    // The real server leaves `metadata` out of these paths.
    let called = template.child("labels").path().to_owned();
    labels(&metadata.child("labels").called(called), errors);
    let spec = template.child("spec");
    network::host_of_template(&spec, errors);
    specification(&spec, errors);
    let ephemeral = template.child("spec").child("ephemeralContainers");
    if !ephemeral.is_empty() {
        errors.push(ephemeral.forbidden("ephemeral containers not allowed in pod template"));
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
