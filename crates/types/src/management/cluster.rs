//! Clusters, how they register, their nodes and projects.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::condition::Condition;
use crate::kind::kind;
use crate::null::or_default;

kind! {
    /// A managed cluster; its name is its id (`c-xxxxx`, or `local`).
    Cluster, "clusters", ClusterResourceScope {
        /// What is asked for.
        #[serde(default, deserialize_with = "or_default")]
        spec: ClusterSpec,
        /// What was seen.
        #[serde(default, deserialize_with = "or_default")]
        status: ClusterStatus,
    }
}

/// What is asked of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterSpec {
    /// The name people see.
    #[serde(default, deserialize_with = "or_default")]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub display_name: String,
    /// Free text.
    #[serde(default, deserialize_with = "or_default")]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Whether this is the cluster Drover runs on.
    #[serde(default, deserialize_with = "or_default")]
    pub internal: bool,
    /// Environment of the agent, proxies above all.
    #[serde(default, deserialize_with = "or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub agent_env_vars: Vec<EnvVar>,
    /// The agent's image for this cluster, if not the usual one.
    #[serde(default, deserialize_with = "or_default")]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub agent_image_override: String,
    /// Settings of imported clusters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imported_config: Option<ImportedConfig>,
    /// Scheduling of the agent (`appendTolerations`, `overrideAffinity`, `overrideResourceRequirements`, `schedulingCustomization`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_agent_deployment_customization: Option<Value>,
    /// Fields without a Rust field.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// How people reach a cluster's own API server with the hub's tokens: `spec.localClusterAuthEndpoint`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthEndpoint {
    /// Whether it is offered.
    #[serde(default, deserialize_with = "or_default")]
    pub enabled: bool,
    /// Host, perhaps with a port, of a load balancer before the API servers; empty: each node is named by itself.
    #[serde(default, deserialize_with = "or_default")]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub fqdn: String,
    /// PEM of the authorities that vouch for `fqdn`; empty: those a client trusts anyway.
    #[serde(default, deserialize_with = "or_default")]
    #[serde(rename = "caCerts", skip_serializing_if = "String::is_empty")]
    pub ca_certs: String,
}

impl ClusterSpec {
    /// Whether the projects of the cluster are kept from each other on its network (`enableNetworkPolicy`).
    #[must_use]
    pub fn isolates_projects(&self) -> bool {
        self.other.get("enableNetworkPolicy") == Some(&Value::Bool(true))
    }

    /// The cluster's own endpoint. A field that is not readable, which the definition rules out, offers none.
    #[must_use]
    pub fn auth_endpoint(&self) -> AuthEndpoint {
        self.other
            .get("localClusterAuthEndpoint")
            .and_then(|endpoint| AuthEndpoint::deserialize(endpoint).ok())
            .unwrap_or_default()
    }
}

/// A name and its value, as the container's environment takes it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EnvVar {
    /// The variable's name.
    #[serde(default, deserialize_with = "or_default")]
    pub name: String,
    /// The variable's value.
    #[serde(default, deserialize_with = "or_default")]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub value: String,
    /// Fields without a Rust field (`valueFrom`).
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// Settings of an imported cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImportedConfig {
    /// Registry that the agent's images come from.
    #[serde(
        default,
        rename = "privateRegistryURL",
        skip_serializing_if = "String::is_empty"
    )]
    pub private_registry_url: String,
    /// Secrets with the registry's credentials.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub private_registry_pull_secrets: Value,
    /// Fields without a Rust field.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// What was seen of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterStatus {
    /// What holds and what does not, in the order in which it was first written.
    #[serde(default, deserialize_with = "or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// `imported`, `k3s`, `rke2`, `local`, ...; empty until an agent has connected.
    #[serde(default, deserialize_with = "or_default")]
    pub driver: String,
    /// Who runs the cluster (`eks`, `harvester`, ...), when it can be told.
    #[serde(default, deserialize_with = "or_default")]
    pub provider: String,
    /// URL of the cluster's API server as the agent sees it.
    #[serde(default, deserialize_with = "or_default")]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub api_endpoint: String,
    /// CA of the cluster's API server: base64 of PEM.
    #[serde(default, deserialize_with = "or_default")]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub ca_cert: String,
    /// Secret in `cattle-global-data` (key `credential`) with the agent's service account token.
    #[serde(default, deserialize_with = "or_default")]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub service_account_token_secret: String,
    /// Answer of `/version`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Value>,
    /// Nodes known.
    #[serde(default, deserialize_with = "or_default")]
    pub node_count: i64,
    /// Linux workers.
    #[serde(default, deserialize_with = "or_default")]
    pub linux_worker_count: i64,
    /// Windows workers.
    #[serde(default, deserialize_with = "or_default")]
    pub windows_worker_count: i64,
    /// Sums over schedulable nodes: `cpu`, `memory`, `pods`.
    #[serde(default, deserialize_with = "or_default")]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub capacity: BTreeMap<String, String>,
    /// As `capacity`, what pods may use.
    #[serde(default, deserialize_with = "or_default")]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub allocatable: BTreeMap<String, String>,
    /// Sum of pods' requests.
    #[serde(default, deserialize_with = "or_default")]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub requested: BTreeMap<String, String>,
    /// Sum of pods' limits.
    #[serde(default, deserialize_with = "or_default")]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: BTreeMap<String, String>,
    /// Image of the agent as last deployed.
    #[serde(default, deserialize_with = "or_default")]
    pub agent_image: String,
    /// Short facts for lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub info: Option<ClusterInfo>,
    /// Fields without a Rust field.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl ClusterStatus {
    /// Whether what [`ClusterSpec::isolates_projects`] asks for was done.
    #[must_use]
    pub fn isolates_projects(&self) -> bool {
        self.other.get("appliedEnableNetworkPolicy") == Some(&Value::Bool(true))
    }
}

