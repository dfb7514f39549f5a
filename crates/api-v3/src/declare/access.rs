//! People, what they act with, and what they may do.

use crate::schema::{Action, Behaviour, Layout, Naming, Object, Type};

pub(super) fn types() -> Vec<Type> {
    let mut types = vec![
        user(),
        principal(),
        token(),
        global_role(),
        global_role_binding(),
        role_template(),
        cluster_binding(),
        project_binding(),
    ];
    types.extend(parts());
    types
}

fn user() -> Type {
    Type::object(
        "user",
        Object {
            kind: "User",
            resource: "users",
            namespaced: false,
            layout: Layout::Flat,
        },
        Naming::Display,
        &[
            ("conditions", "array[userCondition] n"),
            ("description", "string cun"),
            ("enabled", "boolean cun default=true"),
            ("me", "boolean"),
            ("mustChangePassword", "boolean cu"),
            ("name", "string cun"),
            ("password", "string cnw"),
            ("principalIds", "array[reference[principal]] cun"),
            ("username", "string cun"),
        ],
    )
    .behaves(Behaviour::User)
    .at("principalIds", &["principalIds"])
    .at("conditions", &["status", "conditions"])
    .at("password", &[])
    .at("me", &[])
    .action(Action::new("refreshauthprovideraccess", None, None))
    .action(Action::new(
        "setpassword",
        Some("setPasswordInput"),
        Some("user"),
    ))
    .collection_action(Action::new(
        "changepassword",
        Some("changePasswordInput"),
        None,
    ))
    .collection_action(Action::new("refreshauthprovideraccess", None, None))
}

fn principal() -> Type {
    Type::virtual_resource(
        "principal",
        &[
            ("extraInfo", "map[string] cun"),
            ("loginName", "string cun"),
            ("me", "boolean cu"),
            ("memberOf", "boolean cu"),
            ("name", "string cun"),
            ("principalType", "string cun"),
            ("profilePicture", "string cun"),
            ("profileURL", "string cun"),
            ("provider", "string cun"),
        ],
    )
    .behaves(Behaviour::Principal)
    .collection_action(Action::new(
        "search",
        Some("searchPrincipalsInput"),
        Some("collection"),
    ))
}

fn token() -> Type {
    Type::object(
        "token",
        Object {
            kind: "Token",
            resource: "tokens",
            namespaced: false,
            layout: Layout::Flat,
        },
        Naming::Object,
        &[
            ("activityLastSeenAt", "date cun"),
            ("authProvider", "string cun"),
            ("clusterId", "reference[cluster] cn"),
            ("current", "boolean cu"),
            ("description", "string cun"),
            ("enabled", "boolean cun default=true"),
            ("expired", "boolean cu"),
            ("expiresAt", "string cun"),
            ("groupPrincipals", "array[reference[principal]] cun"),
            ("isDerived", "boolean cu"),
            ("lastUsedAt", "date cun"),
            ("providerInfo", "map[string] cun"),
            ("token", "string cnw"),
            ("ttl", "int cu"),
            ("userId", "reference[user] cun"),
            ("userPrincipal", "reference[principal] cun"),
        ],
    )
    .behaves(Behaviour::Token)
    .at("userId", &["userId"])
    .collection_action(Action::new("logout", None, None))
    .collection_action(Action::new(
        "logoutAll",
        Some("authConfigLogoutInput"),
        Some("authConfigLogoutOutput"),
    ))
}

fn global_role() -> Type {
    Type::object(
        "globalRole",
        Object {
            kind: "GlobalRole",
            resource: "globalroles",
            namespaced: false,
            layout: Layout::Flat,
        },
        Naming::Display,
        &[
            ("builtin", "boolean"),
            ("description", "string cun"),
            ("inheritedClusterRoles", "array[string] cun"),
            (
                "inheritedFleetWorkspacePermissions",
                "fleetWorkspacePermission cun",
            ),
            ("inheritedNamespacedRules", "map[array[policyRule]] cun"),
            ("name", "string curn"),
            ("namespacedRules", "map[array[policyRule]] cun"),
            ("newUserDefault", "boolean cur"),
            ("rules", "array[policyRule] cun"),
            ("status", "globalRoleStatus"),
        ],
    )
    .behaves(Behaviour::GlobalRole)
}

fn global_role_binding() -> Type {
    Type::object(
        "globalRoleBinding",
        Object {
            kind: "GlobalRoleBinding",
            resource: "globalrolebindings",
            namespaced: false,
            layout: Layout::Flat,
        },
        Naming::Object,
        &[
            ("globalRoleId", "reference[globalRole] crn"),
            ("groupPrincipalId", "reference[principal] cn"),
            ("status", "globalRoleBindingStatus n"),
            ("userId", "reference[user] cn"),
            ("userPrincipalId", "reference[principal] cn"),
        ],
    )
    .behaves(Behaviour::GlobalRoleBinding)
}

