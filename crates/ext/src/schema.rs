//! The kinds of the group in OpenAPI, for `kubectl explain` and for forms.
//!
//! Field by field what this server reads and shows (reference api-v3-and-auth section 4.8).

use serde_json::{Map, Value, json};

use crate::{GROUP, VERSION};

/// Where the document lies in the local cluster's API.
pub const PATH: &str = "/openapi/v3/apis/ext.cattle.io/v1";

/// Name, type, and what it is.
type Field = (&'static str, Kind, &'static str);

#[derive(Clone, Copy, Debug)]
enum Kind {
    Text,
    Time,
    Flag,
    Number,
    Texts,
    Conditions,
    /// An object with fields of its own.
    Object(&'static [Field]),
}

use Kind::{Conditions, Flag, Number, Object, Text, Texts, Time};

const CONDITION: &[Field] = &[
    ("type", Text, "What it is about."),
    ("status", Text, "True, False or Unknown."),
    ("reason", Text, "Why, in one word."),
    ("message", Text, "Why, for people."),
    ("lastTransitionTime", Time, "Since when it has this status."),
];

const PRINCIPAL: &[Field] = &[
    (
        "metadata",
        Object(&[("name", Text, "The principal's id.")]),
        "Its name.",
    ),
    ("displayName", Text, "Name for people."),
    ("loginName", Text, "Name at login."),
    ("me", Flag, "Whether it is who asks."),
    ("principalType", Text, "user or group."),
    ("provider", Text, "The provider that knows it."),
];

/// Kind, fields of the specification, fields of the status.
const KINDS: [(&str, &[Field], &[Field]); 6] = [
    (
        "GroupMembershipRefreshRequest",
        &[(
            "userId",
            Text,
            "The user whose groups are asked for anew; * for all.",
        )],
        &[
            ("conditions", Conditions, "What came of it."),
            ("summary", Text, "What came of it, in one word."),
        ],
    ),
    (
        "Kubeconfig",
        &[
            (
                "clusters",
                Texts,
                "Ids of clusters; * for all that its owner sees.",
            ),
            (
                "currentContext",
                Text,
                "Id of the cluster that is used unless another is named.",
            ),
            ("description", Text, "What it is for."),
            (
                "includeDefaultEntry",
                Flag,
                "Whether the hub itself is in it.",
            ),
            ("ttl", Number, "Seconds that its tokens are good for."),
        ],
        &[
            ("conditions", Conditions, "What was done to it."),
            ("summary", Text, "Whether it is complete."),
            ("tokens", Texts, "Names of its tokens."),
            (
                "value",
                Text,
                "The file; in the answer to its making alone.",
            ),
        ],
    ),
    (
        "PasswordChangeRequest",
        &[
            (
                "currentPassword",
                Text,
                "The caller's own password, where it is changed.",
            ),
            ("newPassword", Text, "The password from now on."),
            ("userID", Text, "Whose password it is."),
        ],
        &[
            ("conditions", Conditions, "What came of it."),
            ("summary", Text, "What came of it, in one word."),
        ],
    ),
    ("SelfUser", &[], &[("userID", Text, "Who asks.")]),
    (
        "Token",
        &[
            (
                "clusterName",
                Text,
                "The only cluster it is good for; empty for all.",
            ),
            ("description", Text, "What it is for."),
            ("enabled", Flag, "Whether it lets anybody in."),
            ("kind", Text, "What it was made by; empty for people."),
            (
                "ttl",
                Number,
                "Milliseconds that it is good for; negative for ever.",
            ),
            ("userID", Text, "Whose it is."),
            (
                "userPrincipal",
                Object(PRINCIPAL),
                "Who its owner is to the provider of the login.",
            ),
        ],
        &[
            (
                "bearerToken",
                Text,
                "What a client sends; in the answer to its making alone.",
            ),
            ("current", Flag, "Whether the request was made with it."),
            ("expired", Flag, "Whether its time is over."),
            ("expiresAt", Text, "When that is; empty for never."),
            ("hash", Text, "Not shown."),
            ("lastActivitySeen", Time, "When its owner was last seen."),
            ("lastUpdateTime", Text, "When it was last changed."),
            ("lastUsedAt", Time, "When it was last used."),
            ("value", Text, "The key; in the answer to its making alone."),
        ],
    ),
    (
        "UserActivity",
        &[(
            "seenAt",
            Text,
            "When somebody was seen at the session; now unless it is said.",
        )],
        &[(
            "expiresAt",
            Text,
            "When the session ends unless somebody is seen again.",
        )],
    ),
];

fn property(kind: Kind, description: &str) -> Value {
    let mut property = match kind {
        Text => json!({"type": "string"}),
        Time => json!({"type": "string", "format": "date-time"}),
        Flag => json!({"type": "boolean"}),
        Number => json!({"type": "integer", "format": "int64"}),
        Texts => json!({"type": "array", "items": {"type": "string"}}),
        Conditions => json!({"type": "array", "items": object(CONDITION)}),
        Object(fields) => object(fields),
    };
    property["description"] = json!(description);
    property
}

fn object(fields: &[Field]) -> Value {
    let properties: Map<String, Value> = fields
        .iter()
        .map(|(name, kind, description)| ((*name).to_owned(), property(*kind, description)))
        .collect();
    json!({"type": "object", "properties": properties})
}

/// Metadata as every object of Kubernetes has it, as far as this group shows it.
fn metadata() -> Value {
    let maps = json!({"type": "object", "additionalProperties": {"type": "string"}});
    let mut metadata = object(&[
        ("name", Text, "Name of the object."),
        ("generateName", Text, "What made-up names begin with."),
        ("uid", Text, "What tells it from others of its name."),
        ("resourceVersion", Text, "What it was read at."),
        ("creationTimestamp", Time, "When it was made."),
    ]);
    for name in ["labels", "annotations"] {
        metadata["properties"][name] = maps.clone();
    }
    metadata
}

/// The document of the group's version.
#[must_use]
pub fn document() -> Value {
    let mut schemas = Map::new();
    for (kind, spec, status) in KINDS {
        let mut schema = object(&[
            ("apiVersion", Text, "ext.cattle.io/v1."),
            ("kind", Text, "The kind of the object."),
        ]);
        let properties = &mut schema["properties"];
        properties["metadata"] = metadata();
        for (name, fields, description) in [
            ("spec", spec, "What is asked for."),
            ("status", status, "What came of it."),
        ] {
            if !fields.is_empty() {
                properties[name] = property(Object(fields), description);
            }
        }
        schema["x-kubernetes-group-version-kind"] =
            json!([{"group": GROUP, "version": VERSION, "kind": kind}]);
        schemas.insert(format!("io.cattle.ext.{VERSION}.{kind}"), schema);
    }
    json!({
        "openapi": "3.0.0", "info": {"title": "Kubernetes", "version": "unversioned"},
        "paths": crate::discovery::paths(),
        "components": {"schemas": schemas},
    })
}

/// Whether a path of the local cluster's API is that of [`document`].
#[must_use]
pub fn is_document(path: &str) -> bool {
    path.trim_end_matches('/') == PATH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_the_group_is_described() {
        let document = document();
        let schemas = document["components"]["schemas"].as_object().unwrap();
        let resources = crate::discovery::resources();
        let kinds = resources["resources"].as_array().unwrap();
        assert_eq!(schemas.len(), kinds.len());
        for kind in kinds {
            let kind = kind["kind"].as_str().unwrap();
            let schema = &schemas[&format!("io.cattle.ext.v1.{kind}")];
            assert_eq!(schema["x-kubernetes-group-version-kind"][0]["kind"], kind);
            assert_eq!(schema["properties"]["metadata"]["type"], "object");
        }
        let token = &schemas["io.cattle.ext.v1.Token"]["properties"];
        assert_eq!(token["spec"]["properties"]["ttl"]["type"], "integer");
        assert!(is_document("/openapi/v3/apis/ext.cattle.io/v1/"));
        assert!(!is_document("/openapi/v3/apis/ext.cattle.io"));
    }
}
