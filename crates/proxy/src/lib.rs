//! Authenticated requests into clusters.
//!
//! Owns the four places where the hub meets its clusters: [`Connect`] takes the agents' tunnels, [`Clusters`] knows how
//! to reach each cluster through them, [`Proxy`] passes people's requests on as who they are, [`Reviews`] tells a cluster
//! who somebody is that came to its own API server. Tokens and rights are decided by `drover_auth`, the tunnel's wire is
//! `drover_tunnel`'s, routes belong to `server`.
//!
//! Invariants: without an identity nothing is forwarded; no identity header of a client reaches a cluster, ours are set
//! last; a cluster is connected exactly while it has a live session.

mod chain;
mod clusters;
mod connect;
mod gate;
mod proxy;
mod review;

pub use clusters::{Allowance, Bounded, Clusters, Unreachable};
pub use connect::Connect;
pub use gate::{Edge, Gate};
pub use proxy::Proxy;
pub use review::Reviews;

#[cfg(test)]
mod tests;
