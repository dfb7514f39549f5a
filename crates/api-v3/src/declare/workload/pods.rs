//! Parts of pods and of the configuration of workloads.

use crate::schema::Declared;

pub(super) const PARTS: &[(&str, &[Declared])] = &[
    (
        "appArmorProfile",
        &[("localhostProfile", "string cun"), ("type", "string cun")],
    ),
    (
        "cronJobConfig",
        &[
            ("concurrencyPolicy", "enum cun options=Allow|Forbid|Replace"),
            ("failedJobsHistoryLimit", "int cun"),
            ("jobAnnotations", "map[string] cun"),
            ("jobConfig", "jobConfig cun"),
            ("jobLabels", "map[string] cun"),
            ("schedule", "string cun"),
            ("startingDeadlineSeconds", "int cun"),
            ("successfulJobsHistoryLimit", "int cun"),
            ("suspend", "boolean cun"),
        ],
    ),
    (
        "daemonSetConfig",
        &[
            ("maxUnavailable", "intOrString cun"),
            ("minReadySeconds", "int cu"),
            ("revisionHistoryLimit", "int cun"),
            ("strategy", "enum cun options=RollingUpdate|OnDelete"),
        ],
    ),
    (
        "deploymentConfig",
        &[
            ("maxSurge", "intOrString cun"),
            ("maxUnavailable", "intOrString cun"),
            ("minReadySeconds", "int cu"),
            ("progressDeadlineSeconds", "int cun"),
            ("revisionHistoryLimit", "int cun"),
            ("strategy", "enum cun options=Recreate|RollingUpdate"),
        ],
    ),
    (
        "deploymentRollbackInput",
        &[("replicaSetId", "reference[replicaSet] cun")],
    ),
    (
        "hostAlias",
        &[("hostnames", "array[string] cun"), ("ip", "string cun")],
    ),
    (
        "jobConfig",
        &[
            ("activeDeadlineSeconds", "int cun"),
            ("backoffLimit", "int cun"),
            ("completions", "int cun"),
            ("manualSelector", "boolean cun"),
            ("parallelism", "int cun"),
        ],
    ),
    (
        "lifecycle",
        &[
            ("postStart", "lifecycleHandler cun"),
            ("preStop", "lifecycleHandler cun"),
            ("stopSignal", "string cun"),
        ],
    ),
    (
        "linuxContainerUser",
        &[
            ("gid", "int cu"),
            ("supplementalGroups", "array[int] cun"),
            ("uid", "int cu"),
        ],
    ),
    (
        "nodeScheduling",
        &[
            ("nodeId", "reference[/v3/schemas/node] cun"),
            ("preferred", "array[string] cun"),
            ("requireAll", "array[string] cun"),
            ("requireAny", "array[string] cun"),
        ],
    ),
    (
        "podDNSConfig",
        &[
            ("nameservers", "array[string] cun"),
            ("options", "array[podDNSConfigOption] cun"),
            ("searches", "array[string] cun"),
        ],
    ),
    (
        "podDNSConfigOption",
        &[("name", "string cun"), ("value", "string cun")],
    ),
    (
        "podFailurePolicy",
        &[("rules", "array[podFailurePolicyRule] cun")],
    ),
    (
        "podFailurePolicyOnExitCodesRequirement",
        &[
            ("containerName", "string cun"),
            ("operator", "string cun"),
            ("values", "array[int] cun"),
        ],
    ),
    (
        "podFailurePolicyRule",
        &[
            ("action", "string cun"),
            ("onExitCodes", "podFailurePolicyOnExitCodesRequirement cun"),
            (
                "onPodConditions",
                "array[podFailurePolicyOnPodConditionsPattern] cun",
            ),
        ],
    ),
    ("podOS", &[("name", "string cun")]),
    ("podReadinessGate", &[("conditionType", "string cun")]),
    (
        "podResourceClaim",
        &[
            ("name", "string cun"),
            ("resourceClaimName", "string cun"),
            ("resourceClaimTemplateName", "string cun"),
        ],
    ),
    ("podSchedulingGate", &[("name", "string cun")]),
    ("podSchedulingGroup", &[("podGroupName", "string cun")]),
    ("replicaSetConfig", &[("minReadySeconds", "int cu")]),
    (
        "replicationControllerConfig",
        &[("minReadySeconds", "int cu")],
    ),
    (
        "rollbackRevision",
        &[
            ("forceUpgrade", "boolean cu"),
            (
                "revisionId",
                "reference[/v3/project/schemas/apprevision] cun",
            ),
        ],
    ),
    (
        "scheduling",
        &[
            ("node", "nodeScheduling cun"),
            ("priority", "int cun"),
            ("priorityClassName", "string cun"),
            ("scheduler", "string cun"),
            ("tolerate", "array[toleration] cun"),
        ],
    ),
    (
        "seccompProfile",
        &[("localhostProfile", "string cun"), ("type", "string cun")],
    ),
    (
        "statefulSetConfig",
        &[
            ("partition", "int cun"),
            (
                "podManagementPolicy",
                "enum cun options=OrderedReady|Parallel",
            ),
            ("revisionHistoryLimit", "int cun"),
            ("serviceName", "string cun"),
            ("strategy", "enum cun options=RollingUpdate|OnDelete"),
            ("volumeClaimTemplates", "array[persistentVolumeClaim] cun"),
        ],
    ),
    ("statefulSetOrdinals", &[("start", "int cu")]),
    (
        "statefulSetPersistentVolumeClaimRetentionPolicy",
        &[("whenDeleted", "string cun"), ("whenScaled", "string cun")],
    ),
    (
        "successPolicy",
        &[("rules", "array[successPolicyRule] cun")],
    ),
    (
        "successPolicyRule",
        &[
            ("succeededCount", "int cun"),
            ("succeededIndexes", "string cun"),
        ],
    ),
    ("sysctl", &[("name", "string cun"), ("value", "string cun")]),
    (
        "topologySpreadConstraint",
        &[
            ("labelSelector", "labelSelector cun"),
            ("matchLabelKeys", "array[string] cun"),
            ("maxSkew", "int cu"),
            ("minDomains", "int cun"),
            ("nodeAffinityPolicy", "string cun"),
            ("nodeTaintsPolicy", "string cun"),
            ("topologyKey", "string cun"),
            ("whenUnsatisfiable", "string cun"),
        ],
    ),
    (
        "windowsSecurityContextOptions",
        &[
            ("gmsaCredentialSpec", "string cun"),
            ("gmsaCredentialSpecName", "string cun"),
            ("hostProcess", "boolean cun"),
            ("runAsUserName", "string cun"),
        ],
    ),
    (
        "workloadMetric",
        &[
            ("path", "string cun"),
            ("port", "int cu"),
            ("schema", "enum cun options=HTTP|HTTPS"),
        ],
    ),
];
