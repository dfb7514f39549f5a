//! Projects: groups of namespaces of a cluster.

use crate::schema::{Action, Behaviour, Layout, Naming, Object, Type};

pub(super) fn types() -> Vec<Type> {
    let mut types = vec![project()];
    types.extend(parts());
    types
}

fn project() -> Type {
    Type::object(
        "project",
        Object {
            kind: "Project",
            resource: "projects",
            namespaced: true,
            layout: Layout::SpecAndStatus,
        },
        Naming::Display,
        &[
            ("backingNamespace", "string n"),
            ("clusterId", "reference[cluster] curn"),
            ("conditions", "array[projectCondition] n"),
            (
                "containerDefaultResourceLimit",
                "containerResourceLimit cun",
            ),
            ("description", "string cun"),
            ("name", "string curn"),
            (
                "namespaceDefaultResourceQuota",
                "namespaceResourceQuota cun",
            ),
            ("resourceQuota", "projectResourceQuota cun"),
        ],
    )
    .stateful()
    .behaves(Behaviour::Project)
    .action(Action::new("exportYaml", None, None))
}

fn parts() -> Vec<Type> {
    vec![
        Type::part(
            "containerResourceLimit",
            &[
                ("limitsCpu", "string cun"),
                ("limitsMemory", "string cun"),
                ("requestsCpu", "string cun"),
                ("requestsMemory", "string cun"),
            ],
        ),
        Type::part(
            "namespaceResourceQuota",
            &[("limit", "resourceQuotaLimit cun")],
        ),
        Type::part(
            "projectCondition",
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
            "projectResourceQuota",
            &[
                ("limit", "resourceQuotaLimit cun"),
                ("usedLimit", "resourceQuotaLimit cun"),
            ],
        ),
        Type::part(
            "resourceQuotaLimit",
            &[
                ("configMaps", "string cun"),
                ("extended", "map[string] cun"),
                ("limitsCpu", "string cun"),
                ("limitsMemory", "string cun"),
                ("persistentVolumeClaims", "string cun"),
                ("pods", "string cun"),
                ("replicationControllers", "string cun"),
                ("requestsCpu", "string cun"),
                ("requestsMemory", "string cun"),
                ("requestsStorage", "string cun"),
                ("secrets", "string cun"),
                ("services", "string cun"),
                ("servicesLoadBalancers", "string cun"),
                ("servicesNodePorts", "string cun"),
            ],
        ),
    ]
}
