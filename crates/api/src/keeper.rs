//! Writes of the hub's own objects in Kubernetes' form, by the rights that the index of roles gives.
//!
//! What people may do to projects, members and clusters is no RBAC of the cluster that the hub keeps them in. `/v1` takes
//! such objects as Kubernetes writes them, `/v3` knows what has to be checked of each; this is what the one asks of the
//! other.

use drover_auth::Identity;
use drover_auth::web::ApiError;
use futures::future::BoxFuture;
use http::HeaderValue;
use serde_json::{Map, Value};

/// Where an object is, or goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// API group.
    pub group: &'a str,
    /// Plural in lower case.
    pub resource: &'a str,
    /// Namespace; `None` for kinds without.
    pub namespace: Option<&'a str>,
    /// Name; empty for what is created.
    pub name: &'a str,
}

/// What is to be done there.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// The new object.
    Create(Map<String, Value>),
    /// The whole object, with the `resourceVersion` it was read at.
    Replace(Map<String, Value>),
    /// A patch of any media type that Kubernetes knows.
    Patch {
        /// Its media type.
        media_type: String,
        /// As it was sent.
        patch: Vec<u8>,
    },
    /// `DeleteOptions`, or nothing.
    Delete(Vec<u8>),
}

/// What a write came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Written {
    /// What the API server answered.
    pub object: Value,
    /// Its `Warning` headers.
    pub warnings: Vec<HeaderValue>,
}

/// Who takes such writes.
pub trait Keeper: Send + Sync + 'static {
    /// Does what `identity` may do there by the index of roles. `query` holds the parameters of the request to the API
    /// server (`dryRun=All`), already encoded.
    ///
    /// # Errors
    /// 403 without the right, in the words of an API server; 404 for what is not there; 422 for what may not be said, with
    /// the field; what the API server refuses.
    fn write<'a>(
        &'a self,
        identity: &'a Identity,
        place: Place<'a>,
        query: &'a str,
        change: Change,
    ) -> BoxFuture<'a, Result<Written, ApiError>>;
}
