//! An embedded Kubernetes API server.
//!
//! Clients see what kube-apiserver 1.36 would answer: discovery, any built-in
//! kind as plain data, custom resources, watches, server-side apply, RBAC.
//! Objects live in memory as compact JSON and in one SQLite file, written
//! before anything is acknowledged. The crate names no kind of the product
//! that embeds it.
//!
//! A request goes `server` (HTTP, limits, identity) -> `rest` (one verb on one
//! resource of the `registry`) -> `store` (revisions, durability, history) and
//! back; `watch` follows the store's history; `gc` and `namespaces` act on it
//! in the background as any other client would.

mod admission;
mod builtin;
mod clock;
mod crd;
mod discovery;
mod gc;
mod go_types;
mod identity;
mod namespaces;
mod openapi;
mod protobuf;
mod rbac;
mod registry;
mod rest;
mod reviews;
mod server;
mod status;
mod store;
mod table;
mod watch;

pub use clock::{Clock, SystemClock};
pub use identity::Identity;
pub use server::{Body, BoxError, Config, Limits, OpenError, Server, Service, Storage, Version};
pub use store::{BackupError, Contents, backup, restore};
