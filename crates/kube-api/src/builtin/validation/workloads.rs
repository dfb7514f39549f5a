//! What makes pods and keeps them: Deployment, ReplicaSet, DaemonSet, StatefulSet, ReplicationController
//! (kubernetes `pkg/apis/apps/validation`, v1.36).

use drover_structural::{FieldError, names};
use serde_json::{Map, Value, json};

use super::place::{Place, is_zero_share, label_selector, not_negative, one_of, required, share};
use super::pod;
use crate::rbac::selects;

/// What is wrong with an object of one of these kinds.
pub(super) fn check(kind: &str, object: &Value, is_new: bool, errors: &mut Vec<FieldError>) {
    let spec = Place::of(object, "spec");
    for member in ["replicas", "minReadySeconds", "revisionHistoryLimit"] {
        // Of StatefulSets the real server does not look at it.
        if (kind, member) == ("StatefulSet", "revisionHistoryLimit") {
            continue;
        }
        not_negative(&spec.child(member), errors);
    }
    if kind == "ReplicationController" {
        required(&spec.child("selector"), errors);
        plain_template(&spec, errors);
        return;
    }
    if selector(kind, &spec, errors) {
        pods(kind, &spec, errors);
    }
    match kind {
        "Deployment" => deployment(&spec, errors),
        "DaemonSet" => daemon_strategy(&spec.child("updateStrategy"), errors),
        "StatefulSet" => stateful(&spec, is_new, errors),
        _ => {}
    }
}

/// The template of the pods.
fn pods(kind: &str, spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    match kind {
        "StatefulSet" => stateful_template(spec, errors),
        _ => pod::template(&spec.child("template"), errors),
    }
    let pods = spec.child("template").child("spec");
    let policy = pods.child("restartPolicy");
    if policy.text() != "Always" {
        errors.push(policy.unsupported(&["Always"]));
    }
    let deadline = pods.child("activeDeadlineSeconds");
    if deadline.is_set() {
        let named = match kind {
            "Deployment" => "ReplicaSet",
            kind => kind,
        };
        let detail = format!("activeDeadlineSeconds in {named} is not Supported");
        errors.push(deadline.forbidden(detail));
    }
}

/// Checks the selector; says whether the real server goes on to look at the template, which it does not if it cannot
/// make out what is selected.
fn selector(kind: &str, spec: &Place<'_>, errors: &mut Vec<FieldError>) -> bool {
    let selector = spec.child("selector");
    let template = spec.child("template").child("metadata").child("labels");
    let none = json!({});
    let labels = if template.is_set() {
        template.value()
    } else {
        &none
    };
    let mut matches = true;
    if selector.is_set() {
        let before = errors.len();
        label_selector(&selector, errors);
        if errors.len() > before {
            let detail = match kind {
                "DaemonSet" => return true,
                "StatefulSet" => "",
                _ => "invalid label selector",
            };
            errors.push(selector.invalid(detail));
            return false;
        }
        if selector.value().as_object().is_none_or(Map::is_empty) {
            let named = match kind {
                "StatefulSet" => "statefulset",
                "DaemonSet" => "daemonset",
                _ => "deployment",
            };
            errors.push(selector.invalid(format!("empty selector is invalid for {named}")));
        } else {
            matches = selects(selector.value(), labels);
        }
    } else {
        if kind != "DaemonSet" {
            errors.push(selector.missing(""));
        }
        // No selector at all is one that selects nothing.
        matches = false;
    }
    if !matches {
        errors.push(FieldError::invalid(
            template.path(),
            template.value().clone(),
            "`selector` does not match template `labels`",
        ));
    }
    true
}

fn plain_template(spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    let template = spec.child("template");
    if !template.is_set() {
        errors.push(template.missing(""));
        return;
    }
    let labels = template.child("metadata").child("labels");
    let wanted = spec.child("selector");
    let fits = wanted
        .members()
        .iter()
        .all(|(key, value)| labels.child(key).value() == value.value());
    if !fits {
        errors.push(labels.invalid("`selector` does not match template `labels`"));
    }
    pod::template(&template, errors);
    let policy = template.child("spec").child("restartPolicy");
    if policy.text() != "Always" {
        errors.push(policy.unsupported(&["Always"]));
    }
}

