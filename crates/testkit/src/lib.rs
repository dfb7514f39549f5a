//! Real control planes, running servers and simulations for tests.
//!
//! Owns everything a test needs around the product: starting the real
//! Kubernetes components, playing the kubelet for the agent's Deployment,
//! starting `drover` and `drover-agent` as processes, and speaking HTTPS to
//! them. It is a development dependency only; no product crate may use it.
//!
//! Invariant: whatever a fixture starts ends when the fixture is dropped.

pub mod apply;
pub mod certificates;
pub mod chance;
pub mod control_plane;
pub mod embedded;
pub mod figure;
pub mod http;
pub mod hub;
pub mod image;
pub mod kubelet;
pub mod load;
pub mod obey;
pub mod process;
pub mod real;
pub mod roles;
pub mod serve;
pub mod simulated;
pub mod socket;
pub mod wait;
