//! The built-in kinds: their names, columns, selectable fields and strategies.
//!
//! The server calls (to be written here) `pub(crate) fn install(registry: &Registry)` once, before anything is read.
//! `namespaces::resource()` is provided by the namespaces module and inserted by it.
