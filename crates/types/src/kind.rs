//! What all kinds share: type identity, metadata and unknown fields.

/// Declares a kind, of `management.cattle.io/v3` unless it names another group and version, and makes it usable with
/// `kube::Api`.
///
/// `other` keeps every top-level field that has no Rust field, so that reading
/// and writing an object back loses nothing.
macro_rules! kind {
    (
        $(#[$outer:meta])*
        $name:ident, $plural:literal, $scope:ident { $($fields:tt)* }
    ) => {
        crate::kind::kind! {
            crate::management::GROUP, crate::management::VERSION,
            $(#[$outer])*
            $name, $plural, $scope { $($fields)* }
        }
    };
    (
        $group:expr, $version:expr,
        $(#[$outer:meta])*
        $name:ident, $plural:literal, $scope:ident {
            $($(#[$inner:meta])* $field:ident: $type:ty,)*
        }
    ) => {
        $(#[$outer])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "camelCase", default)]
        pub struct $name {
            /// Group and version.
            pub api_version: String,
            /// The kind's name.
            pub kind: String,
            /// Standard object metadata.
            pub metadata: k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta,
            $($(#[$inner])* pub $field: $type,)*
            /// Top-level fields without a Rust field, kept as they came.
            #[serde(flatten)]
            pub other: serde_json::Map<String, serde_json::Value>,
        }

        impl $name {
            /// An empty object of this name.
            #[must_use]
            pub fn named(name: &str) -> Self {
                Self {
                    metadata: k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
                        name: Some(name.to_owned()),
                        ..Default::default()
                    },
                    ..Self::default()
                }
            }

            fn kind_name() -> String {
                stringify!($name).to_owned()
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self {
                    api_version: format!("{}/{}", $group, $version),
                    kind: Self::kind_name(),
                    metadata: Default::default(),
                    $($field: Default::default(),)*
                    other: Default::default(),
                }
            }
        }

        impl kube::Resource for $name {
            type DynamicType = ();
            type Scope = k8s_openapi::$scope;

            fn kind((): &()) -> std::borrow::Cow<'_, str> {
                stringify!($name).into()
            }

            fn group((): &()) -> std::borrow::Cow<'_, str> {
                $group.into()
            }

            fn version((): &()) -> std::borrow::Cow<'_, str> {
                $version.into()
            }

            fn plural((): &()) -> std::borrow::Cow<'_, str> {
                $plural.into()
            }

            fn meta(&self) -> &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
                &self.metadata
            }

            fn meta_mut(&mut self) -> &mut k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
                &mut self.metadata
            }
        }
    };
}

pub(crate) use kind;
