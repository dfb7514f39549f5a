//! What the proxy asks about identities: may they enter a cluster, as whom, and do they still hold.
//!
//! Owns the questions; `drover_auth` has the answers. A trait, so that the proxy's own tests need no store.

use std::fmt;

use drover_auth::web::ApiError;
use drover_auth::{Access, Attributes, Authenticator, Identity};
use drover_types::management;
use futures::future::BoxFuture;
use tokio::sync::watch;

/// Decides who enters which cluster.
pub trait Gate: fmt::Debug + Send + Sync + 'static {
    /// The virtual groups of an identity in a cluster.
    ///
    /// # Errors
    /// 403 when it may not `get` the cluster.
    fn enter(&self, identity: &Identity, cluster: &str) -> Result<Vec<String>, ApiError>;

    /// Whether the identity may do this on the hub.
    fn may(&self, identity: &Identity, attributes: &Attributes<'_>) -> bool;

    /// Changes whenever rights may have changed.
    fn changes(&self) -> watch::Receiver<u64>;

    /// Completes when the identity is void: its token or user is gone.
    fn revoked(&self, identity: &Identity) -> BoxFuture<'static, ()>;
}

/// The gate of a running server.
#[derive(Debug, Clone)]
pub struct Edge {
    access: Access,
    authenticator: Authenticator,
}

impl Edge {
    /// Asks these two.
    #[must_use]
    pub const fn new(access: Access, authenticator: Authenticator) -> Self {
        Self {
            access,
            authenticator,
        }
    }
}

impl Gate for Edge {
    fn enter(&self, identity: &Identity, cluster: &str) -> Result<Vec<String>, ApiError> {
        let attributes = Attributes {
            verb: "get",
            group: management::GROUP,
            resource: "clusters",
            namespace: None,
            name: Some(cluster),
        };
        match self.access.cluster_groups(identity, cluster) {
            Some(groups) => Ok(groups),
            // Seeing the cluster by a global role, without a role in it.
            None => self.access.check(identity, &attributes).map(|_| Vec::new()),
        }
    }

    fn may(&self, identity: &Identity, attributes: &Attributes<'_>) -> bool {
        self.access.allows(identity, attributes).is_allowed()
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.access.changes()
    }

    fn revoked(&self, identity: &Identity) -> BoxFuture<'static, ()> {
        let (authenticator, identity) = (self.authenticator.clone(), identity.clone());
        Box::pin(async move { authenticator.revoked(&identity).await })
    }
}
