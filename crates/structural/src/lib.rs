//! Schemas, patches and server-side apply as pure functions over JSON.
//!
//! Owns everything about the structure of Kubernetes objects that needs neither storage nor network:
//!
//! - [`schema`]: structural schemas parsed from CRDs and published OpenAPI v3 documents;
//! - [`prune`], [`default`], [`validate`]: what a schema does to an object;
//! - [`merge_patch`], [`json_patch`], [`strategic_patch`]: the three plain kinds of patch;
//! - [`field_set`], [`typed`], [`managed_fields`]: server-side apply;
//! - [`names`], [`quantity`], [`int_or_string`]: syntax of names and values;
//! - [`go`]: what answers say in words of Go;
//! - [`wire`]: messages of Protocol Buffers as their fields.
//!
//! Objects are [`serde_json::Value`] throughout. The crate names no kind of any product and does no I/O; the present
//! time is a parameter where it matters.

pub mod cel;
pub mod default;
pub mod error;
pub mod field_set;
pub mod go;
pub mod int_or_string;
pub mod json_patch;
pub mod managed_fields;
pub mod merge_patch;
pub mod names;
pub mod path;
pub mod prune;
pub mod quantity;
pub mod rules;
pub mod schema;
pub mod strategic_patch;
pub mod structural;
pub mod typed;
pub mod validate;
pub mod wire;

#[cfg(test)]
mod testing;

pub use error::{FieldError, FieldErrorKind};
pub use path::Path;
pub use schema::Schema;
