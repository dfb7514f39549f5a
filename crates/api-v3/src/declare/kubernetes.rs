//! Types that come from Kubernetes itself: metadata, environment, scheduling.

use crate::schema::Type;

pub(super) fn types() -> Vec<Type> {
    vec![
        Type::part(
            "affinity",
            &[
                ("nodeAffinity", "nodeAffinity cun"),
                ("podAffinity", "podAffinity cun"),
                ("podAntiAffinity", "podAntiAffinity cun"),
            ],
        ),
        Type::part(
            "agentSchedulingCustomization",
            &[
                ("podDisruptionBudget", "podDisruptionBudgetSpec cun"),
                ("priorityClass", "priorityClassSpec cun"),
            ],
        ),
        Type::part("attachedVolume", &[("name", "string cun")]),
        Type::part(
            "condition",
            &[
                ("lastTransitionTime", "string cun"),
                ("lastUpdateTime", "string cun"),
                ("message", "string cun"),
                ("reason", "string cun"),
                ("status", "string cun"),
                ("type", "string cun"),
            ],
        ),
        Type::part(
            "configMapKeySelector",
            &[
                ("key", "string cun"),
                ("name", "string cun"),
                ("optional", "boolean cun"),
            ],
        ),
        Type::part(
            "envVar",
            &[
                ("name", "string cun"),
                ("value", "string cun"),
                ("valueFrom", "envVarSource cun"),
            ],
        ),
        Type::part(
            "envVarSource",
            &[
                ("configMapKeyRef", "configMapKeySelector cun"),
                ("fieldRef", "objectFieldSelector cun"),
                ("fileKeyRef", "fileKeySelector cun"),
                ("resourceFieldRef", "resourceFieldSelector cun"),
                ("secretKeyRef", "secretKeySelector cun"),
            ],
        ),
        Type::part(
            "fileKeySelector",
            &[
                ("key", "string cun"),
                ("optional", "boolean cun"),
                ("path", "string cun"),
                ("volumeName", "string cun"),
            ],
        ),
        Type::part(
            "labelSelector",
            &[
                ("matchExpressions", "array[labelSelectorRequirement] cun"),
                ("matchLabels", "map[string] cun"),
            ],
        ),
        Type::part(
            "labelSelectorRequirement",
            &[
                ("key", "string cun"),
                ("operator", "string cun"),
                ("values", "array[string] cun"),
            ],
        ),
        Type::part(
            "nodeAffinity",
            &[
                (
                    "preferredDuringSchedulingIgnoredDuringExecution",
                    "array[preferredSchedulingTerm] cun",
                ),
                (
                    "requiredDuringSchedulingIgnoredDuringExecution",
                    "nodeSelector cun",
                ),
            ],
        ),
        Type::part(
            "nodeSelector",
            &[("nodeSelectorTerms", "array[nodeSelectorTerm] cun")],
        ),
        Type::part(
            "nodeSelectorRequirement",
            &[
                ("key", "string cun"),
                ("operator", "string cun"),
                ("values", "array[string] cun"),
            ],
        ),
        Type::part(
            "nodeSelectorTerm",
            &[
                ("matchExpressions", "array[nodeSelectorRequirement] cun"),
                ("matchFields", "array[nodeSelectorRequirement] cun"),
            ],
        ),
        Type::part(
            "objectFieldSelector",
            &[("apiVersion", "string cun"), ("fieldPath", "string cun")],
        ),
        Type::part(
            "objectReference",
            &[
                ("apiVersion", "string cun"),
                ("fieldPath", "string cun"),
                ("kind", "string cun"),
                ("name", "string cun"),
                ("namespace", "string cun"),
                ("resourceVersion", "string cun"),
                ("uid", "string cun"),
            ],
        ),
        Type::part(
            "ownerReference",
            &[
                ("apiVersion", "string cun"),
                ("blockOwnerDeletion", "boolean cun"),
                ("controller", "boolean cun"),
                ("kind", "string cun"),
                ("name", "string cun"),
                ("uid", "string cun"),
            ],
        ),
        Type::part(
            "podAffinity",
            &[
                (
                    "preferredDuringSchedulingIgnoredDuringExecution",
                    "array[weightedPodAffinityTerm] cun",
                ),
                (
                    "requiredDuringSchedulingIgnoredDuringExecution",
                    "array[podAffinityTerm] cun",
                ),
            ],
        ),
        Type::part(
            "podAffinityTerm",
            &[
                ("labelSelector", "labelSelector cun"),
                ("matchLabelKeys", "array[string] cun"),
                ("mismatchLabelKeys", "array[string] cun"),
                ("namespaceSelector", "labelSelector cun"),
                ("namespaces", "array[string] cun"),
                ("topologyKey", "string cun"),
            ],
        ),
        Type::part(
            "podAntiAffinity",
            &[
                (
                    "preferredDuringSchedulingIgnoredDuringExecution",
                    "array[weightedPodAffinityTerm] cun",
                ),
                (
                    "requiredDuringSchedulingIgnoredDuringExecution",
                    "array[podAffinityTerm] cun",
                ),
            ],
        ),
        Type::part(
            "podDisruptionBudgetSpec",
            &[
                ("maxUnavailable", "string cun"),
                ("minAvailable", "string cun"),
            ],
        ),
        Type::part(
            "preferredSchedulingTerm",
            &[("preference", "nodeSelectorTerm cun"), ("weight", "int cu")],
        ),
        Type::part(
            "priorityClassSpec",
            &[("preemptionPolicy", "string cun"), ("value", "int cu")],
        ),
        Type::part(
            "publicEndpoint",
            &[
                ("addresses", "array[string] n"),
                ("allNodes", "boolean"),
                ("hostname", "string n"),
                ("ingressId", "reference[ingress] n"),
                ("nodeId", "reference[/v3/schemas/node] n"),
                ("path", "string n"),
                ("podId", "reference[pod] n"),
                ("port", "int"),
                ("protocol", "string n"),
                ("serviceId", "reference[service] n"),
            ],
        ),
        Type::part(
            "resourceClaim",
            &[("name", "string cun"), ("request", "string cun")],
        ),
        Type::part(
            "resourceFieldSelector",
            &[
                ("containerName", "string cun"),
                ("divisor", "string cun"),
                ("resource", "string cun"),
            ],
        ),
        Type::part(
            "resourceRequirements",
            &[
                ("claims", "array[resourceClaim] cun"),
                ("limits", "map[string] cun"),
                ("requests", "map[string] cun"),
            ],
        ),
        Type::part(
            "secretKeySelector",
            &[
                ("key", "string cun"),
                ("name", "string cun"),
                ("optional", "boolean cun"),
            ],
        ),
        Type::part(
            "taint",
            &[
                ("effect", "string cun"),
                ("key", "string cun"),
                ("timeAdded", "date cun"),
                ("value", "string cun"),
            ],
        ),
        Type::part(
            "toleration",
            &[
                ("effect", "string cun"),
                ("key", "string cun"),
                ("operator", "string cun"),
                ("tolerationSeconds", "int cun"),
                ("value", "string cun"),
            ],
        ),
        Type::part(
            "weightedPodAffinityTerm",
            &[
                ("podAffinityTerm", "podAffinityTerm cun"),
                ("weight", "int cu"),
            ],
        ),
    ]
}
