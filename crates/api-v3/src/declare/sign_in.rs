//! Ways to sign in, and groups.
//!
//! A way to sign in is an `authConfig` whose field `type` names the type that it is shown as. To add one: declare it by
//! [`config`], with its own fields and what can be done with it.

use crate::schema::{Behaviour, Declared, Layout, Naming, Object, Type};

const AUTH_CONFIG: Object = Object {
    kind: "AuthConfig",
    resource: "authconfigs",
    namespaced: false,
    layout: Layout::Flat,
};

pub(super) fn types() -> Vec<Type> {
    let mut all = config("authConfig", &[]);
    all.collection_methods = &["GET"];
    all.resource_methods = &["GET", "PUT", "DELETE"];
    vec![
        all,
        config("localConfig", &[]),
        Type::part(
            "authConfigStatus",
            &[("conditions", "array[authConfigConditions] n")],
        ),
        Type::part(
            "authConfigConditions",
            &[
                ("lastTransitionTime", "string cun"),
                ("lastUpdateTime", "string cun"),
                ("message", "string cun"),
                ("reason", "string cun"),
                ("status", "string cun"),
                ("type", "string cun"),
            ],
        ),
        group(),
        group_member(),
    ]
}

/// A way to sign in, with fields of its own. It is listed among all of them, and only read if nothing else is said.
fn config(id: &'static str, own: &[Declared]) -> Type {
    let mut fields: Vec<Declared> = own.to_vec();
    fields.extend([
        (
            "accessMode",
            "enum cur options=required|restricted|unrestricted",
        ),
        ("allowedPrincipalIds", "array[reference[principal]] cun"),
        ("enabled", "boolean cu"),
        ("logoutAllSupported", "boolean cu"),
        ("status", "authConfigStatus n"),
        ("type", "string cn"),
    ]);
    let mut kind = Type::object(id, AUTH_CONFIG, Naming::Object, &fields)
        .behaves(Behaviour::AuthConfig)
        .at("allowedPrincipalIds", &["allowedPrincipalIds"]);
    kind.collection_methods = &[];
    kind.resource_methods = &["GET"];
    kind
}

fn group() -> Type {
    Type::object(
        "group",
        Object {
            kind: "Group",
            resource: "groups",
            namespaced: false,
            layout: Layout::Flat,
        },
        Naming::Display,
        &[
            ("externalId", "string cun"),
            ("name", "string cun"),
            ("provider", "string cun"),
        ],
    )
}

fn group_member() -> Type {
    Type::object(
        "groupMember",
        Object {
            kind: "GroupMember",
            resource: "groupmembers",
            namespaced: false,
            layout: Layout::Flat,
        },
        Naming::Object,
        &[
            ("groupId", "reference[group] cun"),
            ("principalId", "reference[principal] cun"),
        ],
    )
}