fn deployment(spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    let strategy = spec.child("strategy");
    let rolling = strategy.child("rollingUpdate");
    match strategy.child("type").text() {
        "Recreate" if rolling.is_set() => errors
            .push(rolling.forbidden("may not be specified when strategy `type` is 'Recreate'")),
        "Recreate" => {}
        "RollingUpdate" => {
            let (most, least) = (rolling.child("maxSurge"), rolling.child("maxUnavailable"));
            share(&least, true, errors);
            share(&most, false, errors);
            if is_zero_share(&least) && is_zero_share(&most) {
                errors.push(least.invalid("may not be 0 when `maxSurge` is 0"));
            }
        }
        _ => errors.push(strategy.unsupported(&["Recreate", "RollingUpdate"])),
    }
    let deadline = spec.child("progressDeadlineSeconds");
    not_negative(&deadline, errors);
    let ready = spec.child("minReadySeconds").number().unwrap_or(0);
    if deadline.number().is_some_and(|seconds| seconds <= ready) {
        errors.push(deadline.invalid("must be greater than minReadySeconds"));
    }
}

fn daemon_strategy(strategy: &Place<'_>, errors: &mut Vec<FieldError>) {
    match strategy.child("type").text() {
        "OnDelete" => {}
        "RollingUpdate" => {
            let rolling = strategy.child("rollingUpdate");
            let (most, least) = (rolling.child("maxSurge"), rolling.child("maxUnavailable"));
            share(&least, true, errors);
            share(&most, true, errors);
            match (is_zero_share(&least), is_zero_share(&most)) {
                (false, false) => {
                    errors.push(most.invalid("may not be set when maxUnavailable is non-zero"))
                }
                (true, true) => {
                    errors.push(least.missing("cannot be 0 when maxSurge is 0"));
                }
                _ => {}
            }
        }
        _ => errors.push(strategy.unsupported(&["RollingUpdate", "OnDelete"])),
    }
}

fn stateful(spec: &Place<'_>, is_new: bool, errors: &mut Vec<FieldError>) {
    let policy = spec.child("podManagementPolicy");
    if !matches!(policy.text(), "OrderedReady" | "Parallel") {
        errors.push(policy.invalid("must be 'OrderedReady' or 'Parallel'"));
    }
    let strategy = spec.child("updateStrategy");
    let rolling = strategy.child("rollingUpdate");
    match strategy.child("type").text() {
        "OnDelete" if rolling.is_set() => {
            errors.push(rolling.invalid("only allowed for updateStrategy 'RollingUpdate'"));
        }
        "OnDelete" => {}
        "RollingUpdate" => not_negative(&rolling.child("partition"), errors),
        _ => errors.push(strategy.invalid("must be 'RollingUpdate' or 'OnDelete'")),
    }
    not_negative(&spec.child("ordinals").child("start"), errors);
    let kept = spec.child("persistentVolumeClaimRetentionPolicy");
    if kept.is_set() {
        for member in ["whenDeleted", "whenScaled"] {
            one_of(&kept.child(member), &["Retain", "Delete"], errors);
        }
    }
    let name = spec.child("serviceName");
    if is_new && !name.is_empty() {
        super::place::problems(&name, names::dns_1123_label(name.text()), errors);
    }
}

/// The template of a StatefulSet, whose claims are volumes of its pods.
fn stateful_template(spec: &Place<'_>, errors: &mut Vec<FieldError>) {
    let claims = spec.child("volumeClaimTemplates").items();
    let mut template = spec.child("template").value().clone();
    if let Some(pods) = template.get_mut("spec").and_then(Value::as_object_mut) {
        // The controller sets these for each pod.
        pods.remove("subdomain");
        pods.remove("hostname");
        let claimed: Vec<&str> = claims
            .iter()
            .map(|claim| claim.child("metadata").child("name").text())
            .collect();
        let own = pods.get("volumes").and_then(Value::as_array).cloned();
        let own = own.into_iter().flatten().filter(|volume| {
            !volume["name"]
                .as_str()
                .is_some_and(|name| claimed.contains(&name))
        });
        let volumes: Vec<Value> = claimed
            .iter()
            .map(|name| json!({"name": name, "persistentVolumeClaim": {"claimName": name}}))
            .chain(own)
            .collect();
        if !volumes.is_empty() {
            pods.insert("volumes".to_owned(), Value::Array(volumes));
        }
    }
    let holder = json!({ "template": template });
    let template = Place::of(&holder, "template").called(spec.child("template").path().to_owned());
    pod::template(&template, errors);
}

/// What an update of a StatefulSet may not touch.
pub(super) fn stateful_update(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    const OPEN: [&str; 7] = [
        "replicas",
        "ordinals",
        "template",
        "updateStrategy",
        "revisionHistoryLimit",
        "persistentVolumeClaimRetentionPolicy",
        "minReadySeconds",
    ];
    let rest = |object: &Value| {
        let mut spec = object.get("spec").cloned().unwrap_or_default();
        if let Some(members) = spec.as_object_mut() {
            members.retain(|name, _| !OPEN.contains(&name.as_str()));
        }
        spec
    };
    if rest(new) != rest(old) {
        errors.push(FieldError::forbidden(
            "spec",
            "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
        ));
    }
}

