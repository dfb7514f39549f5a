//! `drover-agent authenticate`: tells a cluster's own API server whose the hub's tokens are.
//!
//! Runs on each node of the control plane, beside the API server, which asks it by webhook (`--authentication-token-
//! webhook-config-file`). What it says is what the hub would do with the same token at this moment; while the hub is away
//! it goes by what the hub said last, for as long as the hub said that counts.
//!
//! * [`wire`] is the API server's question and answer, [`server`] the door it comes to.
//! * [`kept`] decides, as a pure function of answers and time; [`desk`] asks the hub through [`question`] when needed.
//! * [`store`] keeps answers in the cluster, for restarts and for the other nodes.
//!
//! Invariants: it listens on the loopback device only; tokens that cannot be the hub's go nowhere; no token is logged or
//! kept, only hashes.

pub mod desk;
pub mod kept;
pub mod question;
pub mod server;
pub mod store;
#[cfg(test)]
mod tests;
pub mod wire;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::cluster::hub_dialer;
use crate::config::Config;
use crate::kubernetes::{Api, ApiError};
use desk::Desk;
use kept::Kept;
use question::Hub;
use store::Store;

/// Where API servers of the peer's clusters are told to ask.
pub const LISTEN: &str = "127.0.0.1:6440";

/// Why reviews cannot be answered at all.
#[derive(Debug, thiserror::Error)]
pub enum AuthenticateError {
    /// Somebody else could ask whose tokens are.
    #[error(
        "{0} is not an address of the loopback device; reviews are answered on this machine only"
    )]
    NotLoopback(SocketAddr),
    /// The address is not free.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The cluster's own API cannot be used.
    #[error("the service account cannot be used")]
    Kubernetes(#[from] ApiError),
}

/// Answers until shutdown. `node` names this machine among those of the control plane, `salt` is used if none is kept yet.
///
/// # Errors
/// When the address cannot be used, or there is no service account.
pub async fn run(
    config: Config,
    listen: SocketAddr,
    node: &str,
    salt: kept::Salt,
    shutdown: CancellationToken,
) -> Result<(), AuthenticateError> {
    if !listen.ip().is_loopback() {
        return Err(AuthenticateError::NotLoopback(listen));
    }
    let store = Arc::new(Store::new(Api::in_cluster(&config.kubernetes)?, node));
    let dialer = hub_dialer(&config);
    let hub = Arc::new(Hub::new(Arc::new(config), dialer));
    let kept = Arc::new(Mutex::new(Kept::new(salt)));
    let listener = TcpListener::bind(listen)
        .await
        .map_err(|source| AuthenticateError::Listen {
            address: listen,
            source,
        })?;
    store.open(&kept).await;
    info!(%listen, "answering reviews of tokens");
    let desk = Desk::new(Arc::clone(&kept), Arc::clone(&hub), Arc::clone(&store));
    tokio::join!(
        hub.learn(&shutdown),
        store.run(&kept, &shutdown),
        server::serve(listener, desk, &shutdown)
    );
    info!("stopped");
    Ok(())
}
