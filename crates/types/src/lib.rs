//! Drover's API objects: plain data and serde, no I/O.
//!
//! The kinds are Rancher's (`management.cattle.io/v3`), so that what talks to
//! Rancher's Kubernetes API reads and writes ours. Every object keeps the
//! fields it does not know: a newer writer loses nothing through us.

pub mod auditlog;
pub mod checks;
pub mod condition;
pub mod crds;
pub mod duration;
mod kind;
pub mod lean;
pub mod management;
pub mod names;
mod null;
pub mod provisioning;
pub mod quantity;
pub mod query;
pub mod quota;
pub mod review;
pub mod schedule;
pub mod targets;
