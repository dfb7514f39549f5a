//! The table: where each field of workloads and pods stands in Kubernetes objects.

use crate::schema::Workload;

/// Fields of a pod with the name they have in its specification.
pub(super) const POD: [&str; 31] = [
    "activeDeadlineSeconds",
    "automountServiceAccountToken",
    "dnsConfig",
    "dnsPolicy",
    "enableServiceLinks",
    "ephemeralContainers",
    "hostAliases",
    "hostIPC",
    "hostNetwork",
    "hostPID",
    "hostUsers",
    "hostname",
    "hostnameOverride",
    "imagePullSecrets",
    "nodeName",
    "os",
    "overhead",
    "preemptionPolicy",
    "readinessGates",
    "resourceClaims",
    "resources",
    "restartPolicy",
    "runtimeClassName",
    "schedulingGates",
    "schedulingGroup",
    "serviceAccountName",
    "setHostnameAsFQDN",
    "shareProcessNamespace",
    "subdomain",
    "terminationGracePeriodSeconds",
    "topologySpreadConstraints",
];
/// Fields of a pod and where they stand in its specification.
pub(super) const ELSEWHERE: [(&str, &str); 16] = [
    ("appArmorProfile", "securityContext/appArmorProfile"),
    ("fsGroupChangePolicy", "securityContext/fsGroupChangePolicy"),
    ("fsgid", "securityContext/fsGroup"),
    ("gids", "securityContext/supplementalGroups"),
    ("runAsGroup", "securityContext/runAsGroup"),
    ("runAsNonRoot", "securityContext/runAsNonRoot"),
    ("seLinuxChangePolicy", "securityContext/seLinuxChangePolicy"),
    ("seccompProfile", "securityContext/seccompProfile"),
    (
        "supplementalGroupsPolicy",
        "securityContext/supplementalGroupsPolicy",
    ),
    ("sysctls", "securityContext/sysctls"),
    ("uid", "securityContext/runAsUser"),
    ("windowsOptions", "securityContext/windowsOptions"),
    ("scheduling/priority", "priority"),
    ("scheduling/priorityClassName", "priorityClassName"),
    ("scheduling/scheduler", "schedulerName"),
    ("scheduling/tolerate", "tolerations"),
];
const DEPLOYMENT: &[(&str, &str)] = &[
    ("paused", "spec/paused"),
    ("scale", "spec/replicas"),
    ("selector", "spec/selector"),
    ("deploymentConfig/minReadySeconds", "spec/minReadySeconds"),
    (
        "deploymentConfig/progressDeadlineSeconds",
        "spec/progressDeadlineSeconds",
    ),
    (
        "deploymentConfig/revisionHistoryLimit",
        "spec/revisionHistoryLimit",
    ),
    ("deploymentConfig/strategy", "spec/strategy/type"),
    (
        "deploymentConfig/maxSurge",
        "spec/strategy/rollingUpdate/maxSurge",
    ),
    (
        "deploymentConfig/maxUnavailable",
        "spec/strategy/rollingUpdate/maxUnavailable",
    ),
];
const DAEMON_SET: &[(&str, &str)] = &[
    ("selector", "spec/selector"),
    ("maxSurge", "spec/updateStrategy/rollingUpdate/maxSurge"),
    ("daemonSetConfig/minReadySeconds", "spec/minReadySeconds"),
    (
        "daemonSetConfig/revisionHistoryLimit",
        "spec/revisionHistoryLimit",
    ),
    ("daemonSetConfig/strategy", "spec/updateStrategy/type"),
    (
        "daemonSetConfig/maxUnavailable",
        "spec/updateStrategy/rollingUpdate/maxUnavailable",
    ),
];
const STATEFUL_SET: &[(&str, &str)] = &[
    ("scale", "spec/replicas"),
    ("selector", "spec/selector"),
    ("minReadySeconds", "spec/minReadySeconds"),
    ("ordinals", "spec/ordinals"),
    (
        "maxUnavailable",
        "spec/updateStrategy/rollingUpdate/maxUnavailable",
    ),
    (
        "persistentVolumeClaimRetentionPolicy",
        "spec/persistentVolumeClaimRetentionPolicy",
    ),
    (
        "statefulSetConfig/partition",
        "spec/updateStrategy/rollingUpdate/partition",
    ),
    (
        "statefulSetConfig/podManagementPolicy",
        "spec/podManagementPolicy",
    ),
    (
        "statefulSetConfig/revisionHistoryLimit",
        "spec/revisionHistoryLimit",
    ),
    ("statefulSetConfig/serviceName", "spec/serviceName"),
    ("statefulSetConfig/strategy", "spec/updateStrategy/type"),
    (
        "statefulSetConfig/volumeClaimTemplates",
        "spec/volumeClaimTemplates",
    ),
];
/// Relative to the specification of a job.
const JOB: [&str; 8] = [
    "backoffLimitPerIndex",
    "completionMode",
    "managedBy",
    "maxFailedIndexes",
    "podFailurePolicy",
    "podReplacementPolicy",
    "successPolicy",
    "ttlSecondsAfterFinished",
];
const JOB_CONFIG: [&str; 5] = [
    "activeDeadlineSeconds",
    "backoffLimit",
    "completions",
    "manualSelector",
    "parallelism",
];
const CRON_JOB: &[(&str, &str)] = &[
    ("timeZone", "spec/timeZone"),
    ("cronJobConfig/concurrencyPolicy", "spec/concurrencyPolicy"),
    (
        "cronJobConfig/failedJobsHistoryLimit",
        "spec/failedJobsHistoryLimit",
    ),
    ("cronJobConfig/schedule", "spec/schedule"),
    (
        "cronJobConfig/startingDeadlineSeconds",
        "spec/startingDeadlineSeconds",
    ),
    (
        "cronJobConfig/successfulJobsHistoryLimit",
        "spec/successfulJobsHistoryLimit",
    ),
    ("cronJobConfig/suspend", "spec/suspend"),
    (
        "cronJobConfig/jobAnnotations",
        "spec/jobTemplate/metadata/annotations",
    ),
    (
        "cronJobConfig/jobLabels",
        "spec/jobTemplate/metadata/labels",
    ),
];

