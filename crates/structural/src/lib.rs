//! Schemas, patches and server-side apply as pure functions over JSON.
