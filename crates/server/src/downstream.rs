//! How the controllers reach clusters: the proxy's connections.

use drover_controllers::{Downstream, Unreachable};
use drover_proxy::Clusters;
use drover_types::names::STEVE_PREFIX;
use futures::future::BoxFuture;
use kube::Client;
use tokio::sync::broadcast;

/// Changes that wait for slow controllers; one that lags looks at all clusters again.
const CHANGES: usize = 1_024;

/// The proxy's clusters as the controllers want them.
#[derive(Clone, Debug)]
pub(crate) struct Reach {
    clusters: Clusters,
    changes: broadcast::Sender<String>,
}

impl Reach {
    pub(crate) fn new(clusters: Clusters) -> Self {
        Self {
            clusters,
            changes: broadcast::Sender::new(CHANGES),
        }
    }

    /// Passes changes of sessions on, until the registry is gone.
    pub(crate) fn follow(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut sessions = self.clusters.sessions().changes();
        let (registry, changes) = (self.clusters.sessions().clone(), self.changes.clone());
        async move {
            loop {
                let ids = match sessions.recv().await {
                    Ok(change) => vec![change.key],
                    Err(broadcast::error::RecvError::Lagged(_)) => registry.keys(),
                    Err(broadcast::error::RecvError::Closed) => return,
                };
                for id in ids {
                    let id = id.strip_prefix(STEVE_PREFIX).unwrap_or(&id).to_owned();
                    // Without a listener there are no controllers here, and nobody to tell.
                    drop(changes.send(id));
                }
            }
        }
    }
}

impl Downstream for Reach {
    fn client<'a>(&'a self, cluster: &'a str) -> BoxFuture<'a, Result<Client, Unreachable>> {
        Box::pin(async move {
            self.clusters
                .sharing_client(cluster)
                .await
                .map_err(|error| Unreachable {
                    cluster: cluster.to_owned(),
                    reason: error.to_string(),
                })
        })
    }

    fn connected(&self, cluster: &str) -> bool {
        self.clusters.connected(cluster)
    }

    fn changes(&self) -> broadcast::Receiver<String> {
        self.changes.subscribe()
    }
}
