//! One verb on one resource, from a parsed request to an answer.
//!
//! Owns the semantics every kind shares: metadata, preconditions, selectors, patches, pagination, deletion. What one
//! kind does differently is its `Strategy`. HTTP (bodies, media types, limits) is `server`'s; revisions and durability
//! are the `store`'s.

mod context;
pub(crate) mod delete;
mod embedded;
pub(crate) mod notes;
pub(crate) mod object;
pub(crate) mod options;
pub(crate) mod pages;
pub(crate) mod patch;
pub(crate) mod read;
pub(crate) mod render;
pub(crate) mod scale;
pub(crate) mod selector;
pub(crate) mod structure;
pub(crate) mod write;

pub(crate) use context::{Api, Attributes, Authorizer, Context, Decision};
