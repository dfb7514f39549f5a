//! What the manifest is made from.
//!
//! Owns the way from a Cluster and the settings to the manifest's inputs.
//! User input is parsed here, once, into Kubernetes' own types; what does not
//! parse is an error that names the field.

use std::collections::BTreeMap;
use std::fmt;

use drover_types::management::Cluster;
use drover_types::names::{self, image_behind};
use k8s_openapi::api::core::v1::{Affinity, EnvVar, ResourceRequirements, Taint, Toleration};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::settings::Settings;

/// A field that cannot be read as what it should be.
#[derive(Debug, thiserror::Error)]
pub enum InputsError {
    /// A field of the Cluster.
    #[error("spec.{field} of cluster {cluster} is not valid")]
    Field {
        /// The cluster.
        cluster: String,
        /// The field.
        field: &'static str,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// A setting.
    #[error("setting {name} is not valid")]
    Setting {
        /// The setting.
        name: &'static str,
        /// What is wrong.
        source: serde_json::Error,
    },
}

/// Registry credentials that go along with the agent.
#[derive(Clone, PartialEq, Eq)]
pub struct PullSecret {
    /// The Secret's name in the cluster.
    pub name: String,
    config: Vec<u8>,
}

impl PullSecret {
    /// Credentials in Docker's format.
    #[must_use]
    pub fn new(name: &str, config: Vec<u8>) -> Self {
        Self {
            name: name.to_owned(),
            config,
        }
    }

    pub(super) fn config(&self) -> &[u8] {
        &self.config
    }
}

impl fmt::Debug for PullSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("PullSecret")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// How the agent is scheduled: `spec.clusterAgentDeploymentCustomization`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Customization {
    /// Added to the agent's own.
    pub append_tolerations: Option<Vec<Toleration>>,
    /// Takes the place of the usual affinity.
    pub override_affinity: Option<Affinity>,
    /// Resources of the agent's container.
    pub override_resource_requirements: Option<ResourceRequirements>,
    /// Priority and disruption budget.
    pub scheduling_customization: Option<Scheduling>,
}

/// Priority and disruption budget of the agent.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Scheduling {
    /// Priority, in a PriorityClass of our own.
    pub priority_class: Option<Priority>,
    /// How many agents may be evicted at once.
    pub pod_disruption_budget: Option<DisruptionBudget>,
}

/// A priority.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Priority {
    /// The higher, the more important.
    pub value: i32,
    /// `PreemptLowerPriority` or `Never`.
    pub preemption_policy: Option<String>,
}

/// A disruption budget; numbers or percentages, `0` in one of the two means unset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DisruptionBudget {
    /// How many must stay.
    pub min_available: Option<String>,
    /// How many may go.
    pub max_unavailable: Option<String>,
}

/// Everything the manifest depends on.
#[derive(Clone, PartialEq)]
pub struct Inputs {
    /// Where the agent finds the server.
    pub server_url: String,
    /// SHA-256 of the server's CA, or empty.
    pub ca_checksum: String,
    token: String,
    /// Empty in the download, the cluster's id when re-applied.
    pub namespace: String,
    /// The agent's image, before the registry is put in front.
    pub agent_image: String,
    /// Registry put in front of images, or empty.
    pub registry: String,
    /// Credentials of the registry.
    pub pull_secrets: Vec<PullSecret>,
    /// Setting `server-version`.
    pub server_version: String,
    /// Setting `install-uuid`.
    pub install_uuid: String,
    /// Setting `ingress-ip-domain`.
    pub ingress_ip_domain: String,
    /// The user's variables.
    pub agent_env_vars: Vec<EnvVar>,
    /// Whether the agent trusts the given CA only.
    pub strict_verify: bool,
    /// Features for the agent; none in the download.
    pub features: Option<BTreeMap<String, bool>>,
    /// Scheduling.
    pub customization: Customization,
    /// Takes the place of the built-in affinity.
    pub default_affinity: Option<Affinity>,
    /// Image of the peer's program for tokens at the cluster's own API server, if somebody asks for that.
    pub auth_image: Option<String>,
    /// Image of ours, if the cluster's own endpoint is enabled; takes the place of `auth_image`.
    pub endpoint_image: Option<String>,
    /// Taints of the control plane's nodes, once known.
    pub control_plane_taints: Option<Vec<Taint>>,
    /// Whether the PriorityClass exists in the cluster.
    pub priority_class_exists: bool,
}

