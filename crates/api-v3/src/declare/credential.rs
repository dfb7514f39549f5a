//! Credentials for clouds.

use crate::schema::{Behaviour, Layout, Naming, Object, Type};

pub(super) fn types() -> Vec<Type> {
    let object = Object {
        kind: "Secret",
        resource: "secrets",
        namespaced: true,
        layout: Layout::Flat,
    };
    let mut kind = Type::object(
        "cloudCredential",
        object,
        Naming::Display,
        &[
            ("description", "string cun"),
            ("name", "string cun"),
            ("s3credentialConfig", "s3CredentialConfig cun"),
        ],
    )
    .behaves(Behaviour::CloudCredential)
    .at("description", &[])
    .at("name", &[])
    .at("s3credentialConfig", &[]);
    // All lie in one namespace, which is part of their identifiers.
    kind.fields.retain(|field| field.name != "namespaceId");
    vec![
        kind,
        Type::part(
            "s3CredentialConfig",
            &[
                ("accessKey", "string curn"),
                ("defaultBucket", "string cun"),
                ("defaultEndpoint", "string cun"),
                ("defaultEndpointCA", "string cun"),
                ("defaultFolder", "string cun"),
                ("defaultRegion", "string cun"),
                ("defaultSkipSSLVerify", "string cun"),
                ("secretKey", "password curn"),
            ],
        ),
    ]
}
