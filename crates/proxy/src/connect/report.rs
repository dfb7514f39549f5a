//! Writes what an agent says about its cluster into the Cluster's status and a Secret.
//!
//! Invariants: written only on change; only for clusters that are not somebody else's to describe (hosted drivers); the
//! Secret is written before the status that names it.

use std::collections::BTreeMap;

use drover_types::management::Cluster;
use drover_types::names::{AGENT_FINALIZER, GLOBAL_DATA_NAMESPACE};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{ObjectMeta, Patch, PatchParams, PostParams};
use kube::{Api, Resource, ResourceExt};
use secrecy::ExposeSecret;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use super::params::Params;
use crate::clusters::CREDENTIAL_KEY;

/// The Secret's name begins with this; the rest follows from the cluster, so that a hub that ended between the Secret and
/// the status that names it, or another replica, makes no second one.
const SECRET_PREFIX: &str = "cluster-serviceaccounttoken-";

/// What an agent of ours may have installed itself on; other drivers are described by their provider.
const REPORTING_DRIVERS: [&str; 6] = ["", "imported", "k3s", "k3os", "rancherd", "rke2"];
const IMPORTED: &str = "imported";

/// Parts of a Cluster's `spec` that say it is hosted.
const HOSTED: [&str; 5] = [
    "eksConfig",
    "gkeConfig",
    "aksConfig",
    "aliConfig",
    "genericEngineConfig",
];

/// Why nothing was stored.
#[derive(Debug, Error)]
pub(super) enum ReportError {
    #[error("cluster not found")]
    NoCluster,
    #[error("{0}")]
    Store(#[source] Box<kube::Error>),
}

impl From<kube::Error> for ReportError {
    fn from(error: kube::Error) -> Self {
        Self::Store(Box::new(error))
    }
}

/// A Cluster as its agent described it.
#[derive(Debug)]
pub(super) struct Described {
    /// As it was written.
    pub(super) cluster: Cluster,
    /// Whether it was known by another authority: it was made anew, or it is another cluster.
    pub(super) other_authority: bool,
}

pub(super) struct Report {
    client: kube::Client,
    /// Two agents of a new cluster must not make two Secrets.
    writing: tokio::sync::Mutex<()>,
}

impl std::fmt::Debug for Report {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Report").finish_non_exhaustive()
    }
}

impl Report {
    pub(super) fn new(client: kube::Client) -> Self {
        Self {
            client,
            writing: tokio::sync::Mutex::new(()),
        }
    }

    /// Stores what is new; what was written, or nothing if nothing changed.
    pub(super) async fn store(
        &self,
        cluster: &str,
        params: &Params,
    ) -> Result<Option<Described>, ReportError> {
        let _writing = self.writing.lock().await;
        let clusters: Api<Cluster> = Api::all(self.client.clone());
        let object = clusters
            .get_opt(cluster)
            .await?
            .ok_or(ReportError::NoCluster)?;
        // What we put into the cluster is removed through its agent.
        let finalizers = object.metadata.finalizers.as_deref().unwrap_or_default();
        let needed = finalizers.iter().any(|name| name == AGENT_FINALIZER);
        if object.metadata.deletion_timestamp.is_some() && !needed {
            return Err(ReportError::NoCluster);
        }
        if !REPORTING_DRIVERS.contains(&object.status.driver.as_str()) {
            return Ok(None);
        }
        let (secret, credential_changed) = self.store_credential(&object, params).await?;
        let mut status = serde_json::Map::new();
        let hosted = HOSTED.iter().any(|config| {
            object
                .spec
                .other
                .get(*config)
                .is_some_and(|config| !config.is_null())
        });
        if object.status.driver.is_empty() && !hosted {
            status.insert("driver".to_owned(), json!(IMPORTED));
        }
        let endpoint = format!("https://{}", params.address);
        if object.status.api_endpoint != endpoint {
            status.insert("apiEndpoint".to_owned(), json!(endpoint));
        }
        if object.status.ca_cert != params.ca_cert {
            status.insert("caCert".to_owned(), json!(params.ca_cert));
        }
        if object.status.service_account_token_secret != secret {
            status.insert("serviceAccountTokenSecret".to_owned(), json!(secret));
        }
        if object
            .status
            .other
            .get("serviceAccountToken")
            .is_some_and(|token| !token.is_null())
        {
            status.insert("serviceAccountToken".to_owned(), json!(null));
        }
        let known = &object.status.ca_cert;
        let other_authority = !known.is_empty() && *known != params.ca_cert;
        if status.is_empty() {
            return Ok(credential_changed.then_some(Described {
                cluster: object,
                other_authority,
            }));
        }
        let patch = json!({ "status": status });
        let written = clusters
            .patch_status(cluster, &PatchParams::default(), &Patch::Merge(&patch))
            .await?;
        tracing::info!(%cluster, fields = status.len(), "cluster described by its agent");
        Ok(Some(Described {
            cluster: written,
            other_authority,
        }))
    }

