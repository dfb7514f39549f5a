//! Where state is kept: the embedded Kubernetes API or a real one, behind one client.
//!
//! This is the only place that knows which of the two it is.

mod kubeconfig;
mod patience;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use kube::Client;
use kube::client::ClientBuilder;
use kube::config::KubeConfigOptions;

use self::patience::Patience;
use crate::config::StoreArgs;

/// How long a connection may be silent in the middle of an answer. A watch that nothing happens to gets a bookmark each
/// minute (kube-apiserver, `defaultBookmarkFrequency`), so one that is silent for longer is dead, and what was revoked since
/// would stay unknown.
const SILENCE: Duration = Duration::from_secs(75);

/// The store and the client that everything else uses.
pub(crate) struct Backend {
    /// Full rights on the hub's own Kubernetes API.
    pub(crate) client: Client,
    /// The same for what people ask of it, whose watches and shells may be silent for as long as they like.
    pub(crate) patient: Client,
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
        let (client, patient) = clients(config).context("make a client for the Kubernetes API")?;
        Ok(Self {
            client,
            patient,
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
        let client = Client::new(service, "default");
        Ok(Self {
            patient: client.clone(),
            client,
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

/// One that gives up what stays silent, and a patient one.
fn clients(mut config: kube::Config) -> Result<(Client, Client), kube::Error> {
    let patient = Client::try_from(config.clone())?;
    config.read_timeout = Some(SILENCE);
    let client = ClientBuilder::try_from(config)?
        .with_layer(&Patience::new(patient.clone()))
        .build();
    Ok((client, patient))
}

#[cfg(test)]
pub(crate) mod tests {
    use k8s_openapi::api::core::v1::{ConfigMap, Secret};
    use kube::Api;
    use kube::api::WatchParams;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

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

    /// A Kubernetes API that begins to answer watches, and falls silent.
    async fn silent() -> kube::Config {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
            .await
            .unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let mut open = Vec::new();
            while let Ok((mut socket, _)) = listener.accept().await {
                let mut request = vec![0; 4096];
                let length = socket.read(&mut request).await.unwrap();
                if String::from_utf8_lossy(&request[..length]).contains("watch=true") {
                    let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
                    socket.write_all(head).await.unwrap();
                }
                open.push(socket);
            }
        });
        kube::Config::new(format!("http://{address}").parse().unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn a_kubernetes_api_that_falls_silent_is_given_up() {
        let (client, _) = clients(silent().await).unwrap();
        let begun = tokio::time::Instant::now();
        let secrets: Api<Secret> = Api::default_namespaced(client.clone());
        secrets.get("a").await.unwrap_err();
        assert_eq!(
            begun.elapsed().as_secs(),
            8,
            "it says nothing of its store either"
        );

        let begun = tokio::time::Instant::now();
        let maps: Api<ConfigMap> = Api::default_namespaced(client);
        let events = maps.watch(&WatchParams::default(), "0").await.unwrap();
        let event = futures::StreamExt::next(&mut std::pin::pin!(events)).await;
        assert!(
            event.is_none_or(|event| event.is_err()),
            "nothing can have come"
        );
        assert_eq!(begun.elapsed().as_secs(), SILENCE.as_secs());
    }
}
