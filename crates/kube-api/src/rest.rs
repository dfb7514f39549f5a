//! One verb on one resource, from a parsed request to an answer.
//!
//! Owns the semantics every kind shares: metadata, preconditions, selectors, patches, pagination, deletion. What one
//! kind does differently is its `Strategy`. HTTP (bodies, media types, limits) is `server`'s; revisions and durability
//! are the `store`'s.

mod context;

pub(crate) use context::{Api, Attributes, Authorizer, Context, Decision};