/// The counts in the status of a kind, those of them that cannot be more than all, and what `readyReplicas` is called.
type Counts = (
    &'static [&'static str],
    &'static [&'static str],
    Option<&'static str>,
);

fn counts_of(kind: &str) -> Counts {
    match kind {
        "StatefulSet" => (
            &[
                "replicas",
                "readyReplicas",
                "currentReplicas",
                "updatedReplicas",
                "availableReplicas",
                "observedGeneration",
                "collisionCount",
            ],
            &[
                "readyReplicas",
                "currentReplicas",
                "updatedReplicas",
                "availableReplicas",
            ],
            Some("status.readyReplicas"),
        ),
        "DaemonSet" => (
            &[
                "currentNumberScheduled",
                "numberMisscheduled",
                "desiredNumberScheduled",
                "numberReady",
                "observedGeneration",
                "updatedNumberScheduled",
                "numberAvailable",
                "numberUnavailable",
                "collisionCount",
            ],
            &[],
            None,
        ),
        _ => (
            &[
                "replicas",
                "fullyLabeledReplicas",
                "readyReplicas",
                "availableReplicas",
                "observedGeneration",
                "terminatingReplicas",
            ],
            &["fullyLabeledReplicas", "readyReplicas", "availableReplicas"],
            Some("readyReplicas"),
        ),
    }
}

/// What is wrong with the status of a StatefulSet, DaemonSet, ReplicaSet or ReplicationController.
pub(super) fn status(kind: &str, object: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    let status = Place::of(object, "status");
    let (counts, parts, ready) = counts_of(kind);
    for member in counts {
        not_negative(&status.child(member), errors);
    }
    let count = |member: &str| status.child(member).number().unwrap_or(0);
    let mut more = |member: &str, than: &str| {
        let path = status.child(member).path().to_owned();
        let detail = format!("cannot be greater than {than}");
        errors.push(FieldError::invalid(path, count(member), detail));
    };
    for member in parts {
        if count(member) > count("replicas") {
            more(member, "status.replicas");
        }
    }
    if let Some(ready) = ready
        && count("availableReplicas") > count("readyReplicas")
    {
        more("availableReplicas", ready);
    }
    not_decremented(&status, old, errors);
}

/// What is wrong with a ControllerRevision.
pub(super) fn revision(object: &Value, errors: &mut Vec<FieldError>) {
    let data = Place::of(object, "data");
    if !data.is_set() {
        errors.push(data.missing("data is mandatory"));
    }
    not_negative(&Place::of(object, "revision"), errors);
}

/// Collisions are only ever counted up.
fn not_decremented(status: &Place<'_>, old: &Value, errors: &mut Vec<FieldError>) {
    let collisions = status.child("collisionCount");
    let before = Place::of(old, "status").child("collisionCount");
    let now = collisions.number().unwrap_or(0);
    if before.number().is_some_and(|before| now < before) {
        errors.push(FieldError::invalid(
            collisions.path(),
            now,
            "cannot be decremented",
        ));
    }
}

/// What is wrong with the status of a Deployment.
pub(super) fn deployment_status(object: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    let status = Place::of(object, "status");
    for member in [
        "observedGeneration",
        "replicas",
        "updatedReplicas",
        "readyReplicas",
        "availableReplicas",
        "unavailableReplicas",
        "terminatingReplicas",
        "collisionCount",
    ] {
        not_negative(&status.child(member), errors);
    }
    let count = |member: &str| status.child(member).number().unwrap_or(0);
    for member in ["updatedReplicas", "readyReplicas", "availableReplicas"] {
        if count(member) > count("replicas") {
            errors.push(FieldError::invalid(
                status.child(member).path(),
                count(member),
                "cannot be greater than status.replicas",
            ));
        }
    }
    if count("availableReplicas") > count("readyReplicas") {
        errors.push(
            status
                .child("availableReplicas")
                .invalid("cannot be greater than readyReplicas"),
        );
    }
    not_decremented(&status, old, errors);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workload_must_select_its_own_pods() {
        let template = json!({"metadata": {"labels": {"a": "b"}}});
        let check = |labels: Value, expected: &[&str]| {
            let object =
                json!({"spec": {"selector": {"matchLabels": labels}, "template": template}});
            let mut errors = Vec::new();
            selector("Deployment", &Place::of(&object, "spec"), &mut errors);
            let fields: Vec<&str> = errors.iter().map(|error| error.field.as_str()).collect();
            assert_eq!(fields, expected);
        };
        check(json!({"a": "b"}), &[]);
        check(json!({"a": "c"}), &["spec.template.metadata.labels"]);
    }
}
