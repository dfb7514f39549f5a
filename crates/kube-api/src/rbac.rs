//! Role-based access: decisions from stored Roles and bindings, aggregation, escalation.
//!
//! The server calls (to be written here) `pub(crate) fn authorizer() -> Arc<dyn Authorizer>`,
//! `pub(crate) async fn run(api: Arc<Api>, stop: CancellationToken)` (aggregated cluster roles, default roles made at start).
//! The authorizer follows the store by `api.store.table_revision(storage)` or `watch::follow`, never per request scans.
