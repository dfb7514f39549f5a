//! Questions about rights. These are ours; the peer has no such types.

use crate::schema::{Action, Behaviour, Type};

pub(super) fn types() -> Vec<Type> {
    let mut review = Type::virtual_resource(
        "accessReview",
        &[
            ("allowed", "boolean"),
            ("apiGroup", "string cn"),
            ("binding", "string n"),
            ("clusterId", "reference[cluster] cn"),
            ("groups", "array[string] n"),
            ("missing", "array[string] n"),
            ("namespace", "string cn"),
            ("objectName", "string cn"),
            ("resource", "string crn"),
            ("roles", "array[string] n"),
            ("rule", "string n"),
            ("userId", "reference[user] cn"),
            ("verb", "string crn"),
        ],
    )
    .behaves(Behaviour::AccessReview)
    .collection_action(Action::new(
        "whoCan",
        Some("accessReview"),
        Some("accessHolders"),
    ));
    review.collection_methods = &["POST"];
    review.resource_methods = &[];
    vec![
        review,
        Type::part("accessHolders", &[("data", "array[accessHolder] n")]),
        Type::part(
            "accessHolder",
            &[
                ("binding", "string n"),
                ("kind", "enum n options=user|principal|group"),
                ("name", "string n"),
                ("roles", "array[string] n"),
                ("rule", "string n"),
            ],
        ),
    ]
}
