//! Objects that are listed and watched before they are read as what they are, so that one which cannot be understood
//! hides no other.

use std::borrow::Cow;

use drover_types::lean;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::api::ApiResource;
use kube::core::DynamicResourceScope;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// An object of any kind. As `kube::core::DynamicObject`, in a third of the time: that one reads each field twice, and who
/// manages which.
#[derive(Clone, Debug)]
pub(super) struct Document {
    /// What following it needs: names, unique id and revision.
    metadata: ObjectMeta,
    /// All of it but its managed fields.
    object: Value,
}

impl Document {
    pub(super) fn is_being_deleted(&self) -> bool {
        self.object
            .pointer("/metadata/deletionTimestamp")
            .is_some_and(|time| !time.is_null())
    }

    /// The object as what it is.
    ///
    /// # Errors
    /// If it is something else.
    pub(super) fn read<K: DeserializeOwned>(self) -> serde_json::Result<K> {
        serde_json::from_value(self.object)
    }
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let object = lean::deserialize(deserializer)?;
        let text = |name: &str| {
            let value = object.get("metadata")?.get(name)?;
            value.as_str().map(str::to_owned)
        };
        let metadata = ObjectMeta {
            name: text("name"),
            namespace: text("namespace"),
            uid: text("uid"),
            resource_version: text("resourceVersion"),
            ..ObjectMeta::default()
        };
        Ok(Self { metadata, object })
    }
}

impl Resource for Document {
    type DynamicType = ApiResource;
    type Scope = DynamicResourceScope;

    fn kind(of: &ApiResource) -> Cow<'_, str> {
        Cow::Borrowed(&of.kind)
    }

    fn group(of: &ApiResource) -> Cow<'_, str> {
        Cow::Borrowed(&of.group)
    }

    fn version(of: &ApiResource) -> Cow<'_, str> {
        Cow::Borrowed(&of.version)
    }

    fn plural(of: &ApiResource) -> Cow<'_, str> {
        Cow::Borrowed(&of.plural)
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::ResourceExt;
    use kube::core::WatchEvent;
    use serde_json::json;

    use super::*;

    #[test]
    fn an_object_is_read_as_what_it_is_wherever_it_stands() {
        let object = json!({"metadata": {"name": "a", "namespace": "b", "uid": "c", "resourceVersion": "5",
            "labels": {"d": "e"}, "managedFields": [{"manager": "f"}]}, "data": {"g": "h"}});
        // The members of an event may come in any order.
        for event in [
            json!({"type": "ADDED", "object": object}),
            json!({"object": object, "type": "ADDED"}),
        ] {
            let event = serde_json::from_str(&event.to_string()).unwrap();
            let WatchEvent::<Document>::Added(document) = event else {
                unreachable!("{event:?}")
            };
            assert_eq!(
                (document.name_any(), document.namespace(), document.uid()),
                ("a".to_owned(), Some("b".to_owned()), Some("c".to_owned()))
            );
            assert_eq!(document.resource_version().as_deref(), Some("5"));
            assert!(!document.is_being_deleted());
            let map: ConfigMap = document.read().unwrap();
            assert_eq!(map.labels()["d"], "e");
            assert_eq!(map.data.unwrap()["g"], "h");
            assert!(map.metadata.managed_fields.is_none());
        }
    }

    #[test]
    fn what_cannot_be_understood_is_known_by_name() {
        let strange = json!({"metadata": {"name": "a", "deletionTimestamp": "2026-11-30T10:00:00Z"}, "data": 5});
        let document: Document = serde_json::from_value(strange).unwrap();
        assert_eq!(document.name_any(), "a");
        assert!(document.is_being_deleted());
        document.read::<ConfigMap>().unwrap_err();
    }
}