/// Short facts about a cluster, for lists.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterInfo {
    /// Who provisions its machines; `imported` for imported clusters.
    #[serde(default, deserialize_with = "or_default")]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub machine_provider: String,
    /// Kubernetes version.
    #[serde(default, deserialize_with = "or_default")]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kubernetes_version: String,
    /// Nodes known.
    #[serde(default, deserialize_with = "or_default")]
    pub node_count: i64,
    /// The nodes' architecture, or `mixed`.
    #[serde(default, deserialize_with = "or_default")]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub arch: String,
    /// Fields without a Rust field.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

kind! {
    /// How agents of a cluster register; lives in the cluster's namespace.
    ClusterRegistrationToken, "clusterregistrationtokens", NamespaceResourceScope {
        /// What is asked for.
        #[serde(default, deserialize_with = "or_default")]
        spec: ClusterRegistrationTokenSpec,
        /// Commands and expiry; the token itself is in a Secret.
        #[serde(default, deserialize_with = "or_default")]
        status: ClusterRegistrationTokenStatus,
    }
}

/// What is asked of a registration token.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterRegistrationTokenSpec {
    /// Id of the cluster.
    #[serde(default, deserialize_with = "or_default")]
    pub cluster_name: String,
    /// Minutes until rotation; 0 means never; absent means the setting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<i64>,
    /// Minutes for which a rotated token is still accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace_period: Option<i64>,
}

/// Commands and expiry of a registration token.
///
/// The stored commands hold the literal `{token}`; readers of the API get the token in its place.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterRegistrationTokenStatus {
    /// Name of the Secret with the token.
    #[serde(default, deserialize_with = "or_default")]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub token_secret_name: String,
    /// Empty in storage.
    #[serde(default, deserialize_with = "or_default")]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub token: String,
    /// When the token is rotated, RFC 3339.
    #[serde(default, deserialize_with = "or_default")]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub expires_at: String,
    /// Until when the previous token is accepted, RFC 3339.
    #[serde(default, deserialize_with = "or_default")]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub grace_period_expires_at: String,
    /// Where the import manifest is.
    #[serde(default, deserialize_with = "or_default")]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub manifest_url: String,
    /// Command that imports the cluster.
    #[serde(default, deserialize_with = "or_default")]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub command: String,
    /// The same without a check of the server's certificate.
    #[serde(default, deserialize_with = "or_default")]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub insecure_command: String,
    /// Command that joins a Linux machine.
    #[serde(default, deserialize_with = "or_default")]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub node_command: String,
    /// The same without a check of the server's certificate.
    #[serde(default, deserialize_with = "or_default")]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub insecure_node_command: String,
    /// Command that joins a Windows machine.
    #[serde(default, deserialize_with = "or_default")]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub windows_node_command: String,
    /// The same without a check of the server's certificate.
    #[serde(default, deserialize_with = "or_default")]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub insecure_windows_node_command: String,
}

kind! {
    /// A node of a managed cluster; lives in the cluster's namespace.
    Node, "nodes", NamespaceResourceScope {
        /// What is asked for.
        #[serde(default, deserialize_with = "or_default")]
        spec: NodeSpec,
        /// What was seen.
        #[serde(default, deserialize_with = "or_default")]
        status: NodeStatus,
    }
}

/// What is asked of a node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeSpec {
    /// The node's name in its cluster.
    #[serde(default, deserialize_with = "or_default")]
    pub requested_hostname: String,
    /// Runs the control plane.
    #[serde(default, deserialize_with = "or_default")]
    pub control_plane: bool,
    /// Runs etcd.
    #[serde(default, deserialize_with = "or_default")]
    pub etcd: bool,
    /// Runs workloads.
    #[serde(default, deserialize_with = "or_default")]
    pub worker: bool,
    /// Fields without a Rust field (`internalNodeSpec`, ...).
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// What was seen of a node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeStatus {
    /// The node's name in its cluster.
    #[serde(default, deserialize_with = "or_default")]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub node_name: String,
    /// What holds and what does not.
    #[serde(default, deserialize_with = "or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Sums of the node's pods' requests.
    #[serde(default, deserialize_with = "or_default")]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub requested: BTreeMap<String, String>,
    /// Sums of the node's pods' limits.
    #[serde(default, deserialize_with = "or_default")]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: BTreeMap<String, String>,
    /// Fields without a Rust field (`internalNodeStatus`, `nodeLabels`, ...).
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

kind! {
    /// A project: namespaces of one cluster that belong together; lives in the cluster's namespace.
    Project, "projects", NamespaceResourceScope {
        /// What is asked for.
        #[serde(default, deserialize_with = "or_default")]
        spec: ProjectSpec,
        /// What was seen.
        #[serde(default, deserialize_with = "or_default")]
        status: ProjectStatus,
    }
}

/// What is asked of a project.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProjectSpec {
    /// The name people see.
    #[serde(default, deserialize_with = "or_default")]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub display_name: String,
    /// Free text.
    #[serde(default, deserialize_with = "or_default")]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Id of the cluster.
    #[serde(default, deserialize_with = "or_default")]
    pub cluster_name: String,
    /// Fields without a Rust field (quotas and limits).
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// What was seen of a project.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProjectStatus {
    /// Namespace of the project's own objects in the hub.
    #[serde(default, deserialize_with = "or_default")]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub backing_namespace: String,
    /// What holds and what does not.
    #[serde(default, deserialize_with = "or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Fields without a Rust field.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}
