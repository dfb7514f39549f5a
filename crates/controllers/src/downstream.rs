//! How controllers reach the managed clusters.
//!
//! Owns the trait and the beginning of every look into a cluster; sessions and requests belong to the implementer.

use std::sync::Arc;

use drover_types::management::Cluster;
use drover_types::names::LOCAL_CLUSTER;
use futures::future::BoxFuture;
use kube::{Api, Client};
use tokio::sync::broadcast;

use crate::facts::Board;
use crate::plan::Sites;
use crate::runtime::LookError;

/// A cluster cannot be reached now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot reach cluster {cluster}: {reason}")]
pub struct Unreachable {
    /// The cluster's id.
    pub cluster: String,
    /// Why.
    pub reason: String,
}

/// The managed clusters, as far as they are connected.
pub trait Downstream: Send + Sync + 'static {
    /// A client with full rights in the cluster; works for as long as its session lasts.
    fn client<'a>(&'a self, cluster: &'a str) -> BoxFuture<'a, Result<Client, Unreachable>>;

    /// Whether the cluster has a live session, at this replica or another.
    fn connected(&self, cluster: &str) -> bool;

    /// Ids of clusters whose sessions began or ended. May be more than needed; what counts is [`Self::connected`].
    fn changes(&self) -> broadcast::Receiver<String>;
}

/// The hub, the clusters, and what is known of them.
#[derive(Clone)]
pub(crate) struct Reach {
    pub(crate) hub: Client,
    pub(crate) downstream: Arc<dyn Downstream>,
    pub(crate) board: Arc<Board>,
}

impl Reach {
    /// A client of the cluster; the hub's own for the hub.
    pub(crate) async fn client(&self, id: &str) -> Result<Client, LookError> {
        Ok(if id == LOCAL_CLUSTER {
            self.hub.clone()
        } else {
            self.downstream.client(id).await?
        })
    }

    /// A client of the cluster, if it answers.
    pub(crate) async fn usable(&self, id: &str) -> Result<Option<Client>, LookError> {
        if !self.board.get(id).is_usable() {
            return Ok(None);
        }
        self.client(id).await.map(Some)
    }

    /// The same, if things in the cluster are ours to look after: it is there and not going away.
    pub(crate) async fn ours(&self, id: &str) -> Result<Option<Client>, LookError> {
        if !self.board.get(id).is_usable() {
            return Ok(None);
        }
        let cluster = Api::<Cluster>::all(self.hub.clone()).get_opt(id).await?;
        if cluster.is_none_or(|cluster| cluster.metadata.deletion_timestamp.is_some()) {
            return Ok(None);
        }
        self.client(id).await.map(Some)
    }

    /// Where a plan for a cluster acts.
    pub(crate) fn sites(&self, cluster: Option<Client>) -> Sites {
        Sites {
            hub: self.hub.clone(),
            cluster,
        }
    }
}
