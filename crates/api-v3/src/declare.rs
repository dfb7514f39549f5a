//! All types of the API, one declaration each.
//!
//! To add a type: declare it in the file of its concept and give it a
//! behaviour if it does more than map to its Kubernetes kind. Schemas, lists,
//! validation, filters, links and routes follow from the declaration.

mod access;
mod api_service;
mod autoscaler;
mod cli_login;
mod cluster;
mod config;
mod credential;
mod hosted;
mod ingress;
mod kubernetes;
mod namespace;
mod node;
mod pod_security;
mod project;
mod review;
mod service;
mod settings;
mod sign_in;
mod storage;
mod volumes;
mod workload;

use crate::schema::Type;

/// Every type, in no particular order.
pub(crate) fn all() -> Vec<Type> {
    let mut types = Vec::new();
    types.extend(access::types());
    types.extend(api_service::types());
    types.extend(autoscaler::types());
    types.extend(cli_login::types());
    types.extend(cluster::types());
    types.extend(config::types());
    types.extend(credential::types());
    types.extend(hosted::types());
    types.extend(ingress::types());
    types.extend(kubernetes::types());
    types.extend(namespace::types());
    types.extend(node::types());
    types.extend(pod_security::types());
    types.extend(project::types());
    types.extend(review::types());
    types.extend(service::types());
    types.extend(settings::types());
    types.extend(sign_in::types());
    types.extend(storage::types());
    types.extend(volumes::types());
    types.extend(workload::types());
    types.push(subscribe());
    types
}

/// The event stream; not a resource, but found among the schemas.
fn subscribe() -> Type {
    Type::part(
        "subscribe",
        &[
            ("apiVersions", "array[string] cun"),
            ("projectId", "reference[/v3/schemas/project] cun"),
            ("resourceTypes", "array[string] cun"),
        ],
    )
}

/// The types that describe the API itself, at `/meta`.
pub(crate) fn meta() -> Vec<Type> {
    vec![
        Type::part(
            "apiRoot",
            &[("apiVersion", "map[json]"), ("path", "string")],
        ),
        Type::part(
            "collection",
            &[
                ("data", "array[json]"),
                ("pagination", "map[json]"),
                ("sort", "map[json]"),
                ("filters", "map[json]"),
                ("createTypes", "map[string]"),
                ("resourceType", "string"),
            ],
        ),
        Type::part(
            "error",
            &[
                ("code", "string"),
                ("detail", "string n"),
                ("fieldName", "string n"),
                ("message", "string n"),
                ("status", "int"),
            ],
        ),
        Type::part(
            "schema",
            &[
                ("collectionActions", "map[json]"),
                ("collectionFilters", "map[json]"),
                ("collectionMethods", "array[string]"),
                ("pluralName", "string"),
                ("resourceActions", "map[json]"),
                ("resourceFields", "map[json]"),
                ("resourceMethods", "array[string]"),
                ("version", "map[json]"),
            ],
        ),
        subscribe(),
    ]
}
