//! How controllers reach the managed clusters.
//!
//! Owns the trait only; sessions and requests belong to the implementer.

use futures::future::BoxFuture;
use kube::Client;
use tokio::sync::broadcast;

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
