//! The explorer API at `/v1`, also below `/k8s/clusters/{id}`: every kind of every cluster.
//!
//! Kinds are found by discovery; nothing here knows a kind by name but where
//! the peer adds to one. Lists and live updates come from copies (`cache`)
//! that all callers share; what each sees of them is decided by `rights`.
//! Single objects are read and written by the cluster itself, as the caller.
//! The edge (TLS, authentication, CSRF) belongs to the server, the way into
//! clusters to whoever implements [`Reach`].

mod action;
mod api;
mod associate;
mod audit;
mod cache;
mod call;
mod catalog;
mod cells;
mod counts;
mod definitions;
mod discovery;
mod fields;
mod format;
mod guard;
mod kind;
mod kubernetes;
mod list;
mod log;
mod neighbours;
mod object;
mod passwords;
mod permissions;
mod preferences;
mod public;
mod query;
mod reach;
mod relate;
mod rights;
mod schemas;
mod search;
mod self_user;
mod shell;
mod subscribe;
mod urls;
mod warnings;

pub use api::{Explorer, PING, Parts};
pub use cache::Limits;
pub use reach::Reach;
