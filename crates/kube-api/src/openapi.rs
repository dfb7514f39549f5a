//! `/openapi/v2`, `/openapi/v3` and `/openapi/v3/...`: the published schemas.
//!
//! The server calls (to be written here)
//! `pub(crate) fn handle(api: &Arc<Api>, path: &[&str], query: Option<&str>, headers: &http::HeaderMap) -> Option<http::Response<bytes::Bytes>>`
//! for GET on paths whose first segment is `openapi`. Answers may carry an ETag; the server gzips large bodies.
