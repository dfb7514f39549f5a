//! Parts of the test that kills servers.

pub(crate) mod client;
pub(crate) mod model;
pub(crate) mod process;
pub(crate) mod watcher;
