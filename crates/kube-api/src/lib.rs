//! An embedded Kubernetes API over SQLite.
