//! The cluster agent.
//!
//! It keeps a tunnel to the hub open and dials, inside its cluster, what the hub asks for. It keeps no copy of the
//! cluster, and no state of its own but the hub's last words about tokens: everything else it needs are the variables and
//! files of the import manifest.
//!
//! * [`config`] reads those; [`doctor`] checks step by step whether they can work, and says what to do if not.
//! * [`tunnel`] holds the sessions and reconnects; [`steve`] answers what arrives on the second session.
//! * [`kubernetes`] is the small REST client of the rest: [`identity`] (the token the hub keeps),
//!   [`housekeeping`] (stale Secrets), [`cleanup`] (removal after the cluster left the hub).
//! * [`cluster`] is the assembly.
//! * [`authenticate`] is a program of its own beside the cluster's API server: whose are the tokens shown there?
//!
//! Invariant: memory does not depend on what passes through; every buffer is bounded by the tunnel.

pub mod authenticate;
pub mod backoff;
pub mod cleanup;
pub mod cluster;
pub mod config;
pub mod dial_policy;
pub mod doctor;
pub mod housekeeping;
pub mod hub;
pub mod identity;
pub mod kubernetes;
pub mod steve;
pub mod tunnel;

#[cfg(test)]
mod testing;
