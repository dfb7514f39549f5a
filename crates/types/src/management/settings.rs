//! Settings, features and preferences.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::kind::kind;
use crate::null::or_default;

kind! {
    /// One setting of the installation.
    Setting, "settings", ClusterResourceScope {
        /// What was set; empty means the default.
        #[serde(default, deserialize_with = "or_default")]
        value: String,
        /// The built-in value.
        #[serde(default, deserialize_with = "or_default")]
        default: String,
        /// Whether somebody set it.
        #[serde(default, deserialize_with = "or_default")]
        customized: bool,
        /// `env`, `db` or `default`; empty means the last.
        #[serde(default, deserialize_with = "or_default")]
        source: String,
    }
}

kind! {
    /// A switch for a part of the product.
    Feature, "features", ClusterResourceScope {
        /// What was set.
        #[serde(default, deserialize_with = "or_default")]
        spec: FeatureSpec,
        /// What is built in.
        #[serde(default, deserialize_with = "or_default")]
        status: FeatureStatus,
    }
}

/// What a feature was set to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeatureSpec {
    /// On, off, or the default.
    #[serde(default)]
    pub value: Option<bool>,
}

/// What is built in about a feature.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FeatureStatus {
    /// Whether a change takes effect without a restart.
    #[serde(default, deserialize_with = "or_default")]
    pub dynamic: bool,
    /// The value when nothing is set.
    #[serde(default, deserialize_with = "or_default")]
    pub default: bool,
    /// What it is for.
    #[serde(default, deserialize_with = "or_default")]
    pub description: String,
    /// The value that cannot be changed, if it is locked.
    #[serde(default)]
    pub locked_value: Option<bool>,
    /// Rancher's mark for its paid edition.
    #[serde(default, deserialize_with = "or_default")]
    pub prime: bool,
}

kind! {
    /// One way to sign in. What else it needs stands in `other`.
    AuthConfig, "authconfigs", ClusterResourceScope {
        /// Which kind of way: `localConfig`.
        #[serde(rename = "type")]
        config_type: String,
        /// Whether anybody may sign in so.
        enabled: bool,
        /// Whether it can end what its provider knows of somebody too.
        logout_all_supported: bool,
        /// How far it is.
        status: Map<String, Value>,
    }
}

kind! {
    /// A choice of one user; lives in the namespace named after the user.
    Preference, "preferences", NamespaceResourceScope {
        /// What was chosen.
        #[serde(default, deserialize_with = "or_default")]
        value: String,
    }
}

kind! {
    /// How strictly a cluster judges pods, unless a namespace says otherwise.
    PodSecurityAdmissionConfigurationTemplate, "podsecurityadmissionconfigurationtemplates", ClusterResourceScope {
        /// What it is for.
        #[serde(default, deserialize_with = "or_default")]
        description: String,
        /// Levels and exemptions, as in the configuration of the Pod Security admission plugin.
        #[serde(default, deserialize_with = "or_default")]
        configuration: Map<String, Value>,
    }
}
