//! `/api`, `/apis`, `/apis/{g}`, `/apis/{g}/{v}`, `/api/v1`: what is served, plain and aggregated.
//!
//! The server calls (to be written here)
//! `pub(crate) fn handle(api: &Arc<Api>, path: &[&str], headers: &http::HeaderMap) -> Option<http::Response<bytes::Bytes>>`
//! for GET on paths whose first segment is `api` or `apis` and that name no resource; `path` has no empty segments.
//! `None` = 404. May cache by `api.registry.table().generation`.