    /// The name of the Secret that holds the token now, and whether it was written.
    async fn store_credential(
        &self,
        cluster: &Cluster,
        params: &Params,
    ) -> Result<(String, bool), ReportError> {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), GLOBAL_DATA_NAMESPACE);
        let token = params.token.expose_secret().as_bytes();
        let named = &cluster.status.service_account_token_secret;
        let made = secret_name(cluster);
        for name in [named, &made].into_iter().filter(|name| !name.is_empty()) {
            let Some(secret) = secrets.get_opt(name).await? else {
                continue;
            };
            let stored = secret
                .data
                .as_ref()
                .and_then(|data| data.get(CREDENTIAL_KEY));
            if stored.is_some_and(|stored| stored.0 == token) {
                return Ok((name.clone(), false));
            }
            let patch = json!({ "data": { CREDENTIAL_KEY: ByteString(token.to_vec()) } });
            secrets
                .patch(name, &PatchParams::default(), &Patch::Merge(&patch))
                .await?;
            return Ok((name.clone(), true));
        }
        let secret = Secret {
            metadata: ObjectMeta {
                name: Some(made),
                namespace: Some(GLOBAL_DATA_NAMESPACE.to_owned()),
                owner_references: Some(vec![owner(cluster)]),
                ..ObjectMeta::default()
            },
            type_: Some("Opaque".to_owned()),
            data: Some(BTreeMap::from([(
                CREDENTIAL_KEY.to_owned(),
                ByteString(token.to_vec()),
            )])),
            ..Secret::default()
        };
        let created = match secrets.create(&PostParams::default(), &secret).await {
            Err(kube::Error::Api(status)) if status.code == 404 => {
                self.make_namespace().await?;
                secrets.create(&PostParams::default(), &secret).await
            }
            other => other,
        }?;
        Ok((created.name_any(), true))
    }

    async fn make_namespace(&self) -> Result<(), kube::Error> {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let mut namespace = Namespace::default();
        namespace.metadata.name = Some(GLOBAL_DATA_NAMESPACE.to_owned());
        match namespaces.create(&PostParams::default(), &namespace).await {
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
            other => other.map(|_| ()),
        }
    }
}

fn secret_name(cluster: &Cluster) -> String {
    let uid = cluster.uid().unwrap_or_default();
    let hash = Sha256::digest(format!("{}/{uid}", cluster.name_any()));
    format!("{SECRET_PREFIX}{}", hex::encode(&hash[..5]))
}

fn owner(cluster: &Cluster) -> OwnerReference {
    OwnerReference {
        api_version: Cluster::api_version(&()).into_owned(),
        kind: Cluster::kind(&()).into_owned(),
        name: cluster.name_any(),
        uid: cluster.uid().unwrap_or_default(),
        ..OwnerReference::default()
    }
}
