//! Configuration of what runs in projects: ConfigMaps, and Secrets by what they hold.
//!
//! A Secret of a project lies on the hub and is copied into the project's namespaces; a `namespaced...` one lies in one
//! namespace alone. Both have the same fields.

use crate::schema::{Base, Declared, Layout, Naming, Object, Secret, Type};

const SECRETS: Object = Object {
    kind: "Secret",
    resource: "secrets",
    namespaced: true,
    layout: Layout::Flat,
};

const ANY: &[Declared] = &[
    ("data", "map[base64] cun"),
    ("description", "string cun"),
    ("immutable", "boolean cun"),
    (
        "kind",
        "string cun options=Opaque|serviceAccountToken|dockerCredential|basicAuth|sshAuth|certificate",
    ),
    ("projectId", "reference[/v3/schemas/project] cn"),
    ("stringData", "map[string] cun"),
];
const DOCKER: &[Declared] = &[
    ("description", "string cun"),
    ("projectId", "reference[/v3/schemas/project] cn"),
    ("registries", "map[registryCredential] cun"),
];
const CERTIFICATE: &[Declared] = &[
    ("algorithm", "string n"),
    ("certFingerprint", "string n"),
    ("certs", "string cun"),
    ("cn", "string n"),
    ("description", "string cun"),
    ("expiresAt", "string n"),
    ("issuedAt", "string n"),
    ("issuer", "string n"),
    ("key", "string cunw"),
    ("keySize", "string n"),
    ("projectId", "reference[/v3/schemas/project] cn"),
    ("serialNumber", "string n"),
    ("subjectAlternativeNames", "array[string] n"),
    ("version", "string n"),
];
const BASIC: &[Declared] = &[
    ("description", "string cun"),
    ("password", "string cunw"),
    ("projectId", "reference[/v3/schemas/project] cn"),
    ("username", "string cun"),
];
const SSH: &[Declared] = &[
    ("certFingerprint", "string n"),
    ("description", "string cun"),
    ("privateKey", "string cunw"),
    ("projectId", "reference[/v3/schemas/project] cn"),
];
const ACCOUNT: &[Declared] = &[
    ("accountName", "string cun"),
    ("accountUid", "string cun"),
    ("caCrt", "string cun"),
    ("description", "string cun"),
    ("projectId", "reference[/v3/schemas/project] cn"),
    ("token", "string cunw"),
];

/// What a Secret holds, and the names of its type in the project and in one namespace.
const KINDS: [(Secret, &str, &str, &[Declared]); 6] = [
    (Secret::Any, "secret", "namespacedSecret", ANY),
    (
        Secret::Docker,
        "dockerCredential",
        "namespacedDockerCredential",
        DOCKER,
    ),
    (
        Secret::Certificate,
        "certificate",
        "namespacedCertificate",
        CERTIFICATE,
    ),
    (Secret::Basic, "basicAuth", "namespacedBasicAuth", BASIC),
    (Secret::Ssh, "sshAuth", "namespacedSshAuth", SSH),
    (
        Secret::Account,
        "serviceAccountToken",
        "namespacedServiceAccountToken",
        ACCOUNT,
    ),
];

pub(super) fn types() -> Vec<Type> {
    let mut registry = Type::part(
        "registryCredential",
        &[
            ("auth", "string cunw"),
            ("description", "string cun"),
            ("email", "string cun"),
            ("password", "string cunw"),
            ("username", "string cun"),
        ],
    );
    registry.base = Base::Project;
    let mut types = vec![config_map(), registry];
    for (holds, of_project, of_namespace, fields) in KINDS {
        let mut whole = secret(of_project, holds, fields);
        whole.on_hub = true;
        if let Some(place) = whole
            .fields
            .iter_mut()
            .find(|field| field.name == "namespaceId")
        {
            (place.required, place.nullable) = (false, true);
        }
        types.push(whole);
        types.push(secret(of_namespace, holds, fields));
    }
    types
}

fn config_map() -> Type {
    let object = Object {
        kind: "ConfigMap",
        resource: "configmaps",
        namespaced: true,
        layout: Layout::Flat,
    };
    Type::object(
        "configMap",
        object,
        Naming::Hostname,
        &[
            ("binaryData", "map[base64] cun"),
            ("data", "map[string] cun"),
            ("immutable", "boolean cun"),
            ("projectId", "reference[/v3/schemas/project] cn"),
        ],
    )
    .inside(Base::Project, "v1")
}

fn secret(id: &'static str, holds: Secret, fields: &[Declared]) -> Type {
    let naming = if holds == Secret::Any {
        Naming::Hostname
    } else {
        Naming::Object
    };
    let mut kind = Type::object(id, SECRETS, naming, fields).inside(Base::Project, "v1");
    kind.secret = Some(holds);
    // What lies in `data` and in annotations is read and written by `kinds::secret`.
    for (name, _) in fields {
        if !matches!(*name, "data" | "stringData" | "immutable") {
            kind = kind.at(name, &[]);
        }
    }
    kind
}
