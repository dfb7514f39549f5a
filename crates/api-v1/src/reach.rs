//! What the API asks of the parts that reach clusters.

use drover_auth::Identity;
use drover_auth::web::ApiError;
use futures::future::BoxFuture;
use kube::Client;

/// The ways into clusters.
pub trait Reach: Send + Sync + 'static {
    /// A client of a cluster whose requests go the way of the user's own, with the rights it has there.
    fn as_user(&self, identity: &Identity, cluster: &str) -> Client;

    /// A cluster's Kubernetes API with all rights, for what is decided here.
    ///
    /// # Errors
    /// 404 for a cluster there is none of, 503 for one that cannot be reached now.
    fn whole<'a>(&'a self, cluster: &'a str) -> BoxFuture<'a, Result<Client, ApiError>>;

    /// Completes when `identity` is no longer valid; streams end with it.
    fn revoked<'a>(&'a self, identity: &'a Identity) -> BoxFuture<'a, ()>;
}
