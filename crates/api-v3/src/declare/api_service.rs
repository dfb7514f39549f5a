//! What else serves parts of a cluster's API.

use crate::schema::{Base, Layout, Naming, Object, Type};

pub(super) fn types() -> Vec<Type> {
    let object = Object {
        kind: "APIService",
        resource: "apiservices",
        namespaced: false,
        layout: Layout::SpecAndStatus,
    };
    let service = Type::object(
        "apiService",
        object,
        Naming::Object,
        &[
            ("caBundle", "base64 cun"),
            ("conditions", "array[apiServiceCondition] n"),
            ("group", "string cun"),
            ("groupPriorityMinimum", "int cu"),
            ("insecureSkipTLSVerify", "boolean cu"),
            ("service", "serviceReference cun"),
            ("version", "string cun"),
            ("versionPriority", "int cu"),
        ],
    )
    .stateful()
    .inside(Base::Cluster, "apiregistration.k8s.io/v1");
    let parts: [(_, &[_]); 2] = [
        (
            "apiServiceCondition",
            &[
                ("lastTransitionTime", "date cun"),
                ("message", "string cun"),
                ("reason", "string cun"),
                ("status", "string cun"),
                ("type", "string cun"),
            ],
        ),
        (
            "serviceReference",
            &[
                ("name", "string cun"),
                ("namespace", "string cun"),
                ("port", "int cun"),
            ],
        ),
    ];
    let parts = parts.into_iter().map(|(id, fields)| {
        let mut part = Type::part(id, fields);
        part.base = Base::Cluster;
        part
    });
    parts.chain([service]).collect()
}
