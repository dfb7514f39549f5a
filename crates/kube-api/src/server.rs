//! HTTP: bodies, media types, limits and identity around `rest`.

use std::path::PathBuf;

/// Where objects are kept.
#[derive(Debug, Clone)]
pub enum Storage {
    /// A SQLite file; made if it does not exist.
    File(PathBuf),
    /// Nothing outlives the server.
    Memory,
}

/// Bounds on what clients may ask.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Largest request body in bytes.
    pub body_bytes: usize,
    /// Largest stored object in bytes.
    pub object_bytes: usize,
    /// Largest database file in bytes; 0 = as the disk allows.
    pub database_bytes: u64,
    /// Time a request that is no watch may take.
    pub request_timeout: std::time::Duration,
    /// Watches open at once per identity.
    pub watches_per_identity: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 3 * 1024 * 1024,
            object_bytes: 1536 * 1024,
            database_bytes: 0,
            request_timeout: std::time::Duration::from_mins(1),
            watches_per_identity: 10_000,
        }
    }
}

/// What `/version` reports.
#[derive(Debug, Clone)]
pub struct Version {
    /// As `v1.36.3`.
    pub git_version: String,
}

impl Default for Version {
    fn default() -> Self {
        Self {
            git_version: "v1.36.3".to_owned(),
        }
    }
}
