//! What runs in projects: pods, and what makes and keeps them.
//!
//! A workload shows its pod template as its own fields: `labels` and `annotations` are those of the pods,
//! `workloadLabels` and `workloadAnnotations` its own. How the fields lie in Kubernetes objects stands in
//! `kinds::workload`.

mod containers;
mod pods;
mod statuses;
mod volumes;

use crate::schema::{Action, Base, Declared, Layout, Naming, Object, Type, Workload};

/// What pods have, and all that run them.
const POD: &[Declared] = &[
    ("activeDeadlineSeconds", "int cun"),
    ("appArmorProfile", "appArmorProfile cun"),
    ("automountServiceAccountToken", "boolean cun"),
    ("containers", "array[container] cun"),
    ("dnsConfig", "podDNSConfig cun"),
    ("dnsPolicy", "string cun"),
    ("enableServiceLinks", "boolean cun"),
    ("ephemeralContainers", "array[ephemeralContainer] cun"),
    ("fsGroupChangePolicy", "string cun"),
    ("fsgid", "int cun"),
    ("gids", "array[int] cun"),
    ("hostAliases", "array[hostAlias] cun"),
    ("hostIPC", "boolean cu"),
    ("hostNetwork", "boolean cu"),
    ("hostPID", "boolean cu"),
    ("hostUsers", "boolean cun"),
    ("hostname", "string cun"),
    ("hostnameOverride", "string cun"),
    ("imagePullSecrets", "array[localObjectReference] cun"),
    ("nodeId", "reference[/v3/schemas/node] cun"),
    ("os", "podOS cun"),
    ("overhead", "map[string] cun"),
    ("preemptionPolicy", "string cun"),
    ("projectId", "reference[/v3/schemas/project] cn"),
    ("publicEndpoints", "array[publicEndpoint] n"),
    ("readinessGates", "array[podReadinessGate] cun"),
    ("resourceClaims", "array[podResourceClaim] cun"),
    ("resources", "resourceRequirements cun"),
    ("restartPolicy", "string cun"),
    ("runAsGroup", "int cun"),
    ("runAsNonRoot", "boolean cun"),
    ("runtimeClassName", "string cun"),
    ("scheduling", "scheduling cun"),
    ("schedulingGates", "array[podSchedulingGate] cun"),
    ("schedulingGroup", "podSchedulingGroup cun"),
    ("seLinuxChangePolicy", "string cun"),
    ("seccompProfile", "seccompProfile cun"),
    ("serviceAccountName", "string cun"),
    ("setHostnameAsFQDN", "boolean cun"),
    ("shareProcessNamespace", "boolean cun"),
    ("subdomain", "string cun"),
    ("supplementalGroupsPolicy", "string cun"),
    ("sysctls", "array[sysctl] cun"),
    ("terminationGracePeriodSeconds", "int cun"),
    (
        "topologySpreadConstraints",
        "array[topologySpreadConstraint] cun",
    ),
    ("uid", "int cun"),
    ("volumes", "array[volume] cun"),
    ("windowsOptions", "windowsSecurityContextOptions cun"),
];
/// What all that run pods have besides.
const OWN: &[Declared] = &[
    ("workloadAnnotations", "map[string] cun"),
    ("workloadLabels", "map[string] cun"),
    ("workloadMetrics", "array[workloadMetric] cun"),
];
const SELECTOR: Declared = ("selector", "labelSelector cun");
const SCALE: Declared = ("scale", "int cun");
/// What jobs have, and the jobs of cron jobs.
const JOB: &[Declared] = &[
    ("backoffLimitPerIndex", "int cun"),
    ("completionMode", "string cun"),
    ("managedBy", "string cun"),
    ("maxFailedIndexes", "int cun"),
    ("podFailurePolicy", "podFailurePolicy cun"),
    ("podReplacementPolicy", "string cun"),
    ("successPolicy", "successPolicy cun"),
    ("ttlSecondsAfterFinished", "int cun"),
];
const DEPLOYMENT: &[Declared] = &[
    ("deploymentConfig", "deploymentConfig cun"),
    ("deploymentStatus", "deploymentStatus n"),
    ("paused", "boolean cu"),
];
const DAEMON_SET: &[Declared] = &[
    ("daemonSetConfig", "daemonSetConfig cun"),
    ("daemonSetStatus", "daemonSetStatus n"),
    ("maxSurge", "intOrString cun"),
];
const STATEFUL_SET: &[Declared] = &[
    ("maxUnavailable", "intOrString cun"),
    ("minReadySeconds", "int cu"),
    ("ordinals", "statefulSetOrdinals cun"),
    (
        "persistentVolumeClaimRetentionPolicy",
        "statefulSetPersistentVolumeClaimRetentionPolicy cun",
    ),
    ("statefulSetConfig", "statefulSetConfig cun"),
    ("statefulSetStatus", "statefulSetStatus n"),
];
const JOB_ITSELF: &[Declared] = &[
    ("jobConfig", "jobConfig cun"),
    ("jobStatus", "jobStatus n"),
    ("suspend", "boolean cun"),
];
const CRON_JOB: &[Declared] = &[
    ("cronJobConfig", "cronJobConfig cun"),
    ("cronJobStatus", "cronJobStatus n"),
    ("timeZone", "string cun"),
];
const REPLICA_SET: &[Declared] = &[
    ("replicaSetConfig", "replicaSetConfig cun"),
    ("replicaSetStatus", "replicaSetStatus n"),
];
const REPLICATION_CONTROLLER: &[Declared] = &[
    (
        "replicationControllerConfig",
        "replicationControllerConfig cun",
    ),
    (
        "replicationControllerStatus",
        "replicationControllerStatus n",
    ),
];

