//! The management API at `/v3`: Norman's conventions over Kubernetes objects.
//!
//! Every type has one declaration (`declare`); schemas, lists, filters,
//! validation, links and routes follow from it. What a type does beyond that
//! stands in `kinds`. Storage is the management cluster's Kubernetes API;
//! rights are those of `drover_auth`. The edge (TLS, authentication, CSRF,
//! `Cache-Control` and `X-API-Cattle-Auth` headers) belongs to the server.

mod api;
mod call;
mod collection;
mod credentials;
mod crossed;
mod declare;
mod downstream;
mod inside;
mod kinds;
mod mapping;
mod paths;
mod query;
mod registry;
mod resource;
mod schema;
mod store;
mod subscribe;
mod target;
mod urls;
mod validate;

use drover_api::{encode, summary};

pub use api::{Api, Parts};
pub use call::{Credentials, Hooks, Rights, YamlImport};
pub use drover_api::applied::stopped;
pub use drover_api::keeper;

#[cfg(test)]
mod properties;
