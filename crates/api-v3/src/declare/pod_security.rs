//! Templates of pod security.

use crate::schema::{Behaviour, Layout, Naming, Object, Type};

pub(super) fn types() -> Vec<Type> {
    let object = Object {
        kind: "PodSecurityAdmissionConfigurationTemplate",
        resource: "podsecurityadmissionconfigurationtemplates",
        namespaced: false,
        layout: Layout::Flat,
    };
    let levels = [
        ("audit", "string cun"),
        ("audit-version", "string cun"),
        ("enforce", "string cun"),
        ("enforce-version", "string cun"),
        ("warn", "string cun"),
        ("warn-version", "string cun"),
    ];
    vec![
        Type::object(
            "podSecurityAdmissionConfigurationTemplate",
            object,
            Naming::Object,
            &[
                (
                    "configuration",
                    "podSecurityAdmissionConfigurationTemplateSpec cun",
                ),
                ("description", "string cun"),
            ],
        )
        .behaves(Behaviour::PodSecurity),
        Type::part(
            "podSecurityAdmissionConfigurationTemplateSpec",
            &[
                (
                    "defaults",
                    "podSecurityAdmissionConfigurationTemplateDefaults cun",
                ),
                (
                    "exemptions",
                    "podSecurityAdmissionConfigurationTemplateExemptions cun",
                ),
            ],
        ),
        Type::part("podSecurityAdmissionConfigurationTemplateDefaults", &levels),
        Type::part(
            "podSecurityAdmissionConfigurationTemplateExemptions",
            &[
                ("namespaces", "array[string] cun"),
                ("runtimeClasses", "array[string] cun"),
                ("usernames", "array[string] cun"),
            ],
        ),
    ]
}
