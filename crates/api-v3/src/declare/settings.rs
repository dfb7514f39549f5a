//! Settings, features and what each person prefers.

use crate::schema::{Behaviour, Layout, Naming, Object, Type};

pub(super) fn types() -> Vec<Type> {
    let mut types = vec![setting(), feature(), preference()];
    types.extend(parts());
    types
}

fn setting() -> Type {
    Type::object(
        "setting",
        Object {
            kind: "Setting",
            resource: "settings",
            namespaced: false,
            layout: Layout::Flat,
        },
        Naming::ObjectRequired,
        &[
            ("customized", "boolean"),
            ("default", "string n"),
            ("source", "enum n options=db|default|env"),
            ("value", "string curn"),
        ],
    )
    .behaves(Behaviour::Setting)
}

fn feature() -> Type {
    Type::object(
        "feature",
        Object {
            kind: "Feature",
            resource: "features",
            namespaced: false,
            layout: Layout::Spec,
        },
        Naming::ObjectRequired,
        &[("status", "featureStatus n"), ("value", "boolean curn")],
    )
    .stateful()
    .behaves(Behaviour::Feature)
}

fn preference() -> Type {
    Type::object(
        "preference",
        Object {
            kind: "Preference",
            resource: "preferences",
            namespaced: true,
            layout: Layout::Flat,
        },
        Naming::ObjectRequired,
        &[("value", "string curn")],
    )
    .behaves(Behaviour::Preference)
}

fn parts() -> Vec<Type> {
    vec![Type::part(
        "featureStatus",
        &[
            ("default", "boolean"),
            ("description", "string n"),
            ("dynamic", "boolean"),
            ("lockedValue", "boolean n"),
            ("prime", "boolean"),
        ],
    )]
}
