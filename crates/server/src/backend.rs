//! Where state is kept: the embedded Kubernetes API or a real one, behind one client.
//!
//! This is the only place that knows which of the two it is.

mod kubeconfig;

use std::path::Path;

use anyhow::{Context, Result};
use kube::Client;
use kube::config::KubeConfigOptions;

use crate::config::StoreArgs;

/// The store and the client that everything else uses.
pub(crate) struct Backend {
    /// Full rights on the hub's own Kubernetes API.
    pub(crate) client: Client,
    /// Tells replicas apart in elections; stays the same over restarts where only one can run.
    pub(crate) identity: String,
    /// Host and port of the Kubernetes API that other replicas may share with us.
    pub(crate) shared: Option<(String, u16)>,
    embedded: Option<drover_kube_api::Server>,
}

impl std::fmt::Debug for Backend {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Backend")
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

impl Backend {
    /// Opens the store that `args` name.
    ///
    /// # Errors
    ///
    /// When it cannot be opened; the message says which file and what to do.
    pub(crate) async fn open(args: &StoreArgs) -> Result<Self> {
        if let Some(path) = &args.kubeconfig {
            let kubeconfig = kubeconfig::read(path)
                .with_context(|| format!("read the kubeconfig {}", path.display()))?;
            let config =
                kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
                    .await
                    .with_context(|| format!("use the kubeconfig {}", path.display()))?;
            return Self::real(config);
        }
        if args.in_cluster {
            let config = kube::Config::incluster()
                .context("use the credentials of the cluster this runs in")?;
            return Self::real(config);
        }
        Self::embedded(&args.data_dir).await
    }

    fn real(config: kube::Config) -> Result<Self> {
        let host = config.cluster_url.host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let shared = (
            host.to_owned(),
            config.cluster_url.port_u16().unwrap_or(443),
        );
        let client = Client::try_from(config).context("make a client for the Kubernetes API")?;
        Ok(Self {
            client,
            identity: uuid::Uuid::new_v4().to_string(),
            shared: Some(shared),
            embedded: None,
        })
    }

    async fn embedded(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("create the data folder {}", folder.display()))?;
        let config = drover_kube_api::Config::new(drover_kube_api::Storage::File(
            folder.join(crate::copies::DATABASE),
        ));
        let server = drover_kube_api::Server::open(config)
            .await
            .context("open the store")?;
        let service = server.client_service(drover_kube_api::Identity::admin());
        Ok(Self {
            client: Client::new(service, "default"),
            // Only one process can hold the folder, so that after a restart the lease is ours at once.
            identity: "embedded".to_owned(),
            shared: None,
            embedded: Some(server),
        })
    }

    /// Ends watches and makes sure that all is on disk.
    pub(crate) async fn shutdown(&self) {
        if let Some(server) = &self.embedded {
            server.shutdown().await;
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A client over an empty store in memory with the namespace of the hub's own objects.
    pub(crate) async fn memory() -> Client {
        let server = drover_kube_api::Server::open(drover_kube_api::Config::new(
            drover_kube_api::Storage::Memory,
        ))
        .await
        .unwrap();
        let client = Client::new(
            server.client_service(drover_kube_api::Identity::admin()),
            "default",
        );
        crate::install::namespaces(&client).await.unwrap();
        client
    }
}
