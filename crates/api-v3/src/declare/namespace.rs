//! Namespaces of clusters, in the API of each cluster.

use crate::schema::{Action, Base, Behaviour, Layout, Naming, Object, Type};

pub(super) fn types() -> Vec<Type> {
    let mut namespace = Type::object(
        "namespace",
        Object {
            kind: "Namespace",
            resource: "namespaces",
            namespaced: false,
            layout: Layout::Flat,
        },
        Naming::Object,
        &[
            (
                "containerDefaultResourceLimit",
                "containerResourceLimit cun",
            ),
            ("description", "string cun"),
            ("projectId", "reference[/v3/schemas/project] cn"),
            ("resourceQuota", "namespaceResourceQuota cun"),
        ],
    )
    .stateful()
    .behaves(Behaviour::Namespace)
    // These lie in annotations; `kinds::namespace` reads and writes them.
    .at("containerDefaultResourceLimit", &[])
    .at("description", &[])
    .at("projectId", &[])
    .at("resourceQuota", &[])
    .action(Action::new("move", Some("namespaceMove"), None));
    namespace.base = Base::Cluster;
    let mut moved = Type::part("namespaceMove", &[("projectId", "string cun")]);
    moved.base = Base::Cluster;
    vec![namespace, moved]
}