fn role_template() -> Type {
    Type::object(
        "roleTemplate",
        Object {
            kind: "RoleTemplate",
            resource: "roletemplates",
            namespaced: false,
            layout: Layout::Flat,
        },
        Naming::Display,
        &[
            ("administrative", "boolean cu"),
            ("builtin", "boolean"),
            ("clusterCreatorDefault", "boolean cur"),
            ("context", "string cun options=project|cluster"),
            ("description", "string cun"),
            ("external", "boolean cu"),
            ("externalRules", "array[policyRule] cun"),
            ("hidden", "boolean cu"),
            ("locked", "boolean cu"),
            ("name", "string curn"),
            ("projectCreatorDefault", "boolean cur"),
            ("roleTemplateIds", "array[reference[roleTemplate]] cun"),
            ("rules", "array[policyRule] cun"),
        ],
    )
    .behaves(Behaviour::RoleTemplate)
}

fn cluster_binding() -> Type {
    Type::object(
        "clusterRoleTemplateBinding",
        Object {
            kind: "ClusterRoleTemplateBinding",
            resource: "clusterroletemplatebindings",
            namespaced: true,
            layout: Layout::Flat,
        },
        Naming::Object,
        &[
            ("clusterId", "reference[cluster] crn"),
            ("groupId", "reference[group] cn"),
            ("groupPrincipalId", "reference[principal] cn"),
            ("roleTemplateId", "reference[roleTemplate] crn"),
            ("status", "clusterRoleTemplateBindingStatus n"),
            ("userId", "reference[user] cn"),
            ("userPrincipalId", "reference[principal] cn"),
        ],
    )
    .behaves(Behaviour::ClusterBinding)
}

fn project_binding() -> Type {
    Type::object(
        "projectRoleTemplateBinding",
        Object {
            kind: "ProjectRoleTemplateBinding",
            resource: "projectroletemplatebindings",
            namespaced: true,
            layout: Layout::Flat,
        },
        Naming::Object,
        &[
            ("groupId", "reference[group] cn"),
            ("groupPrincipalId", "reference[principal] cn"),
            ("projectId", "reference[project] crn"),
            ("roleTemplateId", "reference[roleTemplate] crn"),
            ("serviceAccount", "string n"),
            ("userId", "reference[user] cn"),
            ("userPrincipalId", "reference[principal] cn"),
        ],
    )
    .behaves(Behaviour::ProjectBinding)
}

fn parts() -> Vec<Type> {
    vec![
        Type::part(
            "authConfigLogoutInput",
            &[("finalRedirectUrl", "string cun")],
        ),
        Type::part(
            "authConfigLogoutOutput",
            &[("idpRedirectUrl", "string cun")],
        ),
        Type::part(
            "changePasswordInput",
            &[
                ("currentPassword", "string curn"),
                ("newPassword", "string curn"),
            ],
        ),
        Type::part(
            "clusterRoleTemplateBindingStatus",
            &[
                ("lastUpdateTime", "string n"),
                ("localConditions", "array[condition] n"),
                ("observedGenerationLocal", "int"),
                ("observedGenerationRemote", "int"),
                ("remoteConditions", "array[condition] n"),
                ("summary", "string n"),
                ("summaryLocal", "string n"),
                ("summaryRemote", "string n"),
            ],
        ),
        Type::part(
            "fleetWorkspacePermission",
            &[
                ("resourceRules", "array[policyRule] cun"),
                ("workspaceVerbs", "array[string] cun"),
            ],
        ),
        Type::part(
            "globalRoleBindingStatus",
            &[
                ("lastUpdateTime", "string n"),
                ("localConditions", "array[condition] n"),
                ("observedGenerationLocal", "int"),
                ("observedGenerationRemote", "int"),
                ("remoteConditions", "array[condition] n"),
                ("summary", "string n"),
                ("summaryLocal", "string n"),
                ("summaryRemote", "string n"),
            ],
        ),
        Type::part(
            "globalRoleStatus",
            &[
                ("conditions", "array[condition] n"),
                ("lastUpdateTime", "string n"),
                ("observedGeneration", "int"),
                ("summary", "string n"),
            ],
        ),
        Type::part(
            "policyRule",
            &[
                ("apiGroups", "array[string] cun"),
                ("nonResourceURLs", "array[string] cun"),
                ("resourceNames", "array[string] cun"),
                ("resources", "array[string] cun"),
                ("verbs", "array[string] cun"),
            ],
        ),
        Type::part(
            "searchPrincipalsInput",
            &[
                ("name", "string cur"),
                ("principalType", "enum cun options=user|group"),
            ],
        ),
        Type::part("setPasswordInput", &[("newPassword", "string curn")]),
        Type::part(
            "userCondition",
            &[
                ("lastTransitionTime", "string cun"),
                ("lastUpdateTime", "string cun"),
                ("message", "string cun"),
                ("reason", "string cun"),
                ("status", "string cun"),
                ("type", "string cun"),
            ],
        ),
    ]
}