const REDEPLOY: Action = Action::new("redeploy", None, None);

pub(super) fn types() -> Vec<Type> {
    let mut types: Vec<Type> = [
        containers::PARTS,
        pods::PARTS,
        statuses::PARTS,
        volumes::PARTS,
    ]
    .concat()
    .into_iter()
    .map(|(id, fields)| {
        let mut part = Type::part(id, fields);
        part.base = Base::Project;
        // What is worked out from more than one place says no type (recorded).
        let config = id.ends_with("Config") && id != "podDNSConfig";
        part.marked = !config && !matches!(id, "scheduling" | "nodeScheduling");
        part
    })
    .collect();
    types.extend([
        runs(Workload::Deployment, &[DEPLOYMENT, &[SCALE, SELECTOR]])
            .action(Action::new("pause", None, None))
            .action(Action::new("resume", None, None))
            .action(Action::new(
                "rollback",
                Some("deploymentRollbackInput"),
                None,
            ))
            .action(REDEPLOY),
        runs(Workload::DaemonSet, &[DAEMON_SET, &[SELECTOR]]).action(REDEPLOY),
        runs(Workload::StatefulSet, &[STATEFUL_SET, &[SCALE, SELECTOR]]).action(REDEPLOY),
        runs(Workload::Job, &[JOB_ITSELF, JOB, &[SELECTOR]]),
        runs(Workload::CronJob, &[CRON_JOB, JOB, &[SELECTOR]]).action(REDEPLOY),
        runs(Workload::ReplicaSet, &[REPLICA_SET, &[SCALE, SELECTOR]]).action(REDEPLOY),
        replication_controller(),
        any(),
        pod(),
    ]);
    types
}

fn object(workload: Workload) -> (&'static str, Object, &'static str) {
    let (id, kind, resource, api) = match workload {
        Workload::Any => ("workload", "Deployment", "deployments", "apps/v1"),
        Workload::Deployment => ("deployment", "Deployment", "deployments", "apps/v1"),
        Workload::DaemonSet => ("daemonSet", "DaemonSet", "daemonsets", "apps/v1"),
        Workload::StatefulSet => ("statefulSet", "StatefulSet", "statefulsets", "apps/v1"),
        Workload::Job => ("job", "Job", "jobs", "batch/v1"),
        Workload::CronJob => ("cronJob", "CronJob", "cronjobs", "batch/v1"),
        Workload::ReplicaSet => ("replicaSet", "ReplicaSet", "replicasets", "apps/v1"),
        Workload::ReplicationController => (
            "replicationController",
            "ReplicationController",
            "replicationcontrollers",
            "v1",
        ),
        Workload::Pod => ("pod", "Pod", "pods", "v1"),
    };
    let object = Object {
        kind,
        resource,
        namespaced: true,
        layout: Layout::Flat,
    };
    (id, object, api)
}

fn declare(workload: Workload, naming: Naming, own: &[&[Declared]]) -> Type {
    let (id, object, api) = object(workload);
    let fields = [&[POD], own].concat().concat();
    let mut kind = Type::object(id, object, naming, &fields)
        .stateful()
        .inside(Base::Project, api);
    kind.workload = Some(workload);
    kind
}

fn runs(workload: Workload, own: &[&[Declared]]) -> Type {
    declare(workload, Naming::Restricted, &[own, &[OWN]].concat())
}

fn replication_controller() -> Type {
    let own: &[&[Declared]] = &[
        REPLICATION_CONTROLLER,
        &[SCALE, ("selector", "map[string] cun")],
    ];
    let mut kind = runs(Workload::ReplicationController, own).action(REDEPLOY);
    (kind.collection_methods, kind.resource_methods) = (&["GET"], &["GET"]);
    kind
}

/// All that run pods, as one type.
fn any() -> Type {
    let own: &[&[Declared]] = &[
        DEPLOYMENT,
        DAEMON_SET,
        STATEFUL_SET,
        JOB_ITSELF,
        JOB,
        CRON_JOB,
        REPLICA_SET,
        REPLICATION_CONTROLLER,
        &[SCALE, SELECTOR],
    ];
    runs(Workload::Any, own)
        .action(Action::new("pause", None, None))
        .action(Action::new("resume", None, None))
        .action(Action::new("rollback", Some("rollbackRevision"), None))
        .action(REDEPLOY)
}

fn pod() -> Type {
    let own: &[Declared] = &[
        ("description", "string cun"),
        ("status", "podStatus n"),
        ("workloadId", "reference[workload] cun"),
        ("workloadMetrics", "array[workloadMetric] n"),
    ];
    declare(Workload::Pod, Naming::Object, &[own])
        .at("workloadId", &[])
        .at("description", &[])
}
