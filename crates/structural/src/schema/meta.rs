//! The schema of object metadata, for kinds whose own schema does not say it.
//!
//! A CRD may say nothing about metadata but `name` and `generateName`; what metadata is, and how its lists merge, is
//! the same for every kind (k8s.io/apimachinery `meta/v1/types.go`, v0.36).

use std::sync::{Arc, OnceLock};

use super::{Additional, Child, Document, Kind, ListType, MapType, Node, Schema, View};

fn scalar(kind: Kind) -> Child {
    Child::Inline(Arc::new(Node {
        kind: Some(kind),
        ..Node::default()
    }))
}

fn time() -> Child {
    Child::Inline(Arc::new(Node {
        kind: Some(Kind::String),
        nullable: true,
        constraints: Some(Box::new(super::Constraints {
            format: Some("date-time".into()),
            ..Default::default()
        })),
        ..Node::default()
    }))
}

fn object(fields: Vec<(&str, Child)>) -> Node {
    let mut properties: Vec<(Box<str>, Child)> = fields
        .into_iter()
        .map(|(name, child)| (name.into(), child))
        .collect();
    properties.sort_by(|a, b| a.0.cmp(&b.0));
    Node {
        kind: Some(Kind::Object),
        properties: properties.into(),
        ..Node::default()
    }
}

fn list(items: Child) -> Node {
    Node {
        kind: Some(Kind::Array),
        items: Some(items),
        ..Node::default()
    }
}

fn string_map() -> Child {
    Child::Inline(Arc::new(Node {
        kind: Some(Kind::Object),
        additional: Additional::Schema(scalar(Kind::String)),
        ..Node::default()
    }))
}

fn build() -> Node {
    let owner = Node {
        map_type: Some(MapType::Atomic),
        required: ["apiVersion", "kind", "name", "uid"].map(Into::into).into(),
        ..object(vec![
            ("apiVersion", scalar(Kind::String)),
            ("kind", scalar(Kind::String)),
            ("name", scalar(Kind::String)),
            ("uid", scalar(Kind::String)),
            ("controller", scalar(Kind::Boolean)),
            ("blockOwnerDeletion", scalar(Kind::Boolean)),
        ])
    };
    let managed = object(vec![
        ("apiVersion", scalar(Kind::String)),
        ("fieldsType", scalar(Kind::String)),
        (
            "fieldsV1",
            Child::Inline(Arc::new(Node {
                preserve_unknown: true,
                ..object(vec![])
            })),
        ),
        ("manager", scalar(Kind::String)),
        ("operation", scalar(Kind::String)),
        ("subresource", scalar(Kind::String)),
        ("time", time()),
    ]);
    object(vec![
        ("annotations", string_map()),
        ("creationTimestamp", time()),
        ("deletionGracePeriodSeconds", scalar(Kind::Integer)),
        ("deletionTimestamp", time()),
        (
            "finalizers",
            Child::Inline(Arc::new(Node {
                list_type: Some(ListType::Set),
                strategy: super::PatchStrategy {
                    merge: true,
                    ..Default::default()
                },
                ..list(scalar(Kind::String))
            })),
        ),
        ("generateName", scalar(Kind::String)),
        ("generation", scalar(Kind::Integer)),
        ("labels", string_map()),
        (
            "managedFields",
            Child::Inline(Arc::new(Node {
                list_type: Some(ListType::Atomic),
                ..list(Child::Inline(Arc::new(managed)))
            })),
        ),
        ("name", scalar(Kind::String)),
        ("namespace", scalar(Kind::String)),
        (
            "ownerReferences",
            Child::Inline(Arc::new(Node {
                list_type: Some(ListType::Map),
                list_keys: ["uid".into()].into(),
                merge_key: Some("uid".into()),
                strategy: super::PatchStrategy {
                    merge: true,
                    ..Default::default()
                },
                ..list(Child::Inline(Arc::new(owner)))
            })),
        ),
        ("resourceVersion", scalar(Kind::String)),
        ("selfLink", scalar(Kind::String)),
        ("uid", scalar(Kind::String)),
    ])
}

fn shared() -> &'static (Arc<Node>, Arc<Node>, Arc<Document>) {
    static SHARED: OnceLock<(Arc<Node>, Arc<Node>, Arc<Document>)> = OnceLock::new();
    SHARED.get_or_init(|| {
        let text = Node {
            kind: Some(Kind::String),
            ..Node::default()
        };
        (Arc::new(build()), Arc::new(text), Arc::default())
    })
}

impl Schema {
    /// The schema of `metadata`, the same for every kind.
    #[must_use]
    pub fn object_meta() -> Self {
        let (meta, _, document) = shared();
        Self {
            document: Arc::clone(document),
            root: Arc::clone(meta),
        }
    }
}

/// The schema of `apiVersion`, `kind` and `metadata` of a resource.
pub(crate) fn resource_property(name: &str) -> Option<View<'static>> {
    let (meta, text, document) = shared();
    let node = match name {
        "metadata" => meta,
        "apiVersion" | "kind" => text,
        _ => return None,
    };
    Some(View {
        document,
        node,
        overlay: None,
    })
}