/// Where each field of a kind stands in its objects, pods' own fields left out.
pub(super) fn places(workload: Workload) -> Vec<(String, String)> {
    let owned = |rows: &[(&str, &str)]| -> Vec<(String, String)> {
        let pair = |(one, other): &(&str, &str)| ((*one).to_owned(), (*other).to_owned());
        rows.iter().map(pair).collect()
    };
    let of_job = |config: &str, spec: &str| -> Vec<(String, String)> {
        let flat = JOB
            .iter()
            .map(|name| ((*name).to_owned(), format!("{spec}/{name}")));
        let nested = JOB_CONFIG
            .iter()
            .map(|name| (format!("{config}/{name}"), format!("{spec}/{name}")));
        flat.chain(nested).collect()
    };
    match workload {
        Workload::Any | Workload::Deployment => owned(DEPLOYMENT),
        Workload::DaemonSet => owned(DAEMON_SET),
        Workload::StatefulSet => owned(STATEFUL_SET),
        Workload::Job => {
            let mut rows = of_job("jobConfig", "spec");
            rows.extend(owned(&[
                ("suspend", "spec/suspend"),
                ("selector", "spec/selector"),
            ]));
            rows
        }
        Workload::CronJob => {
            let mut rows = of_job("cronJobConfig/jobConfig", "spec/jobTemplate/spec");
            rows.push((
                "selector".to_owned(),
                "spec/jobTemplate/spec/selector".to_owned(),
            ));
            rows.extend(owned(CRON_JOB));
            rows
        }
        Workload::ReplicaSet => owned(&[
            ("scale", "spec/replicas"),
            ("selector", "spec/selector"),
            ("replicaSetConfig/minReadySeconds", "spec/minReadySeconds"),
        ]),
        Workload::ReplicationController => owned(&[
            ("scale", "spec/replicas"),
            ("selector", "spec/selector"),
            (
                "replicationControllerConfig/minReadySeconds",
                "spec/minReadySeconds",
            ),
        ]),
        Workload::Pod => Vec::new(),
    }
}

/// Where the pod or its template stands.
pub(super) fn template(workload: Workload) -> &'static str {
    match workload {
        Workload::Pod => "",
        Workload::CronJob => "/spec/jobTemplate/spec/template",
        _ => "/spec/template",
    }
}
