//! What scales workloads by what they use.

use crate::schema::{Base, Declared, Form, Layout, Naming, Object, Type};

const PARTS: &[(&str, &[Declared])] = &[
    (
        "containerResourceMetricSource",
        &[
            ("container", "string cun"),
            ("name", "string cun"),
            ("target", "metricTarget cun"),
        ],
    ),
    (
        "crossVersionObjectReference",
        &[
            ("apiVersion", "string cun"),
            ("kind", "string cun"),
            ("name", "string cun"),
        ],
    ),
    (
        "horizontalPodAutoscalerBehavior",
        &[
            ("scaleDown", "hpaScalingRules cun"),
            ("scaleUp", "hpaScalingRules cun"),
        ],
    ),
    (
        "horizontalPodAutoscalerCondition",
        &[
            ("lastTransitionTime", "date cun"),
            ("message", "string cun"),
            ("reason", "string cun"),
            ("status", "string cun"),
            ("type", "string cun"),
        ],
    ),
    (
        "hpaScalingPolicy",
        &[
            ("periodSeconds", "int cu"),
            ("type", "string cun"),
            ("value", "int cu"),
        ],
    ),
    (
        "hpaScalingRules",
        &[
            ("policies", "array[hpaScalingPolicy] cun"),
            ("selectPolicy", "string cun"),
            ("stabilizationWindowSeconds", "int cun"),
            ("tolerance", "string cun"),
        ],
    ),
    (
        "metric",
        &[
            ("containerResource", "containerResourceMetricSource cun"),
            ("current", "metricValueStatus n"),
            ("describedObject", "crossVersionObjectReference cun"),
            ("name", "string cun"),
            ("selector", "labelSelector cun"),
            ("target", "metricTarget cun"),
            ("type", "enum cun options=Object|Pods|Resource|External"),
        ],
    ),
];
const VALUES: &[Declared] = &[
    ("averageValue", "string cun"),
    ("utilization", "int cun"),
    ("value", "string cun"),
];

pub(super) fn types() -> Vec<Type> {
    let target = [
        VALUES,
        &[("type", "enum cun options=Utilization|Value|AverageValue")],
    ]
    .concat();
    let mut types: Vec<Type> = PARTS
        .iter()
        .map(|(id, fields)| Type::part(id, fields))
        .collect();
    for (id, fields) in [
        ("metricTarget", target.as_slice()),
        ("metricValueStatus", VALUES),
    ] {
        types.push(Type::part(id, fields).at("utilization", &["averageUtilization"]));
    }
    for part in &mut types {
        part.base = Base::Project;
    }
    types.push(autoscaler());
    types
}

fn autoscaler() -> Type {
    let object = Object {
        kind: "HorizontalPodAutoscaler",
        resource: "horizontalpodautoscalers",
        namespaced: true,
        layout: Layout::SpecAndStatus,
    };
    Type::object(
        "horizontalPodAutoscaler",
        object,
        Naming::Display,
        &[
            ("behavior", "horizontalPodAutoscalerBehavior cun"),
            ("conditions", "array[horizontalPodAutoscalerCondition] n"),
            ("currentReplicas", "int"),
            ("description", "string cun"),
            ("desiredReplicas", "int"),
            ("lastScaleTime", "date n"),
            ("maxReplicas", "int cur"),
            ("metrics", "array[metric] cun"),
            ("minReplicas", "int cun"),
            ("name", "string cun"),
            ("observedGeneration", "int n"),
            ("projectId", "reference[/v3/schemas/project] cn"),
            ("workloadId", "reference[workload] curn"),
        ],
    )
    .stateful()
    .inside(Base::Project, "autoscaling/v2")
    .formed(Form::Autoscaler)
    .at("description", &[])
    .at("workloadId", &["spec", "workloadId"])
}
