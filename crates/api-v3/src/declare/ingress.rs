//! Ingresses of projects. A path leads to a Service, or to a workload, for which a Service is made.

use crate::schema::{Base, Declared, Form, Layout, Naming, Object, Type};

const BACKEND: &[Declared] = &[
    ("resource", "typedLocalObjectReference cun"),
    ("service", "ingressServiceBackend cun"),
    ("serviceId", "reference[service] cun"),
    ("targetPort", "intOrString cun"),
    ("workloadIds", "array[reference[workload]] cun"),
];
const PARTS: &[(&str, &[Declared])] = &[
    (
        "ingressLoadBalancerIngress",
        &[
            ("hostname", "string cun"),
            ("ip", "string cun"),
            ("ports", "array[ingressPortStatus] cun"),
        ],
    ),
    (
        "ingressLoadBalancerStatus",
        &[("ingress", "array[ingressLoadBalancerIngress] cun")],
    ),
    (
        "ingressPortStatus",
        &[
            ("error", "string cun"),
            ("port", "int cu"),
            ("protocol", "string cun"),
        ],
    ),
    (
        "ingressRule",
        &[
            ("host", "string cun"),
            ("paths", "array[httpIngressPath] cun"),
        ],
    ),
    (
        "ingressServiceBackend",
        &[("name", "string cun"), ("port", "serviceBackendPort cun")],
    ),
    (
        "ingressStatus",
        &[("loadBalancer", "ingressLoadBalancerStatus n")],
    ),
    (
        "serviceBackendPort",
        &[("name", "string cun"), ("number", "int cu")],
    ),
];

pub(super) fn types() -> Vec<Type> {
    let mut types: Vec<Type> = PARTS
        .iter()
        .map(|(id, fields)| Type::part(id, fields))
        .collect();
    let path: &[Declared] = &[("path", "string cun"), ("pathType", "string cun")];
    types.extend([
        backend("ingressBackend", BACKEND),
        backend("httpIngressPath", &[BACKEND, path].concat()),
        Type::part(
            "ingressTLS",
            &[
                ("certificateId", "reference[certificate] cun"),
                ("hosts", "array[string] cun"),
            ],
        )
        .at("certificateId", &["certificateId"]),
    ]);
    for part in &mut types {
        part.base = Base::Project;
    }
    types.push(ingress());
    types
}

/// Where a backend leads to is told by names that no object has; `kinds::form` writes and reads them.
fn backend(id: &'static str, fields: &[Declared]) -> Type {
    Type::part(id, fields)
        .at("serviceId", &["serviceId"])
        .at("workloadIds", &["workloadIds"])
}

fn ingress() -> Type {
    let object = Object {
        kind: "Ingress",
        resource: "ingresses",
        namespaced: true,
        layout: Layout::Spec,
    };
    Type::object(
        "ingress",
        object,
        Naming::Hostname,
        &[
            ("backend", "ingressBackend cun"),
            ("defaultBackend", "ingressBackend cun"),
            ("description", "string cun"),
            ("ingressClassName", "string cun"),
            ("projectId", "reference[/v3/schemas/project] cn"),
            ("publicEndpoints", "array[publicEndpoint] n"),
            ("rules", "array[ingressRule] cun"),
            ("status", "ingressStatus n"),
            ("tls", "array[ingressTLS] cun"),
        ],
    )
    .stateful()
    .inside(Base::Project, "networking.k8s.io/v1")
    .formed(Form::Ingress)
    .at("description", &[])
    .at(
        "publicEndpoints",
        &["metadata", "annotations", "field.cattle.io/publicEndpoints"],
    )
}
