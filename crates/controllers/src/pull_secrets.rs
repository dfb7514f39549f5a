//! Registry credentials that travel with the agent.
//!
//! Owns where they are kept in the hub and how their copies are called in a
//! cluster (reference 3.3).

use drover_types::management::Cluster;
use drover_types::names::SYSTEM_NAMESPACE;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use serde_json::Value;

use crate::manifest::PullSecret;
use crate::manifest::inputs::pull_secret_names;
use crate::settings::Settings;

/// Reads the credentials of the cluster's registry. Names without a Secret of
/// the right type are left out, with a warning: the agent may not need them.
pub(crate) async fn read(
    client: &Client,
    cluster: &Cluster,
    settings: &Settings,
) -> Result<Vec<PullSecret>, kube::Error> {
    let id = cluster.metadata.name.as_deref().unwrap_or_default();
    if !is_imported(id) {
        return Ok(Vec::new());
    }
    let workspace = cluster
        .spec
        .other
        .get("fleetWorkspaceName")
        .and_then(Value::as_str)
        .filter(|name| !name.is_empty());
    let namespaces = [workspace.unwrap_or("fleet-default"), SYSTEM_NAMESPACE];
    let mut found = Vec::new();
    for name in pull_secret_names(cluster, settings) {
        let mut config = None;
        for namespace in namespaces {
            let secret = Api::<Secret>::namespaced(client.clone(), namespace)
                .get_opt(&name)
                .await?;
            config = secret.and_then(|secret| secret.data?.remove(".dockerconfigjson"));
            if config.is_some() {
                break;
            }
        }
        match config {
            Some(config) => found.push(PullSecret::new(
                &format!("{name}-rancher-managed-pull-secret"),
                config.0,
            )),
            None => tracing::warn!(
                cluster = id,
                secret = name,
                "no registry credentials of this name"
            ),
        }
    }
    Ok(found)
}

/// Copies are made for ids of `c-` and five characters only (reference 3.3).
fn is_imported(id: &str) -> bool {
    id.len() == 7 && id.starts_with("c-")
}
