//! Defaults of what makes pods.

use serde_json::json;

use super::pods::pod_template;
use super::{Members, absent, each, is, set, with, within};

pub(super) fn replication_controller(object: &mut Members) {
    let labels = object
        .get("spec")
        .and_then(|spec| spec.pointer("/template/metadata/labels"))
        .cloned();
    with(object, "spec", |spec| {
        set(spec, "replicas", json!(1));
        if let Some(labels) = &labels {
            set(spec, "selector", labels.clone());
        }
        with(spec, "template", pod_template);
    });
    if let Some(labels) = labels {
        within(object, "metadata", |metadata| {
            set(metadata, "labels", labels)
        });
    }
}

pub(super) fn deployment(spec: &mut Members) {
    set(spec, "replicas", json!(1));
    set(spec, "revisionHistoryLimit", json!(10));
    set(spec, "progressDeadlineSeconds", json!(600));
    within(spec, "strategy", |strategy| {
        set(strategy, "type", json!("RollingUpdate"));
        if is(strategy, "type", "RollingUpdate") {
            within(strategy, "rollingUpdate", |update| {
                set(update, "maxUnavailable", json!("25%"));
                set(update, "maxSurge", json!("25%"));
            });
        }
    });
    with(spec, "template", pod_template);
}

pub(super) fn daemon_set(spec: &mut Members) {
    set(spec, "revisionHistoryLimit", json!(10));
    within(spec, "updateStrategy", |strategy| {
        set(strategy, "type", json!("RollingUpdate"));
        if is(strategy, "type", "RollingUpdate") {
            within(strategy, "rollingUpdate", |update| {
                set(update, "maxUnavailable", json!(1));
                set(update, "maxSurge", json!(0));
            });
        }
    });
    with(spec, "template", pod_template);
}

pub(super) fn stateful_set(spec: &mut Members) {
    set(spec, "replicas", json!(1));
    set(spec, "revisionHistoryLimit", json!(10));
    set(spec, "podManagementPolicy", json!("OrderedReady"));
    within(spec, "updateStrategy", |strategy| {
        if absent(strategy, "type") {
            strategy.insert("type".to_owned(), json!("RollingUpdate"));
            set(strategy, "rollingUpdate", json!({}));
        }
        if is(strategy, "type", "RollingUpdate") {
            with(strategy, "rollingUpdate", |update| {
                set(update, "partition", json!(0))
            });
        }
    });
    within(spec, "persistentVolumeClaimRetentionPolicy", |policy| {
        set(policy, "whenDeleted", json!("Retain"));
        set(policy, "whenScaled", json!("Retain"));
    });
    each(spec, "volumeClaimTemplates", |claim| {
        set(claim, "apiVersion", json!("v1"));
        set(claim, "kind", json!("PersistentVolumeClaim"));
        with(claim, "spec", |spec| {
            set(spec, "volumeMode", json!("Filesystem"))
        });
        within(claim, "status", |status| {
            set(status, "phase", json!("Pending"))
        });
    });
    with(spec, "template", pod_template);
}

pub(super) fn job(object: &mut Members) {
    with(object, "spec", job_spec);
    let labels = object
        .get("spec")
        .and_then(|spec| spec.pointer("/template/metadata/labels"))
        .cloned();
    if let Some(labels) = labels {
        within(object, "metadata", |metadata| {
            set(metadata, "labels", labels)
        });
    }
}

fn job_spec(spec: &mut Members) {
    if absent(spec, "completions") && absent(spec, "parallelism") {
        set(spec, "completions", json!(1));
    }
    set(spec, "parallelism", json!(1));
    let by_index = !absent(spec, "backoffLimitPerIndex");
    set(
        spec,
        "backoffLimit",
        json!(if by_index { i32::MAX } else { 6 }),
    );
    set(spec, "completionMode", json!("NonIndexed"));
    set(spec, "suspend", json!(false));
    let failed_only = !absent(spec, "podFailurePolicy");
    set(
        spec,
        "podReplacementPolicy",
        json!(if failed_only {
            "Failed"
        } else {
            "TerminatingOrFailed"
        }),
    );
    set(spec, "manualSelector", json!(false));
    failure_policy(spec);
    with(spec, "template", pod_template);
}

/// A condition of pods that says nothing more is one that is true.
fn failure_policy(spec: &mut Members) {
    with(spec, "podFailurePolicy", |policy| {
        each(policy, "rules", |rule| {
            each(rule, "onPodConditions", |condition| {
                if absent(condition, "status") || is(condition, "status", "") {
                    condition.insert("status".to_owned(), json!("True"));
                }
            });
        });
    });
}

pub(super) fn cron_job(spec: &mut Members) {
    set(spec, "concurrencyPolicy", json!("Allow"));
    set(spec, "suspend", json!(false));
    set(spec, "successfulJobsHistoryLimit", json!(3));
    set(spec, "failedJobsHistoryLimit", json!(1));
    // The job's own defaults apply when the job is made; its template's pods have theirs already.
    with(spec, "jobTemplate", |job| {
        with(job, "spec", |spec| {
            failure_policy(spec);
            with(spec, "template", pod_template);
        })
    });
}

pub(super) fn autoscaler(version: &str, spec: &mut Members) {
    set(spec, "minReplicas", json!(1));
    if version == "v1" {
        return;
    }
    set(
        spec,
        "metrics",
        json!([{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}]),
    );
    with(spec, "behavior", |behavior| {
        within(behavior, "scaleUp", |rules| {
            set(rules, "stabilizationWindowSeconds", json!(0));
            set(rules, "selectPolicy", json!("Max"));
            set(
                rules,
                "policies",
                json!([
                    {"type": "Pods", "value": 4, "periodSeconds": 15},
                    {"type": "Percent", "value": 100, "periodSeconds": 15},
                ]),
            );
        });
        within(behavior, "scaleDown", |rules| {
            set(rules, "selectPolicy", json!("Max"));
            set(
                rules,
                "policies",
                json!([{"type": "Percent", "value": 100, "periodSeconds": 15}]),
            );
        });
    });
}