impl fmt::Debug for Inputs {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = formatter.debug_struct("Inputs");
        debug
            .field("server_url", &self.server_url)
            .field("namespace", &self.namespace);
        debug
            .field("agent_image", &self.agent_image)
            .finish_non_exhaustive()
    }
}

impl Inputs {
    /// The inputs for the download: no features, no namespace, nothing known
    /// of the cluster.
    ///
    /// # Errors
    /// When a field of the cluster or a setting cannot be read.
    pub fn for_download(
        cluster: &Cluster,
        settings: &Settings,
        server_url: &str,
        token: &str,
    ) -> Result<Self, InputsError> {
        let name = cluster.metadata.name.clone().unwrap_or_default();
        let spec = &cluster.spec;
        let registry = spec
            .imported_config
            .as_ref()
            .map_or("", |imported| imported.private_registry_url.trim());
        let registry = if registry.is_empty() {
            settings.get("system-default-registry")
        } else {
            registry
        };
        let desired = spec
            .other
            .get("desiredAgentImage")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let image = [
            spec.agent_image_override.as_str(),
            if desired == "fixed" { "" } else { desired },
        ];
        let image = image
            .into_iter()
            .find(|image| !image.is_empty())
            .unwrap_or_else(|| settings.get("agent-image"));
        let endpoint = match settings.get("auth-endpoint-image") {
            // The peer's agent does not know what ours does here.
            "" if is_ours(image) => image,
            "" => names::AGENT_IMAGE,
            named => named,
        };
        Ok(Self {
            server_url: server_url.to_owned(),
            ca_checksum: settings.ca_checksum(),
            token: token.to_owned(),
            namespace: String::new(),
            agent_image: image.to_owned(),
            registry: registry.to_owned(),
            pull_secrets: Vec::new(),
            server_version: settings.get("server-version").to_owned(),
            install_uuid: settings.get("install-uuid").to_owned(),
            ingress_ip_domain: settings.get("ingress-ip-domain").to_owned(),
            agent_env_vars: field(
                &name,
                "agentEnvVars",
                serde_json::to_value(&spec.agent_env_vars),
            )?,
            strict_verify: settings.get("agent-tls-mode") == "strict",
            features: None,
            customization: match &spec.cluster_agent_deployment_customization {
                Some(value) if !value.is_null() => field(
                    &name,
                    "clusterAgentDeploymentCustomization",
                    Ok(value.clone()),
                )?,
                _ => Customization::default(),
            },
            default_affinity: setting(settings, "cluster-agent-default-affinity")?,
            auth_image: None,
            endpoint_image: spec.auth_endpoint().enabled.then(|| endpoint.to_owned()),
            control_plane_taints: None,
            priority_class_exists: false,
        })
    }

    /// The registration token.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// An image with the registry in front.
    #[must_use]
    pub fn image(&self, image: &str) -> String {
        image_behind(&self.registry, image)
    }
}

/// Whether an image is called as ours is, wherever it comes from.
fn is_ours(image: &str) -> bool {
    let name = image.rsplit('/').next().unwrap_or(image);
    name.split([':', '@']).next() == Some("drover-agent")
}

/// Names of the Secrets with registry credentials: the cluster's own, else the
/// installation's.
#[must_use]
pub fn pull_secret_names(cluster: &Cluster, settings: &Settings) -> Vec<String> {
    let own = cluster
        .spec
        .imported_config
        .as_ref()
        .map(|imported| &imported.private_registry_pull_secrets);
    let own: Vec<String> = match own {
        Some(Value::Array(names)) => names
            .iter()
            .filter_map(|name| name.as_str().map(str::to_owned))
            .collect(),
        Some(
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_),
        )
        | None => Vec::new(),
    };
    if own.is_empty() {
        settings.list("system-default-registry-pull-secrets")
    } else {
        own
    }
}

fn field<T: DeserializeOwned>(
    cluster: &str,
    field: &'static str,
    value: Result<Value, serde_json::Error>,
) -> Result<T, InputsError> {
    let parsed = value.and_then(serde_json::from_value);
    parsed.map_err(|source| InputsError::Field {
        cluster: cluster.to_owned(),
        field,
        source,
    })
}

fn setting<T: DeserializeOwned>(
    settings: &Settings,
    name: &'static str,
) -> Result<Option<T>, InputsError> {
    let text = settings.get(name).trim();
    if text.is_empty() {
        return Ok(None);
    }
    serde_json::from_str(text)
        .map(Some)
        .map_err(|source| InputsError::Setting { name, source })
}
