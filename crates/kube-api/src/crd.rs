//! CustomResourceDefinitions: from a definition to served resources.
//!
//! The server calls (to be written here): `pub(crate) fn load(api: &Arc<Api>)` at open, before the first request, which
//! registers what stored definitions establish; and `pub(crate) async fn run(api: Arc<Api>, stop: CancellationToken)`,
//! a task that follows stored definitions (`watch::follow`), sets conditions, registers, and removes instances.
