//! The kinds of `provisioning.cattle.io/v1`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::condition::Condition;
use crate::kind::kind;
use crate::management::EnvVar;
use crate::null::or_default;

/// The group of all kinds here.
pub const GROUP: &str = "provisioning.cattle.io";
/// The version of all kinds here.
pub const VERSION: &str = "v1";

kind! {
    GROUP, VERSION,
    /// A cluster as people ask for it; lives in its workspace (`fleet-default`, or `fleet-local` for `local`).
    Cluster, "clusters", NamespaceResourceScope {
        /// What is asked for.
        #[serde(default, deserialize_with = "or_default")]
        spec: ClusterSpec,
        /// What came of it.
        #[serde(default, deserialize_with = "or_default")]
        status: ClusterStatus,
    }
}

/// What is asked of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterSpec {
    /// Environment of the agent, proxies above all.
    #[serde(default, deserialize_with = "or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub agent_env_vars: Vec<EnvVar>,
    /// Machines to provision; none for imported clusters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rke_config: Option<Value>,
    /// Scheduling of the agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_agent_deployment_customization: Option<Value>,
    /// Fields without a Rust field.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// What came of a cluster that was asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterStatus {
    /// Id of the management cluster.
    #[serde(default, deserialize_with = "or_default")]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cluster_name: String,
    /// Whether it was ready once.
    #[serde(default, deserialize_with = "or_default")]
    #[serde(skip_serializing_if = "is_false")]
    pub ready: bool,
    /// Whether its agent was deployed.
    #[serde(default, deserialize_with = "or_default")]
    #[serde(skip_serializing_if = "is_false")]
    pub agent_deployed: bool,
    /// The workspace it is in.
    #[serde(default, deserialize_with = "or_default")]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub fleet_workspace_name: String,
    /// The generation of the specification that was seen.
    #[serde(default, deserialize_with = "or_default")]
    pub observed_generation: i64,
    /// What holds and what does not.
    #[serde(default, deserialize_with = "or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Fields without a Rust field.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_false(value: &bool) -> bool {
    !value
}
